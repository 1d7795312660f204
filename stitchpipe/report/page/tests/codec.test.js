import assert from "node:assert/strict";
import { test } from "node:test";
import { deflateRawSync } from "node:zlib";
import { bytesOf, codesOf, inflated, squared } from "../src/codec.js";
import { Interval, Plane } from "../src/plane.js";

const CODES = { block: 2, firstReason: 60_001, beyond: 65_534, nothing: 65_535, noLimit: 255 };

/** Codes as stitchpipe/report/planes.py lays them down. */
const laid = (codes, bytes) => {
  const steps = codes.map((code, k) => (code - (k ? codes[k - 1] : 0) + 65_536) % (bytes === 2 ? 65_536 : 256));
  return deflateRawSync(Uint8Array.from(bytes === 2 ? [...steps.map((step) => step & 255), ...steps.map((step) => step >> 8)] : steps));
};

test("codes come back from their differences, round the ends of their range too", async () => {
  const codes = [5, 65_535, 0, 60_001, 60_000, 1];
  assert.deepEqual([...codesOf(await inflated(laid(codes, 2)), 2)], codes);
  assert.deepEqual([...codesOf(await inflated(laid([250, 3, 255, 0], 1)), 1)], [250, 3, 255, 0]);
});

test("half of a symmetric square makes the whole", () => {
  assert.deepEqual([...squared(Uint16Array.from([1, 2, 3, 4, 5, 6]), 3)], [1, 2, 3, 2, 4, 5, 3, 5, 6]);
});

test("base64 is bytes", () => assert.deepEqual([...bytesOf("AP8Q")], [0, 255, 16]));

const plane = (about, blocks, size = 3) => {
  const asked = [];
  const made = new Plane({ divisor: 100, offset: -10, decimals: 2, bytes: 2, symmetric: false, ...about }, "0-value", size, CODES, async (name) => {
    asked.push(name);
    return blocks[name];
  });
  return { made, asked };
};

test("blocks are fetched when they are needed, and once", async () => {
  const { made, asked } = plane({ reasons: ["constant: it does not vary"], beyond: [[0, 1, -1e6]] }, {
    "0-value-0.0": laid([20, 65_534, 60_001, 65_535], 2),
    "0-value-0.1": laid([30, 40], 2),
    "0-value-1.0": laid([50, 60], 2),
    "0-value-1.1": laid([70], 2),
  });
  await Promise.all([made.need([0, 1], [0, 1]), made.need([0], [1])]);
  assert.deepEqual(asked, ["0-value-0.0"]);
  assert.equal(made.text(0, 0), "0.10");
  assert.equal(made.value(0, 1), -1e6);
  assert.equal(made.text(1, 0), "–");
  assert.equal(made.reason(1, 0), "constant: it does not vary");
  assert.equal(made.wasMeasured(1, 1), false);
  assert.equal(made.wasMeasured(1, 0), true);
  await made.need([0, 1, 2], [2]);
  assert.deepEqual(asked.slice(1), ["0-value-0.1", "0-value-1.1"]);
  assert.equal(made.text(1, 2), "0.30");
  assert.equal(made.text(2, 2), "0.60");
});

test("of a symmetric plane only blocks above the diagonal are fetched", async () => {
  const { made, asked } = plane({ symmetric: true }, { "0-value-0.0": laid([20, 30, 40], 2), "0-value-0.1": laid([50, 60], 2), "0-value-1.1": laid([70], 2) });
  await made.need([0, 1, 2], [0, 1, 2]);
  assert.deepEqual(asked.sort(), ["0-value-0.0", "0-value-0.1", "0-value-1.1"]);
  assert.equal(made.value(1, 0), made.value(0, 1));
  assert.equal(made.value(2, 1), 0.5);
  assert.equal(made.value(1, 2), 0.5);
});

test("a block that could not be fetched is asked for again", async () => {
  let attempts = 0;
  const made = new Plane({ divisor: 1, offset: 0, decimals: 0, bytes: 2, symmetric: false }, "0-value", 1, CODES, async () => {
    if (!attempts++) throw new Error("gone");
    return laid([7], 2);
  });
  await assert.rejects(made.need([0], [0]), /gone/);
  await made.need([0], [0]);
  assert.equal(made.value(0, 0), 7);
});

test("limits are rounded outwards", async () => {
  const limits = { least: 0, span: 0.5, steps: 250, decimals: 3, bytes: 1 };
  const { made: value } = plane({ divisor: 10_000, offset: 0, decimals: 4 }, { "0-value-0.0": laid([5000], 2) }, 1);
  const [low, high] = ["low", "high"].map((name) => plane({ ...limits }, { "0-value-0.0": laid([100], 1) }, 1).made);
  const interval = new Interval(value, low, high);
  await interval.need([0], [0]);
  assert.deepEqual(interval.limits(0, 0).map((each) => each.toFixed(6)), ["0.420000", "0.580000"]);
  assert.equal(interval.text(0, 0), "0.420 – 0.580");
});
