/** The round trips of guests/bench: their image, and counts that are the same in every run. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { countByPhase, PHASES } from "../../host-ts/launcher/bench-phases.ts";
import { measure } from "../../host-ts/launcher/bench-run.ts";
import { SCENARIOS } from "../../host-ts/launcher/bench-scenarios.ts";
import { ROOT } from "../../tools/files.ts";
import { checkBench } from "../../tools/guest-build.ts";

const kernel = new Uint8Array(readFileSync(join(ROOT, "guests/bench/faults.elf")));

/** Crossings out of Wasm for one iteration, switcher and host: what the two paths are about. */
const CROSSINGS: Readonly<Record<string, readonly [number, number]>> = {
  // A TLB miss that is the guest's own fault, two calls for page-table entries, the miss of the access made again.
  pingpong: [0, 4],
  remap: [0, 4],
  // One call fewer: nothing is unmapped.
  fill: [0, 3],
  kernel: [0, 4],
  cow: [0, 4],
  // Two misses, of the read and of the write, and the call that cleared the entry.
  dirty: [0, 3],
  // The ring is drained by the two calls that wait for it.
  ring: [0, 4],
  // Three calls for directories, one for each of four entries; four faults, and 22 pages mapped in a directory that was forgotten.
  fork: [0, 33],
  // The fault, its page mapped, two calls, and the gate by which ring 3 comes back.
  iret: [0, 5],
  // Its gate is direct on both paths, as it was on silicon.
  syscall: [0, 0],
  trap: [0, 1],
  known: [0, 1],
  // Sixteen pages and the code that touches them, in a directory that was forgotten.
  unknown: [0, 18],
};

it("the image is what its sources make", (context) => {
  const outcome = checkBench();
  if (typeof outcome === "object") context.skip(outcome.skipped);
  expect(outcome).toBe("same");
});

it("every scenario crosses as often as its path must, and retires the same instructions on both", () => {
  const plan = {
    scenarios: SCENARIOS,
    paths: ["switcher", "host"] as const,
    repeats: 2,
    iterations: 1024,
    withPhases: false,
  };
  // measure() itself refuses counts that differ between repeats, and faults that the guest did not see.
  const rows = measure(kernel, plan, () => {});
  for (const [name, [switcher, host]] of Object.entries(CROSSINGS)) {
    const [own, classic] = rows.filter((row) => row.name === name);
    expect.soft(own?.crossings, `${name}, switcher`).toBe(switcher);
    expect.soft(Math.round(classic?.crossings ?? -1), `${name}, host`).toBe(host);
    expect.soft(classic?.instructions, `${name}, instructions`).toBe(own?.instructions);
  }
  expect(rows.map(({ name }) => name)).toEqual(SCENARIOS.flatMap(({ name }) => [name, name]));
});

it("a stepped run finds the same instructions as the counters, split by phase, every time", () => {
  const [row] = measure(
    kernel,
    {
      scenarios: SCENARIOS.filter(({ name }) => name === "pingpong"),
      paths: ["switcher"],
      repeats: 1,
      iterations: 256,
      withPhases: false,
    },
    () => {},
  );
  const counts = countByPhase(kernel, "pingpong", 256);
  expect(countByPhase(kernel, "pingpong", 256)).toEqual(counts);
  const total = PHASES.reduce((sum, phase) => sum + counts[phase], 0);
  expect(total).toBeCloseTo(row!.instructions, 1);
  expect(counts.return).toBe(1);
  expect(counts.hypercall).toBe(2);
});
