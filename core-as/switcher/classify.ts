/**
 * THE trap table: what becomes of a fault, a software interrupt, or an interrupt, by trap policy. The outcome is one of: the guest goes on in
 * its handler, or the exit record says why the Host must act.
 */

import { LG_DATA_IRQ_ENABLED, LGUEST_KERNEL_CPL, LGUEST_TRAP_ENTRY } from "../../abi/lguest.ts";
import {
  COUNTER_NMIS_DROPPED,
  DEBUG_PENDING,
  EVENT_FAULT,
  EXIT_TRAP,
  EXIT_TRIPLE_FAULT,
  NMI_BLOCKED,
  NMI_IRET,
  NMI_PENDING,
  NO_VECTOR,
  POLICY_EXIT,
  POLICY_LGUEST,
  POLICY_XEN,
  VCPU_CPL,
  VCPU_CR2,
  VCPU_DEBUG,
  VCPU_DEBUG_SHADOW,
  VCPU_DELIVERING,
  VCPU_DR6,
  VCPU_DR7,
  VCPU_EVENT,
  VCPU_FAULT_ADDRESS,
  VCPU_FAULT_ERROR,
  VCPU_FAULT_VECTOR,
  VCPU_HALTED,
  VCPU_IDLE_TRAPS,
  VCPU_IDLE_TRAPS_AT,
  VCPU_LG_DATA,
  VCPU_LG_DRAINING,
  VCPU_MMIO_COUNT,
  VCPU_NMI,
  VCPU_POLICY,
  VCPU_RETIRED,
  VCPU_SHADOW,
  VCPU_XEN_LOOK,
  VCPU_XEN_MC_LEFT,
} from "../../abi/vcpu.ts";
import {
  DR6_HITS,
  DR7_GD,
  EFLAGS_IF,
  ERR_IDT,
  VECTOR_DB,
  VECTOR_DF,
  VECTOR_GP,
  VECTOR_NMI,
  VECTOR_PF,
  VECTORS_WITH_ERROR_CODE,
} from "../../abi/x86.ts";
import { clearEvent } from "../mmu/fill.ts";
import { deliverThroughIdt, doubleFaultRule } from "../protect/gates.ts";
import {
  leave,
  leavesTrap,
  raise,
  raisePageFault,
  rewind,
  TRAP_UNCHECKED,
} from "../state/faults.ts";
import { count, countTrap } from "../state/vcpu.ts";
import { deliverXen, xenFault, xenInterrupt, xenNmi } from "../xen/traps.ts";
import { hypercall } from "./hypercalls.ts";
import { gateDpl, isDirectTrap, isGatePresent, reflect, setLguestWord } from "./reflect.ts";

function hasErrorCode(vector: u32): bool {
  return vector < 32 && ((VECTORS_WITH_ERROR_CODE >>> vector) & 1) != 0;
}

/** Puts a trap into an lguest guest, or leaves with it where the policy says so and the gate does not let it pass. */
function reflectOrLeave(v: usize, vector: u32, error: u32): bool {
  if (!leavesTrap(v, vector) || isDirectTrap(v, vector)) return reflect(v, vector, error);
  leave(v, EXIT_TRAP, vector, error, load<u32>(v, VCPU_FAULT_ADDRESS));
  return false;
}

/** Counts a delivered trap: many of them without one instruction retiring are a livelock. */
export function noteTrap(v: usize): void {
  const now = load<u64>(v, VCPU_RETIRED);
  const isIdle = load<u64>(v, VCPU_IDLE_TRAPS_AT) == now;
  store<u32>(v, isIdle ? load<u32>(v, VCPU_IDLE_TRAPS) + 1 : 0, VCPU_IDLE_TRAPS);
  store<u64>(v, now, VCPU_IDLE_TRAPS_AT);
  if (load<u32>(v, VCPU_POLICY) == POLICY_XEN) store<u32>(v, 1, VCPU_XEN_LOOK);
}

/** What an instruction touched before it faulted, it will touch again. */
export function forgetPartialWork(v: usize): void {
  store<u32>(v, load<u32>(v, VCPU_NMI) & ~NMI_IRET, VCPU_NMI);
  store<u32>(v, 0, VCPU_MMIO_COUNT);
  store<u32>(v, load<u32>(v, VCPU_DEBUG) & ~DEBUG_PENDING, VCPU_DEBUG);
}

