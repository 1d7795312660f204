// The page: its state, its controls, and what is drawn of them.

import { Atlas } from "./atlas.js";
import { Depth, hasDepth } from "./depth.js";
import { announce, byId, h } from "./dom.js";
import { Overview } from "./overview.js";
import { drawPair } from "./pair.js";
import { hasStitches, Stitching } from "./stitching.js";
import { parsed, written } from "./state.js";
import { about, axis, measures } from "./store.js";

const models = about.axis.models;
const first = measures.find((measure) => measure.index === "cka" && measure.view === "pooled") || measures.find((measure) => measure.similarity) || measures[0];
const DEFAULTS = { a: models[0], b: models[1] || models[0], measure: first?.id, beside: "", order: "network", find: "", from: "", span: "own", cell: "", over: "", start: "best" };

/** What a fragment asks for, as far as this page has it. */
function sound(asked) {
  const state = { ...DEFAULTS, ...asked };
  const isModel = (name) => name === "*" || models.includes(name);
  if (!isModel(state.a)) state.a = DEFAULTS.a;
  if (!isModel(state.b)) state.b = DEFAULTS.b;
  if (!measures.some((measure) => measure.id === state.measure)) state.measure = DEFAULTS.measure;
  if (!measures.some((measure) => measure.id === state.beside)) state.beside = "";
  if (!/^\d+\.\d+$/.test(state.cell) || state.cell.split(".").some((place) => !axis[place])) state.cell = "";
  if (!["network", "cluster"].includes(state.order)) state.order = "network";
  if (state.from !== "" && !(Number(state.from) >= 0 && Number(state.from) <= 100)) state.from = "";
  return state;
}

const page = { state: sound(parsed(location.hash)), change };
const parts = {};

/** Change what is looked at: the address follows, and what depends on it is drawn. */
function change({ at, ...more }) {
  const before = page.state;
  page.state = sound({ ...before, ...more });
  const fragment = written(page.state, DEFAULTS);
  const isStep = before.cell !== page.state.cell || before.a !== page.state.a || before.b !== page.state.b;
  history[isStep ? "pushState" : "replaceState"](null, "", fragment || location.pathname + location.search);
  draw(before);
  if (at) byId(at).scrollIntoView({ behavior: "smooth" });
}

/** What is further down is drawn when the browser has nothing better to do. */
function later(act) {
  const soon = window.requestIdleCallback || ((call) => setTimeout(call, 50));
  soon(() => {
    act();
    document.body.dataset.settled = document.body.dataset.drawn;
  }, { timeout: 500 });
}

const differs = (before, names) => !before || names.some((name) => before[name] !== page.state[name]);

async function draw(before) {
  try {
    controls();
    const drawn = [];
    if (parts.atlas && differs(before, ["a", "b", "measure", "beside", "order", "find", "from", "span"])) drawn.push(parts.atlas.draw());
    if (parts.atlas && differs(before, ["cell", "measure"])) drawn.push(drawPair(page));
    if (parts.atlas && before && differs(before, ["cell"])) parts.atlas.keep();
    await Promise.all(drawn);
    if (parts.stitching && before && differs(before, ["over", "start"])) parts.stitching.draw();
    later(() => {
      if (parts.overview && differs(before, ["measure", "a", "b"])) parts.overview.draw();
      if (parts.stitching && !before) parts.stitching.draw();
      if (parts.depth && differs(before, ["a", "b"])) parts.depth.draw();
    });
    document.body.dataset.drawn = String(Number(document.body.dataset.drawn || 0) + 1);
  } catch (error) {
    byId("failure").textContent = `The page could not be drawn: ${error.message}`;
    byId("failure").hidden = false;
    throw error;
  }
}

/** Selects and fields as the state has them. */
function controls() {
  if (!measures.length) return;
  const { state } = page;
  for (const name of ["a", "b", "measure", "beside", "order"]) byId(`choose-${name}`).value = state[name];
  byId("choose-span").checked = state.span === "data";
  if (document.activeElement !== byId("choose-find")) byId("choose-find").value = state.find;
  byId("choose-from").value = state.from === "" ? 0 : state.from;
}

function fill() {
  const options = (names) => names.map(([value, text]) => h("option", { value }, text));
  const chosen = [...models.map((name) => [name, name]), ["*", "all networks"]];
  for (const name of ["a", "b"]) byId(`choose-${name}`).replaceChildren(...options(chosen));
  const views = [...new Set(measures.map((measure) => measure.view))];
  const grouped = () => views.map((view) => h("optgroup", { label: `${view} view` }, options(measures.filter((measure) => measure.view === view).map((measure) => [measure.id, `${measure.title} · ${view}`]))));
  byId("choose-measure").replaceChildren(...grouped());
  byId("choose-beside").replaceChildren(h("option", { value: "" }, "nothing"), ...grouped());
  for (const name of ["a", "b"]) byId(`choose-${name}`).addEventListener("change", (event) => change({ [name]: event.target.value, cell: "" }));
  for (const name of ["measure", "beside", "order"]) byId(`choose-${name}`).addEventListener("change", (event) => change({ [name]: event.target.value }));
  byId("choose-span").addEventListener("change", (event) => change({ span: event.target.checked ? "data" : "own" }));
  byId("choose-find").addEventListener("input", (event) => change({ find: event.target.value }));
  byId("choose-from").addEventListener("input", (event) => change({ from: event.target.value === "0" ? "" : event.target.value }));
  byId("swap").addEventListener("click", () => change({ a: page.state.b, b: page.state.a, cell: page.state.cell.split(".").reverse().join(".") }));
  byId("query").addEventListener("submit", (event) => event.preventDefault());
  byId("pair").addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    change({ cell: "" });
    byId("map").querySelector(".map").focus();
  });
}

/** Links to sections scroll there, and leave the state in the address alone. */
function sections() {
  for (const link of document.querySelectorAll("a[href^='#']")) {
    link.addEventListener("click", (event) => {
      const section = byId(link.getAttribute("href").slice(1));
      if (!section) return;
      event.preventDefault();
      section.scrollIntoView();
      section.setAttribute("tabindex", "-1");
      section.focus({ preventScroll: true });
    });
  }
}

function start() {
  sections();
  if (measures.length) {
    fill();
    parts.atlas = new Atlas(page);
    if (byId("overview")) parts.overview = new Overview(page);
  }
  if (hasStitches && byId("stitching")) parts.stitching = new Stitching(page);
  if (hasDepth && byId("depth")) parts.depth = new Depth(page);
  window.addEventListener("popstate", () => {
    page.state = sound(parsed(location.hash));
    draw(null);
  });
  window.addEventListener("hashchange", () => {
    if (location.hash && !location.hash.includes("=")) return;
    page.state = sound(parsed(location.hash));
    draw(null);
  });
  let width = window.innerWidth;
  window.addEventListener("resize", () => {
    if (window.innerWidth === width) return;
    width = window.innerWidth;
    clearTimeout(page.waiting);
    page.waiting = setTimeout(() => draw(null), 120);
  });
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => draw(null));
  draw(null).then(() => announce(""));
}

start();
