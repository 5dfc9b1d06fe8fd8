// One plotly graph that is never remounted. The first picture is a whole figure, every later one raw float32 arrays.
const SELECTING = ["lasso2d", "select2d"];
const MODEBAR_OFF = ["autoScale2d", "toImage", "hoverClosestCartesian", "hoverCompareCartesian", "toggleSpikelines"];
const NARROW = 520; // px: phones
const BARE = 400; // px: no room for a bar of colours beside the picture, it lies below
const BELOW = { words: 84, numbers: 42 }; // px for such a bar
const PANEL = 130; // px: least height of a small panel there
const WORDS = {
  still: "", queued: "Queued", running: "Training", paused: "Paused", done: "Done",
  stopped: "Stopped", failed: "Failed", interrupted: "Interrupted",
};
const instances = new WeakMap();
let library;

function plotly(url) {
  library ??= new Promise((ok, fail) => {
    if (window.Plotly) return ok(window.Plotly);
    const script = document.createElement("script");
    script.src = url;
    script.onload = () => ok(window.Plotly);
    script.onerror = () => { library = undefined; fail(new Error("plotly.js did not load")); };
    document.head.appendChild(script);
  });
  return library;
}

const sleep = (ms) => new Promise((go) => setTimeout(go, ms));
const painted = () => new Promise((go) => {
  // in a hidden page no animation frame comes
  const late = setTimeout(go, 100);
  requestAnimationFrame(() => { clearTimeout(late); go(); });
});

function short(value) {
  if (value === null || value === undefined) return "–";
  const size = Math.abs(value);
  if (size >= 1e5 || (size > 0 && size < 1e-3)) return value.toExponential(1);
  return value.toLocaleString("en", { maximumSignificantDigits: 3 });
}

// rows of a matrix, and pixels of an image, as plotly takes them: views, nothing is copied
function nested(flat, shape) {
  if (shape.length < 2) return flat;
  const size = flat.length / shape[0];
  return Array.from({ length: shape[0] }, (_, i) => nested(flat.subarray(i * size, (i + 1) * size), shape.slice(1)));
}

function duration(seconds) {
  if (seconds >= 5400) return `${(seconds / 3600).toFixed(1)} h`;
  if (seconds >= 90) return `${Math.round(seconds / 60)} min`;
  return `${Math.max(1, Math.round(seconds))} s`;
}

class Live {
  constructor(root, component) {
    this.root = root;
    this.component = component;
    this.graph = root.querySelector(".uot-graph");
    this.alive = true;
    this.frames = 0;
    this.figures = 0;
    this.bytes = 0;
    this.times = [];
    this.mounts = (window.__uotlab?.mounts ?? 0) + 1;
    this.status = {};
    this.onscreen = true;
    this.eye = new IntersectionObserver((seen) => { this.onscreen = seen.at(-1).isIntersecting; });
    this.eye.observe(root);
    window.__uotlab = this;
    window.__uotlab_graph = this.graph;
    this.run();
  }

  // what the page wants drawn; a new address aborts the request under way
  update(data) {
    const address = JSON.stringify([data.job, data.view, data.options]);
    const width = this.root.clientWidth;
    this.height = width && width < NARROW ? Math.max(300, Math.min(data.height, width)) : data.height;
    if (address !== this.address) this.graph.style.height = `${this.height}px`;
    this.graph.setAttribute("aria-label", data.alt);
    if (address !== this.address) {
      this.address = address;
      this.since = "";
      this.next = undefined;
      this.request?.abort();
    }
    if (this.data?.job !== data.job) { this.told = ""; this.status = {}; }
    this.data = data;
    if (this.status.state) this.showStatus();
  }

  get fps() {
    const now = performance.now();
    return this.times.filter((t) => now - t < 2000).length / 2;
  }

  query(more) {
    const { job, view, options } = this.data;
    return new URLSearchParams({ job, view, options: JSON.stringify(options), ...more }).toString();
  }

  async get(path, more) {
    this.request = new AbortController();
    return fetch(`${path}?${this.query(more)}`, { signal: this.request.signal, credentials: "same-origin" });
  }

