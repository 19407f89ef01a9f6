/**
 * The page walker: guest tables → guest frame and rights. Handles 2-level and PAE tables, the unpaged linear mode, PSE, NX, WP,
 * accessed and dirty bits, and the #PF error code. lguest's extra rules about table entries are checked here too.
 *
 * Source: SDM 3A, "32-Bit Paging", "PAE Paging", "Access Rights", "Page-Fault Exceptions".
 */

import { LGUEST_PDE_FLAGS, LGUEST_PDPTE_FLAGS } from "../../abi/lguest.ts";
import {
  FRAME_PTR_MASK,
  GUEST_LIMIT_FRAMES,
  GUEST_MMIO_END,
  GUEST_MMIO_START,
  KILL_BAD_PGD,
  KILL_BAD_PMD,
  KILL_BAD_PTE,
  PAGING_32,
  PAGING_NONE,
  POLICY_LGUEST,
  POLICY_XEN,
  VCPU_CR0,
  VCPU_CR3,
  VCPU_CR4,
  VCPU_EFER,
  VCPU_EVENT,
  VCPU_GUEST,
  VCPU_PAGING,
  VCPU_PDPTE,
  VCPU_POLICY,
} from "../../abi/vcpu.ts";
import {
  CR0_WP,
  CR4_PSE,
  CR4_SMAP,
  CR4_SMEP,
  EFER_NXE,
  PAE_FRAME_HIGH,
  PAE_RESERVED_HIGH,
  PFERR_FETCH,
  PFERR_PRESENT,
  PFERR_RESERVED,
  PFERR_USER,
  PFERR_WRITE,
  PTE_A,
  PTE_D,
  PTE_NX_HIGH,
  PTE_P,
  PTE_PS,
  PTE_RW,
  PTE_US,
} from "../../abi/x86.ts";
import { PAGE_MASK, PAGE_OFFSET_MASK } from "../layout.ts";
import { kill, raisePageFault } from "../state/faults.ts";
import { FrameTable } from "./frames.ts";
import { exhausted, hitsRunningCode, physicalForRead, physicalForWrite } from "./physical.ts";
import { ACCESS_FETCH, ACCESS_READ, ACCESS_WRITE } from "./shadow-fault.ts";

/** What a walk found: filled by the walk functions, read at once by their caller on the same thread. */
export class Leaf {
  /** Guest frame number, effective rights (RW, US, plus NX as bit 31), page-level dirty bit. */
  static gfn: u32 = 0;
  static rights: u32 = 0;
  static dirty: bool = false;
  /** The page is larger than 4 KiB. */
  static isLarge: bool = false;
  /** What the walk was asked: a supervisor access that CR4.SMAP keeps from user pages. */
  static isGuarded: bool = false;
}

/** The entries of tables, inline: a walk reads two or three of them, and nearly always from frames that exist. */
class TableEntry {
  /** @returns physicalForRead(). */
  @inline static at(v: usize, gpa: u32): usize {
    const known = FrameTable.peek(load<usize>(v, VCPU_GUEST), gpa >>> 12);
    if (known == 0) return physicalForRead(v, gpa);
    return (known & FRAME_PTR_MASK) + (gpa & PAGE_OFFSET_MASK);
  }
}

/**
 * Sets A and D bits in a table entry, as the processor does with a locked write.
 * @returns false when an event was recorded: memory is exhausted, or the entry lies in the code that is running.
 */
export function markEntry(v: usize, gpa: u32, bits: u32): bool {
  if (hitsRunningCode(v, gpa, 4)) return false;
  const ptr = physicalForWrite(v, gpa, 4);
  if (ptr == 0) {
    exhausted(v);
    return false;
  }
  atomic.or<u32>(ptr, bits);
  return true;
}

/**
 * Marks a directory entry that led to a mapped page. One whose walk ends in a fault below it stays as it is: the manual leaves that to
 * the processor (SDM 3A, "Accessed and Dirty Flags"), processors with a paging-structure cache mark it, the 386 and test386.asm do not.
 */
