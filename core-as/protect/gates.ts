/**
 * Native delivery: from a vector to the first instruction of its handler, through the guest's own IDT (or the real-mode vector table).
 * Every check and every stack slot comes first; when one fails the new fault is recorded and nothing has changed.
 * Source: SDM 3A, "Exception- or Interrupt-Handler Procedures"; SDM 2A, INT n; SDM 3A, "Interrupt 8—Double Fault Exception (#DF)".
 */
import {
  NO_VECTOR,
  VCPU_BLOCK,
  VCPU_CPL,
  VCPU_DESC_HI,
  VCPU_DESC_LO,
  VCPU_EFLAGS,
  VCPU_EIP,
  VCPU_IDTR_BASE,
  VCPU_IDTR_LIMIT,
  VCPU_INNER_ESP,
} from "../../abi/vcpu.ts";
import {
  ATTR_P,
  EFLAGS_AC,
  EFLAGS_IF,
  EFLAGS_NT,
  EFLAGS_TF,
  EFLAGS_VM,
  ERR_EXT,
  ERR_IDT,
  REG_ESP,
  SEG_CS,
  SEG_DS,
  SEG_ES,
  SEG_FS,
  SEG_GS,
  SEG_SS,
  SYSDESC_INT_GATE16,
  SYSDESC_INT_GATE32,
  SYSDESC_TASK_GATE,
  SYSDESC_TRAP_GATE16,
  SYSDESC_TRAP_GATE32,
  VECTOR_BP,
  VECTOR_DB,
  VECTOR_DE,
  VECTOR_DF,
  VECTOR_GP,
  VECTOR_MC,
  VECTOR_NMI,
  VECTOR_NP,
  VECTOR_OF,
  VECTOR_PF,
  VECTOR_SS,
  VECTOR_TS,
} from "../../abi/x86.ts";
import { commitWrite } from "../mmu/access.ts";
import { eflags, flagsImage, setResume } from "../state/flags.ts";
import { reg, segAttr, segBase, segLimit, segSelector, setReg, updateMode } from "../state/vcpu.ts";
import {
  attrDpl,
  descAttr,
  descBase,
  descLimit,
  inLimit,
  isCode,
  isConforming,
  isNull,
  isProtected,
  markAccessed,
  needDescriptor,
  refuse,
  SystemMem,
  selectorError,
  setCpl,
  setNullSegment,
  setParagraph,
  setSegFromDescriptor,
} from "./segments.ts";
import {
  innerStack,
  pushSlot,
  reserveSlots,
  setStackPointer,
  slotForWrite,
  stackMask,
} from "./stack.ts";
import { SWITCH_INTERRUPT, switchThroughGate } from "./tasks.ts";

/** #DE, #TS, #NP, #SS and #GP: two of them in a row are a double fault. */
const CONTRIBUTORY: u32 =
  (1 << VECTOR_DE) | (1 << VECTOR_TS) | (1 << VECTOR_NP) | (1 << VECTOR_SS) | (1 << VECTOR_GP);
/** Exceptions below 32 that do not point at the instruction that caused them, so RF is pushed as it is. */
const NOT_FAULTS: u32 =
  (1 << VECTOR_DB) |
  (1 << VECTOR_NMI) |
  (1 << VECTOR_BP) |
  (1 << VECTOR_OF) |
  (1 << VECTOR_DF) |
  (1 << VECTOR_MC);
/** Gate types that may stand in an IDT. */
const IDT_GATES: u32 =
  (1 << SYSDESC_TASK_GATE) |
  (1 << SYSDESC_INT_GATE16) |
  (1 << SYSDESC_TRAP_GATE16) |
  (1 << SYSDESC_INT_GATE32) |
  (1 << SYSDESC_TRAP_GATE32);

/** @returns true for the contributory exceptions of the double-fault table. */
export function isContributory(vector: u32): bool {
  return vector < 32 && ((CONTRIBUTORY >>> vector) & 1) != 0;
}

/**
 * What becomes of fault `second` raised while `first` was being delivered (NO_VECTOR: nothing was).
 * @returns the vector to deliver, VECTOR_DF included, or NO_VECTOR for a triple fault.
 */
export function doubleFaultRule(first: u32, second: u32): u32 {
  const isSerious = isContributory(second) || second == VECTOR_PF;
  if (first == VECTOR_DF && isSerious) return NO_VECTOR;
  if (first == VECTOR_PF && isSerious) return VECTOR_DF;
  if (isContributory(first) && isContributory(second)) return VECTOR_DF;
  return second;
}

/**
 * Starts the handler of `vector`; VCPU_EIP is what the frame will hold.
 * @param errorCode pushed when `hasError`.
 * @param isSoftware INT n, INT3, INTO: the gate's DPL counts. `isExternal`: NMI or a device, no exception.
 * @returns false with the new fault recorded; its error code has EXT set unless `isSoftware`.
 */