  // the next frame is asked for while this one is drawn: it is then there, or on its way, when drawing ends
  ahead({ pulse: since, signature: have, layout_id: layout, state }) {
    if (state !== "running" || !this.data?.job) return;
    this.next = this.get("/live/frame", { since, have, layout });
    this.next.catch(() => {}); // told where it is awaited
  }

  async run() {
    while (this.alive) {
      const hidden = document.hidden || !this.onscreen || !this.root.isConnected || this.graph.offsetParent === null;
      if (!this.data?.job || hidden || this.graph._dragging) { await sleep(100); continue; }
      if (this.since && this.status.state === "still" && !this.status.moving) { await this.themed(); await sleep(150); continue; }
      const address = this.address;
      try {
        await this.turn(address);
      } catch (error) {
        if (error.name === "AbortError") continue;
        this.note(`No connection to the server (${error.message}). Trying again.`);
        await sleep(1000);
      }
    }
  }

  async turn(address) {
    const first = !this.signature || this.drawn !== address;
    const asked = this.next ?? this.get("/live/frame", { since: this.since, have: this.signature ?? "", layout: this.layoutId ?? "" });
    this.next = undefined;
    const reply = await asked;
    if (reply.status === 204) return;
    if (!reply.ok) return this.refused(reply);
    const body = await reply.arrayBuffer();
    if (address !== this.address) return;
    const length = new DataView(body).getUint32(0, true);
    const header = JSON.parse(new TextDecoder().decode(new Uint8Array(body, 4, length)));
    if (header.stale || (header.signature && first && !this.graph._fullLayout)) return this.whole(address);
    if (header.signature) {
      if (!first) this.ahead(header);
      await painted();
      if (this.graph._dragging) return this.forget();
      await this.draw(header, body, 4 + length);
      this.bytes += body.byteLength;
    }
    this.took(header, address);
  }

  // let go of the frame asked for ahead: the one before it was never drawn
  forget() {
    this.next = undefined;
    this.request?.abort();
  }

  async whole(address) {
    const reply = await this.get("/live/figure", {});
    if (!reply.ok) return this.refused(reply);
    const text = await reply.text();
    if (address !== this.address) return;
    const answer = JSON.parse(text);
    if (answer.figure) {
      const Plotly = await plotly(this.data.plotly);
      await painted();
      this.below = this.root.clientWidth < BARE ? this.laid(answer.figure.data) : 0;
      await Plotly.react(this.graph, answer.figure.data, this.dressed(answer.figure.layout), this.config(Plotly));
      this.listen();
      this.signature = answer.figure.signature;
      this.layoutId = answer.figure.layout_id;
      this.bytes += text.length;
      this.figures += 1;
      this.count();
    }
    this.took(answer, address);
  }

  // points taken with the lasso or the box: their numbers in the trace whose name the page gave; an empty list where they are let go
  listen() {
    if (!this.data.select || this.listening) return;
    this.listening = true;
    const tell = (points) => this.component.setTriggerValue("selected", JSON.stringify(points));
    this.graph.on("plotly_selected", (event) => {
      if (!event?.points) return; // a frame drawn anew says so without points
      const at = this.graph.data.findIndex((trace) => trace.name === this.data.select);
      tell(event.points.filter((point) => point.curveNumber === at).map((point) => point.pointNumber));
    });
    this.graph.on("plotly_deselect", () => tell([]));
  }

  // all arrays of a frame in one redraw: an undefined entry leaves that trace as it is
  async draw(header, body, start) {
    const Plotly = await plotly(this.data.plotly);
    const changes = {};
    const traces = [...new Set(header.arrays.map(([trace]) => trace))];
    let at = start;
    for (const [trace, path, shape] of header.arrays) {
      const size = shape.reduce((a, b) => a * b, 1);
      let values = new Float32Array(body, at, size);
      at += 4 * size;
      values = nested(values, shape);
      (changes[path] ??= traces.map(() => undefined))[traces.indexOf(trace)] = values;
    }
    if (header.layout) {
      for (const [path, values] of Object.entries(changes)) {
        values.forEach((value, i) => { if (value !== undefined) this.put(traces[i], path, value); });
      }
      this.revision = (this.revision ?? 0) + 1;
      await Plotly.react(this.graph, this.graph.data, { ...this.dressed(header.layout), datarevision: this.revision });
      this.layoutId = header.layout_id;
    } else if (traces.length) {
      await Plotly.restyle(this.graph, changes, traces);
    }
    this.count();
  }

