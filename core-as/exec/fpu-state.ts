/**
 * The x87 register stack and the rules of delivery: which exceptions keep a result from being stored, when #MF is due.
 *
 * Tags in VCPU_FTW are kept as "empty" (3) or "not empty" (0) only; FNSTENV derives the finer ones from the contents, as silicon
 * does. A slot is a physical register number. Every instruction forms its result and exceptions in VCPU_FX_* and then settles.
 * Source: SDM 1, "x87 FPU Registers" and "x87 FPU Exception Handling".
 */
import {
  EVENT_BEFORE,
  EXIT_FERR,
  POLICY_NATIVE,
  SEG_BASE,
  SEG_SELECTOR,
  SEG_STRIDE,
  VCPU_CR0,
  VCPU_EVENT,
  VCPU_FCS,
  VCPU_FCW,
  VCPU_FDP,
  VCPU_FDS,
  VCPU_FERR,
  VCPU_FIP,
  VCPU_FOP,
  VCPU_FPR,
  VCPU_FSW,
  VCPU_FTW,
  VCPU_POLICY,
  VCPU_SEGS,
} from "../../abi/vcpu.ts";
import { CR0_NE, SEG_CS, VECTOR_MF } from "../../abi/x86.ts";
import {
  FCW_FIXED,
  FCW_INIT,
  FSW_B,
  FSW_BEFORE,
  FSW_C1,
  FSW_ES,
  FSW_EXCEPTIONS,
  FSW_IE,
  FSW_SF,
  FSW_TOP,
  FSW_TOP_SHIFT,
  FTW_INIT,
  TAG_EMPTY,
} from "../../abi/x87.ts";
import { FPU_SEGMENT_SHIFT, Uop, uopEip } from "../decode/uop.ts";
import { raise, STEP_NEXT } from "../state/faults.ts";
import { segPtr, setExit } from "../state/vcpu.ts";
import { Fx, SE_INDEFINITE, SIG_J, SIG_QUIET } from "./float80.ts";

/** Width of FOP: the low bits of the first opcode byte and the ModR/M byte. */
const FOP_MASK = 0x7ff;

/** Access to the stack. */
export class St {
  /** Slot of ST(i). */
  @inline static slot(v: usize, i: u32): u32 {
    return ((load<u32>(v, VCPU_FSW) >>> FSW_TOP_SHIFT) + i) & 7;
  }
  @inline static isEmpty(v: usize, slot: u32): bool {
    return ((load<u32>(v, VCPU_FTW) >>> (slot << 1)) & TAG_EMPTY) == TAG_EMPTY;
  }
  @inline static sig(v: usize, slot: u32): u64 {
    return load<u64>(v + (slot << 4), VCPU_FPR);
  }
  @inline static se(v: usize, slot: u32): u32 {
    return load<u16>(v + (slot << 4), VCPU_FPR + 8);
  }
  /** Fills a register without touching its tag. */
  @inline static set(v: usize, slot: u32, sig: u64, se: u32): void {
    store<u64>(v + (slot << 4), sig, VCPU_FPR);
    store<u64>(v + (slot << 4), se, VCPU_FPR + 8);
  }
  @inline static setValid(v: usize, slot: u32): void {
    store<u32>(v, load<u32>(v, VCPU_FTW) & ~(TAG_EMPTY << (slot << 1)), VCPU_FTW);
  }
  @inline static setEmpty(v: usize, slot: u32): void {
    store<u32>(v, load<u32>(v, VCPU_FTW) | (TAG_EMPTY << (slot << 1)), VCPU_FTW);
  }
  /** Adds to TOP, modulo 8. */
  @inline static rotate(v: usize, by: u32): void {
    const fsw = load<u32>(v, VCPU_FSW);
    const top = (fsw + (by << FSW_TOP_SHIFT)) & FSW_TOP;
    store<u32>(v, (fsw & ~FSW_TOP) | top, VCPU_FSW);
  }
  @inline static pop(v: usize): void {
    St.setEmpty(v, St.slot(v, 0));
    St.rotate(v, 1);
  }
}

