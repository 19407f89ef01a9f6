/**
 * Into a handler of a Xen guest: the frame on its kernel's stack, the saved event mask in the upper half of the CS word. When the place to go
 * to cannot be loaded, the failsafe callback is told; when a frame cannot be written, the domain is over.
 * Source: Xen's public arch-x86/xen-x86_32.h and callback.h.
 */
import {
  GUEST_XEN_ASSISTS,
  HELD_GATE_CS,
  HELD_GATE_FLAGS,
  KILL_XEN_BAD_HANDLER,
  KILL_XEN_UNHANDLED_TRAP,
  MODE_FLAT,
  PHASE_HANDLER,
  PHASE_REFLECT,
  VCPU_BLOCK,
  VCPU_CPL,
  VCPU_CR2,
  VCPU_DESC_HI,
  VCPU_DESC_LO,
  VCPU_EFLAGS,
  VCPU_EIP,
  VCPU_FAULT_ADDRESS,
  VCPU_GUEST,
  VCPU_HELD_IDT,
  VCPU_MODE,
  VCPU_XEN_CALLBACK_MASKS,
  VCPU_XEN_EVENT_CS,
  VCPU_XEN_EVENT_EIP,
  VCPU_XEN_FAILSAFE_CS,
  VCPU_XEN_FAILSAFE_EIP,
  VCPU_XEN_IOPL,
  VCPU_XEN_KERNEL_SP,
  VCPU_XEN_KERNEL_SS,
} from "../../abi/vcpu.ts";
import {
  ATTR_P,
  EFLAGS_IF,
  EFLAGS_IOPL,
  EFLAGS_IOPL_SHIFT,
  EFLAGS_NT,
  EFLAGS_TF,
  EFLAGS_VM,
  REG_ESP,
  SEG_CS,
  SEG_DS,
  SEG_ES,
  SEG_FS,
  SEG_GS,
  SEG_SS,
  VECTOR_GP,
  VECTOR_PF,
  VECTORS_WITH_ERROR_CODE,
} from "../../abi/x86.ts";
import {
  CALLBACKTYPE_FAILSAFE,
  TRAP_INFO_MASK_EVENTS,
  VMASST_TYPE_ARCHITECTURAL_IOPL,
} from "../../abi/xen.ts";
import { clearEvent } from "../mmu/fill.ts";
import { updatePrivilege } from "../mmu/tlb.ts";
import { flatDescriptor, isFlatCode, isFlatData } from "../protect/flat-descriptors.ts";
import {
  attrDpl,
  checkStackSegment,
  DESC_READ,
  descAttr,
  dropPrivilegedSegments,
  isCode,
  isConforming,
  isNull,
  markAccessed,
  readDescriptor,
  setCpl,
  setNullSegment,
  setSegFromDescriptor,
} from "../protect/segments.ts";
import { kill } from "../state/faults.ts";
import { flagsImage, setResume } from "../state/flags.ts";
import { notePhase } from "../state/phases.ts";
import { countTrap, reg, segAttr, segSelector, setReg, setSeg, updateMode } from "../state/vcpu.ts";
import { NO_STACK, push, pushFrame } from "./frames.ts";
import { settleStale } from "./page-types.ts";
import { settleLdtMiss } from "./segments.ts";
import { publishFaultAddress, setUpcallMask, upcallMask } from "./upcall.ts";

/** EFLAGS that a handler is entered without. RF is no part of VCPU_EFLAGS. */
const CLEARED: u32 = EFLAGS_TF | EFLAGS_NT | EFLAGS_VM;
/** Instead of a selector: the stack stays as it is. */
export const KEEP_STACK: u32 = 0xffffffff;
/** Where the saved event mask is in the CS word. */
const MASK_SHIFT: u32 = 16;

/** @returns pointer to the guest's entry for `vector`: HELD_GATE_* from VCPU_HELD_IDT on. */
function gate(v: usize, vector: u32): usize {
  return v + VCPU_HELD_IDT + (vector << 3);
}
export function gateEip(v: usize, vector: u32): u32 {
  return load<u32>(gate(v, vector));
}
export function gateCs(v: usize, vector: u32): u32 {
  return load<u16>(gate(v, vector), HELD_GATE_CS);
}
export function gateFlags(v: usize, vector: u32): u32 {
  return load<u16>(gate(v, vector), HELD_GATE_FLAGS);
}
/** Replaces the entry; a null selector makes it an empty one. @param flags TRAP_INFO_* */
export function setGate(v: usize, vector: u32, cs: u32, eip: u32, flags: u32): void {
  const at = gate(v, vector);
  store<u32>(at, eip);
  store<u16>(at, cs, HELD_GATE_CS);
  store<u16>(at, flags, HELD_GATE_FLAGS);
}

/** @returns a selector that leads to ring 1 at least. */
export function raiseRpl(selector: u32): u32 {
  return (selector & 3) == 0 ? (selector & 0xffff) | 1 : selector & 0xffff;
}

