/**
 * Where a Xen guest wants to be entered: trap table, kernel stack, callbacks, and the assists it asks for.
 * Source: Xen's public arch-x86/xen.h, callback.h, nmi.h. Errors are negative errno values.
 */
import {
  GUEST_XEN_ASSISTS,
  VCPU_GUEST,
  VCPU_HELD_IDT,
  VCPU_XEN_CALLBACK_MASKS,
  VCPU_XEN_EVENT_CS,
  VCPU_XEN_FAILSAFE_CS,
  VCPU_XEN_KERNEL_SP,
  VCPU_XEN_KERNEL_SS,
  VCPU_XEN_SYSCALL_CS,
  VCPU_XEN_SYSENTER_CS,
} from "../../abi/vcpu.ts";
import { VECTOR_NMI } from "../../abi/x86.ts";
import {
  CALLBACKF_MASK_EVENTS,
  CALLBACKOP_REGISTER,
  CALLBACKOP_UNREGISTER,
  CALLBACKTYPE_EVENT,
  CALLBACKTYPE_FAILSAFE,
  CALLBACKTYPE_NMI,
  CALLBACKTYPE_SYSCALL32,
  CALLBACKTYPE_SYSENTER,
  FLAT_RING1_CS,
  TRAP_INFO_MASK_EVENTS,
  VMASST_CMD_DISABLE,
  VMASST_CMD_ENABLE,
  VMASST_TYPE_RUNSTATE_UPDATE_FLAG,
  XEN_EFAULT,
  XEN_EINVAL,
  XEN_ENOSYS,
  XENNMI_REGISTER_CALLBACK,
  XENNMI_UNREGISTER_CALLBACK,
} from "../../abi/xen.ts";
import {
  TRAP_INFO_ADDRESS,
  TRAP_INFO_BYTES,
  TRAP_INFO_CS,
  TRAP_INFO_FLAGS,
} from "../../abi/xen-layout.ts";
import { raiseRpl, setGate } from "./bounce.ts";
import { charge, isSpent } from "./cost.ts";
import { canRead, readGuest } from "./guest-access.ts";
import { CALL_AGAIN, done, setArg } from "./outcome.ts";

const TRAPS: u32 = 256;
/** Flags of struct trap_info that mean something. */
const TRAP_FLAGS: u32 = 7;
/** struct callback_register: u16 type, u16 flags, u32 selector, u32 EIP. */
const REGISTER_BYTES: u32 = 12;
const UNREGISTER_BYTES: u32 = 4;
const REGISTER_FLAGS: u32 = 2;
/** struct xennmi_callback. */
const NMI_CALLBACK_BYTES: u32 = 8;
const REGISTER_CS: u32 = 4;
const REGISTER_EIP: u32 = 8;
/** Bytes from a callback's selector to its EIP in the vCPU block. */
const TO_EIP: u32 = 4;

/** set_trap_table: entries at `lin` up to one without an address; 0 empties the table. @returns CALL_*. */
export function setTrapTable(v: usize, lin: u32): u32 {
  if (lin == 0) {
    memory.fill(v + VCPU_HELD_IDT, 0, TRAPS << 3);
    return done(v, 0);
  }
  let at = lin;
  while (true) {
    if (at != lin && isSpent(v)) {
      setArg(v, 0, at);
      return CALL_AGAIN;
    }
    if (!canRead(v, at, TRAP_INFO_BYTES)) return done(v, -XEN_EFAULT);
    const eip = readGuest<u32>(v, at + TRAP_INFO_ADDRESS);
    if (eip == 0) return done(v, 0);
    const cs = raiseRpl(readGuest<u16>(v, at + TRAP_INFO_CS));
    const flags = <u32>readGuest<u8>(v, at + TRAP_INFO_FLAGS) & TRAP_FLAGS;
    setGate(v, readGuest<u8>(v, at), cs, eip, flags);
    charge(v, 1);
    at += TRAP_INFO_BYTES;
  }
}

/** stack_switch. @returns 0. */
export function stackSwitch(v: usize, ss: u32, esp: u32): i32 {
  store<u32>(v, raiseRpl(ss), VCPU_XEN_KERNEL_SS);
  store<u32>(v, esp, VCPU_XEN_KERNEL_SP);
  return 0;
}

function setCallback(v: usize, where: u32, cs: u32, eip: u32): void {
  store<u32>(v + where, raiseRpl(cs));
  store<u32>(v + where, eip, TO_EIP);
}

