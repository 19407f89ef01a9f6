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
import { CALLS } from "../../host-ts/launcher/bench-calls.ts";
import { BenchGuest } from "../../host-ts/launcher/bench-guest.ts";
import { PHASES } from "../../host-ts/launcher/bench-phases.ts";
import { measure } from "../../host-ts/launcher/bench-run.ts";
import { SCENARIOS } from "../../host-ts/launcher/bench-scenarios.ts";
import { countByPhase } from "../../host-ts/launcher/bench-stepper.ts";
import { BENCH_ABIS, CALL_SYSTEMS, FAULT_SYSTEMS } from "../../host-ts/launcher/bench-systems.ts";
import { digestState } from "../../host-ts/state/digest.ts";
import { ROOT } from "../../tools/files.ts";
import { checkBench } from "../../tools/guest-build.ts";

const image = (name: string) => new Uint8Array(readFileSync(join(ROOT, "guests/bench", name)));
const kernel = image("faults.elf");
const kernels = { lguest: kernel, "xen-pv": image("faults-xen.elf") };
const callKernels = { lguest: image("calls.elf"), "xen-pv": image("calls-xen.elf") };

/** Crossings out of Wasm for one iteration under lguest, switcher and host: what the two paths are about. */
const CROSSINGS: Readonly<Record<string, readonly [number, number]>> = {
  // A TLB miss that is the guest's own fault, and two calls for page-table entries, of which the first maps the page.
  pingpong: [0, 3],
  remap: [0, 3],
  // One call fewer: nothing is unmapped. And the reload, after which the kernel's own pages are missed too; and one page shares the
  // TLB's entry of the code that touches it, so that it is missed again.
  fill: [0, 2 + 15 / 1024],
  kernel: [0, 3],
  cow: [0, 3],
  // Two misses, of the read and of the write, and the call that cleared the entry.
  dirty: [0, 3],
  // The ring is drained by the two calls that wait for it.
  ring: [0, 3],
  // Three calls for directories, one for each of four entries; four faults, and 23 pages mapped in a directory that was forgotten.
  fork: [0, 30],
  // The fault, two calls of which one maps its page, and the gate by which ring 3 comes back.
  iret: [0, 4],
  // Its gate is direct on both paths, as it was on silicon.
  syscall: [0, 0],
  trap: [0, 1],
  known: [0, 1],
  // Sixteen pages and the code that touches them, in a directory that was forgotten.
  unknown: [0, 18],
};

/** The same for Xen PV on its host path: every fault and every call, of a list each entry; TLB misses are the processor's. */
const XEN_HOST_CROSSINGS: Readonly<Record<string, number>> = {
  pingpong: 3,
  remap: 3,
  // The reload: the table's two pages and their entries, both ways, and a flush.
  fill: 2 + 7 / 1024,
  kernel: 3,
  cow: 3,
  dirty: 1,
  ring: 35,
  // Two switches, the table's page and its entry, both ways, and four times a fault and its call.
  fork: 14,
  iret: 3,
  syscall: 0,
  trap: 1,
  known: 1,
  unknown: 1,
};

/** Guest instructions of one iteration, lguest and Xen PV: what its handlers and loops take, on either path. */
const INSTRUCTIONS: Readonly<Record<string, readonly [number, number]>> = {
  pingpong: [33, 45],
  remap: [47, 56],
  // And what the reload takes, shared by 1,024 pages.
  fill: [28 + 48 / 1024, 35 + 425 / 1024],
  kernel: [29, 38],
  cow: [46, 55],
  dirty: [8, 14],
  ring: [616, 575],
  fork: [341, 687],
  iret: [38, 47],
  syscall: [4, 4],
  trap: [6, 6],
  known: [109, 118.5],
  // One step in nine begins anew.
  unknown: [109 - 1 / 9, 119 - 1 / 9],
};

/** Guest instructions and crossings of one iteration of a call: lguest, then Xen PV. */
const CALL_COUNTS: Readonly<
  Record<string, readonly [readonly [number, number] | undefined, readonly [number, number]]>
> = {
  syscall: [
    [4, 0],
    [4, 0],
  ],
  null: [
    [8, 0],
    [6, 0],
  ],
  leave: [
    [7, 1],
    [6, 1],
  ],
  null32: [
    [381, 0],
    [6, 0],
  ],
  set_pte: [
    [6, 0],
    [10, 0],
  ],
  set_pte32: [
    [639, 0],
    [9, 0],
  ],
  update1: [undefined, [12, 0]],
  update8: [undefined, [12, 0]],
  update32: [undefined, [12, 0]],
  update128: [undefined, [12, 0]],
  event: [undefined, [39, 1]],
  timer: [undefined, [43, 1]],
  switch: [
    [56, 0],
    [25, 0],
  ],
  fault: [
    [28 + 48 / 1024, 0],
    [35 + 425 / 1024, 0],
  ],
  iret: [
    [6, 0],
    [8, 0],
  ],
};

