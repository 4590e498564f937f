// Radio buttons with a picture on each: the arrow keys, focus and names are the browser's own.
function make(tag, parent, attributes = {}) {
  return parent.appendChild(Object.assign(document.createElement(tag), attributes));
}

function build(root, thumbs) {
  root.querySelectorAll("label").forEach((label) => label.remove());
  for (const { id, name, src } of thumbs) {
    const label = make("label", root, { title: name });
    make("input", label, { type: "radio", name: "thumb", value: id });
    make("img", label, { src, alt: name, draggable: false });
  }
}

export default function ({ data, parentElement, setTriggerValue }) {
  const known = parentElement.querySelector("fieldset");
  const root = known ?? make("fieldset", parentElement);
  const legend = root.querySelector("legend") ?? make("legend", root);
  legend.textContent = data.label;
  const listed = JSON.stringify(data.thumbs);
  if (root.listed !== listed) build(root, data.thumbs);
  root.listed = listed;
  for (const input of root.querySelectorAll("input")) input.checked = input.value === data.chosen;
  root.onchange = (event) => setTriggerValue("picked", event.target.value);
}
