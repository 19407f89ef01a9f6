/**
 * The 80-bit format and the others: single and double precision, 16-, 32- and 64-bit integers, packed BCD.
 * Source: SDM 1, "x87 FPU Data Types"; SDM 2A, FLD, FST, FILD, FIST, FBLD, FBSTP.
 */
import { VCPU_FCW } from "../../abi/vcpu.ts";
import { FCW_RC, FCW_RC_NEAREST, FSW_C1, FSW_DE, FSW_IE, FSW_PE } from "../../abi/x87.ts";
import {
  CLASS_DENORMAL,
  CLASS_INFINITY,
  CLASS_NORMAL,
  CLASS_QNAN,
  CLASS_UNSUPPORTED,
  CLASS_ZERO,
  classify,
  EXP_BIAS,
  EXP_SPECIAL,
  Fx,
  roundsUp,
  roundTo,
  SE_SIGN,
  SIG_J,
} from "./float80.ts";

const EXP_BIAS32 = 127;
const EXP_BIAS64 = 1023;

/** The parts of a double that is a normal number, in the 80-bit format. */
export class Double {
  @inline static isNormal(bits: u64): bool {
    return (<u32>(bits >> 52) & 0x7ff) - 1 < 0x7fe;
  }
  @inline static sig(bits: u64): u64 {
    return SIG_J | (bits << 11);
  }
  @inline static se(bits: u64): u32 {
    const exp = (<u32>(bits >> 52) & 0x7ff) + (EXP_BIAS - EXP_BIAS64);
    return (<u32>(bits >> 48) & SE_SIGN) | exp;
  }
}

/**
 * Widens a single to FX_SIG, FX_SE without judging it: a signalling NaN stays one. A denormal comes out normal and is
 * reported as FSW_DE, which a NaN as the other operand takes back.
 */
export function widen32(v: usize, bits: u32): void {
  const sign = (bits >> 16) & SE_SIGN;
  const exp = (bits >> 23) & 0xff;
  const fraction = (<u64>(bits & 0x7fffff)) << 40;
  if (exp - 1 < 0xfe) Fx.set(v, SIG_J | fraction, sign | (exp + (EXP_BIAS - EXP_BIAS32)));
  else if (exp != 0) Fx.set(v, SIG_J | fraction, sign | EXP_SPECIAL);
  else widenTiny(v, sign, fraction, EXP_BIAS - EXP_BIAS32 + 1);
}

/** The same for a double. */
export function widen64(v: usize, bits: u64): void {
  const sign = <u32>(bits >> 48) & SE_SIGN;
  const fraction = (bits << 11) & ~SIG_J;
  if (Double.isNormal(bits)) Fx.set(v, Double.sig(bits), Double.se(bits));
  else if ((bits & 0x7ff0000000000000) != 0) Fx.set(v, SIG_J | fraction, sign | EXP_SPECIAL);
  else widenTiny(v, sign, fraction, EXP_BIAS - EXP_BIAS64 + 1);
}

function widenTiny(v: usize, sign: u32, fraction: u64, exp: u32): void {
  if (fraction == 0) {
    Fx.set(v, 0, sign);
    return;
  }
  const zeros = <u32>clz(fraction);
  Fx.raise(v, FSW_DE);
  Fx.set(v, fraction << zeros, sign | (exp - zeros));
}

/** An integer as an 80-bit number, exactly. */
export function fromInteger(v: usize, value: i64): void {
  if (value == 0) {
    Fx.set(v, 0, 0);
    return;
  }
  const magnitude = <u64>(value < 0 ? -value : value);
  const zeros = <u32>clz(magnitude);
  Fx.set(v, magnitude << zeros, (value < 0 ? SE_SIGN : 0) | (EXP_BIAS + 63 - zeros));
}

