/**
 * Berkeley TestFloat's vectors on SSE and SSE2: every operation of 32- and 64-bit numbers that has an instruction, in all rounding
 * modes, results (those that are NaN too) and exceptions. WASMVISOR_TESTFLOAT_GEN names the generator, `testfloat_gen` built with
 * its platform "Linux-386-SSE2-GCC" (docs/status.md, "Tests that skip").
 */
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { describe, expect, it } from "vitest";
import { CPU_MODEL_PENTIUM4, VCPU_CPU_MODEL, VCPU_CR0, VCPU_CR4 } from "../../abi/vcpu.ts";
import { CR0_ET, CR0_NE, CR0_PE, CR4_OSFXSR, CR4_OSXMMEXCPT } from "../../abi/x86.ts";
import { type Code, hlt, le } from "../unit/protect/assembler.ts";
import { CODE, Machine } from "../unit/protect/machine.ts";

const { WASMVISOR_TESTFLOAT_GEN: GENERATOR } = process.env;
const TIME_LIMIT_MS = 10 * 60_000;
const MXCSR_MASKED = 0x1f80;
const MXCSR_RC_SHIFT = 13;
/** Rounding modes of the generator in the order of MXCSR's rounding control. */
const ROUNDINGS = ["-rnear_even", "-rmin", "-rmax", "-rminMag"];
/** TestFloat's exception bits and MXCSR's; it knows no denormal operands. */
const EXCEPTIONS: readonly (readonly [bit: number, mxcsr: number])[] = [
  [0x01, 0x20],
  [0x02, 0x10],
  [0x04, 0x08],
  [0x08, 0x04],
  [0x10, 0x01],
];
const MXCSR_FLAGS = 0x3d;

/** Where the vectors of a batch lie in the guest, each in this many bytes: two operands, the result, MXCSR. */
const BATCH_AT = 0x10000;
const ENTRY_BYTES = 32;
const OPERANDS_BYTES = 16;
const RESULT_AT = 16;
const MXCSR_AT = 24;
const PAGE = 0x1000;
const BATCH = 4096;

/** How an operation loads, computes and stores, with ESI at an entry. */
interface Operation {
  /** Function of the generator, and options that belong to it. */
  readonly call: string;
  /** The instruction, without the letter for the format. */
  readonly by: string;
  readonly code: Code;
  readonly operands: number;
  readonly isRounded: boolean;
}

/** Prefixes of the scalar and packed forms. */
const SCALAR = { f32: [0xf3], f64: [0xf2] } as const;
const PACKED = { f32: [], f64: [0x66] } as const;
type Format = keyof typeof SCALAR;
const ESI_0 = 0x06;
const ESI_8 = [0x46, 8] as const;
const ESI_16 = [0x46, RESULT_AT] as const;

const load = (format: Format): Code => [...SCALAR[format], 0x0f, 0x10, ESI_0];
const store = (format: Format): Code => [...SCALAR[format], 0x0f, 0x11, ...ESI_16];
/** An operation on XMM0 and the second operand. */
const withSecond = (format: Format, opcode: number): Code => [
  ...SCALAR[format],
  0x0f,
  opcode,
  ...ESI_8,
];
/** COMISS or UCOMISS of one operand with the other, and a condition, as a boolean. */
function comparison(format: Format, opcode: number, isSwapped: boolean, setcc: Code): Code {
  const first = [...SCALAR[format], 0x0f, 0x10, ...(isSwapped ? ESI_8 : [ESI_0])];
  const second = [...PACKED[format], 0x0f, opcode, ...(isSwapped ? [ESI_0] : ESI_8)];
  return [...first, ...second, ...setcc, 0x0f, 0xb6, 0xc0, 0x89, ...ESI_16];
}
/** CMPSS with a predicate, as a boolean. */
function predicate(format: Format, number: number): Code {
  const move = [0x66, 0x0f, 0x7e, 0xc0];
  return [
    ...load(format),
    ...withSecond(format, 0xc2),
    number,
    ...move,
    ...[0x83, 0xe0, 1],
    ...[0x89, ...ESI_16],
  ];
}
/** SETE and SETNP together, SETAE, SETA: unordered is none of them. */
const EQUAL: Code = [0x0f, 0x94, 0xc0, 0x0f, 0x9b, 0xc4, 0x20, 0xe0];
const NOT_BELOW: Code = [0x0f, 0x93, 0xc0];
const ABOVE: Code = [0x0f, 0x97, 0xc0];
const UCOMIS = 0x2e;
const COMIS = 0x2f;