/** set_callbacks: the event and the failsafe one. @returns 0. */
export function setCallbacks(v: usize, cs: u32, eip: u32, safeCs: u32, safeEip: u32): i32 {
  setCallback(v, VCPU_XEN_EVENT_CS, cs, eip);
  setCallback(v, VCPU_XEN_FAILSAFE_CS, safeCs, safeEip);
  const masks = load<u32>(v, VCPU_XEN_CALLBACK_MASKS);
  store<u32>(v, masks & ~(1 << CALLBACKTYPE_FAILSAFE), VCPU_XEN_CALLBACK_MASKS);
  return 0;
}

/** @returns offset of the callback's words in the vCPU block, 0 for the NMI, which is a trap, and for what there is not. */
function callbackWords(type: u32): u32 {
  switch (type) {
    case CALLBACKTYPE_EVENT:
      return VCPU_XEN_EVENT_CS;
    case CALLBACKTYPE_FAILSAFE:
      return VCPU_XEN_FAILSAFE_CS;
    case CALLBACKTYPE_SYSENTER:
      return VCPU_XEN_SYSENTER_CS;
    case CALLBACKTYPE_SYSCALL32:
      return VCPU_XEN_SYSCALL_CS;
    default:
      return 0;
  }
}

/** callback_op with its argument at `lin`. @returns 0 or a negative errno. */
export function callbackOp(v: usize, command: u32, lin: u32): i32 {
  const registers = command == <u32>CALLBACKOP_REGISTER;
  if (!registers && command != <u32>CALLBACKOP_UNREGISTER) return -XEN_EINVAL;
  if (!canRead(v, lin, registers ? REGISTER_BYTES : UNREGISTER_BYTES)) return -XEN_EFAULT;
  const type: u32 = readGuest<u16>(v, lin);
  if (type == <u32>CALLBACKTYPE_NMI) {
    setNmiCallback(v, registers ? readGuest<u32>(v, lin + REGISTER_EIP) : 0);
    return 0;
  }
  const words = callbackWords(type);
  if (words == 0) return -XEN_ENOSYS;
  if (!registers) return -XEN_EINVAL;
  const eip = readGuest<u32>(v, lin + REGISTER_EIP);
  setCallback(v, words, readGuest<u32>(v, lin + REGISTER_CS), eip);
  const bit: u32 = 1 << type;
  const masks = load<u32>(v, VCPU_XEN_CALLBACK_MASKS) & ~bit;
  const isMasking = (readGuest<u16>(v, lin + REGISTER_FLAGS) & CALLBACKF_MASK_EVENTS) != 0;
  store<u32>(v, isMasking ? masks | bit : masks, VCPU_XEN_CALLBACK_MASKS);
  return 0;
}

/** The handler of NMIs, which is entered with events masked; 0 for none. */
function setNmiCallback(v: usize, eip: u32): void {
  if (eip == 0) setGate(v, VECTOR_NMI, 0, 0, 0);
  else setGate(v, VECTOR_NMI, FLAT_RING1_CS, eip, TRAP_INFO_MASK_EVENTS);
}
/** nmi_op with its argument, struct xennmi_callback, at `lin`. @returns 0 or a negative errno. */
export function nmiOp(v: usize, command: u32, lin: u32): i32 {
  if (command == <u32>XENNMI_UNREGISTER_CALLBACK) {
    setNmiCallback(v, 0);
    return 0;
  }
  if (command != <u32>XENNMI_REGISTER_CALLBACK) return -XEN_ENOSYS;
  if (!canRead(v, lin, NMI_CALLBACK_BYTES)) return -XEN_EFAULT;
  setNmiCallback(v, readGuest<u32>(v, lin));
  return 0;
}

/** vm_assist. @returns 0 or a negative errno. */
export function vmAssist(v: usize, command: u32, type: u32): i32 {
  if (type > <u32>VMASST_TYPE_RUNSTATE_UPDATE_FLAG) return -XEN_EINVAL;
  if (command != <u32>VMASST_CMD_ENABLE && command != <u32>VMASST_CMD_DISABLE) return -XEN_ENOSYS;
  const guest = load<usize>(v, VCPU_GUEST);
  const bit: u32 = 1 << type;
  const assists = load<u32>(guest, GUEST_XEN_ASSISTS);
  const isOn = command == <u32>VMASST_CMD_ENABLE;
  store<u32>(guest, isOn ? assists | bit : assists & ~bit, GUEST_XEN_ASSISTS);
  return 0;
}
