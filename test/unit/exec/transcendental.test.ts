/**
 * The transcendental functions round correctly: results and flags against exact values from long integers, over all exponents, in
 * every rounding mode. Special operands are in the recorded vectors.
 */
import { describe, expect, it } from "vitest";
import { VCPU_CR0, VCPU_FCW } from "../../../abi/vcpu.ts";
import { CR0_ET, CR0_NE, CR0_PE } from "../../../abi/x86.ts";
import {
  FCW_INIT,
  FCW_PC_DOUBLE,
  FCW_PC_EXTENDED,
  FCW_PC_SINGLE,
  FSW_C1,
  FSW_DE,
  FSW_EXCEPTIONS,
  FSW_PE,
  FSW_UE,
} from "../../../abi/x87.ts";
import {
  type ExactName,
  type Extended,
  exactValue,
  type Rounded,
  roundExact,
} from "../../drivers/exact-functions.ts";
import { Random } from "../../drivers/random.ts";
import { randomOperands } from "../../drivers/random-extended.ts";
import { type Code, hlt, le } from "../protect/assembler.ts";
import { CODE, DATA, Machine } from "../protect/machine.ts";

const SEED = Number(process.env.WASMVISOR_SEED ?? 1);
const CASES = Number(process.env.WASMVISOR_CASES ?? 400);
const PRECISIONS = [FCW_PC_SINGLE, FCW_PC_DOUBLE, FCW_PC_EXTENDED];
const ROUNDINGS = [0, 1, 2, 3];
const FCW_RC_SHIFT = 10;

const memory = (opcode: number, op: number, at: number): Code => [
  opcode,
  (op << 3) | 5,
  ...le(at, 4),
];
const popTop: Code = [0xdd, 0xd8];
/** And what brings the result to ST(0). FSINCOS leaves the sine below the cosine, FPTAN the tangent below a 1. */
const INSTRUCTIONS: readonly (readonly [
  title: string,
  name: ExactName,
  code: Code,
  after: Code,
])[] = [
  ["F2XM1", "f2xm1", [0xd9, 0xf0], []],
  ["FYL2X", "fyl2x", [0xd9, 0xf1], []],
  ["FPTAN", "fptan", [0xd9, 0xf2], popTop],
  ["FPATAN", "fpatan", [0xd9, 0xf3], []],
  ["FYL2XP1", "fyl2xp1", [0xd9, 0xf9], []],
  ["FSINCOS, the sine", "fsin", [0xd9, 0xfb], popTop],
  ["FSINCOS, the cosine", "fcos", [0xd9, 0xfb], []],
  ["FSIN", "fsin", [0xd9, 0xfe], []],
  ["FCOS", "fcos", [0xd9, 0xff], []],
];

function put(m: Machine, at: number, { se, sig }: Extended): void {
  m.write(at, le(Number(sig & 0xffffffffn), 4));
  m.write(at + 4, le(Number(sig >> 32n), 4));
  m.write(at + 8, le(se, 2));
}
function get(m: Machine, at: number): Extended {
  const sig = (BigInt(m.read32(at + 4)) << 32n) | BigInt(m.read32(at));
  return { se: m.read(at + 8, 2), sig };
}
const text = ({ se, sig }: Extended) =>
  `${se.toString(16).padStart(4, "0")}:${sig.toString(16).padStart(16, "0")}`;
const isDenormal = ({ se }: Extended) => (se & 0x7fff) === 0;

/** Runs the instruction that `m` holds. @returns its result and the status word. */
function run(m: Machine, fcw: number, x: Extended, y: Extended): readonly [Extended, number] {
  m.write(DATA, le(fcw, 2));
  put(m, DATA + 16, y);
  put(m, DATA + 32, x);
  m.enter(0);
  expect(m.runToHalt()).toBe(-1);
  return [get(m, DATA + 48), m.read(DATA + 64, 2)];
}

/** Exceptions and C1. */
function expectedFlags(result: Rounded, denormal: boolean): number {
  const tiny = result.isTiny ? FSW_UE : 0;
  return FSW_PE | tiny | (denormal ? FSW_DE : 0) | (result.isUp ? FSW_C1 : 0);
}

describe("a transcendental function", () => {
  it.each(INSTRUCTIONS)(
    `rounds the exact value: %s (seed ${SEED}, ${CASES} cases)`,
    (title, name, code, after) => {
      const random = new Random(SEED * 1000 + code[1]! + title.length);
      const m = new Machine();
      m.vcpu.setU32(VCPU_CR0, CR0_PE | CR0_ET | CR0_NE);
      m.vcpu.setU32(VCPU_FCW, FCW_INIT);
      m.assemble(
        CODE,
        [0xdb, 0xe3],
        memory(0xd9, 5, DATA),
        memory(0xdb, 5, DATA + 16),
        memory(0xdb, 5, DATA + 32),
        code,
        memory(0xdd, 7, DATA + 64),
        after,
        memory(0xdb, 7, DATA + 48),
        hlt,
      );
      // A pop clears C1, and of FSINCOS's two results it tells of one.
      const compared = title.startsWith("FSINCOS") ? FSW_PE | FSW_DE : FSW_EXCEPTIONS | FSW_C1;
      const takesTwo = name.startsWith("fy") || name === "fpatan";
      const wrong: string[] = [];
      for (let i = 0; i < CASES; i++) {
        const [x, y] = randomOperands(random, name);
        const value = exactValue(name, x, y);
        const denormal = isDenormal(x) || (takesTwo && isDenormal(y));
        const pc = PRECISIONS[i % PRECISIONS.length]!;
        for (const rounding of ROUNDINGS) {
          const expected = roundExact(value, rounding);
          if ((expected.se & 0x7fff) === 0x7fff) continue;
          const fcw = (FCW_INIT & 0xff) | pc | (rounding << FCW_RC_SHIFT);
          const [found, fsw] = run(m, fcw, x, y);
          const flags = fsw & compared;
          const want = `${text(expected)} flags ${(expectedFlags(expected, denormal) & compared).toString(16)}`;
          const got = `${text(found)} flags ${flags.toString(16)}`;
          if (want !== got) {
            wrong.push(
              `${text(x)}, ${text(y)}, FCW ${fcw.toString(16)}: expected ${want}, found ${got}`,
            );
          }
        }
      }
      m.destroy();
      expect(wrong.slice(0, 5), `${wrong.length} of ${CASES * ROUNDINGS.length}`).toEqual([]);
    },
  );
});
