/**
 * Control and debug registers, EFLAGS privileges, and the time-stamp counter.
 * Every function that can refuse returns false with the fault recorded and nothing changed.
 * Source: SDM 3A, "Control Registers"; SDM 3B, "Debug Registers"; SDM 2B, MOV (control registers), POPF, STI.
 */
import {
  POLICY_LGUEST,
  VCPU_CPL,
  VCPU_CR0,
  VCPU_CR2,
  VCPU_CR3,
  VCPU_CR4,
  VCPU_DEBUG_SHADOW,
  VCPU_DR0,
  VCPU_DR6,
  VCPU_DR7,
  VCPU_EFLAGS,
  VCPU_POLICY,
  VCPU_RESUME,
  VCPU_RETIRED,
  VCPU_SHADOW,
  VCPU_TSC_OFFSET,
  VCPU_TSC_RATIO,
} from "../../abi/vcpu.ts";
import {
  CR0_AM,
  CR0_CD,
  CR0_EM,
  CR0_ET,
  CR0_MP,
  CR0_NE,
  CR0_NW,
  CR0_PE,
  CR0_PG,
  CR0_TS,
  CR0_WP,
  CR4_DE,
  CR4_PAE,
  CR4_PGE,
  CR4_PSE,
  CR4_SMAP,
  CR4_SMEP,
  CR4_TSD,
  DR6_BD,
  DR7_GD,
  EFLAGS_AC,
  EFLAGS_ARITH,
  EFLAGS_DF,
  EFLAGS_ID,
  EFLAGS_IF,
  EFLAGS_IOPL,
  EFLAGS_IOPL_SHIFT,
  EFLAGS_NT,
  EFLAGS_TF,
  VECTOR_DB,
  VECTOR_GP,
  VECTOR_UD,
} from "../../abi/x86.ts";
import { armBreakpoints } from "../mmu/watch.ts";
import { modelCr4 } from "./cpuid.ts";
import { loadDirectory, loadPdptes, pagingMode, refreshPaging } from "./paging.ts";
import { isV86, refuse } from "./segments.ts";

const CR0_DEFINED: u32 =
  CR0_PE | CR0_MP | CR0_EM | CR0_TS | CR0_ET | CR0_NE | CR0_WP | CR0_AM | CR0_NW | CR0_CD | CR0_PG;
/** Changing one of these makes cached translations wrong. */
const CR0_TRANSLATION: u32 = CR0_PG | CR0_PE | CR0_WP;
const CR4_TRANSLATION: u32 = CR4_PSE | CR4_PAE | CR4_PGE | CR4_SMEP | CR4_SMAP;
/** What LMSW can set; it cannot clear PE. */
const LMSW_BITS: u32 = CR0_PE | CR0_MP | CR0_EM | CR0_TS;

const DR6_FIXED: u32 = 0xffff0ff0;
const DR6_WRITABLE: u32 = 0xe00f;
const DR7_FIXED: u32 = 0x400;
const DR7_WRITABLE: u32 = 0xffff23ff;

/** EFLAGS bits that POPF changes at any privilege. */
const POPF_ALWAYS: u32 = EFLAGS_ARITH | EFLAGS_TF | EFLAGS_DF | EFLAGS_NT | EFLAGS_AC | EFLAGS_ID;

/** @returns true at CPL 0; else #GP(0) is recorded. */
export function requireRing0(v: usize): bool {
  return load<u32>(v, VCPU_CPL) == 0 || refuse(v, VECTOR_GP, 0);
}
/** @returns I/O privilege level, 0-3. */
export function iopl(v: usize): u32 {
  return (load<u32>(v, VCPU_EFLAGS) & EFLAGS_IOPL) >>> EFLAGS_IOPL_SHIFT;
}

/** @returns mask of the EFLAGS bits that POPFD may change now; for POPF keep the low 16. RF is cleared by either. */
export function popfMask(v: usize): u32 {
  const level = load<u32>(v, VCPU_CPL);
  let mask = POPF_ALWAYS;
  if (level <= iopl(v)) mask |= EFLAGS_IF;
  if (level == 0) mask |= EFLAGS_IOPL;
  return mask;
}
/** PUSHF, POPF, INT n and IRET in virtual-8086 mode need IOPL 3. @returns false with #GP(0) recorded when they lack it. */
export function requireV86Iopl(v: usize): bool {
  return !isV86(v) || iopl(v) == 3 || refuse(v, VECTOR_GP, 0);
}