function operationsOf(format: Format): Operation[] {
  const other: Format = format === "f32" ? "f64" : "f32";
  const binary = (name: string, opcode: number): Operation => ({
    call: `${format}_${name}`,
    by: name.toUpperCase(),
    code: [...load(format), ...withSecond(format, opcode), ...store(format)],
    operands: 2,
    isRounded: true,
  });
  const relation = (name: string, by: string, code: Code): Operation => ({
    call: `${format}_${name}`,
    by,
    code,
    operands: 2,
    isRounded: false,
  });
  const toInteger = (opcode: number): Code => [
    ...[...SCALAR[format], 0x0f, opcode, ESI_0],
    ...[0x89, ...ESI_16],
  ];
  return [
    binary("add", 0x58),
    binary("mul", 0x59),
    binary("sub", 0x5c),
    binary("div", 0x5e),
    {
      call: `${format}_sqrt`,
      by: "SQRT",
      code: [...SCALAR[format], 0x0f, 0x51, ESI_0, ...store(format)],
      operands: 1,
      isRounded: true,
    },
    {
      call: `i32_to_${format}`,
      by: "CVTSI2S",
      code: [...SCALAR[format], 0x0f, 0x2a, ESI_0, ...store(format)],
      operands: 1,
      isRounded: true,
    },
    {
      call: `${format}_to_i32 -exact`,
      by: "CVTS2SI",
      code: toInteger(0x2d),
      operands: 1,
      isRounded: true,
    },
    {
      call: `${format}_to_i32 -exact -rminMag`,
      by: "CVTTS2SI",
      code: toInteger(0x2c),
      operands: 1,
      isRounded: false,
    },
    {
      call: `${format}_to_${other}`,
      by: "CVTS2S",
      code: [...SCALAR[format], 0x0f, 0x5a, ESI_0, ...store(other)],
      operands: 1,
      isRounded: true,
    },
    relation("eq", "UCOMISS", comparison(format, UCOMIS, false, EQUAL)),
    relation("eq_signaling", "COMISS", comparison(format, COMIS, false, EQUAL)),
    relation("le", "COMISS", comparison(format, COMIS, true, NOT_BELOW)),
    relation("lt", "COMISS", comparison(format, COMIS, true, ABOVE)),
    relation("le_quiet", "UCOMISS", comparison(format, UCOMIS, true, NOT_BELOW)),
    relation("lt_quiet", "UCOMISS", comparison(format, UCOMIS, true, ABOVE)),
    relation("eq", "CMPS", predicate(format, 0)),
    relation("lt", "CMPS", predicate(format, 1)),
    relation("le", "CMPS", predicate(format, 2)),
  ];
}

/** A core that runs one operation over many vectors at once. */
class Loop {
  readonly #machine = new Machine();
  readonly #mxcsr: number;
  readonly #code: Code;

  constructor(code: Code, rounding: number) {
    const m = this.#machine;
    this.#code = code;
    this.#mxcsr = MXCSR_MASKED | (rounding << MXCSR_RC_SHIFT);
    m.vcpu.setU32(VCPU_CPU_MODEL, CPU_MODEL_PENTIUM4);
    m.vcpu.setU32(VCPU_CR0, CR0_PE | CR0_ET | CR0_NE);
    m.vcpu.setU32(VCPU_CR4, CR4_OSFXSR | CR4_OSXMMEXCPT);
  }

