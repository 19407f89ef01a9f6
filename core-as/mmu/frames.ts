/**
 * The frame table: guest frame number → pool frame. A guest frame number never equals an offset in linear memory.
 * Two levels of 1,024 entries; an entry of 0 is a frame nobody has touched, which reads as zero and costs no memory.
 */
import {
  FRAME_COW,
  FRAME_DIRTY,
  FRAME_LEAF_BITS,
  FRAME_PTR_MASK,
  GUEST_FRAME_ROOT,
  GUEST_FRAMES_HELD,
  GUEST_LIMIT_FRAMES,
} from "../../abi/vcpu.ts";
import { PAGE_SIZE, ZERO_FRAME } from "../layout.ts";
import { dropCode } from "./code-pages.ts";
import { allocFrame, frameReferences, releaseFrame } from "./pool.ts";

/** The look-up that nearly always succeeds, inline: walks and calls make several of them. */
export class FrameTable {
  /** @returns the entry of `gfn`; 0 when it has none yet or is out of range, which the functions below tell apart. */
  @inline static peek(guest: usize, gfn: u32): u32 {
    if (gfn >= load<u32>(guest, GUEST_LIMIT_FRAMES)) return 0;
    const leaf = load<usize>(
      load<usize>(guest, GUEST_FRAME_ROOT) + ((gfn >>> FRAME_LEAF_BITS) << 2),
    );
    return leaf == 0 ? 0 : load<u32>(leaf + ((gfn & ((1 << FRAME_LEAF_BITS) - 1)) << 2));
  }
}

/** @returns pointer to the entry of `gfn`, or 0 when the gfn is out of range or memory for the table is exhausted. */
export function frameEntry(guest: usize, gfn: u32): usize {
  if (gfn >= load<u32>(guest, GUEST_LIMIT_FRAMES)) return 0;
  const slot = load<usize>(guest, GUEST_FRAME_ROOT) + ((gfn >>> FRAME_LEAF_BITS) << 2);
  let leaf = load<usize>(slot);
  if (leaf == 0) {
    leaf = allocFrame();
    if (leaf == 0) return 0;
    store<usize>(slot, leaf);
  }
  return leaf + ((gfn & ((1 << FRAME_LEAF_BITS) - 1)) << 2);
}

/** @returns host pointer of the frame for reading, 0 when `gfn` is not memory. Never allocates a frame. */
export function frameForRead(guest: usize, gfn: u32): usize {
  const entry = frameEntry(guest, gfn);
  if (entry == 0) return 0;
  const value = load<u32>(entry);
  return value == 0 ? ZERO_FRAME : value & FRAME_PTR_MASK;
}

/** Gives an untouched frame memory. @returns its host pointer, or 0. The entry stays clean. */
export function populateFrame(guest: usize, entry: usize): usize {
  const value = load<u32>(entry);
  if (value != 0) return value & FRAME_PTR_MASK;
  const frame = allocFrame();
  if (frame == 0) return 0;
  store<u32>(entry, frame);
  store<u32>(guest, load<u32>(guest, GUEST_FRAMES_HELD) + 1, GUEST_FRAMES_HELD);
  return frame;
}

/**
 * Makes the frame private and dirty. @returns its host pointer, or 0 when `gfn` is not memory or the pool is exhausted.
 * The pointer differs from an earlier read pointer when a shared frame had to be copied; `copied` callers drop translations.
 */
export function frameForWrite(guest: usize, gfn: u32): usize {
  const entry = frameEntry(guest, gfn);
  if (entry == 0) return 0;
  const frame = populateFrame(guest, entry);
  if (frame == 0) return 0;
  const value = load<u32>(entry);
  if ((value & FRAME_COW) == 0) {
    if ((value & FRAME_DIRTY) == 0) store<u32>(entry, value | FRAME_DIRTY);
    return frame;
  }
  if (frameReferences(frame) == 1) {
    store<u32>(entry, frame | FRAME_DIRTY);
    return frame;
  }
  const own = allocFrame();
  if (own == 0) return 0;
  memory.copy(own, frame, PAGE_SIZE);
  dropCode(0, frame);
  releaseFrame(frame);
  store<u32>(entry, own | FRAME_DIRTY);
  return own;
}

/** Releases every frame and the table itself. */
export function releaseFrames(guest: usize): void {
  const root = load<usize>(guest, GUEST_FRAME_ROOT);
  for (let i: u32 = 0; i < 1024; i++) {
    const leaf = load<usize>(root + (i << 2));
    if (leaf == 0) continue;
    for (let j: u32 = 0; j < 1024; j++) {
      const frame = load<u32>(leaf + (j << 2)) & FRAME_PTR_MASK;
      if (frame == 0) continue;
      dropCode(0, frame);
      releaseFrame(frame);
    }
    releaseFrame(leaf);
  }
  releaseFrame(root);
}
