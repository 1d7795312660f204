// Numbers of single layers along the depth of their networks: a small chart for each measure, networks over each other.

import { curves } from "./charts.js";
import { csv } from "./csv.js";
import { byId, h, s } from "./dom.js";
import { buttons } from "./files.js";
import { fixed, short } from "./numbers.js";
import { layersCall, opened } from "./python.js";
import { about } from "./store.js";

const MOST_COLOURS = 6;
const SHAPES = ["circle", "diamond", "square", "cross"];
const NORMAL = 1.96;

const charts = about.layers || [];
const models = [...new Set(charts.flatMap((chart) => chart.lines.map((line) => line.model)))];

export class Depth {
  constructor(page) {
    this.page = page;
    this.figures = charts.map((chart) => ({ chart, plot: h("div", { class: "plot" }), left: h("p", { class: "note" }) }));
    byId("depth-charts").replaceChildren(...this.figures.map(({ chart, plot, left }) => h("figure", null, h("figcaption", null, named(chart)), plot, left)));
    byId("depth-files").replaceChildren(buttons({ name: () => `${about.title}-layers`.replace(/[^\w.()-]+/g, "_"), drawing: () => this.drawing(), rows, python: () => `${opened(location.href)}\n${layersCall()}` }));
  }

  /** Networks by colour where they are few; else the two that are looked at, among the others. */
  kinds() {
    const { a, b } = this.page.state;
    if (models.length <= MOST_COLOURS) return new Map(models.map((model, k) => [model, k]));
    return new Map([...new Set([a, b])].filter((model) => models.includes(model)).map((model, k) => [model, k]));
  }

  draw() {
    const kinds = this.kinds();
    const look = (model) => (kinds.has(model) ? { kind: `network-${kinds.get(model)}`, shape: SHAPES[kinds.get(model) % SHAPES.length] } : { kind: "network-other", shape: "circle" });
    const key = [...kinds].map(([model, k]) => h("span", { class: "key" }, h("i", { class: `dash network-${k}` }), model));
    if (models.length > kinds.size) key.push(h("span", { class: "key" }, h("i", { class: "dash network-other" }), `${models.length - kinds.size} others`));
    byId("depth-key").replaceChildren(...key);
    this.drawn = this.figures.map(({ chart, plot, left }) => {
      // Those that are looked at lie over the others.
      const ordered = [...chart.lines].sort((one, other) => kinds.has(one.model) - kinds.has(other.model));
      const lines = ordered.map((line) => ({
        ...look(line.model),
        name: line.model,
        points: line.depths.map((depth, k) => [depth, line.values[k], NORMAL * (line.errors[k] || 0)]),
        told: (k) => [`${line.model}/${line.layers[k]}`, `${chart.title} ${short(line.values[k])}`, ...(line.errors[k] ? [`standard error ${short(line.errors[k])}`] : [])],
      }));
      // The axis spans the numbers at hand: most measures of layers use a small part of their range.
      const within = { x: [0, 1] };
      const missing = chart.lines.flatMap((line) => line.values.flatMap((value, k) => (value === null ? [`${line.model}/${line.layers[k]}`] : [])));
      left.textContent = missing.length ? `${missing.length} ${missing.length === 1 ? "layer has" : "layers have"} no number, the first is ${missing[0]}: ${chart.reason}` : "";
      left.hidden = !missing.length;
      const most = chart.lines.length === 1 ? "one network" : `${chart.lines.length} networks`;
      const drawn = curves(plot, lines, { words: ["relative depth", chart.title.split(",")[0]], label: `${named(chart)} along the depth of ${most}`, height: 230, within });
      // On the page a caption says it; a chart that is saved brings its own.
      drawn.svg.append(s("text", { class: "named", x: 56, y: 9, "font-size": 12, visibility: "hidden" }, named(chart)));
      return drawn;
    });
  }

  /** All charts in one drawing, in rows of three. */
  drawing() {
    const [wide, tall] = [Math.max(...this.drawn.map(({ width }) => width)) + 20, 250];
    const across = Math.min(3, this.drawn.length);
    const [width, height] = [across * wide, Math.ceil(this.drawn.length / across) * tall];
    const whole = s("svg", { viewBox: `0 0 ${width} ${height}`, width, height });
    this.drawn.forEach(({ svg }, k) => {
      const copy = svg.cloneNode(true);
      copy.setAttribute("x", (k % across) * wide);
      copy.setAttribute("y", Math.floor(k / across) * tall + 12);
      copy.querySelector("text[visibility]").removeAttribute("visibility");
      whole.append(copy);
    });
    return { copy: whole, original: byId("depth-charts"), width, height };
  }
}

const named = (chart) => `${chart.title} · ${chart.view}`;

function rows() {
  const head = ["model", "layer", "relative_depth", "view", "measure", "value", "standard_error"];
  return csv(head, charts.flatMap((chart) => chart.lines.flatMap((line) => line.layers.map((layer, k) => [line.model, layer, Number(fixed(line.depths[k], 4)), chart.view, chart.measure, line.values[k], line.errors[k]]))));
}

export const hasDepth = charts.length > 0;
