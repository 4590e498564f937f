// Draws a map as cells or as lines, and marks the row and the column that the words are about.
const STRONGEST = 4; // keys that are named of a row
const TALLEST = 350; // CSS pixels that all rows take, unless they would be too low
const NUMBERS = 18; // CSS pixels a cell needs to hold its number

class Drawing {
  constructor(parent) {
    this.root = make("div", "map", parent);
    this.title = make("div", "title", this.root);
    this.board = make("div", "board", this.root);
    this.board.tabIndex = 0;
    this.board.setAttribute("role", "application");
    this.readout = make("div", "readout", this.root);
    this.bar = make("div", "bar", this.root);
    [this.low, this.ramp, this.high, this.hatched, this.hatchedName] = ["low", "ramp", "high", "hatched", "name"].map(
      (name) => make("span", name, this.bar));
    this.hint = make("div", "hint", this.root);
    this.live = make("div", "live", this.root);
    this.live.setAttribute("aria-live", "polite");
    this.pinned = this.pointed = this.column = null;
    this.observer = new ResizeObserver(() => this.shown && this.root.clientWidth !== this.width && this.build());
    this.observer.observe(this.root);
  }

  build() {
    const { shown } = this;
    this.root.style.setProperty("--width", `${shown.width}px`);
    this.root.style.setProperty("--query", shown.colors.query);
    this.width = this.root.clientWidth;
    if (!this.width) return; // not laid out yet: the observer will tell
    this.title.textContent = shown.title;
    this.board.replaceChildren();
    this.svg = draw(this.board, "svg", {});
    shown.draw === "lines" ? this.drawLines() : this.drawCells();
    this.svg.setAttribute("viewBox", `0 0 ${this.width} ${this.height}`);
    if (shown.badge) make("div", "badge", this.board).textContent = shown.badge;
    this.drawBar();
    this.mark();
  }

  drawBar() {
    const { shown } = this;
    const stops = [0, 32, 64, 96, 128, 160, 192, 224, 255].map((level) => this.rgb(level));
    const lines = shown.draw === "lines"; // as strong as the weight
    const shades = lines ? ["transparent", shown.colors.query] : stops;
    this.ramp.style.background = `linear-gradient(to right, ${shades.join(",")})`;
    this.low.textContent = shown.signed ? exact(-shown.vmax) : "0";
    this.high.textContent = `${exact(shown.vmax)} ${shown.unit}`;
    const [light, dark] = shown.hatch;
    this.hatched.style.background = `repeating-linear-gradient(135deg, ${light} 0 3px, ${dark} 3px 6px)`;
    this.hatched.hidden = this.hatchedName.hidden = lines || !shown.blocked.some(Boolean);
    this.hatchedName.textContent = shown.text.blocked_cell;
  }

  rgb(level) {
    const [red, green, blue] = this.shown.lut.subarray(3 * level, 3 * level + 3);
    return `rgb(${red} ${green} ${blue})`;
  }

  level(value) {
    const part = this.shown.signed ? 0.5 + value / this.shown.vmax / 2 : value / this.shown.vmax;
    return Math.max(0, Math.min(255, Math.round(255 * part)));
  }

  // Black or white, whichever can be read on it
  ink(level) {
    const [red, green, blue] = [0, 1, 2].map((i) => (this.shown.lut[3 * level + i] / 255) ** 2.2);
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.18 ? "#000000" : "#ffffff";
  }

