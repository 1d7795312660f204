// Elements made of text: nothing on the page is ever parsed as markup.

const SVG = "http://www.w3.org/2000/svg";

function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

/** An element of HTML; children are elements and texts. */
export const h = (tag, attributes, ...children) => filled(document.createElement(tag), attributes, children);

/** An element of SVG. */
export const s = (tag, attributes, ...children) => filled(document.createElementNS(SVG, tag), attributes, children);

export const byId = (id) => document.getElementById(id);

/** Say something to those who listen to the page instead of looking at it. */
export function announce(text) {
  const live = byId("live");
  if (live.textContent !== text) live.textContent = text;
}

const measure = document.createElement("canvas").getContext("2d");
const widths = new Map();
let family = "";

/** How wide a text is, in pixels. */
export function widthOf(text, size, weight = 400) {
  const key = `${weight} ${size} ${text}`;
  if (!widths.has(key)) {
    family ||= getComputedStyle(document.body).fontFamily;
    measure.font = `${weight} ${size}px ${family}`;
    widths.set(key, measure.measureText(text).width);
  }
  return widths.get(key);
}

/** A text that fits: its middle is left out where it is too long, because names differ at their ends. */
export function fitted(text, most, size) {
  if (widthOf(text, size) <= most) return text;
  let [low, high] = [1, text.length];
  const cut = (n) => `${text.slice(0, Math.ceil(n / 3))}…${text.slice(text.length - Math.floor((2 * n) / 3))}`;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (widthOf(cut(middle), size) <= most) low = middle;
    else high = middle - 1;
  }
  return cut(low);
}
