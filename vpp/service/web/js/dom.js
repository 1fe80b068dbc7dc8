// Elements from plain text: what comes from outside is never read as markup.

/**
 * An element. Attributes: `class`, `on: {click: f}`, `data: {key: text}`; booleans and `value` are set as
 * properties; null and undefined are left out. Children: elements, texts, numbers, lists of them.
 */
export function h(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) put(element, name, value);
  add(element, children);
  return element;
}

/** Replace everything inside `element`. */
export function fill(element, ...children) {
  const fresh = document.createDocumentFragment();
  add(fresh, children);
  element.replaceChildren(fresh);
  return element;
}

/** Change a text only where it is another: a live region that says the same again would be read again. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function put(element, name, value) {
  if (value === null || value === undefined) return;
  if (name === "on") for (const [event, act] of Object.entries(value)) element.addEventListener(event, act);
  else if (name === "data") Object.assign(element.dataset, value);
  else if (name === "class") element.className = value;
  else if (typeof value === "boolean" && !name.startsWith("aria-")) element[name] = value;
  else if (name === "value") element.value = value;
  else element.setAttribute(name, value);
}

function add(parent, children) {
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    parent.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
}
