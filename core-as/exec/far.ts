/**
 * Micro-ops that load segment registers or leave the code segment. Thin: the rules are in protect/.
 *
 *   function               operands
 *   farJumpDirect          disp selector, imm offset
 *   farCallDirect<T>       disp selector, imm offset; T = width of the pushed words
 *   farJumpIndirect<T>     r/m memory m16:T
 *   farCallIndirect<T>     r/m memory m16:T
 *   retFar<T>              imm bytes to release
 *   iretOp<T>              none
 *   intN                   imm vector
 *   int3 into int1         none
 *   bound<T>               r1 index, r/m memory, two T
 *   movToSeg               imm segment, r/m16
 *   movFromSeg<T>          imm segment; r/m16 in memory, T in a register
 *   pushSeg<T> popSeg<T>   imm segment; T = width of the stack word
 *   loadFar<T>             imm segment, r1 destination, r/m memory m16:T
 *
 * T is u16 or u32. All end their block except movFromSeg, bound, pushSeg, and movToSeg and popSeg of another segment than SS. movToSeg, popSeg and loadFar into SS want VCPU_RETIRED to be exact.
 */
import {
  EVENT_NONE,
  VCPU_BLOCK,
  VCPU_EA,
  VCPU_EVENT,
  VCPU_FAULT_ERROR,
  VCPU_FAULT_VECTOR,
  VCPU_MODE,
} from "../../abi/vcpu.ts";
import {
  REG_ESP,
  SEG_CS,
  SEG_SS,
  VECTOR_BP,
  VECTOR_BR,
  VECTOR_DB,
  VECTOR_OF,
  VECTORS_WITH_ERROR_CODE,
} from "../../abi/x86.ts";
import { advance, rmRead, rmWrite, UOP_DISP, Uop, uopNextEip } from "../decode/uop.ts";
import { commitWrite, storeValue } from "../mmu/access.ts";
import { holdEvents, requireV86Iopl } from "../protect/control.ts";
import { deliverThroughIdt } from "../protect/gates.ts";
import { iret } from "../protect/iret.ts";
import { loadSegment, segLinear } from "../protect/segments.ts";
import { peekSlot, setStackPointer, setStackPointerUnder, stackMask } from "../protect/stack.ts";
import { callFar, jumpFar, retFar as returnFromFar } from "../protect/transfers.ts";
import {
  raise,
  raiseUd,
  STEP_CUT,
  STEP_END,
  STEP_EVENT,
  STEP_NEXT,
  TRAP_UNCHECKED,
  trap,
} from "../state/faults.ts";
import { Flags } from "../state/flags.ts";
import { reg, segAttr, segSelector } from "../state/vcpu.ts";

/**
 * What a far transfer returns. When it switched tasks and the new task faulted at once, that fault is delivered here, because the
 * interrupted instruction, where the interpreter would restart, belongs to the old task.
 */
function landed(v: usize, done: bool): u32 {
  if (!done) return STEP_EVENT;
  if (load<u32>(v, VCPU_EVENT) == EVENT_NONE) return STEP_END;
  store<u32>(v, EVENT_NONE, VCPU_EVENT);
  const vector = load<u32>(v, VCPU_FAULT_VECTOR);
  const hasError = vector < 32 && ((VECTORS_WITH_ERROR_CODE >>> vector) & 1) != 0;
  const error = load<u32>(v, VCPU_FAULT_ERROR);
  const block = load<usize>(v, VCPU_BLOCK);
  if (deliverThroughIdt(v, vector, error, hasError, false, false)) return STEP_END;
  store<usize>(v, block, VCPU_BLOCK);
  return STEP_EVENT;
}

/** JMP ptr16:16 and ptr16:32. */
export function farJumpDirect(v: usize, pc: usize): u32 {
  const selector = load<u16>(pc, UOP_DISP);
  return landed(v, jumpFar(v, selector, Uop.imm(pc), uopNextEip(v, pc)));
}
/** CALL ptr16:16 and ptr16:32. */
export function farCallDirect<T>(v: usize, pc: usize): u32 {
  const selector = load<u16>(pc, UOP_DISP);
  return landed(v, callFar(v, selector, Uop.imm(pc), sizeof<T>(), uopNextEip(v, pc)));
}
/** JMP m16:16 and m16:32. */
export function farJumpIndirect<T>(v: usize, pc: usize): u32 {
  const ptr = rmRead(v, pc, sizeof<T>() + 2);
  if (ptr == 0) return STEP_EVENT;
  const offset = <u32>load<T>(ptr);
  return landed(v, jumpFar(v, load<u16>(ptr, sizeof<T>()), offset, uopNextEip(v, pc)));
}
/** CALL m16:16 and m16:32. */
export function farCallIndirect<T>(v: usize, pc: usize): u32 {
  const ptr = rmRead(v, pc, sizeof<T>() + 2);
  if (ptr == 0) return STEP_EVENT;
  const offset = <u32>load<T>(ptr);
  const selector: u32 = load<u16>(ptr, sizeof<T>());
  return landed(v, callFar(v, selector, offset, sizeof<T>(), uopNextEip(v, pc)));
}
/** RETF and RETF imm16. */
export function retFar<T>(v: usize, pc: usize): u32 {
  return returnFromFar(v, sizeof<T>(), Uop.imm(pc) & 0xffff) ? STEP_END : STEP_EVENT;
}
/** IRET and IRETD. */
export function iretOp<T>(v: usize, pc: usize): u32 {
  // A task return saves the EIP of the next instruction.
  advance(v, pc);
  return landed(v, iret(v, sizeof<T>()) == STEP_END);
}

