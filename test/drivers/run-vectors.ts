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
  /** Cases of instructions that the modelled processor does not have. */
  skipped: number;
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
    skipped: 0,
    failuresByName: new Map(),
  };
  for (const test of cases) {
    if (isBeyondModel(test.code)) {
      result.skipped++;
      continue;
    }
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

const PREFIXES = new Set([0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66, 0x67, 0xf0, 0xf2, 0xf3]);

/** MMX and SSE: the core models a Pentium Pro, to which these opcodes are undefined. Looks at the first instruction only. */
function isBeyondModel(code: Uint8Array): boolean {
  let at = 0;
  while (PREFIXES.has(code[at]!)) at++;
  if (code[at] !== 0x0f) return false;
  const opcode = code[at + 1]!;
  return (
    (opcode >= 0x10 && opcode <= 0x17) ||
    (opcode >= 0x28 && opcode <= 0x2f) ||
    (opcode >= 0x50 && opcode <= 0x7f) ||
    (opcode === 0xae && ((code[at + 2]! >> 3) & 7) > 1) ||
    (opcode >= 0xc2 && opcode <= 0xc6) ||
    opcode >= 0xd0
  );
}