/** Forms the response to a stack underflow: invalid operation, stack fault, and the default NaN should it be masked. */
export function setUnderflow(v: usize): void {
  Fx.set(v, SIG_J | SIG_QUIET, SE_INDEFINITE);
  Fx.setFlags(v, FSW_IE | FSW_SF);
}
/** The same for a stack overflow, told apart by C1. */
export function setOverflow(v: usize): void {
  Fx.set(v, SIG_J | SIG_QUIET, SE_INDEFINITE);
  Fx.setFlags(v, FSW_IE | FSW_SF | FSW_C1);
}

/**
 * Reports the exceptions of the instruction in the status word. @returns whether a register result may be stored: not when an
 * exception found beforehand is unmasked.
 */
export function settle(v: usize): bool {
  const flags = Fx.flags(v);
  const fsw = load<u32>(v, VCPU_FSW) & ~FSW_C1;
  if (flags == 0) {
    store<u32>(v, fsw, VCPU_FSW);
    return true;
  }
  return settleExceptions(v, fsw, flags);
}

function settleExceptions(v: usize, fsw: u32, flags: u32): bool {
  const unmasked = flags & ~load<u32>(v, VCPU_FCW) & FSW_EXCEPTIONS;
  const stops = (unmasked & FSW_BEFORE) != 0;
  // Nothing was computed, so nothing of the computation is reported; C1 stays where it tells a stack overflow.
  if (stops) flags &= (flags & FSW_SF) != 0 ? FSW_BEFORE | FSW_SF | FSW_C1 : FSW_BEFORE;
  if (unmasked != 0) flags |= FSW_ES | FSW_B;
  store<u32>(v, fsw | flags, VCPU_FSW);
  return !stops;
}

/** Settles, stores the result into the slot, and pops when asked. @returns STEP_NEXT. */
export function finish(v: usize, slot: u32, pops: bool): u32 {
  if (settle(v)) {
    St.set(v, slot, Fx.sig(v), Fx.se(v));
    St.setValid(v, slot);
    if (pops) St.pop(v);
  }
  return STEP_NEXT;
}

/** Pushes a number that raised no exception. @returns STEP_NEXT. */
export function pushNumber(v: usize, sig: u64, se: u32): u32 {
  const slot = St.slot(v, 7);
  if (!St.isEmpty(v, slot)) return push(v);
  const fsw = load<u32>(v, VCPU_FSW) & ~(FSW_TOP | FSW_C1);
  store<u32>(v, fsw | (slot << FSW_TOP_SHIFT), VCPU_FSW);
  St.set(v, slot, sig, se);
  St.setValid(v, slot);
  return STEP_NEXT;
}

/** Settles and pushes the result; a denormal operand does not keep a load from happening. @returns STEP_NEXT. */
export function push(v: usize): u32 {
  const slot = St.slot(v, 7);
  if (!St.isEmpty(v, slot)) setOverflow(v);
  if (settle(v) || (Fx.flags(v) & FSW_IE) == 0) {
    St.set(v, slot, Fx.sig(v), Fx.se(v));
    St.setValid(v, slot);
    St.rotate(v, 7);
  }
  return STEP_NEXT;
}

/** Stack checks of an instruction that replaces ST(0) and pushes. @returns whether both slots are as they must be. */
export function pairIsReady(v: usize): bool {
  if (St.isEmpty(v, St.slot(v, 0))) setUnderflow(v);
  else if (!St.isEmpty(v, St.slot(v, 7))) setOverflow(v);
  else return true;
  Fx.setLow(v, Fx.sig(v));
  return false;
}

/**
 * Settles an instruction with two results: FX_SIG, FX_SE replace ST(0), then (FX_LOW, `se`) is pushed. On a stack fault or an
 * invalid operation both become the default NaN that FX_SIG, FX_SE hold by then. @returns STEP_NEXT.
 */
