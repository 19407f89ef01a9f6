/** Runs a plan on v86's interpreter (npm package v86, its JIT disabled), in this process, on this thread. */
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { V86 } from "v86";
import { withPlan } from "./images.ts";
import type { Measurement, Step } from "./kernels.ts";
import { Stopwatch } from "./stopwatch.ts";

const MEMORY_BYTES = 16 << 20;

/** @returns one measurement for each step; instructions as v86 counts them. Rejects when the guest prints nonsense. */
export async function runV86(steps: readonly Step[]): Promise<Measurement[]> {
  const emulator = new V86({
    wasm_path: join(dirname(createRequire(import.meta.url).resolve("v86")), "v86.wasm"),
    memory_size: MEMORY_BYTES,
    multiboot: { buffer: withPlan("multiboot", steps).buffer },
    disable_jit: true,
    disable_keyboard: true,
    disable_mouse: true,
    disable_speaker: true,
    autostart: true,
  });
  const stopwatch = new Stopwatch(steps, () => emulator.get_instruction_counter());
  await new Promise<void>((resolve, reject) => {
    emulator.add_listener("serial0-output-byte", (byte) => {
      try {
        stopwatch.read([byte]);
        if (stopwatch.isDone) resolve();
      } catch (error) {
        reject(error);
      }
    });
  });
  await emulator.destroy();
  return stopwatch.measurements;
}
