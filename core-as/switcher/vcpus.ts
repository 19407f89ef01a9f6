/**
 * Birth and death of guests and vCPUs: their blocks, their frame table, their registers at the start.
 */

import { MXCSR_INIT } from "../../abi/sse.ts";
import {
  CPU_MODEL_I686,
  EVENT_NONE,
  GUEST_FRAME_ROOT,
  GUEST_ID,
  GUEST_LIMIT_FRAMES,
  GUEST_MMIO_END,
  GUEST_MMIO_START,
  GUEST_RAM_FRAMES,
  GUEST_VCPUS,
  HELD_GDT_XEN,
  NO_VECTOR,
  PAGING_NONE,
  POLICY_NATIVE,
  POLICY_XEN,
  VCPU_COUNTERS,
  VCPU_CPL,
  VCPU_CPU_MODEL,
  VCPU_CR0,
  VCPU_CR2,
  VCPU_CR3,
  VCPU_CR4,
  VCPU_DEBUG,
  VCPU_DEBUG_SHADOW,
  VCPU_DELIVERING,
  VCPU_DR0,
  VCPU_DR6,
  VCPU_DR7,
  VCPU_EFER,
  VCPU_EFLAGS,
  VCPU_EIP,
  VCPU_EVENT,
  VCPU_FCW,
  VCPU_FTW,
  VCPU_GDTR_BASE,
  VCPU_GDTR_LIMIT,
  VCPU_GPR,
  VCPU_GUEST,
  VCPU_HALTED,
  VCPU_HELD_GDT_COUNT,
  VCPU_ID,
  VCPU_IDTR_BASE,
  VCPU_IDTR_LIMIT,
  VCPU_MISC_ENABLE,
  VCPU_MMIO_COUNT,
  VCPU_MXCSR,
  VCPU_NMI,
  VCPU_PAGING,
  VCPU_PAT,
  VCPU_POLICY,
  VCPU_RESUME,
  VCPU_SHADOW,
  VCPU_TSC_RATIO,
  VCPU_WANT_WINDOW,
  VCPU_ZERO,
} from "../../abi/vcpu.ts";
import {
  ATTR_P,
  CR0_AM,
  CR0_CD,
  CR0_ET,
  CR0_MP,
  CR0_NE,
  CR0_NW,
  CR0_PE,
  CR0_PG,
  CR0_WP,
  CR4_MCE,
  CR4_OSFXSR,
  CR4_OSXMMEXCPT,
  CR4_PAE,
  CR4_PSE,
  DESC_ACCESSED,
  DESC_S,
  DESC_WRITABLE,
  EFER_NXE,
  EFLAGS_FIXED,
  EFLAGS_IF,
  MISC_FAST_STRINGS,
  MISC_NO_TRACES,
  REG_EDX,
  SEG_CS,
  SEG_GS,
  SEG_LDTR,
  SEG_TR,
  SYSDESC_LDT,
  SYSDESC_TSS32_BUSY,
} from "../../abi/x86.ts";
import { releaseFrames } from "../mmu/frames.ts";
import { allocFrame, nextGuestId, releaseFrame } from "../mmu/pool.ts";
import { flushAllTranslations, forgetVcpu } from "../mmu/tlb.ts";
import { modelSignature } from "../protect/cpuid.ts";
import { setArithFlags } from "../state/flags.ts";
import { setReg, setSeg, updateMode } from "../state/vcpu.ts";
import { destroyPageInfo } from "../xen/page-info.ts";

/** DR6 and DR7 after reset, and the control words after FNINIT and reset (SDM 3A, "Processor State After Reset"). */
const DR6_RESET: u32 = 0xffff0ff0;
const DR7_RESET: u32 = 0x00000400;
const FCW_RESET: u32 = 0x037f;
const FTW_EMPTY: u32 = 0xffff;
/** Write-back, write-through, uncached minus, uncached, twice. */
const PAT_RESET: u64 = 0x0007040600070406;
/** Limit of the GDT of a Xen guest: 14 pages and one of Xen's. */
const XEN_GDT_LIMIT: u32 = 0xefff;

