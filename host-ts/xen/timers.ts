/**
 * Time as a Xen guest sees it: the wall clock in shared_info, the parameters in each vcpu_info by which it turns its time-stamp counter
 * into nanoseconds, and each vCPU's one-shot and periodic timers, which raise VIRQ_TIMER.
 */
import { VCPU_XEN_INFO } from "../../abi/vcpu.ts";
import { VIRQ_TIMER } from "../../abi/xen.ts";
import {
  SI_WC_NSEC,
  SI_WC_SEC,
  SI_WC_SEC_HI,
  SI_WC_VERSION,
  TI_FLAGS,
  TI_SYSTEM_TIME,
  TI_TSC_SHIFT,
  TI_TSC_TIMESTAMP,
  TI_TSC_TO_SYSTEM_MUL,
  TI_VERSION,
  TIME_INFO_BYTES,
  VI_TIME,
} from "../../abi/xen-layout.ts";
import type { PersonalityHost } from "../base/personality.ts";
import type { VcpuBlock } from "../base/vcpu-block.ts";
import type { EventChannels } from "./event-channels.ts";
import type { GuestPointers } from "./pointers.ts";
import type { Vcpus } from "./vcpus.ts";

/** One tick of the counter is one nanosecond: (ticks << 1) * 2^31 >> 32. */
const TSC_MUL = 0x80000000;
const TSC_SHIFT = 1;
const TSC_STABLE = 1;

/** Guest nanoseconds between two updates of the time in each vcpu_info, and the timer for it. */
const CLOCK_PERIOD_NS = 10_000_000;
const CLOCK = "xen clock";

type Kind = "oneshot" | "periodic";

/** Guest nanoseconds that no run reaches, 36 years: system time stays exact as a number up to there. */
const FOREVER_NS = 2 ** 60;

/**
 * A point in system time as a guest gives it, in nanoseconds: Xen's s_time_t is signed, so the upper half is past, and what is farther
 * than any run lasts is undefined.
 */
export function systemTime(ns: bigint): number | undefined {
  const signed = BigInt.asIntN(64, ns);
  if (signed < 0n) return 0;
  return signed < FOREVER_NS ? Number(signed) : undefined;
}

/** What timers need of a domain. */
export interface TimerDomain {
  readonly host: PersonalityHost;
  readonly channels: EventChannels;
  readonly vcpus: Vcpus;
  readonly pointers: GuestPointers;
}

/** See the file header. */
export class XenTimers {
  readonly #domain: TimerDomain;
  readonly #host: PersonalityHost;
  /** Period by vCPU, 0 for none. */
  #periodsNs: number[];
  /** By vCPU: linear address of a copy of its time, under its own tables; 0 for none. */
  #copies: number[];

  constructor(domain: TimerDomain) {
    this.#domain = domain;
    this.#host = domain.host;
    this.#periodsNs = domain.host.vcpus.map(() => 0);
    this.#copies = domain.host.vcpus.map(() => 0);
  }

  /**
   * set_timer_op and VCPUOP_set_singleshot_timer, which are two ways to one timer: raises VIRQ_TIMER when system time reaches
   * `deadlineNs`, at once where it is past, and not when it never will.
   */
  setOneShot(vcpu: number, deadlineNs: number | undefined): void {
    if (deadlineNs === undefined) this.cancelOneShot(vcpu);
    else this.#host.timers.set(nameOf("oneshot", vcpu), deadlineNs);
  }

  cancelOneShot(vcpu: number): void {
    this.#host.timers.cancel(nameOf("oneshot", vcpu));
  }

  /** VIRQ_TIMER every `periodNs` from now on; 0 stops it. */
  setPeriodic(vcpu: number, periodNs: number): void {
    this.#periodsNs[vcpu] = periodNs;
    const name = nameOf("periodic", vcpu);
    if (periodNs === 0 || periodNs >= FOREVER_NS) this.#host.timers.cancel(name);
    else this.#host.timers.set(name, this.#host.clock.nowNs + periodNs);
  }