  drawCells() {
    const { shown, svg, width } = this;
    const { m, n } = shown;
    const left = Math.min(128, Math.max(84, 0.3 * width));
    const cell = Math.min(34, (width - left - 30) / n, Math.max(12, TALLEST / m));
    const size = Math.max(7, Math.min(12, cell * 0.8));
    const [top, angle] = [70, cell < 16 ? -90 : -55];
    Object.assign(this, { left, top, cell, height: top + m * cell + 3 });
    this.drawHatch();
    if (shown.ids.length) draw(svg, "text", { x: 0, y: top - 10, "font-size": 10, class: "id" }, shown.text.id);
    draw(svg, "text", { x: left - 6, y: top - 26, "text-anchor": "end", "font-size": 11 }, shown.text.across);
    draw(svg, "text", { x: left - 6, y: top - 10, "text-anchor": "end", "font-size": 11 }, shown.text.down);
    const columns = shown.columns.map((name, j) => {
      const [x, y] = [left + (j + 0.5) * cell + 3, top - 5];
      const turned = { x, y, "font-size": size, transform: `rotate(${angle} ${x} ${y})` };
      return draw(svg, "text", turned, cut(name, 68, size));
    });
    this.names = [this.rowNames(left - 6, (i) => top + (i + 0.5) * cell, size, left), columns];
    for (let i = 0; i < m; i++) for (let j = 0; j < n; j++) this.drawCell(i, j, left + j * cell, top + i * cell, cell);
    for (const at of shown.splits) {
      const [x, y, right, low] = [left + at * cell, top + at * cell, left + n * cell, top + m * cell];
      draw(svg, "path", { d: `M${x} ${top}V${low}M${left} ${y}H${right}`, class: "split" });
    }
    this.frames = ["query", "key"].map((name) =>
      draw(svg, "rect", { fill: "none", stroke: shown.colors[name], "stroke-width": 3 }));
  }

  drawHatch() {
    const pattern = draw(this.svg, "pattern", { id: "hatch", width: 6, height: 6, patternUnits: "userSpaceOnUse",
      patternTransform: "rotate(135)" });
    this.shown.hatch.forEach((grey, i) => draw(pattern, "rect", { x: 3 * i, width: 3, height: 6, fill: grey }));
  }

  drawCell(i, j, x, y, cell) {
    const { shown, svg } = this;
    const { value, blocked } = this.at(i, j);
    const level = this.level(value);
    draw(svg, "rect", { x, y, width: cell - 0.7, height: cell - 0.7, fill: blocked ? "url(#hatch)" : this.rgb(level) });
    if (cell < NUMBERS || blocked) return;
    const middle = { x: x + cell / 2, y: y + cell / 2, "text-anchor": "middle", "dominant-baseline": "central" };
    const look = { "font-size": Math.min(11, cell * (shown.signed ? 0.36 : 0.44)), style: `fill:${this.ink(level)}` };
    draw(svg, "text", { ...middle, ...look }, short(value));
  }

  // The rows' names, right of their ids.  place: row -> its middle
  rowNames(right, place, size, room) {
    const { shown, svg } = this;
    const taken = shown.ids.length ? 40 : 0;
    return shown.rows.map((name, i) => {
      const middle = { y: place(i), "dominant-baseline": "central" };
      if (taken) draw(svg, "text", { ...middle, x: 0, "font-size": Math.min(10, size), class: "id" }, shown.ids[i]);
      const words = cut(name, room - taken - 8, size);
      return draw(svg, "text", { ...middle, x: right, "text-anchor": "end", "font-size": size }, words);
    });
  }

  drawLines() {
    const { shown, svg, width } = this;
    const { m, n } = shown;
    const step = Math.max(13, Math.min(24, 430 / Math.max(m, n)));
    const size = Math.min(13, step * 0.85);
    const [left, right, top] = [Math.max(104, 0.32 * width), 0.66 * width, 22];
    const bars = width > 420 ? 40 : 0; // a phone has room for the numbers only
    const middle = (i) => top + (i + 0.5) * step;
    Object.assign(this, { left, right, top, bars, cell: step, height: top + Math.max(m, n) * step + 3 });
    draw(svg, "text", { x: left - 6, y: 12, "text-anchor": "end", "font-size": 11 }, shown.text.left);
    draw(svg, "text", { x: right + 6, y: 12, "font-size": 11 }, shown.text.right);
    this.lines = Array.from({ length: m }, (_, i) => this.linesOf(i, middle));
    const room = width - right - bars - 46;
    const named = (name, j) => draw(svg, "text", { x: right + 6, y: middle(j), "font-size": size,
      "dominant-baseline": "central" }, cut(name, room, size));
    this.names = [this.rowNames(left - 6, middle, size, left), shown.columns.map(named)];
    this.weights = shown.columns.map((_, j) => [
      draw(svg, "rect", { x: right + 8 + room, y: top + j * step + 2, height: step - 4, fill: shown.colors.key }),
      draw(svg, "text", { x: width, y: middle(j), "font-size": Math.min(11, size), "text-anchor": "end",
        "dominant-baseline": "central" }, ""),
    ]);
  }