/** @returns EFLAGS as the guest sees them in a frame: IF is its event mask. */
function flagsForGuest(v: usize, flags: u32, masked: bool): u32 {
  let image = flags & ~(EFLAGS_IF | EFLAGS_IOPL);
  if (!masked) image |= EFLAGS_IF;
  return hasArchitecturalIopl(v)
    ? image | (load<u32>(v, VCPU_XEN_IOPL) << EFLAGS_IOPL_SHIFT)
    : image;
}
/** @returns true when the guest has its I/O privilege level in EFLAGS. */
export function hasArchitecturalIopl(v: usize): bool {
  const assists = load<u32>(load<usize>(v, VCPU_GUEST), GUEST_XEN_ASSISTS);
  return ((assists >>> VMASST_TYPE_ARCHITECTURAL_IOPL) & 1) != 0;
}

/** Reads a descriptor, the page of the LDT it may be in first made good. @returns false when there is none; no event is left. */
function fetch(v: usize, selector: u32): bool {
  if (isNull(selector)) return false;
  let outcome = readDescriptor(v, selector);
  if (outcome != DESC_READ && settleLdtMiss(v)) outcome = readDescriptor(v, selector);
  clearEvent(v);
  return outcome == DESC_READ;
}

/**
 * Goes to `cs`:`eip` with `flags` and, unless SS is KEEP_STACK, `ss`:`esp`, as a return out of the hypervisor does.
 * @returns false with nothing changed when a selector cannot be loaded; no event is left.
 */
export function land(v: usize, cs: u32, eip: u32, flags: u32, ss: u32, esp: u32): bool {
  store<usize>(v, 0, VCPU_BLOCK);
  settleStale(load<usize>(v, VCPU_GUEST));
  return landFlat(v, cs, eip, flags, ss, esp) || landAnywhere(v, cs, eip, flags, ss, esp);
}

/** The way between flat segments, which is nearly always the one. @returns false, with nothing changed, when it is another. */
function landFlat(v: usize, cs: u32, eip: u32, flags: u32, ss: u32, esp: u32): bool {
  const level = cs & 3;
  if (level == 0 || (load<u32>(v, VCPU_MODE) & MODE_FLAT) == 0) return false;
  const code = flatDescriptor(v, cs);
  if (!isFlatCode(code, level)) return false;
  if (ss != KEEP_STACK) {
    const data = flatDescriptor(v, ss);
    if ((ss & 3) != level || !isFlatData(data, level)) return false;
    setSeg(v, SEG_SS, ss, 0, 0xffffffff, descAttr(data));
  }
  setSeg(v, SEG_CS, cs, 0, 0xffffffff, descAttr(code));
  setReg(v, REG_ESP, esp);
  store<u32>(v, eip, VCPU_EIP);
  store<u32>(v, flags, VCPU_EFLAGS);
  const before = load<u32>(v, VCPU_CPL);
  store<u32>(v, level, VCPU_CPL);
  updatePrivilege(v);
  if (level <= before) return true;
  dropPrivilegedSegments(v);
  if ((segAttr(v, SEG_DS) & segAttr(v, SEG_ES) & ATTR_P) == 0) updateMode(v);
  return true;
}

function landAnywhere(v: usize, cs: u32, eip: u32, flags: u32, ss: u32, esp: u32): bool {
  if (!fetch(v, cs)) return false;
  const lo = load<u32>(v, VCPU_DESC_LO);
  const hi = load<u32>(v, VCPU_DESC_HI);
  const attr = descAttr(hi);
  const level = cs & 3;
  const dpl = attrDpl(attr);
  const fits = isCode(attr) && (isConforming(attr) ? dpl <= level : dpl == level);
  if (level == 0 || !fits || (attr & ATTR_P) == 0) return false;
  if (ss != KEEP_STACK) {
    if (!fetch(v, ss)) return false;
    if (!checkStackSegment(v, ss, level, VECTOR_GP)) {
      clearEvent(v);
      return false;
    }
    const ssLo = load<u32>(v, VCPU_DESC_LO);
    const ssHi = load<u32>(v, VCPU_DESC_HI);
    if (!markAccessed(v, ss, ssHi)) return false;
    setSegFromDescriptor(v, SEG_SS, ss, ssLo, ssHi);
  }
  if (!markAccessed(v, cs, hi)) return false;
  setReg(v, REG_ESP, esp);
  setSegFromDescriptor(v, SEG_CS, cs, lo, hi);
  const goesOut = level > load<u32>(v, VCPU_CPL);
  setCpl(v, level);
  if (goesOut) dropPrivilegedSegments(v);
  store<u32>(v, eip, VCPU_EIP);
  store<u32>(v, flags, VCPU_EFLAGS);
  updatePrivilege(v);
  updateMode(v);
  return true;
}

/**
 * Enters a handler or callback from where the guest stands.
 * @param masks set the event mask @param hasError push `error` @returns false: EXIT_KILL is recorded.
 */
