/** The round trips of guests/bench: their image, and counts that are the same in every run. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { LG_DATA_HCALL_STATUS, LG_RING_SLOTS } from "../../abi/lguest.ts";
import { COUNTER_TRAPS } from "../../abi/vcpu.ts";
import { VECTOR_PF } from "../../abi/x86.ts";
import { loadCoreImage } from "../../host-ts/base/core-node.ts";
import { parseElf } from "../../host-ts/boot/elf.ts";
import type { Machine } from "../../host-ts/guest/machine.ts";
import { createPlatform } from "../../host-ts/guest/platform-node.ts";
import { BenchGuest } from "../../host-ts/launcher/bench-guest.ts";
import { PHASES } from "../../host-ts/launcher/bench-phases.ts";
import { measure } from "../../host-ts/launcher/bench-run.ts";
import { SCENARIOS } from "../../host-ts/launcher/bench-scenarios.ts";
import { countByPhase } from "../../host-ts/launcher/bench-stepper.ts";
import { digestState } from "../../host-ts/state/digest.ts";
import { ROOT } from "../../tools/files.ts";
import { checkBench } from "../../tools/guest-build.ts";

const kernel = new Uint8Array(readFileSync(join(ROOT, "guests/bench/faults.elf")));

/** Crossings out of Wasm for one iteration, switcher and host: what the two paths are about. */
const CROSSINGS: Readonly<Record<string, readonly [number, number]>> = {
  // A TLB miss that is the guest's own fault, and two calls for page-table entries, of which the first maps the page.
  pingpong: [0, 3],
  remap: [0, 3],
  // One call fewer: nothing is unmapped. And the reload, after which the kernel's own pages are missed too; and one page shares the
  // TLB's entry of the code that touches it, so that it is missed again.
  fill: [0, 2 + 14 / 1024],
  kernel: [0, 3],
  cow: [0, 3],
  // Two misses, of the read and of the write, and the call that cleared the entry.
  dirty: [0, 3],
  // The ring is drained by the two calls that wait for it.
  ring: [0, 3],
  // Three calls for directories, one for each of four entries; four faults, and 22 pages mapped in a directory that was forgotten.
  fork: [0, 29],
  // The fault, two calls of which one maps its page, and the gate by which ring 3 comes back.
  iret: [0, 4],
  // Its gate is direct on both paths, as it was on silicon.
  syscall: [0, 0],
  trap: [0, 1],
  known: [0, 1],
  // Sixteen pages and the code that touches them, in a directory that was forgotten.
  unknown: [0, 18],
};

/** Guest instructions of one iteration: what its handlers and loops take, on either path. */
const INSTRUCTIONS: Readonly<Record<string, number>> = {
  pingpong: 33,
  remap: 47,
  // And what the reload takes, shared by 1,024 pages.
  fill: 28 + 48 / 1024,
  kernel: 29,
  cow: 46,
  dirty: 8,
  ring: 616,
  fork: 338,
  iret: 38,
  syscall: 4,
  trap: 6,
  known: 109,
  // One step in nine begins anew, with an instruction less.
  unknown: 109 - 1 / 9,
};

/** Slots of the asynchronous ring that hold a call which the Host has not done. */
function readyCalls(machine: Machine, data: number): number {
  let ready = 0;
  for (let slot = 0; slot < LG_RING_SLOTS; slot++) {
    if (machine.memory.readU8(data + LG_DATA_HCALL_STATUS + slot) === 0) ready++;
  }
  return ready;
}

it("the image is what its sources make", (context) => {
  const outcome = checkBench();
  if (typeof outcome === "object") context.skip(outcome.skipped);
  expect(outcome).toBe("same");
});

it("every scenario crosses as often as its path must, and retires the same whole instructions on both, in each phase", () => {
  const plan = (iterations: number) => ({
    scenarios: SCENARIOS,
    paths: ["switcher", "host"] as const,
    repeats: 1,
    iterations,
    withPhases: false,
  });
  // measure() itself refuses counts that differ between repeats, and faults that the guest did not see. 9216: whole periods of all.
  const rows = measure(kernel, plan(9216), () => {});
  const counted = rows.map(({ name, path, counts }) => ({ name, path, counts }));
  expect(
    measure(kernel, plan(2 * 9216), () => {}).map(({ name, path, counts }) => ({
      name,
      path,
      counts,
    })),
  ).toEqual(counted);
  for (const scenario of SCENARIOS) {
    const { name, period } = scenario;
    const [own, classic] = rows.filter((row) => row.name === name);
    const [switcher, host] = CROSSINGS[name]!;
    expect.soft(own?.crossings, `${name}, switcher`).toBe(switcher);
    expect.soft(classic?.crossings, `${name}, host`).toBeCloseTo(host, 10);
    expect.soft(classic?.instructions, `${name}, instructions`).toBe(own?.instructions);
    expect
      .soft(own!.instructions * period, `${name}, whole`)
      .toBeCloseTo(INSTRUCTIONS[name]! * period, 6);
    const phases = countByPhase(kernel, scenario, period);
    const total = PHASES.reduce((sum, phase) => sum + phases[phase], 0);
    expect.soft(total, `${name}, phases`).toBeCloseTo(own!.instructions, 6);
  }
  expect(rows.map(({ name }) => name)).toEqual(SCENARIOS.flatMap(({ name }) => [name, name]));
}, 60_000);

it("a stepped run finds the same phases every time: the handler's calls and its return", () => {
  const scenario = SCENARIOS.find(({ name }) => name === "pingpong")!;
  const counts = countByPhase(kernel, scenario, 64);
  expect(countByPhase(kernel, scenario, 128)).toEqual(counts);
  expect(counts).toMatchObject({ return: 1, hypercall: 2, "guest access": 4 });
});

it("at every fault of `ring` 32 calls wait in the asynchronous ring, and none after its handler's first call", () => {
  const data = parseElf(kernel)
    .symbols()
    .find(({ name }) => name === "lguest_data")!;
  const faults = COUNTER_TRAPS + 8 * VECTOR_PF;
  for (const path of ["switcher", "host"] as const) {
    const waiting: number[] = [];
    let seen = 0;
    let isMeasured = false;
    const guest = new BenchGuest(
      kernel,
      { path, plan: "ring:6" },
      createPlatform(loadCoreImage(false), digestState),
      {
        started: () => {
          isMeasured = true;
        },
        ended: () => {
          isMeasured = false;
        },
      },
    );
    const { machine } = guest;
    machine.nextBudget = () => {
      const count = machine.vcpu.counter(faults);
      if (isMeasured && count !== seen) waiting.push(readyCalls(machine, data.address));
      seen = count;
      return 1;
    };
    guest.next();
    guest.dispose();
    expect(waiting, path).toEqual([32, 32, 32, 32, 32, 32]);
  }
});
