// Weights as one point: on a bar for two measures, in a triangle for three, in a regular polygon for four and five.
const SVG = "http://www.w3.org/2000/svg";
const WAIT = 90; // ms between two messages while dragging
const STEP = 0.02; // of the radius, one press of an arrow
const fields = new WeakMap();

function make(name, attributes, parent, text) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (text !== undefined) node.textContent = text;
  parent.appendChild(node);
  return node;
}

const cross = (a, b, c) => (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]);

export function corners(k) {
  if (k === 2) return [[-1, 0], [1, 0]];
  return Array.from({ length: k }, (_, i) => {
    const angle = -Math.PI / 2 + (2 * Math.PI * i) / k;
    return [Math.cos(angle), Math.sin(angle)];
  });
}

function onSegment(p, a, b) {
  const d = [b[0] - a[0], b[1] - a[1]];
  const t = ((p[0] - a[0]) * d[0] + (p[1] - a[1]) * d[1]) / (d[0] * d[0] + d[1] * d[1]);
  const s = Math.min(1, Math.max(0, t));
  return { point: [a[0] + s * d[0], a[1] + s * d[1]], s };
}

// generalised barycentric coordinates of Wachspress, exact on triangles; a point outside is taken to the nearest edge
export function coordinates(p, at) {
  const k = at.length;
  const w = Array(k).fill(0);
  if (k === 2) {
    const { s } = onSegment(p, at[0], at[1]);
    return [1 - s, s];
  }
  const next = (i) => (i + 1) % k;
  const inside = at.every((a, i) => cross(a, at[next(i)], p) > 1e-9);
  if (!inside) {
    let best;
    at.forEach((a, i) => {
      const found = onSegment(p, a, at[next(i)]);
      const far = Math.hypot(found.point[0] - p[0], found.point[1] - p[1]);
      if (!best || far < best.far) best = { far, i, s: found.s };
    });
    w[best.i] = 1 - best.s;
    w[next(best.i)] += best.s;
    return w;
  }
  at.forEach((a, i) => {
    const before = at[(i + k - 1) % k];
    const after = at[next(i)];
    w[i] = cross(before, a, after) / (cross(before, a, p) * cross(a, after, p));
  });
  const total = w.reduce((x, y) => x + y, 0);
  return w.map((v) => v / total);
}

const place = (w, at) => at.reduce((p, a, i) => [p[0] + w[i] * a[0], p[1] + w[i] * a[1]], [0, 0]);
const rounded = (w) => {
  const units = w.map((v) => Math.round(v * 100));
  const top = units.indexOf(Math.max(...units));
  units[top] += 100 - units.reduce((x, y) => x + y, 0);
  return units.map((v) => v / 100);
};

class Field {
  constructor(root) {
    this.svg = root.querySelector("svg");
    this.numbers = root.querySelector(".uot-simplex-numbers");
    this.pending = new Set(); // sent, and not come back yet
    this.svg.addEventListener("pointerdown", (event) => this.press(event));
    this.svg.addEventListener("pointermove", (event) => this.dragging && this.to(this.at(event)));
    for (const name of ["pointerup", "pointercancel"]) this.svg.addEventListener(name, () => this.release());
    // a button of the page would race with the point's own messages
    root.querySelector(".uot-simplex-equal").addEventListener("click", () => this.equal());
    this.svg.addEventListener("keydown", (event) => this.key(event));
  }

  draw(data, send) {
    this.send = send;
    const fresh = JSON.stringify([data.names, data.colors]) !== this.drawn;
    const text = JSON.stringify(data.weights);
    // what comes back while a person still moves the point, or of an earlier move, is old
    const echo = this.pending.has(text);
    if (text === this.told) this.pending.clear();
    if (!fresh && (this.dragging || this.timer || echo || text === this.told)) return;
    this.data = data;
    this.corners = corners(data.weights.length);
    this.weights = data.weights;
    this.told = text;
    if (fresh) this.build();
    this.drawn = JSON.stringify([data.names, data.colors]);
    this.show();
  }