  // One query's lines, each as strong as its weight
  linesOf(i, middle) {
    const { shown, svg, left, right } = this;
    const group = draw(svg, "g", { stroke: shown.colors.query, "stroke-width": 2 });
    for (let j = 0; j < shown.n; j++) {
      const { value, blocked } = this.at(i, j);
      const part = Math.min(1, value / shown.vmax).toFixed(3);
      if (!blocked) draw(group, "path", { d: `M${left} ${middle(i)}L${right} ${middle(j)}`, "stroke-opacity": part });
    }
    return group;
  }

  at(i, j) {
    const { values, blocked, n } = this.shown;
    return { value: values[i * n + j], blocked: blocked[i * n + j] === 1 };
  }

  // The row that is shown: pinned, or under the pointer, or the page's choice
  get row() {
    return this.pinned ?? this.pointed ?? this.shown.first;
  }

  mark() {
    const { shown, row, column } = this;
    this.names[0].forEach((name, i) => name.classList.toggle("on", i === row));
    this.names[1].forEach((name, j) => name.classList.toggle("on", j === column));
    shown.draw === "lines" ? this.markLines() : this.markCells();
    this.say();
    Object.assign(this.root.dataset, { row, column: column ?? "", pinned: this.pinned ?? "", draw: shown.draw });
  }

  markCells() {
    const { shown, left, top, cell, row, column } = this;
    const boxes = [[left, top + row * cell, shown.n * cell, cell], [left + column * cell, top, cell, shown.m * cell]];
    this.frames.forEach((frame, which) => {
      const [x, y, width, height] = boxes[which];
      for (const [name, value] of Object.entries({ x, y, width, height })) frame.setAttribute(name, value);
      frame.style.display = which && column === null ? "none" : "";
    });
  }

  // Of the row that is pointed at or pinned its lines and numbers, else everybody's lines
  markLines() {
    const { shown, row } = this;
    const all = this.pinned === null && this.pointed === null;
    this.lines.forEach((group, i) => (group.style.display = all || i === row ? "" : "none"));
    this.weights.forEach(([box, number], j) => {
      const { value, blocked } = this.at(row, j);
      box.setAttribute("width", all || blocked ? 0 : this.bars * Math.max(0, Math.min(1, value / shown.vmax)));
      number.textContent = all ? "" : blocked ? "–" : short(value);
    });
  }

  say() {
    const { shown, row, column } = this;
    const { text, unit } = shown;
    const tell = (j) => {
      const { value, blocked } = this.at(row, j);
      return { place: j, name: shown.columns[j], value: blocked ? text.blocked : exact(value), unit };
    };
    const open = shown.columns.map((_, j) => j).filter((j) => !this.at(row, j).blocked);
    open.sort((a, b) => this.at(row, b).value - this.at(row, a).value);
    const named = open.slice(0, STRONGEST).map((j) => fill(text.strong, tell(j)));
    const keys = column === null ? named.join(text.comma) || text.nobody : fill(text.cell, tell(column));
    this.readout.replaceChildren();
    make("b", "query", this.readout).textContent = fill(text.row, { place: row, name: shown.rows[row] });
    this.readout.append(text.arrow, keys);
    this.hint.textContent = this.pinned === null ? text.hint_hover : text.hint_pinned;
    const label = fill(text.label, { rows: shown.m, columns: shown.n });
    const told = [shown.title, label, shown.badge, this.readout.textContent, this.hint.textContent];
    this.board.setAttribute("aria-label", told.filter(Boolean).join(text.joint));
  }
}
