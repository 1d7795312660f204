// Scatter plots, curves and dot plots as SVG; scales and ticks by d3-scale.

import { scaleLinear, scaleLog } from "d3-scale";
import { announce, h, s } from "./dom.js";
import { short } from "./numbers.js";

const EDGE = { left: 56, right: 14, top: 12, bottom: 44 };

/** A linear or logarithmic scale over numbers, with room at its ends. */
export function fitting(numbers, range, options = {}) {
  const known = numbers.filter((number) => number === number && number !== null);
  const [low, high] = [Math.min(...known), Math.max(...known)];
  if (options.log) return scaleLog([low / 1.5, high * 1.5], range);
  const [least, most] = options.within || [low, high];
  const [from, to] = [Math.min(low, least), Math.max(high, most)];
  const margin = (to - from || 1) * 0.04;
  return scaleLinear([from - margin, to + margin], range);
}

function axes(svg, x, y, width, height, words) {
  const logarithmic = (scale) => scale.base !== undefined;
  const ticks = (scale, n) => (logarithmic(scale) ? scale.ticks(n).filter((tick) => Number.isInteger(Math.round(1e6 * Math.log10(tick)) / 1e6)) : scale.ticks(n));
  const group = s("g", { class: "axes", "font-size": 11 });
  for (const tick of ticks(x, Math.max(2, Math.floor(width / 90)))) {
    group.append(s("line", { class: "grid", x1: x(tick), x2: x(tick), y1: EDGE.top, y2: height - EDGE.bottom }), s("text", { x: x(tick), y: height - EDGE.bottom + 16, "text-anchor": "middle" }, short(tick)));
  }
  for (const tick of ticks(y, Math.max(2, Math.floor(height / 60)))) {
    group.append(s("line", { class: "grid", x1: EDGE.left, x2: width - EDGE.right, y1: y(tick), y2: y(tick) }), s("text", { x: EDGE.left - 7, y: y(tick), "text-anchor": "end", "dominant-baseline": "central" }, short(tick)));
  }
  group.append(s("text", { class: "side", x: (EDGE.left + width - EDGE.right) / 2, y: height - 6, "text-anchor": "middle" }, words[0]), s("text", { class: "side", transform: `translate(12 ${(height - EDGE.bottom + EDGE.top) / 2}) rotate(-90)`, "text-anchor": "middle" }, words[1]));
  svg.append(group);
}

function canvas(host, height, label) {
  const width = Math.max(260, host.clientWidth);
  const svg = s("svg", { class: "chart", width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label });
  return { svg, width, height };
}

/** Where the word at a line stands: on the side where there is room. */
const beside = (at, width) => (at > 0.75 * width ? { x: at - 4, "text-anchor": "end" } : { x: at + 4 });

const MARKS = {
  circle: (x, y, r) => `M${x - r} ${y}a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0`,
  diamond: (x, y, r) => `M${x} ${y - 1.3 * r}l${1.3 * r} ${1.3 * r}l${-1.3 * r} ${1.3 * r}l${-1.3 * r} ${-1.3 * r}z`,
  square: (x, y, r) => `M${x - r} ${y - r}h${2 * r}v${2 * r}h${-2 * r}z`,
  cross: (x, y, r) => `M${x - r / 3} ${y - r}h${(2 * r) / 3}v${(2 * r) / 3}h${(2 * r) / 3}v${(2 * r) / 3}h${(-2 * r) / 3}v${(2 * r) / 3}h${(-2 * r) / 3}v${(-2 * r) / 3}h${(-2 * r) / 3}v${(-2 * r) / 3}h${(2 * r) / 3}z`,
};

/** A mark of a shape about a point, as a path. */
export const mark = (shape, x, y, radius) => (MARKS[shape] || MARKS.circle)(x, y, radius);

/**
 * Points in a plane.
 * @param {{x: number, y: number, kind: string, shape: string, told: string, name?: string}[]} points
 */
