/**
 * A local APIC in xAPIC mode: priorities, the local vector table, its timer on guest time, and interprocessor interrupts.
 * Source: SDM 3A, "Local APIC", "Interrupt Command Register", "Task Priority in IA-32e Mode" for the arithmetic of priorities.
 */
import {
  APIC_DFR,
  APIC_EOI,
  APIC_ESR,
  APIC_ESR_ILLEGAL_RECEIVE,
  APIC_ESR_ILLEGAL_SEND,
  APIC_ICR_HIGH,
  APIC_ICR_LOW,
  APIC_ID,
  APIC_IRR,
  APIC_ISR,
  APIC_LDR,
  APIC_LVT_ERROR,
  APIC_LVT_EXTINT,
  APIC_LVT_LINT0,
  APIC_LVT_LINT1,
  APIC_LVT_MASKED,
  APIC_LVT_PERFORMANCE,
  APIC_LVT_PERIODIC,
  APIC_LVT_THERMAL,
  APIC_LVT_TIMER,
  APIC_PPR,
  APIC_SPURIOUS,
  APIC_SPURIOUS_ENABLE,
  APIC_TIMER_CURRENT,
  APIC_TIMER_DIVIDE,
  APIC_TIMER_INITIAL,
  APIC_TMR,
  APIC_TPR,
  APIC_VERSION,
  APIC_VERSION_VALUE,
  DELIVERY_EXTINT,
  DELIVERY_FIXED,
  DELIVERY_INIT,
  DELIVERY_LOWEST,
  DELIVERY_NMI,
} from "../../../abi/apic.ts";
import type { Timers } from "../../base/time.ts";
import { checkVersion } from "../records.ts";

const STATE_VERSION = 1;
/** Names of the local APICs' timers: this and the APIC's identifier. */
export const APIC_TIMER = "apic";
const REGISTER_BYTES = 16;
const VECTOR_MIN = 16;
/** Bits that stick in each LVT register besides the mask: vector, delivery mode, polarity and trigger, timer mode. */
const LVT_WRITABLE: ReadonlyMap<number, number> = new Map([
  [APIC_LVT_TIMER, 0x300ff],
  [APIC_LVT_THERMAL, 0x107ff],
  [APIC_LVT_PERFORMANCE, 0x107ff],
  [APIC_LVT_LINT0, 0x1a7ff],
  [APIC_LVT_LINT1, 0x1a7ff],
  [APIC_LVT_ERROR, 0x100ff],
]);
const ICR_LOW_WRITABLE = 0xccfff;
const ICR_ASSERT = 0x4000;
const ICR_LEVEL = 0x8000;
const SPURIOUS_WRITABLE = 0x1ff;
const SPURIOUS_RESET = 0xff;
const BROADCAST = 0xff;

/** An interrupt on its way between APICs. */
export interface ApicMessage {
  readonly mode: number;
  readonly vector: number;
  readonly isLevel: boolean;
  /** Physical identifier or logical mask, 8 bits. */
  readonly destination: number;
  readonly isLogical: boolean;
  /** 0 by destination, 1 self, 2 all, 3 all but self. */
  readonly shorthand: number;
}

/** What the APIC needs of its machine. */
export interface LapicOptions {
  readonly id: number;
  readonly clock: { readonly nowNs: number };
  readonly timers: Timers;
  /** An interrupt for other APICs, or by shorthand for this one too. */
  readonly send: (message: ApicMessage) => void;
  /** An NMI arrived for the processor of this APIC. */
  readonly raiseNmi: () => void;
  /** A level-triggered interrupt ended: the I/O APIC looks again. */
  readonly ended: (vector: number) => void;
}

/** One APIC. Registers are kept by their offset; the vectors' bit sets are arrays of 256. */
export class Lapic {
  readonly id: number;
  readonly #options: LapicOptions;
  readonly #registers = new Map<number, number>();
  #irr = new Set<number>();
  #isr = new Set<number>();
  #tmr = new Set<number>();
  #errors = 0;
  #timerStartNs = 0;

