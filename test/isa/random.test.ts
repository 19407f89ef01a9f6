/**
 * Random code on the core and on the host's own processor: they must agree. WASMVISOR_SEED chooses another run,
 * WASMVISOR_CASES its length.
 */
import { describe, expect, it } from "vitest";
import { createCoreDriver } from "../drivers/cpu-core.ts";
import { createNativeOracle, DATA_BYTES, type NativeInput } from "../drivers/native.ts";
import { interesting, Random, randomCode } from "../drivers/random-code.ts";
import { runGroup } from "../drivers/run-vectors.ts";

const SEED = Number(process.env.WASMVISOR_SEED ?? 1);
const CASES = Number(process.env.WASMVISOR_CASES ?? 2000);
const BATCH = 500;
const MAX_INSTRUCTIONS = 8;
const MAX_CODE_BYTES = 60;
const FLAGS = 0xcd5;
/** EBX, ESP, EBP, ESI, EDI point into the mapped ranges. */
const POINTERS: readonly (readonly [register: number, value: number])[] = [
  [3, 0x00200440],
  [4, 0x00301000],
  [5, 0x00301008],
  [6, 0x00200480],
  [7, 0x002004c0],
];

const oracle = createNativeOracle();

function randomInput(random: Random, index: number): NativeInput {
  const regs = Uint32Array.from({ length: 8 }, () => interesting(random));
  for (const [register, value] of POINTERS) regs[register] = value;
  const { bytes, undefinedFlags } = randomCode(random, MAX_INSTRUCTIONS, MAX_CODE_BYTES);
  return {
    name: `case ${index}`,
    code: bytes,
    regs,
    flags: random.u32() & FLAGS,
    data: Uint8Array.from({ length: DATA_BYTES }, () => random.below(256)),
    undefinedFlags,
  };
}

describe("random code", () => {
  if (!("record" in oracle)) {
    it.skip(`no oracle: ${oracle.reason}`, () => {});
    return;
  }
  it(`does on the core what it does on this processor (seed ${SEED}, ${CASES} cases)`, () => {
    const random = new Random(SEED);
    const driver = createCoreDriver();
    for (let first = 0; first < CASES; first += BATCH) {
      const inputs = Array.from({ length: Math.min(BATCH, CASES - first) }, (_, i) =>
        randomInput(random, first + i),
      );
      const result = runGroup(driver, oracle.record(inputs), 1);
      const failures = [...result.failuresByName.values()].flat().slice(0, 3);
      const report = failures.map(({ test, differences }) => ({
        name: test.name,
        code: Buffer.from(test.code).toString("hex"),
        differences,
      }));
      expect(report, `WASMVISOR_SEED=${SEED}`).toEqual([]);
      expect(result.passed).toBe(inputs.length);
    }
  });
});
