/**
 * Guest time. Every clock the guest sees is `retired instructions x ratio + offset`: the time-stamp counter in the core and
 * the nanoseconds here are the same number. Virtual time moves the offset only when the guest idles; real time moves it at
 * slice boundaries, forwards only, to follow the monotonic clock.
 *
 * The vCPUs of a guest take turns on one thread, and the retired instructions of all of them count: while one runs, the others stand
 * still and time passes for them. Their time-stamp counters show the same number, but for what the guest wrote into one.
 */

import { VCPU_TSC_OFFSET, VCPU_TSC_RATIO } from "../../abi/vcpu.ts";
import type { VcpuBlock } from "./vcpu-block.ts";

/** The time-stamp counter ticks once per guest nanosecond. */
export const TSC_KHZ = 1_000_000;
const NS_PER_MS = 1_000_000;

/** Monotonic host time in milliseconds; injected so that tests need not wait. */
export type MonotonicMs = () => number;

/** One guest's clock. Times are guest nanoseconds since boot, exact to 2^53. */
export class GuestClock {
  readonly isVirtual: boolean;
  readonly nsPerInstruction: number;
  readonly #vcpus: readonly VcpuBlock[];
  readonly #startTimeMs: number;
  readonly #hostMs: MonotonicMs;
  /** The vCPU whose turn it is, what the others have retired, and when each had its last turn. */
  #vcpu: VcpuBlock;
  #othersRetired = 0;
  readonly #leftNs: number[];
  #offsetNs = 0;
  #anchorMs: number | undefined;

  constructor(
    vcpus: readonly [VcpuBlock, ...VcpuBlock[]],
    options: {
      readonly time: "virtual" | "real";
      readonly nsPerInstruction: number;
      readonly startTimeMs: number;
    },
    hostMs: MonotonicMs,
  ) {
    this.#vcpus = vcpus;
    this.#vcpu = vcpus[0];
    this.#leftNs = vcpus.map(() => 0);
    this.isVirtual = options.time === "virtual";
    this.nsPerInstruction = options.nsPerInstruction;
    this.#startTimeMs = options.startTimeMs;
    this.#hostMs = hostMs;
    for (const vcpu of vcpus) {
      vcpu.setU32(VCPU_TSC_RATIO, this.nsPerInstruction);
      vcpu.setU64(VCPU_TSC_OFFSET, 0n);
    }
  }

  /** Instructions retired by all vCPUs of the guest. */
  get retired(): number {
    return this.#othersRetired + this.#vcpu.retired;
  }

  /** Guest nanoseconds now. */
  get nowNs(): number {
    return this.retired * this.nsPerInstruction + this.#offsetNs;
  }

  /** It is the turn of `vcpu`, one of the guest's: its time-stamp counter catches up with the time that it stood still. */
  switchTo(vcpu: VcpuBlock): void {
    const { nowNs, retired } = this;
    this.#leftNs[this.#vcpus.indexOf(this.#vcpu)] = nowNs;
    this.#vcpu = vcpu;
    this.#othersRetired = retired - vcpu.retired;
    this.#advanceTsc(nowNs - this.#leftNs[this.#vcpus.indexOf(vcpu)]!);
  }

