/** Runs cases of one group on a driver and sums up. */

import { type CpuDriver, compareOutcome } from "./cpu-driver.ts";
import type { VectorCase } from "./nv1.ts";

/** A case whose outcome differs from the processor's. */
export interface Failure {
  readonly test: VectorCase;
  readonly differences: readonly string[];
}

/** Cases whose outcome the architecture leaves open (SOFT) are counted apart. */
export interface GroupResult {
  passed: number;
  failed: number;
  soft: number;
  softFailed: number;
  /** By the name of the case. */
  readonly failuresByName: Map<string, Failure[]>;
}

/** @param keep failures of each name that are kept for printing, SOFT ones included when `keepSoft`. */
export function runGroup(
  driver: CpuDriver,
  cases: Iterable<VectorCase>,
  keep: number,
  keepSoft = false,
): GroupResult {
  const result: GroupResult = {
    passed: 0,
    failed: 0,
    soft: 0,
    softFailed: 0,
    failuresByName: new Map(),
  };
  for (const test of cases) {
    const differences = compareOutcome(test, driver.run(test));
    const isGood = differences.length === 0;
    if (test.isSoft) {
      result.soft++;
      if (!isGood) result.softFailed++;
    } else if (isGood) result.passed++;
    else result.failed++;
    if (isGood || (test.isSoft && !keepSoft)) continue;
    const kept = result.failuresByName.get(test.name) ?? [];
    if (kept.length === 0) result.failuresByName.set(test.name, kept);
    if (kept.length < keep) kept.push({ test, differences });
  }
  return result;
}