  /** A timer of the Host's expired. @returns whether it was one of these. */
  expired(name: string): boolean {
    if (name === CLOCK) {
      this.keepClock(true);
      return true;
    }
    const match = /^xen (oneshot|periodic) (\d+)$/.exec(name);
    if (match === null) return false;
    const vcpu = Number(match[2]);
    this.#domain.channels.raiseVirq(VIRQ_TIMER, vcpu);
    if (match[1] === "periodic") this.setPeriodic(vcpu, this.#periodsNs[vcpu]!);
    return true;
  }

  /** Writes the wall clock at system time 0. */
  publishWallClock(sharedInfoGpa: number): void {
    const { memory, clock } = this.#host;
    const { seconds, nanoseconds } = clock.wallClock();
    const bootNs = BigInt(seconds) * 1_000_000_000n + BigInt(nanoseconds) - BigInt(clock.nowNs);
    const version = memory.readU32(sharedInfoGpa + SI_WC_VERSION);
    memory.writeU32(sharedInfoGpa + SI_WC_VERSION, version + 2);
    memory.writeU32(sharedInfoGpa + SI_WC_SEC, Number((bootNs / 1_000_000_000n) & 0xffffffffn));
    memory.writeU32(sharedInfoGpa + SI_WC_SEC_HI, Number((bootNs / 1_000_000_000n) >> 32n));
    memory.writeU32(sharedInfoGpa + SI_WC_NSEC, Number(bootNs % 1_000_000_000n));
  }

  /**
   * Writes how the counter gives nanoseconds. The two are the same number always, so once would be enough for whoever reads the counter;
   * others take the time of the last update for the time, so there is one every CLOCK_PERIOD_NS while a vCPU runs.
   */
  publishTimeInfo(vcpu: VcpuBlock): void {
    const { memory, clock } = this.#host;
    const infoGpa = vcpu.u32(VCPU_XEN_INFO);
    const version = memory.readU32(infoGpa + VI_TIME + TI_VERSION);
    const bytes = timeInfo(clock.nowNs, version + 2);
    memory.write(infoGpa + VI_TIME, bytes);
    const copy = this.#copies[vcpu.id]!;
    const { vcpus, pointers } = this.#domain;
    // What cannot be written now is written the next time.
    if (copy !== 0 && vcpus.isInitialised(vcpu)) pointers.writeFor(vcpu, copy, bytes);
  }

  /** The guest wants a copy of a vCPU's time at this address too, for which the vCPU that asks has tables; the first is made now. */
  setTimeArea(vcpu: VcpuBlock, lin: number): void {
    this.#copies[vcpu.id] = lin;
    this.publishTimeInfo(vcpu);
    const { memory } = this.#host;
    const now = memory.read(vcpu.u32(VCPU_XEN_INFO) + VI_TIME, TIME_INFO_BYTES);
    this.#domain.pointers.write(lin, now);
  }

  /** A vCPU runs from now on, or none does: an idle domain needs no clock. */
  keepClock(isRunning: boolean): void {
    const { timers, clock } = this.#host;
    if (!isRunning) {
      timers.cancel(CLOCK);
      return;
    }
    for (const vcpu of this.#host.vcpus) this.publishTimeInfo(vcpu);
    timers.set(CLOCK, (Math.floor(clock.nowNs / CLOCK_PERIOD_NS) + 1) * CLOCK_PERIOD_NS);
  }

  save(): Record<string, unknown> {
    return { periodsNs: [...this.#periodsNs], copies: [...this.#copies] };
  }

  restore(state: Record<string, unknown>): void {
    this.#periodsNs = [...(state.periodsNs as number[])];
    this.#copies = [...(state.copies as number[])];
  }
}

/** struct vcpu_time_info at system time `nowNs`. */
function timeInfo(nowNs: number, version: number): Uint8Array {
  const bytes = new Uint8Array(TIME_INFO_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint32(TI_VERSION, version, true);
  view.setBigUint64(TI_TSC_TIMESTAMP, BigInt(nowNs), true);
  view.setBigUint64(TI_SYSTEM_TIME, BigInt(nowNs), true);
  view.setUint32(TI_TSC_TO_SYSTEM_MUL, TSC_MUL, true);
  view.setInt8(TI_TSC_SHIFT, TSC_SHIFT);
  view.setUint8(TI_FLAGS, TSC_STABLE);
  return bytes;
}

function nameOf(kind: Kind, vcpu: number): string {
  return `xen ${kind} ${vcpu}`;
}
