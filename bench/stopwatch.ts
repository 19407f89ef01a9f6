/** On-CPU time of the thread that runs the guest, taken when the guest prints its brackets. */
import { threadCpuMs } from "../host-ts/launcher/thread-clock.ts";
import type { Measurement, Step } from "./kernels.ts";

/** Reads what a benchmark guest prints: "[" before a kernel, "]checksum" and a newline after it, "done" at the end. */
export class Stopwatch {
  readonly measurements: Measurement[] = [];
  readonly #steps: readonly Step[];
  readonly #retired: () => number;
  #text = "";
  #startMs = 0;
  #startRetired = 0;
  #cpuMs = 0;
  #instructions = 0;
  #isDone = false;

  /** `retired` gives the guest instructions executed so far. */
  constructor(steps: readonly Step[], retired: () => number) {
    this.#steps = steps;
    this.#retired = retired;
  }

  get isDone(): boolean {
    return this.#isDone;
  }

  /** Takes output of the guest, synchronously with its execution. @throws when it is not what the plan prints. */
  read(bytes: Iterable<number>): void {
    for (const byte of bytes) this.#take(String.fromCharCode(byte));
  }

  #take(character: string): void {
    if (character === "[") {
      this.#startRetired = this.#retired();
      this.#startMs = threadCpuMs();
    } else if (character === "]") {
      this.#cpuMs = threadCpuMs() - this.#startMs;
      this.#instructions = this.#retired() - this.#startRetired;
    } else if (character === "\n") {
      const line = this.#text;
      this.#text = "";
      this.#line(line);
    } else this.#text += character;
  }

  #line(line: string): void {
    const step = this.#steps[this.measurements.length];
    if (line === "done" && step === undefined) this.#isDone = true;
    else if (step !== undefined && /^[0-9a-f]{8}$/.test(line)) {
      const { kernel } = step;
      this.measurements.push({
        kernel,
        checksum: line,
        cpuMs: this.#cpuMs,
        instructions: this.#instructions,
      });
    } else throw new Error(`the guest printed "${line}"`);
  }
}
