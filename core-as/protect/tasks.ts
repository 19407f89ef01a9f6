/**
 * Hardware task switching: JMP and CALL to a TSS or task gate, interrupts through task gates, and IRET with NT set.
 * Up to the moment TR changes, a fault belongs to the old task and nothing has changed; after it, to the new one.
 * Source: SDM 3A, "Task Switching" (steps, and the table of checks and exceptions).
 */
import {
  SEG_ATTR,
  SEG_BASE,
  SEG_LIMIT,
  VCPU_CPL,
  VCPU_CR0,
  VCPU_DEBUG,
  VCPU_DESC_HI,
  VCPU_DESC_LO,
  VCPU_DR7,
  VCPU_EIP,
  VCPU_PAGING,
} from "../../abi/vcpu.ts";
import {
  ATTR_P,
  CR0_TS,
  DESC_TYPE_MASK,
  DR6_BT,
  DR7_LOCAL,
  EFLAGS_NT,
  EFLAGS_RF,
  EFLAGS_VM,
  ERR_TI,
  REG_ESP,
  SEG_CS,
  SEG_DS,
  SEG_ES,
  SEG_FS,
  SEG_GS,
  SEG_LDTR,
  SEG_SS,
  SEG_TR,
  SYSDESC_LDT,
  SYSDESC_TSS16,
  SYSDESC_TSS16_BUSY,
  SYSDESC_TSS32,
  SYSDESC_TSS32_BUSY,
  VECTOR_GP,
  VECTOR_NP,
  VECTOR_SS,
  VECTOR_TS,
} from "../../abi/x86.ts";
import { storeSystemValue, translateSystemRead, translateSystemWrite } from "../mmu/access.ts";
import { updatePrivilege } from "../mmu/tlb.ts";
import { armBreakpoints } from "../mmu/watch.ts";
import { flagsImage, setEflags, setResume } from "../state/flags.ts";
import {
  reg,
  segAttr,
  segBase,
  segLimit,
  segPtr,
  segSelector,
  setReg,
  setSeg,
  updateMode,
} from "../state/vcpu.ts";
import { loadDirectory } from "./paging.ts";
import {
  attrDpl,
  checkDataSegment,
  checkStackSegment,
  descAttr,
  descBase,
  descLimit,
  inLimit,
  isCode,
  isConforming,
  isNull,
  markAccessed,
  markDescriptor,
  needDescriptor,
  refuse,
  selectorError,
  setCpl,
  setNullSegment,
  setParagraph,
  setSegFromDescriptor,
} from "./segments.ts";
import { hasTss32, pushSlot, reserveSlots, setStackPointer, stackMask } from "./stack.ts";

/** Why a task is switched to; decides busy bits, back link and NT. */
export const SWITCH_JUMP: u32 = 0;
export const SWITCH_CALL: u32 = 1;
export const SWITCH_INTERRUPT: u32 = 2;
export const SWITCH_RETURN: u32 = 3;

/** Outcome: refused, with the fault recorded in the old task; */
export const TASK_REFUSED: u32 = 0;
/** ... switched; */
export const TASK_SWITCHED: u32 = 1;
/** ... or switched, and a fault of the new task is recorded. */
export const TASK_FAULTED: u32 = 2;

/** Busy bit in the type field of a TSS descriptor. */
const TYPE_BUSY: u32 = 2;
/** Smallest legal limits. */
const TSS32_LIMIT: u32 = 0x67;
const TSS16_LIMIT: u32 = 0x2b;
/** Layout (SDM 3A, "Task-State Segment (TSS)", "16-Bit Task-State Segment (TSS)"). */
const TSS32_CR3: u32 = 0x1c;
const TSS32_EIP: u32 = 0x20;
const TSS32_GPR: u32 = 0x28;
const TSS32_SEGS: u32 = 0x48;
const TSS32_LDT: u32 = 0x60;
const TSS32_TRAP: u32 = 0x64;
const TSS16_EIP: u32 = 0x0e;
const TSS16_GPR: u32 = 0x12;
const TSS16_SEGS: u32 = 0x22;
const TSS16_LDT: u32 = 0x2a;
/** Segment registers that each kind of TSS saves, in encoding order. */
const TSS32_SEG_COUNT: u32 = 6;
const TSS16_SEG_COUNT: u32 = 4;

