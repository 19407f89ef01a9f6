/** Runs a plan on QEMU's TCG, single-threaded; the clock is that of its thread for guest code. */
import { execFileSync, spawn } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { BENCH_MEMORY_BYTES } from "../../host-ts/launcher/bench-guest.ts";
import type { PeerJob, PeerSample } from "./job.ts";
import { Samples } from "./samples.ts";

const PROGRAM = "qemu-system-i386";
const MACHINE =
  "-accel tcg,thread=single -M pc -cpu qemu32 -display none -no-reboot -net none -name bench,debug-threads=on".split(
    " ",
  );

/** @returns the version of QEMU that is installed; undefined without one. */
export function findQemu(): { version: string } | undefined {
  try {
    const text = execFileSync(PROGRAM, ["--version"], { encoding: "utf8", stdio: "pipe" });
    return { version: /version (\S+)/.exec(text)?.[1] ?? "unknown" };
  } catch {
    return undefined;
  }
}

/**
 * The guest waits for a byte after each mark, so that the clock can be read from outside while it stands still.
 * @returns one sample for each loop. Rejects when the guest prints nonsense or QEMU ends early.
 */
export function runQemu(job: PeerJob): Promise<readonly PeerSample[]> {
  const mebibytes = String(BENCH_MEMORY_BYTES >> 20);
  const child = spawn(
    PROGRAM,
    [
      ...MACHINE,
      "-m",
      mebibytes,
      "-serial",
      "stdio",
      "-kernel",
      job.kernel,
      "-append",
      `plan=${job.plan} ack`,
    ],
    { stdio: ["pipe", "pipe", "inherit"] },
  );
  let thread: string | undefined;
  const samples = new Samples(
    () => {
      thread ??= guestThread(child.pid!);
      return Number(readFileSync(`${thread}/schedstat`, "latin1").split(" ")[0]) / 1e6;
    },
    () => child.stdin.write("g"),
  );
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", () => {
      if (samples.isDone) resolve(samples.samples);
      else reject(new Error("QEMU ended before the plan was through"));
    });
    child.stdout.on("data", (bytes: Buffer) => {
      try {
        samples.read(bytes);
        if (samples.isDone) child.kill();
      } catch (error) {
        child.kill();
        reject(error);
      }
    });
  });
}

/** @returns the folder in /proc of the thread that runs the guest, by its name. */
function guestThread(pid: number): string {
  const folder = `/proc/${pid}/task`;
  const threads = readdirSync(folder).map((id) => `${folder}/${id}`);
  const found = threads.find((path) => readFileSync(`${path}/comm`, "latin1").includes("TCG"));
  if (found === undefined) throw new Error("QEMU has no thread for guest code");
  return found;
}
