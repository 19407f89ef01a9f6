/**
 * Other processors as oracles: what the host's own or an emulator's does with a case, in the form of the vectors.
 * Needs an x86-64 Linux and a gcc that makes 32-bit programs; otherwise there is no oracle.
 */
import { spawnSync } from "node:child_process";
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { DATA, overlay, STACK } from "./cpu-driver.ts";
import type { FxState, MemoryPiece, VectorCase } from "./nv1.ts";
import { C1, DATA_AT } from "./random-code.ts";
import { ENVIRONMENT_AT } from "./random-x87.ts";

/** Where native386.c puts the code of a case, and how much of it and of the data there may be. */
export const ENTRY = 0x00100800;
export const CODE_BYTES = 64;
export const DATA_BYTES = 256;

const GCC_FLAGS =
  "-m32 -O1 -mgeneral-regs-only -static -nostdlib -ffreestanding -fno-stack-protector -fno-pic -no-pie -Wl,-Ttext-segment=0x5a6b7000";
const FX_BYTES = 512;
const FX_AT = 48;
const CODE_AT = FX_AT + FX_BYTES;
const INPUT_BYTES = CODE_AT + CODE_BYTES + DATA_BYTES;
const BLOCKS_AT = 52;
const OUTPUT_FX_AT = 64;
const HEAD_BYTES = OUTPUT_FX_AT + FX_BYTES;
const BLOCK = 256;
const DATA_BLOCKS = DATA.bytes / BLOCK;
const BLOCKS = DATA_BLOCKS + STACK.bytes / BLOCK;
const FLAGS = 0xcd5;
const FSW_C1 = 0x200;
const FLAT = [0x2b, 0x23, 0x2b, 0x2b, 0, 0];
const FILLER = 0xcc;
/** Linux gives the address of a page fault only; other exceptions report 0 or an old value. */
const VECTOR_PF = 14;
const VECTOR_BP = 3;
/** Reserved halves and the last-instruction pointers of what FNSTENV and FNSAVE write: processors differ. */
const ENVIRONMENT_OPEN: readonly (readonly [at: number, bytes: number])[] = [
  [2, 2],
  [6, 2],
  [10, 18],
];

/** What goes in. */
export interface NativeInput {
  readonly name: string;
  readonly code: Uint8Array;
  readonly regs: Uint32Array;
  readonly flags: number;
  /** Without it the x87 and SSE state is not compared. */
  readonly fx: FxState | undefined;
  readonly data: Uint8Array;
  readonly isApprox: boolean;
  /** Flags not to compare (and C1) when the code stops `at` bytes from its start. */
  undefinedFlags(at: number): number;
}

/** The recorder, or why there is none. */
export type NativeOracle =
  | { readonly record: (inputs: readonly NativeInput[]) => VectorCase[] }
  | { readonly reason: string };

/** Builds the 32-bit program and tries it out. @param emulator a command that runs 32-bit Linux programs, instead of the host. */
export function createNativeOracle(emulator: readonly string[] = []): NativeOracle {
  if (process.platform !== "linux" || process.arch !== "x64") {
    return { reason: "the host is not an x86-64 Linux" };
  }
  const build = fileURLToPath(new URL("../../build/", import.meta.url));
  mkdirSync(build, { recursive: true });
  const program = join(build, `native386-${process.pid}`);
  const source = fileURLToPath(new URL("native386.c", import.meta.url));
  const gcc = spawnSync("gcc", [...GCC_FLAGS.split(" "), "-o", program, source]);
  if (gcc.status !== 0) return { reason: "no gcc that makes 32-bit programs" };
  process.once("exit", () => rmSync(program, { force: true }));
  const command = [...emulator, program];
  if (spawnSync(command[0]!, command.slice(1), { input: "" }).status !== 0) {
    return { reason: `${emulator[0] ?? "the host"} does not run 32-bit programs` };
  }
  return { record: (inputs) => record(command, inputs) };
}

function record(command: readonly string[], inputs: readonly NativeInput[]): VectorCase[] {
  const input = Buffer.alloc(inputs.length * INPUT_BYTES);
  inputs.forEach((test, index) => {
    encode(input.subarray(index * INPUT_BYTES, (index + 1) * INPUT_BYTES), test);
  });
  const result = spawnSync(command[0]!, command.slice(1), {
    input,
    maxBuffer: inputs.length * (HEAD_BYTES + BLOCKS * BLOCK) + 0x1000,
  });
  if (result.status !== 0) {
    throw new Error(`${command[0]} ended with ${result.status ?? result.signal}`);
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
  test.regs.forEach((value, r) => {
    into.writeUInt32LE(value, 4 * r);
  });
  into.writeUInt32LE((test.flags & FLAGS) | 0x202, 32);
  if (test.fx !== undefined) {
    into.writeUInt32LE(1, 36);
    encodeFx(into.subarray(FX_AT, CODE_AT), test.fx);
  }
  into.fill(FILLER, CODE_AT, CODE_AT + CODE_BYTES);
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
  const open = input.undefinedFlags(eip - ENTRY);
  return {
    name: input.name,
    code: input.code,
    isSoft: false,
    isApprox: input.isApprox,
    hasSegs: false,
    before: { regs: input.regs, eip: ENTRY, flags: input.flags, segs: FLAT, fx: input.fx },
    memory,
    vector,
    error: vector === VECTOR_PF ? word(1) : undefined,
    cr2: vector === VECTOR_PF ? word(2) : undefined,
    after: {
      regs: Uint32Array.from({ length: 8 }, (_, r) => word(3 + r)),
      eip,
      flags,
      segs: FLAT,
      fx: input.fx && decodeFx(head.subarray(OUTPUT_FX_AT)),
    },
    undefinedFlags: open & FLAGS,
    undefinedFsw: open & C1 ? FSW_C1 : 0,
    changes: [
      ...differences(DATA.address, memory, after.subarray(0, DATA.bytes)),
      ...differences(STACK.address, memory, after.subarray(DATA.bytes)),
    ],
    ignored: ENVIRONMENT_OPEN.map(([at, length]) => ({ address: ENVIRONMENT_AT + at, length })),
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
