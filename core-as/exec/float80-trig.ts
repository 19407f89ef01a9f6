/**
 * Sine, cosine and tangent of 80-bit numbers, correctly rounded (float80-wide.ts says how nearly always). Arguments are reduced by
 * the pi of the hardware, which has 66 bits (SDM 1, "Approximation of Pi"): a better one would give different results for large
 * arguments. Results and exceptions are left in VCPU_FX_*.
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
  setNanOf,
  setZero,
} from "./float80.ts";
import {
  COSINE,
  COSINE_TERMS,
  COSINE_WIDE,
  SINE,
  SINE_TERMS,
  SINE_WIDE,
  TAIL_LOW,
} from "./float80-tables.ts";
import { divideWide, multiplyWide, roundInexact, series, square } from "./float80-wide.ts";

/** pi/2 with 65 fraction bits: the 66 bits that the hardware knows. */
const HALF_PI_HIGH: u64 = 3;
const HALF_PI_LOW: u64 = ((<u64>0x243f6a88) << 32) | 0x85a308d3;
const HALF_PI_FRACTION = 65;
/** pi/4 normalized: arguments below it need no reduction. */
const QUARTER_PI: u64 = ((<u64>0xc90fdaa2) << 32) | 0x2168c234;
/** Below 2^-56 the second term of a series is below 2^-113 of the first: it decides on which side of that the function lies. */
const EXP_TINY = -56;

/** What to compute. */
export const WANT_SINE: u32 = 0;
export const WANT_COSINE: u32 = 1;
export const WANT_TANGENT: u32 = 2;

/** Where the exponent begins in what reduce() returns. */
const REDUCED_EXP_SHIFT: u32 = 3;

/**
 * Reduces |x| < 2^63 to |r| <= pi/4. The normalized r is left in FX_SIG:FX_LOW.
 * @returns the number of quarter turns taken off, modulo 4, plus 4 when r is negative, below the exponent of r (unbiased).
 */
