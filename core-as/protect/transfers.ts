/**
 * Far jumps, calls and returns: to code segments, through call gates (with the stack switch and parameter copy), to tasks, and to paragraphs.
 * Source: SDM 3A, "Privilege Level Checking When Transferring Program Control Between Code Segments"; SDM 2A, CALL and JMP.
 */
import { VCPU_CPL, VCPU_DESC_HI, VCPU_DESC_LO, VCPU_EIP, VCPU_INNER_ESP } from "../../abi/vcpu.ts";
import {
  ATTR_P,
  DESC_S,
  DESC_TYPE_MASK,
  REG_ESP,
  SEG_CS,
  SEG_SS,
  SYSDESC_CALL_GATE16,
  SYSDESC_CALL_GATE32,
  SYSDESC_TASK_GATE,
  SYSDESC_TSS16,
  SYSDESC_TSS32,
  VECTOR_GP,
  VECTOR_NP,
  VECTOR_SS,
} from "../../abi/x86.ts";
import { reg, segAttr, segBase, segLimit, segSelector, setReg, updateMode } from "../state/vcpu.ts";
import { returnFar } from "./iret.ts";
import {
  attrDpl,
  descAttr,
  descBase,
  descLimit,
  inLimit,
  isCode,
  isConforming,
  isNull,
  markAccessed,
  needDescriptor,
  refuse,
  selectorError,
  setCpl,
  setParagraph,
  setSegFromDescriptor,
  usesParagraphs,
} from "./segments.ts";
import {
  innerStack,
  peekSlot,
  pushSlot,
  reserveSlots,
  setStackPointer,
  slotValue,
  stackMask,
} from "./stack.ts";
import { SWITCH_CALL, SWITCH_JUMP, switchThroughGate, switchToDescriptor } from "./tasks.ts";

/** What a far transfer does with the way back: a jump forgets it. */
const JUMP: u32 = 0;

/** JMP far. @param nextEip EIP after the instruction (a task saves it). @returns false with the fault recorded, nothing changed. */
export function jumpFar(v: usize, selector: u32, offset: u32, nextEip: u32): bool {
  return transfer(v, selector, offset, JUMP, nextEip);
}
/** CALL far. @param size 2 or 4, bytes per pushed word. @returns false with the fault recorded, nothing changed. */
export function callFar(v: usize, selector: u32, offset: u32, size: u32, nextEip: u32): bool {
  return transfer(v, selector, offset, size, nextEip);
}

/** @param size JUMP, or bytes per word pushed by a call. */
function transfer(v: usize, selector: u32, offset: u32, size: u32, nextEip: u32): bool {
  if (usesParagraphs(v)) {
    if (size != JUMP && !storeReturn(v, size, nextEip)) return false;
    if (offset > segLimit(v, SEG_CS)) return refuse(v, VECTOR_GP, 0);
    if (size != JUMP) setStackPointer(v, reg(v, REG_ESP) - 2 * size);
    setParagraph(v, SEG_CS, selector);
    store<u32>(v, offset, VCPU_EIP);
    updateMode(v);
    return true;
  }
  if (isNull(selector)) return refuse(v, VECTOR_GP, 0);
  if (!needDescriptor(v, selector, VECTOR_GP)) return false;
  const lo = load<u32>(v, VCPU_DESC_LO);
  const hi = load<u32>(v, VCPU_DESC_HI);
  const attr = descAttr(hi);
  const level = load<u32>(v, VCPU_CPL);
  const dpl = attrDpl(attr);
  const error = selectorError(selector);
  if (isCode(attr)) {
    const fits = isConforming(attr) ? dpl <= level : (selector & 3) <= level && dpl == level;
    if (!fits) return refuse(v, VECTOR_GP, error);
    if ((attr & ATTR_P) == 0) return refuse(v, VECTOR_NP, error);
    return enterSameLevel(v, selector, lo, hi, offset, size, nextEip);
  }
  if ((attr & DESC_S) != 0 || dpl < level || dpl < (selector & 3)) {
    return refuse(v, VECTOR_GP, error);
  }
  switch (attr & DESC_TYPE_MASK) {
    case SYSDESC_CALL_GATE16:
    case SYSDESC_CALL_GATE32: {
      if ((attr & ATTR_P) == 0) return refuse(v, VECTOR_NP, error);
      return throughCallGate(v, lo, hi, size, nextEip);
    }
    case SYSDESC_TASK_GATE: {
      if ((attr & ATTR_P) == 0) return refuse(v, VECTOR_NP, error);
      return switchThroughGate(v, lo >>> 16, size == JUMP ? SWITCH_JUMP : SWITCH_CALL, nextEip);
    }
    case SYSDESC_TSS16:
    case SYSDESC_TSS32: {
      if ((attr & ATTR_P) == 0) return refuse(v, VECTOR_NP, error);
      return switchToDescriptor(
        v,
        selector,
        lo,
        hi,
        size == JUMP ? SWITCH_JUMP : SWITCH_CALL,
        nextEip,
      );
    }
    default:
      // Busy TSS included.
      return refuse(v, VECTOR_GP, error);
  }
}

