/**
 * What a CPU test may ask of an implementation, and the comparison of what it did with what a processor did.
 * The machine is the one of the vectors' FORMAT.md: four mapped ranges, CPL 3, flat or LDT segments.
 */
import { VECTORS_WITH_ERROR_CODE } from "../../abi/x86.ts";
import type { FxState, MemoryPiece, Steps, VectorCase } from "./nv1.ts";

/** Ranges a case sees; `writable` ones are compared. */
export const CODE = { address: 0x00100000, bytes: 0x2000 };
export const DATA = { address: 0x00200000, bytes: 0x4000 };
export const READ_ONLY = { address: 0x00208000, bytes: 0x1000 };
export const STACK = { address: 0x00300000, bytes: 0x2000 };
/** Random cases alone have it: a writable page, a read-only one, a writable one. */
export const EDGE = { address: 0x0020a000, bytes: 0x3000 };
/** What CODE is filled with: INT3. */
export const FILLER = 0xcc;

/** The state in which a case stopped. */
export interface CpuOutcome {
  readonly vector: number;
  readonly error: number;
  readonly cr2: number;
  readonly regs: Uint32Array;
  readonly eip: number;
  readonly flags: number;
  readonly segs: readonly number[];
  readonly fx: FxState | undefined;
  /** Contents of DATA and STACK; valid until the next case. */
  readonly data: Uint8Array;
  readonly stack: Uint8Array;
  readonly edge?: Uint8Array;
  /** Traps of single steps, where the case asks for them. */
  readonly steps?: Steps;
  /** Instructions retired by the case, where the driver counts them. */
  readonly retired?: number;
  /** Why the case did not stop at an exception, when it did not. */
  readonly trouble?: string;
}

/** A way of running a case that must make no difference. */
export interface RunManner {
  /** Instructions per call; by default all at once. */
  readonly slice?: number;
  /** Drops cached translations and decoded code at pseudo-random moments from this seed on. */
  readonly chaosSeed?: number;
  /** Keeps what is decoded and translated of the case before, where that had the same code. */
  readonly isWarm?: boolean;
}

/** A CPU under test. */
export interface CpuDriver {
  readonly name: string;
  run(test: VectorCase, manner?: RunManner): CpuOutcome;
}

const REG_NAMES = ["eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi"];
const SEG_NAMES = ["es", "cs", "ss", "ds", "fs", "gs"];
const FLAG_NAMES: readonly (readonly [number, string])[] = [
  [0x1, "CF"],
  [0x4, "PF"],
  [0x10, "AF"],
  [0x40, "ZF"],
  [0x80, "SF"],
  [0x400, "DF"],
  [0x800, "OF"],
];
const COMPARED_FLAGS = FLAG_NAMES.reduce((mask, [bit]) => mask | bit, 0);
const PFERR_FETCH = 0x10;
const SELECTOR_RPL = 3;
const TRACE_FACTOR = 0x01000193;
const MXCSR_PE = 0x20;
const SIGN32 = 0x80000000;
const FSW_PE_C1 = 0x220;
/** Error allowed where the architecture leaves the result approximate: units of a 64-bit significand, and relative for SSE. */
const APPROX_X87_UNITS = 1n;
const APPROX_SSE = 2 ** -11;
/** An estimate this small may be flushed to zero (SDM 2B, RCPPS): within the error allowed of the smallest normal number. */
const FLUSHED_SSE = 2 ** -126 * (1 + APPROX_SSE);

const hex = (value: number) => (value >>> 0).toString(16).padStart(8, "0");
const bytesHex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");

function flagText(flags: number): string {
  const names = FLAG_NAMES.filter(([bit]) => flags & bit).map(([, name]) => name);
  return names.join(" ") || "none";
}

/** @returns one line per difference, empty when the outcome is what the processor did. */
export function compareOutcome(test: VectorCase, got: CpuOutcome): string[] {
  const lines: string[] = [];
  const differ = (what: string, expected: string, found: string) =>
    lines.push(`${what}: expected ${expected}, found ${found}`);
  if (got.trouble !== undefined) return [got.trouble];

  if (got.vector !== test.vector) differ("vector", `${test.vector}`, `${got.vector}`);
  else {
    const hasError = ((VECTORS_WITH_ERROR_CODE >>> test.vector) & 1) !== 0;
    const ignored = test.vector === 14 ? PFERR_FETCH : 0;
    if (hasError && test.error !== undefined && ((got.error ^ test.error) & ~ignored) !== 0) {
      differ("error code", hex(test.error), hex(got.error));
    }
    const { cr2 = got.cr2, cr2Mask = -1 } = test;
    if ((got.cr2 ^ cr2) & cr2Mask) differ("cr2", hex(cr2), hex(got.cr2));
  }
  if (got.eip !== test.after.eip) differ("eip", hex(test.after.eip), hex(got.eip));
  REG_NAMES.forEach((name, r) => {
    const [want, found] = [test.after.regs[r]!, got.regs[r]!];
    if (want !== found) differ(name, hex(want), hex(found));
  });
  const wrong = (got.flags ^ test.after.flags) & COMPARED_FLAGS & ~test.undefinedFlags;
  if (wrong !== 0) {
    differ(`flags (${flagText(wrong)})`, flagText(test.after.flags), flagText(got.flags));
  }
  if (test.hasSegs) {
    // Linux returns from the signal of a single step with other RPLs.
    const compared = test.steps?.count ? ~SELECTOR_RPL : -1;
    SEG_NAMES.forEach((name, s) => {
      const [want, found] = [test.after.segs[s]! & compared, got.segs[s]! & compared];
      if (want !== found) differ(name, hex(want), hex(found));
    });
  }
  compareMemory(test, DATA.address, got.data, lines);
  compareMemory(test, STACK.address, got.stack, lines);
  if (got.edge !== undefined) compareMemory(test, EDGE.address, got.edge, lines);
  if (test.steps !== undefined && got.steps !== undefined) {
    const { count, trace } = got.steps;
    if (count !== test.steps.count) differ("steps", `${test.steps.count}`, `${count}`);
    else if (trace !== test.steps.trace)
      differ("trace of steps", hex(test.steps.trace), hex(trace));
  }
  if (test.after.fx !== undefined && got.fx !== undefined) compareFx(test, got.fx, lines);
  return lines;
}