/** CLI. @returns false with #GP(0) recorded when CPL > IOPL, unless an lguest kernel may have it skipped. */
export function clearInterruptFlag(v: usize): bool {
  if (load<u32>(v, VCPU_CPL) > iopl(v)) {
    if (isLguestKernel(v)) return true;
    return refuse(v, VECTOR_GP, 0);
  }
  store<u32>(v, load<u32>(v, VCPU_EFLAGS) & ~EFLAGS_IF, VCPU_EFLAGS);
  return true;
}
/** STI. When IF opens, the next instruction still runs undisturbed. @returns false with #GP(0) recorded. */
export function setInterruptFlag(v: usize): bool {
  if (load<u32>(v, VCPU_CPL) > iopl(v)) return refuse(v, VECTOR_GP, 0);
  const flags = load<u32>(v, VCPU_EFLAGS);
  if ((flags & EFLAGS_IF) == 0) holdInterrupts(v);
  store<u32>(v, flags | EFLAGS_IF, VCPU_EFLAGS);
  return true;
}
/** Holds interrupts off for one instruction. VCPU_RETIRED already counts the current one: micro-ops that end a block are published first. */
export function holdInterrupts(v: usize): void {
  store<u64>(v, load<u64>(v, VCPU_RETIRED), VCPU_SHADOW);
}
/** MOV SS and POP SS hold off debug exceptions too, so that SS and ESP may be loaded one after the other. */
export function holdEvents(v: usize): void {
  holdInterrupts(v);
  store<u64>(v, load<u64>(v, VCPU_RETIRED) + 1, VCPU_DEBUG_SHADOW);
}
/** @returns true for code that runs as the kernel of an lguest guest (ring 1). */
export function isLguestKernel(v: usize): bool {
  return load<u32>(v, VCPU_POLICY) == POLICY_LGUEST && load<u32>(v, VCPU_CPL) == 1;
}

/** MOV from CRn. @returns pointer to the register's word in the vCPU block; 0 with #GP or #UD recorded. */
export function controlRegister(v: usize, n: u32): usize {
  if (n != 0 && n != 2 && n != 3 && n != 4) return usize(refuse(v, VECTOR_UD, 0));
  if (!requireRing0(v)) return 0;
  if (n == 0) return v + VCPU_CR0;
  if (n == 2) return v + VCPU_CR2;
  return n == 3 ? v + VCPU_CR3 : v + VCPU_CR4;
}
/** MOV to CRn. @returns false with the fault recorded. */
export function writeControl(v: usize, n: u32, value: u32): bool {
  const target = controlRegister(v, n);
  if (target == 0) return false;
  if (n == 0) return writeCr0(v, value);
  if (n == 3) return loadDirectory(v, value) || refuse(v, VECTOR_GP, 0);
  if (n == 4) return writeCr4(v, value);
  store<u32>(target, value);
  return true;
}

/** Writes CR0 with the checks of MOV. @returns false with #GP(0) recorded. */
export function writeCr0(v: usize, value: u32): bool {
  const old = load<u32>(v, VCPU_CR0);
  const fresh = (value & CR0_DEFINED) | CR0_ET;
  const opensPaging = (fresh & ~old & CR0_PG) != 0;
  if ((fresh & (CR0_PG | CR0_PE)) == CR0_PG) return refuse(v, VECTOR_GP, 0);
  if ((fresh & (CR0_NW | CR0_CD)) == CR0_NW) return refuse(v, VECTOR_GP, 0);
  if (opensPaging && (load<u32>(v, VCPU_CR4) & CR4_PAE) != 0) {
    if (!loadPdptes(v, load<u32>(v, VCPU_CR3))) return refuse(v, VECTOR_GP, 0);
  }
  store<u32>(v, fresh, VCPU_CR0);
  if ((old ^ fresh) & CR0_TRANSLATION) refreshPaging(v);
  return true;
}

