/** Compares a processor under test with an oracle on random cases, and makes small cases of large ones. */
import { PTE_P } from "../../abi/x86.ts";
import { type CpuDriver, type CpuOutcome, compareOutcome } from "./cpu-driver.ts";
import type { CodeSizes } from "./describe-failure.ts";
import { disagreements } from "./mixed-runs.ts";
import { ENTRY, IMAGE, VECTOR_HANGS } from "./native.ts";
import type { VectorCase } from "./nv1.ts";
import type { Oracle } from "./oracles.ts";
import { type RandomCase, startBits, toInput } from "./random-case.ts";
import { assemble } from "./random-code.ts";
import type { Failure } from "./run-vectors.ts";

const VECTOR_PF = 14;
const PFERR_FETCH = 0x10;
const HARNESS = { first: 0x00400000, end: 0x01002000 };

/** A case that differs, as it was drawn. */
export interface RandomFailure extends Failure {
  readonly from: RandomCase;
}

/** A case where an emulator does not what the processor under test and, where there is one, silicon do. */
export interface Departure extends RandomFailure {
  readonly classes: readonly string[];
}

/** What came of a run of cases. */
export interface Findings {
  /** Cases compared, and what they retired. */
  readonly cases: number;
  readonly instructions: number;
  /** Cases that no oracle could answer for. */
  readonly open: readonly RandomCase[];
  readonly failures: readonly RandomFailure[];
  readonly departures: readonly Departure[];
}

/** Runs cases; those that cannot be assembled are left out. Where an emulator differs, its arbiter says who is right. */
export function examine(
  driver: CpuDriver,
  oracle: Oracle,
  sources: readonly RandomCase[],
): Findings {
  const drawn = sources.flatMap((from) => {
    const input = toInput(from);
    return input === undefined ? [] : [{ from, input }];
  });
  const failures: RandomFailure[] = [];
  const doubtful: Departure[] = [];
  const open: RandomCase[] = [];
  let cases = 0;
  let instructions = 0;
  oracle.record(drawn.map(({ input }) => input)).forEach((test, index) => {
    const { from } = drawn[index]!;
    const got = isOpen(test) ? undefined : driver.run(test);
    if (got === undefined || isInImage(got)) {
      open.push(from);
      return;
    }
    let differences = compareOutcome(test, got);
    if (differences.length > 0 && oracle.explain !== undefined) {
      const { classes, left } = oracle.explain(test, got);
      const isDoubtful = oracle.arbiter !== undefined || left.length === 0;
      if (isDoubtful) doubtful.push({ from, test, differences, classes });
      if (oracle.arbiter !== undefined) return;
      differences = [...left];
    }
    cases++;
    instructions += got.retired ?? 0;
    if (differences.length === 0) differences = disagreements(driver, test, got);
    if (differences.length > 0) failures.push({ test, differences, from });
  });
  if (oracle.arbiter === undefined || doubtful.length === 0) {
    return { cases, instructions, open, failures, departures: doubtful };
  }
  const judged = examine(
    driver,
    oracle.arbiter,
    doubtful.map(({ from }) => from),
  );
  const settled = new Set([...judged.open, ...judged.failures.map(({ from }) => from)]);
  return {
    cases: cases + judged.cases,
    instructions: instructions + judged.instructions,
    open: [...open, ...judged.open],
    failures: [...failures, ...judged.failures],
    departures: doubtful.filter(({ from }) => !settled.has(from)),
  };
}

/** @returns the cases that differ, in order. */
export function differing(
  driver: CpuDriver,
  oracle: Oracle,
  cases: readonly RandomCase[],
): readonly RandomFailure[] {
  return examine(driver, oracle, cases).failures;
}

/** Whether the case reached for memory where the oracle has itself and nothing should be. */
function isInImage({ vector, cr2 }: CpuOutcome): boolean {
  return vector === VECTOR_PF && (cr2 - IMAGE.address) >>> 0 < IMAGE.bytes;
}

/**
 * Whether the case reached for pages where a harness may keep its own tables (the vectors' FORMAT.md), ran into data, which pages
 * without NX allow, or did not end.
 */
function isOpen({ vector, cr2 = 0, error = 0 }: VectorCase): boolean {
  if (vector === VECTOR_HANGS) return true;
  if (vector !== VECTOR_PF) return false;
  const isFetch = (error & PFERR_FETCH) !== 0 && (error & PTE_P) !== 0;
  return isFetch || (cr2 >= HARNESS.first && cr2 < HARNESS.end);
}

/** Where the code of a failure changes between 16 and 32 bits. */
export function codeSizes({ from }: RandomFailure): CodeSizes | undefined {
  return assemble(from.pieces, from.codeAt, startBits(from))?.bits;
}

/** Kind of the first difference: the text up to the first colon, so that shrinking does not wander off to another fault. */
function kindOf(failure: Failure): string {
  return failure.differences[0]!.split(":")[0]!;
}

/** Leaves out instructions, then state, as long as the case still differs in the same way. */
export function shrink(driver: CpuDriver, oracle: Oracle, failure: RandomFailure): RandomFailure {
  let smallest = failure;
  for (const variants of [withoutPieces, withoutState]) {
    for (;;) {
      const smaller = differing(driver, oracle, variants(smallest.from)).find(
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
  if (test.codeAt !== ENTRY) variants.push({ ...test, codeAt: ENTRY });
  test.segs?.forEach((selector, s) => {
    // CS and SS are there to stay.
    if (s === 1 || s === 2 || selector === 0) return;
    variants.push({ ...test, segs: test.segs!.with(s, 0) });
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
