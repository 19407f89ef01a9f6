/**
 * Model-specific registers and the fast system call. Only a native guest reaches them: paravirtual kernels live with #GP and its fix-ups.
 * Source: SDM 2B, RDMSR, SYSENTER, SYSEXIT; SDM 4, "Architectural MSRs".
 */
import { APIC_BASE_WRITABLE_HIGH, APIC_BASE_WRITABLE_LOW } from "../../abi/apic.ts";
import {
  EXIT_MSR,
  POLICY_NATIVE,
  VCPU_APIC_BASE,
  VCPU_EFER,
  VCPU_EFLAGS,
  VCPU_EIP,
  VCPU_PAT,
  VCPU_POLICY,
  VCPU_SYSENTER_CS,
  VCPU_SYSENTER_EIP,
  VCPU_SYSENTER_ESP,
  VCPU_TSC_AUX,
  VCPU_TSC_OFFSET,
} from "../../abi/vcpu.ts";
import {
  EFER_NXE,
  EFER_SCE,
  EFLAGS_IF,
  EFLAGS_VM,
  MSR_APIC_BASE,
  MSR_EFER,
  MSR_FAM15_COUNT,
  MSR_FAM15_FIRST,
  MSR_K7_COUNT,
  MSR_K7_FIRST,
  MSR_PAT,
  MSR_SYSENTER_CS,
  MSR_SYSENTER_EIP,
  MSR_SYSENTER_ESP,
  MSR_TSC,
  MSR_TSC_AUX,
  REG_EAX,
  REG_ECX,
  REG_EDX,
  REG_ESP,
  SEG_CS,
  SEG_SS,
  VECTOR_GP,
  VECTOR_UD,
} from "../../abi/x86.ts";
import { leave, STEP_END, STEP_EVENT } from "../state/faults.ts";
import { reg, setReg, updateMode } from "../state/vcpu.ts";
import { requireRing0, timeStamp } from "./control.ts";
import {
  modelHasNx,
  modelHasSysenter,
  modelHasTscAux,
  modelIs64Bit,
  modelIsIntel,
} from "./cpuid.ts";
import { hasModelMsr, mayReadModelMsr, modelMsr, writeModelMsr } from "./model-msrs.ts";
import { refreshPaging } from "./paging.ts";
import { isNull, isProtected, refuse, setCpl, setFlat } from "./segments.ts";

/** @returns true when MSRs exist for this guest at this privilege; else #GP(0) is recorded. */
function mayUse(v: usize): bool {
  if (load<u32>(v, VCPU_POLICY) != POLICY_NATIVE) return refuse(v, VECTOR_GP, 0);
  return requireRing0(v);
}

function give(v: usize, value: u64): u32 {
  setReg(v, REG_EAX, <u32>value);
  setReg(v, REG_EDX, <u32>(value >> 32));
  return STEP_END;
}

/** RDMSR; EIP must be past the instruction. @returns STEP_END, or STEP_EVENT: #GP(0), or EXIT_MSR of the hypervisor range for the Host to fill EDX:EAX. */
export function readMsr(v: usize): u32 {
  if (!mayUse(v)) return STEP_EVENT;
  const index = reg(v, REG_ECX);
  switch (index) {
    case MSR_TSC:
      return give(v, timeStamp(v));
    case MSR_APIC_BASE:
      return give(v, load<u64>(v, VCPU_APIC_BASE));
    case MSR_SYSENTER_CS:
      return give(v, load<u32>(v, VCPU_SYSENTER_CS));
    case MSR_SYSENTER_ESP:
      return give(v, load<u32>(v, VCPU_SYSENTER_ESP));
    case MSR_SYSENTER_EIP:
      return give(v, load<u32>(v, VCPU_SYSENTER_EIP));
    case MSR_PAT:
      return give(v, load<u64>(v, VCPU_PAT));
    case MSR_EFER:
      return give(v, load<u32>(v, VCPU_EFER));
    case MSR_TSC_AUX:
      return modelHasTscAux(v) ? give(v, load<u32>(v, VCPU_TSC_AUX)) : unknown(v);
    default:
      if (isCounter(v, index)) return give(v, 0);
      if (hasModelMsr(v, index))
        return mayReadModelMsr(index) ? give(v, modelMsr(v, index)) : unknown(v);
      return isHypervisorMsr(index) ? leave(v, EXIT_MSR, index, 0) : unknown(v);
  }
}

