/**
 * What a guest may put into its descriptor tables, and the page of a table as a whole. A descriptor that passes never gives more privilege
 * than ring 1: its DPL is raised where it is lower.
 * Source: Xen's rules for descriptors of a 32-bit guest; layout in SDM 3A, "Segment Descriptors" and "Call Gates".
 */
import { VCPU_GUEST } from "../../abi/vcpu.ts";
import { SYSDESC_CALL_GATE32 } from "../../abi/x86.ts";
import {
  FIRST_RESERVED_GDT_ENTRY,
  FLAT_RING1_CS,
  HYPERVISOR_VIRT_START,
  XEN_EINVAL,
} from "../../abi/xen.ts";
import { frameForRead } from "../mmu/frames.ts";
import { physicalForWrite } from "../mmu/physical.ts";

const HIGH_P: u32 = 0x8000;
const HIGH_S: u32 = 0x1000;
const HIGH_DPL: u32 = 0x6000;
const HIGH_DPL1: u32 = 0x2000;
const HIGH_L: u32 = 0x200000;
const HIGH_G: u32 = 0x800000;
const HIGH_LIMIT: u32 = 0xf0000;
const HIGH_TYPE: u32 = 0xf00;
/** Bits of a call gate that are reserved. */
const GATE_RESERVED: u32 = 0xe0;
const SELECTOR_TI: u32 = 4;
const DESCRIPTORS: u32 = 512;
const FRAME_BYTES: u32 = 0x1000;

/** A descriptor that may not be. */
export const DESCRIPTOR_BAD: u64 = ~(<u64>0);

/** @returns the descriptor as it goes into the table, or DESCRIPTOR_BAD. */
export function fixDescriptor(descriptor: u64): u64 {
  const low = <u32>descriptor;
  let high = <u32>(descriptor >> 32);
  if ((high & HIGH_P) == 0) return descriptor;
  if ((high & HIGH_DPL) == 0) high |= HIGH_DPL1;
  if ((high & HIGH_S) != 0) {
    if ((high & HIGH_L) != 0) return DESCRIPTOR_BAD;
    return join(low, high) | wholeLimit(low, high);
  }
  const type = (high & HIGH_TYPE) >>> 8;
  if (type == 0) return join(low, high);
  if (type != <u32>SYSDESC_CALL_GATE32 || (high & GATE_RESERVED) != 0) return DESCRIPTOR_BAD;
  return isGateTarget(low >>> 16) ? join(low, high) : DESCRIPTOR_BAD;
}

function join(low: u32, high: u32): u64 {
  return ((<u64>high) << 32) | <u64>low;
}

/** A flat segment that reaches into Xen's area reaches to the end of the address space: the page tables protect what is there. */
function wholeLimit(low: u32, high: u32): u64 {
  const base = (low >>> 16) | ((high & 0xff) << 16) | (high & 0xff000000);
  if ((high & HIGH_G) == 0 || base != 0) return 0;
  const limit = (((high & HIGH_LIMIT) | (low & 0xffff)) << 12) | 0xfff;
  return limit > <u32>HYPERVISOR_VIRT_START ? join(0xffff, HIGH_LIMIT) : 0;
}

/** @returns true when a gate of the guest may lead to this code segment. */
export function isGateTarget(selector: u32): bool {
  if ((selector & ~3) == (FLAT_RING1_CS & ~3)) return true;
  return (selector & SELECTOR_TI) != 0 || selector >>> 3 < <u32>FIRST_RESERVED_GDT_ENTRY;
}

/** Checks a page of descriptors and raises what has too low a DPL. @returns 0 or -EINVAL, nothing changed then. */
export function fixDescriptorPage(v: usize, mfn: u32): i32 {
  const frame = frameForRead(load<usize>(v, VCPU_GUEST), mfn);
  let changes = false;
  for (let i: u32 = 0; i < DESCRIPTORS; i++) {
    const descriptor = load<u64>(frame + (i << 3));
    const fixed = fixDescriptor(descriptor);
    if (fixed == DESCRIPTOR_BAD) return -XEN_EINVAL;
    changes = changes || fixed != descriptor;
  }
  if (!changes) return 0;
  const own = physicalForWrite(v, mfn << 12, FRAME_BYTES);
  if (own == 0) return -XEN_EINVAL;
  for (let i: u32 = 0; i < DESCRIPTORS; i++) {
    const ptr = own + (i << 3);
    store<u64>(ptr, fixDescriptor(load<u64>(ptr)));
  }
  return 0;
}
