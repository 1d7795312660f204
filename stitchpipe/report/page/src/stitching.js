// Direct matching against task loss matching, and what accuracy hides: how far from its distribution the target is fed.

import { dumbbells, scatter } from "./charts.js";
import { scaled } from "./colours.js";
import { csv } from "./csv.js";
import { byId, h } from "./dom.js";
import { buttons } from "./files.js";
import { HeatMap, legend } from "./heatmap.js";
import { fixed, share, short } from "./numbers.js";
import { about, axis } from "./store.js";
import { ACCURACY, distances, RELATIVE, records, sources, targets } from "./stitches.js";

const SHAPES = { random: "diamond", identity: "square", dm: "cross" };
const shapeOf = (record) => (record.method === "dm" ? "circle" : SHAPES[record.init] || "diamond");
const starts = [...new Set(records.filter((record) => record.method === "tlm").map((record) => record.init || ""))];

export class Stitching {
  constructor(page) {
    this.page = page;
    const open = (record) => record && page.change({ a: record.from.model, b: record.to.model, cell: placesOf(record), at: "atlas" });
    this.open = open;
    const map = (id, label) => new HeatMap(byId(id), { label, onOpen: (r, c) => open(this.shown(id)?.get(`${r}.${c}`)) });
    this.maps = { direct: map("stitch-dm", "Relative accuracy of stitches by direct matching"), trained: map("stitch-tlm", "Relative accuracy of stitches by task loss matching"), difference: map("stitch-difference", "Task loss matching less direct matching") };
    const choices = [["best", "their best start"], ...starts.map((start) => [start, `a ${start} start`])];
    byId("start").replaceChildren(...choices.map(([value, text]) => h("option", { value }, text)));
    byId("start").parentElement.hidden = starts.length < 2;
    byId("start").addEventListener("change", () => page.change({ start: byId("start").value }));
    byId("over").replaceChildren(...distances.map(([name, title]) => h("option", { value: name }, title)));
    byId("over").addEventListener("change", () => page.change({ over: byId("over").value }));
    byId("stitch-files").replaceChildren(buttons({
      name: () => `${about.title}-accuracy-and-distribution`.replace(/[^\w.()-]+/g, "_"),
      drawing: () => ({ copy: this.chart.svg.cloneNode(true), original: this.chart.svg, width: this.chart.width, height: this.chart.height }),
      rows: () => stitchRows(),
    }));
  }

  shown(id) {
    return id === "stitch-dm" ? this.direct : this.trained?.size ? this.trained : this.direct;
  }

  draw() {
    const start = this.page.state.start || "best";
    byId("start").value = start;
    this.direct = best(records.filter((record) => record.method === "dm"));
    this.trained = best(records.filter((record) => record.method === "tlm" && (start === "best" || record.init === start)));
    const value = (cells) => (r, c) => cells.get(`${r}.${c}`)?.[RELATIVE] ?? NaN;
    const [dm, tlm] = [value(this.direct), value(this.trained)];
    const most = Math.max(1, ...records.map((record) => record[RELATIVE] ?? 0));
    const scale = scaled("similar", 0, most);
    byId("dm-figure").hidden = !this.direct.size;
    byId("tlm-figure").hidden = !this.trained.size;
    byId("difference-figure").hidden = !this.direct.size || !this.trained.size;
    const common = { rows: sources, columns: targets, sides: ["source", "target"], state: () => null, most: 40, tallest: 900 };
    const figure = (of, cells) => ({ ...common, scale, value: of, printed: (r, c) => fixed(of(r, c), 2), told: (r, c) => told(cells.get(`${r}.${c}`), r, c) });
    if (this.direct.size) this.maps.direct.show(figure(dm, this.direct));
    if (this.trained.size) this.maps.trained.show(figure(tlm, this.trained));
    const difference = (r, c) => tlm(r, c) - dm(r, c);
    if (this.direct.size && this.trained.size) this.maps.difference.show({ ...common, scale: scaled("difference", -1, 1), value: difference, printed: (r, c) => fixed(difference(r, c), 2), told: (r, c) => [`${sources[r].full} → ${targets[c].full}`, fixed(difference(r, c), 3), `DM ${fixed(dm(r, c), 3)}, TLM ${fixed(tlm(r, c), 3)}`] });
    byId("stitch-legend").replaceChildren(...legend(scale, ["0.00", fixed(most, 2)], "accuracy relative to the target network's own"));
    byId("difference-legend").replaceChildren(...legend(scaled("difference", -1, 1), ["−1", "1"], "to the right: task loss matching is more accurate"));
    this.late();
    this.distribution();
  }

