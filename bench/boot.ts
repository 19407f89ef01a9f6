/** How long the embedded guest takes from nothing to its shell's prompt. Uses the built package, as its users do. */
import { spawn } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { ROOT } from "../tools/files.ts";

const PROMPT = "$ ";
/** A boot that takes longer hangs. */
const PATIENCE_MS = 60_000;
const LAUNCHER = "dist/host-ts/launcher/main.js";

/** One boot; milliseconds. */
export interface Boot {
  /** `node -e 0`, start to end, wall time. */
  readonly nodeMs: number;
  /** `wasmvisor demo`, start of the process to the prompt, wall time. */
  readonly launcherMs: number;
  /** createGuest to the prompt on one thread, for the first guest of a process: CPU time and wall time. */
  readonly first: GuestBoot;
  /** The same for the next guest of that process. */
  readonly next: GuestBoot;
}

/** One boot inside a process. */
export interface GuestBoot {
  /** Of the thread that runs the guest, and of all threads: V8 compiles the core on several. */
  readonly cpuMs: number;
  readonly allThreadsMs: number;
  readonly wallMs: number;
  readonly instructions: number;
}

/** Boots once in each way. Rejects when a process ends without having done its part. */
export async function measureBoot(): Promise<Boot> {
  const nodeMs = await timeUntil(["-e", "0"], undefined);
  const launcherMs = await timeUntil([LAUNCHER, "demo"], PROMPT);
  const { first, next } = await bootInChild();
  return { nodeMs, launcherMs, first, next };
}

/** @returns wall time from spawn until `text` is printed, or until the end of the process when there is none to wait for. */
function timeUntil(args: string[], text: string | undefined): Promise<number> {
  const startMs = performance.now();
  const child = spawn(process.execPath, args, {
    cwd: ROOT,
    stdio: ["pipe", "pipe", "inherit"],
    timeout: PATIENCE_MS,
  });
  let output = "";
  let seenMs: number | undefined;
  child.stdout.on("data", (chunk) => {
    output += chunk;
    if (text === undefined || seenMs !== undefined || !output.includes(text)) return;
    seenMs = performance.now();
    child.stdin.end("poweroff\n");
  });
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code) => {
      if (text === undefined) seenMs = performance.now();
      if (code === 0 && seenMs !== undefined) resolve(seenMs - startMs);
      else reject(new Error(`node ${args.join(" ")} ended with code ${code}\n${output}`));
    });
  });
}

function bootInChild(): Promise<Pick<Boot, "first" | "next">> {
  const script = fileURLToPath(new URL("boot-child.ts", import.meta.url));
  const child = spawn(process.execPath, [...process.execArgv, script], {
    cwd: ROOT,
    stdio: ["ignore", "pipe", "inherit"],
    timeout: PATIENCE_MS,
  });
  let answer = "";
  child.stdout.on("data", (chunk) => (answer += chunk));
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code) => {
      if (code === 0) resolve(JSON.parse(answer));
      else reject(new Error(`${join("bench", "boot-child.ts")} ended with code ${code}`));
    });
  });
}
