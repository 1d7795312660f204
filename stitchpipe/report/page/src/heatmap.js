// A heat map: cells on a canvas of one pixel each, and over it an SVG of names, marks and the cursor.

import { css, wantsDark } from "./colours.js";
import { announce, fitted, h, s, widthOf } from "./dom.js";

const LABEL = 11;
const GROUP = 12;

/** Where one network ends and the next begins: [{name, start, end}]. */
export function groups(layers) {
  const made = [];
  layers.forEach((layer, k) => {
    const last = made[made.length - 1];
    if (last && last.name === layer.model) last.end = k + 1;
    else made.push({ name: layer.model, start: k, end: k + 1 });
  });
  return made;
}

export class HeatMap {
  /** @param {HTMLElement} host @param {{label: string, onHover?: Function, onOpen?: Function}} options */
  constructor(host, options) {
    Object.assign(this, { host, options, cursor: null });
    this.canvas = h("canvas", { class: "cells" });
    this.svg = s("svg", { class: "frame", "aria-hidden": "true" });
    this.tip = h("div", { class: "tip", hidden: true });
    this.box = h("div", { class: "map", tabindex: "0", role: "application", "aria-roledescription": "heat map", "aria-label": options.label }, this.canvas, this.svg);
    host.replaceChildren(this.box, this.tip);
    this.box.addEventListener("pointermove", (event) => this.hover(event));
    this.box.addEventListener("pointerleave", () => this.point(null));
    this.box.addEventListener("click", (event) => this.open(this.cellAt(event)));
    this.box.addEventListener("keydown", (event) => this.key(event));
    this.box.addEventListener("blur", () => this.point(null));
  }

  /**
   * @param {object} shown
   *   rows, columns: layers; value(r, c): number; scale: of colours.js; faint(value): whether it is below a threshold;
   *   state(r, c): "" for a number, else why there is none or null for not measured; printed(r, c): text;
   *   told(r, c): lines of a tip; marks: [[r, c]]; sides: [row word, column word]; most: widest side of a cell
   */
  show(shown) {
    this.shown = shown;
    this.cursor = null;
    this.layout();
    this.paint();
    this.frame();
    this.tip.hidden = true;
  }

  layout() {
    const { rows, columns, tallest = 720 } = this.shown;
    // A map of few layers has larger cells, so that it is a picture and no stamp.
    const most = this.shown.most || Math.max(62, Math.min(104, 460 / Math.max(rows.length, columns.length)));
    const room = Math.max(240, this.host.clientWidth);
    const cap = room < 480 ? 76 : 150;
    const axes = [[rows, tallest], [columns, room - cap]].map(([layers, side]) => this.axis(layers, side, cap));
    [this.across, this.down] = [axes[1], axes[0]];
    this.left = this.down.longest + 10 + (this.down.isGrouped ? 20 : 0) + 16;
    const below = this.across.longest + 10 + (this.across.isGrouped ? 20 : 0) + 16;
    this.top = 4;
    const wide = Math.min(most, (room - this.left - 4) / columns.length);
    const tall = Math.min(wide < 2 ? Math.max(wide, Math.min(3, tallest / rows.length)) : wide, Math.max(tallest / rows.length, 1));
    const whole = (side) => (side >= 3 ? Math.floor(side) : side);
    // Whole pixels keep all cells alike; below three the map is scaled as an image.
    [this.wide, this.tall] = [whole(wide), whole(Math.min(tall, most))];
    [this.width, this.height] = [this.wide * columns.length, this.tall * rows.length];
    [this.totalWidth, this.totalHeight] = [this.left + this.width + 4, this.top + this.height + below];
    this.box.style.width = `${this.totalWidth}px`;
    this.box.style.height = `${this.totalHeight}px`;
    Object.assign(this.canvas.style, { left: `${this.left}px`, top: `${this.top}px`, width: `${this.width}px`, height: `${this.height}px` });
    this.canvas.style.imageRendering = this.wide >= 1 && this.tall >= 1 ? "pixelated" : "auto";
  }

