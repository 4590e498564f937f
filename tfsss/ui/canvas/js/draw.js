// One panel: the picture, a canvas of one pixel a patch that CSS enlarges, and a canvas for everything drawn sharp.
class PanelView {
  constructor(parent) {
    this.figure = make("figure", "panel", parent);
    this.stage = make("div", "stage", this.figure);
    this.picture = make("img", "picture", this.stage);
    this.picture.alt = "";
    this.picture.decoding = "sync";
    this.picture.draggable = false;
    this.heat = make("canvas", "heat", this.stage);
    this.marks = make("canvas", "marks", this.stage);
    this.caption = make("figcaption", "caption", this.figure);
    this.title = make("span", "title", this.caption);
    this.number = make("span", "number", this.caption);
  }

  fit(scene, url) {
    this.stage.style.aspectRatio = `${scene.size[0]} / ${scene.size[1]}`;
    if (this.picture.src !== url) this.picture.src = url;
    this.picture.hidden = !url;
    if (this.heat.width !== scene.gx || this.heat.height !== scene.gy) {
      [this.heat.width, this.heat.height] = [scene.gx, scene.gy];
      this.pixels = null;
    }
    this.shown = this.shown?.length === scene.cells ? this.shown : null;
  }

  drawHeat(scene, values, vmax) {
    const context = this.heat.getContext("2d");
    this.pixels ??= context.createImageData(scene.gx, scene.gy);
    const words = new Uint32Array(this.pixels.data.buffer);
    const [slope, middle] = scene.signed ? [127.5 / vmax, 127.5] : [255 / vmax, 0];
    for (let cell = 0; cell < values.length; cell++) {
      words[cell] = scene.lut[Math.max(0, Math.min(255, Math.round(middle + slope * values[cell])))];
    }
    context.putImageData(this.pixels, 0, 0);
    this.shown = values;
  }

  // hatched(cell) -> bool; outlines: [cell, colour, width in CSS pixels]; boxes: as boxesOf says
  drawMarks(scene, { hatched, outlines, boxes, grid, labels, first }) {
    const { clientWidth: width, clientHeight: height } = this.stage;
    const ratio = window.devicePixelRatio || 1;
    const size = [Math.round(width * ratio), Math.round(height * ratio)];
    if (this.marks.width !== size[0] || this.marks.height !== size[1]) [this.marks.width, this.marks.height] = size;
    const context = this.marks.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    const [dx, dy, across, down] = boxes.map((part, i) => part * (i % 2 ? height : width));
    const corner = (cell) => [(cell % scene.gx) * across, Math.floor(cell / scene.gx) * down];
    context.fillStyle = this.hatch ??= hatchPattern(context);
    for (let cell = 0; cell < scene.cells; cell++) if (hatched(cell)) context.fillRect(...corner(cell), dx, dy);
    if (grid) drawGrid(context, edges(scene.gx, dx, across), edges(scene.gy, dy, down), width, height);
    if (labels && Math.min(across, down) >= 18) drawLabels(context, scene, corner, dx, dy, first, Math.min(across, down));
    for (const [cell, colour, thick] of outlines) {
      const [x, y] = corner(cell);
      for (const [style, w] of [["#ffffff", thick + 2], [colour, thick]]) {
        [context.strokeStyle, context.lineWidth] = [style, w];
        context.strokeRect(x + 1, y + 1, dx - 2, dy - 2);
      }
    }
  }
}

function make(tag, className, parent) {
  const element = document.createElement(tag);
  element.className = className;
  parent?.append(element);
  return element;
}

// The two greys of figures/color.py's HATCH, in diagonal stripes
function hatchPattern(context) {
  const tile = document.createElement("canvas");
  tile.width = tile.height = 8;
  const small = tile.getContext("2d");
  const pixels = small.createImageData(8, 8);
  const greys = [[176, 180, 186, 255], [132, 137, 144, 255]];
  for (let i = 0; i < 64; i++) pixels.data.set(greys[(i + (i >> 3)) % 8 < 4 ? 0 : 1], 4 * i);
  small.putImageData(pixels, 0, 0);
  return context.createPattern(tile, "repeat");
}

// A patch's width and height, and the steps to the next across and down, in parts of the picture
function boxesOf(scene, view) {
  return view.boxes ?? [1 / scene.gx, 1 / scene.gy, 1 / scene.gx, 1 / scene.gy];
}

// Where lines run inside the picture: where patches begin, and where they end if that is not where the next begins
function edges(count, size, step) {
  const places = new Set();
  for (let i = 0; i < count; i++) {
    if (i > 0) places.add(Math.round(i * step) + 0.5);
    if (i < count - 1) places.add(Math.round(i * step + size) + 0.5);
  }
  return places;
}

// A dark and a light line side by side: one of them shows on any picture
function drawGrid(context, columns, rows, width, height) {
  const lines = new Path2D();
  for (const at of columns) {
    lines.moveTo(at, 0);
    lines.lineTo(at, height);
  }
  for (const at of rows) {
    lines.moveTo(0, at);
    lines.lineTo(width, at);
  }
  context.lineWidth = 1;
  for (const [shift, style] of [[1, "rgba(0,0,0,0.3)"], [-1, "rgba(255,255,255,0.5)"]]) {
    context.translate(shift, shift);
    context.strokeStyle = style;
    context.stroke(lines);
  }
}

function drawLabels(context, scene, corner, dx, dy, first, room) {
  context.font = `${Math.min(13, Math.max(9, Math.floor(room * 0.4)))}px ui-monospace, monospace`;
  [context.textAlign, context.textBaseline] = ["center", "middle"];
  [context.strokeStyle, context.lineWidth, context.fillStyle] = ["rgba(0,0,0,0.75)", 3, "#ffffff"];
  for (let cell = 0; cell < scene.cells; cell++) {
    const [x, y] = corner(cell);
    context.strokeText(first + cell, x + dx / 2, y + dy / 2);
    context.fillText(first + cell, x + dx / 2, y + dy / 2);
  }
}
