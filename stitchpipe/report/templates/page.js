"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const element = (id) => document.getElementById(id);
  const METHODS = { dm: "direct matching", tlm: "task loss matching" };
  const SYMBOLS = { random: "diamond", identity: "square", dm: "cross" };

  // Plotly reads a little HTML in its texts: names are shown as they are.
  const escaped = (text) => String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
  const shown = (value) => (value === null || value === undefined ? "–" : String(value).replace("-", "−"));
  const short = (value) => {
    if (value === null || value === undefined) return "–";
    const size = Math.abs(value);
    return (size !== 0 && (size < 1e-3 || size >= 1e4) ? value.toExponential(2) : String(Math.round(value * 1000) / 1000)).replace("-", "−");
  };
  const extent = (values) => values.reduce(([low, high], value) => [Math.min(low, value), Math.max(high, value)], [Infinity, -Infinity]);
  const lines = (...parts) => parts.filter(Boolean).join("<br>");

  function theme() {
    const style = getComputedStyle(document.documentElement);
    const of = (name) => style.getPropertyValue(`--${name}`).trim();
    return { ink: of("ink"), soft: of("soft"), grid: of("grid"), page: of("page"), card: of("card"), missing: of("missing"), dm: of("dm"), tlm: of("tlm"), font: of("text") };
  }
  // Named one by one: the library's own selection has a button that sends the figure to its maker.
  const settings = { displaylogo: false, displayModeBar: "hover", modeBarButtons: [["toImage"], ["zoom2d", "pan2d", "resetScale2d"]], plotlyServerURL: "", toImageButtonOptions: { scale: 2 } };
  const scale = (similarity) => data.colours.map((_, k, all) => [k / (all.length - 1), all[similarity ? k : all.length - 1 - k]]);

  function layout(look, more) {
    return {
      font: { family: look.font, size: 12, color: look.ink }, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", dragmode: "zoom", modebar: { bgcolor: "rgba(0,0,0,0)", color: look.soft, activecolor: look.ink },
      hoverlabel: { bgcolor: look.card, bordercolor: look.grid, font: { family: look.font, size: 13, color: look.ink }, align: "left" },
      ...more,
    };
  }

  // One axis of layers: a tick per layer (thinned where there are too many), a name per network, a line between networks.
  function layerAxis(axis, pixels) {
    const step = Math.max(1, Math.ceil((axis.layers.length * 12) / pixels));
    const ticks = axis.layers.map((_, k) => k).filter((k) => k % step === 0);
    return {
      tickvals: ticks, ticktext: ticks.map((k) => escaped(axis.layers[k])), range: [-0.5, axis.layers.length - 0.5],
      tickfont: { size: step > 1 || pixels / axis.layers.length < 14 ? 9.5 : 11 }, showgrid: false, zeroline: false, ticks: "", ticklabelstandoff: 3,
    };
  }
  function networks(axis) {
    const starts = [0, ...axis.boundaries, axis.layers.length];
    return starts.slice(0, -1).map((start, k) => ({ name: axis.models[start], centre: (start + starts[k + 1] - 1) / 2 }));
  }
  const longest = (names) => Math.min(22, Math.max(0, ...names.map((name) => String(name).length)));

  function heat(id, { rows, columns, values, text, marks, low, high, similarity, cell }) {
    const [wide, tall] = cell;
    const plot = element(id);
    const look = theme();
    const widest = plot.clientWidth || 600;
    const left = 48 + longest(rows.layers) * 6.4;
    const bottom = 44 + longest(columns.layers) * 6.4;
    const side = Math.max(5, Math.min(wide, (widest - left - 8) / columns.layers.length));
    const width = side * columns.layers.length;
    const height = Math.max(7, Math.min(side, tall)) * rows.layers.length;
    const printed = side >= 34 && rows.layers.length * columns.layers.length <= 600;
    const line = (extra) => ({ type: "line", xref: "x", yref: "y", line: { color: look.page, width: 3 }, ...extra });
    const label = (extra) => ({ showarrow: false, font: { size: 12.5, color: look.ink, weight: 650 }, ...extra });
    const traces = [{
      type: "heatmap", z: values, zmin: low, zmax: high, colorscale: scale(similarity), showscale: false, hoverongaps: true,
      customdata: text, hovertemplate: "%{customdata}<extra></extra>", texttemplate: printed ? "%{z:.2f}" : "", textfont: { size: 11 },
      xgap: side > 10 ? 1 : 0, ygap: side > 10 ? 1 : 0,
    }];
    if (marks.length) {
      traces.push({ type: "scatter", mode: "markers", x: marks.map((m) => m[1]), y: marks.map((m) => m[0]), hoverinfo: "skip", marker: { symbol: "x-thin", size: Math.max(4, side / 2.4), line: { width: 1.2, color: look.soft } } });
    }
    return Plotly.react(plot, traces, layout(look, {
      width: Math.min(widest, left + width + 8), height: 26 + height + bottom, margin: { l: left, r: 8, t: 26, b: bottom }, plot_bgcolor: look.missing, showlegend: false,
      xaxis: { ...layerAxis(columns, width), tickangle: -90, side: "bottom", title: { text: "target", standoff: 6, font: { size: 12, color: look.soft } } },
      yaxis: { ...layerAxis(rows, height), range: [rows.layers.length - 0.5, -0.5], title: { text: "" } },
      shapes: [
        ...columns.boundaries.map((at) => line({ x0: at - 0.5, x1: at - 0.5, y0: -0.5, y1: rows.layers.length - 0.5 })),
        ...rows.boundaries.map((at) => line({ y0: at - 0.5, y1: at - 0.5, x0: -0.5, x1: columns.layers.length - 0.5 })),
      ],
      annotations: [
        ...networks(columns).map((n) => label({ text: escaped(n.name), x: n.centre, xref: "x", y: 1, yref: "paper", yanchor: "bottom", yshift: 3 })),
        ...networks(rows).map((n) => label({ text: escaped(n.name), y: n.centre, yref: "y", x: 0, xref: "paper", xanchor: "left", xshift: 20 - left, textangle: -90 })),
        { text: "source", showarrow: false, x: 0, xref: "paper", xanchor: "left", xshift: -left, y: 0.5, yref: "paper", textangle: -90, font: { size: 12, color: look.soft } },
      ],
    }), { ...settings, scrollZoom: false });
  }

  function legend(id, low, high, similarity, words) {
    const colours = similarity ? data.colours : data.colours.slice().reverse();
    const [bar, swatch] = [document.createElement("i"), document.createElement("b")];
    bar.style.background = `linear-gradient(90deg, ${colours.join(", ")})`;
    const said = (text) => Object.assign(document.createElement("span"), { textContent: text });
    element(id).replaceChildren(said(short(low)), bar, said(short(high)), said(words), swatch, said("no number"));
  }

  // Buttons are made anew with every choice: the keyboard stays on the one that was chosen.
  function replaced(box, made) {
    const focused = box.contains(document.activeElement);
    box.replaceChildren(...made);
    if (focused) (made.find((button) => button.getAttribute("aria-pressed") === "true") || made[0]).focus({ preventScroll: true });
  }

  function buttons(id, choices, current, choose) {
    replaced(element(id), choices.map(([key, words]) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = words;
      button.setAttribute("aria-pressed", String(key === current));
      button.addEventListener("click", () => choose(key));
      return button;
    }));
  }

  // ---- similarity -------------------------------------------------------------------------------------------------------
  const chosen = { view: data.views.length ? data.views[0].name : null, index: null, span: "index" };
  const inView = () => data.matrices.filter((matrix) => matrix.view === chosen.view);
  const current = () => inView().find((matrix) => matrix.index === chosen.index) || inView()[0];
  const flat = (matrix) => matrix.values.flat().filter((value) => value !== null);
  function spanOf(matrix) {
    if (chosen.span === "index" || !matrix.values) return matrix.range;
    const [low, high] = extent(flat(matrix));
    return low < high ? [low, high] : matrix.range;
  }

  function thumbnail(canvas, matrix) {
    const size = data.axis.layers.length;
    canvas.width = canvas.height = size;
    if (!matrix.values) return;
    const pen = canvas.getContext("2d");
    const [low, high] = spanOf(matrix);
    matrix.values.forEach((row, i) => row.forEach((value, j) => {
      if (value === null) return;
      const share = Math.min(1, Math.max(0, (value - low) / (high - low || 1)));
      pen.fillStyle = data.colours[Math.round((matrix.similarity ? share : 1 - share) * (data.colours.length - 1))];
      pen.fillRect(j, i, 1, 1);
    }));
  }

  function overview() {
    const now = current();
    replaced(element("overview"), inView().map((matrix) => {
      const button = document.createElement("button");
      const canvas = document.createElement("canvas");
      canvas.setAttribute("aria-hidden", "true");
      button.type = "button";
      button.append(canvas, document.createTextNode(matrix.title));
      button.setAttribute("aria-pressed", String(matrix === now));
      button.addEventListener("click", () => { chosen.index = matrix.index; similarity(); });
      thumbnail(canvas, matrix);
      return button;
    }));
  }

  function about(matrix, view, i, j) {
    const { models, layers } = data.axis;
    const value = matrix.values ? matrix.values[i][j] : null;
    const at = (plane) => (plane && plane[i][j] !== null ? plane[i][j] : null);
    const reason = matrix.reasons[`${i},${j}`];
    const rank = at(matrix.ranks);
    const condition = at(matrix.conditions);
    const [low, high, pValue, pFamily] = [at(matrix.lows), at(matrix.highs), at(matrix.pValues), at(matrix.pFamilies)];
    const certainty = [
      low === null ? "" : `95 % interval ${shown(low)} to ${shown(high)}`,
      pValue === null ? "" : `p-value ${short(pValue)}`,
      pFamily === null ? "" : `${short(pFamily)} over its family`,
    ].filter(Boolean).join("; ");
    return lines(
      `${escaped(models[i])} <b>${escaped(layers[i])}</b> → ${escaped(models[j])} <b>${escaped(layers[j])}</b>`,
      value === null ? (reason ? `no number: ${escaped(reason)}` : "not in this run") : `${escaped(matrix.title)} <b>${shown(value)}</b>`,
      value === null && !reason ? "" : `n ${matrix.samples} images, ${shown((view.rows[j] / view.samples) * matrix.samples)} rows; p ${shown(view.widths[i])}, q ${shown(view.widths[j])}; grid ${escaped(view.grids[j])}`,
      certainty,
      rank === null ? "" : `rank ${rank}${condition === null ? "" : `, condition ${short(condition)}`}`,
    );
  }

  function similarity() {
    const matrix = current();
    const view = data.views.find((one) => one.name === matrix.view);
    buttons("views", data.views.map((one) => [one.name, one.name]), chosen.view, (name) => { chosen.view = name; similarity(); });
    buttons("spans", [["index", "index's own range"], ["data", "range of these numbers"]], chosen.span, (span) => { chosen.span = span; similarity(); });
    overview();
    chosen.index = matrix.index;
    const [low, high] = spanOf(matrix);
    const values = matrix.values || data.axis.layers.map(() => data.axis.layers.map(() => null));
    const text = values.map((row, i) => row.map((_, j) => about(matrix, view, i, j)));
    const marks = Object.keys(matrix.reasons).map((key) => key.split(",").map(Number));
    element("matrix-title").textContent = `${matrix.title}, ${matrix.view}, ${view.split} split`;
    const between = (all, unit) => {
      const [least, most] = extent(all.filter((x) => x !== null));
      return least === most ? `${unit} ${least}` : `${unit} ${least} to ${most}`;
    };
    const [lowest, highest] = extent(flat(matrix));
    element("matrix-note").textContent = lowest <= highest
      ? `n = ${view.samples} images, ${between(view.rows, "rows")}; ${between(view.widths, "features p, q")}. Values from ${short(lowest)} to ${short(highest)}` +
        (marks.length ? `; ${marks.length} without a number, marked ×.` : ".")
      : "No numbers.";
    legend("legend-matrix", low, high, matrix.similarity, "bright is similar");
    return heat("plot-matrix", { rows: data.axis, columns: data.axis, values, text, marks, low, high, similarity: matrix.similarity, cell: [28, 28] });
  }

  // ---- stitches ---------------------------------------------------------------------------------------------------------
  const { sources, targets, records } = data.stitches;
  const RELATIVE = "stitch_relative_accuracy";
  const name = (axis, k) => `${escaped(axis.models[k])} <b>${escaped(axis.layers[k])}</b>`;
  const budget = (r) => (r.method === "dm" ? "direct matching" : `task loss matching from ${escaped(r.init)}${r.seed === null ? "" : `, seed ${r.seed}`}, ${shown(r.steps)} steps, loss ${short(r.final_loss)}`);
  const measured = (r, key, words) => {
    const note = r.notes[key] ? ` (${escaped(r.notes[key])})` : "";
    return r[key] === null ? (note ? `${words}: no number${note}` : "") : `${words} <b>${shown(r[key])}</b>${note}`;
  };
  const tell = (r) => lines(
    `${name(sources, r.source)} → ${name(targets, r.target)}`, budget(r), ...data.stitches.measures.map(([key, words]) => measured(r, key, words)),
  );
  const familiar = Object.keys(SYMBOLS);
  const order = (start) => (familiar.includes(start) ? familiar.indexOf(start) : familiar.length);
  const starts = [...new Set(records.filter((r) => r.method === "tlm").map((r) => r.init))].sort((a, b) => order(a) - order(b));

  function stitchMap(id, wanted, top) {
    const grid = () => sources.layers.map(() => targets.layers.map(() => null));
    const [values, text, counts, marks] = [grid(), grid(), grid(), []];
    wanted.forEach((r) => {
      text[r.source][r.target] = lines(text[r.source][r.target], tell(r));
      if (r[RELATIVE] === null) { marks.push([r.source, r.target]); return; }
      const before = counts[r.source][r.target] || 0;
      values[r.source][r.target] = ((values[r.source][r.target] || 0) * before + r[RELATIVE]) / (before + 1);
      counts[r.source][r.target] = before + 1;
    });
    text.forEach((row, i) => row.forEach((words, j) => {
      if (!words) row[j] = lines(`${name(sources, i)} → ${name(targets, j)}`, "not in this run");
    }));
    heat(id, { rows: sources, columns: targets, values, text, marks, low: 0, high: top, similarity: true, cell: [56, 27] });
  }

  function stitching() {
    const top = Math.max(1, extent(records.map((r) => r[RELATIVE] || 0))[1]);
    const select = element("start");
    if (!select.options.length) {
      starts.forEach((start) => select.add(new Option(start === "dm" ? "the least-squares map" : start, start)));
      select.addEventListener("change", stitching);
      select.parentElement.hidden = starts.length < 2;
    }
    stitchMap("plot-dm", records.filter((r) => r.method === "dm"), top);
    const trained = records.filter((r) => r.method === "tlm" && r.init === select.value);
    if (trained.length) stitchMap("plot-tlm", trained, top);
    else element("plot-tlm").textContent = "No stitch of this run was trained on the task.";
    legend("legend-stitches", 0, top, true, "relative accuracy");
  }

  const dots = (look, method, more) => ({ type: "scatter", mode: "markers", hoverinfo: "text", name: METHODS[method], legendgroup: method, marker: { color: look[method], size: 10, opacity: 0.85, line: { width: 1, color: look.page } }, ...more });
  const quiet = (look, more) => ({ gridcolor: look.grid, zeroline: false, linecolor: look.grid, tickfont: { color: look.soft }, ...more });
  const above = { orientation: "h", x: 0, y: 1, yanchor: "bottom", xanchor: "left" };

  function late() {
    const look = theme();
    const plot = element("plot-late");
    const direct = new Map(records.filter((r) => r.method === "dm" && r[RELATIVE] !== null).map((r) => [`${r.source},${r.target}`, r]));
    const pairs = records
      .filter((r) => r.method === "tlm" && r.kind === "late → early" && r[RELATIVE] !== null && direct.has(`${r.source},${r.target}`))
      .map((r) => ({ tlm: r, dm: direct.get(`${r.source},${r.target}`) }))
      .sort((a, b) => a.tlm.source - b.tlm.source || a.tlm.target - b.tlm.target || order(a.tlm.init) - order(b.tlm.init));
    if (!pairs.length) {
      plot.textContent = "No late → early pair has both methods.";
      return;
    }
    const narrow = plot.clientWidth < 560;
    const full = (axis, k) => `${escaped(axis.models[k])}/${escaped(axis.layers[k])}`;
    const labels = pairs.map(({ tlm: r }) => `${full(sources, r.source)} → ${full(targets, r.target)}${starts.length > 1 && r.init !== "random" ? ` (${escaped(r.init)})` : ""}`);
    const rows = pairs.map((_, k) => k);
    const joined = { x: [], y: [] };
    pairs.forEach(({ tlm, dm }, k) => { joined.x.push(dm[RELATIVE], tlm[RELATIVE], null); joined.y.push(k, k, null); });
    const of = (method) => ({ x: pairs.map((pair) => pair[method][RELATIVE]), y: rows, text: pairs.map((pair) => tell(pair[method])) });
    const trained = dots(look, "tlm", of("tlm"));
    trained.marker = { ...trained.marker, symbol: pairs.map(({ tlm }) => SYMBOLS[tlm.init] || "diamond") };
    Plotly.react(plot, [
      { type: "scatter", mode: "lines", ...joined, line: { color: look.soft, width: 1.5 }, opacity: 0.45, hoverinfo: "skip", showlegend: false },
      dots(look, "dm", of("dm")), trained,
    ], layout(look, {
      width: plot.clientWidth, height: 110 + 24 * pairs.length, margin: { l: narrow ? 150 : 220, r: 14, t: 34, b: 46 }, legend: above, hovermode: "closest",
      xaxis: quiet(look, { title: { text: "relative accuracy", font: { size: 12, color: look.soft } }, rangemode: "tozero" }),
      yaxis: quiet(look, { tickvals: rows, ticktext: labels, range: [pairs.length - 0.4, -0.6], showgrid: false, tickfont: { size: narrow ? 10 : 12, color: look.ink } }),
    }), settings);
  }

  function decades(values) {
    const first = Math.round(Math.log10(data.floor));
    const last = Math.max(first + 1, Math.ceil(Math.log10(Math.max(data.floor, extent(values)[1]))));
    const powers = Array.from({ length: last - first + 1 }, (_, k) => first + k);
    const label = (power) => (power < 0 ? (10 ** power).toFixed(-power) : String(10 ** power));
    return { type: "log", range: [first - 0.2, last + 0.15], tickvals: powers.map((power) => 10 ** power), ticktext: powers.map((power) => (power === first ? `≤ ${label(power)}` : label(power))) };
  }

  function distribution(id, key, logarithmic) {
    const look = theme();
    const known = records.filter((r) => r[key] !== null && r[RELATIVE] !== null);
    const traces = Object.keys(METHODS).map((method) => {
      const own = known.filter((r) => r.method === method);
      const trace = dots(look, method, { x: own.map((r) => r[RELATIVE]), y: own.map((r) => (logarithmic ? Math.max(r[key], data.floor) : r[key])), text: own.map(tell) });
      trace.marker = { ...trace.marker, size: 9, opacity: 0.75, symbol: own.map((r) => (method === "dm" ? "circle" : SYMBOLS[r.init] || "diamond")) };
      return trace;
    });
    const plot = element(id);
    Plotly.react(plot, traces, layout(look, {
      width: plot.clientWidth, height: 400, margin: { l: 58, r: 12, t: 34, b: 46 }, legend: above, hovermode: "closest",
      xaxis: quiet(look, { title: { text: "relative accuracy", font: { size: 12, color: look.soft } } }),
      yaxis: quiet(look, logarithmic ? decades(known.map((r) => r[key])) : { range: [-0.05, 1.08] }),
    }), settings);
  }

  // ---- all of it, again when the width or the colour scheme changes ------------------------------------------------------
  function draw() {
    if (element("plot-matrix")) similarity();
    if (element("plot-dm")) {
      stitching();
      late();
      distribution("plot-mahalanobis", "ood_mahalanobis", false);
      distribution("plot-frechet", "ood_frechet", true);
    }
  }
  function careful() {
    try {
      draw();
      document.body.dataset.drawn = String(document.querySelectorAll(".plot .main-svg").length > 0);
    } catch (error) {
      element("failure").textContent = `The figures could not be drawn: ${error.message}`;
      element("failure").hidden = false;
    }
  }
  careful();
  let width = document.documentElement.clientWidth;
  let waiting = null;
  window.addEventListener("resize", () => {
    if (document.documentElement.clientWidth === width) return;
    width = document.documentElement.clientWidth;
    clearTimeout(waiting);
    waiting = setTimeout(careful, 150);
  });
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", careful);
})();
