/**
 * Rotates, shifts and double shifts. A count is masked to five bits first, and a masked count of 0 changes nothing.
 * OF is defined for a count of 1 only; the formulas used give silicon's value there and a deterministic one elsewhere.
 * Source: SDM 2, "RCL/RCR/ROL/ROR", "SAL/SAR/SHL/SHR", "SHLD", "SHRD".
 */
import { VCPU_GPR } from "../../abi/vcpu.ts";
import { rmWrite, UOP_R1, Uop } from "../decode/uop.ts";
import { commitWrite } from "../mmu/access.ts";
import { STEP_EVENT, STEP_NEXT } from "../state/faults.ts";
import { Flags } from "../state/flags.ts";

/** The reg field of group 2: what the raw UOP_R1 byte of a shift micro-op holds. */
export const SHIFT_ROL: u32 = 0;
export const SHIFT_ROR: u32 = 1;
export const SHIFT_RCL: u32 = 2;
export const SHIFT_RCR: u32 = 3;
export const SHIFT_SHL: u32 = 4;
export const SHIFT_SHR: u32 = 5;
export const SHIFT_SAL: u32 = 6;
export const SHIFT_SAR: u32 = 7;

const CL: usize = VCPU_GPR + 4;

/** What a shift leaves: the result in the low half, CF in bit 32 and OF in bit 33. */
class Outcome {
  @inline static pack(r: u32, cf: u32, overflow: u32): u64 {
    return <u64>r | ((<u64>(cf & 1)) << 32) | ((<u64>(overflow & 1)) << 33);
  }
}

/** 32-bit shifts by 1-31 on values, setting flags. */
export class Shift32 {
  @inline static shl(v: usize, value: u32, count: u32): u32 {
    const r = value << count;
    const cf = (value >>> (32 - count)) & 1;
    Flags.resultWithCarry<u32>(v, r, cf, (r >>> 31) ^ cf);
    return r;
  }
  @inline static shr(v: usize, value: u32, count: u32): u32 {
    const r = value >>> count;
    Flags.resultWithCarry<u32>(v, r, (value >>> (count - 1)) & 1, (r ^ (r << 1)) >>> 31);
    return r;
  }
  @inline static sar(v: usize, value: u32, count: u32): u32 {
    const r = <u32>(<i32>value >> count);
    Flags.resultWithCarry<u32>(v, r, (value >>> (count - 1)) & 1, 0);
    return r;
  }
  @inline static rol(v: usize, value: u32, count: u32): u32 {
    const r = rotl<u32>(value, count);
    Flags.carryOverflow(v, r & 1, (r ^ (r >>> 31)) & 1);
    return r;
  }
  @inline static ror(v: usize, value: u32, count: u32): u32 {
    const r = rotr<u32>(value, count);
    Flags.carryOverflow(v, r >>> 31, (r ^ (r << 1)) >>> 31);
    return r;
  }
}

/** Computes one shift of a zero-extended value; `count` is 1-31. */
function compute<T>(op: u32, value: u32, count: u32, carry: u32): u64 {
  const width: u32 = sizeof<T>() * 8;
  const top: u32 = width - 1;
  if (op < SHIFT_SHL) {
    const r =
      op < SHIFT_RCL ? rotate<T>(op, value, count) : rotateCarry<T>(op, value, count, carry);
    if (op >= SHIFT_RCL) return r;
    const result = <u32>r;
    if (op == SHIFT_ROL) return Outcome.pack(result, result, result ^ (result >>> top));
    return Outcome.pack(result, result >>> top, (result >>> top) ^ (result >>> (top - 1)));
  }
  if (op == SHIFT_SHR) {
    const r = value >>> count;
    return Outcome.pack(r, value >>> (count - 1), (r >>> top) ^ (r >>> (top - 1)));
  }
  if (op == SHIFT_SAR) {
    const wide = <i32>Flags.signExtend<T>(value);
    return Outcome.pack(<u32>(<T>(wide >> count)), <u32>(wide >> (count - 1)), 0);
  }
  const wide = (<u64>value) << count;
  const cf = <u32>(wide >> width) & 1;
  const r = <u32>(<T>wide);
  return Outcome.pack(r, cf, (r >>> top) ^ cf);
}

/** ROL or ROR; a multiple of the width rotates by 0 yet sets flags. */
function rotate<T>(op: u32, value: u32, count: u32): u64 {
  const width: u32 = sizeof<T>() * 8;
  const left = (op == SHIFT_ROL ? count : width - (count & (width - 1))) & (width - 1);
  if (left == 0) return value;
  return <u64>(<u32>(<T>((value << left) | (value >>> (width - left)))));
}

