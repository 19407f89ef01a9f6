/**
 * IRET in all its forms, and the outward half of a far return, which is the same thing without flags.
 * Source: SDM 2A, IRET/IRETD; SDM 2B, RET; SDM 3B, "Virtual-8086 Mode".
 */
import {
  MODE_FLAT,
  MODE_STACK32,
  NMI_BLOCKED,
  NMI_IRET,
  PHASE_GUEST,
  PHASE_RETURN,
  VCPU_CPL,
  VCPU_DESC_HI,
  VCPU_DESC_LO,
  VCPU_EIP,
  VCPU_MODE,
  VCPU_NMI,
  VCPU_TLB,
} from "../../abi/vcpu.ts";
import {
  ATTR_P,
  EFLAGS_AC,
  EFLAGS_ARITH,
  EFLAGS_DF,
  EFLAGS_ID,
  EFLAGS_IF,
  EFLAGS_IOPL,
  EFLAGS_IOPL_SHIFT,
  EFLAGS_NT,
  EFLAGS_RF,
  EFLAGS_TF,
  EFLAGS_VIF,
  EFLAGS_VIP,
  EFLAGS_VM,
  REG_ESP,
  SEG_CS,
  SEG_DS,
  SEG_ES,
  SEG_FS,
  SEG_GS,
  SEG_SS,
  VECTOR_GP,
  VECTOR_NP,
} from "../../abi/x86.ts";
import { PAGE_MASK, TLB_ADDEND, TLB_READ } from "../layout.ts";
import { Mem } from "../mmu/access.ts";
import { updatePrivilege } from "../mmu/tlb.ts";
import { STEP_END, STEP_EVENT } from "../state/faults.ts";
import { eflags, setEflags, setResume } from "../state/flags.ts";
import { notePhase } from "../state/phases.ts";
import { reg, segAttr, segLimit, setReg, setSeg, updateMode } from "../state/vcpu.ts";
import { flatDescriptor, isFlatCode, isFlatData } from "./flat-descriptors.ts";
import {
  attrDpl,
  checkStackSegment,
  descAttr,
  descLimit,
  dropPrivilegedSegments,
  isCode,
  isConforming,
  isNull,
  isProtected,
  isV86,
  markAccessed,
  needDescriptor,
  refuse,
  selectorError,
  setCpl,
  setParagraph,
  setSegFromDescriptor,
} from "./segments.ts";
import { peekSlot, setStackPointer, slotValue } from "./stack.ts";
import { returnFromTask } from "./tasks.ts";

/** EFLAGS bits that a 16-bit and a 32-bit IRET load at any privilege. */
const IRET_FLAGS16: u32 = EFLAGS_ARITH | EFLAGS_TF | EFLAGS_DF | EFLAGS_NT;
const IRET_FLAGS32: u32 = IRET_FLAGS16 | EFLAGS_RF | EFLAGS_AC | EFLAGS_ID;
const V86_LEVEL: u32 = 3;

/**
 * Executes IRET with `size` 2 or 4 bytes per word: sets EIP, CS, EFLAGS and, as needed, the rest.
 * @returns STEP_END, or STEP_EVENT with the fault recorded and nothing changed but VCPU_NMI: an IRET that faults ends the blocking too (SDM 3A,
 *   "Handling Multiple NMIs").
 */
export function iret(v: usize, size: u32): u32 {
  const nmi = load<u32>(v, VCPU_NMI);
  if ((nmi & NMI_BLOCKED) != 0) store<u32>(v, (nmi & ~NMI_BLOCKED) | NMI_IRET, VCPU_NMI);
  notePhase(v, PHASE_RETURN);
  let done: bool;
  if (!isProtected(v)) done = iretReal(v, size);
  else if (isV86(v)) done = iretInV86(v, size);
  else if (eflags(v) & EFLAGS_NT) done = returnFromTask(v);
  else done = (size == 4 && returnFlat(v)) || iretProtected(v, size);
  if (!done) return STEP_EVENT;
  if (nmi != 0) store<u32>(v, load<u32>(v, VCPU_NMI) & ~NMI_IRET, VCPU_NMI);
  notePhase(v, PHASE_GUEST);
  return STEP_END;
}

/** Bytes of a frame with SS and ESP. */
const OUTER_FRAME: u32 = 20;

/**
 * The return that kernels make all the time: 32-bit, from flat segments to flat segments, the frame on a page that is known.
 * @returns false when it is another kind: nothing has changed, and the general way decides what it means.
 */