/** WRMSR; EIP must be past the instruction. @returns STEP_END, or STEP_EVENT: #GP(0), or EXIT_MSR with the value. */
export function writeMsr(v: usize): u32 {
  if (!mayUse(v)) return STEP_EVENT;
  const index = reg(v, REG_ECX);
  const low = reg(v, REG_EAX);
  const high = reg(v, REG_EDX);
  const value = <u64>low | ((<u64>high) << 32);
  switch (index) {
    case MSR_TSC: {
      store<u64>(v, load<u64>(v, VCPU_TSC_OFFSET) + value - timeStamp(v), VCPU_TSC_OFFSET);
      return STEP_END;
    }
    case MSR_APIC_BASE:
      return writeApicBase(v, value);
    case MSR_SYSENTER_CS: {
      store<u32>(v, low, VCPU_SYSENTER_CS);
      return STEP_END;
    }
    case MSR_SYSENTER_ESP: {
      store<u32>(v, low, VCPU_SYSENTER_ESP);
      return STEP_END;
    }
    case MSR_SYSENTER_EIP: {
      store<u32>(v, low, VCPU_SYSENTER_EIP);
      return STEP_END;
    }
    case MSR_PAT:
      return writePat(v, value);
    case MSR_EFER:
      return writeEfer(v, value);
    case MSR_TSC_AUX: {
      if (!modelHasTscAux(v) || high != 0) return unknown(v);
      store<u32>(v, low, VCPU_TSC_AUX);
      return STEP_END;
    }
    default:
      if (isCounter(v, index)) return STEP_END;
      if (hasModelMsr(v, index)) return writeModelMsr(v, index, value) ? <u32>STEP_END : unknown(v);
      return isHypervisorMsr(index) ? leave(v, EXIT_MSR, index, 1, low, high) : unknown(v);
  }
}

/** The range that hypervisors use among themselves and their guests: the Host decides. */
function isHypervisorMsr(index: u32): bool {
  return index >>> 8 == 0x400000;
}
/**
 * The performance counters that every AMD processor has since the K7, without a feature bit: programs that only know Intel's vendor
 * string clear them on all others. Here they stand still.
 */
function isCounter(v: usize, index: u32): bool {
  if (modelIsIntel(v)) return false;
  return index - MSR_K7_FIRST < <u32>MSR_K7_COUNT || index - MSR_FAM15_FIRST < <u32>MSR_FAM15_COUNT;
}
function unknown(v: usize): u32 {
  refuse(v, VECTOR_GP, 0);
  return STEP_EVENT;
}

/** Reserved bits, and the mode that is not there, are #GP(0). */
function writeApicBase(v: usize, value: u64): u32 {
  const low: u32 = APIC_BASE_WRITABLE_LOW;
  const high: u32 = APIC_BASE_WRITABLE_HIGH;
  if ((<u32>value & ~low) != 0 || (<u32>(value >> 32) & ~high) != 0) return unknown(v);
  store<u64>(v, value, VCPU_APIC_BASE);
  return STEP_END;
}

/** Each byte of PAT is a memory type: 0, 1, 4, 5, 6 or 7. */
function writePat(v: usize, value: u64): u32 {
  for (let shift: u64 = 0; shift < 64; shift += 8) {
    const type = <u32>(value >> shift) & 0xff;
    if (type > 7 || type == 2 || type == 3) {
      refuse(v, VECTOR_GP, 0);
      return STEP_EVENT;
    }
  }
  store<u64>(v, value, VCPU_PAT);
  return STEP_END;
}

function writeEfer(v: usize, value: u64): u32 {
  let allowed: u64 = modelHasNx(v) ? EFER_NXE : 0;
  // Outside of 64-bit mode it does nothing on these processors either.
  if (modelIs64Bit(v)) allowed |= EFER_SCE;
  if ((value & ~allowed) != 0) {
    refuse(v, VECTOR_GP, 0);
    return STEP_EVENT;
  }
  store<u32>(v, <u32>value, VCPU_EFER);
  refreshPaging(v);
  return STEP_END;
}

/** SYSENTER. @returns STEP_END at the handler, or STEP_EVENT: #UD where the model or the policy has none, #GP(0). */
export function enterSystem(v: usize): u32 {
  const cs = load<u32>(v, VCPU_SYSENTER_CS) & 0xfffc;
  let allowed = hasFastCalls(v);
  if (allowed && (!isProtected(v) || isNull(cs))) allowed = refuse(v, VECTOR_GP, 0);
  if (!allowed) return STEP_EVENT;
  const flags = load<u32>(v, VCPU_EFLAGS) & ~(EFLAGS_VM | EFLAGS_IF);
  store<u32>(v, flags, VCPU_EFLAGS);
  land(v, cs, 0, load<u32>(v, VCPU_SYSENTER_EIP), load<u32>(v, VCPU_SYSENTER_ESP));
  return STEP_END;
}

/** SYSEXIT. @returns STEP_END in ring 3 at EDX with stack ECX, or STEP_EVENT: #UD, #GP(0). */
export function exitSystem(v: usize): u32 {
  const cs = load<u32>(v, VCPU_SYSENTER_CS) & 0xfffc;
  let allowed = hasFastCalls(v);
  if (allowed && (!isProtected(v) || isNull(cs))) allowed = refuse(v, VECTOR_GP, 0);
  if (!allowed || !requireRing0(v)) return STEP_EVENT;
  land(v, (cs + 16) | 3, 3, reg(v, REG_EDX), reg(v, REG_ECX));
  return STEP_END;
}

function hasFastCalls(v: usize): bool {
  if (load<u32>(v, VCPU_POLICY) == POLICY_NATIVE && modelHasSysenter(v)) return true;
  return refuse(v, VECTOR_UD, 0);
}

/** Flat code at `cs`, flat data right behind it, at privilege `level`. */
function land(v: usize, cs: u32, level: u32, eip: u32, esp: u32): void {
  setFlat(v, SEG_CS, cs, level);
  setFlat(v, SEG_SS, cs + 8, level);
  setReg(v, REG_ESP, esp);
  store<u32>(v, eip, VCPU_EIP);
  setCpl(v, level);
  updateMode(v);
}
