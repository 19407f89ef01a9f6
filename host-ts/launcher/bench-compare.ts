/** Two results side by side: ratios, and which of them are worse than noise and threshold explain. */
import type { BenchResult } from "./bench-result.ts";
import { padTable } from "./bench-table.ts";

/** One scenario and path in both results. */
export interface Comparison {
  readonly name: string;
  readonly path: string;
  readonly before: number;
  readonly after: number;
  /** after / before: above 1 is slower. */
  readonly ratio: number;
  /** The least and the greatest ratio that the confidence intervals allow. */
  readonly low: number;
  readonly high: number;
  /** Slower than the threshold even where the intervals are kindest. */
  readonly isRegression: boolean;
  /** The counts per iteration differ: the two did not run the same program, or cross more often. */
  readonly countsDiffer: boolean;
}

/** Compares what both results hold, in the order of the second. */
export function compareResults(
  before: BenchResult,
  after: BenchResult,
  threshold: number,
): Comparison[] {
  return after.scenarios.flatMap((now) => {
    const then = before.scenarios.find(({ name, path }) => name === now.name && path === now.path);
    if (then === undefined) return [];
    const ratio = now.ns / then.ns;
    const low = now.ciLow / then.ciHigh;
    return {
      name: now.name,
      path: now.path,
      before: then.ns,
      after: now.ns,
      ratio,
      low,
      high: now.ciHigh / then.ciLow,
      isRegression: ratio > threshold && low > 1,
      countsDiffer: now.instructions !== then.instructions || now.crossings !== then.crossings,
    };
  });
}

/** Renders a comparison as a table with a verdict below it. */
export function renderComparison(rows: readonly Comparison[], threshold: number): string {
  const slower = rows.filter(({ isRegression }) => isRegression);
  const table = padTable(
    ["scenario", "path", "before ns", "after ns", "ratio", "interval", ""],
    rows.map((row) => [
      row.name,
      row.path,
      row.before.toFixed(0),
      row.after.toFixed(0),
      row.ratio.toFixed(3),
      `${row.low.toFixed(2)}-${row.high.toFixed(2)}`,
      [row.isRegression ? "SLOWER" : "", row.countsDiffer ? "other counts" : ""].join(" ").trim(),
    ]),
    2,
  );
  const verdict =
    slower.length === 0
      ? `nothing is slower than ${threshold} times, beyond the noise`
      : `${slower.length} of ${rows.length} are more than ${threshold} times slower, beyond the noise`;
  return `${table}\n\n${verdict}`;
}