/** @returns the guest block of a machine with `ramFrames` frames of RAM, 0 when the pool is exhausted. */
export function createGuest(ramFrames: u32): usize {
  const guest = allocFrame();
  if (guest == 0) return 0;
  const root = allocFrame();
  if (root == 0) {
    releaseFrame(guest);
    return 0;
  }
  store<usize>(guest, root, GUEST_FRAME_ROOT);
  store<u32>(guest, ramFrames, GUEST_RAM_FRAMES);
  store<u32>(guest, nextGuestId(), GUEST_ID);
  setLimits(guest, ramFrames, 0, 0);
  return guest;
}

/** Where memory ends (RAM-like device pages included), and which frames are memory-mapped devices. */
export function setLimits(guest: usize, limitFrames: u32, mmioStart: u32, mmioEnd: u32): void {
  store<u32>(guest, limitFrames, GUEST_LIMIT_FRAMES);
  store<u32>(guest, mmioStart, GUEST_MMIO_START);
  store<u32>(guest, mmioEnd, GUEST_MMIO_END);
}

/** Releases the guest block and every frame; its vCPUs are destroyed first. */
export function destroyGuest(guest: usize): void {
  destroyPageInfo(guest);
  releaseFrames(guest);
  releaseFrame(guest);
}

/** @returns the block of a new vCPU at its reset state, 0 when the pool is exhausted. */
export function createVcpu(guest: usize, policy: u32): usize {
  const v = allocFrame();
  if (v == 0) return 0;
  const counters = allocFrame();
  if (counters == 0) {
    releaseFrame(v);
    return 0;
  }
  store<usize>(v, counters, VCPU_COUNTERS);
  store<usize>(v, guest, VCPU_GUEST);
  store<u32>(v, policy, VCPU_POLICY);
  const id = load<u32>(guest, GUEST_VCPUS);
  store<u32>(guest, id + 1, GUEST_VCPUS);
  store<u32>(v, id, VCPU_ID);
  store<u32>(v, 1, VCPU_TSC_RATIO);
  clearEvents(v);
  store<u32>(v, FCW_RESET, VCPU_FCW);
  store<u32>(v, FTW_EMPTY, VCPU_FTW);
  store<u32>(v, MXCSR_INIT, VCPU_MXCSR);
  store<u64>(v, PAT_RESET, VCPU_PAT);
  store<u64>(v, MISC_FAST_STRINGS | MISC_NO_TRACES, VCPU_MISC_ENABLE);
  // Caches are off until a program turns them on; INIT keeps both bits.
  store<u32>(v, CR0_CD | CR0_NW, VCPU_CR0);
  if (policy == POLICY_NATIVE) resetNative(v);
  else if (policy == POLICY_XEN) resetXen(v);
  else resetParavirtual(v);
  updateMode(v);
  return v;
}

/** Nothing is pending, nothing is held off, no breakpoint is set. */
function clearEvents(v: usize): void {
  setArithFlags(v, 0);
  store<u32>(v, EVENT_NONE, VCPU_EVENT);
  store<u32>(v, NO_VECTOR, VCPU_DELIVERING);
  store<u64>(v, ~(<u64>0), VCPU_SHADOW);
  store<u64>(v, 0, VCPU_DEBUG_SHADOW);
  store<u64>(v, 0, VCPU_RESUME);
  store<u32>(v, 0, VCPU_DEBUG);
  store<u32>(v, 0, VCPU_MMIO_COUNT);
  store<u32>(v, 0, VCPU_NMI);
  store<u32>(v, 0, VCPU_WANT_WINDOW);
  store<u32>(v, 0, VCPU_HALTED);
  store<u32>(v, DR6_RESET, VCPU_DR6);
  store<u32>(v, DR7_RESET, VCPU_DR7);
}

/**
 * The INIT signal, for a vCPU of a plain machine: as after reset, but the x87, MMX and SSE registers, the time-stamp counter, the cache
 * bits of CR0 and the MSRs other than EFER stay (SDM 3A, "Processor State After Reset"; EFER as AMD documents it).
 */
