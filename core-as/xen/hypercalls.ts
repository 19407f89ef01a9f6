/**
 * The hypercalls that only touch page tables, descriptors, callbacks or the processor's state: they complete here, and so do multicalls of
 * them. All others leave with EXIT_HYPERCALL; a multicall waits at that entry until the Host has answered (answerCall). A call that takes
 * long stops after a while, leaves what is left of it in its own arguments and is made again: EIP is at the instruction, as under Xen.
 * Source: Xen's public xen.h, "HYPERCALLS", and "HYPERVISOR_multicall".
 */
import {
  COUNTER_CORE_CALLS,
  EXIT_HYPERCALL,
  PHASE_END,
  PHASE_HYPERCALL,
  VCPU_EIP,
  VCPU_EXIT_ARG,
  VCPU_GPR,
  VCPU_INT_EIP,
  VCPU_XEN_ARGS,
  VCPU_XEN_CALL,
  VCPU_XEN_LEAVING_CALLS,
  VCPU_XEN_MC_ANSWERED,
  VCPU_XEN_MC_ENTRY,
  VCPU_XEN_MC_LEFT,
  VCPU_XEN_RESULT,
  XEN_ARGS_MAX,
} from "../../abi/vcpu.ts";
import { REG_EAX, REG_EBP, REG_EBX, REG_ECX, REG_EDI, REG_EDX, REG_ESI } from "../../abi/x86.ts";
import {
  HYPERVISOR_CALLBACK_OP,
  HYPERVISOR_FPU_TASKSWITCH,
  HYPERVISOR_GET_DEBUGREG,
  HYPERVISOR_IRET,
  HYPERVISOR_MMU_UPDATE,
  HYPERVISOR_MMUEXT_OP,
  HYPERVISOR_MULTICALL,
  HYPERVISOR_NMI_OP,
  HYPERVISOR_SET_CALLBACKS,
  HYPERVISOR_SET_DEBUGREG,
  HYPERVISOR_SET_GDT,
  HYPERVISOR_SET_TRAP_TABLE,
  HYPERVISOR_STACK_SWITCH,
  HYPERVISOR_UPDATE_DESCRIPTOR,
  HYPERVISOR_UPDATE_VA_MAPPING,
  HYPERVISOR_VM_ASSIST,
  HYPERVISOR_XEN_VERSION,
  XEN_EFAULT,
  XEN_EINVAL,
  XEN_ENODEV,
  XEN_VERSION,
  XENVER_VERSION,
} from "../../abi/xen.ts";
import { MULTICALL_ARGS, MULTICALL_ENTRY_BYTES, MULTICALL_RESULT } from "../../abi/xen-layout.ts";
import { leave } from "../state/faults.ts";
import { notePhase } from "../state/phases.ts";
import { count, reg, setReg } from "../state/vcpu.ts";
import {
  callbackOp,
  nmiOp,
  setCallbacks,
  setTrapTable,
  stackSwitch,
  vmAssist,
} from "./callbacks.ts";
import { COST_ENTRY, charge, isSpent, startWork } from "./cost.ts";
import { debugWord, setDebugRegister } from "./debug-registers.ts";
import { setTaskSwitched } from "./emulate.ts";
import { canRead, guestForRead, readGuest, writeGuest } from "./guest-access.ts";
import { iretCall } from "./iret.ts";
import { performList } from "./lists.ts";
import { updateVaMapping } from "./mmu-update.ts";
import {
  arg,
  CALL_AGAIN,
  CALL_DONE,
  CALL_FOR_HOST,
  CALL_GONE,
  CALL_STOPPED,
  done,
  setArg,
} from "./outcome.ts";
import { runUpdates } from "./runs.ts";
import { setGdt, updateDescriptor } from "./segments.ts";

const PAGE_OFFSET: u32 = 0xfff;
/** Numbers past this have no place in the counters. */
const COUNTED_CALLS: u32 = 64;

/** INT 0x82 retired in ring 1. @returns true when the guest goes on; false with the exit record filled. */
export function hypercall(v: usize): bool {
  notePhase(v, PHASE_HYPERCALL);
  startWork(v);
  store<u32>(v, reg(v, REG_EAX), VCPU_XEN_CALL);
  setArg(v, 0, reg(v, REG_EBX));
  setArg(v, 1, reg(v, REG_ECX));
  setArg(v, 2, reg(v, REG_EDX));
  setArg(v, 3, reg(v, REG_ESI));
  setArg(v, 4, reg(v, REG_EDI));
  setArg(v, 5, reg(v, REG_EBP));
  if (!finish(v, dispatch(v))) return false;
  notePhase(v, PHASE_END);
  return true;
}