function isTss32(attr: u32): bool {
  const type = attr & DESC_TYPE_MASK;
  return type == SYSDESC_TSS32 || type == SYSDESC_TSS32_BUSY;
}
function isAvailableTss(attr: u32): bool {
  const type = attr & DESC_TYPE_MASK;
  return type == SYSDESC_TSS16 || type == SYSDESC_TSS32;
}
function isBusyTss(attr: u32): bool {
  const type = attr & DESC_TYPE_MASK;
  return type == SYSDESC_TSS16_BUSY || type == SYSDESC_TSS32_BUSY;
}

/** Switches to the task that a task gate names. @param ext ERR_EXT or 0. @returns true when switched (an event may be recorded). */
export function switchThroughGate(
  v: usize,
  selector: u32,
  kind: u32,
  nextEip: u32,
  ext: u32 = 0,
  hasError: bool = false,
  errorCode: u32 = 0,
): bool {
  if (isNull(selector) || (selector & ERR_TI) != 0) {
    return refuse(v, VECTOR_GP, selectorError(selector) | ext);
  }
  if (!needDescriptor(v, selector, VECTOR_GP, ext)) return false;
  const attr = descAttr(load<u32>(v, VCPU_DESC_HI));
  if (!isAvailableTss(attr)) return refuse(v, VECTOR_GP, selectorError(selector) | ext);
  if ((attr & ATTR_P) == 0) return refuse(v, VECTOR_NP, selectorError(selector) | ext);
  const outcome = switchTask(
    v,
    selector,
    load<u32>(v, VCPU_DESC_LO),
    load<u32>(v, VCPU_DESC_HI),
    kind,
    nextEip,
    ext,
    hasError,
    errorCode,
  );
  // A delivery has a caller that handles a second fault; an instruction has retired and finds the event recorded.
  return kind == SWITCH_INTERRUPT ? outcome == TASK_SWITCHED : outcome != TASK_REFUSED;
}

/** JMP or CALL straight to an available, present TSS. @returns true when switched (an event may be recorded). */
export function switchToDescriptor(
  v: usize,
  selector: u32,
  lo: u32,
  hi: u32,
  kind: u32,
  nextEip: u32,
): bool {
  if (selector & ERR_TI) return refuse(v, VECTOR_GP, selectorError(selector));
  return switchTask(v, selector, lo, hi, kind, nextEip, 0, false, 0) != TASK_REFUSED;
}

/** IRET with NT set: back to the task in the back link. VCPU_EIP is already past the IRET. @returns true when switched. */
export function returnFromTask(v: usize): bool {
  if ((segAttr(v, SEG_TR) & ATTR_P) == 0) return refuse(v, VECTOR_TS, 0);
  const link = translateSystemRead(v, segBase(v, SEG_TR), 2);
  if (link == 0) return false;
  const selector: u32 = load<u16>(link);
  if (isNull(selector) || (selector & ERR_TI) != 0) {
    return refuse(v, VECTOR_TS, selectorError(selector));
  }
  if (!needDescriptor(v, selector, VECTOR_TS)) return false;
  const lo = load<u32>(v, VCPU_DESC_LO);
  const hi = load<u32>(v, VCPU_DESC_HI);
  const attr = descAttr(hi);
  if (!isBusyTss(attr)) return refuse(v, VECTOR_TS, selectorError(selector));
  if ((attr & ATTR_P) == 0) return refuse(v, VECTOR_NP, selectorError(selector));
  const nextEip = load<u32>(v, VCPU_EIP);
  return switchTask(v, selector, lo, hi, SWITCH_RETURN, nextEip, 0, false, 0) != TASK_REFUSED;
}

