/**
 * Recording why an instruction cannot go on. One idiom in the whole core: record, return 0 (or STEP_EVENT), change nothing more.
 * News travels upward as data: whoever started the instruction looks at VCPU_EVENT.
 */
import {
  EVENT_EXIT,
  EVENT_FAULT,
  EVENT_KILL,
  EVENT_TRAP,
  EXIT_KILL,
  VCPU_BUDGET,
  VCPU_EIP,
  VCPU_EVENT,
  VCPU_FAULT_ADDRESS,
  VCPU_FAULT_ERROR,
  VCPU_FAULT_VECTOR,
  VCPU_INT_EIP,
  VCPU_LEAVING_TRAPS,
  VCPU_RETIRED,
} from "../../abi/vcpu.ts";
import { VECTOR_GP, VECTOR_PF, VECTOR_SS, VECTOR_UD } from "../../abi/x86.ts";
import { setExit } from "./vcpu.ts";

/** What executing one micro-op led to: the next micro-op, */
export const STEP_NEXT: u32 = 0;
/** ... the end of the block (VCPU_EIP holds where to go on; the instruction retired), */
export const STEP_END: u32 = 1;
/** ... the end of the block although micro-ops follow it in the block (VCPU_EIP likewise): they were decoded for another mode, */
export const STEP_CUT: u32 = 3;
/** ... or an event: VCPU_EVENT says which. Unless that is EVENT_EXIT or EVENT_TRAP the instruction changed nothing. */
export const STEP_EVENT: u32 = 2;

/** Records a fault. @returns 0, the value of a pointer that could not be had. */
export function raise(v: usize, vector: u32, errorCode: u32 = 0): u32 {
  store<u32>(v, EVENT_FAULT, VCPU_EVENT);
  store<u32>(v, vector, VCPU_FAULT_VECTOR);
  store<u32>(v, errorCode, VCPU_FAULT_ERROR);
  return 0;
}
export function raisePageFault(v: usize, lin: u32, errorCode: u32): u32 {
  store<u32>(v, lin, VCPU_FAULT_ADDRESS);
  return raise(v, VECTOR_PF, errorCode);
}
/** #GP with an error code. @returns 0. */
export function raiseGp(v: usize, errorCode: u32 = 0): u32 {
  return raise(v, VECTOR_GP, errorCode);
}
export function raiseSs(v: usize, errorCode: u32 = 0): u32 {
  return raise(v, VECTOR_SS, errorCode);
}
export function raiseUd(v: usize): u32 {
  return raise(v, VECTOR_UD, 0);
}
/** A software interrupt whose gate is open to all: INT1. The others need a gate with DPL >= CPL. */
export const TRAP_UNCHECKED: u32 = 1;
/**
 * A software interrupt: delivered after the instruction retired, VCPU_EIP already past it.
 * @param unchecked TRAP_UNCHECKED or 0, left in VCPU_FAULT_ERROR @returns STEP_EVENT.
 */
export function trap(v: usize, vector: u32, unchecked: u32 = 0): u32 {
  store<u32>(v, EVENT_TRAP, VCPU_EVENT);
  store<u32>(v, vector, VCPU_FAULT_VECTOR);
  store<u32>(v, unchecked, VCPU_FAULT_ERROR);
  return STEP_EVENT;
}
/** The guest broke a rule of its ABI. @returns 0. */
export function kill(v: usize, reason: u32, arg1: u32 = 0, arg2: u32 = 0, arg3: u32 = 0): u32 {
  setExit(v, EXIT_KILL, reason, arg1, arg2, arg3);
  store<u32>(v, EVENT_KILL, VCPU_EVENT);
  return 0;
}
/** The instruction retired (VCPU_EIP is past it) and the Host must act. @returns STEP_EVENT. */
export function leave(
  v: usize,
  reason: u32,
  arg0: u32 = 0,
  arg1: u32 = 0,
  arg2: u32 = 0,
  arg3: u32 = 0,
): u32 {
  setExit(v, reason, arg0, arg1, arg2, arg3);
  store<u32>(v, EVENT_EXIT, VCPU_EVENT);
  return STEP_EVENT;
}

/** @returns true when the guest's policy sends traps with `vector` to the Host. */
export function leavesTrap(v: usize, vector: u32): bool {
  const word = load<u32>(v + ((vector >>> 5) << 2), VCPU_LEAVING_TRAPS);
  return ((word >>> (vector & 31)) & 1) != 0;
}

/** INT n refused by its gate: EIP goes back to the instruction, which has not retired. */
export function rewind(v: usize): void {
  store<u32>(v, load<u32>(v, VCPU_INT_EIP), VCPU_EIP);
  store<u64>(v, load<u64>(v, VCPU_RETIRED) - 1, VCPU_RETIRED);
  store<i32>(v, load<i32>(v, VCPU_BUDGET) + 1, VCPU_BUDGET);
}
