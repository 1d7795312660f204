// What is looked at, as the fragment of the page's address: a link is a view.

const NAMES = ["a", "b", "measure", "beside", "order", "find", "from", "span", "cell", "over", "start"];

/** Read a fragment; unknown names are dropped, and one that names a section is no state. */
export function parsed(fragment) {
  const state = {};
  const text = fragment.replace(/^#/, "");
  if (!text.includes("=")) return state;
  for (const [name, value] of new URLSearchParams(text)) if (NAMES.includes(name) && value !== "") state[name] = value;
  return state;
}

/** Write a state as a fragment; what is as by default is left out. */
export function written(state, defaults) {
  const search = new URLSearchParams();
  for (const name of NAMES) {
    const value = state[name];
    if (value !== undefined && value !== null && value !== "" && value !== defaults[name]) search.set(name, value);
  }
  const text = search.toString();
  return text ? `#${text}` : "";
}
