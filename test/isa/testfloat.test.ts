/**
 * Berkeley TestFloat's vectors on SSE, SSE2 and the x87: every operation that has an instruction, in all rounding modes and
 * precisions, results (those that are NaN too) and exceptions. WASMVISOR_TESTFLOAT_GEN names the generator, `testfloat_gen` built with
 * its platform "Linux-386-SSE2-GCC" (docs/status.md, "Tests that skip").
 */
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { describe, expect, it } from "vitest";
import { CPU_MODEL_PENTIUM4, VCPU_CPU_MODEL, VCPU_CR0, VCPU_CR4 } from "../../abi/vcpu.ts";
import {
  CR0_ET,
  CR0_NE,
  CR0_PE,
  CR4_OSFXSR,
  CR4_OSXMMEXCPT,
  REG_ECX,
  REG_ESI,
} from "../../abi/x86.ts";
import {
  CONTROL_AT,
  ENTRY_BYTES,
  OPERAND_BYTES,
  OPERATIONS,
  type Operation,
  RESULT_AT,
  STATUS_AT,
} from "../drivers/testfloat-operations.ts";
import { hlt } from "../unit/protect/assembler.ts";
import { CODE, Machine } from "../unit/protect/machine.ts";

const { WASMVISOR_TESTFLOAT_GEN: GENERATOR } = process.env;
const TIME_LIMIT_MS = 10 * 60_000;
const MXCSR_MASKED = 0x1f80;
const MXCSR_RC_SHIFT = 13;
/** Rounding modes of the generator in the order of MXCSR's rounding control. */
const ROUNDINGS = ["-rnear_even", "-rmin", "-rmax", "-rminMag"];
/** Precision controls of the x87 and the options that go with them. */
const PRECISIONS: readonly (readonly [pc: number, option: string])[] = [
  [0, "-precision32"],
  [2, "-precision64"],
  [3, "-precision80"],
];
/** TestFloat's exception bits and those of MXCSR and the x87's status word; it knows no denormal operands. */
const EXCEPTIONS: readonly (readonly [bit: number, status: number])[] = [
  [0x01, 0x20],
  [0x02, 0x10],
  [0x04, 0x08],
  [0x08, 0x04],
  [0x10, 0x01],
];
const STATUS_EXCEPTIONS = 0x3d;
const FCW_MASKED = 0x7f;
const FCW_PC_SHIFT = 8;
const FCW_RC_SHIFT = 10;

/** Where the vectors of a batch lie in the guest. */
const BATCH_AT = 0x10000;
const PAGE = 0x1000;
const BATCH = 4096;
/** FPREM1 of numbers far apart takes hundreds of steps. */
const INSTRUCTIONS_EACH = 4000;

/** A core that runs one operation over many vectors at once. */
class Loop {
  readonly #machine = new Machine();
  readonly #control: number;
  readonly #operands: number;
  readonly #size: number;

