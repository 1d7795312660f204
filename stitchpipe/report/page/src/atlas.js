// The first screen: two networks, one measure, a heat map with the ridge of best matches, and the table beside it.

import { distances, linked } from "./cluster.js";
import { scaled } from "./colours.js";
import { csv } from "./csv.js";
import { announce, byId, h } from "./dom.js";
import { buttons } from "./files.js";
import { HeatMap, legend } from "./heatmap.js";
import { nearest } from "./nearest.js";
import { NearestTable } from "./nearest_table.js";
import { fixed, NONE, count } from "./numbers.js";
import { matrixCall, nearestCall, opened } from "./python.js";
import { about, axis, hasPairs, measureOf } from "./store.js";

const MOST_CELLS = 4_000_000;
const MOST_CLUSTERED = 1500;
const MOST_ROWS = 400;

/** The layers of a network, or of all, that a search leaves. */
function layersOf(model, find) {
  const words = (find || "").toLowerCase().split(/\s+/).filter(Boolean);
  return axis.filter((layer) => (model === "*" || layer.model === model) && words.every((word) => layer.full.toLowerCase().includes(word)));
}

/** Those that were measured with any of the others. */
const measuredAmong = (layers, others, has) => layers.filter((layer) => others.some((other) => has(layer, other)));

export class Atlas {
  /** @param {{state: object, change: (more: object) => void}} page */
  constructor(page) {
    this.page = page;
    this.main = new HeatMap(byId("map"), { label: "", onHover: (cell) => this.point(cell), onOpen: (r, c) => this.open(r, c) });
    this.second = new HeatMap(byId("map-second"), { label: "", onOpen: (r, c) => this.open(r, c) });
    this.third = new HeatMap(byId("map-third"), { label: "", onOpen: (r, c) => this.open(r, c) });
    this.nearestTable = new NearestTable(byId("nearest"), {
      onOpen: (r) => this.best[r].best && this.page.change({ cell: `${this.best[r].row.place}.${this.best[r].best.place}` }),
      onPoint: (r) => this.main.point(r === null || !this.best[r].best ? null : [r, this.columns.indexOf(this.best[r].best)]),
    });
    byId("files").replaceChildren(buttons({ name: () => this.fileName(), drawing: () => this.drawing(), rows: () => this.csv(), python: () => this.python() }));
  }

  get measure() {
    return measureOf(this.page.state.measure);
  }

  get beside() {
    const { state } = this.page;
    return state.beside && state.beside !== state.measure ? measureOf(state.beside) : null;
  }

  /** Draw what the state asks for. */
  async draw() {
    const round = (this.round = (this.round || 0) + 1);
    const { a, b, find } = this.page.state;
    let [rows, columns] = [layersOf(a, find), layersOf(b, find)];
    const isCoarse = !hasPairs || rows.length * columns.length > MOST_CELLS;
    byId("stage").classList.toggle("comparing", Boolean(this.beside) && !isCoarse);
    byId("compared").hidden = !this.beside || isCoarse;
    this.isCoarse = isCoarse;
    if (isCoarse) return this.drawCoarse(round);
    const places = (layers) => layers.map((layer) => layer.place);
    const shown = [this.measure, this.beside].filter(Boolean);
    await Promise.all(shown.map((measure) => measure.value.need(places(rows), places(columns))));
    if (round !== this.round) return;
    const has = (layer, other) => shown.some((measure) => measure.value.wasMeasured(layer.place, other.place));
    const all = rows;
    rows = measuredAmong(rows, columns, has);
    columns = measuredAmong(columns, all, (column, row) => has(row, column));
    [this.rows, this.columns] = this.ordered(rows, columns);
    this.numbers = new Map(shown.map((measure) => [measure, measure.value.among(this.rows, this.columns)]));
    this.best = nearest(this.measure.sign, this.numbers.get(this.measure), this.rows, this.columns);
    if (!rows.length) return this.drawNothing();
    byId("nothing").hidden = true;
    byId("stage").hidden = false;
    this.drawMain();
    performance.mark("map");
    if (this.beside) this.drawBeside();
    this.keep();
    const known = [this.measure.interval, this.measure.effect, this.measure.pFamily, this.measure.pValue].filter(Boolean);
    // The picture is there; the table waits for what stands in it, and is laid out once.
    await Promise.all(known.map((plane) => plane.need(places(rows), places(columns))));
    if (round === this.round) this.table();
  }