export function finishPair(v: usize, se: u32): u32 {
  if (settle(v)) {
    const slot = St.slot(v, 0);
    const above = St.slot(v, 7);
    St.set(v, slot, Fx.sig(v), Fx.se(v));
    St.setValid(v, slot);
    St.set(v, above, Fx.low(v), se);
    St.setValid(v, above);
    St.rotate(v, 7);
  }
  return STEP_NEXT;
}

/** @returns true when an unmasked exception is pending: a waiting instruction reports it. */
export function isPending(v: usize): bool {
  return (load<u32>(v, VCPU_FSW) & FSW_ES) != 0;
}

/**
 * Reports the pending exception: as #MF, or once by FERR# while CR0.NE is clear, in machines that are wired for it.
 * DEVIATION: when no interrupt answers, the instruction goes on as with IGNNE#, where silicon would wait for one.
 * @returns false when the waiting instruction is to be executed all the same.
 */
export function reportPending(v: usize): bool {
  if ((load<u32>(v, VCPU_CR0) & CR0_NE) != 0) {
    raise(v, VECTOR_MF);
    return true;
  }
  if (load<u32>(v, VCPU_FERR) != 0 || load<u32>(v, VCPU_POLICY) != POLICY_NATIVE) return false;
  store<u32>(v, 1, VCPU_FERR);
  setExit(v, EXIT_FERR);
  store<u32>(v, EVENT_BEFORE, VCPU_EVENT);
  return true;
}

/** Clears ES and B, and with them FERR#. */
export function clearSummary(v: usize): void {
  store<u32>(v, load<u32>(v, VCPU_FSW) & ~(FSW_ES | FSW_B), VCPU_FSW);
  store<u32>(v, 0, VCPU_FERR);
}

/** Makes ES and B say whether an unmasked exception is pending: after the control or the status word was loaded. */
export function updateSummary(v: usize): void {
  const fsw = load<u32>(v, VCPU_FSW);
  if ((fsw & ~load<u32>(v, VCPU_FCW) & FSW_EXCEPTIONS) == 0) clearSummary(v);
  else store<u32>(v, fsw | FSW_ES | FSW_B, VCPU_FSW);
}

/** Loads the control word; its reserved bits do not stick. */
export function setControl(v: usize, fcw: u32, defined: u32): void {
  store<u32>(v, (fcw & defined) | FCW_FIXED, VCPU_FCW);
  updateSummary(v);
}

/** FNINIT: the state after it, register contents excepted (they are kept). */
export function initialize(v: usize): void {
  store<u32>(v, FCW_INIT, VCPU_FCW);
  store<u32>(v, 0, VCPU_FSW);
  store<u32>(v, 0, VCPU_FERR);
  store<u32>(v, FTW_INIT, VCPU_FTW);
  store<u32>(v, 0, VCPU_FOP);
  store<u32>(v, 0, VCPU_FIP);
  store<u32>(v, 0, VCPU_FCS);
  store<u32>(v, 0, VCPU_FDP);
  store<u32>(v, 0, VCPU_FDS);
}

/** Remembers the instruction for exception handlers (SDM 1, "x87 FPU Instruction and Data (Operand) Pointers"). */
export function recordInstruction(v: usize, pc: usize): void {
  store<u32>(v, uopEip(v, pc), VCPU_FIP);
  store<u32>(v, load<u32>(v, SEG_CS * SEG_STRIDE + VCPU_SEGS + SEG_SELECTOR), VCPU_FCS);
  store<u32>(v, Uop.imm(pc) & FOP_MASK, VCPU_FOP);
}
/** The same with a memory operand at `lin`. */
export function recordOperand(v: usize, pc: usize, lin: u32): void {
  recordInstruction(v, pc);
  const segment = segPtr(v, Uop.imm(pc) >>> FPU_SEGMENT_SHIFT);
  store<u32>(v, lin - load<u32>(segment, SEG_BASE), VCPU_FDP);
  store<u32>(v, load<u32>(segment, SEG_SELECTOR), VCPU_FDS);
}
