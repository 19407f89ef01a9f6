/**
 * Privileged instructions of a Xen guest's kernel in ring 1: they fault, and the ones below are carried out here; all others are the guest's
 * own fault. Ports answer with ones and swallow what is written. CPUID faults in every ring, and is answered in every ring.
 * Source: Xen's documentation of paravirtual guests; instruction forms from SDM 2A and 2B.
 */
import {
  DEBUG_PENDING,
  VCPU_BUDGET,
  VCPU_CPL,
  VCPU_CR0,
  VCPU_CR2,
  VCPU_CR3,
  VCPU_CR4,
  VCPU_DEBUG,
  VCPU_EFLAGS,
  VCPU_EIP,
  VCPU_FAULT_ADDRESS,
  VCPU_FAULT_ERROR,
  VCPU_FAULT_VECTOR,
  VCPU_RETIRED,
  VCPU_TSC_AUX,
  VCPU_XEN_CPUID_FAULTING,
} from "../../abi/vcpu.ts";
import {
  CR0_TS,
  CR4_DE,
  CR4_TSD,
  DR6_BS,
  EFLAGS_DF,
  EFLAGS_TF,
  REG_EAX,
  REG_ECX,
  REG_EDI,
  REG_EDX,
  REG_ESI,
  SEG_CS,
  SEG_ES,
  VECTOR_GP,
  VECTOR_UD,
} from "../../abi/x86.ts";
import { storeValue } from "../mmu/access.ts";
import { armBreakpoints, notePort } from "../mmu/watch.ts";
import { timeStamp } from "../protect/control.ts";
import { modelHasTscAux } from "../protect/cpuid.ts";
import { setResume } from "../state/flags.ts";
import { reg, segBase, setReg } from "../state/vcpu.ts";
import { debugWord, setDebugRegister } from "./debug-registers.ts";
import { canRead, readGuest } from "./guest-access.ts";
import { guestCpuid, hasIopl, mayUseGuestPort, readGuestMsr, writeGuestMsr } from "./machine.ts";
import { newBasePointer } from "./pins.ts";
import { publishFaultAddress } from "./upcall.ts";

/** What became of a faulting instruction: it is the guest's fault as recorded in VCPU_FAULT_*, or it is done. */
export const EMULATE_FAULT: u32 = 0;
export const EMULATE_DONE: u32 = 1;

/** Prefixes and opcode bytes that are looked at: the longest instruction. */
const INSTRUCTION_MAX: u32 = 15;
const FORCE_PREFIX_BYTES: u32 = 5;
const CPUID_BYTES: u32 = 0xa20f;
/** CR4 bits that are the guest's to set. */
const CR4_GUEST: u32 = CR4_TSD | CR4_DE;

/** Another fault than the one that brought the instruction here. */
function fault(v: usize, vector: u32, error: u32): u32 {
  store<u32>(v, vector, VCPU_FAULT_VECTOR);
  store<u32>(v, error, VCPU_FAULT_ERROR);
  return EMULATE_FAULT;
}

/** The instruction retires here. */
function retire(v: usize, bytes: u32): u32 {
  store<u32>(v, load<u32>(v, VCPU_EIP) + bytes, VCPU_EIP);
  store<u64>(v, load<u64>(v, VCPU_RETIRED) + 1, VCPU_RETIRED);
  store<i32>(v, load<i32>(v, VCPU_BUDGET) - 1, VCPU_BUDGET);
  setResume(v, false);
  if ((load<u32>(v, VCPU_EFLAGS) & EFLAGS_TF) != 0) {
    store<u32>(v, load<u32>(v, VCPU_DEBUG) | (DR6_BS & DEBUG_PENDING), VCPU_DEBUG);
  }
  return EMULATE_DONE;
}

/** The instruction at EIP raised #UD: is it CPUID behind the prefix that asks the hypervisor? @returns EMULATE_*. */
export function emulateForced(v: usize): u32 {
  const lin = segBase(v, SEG_CS) + load<u32>(v, VCPU_EIP);
  const bytes = FORCE_PREFIX_BYTES + 2;
  if (!canRead(v, lin, bytes)) return EMULATE_FAULT;
  const isForced =
    readGuest<u16>(v, lin) == 0x0b0f &&
    readGuest<u16>(v, lin + 2) == 0x6578 &&
    readGuest<u8>(v, lin + 4) == 0x6e;
  if (!isForced || <u32>readGuest<u16>(v, lin + FORCE_PREFIX_BYTES) != CPUID_BYTES) {
    return EMULATE_FAULT;
  }
  if (isCpuidRefused(v)) {
    store<u32>(v, load<u32>(v, VCPU_EIP) + FORCE_PREFIX_BYTES, VCPU_EIP);
    return fault(v, VECTOR_GP, 0);
  }
  guestCpuid(v);
  return retire(v, bytes);
}
function isCpuidRefused(v: usize): bool {
  return load<u32>(v, VCPU_XEN_CPUID_FAULTING) != 0 && load<u32>(v, VCPU_CPL) == 3;
}

