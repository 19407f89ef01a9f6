/**
 * From a walk to a TLB entry: guest frame → pool frame → what the privilege may do with it, and who may do the walk: the walker, or the
 * Host where the guest's policy says so.
 */
import {
  COUNTER_COW_BREAKS,
  COUNTER_TLB_FILLS,
  EVENT_MMIO,
  EVENT_NONE,
  FRAME_COW,
  FRAME_DIRTY,
  GUEST_LIMIT_FRAMES,
  KILL_BAD_PTE,
  KILL_XEN_BAD_TABLES,
  PAGING_NONE,
  PHASE_END,
  PHASE_REFLECT,
  PHASE_TRAP,
  PHASE_WALK,
  POLICY_LGUEST,
  POLICY_XEN,
  VCPU_CONTEXT,
  VCPU_CR0,
  VCPU_EFLAGS,
  VCPU_EVENT,
  VCPU_EXIT_ARG,
  VCPU_GUEST,
  VCPU_PAGING,
  VCPU_POLICY,
  VCPU_SHADOW_FAULTS,
} from "../../abi/vcpu.ts";
import {
  CR0_WP,
  CR4_SMAP,
  CR4_SMEP,
  EFLAGS_AC,
  PTE_D,
  PTE_NX_HIGH,
  PTE_RW,
  PTE_US,
} from "../../abi/x86.ts";
import {
  PAGE_MASK,
  PAGE_OFFSET_MASK,
  TLB_ADDEND,
  TLB_ENTRIES,
  TLB_ENTRY_SHIFT,
  TLB_EXEC,
  TLB_INVALID,
  TLB_READ,
  TLB_USER,
  TLB_WATCHED,
  TLB_WRITE,
} from "../layout.ts";
import { kill } from "../state/faults.ts";
import { notePhase } from "../state/phases.ts";
import { count } from "../state/vcpu.ts";
import { hasCode, noteWritable } from "./code-pages.ts";
import { frameEntry, frameForWrite, populateFrame } from "./frames.ts";
import { exhausted } from "./physical.ts";
import { ACCESS_WRITE, isGranted, shadowFault } from "./shadow-fault.ts";
import { flushGuestTranslations, isShadowed, noteLargePage, noteUsed } from "./tlb.ts";
import { isDeviceFrame, isKeptOff, Leaf, walk } from "./walker.ts";
import { isWatchedPage } from "./watch.ts";

/** fill() returns this (never a valid host pointer) for device memory: VCPU_EXIT_ARG holds the guest-physical address. */
export const FILL_MMIO: usize = 1;

/** @returns whether supervisor rights do not reach user pages: EFLAGS.AC lifts that, but not for accesses to system tables. */
function guards(v: usize, user: bool, system: bool): bool {
  return !user && (system || (load<u32>(v, VCPU_EFLAGS) & EFLAGS_AC) == 0);
}

/**
 * Walks the guest's tables for `lin` and fills the TLB of the given privilege; or leaves that to the Host, where the guest's policy says so.
 * What CR4.SMAP forbids supervisors is not cached for them: while EFLAGS.AC allows it, every access comes here.
 * @param system an access to a descriptor table or task state, made whatever the CPL, with supervisor rights
 * @returns the host pointer of the byte at `lin`; 0 when an event was recorded; FILL_MMIO for device memory.
 */
export function fill(v: usize, lin: u32, access: u32, user: bool, system: bool): usize {
  if (load<u32>(v, VCPU_SHADOW_FAULTS) != 0 && !isAllowed(v, lin, access, user)) {
    return shadowFault(v, lin, access, user);
  }
  Leaf.isGuarded = guards(v, user, system);
  notePhase(v, PHASE_WALK);
  if (!walk(v, lin, access, user, false)) {
    notePhase(v, PHASE_TRAP);
    return 0;
  }
  const ptr = install(v, lin, access, user);
  notePhase(v, PHASE_END);
  return ptr;
}

/** @returns whether the classic path's Host has said already what the guest's tables say of this access. */
function isAllowed(v: usize, lin: u32, access: u32, user: bool): bool {
  return isGranted(v, lin, access, user) || isShadowed(v, lin, access == ACCESS_WRITE, user);
}

/**
 * Fills the TLB from a walk that the Host made.
 * @param entry the entry that maps the page: effective PTE_RW and PTE_US, PTE_D, and PTE_NX_HIGH as it stands in the high half
 * @returns as fill() does.
 */
