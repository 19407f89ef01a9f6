/** The processors that random code can be compared with, and who decides when an emulator is one of them. */
import type { CpuOutcome } from "./cpu-driver.ts";
import { createNativeOracle, type NativeInput } from "./native.ts";
import type { VectorCase } from "./nv1.ts";
import { type Explanation, explain } from "./qemu-departures.ts";

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
  /** Why an emulator's answer differs; silicon has none. */
  readonly explain?: (test: VectorCase, got: CpuOutcome) => Explanation;
  /** Silicon, where there is one to decide whether an emulator is wrong. */
  readonly arbiter?: Oracle;
}

/** The host's processor, or `qemu-i386` from the path with that to decide; or why there is none. */
export function createOracle(name: OracleName): Oracle | { readonly reason: string } {
  const native = createNativeOracle();
  if (name === "native") return native;
  const qemu = createNativeOracle({ emulator: ["qemu-i386", "-cpu", "max"] });
  if ("reason" in qemu) return qemu;
  return { record: qemu.record, explain, ...(!("reason" in native) && { arbiter: native }) };
}
