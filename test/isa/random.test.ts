/**
 * Random code on the core and on other processors: they must agree. WASMVISOR_SEED chooses another run, WASMVISOR_CASES its
 * length; `npm run test:random` runs as long as wanted and makes failing cases small.
 */
import { describe, expect, it, vi } from "vitest";
import { loadDisassembler } from "../../host-ts/debug/disasm.ts";
import { createCoreDriver } from "../drivers/cpu-core.ts";
import type { RunManner } from "../drivers/cpu-driver.ts";
import { describeFailure } from "../drivers/describe-failure.ts";
import { codeSizes, differing, examine, shrink } from "../drivers/differential.ts";
import { createNativeOracle, VECTOR_HANGS } from "../drivers/native.ts";
import type { VectorCase } from "../drivers/nv1.ts";
import { createOracle, ORACLES, type Oracle } from "../drivers/oracles.ts";
import { explain, OTHER } from "../drivers/qemu-departures.ts";
import { FAMILIES, randomCase, toInput } from "../drivers/random-case.ts";
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
  const able = FAMILIES.filter((family) => family !== "sse4" || lacking.length === 0);
  if (able.length < FAMILIES.length) {
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

describe("a child that runs cases", () => {
  const oracle = createNativeOracle();
  if ("reason" in oracle) {
    it.skip(`no oracle: ${oracle.reason}`, () => {});
    return;
  }
  const inputs = [0, 1, 2].map((i) => toInput(randomCase(SEED, i, ["integer"]))!);
  // With nothing to read it ends at once, as the trial of a program asks.
  const child = (end: string) => ["sh", "-c", `[ -z "$(head -c 1 | od -An -c)" ] || ${end}`];

  it.each([
    ["never ends", "exec sleep 600", "ETIMEDOUT", { timeoutMs: 100 }],
    ["crashes", "kill -SEGV $$", "SIGSEGV", {}],
    ["ends early", "exit 3", "ended with 3", {}],
  ])("and %s is reported, case by case, and its cases stay open", (_, end, report, limit) => {
    const log = vi.spyOn(console, "log").mockImplementation(() => {});
    const failing = createNativeOracle({ emulator: child(end), ...limit });
    if ("reason" in failing) expect.fail(failing.reason);
    const answers = failing.record(inputs);
    const reports = log.mock.calls.map(([text]) => `${text}`);
    log.mockRestore();
    expect(answers.map(({ vector }) => vector)).toEqual(inputs.map(() => VECTOR_HANGS));
    expect(reports).toHaveLength(inputs.length);
    for (const [i, text] of reports.entries()) {
      expect(text).toContain(inputs[i]!.name);
      expect(text).toContain(report);
    }
  });
});

describe("a difference from an emulator", () => {
  const silicon = createOracle("native");
  if ("reason" in silicon) {
    it.skip(`no oracle: ${silicon.reason}`, () => {});
    return;
  }
  /** An emulator whose EAX has its lowest bit wrong. */
  const emulator: Oracle = {
    record: (inputs) =>
      silicon.record(inputs).map((test) => {
        const { regs } = test.after;
        return { ...test, after: { ...test.after, regs: regs.with(0, regs[0]! ^ 1) } };
      }),
    explain,
    arbiter: silicon,
  };
  const cases = Array.from({ length: 20 }, (_, i) => randomCase(SEED, i, ["integer"]));

  it("is the emulator's when silicon agrees with the core", () => {
    const { failures, departures } = examine(createCoreDriver({ edges: true }), emulator, cases);
    expect(failures).toEqual([]);
    expect(departures.length).toBeGreaterThan(cases.length / 2);
    expect(departures.flatMap(({ classes }) => classes)).toContain(OTHER);
  });

  it("is the core's when silicon agrees with the emulator, or with neither", () => {
    const core = createCoreDriver({ edges: true });
    for (const bit of [1, 2]) {
      const broken = {
        name: "broken",
        run: (test: VectorCase, manner?: RunManner) => {
          const outcome = core.run(test, manner);
          return { ...outcome, regs: outcome.regs.with(1, outcome.regs[1]! ^ bit) };
        },
      };
      const { failures, departures } = examine(broken, emulator, cases);
      expect(departures).toEqual([]);
      expect(failures.length).toBeGreaterThan(cases.length / 2);
    }
  });
});
