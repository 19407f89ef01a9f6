/**
 * Entries that map pages of other domains: made and changed by grant operations of the Host only.
 * Source: Xen's public grant_table.h, GNTTABOP_map_grant_ref. Errors are negative errno values.
 */
import { VCPU_GUEST } from "../../abi/vcpu.ts";
import { PTE_P, PTE_RW } from "../../abi/x86.ts";
import { XEN_EINVAL } from "../../abi/xen.ts";
import { PGT_L1 } from "../../abi/xen-memory.ts";
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
 * Ends a mapping: the entry at `entryGpa` (0: the one that maps `lin`), if it maps `mfn` with these rights now, is cleared, or gets what the
 * entry of `newLin` (unless that is 0) has, which is cleared in any case.
 * @param rights PTE_RW or 0 @returns 0 or -EINVAL.
 */
export function unmapGranted(
  v: usize,
  entryGpa: u32,
  lin: u32,
  mfn: u32,
  rights: u32,
  newLin: u32,
): i32 {
  const from: u32 = newLin == 0 ? 0 : l1EntryGpa(v, newLin);
  if (newLin != 0 && !isL1Entry(v, from)) return -XEN_EINVAL;
  const at = entryGpa != 0 ? entryGpa & ~7 : l1EntryGpa(v, lin);
  const error = at != from && mapsSo(v, at, mfn, rights) ? carry(v, at, from) : -XEN_EINVAL;
  if (from != 0) replaceL1WithGranted(v, from, 0, 0);
  return error;
}

/** @returns true when the entry maps the frame with exactly these rights. */
function mapsSo(v: usize, at: u32, mfn: u32, rights: u32): bool {
  if (!isL1Entry(v, at)) return false;
  const entry = frameForRead(load<usize>(v, VCPU_GUEST), at >>> 12) + (at & 0xfff);
  const low = load<u32>(entry);
  if ((low & (PTE_P | PTE_RW)) != (rights | PTE_P)) return false;
  return entryMfn(low, load<u32>(entry, 4)) == mfn;
}

/** Makes the entry at `at` what the one at `from` is, or nothing. */
function carry(v: usize, at: u32, from: u32): i32 {
  if (from == 0) return replaceL1WithGranted(v, at, 0, 0);
  const entry = frameForRead(load<usize>(v, VCPU_GUEST), from >>> 12) + (from & 0xfff);
  return replaceL1WithGranted(v, at, load<u32>(entry), load<u32>(entry, 4));
}