/** Stores CS and the return EIP below the current stack pointer, which stays. @returns false with #SS(0) or #PF recorded. */
function storeReturn(v: usize, size: u32, nextEip: u32): bool {
  const attr = segAttr(v, SEG_SS);
  const base = segBase(v, SEG_SS);
  const mask = stackMask(attr);
  const system = load<u32>(v, VCPU_CPL) != 3;
  let sp = reg(v, REG_ESP);
  for (let i: u32 = 1; i <= 2; i++) {
    if (!inLimit(segLimit(v, SEG_SS), attr, (sp - i * size) & mask, size)) {
      return refuse(v, VECTOR_SS, 0);
    }
  }
  if (!reserveSlots(v, base, sp, mask, 2, size, system)) return false;
  sp = pushSlot(v, base, sp, mask, size, system, segSelector(v, SEG_CS));
  pushSlot(v, base, sp, mask, size, system, nextEip);
  return true;
}

function enterSameLevel(
  v: usize,
  selector: u32,
  lo: u32,
  hi: u32,
  offset: u32,
  size: u32,
  nextEip: u32,
): bool {
  // Silicon stores the return address before it finds the target outside the segment; ESP stays in that case.
  if (size != JUMP && !storeReturn(v, size, nextEip)) return false;
  if (offset > descLimit(lo, hi)) return refuse(v, VECTOR_GP, 0);
  if (!markAccessed(v, selector, hi)) return false;
  if (size != JUMP) setStackPointer(v, reg(v, REG_ESP) - 2 * size);
  setSegFromDescriptor(v, SEG_CS, (selector & 0xfffc) | load<u32>(v, VCPU_CPL), lo, hi);
  store<u32>(v, offset, VCPU_EIP);
  updateMode(v);
  return true;
}

function throughCallGate(v: usize, gateLo: u32, gateHi: u32, size: u32, nextEip: u32): bool {
  const is32 = (gateHi & 0x800) != 0;
  const selector = gateLo >>> 16;
  const offset = (gateLo & 0xffff) | (is32 ? gateHi & 0xffff0000 : 0);
  const level = load<u32>(v, VCPU_CPL);
  if (isNull(selector)) return refuse(v, VECTOR_GP, 0);
  if (!needDescriptor(v, selector, VECTOR_GP)) return false;
  const lo = load<u32>(v, VCPU_DESC_LO);
  const hi = load<u32>(v, VCPU_DESC_HI);
  const attr = descAttr(hi);
  const dpl = attrDpl(attr);
  const goesInward = size != JUMP && !isConforming(attr) && dpl < level;
  const fits = isCode(attr) && (goesInward || (isConforming(attr) ? dpl <= level : dpl == level));
  if (!fits) return refuse(v, VECTOR_GP, selectorError(selector));
  if ((attr & ATTR_P) == 0) return refuse(v, VECTOR_NP, selectorError(selector));
  // The gate, not the instruction, says how wide the pushed words are.
  const width: u32 = size == JUMP ? JUMP : is32 ? 4 : 2;
  if (!goesInward) return enterSameLevel(v, selector, lo, hi, offset, width, nextEip);
  return enterInner(v, selector, lo, hi, offset, width, gateHi & 31, nextEip);
}

