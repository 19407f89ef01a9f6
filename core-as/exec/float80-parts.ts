/**
 * Taking numbers apart: FSCALE, FXTRACT and the partial remainders FPREM and FPREM1.
 * Source: SDM 2A, the descriptions of these instructions.
 */
import { FSW_C0, FSW_C1, FSW_C2, FSW_C3, FSW_ZE } from "../../abi/x87.ts";
import {
  CLASS_INFINITY,
  CLASS_QNAN,
  CLASS_ZERO,
  classify,
  EXP_BIAS,
  EXP_SPECIAL,
  Fx,
  noteDenormal,
  roundToBits,
  SE_SIGN,
  SIG_J,
  setInfinity,
  setInvalid,
  setNan,
  setZero,
} from "./float80.ts";
import { divide128 } from "./float80-arith.ts";

/** What remainder() returns when there is none. */
export const REMAINDER_NONE: u32 = 1;

/** Beyond this any finite number over- or underflows. */
const SCALE_LIMIT = 0x10000;

/** a scaled by 2 to the power of b, b truncated to an integer. */
export function scale(v: usize, aSig: u64, aSe: u32, bSig: u64, bSe: u32): void {
  const ka = classify(aSig, aSe);
  const kb = classify(bSig, bSe);
  const sign = aSe & SE_SIGN;
  const down = (bSe & SE_SIGN) != 0;
  if (ka >= CLASS_QNAN || kb >= CLASS_QNAN) {
    setNan(v, aSig, aSe, ka, bSig, bSe, kb);
    return;
  }
  if (kb == CLASS_INFINITY && (down ? ka == CLASS_INFINITY : ka == CLASS_ZERO)) {
    setInvalid(v);
    return;
  }
  noteDenormal(v, ka, kb);
  if (ka == CLASS_INFINITY) setInfinity(v, sign);
  else if (ka == CLASS_ZERO) setZero(v, sign);
  else if (kb == CLASS_INFINITY) {
    if (down) setZero(v, sign);
    else setInfinity(v, sign);
  } else {
    const exp = <i32>(bSe & EXP_SPECIAL) - EXP_BIAS;
    let by = 0;
    if (exp >= 16) by = SCALE_LIMIT;
    else if (exp >= 0) by = <i32>(bSig >> (63 - exp));
    if (down) by = -by;
    roundToBits(v, sign, Fx.exponent(aSig, aSe) + by, Fx.significand(aSig), 0, 64);
  }
}

/**
 * Splits a into exponent and significand. @returns the sign and exponent of the significand, whose sig is left in FX_LOW; the
 * exponent as a number is left in FX_SIG, FX_SE.
 */
export function extract(v: usize, sig: u64, se: u32): u32 {
  const kind = classify(sig, se);
  if (kind >= CLASS_QNAN) {
    setNan(v, sig, se, kind, sig, se, kind);
    Fx.setLow(v, Fx.sig(v));
    return Fx.se(v);
  }
  if (kind == CLASS_INFINITY) {
    Fx.setLow(v, sig);
    setInfinity(v, 0);
    return se;
  }
  if (kind == CLASS_ZERO) {
    Fx.setLow(v, 0);
    Fx.raise(v, FSW_ZE);
    setInfinity(v, SE_SIGN);
    return se;
  }
  noteDenormal(v, kind, kind);
  const exp = Fx.exponent(sig, se) - EXP_BIAS;
  const magnitude = <u64>(exp < 0 ? -exp : exp);
  const zeros = <u32>clz(magnitude);
  if (exp == 0) Fx.set(v, 0, 0);
  else Fx.set(v, magnitude << zeros, (exp < 0 ? SE_SIGN : 0) | (EXP_BIAS + 63 - zeros));
  Fx.setLow(v, Fx.significand(sig));
  return (se & SE_SIGN) | EXP_BIAS;
}

/** @returns C0, C3 and C1 for the three low bits of a quotient. */
function quotientBits(q: u64): u32 {
  const bits = <u32>q;
  return (bits & 4 ? FSW_C0 : 0) | (bits & 2 ? FSW_C3 : 0) | (bits & 1 ? FSW_C1 : 0);
}

/**
 * One step of a - b * round(a / b), the quotient truncated, or rounded to nearest when `isNearest` (FPREM1).
 * @returns the condition codes: C2 for a partial remainder, else the low bits of the quotient; REMAINDER_NONE for a NaN.
 */
export function remainder(
  v: usize,
  aSig: u64,
  aSe: u32,
  bSig: u64,
  bSe: u32,
  isNearest: bool,
): u32 {
  const ka = classify(aSig, aSe);
  const kb = classify(bSig, bSe);
  if (ka >= CLASS_QNAN || kb >= CLASS_QNAN) {
    setNan(v, aSig, aSe, ka, bSig, bSe, kb);
    return REMAINDER_NONE;
  }
  if (ka == CLASS_INFINITY || kb == CLASS_ZERO) {
    setInvalid(v);
    return REMAINDER_NONE;
  }
  noteDenormal(v, ka, kb);
  let sign = aSe & SE_SIGN;
  if (ka == CLASS_ZERO) {
    setZero(v, sign);
    return 0;
  }
  const aExp = Fx.exponent(aSig, aSe);
  const a = Fx.significand(aSig);
  // An infinite divisor leaves the dividend, and so does one that is far larger.
  const bExp = kb == CLASS_INFINITY ? aExp + 2 : Fx.exponent(bSig, bSe);
  const b = kb == CLASS_INFINITY ? SIG_J : Fx.significand(bSig);
  const distance = aExp - bExp;
  if (distance < -1 || (distance < 0 && !isNearest)) {
    roundToBits(v, sign, aExp, a, 0, 64);
    return 0;
  }
  if (distance >= 64) {
    // Take 32 to 63 bits off, so that the exponents end up a multiple of 32 apart.
    const step = (distance & 31) | 32;
    divide128(v, a >> (64 - step), a << step, b);
    const rest = Fx.low(v);
    const exp = aExp - step;
    if (rest == 0) setZero(v, sign);
    else roundToBits(v, sign, exp - <i32>clz(rest), Fx.significand(rest), 0, 64);
    return FSW_C2;
  }
  let q: u64 = 0;
  let rest = a;
  let exp = bExp;
  if (distance > 0) {
    q = divide128(v, a >> (64 - distance), a << distance, b);
    rest = Fx.low(v);
  } else if (distance == 0) {
    if (a >= b) {
      q = 1;
      rest = a - b;
    }
  } else {
    exp = aExp;
  }
  if (isNearest) {
    // At the exponent of a when a < b there, b counts double: compare a with b instead of half of it.
    const other = distance < 0 ? b - (rest >> 1) - (rest & 1) : b - rest;
    const isAbove = distance < 0 ? rest > b : rest > other || (rest == other && (q & 1) != 0);
    if (isAbove) {
      q++;
      sign ^= SE_SIGN;
      // 2b - a at the exponent of a, or b - rest.
      rest = distance < 0 ? b - (rest - b) : other;
    }
  }
  if (rest == 0) setZero(v, aSe & SE_SIGN);
  else roundToBits(v, sign, exp - <i32>clz(rest), Fx.significand(rest), 0, 64);
  return quotientBits(q);
}