export function deliverThroughIdt(
  v: usize,
  vector: u32,
  errorCode: u32,
  hasError: bool,
  isSoftware: bool,
  isExternal: bool,
): bool {
  // The interrupted block is left, so the frame may be pushed next to its code.
  store<usize>(v, 0, VCPU_BLOCK);
  if (!isProtected(v)) return deliverThroughIvt(v, vector);
  const ext: u32 = isSoftware ? 0 : ERR_EXT;
  const gateError = (vector << 3) | ERR_IDT | ext;
  if ((vector << 3) + 7 > load<u32>(v, VCPU_IDTR_LIMIT)) return refuse(v, VECTOR_GP, gateError);
  const gate = SystemMem.read(v, load<u32>(v, VCPU_IDTR_BASE) + (vector << 3), 8);
  if (gate == 0) return false;
  const gateLo = load<u32>(gate);
  const gateHi = load<u32>(gate, 4);
  const type = (gateHi >>> 8) & 0x1f;
  if (((IDT_GATES >>> type) & 1) == 0) return refuse(v, VECTOR_GP, gateError);
  if (isSoftware && ((gateHi >>> 13) & 3) < load<u32>(v, VCPU_CPL)) {
    return refuse(v, VECTOR_GP, gateError);
  }
  if ((gateHi & (ATTR_P << 8)) == 0) return refuse(v, VECTOR_NP, gateError);
  const isFault = !isSoftware && !isExternal && vector < 32 && ((NOT_FAULTS >>> vector) & 1) == 0;
  if (isFault) setResume(v, true);
  if (type == SYSDESC_TASK_GATE) {
    return switchThroughGate(
      v,
      gateLo >>> 16,
      SWITCH_INTERRUPT,
      load<u32>(v, VCPU_EIP),
      ext,
      hasError,
      errorCode,
    );
  }
  return enterHandler(v, gateLo, gateHi, ext, flagsImage(v), hasError, errorCode);
}

/** Enters the code segment that an interrupt or trap gate names. */
function enterHandler(
  v: usize,
  gateLo: u32,
  gateHi: u32,
  ext: u32,
  pushedFlags: u32,
  hasError: bool,
  errorCode: u32,
): bool {
  const type = (gateHi >>> 8) & 0x1f;
  const is32 = (type & 8) != 0;
  const selector = gateLo >>> 16;
  const entry = (gateLo & 0xffff) | (is32 ? gateHi & 0xffff0000 : 0);
  const level = load<u32>(v, VCPU_CPL);
  const fromV86 = (pushedFlags & EFLAGS_VM) != 0;

  if (isNull(selector)) return refuse(v, VECTOR_GP, ext);
  if (!needDescriptor(v, selector, VECTOR_GP, ext)) return false;
  const codeLo = load<u32>(v, VCPU_DESC_LO);
  const codeHi = load<u32>(v, VCPU_DESC_HI);
  const attr = descAttr(codeHi);
  const dpl = attrDpl(attr);
  if (!isCode(attr) || dpl > level) return refuse(v, VECTOR_GP, selectorError(selector) | ext);
  if ((attr & ATTR_P) == 0) return refuse(v, VECTOR_NP, selectorError(selector) | ext);
  const isInner = !isConforming(attr) && dpl < level;
  if (fromV86 && (!isInner || dpl != 0)) {
    return refuse(v, VECTOR_GP, selectorError(selector) | ext);
  }

  const size: u32 = is32 ? 4 : 2;
  const newLevel = isInner ? dpl : level;
  const words: u32 = (isInner ? (fromV86 ? 9 : 5) : 3) + u32(hasError);
  let ssSelector: u32 = 0;
  let ssLo: u32 = 0;
  let ssHi: u32 = 0;
  let ssAttr: u32;
  let base: u32;
  let limit: u32;
  let sp: u32;
  if (isInner) {
    ssSelector = innerStack(v, newLevel, ext);
    if (ssSelector == 0) return false;
    ssLo = load<u32>(v, VCPU_DESC_LO);
    ssHi = load<u32>(v, VCPU_DESC_HI);
    ssAttr = descAttr(ssHi);
    base = descBase(ssLo, ssHi);
    limit = descLimit(ssLo, ssHi);
    sp = load<u32>(v, VCPU_INNER_ESP);
  } else {
    ssAttr = segAttr(v, SEG_SS);
    base = segBase(v, SEG_SS);
    limit = segLimit(v, SEG_SS);
    sp = reg(v, REG_ESP);
  }
  const mask = stackMask(ssAttr);
  const bytes = words * size;
  if (!inLimit(limit, ssAttr, (sp - bytes) & mask, bytes)) {
    return refuse(v, VECTOR_SS, selectorError(ssSelector) | ext);
  }
  if (entry > descLimit(codeLo, codeHi)) return refuse(v, VECTOR_GP, ext);
  const system = newLevel != 3;
  // Nearly every frame: 32-bit words that one translation covers.
  const isSimple = size == 4 && mask == 0xffffffff && !fromV86;
  const frame = isSimple ? slotForWrite(v, base + sp - bytes, bytes, system) : 0;
  if (isSimple ? frame == 0 : !reserveSlots(v, base, sp, mask, words, size, system)) return false;
  if (isInner && !markAccessed(v, ssSelector, ssHi)) return false;
  if (!markAccessed(v, selector, codeHi)) return false;

  if (isSimple) {
    if (!storeFrame(v, frame, pushedFlags, isInner, hasError, errorCode)) return false;
    sp -= bytes;
  } else {
    if (isInner) {
      if (fromV86) {
        sp = pushSlot(v, base, sp, mask, size, system, segSelector(v, SEG_GS));
        sp = pushSlot(v, base, sp, mask, size, system, segSelector(v, SEG_FS));
        sp = pushSlot(v, base, sp, mask, size, system, segSelector(v, SEG_DS));
        sp = pushSlot(v, base, sp, mask, size, system, segSelector(v, SEG_ES));
      }
      sp = pushSlot(v, base, sp, mask, size, system, segSelector(v, SEG_SS));
      sp = pushSlot(v, base, sp, mask, size, system, reg(v, REG_ESP));
    }
    sp = pushSlot(v, base, sp, mask, size, system, pushedFlags);
    sp = pushSlot(v, base, sp, mask, size, system, segSelector(v, SEG_CS));
    sp = pushSlot(v, base, sp, mask, size, system, load<u32>(v, VCPU_EIP));
    if (hasError) sp = pushSlot(v, base, sp, mask, size, system, errorCode);
  }

  const isInterruptGate = (type & 1) == 0;
  const cleared: u32 = EFLAGS_TF | EFLAGS_NT | EFLAGS_VM | (isInterruptGate ? <u32>EFLAGS_IF : 0);
  store<u32>(v, load<u32>(v, VCPU_EFLAGS) & ~cleared, VCPU_EFLAGS);
  setResume(v, false);
  if (isInner) {
    if (fromV86) {
      setNullSegment(v, SEG_ES, 0);
      setNullSegment(v, SEG_DS, 0);
      setNullSegment(v, SEG_FS, 0);
      setNullSegment(v, SEG_GS, 0);
    }
    setSegFromDescriptor(v, SEG_SS, ssSelector, ssLo, ssHi);
    setReg(v, REG_ESP, load<u32>(v, VCPU_INNER_ESP));
  }
  setStackPointer(v, sp);
  setSegFromDescriptor(v, SEG_CS, (selector & 0xfffc) | newLevel, codeLo, codeHi);
  setCpl(v, newLevel);
  store<u32>(v, entry, VCPU_EIP);
  updateMode(v);
  return true;
}