  constructor(options: LapicOptions) {
    this.id = options.id;
    this.#options = options;
    this.#registers.set(APIC_ID, this.id * 2 ** 24);
    this.reset();
  }

  /** As firmware leaves it on the bootstrap processor: the 8259 pair comes through LINT0 and NMIs through LINT1. */
  setUpByFirmware(): void {
    this.#registers.set(APIC_LVT_LINT0, APIC_LVT_EXTINT);
    this.#registers.set(APIC_LVT_LINT1, DELIVERY_NMI << 8);
  }

  /** Registers as after INIT, which leaves the identifier as it was written last. */
  reset(): void {
    const id = this.#get(APIC_ID);
    this.#registers.clear();
    this.#registers.set(APIC_ID, id);
    this.#registers.set(APIC_DFR, 0xffffffff);
    this.#registers.set(APIC_SPURIOUS, SPURIOUS_RESET);
    for (const lvt of LVT_WRITABLE.keys()) this.#registers.set(lvt, APIC_LVT_MASKED);
    this.#irr.clear();
    this.#isr.clear();
    this.#tmr.clear();
    this.#errors = 0;
    this.#options.timers.cancel(this.#timer);
  }

  /** What an arbitration for the lowest priority goes by; undefined while it takes no interrupts. */
  get arbitration(): number | undefined {
    return this.#isEnabled ? this.#processorPriority : undefined;
  }

  /** Whether the interrupts of the 8259 pair pass LINT0. */
  get acceptsExternal(): boolean {
    const lvt = this.#get(APIC_LVT_LINT0);
    return (lvt & APIC_LVT_MASKED) === 0 && ((lvt >> 8) & 7) === DELIVERY_EXTINT;
  }

