// One pair of layers: every measure of it, its stitches, and how their maps were trained.

import { curves } from "./charts.js";
import { byId, h, s } from "./dom.js";
import { count, fixed, NONE, share, short } from "./numbers.js";
import { about, axis, hasPairs, measures } from "./store.js";
import { RELATIVE, stitchesOf } from "./stitches.js";

/** Draw the pair that a state names, or put the panel away. */
export async function drawPair(page) {
  const panel = byId("pair");
  const { cell } = page.state;
  const places = cell ? cell.split(".").map(Number) : [];
  const [row, column] = places.map((place) => axis[place]);
  byId("side").classList.toggle("paired", Boolean(row && column && hasPairs));
  if (!row || !column || !hasPairs) {
    panel.hidden = true;
    panel.replaceChildren();
    return;
  }
  const planes = measures.flatMap((measure) => [measure.value, measure.interval, measure.effect, measure.pFamily, measure.pValue, measure.rank].filter(Boolean));
  await Promise.all(planes.map((plane) => plane.need([row.place], [column.place])));
  if (page.state.cell !== cell) return;
  const close = h("button", { type: "button", class: "quiet close", onclick: () => page.change({ cell: "" }) }, "Close");
  const back = h("button", { type: "button", class: "quiet", onclick: () => page.change({ a: column.model, b: row.model, cell: `${column.place}.${row.place}` }) }, "The other way round");
  const title = h("h3", { tabindex: "-1", id: "pair-title" }, h("span", null, row.full), h("i", { "aria-label": "to" }, " → "), h("span", null, column.full));
  panel.replaceChildren(title, h("div", { class: "files" }, close, back), facts(row, column), numbers(page, row, column), ...stitched(row, column), ...examples(row, column));
  panel.hidden = false;
  drawCurves(panel, row, column);
  if (page.opened !== cell) title.focus({ preventScroll: window.innerWidth > 900 });
  page.opened = cell;
}

/** What the numbers were taken on. */
function facts(row, column) {
  const made = about.views.filter((view) => view.widths[row.place] && view.widths[column.place]).map((view) => {
    const grid = view.grids[column.place];
    return `${view.name}: ${count(view.samples)} images${view.rows[column.place] && view.rows[column.place] !== view.samples ? `, ${count(view.rows[column.place])} rows` : ""}, ${view.widths[row.place]} → ${view.widths[column.place]} features${grid && grid !== "1x1" ? ` on ${grid.replace("x", " × ")}` : ""}`;
  });
  return h("p", { class: "note" }, made.join(" · "));
}

function numbers(page, row, column) {
  const at = [row.place, column.place];
  const there = measures.filter((measure) => measure.value.wasMeasured(...at));
  if (!there.length) return h("p", { class: "note" }, "No measure was taken of this pair.");
  const any = (name) => there.some((measure) => measure[name] && measure[name].text(...at) !== NONE);
  const has = { interval: any("interval"), effect: any("effect"), p: any("pValue"), family: any("pFamily"), rank: any("rank") };
  const cell = (plane) => h("td", { class: "num" }, plane ? plane.text(...at) : NONE);
  const head = ["", "value", has.interval && "95 % interval", has.effect && "effect size", has.p && "p", has.family && "family p", has.rank && "rank"].filter((word) => word !== false);
  const line = (measure) => {
    const why = measure.value.reason(...at);
    const choose = h("button", { type: "button", class: "link", onclick: () => page.change({ measure: measure.id }), "aria-current": measure.id === page.state.measure ? "true" : null }, measure.title);
    return h("tr", { class: measure.id === page.state.measure ? "here" : null }, [
      h("th", { scope: "row" }, choose),
      why ? h("td", null, why) : h("td", { class: "num strong" }, measure.value.text(...at)),
      has.interval && cell(measure.interval),
      has.effect && cell(measure.effect),
      has.p && cell(measure.pValue),
      has.family && cell(measure.pFamily),
      has.rank && cell(measure.rank),
    ].filter(Boolean));
  };
  const views = [...new Set(there.map((measure) => measure.view))];
  // One body for each view, under its name: a column of its own would repeat it in every row.
  const bodies = views.map((view) => h("tbody", null, h("tr", { class: "group" }, h("th", { scope: "rowgroup", colspan: head.length }, view)), there.filter((measure) => measure.view === view).map(line)));
  return h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "All measures of this pair" }, h("table", null, h("caption", { class: "hidden" }, `All measures of ${row.full} and ${column.full}`), h("thead", null, h("tr", null, head.map((word, k) => (word ? h("th", { scope: "col", class: k ? "num" : null }, word) : h("td"))))), bodies));
}

