/** Two results side by side: ratios, and which rows of the second are worse than threshold and noise explain. */
import type { ComparableRow } from "./bench-result.ts";
import { median } from "./bench-stats.ts";
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
  /** after / before of the exact counts; 1 where both are 0 or either file does not tell. */
  readonly instructions: number;
  readonly crossings: number;
  /** Slower than the threshold, and not by noise. */
  readonly isSlower: boolean;
  /** More instructions or crossings than before: these are exact, so any growth is real. */
  readonly hasGrown: boolean;
}

/** Everything that the comparison found. */
export interface ComparisonReport {
  /** What both results hold, in the order of the second. */
  readonly rows: readonly Comparison[];
  /** "scenario, path" of what only the first has: nobody knows whether it still works. */
  readonly missing: readonly string[];
  /** "scenario, path" of what only the second has. */
  readonly added: readonly string[];
  /** Whether a regression suite must stop here. */
  readonly isWorse: boolean;
}

/** Counts per iteration differ by less between runs of unlike length: what the loop's ends cost is shared by all iterations. */
const COUNT_TOLERANCE = 0.001;
const COUNT_STEP = 0.01;
/** Noise does not excuse a median that has doubled. */
const NEVER_NOISE = 2;

/** Compares two results; `threshold` is the ratio up to which a scenario may be slower. */
export function compareResults(
  before: { readonly scenarios: readonly ComparableRow[] },
  after: { readonly scenarios: readonly ComparableRow[] },
  threshold: number,
): ComparisonReport {
  const rows = after.scenarios.flatMap((now) => {
    const then = counterpart(before.scenarios, now);
    return then === undefined ? [] : [compareRow(then, now, threshold)];
  });
  const only = (one: readonly ComparableRow[], other: readonly ComparableRow[]): string[] =>
    one
      .filter((row) => counterpart(other, row) === undefined)
      .map((row) => `${row.name}, ${row.path}`);
  const missing = only(before.scenarios, after.scenarios);
  return {
    rows,
    missing,
    added: only(after.scenarios, before.scenarios),
    isWorse: missing.length > 0 || rows.some(({ isSlower, hasGrown }) => isSlower || hasGrown),
  };
}

function counterpart(
  rows: readonly ComparableRow[],
  { name, path }: ComparableRow,
): ComparableRow | undefined {
  return rows.find((row) => row.name === name && row.path === path);
}

function compareRow(then: ComparableRow, now: ComparableRow, threshold: number): Comparison {
  const ratio = now.ns / then.ns;
  const [was, is] = [interval(then), interval(now)];
  return {
    name: now.name,
    path: now.path,
    before: then.ns,
    after: now.ns,
    ratio,
    low: is.low / was.high,
    high: is.high / was.low,
    instructions: countRatio(then.instructions, now.instructions),
    crossings: countRatio(then.crossings, now.crossings),
    isSlower:
      ratio > threshold && (ratio >= NEVER_NOISE || !isNoise(then, now, was, is, threshold)),
    hasGrown:
      hasGrown(then.instructions, now.instructions) || hasGrown(then.crossings, now.crossings),
  };
}

/** The row's confidence interval; the median itself where there is none, or one that does not belong to it. */
function interval({ ns, ciLow, ciHigh }: ComparableRow): { low: number; high: number } {
  if (ciLow === undefined || ciHigh === undefined || !(0 < ciLow && ciLow <= ns && ns <= ciHigh))
    return { low: ns, high: ns };
  return { low: ciLow, high: ciHigh };
}

/**
 * Whether the difference may be noise: either median lies within the other's interval; or, where both files have their repeats, the
 * intervals touch, or the fastest ones, which a neighbour on the machine disturbed least, are not past the threshold.
 */
function isNoise(
  then: ComparableRow,
  now: ComparableRow,
  was: { high: number },
  is: { low: number },
  threshold: number,
): boolean {
  if (now.ns <= was.high || is.low <= then.ns) return true;
  const [fastestThen, fastestNow] = [fastest(then), fastest(now)];
  if (fastestThen === undefined || fastestNow === undefined) return false;
  return is.low <= was.high || fastestNow <= fastestThen * threshold;
}

/** The fastest repeat, where the file has repeats and they are those of its median. */
function fastest({ ns, samples }: ComparableRow): number | undefined {
  if (samples === undefined || samples.length === 0) return undefined;
  if (Math.abs(median(samples) / ns - 1) > COUNT_TOLERANCE) return undefined;
  return Math.min(...samples);
}

function countRatio(then: number | undefined, now: number | undefined): number {
  if (then === undefined || now === undefined || then === now) return 1;
  return now / then;
}

function hasGrown(then: number | undefined, now: number | undefined): boolean {
  if (then === undefined || now === undefined) return false;
  return now - then > Math.max(COUNT_STEP, then * COUNT_TOLERANCE);
}

/** Renders a comparison as a table with a verdict below it. */
export function renderComparison(report: ComparisonReport, threshold: number): string {
  const { rows, missing, added } = report;
  const table = padTable(
    ["scenario", "path", "before ns", "after ns", "ratio", "interval", "instr.", "crossings", ""],
    rows.map((row) => [
      row.name,
      row.path,
      row.before.toFixed(0),
      row.after.toFixed(0),
      row.ratio.toFixed(3),
      `${row.low.toFixed(2)}-${row.high.toFixed(2)}`,
      countText(row.instructions),
      countText(row.crossings),
      [row.isSlower ? "SLOWER" : "", row.hasGrown ? "MORE WORK" : ""].join(" ").trim(),
    ]),
    2,
  );
  const slower = rows.filter(({ isSlower }) => isSlower).length;
  const grown = rows.filter(({ hasGrown }) => hasGrown).length;
  return [
    table,
    "",
    slower === 0
      ? `nothing is slower than ${threshold} times, beyond the noise`
      : `${slower} of ${rows.length} are more than ${threshold} times slower, beyond the noise`,
    ...(grown === 0 ? [] : [`${grown} of ${rows.length} take more instructions or crossings`]),
    ...(missing.length === 0 ? [] : [`MISSING in the second result: ${missing.join("; ")}`]),
    ...(added.length === 0 ? [] : [`only in the second result: ${added.join("; ")}`]),
  ].join("\n");
}

function countText(ratio: number): string {
  if (Math.abs(ratio - 1) <= COUNT_TOLERANCE) return "=";
  return Number.isFinite(ratio) ? ratio.toFixed(3) : "from 0";
}
