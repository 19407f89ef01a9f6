/**
 * The descriptor tables of a Xen guest: the GDT is a list of machine frames that the guest gave, with Xen's own page of flat segments after
 * them; LDT frames are checked when a selector first needs one. Frames hold checked descriptors only and are mapped writable by nobody.
 * Source: Xen's public arch-x86/xen-x86_32.h, "FLAT_RING1_CS".
 */
import {
  VCPU_GUEST,
  VCPU_XEN_GDT_FRAMES,
  VCPU_XEN_LDT_FRAMES,
  VCPU_XEN_LDT_MISS,
} from "../../abi/vcpu.ts";
import { VECTOR_PF } from "../../abi/x86.ts";
import { FIRST_RESERVED_GDT_PAGE } from "../../abi/xen.ts";
import { PAGE_OFFSET_MASK, PAGE_SIZE, ZERO_FRAME } from "../layout.ts";
import { frameForRead } from "../mmu/frames.ts";
import { exhausted, physicalForWrite } from "../mmu/physical.ts";
import { raise } from "../state/faults.ts";

/** Bytes of Xen's page that are not zero: entries 0 to 6. */
const FIXED_BYTES: u32 = 56;
/** Xen's page: flat code and data of rings 1 and 3 at the places of FLAT_RING1_CS, FLAT_RING1_DS, FLAT_RING3_CS and FLAT_RING3_DS. */
// biome-ignore format: one descriptor per line
const FIXED = memory.data<u32>([
  0, 0,
  0, 0,
  0, 0,
  0x0000ffff, 0x00cfbb00,
  0x0000ffff, 0x00cfb300,
  0x0000ffff, 0x00cffb00,
  0x0000ffff, 0x00cff300,
]);

/** @returns host pointer for reading the descriptor at byte `off` (a multiple of 8 below 64 KiB) of the GDT; pages not given read as zero. */
export function xenGdtForRead(v: usize, off: u32): usize {
  const page = off >>> 12;
  const at = off & PAGE_OFFSET_MASK;
  if (page >= <u32>FIRST_RESERVED_GDT_PAGE) {
    return page == <u32>FIRST_RESERVED_GDT_PAGE && at < FIXED_BYTES
      ? FIXED + at
      : <usize>ZERO_FRAME;
  }
  const mfn = load<u32>(v + (page << 2), VCPU_XEN_GDT_FRAMES);
  const frame: usize = mfn == 0 ? 0 : frameForRead(load<usize>(v, VCPU_GUEST), mfn);
  return frame == 0 ? <usize>ZERO_FRAME : frame + at;
}

/** @returns host pointer for reading the descriptor at byte `off` of the LDT; 0 with VCPU_XEN_LDT_MISS set and an event recorded. */
export function xenLdtForRead(v: usize, off: u32): usize {
  const mfn = load<u32>(v + ((off >>> 12) << 2), VCPU_XEN_LDT_FRAMES);
  const frame: usize = mfn == 0 ? 0 : frameForRead(load<usize>(v, VCPU_GUEST), mfn);
  if (frame != 0) return frame + (off & PAGE_OFFSET_MASK);
  store<u32>(v, off + 1, VCPU_XEN_LDT_MISS);
  return raise(v, VECTOR_PF);
}

/**
 * Sets bits in the type byte of a descriptor that was read before, or clears them; Xen's own have all they need.
 * @returns false when memory is exhausted.
 */
export function markXenDescriptor(v: usize, inLdt: bool, off: u32, bits: u32, clear: bool): bool {
  const page = off >>> 12;
  if (!inLdt && page >= <u32>FIRST_RESERVED_GDT_PAGE) return true;
  const list = v + (page << 2);
  const mfn = inLdt ? load<u32>(list, VCPU_XEN_LDT_FRAMES) : load<u32>(list, VCPU_XEN_GDT_FRAMES);
  const ptr = physicalForWrite(v, mfn * PAGE_SIZE + (off & PAGE_OFFSET_MASK) + 5, 1);
  if (ptr == 0) return exhausted(v) != 0;
  const type = load<u8>(ptr);
  store<u8>(ptr, clear ? type & ~bits : type | bits);
  return true;
}
