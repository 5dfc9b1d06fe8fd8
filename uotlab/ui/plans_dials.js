// Dials: sliders that ask the server while they are dragged, one request at a time, always with the newest values.
const STEPS = 200; // places of a slider
const END = 8; // more places at the right end, where rho is infinite
const SLOW = 200; // ms after which the numbers say that a solve is under way
const dials = new WeakMap();
const ENDS = { log: ["sharp", "blurred"], rho: ["lets mass go", "∞ balanced"], share: ["little", "all"] };

const infinite = (v) => v === "inf" || v === Infinity;
const wire = (v) => (infinite(v) ? "inf" : v);
const digits = (v, n = 3) => Number(v.toPrecision(n));

function text(v) {
  if (infinite(v)) return "∞";
  const size = Math.abs(v);
  if (size !== 0 && (size < 1e-3 || size >= 1e5)) return v.toExponential(1);
  return String(digits(v));
}

function parse(words) {
  const word = words.trim().toLowerCase().replace(",", ".");
  if (["", "∞", "inf", "infinity"].includes(word)) return Infinity;
  return Number(word);
}

// the three papers' τ and the way back; s is the mean cost, eps in mean-cost units
const TAUS = {
  "cost τ": {
    help: "τ multiplies the cost, c = τ·d(x, y): τ = 1/(ρ s). Larger is more unbalanced, 0 is balanced.",
    of: (rho, s) => (infinite(rho) ? 0 : 1 / (rho * s)), back: (tau, s) => (tau === 0 ? Infinity : 1 / (tau * s)),
  },
  "divergence τ": {
    help: "τ multiplies the divergence beside ½·d(x, y): τ = ρ s/2. Larger is less unbalanced, ∞ is balanced.",
    of: (rho, s) => (infinite(rho) ? Infinity : (rho * s) / 2), back: (tau, s) => (2 * tau) / s,
  },
  "Sinkhorn τ": {
    help: "τ = ρ/(ρ + ε), between 0 and 1. Larger is less unbalanced, 1 is balanced.",
    of: (rho, s, eps) => (infinite(rho) ? 1 : rho / (rho + eps)), back: (tau, s, eps) => (tau >= 1 ? Infinity : (eps * tau) / (1 - tau)),
  },
};
const EPS_UNLESS = 0.05; // at which the exponent is converted where the solver has no eps

function make(tag, attributes, parent, words) {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (words !== undefined) node.textContent = words;
  parent?.appendChild(node);
  return node;
}

class Dials {
  constructor(root) {
    this.root = root;
    this.row = root.querySelector(".uot-dial-row");
    this.cells = root.querySelector(".uot-cells");
    this.sentence = root.querySelector(".uot-sentence");
    this.ticket = -1;
    this.answers = 0;
    window.__uotlab_dials = this;
  }

  update(data, component) {
    this.component = component;
    const shape = JSON.stringify([data.dials, data.cells]);
    const given = JSON.stringify([data.id, data.values]);
    const fresh = data.id !== this.data?.id || shape !== this.shape;
    this.data = data;
    this.scale = data.scale;
    if (shape !== this.shape) { this.shape = shape; this.values = { ...data.values }; this.build(); }
    if (given !== this.given && !this.held && !this.flying) {
      this.values = { ...data.values };
      if (fresh || this.values.rho1 !== this.values.rho2) this.locked = this.values.rho1 === this.values.rho2;
    }
    this.given = given;
    if (fresh) this.ticket = -1;
    this.draw();
    if (data.answer?.ticket >= this.ticket) this.show(data.answer);
    if (fresh && this.flying) this.again = true; // the answer under way is the former plan's
    if (!data.answer?.ticket && !this.flying) { // the script did not wait for the plan
      this.settling = true;
      this.say("Solving. The first plan on a new machine takes some seconds, while the solver is made ready.");
      this.send();
    }
  }

