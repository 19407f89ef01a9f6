/** The systems that are compared, each in a process of its own. */
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { Measurement, Step } from "./kernels.ts";

/** A system that runs benchmark guests. */
export type System = "ours" | "v86";

export const SYSTEMS: readonly System[] = ["ours", "v86"];

/** What a child process is asked to do. */
export interface Job {
  readonly system: System;
  readonly steps: readonly Step[];
}

/** A system that takes longer over a plan hangs. */
const PATIENCE_MS = 600_000;

/** Runs a plan in a fresh process. Rejects with its error text when it fails or hangs. */
export function runInChild(job: Job): Promise<readonly Measurement[]> {
  const child = spawn(
    process.execPath,
    [...process.execArgv, fileURLToPath(new URL("child.ts", import.meta.url))],
    { stdio: ["pipe", "pipe", "pipe"], timeout: PATIENCE_MS },
  );
  child.stdin.end(JSON.stringify(job));
  let answer = "";
  let trouble = "";
  child.stdout.on("data", (chunk) => (answer += chunk));
  child.stderr.on("data", (chunk) => (trouble += chunk));
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code, signal) => {
      if (code === 0) resolve(JSON.parse(answer));
      else reject(new Error(`${job.system} failed (${signal ?? `code ${code}`})\n${trouble}`));
    });
  });
}
