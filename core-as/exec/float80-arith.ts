/**
 * Addition, multiplication, division, square root and comparison of 80-bit numbers, each with a short way for normal operands.
 * Results and exceptions are left in VCPU_FX_*, see float80.ts. Source: SDM 1, "x87 FPU Floating-Point Exception Conditions".
 */
import { VCPU_FCW } from "../../abi/vcpu.ts";
import { FCW_RC, FCW_RC_DOWN, FSW_C0, FSW_C2, FSW_C3, FSW_IE, FSW_ZE } from "../../abi/x87.ts";
import {
  CLASS_INFINITY,
  CLASS_QNAN,
  CLASS_SNAN,
  CLASS_UNSUPPORTED,
  CLASS_ZERO,
  classify,
  EXP_BIAS,
  EXP_SPECIAL,
  Fx,
  noteDenormal,
  round,
  SE_SIGN,
  SIG_J,
  SIG_MAX,
  setInfinity,
  setInvalid,
  setNan,
  setNanOf,
  setZero,
} from "./float80.ts";

/** |a| + |b| with aExp >= bExp. */
function addMagnitudes(v: usize, sign: u32, aExp: i32, aSig: u64, bExp: i32, bSig: u64): void {
  const n = aExp - bExp;
  let lo = Fx.shiftLow(bSig, 0, n);
  let hi = aSig + Fx.shiftHigh(bSig, n);
  if (hi < aSig) {
    lo = (hi << 63) | (lo >> 1) | (lo & 1);
    hi = (hi >> 1) | SIG_J;
    aExp++;
  }
  round(v, sign, aExp, hi, lo);
}

/** |a| - |b| with |a| > |b|. */
function subtractMagnitudes(v: usize, sign: u32, aExp: i32, aSig: u64, bExp: i32, bSig: u64): void {
  const n = aExp - bExp;
  const bLow = Fx.shiftLow(bSig, 0, n);
  let lo: u64 = 0 - bLow;
  let hi = aSig - Fx.shiftHigh(bSig, n) - u64(bLow != 0);
  if (hi == 0) {
    hi = lo;
    lo = 0;
    aExp -= 64;
  }
  const zeros = <i32>clz(hi);
  if (zeros != 0) {
    hi = (hi << zeros) | (lo >> (64 - zeros));
    lo <<= zeros;
    aExp -= zeros;
  }
  round(v, sign, aExp, hi, lo);
}

/** Sum of two finite unpacked numbers that are not both zero. */
function addFinite(
  v: usize,
  aSign: u32,
  aExp: i32,
  aSig: u64,
  bSign: u32,
  bExp: i32,
  bSig: u64,
): void {
  if (aSign == bSign) {
    if (aExp >= bExp) addMagnitudes(v, aSign, aExp, aSig, bExp, bSig);
    else addMagnitudes(v, aSign, bExp, bSig, aExp, aSig);
  } else if (aExp > bExp || (aExp == bExp && aSig > bSig)) {
    subtractMagnitudes(v, aSign, aExp, aSig, bExp, bSig);
  } else if (aExp != bExp || aSig != bSig) {
    subtractMagnitudes(v, bSign, bExp, bSig, aExp, aSig);
  } else {
    setZero(v, (load<u32>(v, VCPU_FCW) & FCW_RC) == FCW_RC_DOWN ? SE_SIGN : 0);
  }
}

/** a + b, or a - b with `flip` SE_SIGN instead of 0. */
export function add(v: usize, aSig: u64, aSe: u32, bSig: u64, bSe: u32, flip: u32): void {
  const aSign = aSe & SE_SIGN;
  const bSign = (bSe & SE_SIGN) ^ flip;
  if (Fx.isNormal(aSig, aSe) && Fx.isNormal(bSig, bSe)) {
    addFinite(v, aSign, aSe & EXP_SPECIAL, aSig, bSign, bSe & EXP_SPECIAL, bSig);
    return;
  }
  const ka = classify(aSig, aSe);
  const kb = classify(bSig, bSe);
  if (ka >= CLASS_QNAN || kb >= CLASS_QNAN) {
    setNan(v, aSig, aSe, ka, bSig, bSe, kb);
    return;
  }
  if (ka == CLASS_INFINITY && kb == CLASS_INFINITY && aSign != bSign) {
    setInvalid(v);
    return;
  }
  noteDenormal(v, ka, kb);
  if (ka == CLASS_INFINITY) setInfinity(v, aSign);
  else if (kb == CLASS_INFINITY) setInfinity(v, bSign);
  else if (ka == CLASS_ZERO && kb == CLASS_ZERO) {
    if (aSign == bSign) setZero(v, aSign);
    else setZero(v, (load<u32>(v, VCPU_FCW) & FCW_RC) == FCW_RC_DOWN ? SE_SIGN : 0);
  } else if (kb == CLASS_ZERO) {
    round(v, aSign, Fx.exponent(aSig, aSe), Fx.significand(aSig), 0);
  } else if (ka == CLASS_ZERO) {
    round(v, bSign, Fx.exponent(bSig, bSe), Fx.significand(bSig), 0);
  } else {
    addFinite(
      v,
      aSign,
      Fx.exponent(aSig, aSe),
      Fx.significand(aSig),
      bSign,
      Fx.exponent(bSig, bSe),
      Fx.significand(bSig),
    );
  }
}

