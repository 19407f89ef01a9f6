/**
 * The switch positions of paging: what CR0.PG, CR3 and CR4.PAE together mean for VCPU_PAGING, the PDPTE registers and the TLBs.
 * Source: SDM 3A, "Paging Modes and Control Bits" and "PAE Paging" (PDPTE registers).
 */
import {
  PAGING_32,
  PAGING_NONE,
  PAGING_PAE,
  VCPU_CR0,
  VCPU_CR3,
  VCPU_CR4,
  VCPU_PAGING,
  VCPU_PDPTE,
} from "../../abi/vcpu.ts";
import { CR0_PG, CR4_PAE, PTE_P } from "../../abi/x86.ts";
import { physicalForRead } from "../mmu/physical.ts";
import { flushAllTranslations, flushCurrentDirectory, switchDirectory } from "../mmu/tlb.ts";

/** Bits of a present PDPTE that must be zero: 1, 2, 5-8, and in the high dword everything past 36 physical bits. */
const PDPTE_RESERVED: u32 = 0x1e6;
const PDPTE_RESERVED_HIGH: u32 = 0xfffffff0;
const PDPTE_COUNT: u32 = 4;

/** @returns PAGING_* for these register values. */
export function pagingMode(cr0: u32, cr4: u32): u32 {
  if ((cr0 & CR0_PG) == 0) return PAGING_NONE;
  return cr4 & CR4_PAE ? PAGING_PAE : PAGING_32;
}

/**
 * Loads the four PDPTE registers from the table at `cr3`. Memory that is not RAM reads as zero.
 * @returns false, with nothing changed, when a present entry has a reserved bit: the caller raises #GP(0).
 */
export function loadPdptes(v: usize, cr3: u32): bool {
  const table = physicalForRead(v, cr3 & ~31);
  for (let i: u32 = 0; table != 0 && i < PDPTE_COUNT; i++) {
    const low = load<u32>(table + i * 8);
    const high = load<u32>(table + i * 8, 4);
    const isBad = (low & PDPTE_RESERVED) != 0 || (high & PDPTE_RESERVED_HIGH) != 0;
    if ((low & PTE_P) != 0 && isBad) return false;
  }
  for (let i: u32 = 0; i < PDPTE_COUNT; i++) {
    store<u64>(v + i * 8, table == 0 ? 0 : load<u64>(table + i * 8), VCPU_PDPTE);
  }
  return true;
}

/** MOV to CR3 and the CR3 of a task: switches directories and drops what the new one had cached. @returns false for #GP(0). */
export function loadDirectory(v: usize, cr3: u32): bool {
  if (load<u32>(v, VCPU_PAGING) == PAGING_PAE && !loadPdptes(v, cr3)) return false;
  store<u32>(v, cr3, VCPU_CR3);
  switchDirectory(v);
  // The guest may have edited this directory's tables while another one was active, trusting this very load to flush.
  flushCurrentDirectory(v);
  return true;
}

/** After CR0, CR4 or EFER changed something that translations depend on: recomputes VCPU_PAGING and drops every translation. */
export function refreshPaging(v: usize): void {
  store<u32>(v, pagingMode(load<u32>(v, VCPU_CR0), load<u32>(v, VCPU_CR4)), VCPU_PAGING);
  flushAllTranslations(v);
  switchDirectory(v);
}
