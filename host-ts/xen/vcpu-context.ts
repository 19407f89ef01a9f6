/**
 * struct vcpu_guest_context into a vCPU that has never run: page tables, descriptor tables and everything that a return to the guest loads.
 * Source: Xen's public arch-x86/xen.h and xen-x86_32.h.
 */

import { PAGE_BYTES } from "../../abi/memory.ts";
import {
  HELD_GATE_BYTES,
  HELD_GATE_CS,
  HELD_GATE_FLAGS,
  SEG_SELECTOR,
  SEG_STRIDE,
  VCPU_CR0,
  VCPU_CR2,
  VCPU_CR4,
  VCPU_EFLAGS,
  VCPU_EIP,
  VCPU_HELD_IDT,
  VCPU_SEGS,
  VCPU_XEN_CALLBACK_MASKS,
  VCPU_XEN_EVENT_CS,
  VCPU_XEN_EVENT_EIP,
  VCPU_XEN_FAILSAFE_CS,
  VCPU_XEN_FAILSAFE_EIP,
  VCPU_XEN_GDT_ENTRIES,
  VCPU_XEN_IOPL,
  VCPU_XEN_KERNEL_SP,
  VCPU_XEN_KERNEL_SS,
} from "../../abi/vcpu.ts";
import {
  CR0_TS,
  CR4_DE,
  CR4_TSD,
  EFLAGS_AC,
  EFLAGS_ARITH,
  EFLAGS_DF,
  EFLAGS_FIXED,
  EFLAGS_ID,
  EFLAGS_IF,
  EFLAGS_IOPL,
  EFLAGS_IOPL_SHIFT,
  EFLAGS_NT,
  EFLAGS_TF,
  REG_EAX,
  REG_EBP,
  REG_EBX,
  REG_ECX,
  REG_EDI,
  REG_EDX,
  REG_ESI,
  REG_ESP,
  SEG_CS,
  SEG_DS,
  SEG_ES,
  SEG_FS,
  SEG_GS,
  SEG_SS,
} from "../../abi/x86.ts";
import { FXSAVE_BYTES } from "../../abi/x87.ts";
import {
  CALLBACKTYPE_FAILSAFE,
  CALLBACKTYPE_SYSCALL,
  FIRST_RESERVED_GDT_ENTRY,
  XEN_EINVAL,
} from "../../abi/xen.ts";
import {
  CUR_CS,
  CUR_DS,
  CUR_EAX,
  CUR_EBP,
  CUR_EBX,
  CUR_ECX,
  CUR_EDI,
  CUR_EDX,
  CUR_EFLAGS,
  CUR_EIP,
  CUR_ES,
  CUR_ESI,
  CUR_ESP,
  CUR_FS,
  CUR_GS,
  CUR_SS,
  TRAP_INFO_ADDRESS,
  TRAP_INFO_BYTES,
  TRAP_INFO_CS,
  TRAP_INFO_FLAGS,
  VGC_CTRLREG,
  VGC_DEBUGREG,
  VGC_EVENT_CALLBACK_CS,
  VGC_EVENT_CALLBACK_EIP,
  VGC_FAILSAFE_CALLBACK_CS,
  VGC_FAILSAFE_CALLBACK_EIP,
  VGC_FLAGS,
  VGC_FPU_CTXT,
  VGC_GDT_ENTS,
  VGC_GDT_FRAMES,
  VGC_KERNEL_SP,
  VGC_KERNEL_SS,
  VGC_LDT_BASE,
  VGC_LDT_ENTS,
  VGC_TRAP_CTXT,
  VGC_USER_REGS,
  VGCF_FAILSAFE_DISABLES_EVENTS,
  VGCF_I387_VALID,
  VGCF_SYSCALL_DISABLES_EVENTS,
} from "../../abi/xen-layout.ts";
import type { PersonalityHost } from "../base/personality.ts";
import type { VcpuBlock } from "../base/vcpu-block.ts";
import { loadFpu, resetFpu } from "./fpu-image.ts";