  drawNothing() {
    byId("stage").hidden = true;
    byId("nothing").hidden = false;
    byId("nothing").textContent = this.page.state.find ? "No layer that was measured here has this in its name." : "Nothing was measured between these networks under this measure.";
  }

  ordered(rows, columns) {
    if (this.page.state.order !== "cluster" || Math.max(rows.length, columns.length) > MOST_CLUSTERED) return [rows, columns];
    const value = (r, c) => this.measure.value.value(r.place, c.place);
    const ordered = (layers, profile) => linked(distances(layers.map(profile)), layers.length).leaves.map((k) => layers[k]);
    return [ordered(rows, (row) => columns.map((column) => value(row, column))), ordered(columns, (column) => rows.map((row) => value(row, column)))];
  }

  /** What the colours span: the measure's range, or the numbers at hand. */
  scale(measure) {
    let [low, high] = measure.range;
    if (this.page.state.span === "data") {
      [low, high] = [Infinity, -Infinity];
      for (const number of this.numbers.get(measure)) {
        if (number < low) low = number;
        if (number > high) high = number;
      }
    }
    return measure.similarity ? scaled("similar", low, high) : scaled("similar", high, low);
  }

  threshold(measure) {
    const from = this.page.state.from;
    if (from === undefined || from === "") return null;
    const [low, high] = measure.range;
    const worst = measure.similarity ? low : high;
    return worst + (Number(from) / 100) * ((measure.similarity ? high : low) - worst);
  }

  drawMain() {
    const { measure } = this;
    const limit = this.threshold(measure);
    const faint = limit === null ? null : (number) => measure.sign * number < measure.sign * limit;
    this.main.box.setAttribute("aria-label", `${measure.name}: layers of ${said(this.page.state.a)} down, of ${said(this.page.state.b)} across. Arrow keys move, n goes to the best match of a row, Enter opens a pair.`);
    const spot = new Map(this.columns.map((column, c) => [column, c]));
    this.main.show(this.figure(measure, { faint, marks: this.best.flatMap(({ best }, r) => (best ? [[r, spot.get(best)]] : [])) }));
    byId("legend").replaceChildren(...ends(this.scale(measure), measure), h("span", { class: "key" }, h("i", { class: "frame-key" }), "best match of a row"));
    byId("map-title").textContent = this.beside ? measure.name : "";
    const total = this.rows.length * this.columns.length;
    let passing = 0;
    if (faint) for (const number of this.numbers.get(measure)) passing += measure.sign * number >= measure.sign * limit ? 1 : 0;
    byId("passing").textContent = faint ? `${count(passing)} of ${count(total)} pairs are at ${measure.similarity ? "least" : "most"} ${fixed(limit, 2)}` : "all pairs";
  }

  figure(measure, more) {
    const { rows, columns } = this;
    const { value } = measure;
    const [numbers, n] = [this.numbers.get(measure), columns.length];
    // Clusters mix networks: there each layer has its full name, and no line parts networks.
    const named = (layers) => (this.page.state.order === "cluster" ? clustered(layers) : layers);
    return {
      rows: named(rows),
      columns: named(columns),
      sides: [`source: ${said(this.page.state.a)}`, `target: ${said(this.page.state.b)}`],
      scale: this.scale(measure),
      value: (r, c) => numbers[r * n + c],
      state: (r, c) => value.reason(rows[r].place, columns[c].place),
      printed: (r, c) => fixed(numbers[r * n + c], Math.min(2, value.about.decimals)),
      told: (r, c) => this.told(measure, rows[r], columns[c]),
      ...more,
    };
  }

  /** What is said of a pair under the cursor: its names, its number, and what stands beside it. */
  told(measure, row, column) {
    const at = [row.place, column.place];
    const number = measure.value.text(...at);
    const why = number === NONE ? measure.value.reason(...at) || "not measured" : null;
    return [
      `${row.full} → ${column.full}`,
      number,
      why,
      measure.interval && number !== NONE ? `95 % interval ${measure.interval.text(...at)}` : null,
      measure.effect && number !== NONE ? `${measure.effect.text(...at)} deviations above chance` : null,
      measure.pFamily && number !== NONE ? `family-wise p ${measure.pFamily.text(...at)}` : null,
    ];
  }