/** Rounds to a format of `bits` significant bits and bias `bias`, leaving the result in FX_SIG, FX_SE; zero has FX_SIG = 0. */
function narrow(v: usize, sig: u64, se: u32, bits: u32, bias: i32): void {
  const kind = classify(sig, se);
  const sign = se & SE_SIGN;
  if (kind == CLASS_NORMAL || kind == CLASS_DENORMAL) {
    const exp = Fx.exponent(sig, se);
    roundTo(v, sign, exp, Fx.significand(sig), 0, bits, EXP_BIAS + 1 - bias, EXP_BIAS + bias);
  } else if (kind == CLASS_UNSUPPORTED) {
    Fx.setFlags(v, FSW_IE);
    Fx.set(v, SIG_J | (SIG_J >> 1), SE_SIGN | EXP_SPECIAL);
  } else if (kind >= CLASS_QNAN) {
    if (kind != CLASS_QNAN) Fx.setFlags(v, FSW_IE);
    Fx.set(v, sig | (SIG_J >> 1), se);
  } else {
    Fx.set(v, sig, se);
  }
}

function isNearest(v: usize): bool {
  return (load<u32>(v, VCPU_FCW) & FCW_RC) == FCW_RC_NEAREST;
}
/** Reports what is rounded off a number that fits. @returns 1 to round up: a carry out of the fraction lands in the exponent. */
function roundOff(v: usize, rest: u64, kept: u64): u64 {
  if (rest == 0) return 0;
  const isUp = rest > SIG_J || (rest == SIG_J && (kept & 1) != 0);
  Fx.raise(v, isUp ? FSW_PE | FSW_C1 : FSW_PE);
  return u64(isUp);
}

/** @returns the number as a double, rounded as the control word says; exceptions in FX_FLAGS. */
export function toFloat64(v: usize, sig: u64, se: u32): u64 {
  const near = (se & EXP_SPECIAL) - (EXP_BIAS - EXP_BIAS64);
  if (near - 1 < 0x7fd && (sig & SIG_J) != 0 && isNearest(v)) {
    const magnitude = ((<u64>near) << 52) + ((sig << 1) >> 12) + roundOff(v, sig << 53, sig >> 11);
    return ((<u64>(se & SE_SIGN)) << 48) | magnitude;
  }
  narrow(v, sig, se, 53, EXP_BIAS64);
  const r = Fx.sig(v);
  const rse = Fx.se(v);
  const sign = (<u64>(rse & SE_SIGN)) << 48;
  const exp = rse & EXP_SPECIAL;
  if ((r & SIG_J) == 0) return sign | (r >> 11);
  const field = exp == EXP_SPECIAL ? 0x7ff : exp - (EXP_BIAS - EXP_BIAS64);
  return sign | ((<u64>field) << 52) | ((r & ~SIG_J) >> 11);
}

/** @returns the number as a single, rounded as the control word says; exceptions in FX_FLAGS. */
export function toFloat32(v: usize, sig: u64, se: u32): u32 {
  const near = (se & EXP_SPECIAL) - (EXP_BIAS - EXP_BIAS32);
  if (near - 1 < 0xfd && (sig & SIG_J) != 0 && isNearest(v)) {
    const fraction = <u32>((sig << 1) >> 41) + <u32>roundOff(v, sig << 24, sig >> 40);
    return ((se & SE_SIGN) << 16) | ((near << 23) + fraction);
  }
  narrow(v, sig, se, 24, EXP_BIAS32);
  const r = Fx.sig(v);
  const rse = Fx.se(v);
  const sign = (rse & SE_SIGN) << 16;
  const exp = rse & EXP_SPECIAL;
  if ((r & SIG_J) == 0) return sign | <u32>(r >> 40);
  const field = exp == EXP_SPECIAL ? 0xff : exp - (EXP_BIAS - EXP_BIAS32);
  return sign | (field << 23) | <u32>((r & ~SIG_J) >> 40);
}

/**
 * @returns the magnitude of a finite number rounded to an integer, which must be below 2^64; FSW_PE and FSW_C1 in FX_FLAGS.
 * `rc` is the rounding control in its place in the control word.
 */
