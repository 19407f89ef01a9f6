/** The systems that are compared, each in a process of its own. */
import { runScript } from "./child-run.ts";
import type { Measurement, Step } from "./kernels.ts";

/** A system that runs benchmark guests. */
export type System = "ours" | "v86";

export const SYSTEMS: readonly System[] = ["ours", "v86"];

/** What a child process is asked to do. */
export interface Job {
  readonly system: System;
  readonly steps: readonly Step[];
}

/** Runs a plan in a fresh process. Rejects with its error text when it fails or hangs. */
export function runInChild(job: Job): Promise<readonly Measurement[]> {
  return runScript(new URL("child.ts", import.meta.url), job.system, job);
}
