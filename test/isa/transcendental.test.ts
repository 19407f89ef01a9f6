/**
 * The transcendental functions beside this machine's processor, which rounds them well but not always correctly: how far the two are
 * apart, and how far each is from the exact value. WASMVISOR_SEED and WASMVISOR_CASES choose another run.
 */
import { describe, expect, it } from "vitest";
import { createCoreDriver } from "../drivers/cpu-core.ts";
import {
  type ExactName,
  type Extended,
  exactValue,
  orderOf,
  roundExact,
} from "../drivers/exact-functions.ts";
import { createNativeOracle, DATA_BYTES, ENTRY, type NativeInput } from "../drivers/native.ts";
import type { FxState } from "../drivers/nv1.ts";
import { Random } from "../drivers/random.ts";
import { randomOperands } from "../drivers/random-extended.ts";

const SEED = Number(process.env.WASMVISOR_SEED ?? 1);
const CASES = Number(process.env.WASMVISOR_CASES ?? 500);
/** What silicon may be off, in units of the last place. */
const SILICON_UNITS = 1n;

/** Second bytes of the opcodes, and the register that holds the result. */
const INSTRUCTIONS: readonly (readonly [name: ExactName, opcode: number, register: number])[] = [
  ["f2xm1", 0xf0, 0],
  ["fyl2x", 0xf1, 0],
  ["fptan", 0xf2, 1],
  ["fpatan", 0xf3, 0],
  ["fyl2xp1", 0xf9, 0],
  ["fsin", 0xfe, 0],
  ["fcos", 0xff, 0],
];

function bytesOf({ se, sig }: Extended): Uint8Array {
  const bytes = new Uint8Array(10);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, sig, true);
  view.setUint16(8, se, true);
  return bytes;
}
function fromBytes(bytes: Uint8Array): Extended {
  const view = new DataView(bytes.buffer, bytes.byteOffset, 10);
  return { sig: view.getBigUint64(0, true), se: view.getUint16(8, true) };
}
function distance(a: Extended, b: Extended): bigint {
  const d = orderOf(a) - orderOf(b);
  return d < 0n ? -d : d;
}

function stateOf(x: Extended, y: Extended, rounding: number): FxState {
  const top = 6;
  return {
    fcw: 0x37f | (rounding << 10),
    fsw: top << 11,
    ftw: 0xc0,
    mxcsr: 0x1f80,
    st: Array.from({ length: 8 }, (_, i) =>
      i === 0 ? bytesOf(x) : i === 1 ? bytesOf(y) : new Uint8Array(10),
    ),
    xmm: Array.from({ length: 8 }, () => new Uint8Array(16)),
  };
}

describe("transcendental functions beside silicon", () => {
  const oracle = createNativeOracle();
  if (!("record" in oracle)) {
    it.skip(`no oracle: ${oracle.reason}`, () => {});
    return;
  }
  it.each(INSTRUCTIONS)(
    `differ by a unit at most: %s (seed ${SEED}, ${CASES} cases)`,
    (name, opcode, register) => {
      const random = new Random(SEED * 1000 + opcode);
      const operands = Array.from({ length: CASES }, () => randomOperands(random, name));
      const inputs = operands.map(
        ([x, y], i): NativeInput => ({
          name: `${name} ${i}`,
          code: Uint8Array.of(0xd9, opcode),
          codeAt: ENTRY,
          segs: undefined,
          regs: new Uint32Array(8),
          flags: 0,
          fx: stateOf(x, y, i & 3),
          data: new Uint8Array(DATA_BYTES),
          isApprox: true,
          undefinedFlags: () => 0,
        }),
      );
      const driver = createCoreDriver();
      let [furthest, differing, incorrect] = [0n, 0, 0];
      oracle.record(inputs).forEach((test, i) => {
        const [x, y] = operands[i]!;
        const exact = roundExact(exactValue(name, x, y), i & 3);
        const silicon = fromBytes(test.after.fx!.st[register]!);
        const ours = fromBytes(driver.run(test).fx!.st[register]!);
        const apart = distance(ours, silicon);
        if (apart > furthest) furthest = apart;
        if (apart !== 0n) differing++;
        if (distance(silicon, exact) !== 0n) incorrect++;
        expect(distance(ours, exact)).toBe(0n);
      });
      console.info(
        `${name}: ${differing} of ${CASES} differ from silicon, by up to ${furthest}; silicon misrounds ${incorrect}`,
      );
      expect(furthest).toBeLessThanOrEqual(SILICON_UNITS);
    },
  );
});
