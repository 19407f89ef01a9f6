/**
 * References to machine frames and the types that go with them: the rule that makes direct paging safe. A frame is a page table, or holds
 * descriptors, or is mapped writable somewhere, and never two of these at once. A type is taken by the entry that uses the frame so; the
 * first reference checks the contents, the last one gives back what they refer to. The guest's tables are therefore always good as they
 * stand, and the walker follows them without asking.
 *
 * Source: the rules of Xen's mm for 32-bit guests on a 64-bit hypervisor. Errors are negative errno values.
 */
import {
  FRAME_PTR_MASK,
  GUEST_FRAMES_HELD,
  GUEST_M2P_TABLES_MFN,
  GUEST_TABLES_EPOCH,
  GUEST_XEN_STALE,
  VCPU_GUEST,
} from "../../abi/vcpu.ts";
import { PTE_A, PTE_D, PTE_G, PTE_P, PTE_PCD, PTE_PS, PTE_PWT, PTE_RW } from "../../abi/x86.ts";
import { L2_FIRST_XEN_SLOT, XEN_EBUSY, XEN_EINVAL, XEN_EPERM } from "../../abi/xen.ts";
import {
  PAGE_COUNT_MASK,
  PAGE_FOREIGN,
  PAGE_LINEAR,
  PAGE_OWNED,
  PAGE_OWNER_MASK,
  PAGE_READ_ONLY,
  PAGE_VALIDATED,
  PAGE_XEN_L2,
  PGT_L1,
  PGT_L2,
  PGT_L3,
  PGT_SEG_DESC,
  PGT_SHIFT,
  PGT_WRITABLE,
  XEN_M2P_TABLES,
} from "../../abi/xen-memory.ts";
import { PAGE_OFFSET_MASK } from "../layout.ts";
import { dropCode } from "../mmu/code-pages.ts";
import { frameEntry, frameForRead } from "../mmu/frames.ts";
import { physicalForWrite } from "../mmu/physical.ts";
import { releaseFrame } from "../mmu/pool.ts";
import { dropWritesTo, flushGuestTranslations } from "../mmu/tlb.ts";
import { COST_EVERYTHING, COST_TABLE, charge } from "./cost.ts";
import { fixDescriptorPage } from "./descriptors.ts";
import { isKnown, pageType, refWord, typeCount, typeOf, typeWord } from "./page-info.ts";
import {
  dropEntries,
  ENTRIES,
  FRAME_HIGH,
  isBadL1,
  REFERENCE_BITS,
  refuseStranger,
  takeEntries,
} from "./plain-entries.ts";

/** Entries of a page-directory-pointer table. */
const L3_SLOTS: u32 = 4;
/** The slot whose L2 table ends with Xen's entries. */
const XEN_L3_SLOT: u32 = 3;

/** Low-half flags that an entry may not have, by level; and what the high half of an L3 entry may not have. */
const L2_FORBIDDEN: u32 = PTE_PWT | PTE_PCD | PTE_PS | PTE_G;
const L3_FORBIDDEN: u32 = PTE_PWT | PTE_PCD | PTE_PS | PTE_G;
const L3_FORBIDDEN_HIGH: u32 = 0xfff00000;
const NO_FRAME: u32 = 0xffffffff;
/** What tells one use of a frame from another. */
const USE_MASK: u32 = ((<u32>0xf) << PGT_SHIFT) | PAGE_XEN_L2;

/** @returns the mfn of an entry; NO_FRAME past 4 GiB. */
export function entryMfn(low: u32, high: u32): u32 {
  return (high & FRAME_HIGH) != 0 ? NO_FRAME : low >>> 12;
}

function addRef(guest: usize, mfn: u32): void {
  const ptr = refWord(guest, mfn);
  store<u32>(ptr, load<u32>(ptr) + 1);
}

/** Takes a reference. @returns false when the domain has no such frame. */
export function getPage(guest: usize, mfn: u32): bool {
  if (!isKnown(typeOf(guest, mfn))) return false;
  addRef(guest, mfn);
  return true;
}