  // ---- the sliders ----
  build() {
    this.row.replaceChildren();
    this.parts = {};
    const both = this.data.dials.filter((d) => d.kind === "rho").length === 2;
    for (const dial of this.data.dials) {
      const box = make("div", { class: "uot-dial", "data-dial": dial.name }, this.row);
      const head = make("div", { class: "uot-dial-head" }, box);
      const label = make("label", { title: dial.help, for: `uot-${dial.name}` }, head, dial.label);
      if (both && dial.name === "rho1") this.buildLock(head);
      const most = dial.kind === "rho" ? STEPS + END : STEPS;
      const slider = make("input", { type: "range", min: 0, max: most, step: 1, id: `uot-${dial.name}`, title: "Double click: back to the default" }, box);
      const ends = make("div", { class: "uot-ends", "aria-hidden": "true" }, box);
      for (const word of ENDS[dial.kind]) make("span", {}, ends, word);
      const outs = make("div", { class: "uot-outs" }, box);
      this.parts[dial.name] = { box, label, slider, outs: {} };
      const name = { rho: "ρ", log: dial.label.split(" ").at(-1), share: "share" }[dial.kind];
      this.buildOut(dial, outs, name, dial.kind === "share" ? "Of the smaller total mass" : "In units of the mean cost", (v) => v, (v) => v);
      if (dial.kind === "rho") {
        for (const [name, { help, of, back }] of Object.entries(TAUS)) {
          this.buildOut(dial, outs, name, help, (v) => of(v, this.scale, this.eps), (v) => back(v, this.scale, this.eps));
        }
      } else if (dial.kind === "log") {
        this.buildOut(dial, outs, "× mean cost", "The same in the cost's own units", (v) => v * this.scale, (v) => v / this.scale);
      }
      slider.addEventListener("input", () => { this.held = dial.name; this.set(dial.name, this.at(dial, Number(slider.value))); });
      slider.addEventListener("change", () => { this.held = undefined; this.settle(); });
      slider.addEventListener("dblclick", () => { this.set(dial.name, dial.first); this.settle(); });
    }
  }

  buildLock(head) {
    const label = make("label", { class: "uot-lock", title: "One ρ for source and target, or one each" }, head);
    const box = make("input", { type: "checkbox" }, label);
    make("span", {}, label, "same on both sides");
    box.addEventListener("change", () => {
      this.locked = box.checked;
      if (this.locked) { this.set("rho1", this.values.rho1); this.settle(); } else this.draw();
    });
    this.lock = box;
  }

  buildOut(dial, parent, name, help, of, back) {
    const label = make("label", { title: help }, parent);
    make("span", {}, label, name);
    const input = make("input", { type: "text", inputmode: "decimal", autocomplete: "off", spellcheck: "false" }, label);
    input.setAttribute("aria-label", `${dial.label}: ${name}`);
    const take = () => {
      const value = back(parse(input.value));
      if (!(value > 0) || (dial.kind !== "rho" && infinite(value)) || (dial.kind === "share" && value > 1)) return this.draw();
      this.set(dial.name, infinite(value) ? "inf" : digits(Math.min(Math.max(value, 1e-6), 1e6), 6));
      this.settle();
    };
    input.addEventListener("change", take);
    input.addEventListener("keydown", (event) => { if (event.key === "Enter") input.blur(); event.stopPropagation(); });
    this.parts[dial.name].outs[name] = { input, of };
  }

  get eps() {
    return typeof this.values.eps === "number" ? this.values.eps : EPS_UNLESS;
  }

  at(dial, place) {
    if (dial.kind === "rho" && place > STEPS + END / 2) return "inf";
    if (dial.kind === "share") return digits(Math.max(place, 1) / STEPS);
    return digits(dial.low * (dial.high / dial.low) ** (Math.min(place, STEPS) / STEPS));
  }

  place(dial, value) {
    if (infinite(value)) return STEPS + END;
    if (dial.kind === "share") return Math.round(STEPS * value);
    return Math.round((STEPS * Math.log(value / dial.low)) / Math.log(dial.high / dial.low));
  }

  set(name, value) {
    this.values[name] = value;
    if (this.locked && name === "rho1") this.values.rho2 = value;
    this.draw();
    this.send();
  }

  draw() {
    for (const dial of this.data.dials) {
      const { box, label, slider, outs } = this.parts[dial.name];
      const value = this.values[dial.name];
      const both = this.locked && this.lock && dial.kind === "rho";
      box.hidden = both && dial.name === "rho2";
      label.textContent = both ? dial.label.replace(/,.*/, ", both sides") : dial.label;
      if (this.held !== dial.name) slider.value = this.place(dial, value);
      slider.setAttribute("aria-valuetext", text(value));
      const share = Math.min(1, Math.max(0, slider.value / slider.max));
      slider.style.setProperty("--at", `${100 * share}%`);
      for (const { input, of } of Object.values(outs)) {
        if (document.activeElement !== input || this.held) input.value = text(of(infinite(value) ? Infinity : value));
      }
    }
    if (this.lock) this.lock.checked = Boolean(this.locked);
  }