/** The instruction at EIP raised #GP(0). @returns EMULATE_*. */
export function emulatePrivileged(v: usize): u32 {
  const start = segBase(v, SEG_CS) + load<u32>(v, VCPU_EIP);
  let lin = start;
  let isWord = false;
  let repeats = false;
  while (true) {
    if (lin - start >= INSTRUCTION_MAX || !canRead(v, lin, 1)) return EMULATE_FAULT;
    const byte: u32 = readGuest<u8>(v, lin);
    lin++;
    switch (byte) {
      case 0x66: {
        isWord = true;
        continue;
      }
      case 0xf2:
      case 0xf3: {
        repeats = true;
        continue;
      }
      case 0x26:
      case 0x2e:
      case 0x36:
      case 0x3e:
      case 0x64:
      case 0x65:
      case 0x67:
        continue;
      case 0x0f:
        return emulateTwoByte(v, start, lin);
      case 0xfa:
      case 0xfb:
        // The guest's events are masked elsewhere: the real flag stays as it is.
        return hasIopl(v) ? retire(v, lin - start) : EMULATE_FAULT;
      default: {
        const isPort = (byte >= 0x6c && byte <= 0x6f) || (byte >= 0xe4 && byte <= 0xe7);
        if (!isPort && (byte < 0xec || byte > 0xef)) return EMULATE_FAULT;
        const size: u32 = (byte & 1) == 0 ? 1 : isWord ? 2 : 4;
        return emulatePort(v, start, lin, byte, size, repeats);
      }
    }
  }
}

/** IN, OUT, INS and OUTS; `lin` is past the opcode. */
function emulatePort(v: usize, start: u32, lin: u32, opcode: u32, size: u32, repeats: bool): u32 {
  let next = lin;
  let port = reg(v, REG_EDX) & 0xffff;
  if (opcode >= 0xe4 && opcode <= 0xe7) {
    if (!canRead(v, lin, 1)) return EMULATE_FAULT;
    port = readGuest<u8>(v, lin);
    next++;
  }
  if (!mayUseGuestPort(v, port, size)) return EMULATE_FAULT;
  notePort(v, port, size);
  if (opcode < 0x70) return emulatePortString(v, start, next, opcode < 0x6e, size, repeats);
  if ((opcode & 2) == 0) fillOnes(v, size);
  return retire(v, next - start);
}
function fillOnes(v: usize, size: u32): void {
  const mask: u32 = size == 4 ? 0xffffffff : (1 << (size << 3)) - 1;
  setReg(v, REG_EAX, reg(v, REG_EAX) | mask);
}

/** One element; a repeated instruction comes back for the next. */
function emulatePortString(
  v: usize,
  start: u32,
  next: u32,
  isIn: bool,
  size: u32,
  repeats: bool,
): u32 {
  const left = reg(v, REG_ECX);
  if (repeats && left == 0) return retire(v, next - start);
  const index: u32 = isIn ? REG_EDI : REG_ESI;
  const at = reg(v, index);
  if (isIn) {
    const target = segBase(v, SEG_ES) + at;
    for (let i: u32 = 0; i < size; i++) {
      // The fault of the store takes the place of the one that brought us here.
      if (!storeValue<u8>(v, target + i, 0xff)) return EMULATE_FAULT;
    }
  }
  setReg(v, index, (load<u32>(v, VCPU_EFLAGS) & EFLAGS_DF) != 0 ? at - size : at + size);
  if (!repeats) return retire(v, next - start);
  setReg(v, REG_ECX, left - 1);
  return retire(v, left == 1 ? next - start : 0);
}