/** Accuracies of a pair's stitches on one bar each, between chance and the target's own. */
function stitched(row, column) {
  const records = stitchesOf(row, column);
  if (!records.length) return [];
  const measured = about.stitches.measures.filter(([name]) => name !== RELATIVE && records.some((record) => record[name] !== undefined));
  const named = [[RELATIVE, "accuracy, relative"], ...measured];
  const lines = named.map(([name, title]) => h("tr", null, h("th", { scope: "row" }, title), records.map((record) => h("td", { class: name === RELATIVE ? "num strong" : "num", title: record.notes?.[name] || null }, plain(record[name])))));
  return [
    h("h4", null, "Stitched into the target's network"),
    ...records.map(bar),
    h("p", { class: "note" }, `Accuracy of the stitched network${about.chance === null ? "" : ", beside that of always answering the commonest class"} and that of the target network itself.`),
    h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Stitches of this pair" }, h("table", null, h("caption", { class: "hidden" }, "Stitches of this pair"), h("thead", null, h("tr", null, h("td"), records.map((record) => h("th", { scope: "col", class: "num" }, record.called)))), h("tbody", null, lines))),
    ...(records.some((record) => record.curve) ? [h("h4", null, "Training"), h("div", { class: "plot", id: "pair-curves" })] : []),
  ];
}

/** Four decimals, unless they would hide a small number or the size of a large one. */
const plain = (value) => (value === undefined || (value !== 0 && (Math.abs(value) < 1e-3 || Math.abs(value) >= 100)) ? short(value) : fixed(value, 4));

function bar(record) {
  const { accuracy, own } = record;
  if (accuracy === undefined) return null;
  const [width, chance] = [300, about.chance];
  const x = (value) => 4 + value * (width - 8);
  const ticks = [[chance, "chance"], [own, "its own"]].filter(([value]) => value !== null && value !== undefined);
  return h("div", { class: "bar-row" },
    h("span", null, record.called),
    s("svg", { class: "gauge", width, height: 20, viewBox: `0 0 ${width} 20`, preserveAspectRatio: "none", role: "img", "aria-label": `${record.called}: accuracy ${share(accuracy)}${ticks.map(([value, word]) => `, ${word} ${share(value)}`).join("")}` },
      s("rect", { class: "track", x: 4, y: 8, width: width - 8, height: 4 }),
      s("rect", { class: `fill ${record.method === "tlm" ? "tlm" : "dm"}`, x: 4, y: 6, width: Math.max(1, accuracy * (width - 8)), height: 8 }),
      ticks.map(([value, word]) => s("path", { class: "tick", d: `M${x(value)} 1v18` }, s("title", null, `${word} ${share(value)}`)))),
    h("span", { class: "num strong" }, share(accuracy)),
    h("span", { class: "note" }, ticks.map(([value, word]) => `${word} ${share(value)}`).join(", ")));
}

/** Images, and those nearest to them by either layer, where the page has any. */
function examples(row, column) {
  const shown = about.examples;
  const [first, second] = [row, column].map((layer) => shown?.nearest[layer.place]);
  if (!first || !second) return [];
  const picture = (k, kind) => h("img", { src: `data:image/png;base64,${shown.pictures[k]}`, alt: shown.names[k], title: shown.names[k], class: kind });
  const line = (asked) => h("tr", null, h("th", { scope: "row" }, picture(asked, "asked")), [[first, second], [second, first]].map(([own, other]) => h("td", null, own[asked].map((k) => picture(k, other[asked].includes(k) ? "both" : null)))));
  const lines = Array.from({ length: shown.asked }, (_, k) => line(k));
  return [
    h("h4", null, "Images, and those nearest to them"),
    h("p", { class: "note" }, `By the cosine of pooled activations among ${shown.among} test images, whose pictures take ${Math.ceil(shown.bytes / 1000)} kB of this page. A frame marks those that both layers choose.`),
    h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Images, and those nearest to them" }, h("table", { class: "examples" }, h("caption", { class: "hidden" }, `Images, and those nearest to them by ${row.full} and by ${column.full}`), h("thead", null, h("tr", null, h("th", { scope: "col" }, "image"), [row, column].map((layer) => h("th", { scope: "col" }, layer.full)))), h("tbody", null, lines))),
  ];
}

function drawCurves(panel, row, column) {
  const host = panel.querySelector("#pair-curves");
  if (!host) return;
  const records = stitchesOf(row, column).filter((record) => record.curve);
  curves(host, records.map((record, k) => ({ name: record.called, points: record.curve, kind: `curve-${k % 4}` })), { words: ["optimiser step", "loss"], label: `Loss of training: ${records.map((record) => `${record.called} ends at ${short(record.final_loss)}`).join("; ")}` });
}
