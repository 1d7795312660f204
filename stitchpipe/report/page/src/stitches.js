// Stitches as the page knows them: each with its layers, a name for how it was made, and its target's own accuracy.

import { about } from "./store.js";

export const RELATIVE = "stitch_relative_accuracy";
export const ACCURACY = "stitch_accuracy";

const layersOf = ({ models, of, layers }) => layers.map((layer, place) => ({ place, layer, model: models[of[place]], full: `${models[of[place]]}/${layer}` }));

export const sources = layersOf(about.stitches.sources);
export const targets = layersOf(about.stitches.targets);

const METHODS = { dm: "direct matching", tlm: "task loss" };
export const methodName = (method) => METHODS[method] || method;

/** How a stitch was made, in a few words. */
function called(record) {
  const words = [record.method === "dm" ? "DM" : record.method === "tlm" ? "TLM" : record.method];
  if (record.init) words.push(`from ${record.init}`);
  if (record.objective && record.objective !== "hard_labels") words.push(record.objective);
  if (record.seed) words.push(`seed ${record.seed}`);
  return words.join(", ");
}

export const records = about.stitches.records.map((record) => ({
  ...record,
  called: called(record),
  from: sources[record.source],
  to: targets[record.target],
  accuracy: record[ACCURACY],
  // Relative accuracy is to the target network's own, which follows from both.
  own: record[RELATIVE] > 0 && record[ACCURACY] > 0 ? record[ACCURACY] / record[RELATIVE] : null,
}));

const byPair = new Map();
for (const record of records) {
  const key = `${record.from.full}\n${record.to.full}`;
  byPair.set(key, [...(byPair.get(key) || []), record]);
}

export const stitchesOf = (row, column) => byPair.get(`${row.full}\n${column.full}`) || [];

/** Distances from the target's own distribution that any stitch has. */
export const distances = about.stitches.measures.filter(([name, , isDistance]) => isDistance && records.some((record) => record[name] !== undefined));