  drawBeside() {
    const other = this.beside;
    const [one, two] = [this.measure, other];
    byId("second-title").textContent = two.name;
    this.second.box.setAttribute("aria-label", `${two.name}, the same pairs`);
    this.second.show(this.figure(two, {}));
    byId("legend-second").replaceChildren(...ends(this.scale(two), two));
    const { values, words, ends: limits } = this.difference(one, two);
    const most = Math.max(1e-9, values.reduce((largest, each) => Math.max(largest, Math.abs(each) || 0), 0));
    const n = this.columns.length;
    this.third.box.setAttribute("aria-label", `${words}, the same pairs`);
    this.third.show({
      ...this.figure(one, {}),
      scale: scaled("difference", -most, most),
      value: (r, c) => values[r * n + c],
      printed: (r, c) => fixed(values[r * n + c], 2),
      told: (r, c) => [`${this.rows[r].full} → ${this.columns[c].full}`, fixed(values[r * n + c], 3), `${one.title} ${one.value.text(this.rows[r].place, this.columns[c].place)}`, `${two.title} ${two.value.text(this.rows[r].place, this.columns[c].place)}`],
    });
    byId("third-title").textContent = words;
    byId("legend-third").replaceChildren(...legend(scaled("difference", -most, most), [fixed(-most, 2), fixed(most, 2)], limits));
  }

  /** The second measure less the first: of numbers where both have one range, else of ranks among the pairs shown. */
  difference(one, two) {
    const of = (measure) => Array.from(this.numbers.get(measure), (number) => measure.sign * number);
    const [x, y] = [of(one), of(two)];
    const isAlike = one.similarity && two.similarity && String(one.range) === String(two.range);
    const [from, to] = isAlike ? [x, y] : [ranks(x), ranks(y)];
    return { values: from.map((each, k) => to[k] - each), words: isAlike ? "Difference" : "Difference of ranks", ends: `more similar by ${two.title} to the right` };
  }

  async drawCoarse(round) {
    const { measure } = this;
    byId("stage").hidden = false;
    byId("nothing").hidden = hasPairs;
    byId("nothing").textContent = hasPairs ? "" : "This run is too large for one file: the map shows means over squares of layers. Numbers of single pairs are shown by: stitchpipe serve RUN";
    await measure.models.need([0], [0]);
    const side = measure.coarse ? measure.coarse.about.side : 1;
    const plane = measure.coarse || measure.value;
    const places = Array.from({ length: Math.ceil(axis.length / side) }, (_, k) => k);
    await plane.need(places, places);
    if (round !== this.round) return;
    const { a, b } = this.page.state;
    const layers = places.map((k) => ({ ...axis[k * side], last: axis[Math.min(axis.length, (k + 1) * side) - 1] }));
    [this.rows, this.columns] = [a, b].map((model) => layers.filter((layer) => model === "*" || layer.model === model || layer.last.model === model));
    const [low, high] = measure.range;
    const at = (layer) => Math.floor(layer.place / side);
    const span = (layer) => (layer.last === axis[layer.place] ? layer.full : `${layer.full} … ${layer.last.full}`);
    this.best = [];
    this.main.box.setAttribute("aria-label", `${measure.name}: means over squares of ${side} × ${side} layers`);
    this.main.show({
      rows: this.rows,
      columns: this.columns,
      sides: ["source", "target"],
      scale: measure.similarity ? scaled("similar", low, high) : scaled("similar", high, low),
      value: (r, c) => plane.value(at(this.rows[r]), at(this.columns[c])),
      state: () => null,
      told: (r, c) => [`${span(this.rows[r])} → ${span(this.columns[c])}`, plane.text(at(this.rows[r]), at(this.columns[c])), `mean of ${side} × ${side} pairs`, hasPairs ? "Enter or a click opens the two networks" : null],
    });
    byId("legend").replaceChildren(...legend(this.main.shown.scale, [fixed(measure.similarity ? low : high, 2), fixed(measure.similarity ? high : low, 2)], "brighter is more similar"));
    this.nearestTable.say("Choose two networks to see the nearest layer of each.");
  }

  open(r, c) {
    const [row, column] = [this.rows[r], this.columns[c]];
    if (row.last && hasPairs) this.page.change({ a: row.model, b: column.model, cell: "" });
    else if (!row.last) this.page.change({ cell: `${row.place}.${column.place}` });
  }

  /** Frame the pair that is open, where the map has it. */
  keep() {
    const [row, column] = (this.page.state.cell || "").split(".").map(Number);
    const at = [this.rows, this.columns].map((layers, side) => (layers || []).findIndex((layer) => layer.place === [row, column][side]));
    this.main.keep(at.includes(-1) ? null : at);
  }

  point(cell) {
    this.nearestTable.mark(cell ? cell[0] : null);
  }