function returnFlat(v: usize): bool {
  if ((load<u32>(v, VCPU_MODE) & MODE_FLAT) == 0) return false;
  const esp = reg(v, REG_ESP);
  const entry = Mem.entry(load<usize>(v, VCPU_TLB), esp);
  if (((esp + (OUTER_FRAME - 1)) & PAGE_MASK) != load<u32>(entry, TLB_READ)) return false;
  const frame: usize = esp + load<u32>(entry, TLB_ADDEND);
  const cs: u32 = load<u16>(frame, 4);
  const image = load<u32>(frame, 8);
  const level = load<u32>(v, VCPU_CPL);
  const rpl = cs & 3;
  if (rpl < level || (image & EFLAGS_VM) != 0) return false;
  const code = flatDescriptor(v, cs);
  if (!isFlatCode(code, rpl)) return false;
  const flags = eflags(v);
  let mask = IRET_FLAGS32;
  if (level <= (flags & EFLAGS_IOPL) >>> EFLAGS_IOPL_SHIFT) mask |= EFLAGS_IF;
  if (level == 0) mask |= EFLAGS_IOPL | EFLAGS_VIF | EFLAGS_VIP;
  if (rpl == level) setReg(v, REG_ESP, esp + 12);
  else {
    const ss: u32 = load<u16>(frame, 16);
    const data = flatDescriptor(v, ss);
    if ((ss & 3) != rpl || !isFlatData(data, rpl)) return false;
    setSeg(v, SEG_SS, ss, 0, 0xffffffff, descAttr(data));
    setReg(v, REG_ESP, load<u32>(frame, 12));
    store<u32>(v, rpl, VCPU_CPL);
    dropPrivilegedSegments(v);
    if ((segAttr(v, SEG_DS) & segAttr(v, SEG_ES) & ATTR_P) == 0) updateMode(v);
  }
  setSeg(v, SEG_CS, cs, 0, 0xffffffff, descAttr(code));
  store<u32>(v, load<u32>(frame), VCPU_EIP);
  loadFlags(v, flags, image, mask);
  updatePrivilege(v);
  return true;
}

/** Loads the bits of `mask` from `image` over `flags`. */
function loadFlags(v: usize, flags: u32, image: u32, mask: u32): void {
  setEflags(v, (flags & ~mask) | (image & mask));
  setResume(v, (image & mask & EFLAGS_RF) != 0);
}

function iretReal(v: usize, size: u32): bool {
  return popParagraphFrame(
    v,
    size,
    (size == 4 ? IRET_FLAGS32 : IRET_FLAGS16) | EFLAGS_IF | EFLAGS_IOPL,
  );
}

/** Within virtual-8086 mode: allowed with IOPL 3 only, and IOPL itself stays. */
function iretInV86(v: usize, size: u32): bool {
  if ((eflags(v) & EFLAGS_IOPL) != EFLAGS_IOPL) return refuse(v, VECTOR_GP, 0);
  return popParagraphFrame(v, size, (size == 4 ? IRET_FLAGS32 : IRET_FLAGS16) | EFLAGS_IF);
}

function popParagraphFrame(v: usize, size: u32, mask: u32): bool {
  const eipPtr = peekSlot(v, 0, size);
  if (eipPtr == 0) return false;
  const eip = slotValue(eipPtr, size);
  const csPtr = peekSlot(v, size, size);
  if (csPtr == 0) return false;
  const cs: u32 = load<u16>(csPtr);
  const flagsPtr = peekSlot(v, size * 2, size);
  if (flagsPtr == 0) return false;
  const image = slotValue(flagsPtr, size);
  if (eip > segLimit(v, SEG_CS)) return refuse(v, VECTOR_GP, 0);
  setStackPointer(v, reg(v, REG_ESP) + size * 3);
  setParagraph(v, SEG_CS, cs);
  store<u32>(v, eip, VCPU_EIP);
  loadFlags(v, eflags(v), image, mask);
  updateMode(v);
  return true;
}

function iretProtected(v: usize, size: u32): bool {
  let eip: u32;
  let cs: u32;
  let image: u32;
  if (size == 4 && (load<u32>(v, VCPU_MODE) & MODE_STACK32) != 0) {
    const frame = peekSlot(v, 0, 12);
    if (frame == 0) return false;
    eip = load<u32>(frame);
    cs = load<u16>(frame, 4);
    image = load<u32>(frame, 8);
  } else {
    const eipPtr = peekSlot(v, 0, size);
    if (eipPtr == 0) return false;
    eip = slotValue(eipPtr, size);
    const csPtr = peekSlot(v, size, size);
    if (csPtr == 0) return false;
    cs = load<u16>(csPtr);
    const flagsPtr = peekSlot(v, size * 2, size);
    if (flagsPtr == 0) return false;
    image = slotValue(flagsPtr, size);
  }
  const level = load<u32>(v, VCPU_CPL);
  if (size == 4 && (image & EFLAGS_VM) != 0 && level == 0) return iretToV86(v, eip, cs, image);

  // What may change is decided by the privilege that executes the IRET, not by the one it returns to.
  let mask = size == 4 ? IRET_FLAGS32 : IRET_FLAGS16;
  const flags = eflags(v);
  if (level <= (flags & EFLAGS_IOPL) >>> EFLAGS_IOPL_SHIFT) mask |= EFLAGS_IF;
  if (level == 0) mask |= size == 4 ? EFLAGS_IOPL | EFLAGS_VIF | EFLAGS_VIP : EFLAGS_IOPL;
  if (!returnFar(v, size, cs, eip, size * 3, 0)) return false;
  loadFlags(v, flags, image, mask);
  updatePrivilege(v);
  return true;
}

