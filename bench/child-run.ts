/** A measurement in a process of its own: what ran before it has warmed nothing and left nothing behind. */
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

/** A system that takes longer over a job hangs. */
const PATIENCE_MS = 600_000;

/**
 * Hands `job` as JSON to the script's standard input and reads its answer as JSON.
 * @param script the module to run @param name of what is measured, for the error @throws the script's error text when it fails or hangs.
 */
export function runScript<Answer>(script: URL, name: string, job: unknown): Promise<Answer> {
  const child = spawn(process.execPath, [...process.execArgv, fileURLToPath(script)], {
    stdio: ["pipe", "pipe", "pipe"],
    timeout: PATIENCE_MS,
  });
  child.stdin.end(JSON.stringify(job));
  let answer = "";
  let trouble = "";
  child.stdout.on("data", (chunk) => (answer += chunk));
  child.stderr.on("data", (chunk) => (trouble += chunk));
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code, signal) => {
      if (code === 0) resolve(JSON.parse(answer));
      else reject(new Error(`${name} failed (${signal ?? `code ${code}`})\n${trouble}`));
    });
  });
}
