/**
 * mmu_update and update_va_mapping: checked changes of page-table entries, and of the machine-to-physical table.
 * Source: Xen's public xen.h, "HYPERVISOR_mmu_update". Errors are negative errno values.
 */
import { GUEST_M2P_MFN, GUEST_TABLES_EPOCH, VCPU_CR3, VCPU_GUEST } from "../../abi/vcpu.ts";
import { PTE_P } from "../../abi/x86.ts";
import {
  DOMID_SELF,
  HYPERVISOR_VIRT_START,
  MMU_MACHPHYS_UPDATE,
  MMU_NORMAL_PT_UPDATE,
  MMU_PT_UPDATE_NO_TRANSLATE,
  MMU_PT_UPDATE_PRESERVE_AD,
  UVMF_ALL,
  UVMF_FLUSHTYPE_MASK,
  UVMF_INVLPG,
  UVMF_TLB_FLUSH,
  XEN_EFAULT,
  XEN_EINVAL,
  XEN_ENOSYS,
} from "../../abi/xen.ts";
import { MMU_UPDATE_VAL } from "../../abi/xen-layout.ts";
import { PAGE_OWNED, PGT_L1, PGT_L3, PGT_WRITABLE } from "../../abi/xen-memory.ts";
import { frameForRead } from "../mmu/frames.ts";
import { physicalForWrite } from "../mmu/physical.ts";
import {
  ALL_VCPUS,
  flushCurrentDirectory,
  flushDirectoriesInUse,
  flushPageOf,
  flushPageOfVcpus,
  flushVcpus,
} from "../mmu/tlb.ts";
import { COST_DIRECTORY, COST_EVERYTHING, charge } from "./cost.ts";
import { canRead, readGuest } from "./guest-access.ts";
import { pageType, typeCount, typeOf } from "./page-info.ts";
import { getPageType, putPageType, replaceEntry, tablesChanged } from "./page-types.ts";
import { PlainEntry, plainTable, plainTableOf } from "./plain-entries.ts";

/** Bits of a request's address that say what it is. */
const REQUEST_KIND: u32 = 3;
/** Entries that one page of the machine-to-physical table holds. */
const M2P_PER_FRAME_BITS: u32 = 10;

/** @returns true when a domain identifier means the caller. */
export function isSelf(domid: u32): bool {
  return domid == <u32>DOMID_SELF;
}

/** Performs the request of struct mmu_update at linear address `lin`, which can be read. @returns 0 or a negative errno. */
export function updateOne(v: usize, lin: u32): i32 {
  const ptr = readGuest<u64>(v, lin);
  const value = readGuest<u64>(v, lin + MMU_UPDATE_VAL);
  const kind = <u32>ptr & REQUEST_KIND;
  if (ptr >> 32 != 0) return -XEN_EINVAL;
  const address = <u32>ptr & ~REQUEST_KIND;
  switch (kind) {
    case MMU_NORMAL_PT_UPDATE:
    case MMU_PT_UPDATE_PRESERVE_AD:
    case MMU_PT_UPDATE_NO_TRANSLATE:
      return updateEntry(v, address, value, kind == <u32>MMU_PT_UPDATE_PRESERVE_AD);
    case MMU_MACHPHYS_UPDATE:
      return updateMachineToPhysical(v, address >>> 12, <u32>value);
    default:
      return -XEN_ENOSYS;
  }
}

/** What the frame is used as decides whether an entry is replaced or a word is stored. */
function updateEntry(v: usize, gpa: u32, value: u64, keepUsed: bool): i32 {
  const guest = load<usize>(v, VCPU_GUEST);
  const mfn = gpa >>> 12;
  const bits = typeOf(guest, mfn);
  if ((bits & PAGE_OWNED) == 0) return -XEN_EINVAL;
  const type = pageType(bits);
  if (typeCount(bits) != 0 && type >= <u32>PGT_L1 && type <= <u32>PGT_L3) {
    const table = plainTable(guest, mfn);
    if (table != 0 && !keepUsed && replacePlain(guest, table + (gpa & 0xff8), value)) return 0;
    const epoch = load<u32>(guest, GUEST_TABLES_EPOCH);
    const error = replaceEntry(v, type, gpa & ~7, <u32>value, <u32>(value >> 32), keepUsed);
    // Where a whole table went, Xen flushes without being asked.
    if (type != <u32>PGT_L1 && load<u32>(guest, GUEST_TABLES_EPOCH) != epoch) {
      charge(v, COST_DIRECTORY);
      flushDirectoriesInUse(guest);
    }
    return error;
  }
  const refused = getPageType(v, mfn, PGT_WRITABLE);
  if (refused != 0) return refused;
  const ptr = physicalForWrite(v, gpa & ~7, 8);
  if (ptr != 0) store<u64>(ptr, value);
  putPageType(v, mfn);
  return ptr == 0 ? -XEN_EINVAL : 0;
}

