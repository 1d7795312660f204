import assert from "node:assert/strict";
import { test } from "node:test";
import { csv } from "../src/csv.js";
import { count, fixed, outward, short } from "../src/numbers.js";
import { matrixCall, nearestCall, opened, quoted } from "../src/python.js";
import { parsed, written } from "../src/state.js";

test("numbers have one format", () => {
  assert.equal(fixed(-0.5, 3), "−0.500");
  assert.equal(fixed(-0.00001, 3), "0.000");
  assert.equal(fixed(NaN, 3), "–");
  assert.equal(fixed(1234, -2), "1200");
  assert.equal(short(0.98765), "0.9877");
  assert.equal(short(1.5e-7), "1.50e−7");
  assert.equal(short(undefined), "–");
  assert.equal(count(1234567), "1\u202f234\u202f567");
});

test("limits are rounded away from what lies between them", () => {
  assert.equal(outward(0.12345, 2, false), "0.12");
  assert.equal(outward(0.12345, 2, true), "0.13");
  assert.equal(outward(0.12, 2, true), "0.12");
  assert.equal(outward(-0.12345, 2, false), "−0.13");
});

test("a state survives its fragment", () => {
  const defaults = { a: "A", b: "B", measure: "cka@pooled" };
  const state = { a: "a/ü &=#%", b: "B", measure: "gulp(0.1)@positions", cell: "3.4", find: "" };
  const fragment = written(state, defaults);
  assert.ok(!fragment.includes("b="));
  assert.deepEqual({ ...defaults, ...parsed(fragment) }, { a: state.a, b: "B", measure: state.measure, cell: "3.4" });
  assert.equal(written(defaults, defaults), "");
  assert.deepEqual(parsed("#glossary"), {});
  assert.deepEqual(parsed("#__proto__=1&a=x"), { a: "x" });
});

test("CSV quotes what needs it, and starts no formula", () => {
  assert.equal(csv(["a", "b"], [["x,y", 1.5], ['say "no"', NaN], ["=1+1", null]]), 'a,b\r\n"x,y",1.5\r\n"say ""no""",\r\n\'=1+1,\r\n');
});

test("Python says what is shown", () => {
  const measure = { index: "gulp(0.1)", view: "pooled" };
  assert.equal(matrixCall(measure, "A", 'B"'), 'run.matrix("gulp(0.1)", "A", "B\\"", view="pooled")');
  assert.equal(matrixCall(measure, "*", "*"), 'run.matrix("gulp(0.1)", view="pooled")');
  assert.equal(nearestCall(measure, "A/l[1]", "B"), 'run.nearest("A/l[[]1]", among="B/*", measure="gulp(0.1)", view="pooled", side="source")');
  assert.equal(nearestCall(measure, "A/x", "*"), 'run.nearest("A/x", measure="gulp(0.1)", view="pooled", side="source")');
  assert.match(opened("file:///a%20b/run/report/index.html#x=1"), /sp\.open\("\/a b\/run"\)/);
  assert.match(opened("http://127.0.0.1:80/"), /sp\.open\("RUN"\)/);
  assert.equal(quoted("a\\\n"), '"a\\\\\\n"');
});