/** Opcodes after 0F; `lin` is past it. */
function emulateTwoByte(v: usize, start: u32, lin: u32): u32 {
  if (!canRead(v, lin, 1)) return EMULATE_FAULT;
  const opcode: u32 = readGuest<u8>(v, lin);
  const bytes = lin + 1 - start;
  if (opcode == 0xa2) {
    if (isCpuidRefused(v)) return EMULATE_FAULT;
    guestCpuid(v);
    return retire(v, bytes);
  }
  if (load<u32>(v, VCPU_CPL) != 1) return EMULATE_FAULT;
  switch (opcode) {
    case 0x01:
      return emulateTimeStamp(
        v,
        bytes + 1,
        canRead(v, lin + 1, 1) && readGuest<u8>(v, lin + 1) == 0xf9,
      );
    case 0x06: {
      setTaskSwitched(v, false);
      return retire(v, bytes);
    }
    // WBINVD: there are no caches to speak of. Xen does not carry INVD out.
    case 0x09:
      return retire(v, bytes);
    case 0x20:
    case 0x21:
    case 0x22:
    case 0x23: {
      if (!canRead(v, lin + 1, 1)) return EMULATE_FAULT;
      return emulateMove(v, opcode, readGuest<u8>(v, lin + 1), bytes + 1);
    }
    case 0x30:
      return writeGuestMsr(v) ? retire(v, bytes) : EMULATE_FAULT;
    case 0x31: {
      giveTimeStamp(v);
      return retire(v, bytes);
    }
    case 0x32:
      return readGuestMsr(v) ? retire(v, bytes) : EMULATE_FAULT;
    default:
      return EMULATE_FAULT;
  }
}

/** RDTSCP. */
function emulateTimeStamp(v: usize, bytes: u32, isTimeStamp: bool): u32 {
  if (!isTimeStamp || !modelHasTscAux(v)) return EMULATE_FAULT;
  giveTimeStamp(v);
  setReg(v, REG_ECX, load<u32>(v, VCPU_TSC_AUX));
  return retire(v, bytes);
}
function giveTimeStamp(v: usize): void {
  const now = timeStamp(v);
  setReg(v, REG_EAX, <u32>now);
  setReg(v, REG_EDX, <u32>(now >> 32));
}

/** Sets or clears CR0.TS: the guest's own, and what its use of the FPU looks at. */
export function setTaskSwitched(v: usize, set: bool): void {
  const cr0 = load<u32>(v, VCPU_CR0);
  store<u32>(v, set ? cr0 | CR0_TS : cr0 & ~CR0_TS, VCPU_CR0);
}

/** MOV from and to control and debug registers: bit 0 of the opcode says debug, bit 1 says to. */
function emulateMove(v: usize, opcode: u32, modrm: u32, bytes: u32): u32 {
  const n = (modrm >>> 3) & 7;
  const general = modrm & 7;
  const writes = (opcode & 2) != 0;
  const value = reg(v, general);
  if ((opcode & 1) != 0) {
    const word = debugWord(v, n);
    if (word == 0) return fault(v, VECTOR_UD, 0);
    if (!writes) setReg(v, general, load<u32>(word));
    else if (setDebugRegister(v, n, value) != 0) return EMULATE_FAULT;
    return retire(v, bytes);
  }
  const isDone = writes ? writeControl(v, n, value) : readControl(v, n, general);
  return isDone ? retire(v, bytes) : EMULATE_FAULT;
}

function readControl(v: usize, n: u32, general: u32): bool {
  let value: u32;
  switch (n) {
    case 0: {
      value = load<u32>(v, VCPU_CR0);
      break;
    }
    case 2: {
      value = load<u32>(v, VCPU_CR2);
      break;
    }
    case 3: {
      const mfn = load<u32>(v, VCPU_CR3) >>> 12;
      value = (mfn << 12) | (mfn >>> 20);
      break;
    }
    case 4: {
      value = load<u32>(v, VCPU_CR4);
      break;
    }
    default:
      return false;
  }
  setReg(v, general, value);
  return true;
}

function writeControl(v: usize, n: u32, value: u32): bool {
  switch (n) {
    case 0: {
      if (((value ^ load<u32>(v, VCPU_CR0)) & ~CR0_TS) != 0) return false;
      setTaskSwitched(v, (value & CR0_TS) != 0);
      return true;
    }
    case 2: {
      store<u32>(v, value, VCPU_CR2);
      store<u32>(v, value, VCPU_FAULT_ADDRESS);
      publishFaultAddress(v);
      return true;
    }
    case 3:
      return newBasePointer(v, (value >>> 12) | (value << 20)) == 0;
    case 4: {
      const old = load<u32>(v, VCPU_CR4);
      store<u32>(v, (old & ~CR4_GUEST) | (value & CR4_GUEST), VCPU_CR4);
      if (((old ^ value) & CR4_DE) != 0) armBreakpoints(v);
      return true;
    }
    default:
      return false;
  }
}
