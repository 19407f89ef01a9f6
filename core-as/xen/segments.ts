/**
 * set_gdt, the LDT and update_descriptor: which frames hold the guest's descriptors. Every one of them has a reference as a page of
 * descriptors, so that nothing maps it writable while it is in use.
 * Source: Xen's public arch-x86/xen-x86_32.h. Errors are negative errno values.
 */
import {
  VCPU_GUEST,
  VCPU_XEN_GDT_ENTRIES,
  VCPU_XEN_GDT_FRAMES,
  VCPU_XEN_GDT_LIST,
  VCPU_XEN_LDT_BASE,
  VCPU_XEN_LDT_ENTRIES,
  VCPU_XEN_LDT_FRAMES,
  VCPU_XEN_LDT_MISS,
  XEN_GDT_FRAMES_MAX,
  XEN_LDT_FRAMES_MAX,
} from "../../abi/vcpu.ts";
import { ATTR_P, ERR_TI, PTE_P, SEG_LDTR, SYSDESC_LDT, VECTOR_GP } from "../../abi/x86.ts";
import { FIRST_RESERVED_GDT_ENTRY, XEN_EFAULT, XEN_EINVAL } from "../../abi/xen.ts";
import { PAGE_OWNED, PGT_L1, PGT_L3, PGT_SEG_DESC, PGT_WRITABLE } from "../../abi/xen-memory.ts";
import { clearEvent } from "../mmu/fill.ts";
import { frameForRead } from "../mmu/frames.ts";
import { physicalForWrite } from "../mmu/physical.ts";
import { setNullSegment } from "../protect/segments.ts";
import { raise } from "../state/faults.ts";
import { setSeg } from "../state/vcpu.ts";
import { DESCRIPTOR_BAD, fixDescriptor } from "./descriptors.ts";
import { canRead, isGuestRange, readGuest } from "./guest-access.ts";
import { l1EntryGpa } from "./mmu-update.ts";
import { pageType, typeCount, typeOf } from "./page-info.ts";
import {
  entryMfn,
  getPageAndType,
  getPageType,
  putPageAndType,
  putPageType,
} from "./page-types.ts";

const DESCRIPTORS_PER_FRAME: u32 = 512;
const LDT_ENTRIES_MAX: u32 = 8192;
const FRAME_BYTES_MASK: u32 = 0xfff;

function slot(v: usize, list: u32, i: u32): usize {
  return v + list + (i << 2);
}

/** Gives back what a list of frames holds. */
function dropList(v: usize, list: u32, length: u32): void {
  for (let i: u32 = 0; i < length; i++) {
    const at = slot(v, list, i);
    const mfn = load<u32>(at);
    if (mfn == 0) continue;
    store<u32>(at, 0);
    putPageAndType(v, mfn);
  }
}

/** The guest has no GDT of its own any more. */
export function dropGdt(v: usize): void {
  dropList(v, VCPU_XEN_GDT_FRAMES, XEN_GDT_FRAMES_MAX);
  store<u32>(v, 0, VCPU_XEN_GDT_ENTRIES);
}
/** No frame of the LDT is taken as checked any more: the next selector of each finds it again. */
export function dropLdt(v: usize): void {
  dropList(v, VCPU_XEN_LDT_FRAMES, XEN_LDT_FRAMES_MAX);
}

/** Makes `mfn` frame `index` (0-13) of the GDT, 0 for none. @returns 0 or -EINVAL, nothing changed then. */
export function setGdtFrame(v: usize, index: u32, mfn: u32): i32 {
  if (index >= <u32>XEN_GDT_FRAMES_MAX) return -XEN_EINVAL;
  if (mfn != 0 && getPageAndType(v, mfn, PGT_SEG_DESC) != 0) return -XEN_EINVAL;
  const at = slot(v, VCPU_XEN_GDT_FRAMES, index);
  const old = load<u32>(at);
  store<u32>(at, mfn);
  if (old != 0) putPageAndType(v, old);
  return 0;
}

