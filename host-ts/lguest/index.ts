/**
 * The lguest personality: Linux kernels built with lguest guest support, both device varieties.
 * The core performs page tables, descriptors, traps and the asynchronous ring; here are the calls that concern the Host,
 * interrupts, ports and devices.
 */

import { LGUEST_TIMER_IRQ } from "../../abi/lguest.ts";
import {
  EXIT_BUDGET,
  EXIT_HYPERCALL,
  FAULT_PATH_HOST,
  FAULT_PATH_SWITCHER,
  LG_PAE_AUTO,
  LG_PAE_OFF,
  LG_PAE_ON,
  VCPU_EXIT_REASON,
  VCPU_FAULT_PATH,
  VCPU_HALTED,
  VCPU_LG_DRAINING,
  VCPU_LG_NOTIFY,
  VCPU_LG_PAE,
} from "../../abi/vcpu.ts";
import type { Personality, PersonalityHost } from "../base/personality.ts";
import type { VcpuBlock } from "../base/vcpu-block.ts";
import { checkVersion } from "../devices/records.ts";
import { type LguestBuses, planBuses } from "./buses.ts";
import { shakeHands, type Variety } from "./handshake.ts";
import { CALL_NAMES, type CallContext, CLOCK_EVENT_TIMER, performHypercall } from "./hypercalls.ts";
import { LguestInterrupts } from "./interrupts.ts";
import { readPort, writePort } from "./io-ports.ts";
import { coreDeathText, DEATHS } from "./kill-reasons.ts";
import { type Domain, startOfDay } from "./start-of-day.ts";

const STATE_VERSION = 1;

/** What the personality is told besides the domain. */
export interface LguestSettings {
  readonly bus: "auto" | Variety;
  /** A system-call vector accepted besides 0x80. */
  readonly syscallVector: number;
  /** Where traps and page-table calls are judged. */
  readonly faultPath: "switcher" | "host";
  readonly pae: "auto" | "on" | "off";
}

const FAULT_PATHS = { switcher: FAULT_PATH_SWITCHER, host: FAULT_PATH_HOST } as const;
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
  host.vcpu.setU32(VCPU_FAULT_PATH, FAULT_PATHS[settings.faultPath]);
  host.vcpu.setU32(VCPU_LG_PAE, PAE_MODES[settings.pae]);
  return new Lguest(host, interrupts, buses, settings);
}

class Lguest implements Personality, CallContext {
  readonly name = "lguest";
  readonly coreCalls = CALL_NAMES;
  readonly host: PersonalityHost;
  readonly #interrupts: LguestInterrupts;
  readonly #buses: LguestBuses;
  readonly #settings: LguestSettings;

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
    if (this.host.vcpu.u32(VCPU_LG_DRAINING) !== 0) return;
    if (this.#interrupts.deliver() === "refused") this.host.killFromCore();
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

  /** The classic path: a trap that belongs to the guest came out to the Host and goes back in. */
  trap(vector: number, errorCode: number, address: number): void {
    const { core, vcpu } = this.host;
    if (core.exports.deliverTrap(vcpu.ptr, vector, errorCode, address) === 0) {
      this.host.killFromCore();
    }
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
