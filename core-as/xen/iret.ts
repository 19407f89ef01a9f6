/**
 * The iret hypercall: back to where a frame on the kernel's stack says, with the event mask from the frame's IF.
 * Source: Xen's public arch-x86/xen-x86_32.h, "HYPERVISOR_iret".
 */
import {
  KILL_XEN_BAD_IRET,
  NMI_BLOCKED,
  PHASE_GUEST,
  PHASE_RETURN,
  VCPU_GPR,
  VCPU_NMI,
  VCPU_XEN_IOPL,
  VCPU_XEN_KERNEL_SP,
  VCPU_XEN_KERNEL_SS,
} from "../../abi/vcpu.ts";
import {
  EFLAGS_AC,
  EFLAGS_ARITH,
  EFLAGS_DF,
  EFLAGS_FIXED,
  EFLAGS_ID,
  EFLAGS_IF,
  EFLAGS_IOPL,
  EFLAGS_IOPL_SHIFT,
  EFLAGS_NT,
  EFLAGS_RF,
  EFLAGS_TF,
  EFLAGS_VM,
  REG_ESP,
  VECTOR_GP,
} from "../../abi/x86.ts";
import { TRAP_INFO_MASK_EVENTS } from "../../abi/xen.ts";
import { isNull } from "../protect/segments.ts";
import { kill } from "../state/faults.ts";
import { setArithFlags, setResume } from "../state/flags.ts";
import { notePhase } from "../state/phases.ts";
import { countTrap, reg } from "../state/vcpu.ts";
import {
  failsafe,
  gateCs,
  gateEip,
  gateFlags,
  hasArchitecturalIopl,
  KEEP_STACK,
  land,
} from "./bounce.ts";
import { canRead, canWrite, readGuest, writeGuest } from "./guest-access.ts";
import { setUpcallMask } from "./upcall.ts";

/** Bytes of a frame: EAX, EIP, CS, EFLAGS, and ESP and SS for an outer ring. */
const INNER_BYTES: u32 = 16;
const OUTER_BYTES: u32 = 24;
/** A frame of virtual-8086 mode has the data segments too. */
const VM86_BYTES: u32 = 40;
/** Bits of EFLAGS that are not arithmetic and that a frame may set. */
const KEPT: u32 = EFLAGS_TF | EFLAGS_DF | EFLAGS_NT | EFLAGS_AC | EFLAGS_ID;

/** @returns true when the guest goes on; false with EXIT_KILL recorded. */
export function iretCall(v: usize): bool {
  notePhase(v, PHASE_RETURN);
  const frame = reg(v, REG_ESP);
  if (!canRead(v, frame, INNER_BYTES)) return refuse(v, frame, 0);
  const eip = readGuest<u32>(v, frame + 4);
  const cs: u32 = readGuest<u16>(v, frame + 8);
  const image = readGuest<u32>(v, frame + 12);
  if ((image & EFLAGS_VM) != 0) return refuseVm86(v, frame, image);
  if ((cs & 3) == 0) return refuse(v, frame, cs);
  const goesOut = (cs & 3) != 1;
  if (goesOut && !canRead(v, frame, OUTER_BYTES)) return refuse(v, frame, 0);
  const esp = goesOut ? readGuest<u32>(v, frame + 16) : frame + INNER_BYTES;
  const ss: u32 = goesOut ? readGuest<u16>(v, frame + 20) : KEEP_STACK;
  setUpcallMask(v, (image & EFLAGS_IF) == 0);
  const flags = takeFrame(v, frame, image);
  setResume(v, (image & EFLAGS_RF) != 0);
  if (!land(v, cs, eip, flags, ss, esp)) return failsafe(v, cs, eip, flags, ss, esp);
  notePhase(v, PHASE_GUEST);
  return true;
}

/** EAX, the virtual IOPL and the arithmetic flags become those of a frame. @returns the other flags. */
function takeFrame(v: usize, frame: u32, image: u32): u32 {
  store<u32>(v, readGuest<u32>(v, frame), VCPU_GPR);
  store<u32>(v, load<u32>(v, VCPU_NMI) & ~NMI_BLOCKED, VCPU_NMI);
  if (hasArchitecturalIopl(v)) {
    store<u32>(v, (image & EFLAGS_IOPL) >>> EFLAGS_IOPL_SHIFT, VCPU_XEN_IOPL);
  }
  setArithFlags(v, image & EFLAGS_ARITH);
  return (image & KEPT) | EFLAGS_FIXED | EFLAGS_IF;
}

/**
 * There is no virtual-8086 mode to go to: the frame moves to the kernel's stack with an error code where EAX was, and the handler of #GP
 * is entered, as if the first instruction there had faulted.
 */
function refuseVm86(v: usize, frame: u32, image: u32): bool {
  const sp = load<u32>(v, VCPU_XEN_KERNEL_SP) - VM86_BYTES;
  const canMove = canRead(v, frame, VM86_BYTES) && canWrite(v, sp, VM86_BYTES);
  const eip = gateEip(v, VECTOR_GP);
  const cs = gateCs(v, VECTOR_GP);
  if (!canMove || isNull(cs)) return refuse(v, canMove ? frame : sp, canMove ? cs : 0);
  const flags = takeFrame(v, frame, image) & ~(EFLAGS_TF | EFLAGS_NT);
  // Towards the end that is written last: the two may overlap.
  for (let at: u32 = 4; at < VM86_BYTES; at += 4) {
    const word = sp < frame ? at : VM86_BYTES - at;
    writeGuest<u32>(v, sp + word, readGuest<u32>(v, frame + word));
  }
  writeGuest<u32>(v, sp, 0);
  const masks = (gateFlags(v, VECTOR_GP) & TRAP_INFO_MASK_EVENTS) != 0;
  setUpcallMask(v, masks || (image & EFLAGS_IF) == 0);
  setResume(v, false);
  countTrap(v, VECTOR_GP);
  const ss = load<u32>(v, VCPU_XEN_KERNEL_SS);
  return land(v, cs, eip, flags, ss, sp) || failsafe(v, cs, eip, flags, ss, sp);
}

function refuse(v: usize, frame: u32, cs: u32): bool {
  kill(v, KILL_XEN_BAD_IRET, frame, cs);
  return false;
}
