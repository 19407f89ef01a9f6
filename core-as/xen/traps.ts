/**
 * What becomes of a fault, an INT n or an NMI of a Xen guest: some instructions are carried out, some calls are hypercalls, the rest enters
 * the handlers that the guest registered.
 * Source: Xen's public arch-x86/xen-x86_32.h.
 */
import {
  COUNTER_NMIS_DROPPED,
  EVENT_FAULT,
  EXIT_TRAP,
  NMI_BLOCKED,
  PHASE_END,
  VCPU_CPL,
  VCPU_EVENT,
  VCPU_FAULT_ADDRESS,
  VCPU_FAULT_ERROR,
  VCPU_FAULT_VECTOR,
  VCPU_HALTED,
  VCPU_NMI,
  VCPU_XEN_LDT_MISS,
} from "../../abi/vcpu.ts";
import {
  ERR_IDT,
  VECTOR_BP,
  VECTOR_DB,
  VECTOR_GP,
  VECTOR_NM,
  VECTOR_NMI,
  VECTOR_OF,
  VECTOR_PF,
  VECTOR_UD,
} from "../../abi/x86.ts";
import { TRAP_HYPERCALL, TRAP_INFO_DPL } from "../../abi/xen.ts";
import { clearEvent } from "../mmu/fill.ts";
import { isNull } from "../protect/segments.ts";
import { leave, leavesTrap, rewind } from "../state/faults.ts";
import { setResume } from "../state/flags.ts";
import { notePhase } from "../state/phases.ts";
import { count } from "../state/vcpu.ts";
import { bounceTrap, gateCs, gateFlags } from "./bounce.ts";
import { EMULATE_DONE, emulateForced, emulatePrivileged, setTaskSwitched } from "./emulate.ts";
import { hypercall } from "./hypercalls.ts";
import { settleLdtMiss } from "./segments.ts";
import { emulateTableWrite } from "./table-write.ts";

/** The guest's kernel runs here. */
const KERNEL_CPL: u32 = 1;

/** What became of a faulting instruction: its fault is the guest's, as VCPU_FAULT_* say; it was carried out; the guest is dead. */
export const FAULT_IS_GUESTS: u32 = 0;
export const FAULT_SETTLED: u32 = 1;
export const FAULT_KILLED: u32 = 2;

/** A fault was recorded, EIP is at the instruction. @returns true when the guest goes on. */
export function xenFault(v: usize, vector: u32, error: u32): bool {
  if (leavesTrap(v, vector)) {
    leave(v, EXIT_TRAP, vector, error, load<u32>(v, VCPU_FAULT_ADDRESS));
    return false;
  }
  const outcome = settleFault(v);
  if (outcome != FAULT_IS_GUESTS) return outcome == FAULT_SETTLED;
  return deliverXen(v, load<u32>(v, VCPU_FAULT_VECTOR), load<u32>(v, VCPU_FAULT_ERROR));
}

/** What of the recorded fault is the hypervisor's: a page of the LDT to promote, an instruction to carry out. @returns FAULT_*. */
export function settleFault(v: usize): u32 {
  if (load<u32>(v, VCPU_XEN_LDT_MISS) != 0) {
    if (settleLdtMiss(v)) return FAULT_SETTLED;
    clearEvent(v);
    return FAULT_IS_GUESTS;
  }
  const tried = emulate(v, load<u32>(v, VCPU_FAULT_VECTOR), load<u32>(v, VCPU_FAULT_ERROR));
  if (load<u32>(v, VCPU_EVENT) != 0) {
    // What the instruction touched while it was carried out faulted itself, or took the guest's life.
    if (load<u32>(v, VCPU_EVENT) != EVENT_FAULT) return FAULT_KILLED;
    clearEvent(v);
  }
  if (!tried) return FAULT_IS_GUESTS;
  notePhase(v, PHASE_END);
  return FAULT_SETTLED;
}

/** @returns true when the instruction was carried out instead; else VCPU_FAULT_* say what its fault is. */
function emulate(v: usize, vector: u32, error: u32): bool {
  if (vector == VECTOR_GP && error == 0) return emulatePrivileged(v) == EMULATE_DONE;
  if (vector == VECTOR_UD) return emulateForced(v) == EMULATE_DONE;
  return vector == VECTOR_PF && load<u32>(v, VCPU_CPL) == KERNEL_CPL && emulateTableWrite(v, error);
}

/** Puts an exception into the guest. @returns false: EXIT_KILL is recorded. */
export function deliverXen(v: usize, vector: u32, error: u32): bool {
  if (vector != VECTOR_DB) setResume(v, true);
  // The hypervisor has the FPU ready by now: a guest that does nothing about it finds it usable.
  if (vector == VECTOR_NM) setTaskSwitched(v, false);
  return bounceTrap(v, vector, error, false);
}

/** INT n, INT1, INT3 or INTO retired; EIP is past it. @returns true when the guest goes on. */
export function xenInterrupt(v: usize, vector: u32, checked: bool): bool {
  const level = load<u32>(v, VCPU_CPL);
  if (vector == <u32>TRAP_HYPERCALL && level == KERNEL_CPL && checked) return hypercall(v);
  const isOpen = !checked || vector == VECTOR_BP || vector == VECTOR_OF;
  const dpl = gateFlags(v, vector) & TRAP_INFO_DPL;
  if (isOpen || dpl >= level) return bounceTrap(v, vector, 0, true);
  rewind(v);
  store<u32>(v, VECTOR_GP, VCPU_FAULT_VECTOR);
  store<u32>(v, (vector << 3) | ERR_IDT, VCPU_FAULT_ERROR);
  return xenFault(v, VECTOR_GP, (vector << 3) | ERR_IDT);
}

/** Takes the NMI that waits; a guest without a handler loses it. @returns true when the guest goes on. */
export function xenNmi(v: usize): bool {
  if (isNull(gateCs(v, VECTOR_NMI))) {
    store<u32>(v, 0, VCPU_NMI);
    count(v, COUNTER_NMIS_DROPPED);
    return true;
  }
  store<u32>(v, NMI_BLOCKED, VCPU_NMI);
  store<u32>(v, 0, VCPU_HALTED);
  return bounceTrap(v, VECTOR_NMI, 0, true);
}
