/**
 * The one door: everything the outside world tells a guest waits here, in order, until the run loop takes it between two
 * slices and stamps it with the instruction count. A recording fed back at its stamps gives the same run.
 */

import type { HostInput, InputSink } from "./ports.ts";

/**
 * An input with the moment at which the guest saw it. A halted guest and a device access pass the same instruction count
 * more than once, so `visit` says which time it was; `life` counts reboots.
 */
export interface StampedInput {
  readonly life: number;
  readonly atInstruction: number;
  readonly visit: number;
  /** Guest time: it follows from the count, but for a guest that idled on a network. */
  readonly atNs: number;
  readonly input: HostInput;
}

/** The part of a guest's clock that a recording sets. */
interface Clock {
  readonly nowNs: number;
  jumpTo(ns: number): void;
}

const NONE: readonly HostInput[] = [];

/** The queue of one guest. */
export class HostInputs implements InputSink {
  #waiting: HostInput[] = [];
  readonly #scheduled: StampedInput[];
  readonly #log: StampedInput[] = [];
  readonly #isRecorded: boolean;
  #life = 0;
  #lastRetired = -1;
  #visit = 0;
  #openSources = 0;
  #wake: (() => void) | undefined;

  /**
   * @param replay a recording to feed back, in the order of its stamps.
   * @param isRecorded whether inputs are kept in `log`, for as long as the guest lives.
   */
  constructor(replay: readonly StampedInput[] = [], isRecorded = false) {
    this.#scheduled = [...replay];
    this.#isRecorded = isRecorded;
  }

  post(input: HostInput): void {
    this.#waiting.push(input);
    this.#wake?.();
  }

  /** Whoever sleeps until something is posted looks again, though nothing was. */
  nudge(): void {
    this.#wake?.();
  }

  /** What the guest sees now, in order, and logged as such when recorded. One call per look of the run loop: each is a visit. */
  take(retired: number, clock: Clock): readonly HostInput[] {
    this.#visit = retired === this.#lastRetired ? this.#visit + 1 : 0;
    this.#lastRetired = retired;
    if (this.#waiting.length === 0 && this.#scheduled.length === 0) return NONE;
    const due: HostInput[] = [];
    for (let next = this.#scheduled[0]; next !== undefined; next = this.#scheduled[0]) {
      if (!this.#isDue(next)) break;
      clock.jumpTo(next.atNs);
      due.push(next.input);
      this.#scheduled.shift();
    }
    if (this.#waiting.length > 0) {
      due.push(...this.#waiting);
      this.#waiting = [];
    }
    if (this.#isRecorded) this.#record(due, retired, clock.nowNs);
    return due;
  }

  /** Where the recording goes on in this life, undefined when it does not. */
  nextStamp(): StampedInput | undefined {
    const next = this.#scheduled[0];
    return next?.life === this.#life ? next : undefined;
  }

  /** A fresh guest counts its instructions from 0. */
  startNextLife(): void {
    this.#life++;
    this.#lastRetired = -1;
  }

  /** Whether something waits to be taken now. */
  get hasWaiting(): boolean {
    return this.#waiting.length > 0;
  }

  /** Bytes of console input among what waits. */
  get waitingConsoleBytes(): number {
    let sum = 0;
    for (const { kind, data } of this.#waiting) if (kind === "console") sum += data.length;
    return sum;
  }

  /** Console input among what waits. */
  get waitingConsoleInput(): Uint8Array {
    const bytes = new Uint8Array(this.waitingConsoleBytes);
    let at = 0;
    for (const { kind, data } of this.#waiting) {
      if (kind !== "console") continue;
      bytes.set(data, at);
      at += data.length;
    }
    return bytes;
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

  /** Everything taken so far, when recorded: give it to a new guest as its replay. */
  get log(): readonly StampedInput[] {
    return this.#log;
  }

  /** `wake` runs on each post until replaced; for a run loop that sleeps. */
  onPost(wake: (() => void) | undefined): void {
    this.#wake = wake;
  }

  #record(due: readonly HostInput[], atInstruction: number, atNs: number): void {
    const [life, visit] = [this.#life, this.#visit];
    for (const input of due) this.#log.push({ life, atInstruction, visit, atNs, input });
  }

  #isDue({ life, atInstruction, visit }: StampedInput): boolean {
    if (life !== this.#life) return life < this.#life;
    if (atInstruction !== this.#lastRetired) return atInstruction < this.#lastRetired;
    return visit <= this.#visit;
  }
}
