// What a hand does to a map: point, pin, step with the arrow keys; and what of it the server is told.
const SEND_MS = 150;
const ARROWS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };

class TokenMap extends Drawing {
  constructor(parent) {
    super(parent);
    this.sent = 0;
    this.timer = null;
    // assigned, not added: Streamlit runs the component's function again on every change of data
    this.board.onpointermove = (event) => this.move(event);
    this.board.onpointerleave = () => this.leave();
    this.board.onclick = (event) => this.click(event);
    this.board.onkeydown = (event) => this.key(event);
  }

  show(bytes) {
    if (bytes === this.bytes) return;
    this.bytes = bytes;
    const before = this.shown;
    this.shown = unpack(bytes);
    const { seq, pinned, m, rows, columns } = this.shown;
    if (seq >= this.sent) { // else something newer was pinned here than the server has heard of
      this.sent = seq;
      this.pinned = pinned !== null && pinned < m ? pinned : null;
    }
    const known = before && String([before.rows, before.columns]) === String([rows, columns]);
    if (!known) this.pointed = this.column = null; // other tokens: nobody has pointed at them yet
    this.build();
  }

  // Row and column under the pointer, each or neither
  find(event) {
    const { shown, left, top, cell } = this;
    const box = this.svg.getBoundingClientRect();
    const [x, y] = [event.clientX - box.left, event.clientY - box.top].map((at) => (at * this.width) / box.width);
    const inside = (place, count) => (place >= 0 && place < count ? place : null);
    const row = inside(Math.floor((y - top) / cell), shown.m);
    if (shown.draw !== "lines") return { row, column: inside(Math.floor((x - left) / cell), shown.n) };
    if (x < (left + this.right) / 2) return { row, column: null };
    return { row: null, column: inside(Math.floor((y - top) / cell), shown.n) };
  }

  move(event) {
    if (!this.svg) return;
    const { row, column } = this.find(event);
    if (column === this.column && (row === null || row === this.pointed)) return;
    if (row !== null) this.pointed = row;
    this.column = column;
    this.mark();
  }

  // The last row of cells stays: nothing jumps because the pointer went to read the numbers
  leave() {
    if (!this.svg) return;
    this.column = null;
    if (this.shown.draw === "lines") this.pointed = null;
    this.mark();
  }

  click(event) {
    const { row } = this.find(event);
    if (row !== null) this.pin(this.pinned === row ? null : row);
  }

  pin(row) {
    this.pinned = row;
    if (row !== null || this.shown.draw === "lines") this.pointed = row;
    this.sent += 1;
    this.mark();
    this.tell();
    clearTimeout(this.timer); // while more follows (a held arrow key) no oftener than every SEND_MS
    const wait = Math.max(0, SEND_MS - (performance.now() - (this.sentAt ?? -SEND_MS)));
    this.timer = setTimeout(() => this.flush(), wait);
  }

  tell() {
    this.live.textContent = `${this.readout.textContent} ${this.hint.textContent}`;
  }

  flush() {
    this.timer = null;
    this.sentAt = performance.now();
    this.setState("pinned", { token: this.pinned, seq: this.sent });
  }

  key(event) {
    if (!this.svg || event.ctrlKey || event.metaKey || event.altKey) return;
    const { m, n } = this.shown;
    if (event.key === "Escape" && (this.pinned ?? this.column) !== null) {
      this.column = null;
      this.pin(null);
    } else if (event.key === "Home") this.pin(0);
    else if (event.key === "End") this.pin(m - 1);
    else if (ARROWS[event.key]) this.step(...ARROWS[event.key], m, n);
    else return;
    event.preventDefault();
  }

  step(down, across, m, n) {
    const within = (place, count) => Math.max(0, Math.min(count - 1, place));
    if (down) return this.pin(within(this.row + down, m));
    this.column = this.column === null ? within(this.row, n) : within(this.column + across, n);
    this.mark();
    this.tell();
  }

  close() {
    if (this.timer !== null) {
      clearTimeout(this.timer);
      this.flush();
    }
    this.observer.disconnect();
    this.root.remove();
  }
}

export default function ({ data, parentElement, setStateValue }) {
  const map = (parentElement.tfsssTokenMap ??= new TokenMap(parentElement));
  map.setState = setStateValue;
  map.show(data);
  return () => {
    map.close();
    delete parentElement.tfsssTokenMap;
  };
}
