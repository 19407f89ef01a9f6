/** Compares a processor under test with an oracle on random cases, and makes small cases of large ones. */
import { type CpuDriver, compareOutcome } from "./cpu-driver.ts";
import type { NativeInput } from "./native.ts";
import type { VectorCase } from "./nv1.ts";
import { type RandomCase, toInput } from "./random-case.ts";
import type { Failure } from "./run-vectors.ts";

const HARNESS = { first: 0x00400000, end: 0x01002000 };

/** What answers for a batch of cases. */
export type Record = (inputs: readonly NativeInput[]) => VectorCase[];

/** A case that differs, as it was drawn. */
export interface RandomFailure extends Failure {
  readonly from: RandomCase;
}

/** Runs cases; those that cannot be assembled are left out. @returns those that differ, in order. */
export function differing(
  driver: CpuDriver,
  record: Record,
  cases: readonly RandomCase[],
): RandomFailure[] {
  const inputs: NativeInput[] = [];
  const sources: RandomCase[] = [];
  for (const from of cases) {
    const input = toInput(from);
    if (input === undefined) continue;
    inputs.push(input);
    sources.push(from);
  }
  return record(inputs).flatMap((test, index) => {
    if (isInHarness(test)) return [];
    const differences = compareOutcome(test, driver.run(test));
    return differences.length === 0 ? [] : [{ test, differences, from: sources[index]! }];
  });
}

/** Whether the case reached for pages where a harness may keep its own tables (the vectors' FORMAT.md). */
function isInHarness(test: VectorCase): boolean {
  const { cr2 = 0 } = test;
  return cr2 >= HARNESS.first && cr2 < HARNESS.end;
}

/** Kind of the first difference: the text up to the first colon, so that shrinking does not wander off to another fault. */
function kindOf(failure: Failure): string {
  return failure.differences[0]!.split(":")[0]!;
}

/** Leaves out instructions, then state, as long as the case still differs in the same way. */
export function shrink(driver: CpuDriver, record: Record, failure: RandomFailure): RandomFailure {
  let smallest = failure;
  for (const variants of [withoutPieces, withoutState]) {
    for (;;) {
      const smaller = differing(driver, record, variants(smallest.from)).find(
        (candidate) => kindOf(candidate) === kindOf(failure),
      );
      if (smaller === undefined) break;
      smallest = smaller;
    }
  }
  return smallest;
}

function withoutPieces(test: RandomCase): RandomCase[] {
  const { pieces } = test;
  const variants: RandomCase[] = [];
  for (let length = pieces.length >> 1; length > 0; length >>= 1) {
    for (let at = 0; at + length <= pieces.length && length < pieces.length; at++) {
      variants.push({ ...test, pieces: [...pieces.slice(0, at), ...pieces.slice(at + length)] });
    }
  }
  return variants;
}

/** Every variant is nearer to a state of zeros than the case. */
function withoutState(test: RandomCase): RandomCase[] {
  const variants: RandomCase[] = [];
  for (let size = test.data.length; size >= 1; size >>= 1) {
    for (let at = 0; at < test.data.length; at += size) {
      if (test.data.subarray(at, at + size).every((byte) => byte === 0)) continue;
      const data = test.data.slice();
      variants.push({ ...test, data: data.fill(0, at, at + size) });
    }
  }
  test.regs.forEach((value, r) => {
    if (value !== 0) variants.push({ ...test, regs: test.regs.with(r, 0) });
  });
  for (let bit = 1; bit <= test.flags; bit <<= 1) {
    if (test.flags & bit) variants.push({ ...test, flags: test.flags & ~bit });
  }
  const { fx } = test;
  if (fx === undefined) return variants;
  variants.push({ ...test, fx: undefined });
  if (fx.fcw !== 0x37f) variants.push({ ...test, fx: { ...fx, fcw: 0x37f } });
  if (fx.mxcsr !== 0x1f80) variants.push({ ...test, fx: { ...fx, mxcsr: 0x1f80 } });
  for (let bit = 1; bit <= fx.fsw; bit <<= 1) {
    if (fx.fsw & bit) variants.push({ ...test, fx: { ...fx, fsw: fx.fsw & ~bit } });
  }
  for (const file of ["st", "xmm"] as const) {
    fx[file].forEach((value, i) => {
      if (value.every((byte) => byte === 0)) return;
      const zero = new Uint8Array(value.length);
      variants.push({ ...test, fx: { ...fx, [file]: fx[file].with(i, zero) } });
    });
  }
  return variants;
}
