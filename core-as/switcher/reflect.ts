/**
 * Puts a trap or an interrupt into the guest without leaving Wasm: the lguest way, through the gates and the stack it registered by hypercall.
 * Source: Documentation of lguest's traps in docs/reference; the frame is the processor's (SDM 3A, "Exception- or Interrupt-Handler Procedures").
 */

import {
  LG_DATA_CR2,
  LG_DATA_IRQ_ENABLED,
  LGUEST_IRQ_BASE,
  LGUEST_KERNEL_CPL,
  LGUEST_KERNEL_CS,
  LGUEST_NEVER_DIRECT,
} from "../../abi/lguest.ts";
import {
  HELD_GATE_PRESENT,
  KILL_BAD_ADDRESS,
  KILL_UNHANDLED_TRAP,
  MODE_FLAT,
  PHASE_HANDLER,
  PHASE_REFLECT,
  VCPU_CONTEXT,
  VCPU_EFLAGS,
  VCPU_EIP,
  VCPU_FAULT_ADDRESS,
  VCPU_GPR,
  VCPU_HELD_IDT,
  VCPU_LG_DATA,
  VCPU_LG_STACK_ESP,
  VCPU_LG_STACK_SS,
  VCPU_LG_SYSCALL_VECTOR,
  VCPU_MODE,
} from "../../abi/vcpu.ts";
import {
  EFLAGS_IF,
  EFLAGS_NT,
  EFLAGS_TF,
  EFLAGS_VM,
  SEG_CS,
  SEG_SS,
  SYSDESC_TRAP_GATE32,
  VECTOR_PF,
  VECTORS_WITH_ERROR_CODE,
} from "../../abi/x86.ts";
import { PAGE_MASK, TLB_ADDEND, TLB_WRITE } from "../layout.ts";
import { Mem, storeSystemValue } from "../mmu/access.ts";
import { clearEvent } from "../mmu/fill.ts";
import { readPhysical, writePhysical } from "../mmu/physical.ts";
import { setCpl, setFlat } from "../protect/segments.ts";
import { kill } from "../state/faults.ts";
import { eflags } from "../state/flags.ts";
import { notePhase } from "../state/phases.ts";
import { countTrap, segSelector, updateMode } from "../state/vcpu.ts";

const ESP: usize = VCPU_GPR + 16;

/** @returns the 32-bit word at `off` of struct lguest_data. */
export function lguestWord(v: usize, off: u32): u32 {
  return readPhysical<u32>(v, load<u32>(v, VCPU_LG_DATA) + off);
}
/** @returns false when the structure cannot be written any more: the exit record says why. */
export function setLguestWord(v: usize, off: u32, value: u32): bool {
  return writePhysical<u32>(v, load<u32>(v, VCPU_LG_DATA) + off, value);
}

/** @returns true when the processor enters the handler of `vector` without the Host's help, on the classic path too. */
export function isDirectTrap(v: usize, vector: u32): bool {
  const high = gateHigh(v, vector);
  return (high & HELD_GATE_PRESENT) != 0 && isDirect(v, vector, (high >>> 8) & 15);
}

/** Trap gates that the processor may enter without the Host's help: the interrupt flag stays as it is. An NMI is the Host's. */
function isDirect(v: usize, vector: u32, type: u32): bool {
  if (type != SYSDESC_TRAP_GATE32) return false;
  if (vector >= <u32>LGUEST_IRQ_BASE) return vector == load<u32>(v, VCPU_LG_SYSCALL_VECTOR);
  return ((LGUEST_NEVER_DIRECT >>> vector) & 1) == 0;
}

/** @returns the high dword of the guest's gate; HELD_GATE_PRESENT tells whether it is. */
export function gateHigh(v: usize, vector: u32): u32 {
  return load<u32>(v + (vector << 3), VCPU_HELD_IDT + 4);
}
export function isGatePresent(v: usize, vector: u32): bool {
  return (gateHigh(v, vector) & HELD_GATE_PRESENT) != 0;
}
/** Lowest privilege (highest number) that may reach the gate by INT n. */
export function gateDpl(v: usize, vector: u32): u32 {
  return (gateHigh(v, vector) >>> 13) & 3;
}

/** One push on the stack the handler will run on. @returns false: the guest dies, its stack is not there. */
function push(v: usize, lin: u32, value: u32): bool {
  if (storeSystemValue<u32>(v, lin, value)) return true;
  clearEvent(v);
  kill(v, KILL_BAD_ADDRESS, lin);
  return false;
}