/** Drops a reference; a frame that the domain has given up goes with the last one. */
export function putPage(guest: usize, mfn: u32): void {
  const ptr = refWord(guest, mfn);
  const left = load<u32>(ptr) - 1;
  store<u32>(ptr, left);
  if (left == 0 && (typeOf(guest, mfn) & PAGE_OWNER_MASK) == 0) forgetFrame(guest, mfn);
}

/** Gives the memory of a frame back to which nothing refers and that nobody owns: it reads as zero when it is somebody's again. */
export function forgetFrame(guest: usize, mfn: u32): void {
  store<u32>(typeWord(guest, mfn), 0);
  const entry = frameEntry(guest, mfn);
  if (entry == 0) return;
  const frame = load<u32>(entry) & FRAME_PTR_MASK;
  store<u32>(entry, 0);
  if (frame == 0) return;
  dropWritesTo(frame);
  dropCode(0, frame);
  releaseFrame(frame);
  store<u32>(guest, load<u32>(guest, GUEST_FRAMES_HELD) - 1, GUEST_FRAMES_HELD);
  store<u32>(guest, 1, GUEST_XEN_STALE);
}

/** Drops what translations of the guest may still name of frames that are gone. Before the guest runs or its memory is reached through them. */
export function settleStale(guest: usize): void {
  if (load<u32>(guest, GUEST_XEN_STALE) == 0) return;
  store<u32>(guest, 0, GUEST_XEN_STALE);
  flushGuestTranslations(guest);
}

/** A present entry changed or went: cached directories that sleep must not come back with it. */
export function tablesChanged(guest: usize): void {
  tablesChangedTimes(guest, 1);
}
/** So many present entries changed or went. */
export function tablesChangedTimes(guest: usize, times: u32): void {
  store<u32>(guest, load<u32>(guest, GUEST_TABLES_EPOCH) + times, GUEST_TABLES_EPOCH);
}

/**
 * Takes a type reference on a frame, checking its contents if it is the first.
 * @param type PGT_WRITABLE and up @param flags PAGE_XEN_L2 for the L2 table of the last slot, else 0
 * @returns 0; -EINVAL when the frame is in use as something else, or its contents are not good as that.
 */
export function getPageType(v: usize, mfn: u32, type: u32, flags: u32 = 0): i32 {
  const guest = load<usize>(v, VCPU_GUEST);
  const ptr = typeWord(guest, mfn);
  if (ptr == 0) return -XEN_EINVAL;
  const bits = load<u32>(ptr);
  if (!isKnown(bits)) return -XEN_EINVAL;
  const use = (type << PGT_SHIFT) | flags;
  const references = typeCount(bits);
  if (references != 0) {
    if ((bits & USE_MASK) != use || references == PAGE_COUNT_MASK) return -XEN_EINVAL;
    // Its contents are being checked right now: it refers to itself.
    if (type >= <u32>PGT_L1 && (bits & PAGE_VALIDATED) == 0) return -XEN_EINVAL;
    store<u32>(ptr, bits + 1);
    return 0;
  }
  if (type == PGT_WRITABLE) {
    if ((bits & PAGE_READ_ONLY) != 0) return -XEN_EINVAL;
  } else {
    if ((bits & PAGE_OWNED) == 0) return -XEN_EINVAL;
    // No entry maps it writable any more; translations made while one did may still be cached.
    if (pageType(bits) == PGT_WRITABLE) {
      charge(v, COST_EVERYTHING);
      dropWritesTo(frameForRead(guest, mfn));
    }
  }
  store<u32>(ptr, (bits & PAGE_OWNER_MASK) | use | 1);
  if (type < <u32>PGT_L1) return 0;
  const error = validate(v, mfn, type, flags);
  const now = load<u32>(ptr);
  store<u32>(ptr, error == 0 ? now | PAGE_VALIDATED : now & PAGE_OWNER_MASK);
  return error;
}