  paint() {
    const { rows, columns, value, scale, faint } = this.shown;
    [this.canvas.width, this.canvas.height] = [columns.length, rows.length];
    const context = this.canvas.getContext("2d");
    const image = context.createImageData(columns.length, rows.length);
    const pixels = new Uint32Array(image.data.buffer);
    let k = 0;
    for (let r = 0; r < rows.length; r++) {
      for (let c = 0; c < columns.length; c++, k++) {
        const number = value(r, c);
        if (number === number) pixels[k] = scale.pixel(number, faint ? faint(number) : false);
      }
    }
    context.putImageData(image, 0, 0);
  }

  frame() {
    const { rows, columns, marks = [], sides } = this.shown;
    Object.entries({ width: this.totalWidth, height: this.totalHeight, viewBox: `0 0 ${this.totalWidth} ${this.totalHeight}` }).forEach((entry) => this.svg.setAttribute(...entry));
    this.cross = s("g", { class: "cross" });
    this.kept = s("g", { class: "cross kept" });
    this.svg.replaceChildren(
      ...this.rowLabels(rows, sides[0]),
      ...this.columnLabels(columns, sides[1]),
      this.lines(rows, columns),
      this.holes(rows, columns),
      this.figures(rows, columns),
      s("g", { class: "ridge" }, ...this.ridge(marks)),
      this.kept,
      this.cross,
    );
  }

  x(c) {
    return this.left + c * this.wide;
  }

  y(r) {
    return this.top + r * this.tall;
  }

  /** How an axis is named: by layers, by layers and networks, or where networks are small by these alone. */
  axis(layers, side, cap) {
    const all = groups(layers);
    const byModel = all.length > 1 && side / all.length < 48;
    const names = byModel ? all.map(({ name }) => name) : layers.map((layer) => layer.layer);
    return { all, byModel, isGrouped: all.length > 1 && !byModel, longest: Math.min(cap, names.reduce((most, name) => Math.max(most, Math.ceil(widthOf(name, LABEL))), 8)) };
  }

  /** What stands along an axis: [{at, text, title}], thinned to what has room. */
  ticks(layers, { all, byModel }, side) {
    const step = Math.max(1, Math.ceil((LABEL + 2) / (byModel ? (side * layers.length) / all.length : side)));
    if (byModel) return all.filter((_, k) => k % step === 0).map(({ name, start, end }) => ({ at: (start + end) / 2, text: name, title: name }));
    return all.flatMap(({ start, end }) => Array.from({ length: end - start }, (_, k) => start + k).filter((k) => (k - start) % step === 0 && (k === start || end - k >= step / 2))).map((k) => ({ at: k + 0.5, text: layers[k].layer, title: layers[k].full }));
  }

  rowLabels(rows, word) {
    const at = this.left - 6;
    const names = this.ticks(rows, this.down, this.tall).map((tick) => s("text", { x: at, y: this.y(tick.at), "text-anchor": "end", "dominant-baseline": "central", "font-size": LABEL }, fitted(tick.text, this.down.longest, LABEL), s("title", null, tick.title)));
    const side = (text, x, y, attributes) => s("text", { transform: `translate(${x} ${y}) rotate(-90)`, "text-anchor": "middle", ...attributes }, text);
    const models = this.down.isGrouped ? this.down.all.filter(({ start, end }) => (end - start) * this.tall > GROUP).map(({ name, start, end }) => side(fitted(name, (end - start) * this.tall, GROUP), 28, this.y((start + end) / 2), { class: "model", "font-size": GROUP })) : [];
    return [...names, ...models, side(word, 10, this.y(rows.length / 2), { class: "side", "font-size": LABEL })];
  }

