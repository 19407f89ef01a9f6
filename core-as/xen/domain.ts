/**
 * What the Host does with the frames of a domain: gives and takes them, lets two domains share one, and counts at the end.
 */
import {
  FRAME_DIRTY,
  FRAME_PTR_MASK,
  GUEST_FRAMES_HELD,
  GUEST_LIMIT_FRAMES,
  GUEST_XEN_STALE,
  VCPU_GUEST,
} from "../../abi/vcpu.ts";
import {
  PAGE_COUNT_MASK,
  PAGE_FOREIGN,
  PAGE_OWNED,
  PAGE_OWNER_MASK,
  PAGE_PINNED,
} from "../../abi/xen-memory.ts";
import { dropCode } from "../mmu/code-pages.ts";
import { frameEntry, frameForRead, frameForWrite } from "../mmu/frames.ts";
import { retainFrame } from "../mmu/pool.ts";
import { dropWritesTo, flushGuestTranslations } from "../mmu/tlb.ts";
import { isKnown, refWord, reservePageInfo, typeOf, typeWord } from "./page-info.ts";
import { forgetFrame } from "./page-types.ts";
import { dropBasePointer, unpinTable } from "./pins.ts";
import { dropGdt, dropLdt } from "./segments.ts";

/**
 * Gives the frames [mfn, mfn + count) to the domain, as one of PAGE_OWNED, PAGE_SHARED, PAGE_READ_ONLY.
 * @returns false when memory for their information is exhausted, or one of them is somebody's or still in use.
 */
export function addFrames(guest: usize, mfn: u32, count: u32, owner: u32): bool {
  for (let i: u32 = 0; i < count; i++) {
    if (!reservePageInfo(guest, mfn + i)) return false;
    if (isKnown(typeOf(guest, mfn + i)) || load<u32>(refWord(guest, mfn + i)) != 0) return false;
  }
  for (let i: u32 = 0; i < count; i++) {
    store<u32>(typeWord(guest, mfn + i), owner & PAGE_OWNER_MASK);
  }
  return true;
}

/**
 * Takes a frame of RAM from the domain; its memory goes when the last reference does. A pin is undone.
 * @returns true unless the frame is not RAM of the domain's.
 */
export function takeFrame(v: usize, mfn: u32): bool {
  const guest = load<usize>(v, VCPU_GUEST);
  const bits = typeOf(guest, mfn);
  if ((bits & PAGE_OWNED) == 0) return false;
  if ((bits & PAGE_PINNED) != 0) unpinTable(v, mfn);
  const ptr = typeWord(guest, mfn);
  store<u32>(ptr, load<u32>(ptr) & ~PAGE_OWNER_MASK);
  if (load<u32>(refWord(guest, mfn)) == 0) forgetFrame(guest, mfn);
  return true;
}

/**
 * Lets `guest` see frame `otherMfn` of `other` as its own frame `mfn`, which is nobody's yet.
 * @param flags PAGE_READ_ONLY or 0 @returns false when one of the frames cannot be had.
 */
export function shareFrame(guest: usize, mfn: u32, other: usize, otherMfn: u32, flags: u32): bool {
  if (!reservePageInfo(guest, mfn) || isKnown(typeOf(guest, mfn))) return false;
  const entry = frameEntry(guest, mfn);
  if (entry == 0 || load<u32>(entry) != 0 || load<u32>(refWord(guest, mfn)) != 0) return false;
  const before = frameForRead(other, otherMfn);
  const frame = frameForWrite(other, otherMfn);
  if (frame == 0) return false;
  // What the other has cached may still lead to the page that it had in common with a copy of itself.
  if (frame != before) flushGuestTranslations(other);
  retainFrame(frame);
  store<u32>(entry, (frame & FRAME_PTR_MASK) | FRAME_DIRTY);
  store<u32>(guest, load<u32>(guest, GUEST_FRAMES_HELD) + 1, GUEST_FRAMES_HELD);
  store<u32>(typeWord(guest, mfn), PAGE_FOREIGN | (flags & PAGE_OWNER_MASK));
  return true;
}
/** Ends shareFrame. @returns false while something still refers to the frame, or when it is not a shared one. */
export function unshareFrame(guest: usize, mfn: u32): bool {
  if ((typeOf(guest, mfn) & PAGE_FOREIGN) == 0 || load<u32>(refWord(guest, mfn)) != 0) return false;
  forgetFrame(guest, mfn);
  return true;
}

/**
 * Moves a frame of RAM with its contents from `guest` to `other`, as whose frame `otherMfn` it goes on.
 * @returns false when it is not RAM of the domain's or something refers to it, or `otherMfn` is not free.
 */
export function moveFrame(guest: usize, mfn: u32, other: usize, otherMfn: u32): bool {
  const bits = typeOf(guest, mfn);
  if ((bits & PAGE_OWNED) == 0 || load<u32>(refWord(guest, mfn)) != 0) return false;
  const from = frameEntry(guest, mfn);
  const to = frameEntry(other, otherMfn);
  if (from == 0 || to == 0 || !addFrames(other, otherMfn, 1, PAGE_OWNED)) return false;
  const entry = load<u32>(from);
  const frame = entry & FRAME_PTR_MASK;
  if (frame != 0) {
    dropWritesTo(frame);
    dropCode(0, frame);
    store<u32>(from, 0);
    store<u32>(to, entry);
    store<u32>(guest, load<u32>(guest, GUEST_FRAMES_HELD) - 1, GUEST_FRAMES_HELD);
    store<u32>(other, load<u32>(other, GUEST_FRAMES_HELD) + 1, GUEST_FRAMES_HELD);
  }
  store<u32>(typeWord(guest, mfn), 0);
  store<u32>(guest, 1, GUEST_XEN_STALE);
  store<u32>(other, 1, GUEST_XEN_STALE);
  return true;
}

/** The vCPU holds no tables any more: its base pointer, GDT and LDT are given back. */
export function dropVcpuTables(v: usize): void {
  dropLdt(v);
  dropGdt(v);
  dropBasePointer(v);
}

/** Undoes every pin of the domain. @returns the sum of all counts that are left: 0 when nothing leaked and nothing is in use. */
export function relinquish(v: usize): u32 {
  const guest = load<usize>(v, VCPU_GUEST);
  const limit = load<u32>(guest, GUEST_LIMIT_FRAMES);
  for (let mfn: u32 = 0; mfn < limit; mfn++) {
    if ((typeOf(guest, mfn) & PAGE_PINNED) != 0) unpinTable(v, mfn);
  }
  let left: u32 = 0;
  for (let mfn: u32 = 0; mfn < limit; mfn++) {
    const refs = refWord(guest, mfn);
    if (refs != 0) left += (typeOf(guest, mfn) & PAGE_COUNT_MASK) + load<u32>(refs);
  }
  return left;
}