/** INT n: the switcher decides what the vector means. */
export function intN(v: usize, pc: usize): u32 {
  if (!requireV86Iopl(v)) return STEP_EVENT;
  advance(v, pc);
  return trap(v, Uop.imm(pc) & 0xff);
}
/** INT3. */
export function int3(v: usize, pc: usize): u32 {
  advance(v, pc);
  return trap(v, VECTOR_BP);
}
/** INT1 (ICEBP). */
export function int1(v: usize, pc: usize): u32 {
  advance(v, pc);
  return trap(v, VECTOR_DB, TRAP_UNCHECKED);
}
/** INTO. */
export function into(v: usize, pc: usize): u32 {
  advance(v, pc);
  return Flags.of(v) != 0 ? trap(v, VECTOR_OF) : STEP_END;
}
/** BOUND: #BR when the signed index is outside [lower, upper]. */
export function bound<T>(v: usize, pc: usize): u32 {
  const ptr = rmRead(v, pc, sizeof<T>() * 2);
  if (ptr == 0) return STEP_EVENT;
  const index = Flags.signExtend<T>(<u32>load<T>(Uop.r1(v, pc)));
  const lower = Flags.signExtend<T>(<u32>load<T>(ptr));
  const upper = Flags.signExtend<T>(<u32>load<T>(ptr, sizeof<T>()));
  if (<i32>index >= <i32>lower && <i32>index <= <i32>upper) return STEP_NEXT;
  raise(v, VECTOR_BR);
  return STEP_EVENT;
}

/** Loads a segment register other than CS. @returns false with the event recorded. */
function loadSelector(v: usize, seg: u32, selector: u32): bool {
  if (seg == SEG_CS || seg > 5) {
    raiseUd(v);
    return false;
  }
  if (!loadSegment(v, seg, selector)) return false;
  return true;
}

/** A load of SS ends its block, for its shadow; another one only when what follows was decoded for a mode that is no more. */
function afterLoad(v: usize, pc: usize, mode: u32): u32 {
  const isStack = Uop.imm(pc) == SEG_SS;
  if (isStack) holdEvents(v);
  if (!isStack && load<u32>(v, VCPU_MODE) == mode) return STEP_NEXT;
  advance(v, pc);
  return isStack ? STEP_END : STEP_CUT;
}

/** MOV Sreg, r/m16. */
export function movToSeg(v: usize, pc: usize): u32 {
  const ptr = rmRead(v, pc, 2);
  if (ptr == 0) return STEP_EVENT;
  const mode = load<u32>(v, VCPU_MODE);
  if (!loadSelector(v, Uop.imm(pc), load<u16>(ptr))) return STEP_EVENT;
  return afterLoad(v, pc, mode);
}
/** MOV r/m16, Sreg; a 32-bit register is zero-extended. */
export function movFromSeg<T>(v: usize, pc: usize): u32 {
  return storeSelector<T>(v, pc, segSelector(v, Uop.imm(pc)));
}

/** Stores a 16-bit system word to r/m: 16 bits in memory, T in a register. */
export function storeSelector<T>(v: usize, pc: usize, value: u32): u32 {
  if (Uop.isMemory(pc)) {
    const ptr = rmWrite(v, pc, 2);
    if (ptr == 0) return STEP_EVENT;
    store<u16>(ptr, value);
    return commitWrite(v, ptr) ? STEP_NEXT : STEP_EVENT;
  }
  store<T>(Uop.r2(v, pc), <T>value);
  return STEP_NEXT;
}

/** PUSH Sreg, zero-extended. */
export function pushSeg<T>(v: usize, pc: usize): u32 {
  const esp = reg(v, REG_ESP) - sizeof<T>();
  const off = esp & stackMask(segAttr(v, SEG_SS));
  if (!segLinear(v, SEG_SS, off, sizeof<T>(), true)) return STEP_EVENT;
  const value = segSelector(v, Uop.imm(pc));
  if (!storeValue<T>(v, load<u32>(v, VCPU_EA), <T>value)) return STEP_EVENT;
  setStackPointer(v, esp);
  return STEP_NEXT;
}
/** POP Sreg. */
export function popSeg<T>(v: usize, pc: usize): u32 {
  const ptr = peekSlot(v, 0, sizeof<T>());
  if (ptr == 0) return STEP_EVENT;
  const esp = reg(v, REG_ESP) + sizeof<T>();
  // The width of the old stack counts, also when it is SS that is popped.
  const mask = stackMask(segAttr(v, SEG_SS));
  const mode = load<u32>(v, VCPU_MODE);
  if (!loadSelector(v, Uop.imm(pc), load<u16>(ptr))) return STEP_EVENT;
  setStackPointerUnder(v, esp, mask);
  return afterLoad(v, pc, mode);
}
/** LES, LDS, LSS, LFS, LGS. */
export function loadFar<T>(v: usize, pc: usize): u32 {
  const ptr = rmRead(v, pc, sizeof<T>() + 2);
  if (ptr == 0) return STEP_EVENT;
  const offset = load<T>(ptr);
  if (!loadSelector(v, Uop.imm(pc), load<u16>(ptr, sizeof<T>()))) return STEP_EVENT;
  store<T>(Uop.r1(v, pc), offset);
  advance(v, pc);
  return STEP_END;
}
