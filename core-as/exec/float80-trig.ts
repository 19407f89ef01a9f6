/**
 * Sine, cosine, tangent and inverse tangent of 80-bit numbers. Arguments are reduced by the pi of the hardware, which has 66 bits
 * (SDM 1, "Approximation of Pi"): a better one would give different results for large arguments.
 * Results and exceptions are left in VCPU_FX_*; the error is a few units in the last place.
 */
import {
  CLASS_INFINITY,
  CLASS_QNAN,
  CLASS_ZERO,
  classify,
  EXP_BIAS,
  Fx,
  noteDenormal,
  SE_SIGN,
  SIG_J,
  SIG_MAX,
  setInvalid,
  setNan,
  setNanOf,
  setZero,
} from "./float80.ts";
import { divide128 } from "./float80-arith.ts";
import { polynomial, roundInexact, series } from "./float80-math.ts";
import {
  ARCTANGENT_TERMS,
  ARCTANGENTS,
  COSINE,
  COSINE_TERMS,
  ODD_RECIPROCALS,
  SINE,
  SINE_TERMS,
} from "./float80-tables.ts";

/** pi/2 with 65 fraction bits: the 66 bits that the hardware knows. */
const HALF_PI_HIGH: u64 = 3;
const HALF_PI_LOW: u64 = ((<u64>0x243f6a88) << 32) | 0x85a308d3;
const HALF_PI_FRACTION = 65;
/** pi/4 normalized: arguments below it need no reduction. */
const QUARTER_PI: u64 = ((<u64>0xc90fdaa2) << 32) | 0x2168c234;
/** pi/2 and pi with 126 fraction bits. */
const HALF_PI_126_HIGH: u64 = ((<u64>0x6487ed51) << 32) | 0x10b4611a;
const HALF_PI_126_LOW: u64 = ((<u64>0x62633145) << 32) | 0xc06e0e69;
const PI_126_HIGH: u64 = ((<u64>0xc90fdaa2) << 32) | 0x2168c234;
const PI_126_LOW: u64 = ((<u64>0xc4c6628b) << 32) | 0x80dc1cd1;

/** What to compute. */
export const WANT_SINE: u32 = 0;
export const WANT_COSINE: u32 = 1;
export const WANT_TANGENT: u32 = 2;

/**
 * Reduces |x| < 2^63 to |r| <= pi/4. The normalized r is left in FX_SIG, with its exponent (unbiased) in FX_LOW.
 * @returns the number of quarter turns taken off, modulo 4, plus 4 when r is negative.
 */
function reduce(v: usize, exp: i32, sig: u64): u32 {
  if (exp < -1 || (exp == -1 && sig <= QUARTER_PI)) {
    Fx.set(v, sig, 0);
    Fx.setLow(v, <u64>(<i64>exp));
    return 0;
  }
  // Long division of sig * 2^(exp - 63), in units of 2^-65, by pi/2.
  let hi: u64 = 0;
  let lo = sig;
  let quotient: u32 = 0;
  for (let i = exp + HALF_PI_FRACTION - 63; i > 0; i--) {
    hi = (hi << 1) | (lo >> 63);
    lo <<= 1;
    quotient <<= 1;
    if (hi > HALF_PI_HIGH || (hi == HALF_PI_HIGH && lo >= HALF_PI_LOW)) {
      hi -= HALF_PI_HIGH + u64(lo < HALF_PI_LOW);
      lo -= HALF_PI_LOW;
      quotient |= 1;
    }
  }
  // The nearer of the two multiples.
  const otherLow = HALF_PI_LOW - lo;
  const otherHigh = HALF_PI_HIGH - hi - u64(HALF_PI_LOW < lo);
  let turns = quotient & 3;
  if (hi > otherHigh || (hi == otherHigh && lo > otherLow)) {
    hi = otherHigh;
    lo = otherLow;
    turns = ((turns + 1) & 3) | 4;
  }
  let e = 63 - HALF_PI_FRACTION;
  if (hi != 0) {
    // At most 65 bits; the one that falls off is far below the error of the series.
    lo = (lo >> 1) | (hi << 63);
    e++;
  }
  const zeros = <i32>clz(lo);
  Fx.set(v, lo << zeros, 0);
  Fx.setLow(v, <u64>(<i64>(e - zeros)));
  return turns;
}

