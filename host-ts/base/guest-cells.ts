/**
 * Words of guest memory read straight through the frame table, without a verb and without allocating: for who reads page tables
 * and rings at every fault. What is not memory reads as 0.
 */

import { PAGE_BITS, PAGE_BYTES } from "../../abi/memory.ts";
import {
  FRAME_LEAF_BITS,
  FRAME_PTR_MASK,
  GUEST_FRAME_ROOT,
  GUEST_LIMIT_FRAMES,
} from "../../abi/vcpu.ts";
import type { Core } from "./core.ts";

const LEAF_FRAMES_MASK = (1 << FRAME_LEAF_BITS) - 1;
const OFFSET_MASK = PAGE_BYTES - 1;

/** One guest's memory as aligned 32-bit words. */
export class GuestCells {
  readonly #core: Core;
  readonly #guest: number;

  constructor(core: Core, guest: number) {
    this.#core = core;
    this.#guest = guest;
  }

  /** @returns host pointer of the byte at `gpa` for reading, good to the end of its frame; 0 where no memory is, or none that was touched. */
  pointer(gpa: number): number {
    const core = this.#core;
    const gfn = gpa >>> PAGE_BITS;
    if (gfn >= core.cell(this.#guest + GUEST_LIMIT_FRAMES)) return 0;
    const slot = core.cell(this.#guest + GUEST_FRAME_ROOT) + ((gfn >>> FRAME_LEAF_BITS) << 2);
    const leaf = core.cell(slot);
    if (leaf === 0) return 0;
    const frame = core.cell(leaf + ((gfn & LEAF_FRAMES_MASK) << 2));
    return frame === 0 ? 0 : ((frame & FRAME_PTR_MASK) >>> 0) + (gpa & OFFSET_MASK);
  }

  /** @returns the aligned word that `gpa` lies in, unsigned; 0 where no memory is, or none that was touched. */
  read(gpa: number): number {
    const ptr = this.pointer(gpa);
    return ptr === 0 ? 0 : this.#core.cell(ptr & ~3);
  }
}