/** RCL or RCR through the width + 1 bits of {CF, value}. */
function rotateCarry<T>(op: u32, value: u32, count: u32, carry: u32): u64 {
  const width: u32 = sizeof<T>() * 8;
  const top: u32 = width - 1;
  let left = count % (width + 1);
  if (op == SHIFT_RCR && left != 0) left = width + 1 - left;
  const joined = ((<u64>carry) << width) | <u64>value;
  const turned = left == 0 ? joined : (joined << left) | (joined >> (width + 1 - left));
  const r = <u32>(<T>turned);
  const cf = <u32>(turned >> width) & 1;
  const overflow = op == SHIFT_RCL ? (r >>> top) ^ cf : (r >>> top) ^ (r >>> (top - 1));
  return Outcome.pack(r, cf, overflow);
}

/** Shifts the r/m operand by `count` (unmasked) and commits the result. */
function shift<T>(v: usize, pc: usize, op: u32, count: u32): u32 {
  const p = rmWrite(v, pc, sizeof<T>());
  if (p == 0) return STEP_EVENT;
  const masked = count & 31;
  if (masked == 0) return STEP_NEXT;
  const outcome = compute<T>(op, <u32>load<T>(p), masked, Flags.cf(v));
  const r = <u32>outcome;
  store<T>(p, <T>r);
  if (!commitWrite(v, p)) return STEP_EVENT;
  const cf = <u32>(outcome >> 32) & 1;
  const overflow = <u32>(outcome >> 33);
  if (op < SHIFT_SHL) Flags.carryOverflow(v, cf, overflow);
  else Flags.resultWithCarry<T>(v, r, cf, overflow);
  return STEP_NEXT;
}

/** Group 2 with an immediate count (1 included): the operation is the raw UOP_R1 byte, the count the immediate. */
export function shiftImm<T>(v: usize, pc: usize): u32 {
  return shift<T>(v, pc, load<u8>(pc, UOP_R1), Uop.imm(pc));
}
/** Group 2 by CL. */
export function shiftCl<T>(v: usize, pc: usize): u32 {
  return shift<T>(v, pc, load<u8>(pc, UOP_R1), load<u8>(v, CL));
}

/**
 * SHLD or SHRD. A 16-bit operand shifted by more than 16 has no defined result; as on AMD processors, the bits that enter after the
 * source's are the source's again, and CF is clear.
 */
function doubleShift<T>(v: usize, pc: usize, isLeft: bool, count: u32): u32 {
  const p = rmWrite(v, pc, sizeof<T>());
  if (p == 0) return STEP_EVENT;
  const n = count & 31;
  if (n == 0) return STEP_NEXT;
  const width: u32 = sizeof<T>() * 8;
  const top: u32 = width - 1;
  const dest = <u64>load<T>(p);
  const src = <u64>load<T>(Uop.r1(v, pc));
  let r: u32;
  let cf: u32;
  if (isLeft) {
    const joined = sizeof<T>() == 2 ? (dest << 32) | (src << 16) | src : (dest << 32) | src;
    r = <u32>(<T>((joined << n) >> 32));
    cf = <u32>((joined << (n - 1)) >> (32 + top)) & 1;
  } else {
    const joined = sizeof<T>() == 2 ? (src << 32) | (src << 16) | dest : (src << 32) | dest;
    r = <u32>(<T>(joined >> n));
    cf = <u32>(joined >> (n - 1)) & 1;
  }
  if (n > width) cf = 0;
  store<T>(p, <T>r);
  if (!commitWrite(v, p)) return STEP_EVENT;
  Flags.resultWithCarry<T>(v, r, cf, ((<u32>dest ^ r) >>> top) & 1);
  return STEP_NEXT;
}

/** SHLD r/m, r, imm8. */
export function shldImm<T>(v: usize, pc: usize): u32 {
  return doubleShift<T>(v, pc, true, Uop.imm(pc));
}
/** SHLD r/m, r, CL. */
export function shldCl<T>(v: usize, pc: usize): u32 {
  return doubleShift<T>(v, pc, true, load<u8>(v, CL));
}
/** SHRD r/m, r, imm8. */
export function shrdImm<T>(v: usize, pc: usize): u32 {
  return doubleShift<T>(v, pc, false, Uop.imm(pc));
}
/** SHRD r/m, r, CL. */
export function shrdCl<T>(v: usize, pc: usize): u32 {
  return doubleShift<T>(v, pc, false, load<u8>(v, CL));
}