/** r^2 as a fraction, for a normalized r with exponent below 0. */
function square(sig: u64, exp: i32): u64 {
  return Fx.shiftHigh(Fx.mulHigh(sig, sig) + ((sig * sig) >> 63), -(exp * 2 + 2));
}

/** @returns the part of 1 that the sine of r falls short of r by: 1 - sin r / r, as a fraction. */
function sineDeficit(sig: u64, exp: i32): u64 {
  return series(SINE, SINE_TERMS, square(sig, exp), true);
}
/** @returns 1 - cos r as a fraction. */
function cosineDeficit(sig: u64, exp: i32): u64 {
  return series(COSINE, COSINE_TERMS, square(sig, exp), true);
}

/** Forms sin r. */
function setSine(v: usize, sign: u32, sig: u64, exp: i32): void {
  const deficit = sineDeficit(sig, exp);
  // However small r is, its sine is smaller: the rounding of tiny results shows it.
  const lessLow = deficit != 0 ? sig * deficit : 1;
  const hi = sig - Fx.mulHigh(sig, deficit) - u64(lessLow != 0);
  roundInexact(v, sign, exp + EXP_BIAS, hi, 0 - lessLow);
}

/** Forms cos r, which is between 0.7 and 1. */
function setCosine(v: usize, sign: u32, sig: u64, exp: i32): void {
  const z = square(sig, exp);
  const sum = polynomial(COSINE, COSINE_TERMS, z, true);
  const lessHigh = Fx.mulHigh(sum, z);
  const lessLow = sum * z;
  if ((lessHigh | lessLow) == 0) roundInexact(v, sign, EXP_BIAS - 1, SIG_MAX, SIG_MAX);
  else roundInexact(v, sign, EXP_BIAS - 1, 0 - lessHigh - u64(lessLow != 0), 0 - lessLow);
}

/** Forms sin r / cos r, or its inverse. */
function setTangent(v: usize, sign: u32, sig: u64, exp: i32, inverse: bool): void {
  const sineLess = sineDeficit(sig, exp);
  const deficit = cosineDeficit(sig, exp);
  let sine = sig - Fx.mulHigh(sig, sineLess);
  const zeros = <i32>clz(sine);
  sine <<= zeros;
  exp -= zeros;
  const cosine = deficit != 0 ? 0 - deficit : SIG_MAX;
  // The cosine has exponent -1.
  const num = inverse ? cosine : sine;
  const den = inverse ? sine : cosine;
  let e = inverse ? -1 - exp : exp + 1;
  let q: u64;
  if (num < den) {
    q = divide128(v, num, 0, den);
    e--;
  } else q = divide128(v, num >> 1, num << 63, den);
  roundInexact(v, sign, e + EXP_BIAS, q, divide128(v, Fx.low(v), 0, den));
}

/**
 * Sine, cosine or tangent of a number below 2^63 in magnitude.
 * @returns false when it is not below, the one case in which nothing is formed (C2 reports it).
 */
