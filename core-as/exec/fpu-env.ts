/**
 * The x87 environment and state images: FNSTENV, FLDENV, FNSAVE, FRSTOR in their four formats.
 * Source: SDM 1, "Saving the x87 FPU's State with FSTENV/FNSTENV and FSAVE/FNSAVE" (the figures of the formats).
 */
import {
  VCPU_CR0,
  VCPU_EFLAGS,
  VCPU_FCS,
  VCPU_FCW,
  VCPU_FDP,
  VCPU_FDS,
  VCPU_FIP,
  VCPU_FOP,
  VCPU_FPR,
  VCPU_FSW,
  VCPU_FTW,
  VCPU_MMIO_CURSOR,
} from "../../abi/vcpu.ts";
import { CR0_PE, EFLAGS_VM } from "../../abi/x86.ts";
import {
  FCW_DEFINED,
  FSW_EXCEPTIONS,
  TAG_EMPTY,
  TAG_SPECIAL,
  TAG_VALID,
  TAG_ZERO,
} from "../../abi/x87.ts";
import { commitWrite, storeValue, translateRead, translateWrite } from "../mmu/access.ts";
import { STEP_EVENT, STEP_NEXT } from "../state/faults.ts";
import { CLASS_NORMAL, CLASS_ZERO, classify } from "./float80.ts";
import { initialize, St, setControl, updateSummary } from "./fpu-state.ts";

/** Bytes of an environment: seven dwords or seven words. */
const ENV_BYTES32 = 28;
const ENV_BYTES16 = 14;
/** Bytes of a register in the image. */
const REG_BYTES = 10;
const LAST_BYTES = 4;
/** Reserved halves of the 32-bit format read as ones. */
const RESERVED = 0xffff0000;

/** Bytes accessed first: an image that runs past the address space faults there when nothing is mapped. */
function firstBytes(wide: bool): u32 {
  return wide ? 4 : 2;
}

/** @returns whether the pointers are in real-mode form. */
function isReal(v: usize): bool {
  return (load<u32>(v, VCPU_CR0) & CR0_PE) == 0 || (load<u32>(v, VCPU_EFLAGS) & EFLAGS_VM) != 0;
}

/** @returns the full tag of a slot: empty, or what its contents say. */
function tag(v: usize, slot: u32): u32 {
  if (St.isEmpty(v, slot)) return TAG_EMPTY;
  const kind = classify(St.sig(v, slot), St.se(v, slot));
  if (kind == CLASS_NORMAL) return TAG_VALID;
  return kind == CLASS_ZERO ? TAG_ZERO : TAG_SPECIAL;
}

function tagWord(v: usize): u32 {
  let word: u32 = 0;
  for (let slot: u32 = 0; slot < 8; slot++) word |= tag(v, slot) << (slot << 1);
  return word;
}

/** Writes word `i` (0-6) of an environment at `ptr`; `wide` for the 32-bit format. */
function putWord(ptr: usize, i: u32, wide: bool, value: u32): void {
  if (wide) store<u32>(ptr + (i << 2), value);
  else store<u16>(ptr + (i << 1), <u16>value);
}
function getWord(ptr: usize, i: u32, wide: bool): u32 {
  return wide ? load<u32>(ptr + (i << 2)) : load<u16>(ptr + (i << 1));
}

function writeEnvironment(v: usize, ptr: usize, wide: bool): void {
  let fip = load<u32>(v, VCPU_FIP);
  let fdp = load<u32>(v, VCPU_FDP);
  const fcs = load<u32>(v, VCPU_FCS);
  const fds = load<u32>(v, VCPU_FDS);
  const fop = load<u32>(v, VCPU_FOP);
  putWord(ptr, 0, wide, load<u32>(v, VCPU_FCW) | RESERVED);
  putWord(ptr, 1, wide, load<u32>(v, VCPU_FSW) | RESERVED);
  putWord(ptr, 2, wide, tagWord(v) | RESERVED);
  if (isReal(v)) {
    // The upper bits of the linear pointers sit above the opcode, shifted to bit 12.
    fip += fcs << 4;
    fdp += fds << 4;
    putWord(ptr, 3, wide, (fip & 0xffff) | RESERVED);
    putWord(ptr, 4, wide, wide ? ((fip >>> 16) << 12) | fop : ((fip >>> 4) & 0xf000) | fop);
    putWord(ptr, 5, wide, (fdp & 0xffff) | RESERVED);
    putWord(ptr, 6, wide, wide ? (fdp >>> 16) << 12 : (fdp >>> 4) & 0xf000);
  } else {
    putWord(ptr, 3, wide, fip);
    putWord(ptr, 4, wide, fcs | (fop << 16));
    putWord(ptr, 5, wide, fdp);
    putWord(ptr, 6, wide, fds | RESERVED);
  }
}