function markUsed(v: usize, entryGpa: u32, entry: u32, probe: bool): bool {
  return probe || (entry & PTE_A) != 0 || markEntry(v, entryGpa, PTE_A);
}

/** @returns true when `lin` may be accessed; else the fault (or the guest's death) is recorded, unless `probe`. */
export function walk(v: usize, lin: u32, access: u32, user: bool, probe: bool): bool {
  const paging = load<u32>(v, VCPU_PAGING);
  Leaf.isLarge = false;
  if (paging == PAGING_NONE) {
    Leaf.gfn = lin >>> 12;
    Leaf.rights = PTE_RW | PTE_US;
    Leaf.dirty = true;
    return true;
  }
  return paging == PAGING_32
    ? walk32(v, lin, access, user, probe)
    : walkPae(v, lin, access, user, probe);
}

/** Checks rights and finishes a walk: raises #PF or sets A and D. `entryGpa` is the entry that maps the page. */
function finish(
  v: usize,
  lin: u32,
  access: u32,
  user: bool,
  probe: bool,
  entryGpa: u32,
  entry: u32,
  rights: u32,
): bool {
  let bad = isRefused(v, access, user, rights);
  if (access == ACCESS_FETCH) {
    if ((rights & PTE_NX_HIGH) != 0 || (!user && isKeptOff(v, rights, CR4_SMEP))) bad = true;
  } else if (Leaf.isGuarded && isKeptOff(v, rights, CR4_SMAP)) bad = true;
  if (bad) return pageFault(v, lin, access, user, probe, PFERR_PRESENT);
  Leaf.rights = rights;
  Leaf.dirty = access == ACCESS_WRITE || (entry & PTE_D) != 0;
  if (!probe) {
    const want: u32 = access == ACCESS_WRITE ? PTE_A | PTE_D : PTE_A;
    if ((entry & want) != want) return markEntry(v, entryGpa, want);
  }
  return true;
}

/** @returns whether the entries' user and write bits forbid the access. */
function isRefused(v: usize, access: u32, user: bool, rights: u32): bool {
  if (user && (rights & PTE_US) == 0) return true;
  if (access != ACCESS_WRITE || (rights & PTE_RW) != 0) return false;
  return user || (load<u32>(v, VCPU_CR0) & CR0_WP) != 0;
}

/** @returns whether CR4 has `bit` and the page belongs to the user. */
export function isKeptOff(v: usize, rights: u32, bit: u32): bool {
  return (rights & PTE_US) != 0 && (load<u32>(v, VCPU_CR4) & bit) != 0;
}

function pageFault(v: usize, lin: u32, access: u32, user: bool, probe: bool, reason: u32): bool {
  if (probe) return false;
  let code: u32 = reason;
  if (access == ACCESS_WRITE) code |= PFERR_WRITE;
  if (user) code |= PFERR_USER;
  if (access == ACCESS_FETCH && (nxEnabled(v) || (load<u32>(v, VCPU_CR4) & CR4_SMEP) != 0)) {
    code |= PFERR_FETCH;
  }
  raisePageFault(v, lin, code);
  return false;
}

function nxEnabled(v: usize): bool {
  return load<u32>(v, VCPU_PAGING) != PAGING_32 && (load<u32>(v, VCPU_EFER) & EFER_NXE) != 0;
}

/** An entry that the guest's ABI forbids: it dies, or (probe) the page just is not there. */
function badEntry(v: usize, probe: bool, reason: u32, entry: u32): bool {
  if (!probe) kill(v, reason, entry);
  return false;
}