/** From ring 0 into virtual-8086 mode: nine words, all segments are paragraphs afterwards. */
function iretToV86(v: usize, eip: u32, cs: u32, image: u32): bool {
  // The nine slots are read twice: the first pass proves that none of them faults.
  for (let i: u32 = 3; i < 9; i++) if (peekSlot(v, i * 4, 4) == 0) return false;
  const esp = load<u32>(peekSlot(v, 12, 4));
  const ss = load<u16>(peekSlot(v, 16, 4));
  const es = load<u16>(peekSlot(v, 20, 4));
  const ds = load<u16>(peekSlot(v, 24, 4));
  const fs = load<u16>(peekSlot(v, 28, 4));
  const gs = load<u16>(peekSlot(v, 32, 4));
  if (eip > 0xffff) return refuse(v, VECTOR_GP, 0);
  setEflags(v, image);
  setResume(v, (image & EFLAGS_RF) != 0);
  setParagraph(v, SEG_CS, cs);
  setParagraph(v, SEG_SS, ss);
  setParagraph(v, SEG_ES, es);
  setParagraph(v, SEG_DS, ds);
  setParagraph(v, SEG_FS, fs);
  setParagraph(v, SEG_GS, gs);
  setReg(v, REG_ESP, esp);
  store<u32>(v, eip, VCPU_EIP);
  setCpl(v, V86_LEVEL);
  updateMode(v);
  return true;
}

/**
 * Returns to `cs`:`eip` in protected mode, popping SS and ESP too when that ring is an outer one.
 * @param outerAt bytes above ESP where the outer ESP and SS are; also what a same-level return releases, before `release`.
 * @param release further bytes to drop from the stack returned to (RET n; an outer return drops them from both).
 * @returns false with the fault recorded and nothing changed.
 */
export function returnFar(
  v: usize,
  size: u32,
  cs: u32,
  eip: u32,
  outerAt: u32,
  release: u32,
): bool {
  const level = load<u32>(v, VCPU_CPL);
  if (isNull(cs)) return refuse(v, VECTOR_GP, 0);
  if (!needDescriptor(v, cs, VECTOR_GP)) return false;
  const lo = load<u32>(v, VCPU_DESC_LO);
  const hi = load<u32>(v, VCPU_DESC_HI);
  const attr = descAttr(hi);
  const rpl = cs & 3;
  const dpl = attrDpl(attr);
  const fits = isCode(attr) && rpl >= level && (isConforming(attr) ? dpl <= rpl : dpl == rpl);
  if (!fits) return refuse(v, VECTOR_GP, selectorError(cs));
  if ((attr & ATTR_P) == 0) return refuse(v, VECTOR_NP, selectorError(cs));
  if (rpl == level) {
    if (eip > descLimit(lo, hi)) return refuse(v, VECTOR_GP, 0);
    if (!markAccessed(v, cs, hi)) return false;
    setStackPointer(v, reg(v, REG_ESP) + outerAt + release);
  } else if (!returnOuter(v, size, cs, lo, hi, eip, outerAt + release, release)) return false;
  setSegFromDescriptor(v, SEG_CS, cs, lo, hi);
  store<u32>(v, eip, VCPU_EIP);
  updateMode(v);
  return true;
}

/** The part of an outer return that CS does not see: SS:ESP, CPL, and segments the outer ring may not keep. */
function returnOuter(
  v: usize,
  size: u32,
  cs: u32,
  csLo: u32,
  csHi: u32,
  eip: u32,
  at: u32,
  release: u32,
): bool {
  let esp: u32;
  let ss: u32;
  if (size == 4 && (load<u32>(v, VCPU_MODE) & MODE_STACK32) != 0) {
    const pair = peekSlot(v, at, 8);
    if (pair == 0) return false;
    esp = load<u32>(pair);
    ss = load<u16>(pair, 4);
  } else {
    const espPtr = peekSlot(v, at, size);
    if (espPtr == 0) return false;
    esp = slotValue(espPtr, size);
    const ssPtr = peekSlot(v, at + size, size);
    if (ssPtr == 0) return false;
    ss = load<u16>(ssPtr);
  }
  const rpl = cs & 3;
  if (isNull(ss)) return refuse(v, VECTOR_GP, 0);
  if (!needDescriptor(v, ss, VECTOR_GP)) return false;
  if (!checkStackSegment(v, ss, rpl, VECTOR_GP)) return false;
  const ssLo = load<u32>(v, VCPU_DESC_LO);
  const ssHi = load<u32>(v, VCPU_DESC_HI);
  if (eip > descLimit(csLo, csHi)) return refuse(v, VECTOR_GP, 0);
  if (!markAccessed(v, cs, csHi) || !markAccessed(v, ss, ssHi)) return false;
  setSegFromDescriptor(v, SEG_SS, ss, ssLo, ssHi);
  // A 16-bit outer stack keeps the upper half of ESP: what Linux calls the espfix leak is architectural.
  setStackPointer(v, esp + release);
  setCpl(v, rpl);
  dropPrivilegedSegments(v);
  return true;
}