  columnLabels(columns, word) {
    const at = this.y(this.shown.rows.length) + 6;
    const names = this.ticks(columns, this.across, this.wide).map((tick) => s("text", { transform: `translate(${this.x(tick.at)} ${at}) rotate(-90)`, "text-anchor": "end", "dominant-baseline": "central", "font-size": LABEL }, fitted(tick.text, this.across.longest, LABEL), s("title", null, tick.title)));
    const y = at + this.across.longest + 14;
    const models = this.across.isGrouped ? this.across.all.filter(({ start, end }) => (end - start) * this.wide > GROUP).map(({ name, start, end }) => s("text", { class: "model", x: this.x((start + end) / 2), y, "text-anchor": "middle", "font-size": GROUP }, fitted(name, (end - start) * this.wide, GROUP))) : [];
    return [...names, ...models, s("text", { class: "side", x: this.x(columns.length / 2), y: this.totalHeight - 3, "text-anchor": "middle", "font-size": LABEL }, word)];
  }

  lines(rows, columns) {
    const down = groups(columns).slice(1).map(({ start }) => `M${this.x(start)} ${this.top}v${this.height}`);
    const across = groups(rows).slice(1).map(({ start }) => `M${this.left} ${this.y(start)}h${this.width}`);
    return s("path", { class: this.down.byModel || this.across.byModel ? "bounds fine" : "bounds", d: [...down, ...across].join("") });
  }

  /** Crosses where a pair was measured and has no number. */
  holes(rows, columns) {
    const { value, state } = this.shown;
    const path = [];
    for (let r = 0; r < rows.length && path.length < 4000; r++) {
      for (let c = 0; c < columns.length; c++) {
        if (Number.isNaN(value(r, c)) && state(r, c)) {
          const [x, y, a] = [this.x(c) + this.wide / 2, this.y(r) + this.tall / 2, Math.min(this.wide, this.tall, 14) / 4];
          path.push(`M${x - a} ${y - a}l${2 * a} ${2 * a}m0 ${-2 * a}l${-2 * a} ${2 * a}`);
        }
      }
    }
    return s("path", { class: "holes", d: path.join("") });
  }

  figures(rows, columns) {
    const { value, printed, scale, faint } = this.shown;
    const group = s("g", { class: "printed", "text-anchor": "middle", "dominant-baseline": "central", "font-size": 11 });
    if (!printed || this.wide < 34 || this.tall < 18 || rows.length * columns.length > 900) return group;
    rows.forEach((_, r) => columns.forEach((__, c) => {
      const number = value(r, c);
      if (Number.isNaN(number)) return;
      const kind = faint && faint(number) ? "faint" : wantsDark(scale.of(number)) ? "dark" : "light";
      group.append(s("text", { class: kind, x: this.x(c) + this.wide / 2, y: this.y(r) + this.tall / 2 }, printed(r, c)));
    }));
    return group;
  }

  /** The best match of each row: a frame round its cell, or a dot where cells are small. */
  ridge(marks) {
    const small = Math.min(this.wide, this.tall) < 9;
    if (small) {
      const radius = Math.max(1.3, Math.min(2.4, this.tall / 2.2));
      const path = marks.map(([r, c]) => `M${(this.x(c) + this.wide / 2 - radius).toFixed(1)} ${(this.y(r) + this.tall / 2).toFixed(1)}a${radius} ${radius} 0 1 0 ${2 * radius} 0a${radius} ${radius} 0 1 0 ${-2 * radius} 0`).join("");
      return [s("path", { class: "dots", d: path })];
    }
    const box = ([r, c]) => `M${this.x(c) + 1} ${this.y(r) + 1}h${this.wide - 2}v${this.tall - 2}h${2 - this.wide}z`;
    const path = marks.map(box).join("");
    return [s("path", { class: "under", d: path }), s("path", { class: "over", d: path })];
  }

  cellAt(event) {
    const box = this.svg.getBoundingClientRect();
    const c = Math.floor((event.clientX - box.left - this.left) / this.wide);
    const r = Math.floor((event.clientY - box.top - this.top) / this.tall);
    const { rows, columns } = this.shown;
    return r >= 0 && c >= 0 && r < rows.length && c < columns.length ? [r, c] : null;
  }

  hover(event) {
    this.point(this.cellAt(event));
  }