/** Writes CR4. @returns false with #GP(0) recorded for bits the CPU model does not have or bad PDPTEs. */
export function writeCr4(v: usize, value: u32): bool {
  const old = load<u32>(v, VCPU_CR4);
  if (value & ~modelCr4(v)) return refuse(v, VECTOR_GP, 0);
  const cr0 = load<u32>(v, VCPU_CR0);
  if (pagingMode(cr0, value) != pagingMode(cr0, old) && (value & CR4_PAE) != 0) {
    if (!loadPdptes(v, load<u32>(v, VCPU_CR3))) return refuse(v, VECTOR_GP, 0);
  }
  store<u32>(v, value, VCPU_CR4);
  if ((old ^ value) & CR4_TRANSLATION) refreshPaging(v);
  if ((old ^ value) & CR4_DE) armBreakpoints(v);
  return true;
}

/** CLTS. @returns false with #GP(0) recorded. */
export function clearTaskSwitched(v: usize): bool {
  if (!requireRing0(v)) return false;
  store<u32>(v, load<u32>(v, VCPU_CR0) & ~CR0_TS, VCPU_CR0);
  return true;
}
/** LMSW. @returns false with #GP(0) recorded. */
export function loadMachineStatus(v: usize, value: u32): bool {
  if (!requireRing0(v)) return false;
  const old = load<u32>(v, VCPU_CR0);
  return writeCr0(v, (old & ~LMSW_BITS) | (value & LMSW_BITS) | (old & CR0_PE));
}

/**
 * MOV to or from DRn: the checks they share. @returns pointer to the register's word; 0 with #UD (DR4 and DR5 under CR4.DE), #GP(0)
 * or, when DR7.GD guards the registers, #DB recorded.
 * DEVIATION: an lguest kernel may read them. Linux 3.10 does so in the middle of every oops; the #GP of a real ring 1 makes that an
 * oops in an oops, until the stack is gone and nobody has learnt what was wrong.
 */
export function debugRegister(v: usize, n: u32): usize {
  if ((n & 6) == 4 && (load<u32>(v, VCPU_CR4) & CR4_DE) != 0) return usize(refuse(v, VECTOR_UD, 0));
  if (!isLguestKernel(v) && !requireRing0(v)) return 0;
  const dr7 = load<u32>(v, VCPU_DR7);
  if (dr7 & DR7_GD) {
    // The handler must be able to use the registers it is called for.
    store<u32>(v, dr7 & ~DR7_GD, VCPU_DR7);
    store<u32>(v, load<u32>(v, VCPU_DR6) | DR6_BD, VCPU_DR6);
    // A fault, unlike other debug exceptions: its frame has RF. The count includes this instruction, which does not retire.
    store<u64>(v, load<u64>(v, VCPU_RETIRED), VCPU_RESUME);
    return usize(refuse(v, VECTOR_DB, 0));
  }
  if (n < 4) return v + VCPU_DR0 + n * 4;
  return n & 1 ? v + VCPU_DR7 : v + VCPU_DR6;
}
/** MOV to DRn: reserved bits keep their fixed values. @returns false with the fault recorded. */
export function writeDebug(v: usize, n: u32, value: u32): bool {
  const target = debugRegister(v, n);
  if (target == 0 || !requireRing0(v)) return false;
  if (n < 4) store<u32>(target, value);
  else if (n & 1) store<u32>(target, (value & DR7_WRITABLE) | DR7_FIXED);
  else store<u32>(target, (value & DR6_WRITABLE) | DR6_FIXED);
  if (n != 4 && n != 6) armBreakpoints(v);
  return true;
}

/** @returns the time-stamp counter: retired instructions times VCPU_TSC_RATIO plus VCPU_TSC_OFFSET. Exact when VCPU_RETIRED is. */
export function timeStamp(v: usize): u64 {
  return (
    load<u64>(v, VCPU_RETIRED) * <u64>load<u32>(v, VCPU_TSC_RATIO) + load<u64>(v, VCPU_TSC_OFFSET)
  );
}
/** @returns false with #GP(0) recorded when CR4.TSD keeps the counter from this privilege. */
export function mayReadTimeStamp(v: usize): bool {
  if ((load<u32>(v, VCPU_CR4) & CR4_TSD) == 0) return true;
  return requireRing0(v);
}
