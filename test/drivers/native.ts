/**
 * Other processors as oracles: what the host's own or an emulator's does with a case, in the form of the vectors.
 * Needs an x86-64 Linux and a gcc that makes 32-bit programs; otherwise there is no oracle.
 */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { VECTORS_WITH_ERROR_CODE } from "../../abi/x86.ts";
import { CODE, DATA, EDGE, overlay, STACK } from "./cpu-driver.ts";
import type { FxState, MemoryPiece, VectorCase } from "./nv1.ts";
import { C1, DATA_AT } from "./random-code.ts";
import { ENVIRONMENT_AT } from "./random-x87.ts";

/** Where the code of a case usually lies, and how much of it and of the data there may be. */
export const ENTRY = 0x00100800;
export const CODE_BYTES = 1024;
export const DATA_BYTES = 256;
/** What stands for the vector of a case that does not end. */
export const VECTOR_HANGS = 255;

/** Where the program that runs the cases has itself: nothing else is mapped but the ranges of a case. */
export const IMAGE = { address: 0x5a6b7000, bytes: 0x149000 };
const GCC_FLAGS = `-m32 -O1 -mgeneral-regs-only -static -nostdlib -ffreestanding -fno-stack-protector -fno-pic -no-pie -Wl,-Ttext-segment=0x${IMAGE.address.toString(16)}`;
/** A thousand cases take a second or two; a child that needs much longer hangs, and is killed. */
const CHILD_TIMEOUT_MS = 20_000;
const CASE_TIMEOUT_MS = 100;
/** qemu-i386 asserts in some cases: this many are told of. */
const MOST_REPORTS = 5;
const FX_BYTES = 512;
// struct input and struct output of native386.c.
const FLAGS_AT = 32;
const EIP_AT = 36;
const SEGS_AT = 40;
const CODE_ADDRESS_AT = 64;
const HAS_FX_AT = 72;
const FX_AT = 80;
const CODE_AT = FX_AT + FX_BYTES;
const INPUT_BYTES = CODE_AT + CODE_BYTES + DATA_BYTES;
const BLOCKS_AT = 84;
const OUTPUT_FX_AT = 128;
const HEAD_BYTES = OUTPUT_FX_AT + FX_BYTES;
const BLOCK = 256;
const RANGES = [DATA, STACK, EDGE];
const BLOCKS = RANGES.reduce((sum, { bytes }) => sum + bytes / BLOCK, 0);
const FLAGS = 0xcd5;
const EFLAGS_TF = 0x100;
const FSW_C1 = 0x200;
const FLAT = [0x2b, 0x23, 0x2b, 0x2b, 0, 0];
const EXECUTE_ONLY = 0x47;
const FIRST_LOCAL_CODE = 7 * 8 + 7;
/** Linux gives the address of a page fault only; other exceptions report 0 or an old value. */
const VECTOR_PF = 14;
const VECTOR_BP = 3;
const PAGE_MASK = 0xfffff000;
/**
 * Reserved halves of what FNSTENV and FNSAVE write, which differ among processors, and the last-instruction pointers: before the first
 * instruction that sets them they are what the kernel left (test/isa/x87-pointers.test.ts compares them behind one that does).
 */
const ENVIRONMENT_OPEN: readonly (readonly [at: number, bytes: number])[] = [
  [2, 2],
  [6, 2],
  [10, 18],
];

/** What goes in. */
export interface NativeInput {
  readonly name: string;
  readonly code: Uint8Array;
  /** Linear address of the code, where it begins to run. */
  readonly codeAt: number;
  readonly regs: Uint32Array;
  /** With TF the case single-steps. */
  readonly flags: number;
  /** ES CS SS DS FS GS; undefined means flat ones, which are not compared. */
  readonly segs: readonly number[] | undefined;
  /** Without it the x87 and SSE state is not compared. */
  readonly fx: FxState | undefined;
  readonly data: Uint8Array;
  readonly isApprox: boolean;
  /** Flags not to compare (and C1) when the code stops `at` bytes from its start. */
  undefinedFlags(at: number): number;
}

const PREFIXES = [0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66, 0x67];
/** x87 and SSE state in memory, many words long: FLDENV, FNSTENV, FRSTOR and FNSAVE; FXSAVE and FXRSTOR. */
const STATE_FORMS: readonly (readonly [opcode: number, extensions: readonly number[]])[] = [
  [0xd9, [4, 6]],
  [0xdd, [4, 6]],
  [0xae, [0, 1]],
];

/** The recorder, or why there is none. */
export type NativeOracle =
  | { readonly record: (inputs: readonly NativeInput[]) => VectorCase[] }
  | { readonly reason: string };

/** Base of a code segment that a case may run in. */
function codeBase(selector: number): number {
  return selector < FIRST_LOCAL_CODE ? 0 : CODE.address;
}

/** What another than the host's processor runs the program with, and how long a child may take beyond its cases. */
export interface NativeOptions {
  /** A command that runs 32-bit Linux programs. */
  readonly emulator?: readonly string[];
  readonly timeoutMs?: number;
}

