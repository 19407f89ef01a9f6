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

const FREE_WORD = 0xffffffff;
const HALF = 32;

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

  /** Remembers which slots are ready now: what the guest or a device writes meanwhile is for the next hypercall. */
  snapshot(): void {
    for (let half = 0; half < LG_RING_SLOTS / HALF; half++) {
      let ready = 0;
      for (let at = 0; at < HALF; at += 4) {
        const word = this.#word(LG_DATA_HCALL_STATUS + half * HALF + at);
        if (word === FREE_WORD) continue;
        for (let byte = 0; byte < 4; byte++) {
          if (((word >>> (8 * byte)) & 0xff) !== LG_HCALL_FREE) ready |= 1 << (at + byte);
        }
      }
      this.#core.setCell(this.#vcpu + VCPU_LG_RING_READY + 4 * half, ready);
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
