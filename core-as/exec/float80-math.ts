/**
 * Exponential and logarithms of 80-bit numbers: 2^x - 1, y log2 x, y log2 (x + 1). Series in 64-bit fractions with 128-bit sums:
 * the error is a few units in the last place, and the same on every host. Results and exceptions are left in VCPU_FX_*.
 * Source: SDM 2A, F2XM1, FYL2X, FYL2XP1 (the tables of special operands); arithmetic after argument reduction is Taylor's.
 */
import { FSW_PE, FSW_UE, FSW_ZE } from "../../abi/x87.ts";
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
  setNanOf,
  setZero,
} from "./float80.ts";
import { divide128 } from "./float80-arith.ts";
import { ARTANH_TERMS, EXPONENTIAL, EXPONENTIAL_TERMS, ODD_RECIPROCALS } from "./float80-tables.ts";

/** ln 2, normalized, and the word below it. */
const LN2: u64 = ((<u64>0xb17217f7) << 32) | 0xd1cf79ab;
const LN2_LOW: u64 = ((<u64>0xc9e3b398) << 32) | 0x03f2f6af;
/** 2 / ln 2, normalized, and the word below it. */
const TWO_OVER_LN2: u64 = ((<u64>0xb8aa3b29) << 32) | 0x5c17f0bb;
const TWO_OVER_LN2_LOW: u64 = ((<u64>0xbe87fed0) << 32) | 0x691d3e88;
/** sqrt 2 and sqrt 1/2 have this significand: logarithms are taken of numbers in between. */
const SQRT2: u64 = ((<u64>0xb504f333) << 32) | 0xf9de6484;
/** sqrt 2 - 1 and 1 - sqrt 1/2: the bounds of FYL2XP1. */
const SQRT2_MINUS1: u64 = ((<u64>0xd413cccf) << 32) | 0xe7799211;
const ONE_MINUS_SQRT_HALF: u64 = ((<u64>0x95f61998) << 32) | 0x0c4336f7;

/**
 * @returns c[0] + z c[1] + ... + z^(n-1) c[n-1], or with alternating signs c[0] - c[1] z + ..., as a 64-bit fraction, for a
 * table `c` of 64-bit fractions and z < 1. Each term must be smaller than the one before.
 */
export function polynomial(c: usize, n: u32, z: u64, alternates: bool): u64 {
  let sum: u64 = 0;
  for (let p = c + (n << 3); p > c; ) {
    p -= 8;
    const next = Fx.mulHigh(sum, z);
    sum = alternates ? load<u64>(p) - next : load<u64>(p) + next;
  }
  return sum;
}

/** @returns the polynomial times z, rounded. */
export function series(c: usize, n: u32, z: u64, alternates: bool): u64 {
  const sum = polynomial(c, n, z, alternates);
  return Fx.mulHigh(sum, z) + ((sum * z) >> 63);
}

/** Normalizes hi:lo (not zero) and rounds it to 64 bits as an inexact result; `exp` belongs to bit 63 of hi. */
export function roundInexact(v: usize, sign: u32, exp: i32, hi: u64, lo: u64): void {
  if (hi == 0) {
    hi = lo;
    lo = 0;
    exp -= 64;
  }
  const zeros = <i32>clz(hi);
  if (zeros != 0) {
    hi = (hi << zeros) | (lo >> (64 - zeros));
    lo <<= zeros;
  }
  // An irrational result is never exact, whatever its first 128 bits look like.
  roundToBits(v, sign, exp - zeros, hi, lo | 1, 64);
}