/** A call to a more privileged ring: SS:ESP, `params` words from the old stack, CS:EIP on the new one. */
function enterInner(
  v: usize,
  selector: u32,
  codeLo: u32,
  codeHi: u32,
  offset: u32,
  size: u32,
  params: u32,
  nextEip: u32,
): bool {
  const newLevel = attrDpl(descAttr(codeHi));
  const ssSelector = innerStack(v, newLevel, 0);
  if (ssSelector == 0) return false;
  const ssLo = load<u32>(v, VCPU_DESC_LO);
  const ssHi = load<u32>(v, VCPU_DESC_HI);
  const ssAttr = descAttr(ssHi);
  const mask = stackMask(ssAttr);
  const base = descBase(ssLo, ssHi);
  const bytes = (params + 4) * size;
  let sp = load<u32>(v, VCPU_INNER_ESP);
  if (!inLimit(descLimit(ssLo, ssHi), ssAttr, (sp - bytes) & mask, bytes)) {
    return refuse(v, VECTOR_SS, selectorError(ssSelector));
  }
  if (offset > descLimit(codeLo, codeHi)) return refuse(v, VECTOR_GP, 0);
  for (let i: u32 = 0; i < params; i++) if (peekSlot(v, i * size, size) == 0) return false;
  if (!reserveSlots(v, base, sp, mask, params + 4, size, true)) return false;
  if (!markAccessed(v, ssSelector, ssHi) || !markAccessed(v, selector, codeHi)) return false;
  sp = pushSlot(v, base, sp, mask, size, true, segSelector(v, SEG_SS));
  sp = pushSlot(v, base, sp, mask, size, true, reg(v, REG_ESP));
  for (let i = params; i > 0; i--) {
    const value = slotValue(peekSlot(v, (i - 1) * size, size), size);
    sp = pushSlot(v, base, sp, mask, size, true, value);
  }
  sp = pushSlot(v, base, sp, mask, size, true, segSelector(v, SEG_CS));
  sp = pushSlot(v, base, sp, mask, size, true, nextEip);
  setSegFromDescriptor(v, SEG_SS, ssSelector, ssLo, ssHi);
  setReg(v, REG_ESP, load<u32>(v, VCPU_INNER_ESP));
  setStackPointer(v, sp);
  setSegFromDescriptor(v, SEG_CS, (selector & 0xfffc) | newLevel, codeLo, codeHi);
  setCpl(v, newLevel);
  store<u32>(v, offset, VCPU_EIP);
  updateMode(v);
  return true;
}

/** RET far. @param size 2 or 4; @param release bytes of parameters to drop. @returns false with the fault recorded, nothing changed. */
export function retFar(v: usize, size: u32, release: u32): bool {
  const eipPtr = peekSlot(v, 0, size);
  if (eipPtr == 0) return false;
  const eip = slotValue(eipPtr, size);
  const csPtr = peekSlot(v, size, size);
  if (csPtr == 0) return false;
  const cs: u32 = load<u16>(csPtr);
  if (!usesParagraphs(v)) return returnFar(v, size, cs, eip, size * 2, release);
  if (eip > segLimit(v, SEG_CS)) return refuse(v, VECTOR_GP, 0);
  setStackPointer(v, reg(v, REG_ESP) + size * 2 + release);
  setParagraph(v, SEG_CS, cs);
  store<u32>(v, eip, VCPU_EIP);
  updateMode(v);
  return true;
}