  // ---- the server ----
  async send() {
    if (this.flying) { this.again = true; return; }
    this.flying = true;
    const late = setTimeout(() => this.root.classList.add("uot-busy"), SLOW);
    try {
      do {
        this.again = false;
        const values = Object.fromEntries(Object.entries(this.values).map(([k, v]) => [k, wire(v)]));
        const reply = await fetch("/live/dial", {
          method: "POST", credentials: "same-origin", headers: { "Content-Type": "application/json" },
          body: JSON.stringify({ id: this.data.id, values }),
        });
        const answer = await reply.json();
        if (reply.status === 404) { this.component.setTriggerValue("lost", values); break; }
        if (!reply.ok) this.say(answer.error ?? `The server answered ${reply.status}.`, true);
        else {
          if (answer.numbers) this.show(answer);
          if (!(answer.ticket >= answer.asked)) this.again = true; // a slow solve: ask on
        }
        this.answers += 1;
      } while (this.again);
    } catch (error) {
      this.say(`No connection to the server (${error.message}).`, true);
    }
    clearTimeout(late);
    this.root.classList.remove("uot-busy");
    this.flying = false;
    if (this.settling) { this.settling = false; this.settle(); }
  }

  // a drag has ended: Streamlit learns of it when the answer is there, so that its rerun has nothing to wait for
  settle() {
    if (this.flying) { this.settling = true; return; }
    const values = Object.fromEntries(Object.entries(this.values).map(([k, v]) => [k, wire(v)]));
    this.component.setTriggerValue("moved", values);
  }

  // ---- the numbers ----
  show(answer) {
    this.ticket = answer.ticket ?? this.ticket;
    this.numbers = answer.numbers ?? {};
    this.root.classList.toggle("uot-failed", Boolean(answer.failed));
    if (this.numbers.scale) { this.scale = this.numbers.scale; this.draw(); }
    this.say(answer.sentence ?? "", answer.failed);
    if (!answer.failed) this.fill();
  }

  say(words, failed) {
    this.sentence.textContent = words;
    this.sentence.hidden = !words;
    this.sentence.classList.toggle("uot-wrong", Boolean(failed));
  }

  fill() {
    const n = this.numbers;
    const share = (v) => (v === null || v === undefined ? "–" : v < 5e-4 ? "0%" : `${digits(100 * v, v < 0.0995 ? 2 : 3)}%`);
    const parts = Object.entries(n).filter(([k, v]) => k.startsWith("part.") && v).map(([, v]) => text(v));
    const words = {
      carried: [n.mass === undefined ? "–" : `${text(n.mass)}`, `${share(n.share)} of the source${Math.abs(n.share - n.share2) > 1e-4 ? `, ${share(n.share2)} of the target` : ""}`],
      destroyed: [share(n.destroyed1), `of the source · ${share(n.destroyed2)} of the target`],
      created: [share(n.created2), `of the target · ${share(n.created1)} of the source`],
      transport: [text(n["part.transport"] ?? NaN), `mean cost ${text(n.scale ?? NaN)}`],
      value: [text(n.value ?? NaN), parts.join(" + ")],
      certificate: [n.certificate === null || n.certificate === undefined ? "–" : n.certificate < 1e-6 ? "< 0.0001%" : `${text(100 * n.certificate)}%`, "of the objective"],
      solved: [n.seconds >= 1 ? `${digits(n.seconds)} s` : `${digits(1000 * (n.seconds ?? NaN))} ms`, `${(n.n_iter ?? 0).toLocaleString("en")} iterations`],
    };
    if (this.cells.children.length !== this.data.cells.length) {
      this.cells.replaceChildren();
      for (const { name, title, help } of this.data.cells) {
        const cell = make("div", { title: help, "data-cell": name }, this.cells);
        make("dt", {}, cell, title);
        make("dd", {}, cell);
        make("small", {}, cell);
      }
    }
    for (const cell of this.cells.children) {
      const [big, small] = words[cell.dataset.cell] ?? ["–", ""];
      cell.children[1].textContent = big.replace("NaN", "–");
      cell.children[2].textContent = small;
    }
  }
}

export default function (component) {
  const root = component.parentElement.querySelector(".uot-dials");
  if (!dials.has(root)) dials.set(root, new Dials(root));
  dials.get(root).update(component.data, component);
}
