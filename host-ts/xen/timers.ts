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
import type { EventChannels } from "./event-channels.ts";

/** One tick of the counter is one nanosecond: (ticks << 1) * 2^31 >> 32. */
const TSC_MUL = 0x80000000;
const TSC_SHIFT = 1;
const TSC_STABLE = 1;

/** Guest nanoseconds between two updates of the time in each vcpu_info, and the timer for it. */
const CLOCK_PERIOD_NS = 10_000_000;
const CLOCK = "xen clock";

type Kind = "oneshot" | "single" | "periodic";

/** See the file header. */
export class XenTimers {
  readonly #host: PersonalityHost;
  readonly #channels: EventChannels;
  /** Period by vCPU, 0 for none. */
  #periodsNs: number[];

  constructor(host: PersonalityHost, channels: EventChannels) {
    this.#host = host;
    this.#channels = channels;
    this.#periodsNs = host.vcpus.map(() => 0);
  }

  /**
   * set_timer_op ("oneshot") or VCPUOP_set_singleshot_timer ("single"): raises VIRQ_TIMER when system time reaches `deadlineNs`,
   * at once where it is past.
   */
  setOneShot(kind: "oneshot" | "single", vcpu: number, deadlineNs: number): void {
    this.#host.timers.set(nameOf(kind, vcpu), deadlineNs);
  }

  cancelOneShot(kind: "oneshot" | "single", vcpu: number): void {
    this.#host.timers.cancel(nameOf(kind, vcpu));
  }

  /** VIRQ_TIMER every `periodNs` from now on; 0 stops it. */
  setPeriodic(vcpu: number, periodNs: number): void {
    this.#periodsNs[vcpu] = periodNs;
    const name = nameOf("periodic", vcpu);
    if (periodNs === 0) this.#host.timers.cancel(name);
    else this.#host.timers.set(name, this.#host.clock.nowNs + periodNs);
  }

  /** A timer of the Host's expired. @returns whether it was one of these. */
  expired(name: string): boolean {
    if (name === CLOCK) {
      this.keepClock(true);
      return true;
    }
    const match = /^xen (oneshot|single|periodic) (\d+)$/.exec(name);
    if (match === null) return false;
    const vcpu = Number(match[2]);
    this.#channels.raiseVirq(VIRQ_TIMER, vcpu);
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
  publishTimeInfo(vcpuInfoGpa: number): void {
    const { memory, clock } = this.#host;
    const version = memory.readU32(vcpuInfoGpa + VI_TIME + TI_VERSION);
    memory.write(vcpuInfoGpa + VI_TIME, timeInfo(clock.nowNs, version + 2));
  }

  /** A vCPU runs from now on, or none does: an idle domain needs no clock. */
  keepClock(isRunning: boolean): void {
    const { timers, clock } = this.#host;
    if (!isRunning) {
      timers.cancel(CLOCK);
      return;
    }
    for (const vcpu of this.#host.vcpus) this.publishTimeInfo(vcpu.u32(VCPU_XEN_INFO));
    timers.set(CLOCK, (Math.floor(clock.nowNs / CLOCK_PERIOD_NS) + 1) * CLOCK_PERIOD_NS);
  }

  save(): Record<string, unknown> {
    return { periodsNs: [...this.#periodsNs] };
  }

  restore(state: Record<string, unknown>): void {
    this.#periodsNs = [...(state.periodsNs as number[])];
  }
}

/** struct vcpu_time_info at system time `nowNs`. */
export function timeInfo(nowNs: number, version: number): Uint8Array {
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