function multiplyFinite(v: usize, sign: u32, exp: i32, aSig: u64, bSig: u64): void {
  let hi = Fx.mulHigh(aSig, bSig);
  let lo = aSig * bSig;
  if ((hi & SIG_J) == 0) {
    hi = (hi << 1) | (lo >> 63);
    lo <<= 1;
    exp--;
  }
  round(v, sign, exp, hi, lo);
}

/** a * b. */
export function multiply(v: usize, aSig: u64, aSe: u32, bSig: u64, bSe: u32): void {
  const sign = (aSe ^ bSe) & SE_SIGN;
  if (Fx.isNormal(aSig, aSe) && Fx.isNormal(bSig, bSe)) {
    const exp = <i32>((aSe & EXP_SPECIAL) + (bSe & EXP_SPECIAL)) - (EXP_BIAS - 1);
    multiplyFinite(v, sign, exp, aSig, bSig);
    return;
  }
  const ka = classify(aSig, aSe);
  const kb = classify(bSig, bSe);
  if (ka >= CLASS_QNAN || kb >= CLASS_QNAN) {
    setNan(v, aSig, aSe, ka, bSig, bSe, kb);
    return;
  }
  const anyInfinity = ka == CLASS_INFINITY || kb == CLASS_INFINITY;
  const anyZero = ka == CLASS_ZERO || kb == CLASS_ZERO;
  if (anyInfinity && anyZero) {
    setInvalid(v);
    return;
  }
  noteDenormal(v, ka, kb);
  if (anyInfinity) setInfinity(v, sign);
  else if (anyZero) setZero(v, sign);
  else {
    const exp = Fx.exponent(aSig, aSe) + Fx.exponent(bSig, bSe) - (EXP_BIAS - 1);
    multiplyFinite(v, sign, exp, Fx.significand(aSig), Fx.significand(bSig));
  }
}

/** @returns hi:lo / d, where d has bit 63 set and hi < d. The remainder is left in FX_LOW. */
export function divide128(v: usize, hi: u64, lo: u64, d: u64): u64 {
  const mask: u64 = 0xffffffff;
  const dHigh = d >> 32;
  const dLow = d & mask;
  let q1 = hi / dHigh;
  let r = hi - q1 * dHigh;
  while (q1 > mask || q1 * dLow > ((r << 32) | (lo >> 32))) {
    q1--;
    r += dHigh;
    if (r > mask) break;
  }
  const middle = ((hi << 32) | (lo >> 32)) - q1 * d;
  let q0 = middle / dHigh;
  r = middle - q0 * dHigh;
  while (q0 > mask || q0 * dLow > ((r << 32) | (lo & mask))) {
    q0--;
    r += dHigh;
    if (r > mask) break;
  }
  Fx.setLow(v, ((middle << 32) | (lo & mask)) - q0 * d);
  return (q1 << 32) + q0;
}

function divideFinite(v: usize, sign: u32, exp: i32, aSig: u64, bSig: u64): void {
  let q: u64;
  if (aSig < bSig) {
    exp--;
    q = divide128(v, aSig, 0, bSig);
  } else {
    q = divide128(v, aSig >> 1, aSig << 63, bSig);
  }
  const rest = Fx.low(v);
  // What follows the quotient, as far as rounding cares: nothing, less than, exactly, or more than half.
  let lo: u64 = 0;
  if (rest != 0) {
    const missing = bSig - rest;
    lo = rest > missing ? SIG_J | 1 : rest == missing ? SIG_J : 1;
  }
  round(v, sign, exp, q, lo);
}

/** a / b. */
export function divide(v: usize, aSig: u64, aSe: u32, bSig: u64, bSe: u32): void {
  const sign = (aSe ^ bSe) & SE_SIGN;
  if (Fx.isNormal(aSig, aSe) && Fx.isNormal(bSig, bSe)) {
    const exp = <i32>(aSe & EXP_SPECIAL) - <i32>(bSe & EXP_SPECIAL) + EXP_BIAS;
    divideFinite(v, sign, exp, aSig, bSig);
    return;
  }
  const ka = classify(aSig, aSe);
  const kb = classify(bSig, bSe);
  if (ka >= CLASS_QNAN || kb >= CLASS_QNAN) {
    setNan(v, aSig, aSe, ka, bSig, bSe, kb);
    return;
  }
  if ((ka == CLASS_INFINITY || ka == CLASS_ZERO) && ka == kb) {
    setInvalid(v);
    return;
  }
  if (kb == CLASS_ZERO && ka != CLASS_INFINITY) {
    // A denormal dividend goes unreported, even one that was widened.
    Fx.setFlags(v, FSW_ZE);
    setInfinity(v, sign);
    return;
  }
  noteDenormal(v, ka, kb);
  if (ka == CLASS_INFINITY) setInfinity(v, sign);
  else if (ka == CLASS_ZERO || kb == CLASS_INFINITY) setZero(v, sign);
  else {
    const exp = Fx.exponent(aSig, aSe) - Fx.exponent(bSig, bSe) + EXP_BIAS;
    divideFinite(v, sign, exp, Fx.significand(aSig), Fx.significand(bSig));
  }
}

