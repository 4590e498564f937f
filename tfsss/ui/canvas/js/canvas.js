// What a hand does to a canvas: point, pin, step with the arrow keys, paint; and what of it the server is told.
const SEND_MS = 150;
const ARROWS = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };

class PatchCanvas extends Board {
  constructor(parent) {
    super(parent);
    this.listen();
  }

  // assigned, not added: Streamlit runs the component's function again on every change of data
  listen() {
    this.board.onpointerdown = (event) => this.press(event);
    this.board.onpointermove = (event) => this.move(event);
    this.board.onpointerup = this.board.onpointercancel = () => this.lift();
    this.board.onpointerleave = () => this.leave();
    this.board.onclick = (event) => this.click(event);
    this.board.onkeydown = (event) => this.key(event);
  }

  // The patch whose middle is nearest: where boxes overlap, several lie under the pointer
  cellAt(event) {
    const { gx, gy } = this.scene;
    const [width, height, across, down] = boxesOf(this.scene, this.view);
    const nearest = (part, size, step, count) => Math.max(0, Math.min(count - 1, Math.round((part - size / 2) / step)));
    for (const panel of this.panels) {
      const box = panel.stage.getBoundingClientRect();
      const [x, y] = [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
      if (x >= 0 && y >= 0 && x < 1 && y < 1) return nearest(y, height, down, gy) * gx + nearest(x, width, across, gx);
    }
    return null;
  }

  move(event) {
    if (!this.ready()) return;
    const cell = this.cellAt(event);
    if (this.brush !== null) return this.stroke(event);
    if (cell === this.hovered) return;
    this.hovered = cell;
    if (cell !== null && !this.view.paint) this.pointed = cell + this.scene.prefix;
    this.draw(false);
  }

  point(token) {
    this.pointed = token;
    if (this.pinned === null) this.draw(false);
  }

  // The last row stays: nothing jumps because the pointer went to read the numbers
  leave() {
    if (this.brush !== null || this.hovered === null) return;
    this.hovered = null;
    this.draw(false);
  }

  click(event) {
    const cell = this.ready() && !this.view.paint ? this.cellAt(event) : null;
    if (cell === null) return;
    const token = cell + this.scene.prefix;
    this.pin(this.pinned === token ? null : token, false);
  }

  pin(token, fade) {
    this.pinned = token;
    if (token !== null) this.pointed = token;
    this.send("pinned", { token, seq: ++this.entry.sent });
    this.draw(fade);
    this.live.textContent = sentence(this.view, [this.described(), this.hint.textContent]);
  }

  key(event) {
    if (!this.ready() || event.ctrlKey || event.metaKey || event.altKey) return;
    const { scene, view } = this;
    if (event.key === "Escape" && this.pinned !== null) this.pin(null, false);
    else if (ARROWS[event.key]) view.paint ? this.moveCursor(ARROWS[event.key]) : this.step(...ARROWS[event.key]);
    else if (event.key === "Home" && scene.prefix && !view.paint) this.pin(0, true);
    else if ((event.key === " " || event.key === "Enter") && view.paint) this.paintCursor();
    else return;
    event.preventDefault();
  }

  // Above the top row stand the prefix tokens, in one line
  step(down, right) {
    const { prefix, gx, gy } = this.scene;
    this.hovered = null;
    if (this.query < prefix) {
      return this.pin(down > 0 ? prefix : Math.max(0, Math.min(prefix - 1, this.query + right)), true);
    }
    const cell = this.query - prefix;
    const row = Math.floor(cell / gx) + down;
    if (row < 0 && prefix) return this.pin(prefix - 1, true);
    const column = Math.max(0, Math.min(gx - 1, (cell % gx) + right));
    this.pin(prefix + Math.max(0, Math.min(gy - 1, row)) * gx + column, true);
  }

  moveCursor([down, right]) {
    const { gx, gy } = this.scene;
    const row = Math.max(0, Math.min(gy - 1, Math.floor(this.cursor / gx) + down));
    this.cursor = row * gx + Math.max(0, Math.min(gx - 1, (this.cursor % gx) + right));
    this.hovered = null;
    this.draw(false);
    this.sayCursor();
  }

  sayCursor() {
    const { scene, view } = this;
    const state = this.painted[this.cursor] ? view.text.is_painted : view.text.not_painted;
    const patch = fill(view.text.patch, place(scene, this.cursor));
    this.live.textContent = sentence(view, [patch, state, this.readout.textContent]);
  }

  paintCursor() {
    this.painted[this.cursor] ^= 1;
    this.draw(false);
    this.sendPainted();
    this.sayCursor();
  }

  press(event) {
    const cell = this.ready() && this.view.paint && event.button === 0 ? this.cellAt(event) : null;
    if (cell === null) return;
    this.board.setPointerCapture(event.pointerId);
    this.brush = this.painted[cell] ? 0 : 1;
    this.last = cell;
    this.stroke(event);
  }

  // Every patch on the straight line from the last event's, so that a fast stroke has no holes
  stroke(event) {
    const cell = this.cellAt(event);
    if (cell === null) return;
    const { gx } = this.scene;
    const [x0, y0, x1, y1] = [this.last % gx, Math.floor(this.last / gx), cell % gx, Math.floor(cell / gx)];
    const steps = Math.max(Math.abs(x1 - x0), Math.abs(y1 - y0), 1);
    for (let i = 0; i <= steps; i++) {
      const [x, y] = [x0 + ((x1 - x0) * i) / steps, y0 + ((y1 - y0) * i) / steps];
      this.painted[Math.round(y) * gx + Math.round(x)] = this.brush;
    }
    this.last = this.hovered = this.cursor = cell;
    this.entry.sent += 1;
    this.draw(false);
  }

  lift() {
    if (this.brush === null) return;
    this.brush = null;
    this.sendPainted();
  }

  sendPainted() {
    this.send("painted", { bits: packBits(this.painted), seq: ++this.entry.sent });
  }

  // At once, and while more follows (a held arrow key) no oftener than every SEND_MS, the last one always
  send(name, value) {
    this.waiting = { ...this.waiting, [name]: value };
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.flush(), Math.max(0, SEND_MS - (performance.now() - (this.sentAt ?? -SEND_MS))));
  }

  flush() {
    this.sentAt = performance.now();
    const waiting = this.waiting ?? {};
    this.waiting = null;
    for (const [name, value] of Object.entries(waiting)) this.setState(name, value);
  }

  close() {
    this.flush();
    this.observer.disconnect();
    cancelAnimationFrame(this.frame);
    if (this.entry?.owner === this) this.entry.owner = this.entry.update = null;
    this.root.remove();
  }
}

export default function ({ data, parentElement, setStateValue }) {
  const canvas = (parentElement.tfsssCanvas ??= new PatchCanvas(parentElement));
  canvas.setState = setStateValue;
  canvas.show(data);
  return () => {
    canvas.close();
    delete parentElement.tfsssCanvas;
  };
}
