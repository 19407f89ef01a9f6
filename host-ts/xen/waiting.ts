/** Which vCPUs of a Xen domain wait, for what, and until when; and the domain's watchdogs. */
import { NMI_PENDING, VCPU_HALTED, VCPU_NMI, VCPU_XEN_LOOK } from "../../abi/vcpu.ts";
import { SHUTDOWN_WATCHDOG, XEN_EINVAL, XEN_ENOSPC } from "../../abi/xen.ts";
import { VI_UPCALL_MASK } from "../../abi/xen-layout.ts";
import type { PersonalityHost } from "../base/personality.ts";
import type { VcpuBlock } from "../base/vcpu-block.ts";
import type { EventChannels } from "./event-channels.ts";
import type { Runstates } from "./runstates.ts";
import type { XenTimers } from "./timers.ts";
import type { Vcpus } from "./vcpus.ts";

const WATCHDOGS = 2;
const WATCHDOG_TIMER = /^xen watchdog \d+$/;
const POLL_TIMER = /^xen poll (\d+)$/;

/** What waiting needs of a domain. */
export interface WaitingDomain {
  readonly host: PersonalityHost;
  readonly channels: EventChannels;
  readonly runstates: Runstates;
  readonly vcpus: Vcpus;
  readonly timers: XenTimers;
  vcpuInfoGpa(vcpu: VcpuBlock): number;
  readonly shutDown: (reason: number) => number | undefined;
}

/** See the file header. */
export class Waiting {
  readonly #domain: WaitingDomain;
  /** Ports that a vCPU polls, by vCPU; absent while it waits for any event. */
  #polls = new Map<number, readonly number[]>();
  #watchdogs = new Set<number>();

  constructor(domain: WaitingDomain) {
    this.#domain = domain;
  }

  /** Waits for an event; upcalls are open from now on. */
  block(vcpu: VcpuBlock): void {
    const { host } = this.#domain;
    host.memory.writeU8(this.#domain.vcpuInfoGpa(vcpu) + VI_UPCALL_MASK, 0);
    this.#wait(vcpu);
  }

  /** Waits for one of these ports, masked or not, or for system time `deadlineNs`, if it is to come. */
  poll(vcpu: VcpuBlock, ports: readonly number[], deadlineNs: number | undefined): void {
    if (ports.some((port) => this.#domain.channels.isPending(port))) return;
    this.#polls.set(vcpu.id, ports);
    if (deadlineNs !== undefined) this.#domain.host.timers.set(`xen poll ${vcpu.id}`, deadlineNs);
    this.#wait(vcpu);
  }

  /** Whether a vCPU that waits has what it waits for. One that is down waits for another to bring it up. */
  canWake(vcpu: VcpuBlock): boolean {
    const { host, channels, vcpus } = this.#domain;
    if (!vcpus.isUp(vcpu)) return false;
    if (vcpu.u32(VCPU_NMI) === NMI_PENDING) return true;
    const ports = this.#polls.get(vcpu.id);
    if (ports?.some((port) => channels.isPending(port))) return true;
    return host.core.exports.xenHasUpcall(vcpu.ptr) !== 0;
  }

  /** A vCPU goes on. */
  wake(vcpu: VcpuBlock): void {
    if (this.#polls.delete(vcpu.id)) this.#domain.host.timers.cancel(`xen poll ${vcpu.id}`);
    const wasIdle = this.#isIdle;
    vcpu.setU32(VCPU_HALTED, 0);
    if (wasIdle) this.#domain.timers.keepClock(true);
    this.#domain.runstates.update(vcpu);
  }

  /**
   * After whatever may have raised events: who waited for one is ready for its turn from now on, and the one that runs is called for what it
   * has opened meanwhile.
   */
  wakeReady(): void {
    const { vcpu: current, vcpus } = this.#domain.host;
    current.setU32(VCPU_XEN_LOOK, 1);
    for (const vcpu of vcpus) {
      if (vcpu.u32(VCPU_HALTED) !== 0 && this.canWake(vcpu)) this.wake(vcpu);
    }
  }

  /** VCPUOP_up. @returns 0 or a negative errno. */
  bringUp(vcpu: VcpuBlock): number {
    const { vcpus, runstates } = this.#domain;
    const error = vcpus.bringUp(vcpu);
    if (error !== 0) return error;
    if (vcpu.u32(VCPU_HALTED) !== 0 && this.canWake(vcpu)) this.wake(vcpu);
    runstates.update(vcpu);
    return 0;
  }

  /** VCPUOP_down. @returns 0. */
  takeDown(vcpu: VcpuBlock): number {
    const { vcpus, runstates, timers } = this.#domain;
    const result = vcpus.takeDown(vcpu);
    if (this.#isIdle) timers.keepClock(false);
    runstates.update(vcpu);
    return result;
  }

  /** SCHEDOP_watchdog: 0 for a new one. @returns its number, 0, or a negative errno. */
  setWatchdog(id: number, seconds: number): number {
    const { timers, clock } = this.#domain.host;
    if (id > WATCHDOGS) return -XEN_EINVAL;
    if (id === 0) {
      id = 1;
      while (this.#watchdogs.has(id)) id++;
      if (id > WATCHDOGS) return -XEN_ENOSPC;
      this.#watchdogs.add(id);
      timers.set(`xen watchdog ${id}`, clock.nowNs + seconds * 1e9);
      return id;
    }
    if (!this.#watchdogs.has(id)) return -XEN_EINVAL;
    if (seconds === 0) {
      this.#watchdogs.delete(id);
      timers.cancel(`xen watchdog ${id}`);
    } else timers.set(`xen watchdog ${id}`, clock.nowNs + seconds * 1e9);
    return 0;
  }

  /** A timer of the Host's expired. @returns whether it was one of these. */
  expired(name: string): boolean {
    if (WATCHDOG_TIMER.test(name)) {
      this.#domain.shutDown(SHUTDOWN_WATCHDOG);
      return true;
    }
    const poll = POLL_TIMER.exec(name);
    if (poll === null) return false;
    this.#endPoll(this.#domain.host.vcpus[Number(poll[1])]!);
    return true;
  }

  save(): Record<string, unknown> {
    return { polls: [...this.#polls], watchdogs: [...this.#watchdogs] };
  }

  restore(state: Record<string, unknown>): void {
    this.#polls = new Map(state.polls as [number, number[]][]);
    this.#watchdogs = new Set(state.watchdogs as number[]);
  }

  /** Its time is over; one that is down goes on once it is up. */
  #endPoll(vcpu: VcpuBlock): void {
    if (this.#domain.vcpus.isUp(vcpu)) this.wake(vcpu);
    else {
      this.#polls.delete(vcpu.id);
      this.#domain.vcpus.unblock(vcpu);
    }
  }

  #wait(vcpu: VcpuBlock): void {
    if (this.canWake(vcpu)) {
      this.wake(vcpu);
      return;
    }
    vcpu.setU32(VCPU_HALTED, 1);
    if (this.#isIdle) this.#domain.timers.keepClock(false);
    this.#domain.runstates.update(vcpu);
  }

  get #isIdle(): boolean {
    return this.#domain.host.vcpus.every((vcpu) => vcpu.u32(VCPU_HALTED) !== 0);
  }
}