/** Writes a frame of 32-bit words upwards from `frame`, a pointer of slotForWrite. @returns false when an event is recorded. */
function storeFrame(
  v: usize,
  frame: usize,
  pushedFlags: u32,
  isInner: bool,
  hasError: bool,
  errorCode: u32,
): bool {
  let at = frame;
  if (hasError) {
    store<u32>(at, errorCode);
    at += 4;
  }
  store<u32>(at, load<u32>(v, VCPU_EIP));
  store<u32>(at, segSelector(v, SEG_CS), 4);
  store<u32>(at, pushedFlags, 8);
  if (isInner) {
    store<u32>(at, reg(v, REG_ESP), 12);
    store<u32>(at, segSelector(v, SEG_SS), 16);
  }
  return commitWrite(v, frame);
}

/** Real-address mode: four bytes per vector, a frame of three words, no error codes. */
function deliverThroughIvt(v: usize, vector: u32): bool {
  const at = vector << 2;
  if (at + 3 > load<u32>(v, VCPU_IDTR_LIMIT)) {
    return refuse(v, VECTOR_GP, 0);
  }
  const entry = SystemMem.read(v, load<u32>(v, VCPU_IDTR_BASE) + at, 4);
  if (entry == 0) return false;
  const target: u32 = load<u32>(entry);
  const attr = segAttr(v, SEG_SS);
  const base = segBase(v, SEG_SS);
  const mask = stackMask(attr);
  let sp = reg(v, REG_ESP);
  if (!inLimit(segLimit(v, SEG_SS), attr, (sp - 6) & mask, 6)) return refuse(v, VECTOR_SS, 0);
  if (!reserveSlots(v, base, sp, mask, 3, 2, true)) return false;
  sp = pushSlot(v, base, sp, mask, 2, true, eflags(v));
  sp = pushSlot(v, base, sp, mask, 2, true, segSelector(v, SEG_CS));
  sp = pushSlot(v, base, sp, mask, 2, true, load<u32>(v, VCPU_EIP));
  setStackPointer(v, sp);
  const cleared: u32 = EFLAGS_IF | EFLAGS_TF | EFLAGS_AC;
  store<u32>(v, load<u32>(v, VCPU_EFLAGS) & ~cleared, VCPU_EFLAGS);
  setResume(v, false);
  setParagraph(v, SEG_CS, target >>> 16);
  store<u32>(v, target & 0xffff, VCPU_EIP);
  updateMode(v);
  return true;
}
