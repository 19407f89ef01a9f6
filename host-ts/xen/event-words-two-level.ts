/**
 * Event channels as bits of shared_info: pending, masked, and for each vCPU a selector of the words that have something.
 * Source: Xen's public event_channel.h, "2-level ABI".
 */
import { EVTCHN_2L_PORTS } from "../../abi/xen.ts";
import {
  SI_EVTCHN_MASK,
  SI_EVTCHN_PENDING,
  VI_PENDING_SEL,
  VI_UPCALL_PENDING,
} from "../../abi/xen-layout.ts";
import type { EventDomain, EventWords } from "./event-words.ts";

/** See the file header. */
export class TwoLevelWords implements EventWords {
  readonly ports = EVTCHN_2L_PORTS;
  readonly #domain: EventDomain;

  constructor(domain: EventDomain) {
    this.#domain = domain;
  }

  setPending(port: number, vcpu: number): void {
    if (this.#setBit(SI_EVTCHN_PENDING, port, true)) return;
    if (!this.#bit(SI_EVTCHN_MASK, port)) this.#tell(vcpu, port);
  }

  clearPending(port: number): void {
    this.#setBit(SI_EVTCHN_PENDING, port, false);
  }

  unmask(port: number, vcpu: number): void {
    const wasMasked = this.#setBit(SI_EVTCHN_MASK, port, false);
    if (wasMasked && this.isPending(port)) this.#tell(vcpu, port);
  }

  isPending(port: number): boolean {
    return this.#bit(SI_EVTCHN_PENDING, port);
  }

  isBusy(): boolean {
    return false;
  }

  open(): void {}

  /** The two steps by which a vCPU learns of a port: its selector word, then the byte that makes it take an upcall. */
  #tell(vcpu: number, port: number): void {
    const { memory } = this.#domain;
    const info = this.#domain.vcpuInfoGpa(vcpu);
    const bit = 1 << (port >>> 5);
    const selector = memory.readU32(info + VI_PENDING_SEL);
    if ((selector & bit) !== 0) return;
    memory.writeU32(info + VI_PENDING_SEL, selector | bit);
    memory.writeU8(info + VI_UPCALL_PENDING, 1);
  }

  #bit(words: number, port: number): boolean {
    return ((this.#domain.memory.readU32(this.#word(words, port)) >>> (port & 31)) & 1) !== 0;
  }

  /** @returns whether the bit was set before. */
  #setBit(words: number, port: number, isSet: boolean): boolean {
    const { memory } = this.#domain;
    const at = this.#word(words, port);
    const old = memory.readU32(at);
    const bit = 1 << (port & 31);
    memory.writeU32(at, isSet ? old | bit : old & ~bit);
    return (old & bit) !== 0;
  }

  #word(words: number, port: number): number {
    return this.#domain.sharedInfoGpa + words + 4 * (port >>> 5);
  }
}