/** Lays pieces that fall into [address, address + target.length) over `target`. */
export function overlay(target: Uint8Array, address: number, pieces: readonly MemoryPiece[]): void {
  for (const piece of pieces) {
    const at = piece.address - address;
    if (at >= 0 && at < target.length) target.set(piece.bytes, at);
  }
}

const expectedMemory = new Uint8Array(Math.max(DATA.bytes, STACK.bytes));

/** One more instruction in the trace of single steps: what native386.c works out. */
export function traceStep(trace: number, eip: number, regs: Uint32Array): number {
  let digest = Math.imul(trace ^ eip, TRACE_FACTOR);
  for (const value of regs) digest = Math.imul(digest ^ value, TRACE_FACTOR);
  return digest >>> 0;
}

function compareMemory(
  test: VectorCase,
  address: number,
  found: Uint8Array,
  lines: string[],
): void {
  const expected = expectedMemory.subarray(0, found.length).fill(0);
  overlay(expected, address, test.memory);
  overlay(expected, address, test.changes);
  if (Buffer.compare(expected, found) === 0) return;
  for (const range of test.ignored) {
    const at = range.address - address;
    if (at < 0 || at >= found.length) continue;
    expected.set(found.subarray(at, at + range.length), at);
  }
  let shown = 0;
  for (let i = 0; i < found.length && shown < 4; i++) {
    if (expected[i] === found[i]) continue;
    shown++;
    lines.push(
      `byte at ${hex(address + i)}: expected ${expected[i]!.toString(16)}, found ${found[i]!.toString(16)}`,
    );
  }
}

function compareFx(test: VectorCase, got: FxState, lines: string[]): void {
  const want = test.after.fx!;
  const differ = (what: string, expected: string, found: string) =>
    lines.push(`${what}: expected ${expected}, found ${found}`);
  const fswIgnored = test.undefinedFsw | (test.isApprox ? FSW_PE_C1 : 0);
  const mxcsrIgnored = test.isApprox ? MXCSR_PE : 0;
  if (got.fcw !== want.fcw) differ("fcw", hex(want.fcw), hex(got.fcw));
  if ((got.fsw ^ want.fsw) & ~fswIgnored & 0xffff) differ("fsw", hex(want.fsw), hex(got.fsw));
  if (got.ftw !== want.ftw) differ("ftw", hex(want.ftw), hex(got.ftw));
  if ((got.mxcsr ^ want.mxcsr) & ~mxcsrIgnored) differ("mxcsr", hex(want.mxcsr), hex(got.mxcsr));
  const top = (want.fsw >> 11) & 7;
  for (let i = 0; i < 8; i++) {
    const [wantSt, gotSt] = [want.st[i]!, got.st[i]!];
    if (
      (want.ftw >> ((top + i) & 7)) & 1 &&
      Buffer.compare(wantSt, gotSt) !== 0 &&
      !(test.isApprox && isNearX87(wantSt, gotSt))
    ) {
      differ(`st${i}`, bytesHex(wantSt), bytesHex(gotSt));
    }
    const [wantXmm, gotXmm] = [want.xmm[i]!, got.xmm[i]!];
    if (Buffer.compare(wantXmm, gotXmm) !== 0 && !(test.isApprox && isNearSse(wantXmm, gotXmm))) {
      differ(`xmm${i}`, bytesHex(wantXmm), bytesHex(gotXmm));
    }
  }
}

/** Sign, exponent and significand as one integer, so that neighbouring values are neighbours across exponents too. */
function x87Order(st: Uint8Array): bigint {
  const view = new DataView(st.buffer, st.byteOffset, 10);
  const se = view.getUint16(8, true);
  const magnitude =
    (BigInt(se & 0x7fff) << 63n) | (view.getBigUint64(0, true) & 0x7fffffffffffffffn);
  return se & 0x8000 ? -magnitude : magnitude;
}

function isNearX87(a: Uint8Array, b: Uint8Array): boolean {
  const distance = x87Order(a) - x87Order(b);
  return distance <= APPROX_X87_UNITS && distance >= -APPROX_X87_UNITS;
}

function isNearSse(a: Uint8Array, b: Uint8Array): boolean {
  const [va, vb] = [
    new DataView(a.buffer, a.byteOffset, 16),
    new DataView(b.buffer, b.byteOffset, 16),
  ];
  for (let at = 0; at < 16; at += 4) {
    if (va.getUint32(at, true) === vb.getUint32(at, true)) continue;
    const [x, y] = [va.getFloat32(at, true), vb.getFloat32(at, true)];
    const isSameSign = ((va.getUint32(at, true) ^ vb.getUint32(at, true)) & SIGN32) === 0;
    if (isSameSign && Math.abs(x) <= FLUSHED_SSE && Math.abs(y) <= FLUSHED_SSE) continue;
    if (!(Math.abs(x - y) <= Math.abs(x) * APPROX_SSE)) return false;
  }
  return true;
}