export function scatter(host, points, { words, label, height = 340, log = false, rules = [], within = {}, onOpen, isSquare }) {
  const { svg, width } = canvas(host, height, label);
  const xs = [EDGE.left, width - EDGE.right];
  const ys = [height - EDGE.bottom, EDGE.top];
  let x = fitting(points.map((point) => point.x), xs, { within: within.x });
  let y = fitting(points.map((point) => point.y), ys, { within: within.y, log });
  if (isSquare) [x, y] = alike(x, y, xs, ys);
  axes(svg, x, y, width, height, words);
  for (const { at, text } of rules) {
    if (at < x.domain()[0] || at > x.domain()[1]) continue;
    svg.append(s("line", { class: "rule", x1: x(at), x2: x(at), y1: EDGE.top, y2: height - EDGE.bottom }), s("text", { class: "ruled", "font-size": 11, ...beside(x(at), width), y: EDGE.top + 10 }, text));
  }
  points.forEach((point) => {
    svg.append(s("path", { class: `point ${point.kind}`, d: mark(point.shape, x(point.x), y(point.y), point.name ? 5 : 4) }));
    if (point.name) svg.append(s("text", { class: "named", "font-size": 11, x: x(point.x) + 8, y: y(point.y), "dominant-baseline": "central" }, point.name));
  });
  host.replaceChildren(svg, explored(svg, points.map((point) => [x(point.x), y(point.y)]), points, onOpen));
  return { svg, width, height };
}

/** Give two scales the same units a pixel, so that distances can be read in any direction. */
function alike(x, y, xs, ys) {
  const unit = Math.max((x.domain()[1] - x.domain()[0]) / (xs[1] - xs[0]), (y.domain()[1] - y.domain()[0]) / (ys[0] - ys[1]));
  const about = (scale, pixels) => {
    const middle = (scale.domain()[0] + scale.domain()[1]) / 2;
    return [middle - (unit * pixels) / 2, middle + (unit * pixels) / 2];
  };
  return [scaleLinear(about(x, xs[1] - xs[0]), xs), scaleLinear(about(y, ys[0] - ys[1]), ys)];
}

const STEPS = { ArrowRight: ["x", 1], ArrowLeft: ["x", -1], ArrowUp: ["y", 1], ArrowDown: ["y", -1], Home: ["x", -Infinity], End: ["x", Infinity] };

/**
 * Say what single points are: the one nearest to the pointer, or with the keyboard the next one in a direction; a click
 * or Enter opens it.
 * @param {[number, number][]} places of the points, in pixels
 * @param {{told: string[]}[]} points
 */
function explored(svg, places, points, onOpen) {
  const tip = h("div", { class: "tip", hidden: true });
  const ring = s("circle", { r: 8, visibility: "hidden" });
  svg.append(s("g", { class: "cross" }, ring));
  svg.classList.add("explored");
  const about = { tabindex: "0", role: "application", "aria-roledescription": "chart", "aria-keyshortcuts": `ArrowLeft ArrowRight ArrowUp ArrowDown Home End${onOpen ? " Enter" : ""} Escape` };
  for (const [name, value] of Object.entries(about)) svg.setAttribute(name, value);
  // Points at one place follow each other, so that each of them is reached.
  const sorted = (main, other) => points.map((_, k) => k).sort((j, k) => main(j) - main(k) || other(j) - other(k) || j - k);
  const [across, up] = [(k) => places[k][0], (k) => -places[k][1]];
  const orders = { x: sorted(across, up), y: sorted(up, across) };
  let shown = -1;
  const show = (k) => {
    if (k === shown) return;
    shown = k;
    tip.hidden = k < 0;
    ring.setAttribute("visibility", k < 0 ? "hidden" : "visible");
    if (k < 0) return;
    const [x, y] = places[k];
    ring.setAttribute("cx", x);
    ring.setAttribute("cy", y);
    tip.replaceChildren(...points[k].told.map((line, n) => h(n ? "span" : "b", null, line)));
    const left = x + 14 + tip.offsetWidth > svg.clientWidth ? x - tip.offsetWidth - 14 : x + 14;
    tip.style.transform = `translate(${Math.round(Math.max(0, left))}px, ${Math.round(Math.max(0, y - tip.offsetHeight / 2))}px)`;
  };
  const at = (event) => {
    const box = svg.getBoundingClientRect();
    const [px, py] = [event.clientX - box.left, event.clientY - box.top];
    let [best, least] = [-1, 24 ** 2];
    places.forEach(([x, y], k) => {
      const away = (x - px) ** 2 + (y - py) ** 2;
      if (away < least) [best, least] = [k, away];
    });
    return best;
  };
  svg.addEventListener("pointermove", (event) => show(at(event)));
  svg.addEventListener("pointerleave", () => show(-1));
  svg.addEventListener("blur", () => show(-1));
  if (onOpen) svg.addEventListener("click", (event) => at(event) >= 0 && onOpen(points[at(event)]));
  svg.addEventListener("keydown", (event) => {
    if (STEPS[event.key] && points.length) {
      const [side, step] = STEPS[event.key];
      const order = orders[side];
      const place = Math.max(0, Math.min(order.length - 1, order.indexOf(shown) + step));
      show(shown < 0 && Math.abs(step) === 1 ? orders.x[0] : order[place]);
      announce(points[shown].told.join(". "));
    } else if (event.key === "Enter" && onOpen && shown >= 0) onOpen(points[shown]);
    else if (event.key === "Escape") show(-1);
    else return;
    event.preventDefault();
  });
  return tip;
}

