/** Runs cases of one group on a driver and sums up. */

import { type CpuDriver, compareOutcome } from "./cpu-driver.ts";
import { BadVectorFileError, type VectorCase } from "./nv1.ts";

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
  /** By the name of the case: those kept for printing, and how many there were. */
  readonly failuresByName: Map<string, Failure[]>;
  readonly countsByName: Map<string, number>;
  /** What ended the cases before their time; it counts as a failure. */
  damage?: string;
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
    countsByName: new Map(),
  };
  try {
    for (const test of cases) {
      const differences = compareOutcome(test, driver.run(test));
      noteResult(result, { test, differences }, keep, keepSoft);
    }
  } catch (error) {
    if (!(error instanceof BadVectorFileError)) throw error;
    result.damage = error.message;
    result.failed++;
  }
  return result;
}

function noteResult(result: GroupResult, found: Failure, keep: number, keepSoft: boolean): void {
  const { test, differences } = found;
  const isGood = differences.length === 0;
  if (test.isSoft) {
    result.soft++;
    if (!isGood) result.softFailed++;
  } else if (isGood) result.passed++;
  else result.failed++;
  if (isGood || (test.isSoft && !keepSoft)) return;
  result.countsByName.set(test.name, (result.countsByName.get(test.name) ?? 0) + 1);
  const kept = result.failuresByName.get(test.name) ?? [];
  if (kept.length === 0) result.failuresByName.set(test.name, kept);
  if (kept.length < keep) kept.push(found);
}