  late() {
    const pairs = records.filter((record) => record.method === "tlm" && record.kind === "late → early" && record[RELATIVE] !== undefined).flatMap((trained) => {
      const direct = this.direct.get(`${trained.source}.${trained.target}`);
      return direct?.[RELATIVE] === undefined ? [] : [{ trained, direct }];
    });
    byId("late-figure").hidden = !pairs.length;
    if (!pairs.length) return;
    const chance = about.chance === null || !pairs[0].trained.own ? [] : [{ at: about.chance / pairs[0].trained.own, text: "chance" }];
    dumbbells(byId("late"), pairs.map(({ trained, direct }) => ({ name: `${trained.from.full} → ${trained.to.full}${starts.length > 1 && trained.init !== "random" ? ` (${trained.init})` : ""}`, from: direct[RELATIVE], to: trained[RELATIVE], shape: shapeOf(trained), told: `DM ${fixed(direct[RELATIVE], 3)}, ${trained.called} ${fixed(trained[RELATIVE], 3)}` })), { words: "relative accuracy", label: `Relative accuracy of ${pairs.length} stitches of late layers into early places, direct matching beside task loss matching`, rules: chance });
  }

  distribution() {
    byId("distribution").hidden = !distances.length;
    if (!distances.length) return;
    const name = distances.some(([each]) => each === this.page.state.over) ? this.page.state.over : distances[0][0];
    byId("over").value = name;
    const title = distances.find(([each]) => each === name)[1];
    const known = records.filter((record) => record[name] !== undefined && record[RELATIVE] !== undefined);
    // A layer matched with itself is at zero up to rounding, which a logarithmic axis would take all its room for.
    const positive = known.map((record) => record[name]).filter((each) => each > 1e-4);
    const log = positive.length > 0 && Math.max(...positive) / Math.min(...positive) > 300 && Math.max(...positive) > 2;
    const points = known.map((record) => ({ record, x: record[RELATIVE], y: log ? Math.max(record[name], 1e-4) : record[name], kind: record.method === "tlm" ? "tlm" : "dm", shape: shapeOf(record), told: [`${record.from.full} → ${record.to.full}`, record.called, `relative accuracy ${fixed(record[RELATIVE], 3)}`, `${title} ${short(record[name])}`] }));
    const own = known.find((record) => record.own)?.own;
    const rules = [...(about.chance !== null && own ? [{ at: about.chance / own, text: "chance" }] : []), { at: 1, text: "the target itself" }];
    this.chart = scatter(byId("scatter"), points, { words: ["relative accuracy", title + (log ? ", logarithmic" : "")], label: `${title} against relative accuracy, ${known.length} stitches`, height: 420, log, rules, within: { x: [0, 1], y: [0, 0] }, onOpen: (point) => this.open(point.record) });
  }
}

/** The most accurate stitch of each pair, by `source.target`. */
function best(some) {
  const cells = new Map();
  for (const record of some) {
    const key = `${record.source}.${record.target}`;
    if (record[RELATIVE] !== undefined && !(cells.get(key)?.[RELATIVE] >= record[RELATIVE])) cells.set(key, record);
  }
  return cells;
}

function told(record, r, c) {
  const name = `${sources[r].full} → ${targets[c].full}`;
  if (!record) return [name, "–", "not made"];
  const beside = [record.own && `target's own ${share(record.own)}`, about.chance !== null && `chance ${share(about.chance)}`].filter(Boolean).join(", ");
  return [name, fixed(record[RELATIVE], 3), `${record.called}: accuracy ${share(record.accuracy)}`, beside, ...distances.slice(0, 3).filter(([each]) => record[each] !== undefined).map(([each, title]) => `${title} ${short(record[each])}`)];
}

function placesOf(record) {
  const place = (layer) => axis.find((each) => each.full === layer.full)?.place;
  const [row, column] = [place(record.from), place(record.to)];
  return row === undefined || column === undefined ? "" : `${row}.${column}`;
}

function stitchRows() {
  const names = about.stitches.measures.map(([name]) => name);
  return csv(["source", "target", "method", "init", "objective", "seed", "steps", ...names], records.map((record) => [record.from.full, record.to.full, record.method, record.init, record.objective, record.seed, record.steps, ...names.map((name) => record[name])]));
}

export const hasStitches = records.some((record) => record[ACCURACY] !== undefined || record[RELATIVE] !== undefined);
