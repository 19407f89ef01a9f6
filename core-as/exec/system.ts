/**
 * Micro-ops of the system instructions. Thin: the rules are in protect/.
 *
 *   function                              operands
 *   inImm<T> outImm<T>                    imm port; T = u8, u16, u32
 *   inDx<T> outDx<T>                      port in DX
 *   cli sti hlt clts wbinvd               none
 *   movFromCr movToCr movFromDr movToDr   r1 general register, imm register number
 *   lmsw                                  r/m16
 *   smsw<T> sldt<T> str<T>                r/m16 in memory, T in a register
 *   lgdt<T> lidt<T>                       r/m memory, 6 bytes; T = u16 takes 24 bits of base
 *   sgdt sidt                             r/m memory, 6 bytes
 *   lldt ltr                              r/m16
 *   lar<T> lsl<T>                         r1 destination, r/m16 selector
 *   verr verw                             r/m16
 *   arpl                                  r1 register, r/m16
 *   invlpg                                r/m memory, not accessed
 *   rdmsr wrmsr rdpmc rdtsc rdtscp cpuid  none
 *   rdpid                                 r2 destination
 *   setAlignmentCheck                     none
 *   sysenter sysexit                      none
 *
 * The stores and queries (smsw sldt str sgdt sidt lar lsl verr verw arpl rdpid), STAC and CLAC return STEP_NEXT; all others end their block.
 * sti, rdtsc, rdmsr and wrmsr want VCPU_RETIRED to be exact.
 */
import {
  EXIT_HALT,
  EXIT_IO_IN,
  EXIT_IO_OUT,
  POLICY_XEN,
  VCPU_CPL,
  VCPU_CR0,
  VCPU_CR4,
  VCPU_DESC_HI,
  VCPU_DESC_LO,
  VCPU_EFLAGS,
  VCPU_GDTR_BASE,
  VCPU_GDTR_LIMIT,
  VCPU_GPR,
  VCPU_IDTR_BASE,
  VCPU_IDTR_LIMIT,
  VCPU_POLICY,
  VCPU_TSC_AUX,
} from "../../abi/vcpu.ts";
import {
  CR4_PCE,
  CR4_UMIP,
  EFLAGS_AC,
  EFLAGS_ZF,
  REG_EAX,
  REG_ECX,
  REG_EDX,
  SEG_LDTR,
  SEG_TR,
} from "../../abi/x86.ts";
import { advance, rmRead, rmWrite, Uop } from "../decode/uop.ts";
import { commitWrite } from "../mmu/access.ts";
import { flushPageEverywhere } from "../mmu/tlb.ts";
import { notePort } from "../mmu/watch.ts";
import {
  clearInterruptFlag,
  clearTaskSwitched,
  controlRegister,
  debugRegister,
  loadMachineStatus,
  mayReadTimeStamp,
  requireRing0,
  setInterruptFlag,
  timeStamp,
  writeControl,
  writeDebug,
} from "../protect/control.ts";
import { cpuid as answerCpuid } from "../protect/cpuid.ts";
import { mayUsePort } from "../protect/io.ts";
import { enterSystem, exitSystem, readMsr, writeMsr } from "../protect/msr.ts";
import { requireWritable, usesParagraphs } from "../protect/segments.ts";
import {
  loadLdt,
  loadTaskRegister,
  QUERY_EVENT,
  QUERY_YES,
  queryAccess,
  queryLimit,
  queryRights,
} from "../protect/tables.ts";
import { leave, raiseGp, raiseUd, STEP_END, STEP_EVENT, STEP_NEXT } from "../state/faults.ts";
import { arithFlags, setArithFlags } from "../state/flags.ts";
import { reg, segSelector, setReg } from "../state/vcpu.ts";
import { storeSelector } from "./far.ts";

/** The end of an instruction that changed what blocks are decoded for. */
function finish(v: usize, pc: usize, done: bool): u32 {
  if (!done) return STEP_EVENT;
  advance(v, pc);
  return STEP_END;
}

