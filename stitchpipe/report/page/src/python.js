// What is shown, as Python that gives the same numbers.

/** A Python string. */
export const quoted = (text) => `"${text.replace(/\\/g, "\\\\").replace(/"/g, '\\"').replace(/\n/g, "\\n")}"`;

/** A name as a glob that means this name alone. */
const literally = (name) => name.replace(/[[*?]/g, "[$&]");

/** How the run is opened: by its folder where the page lies in it, else by a word to replace. */
export function opened(url) {
  const match = /^file:\/\/(\/.*)\/report\/index\.html/.exec(url);
  return `import stitchpipe as sp\n\nrun = sp.open(${match ? quoted(decodeURIComponent(match[1])) : '"RUN"'})`;
}

/** The matrix between two models, or of the whole run. */
export function matrixCall(measure, a, b) {
  const models = a === "*" && b === "*" ? "" : `, ${[a, b].map((name) => quoted(name === "*" ? name : literally(name))).join(", ")}`;
  return `run.matrix(${quoted(measure.index)}${models}, view=${quoted(measure.view)})`;
}

/** The numbers of single layers. */
export const layersCall = () => "run.layer_numbers()";

/** The layers most similar to one, which stands in a row of the map: it is the source. */
export function nearestCall(measure, layer, among) {
  const where = among === "*" ? "" : ` among=${quoted(`${literally(among)}/*`)},`;
  return `run.nearest(${quoted(literally(layer))},${where} measure=${quoted(measure.index)}, view=${quoted(measure.view)}, side="source")`;
}