export function circular(v: usize, sig: u64, se: u32, want: u32): bool {
  const kind = classify(sig, se);
  const sign = se & SE_SIGN;
  if (kind >= CLASS_QNAN) {
    setNanOf(v, sig, se);
    return true;
  }
  if (kind == CLASS_INFINITY) {
    setInvalid(v);
    return true;
  }
  if (kind == CLASS_ZERO) {
    if (want == WANT_COSINE) Fx.set(v, SIG_J, EXP_BIAS);
    else setZero(v, sign);
    return true;
  }
  const exp = Fx.exponent(sig, se) - EXP_BIAS;
  if (exp >= 63) return false;
  noteDenormal(v, kind, kind);
  const turns = reduce(v, exp, Fx.significand(sig));
  const r = Fx.sig(v);
  const e = <i32>Fx.low(v);
  // The sign of r, that of x included: sine and tangent are odd, the cosine is even.
  const odd = sign ^ (turns & 4 ? SE_SIGN : 0);
  const isSwapped = (turns & 1) != 0;
  if (want == WANT_TANGENT) {
    setTangent(v, isSwapped ? odd ^ SE_SIGN : odd, r, e, isSwapped);
  } else if (want == WANT_SINE) {
    const half: u32 = turns & 2 ? SE_SIGN : 0;
    if (isSwapped) setCosine(v, sign ^ half, r, e);
    else setSine(v, odd ^ half, r, e);
  } else {
    const half: u32 = turns & 2 ? SE_SIGN : 0;
    // cos(r + pi/2) = -sin r, where r has the sign of |x|'s reduction alone.
    if (isSwapped) setSine(v, half ^ SE_SIGN ^ (turns & 4 ? SE_SIGN : 0), r, e);
    else setCosine(v, half, r, e);
  }
  return true;
}

/**
 * atan(num / den * 2^exp) for 1/8 <= the quotient <= 1, from the nearest sixteenth c: atan t = atan c + atan((t - c) / (1 + t c)).
 * The angle with 126 fraction bits is left in FX_SIG:FX_LOW. `t` is the normalized quotient.
 */
function angleFromTable(v: usize, t: u64, exp: i32): void {
  // Sixteenths, rounded: t * 16 = t * 2^(exp - 59).
  const shift = 58 - exp;
  const k = <u32>(((t >> shift) + 1) >> 1);
  // t and c with 127 fraction bits.
  let hi = Fx.shiftHigh(t, -exp);
  let lo = exp == 0 ? 0 : t << (64 + exp);
  const c = (<u64>k) << 59;
  const isBelow = hi < c;
  if (isBelow) {
    hi = c - hi - u64(lo != 0);
    lo = 0 - lo;
  } else hi -= c;
  const entry = ARCTANGENTS + ((k - 1) << 4);
  let angleLow = load<u64>(entry);
  let angleHigh = load<u64>(entry, 8);
  if ((hi | lo) != 0) {
    let e = 0;
    if (hi == 0) {
      hi = lo;
      lo = 0;
      e = -64;
    }
    const zeros = <i32>clz(hi);
    if (zeros != 0) hi = (hi << zeros) | (lo >> (64 - zeros));
    e -= zeros;
    // 1 + t c, one place down to make room for 2.
    const product = Fx.mulHigh(t, c);
    let den = (SIG_J >> 1) + (exp == 0 ? product : product >> -exp);
    let denExp = 1;
    if ((den & SIG_J) == 0) {
      den <<= 1;
      denExp = 0;
    }
    e -= denExp;
    let r: u64;
    if (hi < den) {
      r = divide128(v, hi, 0, den);
      e--;
    } else r = divide128(v, hi >> 1, hi << 63, den);
    r -= Fx.mulHigh(r, series(ODD_RECIPROCALS, ARCTANGENT_TERMS, square(r, e), true));
    // r * 2^(e - 63) with 126 fraction bits.
    const rHigh = Fx.shiftHigh(r, 1 - e);
    const rLow = Fx.shiftLow(r, 0, 1 - e);
    if (isBelow) {
      angleHigh -= rHigh + u64(angleLow < rLow);
      angleLow -= rLow;
    } else {
      angleLow += rLow;
      angleHigh += rHigh + u64(angleLow < rLow);
    }
  }
  Fx.set(v, angleHigh, 0);
  Fx.setLow(v, angleLow);
}