function portIn<T>(v: usize, pc: usize, port: u32): u32 {
  if (!mayUsePort(v, port, sizeof<T>())) return STEP_EVENT;
  notePort(v, port, sizeof<T>());
  advance(v, pc);
  return leave(v, EXIT_IO_IN, port, sizeof<T>());
}
function portOut<T>(v: usize, pc: usize, port: u32): u32 {
  if (!mayUsePort(v, port, sizeof<T>())) return STEP_EVENT;
  notePort(v, port, sizeof<T>());
  advance(v, pc);
  return leave(v, EXIT_IO_OUT, port, sizeof<T>(), <u32>load<T>(v, VCPU_GPR));
}
/** IN AL/AX/EAX, imm8: the Host writes the register. */
export function inImm<T>(v: usize, pc: usize): u32 {
  return portIn<T>(v, pc, Uop.imm(pc) & 0xff);
}
export function inDx<T>(v: usize, pc: usize): u32 {
  return portIn<T>(v, pc, reg(v, REG_EDX) & 0xffff);
}
/** OUT imm8, AL/AX/EAX. */
export function outImm<T>(v: usize, pc: usize): u32 {
  return portOut<T>(v, pc, Uop.imm(pc) & 0xff);
}
export function outDx<T>(v: usize, pc: usize): u32 {
  return portOut<T>(v, pc, reg(v, REG_EDX) & 0xffff);
}

/** CLI. */
export function cli(v: usize, pc: usize): u32 {
  return finish(v, pc, clearInterruptFlag(v));
}
/** STI. */
export function sti(v: usize, pc: usize): u32 {
  return finish(v, pc, setInterruptFlag(v));
}
/** HLT: out to the Host. */
export function hlt(v: usize, pc: usize): u32 {
  if (!requireRing0(v)) return STEP_EVENT;
  advance(v, pc);
  return leave(v, EXIT_HALT);
}
/** CLTS. */
export function clts(v: usize, pc: usize): u32 {
  return finish(v, pc, clearTaskSwitched(v));
}
/** WBINVD and INVD: there are no caches to speak of. */
export function wbinvd(v: usize, pc: usize): u32 {
  return finish(v, pc, requireRing0(v));
}

/** MOV r32, CRn. */
export function movFromCr(v: usize, pc: usize): u32 {
  const source = controlRegister(v, Uop.imm(pc));
  if (source == 0) return STEP_EVENT;
  store<u32>(Uop.r1(v, pc), load<u32>(source));
  return finish(v, pc, true);
}
/** MOV CRn, r32. */
export function movToCr(v: usize, pc: usize): u32 {
  return finish(v, pc, writeControl(v, Uop.imm(pc), load<u32>(Uop.r1(v, pc))));
}
/** MOV r32, DRn. */
export function movFromDr(v: usize, pc: usize): u32 {
  const source = debugRegister(v, Uop.imm(pc));
  if (source == 0) return STEP_EVENT;
  store<u32>(Uop.r1(v, pc), load<u32>(source));
  return finish(v, pc, true);
}
/** MOV DRn, r32. */
export function movToDr(v: usize, pc: usize): u32 {
  return finish(v, pc, writeDebug(v, Uop.imm(pc), load<u32>(Uop.r1(v, pc))));
}
/** LMSW. */
export function lmsw(v: usize, pc: usize): u32 {
  if (!requireRing0(v)) return STEP_EVENT;
  const ptr = rmRead(v, pc, 2);
  if (ptr == 0) return STEP_EVENT;
  return finish(v, pc, loadMachineStatus(v, load<u16>(ptr)));
}
/** @returns true unless CR4.UMIP keeps the instruction from this privilege: #GP(0) is recorded. */
function mayStoreSystem(v: usize): bool {
  return (load<u32>(v, VCPU_CR4) & CR4_UMIP) == 0 || requireRing0(v);
}
/** SMSW; a 32-bit register receives all of CR0. */
export function smsw<T>(v: usize, pc: usize): u32 {
  if (!mayStoreSystem(v)) return STEP_EVENT;
  return storeSelector<T>(v, pc, load<u32>(v, VCPU_CR0));
}