/**
 * @returns host pointer of `bytes` of the handler's stack at `lin` where its page is known and may be written without further ado; 0 means
 * word by word, as the processor pushes.
 */
function stackFrame(v: usize, lin: u32, bytes: u32): usize {
  const entry = Mem.entry(load<usize>(v, VCPU_CONTEXT), lin);
  if (((lin + (bytes - 1)) & PAGE_MASK) != load<u32>(entry, TLB_WRITE)) return 0;
  return lin + load<u32>(entry, TLB_ADDEND);
}

/**
 * Enters the guest's handler for `vector`.
 * @param errorCode pushed for the vectors that have one.
 * @returns false when the guest cannot take it: EXIT_KILL is recorded.
 */
export function reflect(v: usize, vector: u32, errorCode: u32): bool {
  notePhase(v, PHASE_REFLECT);
  if (vector == VECTOR_PF && load<u32>(v, VCPU_LG_DATA) != 0) {
    if (!setLguestWord(v, LG_DATA_CR2, load<u32>(v, VCPU_FAULT_ADDRESS))) return false;
  }
  const high = gateHigh(v, vector);
  if ((high & HELD_GATE_PRESENT) == 0 || load<u32>(v, VCPU_LG_DATA) == 0) {
    const detail = vector == VECTOR_PF ? load<u32>(v, VCPU_FAULT_ADDRESS) : errorCode;
    kill(v, KILL_UNHANDLED_TRAP, vector, load<u32>(v, VCPU_EIP), detail);
    return false;
  }
  const type = (high >>> 8) & 15;
  const direct = isDirect(v, vector, type);
  const oldSs = segSelector(v, SEG_SS);
  const oldEsp = load<u32>(v, ESP);
  const fromUser = (oldSs & 3) != LGUEST_KERNEL_CPL;
  let image = eflags(v);
  const enabled: u32 = direct ? 0 : lguestWord(v, LG_DATA_IRQ_ENABLED);
  if (!direct && (enabled & EFLAGS_IF) == 0) image &= ~EFLAGS_IF;

  const hasError = vector < 32 && ((VECTORS_WITH_ERROR_CODE >>> vector) & 1) != 0;
  const bytes: u32 = (hasError ? 16 : 12) + (fromUser ? 8 : 0);
  let esp = fromUser ? load<u32>(v, VCPU_LG_STACK_ESP) : oldEsp;
  const frame = stackFrame(v, esp - bytes, bytes);
  if (frame != 0) {
    const words: usize = hasError ? frame + 4 : frame;
    if (hasError) store<u32>(frame, errorCode);
    store<u32>(words, load<u32>(v, VCPU_EIP));
    store<u32>(words, segSelector(v, SEG_CS), 4);
    store<u32>(words, image, 8);
    if (fromUser) {
      store<u32>(words, oldEsp, 12);
      store<u32>(words, oldSs, 16);
    }
    esp -= bytes;
  } else {
    if (fromUser) {
      if (!push(v, esp - 4, oldSs) || !push(v, esp - 8, oldEsp)) return false;
      esp -= 8;
    }
    if (!push(v, esp - 4, image)) return false;
    if (!push(v, esp - 8, segSelector(v, SEG_CS))) return false;
    if (!push(v, esp - 12, load<u32>(v, VCPU_EIP))) return false;
    esp -= 12;
    if (hasError) {
      if (!push(v, esp - 4, errorCode)) return false;
      esp -= 4;
    }
  }
  const closes = type != SYSDESC_TRAP_GATE32 && enabled != 0;
  if (closes && !setLguestWord(v, LG_DATA_IRQ_ENABLED, 0)) return false;

  countTrap(v, vector);
  store<u32>(v, esp, ESP);
  store<u32>(v, load<u32>(v, VCPU_EFLAGS) & ~(EFLAGS_TF | EFLAGS_VM | EFLAGS_NT), VCPU_EFLAGS);
  setFlat(v, SEG_CS, LGUEST_KERNEL_CS, LGUEST_KERNEL_CPL);
  if (fromUser) setFlat(v, SEG_SS, load<u32>(v, VCPU_LG_STACK_SS), LGUEST_KERNEL_CPL);
  setCpl(v, LGUEST_KERNEL_CPL);
  // Flat code and stack segments replace flat ones: the mode is the same.
  if ((load<u32>(v, VCPU_MODE) & MODE_FLAT) == 0) updateMode(v);
  const low = load<u32>(v + (vector << 3), VCPU_HELD_IDT);
  store<u32>(v, (low & 0xffff) | (high & 0xffff0000), VCPU_EIP);
  notePhase(v, PHASE_HANDLER);
  return true;
}