  /** Real time: catches up with the host's clock. Virtual time: nothing. Called at slice boundaries only. */
  sync(): void {
    if (this.isVirtual) return;
    const hostMs = this.#hostMs();
    this.#anchorMs ??= hostMs - this.nowNs / NS_PER_MS;
    this.jumpTo(Math.floor((hostMs - this.#anchorMs) * NS_PER_MS));
  }

  /** A pause of the embedder's is no time that passes for the guest. */
  stop(): void {
    this.#anchorMs = undefined;
  }

  /** Moves forwards to `ns`; a time in the past changes nothing. */
  jumpTo(ns: number): void {
    const ahead = ns - this.nowNs;
    if (ahead <= 0) return;
    this.#offsetNs += ahead;
    this.#advanceTsc(ahead);
  }

  /** Serialisable state besides the vCPU blocks: the offset, whose turn it is, and when each vCPU had its last. */
  save(): Record<string, number> {
    const left = this.#leftNs.map((ns, index) => [`leftNs${index}`, ns] as const);
    const turn = this.#vcpus.indexOf(this.#vcpu);
    return { offsetNs: this.#offsetNs, turn, ...Object.fromEntries(left) };
  }

  /** Continues from saved state; the vCPU blocks must already be those of the snapshot. Real time goes on from now. */
  restore(state: Record<string, number>): void {
    this.#offsetNs = state.offsetNs ?? 0;
    this.#vcpu = this.#vcpus[state.turn ?? 0]!;
    this.#othersRetired = 0;
    for (const [index, vcpu] of this.#vcpus.entries()) {
      this.#leftNs[index] = state[`leftNs${index}`] ?? 0;
      if (vcpu !== this.#vcpu) this.#othersRetired += vcpu.retired;
    }
    this.#anchorMs = undefined;
  }

  /** The guest may have set its counter: what it wrote stays as a difference. */
  #advanceTsc(ns: number): void {
    const offset = this.#vcpu.u64(VCPU_TSC_OFFSET) + BigInt(ns);
    this.#vcpu.setU64(VCPU_TSC_OFFSET, BigInt.asUintN(64, offset));
  }

  /** Instructions that fit before `ns`, at least 1. */
  instructionsUntil(ns: number): number {
    return Math.max(1, Math.ceil((ns - this.nowNs) / this.nsPerInstruction));
  }

  /** Wall-clock time as whole seconds since 1970 and nanoseconds. */
  wallClock(): { seconds: number; nanoseconds: number } {
    const nowNs = this.nowNs;
    const seconds = Math.floor(nowNs / 1e9);
    const startSeconds = Math.floor(this.#startTimeMs / 1000);
    const nanoseconds = (this.#startTimeMs % 1000) * NS_PER_MS + (nowNs - seconds * 1e9);
    const carry = Math.floor(nanoseconds / 1e9);
    return {
      seconds: startSeconds + seconds + carry,
      nanoseconds: Math.floor(nanoseconds - carry * 1e9),
    };
  }
}

const NONE: readonly string[] = [];

/** One-shot timers by name, as data: who set one asks which are due. */
export class Timers {
  readonly #deadlines = new Map<string, number>();
  /** The run loop asks at every crossing, so the answer is kept. */
  #nextNs: number | undefined;

  set(name: string, deadlineNs: number): void {
    this.#deadlines.set(name, deadlineNs);
    this.#findNext();
  }

  cancel(name: string): void {
    this.#deadlines.delete(name);
    this.#findNext();
  }

  /** The earliest deadline, undefined when no timer runs. */
  nextNs(): number | undefined {
    return this.#nextNs;
  }

  /** Removes and returns the names of the timers due at `nowNs`, earliest first. */
  takeDue(nowNs: number): readonly string[] {
    if (this.#nextNs === undefined || this.#nextNs > nowNs) return NONE;
    const due: string[] = [];
    for (const [name, deadline] of this.#deadlines) if (deadline <= nowNs) due.push(name);
    if (due.length > 1) due.sort((a, b) => this.#deadlines.get(a)! - this.#deadlines.get(b)!);
    for (const name of due) this.#deadlines.delete(name);
    this.#findNext();
    return due;
  }

  /** Serialisable state: deadlines by name. */
  save(): Record<string, number> {
    return Object.fromEntries(this.#deadlines);
  }

  /** Replaces every timer by the saved ones. */
  restore(state: Record<string, number>): void {
    this.#deadlines.clear();
    for (const [name, deadlineNs] of Object.entries(state)) this.#deadlines.set(name, deadlineNs);
    this.#findNext();
  }

  #findNext(): void {
    this.#nextNs = undefined;
    for (const deadline of this.#deadlines.values()) {
      if (this.#nextNs === undefined || deadline < this.#nextNs) this.#nextNs = deadline;
    }
  }
}
