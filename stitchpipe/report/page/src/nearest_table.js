// The table beside the map: a line for each layer, of which other texts are shown when the measure changes.

import { h } from "./dom.js";

const CLASSES = { value: "num strong", "95 % interval": "num", "effect size": "num", "its value": "num", "family p": "num", p: "num" };

export class NearestTable {
  /** @param {HTMLElement} host @param {{onOpen: (r: number) => void, onPoint: (r: number | null) => void}} options */
  constructor(host, options) {
    Object.assign(this, { host, options, lines: [], head: "" });
  }

  /**
   * @param {string[]} head words over the columns
   * @param {string[][]} texts of the cells, line by line
   * @param {string} caption what the table is, for those who listen to it
   * @param {string} note what stands below it, or nothing
   */
  show(head, texts, caption, note) {
    if (!this.lines.length || this.lines.length !== texts.length || this.head !== String(head)) this.layOut(head, texts);
    else this.retell(texts);
    this.caption.textContent = caption;
    this.note.textContent = note;
    this.note.hidden = !note;
  }

  layOut(head, texts) {
    this.head = String(head);
    this.lines = texts.map(([layer, ...cells], r) => {
      const opens = h("button", { type: "button", class: "link", onclick: () => this.options.onOpen(r) }, layer);
      const line = h("tr", null, h("th", { scope: "row" }, opens), cells.map((text, c) => h("td", { class: CLASSES[head[c + 1]] }, text)));
      line.addEventListener("pointerenter", () => this.options.onPoint(r));
      line.addEventListener("pointerleave", () => this.options.onPoint(null));
      return line;
    });
    const columns = head.map((word) => h("th", { scope: "col", class: CLASSES[word] && "num" }, word));
    this.caption = h("caption", { class: "hidden" });
    this.note = h("p", { class: "note" });
    this.host.replaceChildren(h("table", null, this.caption, h("thead", null, h("tr", null, columns)), h("tbody", null, this.lines)), this.note);
  }

  /** Put other texts into the cells that are there: a new table of hundreds of layers takes longer than the map. */
  retell(texts) {
    texts.forEach((cells, r) => cells.forEach((text, c) => {
      const cell = this.lines[r].cells[c];
      const held = (c === 0 ? cell.firstChild : cell).firstChild;
      if (held.data !== text) held.data = text;
    }));
  }

  /** Say something in place of a table. */
  say(words) {
    this.lines = [];
    this.host.replaceChildren(h("p", { class: "note" }, words));
  }

  /** Show which line the cursor of the map is in. */
  mark(r) {
    this.host.querySelector("tr.here")?.classList.remove("here");
    if (r !== null) this.lines[r]?.classList.add("here");
  }
}
