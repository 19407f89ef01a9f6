/** Descriptors of the segments that kernels use all the time: from 0 to 4 GiB, recognised at a glance. */
import {
  HELD_GDT_XEN,
  VCPU_CONTEXT,
  VCPU_GDTR_BASE,
  VCPU_GDTR_LIMIT,
  VCPU_HELD_GDT,
  VCPU_HELD_GDT_COUNT,
} from "../../abi/vcpu.ts";
import { ERR_TI } from "../../abi/x86.ts";
import { PAGE_MASK, TLB_ADDEND, TLB_READ } from "../layout.ts";
import { Mem } from "../mmu/access.ts";
import { xenGdtForRead } from "./xen-tables.ts";

/** A descriptor of a present, accessed, 32-bit segment from 0 to 4 GiB: its low dword, what the high one has under a mask, without DPL. */
const FLAT_LOW: u32 = 0x0000ffff;
const FLAT_MASK: u32 = 0xffefffff;
const FLAT_CODE: u32 = 0x00cf9b00;
const FLAT_DATA: u32 = 0x00cf9300;
const DPL_SHIFT: u32 = 13;

/** @returns the high dword of a flat descriptor in the GDT that `selector` names, 0 when it is another kind or not at hand. */
export function flatDescriptor(v: usize, selector: u32): u32 {
  if ((selector & ERR_TI) != 0) return 0;
  const off = selector & 0xfff8;
  const held = load<u32>(v, VCPU_HELD_GDT_COUNT);
  let ptr: usize;
  if (held != 0) {
    if (off >>> 3 >= held) return 0;
    ptr = held == HELD_GDT_XEN ? xenGdtForRead(v, off) : v + VCPU_HELD_GDT + off;
  } else {
    if (off + 7 > load<u32>(v, VCPU_GDTR_LIMIT)) return 0;
    const lin = load<u32>(v, VCPU_GDTR_BASE) + off;
    const entry = Mem.entry(load<usize>(v, VCPU_CONTEXT), lin);
    if (((lin + 7) & PAGE_MASK) != load<u32>(entry, TLB_READ)) return 0;
    ptr = lin + load<u32>(entry, TLB_ADDEND);
  }
  return load<u32>(ptr) == FLAT_LOW ? load<u32>(ptr, 4) : 0;
}

/** @returns whether a high dword of flatDescriptor() is that of code, or of writable data, with DPL `level`. */
export function isFlatCode(hi: u32, level: u32): bool {
  return (hi & FLAT_MASK) == (FLAT_CODE | (level << DPL_SHIFT));
}
export function isFlatData(hi: u32, level: u32): bool {
  return (hi & FLAT_MASK) == (FLAT_DATA | (level << DPL_SHIFT));
}