  put(trace, path, value) {
    const keys = path.split(".");
    const last = keys.pop();
    keys.reduce((node, key) => node[key], this.graph.data[trace])[last] = value;
  }

  count() {
    this.frames += 1;
    this.times.push(performance.now());
    if (this.times.length > 200) this.times.splice(0, 100);
  }

  took(header, address) {
    this.drawn = address;
    if (address !== this.address) return; // another picture was asked for while this one was drawn: it is still to come
    this.since = header.pulse;
    this.status = header;
    this.note(header.note ?? "");
    this.showStatus();
    // the page's buttons and pictures depend on these two: ask it to look again, once for each change
    const shown = JSON.stringify([header.state, header.views]);
    if (shown !== JSON.stringify([this.data.state, this.data.views]) && shown !== this.told && this.data.state) {
      this.told = shown;
      this.component.setTriggerValue("changed", shown);
    }
  }

  async refused(reply) {
    let sentence = `The server answered ${reply.status}.`;
    try { sentence = (await reply.json()).error ?? sentence; } catch { /* not JSON */ }
    this.note(sentence);
    await sleep(2000);
  }

  note(text) {
    const box = this.root.querySelector(".uot-note");
    if (box.textContent !== text) { box.textContent = text; box.hidden = !text; }
  }

  showStatus() {
    const { state, step, steps_total: total, steps_per_second: rate, eta_seconds: eta, position, metrics } = this.status;
    const part = (name) => this.root.querySelector(`.uot-${name}`);
    part("bar").hidden = state === "still";
    part("progress").hidden = state === "still";
    if (state === "still") return;
    this.root.dataset.state = state;
    part("badge").textContent = WORDS[state] ?? state;
    part("step").textContent = total ? `Step ${step.toLocaleString("en")} of ${total.toLocaleString("en")}` : `Step ${step.toLocaleString("en")}`;
    const words = [];
    if (state === "running" && rate) words.push(`${short(rate)} steps/s`);
    if (state === "running" && eta) words.push(`${duration(eta)} left`);
    if (state === "queued" && position) words.push(`number ${position} in the queue`);
    part("rate").textContent = words.join(" · ");
    part("fill").style.width = `${total ? Math.min(100, (100 * step) / total) : 0}%`;
    part("progress").setAttribute("aria-valuenow", String(total ? Math.round((100 * step) / total) : 0));
    const numbers = part("numbers");
    const wanted = Object.entries(this.data.metrics ?? {}).filter(([name]) => metrics?.[name] !== undefined && metrics[name] !== null);
    while (numbers.children.length > wanted.length) numbers.lastChild.remove();
    while (numbers.children.length < wanted.length) numbers.appendChild(document.createElement("span")).append(document.createElement("i"), document.createElement("b"));
    wanted.forEach(([name, title], i) => {
      const [label, value] = numbers.children[i].children;
      if (label.textContent !== title) label.textContent = title;
      value.textContent = short(metrics[name]);
    });
  }

  colours() {
    const style = getComputedStyle(this.root);
    const pick = (name, other) => style.getPropertyValue(name).trim() || other;
    return {
      text: pick("--st-text-color", "#31333f"), back: pick("--st-background-color", "#ffffff"),
      card: pick("--st-secondary-background-color", "#f4f6f8"), border: pick("--st-border-color", "#dddddd"),
      font: pick("--st-font", "sans-serif"),
    };
  }