/** A fault was recorded; EIP is at the instruction. @returns true when the guest goes on. */
export function onFault(v: usize): bool {
  const vector = load<u32>(v, VCPU_FAULT_VECTOR);
  const error = load<u32>(v, VCPU_FAULT_ERROR);
  clearEvent(v);
  switch (load<u32>(v, VCPU_POLICY)) {
    case POLICY_LGUEST:
      return reflectOrLeave(v, vector, error);
    case POLICY_XEN:
      return xenFault(v, vector, error);
    case POLICY_EXIT:
      break;
    default:
      return deliverNative(v, vector, error, false, false);
  }
  leave(v, EXIT_TRAP, vector, error, load<u32>(v, VCPU_FAULT_ADDRESS));
  return false;
}

/** The Host has judged a trap: into the guest with it. @returns true when the guest took it. */
export function deliver(v: usize, vector: u32, error: u32): bool {
  noteTrap(v);
  const policy = load<u32>(v, VCPU_POLICY);
  if (policy == POLICY_LGUEST) return reflect(v, vector, error);
  if (policy == POLICY_XEN) return deliverXen(v, vector, error);
  return deliverNative(v, vector, error, false, false);
}

/** The Host has walked the guest's tables for a TLB miss: it is the guest's own fault. @returns true when the guest took it. */
export function deliverPageFault(v: usize, lin: u32, error: u32): bool {
  forgetPartialWork(v);
  raisePageFault(v, lin, error);
  clearEvent(v);
  return deliver(v, VECTOR_PF, error);
}

/** @returns true when a debug trap is due before the next instruction. */
export function hasDebugTrap(v: usize): bool {
  return (load<u32>(v, VCPU_DEBUG) & DEBUG_PENDING) != 0 && !inDebugShadow(v);
}
/** @returns true right after MOV SS or POP SS. */
export function inDebugShadow(v: usize): bool {
  return load<u64>(v, VCPU_DEBUG_SHADOW) == load<u64>(v, VCPU_RETIRED) + 1;
}
/** Delivers the debug trap that waits. @returns true when the guest goes on. */
export function onDebugTrap(v: usize): bool {
  takeDebugTrap(v);
  return onFault(v);
}
/** Makes the debug trap that waits the recorded fault. */
function takeDebugTrap(v: usize): void {
  const debug = load<u32>(v, VCPU_DEBUG);
  store<u32>(v, debug & ~DEBUG_PENDING, VCPU_DEBUG);
  raiseDebug(v, debug & DEBUG_PENDING);
}
/**
 * #DB for the conditions `bits` of DR6. Bits 0-3 tell this exception's breakpoints, the others stay until the guest clears them.
 * @returns true when the guest goes on.
 */
export function onDebug(v: usize, bits: u32): bool {
  raiseDebug(v, bits);
  return onFault(v);
}
function raiseDebug(v: usize, bits: u32): void {
  store<u32>(v, (load<u32>(v, VCPU_DR6) & ~DR6_HITS) | bits, VCPU_DR6);
  store<u32>(v, load<u32>(v, VCPU_DR7) & ~DR7_GD, VCPU_DR7);
  raise(v, VECTOR_DB);
}

/** INT n, INT3 or INTO retired; EIP is past it. @returns true when the guest goes on. */
export function onSoftwareInterrupt(v: usize): bool {
  const vector = load<u32>(v, VCPU_FAULT_VECTOR);
  const checked = load<u32>(v, VCPU_FAULT_ERROR) != TRAP_UNCHECKED;
  clearEvent(v);
  switch (load<u32>(v, VCPU_POLICY)) {
    case POLICY_LGUEST:
      return lguestInterrupt(v, vector, checked);
    case POLICY_XEN:
      return xenInterrupt(v, vector, checked);
    case POLICY_EXIT: {
      leave(v, EXIT_TRAP, vector, 0, 0);
      return false;
    }
    default:
      return deliverNative(v, vector, 0, checked, !checked);
  }
}

/** INT n, INT3 and INTO under lguest: the hypercall gate has DPL 1, the guest's own gates carry theirs, an absent one is open to nobody. */
function lguestInterrupt(v: usize, vector: u32, checked: bool): bool {
  const cpl = load<u32>(v, VCPU_CPL);
  if (vector == LGUEST_TRAP_ENTRY && cpl == LGUEST_KERNEL_CPL) return hypercall(v);
  const isOpen =
    vector != LGUEST_TRAP_ENTRY && isGatePresent(v, vector) && gateDpl(v, vector) >= cpl;
  if (isOpen || !checked) return reflectOrLeave(v, vector, 0);
  rewind(v);
  store<u32>(v, VECTOR_GP, VCPU_FAULT_VECTOR);
  store<u32>(v, (vector << 3) | ERR_IDT, VCPU_FAULT_ERROR);
  return onFault(v);
}