/** @returns true when a multicall waited for the Host and has its answer. */
export function answeredMulticall(v: usize): bool {
  return load<u32>(v, VCPU_XEN_MC_ANSWERED) != 0;
}
/** Goes on with it. @returns as hypercall() does. */
export function continueMulticall(v: usize): bool {
  store<u32>(v, 0, VCPU_XEN_MC_ANSWERED);
  return finish(v, runMulticall(v, false));
}

/** The Host has performed the call that left with EXIT_HYPERCALL. */
export function answerCall(v: usize, value: u32): void {
  const left = load<u32>(v, VCPU_XEN_MC_LEFT);
  if (left == 0) {
    setReg(v, REG_EAX, value);
    return;
  }
  const entry = load<u32>(v, VCPU_XEN_MC_ENTRY);
  if (!writeGuest<u32>(v, entry + MULTICALL_RESULT, value)) {
    finish(v, stopMulticall(v, -XEN_EFAULT));
    return;
  }
  store<u32>(v, entry + MULTICALL_ENTRY_BYTES, VCPU_XEN_MC_ENTRY);
  store<u32>(v, left - 1, VCPU_XEN_MC_LEFT);
  store<u32>(v, 1, VCPU_XEN_MC_ANSWERED);
}

/**
 * Performs the call that left with EXIT_HYPERCALL as if it had not had to.
 * @returns 1 when it is done, also in the registers; 2 when the guest makes it again for what is left; 0 when the core does not know the
 *   call, or with the guest's death recorded.
 */
export function performLeft(v: usize): u32 {
  const outcome = performKnown(v, load<u32>(v, VCPU_XEN_CALL));
  if (outcome == CALL_FOR_HOST || outcome == CALL_STOPPED) return 0;
  if (outcome == CALL_AGAIN) {
    callAgain(v);
    return 2;
  }
  if (load<u32>(v, VCPU_XEN_MC_LEFT) == 0) finish(v, outcome);
  else if (outcome == CALL_DONE) answerCall(v, load<u32>(v, VCPU_XEN_RESULT));
  else store<u32>(v, 0, VCPU_XEN_MC_LEFT);
  return 1;
}

/** The call that left with EXIT_HYPERCALL, or that performLeft made, is made again with the arguments of VCPU_XEN_ARGS. */
export function callAgain(v: usize): void {
  if (load<u32>(v, VCPU_XEN_MC_LEFT) == 0) {
    finish(v, CALL_AGAIN);
    return;
  }
  if (keepArgs(v, load<u32>(v, VCPU_XEN_MC_ENTRY))) store<u32>(v, 1, VCPU_XEN_MC_ANSWERED);
  else finish(v, stopMulticall(v, -XEN_EFAULT));
}

/** What a call led to reaches the registers or the exit record. */
function finish(v: usize, outcome: u32): bool {
  switch (outcome) {
    case CALL_DONE: {
      setReg(v, REG_EAX, load<u32>(v, VCPU_XEN_RESULT));
      return true;
    }
    case CALL_AGAIN: {
      setReg(v, REG_EAX, load<u32>(v, VCPU_XEN_CALL));
      setReg(v, REG_EBX, arg(v, 0));
      setReg(v, REG_ECX, arg(v, 1));
      setReg(v, REG_EDX, arg(v, 2));
      setReg(v, REG_ESI, arg(v, 3));
      setReg(v, REG_EDI, arg(v, 4));
      store<u32>(v, load<u32>(v, VCPU_INT_EIP), VCPU_EIP);
      return true;
    }
    case CALL_FOR_HOST: {
      leave(v, EXIT_HYPERCALL, load<u32>(v, VCPU_XEN_CALL), arg(v, 0), arg(v, 1), arg(v, 2));
      store<u32>(v, arg(v, 3), VCPU_EXIT_ARG + 16);
      store<u32>(v, arg(v, 4), VCPU_EXIT_ARG + 20);
      return false;
    }
    default:
      return outcome == CALL_GONE;
  }
}