  /** The table: each layer, its nearest, and how sure that is. */
  table() {
    const { measure, best } = this;
    const { a, b } = this.page.state;
    const has = { interval: measure.interval, effect: measure.effect, family: measure.pFamily, p: !measure.pFamily && measure.pValue };
    const name = (layer, isFull) => (layer ? (isFull ? layer.full : layer.layer) : NONE);
    const number = (plane, row, column) => (column ? plane.text(row.place, column.place) : NONE);
    const head = ["layer", "nearest", "value", has.interval && "95 % interval", has.effect && "effect size", has.family && "family p", has.p && "p", "runner-up", "its value"].filter(Boolean);
    const texts = best.slice(0, MOST_ROWS).map(({ row, best: first, second }) => [
      name(row, a === "*"),
      name(first, b === "*"),
      number(measure.value, row, first),
      has.interval && number(measure.interval, row, first),
      has.effect && number(measure.effect, row, first),
      (has.family || has.p) && number(has.family || has.p, row, first),
      name(second, b === "*"),
      number(measure.value, row, second),
    ].filter((text) => text !== false && text !== null));
    const caption = `The nearest layer of ${said(b)} for each layer of ${said(a)}, by ${measure.name}`;
    const note = best.length > MOST_ROWS ? `The first ${MOST_ROWS} of ${count(best.length)} layers; a search shows others, the CSV all.` : "";
    this.nearestTable.show(head, texts, caption, note);
    byId("nearest-title").textContent = `Nearest in ${said(b)}`;
  }

  fileName() {
    const { a, b, measure } = this.page.state;
    return `${about.title}-${measure.replace("@", "-")}-${a}-${b}`.replace(/[^\w.()-]+/g, "_");
  }

  drawing() {
    return { copy: this.main.standalone(), original: this.main.svg, width: this.main.totalWidth, height: this.main.totalHeight };
  }

  csv() {
    if (this.isCoarse) return this.coarseCsv();
    const { measure } = this;
    const head = ["source_model", "source_layer", "target_model", "target_layer", "index", "view", "value", "low", "high", "effect_size", "p_family"];
    const rows = this.rows.flatMap((row) => this.columns.map((column) => {
      const at = [row.place, column.place];
      const [low, high] = measure.interval ? measure.interval.limits(...at) : [NaN, NaN];
      const known = (plane) => (plane ? plane.value(...at) : NaN);
      const rounded = (number) => (Number.isNaN(number) ? null : Number(number.toPrecision(6)));
      return [row.model, row.layer, column.model, column.layer, measure.index, measure.view, rounded(measure.value.value(...at)), rounded(low), rounded(high), rounded(known(measure.effect)), rounded(known(measure.pFamily))];
    }));
    return csv(head, rows);
  }

  /** Of a coarse map: squares by their first layers. */
  coarseCsv() {
    const { value } = this.main.shown;
    return csv(["first_source", "first_target", "mean"], this.rows.flatMap((row, r) => this.columns.map((column, c) => [row.full, column.full, Number(value(r, c).toPrecision(6))])));
  }

  python() {
    const { a, b, cell } = this.page.state;
    const lines = [opened(location.href), matrixCall(this.measure, a, b)];
    const row = cell ? axis[Number(cell.split(".")[0])] : this.rows[0];
    if (row) lines.push(nearestCall(this.measure, row.full, b));
    return lines.join("\n");
  }
}

const clustered = (layers) => {
  const isMixed = layers.some((layer) => layer.model !== layers[0].model);
  return layers.map((layer) => ({ ...layer, layer: isMixed ? layer.full : layer.layer, model: "" }));
};

export const said = (model) => (model === "*" ? "all networks" : model);

const ends = (scale, measure) => {
  const decimals = Math.min(2, measure.value.about.decimals);
  return legend(scale, [fixed(scale.low, decimals), fixed(scale.high, decimals)], measure.similarity ? "brighter is more similar" : "brighter is more similar: small numbers");
};

/** Ranks from 0 to 1, ties in their middle; NaN where there is no number. */
export function ranks(numbers) {
  const order = numbers.map((_, k) => k).filter((k) => numbers[k] === numbers[k]).sort((x, y) => numbers[x] - numbers[y]);
  const made = numbers.map(() => NaN);
  for (let k = 0; k < order.length; ) {
    let end = k + 1;
    while (end < order.length && numbers[order[end]] === numbers[order[k]]) end++;
    for (let at = k; at < end; at++) made[order[at]] = (k + end - 1) / 2 / Math.max(1, order.length - 1);
    k = end;
  }
  return made;
}
