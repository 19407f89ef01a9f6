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
import { PAGE_OFFSET_MASK, PAGE_SIZE } from "../layout.ts";
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
import { canRead, canWrite, guestForRead, readGuest, writeGuest } from "./guest-access.ts";
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
  // Nearly always it is all on one page.
  const isWhole = (frame & PAGE_OFFSET_MASK) <= <u32>PAGE_SIZE - OUTER_BYTES;
  const ptr: usize = isWhole ? guestForRead(v, frame) : 0;
  if (ptr == 0 && !canRead(v, frame, INNER_BYTES)) return refuse(v, frame, 0);
  const eip = wordOf(v, ptr, frame, 4);
  const cs = wordOf(v, ptr, frame, 8) & 0xffff;
  const image = wordOf(v, ptr, frame, 12);
  if ((image & EFLAGS_VM) != 0) return refuseVm86(v, frame, image);
  if ((cs & 3) == 0) return refuse(v, frame, cs);
  const goesOut = (cs & 3) != 1;
  if (goesOut && ptr == 0 && !canRead(v, frame, OUTER_BYTES)) return refuse(v, frame, 0);
  const esp = goesOut ? wordOf(v, ptr, frame, 16) : frame + INNER_BYTES;
  const ss: u32 = goesOut ? wordOf(v, ptr, frame, 20) & 0xffff : KEEP_STACK;
  setUpcallMask(v, (image & EFLAGS_IF) == 0);
  const flags = takeFrame(v, wordOf(v, ptr, frame, 0), image);
  setResume(v, (image & EFLAGS_RF) != 0);
  if (!land(v, cs, eip, flags, ss, esp)) return failsafe(v, cs, eip, flags, ss, esp);
  notePhase(v, PHASE_GUEST);
  return true;
}

/** EAX, the virtual IOPL and the arithmetic flags become those of a frame. @returns the other flags. */
function takeFrame(v: usize, eax: u32, image: u32): u32 {
  store<u32>(v, eax, VCPU_GPR);
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
  const flags = takeFrame(v, readGuest<u32>(v, frame), image) & ~(EFLAGS_TF | EFLAGS_NT);
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

/** Word `off` of the frame, which can be read; `ptr` is its host pointer if it is all on one page, else 0. */
function wordOf(v: usize, ptr: usize, frame: u32, off: u32): u32 {
  return ptr == 0 ? readGuest<u32>(v, frame + off) : load<u32>(ptr + off);
}

function refuse(v: usize, frame: u32, cs: u32): bool {
  kill(v, KILL_XEN_BAD_IRET, frame, cs);
  return false;
}
