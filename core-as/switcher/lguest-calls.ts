/** The lguest hypercalls that only touch page tables, descriptors, flags or the TLB, as the core performs them. */

import {
  LGUEST_GATE_HIGH_MASK,
  LGUEST_GDT_ENTRIES,
  LGUEST_GDT_IGNORED,
  LGUEST_IDT_IGNORED,
  LGUEST_KERNEL_CPL,
  LGUEST_PDPTE_FLAGS,
  LGUEST_STACK_PAGES_MAX,
  LGUEST_TLS_ENTRIES,
  LGUEST_TLS_FIRST,
  LHCALL_COUNT,
  LHCALL_FLUSH_ASYNC,
  LHCALL_FLUSH_TLB,
  LHCALL_LOAD_GDT_ENTRY,
  LHCALL_LOAD_IDT_ENTRY,
  LHCALL_LOAD_TLS,
  LHCALL_NEW_PGTABLE,
  LHCALL_SET_PGD,
  LHCALL_SET_PMD,
  LHCALL_SET_PTE,
  LHCALL_SET_STACK,
  LHCALL_TS,
} from "../../abi/lguest.ts";
import {
  COUNTER_CORE_CALLS,
  EVENT_NONE,
  GUEST_LIMIT_FRAMES,
  GUEST_MMIO_END,
  GUEST_RAM_FRAMES,
  HELD_GATE_PRESENT,
  KILL_BAD_GDT_INDEX,
  KILL_BAD_IDT_TYPE,
  KILL_BAD_IDT_VECTOR,
  KILL_BAD_PAGE,
  KILL_BAD_PGD_INDEX,
  KILL_BAD_PMD_INDEX,
  KILL_BAD_PTE,
  KILL_BAD_SEGMENT,
  KILL_BAD_STACK_PAGE,
  KILL_BAD_STACK_PAGES,
  KILL_SWITCHER_PTE,
  LG_PAE_AUTO,
  LG_PAE_OFF,
  LG_PAE_ON,
  PAGING_32,
  PAGING_NONE,
  PAGING_PAE,
  VCPU_CR0,
  VCPU_CR3,
  VCPU_CR4,
  VCPU_EVENT,
  VCPU_GUEST,
  VCPU_HELD_GDT,
  VCPU_HELD_IDT,
  VCPU_LG_KERNEL,
  VCPU_LG_PAE,
  VCPU_LG_STACK_ESP,
  VCPU_LG_STACK_SS,
  VCPU_LG_SWITCHER,
  VCPU_PAGING,
} from "../../abi/vcpu.ts";
import {
  CR0_PG,
  CR0_TS,
  CR4_PAE,
  DESC_ACCESSED_HIGH,
  DESC_DPL_HIGH,
  DESC_DPL_HIGH_SHIFT,
  PDPT_ENTRIES,
  PTE_A,
  PTE_D,
  PTE_NX_HIGH,
  PTE_P,
  PTE_PS,
  SYSDESC_INT_GATE32,
  SYSDESC_TRAP_GATE32,
  TABLE_ENTRIES_32,
  TABLE_ENTRIES_PAE,
  VECTOR_NMI,
} from "../../abi/x86.ts";
import { PAGE_OFFSET_MASK } from "../layout.ts";
import { translateSystemWrite } from "../mmu/access.ts";
import { clearEvent } from "../mmu/fill.ts";
import { canReadPhysical, readPhysical } from "../mmu/physical.ts";
import {
  flushAllTranslations,
  flushCurrentDirectory,
  flushDirectory,
  flushPageEverywhere,
  flushPageOf,
  knowsDirectory,
  switchDirectory,
} from "../mmu/tlb.ts";
import { kill } from "../state/faults.ts";
import { count } from "../state/vcpu.ts";

/** What a call led to. */
export const CALL_DONE: u32 = 0;
export const CALL_STOPPED: u32 = 1;
export const CALL_FOR_HOST: u32 = 2;

