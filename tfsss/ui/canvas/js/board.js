// What a canvas shows: it follows from `scene` (arrays), `view` (light settings), the pin and the pointer.
const FADE_MS = 260;

class Board {
  constructor(parent) {
    this.root = make("div", "canvas", parent);
    this.board = make("div", "board", this.root);
    this.board.tabIndex = 0;
    this.board.setAttribute("role", "application");
    this.tokens = make("div", "tokens", this.root);
    this.tokens.setAttribute("role", "group");
    this.readout = make("div", "readout", this.root);
    this.bar = make("div", "bar", this.root);
    [this.low, this.ramp, this.high] = ["low", "ramp", "high"].map((name) => make("span", name, this.bar));
    this.hint = make("div", "hint", this.root);
    this.live = make("div", "live", this.root);
    this.live.setAttribute("aria-live", "polite");
    this.panels = [];
    this.pinned = this.pointed = this.hovered = this.brush = null;
    this.painted = new Uint8Array(0);
    this.cursor = 0;
    this.draws = 0;
    this.observer = new ResizeObserver(() => this.ready() && this.marks());
    this.observer.observe(this.board);
  }

  show(bytes) {
    if (bytes === this.bytes) return;
    this.bytes = bytes;
    this.scene = decodeScene(bytes);
    const canvases = (window.tfsssCanvases ??= new Map());
    if (this.entry?.owner === this && this.name !== this.scene.name) this.entry.owner = this.entry.update = null;
    this.name = this.scene.name;
    this.entry = canvases.get(this.name) ?? { sent: 0 };
    canvases.set(this.name, this.entry);
    if (this.entry.owner !== this) this.entry.sent = 0;
    this.entry.owner = this;
    this.entry.update = () => this.update();
    this.swapPicture();
    this.update();
  }

  swapPicture() {
    if (this.pictureId === this.scene.picture) return;
    this.pictureId = this.scene.picture;
    this.url = this.pictureId ? dataAddress(this.scene.pictureBytes) : "";
  }

  ready() {
    return this.scene && this.view;
  }

  // The server's word on pin and painted set holds, unless something newer was done here that it has not heard of yet
  update() {
    this.view = this.entry.view;
    if (!this.ready()) return;
    const { scene, view } = this;
    if (view.seq >= this.entry.sent) {
      this.entry.sent = view.seq;
      this.pinned = view.pinned !== null && view.pinned < scene.tokens && !view.paint ? view.pinned : null;
      if (this.brush === null) this.painted = unpackBits(view.painted, scene.cells);
    }
    if (this.painted.length !== scene.cells) this.painted = new Uint8Array(scene.cells);
    if (!(this.pointed < scene.tokens)) this.pointed = null;
    if (!(this.hovered < scene.cells)) this.hovered = null;
    this.cursor = Math.min(this.cursor, scene.cells - 1);
    this.build();
    this.draw(true);
  }

  build() {
    const { scene, view } = this;
    const count = Math.max(1, scene.panels.length);
    while (this.panels.length < count) this.panels.push(new PanelView(this.board));
    while (this.panels.length > count) this.panels.pop().figure.remove();
    this.root.style.setProperty("--columns", Math.min(view.columns, count));
    this.root.style.setProperty("--side", `${view.width}px`);
    this.root.style.setProperty("--strength", view.strength);
    this.root.classList.toggle("paints", view.paint);
    this.root.classList.toggle("several", count > 1);
    this.panels.forEach((panel, p) => {
      panel.fit(scene, this.url);
      panel.title.textContent = view.titles[p] ?? "";
      panel.heat.hidden = panel.number.hidden = !scene.panels.length;
    });
    this.tokens.hidden = !(scene.prefix && this.hasMatrix());
    this.tokens.setAttribute("aria-label", view.text.tokens);
    while (this.tokens.children.length > scene.prefix) this.tokens.lastChild.remove();
    while (this.tokens.children.length < scene.prefix) this.addToken(this.tokens.children.length);
    this.bar.hidden = !scene.panels.length;
    this.ramp.style.backgroundImage = scene.bar;
  }

  addToken(token) {
    const button = make("button", "token", this.tokens);
    button.type = "button";
    make("span", "swatch", button);
    make("span", "name", button);
    button.onclick = () => this.pin(this.pinned === token ? null : token, false);
    button.onpointerenter = () => this.point(token);
  }

  hasMatrix() {
    return this.scene.panels.some((panel) => panel.rows > 1);
  }

  // The patch that the numbers are about: under the pointer, under the keyboard's cursor while painting, or the pinned
  spot() {
    if (this.hovered !== null) return this.hovered;
    if (this.view.paint) return this.board.matches(":focus-visible") ? this.cursor : null;
    const { pinned, scene } = this;
    return this.hasMatrix() || pinned === null || pinned < scene.prefix ? null : pinned - scene.prefix;
  }

