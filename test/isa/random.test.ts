/**
 * Random code on the core and on other processors: they must agree. WASMVISOR_SEED chooses another run, WASMVISOR_CASES its
 * length; `npm run test:random` runs as long as wanted and makes failing cases small.
 */
import { describe, expect, it } from "vitest";
import { loadDisassembler } from "../../host-ts/debug/disasm.ts";
import { createCoreDriver } from "../drivers/cpu-core.ts";
import { describeFailure } from "../drivers/describe-failure.ts";
import { codeSizes, differing, shrink } from "../drivers/differential.ts";
import type { VectorCase } from "../drivers/nv1.ts";
import { createOracle, ORACLE_FAMILIES, ORACLES } from "../drivers/oracles.ts";
import { randomCase } from "../drivers/random-case.ts";
import { missingFeatures } from "../drivers/random-simd-later.ts";

const SEED = Number(process.env.WASMVISOR_SEED ?? 1);
const CASES = Number(process.env.WASMVISOR_CASES ?? 250);
const SHOWN = 3;

describe.each(ORACLES)("random code on the core and on %s", (name) => {
  const oracle = createOracle(name);
  if ("reason" in oracle) {
    it.skip(`no oracle: ${oracle.reason}`, () => {});
    return;
  }
  const lacking = missingFeatures();
  const families = ORACLE_FAMILIES[name];
  const able = families.filter((family) => family !== "sse4" || lacking.length === 0);
  if (able.length < families.length) {
    it.skip(`sse4: this machine's processor lacks ${lacking.join(", ")}`, () => {});
  }
  it.each(able)(`does the same: %s (seed ${SEED}, ${CASES} cases)`, async (family) => {
    const driver = createCoreDriver({ edges: true });
    const cases = Array.from({ length: CASES }, (_, i) => randomCase(SEED, i, [family]));
    const failures = differing(driver, oracle, cases).slice(0, SHOWN);
    if (failures.length === 0) return;
    const disassembler = await loadDisassembler();
    const report = failures.map((failure) => {
      const small = shrink(driver, oracle, failure);
      return describeFailure(disassembler, small, codeSizes(small));
    });
    expect.fail(`WASMVISOR_SEED=${SEED} WASMVISOR_CASES=${CASES}\n${report.join("\n")}`);
  });
});

describe("a case that differs", () => {
  const oracle = createOracle("native");
  if ("reason" in oracle) {
    it.skip(`no oracle: ${oracle.reason}`, () => {});
    return;
  }
  it("shrinks to the instruction at fault and a state of zeros", () => {
    const core = createCoreDriver();
    // A processor whose INC forgets its lowest bit.
    const broken = {
      name: "broken",
      run: (test: VectorCase) => {
        const outcome = core.run(test);
        const hasInc = test.code.includes(0x40);
        return hasInc ? { ...outcome, regs: outcome.regs.with(0, outcome.regs[0]! ^ 1) } : outcome;
      },
    };
    const pieces = [[0x90], [0xf8], [0x40], [0x50], [0x91]].map((bytes) => ({ bytes }));
    const [failure] = differing(broken, oracle, [
      { ...randomCase(SEED, 0, ["integer"]), pieces: [...pieces] },
    ]);
    const { test } = shrink(broken, oracle, failure!);
    expect([...test.code]).toEqual([0x40]);
    expect([...test.before.regs]).toEqual(new Array(8).fill(0));
    expect(test.memory.every(({ bytes }) => bytes.every((byte) => byte === 0))).toBe(true);
  });
});
