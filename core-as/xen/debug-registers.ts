/**
 * The debug registers as a Xen guest's kernel may set them, by hypercall or by a MOV that is emulated.
 * Source: Xen's public xen.h, "HYPERVISOR_set_debugreg"; SDM 3B, "Debug Registers". Errors are negative errno values.
 */
import { VCPU_CR4, VCPU_DR0, VCPU_DR6, VCPU_DR7 } from "../../abi/vcpu.ts";
import { CR4_DE, DR7_ENABLES, DR7_GD } from "../../abi/x86.ts";
import { XEN_ENODEV, XEN_EPERM } from "../../abi/xen.ts";
import { armBreakpoints } from "../mmu/watch.ts";

const DR6_ONES: u32 = 0xffff0ff0;
const DR6_ZEROS: u32 = 0x1000;
const DR7_ONES: u32 = 0x400;
const DR7_ZEROS: u32 = 0xd800;
/** DR7: two bits that say what breakpoint 0 watches, four bits further for each other one. */
const DR7_KIND_SHIFT: u32 = 16;
const KIND_PORT: u32 = 2;

/** @returns pointer to the word of register `n` (0-7); 0 for DR4 and DR5 under CR4.DE, and past DR7. */
export function debugWord(v: usize, n: u32): usize {
  if (n < 4) return v + VCPU_DR0 + (n << 2);
  if (n > 7 || (n < 6 && (load<u32>(v, VCPU_CR4) & CR4_DE) != 0)) return 0;
  return (n & 1) != 0 ? v + VCPU_DR7 : v + VCPU_DR6;
}

/** Sets register `n`. @returns 0 or a negative errno, nothing changed then. */
export function setDebugRegister(v: usize, n: u32, value: u32): i32 {
  const target = debugWord(v, n);
  if (target == 0) return -XEN_ENODEV;
  let fixed = value;
  if (target == v + VCPU_DR6) fixed = (value & ~DR6_ZEROS) | DR6_ONES;
  if (target == v + VCPU_DR7) {
    fixed = (value & ~DR7_ZEROS) | DR7_ONES;
    if ((fixed & DR7_GD) != 0) return -XEN_EPERM;
    if (watchesPort(fixed) && (load<u32>(v, VCPU_CR4) & CR4_DE) == 0) return -XEN_EPERM;
  }
  store<u32>(target, fixed);
  if (target != v + VCPU_DR6) armBreakpoints(v);
  return 0;
}

/** @returns true when any breakpoint is enabled and one of the four is for ports. */
function watchesPort(dr7: u32): bool {
  if ((dr7 & DR7_ENABLES) == 0) return false;
  for (let i: u32 = 0; i < 4; i++) {
    if (((dr7 >>> (DR7_KIND_SHIFT + 4 * i)) & 3) == KIND_PORT) return true;
  }
  return false;
}
