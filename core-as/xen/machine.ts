/**
 * The processor that a Xen guest believes in: CPUID, the MSRs it may read and write, and the ports, behind which nothing is.
 * Source: Xen's public arch-x86/cpuid.h; SDM 4, "Architectural MSRs".
 */
import {
  CPUID_HYPERVISOR_LEAF,
  CPUID_XEN_EBX,
  CPUID_XEN_ECX,
  CPUID_XEN_EDX,
  CPUID_XEN_LEAVES,
  CPUID_XEN_PRESERVES_AD,
} from "../../abi/cpuid.ts";
import {
  VCPU_CPL,
  VCPU_EFER,
  VCPU_TSC_AUX,
  VCPU_TSC_OFFSET,
  VCPU_XEN_CPUID_FAULTING,
  VCPU_XEN_IOBITMAP,
  VCPU_XEN_IOBITMAP_PORTS,
  VCPU_XEN_IOPL,
  VCPU_XEN_TSC_KHZ,
} from "../../abi/vcpu.ts";
import {
  MSR_DEBUGCTL,
  MSR_EFER,
  MSR_MISC_FEATURES_ENABLES,
  MSR_PAT,
  MSR_PLATFORM_INFO,
  MSR_TSC,
  MSR_TSC_AUX,
  REG_EAX,
  REG_EBX,
  REG_ECX,
  REG_EDX,
} from "../../abi/x86.ts";
import { XEN_VERSION } from "../../abi/xen.ts";
import { timeStamp } from "../protect/control.ts";
import { cpuid, modelHasTscAux } from "../protect/cpuid.ts";
import { hasModelMsr, modelMsr } from "../protect/model-msrs.ts";
import { reg, setReg } from "../state/vcpu.ts";
import { hasArchitecturalIopl } from "./bounce.ts";
import { canRead, readGuest } from "./guest-access.ts";

/** Memory types that Xen puts into IA32_PAT: write-back, write-through, uncached ones, write-combining, write-protected. */
const XEN_PAT: u64 = 0x050100070406;
/** CPUID can be made to fault. */
const PLATFORM_CPUID_FAULTING: u64 = 0x80000000;
/** Leaf 1 EDX: page-size extensions and global pages, which a paravirtual guest has no use for. */
const HIDDEN_FEATURES: u32 = (1 << 3) | (1 << 13);
/** Machine address bits. */
const ADDRESS_BITS: u32 = 32;

/** CPUID as the guest is to see it: the vCPU's model, and Xen's leaves. Replaces EAX, EBX, ECX and EDX. */
export function guestCpuid(v: usize): void {
  const leaf = reg(v, REG_EAX);
  const sub = reg(v, REG_ECX);
  const xen = leaf - CPUID_HYPERVISOR_LEAF;
  if (xen < 256) {
    xenLeaf(v, xen, sub);
    return;
  }
  cpuid(v, leaf);
  if (leaf == 1) setReg(v, REG_EDX, reg(v, REG_EDX) & ~HIDDEN_FEATURES);
}

function xenLeaf(v: usize, leaf: u32, sub: u32): void {
  const base: u32 = CPUID_HYPERVISOR_LEAF;
  if (leaf == 0) {
    answer(v, base + CPUID_XEN_LEAVES, CPUID_XEN_EBX, CPUID_XEN_ECX, CPUID_XEN_EDX);
  } else if (leaf == 1) answer(v, XEN_VERSION, 0, 0, 0);
  // Pages of hypercalls, and the register that would ask for one.
  else if (leaf == 2) answer(v, 1, base, CPUID_XEN_PRESERVES_AD, 0);
  else if (leaf == 3) answer(v, 0, 0, sub == 0 ? load<u32>(v, VCPU_XEN_TSC_KHZ) : 0, 0);
  else answer(v, 0, leaf == <u32>CPUID_XEN_LEAVES ? ADDRESS_BITS : 0, 0, 0);
}
function answer(v: usize, eax: u32, ebx: u32, ecx: u32, edx: u32): void {
  setReg(v, REG_EAX, eax);
  setReg(v, REG_EBX, ebx);
  setReg(v, REG_ECX, ecx);
  setReg(v, REG_EDX, edx);
}

/** RDMSR of ECX into EDX:EAX. @returns false when there is no such register. */
export function readGuestMsr(v: usize): bool {
  const index = reg(v, REG_ECX);
  switch (index) {
    case MSR_TSC:
      return give(v, timeStamp(v));
    case MSR_EFER:
      return give(v, load<u32>(v, VCPU_EFER));
    case MSR_PAT:
      return give(v, XEN_PAT);
    case MSR_PLATFORM_INFO:
      return give(v, PLATFORM_CPUID_FAULTING);
    case MSR_MISC_FEATURES_ENABLES:
      return give(v, load<u32>(v, VCPU_XEN_CPUID_FAULTING));
    case MSR_DEBUGCTL:
      return give(v, 0);
    case MSR_TSC_AUX:
      return modelHasTscAux(v) && give(v, load<u32>(v, VCPU_TSC_AUX));
    default:
      return hasModelMsr(v, index) && give(v, modelMsr(v, index));
  }
}
function give(v: usize, value: u64): bool {
  setReg(v, REG_EAX, <u32>value);
  setReg(v, REG_EDX, <u32>(value >> 32));
  return true;
}

/** WRMSR of EDX:EAX to ECX. @returns false when there is no such register, or it does not take the value. */
export function writeGuestMsr(v: usize): bool {
  const index = reg(v, REG_ECX);
  const value = <u64>reg(v, REG_EAX) | ((<u64>reg(v, REG_EDX)) << 32);
  switch (index) {
    case MSR_TSC: {
      store<u64>(v, load<u64>(v, VCPU_TSC_OFFSET) + value - timeStamp(v), VCPU_TSC_OFFSET);
      return true;
    }
    case MSR_EFER:
      return value == <u64>load<u32>(v, VCPU_EFER);
    case MSR_PAT:
      return value == XEN_PAT;
    case MSR_MISC_FEATURES_ENABLES: {
      if (value > 1) return false;
      store<u32>(v, <u32>value, VCPU_XEN_CPUID_FAULTING);
      return true;
    }
    case MSR_DEBUGCTL:
      return value == 0;
    default:
      return hasModelMsr(v, index);
  }
}

/** @returns true when the virtual I/O privilege level lets the current ring do I/O. */
export function hasIopl(v: usize): bool {
  const kernel: u32 = hasArchitecturalIopl(v) ? 0 : 1;
  const level: u32 = load<u32>(v, VCPU_CPL) == 1 ? kernel : 3;
  return level <= load<u32>(v, VCPU_XEN_IOPL);
}

/** @returns true when `size` (1, 2, 4) ports from `port` on may be used by the current ring. */
export function mayUseGuestPort(v: usize, port: u32, size: u32): bool {
  if (hasIopl(v)) return true;
  if (port + size > load<u32>(v, VCPU_XEN_IOBITMAP_PORTS)) return false;
  const lin = load<u32>(v, VCPU_XEN_IOBITMAP) + (port >>> 3);
  if (!canRead(v, lin, 1)) return false;
  const high: u32 = canRead(v, lin + 1, 1) ? <u32>readGuest<u8>(v, lin + 1) : 0xff;
  const bits = (<u32>readGuest<u8>(v, lin) | (high << 8)) >>> (port & 7);
  return (bits & ((1 << size) - 1)) == 0;
}