/** Forms the angle whose tangent is y / x, for finite numbers that are not zero. */
function angleOf(v: usize, ySign: u32, yExp: i32, y: u64, xSign: u32, xExp: i32, x: u64): void {
  const isSteep = yExp > xExp || (yExp == xExp && y > x);
  const num = isSteep ? x : y;
  const den = isSteep ? y : x;
  let exp = isSteep ? xExp - yExp : yExp - xExp;
  let t: u64;
  if (num < den) {
    t = divide128(v, num, 0, den);
    exp--;
  } else t = divide128(v, num >> 1, num << 63, den);
  let hi: u64;
  let lo: u64;
  if (exp >= -3) {
    angleFromTable(v, t, exp);
    hi = Fx.sig(v);
    lo = Fx.low(v);
  } else {
    const tLow = divide128(v, Fx.low(v), 0, den);
    const deficit = series(ODD_RECIPROCALS, ARCTANGENT_TERMS, square(t, exp), true);
    const lessLow = deficit != 0 ? t * deficit : 1;
    lo = tLow - lessLow;
    hi = t - Fx.mulHigh(t, deficit) - u64(tLow < lessLow);
    if (!isSteep && xSign == 0) {
      roundInexact(v, ySign, exp + EXP_BIAS, hi, lo);
      return;
    }
    lo = Fx.shiftLow(hi, lo, 1 - exp);
    hi = Fx.shiftHigh(hi, 1 - exp);
  }
  if (isSteep) {
    hi = HALF_PI_126_HIGH - hi - u64(HALF_PI_126_LOW < lo);
    lo = HALF_PI_126_LOW - lo;
  }
  if (xSign != 0) {
    hi = PI_126_HIGH - hi - u64(PI_126_LOW < lo);
    lo = PI_126_LOW - lo;
  }
  // Bit 63 of hi weighs 2.
  roundInexact(v, ySign, EXP_BIAS + 1, hi, lo);
}

/** Forms 1 to 4 quarters of pi with a sign: the angles of special operands. */
function setQuarters(v: usize, sign: u32, quarters: u32): void {
  let hi = PI_126_HIGH;
  let lo = PI_126_LOW;
  let exp = EXP_BIAS + 1;
  if (quarters == 3) {
    // 3 pi/4 = pi - pi/4
    hi -= (PI_126_HIGH >> 2) + 1;
    lo -= (PI_126_LOW >> 2) | (PI_126_HIGH << 62);
  } else if (quarters == 2) exp--;
  else if (quarters == 1) exp -= 2;
  roundInexact(v, sign, exp, hi, lo);
}

/** The angle of the point (x, y), where y is b and x is a, in all four quadrants. */
export function arctangent(v: usize, aSig: u64, aSe: u32, bSig: u64, bSe: u32): void {
  const ka = classify(aSig, aSe);
  const kb = classify(bSig, bSe);
  if (ka >= CLASS_QNAN || kb >= CLASS_QNAN) {
    setNan(v, aSig, aSe, ka, bSig, bSe, kb);
    return;
  }
  noteDenormal(v, ka, kb);
  const sign = bSe & SE_SIGN;
  const isLeft = (aSe & SE_SIGN) != 0;
  if (kb == CLASS_INFINITY) {
    setQuarters(v, sign, ka != CLASS_INFINITY ? 2 : isLeft ? 3 : 1);
  } else if (kb == CLASS_ZERO || ka == CLASS_INFINITY) {
    if (isLeft) setQuarters(v, sign, 4);
    else setZero(v, sign);
  } else if (ka == CLASS_ZERO) setQuarters(v, sign, 2);
  else {
    angleOf(
      v,
      sign,
      Fx.exponent(bSig, bSe),
      Fx.significand(bSig),
      aSe & SE_SIGN,
      Fx.exponent(aSig, aSe),
      Fx.significand(aSig),
    );
  }
}
