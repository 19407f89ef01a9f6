/**
 * Tables that stay page tables: pinned ones, and the one in use. Source: Xen's public xen.h, "MMUEXT_PIN_*" and "MMUEXT_NEW_BASEPTR".
 * Errors are negative errno values.
 */
import { PAGING_NONE, PAGING_PAE, VCPU_CR3, VCPU_GUEST, VCPU_PAGING } from "../../abi/vcpu.ts";
import { XEN_EINVAL } from "../../abi/xen.ts";
import { PAGE_OWNED, PAGE_PINNED, PGT_L3 } from "../../abi/xen-memory.ts";
import { flushCurrentDirectory, switchDirectory } from "../mmu/tlb.ts";
import { COST_DIRECTORY, charge } from "./cost.ts";
import { typeOf, typeWord } from "./page-info.ts";
import { getPageAndType, putPageAndType } from "./page-types.ts";
import { dropLdt } from "./segments.ts";

/** Keeps `mfn` a page table of PGT_* whatever refers to it. @returns 0, or -EINVAL: no such table, or pinned already. */
export function pinTable(v: usize, mfn: u32, type: u32): i32 {
  const guest = load<usize>(v, VCPU_GUEST);
  if ((typeOf(guest, mfn) & PAGE_OWNED) == 0) return -XEN_EINVAL;
  const error = getPageAndType(v, mfn, type);
  if (error != 0) return error;
  const ptr = typeWord(guest, mfn);
  if ((load<u32>(ptr) & PAGE_PINNED) != 0) {
    putPageAndType(v, mfn);
    return -XEN_EINVAL;
  }
  store<u32>(ptr, load<u32>(ptr) | PAGE_PINNED);
  return 0;
}

/** Takes a pin back. @returns 0, or -EINVAL when the frame is not pinned. */
export function unpinTable(v: usize, mfn: u32): i32 {
  const ptr = typeWord(load<usize>(v, VCPU_GUEST), mfn);
  if (ptr == 0 || (load<u32>(ptr) & PAGE_PINNED) == 0) return -XEN_EINVAL;
  store<u32>(ptr, load<u32>(ptr) & ~PAGE_PINNED);
  putPageAndType(v, mfn);
  return 0;
}

/** Makes `mfn` the page-directory-pointer table in use, checking it if need be. @returns 0 or -EINVAL, the old one stays then. */
export function newBasePointer(v: usize, mfn: u32): i32 {
  const old = load<u32>(v, VCPU_CR3) >>> 12;
  const wasPaging = load<u32>(v, VCPU_PAGING) == PAGING_PAE;
  if (!wasPaging || mfn != old) {
    const error = getPageAndType(v, mfn, PGT_L3);
    if (error != 0) return error;
    if (wasPaging) putPageAndType(v, old);
  }
  store<u32>(v, PAGING_PAE, VCPU_PAGING);
  store<u32>(v, mfn << 12, VCPU_CR3);
  dropLdt(v);
  charge(v, COST_DIRECTORY);
  switchDirectory(v);
  if (mfn == old) flushCurrentDirectory(v);
  return 0;
}

/** Gives the table in use back: the vCPU is gone, or starts over. */
export function dropBasePointer(v: usize): void {
  if (load<u32>(v, VCPU_PAGING) != PAGING_PAE) return;
  putPageAndType(v, load<u32>(v, VCPU_CR3) >>> 12);
  store<u32>(v, 0, VCPU_CR3);
  store<u32>(v, PAGING_NONE, VCPU_PAGING);
}
