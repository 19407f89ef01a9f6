/**
 * The one door: everything the outside world tells a guest waits here, in order, until the run loop takes it at a slice
 * boundary and stamps it with the instruction count. A recording fed back at its stamps gives the same run.
 */

import type { HostInput, InputSink } from "./ports.ts";

/** An input with the instruction count at which the guest saw it. */
export interface StampedInput {
  readonly atInstruction: bigint;
  readonly input: HostInput;
}

/** The queue of one guest. */
export class HostInputs implements InputSink {
  #waiting: HostInput[] = [];
  readonly #scheduled: StampedInput[];
  readonly #log: StampedInput[] = [];
  #wake: (() => void) | undefined;
  #openSources = 0;

  /** @param replay a recording to feed back, in the order of its stamps. */
  constructor(replay: readonly StampedInput[] = []) {
    this.#scheduled = [...replay];
  }

  post(input: HostInput): void {
    this.#waiting.push(input);
    this.#wake?.();
  }

  /** What is due at this count, in order; it is logged as seen now. */
  take(retired: number): readonly HostInput[] {
    const due: HostInput[] = [];
    while (this.#scheduled[0] !== undefined && this.#scheduled[0].atInstruction <= retired) {
      due.push(this.#scheduled.shift()!.input);
    }
    if (this.#waiting.length > 0) {
      due.push(...this.#waiting);
      this.#waiting = [];
    }
    for (const input of due) this.#log.push({ atInstruction: BigInt(retired), input });
    return due;
  }

  /** Instruction count of the next recorded input, undefined when none is left. */
  nextStamp(): number | undefined {
    const next = this.#scheduled[0];
    return next === undefined ? undefined : Number(next.atInstruction);
  }

  /** Whether something waits to be taken now. */
  get hasWaiting(): boolean {
    return this.#waiting.length > 0;
  }

  /** Sources are streams and network ports that may still post; without any, an idle guest can never wake. */
  openSource(): void {
    this.#openSources++;
  }

  closeSource(): void {
    this.#openSources--;
    this.#wake?.();
  }

  get hasSources(): boolean {
    return this.#openSources > 0;
  }

  /** Everything taken so far: give it to a new guest as its replay. */
  get log(): readonly StampedInput[] {
    return this.#log;
  }

  /** `wake` runs on each post until replaced; for a run loop that sleeps. */
  onPost(wake: (() => void) | undefined): void {
    this.#wake = wake;
  }
}
