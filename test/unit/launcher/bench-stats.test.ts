import fc from "fast-check";
import { expect, test } from "vitest";
import { estimateMedian, median } from "../../../host-ts/launcher/bench-stats.ts";

test("the median of an even number of values is the mean of the middle two", () => {
  expect(median([4, 1, 3, 2])).toBe(2.5);
  expect(median([7])).toBe(7);
});

test("15 values are covered at 95 % from the fourth to the twelfth, the textbook ranks", () => {
  const values = Array.from({ length: 15 }, (_, index) => index + 1);
  const { low, high, coverage } = estimateMedian(values);
  expect([low, high]).toEqual([4, 12]);
  expect(coverage).toBeCloseTo(0.9648, 4);
});

test("too few values give their whole range and say how little it covers", () => {
  expect(estimateMedian([1, 2, 3])).toEqual({ median: 2, low: 1, high: 3, coverage: 0.75 });
  expect(estimateMedian([5]).coverage).toBe(0);
});

test("the interval holds the median, and the order of the values does not matter", () => {
  fc.assert(
    fc.property(
      fc.array(fc.double({ min: 0, max: 1e6, noNaN: true }), { minLength: 1 }),
      (values) => {
        const found = estimateMedian(values);
        expect(found.low).toBeLessThanOrEqual(found.median);
        expect(found.high).toBeGreaterThanOrEqual(found.median);
        expect(estimateMedian(values.toReversed())).toEqual(found);
      },
    ),
  );
});
