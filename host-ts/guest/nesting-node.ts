/** Node only: JavaScript has no CPUID instruction, but Linux shows its vendor string. */

import { readFileSync } from "node:fs";
import { CPUID_VENDOR } from "../../abi/cpuid.ts";

/** Whether this machine's processor is the virtual one of a wasmvisor guest; false where that cannot be known. */
export function runsInOurGuest(cpuInfoFile = "/proc/cpuinfo"): boolean {
  try {
    return new RegExp(`^vendor_id\\s*:\\s*${CPUID_VENDOR}$`, "m").test(
      readFileSync(cpuInfoFile, "latin1"),
    );
  } catch {
    return false;
  }
}
