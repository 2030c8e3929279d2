// Elements made by hand. Text always becomes a text node: nothing here, or anywhere, parses markup.

const SVG = "http://www.w3.org/2000/svg";

export const find = (id) => document.getElementById(id);

/** An element; attributes that are null or false are left out, true means present. */
export function make(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** The same, in the namespace of drawings. */
export function draw(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

/** Put children in the place of those that an element has. */
export function put(parent, ...children) {
  parent.replaceChildren(...children.filter((child) => child !== null));
}

/** Show a message as an error, with a button that tries again where there is something to try. */
export function failed(message, again = null) {
  const button = again && make("button", { type: "button" }, "Try again");
  button?.addEventListener("click", again);
  return make("p", { class: "failure", role: "alert" }, message, button ? " " : "", button ?? "");
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}