  draw(fade) {
    const started = performance.now();
    const { scene, view } = this;
    const middle = scene.prefix ? 0 : Math.floor(scene.gy / 2) * scene.gx + Math.floor(scene.gx / 2);
    this.query = this.pinned ?? this.pointed ?? middle;
    this.rows = scene.panels.map((panel) => panelRow(scene, panel, this.query));
    this.vmax = scene.vmax ?? (Math.max(...this.rows.map((row) => row.maximum)) || 1);
    const known = scene === this.drawnScene;
    if (!(fade && known && this.query === this.drawnQuery)) { // else a fade that is under way goes on
      cancelAnimationFrame(this.frame);
      const still = window.matchMedia("(prefers-reduced-motion: reduce)").matches;
      fade && known && !still ? this.fade() : this.paintHeat(1);
    }
    this.marks();
    this.say();
    [this.drawnScene, this.drawnQuery, this.drawnRange] = [scene, this.query, this.vmax];
    this.draws += 1;
    Object.assign(this.root.dataset, {
      lastDrawMs: (performance.now() - started).toFixed(3), draws: this.draws, query: this.query, vmax: this.vmax,
      pinned: this.pinned ?? "", strongest: this.rows.map((row) => row.strongest).join(" "), paint: view.paint,
    });
  }

  paintHeat(share) {
    this.rows.forEach((row, p) => {
      const from = this.before?.[p];
      const between = (value, cell) => from[cell] + share * (value - from[cell]);
      this.panels[p].drawHeat(this.scene, share < 1 && from ? row.values.map(between) : row.values, this.vmax);
    });
  }

  // Fades in units of the range: the old row's colours turn into the new row's
  fade() {
    const scale = this.vmax / this.drawnRange;
    this.before = this.panels.map((panel) => panel.shown?.map((value) => value * scale));
    const started = performance.now();
    const step = (now) => {
      const share = Math.min(1, Math.max(0, now - started) / FADE_MS);
      this.paintHeat(share);
      if (share < 1) this.frame = requestAnimationFrame(step);
    };
    step(started);
  }

  marks() {
    const { scene, view } = this;
    const spot = this.spot();
    this.panels.forEach((panel, p) => {
      const row = this.rows?.[p];
      const matrix = scene.panels[p]?.rows > 1;
      const outlines = [];
      if (matrix && row.strongest >= 0) outlines.push([row.strongest, view.colors.key, 2]);
      if (spot !== null) outlines.push([spot, view.colors.hover, 1]);
      const asked = matrix ? this.query : this.pinned;
      const cell = asked === null || view.paint ? -1 : asked - scene.prefix;
      if (cell >= 0) outlines.push([cell, view.colors.query, 3]);
      panel.drawMarks(scene, {
        hatched: (cell) => this.painted[cell] || row?.blocked(cell), outlines, boxes: boxesOf(scene, view),
        grid: view.grid, labels: view.labels, first: view.first,
      });
    });
  }

  say() {
    const { scene, view } = this;
    this.readout.textContent = queryWords(this);
    this.hint.textContent = hintWords(this);
    this.rows.forEach((row, p) => (this.panels[p].number.textContent = panelWords(this, row, scene.panels[p])));
    this.low.textContent = scene.signed ? exact(-this.vmax) : "0";
    this.high.textContent = `${exact(this.vmax)} ${view.unit}`;
    [...this.tokens.children].forEach((button, token) => {
      const value = this.rows.length === 1 ? this.rows[0].before[token] : NaN; // one number has room for one panel
      const position = scene.signed ? 127.5 + (127.5 * value) / this.vmax : (255 * value) / this.vmax;
      const word = scene.lut[Math.max(0, Math.min(255, Math.round(position)))] ?? 0;
      button.children[0].style.background = `rgb(${word & 255} ${(word >> 8) & 255} ${(word >> 16) & 255})`;
      button.children[1].textContent = view.prefix[token] + (Number.isNaN(value) ? "" : ` ${exact(value)}`);
      button.children[0].hidden = Number.isNaN(value);
      button.setAttribute("aria-pressed", this.pinned === token);
    });
    const label = fill(view.text.label, { rows: scene.gy, columns: scene.gx });
    this.board.setAttribute("aria-label", sentence(view, [label, this.described(), this.hint.textContent]));
  }

  described() {
    const words = ({ title, number }) => [title.textContent, number.textContent].filter(Boolean).join(" ");
    return sentence(this.view, [this.readout.textContent, ...this.panels.map(words)]);
  }
}
