// What was packed by tfsss/ui/token_map/__init__.py, SVG elements, names and numbers.
const SVG = "http://www.w3.org/2000/svg";

function unpack(bytes) {
  const length = new DataView(bytes.buffer, bytes.byteOffset, 4).getUint32(0, true);
  const shown = JSON.parse(new TextDecoder().decode(bytes.subarray(4, 4 + length)));
  const cells = shown.rows.length * shown.columns.length;
  const at = (start, end) => bytes.slice(4 + length + start, 4 + length + end);
  return {
    ...shown, m: shown.rows.length, n: shown.columns.length, values: new Float32Array(at(0, 4 * cells).buffer),
    blocked: at(4 * cells, 5 * cells), lut: at(5 * cells, 5 * cells + 768),
  };
}

function make(tag, className, parent) {
  const element = document.createElement(tag);
  element.className = className;
  parent.append(element);
  return element;
}

function draw(parent, tag, attributes, words) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  if (words !== undefined) element.textContent = words;
  parent.append(element);
  return element;
}

function fill(template, fields) {
  return template.replace(/\{(\w+)\}/g, (_, name) => fields[name] ?? "");
}

// A name cut to so many pixels; a Chinese character is as wide as two letters
function cut(name, pixels, size) {
  const letters = [...name];
  let used = 0;
  for (const [i, letter] of letters.entries()) {
    used += (letter > "\u2e80" ? 1 : 0.58) * size;
    if (used > pixels) return `${letters.slice(0, Math.max(1, i - 1)).join("")}…`;
  }
  return name;
}

function short(value) {
  const written = value.toFixed(Math.abs(value) >= 0.995 ? 1 : 2).replace(/^(-?)0\./, "$1.");
  return written === "-.00" ? ".00" : written.replace("-", "−");
}

function exact(value) {
  const written = value && Math.abs(value) < 0.0005 ? value.toExponential(1) : value.toFixed(3);
  return written.replaceAll("-", "−");
}
