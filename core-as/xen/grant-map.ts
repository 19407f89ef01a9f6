/**
 * Entries that map pages of other domains: made and changed by grant operations of the Host only.
 * Source: Xen's public grant_table.h, GNTTABOP_map_grant_ref. Errors are negative errno values.
 */
import { VCPU_GUEST } from "../../abi/vcpu.ts";
import { PTE_P } from "../../abi/x86.ts";
import { XEN_EINVAL } from "../../abi/xen.ts";
import { PAGE_FOREIGN, PGT_L1 } from "../../abi/xen-memory.ts";
import { frameForRead } from "../mmu/frames.ts";
import { l1EntryGpa } from "./mmu-update.ts";
import { pageType, typeCount, typeOf } from "./page-info.ts";
import { entryMfn, replaceL1WithGranted } from "./page-types.ts";

/** @returns true when `entryGpa` is an entry of a page table of the lowest level that is in use. */
export function isL1Entry(v: usize, entryGpa: u32): bool {
  const bits = typeOf(load<usize>(v, VCPU_GUEST), entryGpa >>> 12);
  return entryGpa != 0 && pageType(bits) == <u32>PGT_L1 && typeCount(bits) != 0;
}

/** Makes the entry at `entryGpa` (0: the one that maps `lin`) map a page of PAGE_FOREIGN, or any other. @returns 0 or -EINVAL. */
export function mapGranted(v: usize, entryGpa: u32, lin: u32, low: u32, high: u32): i32 {
  const at = entryGpa != 0 ? entryGpa & ~7 : l1EntryGpa(v, lin);
  return isL1Entry(v, at) ? replaceL1WithGranted(v, at, low, high) : -XEN_EINVAL;
}

/**
 * Replaces the entry at `entryGpa` (0: the one that maps `lin`) by another, if it maps `mfn` now. @returns 0 or -EINVAL.
 */
export function unmapGranted(
  v: usize,
  entryGpa: u32,
  lin: u32,
  mfn: u32,
  low: u32,
  high: u32,
): i32 {
  const at = entryGpa != 0 ? entryGpa & ~7 : l1EntryGpa(v, lin);
  if (!isL1Entry(v, at)) return -XEN_EINVAL;
  const guest = load<usize>(v, VCPU_GUEST);
  const entry = frameForRead(guest, at >>> 12) + (at & 0xfff);
  const mapped = entryMfn(load<u32>(entry), load<u32>(entry, 4));
  const isMapped = (load<u32>(entry) & PTE_P) != 0 && mapped == mfn;
  if (!isMapped || (typeOf(guest, mfn) & PAGE_FOREIGN) == 0) return -XEN_EINVAL;
  return replaceL1WithGranted(v, at, low, high);
}
