// Making elements, without ever reading text as HTML.

// element makes <tag> with attributes, properties that begin with a dot, and children.
export function element(tag, attributes = {}, ...children) {
  const e = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) e.addEventListener(name.slice(2), value);
    else if (name.startsWith(".")) e[name.slice(1)] = value;
    else if (value !== false && value != null) e.setAttribute(name, value === true ? "" : value);
  }
  e.append(...children);
  return e;
}

// say sets an element's text where it is another one: what has not changed is not laid out.
export function say(e, text) {
  if (e.textContent !== text) e.textContent = text;
}

// mark sets an attribute where it is another one; null takes it away.
export function mark(e, name, value) {
  if (value == null) e.removeAttribute(name);
  else if (e.getAttribute(name) !== String(value)) e.setAttribute(name, value);
}