function reduce(v: usize, exp: i32, sig: u64): i32 {
  if (exp < -1 || (exp == -1 && sig <= QUARTER_PI)) {
    Fx.set(v, sig, 0);
    Fx.setLow(v, 0);
    return exp << REDUCED_EXP_SHIFT;
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
  let e = 127 - HALF_PI_FRACTION;
  if (hi == 0) {
    hi = lo;
    lo = 0;
    e -= 64;
  }
  const zeros = <i32>clz(hi);
  if (zeros != 0) hi = (hi << zeros) | (lo >> (64 - zeros));
  Fx.set(v, hi, 0);
  Fx.setLow(v, lo << zeros);
  return ((e - zeros) << REDUCED_EXP_SHIFT) | turns;
}

/** Forms sin r. */
function setSine(v: usize, sign: u32, hi: u64, lo: u64, exp: i32): void {
  takeSine(v, hi, lo, exp);
  roundInexact(v, sign, exp + EXP_BIAS, Fx.sig(v), Fx.low(v));
}

/** Leaves sin r, with the exponent of r but perhaps not normalized, in FX_SIG:FX_LOW. */
function takeSine(v: usize, hi: u64, lo: u64, exp: i32): void {
  let lessHigh: u64 = 0;
  let lessLow: u64 = 1;
  // However small r is, its sine is smaller: the rounding of tiny results shows it.
  if (exp >= EXP_TINY) {
    const z = square(v, hi, lo, exp);
    const deficit = series(v, SINE, SINE_TERMS, SINE_WIDE, TAIL_LOW, z, Fx.low(v), true);
    lessHigh = multiplyWide(v, hi, lo, deficit, Fx.low(v));
    lessLow = Fx.low(v);
  }
  Fx.set(v, hi - lessHigh - u64(lo < lessLow), 0);
  Fx.setLow(v, lo - lessLow);
}

/** Leaves cos r, which is between 0.7 and 1, in FX_SIG:FX_LOW as a fraction. */
function takeCosine(v: usize, hi: u64, lo: u64, exp: i32): void {
  let lessHigh: u64 = 0;
  let lessLow: u64 = 1;
  if (exp >= EXP_TINY) {
    const z = square(v, hi, lo, exp);
    lessHigh = series(v, COSINE, COSINE_TERMS, COSINE_WIDE, TAIL_LOW, z, Fx.low(v), true);
    lessLow = Fx.low(v);
  }
  Fx.set(v, 0 - lessHigh - u64(lessLow != 0), 0);
  Fx.setLow(v, 0 - lessLow);
}

/** Forms cos r. */
function setCosine(v: usize, sign: u32, hi: u64, lo: u64, exp: i32): void {
  takeCosine(v, hi, lo, exp);
  roundInexact(v, sign, EXP_BIAS - 1, Fx.sig(v), Fx.low(v));
}

/** Forms sin r / cos r, or minus its inverse. */
function setTangent(v: usize, sign: u32, hi: u64, lo: u64, exp: i32, inverse: bool): void {
  if (exp < EXP_TINY) {
    // A little more than r. The inverse is a little less than 1/r, and r so small that only reduction has made it, and a power of
    // two or the reciprocal of a small number, which is far from where rounding turns.
    if (!inverse) {
      roundInexact(v, sign, exp + EXP_BIAS, hi, lo);
      return;
    }
    if (hi == SIG_J && lo == 0) {
      roundInexact(v, sign, EXP_BIAS - 1 - exp, SIG_MAX, SIG_MAX);
      return;
    }
  }
  takeCosine(v, hi, lo, exp);
  const cosine = Fx.sig(v);
  const cosineLow = Fx.low(v);
  takeSine(v, hi, lo, exp);
  let sine = Fx.sig(v);
  let sineLow = Fx.low(v);
  const zeros = <i32>clz(sine);
  if (zeros != 0) {
    sine = (sine << zeros) | (sineLow >> (64 - zeros));
    sineLow <<= zeros;
    exp -= zeros;
  }
  // The cosine has exponent -1.
  if (inverse) setQuotient(v, sign, -1 - exp, cosine, cosineLow, sine, sineLow);
  else setQuotient(v, sign, exp + 1, sine, sineLow, cosine, cosineLow);
}

/** Forms n / d * 2^exp, both normalized. */
function setQuotient(
  v: usize,
  sign: u32,
  exp: i32,
  nHigh: u64,
  nLow: u64,
  dHigh: u64,
  dLow: u64,
): void {
  if (nHigh > dHigh || (nHigh == dHigh && nLow >= dLow)) {
    nLow = (nLow >> 1) | (nHigh << 63);
    nHigh >>= 1;
  } else exp--;
  const high = divideWide(v, nHigh, nLow, dHigh, dLow);
  roundInexact(v, sign, exp + EXP_BIAS, high, Fx.low(v));
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
  const reduced = reduce(v, exp, Fx.significand(sig));
  const turns = <u32>reduced;
  const e = reduced >> REDUCED_EXP_SHIFT;
  const r = Fx.sig(v);
  const low = Fx.low(v);
  // The sign of r, that of x included: sine and tangent are odd, the cosine is even.
  const odd = sign ^ (turns & 4 ? SE_SIGN : 0);
  const isSwapped = (turns & 1) != 0;
  if (want == WANT_TANGENT) {
    setTangent(v, isSwapped ? odd ^ SE_SIGN : odd, r, low, e, isSwapped);
  } else if (want == WANT_SINE) {
    const half: u32 = turns & 2 ? SE_SIGN : 0;
    if (isSwapped) setCosine(v, sign ^ half, r, low, e);
    else setSine(v, odd ^ half, r, low, e);
  } else {
    const half: u32 = turns & 2 ? SE_SIGN : 0;
    // cos(r + pi/2) = -sin r, where r has the sign of |x|'s reduction alone.
    if (isSwapped) setSine(v, half ^ SE_SIGN ^ (turns & 4 ? SE_SIGN : 0), r, low, e);
    else setCosine(v, half, r, low, e);
  }
  return true;
}