/**
 * Curves: [{name, points: [[x, y, half an interval]], kind, told}]; a point whose y is null is a gap. Where lines say of
 * each point what it is, `told(k)`, single points are drawn and can be asked about.
 */
export function curves(host, lines, { words, label, height = 180, within = { x: [0, 0], y: [0, 0] } }) {
  const { svg, width } = canvas(host, height, label);
  const known = lines.flatMap((line) => line.points.flatMap((point, k) => (point[1] === null ? [] : [{ line, k, point, told: line.told?.(k) }])));
  const limits = known.flatMap(({ point: [, value, half = 0] }) => [value - half, value + half]);
  const x = fitting(known.map(({ point }) => point[0]), [EDGE.left, width - EDGE.right], { within: within.x });
  const y = fitting(limits, [height - EDGE.bottom, EDGE.top], { within: within.y });
  axes(svg, x, y, width, height, words);
  for (const line of lines) {
    const drawn = line.points.map(([a, b], k) => (b === null ? "" : `${k && line.points[k - 1][1] !== null ? "L" : "M"}${x(a).toFixed(1)} ${y(b).toFixed(1)}`));
    const spread = line.points.map(([a, b, half]) => (b === null || !half ? "" : `M${x(a).toFixed(1)} ${y(b - half).toFixed(1)}V${y(b + half).toFixed(1)}`));
    svg.append(s("path", { class: `spread ${line.kind}`, d: spread.join("") }), s("path", { class: `curve ${line.kind}`, d: drawn.join("") }, s("title", null, line.name)));
  }
  const asked = known.filter(({ told }) => told);
  const places = asked.map(({ point }) => [x(point[0]), y(point[1])]);
  asked.forEach(({ line }, k) => svg.append(s("path", { class: `stop ${line.kind}`, d: mark(line.shape, ...places[k], 2.6) })));
  host.replaceChildren(svg, ...(asked.length ? [explored(svg, places, asked)] : []));
  return { svg, width, height };
}

/** Pairs of dots on rows: [{name, from, to, told, shape}], `from` and `to` joined by a line. */
export function dumbbells(host, rows, { words, label, rules = [] }) {
  const height = EDGE.top + EDGE.bottom + 22 * rows.length;
  const { svg, width } = canvas(host, height, label);
  const left = Math.min(width * 0.45, 250);
  const x = fitting(rows.flatMap((row) => [row.from, row.to]), [left, width - EDGE.right - 6], { within: [0, 1] });
  const y = (k) => EDGE.top + 22 * k + 11;
  const axis = s("g", { class: "axes", "font-size": 11 });
  for (const tick of x.ticks(Math.max(2, Math.floor((width - left) / 90)))) axis.append(s("line", { class: "grid", x1: x(tick), x2: x(tick), y1: EDGE.top, y2: height - EDGE.bottom }), s("text", { x: x(tick), y: height - EDGE.bottom + 16, "text-anchor": "middle" }, short(tick)));
  for (const { at, text } of rules) axis.append(s("line", { class: "rule", x1: x(at), x2: x(at), y1: EDGE.top, y2: height - EDGE.bottom }), s("text", { class: "ruled", ...beside(x(at), width), y: height - EDGE.bottom - 4 }, text));
  axis.append(s("text", { class: "side", x: (left + width) / 2, y: height - 6, "text-anchor": "middle" }, words));
  svg.append(axis);
  rows.forEach((row, k) => {
    svg.append(
      s("text", { class: "named", "font-size": 11, x: left - 10, y: y(k), "text-anchor": "end", "dominant-baseline": "central" }, row.name, s("title", null, row.told)),
      s("line", { class: "join", x1: x(row.from), x2: x(row.to), y1: y(k), y2: y(k) }),
      s("path", { class: "point dm", d: mark("circle", x(row.from), y(k), 4.5) }),
      s("path", { class: "point tlm", d: mark(row.shape, x(row.to), y(k), 4.5) }),
    );
  });
  host.replaceChildren(svg);
  return { svg, width, height };
}
