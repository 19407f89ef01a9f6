/**
 * The interrupt policy of a plain machine: NMI before the local APIC before the 8259 pair, each when the processor is open to it.
 * The core says when it opens to the maskable ones (VCPU_WANT_WINDOW), and delivers by itself only the NMI behind another one.
 */
import { APIC_BASE_ENABLE } from "../../abi/apic.ts";
import {
  NMI_PENDING,
  VCPU_APIC_BASE,
  VCPU_EFLAGS,
  VCPU_HALTED,
  VCPU_NMI,
  VCPU_RETIRED,
  VCPU_SHADOW,
  VCPU_WANT_WINDOW,
} from "../../abi/vcpu.ts";
import { EFLAGS_IF } from "../../abi/x86.ts";
import type { Core } from "../base/core.ts";
import type { VcpuBlock } from "../base/vcpu-block.ts";
import type { Lapic } from "../devices/legacy/lapic.ts";
import type { PicPair } from "../devices/legacy/pic.ts";

/** Whether a processor's APIC is enabled by its MSR. */
export function hasApic(vcpu: VcpuBlock): boolean {
  return (vcpu.u32(VCPU_APIC_BASE) & APIC_BASE_ENABLE) !== 0;
}

/** One processor's interrupts. */
export class BareInterrupts {
  readonly #core: Core;
  readonly #vcpu: VcpuBlock;
  readonly #pic: PicPair;
  readonly #lapic: Lapic;

  constructor(core: Core, vcpu: VcpuBlock, pic: PicPair, lapic: Lapic) {
    this.#core = core;
    this.#vcpu = vcpu;
    this.#pic = pic;
    this.#lapic = lapic;
  }

  /** Whether deliver() would wake a halted processor. */
  get canWake(): boolean {
    return this.#hasNmi || (this.#isOpen && this.#hasRequest);
  }

  /** Whether anything but a reset could ever wake a halted processor. */
  get isDeaf(): boolean {
    return (this.#vcpu.u32(VCPU_EFLAGS) & EFLAGS_IF) === 0 && !this.#hasNmi;
  }

  /** Delivers what may be delivered now. @returns false when the core could not. */
  deliver(): boolean {
    const vcpu = this.#vcpu;
    if (this.#hasNmi && this.#core.exports.deliverNmi(vcpu.ptr) === 0) return false;
    if (this.#hasRequest && this.#isOpen && !this.#enter(this.#acknowledge())) return false;
    vcpu.setU32(VCPU_WANT_WINDOW, this.#hasRequest ? 1 : 0);
    return true;
  }

  #enter(vector: number): boolean {
    this.#vcpu.setU32(VCPU_HALTED, 0);
    return this.#core.exports.deliverInterrupt(this.#vcpu.ptr, vector) !== 0;
  }

  /** A halted processor has executed its HLT: the shadow of an STI before it is over. */
  get #isOpen(): boolean {
    const vcpu = this.#vcpu;
    if ((vcpu.u32(VCPU_EFLAGS) & EFLAGS_IF) === 0) return false;
    return vcpu.u64(VCPU_SHADOW) !== vcpu.u64(VCPU_RETIRED);
  }

  /** Whether an NMI waits that is not blocked. */
  get #hasNmi(): boolean {
    return this.#vcpu.u32(VCPU_NMI) === NMI_PENDING;
  }

  get #hasRequest(): boolean {
    // Without APICs the pair is wired to the first processor alone.
    if (!hasApic(this.#vcpu)) return this.#vcpu.id === 0 && this.#pic.hasRequest;
    if (this.#lapic.request !== undefined) return true;
    return this.#lapic.acceptsExternal && this.#pic.hasRequest;
  }

  #acknowledge(): number {
    if (hasApic(this.#vcpu) && this.#lapic.request !== undefined) return this.#lapic.acknowledge();
    return this.#pic.acknowledge();
  }
}