/** 2^a - 1 for |a| <= 1; outside, where the manual leaves the result open, a itself. */
export function exp2m1(v: usize, sig: u64, se: u32): void {
  const kind = classify(sig, se);
  const sign = se & SE_SIGN;
  if (kind >= CLASS_QNAN) {
    setNanOf(v, sig, se);
    return;
  }
  if (kind == CLASS_ZERO || kind == CLASS_INFINITY) {
    // 2^-inf - 1 is -1.
    if (kind == CLASS_INFINITY && sign != 0) Fx.set(v, SIG_J, SE_SIGN | EXP_BIAS);
    else Fx.set(v, sig, se);
    return;
  }
  noteDenormal(v, kind, kind);
  const exp = Fx.exponent(sig, se) - EXP_BIAS;
  if (exp >= 0) {
    const isMinusOne = se == (SE_SIGN | EXP_BIAS) && sig == SIG_J;
    Fx.raise(v, FSW_PE);
    Fx.set(v, sig, isMinusOne ? SE_SIGN | (EXP_BIAS - 1) : se);
    return;
  }
  // t = |a| ln 2 as a fraction hi:lo with weight 2^exp.
  const a = Fx.significand(sig);
  let hi = Fx.mulHigh(a, LN2);
  let lo = a * LN2;
  const carry = Fx.mulHigh(a, LN2_LOW);
  lo += carry;
  hi += u64(lo < carry);
  // The product of two normalized numbers has its top bit one place lower than exp says: t = hi:lo * 2^(exp - 63).
  const t = Fx.shiftHigh(hi, -exp - 1);
  const factor = series(EXPONENTIAL, EXPONENTIAL_TERMS, t, sign != 0);
  const moreHigh = Fx.mulHigh(hi, factor);
  const moreLow = hi * factor;
  if (sign == 0) {
    lo += moreLow;
    hi += moreHigh + u64(lo < moreLow);
  } else {
    hi -= moreHigh + u64(lo < moreLow);
    lo -= moreLow;
  }
  roundInexact(v, sign, exp + EXP_BIAS, hi, lo);
}

/**
 * log2 of (1 + s) / (1 - s) for 0 <= s < 0.172, given as num / den, both normalized, times 2^exp. The normalized result is left
 * in FX_SIG:FX_LOW. @returns its exponent (unbiased).
 */
function logOfRatio(v: usize, num: u64, den: u64, exp: i32): i32 {
  let s: u64;
  if (num < den) {
    s = divide128(v, num, 0, den);
    exp--;
  } else {
    s = divide128(v, num >> 1, num << 63, den);
  }
  // The rest of the division gives 64 more bits, if roughly; they matter where nothing follows but the multiplication.
  const sLow = divide128(v, Fx.low(v), 0, den);
  // z = s^2 as a fraction.
  const z = Fx.shiftHigh(Fx.mulHigh(s, s) + ((s * s) >> 63), -(exp * 2 + 2));
  const factor = series(ODD_RECIPROCALS, ARTANH_TERMS, z, false);
  // s * 2/ln 2, then times (1 + factor).
  let lo = s * TWO_OVER_LN2;
  let hi = Fx.mulHigh(s, TWO_OVER_LN2);
  const carry = Fx.mulHigh(s, TWO_OVER_LN2_LOW);
  lo += carry;
  hi += u64(lo < carry);
  const below = Fx.mulHigh(sLow, TWO_OVER_LN2);
  lo += below;
  hi += u64(lo < below);
  const moreLow = hi * factor;
  lo += moreLow;
  hi += Fx.mulHigh(hi, factor) + u64(lo < moreLow);
  // 2/ln 2 has exponent 1, and the product of two normalized numbers is hi * 2^(sum - 62).
  exp += 2;
  const zeros = <i32>clz(hi);
  if (zeros != 0) {
    hi = (hi << zeros) | (lo >> (64 - zeros));
    lo <<= zeros;
  }
  Fx.set(v, hi, 0);
  Fx.setLow(v, lo);
  return exp - zeros;
}

/**
 * Forms (integer + sign * FX_SIG:FX_LOW * 2^exp) * y. The fraction has magnitude at most 1/2 unless the integer is 0;
 * FX_SIG = 0 stands for none. `y` is a finite number that is not zero.
 */