/** Obtains [lin, lin + bytes) word by word for reading, or for writing too. @returns false when an event is recorded. */
function reserveRange(v: usize, lin: u32, bytes: u32, write: bool): bool {
  for (let off: u32 = 0; off < bytes; off += 4) {
    const ptr = write
      ? translateSystemWrite(v, lin + off, 4)
      : translateSystemRead(v, lin + off, 4);
    if (ptr == 0) return false;
  }
  return true;
}

function readWord(v: usize, lin: u32, is32: bool): u32 {
  if (is32) return load<u32>(translateSystemRead(v, lin, 4));
  return load<u16>(translateSystemRead(v, lin, 2));
}

function switchTask(
  v: usize,
  selector: u32,
  lo: u32,
  hi: u32,
  kind: u32,
  nextEip: u32,
  ext: u32,
  hasError: bool,
  errorCode: u32,
): u32 {
  const attr = descAttr(hi);
  const is32 = isTss32(attr);
  const base = descBase(lo, hi);
  const limit = descLimit(lo, hi);
  const error = selectorError(selector) | ext;
  const lowest = is32 ? TSS32_LIMIT : TSS16_LIMIT;
  if (limit < lowest) return u32(refuse(v, VECTOR_TS, error));
  const oldSelector = segSelector(v, SEG_TR);
  const oldIs32 = hasTss32(v);
  const oldEnd = oldIs32 ? TSS32_LDT : TSS16_LDT;
  if ((segAttr(v, SEG_TR) & ATTR_P) == 0 || segLimit(v, SEG_TR) < oldEnd - 1) {
    return u32(refuse(v, VECTOR_TS, selectorError(oldSelector) | ext));
  }
  const oldBase = segBase(v, SEG_TR);
  const saved = oldIs32 ? TSS32_EIP : TSS16_EIP;
  const nests = kind == SWITCH_CALL || kind == SWITCH_INTERRUPT;
  if (!reserveRange(v, oldBase + saved, oldEnd - saved, true)) return TASK_REFUSED;
  if (!reserveRange(v, base, lowest + 1, false)) return TASK_REFUSED;
  if (nests && translateSystemWrite(v, base, 2) == 0) return TASK_REFUSED;
  if (kind != SWITCH_RETURN && !markDescriptor(v, selector, TYPE_BUSY)) return TASK_REFUSED;
  if (!nests && !markDescriptor(v, oldSelector, TYPE_BUSY, true)) return TASK_REFUSED;

  const image = kind == SWITCH_RETURN ? flagsImage(v) & ~EFLAGS_NT : flagsImage(v);
  if (oldIs32) saveState<u32>(v, oldBase, nextEip, image);
  else saveState<u16>(v, oldBase, nextEip, image);
  if (nests) storeSystemValue<u16>(v, base, <u16>oldSelector);

  const fits = is32
    ? enterTask<u32>(v, base, selector, limit, attr, nests, ext)
    : enterTask<u16>(v, base, selector, limit, attr, nests, ext);
  if (!fits) return TASK_FAULTED;
  if (hasError && !pushTaskError(v, is32 ? 4 : 2, errorCode, ext)) return TASK_FAULTED;
  if (load<u32>(v, VCPU_EIP) > segLimit(v, SEG_CS)) {
    refuse(v, VECTOR_GP, ext);
    return TASK_FAULTED;
  }
  return TASK_SWITCHED;
}