/** Drops a type reference; the last one of a page table gives back what its entries hold. */
export function putPageType(v: usize, mfn: u32): void {
  const ptr = typeWord(load<usize>(v, VCPU_GUEST), mfn);
  const bits = load<u32>(ptr);
  if (typeCount(bits) > 1) {
    store<u32>(ptr, bits - 1);
    return;
  }
  if ((bits & PAGE_VALIDATED) != 0) devalidate(v, mfn, pageType(bits), bits & PAGE_XEN_L2);
  // The type stays: who asks for the same again need not drop cached translations.
  store<u32>(ptr, load<u32>(ptr) & ~(PAGE_VALIDATED | PAGE_LINEAR | PAGE_COUNT_MASK));
}

/** A reference and a type reference in one. */
export function getPageAndType(v: usize, mfn: u32, type: u32, flags: u32 = 0): i32 {
  const error = getPageType(v, mfn, type, flags);
  if (error == 0) addRef(load<usize>(v, VCPU_GUEST), mfn);
  return error;
}
export function putPageAndType(v: usize, mfn: u32): void {
  putPageType(v, mfn);
  putPage(load<usize>(v, VCPU_GUEST), mfn);
}

function validate(v: usize, mfn: u32, type: u32, flags: u32): i32 {
  charge(v, COST_TABLE);
  if (type == PGT_SEG_DESC) return fixDescriptorPage(v, mfn);
  const slots = slotsOf(type, flags);
  const guest = load<usize>(v, VCPU_GUEST);
  const frame = frameForRead(guest, mfn);
  for (let slot: u32 = 0; slot < slots; slot++) {
    if (type == PGT_L1) slot = takeEntries(guest, frame, slot);
    if (slot == slots) break;
    const entry = frame + (slot << 3);
    const error = getEntry(v, type, mfn, slot, load<u32>(entry), load<u32>(entry, 4));
    if (error == 0) continue;
    release(v, mfn, type, slot);
    return error;
  }
  if (type == PGT_L3) return finishL3(v, mfn, frame);
  return flags == 0 ? 0 : writeXenSlots(v, mfn);
}

function slotsOf(type: u32, flags: u32): u32 {
  if (type == PGT_L3) return L3_SLOTS;
  return flags == PAGE_XEN_L2 ? L2_FIRST_XEN_SLOT : ENTRIES;
}

/** The last slot must lead to a table of its own, and what the guest has past the four entries is cleared. */
function finishL3(v: usize, mfn: u32, frame: usize): i32 {
  const guest = load<usize>(v, VCPU_GUEST);
  const entry = frame + (XEN_L3_SLOT << 3);
  const low = load<u32>(entry);
  const last = entryMfn(low, load<u32>(entry, 4));
  if ((low & PTE_P) == 0 || typeCount(typeOf(guest, last)) != 1) {
    release(v, mfn, PGT_L3, L3_SLOTS);
    return -XEN_EINVAL;
  }
  for (let slot = L3_SLOTS; slot < ENTRIES; slot++) {
    if (load<u64>(frame + (slot << 3)) == 0) continue;
    const own = physicalForWrite(v, mfn << 12, FRAME_BYTES);
    memory.fill(own + (L3_SLOTS << 3), 0, FRAME_BYTES - (L3_SLOTS << 3));
    break;
  }
  return 0;
}
const FRAME_BYTES: u32 = 0x1000;

/** Xen's own part of the last GiB: the machine-to-physical table, read-only and for the kernel alone. */
function writeXenSlots(v: usize, mfn: u32): i32 {
  const ptr = physicalForWrite(v, mfn << 12, FRAME_BYTES);
  if (ptr == 0) return -XEN_EINVAL;
  const tables = load<u32>(load<usize>(v, VCPU_GUEST), GUEST_M2P_TABLES_MFN);
  const start = ptr + (L2_FIRST_XEN_SLOT << 3);
  memory.fill(start, 0, (ENTRIES - L2_FIRST_XEN_SLOT) << 3);
  for (let i: u32 = 0; i < <u32>XEN_M2P_TABLES; i++) {
    store<u64>(start + (i << 3), <u64>(((tables + i) << 12) | PTE_P | PTE_A));
  }
  return 0;
}

