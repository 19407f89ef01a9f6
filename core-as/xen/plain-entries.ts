/**
 * Entries of page tables of the lowest level whose frames are plain RAM of the domain: nearly all of them. What is not plain is left to
 * page-types.ts, whose rules these are a part of.
 */
import {
  FRAME_COW,
  FRAME_DIRTY,
  FRAME_PTR_MASK,
  GUEST_LIMIT_FRAMES,
  VCPU_CR3,
  VCPU_GUEST,
} from "../../abi/vcpu.ts";
import { PTE_P, PTE_PCD, PTE_PS, PTE_PWT, PTE_RW } from "../../abi/x86.ts";
import { XEN_EBUSY, XEN_EINVAL, XEN_EPERM } from "../../abi/xen.ts";
import {
  PAGE_COUNT_MASK,
  PAGE_FOREIGN,
  PAGE_OWNED,
  PAGE_OWNER_MASK,
  PAGE_READ_ONLY,
  PAGE_SHARED,
  PGT_L1,
  PGT_SHIFT,
  PGT_WRITABLE,
  XEN_RAM_MFN,
} from "../../abi/xen-memory.ts";
import { PAGE_MASK } from "../layout.ts";
import { hasCode } from "../mmu/code-pages.ts";
import { FrameTable } from "../mmu/frames.ts";
import { PageInfo, pageType, typeCount, typeOf } from "./page-info.ts";

/** Low-half flags that an entry may not have. */
const L1_FORBIDDEN: u32 = PTE_PWT | PTE_PCD | PTE_PS;
/** High-half bits of a frame number that no domain here has. */
export const FRAME_HIGH: u32 = 0x000fffff;
/** High-half flag that an entry may not have: with it Xen marks what it mapped by grant. */
const L1_FORBIDDEN_HIGH: u32 = 0x40000000;
/** High-half bits that no plain entry has. */
const PLAIN_HIGH: u32 = FRAME_HIGH | L1_FORBIDDEN_HIGH;
/** Frame number, presence and the right to write: what references depend on. */
export const REFERENCE_BITS: u32 = 0xfffff000 | PTE_P | PTE_RW;
/** Entries of a page table. */
export const ENTRIES: u32 = 512;
const WRITABLE: u32 = PGT_WRITABLE << PGT_SHIFT;
/** What a frame is used as. */
const TYPE_MASK: u32 = (<u32>0xf) << PGT_SHIFT;
/** Whose a frame is, if it is plain RAM it is PAGE_OWNED alone. */
const OWNER: u32 = PAGE_OWNED | PAGE_SHARED | PAGE_FOREIGN | PAGE_READ_ONLY;
/** A reference in a record as one word. */
const REFERENCE: u64 = 0x100000000;

export class PlainEntry {
  /** Takes what a present entry refers to. @returns false, with nothing changed, when the frame or the flags are not plain. */
  @inline static take(guest: usize, low: u32): bool {
    if ((low & L1_FORBIDDEN) != 0) return false;
    const at = PageInfo.at(guest, low >>> 12);
    if (at == 0) return false;
    let record = load<u64>(at);
    const bits = <u32>record;
    if ((bits & OWNER) != PAGE_OWNED) return false;
    if ((low & PTE_RW) != 0) {
      const references = bits & PAGE_COUNT_MASK;
      if (references == 0)
        record = (record ^ <u64>bits) | <u64>((bits & PAGE_OWNER_MASK) | WRITABLE);
      else if ((bits & TYPE_MASK) != WRITABLE || references == PAGE_COUNT_MASK) return false;
      record += 1;
    }
    store<u64>(at, record + REFERENCE);
    return true;
  }

  /** @returns the record of the frame of a present entry, 0 when it is not plain RAM. */
  @inline static held(guest: usize, low: u32): usize {
    const at = PageInfo.at(guest, low >>> 12);
    return at == 0 || (load<u32>(at) & OWNER) != PAGE_OWNED ? 0 : at;
  }
  /** Gives back what a present entry holds of the frame with this record. */
  @inline static drop(record: usize, low: u32): void {
    const type: u64 = (low & PTE_RW) != 0 ? 1 : 0;
    store<u64>(record, load<u64>(record) - REFERENCE - type);
  }