function readEnvironment(v: usize, ptr: usize, wide: bool): void {
  const tags = getWord(ptr, 2, wide);
  let kept: u32 = 0;
  for (let i: u32 = 0; i < 16; i += 2) {
    if (((tags >>> i) & TAG_EMPTY) == TAG_EMPTY) kept |= TAG_EMPTY << i;
  }
  const fip = getWord(ptr, 3, wide);
  const second = getWord(ptr, 4, wide);
  const fdp = getWord(ptr, 5, wide);
  const last = getWord(ptr, 6, wide);
  if (isReal(v)) {
    store<u32>(v, (fip & 0xffff) | ((second & 0x0ffff000) << 4), VCPU_FIP);
    store<u32>(v, second & 0x7ff, VCPU_FOP);
    store<u32>(v, 0, VCPU_FCS);
    store<u32>(v, (fdp & 0xffff) | ((last & 0x0ffff000) << 4), VCPU_FDP);
    store<u32>(v, 0, VCPU_FDS);
  } else {
    store<u32>(v, fip, VCPU_FIP);
    store<u32>(v, second & 0xffff, VCPU_FCS);
    store<u32>(v, wide ? (second >>> 16) & 0x7ff : 0, VCPU_FOP);
    store<u32>(v, fdp, VCPU_FDP);
    store<u32>(v, last & 0xffff, VCPU_FDS);
  }
  store<u32>(v, kept, VCPU_FTW);
  store<u32>(v, getWord(ptr, 1, wide) & 0xffff, VCPU_FSW);
  setControl(v, getWord(ptr, 0, wide), FCW_DEFINED);
}

/** FNSTENV: stores the environment and masks all exceptions. @returns STEP_NEXT or STEP_EVENT. */
export function storeEnvironment(v: usize, lin: u32, wide: bool): u32 {
  if (translateWrite(v, lin, firstBytes(wide)) == 0) return STEP_EVENT;
  const ptr = translateWrite(v, lin, wide ? ENV_BYTES32 : ENV_BYTES16);
  if (ptr == 0) return STEP_EVENT;
  writeEnvironment(v, ptr, wide);
  if (!commitWrite(v, ptr)) return STEP_EVENT;
  store<u32>(v, load<u32>(v, VCPU_FCW) | FSW_EXCEPTIONS, VCPU_FCW);
  updateSummary(v);
  return STEP_NEXT;
}

/** FLDENV. @returns STEP_NEXT or STEP_EVENT. */
export function loadEnvironment(v: usize, lin: u32, wide: bool): u32 {
  if (translateRead(v, lin, firstBytes(wide)) == 0) return STEP_EVENT;
  const ptr = translateRead(v, lin, wide ? ENV_BYTES32 : ENV_BYTES16);
  if (ptr == 0) return STEP_EVENT;
  readEnvironment(v, ptr, wide);
  return STEP_NEXT;
}

/** FNSAVE: stores environment and registers, then initializes. @returns STEP_NEXT or STEP_EVENT. */
export function saveState(v: usize, lin: u32, wide: bool): u32 {
  const envBytes: u32 = wide ? ENV_BYTES32 : ENV_BYTES16;
  const regs = lin + envBytes;
  // Every part must be writable before the first byte is stored; the lowest that is not is the one reported.
  if (translateWrite(v, lin, firstBytes(wide)) == 0) return STEP_EVENT;
  if (translateWrite(v, lin, envBytes) == 0) return STEP_EVENT;
  for (let i: u32 = 0; i < 8; i++) {
    if (translateWrite(v, regs + i * REG_BYTES, REG_BYTES) == 0) return STEP_EVENT;
  }
  const ptr = translateWrite(v, lin, envBytes);
  if (ptr == 0) return STEP_EVENT;
  writeEnvironment(v, ptr, wide);
  if (!commitWrite(v, ptr)) return STEP_EVENT;
  for (let i: u32 = 0; i < 8; i++) {
    const slot = St.slot(v, i);
    const at = regs + i * REG_BYTES;
    if (!storeValue<u64>(v, at, St.sig(v, slot))) return STEP_EVENT;
    if (!storeValue<u16>(v, at + 8, <u16>St.se(v, slot))) return STEP_EVENT;
  }
  initialize(v);
  return STEP_NEXT;
}

/** FRSTOR. @returns STEP_NEXT or STEP_EVENT. */
export function restoreState(v: usize, lin: u32, wide: bool): u32 {
  const envBytes: u32 = wide ? ENV_BYTES32 : ENV_BYTES16;
  const regs = lin + envBytes;
  // AMD processors look at both ends first.
  if (translateRead(v, lin, firstBytes(wide)) == 0) return STEP_EVENT;
  if (translateRead(v, regs + 8 * REG_BYTES - LAST_BYTES, LAST_BYTES) == 0) return STEP_EVENT;
  const cursor = load<u32>(v, VCPU_MMIO_CURSOR);
  if (translateRead(v, lin, envBytes) == 0) return STEP_EVENT;
  for (let i: u32 = 0; i < 8; i++) {
    if (translateRead(v, regs + i * REG_BYTES, REG_BYTES) == 0) return STEP_EVENT;
  }
  // What device memory gave is taken from the queue once more.
  store<u32>(v, cursor, VCPU_MMIO_CURSOR);
  const ptr = translateRead(v, lin, envBytes);
  if (ptr == 0) return STEP_EVENT;
  readEnvironment(v, ptr, wide);
  for (let i: u32 = 0; i < 8; i++) {
    const from = translateRead(v, regs + i * REG_BYTES, REG_BYTES);
    if (from == 0) return STEP_EVENT;
    const to = v + (St.slot(v, i) << 4);
    store<u64>(to, load<u64>(from), VCPU_FPR);
    store<u64>(to, load<u16>(from, 8), VCPU_FPR + 8);
  }
  return STEP_NEXT;
}
