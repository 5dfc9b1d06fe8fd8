// Moves the live graph's particles to time t. Each row of a trace's customdata: x0, y0, x1, y1, mass at 0, mass at 1, unit of mass.
const SECONDS = 3.2; // from source to target
const REST = 900; // ms at the end, before it starts anew
const WIDTH = 0.014; // of the smoothing of densities on a line, as in views/plan_path.py
const players = new WeakMap();

function spread(rows, grid, t) {
  const n = grid.length, step = grid[1] - grid[0], low = grid[0] - step / 2;
  const counts = new Float32Array(n), out = new Float32Array(n);
  for (const [x0, , x1, , m0, m1] of rows) {
    const i = Math.floor(((1 - t) * x0 + t * x1 - low) / step);
    if (i >= 0 && i < n) counts[i] += ((1 - t) * m0 + t * m1) / step;
  }
  const sigma = WIDTH * n, reach = Math.ceil(4 * sigma);
  const kernel = Array.from({ length: 2 * reach + 1 }, (_, k) => Math.exp(-0.5 * ((k - reach) / sigma) ** 2));
  const total = kernel.reduce((a, b) => a + b, 0);
  for (let i = 0; i < n; i++) {
    if (!counts[i]) continue;
    for (let k = -reach; k <= reach; k++) if (i + k >= 0 && i + k < n) out[i + k] += (counts[i] * kernel[k + reach]) / total;
  }
  return out;
}

function places(rows, t) {
  const n = rows.length, x = new Float32Array(n), y = new Float32Array(n), size = new Float32Array(n);
  rows.forEach(([x0, y0, x1, y1, m0, m1, unit], i) => {
    x[i] = (1 - t) * x0 + t * x1;
    y[i] = (1 - t) * y0 + t * y1;
    size[i] = Math.min(16, 5 * Math.sqrt(Math.max(0, (1 - t) * m0 + t * m1) / Math.max(unit, 1e-30)));
  });
  return { x, y, "marker.size": size };
}

class Player {
  constructor(root) {
    this.button = root.querySelector("button");
    this.slider = root.querySelector("input");
    this.output = root.querySelector("output");
    this.t = 0;
    this.alive = true;
    this.button.addEventListener("click", () => this.press());
    this.slider.addEventListener("input", () => { this.stop(); this.go(this.slider.value / 1000); });
    this.listen = () => { if (!this.moving && this.t > 0) this.apply(); };
    window.__uotlab_player = this;
    this.find();
  }

  // the graph is there once its first figure is drawn
  find() {
    if (!this.alive) return;
    const graph = window.__uotlab_graph;
    if (graph?.on && graph !== this.graph) {
      this.graph?.removeListener?.("plotly_afterplot", this.listen);
      this.graph = graph;
      graph.on("plotly_afterplot", this.listen);
    }
    setTimeout(() => this.find(), 250);
  }

  press() {
    if (this.playing) return this.stop();
    this.playing = true;
    this.button.textContent = "❚❚";
    this.button.setAttribute("aria-label", "Pause");
    let last = performance.now(), rest = 0;
    if (this.t >= 1) this.go(0);
    const turn = (now) => {
      if (!this.playing || !this.alive) return;
      const passed = now - last;
      last = now;
      if (this.t >= 1) {
        rest += passed;
        if (rest > REST) { rest = 0; this.go(0); }
      } else this.go(Math.min(1, this.t + passed / 1000 / SECONDS));
      requestAnimationFrame(turn);
    };
    requestAnimationFrame(turn);
  }

  stop() {
    this.playing = false;
    this.button.textContent = "▶";
    this.button.setAttribute("aria-label", "Play");
  }

  go(t) {
    this.t = t;
    this.slider.value = Math.round(1000 * t);
    this.output.textContent = `t = ${t.toFixed(2)}`;
    this.apply();
  }

  apply() {
    const graph = this.graph;
    if (!graph?._fullData || graph._dragging || this.moving) return;
    const changes = {}, traces = [];
    graph._fullData.forEach((trace, k) => {
      if (!trace.customdata?.length) return;
      const moved = trace.type === "scattergl" ? places(trace.customdata, this.t) : { y: spread(trace.customdata, trace.x, this.t) };
      for (const [path, values] of Object.entries(moved)) (changes[path] ??= []).push(values);
      traces.push(k);
    });
    if (!traces.length) return;
    this.moving = true;
    Promise.resolve(window.Plotly.restyle(graph, changes, traces)).finally(() => { this.moving = false; });
  }

  end() {
    this.alive = this.playing = false;
    this.graph?.removeListener?.("plotly_afterplot", this.listen);
  }
}

export default function (component) {
  const root = component.parentElement.querySelector(".uot-play");
  if (!players.has(root)) players.set(root, new Player(root));
  return () => { players.get(root)?.end(); players.delete(root); };
}
