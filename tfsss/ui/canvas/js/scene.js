// Unpacks what tfsss/ui/canvas/scene.py packed: u32 length and name, u32 length and JSON header, arrays.
function decodeScene(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const text = (at) => new TextDecoder().decode(bytes.subarray(at + 4, at + 4 + view.getUint32(at, true)));
  const name = text(0);
  const at = 4 + view.getUint32(0, true);
  const header = JSON.parse(text(at));
  const start = at + 4 + view.getUint32(at, true);
  const blob = (n) => bytes.subarray(start + header.ends[n], start + header.ends[n + 1]);
  // slice() copies, so that float32 is aligned whatever stands before it
  const floats = (n) => new Float32Array(blob(n).slice().buffer);
  const [gy, gx] = header.grid;
  return {
    ...header, name, gy, gx, cells: gy * gx, tokens: header.prefix + gy * gx,
    lut: packLut(blob(0)), bar: gradient(blob(0)), pictureBytes: blob(1),
    panels: header.rows.map((rows, p) => ({
      rows, maxima: floats(2 + 4 * p), before: floats(3 + 4 * p), codes: blob(4 + 4 * p), blocked: blob(5 + 4 * p),
    })),
  };
}

// 256 colours as the little-endian RGBA words of ImageData
function packLut(rgb) {
  const word = (i) => 0xff000000 | (rgb[i + 2] << 16) | (rgb[i + 1] << 8) | rgb[i];
  return Uint32Array.from({ length: 256 }, (_, i) => word(3 * i));
}

function gradient(rgb) {
  const stops = Array.from({ length: 33 }, (_, i) => 3 * Math.min(255, 8 * i));
  return `linear-gradient(to right, ${stops.map((i) => `rgb(${rgb[i]} ${rgb[i + 1]} ${rgb[i + 2]})`).join(",")})`;
}

// Measured: 1 ms for a picture of 60 kB, where a Blob and an address for it take 7
function dataAddress(bytes) {
  let text = "";
  for (let at = 0; at < bytes.length; at += 8192) text += String.fromCharCode(...bytes.subarray(at, at + 8192));
  return `data:image;base64,${btoa(text)}`;
}

// One row of a panel: the numbers of all patches for this query
function panelRow(scene, panel, query) {
  const row = panel.rows === 1 ? 0 : query;
  const { cells, signed, prefix } = scene;
  const codes = panel.codes.subarray(row * cells, (row + 1) * cells);
  const maximum = panel.maxima[row];
  const values = new Float32Array(cells);
  let strongest = -1;
  const packed = Math.ceil(cells / 8);
  const blocked = (cell) => (panel.blocked[row * packed + (cell >> 3)] >> (7 - (cell & 7))) & 1; // none sent: 0
  for (let cell = 0; cell < cells; cell++) {
    values[cell] = signed ? ((codes[cell] - 128) / 127) * maximum : (codes[cell] / 255) * maximum;
    if (!blocked(cell) && (strongest < 0 || Math.abs(values[cell]) > Math.abs(values[strongest]))) strongest = cell;
  }
  return {
    values, maximum, strongest, blocked, peak: values[strongest] < 0 ? -maximum : maximum, step: maximum / (signed ? 127 : 255),
    before: panel.before.subarray(row * prefix, (row + 1) * prefix),
  };
}

// Only as many decimals as 8 bits carry; the row's own maximum travels in full
function printed(value, step) {
  if (!(step > 0)) return "0";
  const decimals = Math.min(6, Math.max(0, Math.floor(-Math.log10(step))));
  const least = 10 ** -decimals;
  if (value !== 0 && Math.abs(value) < least / 2) return `${value < 0 ? ">−" : "<"}${least.toFixed(decimals)}`;
  return value.toFixed(decimals).replace("-", "−");
}

function exact(value) {
  return value === 0 ? "0" : String(+value.toPrecision(3)).replace("-", "−");
}

function unpackBits(text, cells) {
  const set = new Uint8Array(cells);
  if (!text) return set;
  const raw = atob(text.replace(/-/g, "+").replace(/_/g, "/"));
  for (let cell = 0; cell < cells && cell >> 3 < raw.length; cell++) {
    set[cell] = (raw.charCodeAt(cell >> 3) >> (7 - (cell & 7))) & 1;
  }
  return set;
}

function packBits(set) {
  if (!set.includes(1)) return "";
  const packed = new Uint8Array(Math.ceil(set.length / 8));
  set.forEach((bit, cell) => (packed[cell >> 3] |= bit << (7 - (cell & 7))));
  return btoa(String.fromCharCode(...packed)).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
}
