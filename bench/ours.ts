/** Runs a plan on wasmvisor: the release core, in this process, on this thread. */

import { loadCoreImage } from "../host-ts/base/core-node.ts";
import { HostInputs } from "../host-ts/base/inputs.ts";
import { resolveConfig } from "../host-ts/guest/config.ts";
import { Machine } from "../host-ts/guest/machine.ts";
import { openHostSide } from "../host-ts/guest/platform.ts";
import { createPlatform } from "../host-ts/guest/platform-node.ts";
import { runGuest } from "../host-ts/guest/run-loop.ts";
import { digestState } from "../host-ts/state/digest.ts";
import { withPlan } from "./images.ts";
import type { Measurement, Step } from "./kernels.ts";
import { Stopwatch } from "./stopwatch.ts";

const MEMORY_BYTES = 16 << 20;

/** @returns one measurement for each step, instructions included. @throws when the guest does not finish its plan. */
export function runOurs(steps: readonly Step[]): Measurement[] {
  const kernel = withPlan("lguest", steps);
  const config = resolveConfig({ kernel, memoryBytes: MEMORY_BYTES, rng: false });
  const platform = createPlatform(loadCoreImage(false), digestState);
  const inputs = new HostInputs([]);
  const stopwatch = new Stopwatch(steps, () => machine.vcpu.retired);
  const hostSide = openHostSide(config, platform, inputs, (bytes) => stopwatch.read(bytes));
  const machine: Machine = new Machine(config, {
    ...hostSide,
    core: platform.core,
    inputs,
    hostMs: platform.monotonicMs,
    onNotify: () => {},
  });
  while (runGuest(machine, () => false).kind !== "dead");
  const reason = machine.death?.reason;
  machine.dispose();
  hostSide.close();
  if (!stopwatch.isDone) throw new Error(`the guest did not finish: ${reason}`);
  return stopwatch.measurements;
}