function walk32(v: usize, lin: u32, access: u32, user: bool, probe: bool): bool {
  const lguest = load<u32>(v, VCPU_POLICY) == POLICY_LGUEST;
  const pdeGpa = (load<u32>(v, VCPU_CR3) & PAGE_MASK) | ((lin >>> 20) & 0xffc);
  const pdePtr = TableEntry.at(v, pdeGpa);
  const pde: u32 = pdePtr == 0 ? 0 : load<u32>(pdePtr);
  if ((pde & PTE_P) == 0) return pageFault(v, lin, access, user, probe, 0);
  if (lguest) {
    if ((pde & PAGE_OFFSET_MASK & ~LGUEST_PDE_FLAGS) != 0)
      return badEntry(v, probe, KILL_BAD_PGD, pde);
  } else if ((pde & PTE_PS) != 0 && (load<u32>(v, VCPU_CR4) & CR4_PSE) != 0) {
    // Without PSE-36 in the CPU model, bits 13-21 of a 4 MiB entry are reserved.
    if ((pde & 0x003fe000) != 0) {
      return pageFault(v, lin, access, user, probe, PFERR_PRESENT | PFERR_RESERVED);
    }
    Leaf.isLarge = true;
    Leaf.gfn = ((pde & 0xffc00000) | (lin & 0x003ff000)) >>> 12;
    return finish(v, lin, access, user, probe, pdeGpa, pde, pde & (PTE_RW | PTE_US));
  }
  const pteGpa = (pde & PAGE_MASK) | ((lin >>> 10) & 0xffc);
  const ptePtr = TableEntry.at(v, pteGpa);
  const pte: u32 = ptePtr == 0 ? 0 : load<u32>(ptePtr);
  if ((pte & PTE_P) == 0) return pageFault(v, lin, access, user, probe, 0);
  const rights: u32 = pde & pte & (PTE_RW | PTE_US);
  if (lguest && isBadLguestPte(v, pte, pte >>> 12)) {
    return badLeaf(v, lin, access, user, probe, pte, rights);
  }
  Leaf.gfn = pte >>> 12;
  if (!finish(v, lin, access, user, probe, pteGpa, pte, rights)) return false;
  return markUsed(v, pdeGpa, pde, probe);
}

/** A page-table entry that lguest's guests may not have: the Host looks at it only for an access that its rights allow. */
function badLeaf(
  v: usize,
  lin: u32,
  access: u32,
  user: bool,
  probe: bool,
  pte: u32,
  rights: u32,
): bool {
  return isRefused(v, access, user, rights)
    ? pageFault(v, lin, access, user, probe, PFERR_PRESENT)
    : badEntry(v, probe, KILL_BAD_PTE, pte);
}

function isBadLguestPte(v: usize, pte: u32, gfn: u32): bool {
  const guest = load<usize>(v, VCPU_GUEST);
  if ((pte & PTE_PS) != 0) return true;
  return gfn >= load<u32>(guest, GUEST_LIMIT_FRAMES) && !isDeviceFrame(guest, gfn);
}
/** @returns whether a frame past the guest's memory is a device's. */
export function isDeviceFrame(guest: usize, gfn: u32): bool {
  return gfn >= load<u32>(guest, GUEST_MMIO_START) && gfn < load<u32>(guest, GUEST_MMIO_END);
}

/** Frame number of a 64-bit entry; frames past 4 GiB become one that no guest has. */
function paeFrame(low: u32, high: u32): u32 {
  const upper = high & PAE_FRAME_HIGH;
  return upper == 0 ? low >>> 12 : 0xfffff;
}

