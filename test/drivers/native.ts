/**
 * The host's own processor as an oracle: records what it does with a case, in the form of the vectors.
 * Needs an x86 Linux that runs 32-bit programs and a gcc that makes them; otherwise there is no oracle.
 */
import { spawnSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { DATA, overlay, STACK } from "./cpu-driver.ts";
import type { MemoryPiece, VectorCase } from "./nv1.ts";

/** Where native386.c puts the parts of a case. */
export const ENTRY = 0x00100800;
export const DATA_AT = DATA.address + 0x400;
export const CODE_BYTES = 64;
export const DATA_BYTES = 256;

const GCC_FLAGS =
  "-m32 -O1 -static -nostdlib -ffreestanding -fno-stack-protector -fno-pic -no-pie -Wl,-Ttext-segment=0x5a6b7000";
const INPUT_BYTES = 36 + CODE_BYTES + DATA_BYTES;
const STATE_BYTES = 52;
const OUTPUT_BYTES = STATE_BYTES + DATA.bytes + STACK.bytes;
const FLAGS = 0xcd5;
const FLAT = [0x2b, 0x23, 0x2b, 0x2b, 0, 0];
const FILLER = 0xcc;
/** Linux gives the address of a page fault only; other exceptions report 0 or an old value. */
const VECTOR_PF = 14;
const VECTOR_BP = 3;

/** What goes in. */
export interface NativeInput {
  readonly name: string;
  readonly code: Uint8Array;
  readonly regs: Uint32Array;
  readonly flags: number;
  readonly data: Uint8Array;
  /** Flags not to compare when the code stops `at` bytes from its start. */
  undefinedFlags(at: number): number;
}

/** The recorder, or why there is none. */
export type NativeOracle =
  | { readonly record: (inputs: readonly NativeInput[]) => VectorCase[] }
  | { readonly reason: string };

/** Builds the 32-bit program and tries it out. */
export function createNativeOracle(): NativeOracle {
  if (process.platform !== "linux" || process.arch !== "x64") {
    return { reason: "the host is not an x86-64 Linux" };
  }
  const build = fileURLToPath(new URL("../../build/", import.meta.url));
  mkdirSync(build, { recursive: true });
  const program = join(build, "native386");
  const source = fileURLToPath(new URL("native386.c", import.meta.url));
  const gcc = spawnSync("gcc", [...GCC_FLAGS.split(" "), "-o", program, source]);
  if (gcc.status !== 0) return { reason: "no gcc that makes 32-bit programs" };
  if (spawnSync(program, { input: "" }).status !== 0) {
    return { reason: "the host does not run 32-bit programs" };
  }
  return { record: (inputs) => record(program, inputs) };
}

function record(program: string, inputs: readonly NativeInput[]): VectorCase[] {
  const input = Buffer.alloc(inputs.length * INPUT_BYTES, FILLER);
  inputs.forEach((test, index) => {
    const at = index * INPUT_BYTES;
    test.regs.forEach((value, r) => {
      input.writeUInt32LE(value, at + 4 * r);
    });
    input.writeUInt32LE((test.flags & FLAGS) | 0x202, at + 32);
    input.set(test.code, at + 36);
    input.fill(0, at + 36 + CODE_BYTES, at + INPUT_BYTES);
    input.set(test.data, at + 36 + CODE_BYTES);
  });
  const result = spawnSync(program, {
    input,
    maxBuffer: inputs.length * OUTPUT_BYTES + 0x1000,
  });
  if (result.status !== 0 || result.stdout.length !== inputs.length * OUTPUT_BYTES) {
    throw new Error(`the native program ended with ${result.status ?? result.signal}`);
  }
  return inputs.map((test, index) => {
    const at = index * OUTPUT_BYTES;
    return toCase(test, result.stdout.subarray(at, at + OUTPUT_BYTES));
  });
}

function toCase(input: NativeInput, output: Buffer): VectorCase {
  const word = (index: number) => output.readUInt32LE(4 * index);
  const vector = word(0);
  const memory = [{ address: DATA_AT, bytes: input.data }];
  const eip = vector === VECTOR_BP ? word(11) - 1 : word(11);
  const flags = word(12) & FLAGS;
  const data = output.subarray(STATE_BYTES, STATE_BYTES + DATA.bytes);
  return {
    name: input.name,
    code: input.code,
    isSoft: false,
    isApprox: false,
    hasSegs: false,
    before: { regs: input.regs, eip: ENTRY, flags: input.flags, segs: FLAT, fx: undefined },
    memory,
    vector,
    error: vector === VECTOR_PF ? word(1) : undefined,
    cr2: vector === VECTOR_PF ? word(2) : undefined,
    after: {
      regs: Uint32Array.from({ length: 8 }, (_, r) => word(3 + r)),
      eip,
      flags,
      segs: FLAT,
      fx: undefined,
    },
    undefinedFlags: input.undefinedFlags(eip - ENTRY),
    undefinedFsw: 0,
    changes: [
      ...differences(DATA.address, DATA.bytes, memory, data),
      ...differences(STACK.address, STACK.bytes, memory, output.subarray(STATE_BYTES + DATA.bytes)),
    ],
    ignored: [],
  };
}

/** The one piece that covers every change, if there is any. */
function differences(
  address: number,
  length: number,
  before: readonly MemoryPiece[],
  after: Uint8Array,
): MemoryPiece[] {
  const old = new Uint8Array(length);
  overlay(old, address, before);
  let first = 0;
  while (first < length && old[first] === after[first]) first++;
  if (first === length) return [];
  let last = length - 1;
  while (old[last] === after[last]) last--;
  return [{ address: address + first, bytes: Uint8Array.from(after.subarray(first, last + 1)) }];
}