/** Entries of a context's trap table. */
export const TRAPS = 256;
const TRAP_FLAGS = 7;
const LDT_ENTRIES_MAX = 8192;
/** Of a GDT or LDT. */
export const DESCRIPTORS_PER_FRAME = 512;
/** Bits of EFLAGS that a context may set; IF is set always, and IOPL is virtual. */
const EFLAGS_KEPT =
  EFLAGS_ARITH | EFLAGS_TF | EFLAGS_DF | EFLAGS_NT | EFLAGS_AC | EFLAGS_ID | EFLAGS_FIXED;
const CR4_GUEST = CR4_TSD | CR4_DE;

// biome-ignore format: a table
const GENERAL: readonly (readonly [number, number])[] = [
  [REG_EAX, CUR_EAX], [REG_ECX, CUR_ECX], [REG_EDX, CUR_EDX], [REG_EBX, CUR_EBX],
  [REG_ESP, CUR_ESP], [REG_EBP, CUR_EBP], [REG_ESI, CUR_ESI], [REG_EDI, CUR_EDI],
];
// biome-ignore format: a table
const SEGMENTS: readonly (readonly [number, number])[] = [
  [SEG_CS, CUR_CS], [SEG_SS, CUR_SS], [SEG_DS, CUR_DS], [SEG_ES, CUR_ES], [SEG_FS, CUR_FS], [SEG_GS, CUR_GS],
];

/** The machine frame that a 32-bit guest's CR3 names: the upper bits of the number stand in the lower bits of the register. */
export function mfnOfCr3(cr3: number): number {
  return ((cr3 >>> 12) | (cr3 << 20)) >>> 0;
}

/** The inverse of mfnOfCr3. */
export function cr3OfMfn(mfn: number): number {
  return ((mfn << 12) | (mfn >>> 20)) >>> 0;
}

/** A selector that leads to ring 1 at least. */
function raiseRpl(selector: number): number {
  return (selector & 3) === 0 ? (selector & 0xffff) | 1 : selector & 0xffff;
}

/**
 * Loads a context of VGC_BYTES. Segment registers get their selectors; xenStart loads what is behind them.
 * @returns 0; -EINVAL for tables that are no good, the vCPU still has none then.
 */
export function loadContext(host: PersonalityHost, vcpu: VcpuBlock, context: DataView): number {
  const u32 = (at: number) => context.getUint32(at, true);
  const ldtBase = u32(VGC_LDT_BASE);
  const ldtEntries = u32(VGC_LDT_ENTS);
  if (ldtBase % PAGE_BYTES !== 0 || ldtEntries > LDT_ENTRIES_MAX) return -XEN_EINVAL;
  if (!setTables(host, vcpu, context)) return -XEN_EINVAL;
  if (host.core.exports.xenSetLdt(vcpu.ptr, ldtBase, ldtEntries) !== 0) {
    host.core.exports.xenDropTables(vcpu.ptr);
    return -XEN_EINVAL;
  }
  setEntries(vcpu, context);
  setRegisters(vcpu, context);
  setControl(host, vcpu, context);
  const fpu = new DataView(context.buffer, context.byteOffset + VGC_FPU_CTXT, FXSAVE_BYTES);
  if ((u32(VGC_FLAGS) & VGCF_I387_VALID) !== 0) loadFpu(vcpu, fpu);
  else resetFpu(vcpu);
  return 0;
}

/** GDT and page tables. @returns false, with nothing held, when one of them is no good. */
function setTables({ core }: PersonalityHost, vcpu: VcpuBlock, context: DataView): boolean {
  const verbs = core.exports;
  const entries = context.getUint32(VGC_GDT_ENTS, true);
  if (entries > FIRST_RESERVED_GDT_ENTRY) return false;
  const frames = Math.ceil(entries / DESCRIPTORS_PER_FRAME);
  for (let i = 0; i < frames; i++) {
    const mfn = context.getUint32(VGC_GDT_FRAMES + 4 * i, true);
    if (mfn === 0 || verbs.xenSetGdtFrame(vcpu.ptr, i, mfn) !== 0) {
      verbs.xenDropTables(vcpu.ptr);
      return false;
    }
  }
  const base = mfnOfCr3(context.getUint32(VGC_CTRLREG + 4 * 3, true));
  if (verbs.xenSetBase(vcpu.ptr, base) !== 0) {
    verbs.xenDropTables(vcpu.ptr);
    return false;
  }
  vcpu.setU32(VCPU_XEN_GDT_ENTRIES, entries);
  return true;
}