  build() {
    const flat = this.corners.length === 2;
    this.svg.setAttribute("viewBox", flat ? "-1.5 -0.42 3 0.7" : this.corners.length === 3 ? "-1.5 -1.32 3 2.2" : "-1.6 -1.32 3.2 2.6");
    this.svg.replaceChildren();
    if (flat) make("line", { x1: -1, x2: 1, y1: 0, y2: 0, class: "edge" }, this.svg);
    else make("polygon", { points: this.corners.map((c) => c.join(",")).join(" "), class: "edge" }, this.svg);
    this.lines = this.corners.map((c, i) => make("line", { x2: c[0], y2: c[1], stroke: this.data.colors[i], class: "spoke" }, this.svg));
    this.corners.forEach((c, i) => {
      const node = make("circle", { cx: c[0], cy: c[1], r: 0.075, fill: this.data.colors[i], class: "corner" }, this.svg);
      make("title", {}, node, `All weight on ${this.data.names[i]}`);
      const lift = flat || c[1] < 0 ? -0.14 : 0.24;
      const anchor = c[0] < -0.3 ? "start" : c[0] > 0.3 ? "end" : "middle";
      make("text", { x: c[0] * (flat ? 1.3 : 1.4), y: c[1] + lift, "text-anchor": anchor, fill: this.data.colors[i] }, this.svg, this.data.names[i]);
    });
    this.handle = make("circle", { r: 0.1, class: "handle" }, this.svg);
    this.numbers.replaceChildren(...this.corners.map((_, i) => {
      const span = document.createElement("span");
      span.style.color = this.data.colors[i];
      return span;
    }));
  }

  show() {
    const [x, y] = place(this.weights, this.corners);
    this.handle.setAttribute("cx", x);
    this.handle.setAttribute("cy", y);
    this.lines.forEach((line, i) => {
      line.setAttribute("x1", x);
      line.setAttribute("y1", y);
      line.setAttribute("stroke-width", 0.012 + 0.05 * this.weights[i]);
      line.setAttribute("opacity", 0.15 + 0.75 * this.weights[i]);
      this.numbers.children[i].textContent = this.weights[i].toFixed(2);
    });
    const words = this.weights.map((w, i) => `${this.data.names[i]} ${w.toFixed(2)}`).join(", ");
    this.svg.setAttribute("aria-valuetext", words);
    this.svg.setAttribute("aria-valuenow", String(Math.round(100 * this.weights[0])));
  }

  at(event) {
    const p = new DOMPoint(event.clientX, event.clientY).matrixTransform(this.svg.getScreenCTM().inverse());
    return [p.x, p.y];
  }

  press(event) {
    if (event.button !== 0) return;
    this.dragging = true;
    this.svg.setPointerCapture(event.pointerId);
    this.to(this.at(event));
  }

  release() {
    if (!this.dragging) return;
    this.dragging = false;
    this.tell();
  }

  to(point) {
    const near = this.corners.findIndex((c) => Math.hypot(c[0] - point[0], c[1] - point[1]) < 0.06);
    const exact = near >= 0 ? this.corners.map((_, i) => Number(i === near)) : coordinates(point, this.corners);
    this.weights = rounded(exact);
    this.show();
    this.timer ??= setTimeout(() => this.tell(), WAIT);
  }

  tell() {
    clearTimeout(this.timer);
    this.timer = undefined;
    const text = JSON.stringify(this.weights);
    if (text === this.told) return;
    this.told = text;
    this.pending.add(text);
    this.send({ weights: this.weights });
  }

  equal() {
    this.weights = this.corners.map(() => 1 / this.corners.length);
    this.show();
    this.tell();
  }

  key(event) {
    const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const k = this.corners.length;
    if (event.key in moves) {
      const flat = k === 2;
      let [dx, dy] = moves[event.key];
      if (flat && dy) [dx, dy] = [-dy, 0];
      const size = (event.shiftKey ? 5 : 1) * Math.max(STEP, flat ? 0.02 : 0.03);
      const [x, y] = place(this.weights, this.corners);
      this.to([x + size * dx, y + size * dy]);
    } else if (event.key === "Home") {
      this.equal();
    } else if (Number(event.key) >= 1 && Number(event.key) <= k) {
      this.to(this.corners[Number(event.key) - 1]);
    } else return;
    event.preventDefault();
  }
}

export default function (component) {
  const root = component.parentElement.querySelector(".uot-simplex");
  if (!fields.has(root)) fields.set(root, new Field(root));
  fields.get(root).draw(component.data, (event) => component.setTriggerValue("event", event));
}