function multiplyLog(
  v: usize,
  integer: i32,
  fractionSign: u32,
  exp: i32,
  ySig: u64,
  ySe: u32,
): void {
  let hi = Fx.sig(v);
  let lo = Fx.low(v);
  let sign = fractionSign;
  const isExact = hi == 0;
  if (integer != 0) {
    const magnitude = <u64>(integer < 0 ? -integer : integer);
    const zeros = <i32>clz(magnitude);
    const whole = magnitude << zeros;
    const wholeSign: u32 = integer < 0 ? SE_SIGN : 0;
    const n = 63 - zeros - exp;
    const fractionHigh = isExact ? 0 : Fx.shiftHigh(hi, n);
    const fractionLow = isExact ? 0 : Fx.shiftLow(hi, lo, n);
    exp = 63 - zeros;
    hi = whole;
    lo = fractionLow;
    if (wholeSign == fractionSign) {
      hi += fractionHigh;
      if (hi < fractionHigh) {
        lo = (lo >> 1) | (hi << 63);
        hi = (hi >> 1) | SIG_J;
        exp++;
      }
    } else {
      lo = 0 - fractionLow;
      hi -= fractionHigh + u64(fractionLow != 0);
      const lead = <i32>clz(hi);
      if (lead != 0) {
        hi = (hi << lead) | (lo >> (64 - lead));
        lo <<= lead;
        exp -= lead;
      }
    }
    sign = wholeSign;
  }
  sign ^= ySe & SE_SIGN;
  const y = Fx.significand(ySig);
  exp += Fx.exponent(ySig, ySe) + 1;
  let low = hi * y;
  let high = Fx.mulHigh(hi, y);
  const below = Fx.mulHigh(lo, y);
  low += below;
  high += u64(low < below);
  if (!isExact) {
    roundInexact(v, sign, exp, high, low);
    return;
  }
  const lead = <i32>clz(high);
  if (lead != 0) {
    high = (high << lead) | (low >> (64 - lead));
    low <<= lead;
  }
  roundToBits(v, sign, exp - lead, high, low, 64);
  // Silicon calls every logarithm inexact.
  Fx.raise(v, (Fx.sig(v) & SIG_J) == 0 ? FSW_PE | FSW_UE : FSW_PE);
}

/** Forms y log2 x for finite x > 0 and finite y other than 0. */
function logFinite(v: usize, xExp: i32, x: u64, ySig: u64, ySe: u32): void {
  let integer = xExp - EXP_BIAS;
  Fx.set(v, 0, 0);
  Fx.setLow(v, 0);
  if (x == SIG_J) {
    if (integer == 0) setZero(v, ySe & SE_SIGN);
    else multiplyLog(v, integer, 0, 0, ySig, ySe);
    return;
  }
  let exp: i32;
  let sign: u32 = 0;
  if (x < SQRT2) {
    // m = x / 2^63 in (1, sqrt 2): (m - 1) / (m + 1).
    const num = x - SIG_J;
    const zeros = <i32>clz(num);
    exp = logOfRatio(v, num << zeros, (x >> 1) + (SIG_J >> 1), -1 - zeros);
  } else {
    // m = x / 2^64 in (sqrt 1/2, 1): (1 - m) / (1 + m), negative.
    integer++;
    sign = SE_SIGN;
    const num: u64 = 0 - x;
    const zeros = <i32>clz(num);
    exp = logOfRatio(v, num << zeros, (x >> 1) + SIG_J, -1 - zeros);
  }
  multiplyLog(v, integer, sign, exp, ySig, ySe);
}

/** y log2 x, where y is b and x is a. */
export function log2Times(v: usize, aSig: u64, aSe: u32, bSig: u64, bSe: u32): void {
  const ka = classify(aSig, aSe);
  const kb = classify(bSig, bSe);
  if (ka >= CLASS_QNAN || kb >= CLASS_QNAN) {
    setNan(v, aSig, aSe, ka, bSig, bSe, kb);
    return;
  }
  const bSign = bSe & SE_SIGN;
  const isOne = aSig == SIG_J && aSe == EXP_BIAS;
  if (
    (ka != CLASS_ZERO && (aSe & SE_SIGN) != 0) ||
    (kb == CLASS_INFINITY && isOne) ||
    (kb == CLASS_ZERO && (ka == CLASS_ZERO || ka == CLASS_INFINITY))
  ) {
    setInvalid(v);
    return;
  }
  if (ka == CLASS_ZERO) {
    if (kb != CLASS_INFINITY) Fx.raise(v, FSW_ZE);
    setInfinity(v, bSign ^ SE_SIGN);
    return;
  }
  noteDenormal(v, ka, kb);
  // log2 a is negative exactly when a < 1.
  const logSign: u32 = (aSe & EXP_SPECIAL) < <u32>EXP_BIAS ? SE_SIGN : 0;
  if (ka == CLASS_INFINITY || kb == CLASS_INFINITY) setInfinity(v, bSign ^ logSign);
  else if (kb == CLASS_ZERO) setZero(v, bSign ^ logSign);
  else logFinite(v, Fx.exponent(aSig, aSe), Fx.significand(aSig), bSig, bSe);
}