/** Builds the 32-bit program, where an earlier run has not, and tries it out. */
export function createNativeOracle({
  emulator = [],
  timeoutMs = CHILD_TIMEOUT_MS,
}: NativeOptions = {}): NativeOracle {
  if (process.platform !== "linux" || process.arch !== "x64") {
    return { reason: "the host is not an x86-64 Linux" };
  }
  const program = buildProgram();
  if (program === undefined) return { reason: "no gcc that makes 32-bit programs" };
  const command = [...emulator, program];
  const options = { input: "", timeout: CHILD_TIMEOUT_MS, killSignal: "SIGKILL" } as const;
  if (spawnSync(command[0]!, command.slice(1), options).status !== 0) {
    return { reason: `${emulator[0] ?? "the host"} does not run 32-bit programs` };
  }
  const isEmulator = emulator.length > 0;
  const runner: Runner = { command, timeoutMs, isEmulator, reports: MOST_REPORTS };
  return { record: (inputs) => recordAble(runner, inputs) };
}

/** @returns path of the program, named after what it is made of. */
function buildProgram(): string | undefined {
  const build = fileURLToPath(new URL("../../build/", import.meta.url));
  const source = fileURLToPath(new URL("native386.c", import.meta.url));
  const digest = createHash("sha256").update(GCC_FLAGS).update(readFileSync(source)).digest("hex");
  const program = join(build, `native386-${digest.slice(0, 16)}`);
  if (existsSync(program)) return program;
  mkdirSync(build, { recursive: true });
  const made = `${program}.${process.pid}`;
  if (spawnSync("gcc", [...GCC_FLAGS.split(" "), "-o", made, source]).status !== 0) {
    return undefined;
  }
  renameSync(made, program);
  return program;
}

interface Runner {
  readonly command: readonly string[];
  readonly timeoutMs: number;
  readonly isEmulator: boolean;
  /** How many more cases without an answer to tell of. */
  reports: number;
}

/** What stands for the answer to a case that nobody answers. */
function noAnswer(input: NativeInput): VectorCase {
  const head = Buffer.alloc(HEAD_BYTES);
  head.writeUInt32LE(VECTOR_HANGS, 0);
  return toCase(input, head, new Uint8Array(BLOCKS * BLOCK));
}

/** qemu-i386 aborts when a signal's return starts a case in execute-only code; other cases do get there by far jumps. */
function recordAble(runner: Runner, inputs: readonly NativeInput[]): VectorCase[] {
  const canRun = (input: NativeInput) => !runner.isEmulator || input.segs?.[1] !== EXECUTE_ONLY;
  const answers = recordParts(runner, inputs.filter(canRun));
  let next = 0;
  return inputs.map((input) => (canRun(input) ? answers[next++]! : noAnswer(input)));
}

/** A child may fall over a case, or never come back: halves of the batch find it, and nobody answers that one. */
function recordParts(runner: Runner, inputs: readonly NativeInput[]): VectorCase[] {
  try {
    return record(runner, inputs);
  } catch (error) {
    const [first] = inputs;
    if (first === undefined) throw error;
    if (inputs.length === 1) {
      if (runner.reports-- > 0) console.log(`${first.name}, without an answer: ${error}`);
      return [noAnswer(first)];
    }
    const middle = inputs.length >> 1;
    return [inputs.slice(0, middle), inputs.slice(middle)].flatMap((part) =>
      recordParts(runner, part),
    );
  }
}

/** Whether the instruction there, or after prefixes, has an operand of many words. */
function isStateForm(code: Uint8Array, at: number): boolean {
  let next = at;
  while (PREFIXES.includes(code[next] ?? 0)) next++;
  if (code[next] === 0x0f) next++;
  const [opcode, form = 0xff] = code.subarray(next, next + 2);
  if (form >= 0xc0) return false;
  return STATE_FORMS.some(
    ([op, extensions]) => op === opcode && extensions.includes((form >> 3) & 7),
  );
}

function record({ command, timeoutMs }: Runner, inputs: readonly NativeInput[]): VectorCase[] {
  const input = Buffer.alloc(inputs.length * INPUT_BYTES);
  inputs.forEach((test, index) => {
    encode(input.subarray(index * INPUT_BYTES, (index + 1) * INPUT_BYTES), test);
  });
  const result = spawnSync(command[0]!, command.slice(1), {
    input,
    timeout: timeoutMs + CASE_TIMEOUT_MS * inputs.length,
    killSignal: "SIGKILL",
    maxBuffer: inputs.length * (HEAD_BYTES + BLOCKS * BLOCK) + 0x1000,
  });
  if (result.status !== 0) {
    const { status, signal, error } = result;
    throw new Error(
      `${command[0]} ended with ${status ?? signal ?? ""}${error ? `: ${error}` : ""}`,
    );
  }
  let at = 0;
  return inputs.map((test) => {
    const head = result.stdout.subarray(at, at + HEAD_BYTES);
    const memory = new Uint8Array(BLOCKS * BLOCK);
    at += HEAD_BYTES;
    for (let block = 0; block < BLOCKS; block++) {
      const word = head.readUInt32LE(BLOCKS_AT + 4 * (block >> 5));
      if (((word >>> (block & 31)) & 1) === 0) continue;
      memory.set(result.stdout.subarray(at, at + BLOCK), block * BLOCK);
      at += BLOCK;
    }
    return toCase(test, head, memory);
  });
}

