/**
 * The interrupt policy of lguest: which pending interrupt may be delivered now, and what the guest is told otherwise.
 *
 * Pending bits live in the vCPU block; the guest's mask and its interrupt flag live in struct lguest_data. There is no end
 * of interrupt: a handler masks its line, and unmasks it without telling us, so the Host looks again by itself.
 */

import {
  LG_DATA_BLOCKED,
  LG_DATA_IRQ_ENABLED,
  LG_DATA_IRQ_PENDING,
  LG_DATA_TIME_NSEC,
  LG_DATA_TIME_SEC,
  LGUEST_IRQ_BASE,
  LGUEST_IRQS,
} from "../../abi/lguest.ts";
import {
  HELD_GATE_BYTES,
  HELD_GATE_PRESENT,
  VCPU_HALTED,
  VCPU_HELD_IDT,
  VCPU_LG_DATA,
  VCPU_LG_IRQS_PENDING,
  VCPU_LG_NOIRQ_END,
  VCPU_LG_NOIRQ_START,
} from "../../abi/vcpu.ts";
import { EFLAGS_IF } from "../../abi/x86.ts";
import { assertHost } from "../base/errors.ts";
import type { PersonalityHost } from "../base/personality.ts";
import type { IrqPort } from "../base/ports.ts";

/**
 * Shortest and longest slice while an interrupt waits for the guest to open its flag or its mask: neither comes with a trap.
 * The length varies from slice to slice, or a loop that divides it would show us the same closed moment for ever.
 */
const WAITING_SLICE_MIN = 500;
const WAITING_SLICE_SPREAD = 509;
/** The same while only masked lines wait: a driver may mask its line for good, so it must not cost much. */
const MASKED_SLICE_MIN = 16_000;

/** Why an interrupt was not delivered, as an answer to deliver(). */
export type Delivery = "none" | "delivered" | "held off" | "refused";

/** One guest's interrupt lines. */
export class LguestInterrupts {
  readonly #host: PersonalityHost;

  constructor(host: PersonalityHost) {
    this.#host = host;
  }

  /** Makes interrupt `irq` (0-31) pending. */
  raise(irq: number): void {
    assertHost(irq >= 0 && irq < LGUEST_IRQS, "an interrupt number fits the mask");
    this.#pending |= 1 << irq;
  }

  /** One line as a device sees it. Lowering takes back what was not delivered yet. */
  port(irq: number): IrqPort {
    return {
      raise: () => this.raise(irq),
      lower: () => {
        this.#pending &= ~(1 << irq);
      },
    };
  }

  /** Whether deliver() would wake a halted guest. One that halts inside its own no-IRQ window stays there. */
  get canWake(): boolean {
    return this.#choose() !== undefined && !this.#isInNoIrqWindow();
  }

  /** Most instructions before the Host must look again. */
  get sliceLimit(): number {
    if (this.#pending === 0 || this.#data === 0) return Number.POSITIVE_INFINITY;
    if (this.#unmasked !== 0 && this.#isInNoIrqWindow()) return 1;
    const isOpen = this.#readData(LG_DATA_IRQ_ENABLED) !== 0 && this.#choose() === undefined;
    const shortest = isOpen ? MASKED_SLICE_MIN : WAITING_SLICE_MIN;
    // Following the instruction count keeps it the same from run to run; the factor spreads neighbouring counts.
    return shortest + ((this.#host.vcpu.retired * 197) % WAITING_SLICE_SPREAD);
  }

  /** Chooses the lowest pending and unmasked interrupt and delivers it if the guest can take it now. */
  deliver(): Delivery {
    const { vcpu, core } = this.#host;
    if (this.#data === 0) return "none";
    if (this.#unmasked === 0) {
      this.#setIrqPending(false);
      return "none";
    }
    // Between an iret's copy of the flags and the iret itself a frame would land on the wrong side of it.
    if (this.#isInNoIrqWindow()) return "held off";
    const irq = this.#choose();
    if (vcpu.u32(VCPU_HALTED) !== 0) {
      if (irq === undefined) return "none";
      this.#writeData(LG_DATA_IRQ_ENABLED, EFLAGS_IF);
      vcpu.setU32(VCPU_HALTED, 0);
    } else if (this.#readData(LG_DATA_IRQ_ENABLED) === 0) {
      this.#setIrqPending(true);
      return "held off";
    } else if (irq === undefined) {
      this.#setIrqPending(false);
      return "none";
    }
    this.#pending &= ~(1 << irq);
    this.publishTime();
    this.#setIrqPending(this.#unmasked !== 0);
    return core.exports.deliverInterrupt(vcpu.ptr, LGUEST_IRQ_BASE + irq) === 1
      ? "delivered"
      : "refused";
  }

  /** Writes the wall clock into struct lguest_data. The guest does not run meanwhile, so it never sees a mix. */
  publishTime(): void {
    const { seconds, nanoseconds } = this.#host.clock.wallClock();
    this.#writeData(LG_DATA_TIME_SEC, seconds);
    this.#writeData(LG_DATA_TIME_NSEC, nanoseconds);
  }

  /** The lowest unmasked interrupt with a present gate; without a gate it stays pending. */
  #choose(): number | undefined {
    if (this.#data === 0) return undefined;
    const unmasked = this.#unmasked;
    for (let irq = 0; irq < LGUEST_IRQS; irq++) {
      if ((unmasked & (1 << irq)) !== 0 && this.#hasGate(irq)) return irq;
    }
    return undefined;
  }

  #hasGate(irq: number): boolean {
    const gate = VCPU_HELD_IDT + (LGUEST_IRQ_BASE + irq) * HELD_GATE_BYTES;
    return (this.#host.vcpu.u32(gate + 4) & HELD_GATE_PRESENT) !== 0;
  }

  #isInNoIrqWindow(): boolean {
    const { vcpu } = this.#host;
    const eip = vcpu.eip;
    return vcpu.u32(VCPU_LG_NOIRQ_START) <= eip && eip < vcpu.u32(VCPU_LG_NOIRQ_END);
  }

  /** The guest asks for its interrupts only while this word is set, so it must be exact both ways. */
  #setIrqPending(waits: boolean): void {
    const value = waits ? EFLAGS_IF : 0;
    if (this.#readData(LG_DATA_IRQ_PENDING) !== value) this.#writeData(LG_DATA_IRQ_PENDING, value);
  }

  get #data(): number {
    return this.#host.vcpu.u32(VCPU_LG_DATA);
  }

  get #pending(): number {
    return this.#host.vcpu.u32(VCPU_LG_IRQS_PENDING);
  }

  set #pending(bits: number) {
    this.#host.vcpu.setU32(VCPU_LG_IRQS_PENDING, bits);
  }

  get #unmasked(): number {
    const pending = this.#pending;
    return pending === 0 ? 0 : (pending & ~this.#readData(LG_DATA_BLOCKED)) >>> 0;
  }

  #readData(field: number): number {
    return this.#host.memory.readU32(this.#data + field);
  }

  #writeData(field: number, value: number): void {
    this.#host.memory.writeU32(this.#data + field, value);
  }
}
