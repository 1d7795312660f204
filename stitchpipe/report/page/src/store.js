// What the page holds: its description, and blocks of values in the page or beside it.

import { bytesOf } from "./codec.js";
import { Interval, Plane } from "./plane.js";

export const about = JSON.parse(document.getElementById("data").textContent);

/** Blocks lie in the page, or beside it where a server hands them out. */
async function fetched(name) {
  const element = document.getElementById(`block-${name}`);
  if (element) return bytesOf(element.textContent);
  const answer = await fetch(`values/${encodeURIComponent(name)}.bin`);
  if (!answer.ok) throw new Error(`values/${name}.bin: ${answer.status}`);
  return new Uint8Array(await answer.arrayBuffer());
}

/** Whether numbers of single pairs can be had: in the page, or from the server that it came from. */
export const hasPairs = about.embedded || location.protocol.startsWith("http");

const size = about.axis.layers.length;

export const axis = about.axis.layers.map((layer, place) => {
  const model = about.axis.models[about.axis.of[place]];
  return { place, layer, model, full: `${model}/${layer}` };
});

/** Every index under every view. */
export const measures = about.measures.map((each, number) => {
  const plane = (name) => (each.planes[name] ? new Plane(each.planes[name], `${number}-${name}`, size, about.codes, fetched) : null);
  const value = plane("value");
  const [low, high] = [plane("low"), plane("high")];
  const other = (entry, name, side) => new Plane(entry, `c${name}-${number}`, side, about.codes, fetched);
  const side = each.coarse ? Math.ceil(size / each.coarse.side) : 0;
  return {
    ...each,
    number,
    id: `${each.index}@${each.view}`,
    name: `${each.title} · ${each.view}`,
    value,
    interval: low && high ? new Interval(value, low, high) : null,
    pValue: plane("p_value"),
    pFamily: plane("p_family"),
    effect: plane("effect_size"),
    rank: plane("rank"),
    condition: plane("condition"),
    models: other(each.models, "models", about.axis.models.length),
    coarse: each.coarse ? other(each.coarse, "map", side) : null,
    viewed: about.views.find((view) => view.name === each.view),
    /** What is larger the more similar a pair is. */
    sign: each.similarity ? 1 : -1,
  };
});

export const measureOf = (id) => measures.find((measure) => measure.id === id);
