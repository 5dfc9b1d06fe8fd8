// A sheet to draw on: a click adds a point, dragging moves one, a right click or a double click removes it.
const SVG = "http://www.w3.org/2000/svg";
const sheets = new WeakMap();

function make(name, attributes, parent, text) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (text !== undefined) node.textContent = text;
  parent.appendChild(node);
  return node;
}

class Sheet {
  constructor(root) {
    this.svg = root.querySelector("svg");
    this.svg.addEventListener("pointerdown", (event) => this.press(event));
    this.svg.addEventListener("pointermove", (event) => this.drag(event));
    this.svg.addEventListener("pointerup", (event) => this.release(event));
    this.svg.addEventListener("contextmenu", (event) => this.remove(event));
    this.svg.addEventListener("dblclick", (event) => this.remove(event));
  }

  draw(data, send) {
    this.data = data;
    this.send = send;
    if (this.moving) return;
    const { width, height } = data;
    this.unit = width / 4; // signs are as large on a wider sheet
    this.svg.setAttribute("viewBox", `${-width} ${-height} ${2 * width} ${2 * height}`);
    this.svg.replaceChildren();
    for (let v = -Math.floor(width); v <= width; v++) {
      make("line", { x1: v, x2: v, y1: -height, y2: height, class: v ? "grid" : "zero" }, this.svg);
      if (v) make("text", { x: v + 0.04, y: height - 0.06, "font-size": this.unit * 0.16 }, this.svg, v);
    }
    for (let v = -Math.floor(height); v <= height; v++) {
      make("line", { y1: v, y2: v, x1: -width, x2: width, class: v ? "grid" : "zero" }, this.svg);
      if (v) make("text", { x: 0.04 - width, y: -v - 0.04, "font-size": this.unit * 0.16 }, this.svg, v);
    }
    for (const side of data.sides) side.points.forEach((point, i) => this.dot(side, i, point));
  }

  dot({ name, color }, i, [x, y, mass]) {
    const r = 0.085 * this.unit * Math.sqrt(Math.min(Math.max(mass, 0.1), 9));
    const node = make("circle", { cx: x, cy: -y, r, fill: color }, this.svg);
    Object.assign(node.dataset, { side: name, i });
    make("title", {}, node, `${name} ${i + 1}: ${x}, ${y}, mass ${mass}`);
    return node;
  }

  at(event) {
    const p = new DOMPoint(event.clientX, event.clientY).matrixTransform(this.svg.getScreenCTM().inverse());
    return [Math.round(p.x * 100) / 100, Math.round(-p.y * 100) / 100];
  }

  press(event) {
    if (event.button !== 0) return;
    const node = event.target.closest("circle");
    if (node) {
      this.moving = { node, from: this.at(event), moved: false };
      this.svg.setPointerCapture(event.pointerId);
      return;
    }
    const [x, y] = this.at(event);
    const { side, mass } = this.data;
    // drawn at once; the server's answer draws it again with its number
    const to = this.data.sides.find(({ name }) => name === side);
    if (!to) return;
    this.dot(to, to.points.length, [x, y, mass]);
    this.send({ act: "add", side, x, y, mass });
  }

  drag(event) {
    if (!this.moving) return;
    const [x, y] = this.at(event);
    const { node, from } = this.moving;
    if (Math.hypot(x - from[0], y - from[1]) > 0.03) this.moving.moved = true;
    if (!this.moving.moved) return;
    node.setAttribute("cx", x);
    node.setAttribute("cy", -y);
  }

  release(event) {
    if (!this.moving) return;
    const { node, moved } = this.moving;
    this.moving = undefined;
    if (!moved) return;
    const [x, y] = this.at(event);
    this.send({ act: "move", side: node.dataset.side, i: Number(node.dataset.i), x, y });
  }

  remove(event) {
    event.preventDefault();
    // a captured pointer sends its events to the sheet: ask what lies below instead
    const node = document.elementFromPoint(event.clientX, event.clientY)?.closest("circle");
    if (!node || !this.svg.contains(node)) return;
    this.moving = undefined;
    node.remove();
    this.send({ act: "remove", side: node.dataset.side, i: Number(node.dataset.i) });
  }
}

export default function (component) {
  const root = component.parentElement.querySelector(".uot-canvas");
  if (!sheets.has(root)) sheets.set(root, new Sheet(root));
  sheets.get(root).draw(component.data, (event) => component.setTriggerValue("event", event));
}
