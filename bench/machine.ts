/** What a result depends on besides the code: recorded with it. */

import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { cpus, loadavg, platform, release, totalmem } from "node:os";
import { join } from "node:path";
import { ROOT } from "../tools/files.ts";
import { KERNEL_FLAGS } from "./images.ts";

/** Describes this machine and the versions and flags in use. `gcc` is its major version. */
export function describeMachine(gcc: string) {
  const v86 = createRequire(import.meta.url).resolve("v86/package.json");
  return {
    cpu: cpus()[0]?.model.trim() ?? "unknown CPU",
    cpus: cpus().length,
    memoryMiB: Math.round(totalmem() / 2 ** 20),
    os: `${platform()} ${release()}`,
    load: loadavg()
      .map((load) => Math.round(load * 10) / 10)
      .join(" "),
    node: process.versions.node,
    v8: process.versions.v8,
    nodeOptions: process.env.NODE_OPTIONS ?? "",
    v86: JSON.parse(readFileSync(v86, "utf8")).version as string,
    gcc,
    kernelFlags: KERNEL_FLAGS,
    commit: commit(),
    coreBytes: readFileSync(join(ROOT, "build/core.wasm")).length,
  };
}

/** @returns the commit that is measured, "-dirty" when files differ from it; "unknown" outside a repository. */
function commit(): string {
  try {
    const args = ["describe", "--always", "--dirty"];
    return execFileSync("git", args, { cwd: ROOT, encoding: "utf8", stdio: "pipe" }).trim();
  } catch {
    return "unknown";
  }
}