export function fillFrom(v: usize, lin: u32, access: u32, user: bool, gfn: u32, entry: u32): usize {
  Leaf.gfn = gfn;
  Leaf.rights = entry & (PTE_RW | PTE_US | PTE_NX_HIGH);
  Leaf.dirty = access == ACCESS_WRITE || (entry & PTE_D) != 0;
  Leaf.isLarge = false;
  return install(v, lin, access, user);
}

/** Enters what the walk found into the TLB. @returns as fill() does. */
function install(v: usize, lin: u32, access: u32, user: bool): usize {
  notePhase(v, PHASE_REFLECT);
  const guest = load<usize>(v, VCPU_GUEST);
  const gfn = Leaf.gfn;
  const entry = frameEntry(guest, gfn);
  if (entry == 0) {
    return gfn < load<u32>(guest, GUEST_LIMIT_FRAMES)
      ? <usize>exhausted(v)
      : outside(v, guest, gfn, lin);
  }
  let frame = populateFrame(guest, entry);
  if (frame == 0) return exhausted(v);
  if (access == ACCESS_WRITE) {
    if ((load<u32>(entry) & FRAME_COW) != 0) {
      frame = frameForWrite(guest, gfn);
      if (frame == 0) return exhausted(v);
      // Read translations of the shared frame may exist under any alias.
      count(v, COUNTER_COW_BREAKS);
      flushGuestTranslations(guest);
    } else store<u32>(entry, load<u32>(entry) | FRAME_DIRTY);
  }
  count(v, COUNTER_TLB_FILLS);
  if (Leaf.isLarge) noteLargePage(v, lin);
  const page = lin & PAGE_MASK;
  const slot =
    load<usize>(v, VCPU_CONTEXT) +
    (user ? <usize>TLB_USER : 0) +
    (((lin >>> 12) & (TLB_ENTRIES - 1)) << TLB_ENTRY_SHIFT);
  const rights = Leaf.rights;
  const mayWrite = (rights & PTE_RW) != 0 || (!user && (load<u32>(v, VCPU_CR0) & CR0_WP) == 0);
  const frameBits = load<u32>(entry);
  const isPaged = load<u32>(v, VCPU_PAGING) != PAGING_NONE;
  const isHidden = isWatchedPage(v, page) || (!user && isPaged && isKeptOff(v, rights, CR4_SMAP));
  const writable =
    !isHidden && mayWrite && Leaf.dirty && (frameBits & (FRAME_COW | FRAME_DIRTY)) == FRAME_DIRTY;
  const watchStores = hasCode(frame);
  if (writable) noteWritable(frame, watchStores);
  const writeTag: u32 = writable ? (watchStores ? page | TLB_WATCHED : page) : TLB_INVALID;
  noteUsed(slot);
  store<u32>(slot, isHidden ? TLB_INVALID : page, TLB_READ);
  store<u32>(slot, writeTag, TLB_WRITE);
  store<u32>(slot, frame - page, TLB_ADDEND);
  const isData =
    (rights & PTE_NX_HIGH) != 0 || (!user && isPaged && isKeptOff(v, rights, CR4_SMEP));
  store<u32>(slot, isData ? TLB_INVALID : page, TLB_EXEC);
  return frame + (lin & PAGE_OFFSET_MASK);
}

/** A frame that is not memory: device space, or (for a bare machine) the void, which the Host answers too. */
function outside(v: usize, guest: usize, gfn: u32, lin: u32): usize {
  const policy = load<u32>(v, VCPU_POLICY);
  if (policy == POLICY_LGUEST && !isDeviceFrame(guest, gfn)) {
    return kill(v, KILL_BAD_PTE, lin & PAGE_MASK);
  }
  if (policy == POLICY_XEN) return kill(v, KILL_XEN_BAD_TABLES, gfn);
  store<u32>(v, EVENT_MMIO, VCPU_EVENT);
  store<u32>(v, (gfn << 12) | (lin & PAGE_OFFSET_MASK), VCPU_EXIT_ARG);
  return FILL_MMIO;
}

/** Clears a recorded event: the caller found another way. */
export function clearEvent(v: usize): void {
  store<u32>(v, EVENT_NONE, VCPU_EVENT);
}