function encode(into: Buffer, test: NativeInput): void {
  const segs = test.segs ?? FLAT;
  test.regs.forEach((value, r) => {
    into.writeUInt32LE(value, 4 * r);
  });
  into.writeUInt32LE((test.flags & (FLAGS | EFLAGS_TF)) | 0x202, FLAGS_AT);
  into.writeUInt32LE(test.codeAt - codeBase(segs[1]!), EIP_AT);
  segs.forEach((selector, s) => {
    into.writeUInt32LE(selector, SEGS_AT + 4 * s);
  });
  into.writeUInt32LE(test.codeAt, CODE_ADDRESS_AT);
  into.writeUInt32LE(test.code.length, CODE_ADDRESS_AT + 4);
  if (test.fx !== undefined) {
    into.writeUInt32LE(1, HAS_FX_AT);
    encodeFx(into.subarray(FX_AT, CODE_AT), test.fx);
  }
  into.set(test.code, CODE_AT);
  into.set(test.data, CODE_AT + CODE_BYTES);
}

function encodeFx(into: Buffer, fx: FxState): void {
  into.writeUInt16LE(fx.fcw, 0);
  into.writeUInt16LE(fx.fsw, 2);
  into.writeUInt8(fx.ftw, 4);
  into.writeUInt32LE(fx.mxcsr, 24);
  fx.st.forEach((st, i) => {
    into.set(st, 32 + 16 * i);
  });
  fx.xmm.forEach((xmm, i) => {
    into.set(xmm, 160 + 16 * i);
  });
}

function decodeFx(image: Buffer): FxState {
  const field = (at: number, bytes: number) => Uint8Array.from(image.subarray(at, at + bytes));
  return {
    fcw: image.readUInt16LE(0),
    fsw: image.readUInt16LE(2),
    ftw: image.readUInt8(4),
    mxcsr: image.readUInt32LE(24),
    st: Array.from({ length: 8 }, (_, i) => field(32 + 16 * i, 10)),
    xmm: Array.from({ length: 8 }, (_, i) => field(160 + 16 * i, 16)),
  };
}

function toCase(input: NativeInput, head: Buffer, after: Uint8Array): VectorCase {
  const word = (index: number) => head.readUInt32LE(4 * index);
  const vector = word(0);
  const memory = [{ address: DATA_AT, bytes: input.data }];
  const eip = vector === VECTOR_BP ? word(11) - 1 : word(11);
  const flags = word(12) & FLAGS;
  const segs = input.segs ?? FLAT;
  const afterSegs = Array.from({ length: 6 }, (_, s) => word(13 + s) & 0xffff);
  const stoppedAt = eip + codeBase(afterSegs[1]!) - input.codeAt;
  const open = input.undefinedFlags(stoppedAt);
  const hasError = ((VECTORS_WITH_ERROR_CODE >>> vector) & 1) !== 0;
  let at = 0;
  const changes = RANGES.flatMap(({ address, bytes }) => {
    at += bytes;
    return differences(address, memory, after.subarray(at - bytes, at));
  });
  return {
    name: input.name,
    code: input.code,
    isSoft: false,
    isApprox: input.isApprox,
    hasSegs: input.segs !== undefined,
    before: {
      regs: input.regs,
      eip: input.codeAt - codeBase(segs[1]!),
      flags: input.flags,
      segs,
      fx: input.fx,
    },
    memory,
    vector,
    error: hasError ? word(1) : undefined,
    cr2: vector === VECTOR_PF ? word(2) : undefined,
    ...(isStateForm(input.code, stoppedAt) && { cr2Mask: PAGE_MASK }),
    after: {
      regs: Uint32Array.from({ length: 8 }, (_, r) => word(3 + r)),
      eip,
      flags,
      segs: afterSegs,
      fx: input.fx && decodeFx(head.subarray(OUTPUT_FX_AT)),
    },
    undefinedFlags: open & FLAGS,
    undefinedFsw: open & C1 ? FSW_C1 : 0,
    changes,
    ignored: ENVIRONMENT_OPEN.map(([at, length]) => ({ address: ENVIRONMENT_AT + at, length })),
    steps: { count: word(19), trace: word(20) },
  };
}

/** The one piece that covers every change, if there is any. */
function differences(
  address: number,
  before: readonly MemoryPiece[],
  after: Uint8Array,
): MemoryPiece[] {
  const old = new Uint8Array(after.length);
  overlay(old, address, before);
  let first = 0;
  while (first < old.length && old[first] === after[first]) first++;
  if (first === old.length) return [];
  let last = old.length - 1;
  while (old[last] === after[last]) last--;
  return [{ address: address + first, bytes: after.slice(first, last + 1) }];
}