/** @returns true when the guest's policy sends the call to the Host; lists of calls and returns never go there as such. */
function leaves(v: usize, number: u32): bool {
  if (number >= 64 || number == <u32>HYPERVISOR_MULTICALL || number == <u32>HYPERVISOR_IRET) {
    return false;
  }
  const word = load<u32>(v + ((number >>> 5) << 2), VCPU_XEN_LEAVING_CALLS);
  return ((word >>> (number & 31)) & 1) != 0;
}

function dispatch(v: usize): u32 {
  const number = load<u32>(v, VCPU_XEN_CALL);
  if (leaves(v, number)) return CALL_FOR_HOST;
  return perform(v);
}

/** Performs the call of VCPU_XEN_CALL and VCPU_XEN_ARGS if the core knows it, and counts it. */
function perform(v: usize): u32 {
  const number = load<u32>(v, VCPU_XEN_CALL);
  const outcome = performKnown(v, number);
  // A multicall is counted where it ends, which may be after an answer of the Host's.
  const isDone =
    (outcome == CALL_DONE || outcome == CALL_GONE) && number != <u32>HYPERVISOR_MULTICALL;
  if (isDone && number < COUNTED_CALLS) count(v, COUNTER_CORE_CALLS + number * 8);
  return outcome;
}
function performKnown(v: usize, number: u32): u32 {
  switch (number) {
    case HYPERVISOR_SET_TRAP_TABLE:
      return setTrapTable(v, arg(v, 0));
    case HYPERVISOR_MMU_UPDATE:
    case HYPERVISOR_MMUEXT_OP:
      return performList(v, number == <u32>HYPERVISOR_MMU_UPDATE);
    case HYPERVISOR_SET_GDT:
      return done(v, setGdt(v, arg(v, 0), arg(v, 1)));
    case HYPERVISOR_STACK_SWITCH:
      return done(v, stackSwitch(v, arg(v, 0), arg(v, 1)));
    case HYPERVISOR_SET_CALLBACKS:
      return done(v, setCallbacks(v, arg(v, 0), arg(v, 1), arg(v, 2), arg(v, 3)));
    case HYPERVISOR_FPU_TASKSWITCH: {
      setTaskSwitched(v, arg(v, 0) != 0);
      return done(v, 0);
    }
    case HYPERVISOR_SET_DEBUGREG:
      return done(v, setDebugRegister(v, arg(v, 0), arg(v, 1)));
    case HYPERVISOR_GET_DEBUGREG: {
      const word = debugWord(v, arg(v, 0));
      return done(v, word == 0 ? -XEN_ENODEV : <i32>load<u32>(word));
    }
    case HYPERVISOR_UPDATE_DESCRIPTOR:
      return done(v, updateDescriptor(v, arg(v, 0), arg(v, 1), arg(v, 2), arg(v, 3)));
    case HYPERVISOR_MULTICALL: {
      if (load<u32>(v, VCPU_XEN_MC_LEFT) != 0) return done(v, -XEN_EINVAL);
      store<u32>(v, arg(v, 0), VCPU_XEN_MC_ENTRY);
      store<u32>(v, arg(v, 1), VCPU_XEN_MC_LEFT);
      return runMulticall(v, true);
    }
    case HYPERVISOR_UPDATE_VA_MAPPING:
      return done(v, updateVaMapping(v, arg(v, 0), arg(v, 1), arg(v, 2), arg(v, 3)));
    case HYPERVISOR_XEN_VERSION:
      return arg(v, 0) == <u32>XENVER_VERSION ? done(v, XEN_VERSION) : CALL_FOR_HOST;
    case HYPERVISOR_VM_ASSIST:
      return done(v, vmAssist(v, arg(v, 0), arg(v, 1)));
    case HYPERVISOR_IRET:
      return iretCall(v) ? CALL_GONE : CALL_STOPPED;
    case HYPERVISOR_NMI_OP:
      return done(v, nmiOp(v, arg(v, 0), arg(v, 1)));
    case HYPERVISOR_CALLBACK_OP:
      return done(v, callbackOp(v, arg(v, 0), arg(v, 1)));
    default:
      return CALL_FOR_HOST;
  }
}

/**
 * From VCPU_XEN_MC_ENTRY on, until an entry must go to the Host, it takes too long, or the list ends.
 * @param begins the first entry of all: it is performed however much work was done before
 */