/** y log2 (x + 1) for |x| so small that x + 1 is between sqrt 1/2 and sqrt 2. */
function logNearOne(v: usize, sign: u32, exp: i32, x: u64, ySig: u64, ySe: u32): void {
  // x / (2 + x)
  const n = -exp;
  let den: u64;
  let denExp: i32;
  if (sign == 0) {
    den = SIG_J + ((Fx.shiftHigh(x, n) + 1) >> 1);
    denExp = 1;
  } else {
    den = 0 - ((Fx.shiftHigh(x, n - 1) + 1) >> 1);
    denExp = 0;
    if (den == 0) {
      den = SIG_J;
      denExp = 1;
    }
  }
  const e = logOfRatio(v, x, den, exp - denExp);
  multiplyLog(v, 0, sign, e, ySig, ySe);
}

/**
 * y log2 (x + 1), where y is b and x is a. Beyond the bounds of the manual 1 + x is rounded first, and from -1 down, where there
 * is no logarithm, x itself is the result, as on silicon.
 */
export function log2p1Times(v: usize, aSig: u64, aSe: u32, bSig: u64, bSe: u32): void {
  const ka = classify(aSig, aSe);
  const kb = classify(bSig, bSe);
  if (ka >= CLASS_QNAN || kb >= CLASS_QNAN) {
    setNan(v, aSig, aSe, ka, bSig, bSe, kb);
    return;
  }
  const aSign = aSe & SE_SIGN;
  const sign = aSign ^ (bSe & SE_SIGN);
  const exp = Fx.exponent(aSig, aSe) - EXP_BIAS;
  const isOpen = aSign != 0 && exp >= 0;
  if (
    (isOpen && ka == CLASS_INFINITY) ||
    (ka == CLASS_ZERO && kb == CLASS_INFINITY) ||
    (ka == CLASS_INFINITY && kb == CLASS_ZERO)
  ) {
    setInvalid(v);
    return;
  }
  noteDenormal(v, ka, kb);
  if (ka == CLASS_INFINITY || kb == CLASS_INFINITY) setInfinity(v, sign);
  else if (ka == CLASS_ZERO || kb == CLASS_ZERO) setZero(v, sign);
  else if (isOpen) {
    Fx.raise(v, FSW_PE);
    Fx.set(v, aSig, aSe);
  } else {
    const a = Fx.significand(aSig);
    const isNear =
      exp < -2 || (exp == -2 && (aSign == 0 ? a < SQRT2_MINUS1 : a < ONE_MINUS_SQRT_HALF));
    if (isNear) logNearOne(v, aSign, exp, a, bSig, bSe);
    else logOfSum(v, aSign, exp, a, bSig, bSe);
  }
}

/** y log2 (1 + x) with 1 + x rounded down to 64 bits. */
function logOfSum(v: usize, sign: u32, exp: i32, x: u64, ySig: u64, ySe: u32): void {
  if (sign != 0) {
    // 1 - |x| with |x| in [0.29, 1): -2 <= exp <= -1.
    const rest: u64 = 0 - (x >> (-exp - 1));
    logFinite(v, EXP_BIAS - 1 - <i32>clz(rest), Fx.significand(rest), ySig, ySe);
    return;
  }
  if (exp >= 0) {
    let sum = x + Fx.shiftHigh(SIG_J, exp);
    if (sum < x) {
      sum = (sum >> 1) | SIG_J;
      exp++;
    }
    logFinite(v, EXP_BIAS + exp, sum, ySig, ySe);
  } else logFinite(v, EXP_BIAS, SIG_J + (x >> -exp), ySig, ySe);
}