/** Slots of the asynchronous ring that hold a call which the Host has not done. */
function readyCalls(machine: Machine, data: number): number {
  let ready = 0;
  for (let slot = 0; slot < LG_RING_SLOTS; slot++) {
    if (machine.memory.readU8(data + LG_DATA_HCALL_STATUS + slot) === 0) ready++;
  }
  return ready;
}

it("the images are what their sources make", (context) => {
  const outcomes = checkBench();
  const skipped = [...outcomes.values()].find((outcome) => typeof outcome === "object");
  if (skipped !== undefined) context.skip(skipped.skipped);
  expect([...outcomes]).toEqual([...outcomes.keys()].map((name) => [name, "same"]));
});

it("every scenario crosses as often as its path must, and retires the same whole instructions on both, in each phase", () => {
  const plan = (iterations: number) => ({
    scenarios: SCENARIOS,
    systems: FAULT_SYSTEMS,
    repeats: 1,
    iterations,
    withPhases: false,
  });
  // measure() itself refuses counts that differ between repeats, and faults that the guest did not see. 9216: whole periods of all.
  const rows = measure(kernels, plan(9216), () => {});
  const counted = rows.map(({ name, path, counts }) => ({ name, path, counts }));
  expect(
    measure(kernels, plan(2 * 9216), () => {}).map(({ name, path, counts }) => ({
      name,
      path,
      counts,
    })),
  ).toEqual(counted);
  for (const scenario of SCENARIOS) {
    const { name, period } = scenario;
    const [own, classic, xen, xenHost] = rows.filter((row) => row.name === name);
    const [switcher, host] = CROSSINGS[name]!;
    expect.soft(own?.crossings, `${name}, switcher`).toBe(switcher);
    expect.soft(classic?.crossings, `${name}, host`).toBeCloseTo(host, 10);
    expect.soft(xen?.crossings, `${name}, Xen PV`).toBe(0);
    expect
      .soft(xenHost?.crossings, `${name}, Xen PV on the host path`)
      .toBeCloseTo(XEN_HOST_CROSSINGS[name]!, 10);
    expect.soft(classic?.instructions, `${name}, instructions`).toBe(own?.instructions);
    expect.soft(xenHost?.instructions, `${name}, instructions`).toBe(xen?.instructions);
    for (const [index, row] of [own!, xen!].entries()) {
      expect
        .soft(row.instructions * period, `${name}, ${row.path}, whole`)
        .toBeCloseTo(INSTRUCTIONS[name]![index]! * period, 6);
      const abi = FAULT_SYSTEMS.find((system) => system.name === row.path)!.abi;
      const phases = countByPhase(kernels[abi], { abi }, scenario, period);
      const total = PHASES.reduce((sum, phase) => sum + phases[phase], 0);
      expect.soft(total, `${name}, ${row.path}, phases`).toBeCloseTo(row.instructions, 6);
    }
  }
  const names = FAULT_SYSTEMS.map((system) => system.name);
  expect(rows.map(({ name, path }) => [name, path])).toEqual(
    SCENARIOS.flatMap(({ name }) => names.map((path) => [name, path])),
  );
}, 120_000);

it("every call retires as many instructions and crosses as often as it must", () => {
  const plan = {
    scenarios: CALLS,
    systems: CALL_SYSTEMS,
    repeats: 1,
    iterations: 1024,
    withPhases: false,
  };
  const rows = measure(callKernels, plan, () => {});
  const found = Object.fromEntries(
    CALLS.map(({ name }) => [
      name,
      CALL_SYSTEMS.map((system) => {
        const row = rows.find((each) => each.name === name && each.path === system.name);
        return row && [Number(row.instructions.toFixed(12)), row.crossings];
      }),
    ]),
  );
  expect(found).toEqual(CALL_COUNTS);
  expect(rows.filter(({ name }) => name === "set_pte32").map(({ counts }) => counts.calls)).toEqual(
    // The multicall itself is a call, the ring's last one is one of the 32.
    [32, 33],
  );
});

it("a stepped run finds the same phases every time: the handler's calls and its return", () => {
  const scenario = SCENARIOS.find(({ name }) => name === "pingpong")!;
  for (const abi of BENCH_ABIS) {
    const counts = countByPhase(kernels[abi], { abi }, scenario, 64);
    expect(countByPhase(kernels[abi], { abi }, scenario, 128)).toEqual(counts);
    expect(counts, abi).toMatchObject({ return: 1, hypercall: 2, "guest access": 4 });
  }
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
