/**
 * x87 instructions that move: loads, stores, exchanges, conditional moves, constants.
 * A store translates and writes first, then pops; an unmasked exception keeps memory and stack as they were, except that an
 * inexact result is stored. Source: SDM 2A.
 */
import { VCPU_FCW, VCPU_TLB } from "../../abi/vcpu.ts";
import { FCW_RC, FSW_BEFORE, FSW_C1, FSW_IE, FSW_OE, FSW_PE, FSW_UE } from "../../abi/x87.ts";
import { Uop } from "../decode/uop.ts";
import { commitWrite, Mem, translateRead, translateWrite } from "../mmu/access.ts";
import { STEP_EVENT, STEP_NEXT } from "../state/faults.ts";
import { Flags } from "../state/flags.ts";
import {
  CLASS_SNAN,
  classify,
  EXP_BIAS,
  Fx,
  roundsUp,
  SIG_J,
  SIG_QUIET,
  setZero,
} from "./float80.ts";
import {
  Double,
  fromBcd,
  fromInteger,
  toBcd,
  toFloat32,
  toFloat64,
  toInteger,
  widen32,
  widen64,
} from "./float80-convert.ts";
import { finish, push, pushNumber, recordOperand, St, settle, setUnderflow } from "./fpu-state.ts";

/** Operand formats in memory. */
export const FORMAT_F32: u32 = 0;
export const FORMAT_F64: u32 = 1;
export const FORMAT_I16: u32 = 2;
export const FORMAT_I32: u32 = 3;
export const FORMAT_I64: u32 = 4;

/** What a masked invalid operation stores as a number. */
const INDEFINITE32: u32 = 0xffc00000;
const INDEFINITE64: u64 = 0xfff8000000000000;
const INDEFINITE_BCD: u64 = 0xc000000000000000;

/** @returns pointer to a memory operand, the instruction recorded; 0 = event recorded. */
export function operandPointer(v: usize, pc: usize, format: u32): usize {
  const lin = Uop.ea(v, pc);
  const tlb = load<usize>(v, VCPU_TLB);
  let ptr: usize;
  if (format == FORMAT_F64 || format == FORMAT_I64) ptr = Mem.read<u64>(v, tlb, lin);
  else if (format == FORMAT_I16) ptr = Mem.read<u16>(v, tlb, lin);
  else ptr = Mem.read<u32>(v, tlb, lin);
  if (ptr != 0) recordOperand(v, pc, lin);
  return ptr;
}

/** Converts the operand at `ptr` to FX_SIG, FX_SE. */
export function convertOperand(v: usize, ptr: usize, format: u32): void {
  switch (format) {
    case FORMAT_F32: {
      widen32(v, load<u32>(ptr));
      break;
    }
    case FORMAT_F64: {
      widen64(v, load<u64>(ptr));
      break;
    }
    case FORMAT_I16: {
      fromInteger(v, load<i16>(ptr));
      break;
    }
    case FORMAT_I32: {
      fromInteger(v, load<i32>(ptr));
      break;
    }
    default: {
      fromInteger(v, load<i64>(ptr));
      break;
    }
  }
}

/** FLD m32/m64, FILD. */
export function loadNumber(v: usize, pc: usize, format: u32): u32 {
  const ptr = operandPointer(v, pc, format);
  if (ptr == 0) return STEP_EVENT;
  if (format == FORMAT_F64) {
    const bits = load<u64>(ptr);
    if (Double.isNormal(bits)) return pushNumber(v, Double.sig(bits), Double.se(bits));
  }
  convertOperand(v, ptr, format);
  // Only the two floating formats can hold a NaN; loading a signalling one is an invalid operation.
  if (format <= FORMAT_F64 && classify(Fx.sig(v), Fx.se(v)) == CLASS_SNAN) {
    Fx.set(v, Fx.sig(v) | SIG_QUIET, Fx.se(v));
    Fx.setFlags(v, FSW_IE);
  }
  return push(v);
}

/** FLD m80: every encoding is taken as it is. */
export function loadExtended(v: usize, pc: usize): u32 {
  const lin = Uop.ea(v, pc);
  const ptr = translateRead(v, lin, 10);
  if (ptr == 0) return STEP_EVENT;
  recordOperand(v, pc, lin);
  return pushNumber(v, load<u64>(ptr), load<u16>(ptr, 8));
}

