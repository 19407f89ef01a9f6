/**
 * What is known about each machine frame of a Xen domain: its type word and its reference count, in two radix tables beside the frame table.
 * Frames outside the domain's machine space have neither, and every question about them is answered with nothing.
 */
import { GUEST_PAGE_REFS, GUEST_PAGE_TYPES } from "../../abi/vcpu.ts";
import { PAGE_COUNT_MASK, PAGE_OWNER_MASK, PGT_SHIFT } from "../../abi/xen-memory.ts";
import { allocFrame, releaseFrame } from "../mmu/pool.ts";

const LEAF_BITS: u32 = 10;
const LEAVES: u32 = 1024;

/** Gives the guest its (empty) page information. @returns false when memory is exhausted. */
export function createPageInfo(guest: usize): bool {
  const types = allocFrame();
  if (types == 0) return false;
  const refs = allocFrame();
  if (refs == 0) {
    releaseFrame(types);
    return false;
  }
  store<usize>(guest, types, GUEST_PAGE_TYPES);
  store<usize>(guest, refs, GUEST_PAGE_REFS);
  return true;
}

/** Gives the memory back; a guest without page information is left as it is. */
export function destroyPageInfo(guest: usize): void {
  destroyTable(guest + GUEST_PAGE_TYPES);
  destroyTable(guest + GUEST_PAGE_REFS);
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

function word(root: usize, mfn: u32): usize {
  if (root == 0 || mfn >= LEAVES << LEAF_BITS) return 0;
  const leaf = load<usize>(root + ((mfn >>> LEAF_BITS) << 2));
  return leaf == 0 ? 0 : leaf + ((mfn & (LEAVES - 1)) << 2);
}
function reserve(root: usize, mfn: u32): bool {
  const slot = root + ((mfn >>> LEAF_BITS) << 2);
  if (load<usize>(slot) != 0) return true;
  const leaf = allocFrame();
  store<usize>(slot, leaf);
  return leaf != 0;
}

/** Makes room for what is known about `mfn`. @returns false when memory is exhausted or the number is past 4 GiB. */
export function reservePageInfo(guest: usize, mfn: u32): bool {
  if (mfn >= LEAVES << LEAF_BITS) return false;
  return (
    reserve(load<usize>(guest, GUEST_PAGE_TYPES), mfn) &&
    reserve(load<usize>(guest, GUEST_PAGE_REFS), mfn)
  );
}

/** @returns pointer to the type word of `mfn`, 0 for a frame that the domain does not know. */
export function typeWord(guest: usize, mfn: u32): usize {
  return word(load<usize>(guest, GUEST_PAGE_TYPES), mfn);
}
/** @returns pointer to the reference count of `mfn`, 0 for a frame that the domain does not know. */
export function refWord(guest: usize, mfn: u32): usize {
  return word(load<usize>(guest, GUEST_PAGE_REFS), mfn);
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