/** set_gdt: machine frame numbers at `lin` for so many descriptors. @returns 0 or a negative errno, nothing changed then. */
export function setGdt(v: usize, lin: u32, entries: u32): i32 {
  if (entries > <u32>FIRST_RESERVED_GDT_ENTRY) return -XEN_EINVAL;
  const frames = (entries + DESCRIPTORS_PER_FRAME - 1) / DESCRIPTORS_PER_FRAME;
  if (!canRead(v, lin, frames << 2)) return -XEN_EFAULT;
  for (let i: u32 = 0; i < frames; i++) {
    store<u32>(slot(v, VCPU_XEN_GDT_LIST, i), readGuest<u32>(v, lin + (i << 2)));
  }
  for (let i: u32 = 0; i < frames; i++) {
    const mfn = load<u32>(slot(v, VCPU_XEN_GDT_LIST, i));
    if (mfn != 0 && getPageAndType(v, mfn, PGT_SEG_DESC) == 0) continue;
    dropList(v, VCPU_XEN_GDT_LIST, i);
    return -XEN_EINVAL;
  }
  dropGdt(v);
  memory.copy(v + VCPU_XEN_GDT_FRAMES, v + VCPU_XEN_GDT_LIST, frames << 2);
  store<u32>(v, entries, VCPU_XEN_GDT_ENTRIES);
  return 0;
}

/** Makes the LDT begin at `lin`, page aligned; its pages are checked when a selector first needs one. @returns 0 or -EINVAL. */
export function setLdt(v: usize, lin: u32, entries: u32): i32 {
  if (entries > LDT_ENTRIES_MAX) return -XEN_EINVAL;
  const isBad = (lin & FRAME_BYTES_MASK) != 0 || !isGuestRange(lin, entries << 3);
  if (entries != 0 && isBad) return -XEN_EINVAL;
  dropLdt(v);
  store<u32>(v, entries == 0 ? 0 : lin, VCPU_XEN_LDT_BASE);
  store<u32>(v, entries, VCPU_XEN_LDT_ENTRIES);
  if (entries == 0) setNullSegment(v, SEG_LDTR, 0);
  else setSeg(v, SEG_LDTR, 0, lin, (entries << 3) - 1, ATTR_P | SYSDESC_LDT);
  return 0;
}

/**
 * After an event: was it an LDT page that is not checked yet? Then that is made good: try again.
 * @returns true when the event is gone; else it stays, as #GP(selector) if it was such a page and the page is no good.
 */
export function settleLdtMiss(v: usize): bool {
  const miss = load<u32>(v, VCPU_XEN_LDT_MISS);
  if (miss == 0) return false;
  store<u32>(v, 0, VCPU_XEN_LDT_MISS);
  clearEvent(v);
  const off = miss - 1;
  if (checkLdtPage(v, off >>> 12)) return true;
  raise(v, VECTOR_GP, (off & 0xfff8) | ERR_TI);
  return false;
}
function checkLdtPage(v: usize, page: u32): bool {
  const gpa = l1EntryGpa(v, load<u32>(v, VCPU_XEN_LDT_BASE) + (page << 12));
  if (gpa == 0) return false;
  const entry = frameForRead(load<usize>(v, VCPU_GUEST), gpa >>> 12) + (gpa & FRAME_BYTES_MASK);
  const mfn = entryMfn(load<u32>(entry), load<u32>(entry, 4));
  if ((load<u32>(entry) & PTE_P) == 0 || getPageAndType(v, mfn, PGT_SEG_DESC) != 0) return false;
  store<u32>(slot(v, VCPU_XEN_LDT_FRAMES, page), mfn);
  return true;
}

/** update_descriptor at machine address `gpa`. @returns 0 or -EINVAL. */
export function updateDescriptor(v: usize, gpa: u32, gpaHigh: u32, low: u32, high: u32): i32 {
  const guest = load<usize>(v, VCPU_GUEST);
  const mfn = gpa >>> 12;
  const bits = typeOf(guest, mfn);
  const descriptor = fixDescriptor(<u64>low | ((<u64>high) << 32));
  if ((gpa & 7) != 0 || gpaHigh != 0 || (bits & PAGE_OWNED) == 0) return -XEN_EINVAL;
  if (descriptor == DESCRIPTOR_BAD) return -XEN_EINVAL;
  const type = pageType(bits);
  if (typeCount(bits) != 0 && type >= <u32>PGT_L1 && type <= <u32>PGT_L3) return -XEN_EINVAL;
  const isDescriptors = typeCount(bits) != 0 && type == <u32>PGT_SEG_DESC;
  if (getPageType(v, mfn, isDescriptors ? PGT_SEG_DESC : PGT_WRITABLE) != 0) return -XEN_EINVAL;
  const ptr = physicalForWrite(v, gpa, 8);
  if (ptr != 0) store<u64>(ptr, descriptor);
  putPageType(v, mfn);
  return ptr == 0 ? -XEN_EINVAL : 0;
}