/** Where the guest wants to be entered. The place of an entry in the trap table is its vector. */
function setEntries(vcpu: VcpuBlock, context: DataView): void {
  const u32 = (at: number) => context.getUint32(at, true);
  for (let vector = 0; vector < TRAPS; vector++) {
    const entry = VGC_TRAP_CTXT + vector * TRAP_INFO_BYTES;
    const gate = VCPU_HELD_IDT + vector * HELD_GATE_BYTES;
    const cs = raiseRpl(context.getUint16(entry + TRAP_INFO_CS, true));
    const flags = context.getUint8(entry + TRAP_INFO_FLAGS) & TRAP_FLAGS;
    vcpu.setU32(gate, u32(entry + TRAP_INFO_ADDRESS));
    vcpu.setU32(gate + HELD_GATE_CS, cs | (flags << (8 * (HELD_GATE_FLAGS - HELD_GATE_CS))));
  }
  vcpu.setU32(VCPU_XEN_KERNEL_SS, raiseRpl(u32(VGC_KERNEL_SS)));
  vcpu.setU32(VCPU_XEN_KERNEL_SP, u32(VGC_KERNEL_SP));
  vcpu.setU32(VCPU_XEN_EVENT_CS, raiseRpl(u32(VGC_EVENT_CALLBACK_CS)));
  vcpu.setU32(VCPU_XEN_EVENT_EIP, u32(VGC_EVENT_CALLBACK_EIP));
  vcpu.setU32(VCPU_XEN_FAILSAFE_CS, raiseRpl(u32(VGC_FAILSAFE_CALLBACK_CS)));
  vcpu.setU32(VCPU_XEN_FAILSAFE_EIP, u32(VGC_FAILSAFE_CALLBACK_EIP));
  const flags = u32(VGC_FLAGS);
  const failsafe = (flags & VGCF_FAILSAFE_DISABLES_EVENTS) !== 0 ? 1 << CALLBACKTYPE_FAILSAFE : 0;
  const syscall = (flags & VGCF_SYSCALL_DISABLES_EVENTS) !== 0 ? 1 << CALLBACKTYPE_SYSCALL : 0;
  vcpu.setU32(VCPU_XEN_CALLBACK_MASKS, failsafe | syscall);
}

function setRegisters(vcpu: VcpuBlock, context: DataView): void {
  const register = (at: number) => context.getUint32(VGC_USER_REGS + at, true);
  for (const [number, at] of GENERAL) vcpu.setGpr(number, register(at));
  for (const [segment, at] of SEGMENTS) {
    const selector = register(at) & 0xffff;
    const isRaised = segment === SEG_CS || segment === SEG_SS;
    const word = VCPU_SEGS + segment * SEG_STRIDE + SEG_SELECTOR;
    vcpu.setU32(word, isRaised ? raiseRpl(selector) : selector);
  }
  vcpu.setU32(VCPU_EIP, register(CUR_EIP));
  const eflags = register(CUR_EFLAGS);
  vcpu.setU32(VCPU_XEN_IOPL, (eflags & EFLAGS_IOPL) >>> EFLAGS_IOPL_SHIFT);
  vcpu.setU32(VCPU_EFLAGS, (eflags & EFLAGS_KEPT) | EFLAGS_FIXED | EFLAGS_IF);
}

/** Of the control registers only CR0.TS, CR2 and some of CR4 are the guest's. A debug register that is refused stays clear. */
function setControl({ core }: PersonalityHost, vcpu: VcpuBlock, context: DataView): void {
  const control = (n: number) => context.getUint32(VGC_CTRLREG + 4 * n, true);
  vcpu.setU32(VCPU_CR0, (vcpu.u32(VCPU_CR0) & ~CR0_TS) | (control(0) & CR0_TS));
  vcpu.setU32(VCPU_CR2, control(2));
  vcpu.setU32(VCPU_CR4, (vcpu.u32(VCPU_CR4) & ~CR4_GUEST) | (control(4) & CR4_GUEST));
  for (const n of [0, 1, 2, 3, 6, 7]) {
    const value = context.getUint32(VGC_DEBUGREG + 4 * n, true);
    core.exports.xenSetDebugRegister(vcpu.ptr, n, value);
  }
}