  #page(index: number): DataView {
    const { exports } = this.#machine.core;
    const frame = BATCH_AT / PAGE + index;
    const ptr = exports.frameForWrite(this.#machine.guest, frame) >>> 0;
    return new DataView(this.#machine.core.bytes(ptr + PAGE).buffer, ptr, PAGE);
  }

  /** @returns the failures among vectors of operands, result and exceptions in hexadecimal. */
  run(vectors: readonly (readonly string[])[], operands: number): string[] {
    const m = this.#machine;
    const perPage = PAGE / ENTRY_BYTES;
    const pages = Math.ceil(vectors.length / perPage);
    for (let p = 0; p < pages; p++) {
      const view = this.#page(p);
      for (let i = 0; i < perPage; i++) {
        const vector = vectors[p * perPage + i] ?? [];
        for (let at = 0; at < ENTRY_BYTES; at += 8) {
          const operand = at < OPERANDS_BYTES && at >> 3 < operands ? vector[at >> 3] : undefined;
          view.setBigUint64(i * ENTRY_BYTES + at, BigInt(`0x${operand ?? "0"}`), true);
        }
        view.setUint32(i * ENTRY_BYTES + MXCSR_AT, this.#mxcsr, true);
      }
    }
    const body: Code = [
      ...[0x0f, 0xae, 0x56, MXCSR_AT],
      ...this.#code,
      ...[0x0f, 0xae, 0x5e, MXCSR_AT],
      ...[0x83, 0xc6, ENTRY_BYTES, 0x49],
    ];
    m.assemble(
      CODE,
      [0xbe, ...le(BATCH_AT, 4)],
      [0xb9, ...le(vectors.length, 4)],
      body,
      [0x75, 0x100 - body.length - 2],
      hlt,
    );
    m.enter(0);
    expect(m.runToHalt(vectors.length * 100)).toBe(-1);
    const failures: string[] = [];
    for (let p = 0; p < pages; p++) {
      const view = this.#page(p);
      for (let i = 0; i < perPage && p * perPage + i < vectors.length; i++) {
        const vector = vectors[p * perPage + i]!;
        const result = view.getBigUint64(i * ENTRY_BYTES + RESULT_AT, true);
        const flags = view.getUint32(i * ENTRY_BYTES + MXCSR_AT, true) & MXCSR_FLAGS;
        const reported = Number.parseInt(vector.at(-1)!, 16);
        const expected = EXCEPTIONS.reduce((f, [bit, m]) => (reported & bit ? f | m : f), 0);
        if (result !== BigInt(`0x${vector[operands]}`) || flags !== expected) {
          failures.push(
            `${vector.join(" ")}: found ${result.toString(16)}, MXCSR ${flags.toString(16)}`,
          );
        }
      }
    }
    return failures;
  }

  destroy(): void {
    this.#machine.destroy();
  }
}

/** Runs all vectors of a call. @returns how many there were, and the failures. */
async function runCall(
  { call, code, operands }: Operation,
  rounding: number,
  options: readonly string[],
): Promise<readonly [number, string[]]> {
  const loop = new Loop(code, rounding);
  const args = ["-level", "1", ...options, ...call.split(" ").reverse()];
  const child = spawn(GENERATOR!, args, { stdio: ["ignore", "pipe", "ignore"] });
  const ended = new Promise<number | null>((resolve) => child.once("close", resolve));
  let batch: string[][] = [];
  let count = 0;
  const failures: string[] = [];
  const flush = () => {
    count += batch.length;
    failures.push(...loop.run(batch, operands));
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
describe.skipIf(reason)(`Berkeley TestFloat on SSE${reason ? ` (${reason})` : ""}`, () => {
  it.each([...operationsOf("f32"), ...operationsOf("f64")])(
    "$call by $by has no failures",
    async (operation) => {
      const rounds = operation.isRounded ? ROUNDINGS : [undefined];
      for (const [rounding, option] of rounds.entries()) {
        const [count, failures] = await runCall(operation, rounding, option ? [option] : []);
        expect(failures.slice(0, 5), `${failures.length} of ${count}, ${option}`).toEqual([]);
      }
    },
    TIME_LIMIT_MS,
  );
});