function runMulticall(v: usize, begins: bool): u32 {
  const runsHere = !leaves(v, HYPERVISOR_UPDATE_VA_MAPPING);
  let first = begins;
  while (load<u32>(v, VCPU_XEN_MC_LEFT) != 0) {
    if (!first && isSpent(v)) return postpone(v);
    first = false;
    const entry = load<u32>(v, VCPU_XEN_MC_ENTRY);
    if (!loadEntry(v, entry)) return stopMulticall(v, -XEN_EFAULT);
    if (load<u32>(v, VCPU_XEN_CALL) == HYPERVISOR_UPDATE_VA_MAPPING && runsHere) {
      if (!runUpdates(v)) return stopMulticall(v, -XEN_EFAULT);
      if (load<u32>(v, VCPU_XEN_MC_ENTRY) != entry) continue;
    }
    charge(v, COST_ENTRY);
    const outcome = dispatch(v);
    if (outcome == CALL_AGAIN) {
      return keepArgs(v, entry) ? postpone(v) : stopMulticall(v, -XEN_EFAULT);
    }
    if (outcome == CALL_FOR_HOST) return outcome;
    if (outcome != CALL_DONE) {
      stopMulticall(v, 0);
      return outcome;
    }
    if (!writeGuest<u32>(v, entry + MULTICALL_RESULT, load<u32>(v, VCPU_XEN_RESULT))) {
      return stopMulticall(v, -XEN_EFAULT);
    }
    store<u32>(v, entry + MULTICALL_ENTRY_BYTES, VCPU_XEN_MC_ENTRY);
    store<u32>(v, load<u32>(v, VCPU_XEN_MC_LEFT) - 1, VCPU_XEN_MC_LEFT);
  }
  return stopMulticall(v, 0);
}

/** Takes operation and arguments out of an entry. @returns false when it cannot be read. */
function loadEntry(v: usize, entry: u32): bool {
  const isWhole = (entry & PAGE_OFFSET) + MULTICALL_ENTRY_BYTES <= PAGE_OFFSET + 1;
  const ptr: usize = isWhole ? guestForRead(v, entry) : 0;
  if (ptr != 0) {
    store<u32>(v, load<u32>(ptr), VCPU_XEN_CALL);
    store<u64>(v, load<u64>(ptr, MULTICALL_ARGS), VCPU_XEN_ARGS);
    store<u64>(v, load<u64>(ptr, MULTICALL_ARGS + 8), VCPU_XEN_ARGS + 8);
    store<u64>(v, load<u64>(ptr, MULTICALL_ARGS + 16), VCPU_XEN_ARGS + 16);
    return true;
  }
  if (!canRead(v, entry, MULTICALL_ENTRY_BYTES)) return false;
  store<u32>(v, readGuest<u32>(v, entry), VCPU_XEN_CALL);
  for (let i: u32 = 0; i < <u32>XEN_ARGS_MAX; i++) {
    setArg(v, i, readGuest<u32>(v, entry + MULTICALL_ARGS + (i << 2)));
  }
  return true;
}
/** What is left of an entry's call stands in the entry. @returns false for an entry that cannot be written. */
function keepArgs(v: usize, entry: u32): bool {
  for (let i: u32 = 0; i < <u32>XEN_ARGS_MAX; i++) {
    if (!writeGuest<u32>(v, entry + MULTICALL_ARGS + (i << 2), arg(v, i))) return false;
  }
  return true;
}

function stopMulticall(v: usize, result: i32): u32 {
  count(v, COUNTER_CORE_CALLS + <u32>HYPERVISOR_MULTICALL * 8);
  store<u32>(v, 0, VCPU_XEN_MC_LEFT);
  store<u32>(v, HYPERVISOR_MULTICALL, VCPU_XEN_CALL);
  return done(v, result);
}
/** The guest makes the call again for what is left. */
function postpone(v: usize): u32 {
  store<u32>(v, HYPERVISOR_MULTICALL, VCPU_XEN_CALL);
  setArg(v, 0, load<u32>(v, VCPU_XEN_MC_ENTRY));
  setArg(v, 1, load<u32>(v, VCPU_XEN_MC_LEFT));
  // What the caller has in the registers that the call does not use stays.
  setArg(v, 2, load<u32>(v, VCPU_GPR + REG_EDX * 4));
  setArg(v, 3, load<u32>(v, VCPU_GPR + REG_ESI * 4));
  setArg(v, 4, load<u32>(v, VCPU_GPR + REG_EDI * 4));
  store<u32>(v, 0, VCPU_XEN_MC_LEFT);
  return CALL_AGAIN;
}