/** FBLD. */
export function loadBcd(v: usize, pc: usize): u32 {
  const lin = Uop.ea(v, pc);
  const ptr = translateRead(v, lin, 10);
  if (ptr == 0) return STEP_EVENT;
  recordOperand(v, pc, lin);
  fromBcd(v, ptr);
  return push(v);
}

/** Forms a constant from its infinite binary expansion: 64 bits and whether what follows is more than half a unit. */
function setConstant(v: usize, high: u32, low: u32, exp: u32, isAbove: bool): void {
  const sig = ((<u64>high) << 32) | low;
  const up = roundsUp(load<u32>(v, VCPU_FCW) & FCW_RC, 0, sig, isAbove ? SIG_J | 1 : 1, 64);
  Fx.set(v, sig + u64(up), exp);
}

/** FLD1, FLDL2T, FLDL2E, FLDPI, FLDLG2, FLDLN2, FLDZ, in this order. */
export function loadConstant(v: usize, n: u32): u32 {
  switch (n) {
    case 0: {
      Fx.set(v, SIG_J, EXP_BIAS);
      break;
    }
    case 1: {
      setConstant(v, 0xd49a784b, 0xcd1b8afe, EXP_BIAS + 1, false);
      break;
    }
    case 2: {
      setConstant(v, 0xb8aa3b29, 0x5c17f0bb, EXP_BIAS, true);
      break;
    }
    case 3: {
      setConstant(v, 0xc90fdaa2, 0x2168c234, EXP_BIAS + 1, true);
      break;
    }
    case 4: {
      setConstant(v, 0x9a209a84, 0xfbcff798, EXP_BIAS - 2, true);
      break;
    }
    case 5: {
      setConstant(v, 0xb17217f7, 0xd1cf79ab, EXP_BIAS - 1, true);
      break;
    }
    default: {
      setZero(v, 0);
      break;
    }
  }
  return push(v);
}

/** FLD ST(i). */
export function loadRegister(v: usize, i: u32): u32 {
  const a = St.slot(v, i);
  if (!St.isEmpty(v, a)) return pushNumber(v, St.sig(v, a), St.se(v, a));
  setUnderflow(v);
  return push(v);
}

/** @returns whether the exceptions so far keep a memory operand from being written: all unmasked ones but precision do. */
function keepsMemory(v: usize): bool {
  const unmasked = Fx.flags(v) & ~load<u32>(v, VCPU_FCW);
  return (unmasked & (FSW_BEFORE | FSW_OE | FSW_UE)) != 0;
}

/** Ends a store whose value was written. */
function finishStore(v: usize, pc: usize, lin: u32, pops: bool): u32 {
  recordOperand(v, pc, lin);
  settle(v);
  if (pops) St.pop(v);
  return STEP_NEXT;
}

/** Ends a store that an exception stopped; the operand must still be writable. */
function stopStore(v: usize, pc: usize, lin: u32, bytes: u32): u32 {
  if (translateWrite(v, lin, bytes) == 0) return STEP_EVENT;
  recordOperand(v, pc, lin);
  Fx.setFlags(v, Fx.flags(v) & ~(FSW_PE | FSW_C1));
  settle(v);
  return STEP_NEXT;
}

/** Writes `value` unless an exception forbids it. */
function storeResult<T>(v: usize, pc: usize, value: T, pops: bool): u32 {
  const lin = Uop.ea(v, pc);
  if (Fx.flags(v) != 0 && keepsMemory(v)) return stopStore(v, pc, lin, sizeof<T>());
  if (!Mem.store<T>(v, load<usize>(v, VCPU_TLB), lin, value)) return STEP_EVENT;
  return finishStore(v, pc, lin, pops);
}

/** FST, FSTP m32. */
export function storeSingle(v: usize, pc: usize, pops: bool): u32 {
  const a = St.slot(v, 0);
  if (St.isEmpty(v, a)) {
    setUnderflow(v);
    return storeResult<u32>(v, pc, INDEFINITE32, pops);
  }
  return storeResult<u32>(v, pc, toFloat32(v, St.sig(v, a), St.se(v, a)), pops);
}

/** FST, FSTP m64. */
export function storeDouble(v: usize, pc: usize, pops: bool): u32 {
  const a = St.slot(v, 0);
  if (St.isEmpty(v, a)) {
    setUnderflow(v);
    return storeResult<u64>(v, pc, INDEFINITE64, pops);
  }
  return storeResult<u64>(v, pc, toFloat64(v, St.sig(v, a), St.se(v, a)), pops);
}

