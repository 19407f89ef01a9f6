/** What `wasmvisor bench compare` calls worse, and what it does not. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { compareResults, renderComparison } from "../../../host-ts/launcher/bench-compare.ts";
import { type ComparableRow, parseResult } from "../../../host-ts/launcher/bench-result.ts";
import { estimateMedian } from "../../../host-ts/launcher/bench-stats.ts";

const THRESHOLD = 1.1;

/** A row with what the issue of the format names, and nothing else. */
const plain = {
  name: "pingpong",
  path: "switcher",
  instructions: 50,
  crossings: 0,
  ns: 400,
  ciLow: 390,
  ciHigh: 410,
  phases: [],
};
type Plain = typeof plain;

function compare(before: readonly ComparableRow[], after: readonly ComparableRow[]) {
  const read = (scenarios: readonly ComparableRow[]) => parseResult(JSON.stringify({ scenarios }));
  return compareResults(read(before), read(after), THRESHOLD);
}
function changed(change: Partial<Plain>) {
  return compare([plain], [{ ...plain, ...change }]);
}

/** A row as measured: repeats with their median and interval. */
function measured(samples: number[]): ComparableRow {
  const { median: ns, low: ciLow, high: ciHigh } = estimateMedian(samples);
  return { ...plain, ns, ciLow, ciHigh, samples };
}

test("a doubled time is a regression, whatever the intervals say", () => {
  expect(changed({ ns: 800 }).isWorse).toBe(true);
  expect(changed({ ns: 800, ciLow: 780, ciHigh: 820 }).isWorse).toBe(true);
  expect(changed({ ns: 800, ciLow: 300, ciHigh: 900 }).isWorse).toBe(true);
  const { ciLow: _low, ciHigh: _high, ...bare } = plain;
  expect(compare([bare], [{ ...bare, ns: 800 }]).isWorse).toBe(true);
  const wide = measured([300, 400, 500]);
  expect(compare([wide], [{ ...wide, ns: 800 }]).isWorse).toBe(true);
});

test("slower by less than the threshold is none, and neither is faster", () => {
  expect(changed({ ns: 435, ciLow: 430, ciHigh: 440 }).isWorse).toBe(false);
  expect(changed({ ns: 200, ciLow: 195, ciHigh: 205, instructions: 36 }).isWorse).toBe(false);
  const slower = changed({ ns: 500, ciLow: 480, ciHigh: 520 });
  expect(slower.rows[0]).toMatchObject({ ratio: 1.25, isSlower: true });
  expect(renderComparison(slower, THRESHOLD)).toContain("1 of 1 are more than 1.1 times slower");
});

test("overlapping intervals, or fastest repeats that are as fast as before, are noise", () => {
  expect(changed({ ns: 500, ciLow: 395, ciHigh: 600 }).isWorse).toBe(false);
  const quiet = measured([400, 402, 404, 406, 408]);
  const disturbed = measured([403, 495, 500, 505, 510]);
  expect(compare([quiet], [disturbed]).isWorse).toBe(false);
  expect(compare([quiet], [measured([470, 480, 500, 505, 510])]).isWorse).toBe(true);
});

test("two runs of one build on a machine with neighbours are not worse than each other", () => {
  // Each repeat takes its time and what neighbours add; at least one repeat in each run is left alone.
  const run = fc
    .array(fc.double({ min: 0, max: 0.9, noNaN: true }), { minLength: 4, maxLength: 14 })
    .map((noise) => measured([100, ...noise.map((part) => 100 * (1 + part))]));
  fc.assert(fc.property(run, run, (before, after) => !compare([before], [after]).isWorse));
});

test("more instructions or crossings are a regression even at the same speed", () => {
  expect(changed({ crossings: 1 })).toMatchObject({
    isWorse: true,
    rows: [{ isSlower: false, hasGrown: true }],
  });
  expect(changed({ instructions: 51 }).isWorse).toBe(true);
  expect(changed({ instructions: 49 }).isWorse).toBe(false);
  expect(renderComparison(changed({ crossings: 1 }), THRESHOLD)).toMatch(/from 0 +MORE WORK/);
});

test("a loop's ends, shared by fewer iterations, are no more work", () => {
  expect(changed({ instructions: 50.0005 }).isWorse).toBe(false);
  expect(renderComparison(changed({ instructions: 50.0005 }), THRESHOLD)).not.toContain("MORE");
});

test("a scenario that is gone is a regression, a new one is only named", () => {
  const other = { ...plain, name: "trap" };
  const gone = compare([plain, other], [plain]);
  expect(gone).toMatchObject({ isWorse: true, missing: ["trap, switcher"] });
  expect(renderComparison(gone, THRESHOLD)).toContain("MISSING in the second result: trap");
  const added = compare([plain], [plain, other]);
  expect(added).toMatchObject({ isWorse: false, added: ["trap, switcher"] });
  expect(renderComparison(added, THRESHOLD)).toContain("only in the second result: trap");
});
