// The light half: pin, painted set, slider, words. It travels apart from the arrays, which then never travel twice.
export default function ({ data }) {
  const canvases = (window.tfsssCanvases ??= new Map());
  const entry = canvases.get(data.name) ?? { sent: 0 };
  canvases.set(data.name, entry);
  entry.view = data;
  entry.update?.();
}
