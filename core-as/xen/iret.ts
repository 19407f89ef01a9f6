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
import { kill } from "../state/faults.ts";
import { setArithFlags, setResume } from "../state/flags.ts";
import { notePhase } from "../state/phases.ts";
import { reg } from "../state/vcpu.ts";
import { bounceTrap, failsafe, hasArchitecturalIopl, KEEP_STACK, land } from "./bounce.ts";
import { canRead, readGuest } from "./guest-access.ts";
import { setUpcallMask } from "./upcall.ts";

/** Bytes of a frame: EAX, EIP, CS, EFLAGS, and ESP and SS for an outer ring. */
const INNER_BYTES: u32 = 16;
const OUTER_BYTES: u32 = 24;
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
  const isVm86 = (image & EFLAGS_VM) != 0;
  if (!isVm86 && (cs & 3) == 0) return refuse(v, frame, cs);
  const goesOut = isVm86 || (cs & 3) != 1;
  if (goesOut && !canRead(v, frame, OUTER_BYTES)) return refuse(v, frame, 0);
  const esp = goesOut ? readGuest<u32>(v, frame + 16) : frame + INNER_BYTES;
  const ss: u32 = goesOut ? readGuest<u16>(v, frame + 20) : KEEP_STACK;
  store<u32>(v, readGuest<u32>(v, frame), VCPU_GPR);
  store<u32>(v, load<u32>(v, VCPU_NMI) & ~NMI_BLOCKED, VCPU_NMI);
  setUpcallMask(v, (image & EFLAGS_IF) == 0);
  if (hasArchitecturalIopl(v)) {
    store<u32>(v, (image & EFLAGS_IOPL) >>> EFLAGS_IOPL_SHIFT, VCPU_XEN_IOPL);
  }
  // There is no virtual-8086 mode to go to: whatever the frame says, the kernel that made it gets a fault.
  if (isVm86) return bounceTrap(v, VECTOR_GP, 0, false);
  setArithFlags(v, image & EFLAGS_ARITH);
  setResume(v, (image & EFLAGS_RF) != 0);
  const flags = (image & KEPT) | EFLAGS_FIXED | EFLAGS_IF;
  if (!land(v, cs, eip, flags, ss, esp)) return failsafe(v, cs, eip, flags, ss, esp);
  notePhase(v, PHASE_GUEST);
  return true;
}

function refuse(v: usize, frame: u32, cs: u32): bool {
  kill(v, KILL_XEN_BAD_IRET, frame, cs);
  return false;
}
