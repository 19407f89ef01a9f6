/**
 * The asynchronous ring of hypercalls as the Host drains it on the classic path: the same words of the vCPU block as in the core's
 * own drain, so that a drain which a device interrupts goes on where it stopped.
 */

import {
  LG_DATA_HCALL_STATUS,
  LG_DATA_HCALLS,
  LG_HCALL_FREE,
  LG_RING_SLOT_BYTES,
  LG_RING_SLOTS,
} from "../../abi/lguest.ts";
import { PAGE_BITS, PAGE_BYTES } from "../../abi/memory.ts";
import { VCPU_LG_DATA, VCPU_LG_RING_CURSOR, VCPU_LG_RING_READY } from "../../abi/vcpu.ts";
import type { Core } from "../base/core.ts";
import { GuestCells } from "../base/guest-cells.ts";
import type { PersonalityHost } from "../base/personality.ts";

const OFFSET_MASK = PAGE_BYTES - 1;

/** One guest's ring. The call that `take` found is in `number` and `args`. */
export class AsyncRing {
  readonly #host: PersonalityHost;
  readonly #core: Core;
  readonly #cells: GuestCells;
  readonly #vcpu: number;
  #statusGfn = -1;
  #statusFrame = 0;
  number = 0;
  readonly args: [number, number, number, number] = [0, 0, 0, 0];

  constructor(host: PersonalityHost) {
    this.#host = host;
    this.#core = host.core;
    this.#cells = new GuestCells(host.core, host.guest);
    this.#vcpu = host.vcpu.ptr;
  }

  /**
   * Remembers which slots are ready now, from the cursor to the first that is not: what the guest or a device writes meanwhile is
   * for the next hypercall.
   */
  snapshot(): void {
    const core = this.#core;
    const cursor = core.cell(this.#vcpu + VCPU_LG_RING_CURSOR);
    core.setCell(this.#vcpu + VCPU_LG_RING_READY, 0);
    core.setCell(this.#vcpu + VCPU_LG_RING_READY + 4, 0);
    for (let index = 0; index < LG_RING_SLOTS; index++) {
      const slot = (cursor + index) % LG_RING_SLOTS;
      const gpa = this.#data + LG_DATA_HCALL_STATUS + slot;
      if (((this.#cells.read(gpa) >>> (8 * (gpa & 3))) & 0xff) === LG_HCALL_FREE) return;
      const half = this.#vcpu + VCPU_LG_RING_READY + 4 * (slot >>> 5);
      core.setCell(half, core.cell(half) | (1 << (slot & 31)));
    }
  }

  /** Begins a drain, or goes on with one after the guest's memory may have changed hands. */
  open(): void {
    this.#statusGfn = -1;
  }

  /** Takes the next call off the ring. @returns false when the slot at the cursor was not ready. */
  take(): boolean {
    const core = this.#core;
    const cursor = core.cell(this.#vcpu + VCPU_LG_RING_CURSOR);
    const half = this.#vcpu + VCPU_LG_RING_READY + 4 * (cursor >>> 5);
    const ready = core.cell(half);
    const bit = 1 << (cursor & 31);
    if ((ready & bit) === 0) return false;
    core.setCell(half, ready & ~bit);
    core.setCell(this.#vcpu + VCPU_LG_RING_CURSOR, (cursor + 1) % LG_RING_SLOTS);
    this.#read(LG_DATA_HCALLS + cursor * LG_RING_SLOT_BYTES);
    this.#free(this.#data + LG_DATA_HCALL_STATUS + cursor);
    return true;
  }

  /** Reads one slot at `off` of struct lguest_data. */
  #read(off: number): void {
    const { args } = this;
    const gpa = this.#data + off;
    const isWhole = (gpa & 3) === 0 && (gpa & OFFSET_MASK) <= PAGE_BYTES - LG_RING_SLOT_BYTES;
    const ptr = isWhole ? this.#cells.pointer(gpa) : 0;
    this.number = ptr === 0 ? this.#word(off) : this.#core.cell(ptr);
    for (let index = 0; index < args.length; index++) {
      const at = 4 + 4 * index;
      args[index] = ptr === 0 ? this.#word(off + at) : this.#core.cell(ptr + at);
    }
  }

  /** Marks a slot as done. The frame is asked for once in a drain: no guest runs meanwhile. */
  #free(gpa: number): void {
    const gfn = gpa >>> PAGE_BITS;
    if (gfn !== this.#statusGfn) {
      this.#statusFrame = this.#core.exports.frameForWrite(this.#host.guest, gfn) >>> 0;
      this.#statusGfn = gfn;
    }
    const ptr = this.#statusFrame + (gpa & OFFSET_MASK);
    if (this.#statusFrame === 0) this.#host.memory.writeU8(gpa, LG_HCALL_FREE);
    else this.#core.bytes(ptr + 1)[ptr] = LG_HCALL_FREE;
  }

  get #data(): number {
    return this.#core.cell(this.#vcpu + VCPU_LG_DATA);
  }

  /** The word at `off` of struct lguest_data, which was found to lie in RAM at LGUEST_INIT, on any boundary. */
  #word(off: number): number {
    const gpa = this.#data + off;
    return (gpa & 3) === 0 ? this.#cells.read(gpa) : this.#host.memory.readU32(gpa);
  }
}