  constructor({ code, operands, x87 }: Operation, control: number) {
    const m = this.#machine;
    this.#control = control;
    this.#operands = operands;
    m.vcpu.setU32(VCPU_CPU_MODEL, CPU_MODEL_PENTIUM4);
    m.vcpu.setU32(VCPU_CR0, CR0_PE | CR0_ET | CR0_NE);
    m.vcpu.setU32(VCPU_CR4, CR4_OSFXSR | CR4_OSXMMEXCPT);
    // FNCLEX, FLDCW; or LDMXCSR before and STMXCSR after.
    const before = x87 ? [0xdb, 0xe2, 0xd9, 0x6e, CONTROL_AT] : [0x0f, 0xae, 0x56, CONTROL_AT];
    const after = x87 ? [] : [0x0f, 0xae, 0x5e, STATUS_AT];
    const body = [...before, ...code, ...after, 0x83, 0xc6, ENTRY_BYTES, 0x49];
    this.#size = body.length + 2;
    m.assemble(CODE, [0xdb, 0xe3], body, [0x75, 0x100 - this.#size], hlt);
  }

  #page(index: number): DataView {
    const { exports } = this.#machine.core;
    const frame = BATCH_AT / PAGE + index;
    const ptr = exports.frameForWrite(this.#machine.guest, frame) >>> 0;
    return new DataView(this.#machine.core.bytes(ptr + PAGE).buffer, ptr, PAGE);
  }

  /** @returns the failures among vectors of operands, result and exceptions in hexadecimal. */
  run(vectors: readonly (readonly string[])[]): string[] {
    const m = this.#machine;
    const perPage = PAGE / ENTRY_BYTES;
    vectors.forEach((vector, i) => {
      const view = this.#page(Math.floor(i / perPage));
      const at = (i % perPage) * ENTRY_BYTES;
      for (let word = 0; word < ENTRY_BYTES; word += 8) view.setBigUint64(at + word, 0n, true);
      for (let n = 0; n < this.#operands; n++) {
        const value = BigInt(`0x${vector[n]}`);
        view.setBigUint64(at + n * OPERAND_BYTES, BigInt.asUintN(64, value), true);
        view.setBigUint64(at + n * OPERAND_BYTES + 8, value >> 64n, true);
      }
      view.setUint32(at + CONTROL_AT, this.#control, true);
    });
    m.enter(0);
    m.vcpu.setGpr(REG_ESI, BATCH_AT);
    m.vcpu.setGpr(REG_ECX, vectors.length);
    expect(m.runToHalt(vectors.length * INSTRUCTIONS_EACH)).toBe(-1);
    const failures: string[] = [];
    vectors.forEach((vector, i) => {
      const view = this.#page(Math.floor(i / perPage));
      const at = (i % perPage) * ENTRY_BYTES;
      const high = view.getBigUint64(at + RESULT_AT + 8, true);
      const result = (high << 64n) | view.getBigUint64(at + RESULT_AT, true);
      const status = view.getUint32(at + STATUS_AT, true) & STATUS_EXCEPTIONS;
      const reported = Number.parseInt(vector.at(-1)!, 16);
      const expected = EXCEPTIONS.reduce((all, [bit, s]) => (reported & bit ? all | s : all), 0);
      if (result !== BigInt(`0x${vector[this.#operands]}`) || status !== expected) {
        failures.push(`${vector.join(" ")}: found ${result.toString(16)}, ${status.toString(16)}`);
      }
    });
    return failures;
  }

  destroy(): void {
    this.#machine.destroy();
  }
}

/** The control word or MXCSR of each run of an operation, and what the generator is told about it. */
function controls({
  isRounded,
  x87,
}: Operation): (readonly [control: number, options: string[]])[] {
  const roundings = isRounded ? ROUNDINGS : [""];
  const precisions = x87 === "arithmetic" ? PRECISIONS : PRECISIONS.slice(-1);
  return roundings.flatMap((rounding, rc) => {
    if (x87 === undefined) return [[MXCSR_MASKED | (rc << MXCSR_RC_SHIFT), [rounding]] as const];
    return precisions.map(([pc, option]) => {
      const options = x87 === "arithmetic" ? [option, rounding] : [rounding];
      return [FCW_MASKED | (pc << FCW_PC_SHIFT) | (rc << FCW_RC_SHIFT), options] as const;
    });
  });
}

/** Runs all vectors of a call. @returns how many there were, and the failures. */
async function runCall(
  operation: Operation,
  control: number,
  options: readonly string[],
): Promise<readonly [number, string[]]> {
  const loop = new Loop(operation, control);
  const [name, ...own] = operation.call.split(" ");
  const args = ["-level", "1", ...[...options, ...own].filter(Boolean), name!];
  const child = spawn(GENERATOR!, args, { stdio: ["ignore", "pipe", "ignore"] });
  const ended = new Promise<number | null>((resolve) => child.once("close", resolve));
  let batch: string[][] = [];
  let count = 0;
  const failures: string[] = [];
  const flush = () => {
    count += batch.length;
    failures.push(...loop.run(batch));
    batch = [];
  };
  for await (const line of createInterface({ input: child.stdout })) {
    batch.push(line.split(" "));
    if (batch.length === BATCH) flush();
  }
  flush();
  loop.destroy();
  expect(await ended).toBe(0);
  expect(count).toBeGreaterThan(0);
  return [count, failures];
}

const reason = GENERATOR === undefined ? "WASMVISOR_TESTFLOAT_GEN is not set" : false;
describe.skipIf(reason)(
  `Berkeley TestFloat on SSE and the x87${reason ? ` (${reason})` : ""}`,
  () => {
    it.each(OPERATIONS)(
      "$call by $by has no failures",
      async (operation) => {
        for (const [control, options] of controls(operation)) {
          const [count, failures] = await runCall(operation, control, options);
          const run = `${failures.length} of ${count} with ${options.join(" ")}`;
          expect(failures.slice(0, 5), run).toEqual([]);
        }
      },
      TIME_LIMIT_MS,
    );
  },
);
