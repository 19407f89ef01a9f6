/** Node only: what this machine says about its processor. */

import { readFileSync } from "node:fs";
import { BRAND } from "./nesting.ts";

/** Whether this machine's processor is the virtual one of a wasmvisor guest; false where that cannot be known. */
export function runsInOurGuest(cpuInfoFile = "/proc/cpuinfo"): boolean {
  try {
    return new RegExp(`^model name\\s*:\\s*${BRAND} `, "m").test(
      readFileSync(cpuInfoFile, "latin1"),
    );
  } catch {
    return false;
  }
}
