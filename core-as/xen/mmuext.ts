/**
 * mmuext_op: pinning, changing the base pointer, flushing, the LDT, clearing and copying pages.
 * Source: Xen's public xen.h, "HYPERVISOR_mmuext_op". Errors are negative errno values.
 */
import { VCPU_GUEST } from "../../abi/vcpu.ts";
import {
  MMUEXT_CLEAR_PAGE,
  MMUEXT_COPY_PAGE,
  MMUEXT_FLUSH_CACHE,
  MMUEXT_FLUSH_CACHE_GLOBAL,
  MMUEXT_INVLPG_ALL,
  MMUEXT_INVLPG_LOCAL,
  MMUEXT_INVLPG_MULTI,
  MMUEXT_MARK_SUPER,
  MMUEXT_NEW_BASEPTR,
  MMUEXT_NEW_USER_BASEPTR,
  MMUEXT_PIN_L1_TABLE,
  MMUEXT_PIN_L2_TABLE,
  MMUEXT_PIN_L3_TABLE,
  MMUEXT_PIN_L4_TABLE,
  MMUEXT_SET_LDT,
  MMUEXT_TLB_FLUSH_ALL,
  MMUEXT_TLB_FLUSH_LOCAL,
  MMUEXT_TLB_FLUSH_MULTI,
  MMUEXT_UNMARK_SUPER,
  MMUEXT_UNPIN_TABLE,
  XEN_EACCES,
  XEN_EINVAL,
  XEN_ENOSYS,
  XEN_EOPNOTSUPP,
} from "../../abi/xen.ts";
import { MMUEXT_ARG1, MMUEXT_ARG2 } from "../../abi/xen-layout.ts";
import { PAGE_OWNED, PGT_L1, PGT_L2, PGT_L3, PGT_WRITABLE } from "../../abi/xen-memory.ts";
import { frameForRead } from "../mmu/frames.ts";
import { physicalForWrite } from "../mmu/physical.ts";
import {
  ALL_VCPUS,
  flushCurrentDirectory,
  flushPageEverywhere,
  flushPageOfVcpus,
  flushVcpus,
} from "../mmu/tlb.ts";
import { COST_DIRECTORY, COST_EVERYTHING, COST_TABLE, charge } from "./cost.ts";
import { canRead, readGuest } from "./guest-access.ts";
import { typeOf } from "./page-info.ts";
import { getPageType, putPageType } from "./page-types.ts";
import { newBasePointer, pinTable, unpinTable } from "./pins.ts";
import { setLdt } from "./segments.ts";

const FRAME_BYTES: u32 = 0x1000;

/** Performs the operation of struct mmuext_op at linear address `lin`, which can be read. @returns 0 or a negative errno. */
export function extendedOperation(v: usize, lin: u32): i32 {
  const command = readGuest<u32>(v, lin);
  const arg1 = readGuest<u32>(v, lin + MMUEXT_ARG1);
  const arg2 = readGuest<u32>(v, lin + MMUEXT_ARG2);
  const guest = load<usize>(v, VCPU_GUEST);
  switch (command) {
    case MMUEXT_PIN_L1_TABLE:
      return pinTable(v, arg1, PGT_L1);
    case MMUEXT_PIN_L2_TABLE:
      return pinTable(v, arg1, PGT_L2);
    case MMUEXT_PIN_L3_TABLE:
      return pinTable(v, arg1, PGT_L3);
    // A guest without a fourth level has nothing to pin.
    case MMUEXT_PIN_L4_TABLE:
      return 0;
    case MMUEXT_UNPIN_TABLE:
      return unpinTable(v, arg1);
    case MMUEXT_NEW_BASEPTR:
      return newBasePointer(v, arg1);
    case MMUEXT_TLB_FLUSH_LOCAL:
      charge(v, COST_DIRECTORY);
      flushCurrentDirectory(v);
      return 0;
    case MMUEXT_INVLPG_LOCAL:
      flushPageEverywhere(v, arg1);
      return 0;
    case MMUEXT_TLB_FLUSH_MULTI:
    case MMUEXT_INVLPG_MULTI:
      // One word of the set: a domain has no more vCPUs than that.
      if (!canRead(v, arg2, 4)) return -XEN_EINVAL;
      return flush(v, readGuest<u32>(v, arg2), command == <u32>MMUEXT_TLB_FLUSH_MULTI, arg1);
    case MMUEXT_TLB_FLUSH_ALL:
    case MMUEXT_INVLPG_ALL:
      return flush(v, ALL_VCPUS, command == <u32>MMUEXT_TLB_FLUSH_ALL, arg1);
    // Only who has hardware may.
    case MMUEXT_FLUSH_CACHE:
      return -XEN_EACCES;
    case MMUEXT_FLUSH_CACHE_GLOBAL:
      return -XEN_EINVAL;
    case MMUEXT_SET_LDT:
      return setLdt(v, arg1, arg2);
    case MMUEXT_CLEAR_PAGE:
      return writePage(v, arg1, 0);
    case MMUEXT_COPY_PAGE: {
      if ((typeOf(guest, arg2) & PAGE_OWNED) == 0) return -XEN_EINVAL;
      return writePage(v, arg1, frameForRead(guest, arg2));
    }
    case MMUEXT_MARK_SUPER:
    case MMUEXT_UNMARK_SUPER:
      return -XEN_EOPNOTSUPP;
    case MMUEXT_NEW_USER_BASEPTR:
      return -XEN_EINVAL;
    default:
      return -XEN_ENOSYS;
  }
}

/** Drops translations of the vCPUs whose bits are set: all of them, or those of one page. */
function flush(v: usize, vcpus: u32, everything: bool, lin: u32): i32 {
  const guest = load<usize>(v, VCPU_GUEST);
  charge(v, everything ? COST_EVERYTHING : COST_DIRECTORY);
  if (everything) flushVcpus(guest, vcpus);
  else flushPageOfVcpus(guest, vcpus, lin);
  return 0;
}

/** Fills a page that may be written with another one's contents, or with zeros. */
function writePage(v: usize, mfn: u32, source: usize): i32 {
  const guest = load<usize>(v, VCPU_GUEST);
  if ((typeOf(guest, mfn) & PAGE_OWNED) == 0) return -XEN_EINVAL;
  charge(v, COST_TABLE);
  const error = getPageType(v, mfn, PGT_WRITABLE);
  if (error != 0) return error;
  const ptr = physicalForWrite(v, mfn << 12, FRAME_BYTES);
  if (ptr != 0) {
    if (source == 0) memory.fill(ptr, 0, FRAME_BYTES);
    else memory.copy(ptr, source, FRAME_BYTES);
  }
  putPageType(v, mfn);
  return ptr == 0 ? -XEN_EINVAL : 0;
}
