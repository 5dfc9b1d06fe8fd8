// Follows a task: asks our route how far it is, and tells the page once for each result and for the end.
const WAIT = 300; // ms between two looks
const bars = new WeakMap();

class Bar {
  constructor(root) {
    this.root = root;
    this.alive = true;
    root.querySelector("button").addEventListener("click", () => this.cancel());
  }

  update(data, tell) {
    this.tell = tell;
    const other = this.data?.id !== data.id;
    this.data = data;
    if (other) this.told = "";
    if (other) this.show({ share: 0, state: "waiting" });
    this.root.hidden = !data.active;
    if (data.active && !this.timer) this.timer = setTimeout(() => this.look(), 30);
  }

  async look() {
    const { id } = this.data;
    try {
      const reply = await fetch(`/live/task?id=${encodeURIComponent(id)}`, { credentials: "same-origin" });
      const status = await reply.json();
      if (id === this.data.id) {
        if (reply.ok) this.show(status);
        const active = reply.ok && (status.state === "waiting" || status.state === "running");
        const known = `${status.finished} ${active ? "True" : "False"}`;
        if (known !== this.data.known && known !== this.told) {
          this.told = known;
          this.tell(known);
        }
        this.ended = !active;
      }
    } catch { /* the server is busy or gone: look again */ }
    this.timer = undefined;
    if (this.alive && this.data.active && !(this.ended && id === this.data.id)) this.timer = setTimeout(() => this.look(), WAIT);
  }

  show({ state, label, share, eta }) {
    const left = eta ? `, about ${eta < 90 ? `${Math.max(1, Math.round(eta))} s` : `${Math.round(eta / 60)} min`} left` : "";
    const words = state === "waiting" ? "Waiting for another computation" : `${label ?? ""}${left}`;
    this.root.querySelector(".uot-task-words").textContent = words;
    const track = this.root.querySelector(".uot-task-track");
    track.setAttribute("aria-valuenow", String(Math.round(100 * share)));
    track.firstElementChild.style.width = `${100 * share}%`;
  }

  cancel() {
    fetch("/live/task", { method: "POST", body: JSON.stringify({ id: this.data.id, do: "cancel" }), credentials: "same-origin" });
  }
}

export default function (component) {
  const root = component.parentElement.querySelector(".uot-task");
  let bar = bars.get(root);
  if (!bar) {
    bar = new Bar(root);
    bars.set(root, bar);
  }
  bar.update(component.data, (known) => component.setTriggerValue("news", known));
  return () => {
    bar.alive = false;
    clearTimeout(bar.timer);
    bars.delete(root);
  };
}
