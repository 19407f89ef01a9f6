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
import { VCPU_LG_DATA, VCPU_LG_RING_CURSOR, VCPU_LG_RING_READY } from "../../abi/vcpu.ts";
import type { Core } from "../base/core.ts";
import { GuestCells } from "../base/guest-cells.ts";
import type { PersonalityHost } from "../base/personality.ts";

/** One guest's ring. The call that `take` found is in `number` and `args`. */
export class AsyncRing {
  readonly #host: PersonalityHost;
  readonly #core: Core;
  readonly #cells: GuestCells;
  readonly #vcpu: number;
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
    const slot = LG_DATA_HCALLS + cursor * LG_RING_SLOT_BYTES;
    this.number = this.#word(slot);
    for (let index = 0; index < 4; index++) this.args[index] = this.#word(slot + 4 + 4 * index);
    this.#host.memory.writeU8(this.#data + LG_DATA_HCALL_STATUS + cursor, LG_HCALL_FREE);
    return true;
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