export function integerMagnitude(v: usize, sig: u64, se: u32, rc: u32): u64 {
  const n = EXP_BIAS + 63 - <i32>(se & EXP_SPECIAL);
  if (n == 0) return sig;
  const whole = Fx.shiftHigh(sig, n);
  const rest = Fx.shiftLow(sig, 0, n);
  if (rest == 0) return whole;
  const isUp = roundsUp(rc, se & SE_SIGN, whole, rest, 64);
  Fx.raise(v, isUp ? FSW_PE | FSW_C1 : FSW_PE);
  return whole + u64(isUp);
}

/** @returns the number as a signed integer of `bits` bits, or the integer indefinite with FSW_IE when it does not fit. */
export function toInteger(v: usize, sig: u64, se: u32, bits: u32, rc: u32): i64 {
  const kind = classify(sig, se);
  const limit: u64 = (<u64>1) << (bits - 1);
  if (kind < CLASS_INFINITY && (se & EXP_SPECIAL) < <u32>(EXP_BIAS + 64)) {
    const magnitude = integerMagnitude(v, sig, se, rc);
    const isNegative = (se & SE_SIGN) != 0;
    if (magnitude < limit) return isNegative ? -(<i64>magnitude) : <i64>magnitude;
    if (magnitude == limit && isNegative) return -(<i64>limit);
  }
  Fx.setFlags(v, FSW_IE);
  return -(<i64>limit);
}

/** Rounds to an integral value in the 80-bit format (FRNDINT); the operand is of class DENORMAL or below. */
export function roundToIntegral(v: usize, sig: u64, se: u32): void {
  if (classify(sig, se) == CLASS_ZERO || (se & EXP_SPECIAL) >= <u32>(EXP_BIAS + 63)) {
    Fx.set(v, sig, se);
    return;
  }
  const magnitude = integerMagnitude(v, sig, se, load<u32>(v, VCPU_FCW) & FCW_RC);
  const zeros = <u32>clz(magnitude);
  const sign = se & SE_SIGN;
  if (magnitude == 0) Fx.set(v, 0, sign);
  else Fx.set(v, magnitude << zeros, sign | (EXP_BIAS + 63 - zeros));
}

/** The 80-bit number of 18 packed decimal digits at `ptr`, sign in the top bit of the tenth byte. */
export function fromBcd(v: usize, ptr: usize): void {
  let value: u64 = 0;
  for (let i: u32 = 9; i > 0; ) {
    i--;
    const pair = load<u8>(ptr + i);
    value = value * 100 + (pair >> 4) * 10 + (pair & 15);
  }
  const sign: u32 = load<u8>(ptr, 9) & 0x80 ? SE_SIGN : 0;
  fromInteger(v, value);
  Fx.set(v, Fx.sig(v), Fx.se(v) | sign);
}

const BCD_LIMIT: u64 = 1000000000000000000;

/**
 * The number as packed decimal: the low 8 bytes are returned, the top 2 left in FX_SE. FSW_IE and the packed indefinite when it
 * does not fit 18 digits.
 */
export function toBcd(v: usize, sig: u64, se: u32, rc: u32): u64 {
  if (classify(sig, se) < CLASS_INFINITY && (se & EXP_SPECIAL) < <u32>(EXP_BIAS + 64)) {
    let rest = integerMagnitude(v, sig, se, rc);
    if (rest < BCD_LIMIT) {
      let low: u64 = 0;
      for (let i: u32 = 0; i < 64; i += 4) {
        low |= (rest % 10) << i;
        rest /= 10;
      }
      Fx.set(v, 0, (se & SE_SIGN) | <u32>((rest / 10) << 4) | <u32>(rest % 10));
      return low;
    }
  }
  Fx.setFlags(v, FSW_IE);
  Fx.set(v, 0, 0xffff);
  return 0xc000000000000000;
}
