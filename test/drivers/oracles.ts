/** The processors that random code can be compared with, and what is known to be wrong in them. */
import { createNativeOracle, type NativeOracle } from "./native.ts";
import type { VectorCase } from "./nv1.ts";
import { FAMILIES, type Family } from "./random-case.ts";

const VECTOR_PF = 14;
const FLAGS = 0xcd5;
/** Bytes around address 0. */
const WRAP = 128;

export const ORACLES = ["native", "qemu"] as const;
export type OracleName = (typeof ORACLES)[number];

/** Whether an argument names an oracle. */
export function isOracleName(name: string): name is OracleName {
  return (ORACLES as readonly string[]).includes(name);
}

/** What each can answer for: qemu-i386 loses the x87 and SSE registers on the way into a signal handler. */
export const ORACLE_FAMILIES: Readonly<Record<OracleName, readonly Family[]>> = {
  native: FAMILIES,
  qemu: ["integer"],
};

/** Something QEMU's user-mode emulation (7.2) does unlike any processor, and what it leaves of a case to compare; undefined: nothing. */
interface Limit {
  readonly what: string;
  readonly adjust: (test: VectorCase) => VectorCase | undefined;
}

const QEMU_LIMITS: readonly Limit[] = [
  {
    what: "a page fault of a read-modify-write says it was a read, and a write to a read-only page that nothing was there",
    adjust: (test) => ({ ...test, error: undefined }),
  },
  {
    what: "flags are those of an earlier instruction after a page fault",
    adjust: (test) => (test.vector === VECTOR_PF ? { ...test, undefinedFlags: FLAGS } : test),
  },
  {
    what: "an access around the end of the address space is a page fault instead of #GP or #SS, or of the other end",
    adjust: (test) => {
      const distance = test.vector === VECTOR_PF ? Math.abs(test.cr2! | 0) : WRAP;
      return distance < WRAP ? undefined : test;
    },
  },
];

function adjusted(test: VectorCase): VectorCase[] {
  let left: VectorCase | undefined = test;
  for (const { adjust } of QEMU_LIMITS) left = left && adjust(left);
  return left === undefined ? [] : [left];
}

/** The host's processor, or `qemu-i386` from the path with what it does wrong taken out. */
export function createOracle(name: OracleName): NativeOracle {
  if (name === "native") return createNativeOracle();
  const oracle = createNativeOracle(["qemu-i386", "-cpu", "max"]);
  if ("reason" in oracle) return oracle;
  return { record: (inputs) => oracle.record(inputs).flatMap(adjusted) };
}
