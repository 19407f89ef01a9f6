/** A vCPU's registers as struct vcpu_guest_context, and beside it. Source: Xen's public arch-x86/xen.h. */
import {
  HELD_GATE_BYTES,
  HELD_GATE_CS,
  VCPU_CR0,
  VCPU_CR2,
  VCPU_CR3,
  VCPU_CR4,
  VCPU_DR0,
  VCPU_DR6,
  VCPU_DR7,
  VCPU_HELD_IDT,
  VCPU_INT_EIP,
  VCPU_TSC_AUX,
  VCPU_XEN_CALLBACK_MASKS,
  VCPU_XEN_CPUID_FAULTING,
  VCPU_XEN_EVENT_CS,
  VCPU_XEN_EVENT_EIP,
  VCPU_XEN_FAILSAFE_CS,
  VCPU_XEN_FAILSAFE_EIP,
  VCPU_XEN_GDT_ENTRIES,
  VCPU_XEN_GDT_FRAMES,
  VCPU_XEN_IOPL,
  VCPU_XEN_KERNEL_SP,
  VCPU_XEN_KERNEL_SS,
  VCPU_XEN_LDT_BASE,
  VCPU_XEN_LDT_ENTRIES,
  VCPU_XEN_MC_ANSWERED,
  VCPU_XEN_MC_ENTRY,
  VCPU_XEN_MC_LEFT,
  VCPU_XEN_SYSCALL_CS,
  VCPU_XEN_SYSCALL_EIP,
  VCPU_XEN_SYSENTER_CS,
  VCPU_XEN_SYSENTER_EIP,
} from "../../../abi/vcpu.ts";
import { EFLAGS_IOPL, EFLAGS_IOPL_SHIFT } from "../../../abi/x86.ts";
import { FXSAVE_BYTES } from "../../../abi/x87.ts";
import { CALLBACKTYPE_FAILSAFE, HYPERVISOR_MULTICALL } from "../../../abi/xen.ts";
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
  TRAP_INFO_VECTOR,
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
  VGC_VM_ASSIST,
  VGCF_FAILSAFE_DISABLES_EVENTS,
  VGCF_I387_VALID,
  VGCF_IN_KERNEL,
  VGCF_ONLINE,
} from "../../../abi/xen-layout.ts";
import type { VcpuBlock } from "../../base/vcpu-block.ts";
import { saveFpu } from "../fpu-image.ts";
import { cr3OfMfn, DESCRIPTORS_PER_FRAME, mfnOfCr3, TRAPS } from "../vcpu-context.ts";
import {
  EXTRA_BYTES,
  EXTRA_CALLBACK_MASKS,
  EXTRA_CPUID_FAULTING,
  EXTRA_SYSCALL_CS,
  EXTRA_SYSCALL_EIP,
  EXTRA_SYSENTER_CS,
  EXTRA_SYSENTER_EIP,
  EXTRA_TSC_AUX,
} from "./format.ts";

const USER_RPL = 3;

/** [offset in the vCPU block, offset in the context]. */
// biome-ignore format: a table
const WORDS: readonly (readonly [number, number])[] = [
  [VCPU_XEN_LDT_BASE, VGC_LDT_BASE], [VCPU_XEN_LDT_ENTRIES, VGC_LDT_ENTS], [VCPU_XEN_GDT_ENTRIES, VGC_GDT_ENTS],
  [VCPU_XEN_KERNEL_SS, VGC_KERNEL_SS], [VCPU_XEN_KERNEL_SP, VGC_KERNEL_SP],
  [VCPU_XEN_EVENT_CS, VGC_EVENT_CALLBACK_CS], [VCPU_XEN_EVENT_EIP, VGC_EVENT_CALLBACK_EIP],
  [VCPU_XEN_FAILSAFE_CS, VGC_FAILSAFE_CALLBACK_CS], [VCPU_XEN_FAILSAFE_EIP, VGC_FAILSAFE_CALLBACK_EIP],
  [VCPU_CR0, VGC_CTRLREG], [VCPU_CR2, VGC_CTRLREG + 8], [VCPU_CR4, VGC_CTRLREG + 16],
  [VCPU_DR0, VGC_DEBUGREG], [VCPU_DR0 + 4, VGC_DEBUGREG + 4], [VCPU_DR0 + 8, VGC_DEBUGREG + 8],
  [VCPU_DR0 + 12, VGC_DEBUGREG + 12], [VCPU_DR6, VGC_DEBUGREG + 24], [VCPU_DR7, VGC_DEBUGREG + 28],
];

/** [offset in the vCPU block, offset in the extra words]. */
// biome-ignore format: a table
const EXTRA_WORDS: readonly (readonly [number, number])[] = [
  [VCPU_XEN_SYSENTER_CS, EXTRA_SYSENTER_CS], [VCPU_XEN_SYSENTER_EIP, EXTRA_SYSENTER_EIP],
  [VCPU_XEN_SYSCALL_CS, EXTRA_SYSCALL_CS], [VCPU_XEN_SYSCALL_EIP, EXTRA_SYSCALL_EIP],
  [VCPU_XEN_CALLBACK_MASKS, EXTRA_CALLBACK_MASKS], [VCPU_XEN_CPUID_FAULTING, EXTRA_CPUID_FAULTING],
  [VCPU_TSC_AUX, EXTRA_TSC_AUX],
];

/** A vCPU that waits within a multicall, or has lost its turn there, makes the call for the entries that are left once it goes on. */
function restOfList(vcpu: VcpuBlock): Partial<ReturnType<VcpuBlock["registers"]>> {
  if (vcpu.u32(VCPU_XEN_MC_ANSWERED) === 0) return {};
  return {
    eax: HYPERVISOR_MULTICALL,
    ebx: vcpu.u32(VCPU_XEN_MC_ENTRY),
    ecx: vcpu.u32(VCPU_XEN_MC_LEFT),
    eip: vcpu.u32(VCPU_INT_EIP),
  };
}