/** @returns false, with nothing changed, when one of the entries is not plain. */
function replacePlain(guest: usize, entry: usize, value: u64): bool {
  const changes = (load<u32>(entry) & PTE_P) != 0;
  if (!PlainEntry.replace(guest, entry, <u32>value, <u32>(value >> 32))) return false;
  if (changes) tablesChanged(guest);
  return true;
}

/** Sets what the machine-to-physical table says of a frame of the guest's. */
function updateMachineToPhysical(v: usize, mfn: u32, pfn: u32): i32 {
  const guest = load<usize>(v, VCPU_GUEST);
  if ((typeOf(guest, mfn) & PAGE_OWNED) == 0) return -XEN_EINVAL;
  const table = load<u32>(guest, GUEST_M2P_MFN) + (mfn >>> M2P_PER_FRAME_BITS);
  const ptr = physicalForWrite(v, (table << 12) | ((mfn & 1023) << 2), 4);
  if (ptr == 0) return -XEN_EINVAL;
  store<u32>(ptr, pfn);
  return 0;
}

/** @returns machine address of the L1 entry that maps `lin` under the current tables, 0 when there is no L1 table. */
export function l1EntryGpa(v: usize, lin: u32): u32 {
  const guest = load<usize>(v, VCPU_GUEST);
  const top = frameForRead(guest, load<u32>(v, VCPU_CR3) >>> 12) + ((lin >>> 30) << 3);
  const topLow = load<u32>(top);
  if ((topLow & PTE_P) == 0) return 0;
  // Tables that are in use lie below 4 GiB.
  const directory = frameForRead(guest, topLow >>> 12) + (((lin >>> 21) & 511) << 3);
  const low = load<u32>(directory);
  if ((low & PTE_P) == 0) return 0;
  return (low & ~0xfff) | (((lin >>> 12) & 511) << 3);
}

/** update_va_mapping. @returns 0 or a negative errno. */
export function updateVaMapping(v: usize, lin: u32, low: u32, high: u32, flags: u32): i32 {
  if (lin >= <u32>HYPERVISOR_VIRT_START) return -XEN_EINVAL;
  const table = plainTableOf(v, lin);
  if (table != 0) {
    const entry = table + (((lin >>> 12) & 511) << 3);
    const value = <u64>low | ((<u64>high) << 32);
    if (replacePlain(load<usize>(v, VCPU_GUEST), entry, value)) return flushAfter(v, lin, flags);
  }
  const gpa = l1EntryGpa(v, lin);
  if (gpa == 0 || pageType(typeOf(load<usize>(v, VCPU_GUEST), gpa >>> 12)) != <u32>PGT_L1) {
    return -XEN_EINVAL;
  }
  const error = replaceEntry(v, PGT_L1, gpa, low, high, false);
  if (error != 0) return error;
  return flushAfter(v, lin, flags);
}

/** The flush an update asks for: none, everything, or one page; here, on all vCPUs, or on a set of them. */
function flushAfter(v: usize, lin: u32, flags: u32): i32 {
  const kind = flags & UVMF_FLUSHTYPE_MASK;
  if (kind != <u32>UVMF_TLB_FLUSH && kind != <u32>UVMF_INVLPG) return 0;
  const where = flags & ~UVMF_FLUSHTYPE_MASK;
  const everywhere = where != 0;
  let vcpus = ALL_VCPUS;
  if (everywhere && where != <u32>UVMF_ALL) {
    if (!canRead(v, where, 4)) return -XEN_EFAULT;
    vcpus = readGuest<u32>(v, where);
  }
  if (kind == <u32>UVMF_TLB_FLUSH) {
    charge(v, everywhere ? COST_EVERYTHING : COST_DIRECTORY);
    if (everywhere) flushVcpus(load<usize>(v, VCPU_GUEST), vcpus);
    else flushCurrentDirectory(v);
  } else if (everywhere) flushPageOfVcpus(load<usize>(v, VCPU_GUEST), vcpus, lin);
  // Directories that sleep are dropped when they wake: an entry that was present has changed.
  else flushPageOf(v, load<u32>(v, VCPU_CR3), lin);
  return 0;
}
