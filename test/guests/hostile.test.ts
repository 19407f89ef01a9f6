/**
 * A kernel that commits random crimes, one seed after the other: the Host never throws, never hangs, and ends every guest with
 * a name. Another guest of the same process keeps its state meanwhile.
 */
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { FaultPath } from "../../host-ts/base/fault-path.ts";
import { createGuest, type GuestEnd } from "../../host-ts/index.ts";
import { buildMicrokernel, findGcc, type Variant } from "../../tools/guest-build.ts";
import { HOSTILE } from "./lguest-tests.ts";

const MEMORY_BYTES = 8 << 20;
const RUNS_PER_VARIANT = 40;
const PATIENCE_MS = 5_000;
const TOO_LONG = "still running when the test's patience was over";

const gcc = findGcc();
const VARIANTS: readonly Variant[] = [
  { bus: "page", paging: "2-level" },
  { bus: "page", paging: "pae" },
  { bus: "pci", paging: "2-level" },
];

async function runSeed(
  kernel: Uint8Array,
  bus: Variant["bus"],
  seed: number,
  faultPath: FaultPath,
): Promise<GuestEnd> {
  await using guest = await createGuest({
    kernel,
    commandLine: `seed=${seed}`,
    memoryBytes: MEMORY_BYTES,
    mode: "inline",
    lguest: { bus, faultPath },
    // Half of the runs are interrupted wherever they are.
    nmiEvery: seed % 2 === 0 ? undefined : 1000 + (seed % 5000),
  });
  // With its input closed, a guest that halts for good is stuck and says so.
  await guest.console.writable.close();
  const timer = setTimeout(() => guest.kill(TOO_LONG), PATIENCE_MS);
  const end = await guest.run();
  clearTimeout(timer);
  return end;
}

describe("a hostile kernel", () => {
  for (const variant of VARIANTS) {
    it(`always comes to a named end (${variant.bus}, ${variant.paging})`, async (context) => {
      if ("missing" in gcc) context.skip(gcc.missing);
      const kernel = readFileSync(buildMicrokernel(HOSTILE, variant));
      await fc.assert(
        fc.asyncProperty(fc.integer({ min: 1, max: 0x7fffffff }), async (seed) => {
          const end = await runSeed(kernel, variant.bus, seed, "switcher");
          expect(["power-off", "panic", "restart", "killed", "deadlocked"]).toContain(end.kind);
          expect(end.reason).not.toBe("");
          expect(end.reason).not.toBe(TOO_LONG);
          // Both fault paths fill the TLB at the same moments, so even lies about page tables come to the same.
          const classic = await runSeed(kernel, variant.bus, seed, "host");
          expect(classic.reason).toBe(end.reason);
          expect(classic.stats.instructions).toBe(end.stats.instructions);
        }),
        { numRuns: RUNS_PER_VARIANT, endOnFailure: true },
      );
    }, 60_000);
  }
});