export function initVcpu(v: usize): void {
  memory.fill(v + VCPU_GPR, 0, VCPU_ZERO - VCPU_GPR);
  memory.fill(v + VCPU_DR0, 0, 16);
  clearEvents(v);
  store<u32>(v, 0, VCPU_CPL);
  store<u32>(v, 0, VCPU_CR2);
  store<u32>(v, 0, VCPU_CR3);
  store<u32>(v, 0, VCPU_CR4);
  store<u32>(v, 0, VCPU_EFER);
  store<u32>(v, PAGING_NONE, VCPU_PAGING);
  store<u32>(v, 0, VCPU_GDTR_BASE);
  store<u32>(v, 0, VCPU_IDTR_BASE);
  resetNative(v);
  updateMode(v);
  flushAllTranslations(v);
}

/** SDM 3A, "Processor State After Reset". */
function resetNative(v: usize): void {
  store<u32>(v, EFLAGS_FIXED, VCPU_EFLAGS);
  store<u32>(v, (load<u32>(v, VCPU_CR0) & (CR0_CD | CR0_NW)) | CR0_ET, VCPU_CR0);
  store<u32>(v, 0xfff0, VCPU_EIP);
  setReg(v, REG_EDX, modelSignature(v));
  store<u32>(v, 0xffff, VCPU_GDTR_LIMIT);
  store<u32>(v, 0xffff, VCPU_IDTR_LIMIT);
  const data: u32 = ATTR_P | DESC_S | DESC_WRITABLE | DESC_ACCESSED;
  for (let s: u32 = 0; s <= <u32>SEG_GS; s++) setSeg(v, s, 0, 0, 0xffff, data);
  setSeg(v, SEG_CS, 0xf000, 0xffff0000, 0xffff, data);
  setSeg(v, SEG_LDTR, 0, 0, 0xffff, ATTR_P | SYSDESC_LDT);
  setSeg(v, SEG_TR, 0, 0, 0xffff, ATTR_P | SYSDESC_TSS32_BUSY);
}

/** Protected mode with write protection and native FPU errors; the Host sets the segments that its ABI promises. */
function resetParavirtual(v: usize): void {
  store<u32>(v, EFLAGS_FIXED | EFLAGS_IF, VCPU_EFLAGS);
  store<u32>(v, CR0_PE | CR0_ET | CR0_NE | CR0_WP, VCPU_CR0);
  store<u32>(v, 0, VCPU_CPL);
}

/** As Xen runs a guest: paging, NX and alignment checks on, in ring 1. There is no page table yet, and the Host sets the registers. */
function resetXen(v: usize): void {
  store<u32>(v, EFLAGS_FIXED | EFLAGS_IF, VCPU_EFLAGS);
  store<u32>(v, CR0_PG | CR0_AM | CR0_WP | CR0_NE | CR0_ET | CR0_MP | CR0_PE, VCPU_CR0);
  store<u32>(v, CR4_PAE | CR4_PSE | CR4_MCE, VCPU_CR4);
  store<u32>(v, EFER_NXE, VCPU_EFER);
  store<u32>(v, HELD_GDT_XEN, VCPU_HELD_GDT_COUNT);
  store<u32>(v, XEN_GDT_LIMIT, VCPU_GDTR_LIMIT);
  store<u32>(v, 1, VCPU_CPL);
}

/**
 * Makes a vCPU at its reset state one of CPU_MODEL_*. A paravirtual kernel cannot write CR4: it finds SSE enabled where there is any.
 */
export function setModel(v: usize, model: u32): void {
  store<u32>(v, model, VCPU_CPU_MODEL);
  if (load<u32>(v, VCPU_POLICY) == POLICY_NATIVE) setReg(v, REG_EDX, modelSignature(v));
  else if (model != CPU_MODEL_I686) {
    store<u32>(v, load<u32>(v, VCPU_CR4) | CR4_OSFXSR | CR4_OSXMMEXCPT, VCPU_CR4);
  }
  updateMode(v);
}

/** Frees a vCPU; the thread that ran it last calls this. */
export function destroyVcpu(v: usize): void {
  forgetVcpu(v);
  releaseFrame(load<usize>(v, VCPU_COUNTERS));
  releaseFrame(v);
}