/** FIST, FISTP to sizeof<T> bytes. */
export function storeInteger<T>(v: usize, pc: usize, pops: bool): u32 {
  return storeRounded<T>(v, pc, pops, load<u32>(v, VCPU_FCW) & FCW_RC);
}
/** FISTTP to sizeof<T> bytes: toward zero, whatever the control word says. */
export function storeTruncated<T>(v: usize, pc: usize): u32 {
  return storeRounded<T>(v, pc, true, FCW_RC);
}
function storeRounded<T>(v: usize, pc: usize, pops: bool, rc: u32): u32 {
  const a = St.slot(v, 0);
  const bits = sizeof<T>() << 3;
  if (St.isEmpty(v, a)) {
    setUnderflow(v);
    return storeResult<T>(v, pc, <T>((<i64>1) << (bits - 1)), pops);
  }
  return storeResult<T>(v, pc, <T>toInteger(v, St.sig(v, a), St.se(v, a), <u32>bits, rc), pops);
}

/** Writes ten bytes: the significand or digits in `low`, the rest in `high`. */
function storeTen(v: usize, pc: usize, low: u64, high: u32): u32 {
  const lin = Uop.ea(v, pc);
  if (keepsMemory(v)) return stopStore(v, pc, lin, 10);
  const ptr = translateWrite(v, lin, 10);
  if (ptr == 0) return STEP_EVENT;
  store<u64>(ptr, low);
  store<u16>(ptr, <u16>high, 8);
  return commitWrite(v, ptr) ? finishStore(v, pc, lin, true) : STEP_EVENT;
}

/** FSTP m80. */
export function storeExtended(v: usize, pc: usize): u32 {
  const a = St.slot(v, 0);
  if (St.isEmpty(v, a)) setUnderflow(v);
  else Fx.set(v, St.sig(v, a), St.se(v, a));
  return storeTen(v, pc, Fx.sig(v), Fx.se(v));
}

/** FBSTP. */
export function storeBcd(v: usize, pc: usize): u32 {
  const a = St.slot(v, 0);
  if (St.isEmpty(v, a)) {
    setUnderflow(v);
    return storeTen(v, pc, INDEFINITE_BCD, 0xffff);
  }
  const low = toBcd(v, St.sig(v, a), St.se(v, a), load<u32>(v, VCPU_FCW) & FCW_RC);
  return storeTen(v, pc, low, Fx.se(v));
}

/** FST, FSTP ST(i). */
export function storeRegister(v: usize, i: u32, pops: bool): u32 {
  const a = St.slot(v, 0);
  if (St.isEmpty(v, a)) setUnderflow(v);
  else Fx.set(v, St.sig(v, a), St.se(v, a));
  return finish(v, St.slot(v, i), pops);
}

/** FXCH: an empty register takes part as the default NaN when its stack fault is masked. */
export function exchange(v: usize, i: u32): u32 {
  const a = St.slot(v, 0);
  const b = St.slot(v, i);
  const aEmpty = St.isEmpty(v, a);
  const bEmpty = St.isEmpty(v, b);
  if (aEmpty || bEmpty) setUnderflow(v);
  if (settle(v)) {
    const sig = aEmpty ? Fx.sig(v) : St.sig(v, a);
    const se = aEmpty ? Fx.se(v) : St.se(v, a);
    if (bEmpty) St.set(v, a, Fx.sig(v), Fx.se(v));
    else St.set(v, a, St.sig(v, b), St.se(v, b));
    St.set(v, b, sig, se);
    St.setValid(v, a);
    St.setValid(v, b);
  }
  return STEP_NEXT;
}

/** FCMOVcc: condition `cc` is the low two bits of the reg field; `negate` for the DB group. */
export function moveIf(v: usize, cc: u32, negate: u32, i: u32): u32 {
  const a = St.slot(v, 0);
  const b = St.slot(v, i);
  if (St.isEmpty(v, a) || St.isEmpty(v, b)) {
    setUnderflow(v);
    return finish(v, a, false);
  }
  let holds: u32;
  if (cc == 0) holds = Flags.cf(v);
  else if (cc == 1) holds = Flags.zf(v);
  else if (cc == 2) holds = Flags.cf(v) | Flags.zf(v);
  else holds = Flags.pf(v);
  if (holds != negate) St.set(v, a, St.sig(v, b), St.se(v, b));
  return STEP_NEXT;
}
