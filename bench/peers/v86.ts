/** Runs a plan on v86 with its JIT (npm package v86), in this process, on this thread. */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { V86 } from "v86";
import { BENCH_MEMORY_BYTES } from "../../host-ts/launcher/bench-guest.ts";
import { threadCpuMs } from "../../host-ts/launcher/thread-clock.ts";
import type { PeerJob, PeerSample } from "./job.ts";
import { Samples } from "./samples.ts";

const { resolve } = createRequire(import.meta.url);

/** The version that is installed. */
export function v86Version(): string {
  return JSON.parse(readFileSync(resolve("v86/package.json"), "utf8")).version;
}

/** @returns one sample for each loop. Rejects when the guest prints nonsense. */
export async function runV86(job: PeerJob): Promise<readonly PeerSample[]> {
  const samples = new Samples(threadCpuMs);
  const emulator = new V86({
    wasm_path: join(dirname(resolve("v86")), "v86.wasm"),
    memory_size: BENCH_MEMORY_BYTES,
    multiboot: { buffer: new Uint8Array(readFileSync(job.kernel)).buffer },
    cmdline: `plan=${job.plan}`,
    disable_keyboard: true,
    disable_mouse: true,
    disable_speaker: true,
    autostart: true,
  });
  await new Promise<void>((done, reject) => {
    emulator.add_listener("serial0-output-byte", (byte) => {
      try {
        samples.read([byte]);
        if (samples.isDone) done();
      } catch (error) {
        reject(error);
      }
    });
  });
  await emulator.destroy();
  return samples.samples;
}
