import assert from "node:assert/strict";
import { test } from "node:test";
import { distances, linked, placed } from "../src/cluster.js";
import { nearest } from "../src/nearest.js";

const points = [[0, 0], [10, 0], [0.5, 0], [10, 1], [0, 0.5], [30, 30]];
const away = (() => {
  const n = points.length;
  const made = new Float64Array(n * n);
  points.forEach((a, i) => points.forEach((b, j) => (made[i * n + j] = Math.hypot(a[0] - b[0], a[1] - b[1]))));
  return made;
})();

test("what is near stands together, and the tree grows with distance", () => {
  const tree = linked(away, points.length);
  const order = tree.leaves;
  assert.deepEqual([...order].sort((a, b) => a - b), [0, 1, 2, 3, 4, 5]);
  assert.deepEqual([...order.slice(0, 3)].sort(), [0, 2, 4]);
  assert.deepEqual([...order.slice(3, 5)].sort(), [1, 3]);
  const grows = (node) => !node.left || (node.height >= Math.max(node.left.height, node.right.height) && grows(node.left) && grows(node.right));
  assert.ok(grows(tree));
  // Average linkage by hand: the far point's mean distance to the five others.
  const mean = [0, 1, 2, 3, 4].reduce((sum, k) => sum + away[k * 6 + 5], 0) / 5;
  assert.ok(Math.abs(tree.height - mean) < 1e-9);
});

test("one leaf and none are trees", () => {
  assert.deepEqual(linked(new Float64Array(1), 1).leaves, [0]);
  assert.deepEqual(linked(new Float64Array(0), 0).leaves, []);
});

test("points in the plane have their distances", () => {
  const at = placed(away, points.length);
  at.forEach((a, i) => at.forEach((b, j) => assert.ok(Math.abs(Math.hypot(a[0] - b[0], a[1] - b[1]) - away[i * 6 + j]) < 1e-6)));
});

test("distances of rows pass over what is missing", () => {
  const made = distances([[1, NaN, 3], [1, 2, 7], [NaN, 2, NaN]]);
  assert.equal(made[1], Math.sqrt(16 / 2));
  assert.equal(made[2], 0);
  assert.equal(made[5], 0);
});

test("the nearest layer and its runner-up: not the layer itself, and of distances the smallest", () => {
  const numbers = Float64Array.of(1, 0.2, 0.9, 0.2, 1, 0.5, 0.9, 0.5, NaN);
  const layers = [0, 1, 2].map((place) => ({ place }));
  const of = (sign) => nearest(sign, numbers, layers, layers).map(({ best, second }) => [best?.place, second?.place]);
  assert.deepEqual(of(1), [[2, 1], [2, 0], [0, 1]]);
  assert.deepEqual(of(-1), [[1, 2], [0, 2], [1, 0]]);
  const none = nearest(1, new Float64Array(9).fill(NaN), layers, layers);
  assert.equal(none[0].best, null);
});