function devalidate(v: usize, mfn: u32, type: u32, flags: u32): void {
  if (type == PGT_SEG_DESC) return;
  charge(v, COST_TABLE);
  release(v, mfn, type, slotsOf(type, flags));
  tablesChanged(load<usize>(v, VCPU_GUEST));
}

/** Gives back what the first `slots` entries hold. */
function release(v: usize, mfn: u32, type: u32, slots: u32): void {
  const guest = load<usize>(v, VCPU_GUEST);
  const frame = frameForRead(guest, mfn);
  for (let slot: u32 = 0; slot < slots; slot++) {
    if (type == PGT_L1) slot = dropEntries(guest, frame, slot, slots);
    if (slot == slots) break;
    const entry = frame + (slot << 3);
    putEntry(v, type, mfn, load<u32>(entry), load<u32>(entry, 4));
  }
}

/**
 * Takes what an entry at `slot` of the page table `table` refers to.
 * @param type the table's: PGT_L1, PGT_L2 or PGT_L3 @returns 0 or a negative errno.
 */
export function getEntry(v: usize, type: u32, table: u32, slot: u32, low: u32, high: u32): i32 {
  if ((low & PTE_P) == 0) return 0;
  const mfn = entryMfn(low, high);
  if (type == PGT_L1) return getL1Entry(v, low, high);
  if (type == PGT_L2) return getL2Entry(v, table, mfn, low);
  if ((low & L3_FORBIDDEN) != 0 || (high & L3_FORBIDDEN_HIGH) != 0) return -XEN_EINVAL;
  return getPageAndType(v, mfn, PGT_L2, slot == XEN_L3_SLOT ? PAGE_XEN_L2 : 0);
}

function getL1Entry(v: usize, low: u32, high: u32): i32 {
  if (isBadL1(low, high)) return -XEN_EINVAL;
  // Pages of others are mapped by grant, not by writing an entry.
  const bits = typeOf(load<usize>(v, VCPU_GUEST), entryMfn(low, high));
  return (bits & PAGE_FOREIGN) != 0 ? -XEN_EBUSY : getL1Target(v, low, high);
}
function getL1Target(v: usize, low: u32, high: u32): i32 {
  if (isBadL1(low, high)) return -XEN_EINVAL;
  const guest = load<usize>(v, VCPU_GUEST);
  const mfn = entryMfn(low, high);
  if (!isKnown(typeOf(guest, mfn))) return refuseStranger(guest, low, high);
  if ((low & PTE_RW) != 0 && getPageType(v, mfn, PGT_WRITABLE) != 0) return -XEN_EBUSY;
  addRef(guest, mfn);
  return 0;
}
function getL2Entry(v: usize, table: u32, mfn: u32, low: u32): i32 {
  if ((low & L2_FORBIDDEN) != 0) return -XEN_EINVAL;
  const error = getPageAndType(v, mfn, PGT_L1);
  if (error == 0 || (low & PTE_RW) != 0) return error;
  // A directory may be looked at through itself or another one, if only to read.
  if (mfn == table) return 0;
  const guest = load<usize>(v, VCPU_GUEST);
  const bits = typeOf(guest, mfn);
  if (pageType(bits) != PGT_L2 || (bits & PAGE_VALIDATED) == 0) return error;
  if ((typeOf(guest, table) & PAGE_LINEAR) != 0 || hasLinearEntries(guest, mfn)) return error;
  const refused = getPageAndType(v, mfn, PGT_L2, bits & PAGE_XEN_L2);
  const ptr = typeWord(guest, mfn);
  if (refused == 0) store<u32>(ptr, load<u32>(ptr) | PAGE_LINEAR);
  return refused;
}
/** @returns true when the L2 table `mfn` has an entry for another one. */
function hasLinearEntries(guest: usize, mfn: u32): bool {
  const frame = frameForRead(guest, mfn);
  const slots = slotsOf(PGT_L2, typeOf(guest, mfn) & PAGE_XEN_L2);
  for (let slot: u32 = 0; slot < slots; slot++) {
    const low = load<u32>(frame + (slot << 3));
    const other = low >>> 12;
    if ((low & PTE_P) != 0 && other != mfn && pageType(typeOf(guest, other)) == PGT_L2) return true;
  }
  return false;
}