/** @returns base of a 6-byte table pseudo-descriptor. */
function tableBase<T>(ptr: usize): u32 {
  const base = load<u32>(ptr, 2);
  return sizeof<T>() == 2 ? base & 0xffffff : base;
}
/** LGDT. */
export function lgdt<T>(v: usize, pc: usize): u32 {
  if (!requireRing0(v)) return STEP_EVENT;
  const ptr = rmRead(v, pc, 6);
  if (ptr == 0) return STEP_EVENT;
  store<u32>(v, load<u16>(ptr), VCPU_GDTR_LIMIT);
  store<u32>(v, tableBase<T>(ptr), VCPU_GDTR_BASE);
  return finish(v, pc, true);
}
/** LIDT. */
export function lidt<T>(v: usize, pc: usize): u32 {
  if (!requireRing0(v)) return STEP_EVENT;
  const ptr = rmRead(v, pc, 6);
  if (ptr == 0) return STEP_EVENT;
  store<u32>(v, load<u16>(ptr), VCPU_IDTR_LIMIT);
  store<u32>(v, tableBase<T>(ptr), VCPU_IDTR_BASE);
  return finish(v, pc, true);
}
/** Stores limit and all 32 bits of base: processors since the 386 do so with a 16-bit operand size too. */
function storeTable(v: usize, pc: usize, limit: u32, base: u32): u32 {
  if (!mayStoreSystem(v)) return STEP_EVENT;
  const ptr = rmWrite(v, pc, 6);
  if (ptr == 0) return STEP_EVENT;
  store<u16>(ptr, limit);
  store<u32>(ptr, base, 2);
  return commitWrite(v, ptr) ? STEP_NEXT : STEP_EVENT;
}
/** SGDT. */
export function sgdt(v: usize, pc: usize): u32 {
  return storeTable(v, pc, load<u32>(v, VCPU_GDTR_LIMIT), load<u32>(v, VCPU_GDTR_BASE));
}
/** SIDT. */
export function sidt(v: usize, pc: usize): u32 {
  return storeTable(v, pc, load<u32>(v, VCPU_IDTR_LIMIT), load<u32>(v, VCPU_IDTR_BASE));
}

/** @returns true where selectors name descriptors; else #UD is recorded. */
function requireSelectors(v: usize): bool {
  if (!usesParagraphs(v)) return true;
  raiseUd(v);
  return false;
}
/** LLDT. */
export function lldt(v: usize, pc: usize): u32 {
  if (!requireSelectors(v) || !requireRing0(v)) return STEP_EVENT;
  const ptr = rmRead(v, pc, 2);
  if (ptr == 0) return STEP_EVENT;
  return finish(v, pc, loadLdt(v, load<u16>(ptr)));
}
/** LTR. */
export function ltr(v: usize, pc: usize): u32 {
  if (!requireSelectors(v) || !requireRing0(v)) return STEP_EVENT;
  const ptr = rmRead(v, pc, 2);
  if (ptr == 0) return STEP_EVENT;
  return finish(v, pc, loadTaskRegister(v, load<u16>(ptr)));
}
/** SLDT. */
export function sldt<T>(v: usize, pc: usize): u32 {
  if (!requireSelectors(v) || !mayStoreSystem(v)) return STEP_EVENT;
  return storeSelector<T>(v, pc, segSelector(v, SEG_LDTR));
}
/** STR. */
export function str<T>(v: usize, pc: usize): u32 {
  if (!requireSelectors(v) || !mayStoreSystem(v)) return STEP_EVENT;
  return storeSelector<T>(v, pc, segSelector(v, SEG_TR));
}

