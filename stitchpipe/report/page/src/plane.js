// Numbers of all pairs of layers: blocks that are fetched when they are needed, and what their codes stand for.

import { codesOf, inflated, squared } from "./codec.js";
import { fixed, outward } from "./numbers.js";

export class Plane {
  /**
   * @param {object} about what stitchpipe/report/planes.py says of the plane
   * @param {string} name how the names of its blocks begin
   * @param {number} size rows, and columns
   * @param {{block: number}} codes the codes that are no numbers
   * @param {(name: string) => Promise<Uint8Array>} fetched gives the bytes of a block
   */
  constructor(about, name, size, codes, fetched) {
    Object.assign(this, { about, name, size, codes, fetched });
    this.blocks = new Map();
    this.waiting = new Map();
    this.beyond = new Map((about.beyond || []).map(([i, j, value]) => [i * size + j, value]));
  }

  /** Have the blocks of some rows and columns at hand. */
  async need(rows, columns) {
    const side = this.codes.block;
    const of = (places) => [...new Set(places.map((place) => Math.floor(place / side)))];
    const wanted = new Set();
    for (const row of of(rows)) for (const column of of(columns)) wanted.add(this.key(row, column));
    await Promise.all([...wanted].map((key) => this.block(key)));
  }

  key(row, column) {
    return this.about.symmetric && row > column ? `${column}.${row}` : `${row}.${column}`;
  }

  async block(key) {
    if (this.blocks.has(key)) return;
    if (!this.waiting.has(key)) this.waiting.set(key, this.inflate(key));
    try {
      await this.waiting.get(key);
    } finally {
      this.waiting.delete(key); // what failed may be asked for again
    }
  }

  async inflate(key) {
    const codes = codesOf(await inflated(await this.fetched(`${this.name}-${key}`)), this.about.bytes);
    const [row, column] = key.split(".").map(Number);
    const tall = Math.min(this.codes.block, this.size - row * this.codes.block);
    const isHalf = this.about.symmetric && row === column;
    this.blocks.set(key, isHalf ? squared(codes, tall) : codes);
    if (this.size <= this.codes.block && this.about.divisor) this.numbers = this.decoded();
  }

  /** All numbers at once, of a plane of one block: a map asks for each of them several times. */
  decoded() {
    const codes = this.blocks.get("0.0");
    const { divisor, offset } = this.about;
    const { firstReason } = this.codes;
    const numbers = new Float64Array(codes.length);
    for (let k = 0; k < codes.length; k++) numbers[k] = codes[k] < firstReason ? (codes[k] + offset) / divisor : NaN;
    for (const [at, value] of this.beyond) numbers[at] = value;
    return numbers;
  }

  code(i, j) {
    const side = this.codes.block;
    if (this.about.symmetric && Math.floor(i / side) > Math.floor(j / side)) [i, j] = [j, i];
    const [row, column] = [Math.floor(i / side), Math.floor(j / side)];
    const codes = this.size <= side ? this.only() : this.blocks.get(`${row}.${column}`);
    if (!codes) return this.codes.nothing;
    const wide = Math.min(side, this.size - column * side);
    return codes[(i - row * side) * wide + (j - column * side)];
  }

  only() {
    this.single ||= this.blocks.get("0.0");
    return this.single;
  }

  /** The number of a pair, NaN where there is none. */
  value(i, j) {
    if (this.numbers) return this.numbers[i * this.size + j];
    const code = this.code(i, j);
    const { divisor, offset } = this.about;
    if (code < this.codes.firstReason) return (code + offset) / divisor;
    return code === this.codes.beyond ? this.beyond.get(i * this.size + j) : NaN;
  }

  /** The numbers of some rows × columns, row by row: whoever looks at all of them several times looks at these. */
  among(rows, columns) {
    const among = new Float64Array(rows.length * columns.length);
    let k = 0;
    for (const { place: i } of rows) for (const { place: j } of columns) among[k++] = this.value(i, j);
    return among;
  }

  wasMeasured(i, j) {
    return this.code(i, j) !== this.codes.nothing;
  }

  /** Why a pair that was measured has no number. */
  reason(i, j) {
    const code = this.code(i, j);
    const isReason = code >= this.codes.firstReason && code < this.codes.beyond;
    return isReason ? this.about.reasons[code - this.codes.firstReason] : null;
  }

  text(i, j) {
    return fixed(this.value(i, j), this.about.decimals);
  }
}

/** The limits of an interval: `low` and `high` hold their distances from the numbers of `value`. */
export class Interval {
  constructor(value, low, high) {
    Object.assign(this, { value, low, high });
  }

  async need(rows, columns) {
    await Promise.all([this.value, this.low, this.high].map((plane) => plane.need(rows, columns)));
  }

  limit(plane, i, j) {
    const code = plane.code(i, j);
    if (code === plane.codes.noLimit || code === plane.codes.nothing) return NaN;
    const { least, span, steps } = plane.about;
    const away = least + span * (code / steps) ** 2;
    return this.value.value(i, j) + (plane === this.high ? away : -away);
  }

  limits(i, j) {
    return [this.limit(this.low, i, j), this.limit(this.high, i, j)];
  }

  text(i, j) {
    const [low, high] = this.limits(i, j);
    if (Number.isNaN(low) || Number.isNaN(high)) return "–";
    const decimals = this.low.about.decimals;
    return `${outward(low, decimals, false)} – ${outward(high, decimals, true)}`;
  }
}