/** Square root of a positive unpacked number. */
function sqrtFinite(v: usize, exp: i32, sig: u64): void {
  // The radicand as a 128-bit integer whose root is the 64-bit significand, whatever the parity of the exponent.
  const power = exp - EXP_BIAS;
  const isOdd = (power & 1) != 0;
  const hi = isOdd ? sig : sig >> 1;
  const lo: u64 = isOdd ? 0 : sig << 63;
  let root = SIG_MAX;
  if (hi != SIG_MAX) {
    // 53 bits from the f64 instruction (exactly defined by IEEE 754), the rest from one step of Newton's method.
    const guess = <u64>(sqrt<f64>(<f64>hi) * 4294967296.0);
    if (guess > hi) root = guess;
    const quotient = divide128(v, hi, lo, root);
    root = (root >> 1) + (quotient >> 1) + (root & quotient & 1);
  }
  let restLow = lo - root * root;
  let restHigh = hi - Fx.mulHigh(root, root) - u64(root * root > lo);
  while (<i64>restHigh < 0) {
    // (r - 1)^2 = r^2 - (2r - 1)
    root--;
    const step = (root << 1) + 1;
    restLow += step;
    restHigh += (root >> 63) + u64(restLow < step);
  }
  while (restHigh > root >> 63 || (restHigh == root >> 63 && restLow > root << 1)) {
    const step = (root << 1) + 1;
    restHigh -= (root >> 63) + u64(restLow < step);
    restLow -= step;
    root++;
  }
  let rest: u64 = 0;
  if (restHigh != 0 || restLow > root) rest = SIG_J | 1;
  else if (restLow != 0) rest = 1;
  round(v, 0, (power >> 1) + EXP_BIAS, root, rest);
}

/** Square root of a. */
export function squareRoot(v: usize, aSig: u64, aSe: u32): void {
  const ka = classify(aSig, aSe);
  if (ka >= CLASS_QNAN) setNanOf(v, aSig, aSe);
  else if (ka == CLASS_ZERO) setZero(v, aSe);
  else if ((aSe & SE_SIGN) != 0) setInvalid(v);
  else if (ka == CLASS_INFINITY) setInfinity(v, 0);
  else {
    noteDenormal(v, ka, ka);
    sqrtFinite(v, Fx.exponent(aSig, aSe), Fx.significand(aSig));
  }
}

/**
 * Compares a with b. @returns condition codes: 0 for a > b, FSW_C0 for a < b, FSW_C3 for equal, all three for unordered.
 * A quiet NaN is an invalid operation unless `quiet`; other NaNs and unsupported encodings always are.
 */
export function compare(v: usize, aSig: u64, aSe: u32, bSig: u64, bSe: u32, quiet: bool): u32 {
  if (Fx.isNormal(aSig, aSe) && Fx.isNormal(bSig, bSe)) return order(aSig, aSe, bSig, bSe);
  const ka = classify(aSig, aSe);
  const kb = classify(bSig, bSe);
  if (ka >= CLASS_QNAN || kb >= CLASS_QNAN) {
    const invalid = !quiet || ka >= CLASS_SNAN || kb >= CLASS_SNAN;
    Fx.setFlags(v, invalid ? FSW_IE : 0);
    return FSW_C0 | FSW_C2 | FSW_C3;
  }
  noteDenormal(v, ka, kb);
  if (ka == CLASS_ZERO && kb == CLASS_ZERO) return FSW_C3;
  return order(aSig, aSe, bSig, bSe);
}

/** compare() for numbers that are not both zero. */
function order(aSig: u64, aSe: u32, bSig: u64, bSe: u32): u32 {
  const isNegative = (aSe & SE_SIGN) != 0;
  if (isNegative != ((bSe & SE_SIGN) != 0)) return isNegative ? FSW_C0 : 0;
  // A pseudo-denormal has the exponent of the smallest normal numbers.
  const aExp = max<u32>(aSe & EXP_SPECIAL, u32(aSig != 0));
  const bExp = max<u32>(bSe & EXP_SPECIAL, u32(bSig != 0));
  if (aExp == bExp && aSig == bSig) return FSW_C3;
  const isLess = aExp < bExp || (aExp == bExp && aSig < bSig);
  return isLess != isNegative ? FSW_C0 : 0;
}

/** @returns what FXAM reports for a register that is not empty (C1, the sign, excepted). */
export function examine(sig: u64, se: u32): u32 {
  const kind = classify(sig, se);
  if (kind == CLASS_UNSUPPORTED) return 0;
  if (kind >= CLASS_QNAN) return FSW_C0;
  if (kind == CLASS_INFINITY) return FSW_C2 | FSW_C0;
  if (kind == CLASS_ZERO) return FSW_C3;
  return (se & EXP_SPECIAL) == 0 ? FSW_C3 | FSW_C2 : FSW_C2;
}