/** Writes EIP, EFLAGS, the general registers and the segment selectors to a TSS whose words are T wide; all slots are reserved. */
function saveState<T>(v: usize, base: u32, nextEip: u32, image: u32): void {
  const width: u32 = sizeof<T>();
  const eipAt = base + (width == 4 ? TSS32_EIP : TSS16_EIP);
  storeSystemValue<T>(v, eipAt, <T>nextEip);
  storeSystemValue<T>(v, eipAt + width, <T>image);
  const gprAt = base + (width == 4 ? TSS32_GPR : TSS16_GPR);
  for (let r: u32 = 0; r < 8; r++) storeSystemValue<T>(v, gprAt + r * width, <T>reg(v, r));
  const segAt = base + (width == 4 ? TSS32_SEGS : TSS16_SEGS);
  const segs = width == 4 ? TSS32_SEG_COUNT : TSS16_SEG_COUNT;
  for (let s: u32 = 0; s < segs; s++) {
    storeSystemValue<u16>(v, segAt + s * width, <u16>segSelector(v, s));
  }
}

/** Loads the new task. @returns false when the new task faults: its registers are in place, segments not yet reached are unusable. */
function enterTask<T>(
  v: usize,
  base: u32,
  selector: u32,
  limit: u32,
  attr: u32,
  nests: bool,
  ext: u32,
): bool {
  const width: u32 = sizeof<T>();
  const is32 = width == 4;
  const eipAt = base + (is32 ? TSS32_EIP : TSS16_EIP);
  const eip = readWord(v, eipAt, is32);
  let image = readWord(v, eipAt + width, is32);
  if (nests) image |= EFLAGS_NT;
  const gprAt = base + (is32 ? TSS32_GPR : TSS16_GPR);
  for (let r: u32 = 0; r < 8; r++) {
    // A 16-bit task leaves the upper halves set, as processors have always done.
    const value = readWord(v, gprAt + r * width, is32);
    setReg(v, r, is32 ? value : value | 0xffff0000);
  }
  const segAt = base + (is32 ? TSS32_SEGS : TSS16_SEGS);
  const segs = is32 ? TSS32_SEG_COUNT : TSS16_SEG_COUNT;
  for (let s: u32 = 0; s < TSS32_SEG_COUNT; s++) {
    setNullSegment(v, s, s < segs ? readWord(v, segAt + s * width, false) : 0);
  }
  const ldt = readWord(v, base + (is32 ? TSS32_LDT : TSS16_LDT), false);
  setNullSegment(v, SEG_LDTR, ldt);
  const traps = is32 && (readWord(v, base + TSS32_TRAP, false) & 1) != 0;
  const cr3 = is32 ? readWord(v, base + TSS32_CR3, true) : 0;

  setSeg(v, SEG_TR, selector, base, limit, attr | TYPE_BUSY);
  store<u32>(v, load<u32>(v, VCPU_CR0) | CR0_TS, VCPU_CR0);
  setEflags(v, image);
  setResume(v, (image & EFLAGS_RF) != 0);
  const dr7 = load<u32>(v, VCPU_DR7);
  if ((dr7 & DR7_LOCAL) != 0) {
    store<u32>(v, dr7 & ~DR7_LOCAL, VCPU_DR7);
    armBreakpoints(v);
  }
  updatePrivilege(v);
  store<u32>(v, eip, VCPU_EIP);
  const isV86 = (image & EFLAGS_VM) != 0;
  setCpl(v, isV86 ? 3 : segSelector(v, SEG_CS) & 3);
  updateMode(v);
  if (is32 && load<u32>(v, VCPU_PAGING) != 0 && !loadDirectory(v, cr3)) {
    return refuse(v, VECTOR_GP, ext);
  }
  if (!loadTaskLdt(v, ldt, ext)) return false;
  if (isV86) {
    for (let s: u32 = 0; s < TSS32_SEG_COUNT; s++) setParagraph(v, s, segSelector(v, s));
  } else if (!loadTaskSegments(v, ext)) return false;
  updateMode(v);
  if (traps) store<u32>(v, load<u32>(v, VCPU_DEBUG) | DR6_BT, VCPU_DEBUG);
  return true;
}