function bounce(v: usize, cs: u32, eip: u32, masks: bool, hasError: bool, error: u32): bool {
  if (isNull(cs)) {
    kill(v, KILL_XEN_BAD_HANDLER, cs, eip);
    return false;
  }
  const masked = upcallMask(v);
  const fromUser = (segSelector(v, SEG_CS) & 3) >= 2;
  const sp = pushFrame(
    v,
    fromUser ? load<u32>(v, VCPU_XEN_KERNEL_SP) : reg(v, REG_ESP),
    fromUser,
    flagsForGuest(v, flagsImage(v), masked),
    masked,
    hasError,
    error,
  );
  if (sp == NO_STACK) return false;
  if (masks) setUpcallMask(v, true);
  setResume(v, false);
  const flags = load<u32>(v, VCPU_EFLAGS) & ~CLEARED;
  const ss: u32 = fromUser ? load<u32>(v, VCPU_XEN_KERNEL_SS) : KEEP_STACK;
  if (!land(v, cs, eip, flags, ss, sp) && !failsafe(v, cs, eip, flags, ss, sp)) return false;
  notePhase(v, PHASE_HANDLER);
  return true;
}

/** The way to `cs`:`eip` on `ss`:`esp` could not be gone: the guest is told through its failsafe callback. @returns false: EXIT_KILL. */
export function failsafe(v: usize, cs: u32, eip: u32, flags: u32, ss: u32, esp: u32): bool {
  const target = load<u32>(v, VCPU_XEN_FAILSAFE_EIP);
  const selector = load<u32>(v, VCPU_XEN_FAILSAFE_CS);
  if (target == 0 || isNull(selector)) {
    kill(v, KILL_XEN_BAD_HANDLER, cs, eip);
    return false;
  }
  const masked = upcallMask(v);
  const fromUser = (cs & 3) >= 2;
  let sp = fromUser ? load<u32>(v, VCPU_XEN_KERNEL_SP) : esp;
  if (fromUser) {
    if (!push(v, sp - 4, ss) || !push(v, sp - 8, esp)) return false;
    sp -= 8;
  }
  if (!push(v, sp - 4, flagsForGuest(v, flags, masked))) return false;
  if (!push(v, sp - 8, (cs & 0xffff) | (u32(masked) << MASK_SHIFT))) return false;
  if (!push(v, sp - 12, eip)) return false;
  if (!push(v, sp - 16, segSelector(v, SEG_GS))) return false;
  if (!push(v, sp - 20, segSelector(v, SEG_FS))) return false;
  if (!push(v, sp - 24, segSelector(v, SEG_ES))) return false;
  if (!push(v, sp - 28, segSelector(v, SEG_DS))) return false;
  sp -= 28;
  const masks = load<u32>(v, VCPU_XEN_CALLBACK_MASKS);
  if (((masks >>> CALLBACKTYPE_FAILSAFE) & 1) != 0) setUpcallMask(v, true);
  setNullSegment(v, SEG_DS, 0);
  setNullSegment(v, SEG_ES, 0);
  setNullSegment(v, SEG_FS, 0);
  setNullSegment(v, SEG_GS, 0);
  // Who came from ring 3 towards a handler stands on the kernel's stack already, if only it can be loaded.
  const stack = fromUser ? load<u32>(v, VCPU_XEN_KERNEL_SS) : ss;
  if (land(v, selector, target, flags & ~CLEARED, stack, sp)) return true;
  kill(v, KILL_XEN_BAD_HANDLER, selector, target);
  return false;
}

/** @returns true for the exceptions that have an error code in their frame. */
function hasErrorCode(vector: u32): bool {
  return vector < 32 && ((VECTORS_WITH_ERROR_CODE >>> vector) & 1) != 0;
}

/**
 * Enters the guest's handler for `vector`; VCPU_EIP is what the frame will hold.
 * @param isSoftware INT n: no error code @returns false: EXIT_KILL is recorded.
 */
export function bounceTrap(v: usize, vector: u32, error: u32, isSoftware: bool): bool {
  notePhase(v, PHASE_REFLECT);
  if (vector == VECTOR_PF && !isSoftware) {
    store<u32>(v, load<u32>(v, VCPU_FAULT_ADDRESS), VCPU_CR2);
    publishFaultAddress(v);
  }
  const cs = gateCs(v, vector);
  const eip = gateEip(v, vector);
  if (isNull(cs)) {
    const detail = vector == VECTOR_PF ? load<u32>(v, VCPU_FAULT_ADDRESS) : error;
    kill(v, KILL_XEN_UNHANDLED_TRAP, vector, load<u32>(v, VCPU_EIP), detail);
    return false;
  }
  countTrap(v, vector);
  const masks = (gateFlags(v, vector) & TRAP_INFO_MASK_EVENTS) != 0;
  return bounce(v, cs, eip, masks, !isSoftware && hasErrorCode(vector), error);
}

/** Calls the guest for an event. @returns false: EXIT_KILL is recorded. */
export function bounceEvent(v: usize): bool {
  notePhase(v, PHASE_REFLECT);
  const eip = load<u32>(v, VCPU_XEN_EVENT_EIP);
  return bounce(v, load<u32>(v, VCPU_XEN_EVENT_CS), eip, true, false, 0);
}