/** Delivers the debug trap that waits, if one does; the Host is here already, so nothing leaves to it. @returns true when the guest goes on. */
function settleDebugTrap(v: usize): bool {
  if (!hasDebugTrap(v)) return true;
  takeDebugTrap(v);
  clearEvent(v);
  return deliver(v, VECTOR_DB, 0);
}

/** An interrupt the Host decided to deliver; a debug trap that waits comes first. @returns true when the guest took it. */
export function onInterrupt(v: usize, vector: u32): bool {
  if (!settleDebugTrap(v)) return false;
  if (load<u32>(v, VCPU_POLICY) == POLICY_LGUEST) return reflect(v, vector, 0);
  return deliverNative(v, vector, 0, false, true);
}

/** @returns true when an NMI waits, and the vCPU stands between two instructions where it may be taken. */
export function canTakeNmi(v: usize): bool {
  return (
    load<u32>(v, VCPU_NMI) == NMI_PENDING &&
    load<u64>(v, VCPU_SHADOW) != load<u64>(v, VCPU_RETIRED) &&
    load<u32>(v, VCPU_MMIO_COUNT) == 0 &&
    load<u32>(v, VCPU_LG_DRAINING) == 0 &&
    (load<u32>(v, VCPU_POLICY) != POLICY_XEN || load<u32>(v, VCPU_XEN_MC_LEFT) == 0)
  );
}
/**
 * Takes the NMI that waits: it ends a halt, and further ones are blocked until an IRET is executed (SDM 3A, "Handling Multiple NMIs").
 * A debug trap that waits comes first. @returns true when the guest goes on.
 */
export function onNmi(v: usize): bool {
  if (!settleDebugTrap(v)) return false;
  const policy = load<u32>(v, VCPU_POLICY);
  if (policy == POLICY_LGUEST) return lguestNmi(v);
  if (policy == POLICY_XEN) return xenNmi(v);
  store<u32>(v, NMI_BLOCKED, VCPU_NMI);
  store<u32>(v, 0, VCPU_HALTED);
  return deliverNative(v, VECTOR_NMI, 0, false, true);
}

/**
 * An NMI under lguest asks neither for the interrupt flag nor for the no-IRQ window: its frame keeps the flag as it was, and it cannot nest.
 * A guest without a handler would die of one that it did not ask for: for it, as under the original for all, NMIs are lost.
 */
function lguestNmi(v: usize): bool {
  if (load<u32>(v, VCPU_LG_DATA) == 0 || !isGatePresent(v, VECTOR_NMI)) {
    store<u32>(v, 0, VCPU_NMI);
    count(v, COUNTER_NMIS_DROPPED);
    return true;
  }
  if (load<u32>(v, VCPU_HALTED) != 0) {
    // The halting call opens interrupts: its guest finds them open however it was woken.
    if (!setLguestWord(v, LG_DATA_IRQ_ENABLED, EFLAGS_IF)) return false;
    store<u32>(v, 0, VCPU_HALTED);
  }
  store<u32>(v, NMI_BLOCKED, VCPU_NMI);
  return reflect(v, VECTOR_NMI, 0);
}

/** Delivery through the guest's own IDT, with the double- and triple-fault rules (SDM 3A, "Interrupt 8—Double Fault Exception (#DF)"). */
export function deliverNative(
  v: usize,
  first: u32,
  firstError: u32,
  isSoftware: bool,
  isExternal: bool,
): bool {
  let vector = first;
  let error = firstError;
  let software = isSoftware;
  let external = isExternal;
  while (true) {
    if (vector == VECTOR_PF) store<u32>(v, load<u32>(v, VCPU_FAULT_ADDRESS), VCPU_CR2);
    store<u32>(v, vector, VCPU_DELIVERING);
    if (
      deliverThroughIdt(
        v,
        vector,
        error,
        hasErrorCode(vector) && !software && !external,
        software,
        external,
      )
    ) {
      countTrap(v, vector);
      store<u32>(v, NO_VECTOR, VCPU_DELIVERING);
      return true;
    }
    if (load<u32>(v, VCPU_EVENT) != EVENT_FAULT) return false;
    if (software) rewind(v);
    const second = load<u32>(v, VCPU_FAULT_VECTOR);
    error = load<u32>(v, VCPU_FAULT_ERROR);
    clearEvent(v);
    // A software or external interrupt is benign: what goes wrong with it is just the second fault.
    vector = doubleFaultRule(software || external ? NO_VECTOR : vector, second);
    if (vector == NO_VECTOR) {
      leave(v, EXIT_TRIPLE_FAULT);
      return false;
    }
    if (vector == VECTOR_DF) error = 0;
    software = false;
    external = false;
  }
}