  dressed(layout) {
    const look = this.colours();
    this.look = JSON.stringify(look);
    this.bare = layout;
    const font = { ...(layout.font ?? {}), color: look.text, family: look.font };
    const hover = { bgcolor: look.card, bordercolor: look.border, font: { color: look.text, family: look.font, size: 12 } };
    const modebar = { bgcolor: "rgba(0,0,0,0)", color: "rgba(128,134,145,0.7)", activecolor: look.text, orientation: "h" };
    const uirevision = `${this.data.job} ${this.data.view}`;
    const narrow = this.root.clientWidth < NARROW;
    const below = this.below ?? 0;
    const margin = narrow ? { ...(layout.margin ?? {}), l: 34, r: 6, b: (layout.margin?.b ?? 44) + below } : layout.margin;
    const panels = narrow && layout.meta?.panels > 2 ? layout.meta.panels : 0;
    // a view may say itself how its panels stand on a phone: one below the other, as high as wide
    const own = narrow ? layout.meta?.narrow : undefined;
    const height = own ? own.rows * this.root.clientWidth : panels ? Math.max(300, Math.ceil(panels / 2) * PANEL) : this.height;
    this.graph.style.height = `${height + below}px`;
    if (own) layout = { ...layout, ...own.layout };
    else if (panels) layout = this.stacked(layout);
    return { ...layout, font, hoverlabel: hover, modebar, uirevision, margin, autosize: true, height: undefined, width: undefined };
  }

  // the first bar of colours below the picture, the others away; how much height it takes
  laid(traces) {
    const [first, ...others] = traces.filter((trace) => trace.marker?.showscale);
    others.forEach((trace) => { trace.marker.showscale = false; });
    if (!first) return 0;
    const words = (first.marker.colorbar?.ticktext ?? []).some((text) => text.length > 4);
    const place = { orientation: "h", x: 0.5, xanchor: "center", xref: "paper", len: 1, lenmode: "fraction", y: 0, yanchor: "bottom", yref: "container" };
    const look = { thickness: 9, tickangle: words ? -50 : 0, tickfont: { size: 10 } };
    first.marker.colorbar = { ...first.marker.colorbar, ...place, ...look, title: { text: "" } };
    return words ? BELOW.words : BELOW.numbers;
  }

  // small panels two in a row, each high enough to be read
  stacked(layout) {
    const count = layout.meta.panels;
    const rows = Math.ceil(count / 2);
    const placed = { ...layout, annotations: layout.annotations.map((label) => ({ ...label })) };
    for (let i = 0; i < count; i += 1) {
      const number = i ? String(i + 1) : "";
      const [row, column] = [Math.floor(i / 2), i % 2];
      const across = column ? [0.58, 1] : [0.02, 0.45];
      const down = [1 - (row + 1) / rows + 0.26 / rows, 1 - row / rows - 0.12 / rows];
      placed[`xaxis${number}`] = { ...layout[`xaxis${number}`], domain: across, title: { text: "" }, nticks: 3 };
      placed[`yaxis${number}`] = { ...layout[`yaxis${number}`], domain: down };
      Object.assign(placed.annotations[i], { x: across[0], y: down[1] });
    }
    return placed;
  }

  async themed() {
    if (this.bare && this.look !== JSON.stringify(this.colours()) && window.Plotly) {
      await window.Plotly.react(this.graph, this.graph.data, this.dressed(this.bare), this.config(window.Plotly));
    }
  }

  config(Plotly) {
    const save = (format) => (graph) => {
      const picture = { data: graph.data, layout: { ...graph.layout, paper_bgcolor: this.colours().back } };
      const [width, height] = [graph.clientWidth, graph.clientHeight];
      return Plotly.downloadImage(picture, { format, width, height, scale: format === "png" ? 2 : 1, filename: `uotlab-${this.data.view}` });
    };
    const button = (format) => ({ name: format, title: `Download as ${format.toUpperCase()}`, icon: Plotly.Icons[format === "png" ? "camera" : "disk"], click: save(format) });
    const off = this.data.select ? MODEBAR_OFF : [...SELECTING, ...MODEBAR_OFF];
    return { responsive: true, displaylogo: false, modeBarButtonsToRemove: off, modeBarButtonsToAdd: [button("png"), button("svg")] };
  }

  end() {
    this.alive = false;
    this.request?.abort();
    this.eye.disconnect();
    if (window.Plotly) window.Plotly.purge(this.graph);
  }
}

export default function (component) {
  const { parentElement, data } = component;
  const root = parentElement.querySelector(".uot-live");
  let live = instances.get(root);
  if (!live) {
    live = new Live(root, component);
    instances.set(root, live);
  }
  live.component = component;
  live.update(data);
  return () => { live.end(); instances.delete(root); };
}