/** Sets ZF from the outcome of a query, other flags kept. @returns STEP_NEXT or STEP_EVENT. */
function answered(v: usize, outcome: u32): u32 {
  if (outcome == QUERY_EVENT) return STEP_EVENT;
  const rest = arithFlags(v) & ~EFLAGS_ZF;
  setArithFlags(v, outcome == QUERY_YES ? rest | EFLAGS_ZF : rest);
  return STEP_NEXT;
}
/** LAR. */
export function lar<T>(v: usize, pc: usize): u32 {
  if (!requireSelectors(v)) return STEP_EVENT;
  const ptr = rmRead(v, pc, 2);
  if (ptr == 0) return STEP_EVENT;
  const outcome = queryRights(v, load<u16>(ptr));
  if (outcome == QUERY_YES) store<T>(Uop.r1(v, pc), <T>load<u32>(v, VCPU_DESC_HI));
  return answered(v, outcome);
}
/** LSL. */
export function lsl<T>(v: usize, pc: usize): u32 {
  if (!requireSelectors(v)) return STEP_EVENT;
  const ptr = rmRead(v, pc, 2);
  if (ptr == 0) return STEP_EVENT;
  const outcome = queryLimit(v, load<u16>(ptr));
  if (outcome == QUERY_YES) store<T>(Uop.r1(v, pc), <T>load<u32>(v, VCPU_DESC_LO));
  return answered(v, outcome);
}
/** VERR. */
export function verr(v: usize, pc: usize): u32 {
  if (!requireSelectors(v)) return STEP_EVENT;
  const ptr = rmRead(v, pc, 2);
  return ptr == 0 ? STEP_EVENT : answered(v, queryAccess(v, load<u16>(ptr), false));
}
/** VERW. */
export function verw(v: usize, pc: usize): u32 {
  if (!requireSelectors(v)) return STEP_EVENT;
  const ptr = rmRead(v, pc, 2);
  return ptr == 0 ? STEP_EVENT : answered(v, queryAccess(v, load<u16>(ptr), true));
}
/** ARPL: raises the RPL of r/m16 to that of r1. A selector that needs no raise is only read, so it may lie where nothing can be written. */
export function arpl(v: usize, pc: usize): u32 {
  if (!requireSelectors(v)) return STEP_EVENT;
  const source = rmRead(v, pc, 2);
  if (source == 0) return STEP_EVENT;
  const selector: u32 = load<u16>(source);
  const rpl = <u32>load<u16>(Uop.r1(v, pc)) & 3;
  const raises = (selector & 3) < rpl;
  if (raises) {
    if (Uop.isMemory(pc) && !requireWritable(v, Uop.imm(pc))) return STEP_EVENT;
    const target = rmWrite(v, pc, 2);
    if (target == 0) return STEP_EVENT;
    store<u16>(target, (selector & ~3) | rpl);
    if (!commitWrite(v, target)) return STEP_EVENT;
  }
  return answered(v, u32(raises));
}

/** INVLPG. */
export function invlpg(v: usize, pc: usize): u32 {
  if (!requireRing0(v)) return STEP_EVENT;
  flushPageEverywhere(v, Uop.ea(v, pc));
  return finish(v, pc, true);
}
/** RDMSR. */
export function rdmsr(v: usize, pc: usize): u32 {
  advance(v, pc);
  return readMsr(v);
}
/** WRMSR. */
export function wrmsr(v: usize, pc: usize): u32 {
  advance(v, pc);
  return writeMsr(v);
}
/** RDPMC: no counters exist, so every index is out of range. */
export function rdpmc(v: usize, _pc: usize): u32 {
  if (load<u32>(v, VCPU_CR4) & CR4_PCE || requireRing0(v)) raiseGp(v);
  return STEP_EVENT;
}
/** RDTSC. */
export function rdtsc(v: usize, pc: usize): u32 {
  if (!mayReadTimeStamp(v)) return STEP_EVENT;
  const now = timeStamp(v);
  setReg(v, REG_EAX, <u32>now);
  setReg(v, REG_EDX, <u32>(now >> 32));
  return finish(v, pc, true);
}
/** RDTSCP. */
export function rdtscp(v: usize, pc: usize): u32 {
  const step = rdtsc(v, pc);
  if (step == STEP_END) setReg(v, REG_ECX, load<u32>(v, VCPU_TSC_AUX));
  return step;
}
/** RDPID r32. */
export function rdpid(v: usize, pc: usize): u32 {
  store<u32>(Uop.r2(v, pc), load<u32>(v, VCPU_TSC_AUX));
  return STEP_NEXT;
}
/** STAC, CLAC: only the walker looks at EFLAGS.AC in ring 0, and what it allows by it is not cached. */
export function setAlignmentCheck(v: usize, isSet: bool): u32 {
  if (load<u32>(v, VCPU_CPL) != 0) {
    raiseUd(v);
    return STEP_EVENT;
  }
  const flags = load<u32>(v, VCPU_EFLAGS);
  store<u32>(v, isSet ? flags | EFLAGS_AC : flags & ~EFLAGS_AC, VCPU_EFLAGS);
  return STEP_NEXT;
}
/** CPUID; under Xen it faults whatever the ring, as processors can be made to do it, and is answered there. */
export function cpuid(v: usize, pc: usize): u32 {
  if (load<u32>(v, VCPU_POLICY) == POLICY_XEN) {
    raiseGp(v);
    return STEP_EVENT;
  }
  answerCpuid(v, reg(v, REG_EAX));
  return finish(v, pc, true);
}
/** SYSENTER. */
export function sysenter(v: usize, _pc: usize): u32 {
  return enterSystem(v);
}
/** SYSEXIT. */
export function sysexit(v: usize, _pc: usize): u32 {
  return exitSystem(v);
}
