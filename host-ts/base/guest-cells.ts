/**
 * Words of guest memory read straight through the frame table, without a verb and without allocating: for who reads page tables
 * and rings at every fault. What is not memory reads as 0.
 */

import { FRAME_PTR_MASK, GUEST_FRAME_ROOT, GUEST_LIMIT_FRAMES } from "../../abi/vcpu.ts";
import type { Core } from "./core.ts";

/** Frames that one leaf of the frame table holds. */
const LEAF_FRAMES_BITS = 10;
const LEAF_FRAMES_MASK = (1 << LEAF_FRAMES_BITS) - 1;

/** One guest's memory as aligned 32-bit words. */
export class GuestCells {
  readonly #core: Core;
  readonly #guest: number;

  constructor(core: Core, guest: number) {
    this.#core = core;
    this.#guest = guest;
  }

  /** @returns the aligned word that `gpa` lies in, unsigned; 0 where no memory is, or none that was touched. */
  read(gpa: number): number {
    const core = this.#core;
    const gfn = gpa >>> 12;
    if (gfn >= core.cell(this.#guest + GUEST_LIMIT_FRAMES)) return 0;
    const slot = core.cell(this.#guest + GUEST_FRAME_ROOT) + ((gfn >>> LEAF_FRAMES_BITS) << 2);
    const leaf = core.cell(slot);
    if (leaf === 0) return 0;
    const frame = core.cell(leaf + ((gfn & LEAF_FRAMES_MASK) << 2));
    return frame === 0 ? 0 : core.cell(((frame & FRAME_PTR_MASK) >>> 0) + (gpa & 0xffc));
  }
}
