// Unpacks what tfsss/ui/motion/__init__.py packed, and moves the tokens from the last step to this one.
const MOVE_MS = 380;
const [HIDDEN, PICTURE, HATCHED, BLANK] = [0, 1, 2, 3];

function unpack(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const json = (at) => JSON.parse(new TextDecoder().decode(bytes.subarray(at + 4, at + 4 + view.getUint32(at, true))));
  const after = (at) => at + 4 + view.getUint32(at, true);
  const shown = json(0);
  const scene = json(after(0));
  const start = after(after(0));
  const count = scene.tokens * scene.steps;
  scene.places = new Int16Array(bytes.slice(start, start + 4 * count).buffer);
  scene.looks = new Int8Array(bytes.slice(start + 4 * count, start + 5 * count).buffer);
  scene.regions = new Int8Array(bytes.slice(start + 5 * count, start + 6 * count).buffer);
  scene.picture = bytes.slice(start + 6 * count);
  return { shown, scene };
}

function hatchPattern(context, colors) {
  const tile = document.createElement("canvas");
  tile.width = tile.height = 8;
  const paint = tile.getContext("2d");
  paint.fillStyle = colors[0];
  paint.fillRect(0, 0, 8, 8);
  paint.strokeStyle = colors[1];
  paint.lineWidth = 2.8;
  for (const shift of [-8, 0, 8]) {
    paint.beginPath();
    paint.moveTo(shift - 1, 9);
    paint.lineTo(shift + 9, -1);
    paint.stroke();
  }
  return context.createPattern(tile, "repeat");
}

class Stage {
  constructor(parent) {
    this.root = document.createElement("div");
    this.root.className = "motion";
    this.canvas = this.root.appendChild(document.createElement("canvas"));
    this.canvas.setAttribute("role", "img");
    parent.appendChild(this.root);
    new ResizeObserver(() => this.scene && this.draw(1)).observe(this.root);
  }

  async show({ shown, scene }) {
    const known = this.scene && this.scene.tokens === scene.tokens && String(this.scene.stage) === String(scene.stage);
    const from = known ? this.where(1) : null;
    this.shown = shown;
    this.root.style.maxWidth = `${shown.width}px`;
    if (scene.digest !== this.digest) {
      const picture = scene.digest ? await createImageBitmap(new Blob([scene.picture])).catch(() => null) : null;
      if (this.shown !== shown) return; // a newer step arrived while the picture was decoded
      [this.picture, this.digest] = [picture, scene.digest];
    }
    this.scene = scene;
    this.from = from;
    this.order = this.farthestLast(from);
    this.canvas.setAttribute("aria-label", scene.alts[shown.step] ?? "");
    this.canvas.dataset.step = shown.step;
    this.play(from && this.moved(from) && !matchMedia("(prefers-reduced-motion: reduce)").matches);
  }

  // Where each token is now: row and column in 1/64 cells
  where() {
    const { scene, shown } = this;
    return scene.places.subarray(2 * scene.tokens * shown.step, 2 * scene.tokens * (shown.step + 1));
  }

  moved(from) {
    return this.where().some((place, i) => place !== from[i]);
  }

  // In which order tokens are drawn: who travels far passes over those who stay
  farthestLast(from) {
    const to = this.where();
    const way = (i) => (from ? Math.abs(to[2 * i] - from[2 * i]) + Math.abs(to[2 * i + 1] - from[2 * i + 1]) : 0);
    const ways = Array.from({ length: this.scene.tokens }, (_, i) => way(i));
    return [...ways.keys()].sort((a, b) => ways[a] - ways[b]);
  }

  play(moving) {
    cancelAnimationFrame(this.frame);
    if (!moving) return this.draw(1);
    const begun = performance.now();
    const tick = (now) => {
      const part = Math.min(1, (now - begun) / MOVE_MS);
      this.draw(part < 0.5 ? 4 * part ** 3 : 1 - (2 - 2 * part) ** 3 / 2);
      if (part < 1) this.frame = requestAnimationFrame(tick);
    };
    this.frame = requestAnimationFrame(tick);
  }

  draw(part) {
    const { scene, canvas, shown, from } = this;
    const [rows, columns] = scene.stage;
    const width = this.root.getBoundingClientRect().width || shown.width;
    const ratio = Math.min(window.devicePixelRatio || 1, 2);
    const cell = (width * ratio) / columns;
    canvas.width = Math.round(columns * cell);
    canvas.height = Math.round(rows * cell);
    canvas.style.aspectRatio = `${columns} / ${rows}`;
    const context = canvas.getContext("2d");
    const hatch = hatchPattern(context, scene.hatch);
    const to = this.where();
    const at = scene.tokens * shown.step;
    for (const token of this.order) {
      const look = scene.looks[at + token];
      if (look === HIDDEN) continue;
      const place = (axis) => {
        const end = to[2 * token + axis];
        const start = from ? from[2 * token + axis] : end;
        return ((start + (end - start) * part) / 64) * cell;
      };
      this.token(context, token, look, place(0), place(1), cell, hatch);
    }
  }

  token(context, token, look, top, left, cell, hatch) {
    const { scene, shown, picture } = this;
    const [gy, gx] = scene.grid;
    const side = cell + 0.6; // no seams between neighbours
    if (look === PICTURE && picture && token < gy * gx) {
      const [w, h] = [picture.width / gx, picture.height / gy];
      context.drawImage(picture, (token % gx) * w, Math.floor(token / gx) * h, w, h, left, top, side, side);
    } else if (look === HATCHED) {
      context.fillStyle = hatch;
      context.fillRect(left, top, side, side);
    }
    const region = scene.regions[scene.tokens * shown.step + token];
    if (region >= 0) {
      context.globalAlpha = look === BLANK ? 0.85 : 0.5;
      context.fillStyle = scene.colors[region % scene.colors.length];
      context.fillRect(left, top, side, side);
      context.globalAlpha = 1;
    }
    const label = scene.labels[shown.step]?.[token];
    if (look === BLANK || cell > 16) {
      context.strokeStyle = look === BLANK ? shown.text : "rgba(127, 127, 127, 0.55)";
      context.lineWidth = 1;
      context.strokeRect(left + 0.5, top + 0.5, cell - 1, cell - 1);
    }
    if (label) {
      context.font = `600 ${Math.round(cell * (label.length > 3 ? 0.28 : 0.4))}px system-ui, sans-serif`;
      context.textAlign = "center";
      context.textBaseline = "middle";
      context.lineWidth = 3;
      context.fillStyle = look === BLANK && region < 0 ? shown.text : "#ffffff";
      if (look !== BLANK || region >= 0) {
        context.strokeStyle = "rgba(0, 0, 0, 0.75)";
        context.strokeText(label, left + cell / 2, top + cell / 2);
      }
      context.fillText(label, left + cell / 2, top + cell / 2);
    }
  }
}

const stages = new WeakMap();

export default function ({ data, parentElement }) {
  if (!stages.has(parentElement)) stages.set(parentElement, new Stage(parentElement));
  stages.get(parentElement).show(unpack(data));
}
