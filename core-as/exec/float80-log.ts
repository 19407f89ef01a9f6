/**
 * Logarithms of 80-bit numbers: y log2 x, y log2 (x + 1), correctly rounded (float80-wide.ts says how nearly always). Results and
 * exceptions are left in VCPU_FX_*. Source: SDM 2A, FYL2X, FYL2XP1 (the tables of special operands); the series is Taylor's.
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
  setZero,
} from "./float80.ts";
import { ARTANH_TERMS, ARTANH_WIDE, ODD_RECIPROCALS, TAIL_HIGH } from "./float80-tables.ts";
import { divideWide, multiplyWide, roundInexact, series, square } from "./float80-wide.ts";

/** 2 / ln 2, normalized, and the word below it. */
const TWO_OVER_LN2: u64 = ((<u64>0xb8aa3b29) << 32) | 0x5c17f0bb;
const TWO_OVER_LN2_LOW: u64 = ((<u64>0xbe87fed0) << 32) | 0x691d3e88;
/** sqrt 2 and sqrt 1/2 have this significand: logarithms are taken of numbers in between. */
const SQRT2: u64 = ((<u64>0xb504f333) << 32) | 0xf9de6484;
/** sqrt 2 - 1 and 1 - sqrt 1/2: the bounds of FYL2XP1. */
const SQRT2_MINUS1: u64 = ((<u64>0xd413cccf) << 32) | 0xe7799211;
const ONE_MINUS_SQRT_HALF: u64 = ((<u64>0x95f61998) << 32) | 0x0c4336f7;

/**
 * log2 of (1 + s) / (1 - s) for 0 <= s < 0.172, given as num / den, both normalized and wide but for the low word of num, times
 * 2^exp. The normalized result is left in FX_SIG:FX_LOW. @returns its exponent (unbiased).
 */
function logOfRatio(v: usize, num: u64, den: u64, denLow: u64, exp: i32): i32 {
  let s: u64;
  if (num < den || (num == den && denLow != 0)) {
    s = divideWide(v, num, 0, den, denLow);
    exp--;
  } else s = divideWide(v, num >> 1, num << 63, den, denLow);
  const sLow = Fx.low(v);
  const z = square(v, s, sLow, exp);
  const factor = series(
    v,
    ODD_RECIPROCALS,
    ARTANH_TERMS,
    ARTANH_WIDE,
    TAIL_HIGH,
    z,
    Fx.low(v),
    false,
  );
  const factorLow = Fx.low(v);
  // s * 2/ln 2, then times (1 + factor).
  let hi = multiplyWide(v, s, sLow, TWO_OVER_LN2, TWO_OVER_LN2_LOW);
  let lo = Fx.low(v);
  const more = multiplyWide(v, hi, lo, factor, factorLow);
  const moreLow = Fx.low(v);
  lo += moreLow;
  hi += more + u64(lo < moreLow);
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
    exp = logOfRatio(v, num << zeros, (x >> 1) + (SIG_J >> 1), x << 63, -1 - zeros);
  } else {
    // m = x / 2^64 in (sqrt 1/2, 1): (1 - m) / (1 + m), negative.
    integer++;
    sign = SE_SIGN;
    const num: u64 = 0 - x;
    const zeros = <i32>clz(num);
    exp = logOfRatio(v, num << zeros, (x >> 1) + SIG_J, x << 63, -1 - zeros);
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
  const n = sign == 0 ? 1 - exp : -exp;
  let den = Fx.shiftHigh(x, n);
  let denLow = Fx.shiftLow(x, 0, n);
  if (sign == 0) den += SIG_J;
  else {
    den = 0 - den - u64(denLow != 0);
    denLow = 0 - denLow;
  }
  const e = logOfRatio(v, x, den, denLow, sign == 0 ? exp - 1 : exp);
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
