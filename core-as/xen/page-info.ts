/**
 * What is known about each machine frame of a Xen domain: its type word and its reference count, side by side in a radix table beside the
 * frame table. Frames outside the domain's machine space have neither, and every question about them is answered with nothing.
 */
import { GUEST_PAGE_INFO } from "../../abi/vcpu.ts";
import { PAGE_COUNT_MASK, PAGE_OWNER_MASK, PGT_SHIFT } from "../../abi/xen-memory.ts";
import { allocFrame, releaseFrame } from "../mmu/pool.ts";

const LEAF_BITS: u32 = 9;
const ROOT_BITS: u32 = 19;
const RECORDS: u32 = 512;
const LEAVES: u32 = 1024;
const ROOTS: u32 = 2;
/** Frames that there can be information about: 4 GiB. */
const FRAMES: u32 = 0x100000;
/** The count's place in a record. */
const REFERENCES: u32 = 4;

/** The look-up, inline: what changes an entry of a page table makes several of them. */
export class PageInfo {
  /** @returns pointer to the record of `mfn` (below 4 GiB) of a guest that has page information: the type word, the count; 0 without one. */
  @inline static at(guest: usize, mfn: u32): usize {
    const root = load<usize>(guest + ((mfn >>> ROOT_BITS) << 2), GUEST_PAGE_INFO);
    const leaf = load<usize>(root + (((mfn >>> LEAF_BITS) & (LEAVES - 1)) << 2));
    return leaf == 0 ? 0 : leaf + ((mfn & (RECORDS - 1)) << 3);
  }
}

function rootSlot(guest: usize, i: u32): usize {
  return guest + GUEST_PAGE_INFO + (i << 2);
}

/** Gives the guest its (empty) page information. @returns false when memory is exhausted. */
export function createPageInfo(guest: usize): bool {
  for (let i: u32 = 0; i < ROOTS; i++) {
    const root = allocFrame();
    if (root == 0) {
      destroyPageInfo(guest);
      return false;
    }
    store<usize>(rootSlot(guest, i), root);
  }
  return true;
}

/** Gives the memory back; a guest without page information is left as it is. */
export function destroyPageInfo(guest: usize): void {
  for (let i: u32 = 0; i < ROOTS; i++) destroyTable(rootSlot(guest, i));
}
function destroyTable(slot: usize): void {
  const root = load<usize>(slot);
  if (root == 0) return;
  for (let i: u32 = 0; i < LEAVES; i++) {
    const leaf = load<usize>(root + (i << 2));
    if (leaf != 0) releaseFrame(leaf);
  }
  releaseFrame(root);
  store<usize>(slot, 0);
}

/** Makes room for what is known about `mfn`. @returns false when memory is exhausted or the number is past 4 GiB. */
export function reservePageInfo(guest: usize, mfn: u32): bool {
  if (mfn >= FRAMES) return false;
  const root = load<usize>(rootSlot(guest, mfn >>> ROOT_BITS));
  const slot = root + (((mfn >>> LEAF_BITS) & (LEAVES - 1)) << 2);
  if (load<usize>(slot) != 0) return true;
  const leaf = allocFrame();
  store<usize>(slot, leaf);
  return leaf != 0;
}

/** @returns pointer to the type word of `mfn`, 0 for a frame that the domain does not know. */
export function typeWord(guest: usize, mfn: u32): usize {
  return mfn >= FRAMES || load<usize>(guest, GUEST_PAGE_INFO) == 0 ? 0 : PageInfo.at(guest, mfn);
}
/** @returns pointer to the reference count of `mfn`, 0 for a frame that the domain does not know. */
export function refWord(guest: usize, mfn: u32): usize {
  const record = typeWord(guest, mfn);
  return record == 0 ? 0 : record + REFERENCES;
}

/** @returns the type word of `mfn`: PGT_* in the upper bits, PAGE_* flags, type references; 0 for a frame not known. */
export function typeOf(guest: usize, mfn: u32): u32 {
  const ptr = typeWord(guest, mfn);
  return ptr == 0 ? 0 : load<u32>(ptr);
}
/** @returns PGT_* of a type word. */
export function pageType(typeBits: u32): u32 {
  return typeBits >>> PGT_SHIFT;
}
/** @returns type references of a type word. */
export function typeCount(typeBits: u32): u32 {
  return typeBits & PAGE_COUNT_MASK;
}
/** @returns true when the frame is the domain's, or one that it may use. */
export function isKnown(typeBits: u32): bool {
  return (typeBits & PAGE_OWNER_MASK) != 0;
}