function loadTaskLdt(v: usize, selector: u32, ext: u32): bool {
  if (isNull(selector)) return true;
  const error = selectorError(selector) | ext;
  if (selector & ERR_TI) return refuse(v, VECTOR_TS, error);
  if (!needDescriptor(v, selector, VECTOR_TS, ext)) return false;
  const lo = load<u32>(v, VCPU_DESC_LO);
  const hi = load<u32>(v, VCPU_DESC_HI);
  const attr = descAttr(hi);
  if ((attr & DESC_TYPE_MASK) != SYSDESC_LDT || (attr & ATTR_P) == 0) {
    return refuse(v, VECTOR_TS, error);
  }
  setSeg(v, SEG_LDTR, selector, descBase(lo, hi), descLimit(lo, hi), attr);
  return true;
}

/** Checks and loads CS, SS and the data segments whose selectors are already in place. */
function loadTaskSegments(v: usize, ext: u32): bool {
  const cs = segSelector(v, SEG_CS);
  if (isNull(cs)) return refuse(v, VECTOR_TS, ext);
  if (!needDescriptor(v, cs, VECTOR_TS, ext)) return false;
  const attr = descAttr(load<u32>(v, VCPU_DESC_HI));
  const dpl = attrDpl(attr);
  const rpl = cs & 3;
  if (!isCode(attr) || (isConforming(attr) ? dpl > rpl : dpl != rpl)) {
    return refuse(v, VECTOR_TS, selectorError(cs) | ext);
  }
  if ((attr & ATTR_P) == 0) return refuse(v, VECTOR_NP, selectorError(cs) | ext);
  if (!settleSegment(v, SEG_CS, cs)) return false;

  const ss = segSelector(v, SEG_SS);
  if (isNull(ss)) return refuse(v, VECTOR_TS, ext);
  if (!needDescriptor(v, ss, VECTOR_TS, ext)) return false;
  if (!checkStackSegment(v, ss, load<u32>(v, VCPU_CPL), VECTOR_TS, ext)) return false;
  if (!settleSegment(v, SEG_SS, ss)) return false;
  return (
    loadTaskData(v, SEG_DS, ext) &&
    loadTaskData(v, SEG_ES, ext) &&
    loadTaskData(v, SEG_FS, ext) &&
    loadTaskData(v, SEG_GS, ext)
  );
}

function loadTaskData(v: usize, seg: u32, ext: u32): bool {
  const selector = segSelector(v, seg);
  if (isNull(selector)) return true;
  if (!needDescriptor(v, selector, VECTOR_TS, ext)) return false;
  return checkDataSegment(v, selector, VECTOR_TS, ext) && settleSegment(v, seg, selector);
}

/** Marks the descriptor in VCPU_DESC_* accessed and puts it into a segment register. */
function settleSegment(v: usize, seg: u32, selector: u32): bool {
  const lo = load<u32>(v, VCPU_DESC_LO);
  const hi = load<u32>(v, VCPU_DESC_HI);
  if (!markAccessed(v, selector, hi)) return false;
  setSegFromDescriptor(v, seg, selector, lo, hi);
  updateMode(v);
  return true;
}

/** The error code of the exception that caused the switch goes onto the new task's stack. */
function pushTaskError(v: usize, size: u32, errorCode: u32, ext: u32): bool {
  const ss = segPtr(v, SEG_SS);
  const attr = load<u32>(ss, SEG_ATTR);
  const base = load<u32>(ss, SEG_BASE);
  const mask = stackMask(attr);
  const sp = reg(v, REG_ESP);
  const system = load<u32>(v, VCPU_CPL) != 3;
  if (!inLimit(load<u32>(ss, SEG_LIMIT), attr, (sp - size) & mask, size)) {
    return refuse(v, VECTOR_SS, ext);
  }
  if (!reserveSlots(v, base, sp, mask, 1, size, system)) return false;
  setStackPointer(v, pushSlot(v, base, sp, mask, size, system, errorCode));
  return true;
}
