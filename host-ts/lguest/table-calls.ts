/**
 * The calls about page tables, performed by the Host on the classic path. The TLB is the shadow, so most of them are TLB control;
 * what each must check, and in which order, is the same as in the core's own performance of it.
 */

import { LGUEST_KERNEL_CPL, LGUEST_PDPTE_FLAGS, LGUEST_STACK_PAGES_MAX } from "../../abi/lguest.ts";
import { PAGE_BITS, PAGE_BYTES } from "../../abi/memory.ts";
import {
  GUEST_LIMIT_FRAMES,
  GUEST_MMIO_END,
  GUEST_RAM_FRAMES,
  KILL_BAD_PAGE,
  KILL_BAD_PGD_INDEX,
  KILL_BAD_PMD_INDEX,
  KILL_BAD_PTE,
  KILL_BAD_SEGMENT,
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
  PDPT_ENTRIES,
  PTE_A,
  PTE_D,
  PTE_NX_HIGH,
  PTE_P,
  PTE_PS,
  TABLE_ENTRIES_32,
  TABLE_ENTRIES_PAE,
} from "../../abi/x86.ts";
import type { PersonalityHost } from "../base/personality.ts";
import { coreDeathText } from "./kill-reasons.ts";

function die(host: PersonalityHost, reason: number, ...args: number[]): void {
  host.kill(coreDeathText(reason, args));
}

/** NEW_PGTABLE: loads CR3. The first time it ends the linear mode; whether the guest uses PAE shows in its first table. */
export function newPageTable(host: PersonalityHost, top: number): void {
  const { core, vcpu, guest } = host;
  if (top >>> PAGE_BITS >= core.cell(guest + GUEST_RAM_FRAMES)) {
    die(host, KILL_BAD_PAGE, top >>> PAGE_BITS);
    return;
  }
  if (vcpu.u32(VCPU_PAGING) === PAGING_NONE) {
    if (vcpu.u32(VCPU_LG_PAE) === LG_PAE_AUTO) {
      vcpu.setU32(VCPU_LG_PAE, looksLikePdpt(host, top) ? LG_PAE_ON : LG_PAE_OFF);
    }
    vcpu.setU32(VCPU_PAGING, isPae(host) ? PAGING_PAE : PAGING_32);
    vcpu.setU32(VCPU_CR0, vcpu.u32(VCPU_CR0) | CR0_PG);
    if (isPae(host)) vcpu.setU32(VCPU_CR4, vcpu.u32(VCPU_CR4) | CR4_PAE);
  }
  vcpu.setU32(VCPU_CR3, top);
  core.exports.activateDirectory(vcpu.ptr);
}

function isPae({ vcpu }: PersonalityHost): boolean {
  return vcpu.u32(VCPU_LG_PAE) === LG_PAE_ON;
}

/** Four 64-bit entries, at least one present, and the present ones carry no other flag. */
function looksLikePdpt({ memory }: PersonalityHost, top: number): boolean {
  let hasPresent = false;
  for (let index = 0; index < PDPT_ENTRIES; index++) {
    const low = memory.readU32(((top & ~31) >>> 0) + 8 * index);
    const high = memory.readU32(((top & ~31) >>> 0) + 8 * index + 4);
    if ((low & PTE_P) === 0) {
      if (low !== 0 || high !== 0) return false;
      continue;
    }
    if ((low & (PAGE_BYTES - 1)) !== LGUEST_PDPTE_FLAGS || high !== 0) return false;
    hasPresent = true;
  }
  return hasPresent;
}

/** FLUSH_TLB: the current directory, or all of them. */
export function flushTlb({ core, vcpu }: PersonalityHost, all: number): void {
  if (all === 0) core.exports.flushDirectory(vcpu.ptr, vcpu.u32(VCPU_CR3));
  else core.exports.flushAll(vcpu.ptr);
}

/** SET_PTE: the guest changed one entry, with its high half under PAE. A `pte` of 0 only says "look again". */
export function setPte(
  host: PersonalityHost,
  top: number,
  lin: number,
  pte: number,
  pteHigh: number,
): void {
  const { core, vcpu, guest } = host;
  const switcher = vcpu.u32(VCPU_LG_SWITCHER);
  if (switcher !== 0 && lin >= switcher) {
    die(host, KILL_SWITCHER_PTE, lin);
    return;
  }
  const isKernel = lin >= vcpu.u32(VCPU_LG_KERNEL);
  // lguest fills an entry in at once, and so looks at it, when the table is known and the entry was used before.
  const wasUsed = (pte & PTE_P) !== 0 && (pte & (PTE_A | PTE_D)) !== 0;
  if (wasUsed && (isKernel || core.exports.knowsDirectory(vcpu.ptr, top) !== 0)) {
    const gfn = pte >>> PAGE_BITS;
    const isAbove4GiB = isPae(host) && (pteHigh & ~PTE_NX_HIGH) !== 0;
    const isNowhere =
      gfn >= core.cell(guest + GUEST_LIMIT_FRAMES) && gfn >= core.cell(guest + GUEST_MMIO_END);
    if ((pte & PTE_PS) !== 0 || isAbove4GiB || isNowhere) {
      die(host, KILL_BAD_PTE, pte);
      return;
    }
    core.exports.shadowPage(vcpu.ptr, top, isKernel ? 1 : 0, lin, pte);
    return;
  }
  if (isKernel) core.exports.flushPage(vcpu.ptr, lin);
  else core.exports.flushPageIn(vcpu.ptr, top, lin);
}

/** SET_PGD: the guest changed one top-level entry: what hangs under it is forgotten, where the table is known at all. */
export function setPgd(host: PersonalityHost, top: number, index: number): void {
  const entries = isPae(host) ? PDPT_ENTRIES : TABLE_ENTRIES_32;
  if (index >= entries) die(host, KILL_BAD_PGD_INDEX, index, entries);
  else host.core.exports.flushDirectory(host.vcpu.ptr, top);
}

/** SET_PMD: any directory may share the table, so everything is forgotten. */
export function setPmd(host: PersonalityHost, _table: number, index: number): void {
  if (index >= TABLE_ENTRIES_PAE) die(host, KILL_BAD_PMD_INDEX, index);
  else host.core.exports.flushAll(host.vcpu.ptr);
}

/** SET_STACK: remembers the stack for traps from user mode; lguest insists that its pages are mapped writable. */
export function setStack(host: PersonalityHost, ss: number, esp: number, pages: number): void {
  const { core, vcpu } = host;
  if ((ss & 3) !== LGUEST_KERNEL_CPL) {
    die(host, KILL_BAD_SEGMENT, ss);
    return;
  }
  if (pages > LGUEST_STACK_PAGES_MAX) {
    die(host, KILL_BAD_STACK_PAGES, pages);
    return;
  }
  for (let page = 0; page < pages; page++) {
    if (core.exports.pinPage(vcpu.ptr, (esp - 1 - (page << PAGE_BITS)) >>> 0) === 0) {
      host.killFromCore();
      return;
    }
  }
  vcpu.setU32(VCPU_LG_STACK_SS, ss);
  vcpu.setU32(VCPU_LG_STACK_ESP, esp);
}

/** TS: CR0.TS as the guest has it. */
export function setTaskSwitched({ vcpu }: PersonalityHost, isSet: number): void {
  const cr0 = vcpu.u32(VCPU_CR0);
  vcpu.setU32(VCPU_CR0, isSet !== 0 ? cr0 | CR0_TS : cr0 & ~CR0_TS);
}
