// What the canvas says, in the visitor's language: templates come from canvas.json, numbers from the arrays.
function fill(template, fields) {
  return template.replace(/\{(\w+)\}/g, (_, name) => fields[name] ?? "");
}

function place(scene, cell) {
  return { row: Math.floor(cell / scene.gx), column: cell % scene.gx };
}

function queryWords(canvas) {
  const { scene, view, query } = canvas;
  if (view.paint) {
    let count = 0;
    for (const bit of canvas.painted) count += bit;
    return fill(view.text.painted, { count, cells: scene.cells });
  }
  if (!canvas.hasMatrix()) {
    const cell = canvas.spot();
    return cell === null ? "" : fill(view.text.patch, place(scene, cell));
  }
  if (query < scene.prefix) return fill(view.text.query_prefix, { name: view.prefix[query] });
  return fill(view.text.query_patch, place(scene, query - scene.prefix));
}

// The number under one panel: that of the patch under the pointer, or else the strongest
function panelWords(canvas, row, panel) {
  const { scene, view } = canvas;
  const unit = view.unit;
  const follows = panel.rows > 1 && canvas.pinned === null;
  const cell = follows ? null : canvas.spot();
  if (cell !== null) {
    const words = panel.rows > 1 ? view.text.key : view.text.cell;
    if (row.blocked(cell)) return fill(words, { ...place(scene, cell), unit, value: view.text.blocked });
    const value = cell === row.strongest ? exact(row.peak) : printed(row.values[cell], row.step);
    return fill(words, { ...place(scene, cell), unit, value });
  }
  if (row.strongest < 0) return view.text.all_blocked;
  const words = panel.rows > 1 ? view.text.strongest_key : view.text.strongest;
  return fill(words, { ...place(scene, row.strongest), unit, value: exact(row.peak) });
}

function hintWords(canvas) {
  const { view } = canvas;
  if (view.paint) return view.text.hint_paint;
  if (canvas.pinned !== null) return view.text.hint_pinned;
  return canvas.hasMatrix() ? view.text.hint_hover : view.text.hint_choose;
}

// Sentences as one, without doubling a stop or an empty part
function sentence(view, parts) {
  return parts.filter(Boolean).join(view.text.joint);
}
