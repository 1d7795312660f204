// What is shown, as files: PNG, SVG, CSV, and Python into the clipboard.

import { announce, h } from "./dom.js";

/** Offer bytes as a file. */
export function save(name, type, content) {
  const url = URL.createObjectURL(new Blob([content], { type }));
  h("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

const SHOWN = ["fill", "stroke", "stroke-width", "stroke-dasharray", "opacity", "font-size", "font-weight", "font-style", "paint-order", "stroke-linejoin", "stroke-opacity", "fill-opacity"];

/** A drawing that looks alone as it does on the page: the styles that it has here are written into it. */
function alone(drawing, original) {
  drawing.querySelectorAll(".cross").forEach((each) => each.remove()); // where somebody points is no part of it
  const [copies, originals] = [drawing, original].map((root) => [...root.querySelectorAll("text, path, rect, line, circle")].filter((each) => !each.closest(".cross")));
  copies.forEach((copy, k) => {
    const look = getComputedStyle(originals[k]);
    SHOWN.forEach((name) => copy.setAttribute(name, look.getPropertyValue(name)));
    copy.removeAttribute("class");
  });
  const body = getComputedStyle(document.body);
  drawing.setAttribute("xmlns", "http://www.w3.org/2000/svg");
  drawing.setAttribute("font-family", body.fontFamily);
  drawing.style.background = body.backgroundColor;
  return new XMLSerializer().serializeToString(drawing);
}

export const asSvg = (drawing, original) => alone(drawing, original);

/** An SVG as PNG, two pixels for one. */
export async function asPng(svg, width, height) {
  const image = new Image();
  const url = URL.createObjectURL(new Blob([svg], { type: "image/svg+xml" }));
  await new Promise((resolve, reject) => Object.assign(image, { onload: resolve, onerror: reject, src: url }));
  const canvas = h("canvas", { width: Math.ceil(2 * width), height: Math.ceil(2 * height) });
  const context = canvas.getContext("2d");
  context.fillStyle = getComputedStyle(document.body).backgroundColor;
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(image, 0, 0, canvas.width, canvas.height);
  URL.revokeObjectURL(url);
  return new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
}

/**
 * The row of buttons under a figure.
 * @param {{name: () => string, drawing: () => {copy: SVGElement, original: SVGElement, width: number, height: number}, rows: () => string, python?: () => string}} figure
 */
export function buttons(figure) {
  const button = (text, act) => h("button", { type: "button", class: "quiet", onclick: () => Promise.resolve(act()).catch((error) => announce(`Not saved: ${error.message}`)) }, text);
  const svg = () => {
    const { copy, original } = figure.drawing();
    return asSvg(copy, original);
  };
  const made = [
    button("PNG", async () => {
      const { width, height } = figure.drawing();
      save(`${figure.name()}.png`, "image/png", await asPng(svg(), width, height));
    }),
    button("SVG", () => save(`${figure.name()}.svg`, "image/svg+xml", svg())),
    button("CSV", () => save(`${figure.name()}.csv`, "text/csv", figure.rows())),
  ];
  if (figure.python) made.push(button("Copy as Python", () => copied(figure.python())));
  return h("div", { class: "files", role: "group", "aria-label": "Save what is shown" }, made);
}

async function copied(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Pages opened from the disk have no clipboard of their own in some browsers.
    const area = h("textarea", { class: "hidden" });
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
  announce("Copied as Python.");
  const said = document.getElementById("said");
  said.textContent = text;
  said.parentElement.hidden = false;
}