  /** Put the cursor on a cell, or nowhere. */
  point(cell) {
    if (!this.shown || String(cell) === String(this.cursor)) return;
    this.cursor = cell;
    this.tip.hidden = !cell;
    this.cross.replaceChildren();
    if (cell) {
      const [r, c] = cell;
      this.cross.append(
        s("path", { class: "hair", d: `M${this.left} ${this.y(r) + this.tall / 2}H${this.x(c)}M${this.x(c) + this.wide / 2} ${this.top + this.height}V${this.y(r) + this.tall}` }),
        s("rect", { x: this.x(c) - 1, y: this.y(r) - 1, width: this.wide + 2, height: this.tall + 2 }),
      );
      const [first, number, ...more] = this.shown.told(r, c);
      this.tip.replaceChildren(h("b", null, first), h("strong", null, number), ...more.filter(Boolean).map((line) => h("span", null, line)));
      this.place(r, c);
    }
    this.options.onHover?.(cell);
  }

  /** Keep a frame round the pair that is open, or round none. */
  keep(cell) {
    if (!this.kept) return;
    this.kept.replaceChildren(...(cell ? [s("rect", { x: this.x(cell[1]) - 1, y: this.y(cell[0]) - 1, width: this.wide + 2, height: this.tall + 2 })] : []));
  }

  /** The tip stands beside its cell, on the side where there is room. */
  place(r, c) {
    const [wide, tall] = [this.tip.offsetWidth, this.tip.offsetHeight];
    const right = this.x(c) + this.wide + 12;
    const fits = right + wide <= Math.max(this.host.clientWidth, this.totalWidth);
    const x = fits ? right : Math.max(0, this.x(c) - wide - 12);
    const y = Math.max(0, Math.min(this.y(r) - tall / 2, this.totalHeight - tall));
    this.tip.style.transform = `translate(${Math.round(x)}px, ${Math.round(y)}px)`;
  }

  open(cell) {
    if (cell) this.options.onOpen?.(...cell);
  }

  key(event) {
    const { rows, columns, marks = [] } = this.shown;
    const moves = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0], PageUp: [-10, 0], PageDown: [10, 0], Home: [0, -columns.length], End: [0, columns.length] };
    const at = this.cursor || [0, 0];
    let next = null;
    if (moves[event.key]) {
      const clamped = (value, n) => Math.max(0, Math.min(n - 1, value));
      next = this.cursor ? [clamped(at[0] + moves[event.key][0], rows.length), clamped(at[1] + moves[event.key][1], columns.length)] : at;
    } else if (event.key === "n") next = marks.find(([r]) => r === at[0]) || at;
    else if (event.key === "Enter" || event.key === " ") this.open(this.cursor);
    else if (event.key === "Escape") this.point(null);
    else return;
    event.preventDefault();
    if (next) {
      this.point(next);
      announce(this.shown.told(...next).filter(Boolean).join(". "));
    }
  }

  /** The whole map as one SVG, its cells as an image in it. */
  standalone() {
    const copy = this.svg.cloneNode(true);
    const big = document.createElement("canvas");
    // Viewers smooth small images: each cell gets several pixels.
    const times = Math.max(1, Math.min(16, Math.ceil(this.wide)));
    [big.width, big.height] = [this.canvas.width * times, this.canvas.height * times];
    const context = big.getContext("2d");
    context.imageSmoothingEnabled = false;
    context.drawImage(this.canvas, 0, 0, big.width, big.height);
    copy.prepend(s("image", { x: this.left, y: this.top, width: this.width, height: this.height, preserveAspectRatio: "none", href: big.toDataURL("image/png") }));
    return copy;
  }
}

/** The scale of colours with its ends, dark to bright as dissimilar to similar. */
export function legend(scale, ends, words) {
  const bar = h("i", { class: "bar" });
  bar.style.background = `linear-gradient(90deg, ${scale.colours.filter((_, k) => k % 15 === 0).map(css).join(", ")})`;
  return [h("span", null, ends[0]), bar, h("span", null, ends[1]), h("em", null, words)];
}