/** Performs a call that the core knows. @returns CALL_*. */
export function perform(v: usize, number: u32, a1: u32, a2: u32, a3: u32, a4: u32): u32 {
  switch (number) {
    case LHCALL_FLUSH_ASYNC:
      break;
    case LHCALL_NEW_PGTABLE: {
      newPageTable(v, a1);
      break;
    }
    case LHCALL_FLUSH_TLB: {
      if (a1 == 0) flushCurrentDirectory(v);
      else flushAllTranslations(v);
      break;
    }
    case LHCALL_LOAD_IDT_ENTRY: {
      loadIdtEntry(v, a1, a2, a3);
      break;
    }
    case LHCALL_SET_STACK: {
      setStack(v, a1, a2, a3);
      break;
    }
    case LHCALL_TS: {
      const cr0 = load<u32>(v, VCPU_CR0);
      store<u32>(v, a1 != 0 ? cr0 | CR0_TS : cr0 & ~CR0_TS, VCPU_CR0);
      break;
    }
    case LHCALL_SET_PMD: {
      if (a2 >= <u32>TABLE_ENTRIES_PAE) kill(v, KILL_BAD_PMD_INDEX, a2);
      else flushAllTranslations(v);
      break;
    }
    case LHCALL_SET_PTE: {
      setPte(v, a1, a2, a3, a4);
      break;
    }
    case LHCALL_SET_PGD: {
      setPgd(v, a1, a2);
      break;
    }
    case LHCALL_LOAD_TLS: {
      loadTls(v, a1);
      break;
    }
    case LHCALL_LOAD_GDT_ENTRY: {
      if (a1 >= <u32>LGUEST_GDT_ENTRIES) kill(v, KILL_BAD_GDT_INDEX, a1);
      else setDescriptor(v, a1, a2, a3);
      break;
    }
    default:
      return CALL_FOR_HOST;
  }
  if (load<u32>(v, VCPU_EVENT) != EVENT_NONE) return CALL_STOPPED;
  if (number < <u32>LHCALL_COUNT) count(v, COUNTER_CORE_CALLS + number * 8);
  return CALL_DONE;
}

/** Loads CR3. The first time it ends the linear 1:1 mode; whether the guest uses PAE shows in its first table. */
function newPageTable(v: usize, top: u32): void {
  const guest = load<usize>(v, VCPU_GUEST);
  if (top >>> 12 >= load<u32>(guest, GUEST_RAM_FRAMES)) {
    kill(v, KILL_BAD_PAGE, top >>> 12);
    return;
  }
  if (load<u32>(v, VCPU_PAGING) == PAGING_NONE) {
    if (load<u32>(v, VCPU_LG_PAE) == LG_PAE_AUTO) {
      store<u32>(v, looksLikePdpt(v, top) ? LG_PAE_ON : LG_PAE_OFF, VCPU_LG_PAE);
    }
    store<u32>(v, isPae(v) ? PAGING_PAE : PAGING_32, VCPU_PAGING);
    store<u32>(v, load<u32>(v, VCPU_CR0) | CR0_PG, VCPU_CR0);
    if (isPae(v)) store<u32>(v, load<u32>(v, VCPU_CR4) | CR4_PAE, VCPU_CR4);
  }
  store<u32>(v, top, VCPU_CR3);
  switchDirectory(v);
}

function isPae(v: usize): bool {
  return load<u32>(v, VCPU_LG_PAE) == LG_PAE_ON;
}

/**
 * A page-directory-pointer table: four 64-bit entries of which at least one is present, and the present ones carry no other flag. A 2-level
 * directory whose first 32 MiB are mapped (it holds the running code, 1:1) sets RW and A there; the option `pae` overrides the guess.
 */
function looksLikePdpt(v: usize, top: u32): bool {
  let present = false;
  for (let i: u32 = 0; i < <u32>PDPT_ENTRIES; i++) {
    const entry = readPhysical<u64>(v, (top & ~31) + i * 8);
    if ((entry & PTE_P) == 0) {
      if (entry != 0) return false;
      continue;
    }
    if ((entry & PAGE_OFFSET_MASK) != LGUEST_PDPTE_FLAGS || entry >> 32 != 0) return false;
    present = true;
  }
  return present;
}

/** The guest changed one entry, with its high half under PAE. A `pte` of 0 only says "look again". */
function setPte(v: usize, top: u32, lin: u32, pte: u32, pteHigh: u32): void {
  const switcher = load<u32>(v, VCPU_LG_SWITCHER);
  if (switcher != 0 && lin >= switcher) {
    kill(v, KILL_SWITCHER_PTE, lin);
    return;
  }
  const isKernel = lin >= load<u32>(v, VCPU_LG_KERNEL);
  // lguest looks at an entry when it fills it in at once, that is when the table is known and the entry was used before.
  if ((pte & PTE_P) != 0 && (pte & (PTE_A | PTE_D)) != 0) {
    const limit = load<u32>(load<usize>(v, VCPU_GUEST), GUEST_LIMIT_FRAMES);
    const gfn = pte >>> 12;
    const isAbove4GiB = isPae(v) && (pteHigh & ~PTE_NX_HIGH) != 0;
    const isBad = (pte & PTE_PS) != 0 || isAbove4GiB || (gfn >= limit && gfn >= deviceEnd(v));
    if (isBad && (isKernel || knowsDirectory(v, top))) {
      kill(v, KILL_BAD_PTE, pte);
      return;
    }
  }
  if (isKernel) flushPageEverywhere(v, lin);
  else flushPageOf(v, top, lin);
}
function deviceEnd(v: usize): u32 {
  return load<u32>(load<usize>(v, VCPU_GUEST), GUEST_MMIO_END);
}

