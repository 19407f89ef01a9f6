/**
 * One processor of a plain machine: its interrupts, and the messages that reset and start it. A message is remembered and obeyed
 * between two instructions of the processor it is for.
 * Source: SDM 3A, "Multiple-Processor (MP) Initialization" and "Issuing Interprocessor Interrupts".
 */
import { DELIVERY_INIT, DELIVERY_STARTUP } from "../../abi/apic.ts";
import { VCPU_HALTED, VCPU_NMI } from "../../abi/vcpu.ts";
import type { Core } from "../base/core.ts";
import type { VcpuBlock } from "../base/vcpu-block.ts";
import type { ApicMessage, Lapic } from "../devices/legacy/lapic.ts";
import type { PicPair } from "../devices/legacy/pic.ts";
import { BareInterrupts } from "./interrupts.ts";
import { setRealState } from "./start-of-day.ts";

/** The processor; number 0 starts by itself, the others wait for a start-up message. */
export class Processor {
  readonly interrupts: BareInterrupts;
  readonly #core: Core;
  readonly #vcpu: VcpuBlock;
  readonly #lapic: Lapic;
  #isWaiting: boolean;
  #mustInit = false;
  /** Page in which a start-up message that came has it begin. */
  #startPage: number | undefined;

  constructor(core: Core, vcpu: VcpuBlock, pic: PicPair, lapic: Lapic) {
    this.#core = core;
    this.#vcpu = vcpu;
    this.#lapic = lapic;
    this.#isWaiting = vcpu.id !== 0;
    this.interrupts = new BareInterrupts(core, vcpu, pic, lapic);
  }

  /** Whether it waits for a start-up message: no interrupt reaches it. */
  get isWaiting(): boolean {
    return this.#isWaiting;
  }

  get isHalted(): boolean {
    return this.#isWaiting || this.#isStopped;
  }

  /** Whether a message or an interrupt would have it go on now. */
  get canWake(): boolean {
    if (this.#mustInit || this.#startPage !== undefined) return true;
    return !this.#isWaiting && this.interrupts.canWake;
  }

  /** Whether nothing but another processor, or a reset of all, can make it go on. */
  get isStuck(): boolean {
    if (this.#mustInit || this.#startPage !== undefined) return false;
    return this.#isWaiting || (this.#isStopped && this.interrupts.isDeaf);
  }

  /** A message of an APIC; those that are plain interrupts are its own APIC's business. */
  receive({ mode, vector }: ApicMessage): void {
    if (mode === DELIVERY_INIT) this.init();
    else if (mode === DELIVERY_STARTUP && this.#takesStart) this.#startPage ??= vector;
  }

  /** The INIT signal; a start-up message that came before it is forgotten. */
  init(): void {
    this.#mustInit = true;
    this.#startPage = undefined;
  }

  /**
   * Obeys what came, between two instructions.
   * @returns "initialised" when the first processor was, which then goes on where firmware begins.
   */
  obeySignals(): "initialised" | undefined {
    if (this.#mustInit) {
      this.reset();
      if (this.#vcpu.id === 0) return "initialised";
    }
    if (this.#startPage === undefined) return undefined;
    this.goTo(this.#startPage * 0x100, 0);
    this.#startPage = undefined;
    this.#isWaiting = false;
    // One that came while it waited is lost.
    this.#vcpu.setU32(VCPU_NMI, 0);
    return undefined;
  }

  /** What INIT does, at once: between two instructions, or while it does not run. */
  reset(): void {
    this.#mustInit = false;
    this.#core.exports.vcpuInit(this.#vcpu.ptr);
    this.#lapic.reset();
    this.#isWaiting = this.#vcpu.id !== 0;
  }

  /** Continues at CS:IP in real mode, from the reset state. */
  goTo(selector: number, offset: number): void {
    setRealState(this.#vcpu, selector, offset);
    this.#core.exports.updateMode(this.#vcpu.ptr);
  }

  save(): Record<string, unknown> {
    const startPage = this.#startPage ?? null;
    return { isWaiting: this.#isWaiting, mustInit: this.#mustInit, startPage };
  }

  restore(state: Record<string, unknown>): void {
    this.#isWaiting = state.isWaiting as boolean;
    this.#mustInit = state.mustInit as boolean;
    this.#startPage = (state.startPage as number | null) ?? undefined;
  }

  /** The first processor never waits to be started. */
  get #takesStart(): boolean {
    return this.#vcpu.id !== 0 && (this.#isWaiting || this.#mustInit);
  }

  get #isStopped(): boolean {
    return this.#vcpu.u32(VCPU_HALTED) !== 0;
  }
}
