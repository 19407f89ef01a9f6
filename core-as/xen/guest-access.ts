/**
 * Copying between the core and guest memory that a hypercall's argument points to. The pointers are linear addresses, reached with the
 * kernel's rights under the page tables in use; a page that cannot be reached fails the call with -EFAULT and is no fault of the guest's.
 */
import { VCPU_CONTEXT, VCPU_GUEST } from "../../abi/vcpu.ts";
import { HYPERVISOR_VIRT_START } from "../../abi/xen.ts";
import { PAGE_MASK, PAGE_OFFSET_MASK, TLB_ADDEND, TLB_READ, TLB_WRITE } from "../layout.ts";
import { Mem, translateSystemRead, translateSystemWrite } from "../mmu/access.ts";
import { clearEvent } from "../mmu/fill.ts";
import { settleStale } from "./page-types.ts";

/** @returns true when [lin, lin + bytes) lies below Xen's area. */
export function isGuestRange(lin: u32, bytes: u32): bool {
  return lin <= <u32>HYPERVISOR_VIRT_START && bytes <= <u32>HYPERVISOR_VIRT_START - lin;
}

/** @returns host pointer of the byte at `lin` for reading, good to the end of its page; 0 when it cannot be reached. */
export function guestForRead(v: usize, lin: u32): usize {
  return isGuestRange(lin, 1) ? reach(v, lin, 1, false) : 0;
}
/** @returns host pointer for writing `bytes` (1 to 32, within the page) at `lin`; 0 when they cannot be reached. */
export function guestForWrite(v: usize, lin: u32, bytes: u32): usize {
  return isGuestRange(lin, bytes) ? reach(v, lin, bytes, true) : 0;
}
function reach(v: usize, lin: u32, bytes: u32, write: bool): usize {
  settleStale(load<usize>(v, VCPU_GUEST));
  const entry = Mem.entry(load<usize>(v, VCPU_CONTEXT), lin);
  const tag = write ? load<u32>(entry, TLB_WRITE) : load<u32>(entry, TLB_READ);
  if (((lin + bytes - 1) & PAGE_MASK) == tag) return lin + load<u32>(entry, TLB_ADDEND);
  const ptr = write ? translateSystemWrite(v, lin, bytes) : translateSystemRead(v, lin, bytes);
  if (ptr == 0) clearEvent(v);
  return ptr;
}

/** Reads sizeof<T> bytes; ask canRead first. Unreachable bytes read as 0. */
export function readGuest<T>(v: usize, lin: u32): T {
  if ((lin & PAGE_OFFSET_MASK) + sizeof<T>() <= 0x1000) {
    const ptr = guestForRead(v, lin);
    return ptr == 0 ? <T>0 : load<T>(ptr);
  }
  let value: u64 = 0;
  for (let i: u32 = 0; i < sizeof<T>(); i++) {
    const ptr = guestForRead(v, lin + i);
    if (ptr != 0) value |= (<u64>load<u8>(ptr)) << (<u64>i * 8);
  }
  return <T>value;
}

/** @returns true when every page of [lin, lin + bytes) can be read (bytes below 2 GiB; 0 is always fine). */
export function canRead(v: usize, lin: u32, bytes: u32): bool {
  return canReach(v, lin, bytes, false);
}
export function canWrite(v: usize, lin: u32, bytes: u32): bool {
  return canReach(v, lin, bytes, true);
}
function canReach(v: usize, lin: u32, bytes: u32, write: bool): bool {
  if (bytes == 0) return true;
  if (!isGuestRange(lin, bytes)) return false;
  const last = (lin + bytes - 1) >>> 12;
  for (let page = lin >>> 12; page <= last; page++) {
    if (reach(v, page << 12, 1, write) == 0) return false;
  }
  return true;
}

/** Writes sizeof<T> bytes. @returns false, with nothing written, when they cannot be reached. */
export function writeGuest<T>(v: usize, lin: u32, value: T): bool {
  if ((lin & PAGE_OFFSET_MASK) + sizeof<T>() <= 0x1000) {
    const ptr = guestForWrite(v, lin, sizeof<T>());
    if (ptr == 0) return false;
    store<T>(ptr, value);
    return true;
  }
  if (!canWrite(v, lin, sizeof<T>())) return false;
  for (let i: u32 = 0; i < sizeof<T>(); i++) {
    store<u8>(guestForWrite(v, lin + i, 1), <u8>(<u64>value >> (<u64>i * 8)));
  }
  return true;
}
