/**
 * What a round trip costs in crossings from Wasm to TypeScript, on both fault paths: exact numbers, as the difference between many
 * and few of the same, on the guest that `wasmvisor bench faults` runs.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { LHCALL_SET_PTE } from "../../abi/lguest.ts";
import {
  COUNTER_CORE_CALLS,
  COUNTER_EXITS,
  EXIT_HYPERCALL,
  EXIT_SHADOW_FAULT,
  EXIT_TRAP,
} from "../../abi/vcpu.ts";
import { loadCoreImage } from "../../host-ts/base/core-node.ts";
import type { FaultPath } from "../../host-ts/base/fault-path.ts";
import { createPlatform } from "../../host-ts/guest/platform-node.ts";
import { BenchGuest } from "../../host-ts/launcher/bench-guest.ts";
import { digestState } from "../../host-ts/state/digest.ts";
import { ROOT } from "../../tools/files.ts";

const kernel = readFileSync(join(ROOT, "guests/bench/faults.elf"));
/** Pages of the scenarios that share no entry of the TLB with the guest's own. */
const FEW = 50;
const MANY = 200;

/** Crossings by reason, instructions and SET_PTEs inside the core, per iteration of a scenario. */
function perIteration(scenario: string, path: FaultPath): Record<string, number> {
  const platform = createPlatform(loadCoreImage(false), digestState);
  const read = ({ machine }: BenchGuest) => ({
    shadowFaults: machine.vcpu.counter(COUNTER_EXITS + 8 * EXIT_SHADOW_FAULT),
    traps: machine.vcpu.counter(COUNTER_EXITS + 8 * EXIT_TRAP),
    hypercalls: machine.vcpu.counter(COUNTER_EXITS + 8 * EXIT_HYPERCALL),
    setPteInCore: machine.vcpu.counter(COUNTER_CORE_CALLS + 8 * LHCALL_SET_PTE),
  });
  const plan = `${scenario}:${MANY},${scenario}:${FEW},${scenario}:${MANY}`;
  const guest = new BenchGuest(kernel, { path, plan }, platform);
  try {
    // Warm: the kernel's own pages are in the TLB, so what differs is the work.
    guest.next();
    const moments = [read(guest)];
    const samples = [FEW, MANY].map(() => {
      const { counts } = guest.next();
      moments.push(read(guest));
      return counts;
    });
    const [start, few, many] = moments as [
      ReturnType<typeof read>,
      ReturnType<typeof read>,
      ReturnType<typeof read>,
    ];
    const rate = (count: (at: ReturnType<typeof read>) => number) =>
      (count(many) - count(few) - (count(few) - count(start))) / (MANY - FEW);
    return {
      crossings: (samples[1]!.crossings - samples[0]!.crossings) / (MANY - FEW),
      instructions: (samples[1]!.instructions - samples[0]!.instructions) / (MANY - FEW),
      shadowFaults: rate((at) => at.shadowFaults),
      traps: rate((at) => at.traps),
      hypercalls: rate((at) => at.hypercalls),
      setPteInCore: rate((at) => at.setPteInCore),
    };
  } finally {
    guest.dispose();
  }
}

test("a user page fault that the guest handles crosses never, and twice on the classic path", () => {
  const { instructions, ...switcher } = perIteration("fill", "switcher");
  expect(switcher).toEqual({
    crossings: 0,
    shadowFaults: 0,
    traps: 0,
    hypercalls: 0,
    setPteInCore: 1,
  });
  // Out to be reflected, out with the handler's SET_PTE, which puts the entry into the shadow at once.
  expect(perIteration("fill", "host")).toEqual({
    instructions,
    crossings: 2,
    shadowFaults: 1,
    traps: 0,
    hypercalls: 1,
    setPteInCore: 0,
  });
});

test("a system call crosses on neither path, a refused instruction once on the classic one", () => {
  for (const path of ["switcher", "host"] as const) {
    expect(perIteration("syscall", path).crossings).toBe(0);
  }
  expect(perIteration("trap", "switcher").crossings).toBe(0);
  expect(perIteration("trap", "host")).toMatchObject({ crossings: 1, traps: 1 });
});
