/**
 * The inverse tangent of 80-bit numbers, correctly rounded (float80-wide.ts says how nearly always). Results and exceptions are left
 * in VCPU_FX_*. Source: SDM 2A, FPATAN (the table of special operands); the series is Taylor's.
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
  setNan,
  setZero,
} from "./float80.ts";
import { divide128 } from "./float80-arith.ts";
import {
  ARCTANGENT_TERMS,
  ARCTANGENT_WIDE,
  ARCTANGENTS,
  ODD_RECIPROCALS,
  TAIL_HIGH,
} from "./float80-tables.ts";
import { divideWide, multiplyWide, roundInexact, series, square } from "./float80-wide.ts";

/** pi/2 and pi with 126 fraction bits. */
const HALF_PI_126_HIGH: u64 = ((<u64>0x6487ed51) << 32) | 0x10b4611a;
const HALF_PI_126_LOW: u64 = ((<u64>0x62633145) << 32) | 0xc06e0e69;
const PI_126_HIGH: u64 = ((<u64>0xc90fdaa2) << 32) | 0x2168c234;
const PI_126_LOW: u64 = ((<u64>0xc4c6628b) << 32) | 0x80dc1cd1;
/** Below 2^-66 nothing of the second term of the series is in the first 128 bits. */
const EXP_TINY = -66;
/** Quotients below 2^-5 are nearest to no sixteenth but 0. */
const EXP_NO_SIXTEENTH = -6;

/**
 * Leaves the inverse tangent of n / d * 2^exp, at most 1/32, in FX_SIG:FX_LOW, perhaps not quite normalized; both operands are.
 * @returns its exponent (unbiased).
 */
function smallAngle(v: usize, nHigh: u64, nLow: u64, dHigh: u64, dLow: u64, exp: i32): i32 {
  if (nHigh > dHigh || (nHigh == dHigh && nLow >= dLow)) {
    nLow = (nLow >> 1) | (nHigh << 63);
    nHigh >>= 1;
  } else exp--;
  let hi = divideWide(v, nHigh, nLow, dHigh, dLow);
  let lo = Fx.low(v);
  const z = square(v, hi, lo, exp);
  const deficit = series(
    v,
    ODD_RECIPROCALS,
    ARCTANGENT_TERMS,
    ARCTANGENT_WIDE,
    TAIL_HIGH,
    z,
    Fx.low(v),
    true,
  );
  const lessHigh = multiplyWide(v, hi, lo, deficit, Fx.low(v));
  // However small the quotient is, its angle is smaller.
  const lessLow = Fx.low(v) | 1;
  hi -= lessHigh + u64(lo < lessLow);
  lo -= lessLow;
  Fx.set(v, hi, 0);
  Fx.setLow(v, lo);
  return exp;
}

/**
 * Leaves the inverse tangent of t = num / den * 2^exp <= 1 with 126 fraction bits in FX_SIG:FX_LOW, for exp > -6. With the nearest
 * sixteenth c = k/16: atan t = atan c + atan((t - c) / (1 + t c)), where both sides of that fraction are taken times 16 den.
 */
function angleFromTable(v: usize, num: u64, den: u64, exp: i32): void {
  const down = -exp;
  const k = ((((num >> 32) << 4) >> down) + (den >> 33)) / (den >> 32);
  const factor = k << down;
  const takenLow = den * factor;
  let nLow = num << 4;
  let nHigh = num >> 60;
  const takenHigh = Fx.mulHigh(den, factor);
  const isBelow = nHigh < takenHigh || (nHigh == takenHigh && nLow < takenLow);
  nHigh -= takenHigh + u64(nLow < takenLow);
  nLow -= takenLow;
  if (isBelow) {
    nHigh = 0 - nHigh - u64(nLow != 0);
    nLow = 0 - nLow;
  }
  let dLow = den << (4 + down);
  let dHigh = den >> (60 - down);
  const more = k * num;
  dLow += more;
  dHigh += Fx.mulHigh(k, num) + u64(dLow < more);
  let angleHigh: u64 = 0;
  let angleLow: u64 = 0;
  if (k != 0) {
    const entry = ARCTANGENTS + ((<usize>k - 1) << 4);
    angleLow = load<u64>(entry);
    angleHigh = load<u64>(entry, 8);
  }
  if ((nHigh | nLow) != 0) {
    const dZeros = <i32>clz(dHigh);
    dHigh = (dHigh << dZeros) | (dLow >> (64 - dZeros));
    dLow <<= dZeros;
    let e = dZeros;
    if (nHigh == 0) {
      nHigh = nLow;
      nLow = 0;
      e -= 64;
    }
    const nZeros = <i32>clz(nHigh);
    if (nZeros != 0) nHigh = (nHigh << nZeros) | (nLow >> (64 - nZeros));
    nLow <<= nZeros;
    e = smallAngle(v, nHigh, nLow, dHigh, dLow, e - nZeros);
    const high = Fx.shiftHigh(Fx.sig(v), 1 - e);
    const low = Fx.shiftLow(Fx.sig(v), Fx.low(v), 1 - e);
    if (isBelow) {
      angleHigh -= high + u64(angleLow < low);
      angleLow -= low;
    } else {
      angleLow += low;
      angleHigh += high + u64(angleLow < low);
    }
  }
  Fx.set(v, angleHigh, 0);
  Fx.setLow(v, angleLow);
}

/** Forms the angle whose tangent is num / den * 2^exp, so small that it is the quotient but for a little less. */
function setTinyAngle(v: usize, sign: u32, num: u64, den: u64, exp: i32): void {
  let hi: u64;
  if (num < den) {
    hi = divide128(v, num, 0, den);
    exp--;
  } else hi = divide128(v, num >> 1, num << 63, den);
  let lo = divide128(v, Fx.low(v), 0, den);
  if (Fx.low(v) == 0) {
    hi -= u64(lo == 0);
    lo--;
  }
  roundInexact(v, sign, exp + EXP_BIAS, hi, lo);
}

/** Forms the angle whose tangent is y / x, for finite numbers that are not zero. */
function angleOf(v: usize, ySign: u32, yExp: i32, y: u64, xSign: u32, xExp: i32, x: u64): void {
  const isSteep = yExp > xExp || (yExp == xExp && y > x);
  const num = isSteep ? x : y;
  const den = isSteep ? y : x;
  let exp = isSteep ? xExp - yExp : yExp - xExp;
  const isPlain = !isSteep && xSign == 0;
  if (isPlain && exp < EXP_TINY) {
    setTinyAngle(v, ySign, num, den, exp);
    return;
  }
  if (exp > EXP_NO_SIXTEENTH) angleFromTable(v, num, den, exp);
  else {
    exp = smallAngle(v, num, 0, den, 0, exp);
    if (isPlain) {
      roundInexact(v, ySign, exp + EXP_BIAS, Fx.sig(v), Fx.low(v));
      return;
    }
    const small = Fx.sig(v);
    Fx.setLow(v, Fx.shiftLow(small, Fx.low(v), 1 - exp));
    Fx.set(v, Fx.shiftHigh(small, 1 - exp), 0);
  }
  let hi = Fx.sig(v);
  let lo = Fx.low(v);
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
