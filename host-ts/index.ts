/**
 * wasmvisor: an embeddable hypervisor. This file is the whole public surface.
 *
 * @example
 * import { createGuest } from "wasmvisor";
 *
 * const guest = await createGuest({ kernel: readFileSync("vmlinux"), memoryBytes: 64 << 20 });
 * guest.on("output", (bytes) => process.stdout.write(bytes));
 * const end = await guest.run();
 * console.log(end.kind, end.stats.instructions);
 */

import type { CoreImage } from "./base/core.ts";
import { UnsupportedError } from "./base/errors.ts";
import { unpackKernel } from "./boot/payload.ts";
import type { Guest } from "./guest/api.ts";
import { type GuestConfig, needsInline, resolveConfig } from "./guest/config.ts";
import { InlineGuest } from "./guest/guest.ts";
import { takePlace } from "./guest/machine-places.ts";
import { refuseNesting } from "./guest/nesting.ts";
import type { GuestOptions } from "./guest/options.ts";
import { completeFromImage } from "./guest/restore-options.ts";
import { digestState } from "./state/digest.ts";

export * from "./base/errors.ts";
export type { StampedInput } from "./base/inputs.ts";
export type { ShutdownRequest, StoreNode } from "./base/personality.ts";
export type { BlockBackend, HostInput, NetBackend } from "./base/ports.ts";
export type { Registers } from "./base/vcpu-block.ts";
export type {
  Guest,
  GuestEnd,
  GuestEvents,
  GuestState,
  GuestXenstore,
  RequestOptions,
  SaveOptions,
} from "./guest/api.ts";
export type { CrashReport, Excerpt } from "./guest/crash-report.ts";
export { type CpuidProbe, isOurCpuid } from "./guest/nesting.ts";
export type {
  Abi,
  BareOptions,
  BlockOptions,
  Cpu,
  DebugOptions,
  GuestOptions,
  LguestOptions,
  NetOptions,
  ProfileOptions,
  XenOptions,
} from "./guest/options.ts";
export type { Profile, ProfileSample } from "./guest/profiler.ts";
export type { Counts, GuestStats } from "./guest/stats.ts";

/**
 * Builds a guest, ready to run: its kernel is in memory and its devices are attached, and nothing of it has executed yet.
 * In mode "worker", the default, it lives in a worker thread and this thread only passes messages.
 *
 * @throws ConfigError for options that make no sense, ImageError for a kernel that cannot be used, BackendError for a disk
 *   that cannot be opened, SnapshotError for an image that cannot be restored, OutOfMemoryError when the process has no room, UnsupportedError where the platform lacks a part.
 */
export async function createGuest(options: GuestOptions): Promise<Guest> {
  const { signal } = options;
  signal?.throwIfAborted();
  const resolved = resolveConfig(await completeFromImage(options));
  const { abi, kernel } = resolved;
  const isPacked = abi === "xen-pv" && kernel !== undefined;
  const config = isPacked ? { ...resolved, kernel: await unpackKernel(kernel) } : resolved;
  const guest = await build(config);
  if (signal?.aborted) guest.abort(signal.reason);
  else if (signal !== undefined) abortWith(signal, guest);
  return guest;
}

/** A signal may live much longer than its guests, so it forgets those that ended. */
function abortWith(signal: AbortSignal, guest: Abortable): void {
  const abort = () => guest.abort(signal.reason);
  const forget = () => signal.removeEventListener("abort", abort);
  signal.addEventListener("abort", abort, { once: true });
  guest.ended.then(forget, forget);
}

type Abortable = Guest & { abort(reason: unknown): void };

/** Node's parts are loaded only where they are needed, so that this file itself loads anywhere. */
async function build(config: GuestConfig): Promise<Abortable> {
  if (typeof process === "undefined" || process.versions?.node === undefined) {
    throw new UnsupportedError(
      "wasmvisor finds its core by way of Node; run it in Node 20.19 or later",
    );
  }
  const { runsInOurGuest } = await import("./guest/nesting-node.ts");
  refuseNesting(runsInOurGuest());
  const { loadCoreImage } = await import("./base/core-node.ts");
  const image = loadCoreImage(config.debug.assertions);
  const isInline = config.mode === "inline" || (config.mode === undefined && needsInline(config));
  if (!isInline && needsInline(config)) {
    throw new UnsupportedError('a `backend` object cannot cross threads; use mode "inline" for it');
  }
  const leave = takePlace(config, image, isInline ? "inline" : "worker");
  try {
    const guest = await buildOn(config, image, isInline);
    if (leave !== undefined) guest.ended.then(leave, leave);
    return guest;
  } catch (error) {
    leave?.();
    throw error;
  }
}

async function buildOn(
  config: GuestConfig,
  image: CoreImage,
  isInline: boolean,
): Promise<Abortable> {
  if (isInline) {
    const { createPlatform } = await import("./guest/platform-node.ts");
    return new InlineGuest(config, createPlatform(image, digestState));
  }
  const { WorkerGuest } = await import("./guest/worker-guest-node.ts");
  return await WorkerGuest.create(config, image);
}
