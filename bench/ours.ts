/** Runs a plan on wasmvisor: the release core, in this process, on this thread. */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import v8 from "node:v8";
import { type CoreImage, createCoreImage } from "../host-ts/base/core.ts";
import { loadCoreImage } from "../host-ts/base/core-node.ts";
import type { FaultPath } from "../host-ts/base/fault-path.ts";
import { HostInputs } from "../host-ts/base/inputs.ts";
import { resolveConfig } from "../host-ts/guest/config.ts";
import { Machine } from "../host-ts/guest/machine.ts";
import { openHostSide } from "../host-ts/guest/platform.ts";
import { createPlatform } from "../host-ts/guest/platform-node.ts";
import { runGuest } from "../host-ts/guest/run-loop.ts";
import { digestState } from "../host-ts/state/digest.ts";
import { ROOT } from "../tools/files.ts";
import { withPlan } from "./images.ts";
import type { Measurement, Step } from "./kernels.ts";
import { Stopwatch } from "./stopwatch.ts";

const MEMORY_BYTES = 16 << 20;

/**
 * Compiles another build of the core, named relative to the repository's root, the way the package compiles its own.
 * The flags stay set: nothing else is compiled here that would mind.
 */
export function loadCore(file: string): CoreImage {
  v8.setFlagsFromString("--no-liftoff");
  v8.setFlagsFromString("--no-wasm-lazy-compilation");
  return createCoreImage(new WebAssembly.Module(readFileSync(join(ROOT, file))));
}

/**
 * Runs a plan on the package's release core, or on another build of it, on one of the fault paths.
 * @returns one measurement for each step. @throws when the guest does not finish its plan.
 */
export function runOurs(
  steps: readonly Step[],
  core = loadCoreImage(false),
  faultPath: FaultPath = "switcher",
): Measurement[] {
  const kernel = withPlan("lguest", steps);
  const config = resolveConfig({
    kernel,
    memoryBytes: MEMORY_BYTES,
    rng: false,
    lguest: { faultPath },
  });
  const platform = createPlatform(core, digestState);
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