/** The guest changed one top-level entry: what hangs under it is forgotten, where the table is known at all. */
function setPgd(v: usize, top: u32, index: u32): void {
  const entries: u32 = isPae(v) ? PDPT_ENTRIES : TABLE_ENTRIES_32;
  if (index >= entries) {
    kill(v, KILL_BAD_PGD_INDEX, index, entries);
    return;
  }
  flushDirectory(v, top);
}

/** Remembers the stack for traps from user mode; lguest insists that its pages are mapped writable. */
function setStack(v: usize, ss: u32, esp: u32, pages: u32): void {
  if ((ss & 3) != LGUEST_KERNEL_CPL) {
    kill(v, KILL_BAD_SEGMENT, ss);
    return;
  }
  if (pages > <u32>LGUEST_STACK_PAGES_MAX) {
    kill(v, KILL_BAD_STACK_PAGES, pages);
    return;
  }
  for (let i: u32 = 0; i < pages; i++) {
    if (!pinPage(v, esp - 1 - (i << 12))) return;
  }
  store<u32>(v, ss, VCPU_LG_STACK_SS);
  store<u32>(v, esp, VCPU_LG_STACK_ESP);
}

/** @returns true when the guest kernel may write at `lin`; else the guest is killed, because its stack is not there. */
export function pinPage(v: usize, lin: u32): bool {
  if (translateSystemWrite(v, lin, 1) != 0) return true;
  clearEvent(v);
  kill(v, KILL_BAD_STACK_PAGE, lin);
  return false;
}

/** Stores a descriptor with lguest's fix-ups: no ring 0, and always accessed. Some entries are the Host's own. */
function setDescriptor(v: usize, index: u32, low: u32, high: u32): void {
  if (((LGUEST_GDT_IGNORED >>> index) & 1) != 0) return;
  const p = v + (index << 3);
  let fixed = high | DESC_ACCESSED_HIGH;
  if ((fixed & DESC_DPL_HIGH) == 0) fixed |= LGUEST_KERNEL_CPL << DESC_DPL_HIGH_SHIFT;
  store<u32>(p, low, VCPU_HELD_GDT);
  store<u32>(p, fixed, VCPU_HELD_GDT + 4);
}

function loadTls(v: usize, gpa: u32): void {
  if (!canReadPhysical(v, gpa, LGUEST_TLS_ENTRIES * 8)) return;
  for (let i: u32 = 0; i < <u32>LGUEST_TLS_ENTRIES; i++) {
    const low = readPhysical<u32>(v, gpa + i * 8);
    setDescriptor(v, LGUEST_TLS_FIRST + i, low, readPhysical<u32>(v, gpa + i * 8 + 4));
  }
}

/** Vectors the Host keeps are ignored before anything is checked. */
function loadIdtEntry(v: usize, vector: u32, low: u32, high: u32): void {
  if (vector < 32 && ((LGUEST_IDT_IGNORED >>> vector) & 1) != 0) return;
  if (vector > 255) {
    kill(v, KILL_BAD_IDT_VECTOR, vector);
    return;
  }
  const gate = v + (vector << 3);
  if ((high & HELD_GATE_PRESENT) == 0) {
    store<u64>(gate, 0, VCPU_HELD_IDT);
    return;
  }
  const type = (high >>> 8) & 15;
  if (type != SYSDESC_INT_GATE32 && type != SYSDESC_TRAP_GATE32) {
    // The original took no gate for NMIs and looked at none of them: one that cannot be used is none.
    if (vector == VECTOR_NMI) store<u64>(gate, 0, VCPU_HELD_IDT);
    else kill(v, KILL_BAD_IDT_TYPE, type);
    return;
  }
  store<u32>(gate, low, VCPU_HELD_IDT);
  store<u32>(gate, high & LGUEST_GATE_HIGH_MASK, VCPU_HELD_IDT + 4);
}