function walkPae(v: usize, lin: u32, access: u32, user: bool, probe: bool): bool {
  const policy = load<u32>(v, VCPU_POLICY);
  const lguest = policy == POLICY_LGUEST;
  const xen = policy == POLICY_XEN;
  let pdpteLow: u32;
  let pdpteHigh: u32;
  if (lguest || xen) {
    // lguest reads the guest's four entries afresh: a SET_PGD is all the notice there is. A Xen guest changes them one by one, too.
    const ptr = TableEntry.at(v, (load<u32>(v, VCPU_CR3) & ~31) | ((lin >>> 30) << 3));
    pdpteLow = ptr == 0 ? 0 : load<u32>(ptr);
    pdpteHigh = ptr == 0 ? 0 : load<u32>(ptr, 4);
  } else {
    const slot = v + ((lin >>> 30) << 3);
    pdpteLow = load<u32>(slot, VCPU_PDPTE);
    pdpteHigh = load<u32>(slot, VCPU_PDPTE + 4);
  }
  if ((pdpteLow & PTE_P) == 0) return pageFault(v, lin, access, user, probe, 0);
  if (lguest && (pdpteLow & PAGE_OFFSET_MASK & ~LGUEST_PDPTE_FLAGS) != 0) {
    return badEntry(v, probe, KILL_BAD_PGD, pdpteLow);
  }
  const nx = nxEnabled(v);
  // A Xen guest's entries were checked when they were written; what is left in the upper bits is its own.
  let reservedHigh: u32 = nx ? PAE_RESERVED_HIGH : PAE_RESERVED_HIGH | PTE_NX_HIGH;
  if (xen) reservedHigh = 0;

  const pdeGpa = (paeFrame(pdpteLow, pdpteHigh) << 12) | ((lin >>> 18) & 0xff8);
  const pdePtr = TableEntry.at(v, pdeGpa);
  const pdeLow: u32 = pdePtr == 0 ? 0 : load<u32>(pdePtr);
  const pdeHigh: u32 = pdePtr == 0 ? 0 : load<u32>(pdePtr, 4);
  if ((pdeLow & PTE_P) == 0) return pageFault(v, lin, access, user, probe, 0);
  if (lguest && (pdeLow & PAGE_OFFSET_MASK & ~LGUEST_PDE_FLAGS) != 0) {
    return badEntry(v, probe, KILL_BAD_PMD, pdeLow);
  }
  if ((pdeHigh & reservedHigh) != 0) {
    return pageFault(v, lin, access, user, probe, PFERR_PRESENT | PFERR_RESERVED);
  }
  if ((pdeLow & PTE_PS) != 0) {
    if ((pdeLow & 0x001fe000) != 0) {
      return pageFault(v, lin, access, user, probe, PFERR_PRESENT | PFERR_RESERVED);
    }
    Leaf.isLarge = true;
    Leaf.gfn = paeFrame((pdeLow & 0xffe00000) | (lin & 0x001ff000), pdeHigh);
    const rights = (pdeLow & (PTE_RW | PTE_US)) | (nx ? pdeHigh & PTE_NX_HIGH : 0);
    return finish(v, lin, access, user, probe, pdeGpa, pdeLow, rights);
  }

  const pteGpa = (paeFrame(pdeLow, pdeHigh) << 12) | ((lin >>> 9) & 0xff8);
  const ptePtr = TableEntry.at(v, pteGpa);
  const pteLow: u32 = ptePtr == 0 ? 0 : load<u32>(ptePtr);
  const pteHigh: u32 = ptePtr == 0 ? 0 : load<u32>(ptePtr, 4);
  if ((pteLow & PTE_P) == 0) return pageFault(v, lin, access, user, probe, 0);
  if (lguest && isBadLguestPte(v, pteLow, paeFrame(pteLow, pteHigh))) {
    return badLeaf(v, lin, access, user, probe, pteLow, pdeLow & pteLow & (PTE_RW | PTE_US));
  }
  if ((pteHigh & reservedHigh) != 0) {
    return pageFault(v, lin, access, user, probe, PFERR_PRESENT | PFERR_RESERVED);
  }
  Leaf.gfn = paeFrame(pteLow, pteHigh);
  const rights =
    (pdeLow & pteLow & (PTE_RW | PTE_US)) | (nx ? (pdeHigh | pteHigh) & PTE_NX_HIGH : 0);
  if (!finish(v, lin, access, user, probe, pteGpa, pteLow, rights)) return false;
  return markUsed(v, pdeGpa, pdeLow, probe);
}

/** @returns the guest-physical address `lin` maps to, or -1; changes nothing and records nothing. */
export function probe(v: usize, lin: u32, write: bool, user: bool): f64 {
  const event = load<u32>(v, VCPU_EVENT);
  Leaf.isGuarded = false;
  const ok = walk(v, lin, write ? ACCESS_WRITE : ACCESS_READ, user, true);
  store<u32>(v, event, VCPU_EVENT);
  return ok ? <f64>Leaf.gfn * 4096.0 + <f64>(lin & PAGE_OFFSET_MASK) : -1.0;
}