  /** The vector to deliver now, undefined when none is above the processor's priority. */
  get request(): number | undefined {
    if (this.#irr.size === 0 || !this.#isEnabled) return undefined;
    const vector = highest(this.#irr);
    return vector >> 4 > this.#processorPriority >> 4 ? vector : undefined;
  }

  /** The processor takes `request`: it is in service now. */
  acknowledge(): number {
    const vector = this.request;
    if (vector === undefined) return this.#get(APIC_SPURIOUS) & 0xff;
    this.#irr.delete(vector);
    this.#isr.add(vector);
    return vector;
  }

  /** An interrupt arrives: from the bus, or from the local vector table. */
  accept(mode: number, vector: number, isLevel: boolean): void {
    if (mode === DELIVERY_NMI) {
      this.#options.raiseNmi();
      return;
    }
    if (mode !== DELIVERY_FIXED && mode !== DELIVERY_LOWEST) return;
    if (!this.#isEnabled) return;
    if (vector < VECTOR_MIN) {
      this.#error(APIC_ESR_ILLEGAL_RECEIVE);
      return;
    }
    this.#irr.add(vector);
    if (isLevel) this.#tmr.add(vector);
    else this.#tmr.delete(vector);
  }

  /** Whether a message is for this APIC. */
  matches({ destination, isLogical }: ApicMessage): boolean {
    if (!isLogical) return destination === BROADCAST || destination === this.#get(APIC_ID) >>> 24;
    const own = this.#get(APIC_LDR) >>> 24;
    const isFlat = this.#get(APIC_DFR) >>> 28 === 0xf;
    if (isFlat) return (own & destination) !== 0;
    const isCluster = destination >> 4 === own >> 4 || destination >> 4 === 0xf;
    return isCluster && (own & destination & 0xf) !== 0;
  }

  timerExpired(): void {
    const lvt = this.#get(APIC_LVT_TIMER);
    if ((lvt & APIC_LVT_PERIODIC) !== 0) {
      const periodNs = this.#get(APIC_TIMER_INITIAL) * this.#tickNs;
      const elapsed = this.#options.clock.nowNs - this.#timerStartNs;
      this.#timerStartNs += Math.floor(elapsed / periodNs) * periodNs;
      this.#options.timers.set(this.#timer, this.#timerStartNs + periodNs);
    }
    if ((lvt & APIC_LVT_MASKED) === 0) this.accept(DELIVERY_FIXED, lvt & 0xff, false);
  }

  /** A register by offset; only the aligned 32-bit words exist. */
  read(offset: number): number {
    const register = offset & ~(REGISTER_BYTES - 1);
    if (register === APIC_VERSION) return APIC_VERSION_VALUE;
    if (register === APIC_PPR) return this.#processorPriority;
    if (register === APIC_TIMER_CURRENT) return this.#currentCount;
    if (register >= APIC_ISR && register < APIC_TMR) return word(this.#isr, register - APIC_ISR);
    if (register >= APIC_TMR && register < APIC_IRR) return word(this.#tmr, register - APIC_TMR);
    if (register >= APIC_IRR && register < APIC_ESR) return word(this.#irr, register - APIC_IRR);
    return this.#get(register);
  }

  write(offset: number, value: number): void {
    const register = offset & ~(REGISTER_BYTES - 1);
    const lvtMask = LVT_WRITABLE.get(register);
    if (lvtMask !== undefined) this.#writeLvt(register, value & lvtMask);
    else if (register === APIC_ID || register === APIC_LDR)
      this.#registers.set(register, (value & 0xff000000) >>> 0);
    else if (register === APIC_TPR) this.#registers.set(register, value & 0xff);
    else if (register === APIC_DFR) this.#registers.set(register, (value | 0x0fffffff) >>> 0);
    else if (register === APIC_SPURIOUS) this.#writeSpurious(value & SPURIOUS_WRITABLE);
    else if (register === APIC_EOI) this.#end();
    else if (register === APIC_ESR) {
      // Errors collect unseen until a write makes them readable.
      this.#registers.set(APIC_ESR, this.#errors);
      this.#errors = 0;
    } else if (register === APIC_ICR_HIGH)
      this.#registers.set(register, (value & 0xff000000) >>> 0);
    else if (register === APIC_ICR_LOW) this.#command(value & ICR_LOW_WRITABLE);
    else if (register === APIC_TIMER_INITIAL) this.#startTimer(value >>> 0);
    else if (register === APIC_TIMER_DIVIDE) this.#registers.set(register, value & 0xb);
  }

  save(): Record<string, unknown> {
    return {
      version: STATE_VERSION,
      registers: [...this.#registers],
      irr: [...this.#irr],
      isr: [...this.#isr],
      tmr: [...this.#tmr],
      errors: this.#errors,
      timerStartNs: this.#timerStartNs,
    };
  }

  restore(state: Record<string, unknown>): void {
    checkVersion(state, "the local APIC", STATE_VERSION);
    this.#registers.clear();
    for (const [register, value] of state.registers as [number, number][])
      this.#registers.set(register, value);
    this.#irr = new Set(state.irr as number[]);
    this.#isr = new Set(state.isr as number[]);
    this.#tmr = new Set(state.tmr as number[]);
    this.#errors = state.errors as number;
    this.#timerStartNs = state.timerStartNs as number;
  }

  get #timer(): string {
    return `${APIC_TIMER}${this.id}`;
  }

  #get(register: number): number {
    return this.#registers.get(register) ?? 0;
  }

  get #isEnabled(): boolean {
    return (this.#get(APIC_SPURIOUS) & APIC_SPURIOUS_ENABLE) !== 0;
  }

  get #processorPriority(): number {
    const task = this.#get(APIC_TPR);
    const served = this.#isr.size === 0 ? 0 : highest(this.#isr);
    return task >> 4 >= served >> 4 ? task : served & 0xf0;
  }

  #writeLvt(register: number, value: number): void {
    const isMasked = !this.#isEnabled ? APIC_LVT_MASKED : 0;
    this.#registers.set(register, value | isMasked);
  }

  /** Disabling by software masks every local interrupt; enabling does not unmask them. */
  #writeSpurious(value: number): void {
    this.#registers.set(APIC_SPURIOUS, value);
    if ((value & APIC_SPURIOUS_ENABLE) !== 0) return;
    for (const lvt of LVT_WRITABLE.keys())
      this.#registers.set(lvt, this.#get(lvt) | APIC_LVT_MASKED);
  }

  #end(): void {
    if (this.#isr.size === 0) return;
    const vector = highest(this.#isr);
    this.#isr.delete(vector);
    if (this.#tmr.has(vector)) this.#options.ended(vector);
  }

  #command(low: number): void {
    this.#registers.set(APIC_ICR_LOW, low);
    const mode = (low >> 8) & 7;
    const vector = low & 0xff;
    if (mode === DELIVERY_FIXED && vector < VECTOR_MIN) {
      this.#error(APIC_ESR_ILLEGAL_SEND);
      return;
    }
    // The end of a level-triggered INIT only synchronised the arbitration of older buses.
    if (mode === DELIVERY_INIT && (low & ICR_LEVEL) !== 0 && (low & ICR_ASSERT) === 0) return;
    this.#options.send({
      mode,
      vector,
      isLevel: false,
      destination: this.#get(APIC_ICR_HIGH) >>> 24,
      isLogical: (low & 0x800) !== 0,
      shorthand: (low >> 18) & 3,
    });
  }

  #error(bit: number): void {
    this.#errors |= bit;
    const lvt = this.#get(APIC_LVT_ERROR);
    const vector = lvt & 0xff;
    if ((lvt & APIC_LVT_MASKED) === 0 && vector >= VECTOR_MIN)
      this.accept(DELIVERY_FIXED, vector, false);
  }

  /** Guest nanoseconds per count: the bus clock is 1 GHz, divided by 1 to 128. */
  get #tickNs(): number {
    const divide = this.#get(APIC_TIMER_DIVIDE);
    const code = (divide & 3) | ((divide >> 1) & 4);
    return code === 7 ? 1 : 2 << code;
  }

  #startTimer(initial: number): void {
    this.#registers.set(APIC_TIMER_INITIAL, initial);
    this.#timerStartNs = this.#options.clock.nowNs;
    if (initial === 0) this.#options.timers.cancel(this.#timer);
    else this.#options.timers.set(this.#timer, this.#timerStartNs + initial * this.#tickNs);
  }

  get #currentCount(): number {
    const initial = this.#get(APIC_TIMER_INITIAL);
    if (initial === 0) return 0;
    const elapsed = Math.floor((this.#options.clock.nowNs - this.#timerStartNs) / this.#tickNs);
    const isPeriodic = (this.#get(APIC_LVT_TIMER) & APIC_LVT_PERIODIC) !== 0;
    return isPeriodic ? initial - (elapsed % initial) : Math.max(0, initial - elapsed);
  }
}

/** Shorthands of the interrupt command register; 0 goes by destination. */
const SHORTHAND_SELF = 1;
const SHORTHAND_OTHERS = 3;

/**
 * Whom a message is for. One in lowest-priority mode goes to the one whose processor works at the lowest priority, by number where
 * several do.
 */
export function receivers(
  lapics: readonly Lapic[],
  message: ApicMessage,
  sender: number | undefined,
): readonly Lapic[] {
  const { shorthand, mode } = message;
  const matching = lapics.filter((lapic) => {
    if (shorthand === SHORTHAND_SELF) return lapic.id === sender;
    if (shorthand === SHORTHAND_OTHERS) return lapic.id !== sender;
    return shorthand !== 0 || lapic.matches(message);
  });
  if (mode !== DELIVERY_LOWEST) return matching;
  let winner: Lapic | undefined;
  for (const lapic of matching) {
    if (lapic.arbitration === undefined) continue;
    if (winner === undefined || lapic.arbitration < winner.arbitration!) winner = lapic;
  }
  return winner === undefined ? [] : [winner];
}

function highest(vectors: ReadonlySet<number>): number {
  let found = 0;
  for (const vector of vectors) if (vector > found) found = vector;
  return found;
}

/** The 32 bits of a set that the register at `offset` shows. */
function word(vectors: ReadonlySet<number>, offset: number): number {
  const first = (offset / REGISTER_BYTES) * 32;
  let bits = 0;
  for (const vector of vectors) {
    if (vector >= first && vector < first + 32) bits |= 1 << (vector - first);
  }
  return bits >>> 0;
}
