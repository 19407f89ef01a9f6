/**
 * The lguest personality: Linux kernels built with lguest guest support, both device varieties.
 * The core performs page tables, descriptors, traps and the asynchronous ring; here are the calls that concern the Host,
 * interrupts, ports and devices.
 */

import { LGUEST_TIMER_IRQ } from "../../abi/lguest.ts";
import {
  EXIT_BUDGET,
  EXIT_HYPERCALL,
  LG_PAE_AUTO,
  LG_PAE_OFF,
  LG_PAE_ON,
  NMI_PENDING,
  VCPU_EXIT_REASON,
  VCPU_HALTED,
  VCPU_LG_DRAINING,
  VCPU_LG_NOTIFY,
  VCPU_LG_PAE,
  VCPU_NMI,
} from "../../abi/vcpu.ts";
import { BugError } from "../base/errors.ts";
import type { FaultPath } from "../base/fault-path.ts";
import type { Personality, PersonalityHost } from "../base/personality.ts";
import type { VcpuBlock } from "../base/vcpu-block.ts";
import { checkVersion } from "../devices/records.ts";
import { type LguestBuses, planBuses } from "./buses.ts";
import { ClassicPath } from "./classic-path.ts";
import { shakeHands, type Variety } from "./handshake.ts";
import { type CallContext, CLOCK_EVENT_TIMER, performHypercall } from "./hypercalls.ts";
import { LguestInterrupts } from "./interrupts.ts";
import { readPort, writePort } from "./io-ports.ts";
import { coreDeathText, DEATHS } from "./kill-reasons.ts";
import { type Domain, startOfDay } from "./start-of-day.ts";
import { CALL_NAMES, setFaultPath } from "./trap-policy.ts";

const STATE_VERSION = 1;

/** What the personality is told besides the domain. */
export interface LguestSettings {
  readonly bus: "auto" | Variety;
  /** A system-call vector accepted besides 0x80. */
  readonly syscallVector: number;
  /** Where traps and page-table calls are judged. */
  readonly faultPath: FaultPath;
  readonly pae: "auto" | "on" | "off";
}

const PAE_MODES = { auto: LG_PAE_AUTO, on: LG_PAE_ON, off: LG_PAE_OFF } as const;

/** Builds the domain in fresh guest memory. Throws ImageError or ConfigError when it does not fit. */
export function createLguest(
  host: PersonalityHost,
  domain: Domain,
  settings: LguestSettings,
): Personality {
  const interrupts = new LguestInterrupts(host);
  const buses = planBuses(host, interrupts, settings.bus);
  startOfDay(host, domain);
  setFaultPath(host.vcpu, settings.faultPath);
  host.vcpu.setU32(VCPU_LG_PAE, PAE_MODES[settings.pae]);
  return new Lguest(host, interrupts, buses, settings);
}

class Lguest implements Personality, CallContext {
  readonly name = "lguest";
  readonly callNames = CALL_NAMES;
  readonly host: PersonalityHost;
  readonly #interrupts: LguestInterrupts;
  readonly #buses: LguestBuses;
  readonly #settings: LguestSettings;
  /** On the host path: runs the guest in place of the core's own verb. */
  readonly run?: (budget: number) => number;

  constructor(
    host: PersonalityHost,
    interrupts: LguestInterrupts,
    buses: LguestBuses,
    settings: LguestSettings,
  ) {
    this.host = host;
    this.#interrupts = interrupts;
    this.#buses = buses;
    this.#settings = settings;
    if (settings.faultPath === "host") {
      const classic = new ClassicPath(this);
      this.run = (budget) => classic.run(budget);
    }
  }

  /** The exit record itself remembers the call. */
  requestHypercalls(): void {}

  runHypercalls(): void {
    const { vcpu } = this.host;
    if (vcpu.exitReason !== EXIT_HYPERCALL) return;
    vcpu.setU32(VCPU_EXIT_REASON, EXIT_BUDGET);
    performHypercall(this);
  }

  initialise(dataGpa: number): void {
    const { bus, syscallVector } = this.#settings;
    const variety = shakeHands(this.host, dataGpa, bus, syscallVector);
    if (variety === undefined) return;
    this.#interrupts.publishTime();
    this.#buses.choose(variety);
  }

  get hasNotify(): boolean {
    return this.#buses.page !== undefined;
  }

  requestNotify(gpa: number): void {
    // Address 0 stands for "none pending", as in the original, so it is refused at once.
    if (gpa === 0) this.host.kill(DEATHS.badNotify(gpa));
    else this.host.vcpu.setU32(VCPU_LG_NOTIFY, gpa);
  }

  deliverNotify(): void {
    const { vcpu } = this.host;
    const gpa = vcpu.u32(VCPU_LG_NOTIFY);
    if (gpa === 0) return;
    vcpu.setU32(VCPU_LG_NOTIFY, 0);
    const outcome = this.#buses.page?.notify(gpa);
    if (outcome?.kind === "early-console") {
      this.host.print(Uint8Array.from(outcome.text, (char) => char.charCodeAt(0)));
      this.host.notifyLauncher(gpa);
    } else if (outcome?.kind === "bad") {
      this.host.kill(outcome.reason);
    }
  }

  deliverInterrupts(): void {
    // A hypercall is still being served: the rest of its ring and the call itself come first.
    const { core, vcpu } = this.host;
    if (vcpu.u32(VCPU_LG_DRAINING) !== 0) return;
    const hasNmi = vcpu.u32(VCPU_NMI) === NMI_PENDING;
    if (hasNmi && core.exports.deliverNmi(vcpu.ptr) === 0) this.host.killFromCore();
    else if (this.#interrupts.deliver() === "refused") this.host.killFromCore();
  }

  isHalted(vcpu: VcpuBlock): boolean {
    return vcpu.u32(VCPU_HALTED) !== 0 && vcpu.u32(VCPU_LG_DRAINING) === 0;
  }

  canWake(): boolean {
    return this.#interrupts.canWake;
  }

  get sliceLimit(): number {
    return this.#interrupts.sliceLimit;
  }

  timerExpired(name: string): void {
    if (name === CLOCK_EVENT_TIMER) this.#interrupts.raise(LGUEST_TIMER_IRQ);
  }

  halt(): void {
    this.host.vcpu.setU32(VCPU_HALTED, 1);
  }

  trap(vector: number): never {
    throw new BugError(`trap ${vector} left to the run loop, where no fault path sends it`);
  }

  ioRead(port: number, size: number): number {
    return readPort(this.#buses.pci, port, size);
  }

  ioWrite(port: number, size: number, value: number): void {
    writePort(this.#buses.pci, port, size, value);
  }

  mmioRead(gpa: number, size: number): number {
    return this.#buses.pci?.mmioRead(gpa, size) ?? 0xffffffff;
  }

  mmioWrite(gpa: number, size: number, value: number): void {
    this.#buses.pci?.mmioWrite(gpa, size, value);
  }

  killText(code: number, args: readonly number[]): string {
    return coreDeathText(code, args);
  }

  save(): Record<string, unknown> {
    return { version: STATE_VERSION, buses: this.#buses.save() };
  }

  restore(state: Record<string, unknown>): void {
    checkVersion(state, "the lguest personality", STATE_VERSION);
    this.#buses.restore(state.buses as Record<string, unknown>);
  }
}