  /**
   * Replaces the entry at `entry`, in a table that plainTable() gave, by another one. @returns false, with nothing changed, when one of
   * them is not plain.
   */
  @inline static replace(guest: usize, entry: usize, low: u32, high: u32): bool {
    const old = load<u64>(entry);
    const oldLow = <u32>old;
    if (((high | <u32>(old >> 32)) & PLAIN_HIGH) != 0) return false;
    const both = oldLow & low & PTE_P;
    if (both != 0 && ((oldLow ^ low) & REFERENCE_BITS) == 0 && (low & L1_FORBIDDEN) == 0) {
      store<u64>(entry, ((<u64>high) << 32) | <u64>low);
      return true;
    }
    let held: usize = 0;
    if ((oldLow & PTE_P) != 0) {
      held = PlainEntry.held(guest, oldLow);
      if (held == 0) return false;
    }
    if ((low & PTE_P) != 0 && !PlainEntry.take(guest, low)) return false;
    store<u64>(entry, ((<u64>high) << 32) | <u64>low);
    if (held != 0) PlainEntry.drop(held, oldLow);
    return true;
  }
}

/** @returns true when an entry of the lowest level has flags that it may not have. */
export function isBadL1(low: u32, high: u32): bool {
  return (low & L1_FORBIDDEN) != 0 || (high & L1_FORBIDDEN_HIGH) != 0;
}
/** @returns why a frame that the domain does not have is not mapped: RAM is somebody else's, all else is devices, and one number is none. */
export function refuseStranger(guest: usize, low: u32, high: u32): i32 {
  if ((high & FRAME_HIGH) == FRAME_HIGH && low >>> 12 == FRAME_HIGH) return -XEN_EINVAL;
  const mfn = low >>> 12;
  if ((high & FRAME_HIGH) != 0) return -XEN_EPERM;
  const isRam = mfn >= <u32>XEN_RAM_MFN && mfn < load<u32>(guest, GUEST_LIMIT_FRAMES);
  return isRam ? -XEN_EBUSY : -XEN_EPERM;
}

/** @returns true when none of the 8 entries at `entries` has a bit set. */
function isEmpty(entries: usize): bool {
  const first = v128.or(v128.load(entries), v128.load(entries, 16));
  const second = v128.or(v128.load(entries, 32), v128.load(entries, 48));
  return !v128.any_true(v128.or(first, second));
}

/** Takes what the entries of the table at `frame` refer to from slot `first` on. @returns the first slot that is not plain, ENTRIES without one. */
export function takeEntries(guest: usize, frame: usize, first: u32): u32 {
  for (let slot = first; slot < ENTRIES; slot++) {
    const entry = frame + (slot << 3);
    if ((slot & 7) == 0 && isEmpty(entry)) {
      slot += 7;
      continue;
    }
    const low = load<u32>(entry);
    if ((low & PTE_P) == 0) continue;
    if ((load<u32>(entry, 4) & PLAIN_HIGH) != 0 || !PlainEntry.take(guest, low)) return slot;
  }
  return ENTRIES;
}
/** Gives back what the entries before slot `end` hold, from slot `first` on. @returns the first slot that is not plain, `end` without one. */
export function dropEntries(guest: usize, frame: usize, first: u32, end: u32): u32 {
  for (let slot = first; slot < end; slot++) {
    const entry = frame + (slot << 3);
    if ((slot & 7) == 0 && slot + 8 <= end && isEmpty(entry)) {
      slot += 7;
      continue;
    }
    const low = load<u32>(entry);
    if ((low & PTE_P) == 0) continue;
    const held = PlainEntry.held(guest, low);
    if (held == 0) return slot;
    PlainEntry.drop(held, low);
  }
  return end;
}

/** @returns host pointer of page table `mfn` if it is one of the lowest level whose entries can simply be stored; else 0. */
export function plainTable(guest: usize, mfn: u32): usize {
  const bits = typeOf(guest, mfn);
  if (pageType(bits) != <u32>PGT_L1 || typeCount(bits) == 0 || (bits & PAGE_OWNED) == 0) return 0;
  const frame = FrameTable.peek(guest, mfn);
  if ((frame & (FRAME_COW | FRAME_DIRTY)) != FRAME_DIRTY) return 0;
  const ptr = frame & FRAME_PTR_MASK;
  return hasCode(ptr) ? 0 : ptr;
}
/** @returns plainTable() of the page table that maps `lin` now; 0 also when there is none. */
export function plainTableOf(v: usize, lin: u32): usize {
  const guest = load<usize>(v, VCPU_GUEST);
  const top = FrameTable.peek(guest, load<u32>(v, VCPU_CR3) >>> 12) & PAGE_MASK;
  // Tables that are in use lie below 4 GiB.
  const topLow: u32 = top == 0 ? 0 : load<u32>(top + ((lin >>> 30) << 3));
  if ((topLow & PTE_P) == 0) return 0;
  const directory = FrameTable.peek(guest, topLow >>> 12) & PAGE_MASK;
  const low: u32 = directory == 0 ? 0 : load<u32>(directory + (((lin >>> 21) & 511) << 3));
  return (low & PTE_P) == 0 ? 0 : plainTable(guest, low >>> 12);
}
