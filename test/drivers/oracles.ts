/** The processors that random code can be compared with, and what is known to be wrong in them. */
import type { CpuOutcome } from "./cpu-driver.ts";
import { createNativeOracle, type NativeInput } from "./native.ts";
import type { VectorCase } from "./nv1.ts";
import { withoutDepartures } from "./qemu-departures.ts";
import { FAMILIES, type Family } from "./random-case.ts";

export const ORACLES = ["native", "qemu"] as const;
export type OracleName = (typeof ORACLES)[number];

/** Whether an argument names an oracle. */
export function isOracleName(name: string): name is OracleName {
  return (ORACLES as readonly string[]).includes(name);
}

/** Another processor. */
export interface Oracle {
  /** What it did, one answer for each case. */
  record(inputs: readonly NativeInput[]): VectorCase[];
  /** What of that can be held against `got`; undefined: nothing. */
  correct(test: VectorCase, got: CpuOutcome): VectorCase | undefined;
}

/** What each can answer for: how qemu-i386 fares with SSE3 and later has not been looked into. */
export const ORACLE_FAMILIES: Readonly<Record<OracleName, readonly Family[]>> = {
  native: FAMILIES,
  qemu: FAMILIES.filter((family) => family !== "sse4"),
};

/** The host's processor, or `qemu-i386` from the path with what it does wrong taken out; or why there is none. */
export function createOracle(name: OracleName): Oracle | { readonly reason: string } {
  const oracle = createNativeOracle(name === "native" ? [] : ["qemu-i386", "-cpu", "max"]);
  if ("reason" in oracle) return oracle;
  const correct = name === "native" ? (test: VectorCase) => test : withoutDepartures;
  return { record: oracle.record, correct };
}
