/**
 * An I/O APIC of 24 pins: a redirection table between interrupt lines and local APICs.
 * Source: Intel 82093AA datasheet; the EOI register is from version 0x20 and later.
 */
import {
  DELIVERY_INIT,
  DELIVERY_NMI,
  IOAPIC_EOI,
  IOAPIC_PINS,
  IOAPIC_REG_ARBITRATION,
  IOAPIC_REG_ID,
  IOAPIC_REG_REDIRECTION,
  IOAPIC_REG_VERSION,
  IOAPIC_SELECT,
  IOAPIC_VERSION_VALUE,
  IOAPIC_WINDOW,
  REDIRECTION_LEVEL,
  REDIRECTION_LOGICAL,
  REDIRECTION_MASKED,
  REDIRECTION_REMOTE_IRR,
  REDIRECTION_WRITABLE,
} from "../../../abi/apic.ts";
import { checkVersion } from "../records.ts";
import type { ApicMessage } from "./lapic.ts";

const STATE_VERSION = 1;

/** The chip. */
export class Ioapic {
  readonly #send: (message: ApicMessage) => void;
  #select = 0;
  #id = 0;
  #low = new Array<number>(IOAPIC_PINS).fill(REDIRECTION_MASKED);
  #high = new Array<number>(IOAPIC_PINS).fill(0);
  /** Level of each pin, and edges that came while masked. */
  #lines = 0;
  #edges = 0;

  constructor(send: (message: ApicMessage) => void) {
    this.#send = send;
  }

  /** A pin changes its level. */
  setLine(pin: number, isHigh: boolean): void {
    const bit = 1 << pin;
    if (pin >= IOAPIC_PINS) return;
    if (isHigh && (this.#lines & bit) === 0) this.#edges |= bit;
    this.#lines = isHigh ? this.#lines | bit : this.#lines & ~bit;
    if (isHigh) this.#service(pin);
  }

  /** A local APIC ended a level-triggered interrupt: pins that are still high ask again. */
  ended(vector: number): void {
    for (let pin = 0; pin < IOAPIC_PINS; pin++) {
      const low = this.#low[pin]!;
      if ((low & 0xff) !== vector || (low & REDIRECTION_LEVEL) === 0) continue;
      this.#low[pin] = low & ~REDIRECTION_REMOTE_IRR;
      this.#service(pin);
    }
  }

  /** Whether a pin sends what a processor cannot hold off: an NMI, or INIT. */
  get canForce(): boolean {
    return this.#low.some((low) => {
      const mode = (low >> 8) & 7;
      return (low & REDIRECTION_MASKED) === 0 && (mode === DELIVERY_NMI || mode === DELIVERY_INIT);
    });
  }

  read(offset: number): number {
    if (offset === IOAPIC_SELECT) return this.#select;
    if (offset !== IOAPIC_WINDOW) return 0;
    if (this.#select === IOAPIC_REG_ID || this.#select === IOAPIC_REG_ARBITRATION)
      return (this.#id << 24) >>> 0;
    if (this.#select === IOAPIC_REG_VERSION) return IOAPIC_VERSION_VALUE;
    const pin = (this.#select - IOAPIC_REG_REDIRECTION) >> 1;
    const half = (this.#select & 1) !== 0 ? this.#high : this.#low;
    return (half[pin] ?? 0) >>> 0;
  }

  write(offset: number, value: number): void {
    if (offset === IOAPIC_SELECT) this.#select = value & 0xff;
    else if (offset === IOAPIC_EOI) this.ended(value & 0xff);
    else if (offset === IOAPIC_WINDOW) this.#writeSelected(value);
  }

  save(): Record<string, unknown> {
    return {
      version: STATE_VERSION,
      select: this.#select,
      id: this.#id,
      low: [...this.#low],
      high: [...this.#high],
      lines: this.#lines,
      edges: this.#edges,
    };
  }

  restore(state: Record<string, unknown>): void {
    checkVersion(state, "the I/O APIC", STATE_VERSION);
    this.#select = state.select as number;
    this.#id = state.id as number;
    this.#low = [...(state.low as number[])];
    this.#high = [...(state.high as number[])];
    this.#lines = state.lines as number;
    this.#edges = state.edges as number;
  }

  #writeSelected(value: number): void {
    if (this.#select === IOAPIC_REG_ID) this.#id = (value >>> 24) & 0xf;
    const pin = (this.#select - IOAPIC_REG_REDIRECTION) >> 1;
    if (this.#select < IOAPIC_REG_REDIRECTION || pin >= IOAPIC_PINS) return;
    if ((this.#select & 1) !== 0) {
      this.#high[pin] = (value & 0xff000000) >>> 0;
      return;
    }
    const kept = this.#low[pin]! & REDIRECTION_REMOTE_IRR;
    const low = (value & REDIRECTION_WRITABLE) | kept;
    // Going back to edges forgets a level interrupt that was never ended.
    this.#low[pin] = (low & REDIRECTION_LEVEL) === 0 ? low & ~REDIRECTION_REMOTE_IRR : low;
    this.#service(pin);
  }

  #service(pin: number): void {
    const low = this.#low[pin]!;
    const bit = 1 << pin;
    const isLevel = (low & REDIRECTION_LEVEL) !== 0;
    if ((low & REDIRECTION_MASKED) !== 0) return;
    if (isLevel) {
      if ((this.#lines & bit) === 0 || (low & REDIRECTION_REMOTE_IRR) !== 0) return;
      this.#low[pin] = low | REDIRECTION_REMOTE_IRR;
    } else {
      if ((this.#edges & bit) === 0) return;
      this.#edges &= ~bit;
    }
    this.#send({
      mode: (low >> 8) & 7,
      vector: low & 0xff,
      isLevel,
      destination: this.#high[pin]! >>> 24,
      isLogical: (low & REDIRECTION_LOGICAL) !== 0,
      shorthand: 0,
    });
  }
}
