/** Runs a plan on wasmvisor, paravirtual or as a plain machine, in this process, on this thread. */
import { readFileSync } from "node:fs";
import { loadCoreImage } from "../../host-ts/base/core-node.ts";
import type { Abi } from "../../host-ts/guest/options.ts";
import { createPlatform } from "../../host-ts/guest/platform-node.ts";
import { BenchGuest } from "../../host-ts/launcher/bench-guest.ts";
import { digestState } from "../../host-ts/state/digest.ts";
import type { PeerJob, PeerSample } from "./job.ts";

/** Interfaces other than the first. */
const ABIS: Partial<Record<PeerJob["system"], Abi>> = {
  "wasmvisor xen-pv": "xen-pv",
  "wasmvisor bare": "bare",
};

/** @returns one sample for each loop. @throws when the guest ends early. */
export function runOurs(job: PeerJob): PeerSample[] {
  const platform = createPlatform(loadCoreImage(false), digestState);
  const abi = ABIS[job.system] ?? "lguest";
  const path = job.system === "wasmvisor host" ? "host" : "switcher";
  const guest = new BenchGuest(
    new Uint8Array(readFileSync(job.kernel)),
    { abi, path, plan: job.plan },
    platform,
  );
  return Array.from({ length: job.loops }, () => {
    const { cpuMs, events } = guest.next();
    return { cpuMs, events };
  });
}
