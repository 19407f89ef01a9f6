/** Medians and how sure they are, without assuming a distribution. */

/** A median with a confidence interval. */
export interface Estimate {
  readonly median: number;
  readonly low: number;
  readonly high: number;
  /** Chance that an interval made this way holds the true median, 0 to 1. */
  readonly coverage: number;
}

/** @returns the median of a list that is not empty. */
export function median(values: readonly number[]): number {
  const sorted = sortedCopy(values);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/**
 * The median with an interval of order statistics: the narrowest symmetric pair of ranks that covers the true median with at least
 * `confidence`, whatever the distribution; the whole range, with the coverage it has, when there are too few values for that.
 */
export function estimateMedian(values: readonly number[], confidence = 0.95): Estimate {
  const sorted = sortedCopy(values);
  const count = sorted.length;
  // P(fewer than `rank` values below the median), from the binomial distribution with p = 1/2.
  let tail = 0;
  let rank = 0;
  let probability = 2 ** -count;
  let coverage = 1 - 2 * probability;
  for (let k = 0; k < count >> 1; k++) {
    if (k > 0) probability *= (count - k + 1) / k;
    if (1 - 2 * (tail + probability) < confidence && k > 0) break;
    tail += probability;
    rank = k;
    coverage = 1 - 2 * tail;
  }
  return {
    median: median(sorted),
    low: sorted[rank]!,
    high: sorted[count - 1 - rank]!,
    coverage: Math.max(0, coverage),
  };
}

function sortedCopy(values: readonly number[]): number[] {
  return [...values].sort((a, b) => a - b);
}