/** Fills a zeroed context of VGC_BYTES. @param with.rename from machine to pseudo-physical frames */
export function saveRegisters(
  vcpu: VcpuBlock,
  context: DataView,
  { assists, rename }: { readonly assists: number; readonly rename: (mfn: number) => number },
): void {
  const set = (at: number, value: number) => context.setUint32(at, value, true);
  for (const [from, to] of WORDS) set(to, vcpu.u32(from));
  const { eflags, ...registers } = { ...vcpu.registers(), ...restOfList(vcpu) };
  // biome-ignore format: a table
  const user: readonly (readonly [number, number])[] = [
    [CUR_EAX, registers.eax], [CUR_ECX, registers.ecx], [CUR_EDX, registers.edx], [CUR_EBX, registers.ebx],
    [CUR_ESP, registers.esp], [CUR_EBP, registers.ebp], [CUR_ESI, registers.esi], [CUR_EDI, registers.edi],
    [CUR_EIP, registers.eip], [CUR_CS, registers.cs], [CUR_SS, registers.ss], [CUR_DS, registers.ds],
    [CUR_ES, registers.es], [CUR_FS, registers.fs], [CUR_GS, registers.gs],
  ];
  for (const [at, value] of user) set(VGC_USER_REGS + at, value);
  const iopl = vcpu.u32(VCPU_XEN_IOPL) << EFLAGS_IOPL_SHIFT;
  set(VGC_USER_REGS + CUR_EFLAGS, (eflags & ~EFLAGS_IOPL) | iopl);
  const isUser = (registers.cs & USER_RPL) === USER_RPL;
  const masks = vcpu.u32(VCPU_XEN_CALLBACK_MASKS) & (1 << CALLBACKTYPE_FAILSAFE);
  set(
    VGC_FLAGS,
    VGCF_I387_VALID |
      VGCF_ONLINE |
      (isUser ? 0 : VGCF_IN_KERNEL) |
      (masks === 0 ? 0 : VGCF_FAILSAFE_DISABLES_EVENTS),
  );
  set(VGC_VM_ASSIST, assists);
  set(VGC_CTRLREG + 12, cr3OfMfn(rename(vcpu.u32(VCPU_CR3) >>> 12)));
  const frames = Math.ceil(vcpu.u32(VCPU_XEN_GDT_ENTRIES) / DESCRIPTORS_PER_FRAME);
  for (let i = 0; i < frames; i++) {
    set(VGC_GDT_FRAMES + 4 * i, rename(vcpu.u32(VCPU_XEN_GDT_FRAMES + 4 * i)));
  }
  for (let vector = 0; vector < TRAPS; vector++) {
    const gate = VCPU_HELD_IDT + vector * HELD_GATE_BYTES;
    const entry = VGC_TRAP_CTXT + vector * TRAP_INFO_BYTES;
    const selectorAndFlags = vcpu.u32(gate + HELD_GATE_CS);
    context.setUint8(entry + TRAP_INFO_VECTOR, vector);
    context.setUint8(entry + TRAP_INFO_FLAGS, selectorAndFlags >>> 16);
    context.setUint16(entry + TRAP_INFO_CS, selectorAndFlags, true);
    set(entry + TRAP_INFO_ADDRESS, vcpu.u32(gate));
  }
  const fpu = new Uint8Array(context.buffer, context.byteOffset + VGC_FPU_CTXT, FXSAVE_BYTES);
  fpu.set(saveFpu(vcpu));
}

/** Replaces what a context says of frames. @param rename undefined for a frame that there is not @returns false when that happened */
export function renameRegisters(
  context: DataView,
  rename: (frame: number) => number | undefined,
): boolean {
  const base = rename(mfnOfCr3(context.getUint32(VGC_CTRLREG + 12, true)));
  if (base === undefined) return false;
  context.setUint32(VGC_CTRLREG + 12, cr3OfMfn(base), true);
  const entries = context.getUint32(VGC_GDT_ENTS, true);
  const frames = Math.min(Math.ceil(entries / DESCRIPTORS_PER_FRAME), 16);
  for (let i = 0; i < frames; i++) {
    const frame = rename(context.getUint32(VGC_GDT_FRAMES + 4 * i, true));
    if (frame === undefined) return false;
    context.setUint32(VGC_GDT_FRAMES + 4 * i, frame, true);
  }
  return true;
}

/** What stands beside the context. */
export function saveExtra(vcpu: VcpuBlock): Uint8Array {
  const extra = new Uint8Array(EXTRA_BYTES);
  const view = new DataView(extra.buffer);
  for (const [from, to] of EXTRA_WORDS) view.setUint32(to, vcpu.u32(from), true);
  return extra;
}

/** The inverse, after the context was loaded. A selector of a callback leads to ring 1 at least. */
export function loadExtra(vcpu: VcpuBlock, extra: Uint8Array): void {
  const view = new DataView(extra.buffer, extra.byteOffset, extra.byteLength);
  for (const [to, from] of EXTRA_WORDS) vcpu.setU32(to, view.getUint32(from, true));
  for (const selector of [VCPU_XEN_SYSENTER_CS, VCPU_XEN_SYSCALL_CS]) {
    vcpu.setU32(selector, (vcpu.u32(selector) & 0xffff) | 1);
  }
  vcpu.setU32(VCPU_XEN_CPUID_FAULTING, vcpu.u32(VCPU_XEN_CPUID_FAULTING) & 1);
}
