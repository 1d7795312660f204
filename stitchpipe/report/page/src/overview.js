// Networks against networks: how well the layers of one find a match in another, as a map, a tree and a plane.

import { scatter } from "./charts.js";
import { linked, placed } from "./cluster.js";
import { scaled } from "./colours.js";
import { csv } from "./csv.js";
import { byId, s, fitted } from "./dom.js";
import { buttons } from "./files.js";
import { HeatMap, legend } from "./heatmap.js";
import { fixed } from "./numbers.js";
import { about, measureOf } from "./store.js";

const MOST_PLACED = 300;

export class Overview {
  constructor(page) {
    this.page = page;
    this.map = new HeatMap(byId("models-map"), { label: "Networks by networks", onOpen: (r, c) => this.open(r, c) });
    byId("models-files").replaceChildren(buttons({
      name: () => `${about.title}-networks`.replace(/[^\w.()-]+/g, "_"),
      drawing: () => ({ copy: this.map.standalone(), original: this.map.svg, width: this.map.totalWidth, height: this.map.totalHeight }),
      rows: () => csv(["source_model", "target_model", "mean_best"], this.order.flatMap((a) => this.order.map((b) => [about.axis.models[a], about.axis.models[b], known(this.value(a, b))]))),
    }));
  }

  open(r, c) {
    const [a, b] = [this.order[r], this.order[c]].map((k) => about.axis.models[k]);
    this.page.change({ a, b, cell: "", at: "atlas" });
  }

  async draw() {
    const measure = measureOf(this.page.state.measure);
    const n = about.axis.models.length;
    const places = Array.from({ length: n }, (_, k) => k);
    await measure.models.need(places, places);
    if (measure.id !== this.page.state.measure) return;
    this.value = (a, b) => measure.models.value(a, b);
    const there = places.filter((a) => places.some((b) => b !== a && !Number.isNaN(this.value(a, b))));
    byId("overview").classList.toggle("empty", there.length < 3);
    if (there.length < 3) return;
    const away = this.away(measure, there);
    const tree = linked(away, there.length);
    this.order = tree.leaves.map((k) => there[k]);
    this.drawMap(measure);
    this.drawTree(tree, there);
    byId("plane-figure").hidden = there.length > MOST_PLACED;
    if (there.length <= MOST_PLACED) this.drawPlane(there, away);
  }

  /** How far networks are from each other: the mean of both directions, 0 for those that match best. */
  away(measure, there) {
    const n = there.length;
    const [low, high] = measure.range;
    const far = (a, b) => {
      const both = [this.value(a, b), this.value(b, a)].filter((each) => each === each);
      if (!both.length) return high - low;
      const mean = both.reduce((sum, each) => sum + each, 0) / both.length;
      return Math.max(0, measure.similarity ? high - mean : mean - low);
    };
    const away = new Float64Array(n * n);
    there.forEach((a, i) => there.forEach((b, j) => (away[i * n + j] = i === j ? 0 : far(a, b))));
    return away;
  }

  drawMap(measure) {
    const layers = this.order.map((k) => ({ layer: about.axis.models[k], full: about.axis.models[k], model: "" }));
    const numbers = this.order.flatMap((a) => this.order.map((b) => this.value(a, b))).filter((each) => each === each);
    const [low, high] = numbers.reduce(([least, most], each) => [Math.min(least, each), Math.max(most, each)], [Infinity, -Infinity]);
    const scale = measure.similarity ? scaled("similar", low, high) : scaled("similar", high, low);
    const value = (r, c) => this.value(this.order[r], this.order[c]);
    this.map.show({ rows: layers, columns: layers, sides: ["source", "target"], scale, value, state: () => null, printed: (r, c) => fixed(value(r, c), 2), told: (r, c) => [`${layers[r].full} → ${layers[c].full}`, fixed(value(r, c), measure.value.about.decimals), "mean over the source's layers of their best match", "Enter or a click opens the layers"], most: 54 });
    byId("models-legend").replaceChildren(...legend(scale, [fixed(scale.low, 2), fixed(scale.high, 2)], "brighter is more similar"));
    byId("models-title").textContent = measure.name;
  }

  /** The tree of average linkage: its leaves in the order of the map. */
  drawTree(tree, there) {
    const host = byId("tree");
    const width = Math.max(240, host.clientWidth);
    const row = Math.max(4, Math.min(22, 560 / there.length));
    const [height, room] = [row * there.length + 30, Math.min(150, width / 2.5)];
    const most = tree.height || 1;
    const x = (each) => 6 + (1 - each / most) * (width - room - 16);
    const svg = s("svg", { class: "chart", width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `Tree of ${there.length} networks by average linkage` });
    let next = 0;
    const drawn = (node) => {
      if (!node.left) {
        const y = row * next++ + row / 2 + 4;
        if (row >= 11) svg.append(s("text", { class: "named", "font-size": 11, x: x(0) + 6, y, "dominant-baseline": "central" }, fitted(about.axis.models[there[node.leaves[0]]], room, 11)));
        return [x(0), y];
      }
      const [[x1, y1], [x2, y2]] = [drawn(node.left), drawn(node.right)];
      const at = x(node.height);
      svg.append(s("path", { class: "branch", d: `M${x1} ${y1}H${at}V${y2}H${x2}` }));
      return [at, (y1 + y2) / 2];
    };
    drawn(tree);
    svg.append(s("text", { class: "side", "font-size": 11, x: 6, y: height - 4 }, `${fixed(most, 2)} apart`), s("text", { class: "side", "font-size": 11, x: x(0), y: height - 4, "text-anchor": "end" }, "0"));
    host.replaceChildren(svg);
  }

  drawPlane(there, away) {
    const at = placed(away, there.length);
    const names = about.axis.models;
    const points = there.map((model, k) => ({ model, x: at[k][0], y: at[k][1], kind: names[model] === this.page.state.a || names[model] === this.page.state.b ? "chosen" : "plain", shape: "circle", name: there.length <= 40 ? names[model] : "", told: [names[model]] }));
    scatter(byId("plane"), points, { words: ["first direction", "second direction"], label: `Networks in the plane by classical scaling: near ones match each other's layers`, height: 360, isSquare: true, onOpen: (point) => this.page.change({ a: names[point.model], cell: "", at: "atlas" }) });
  }
}

const known = (number) => (Number.isNaN(number) ? null : Number(number.toPrecision(6)));