/** Gives back what an entry of the page table `table` refers to. */
export function putEntry(v: usize, type: u32, table: u32, low: u32, high: u32): void {
  if ((low & PTE_P) == 0) return;
  const mfn = entryMfn(low, high);
  if (type != PGT_L1) {
    if (mfn != table) putPageAndType(v, mfn);
    return;
  }
  if ((low & PTE_RW) != 0) putPageType(v, mfn);
  putPage(load<usize>(v, VCPU_GUEST), mfn);
}

/**
 * Replaces the entry at machine address `entryGpa` of a validated page table.
 * @param keepUsed keep the accessed and dirty bits that the entry has @returns 0 or a negative errno, nothing changed then.
 */
export function replaceEntry(
  v: usize,
  type: u32,
  entryGpa: u32,
  low: u32,
  high: u32,
  keepUsed: bool,
): i32 {
  const table = entryGpa >>> 12;
  const slot = (entryGpa >>> 3) & (ENTRIES - 1);
  const guest = load<usize>(v, VCPU_GUEST);
  const refused = checkSlot(typeOf(guest, table), type, slot);
  if (refused != 0) return refused;
  const frame = frameForRead(guest, table);
  const oldLow = load<u32>(frame + (slot << 3));
  const oldHigh = load<u32>(frame + (slot << 3), 4);
  const newLow = keepUsed && (low & PTE_P) != 0 ? low | (oldLow & (PTE_A | PTE_D)) : low;
  // The same frame with the same rights: no reference moves.
  const sameUse =
    (oldLow & newLow & PTE_P) != 0 &&
    ((oldLow ^ newLow) & REFERENCE_BITS) == 0 &&
    ((oldHigh ^ high) & FRAME_HIGH) == 0 &&
    (type == PGT_L1 ? !isBadL1(newLow, high) : (newLow & L2_FORBIDDEN) == 0) &&
    (type != PGT_L3 || (high & L3_FORBIDDEN_HIGH) == 0);
  if (!sameUse) {
    const error = getEntry(v, type, table, slot, newLow, high);
    if (error != 0) return error;
  }
  const ptr = physicalForWrite(v, entryGpa & ~7, 8);
  if (ptr == 0) return -XEN_EINVAL;
  store<u64>(ptr, ((<u64>high) << 32) | <u64>newLow);
  if (!sameUse) putEntry(v, type, table, oldLow, oldHigh);
  if ((oldLow & PTE_P) != 0) tablesChanged(guest);
  return 0;
}
/**
 * Replaces an entry of a page table of the lowest level by one that may map another domain's page.
 * @returns 0 or a negative errno, nothing changed then.
 */
export function replaceL1WithGranted(v: usize, entryGpa: u32, low: u32, high: u32): i32 {
  const guest = load<usize>(v, VCPU_GUEST);
  const entry = frameForRead(guest, entryGpa >>> 12) + (entryGpa & PAGE_OFFSET_MASK);
  const oldLow = load<u32>(entry);
  const oldHigh = load<u32>(entry, 4);
  if ((low & PTE_P) != 0) {
    const error = getL1Target(v, low, high);
    if (error != 0) return error;
  }
  const ptr = physicalForWrite(v, entryGpa, 8);
  if (ptr == 0) return -XEN_EINVAL;
  store<u64>(ptr, ((<u64>high) << 32) | <u64>low);
  putEntry(v, PGT_L1, 0, oldLow, oldHigh);
  if ((oldLow & PTE_P) != 0) tablesChanged(guest);
  return 0;
}

/** Slots that are not the guest's to change. */
function checkSlot(bits: u32, type: u32, slot: u32): i32 {
  if (type == PGT_L3 && slot >= XEN_L3_SLOT) return -XEN_EINVAL;
  if ((bits & PAGE_XEN_L2) != 0 && slot >= <u32>L2_FIRST_XEN_SLOT) return -XEN_EPERM;
  return 0;
}
