/**
 * IEEE 754 arithmetic in integers, for singles (T = f32) and doubles (T = f64): every rounding mode, denormals as zeroes, results
 * flushed to zero, and the exceptions as SSE reports them. Numbers are bit patterns in a u64. Exceptions gather in VCPU_FX_FLAGS.
 *
 * In between, a number is sign, biased exponent and a significand with its leading bit at 63 and everything lost stuck in bit 0.
 * Source: SDM 1, "SSE, SSE2, and SSE3 Exception Conditions" and "Denormal, NaN" tables of the floating-point chapters.
 */

import {
  MXCSR_DAZ,
  MXCSR_DE,
  MXCSR_FTZ,
  MXCSR_IE,
  MXCSR_MASK_SHIFT,
  MXCSR_OE,
  MXCSR_PE,
  MXCSR_RC_SHIFT,
  MXCSR_UE,
  MXCSR_ZE,
  RC_DOWN,
  RC_NEAREST,
  RC_ZERO,
} from "../../abi/sse.ts";
import { VCPU_FX_FLAGS, VCPU_MXCSR } from "../../abi/vcpu.ts";

/** What a format is made of. */
export class Format {
  @inline static fraction<T>(): u64 {
    return sizeof<T>() == 4 ? 23 : 52;
  }
  /** Exponent of infinities and NaNs. */
  @inline static top<T>(): i32 {
    return sizeof<T>() == 4 ? 0xff : 0x7ff;
  }
  @inline static bias<T>(): i32 {
    return sizeof<T>() == 4 ? 127 : 1023;
  }
  @inline static signBit<T>(): u64 {
    return sizeof<T>() == 4 ? 0x80000000 : (<u64>1) << 63;
  }
  @inline static quietBit<T>(): u64 {
    return (<u64>1) << (Format.fraction<T>() - 1);
  }
  @inline static infinity<T>(): u64 {
    const top: u64 = Format.top<T>();
    return top << Format.fraction<T>();
  }
  @inline static magnitude<T>(x: u64): u64 {
    return x & (Format.signBit<T>() - 1);
  }
  @inline static exponent<T>(x: u64): i32 {
    return <i32>(x >> Format.fraction<T>()) & Format.top<T>();
  }
  @inline static isNan<T>(x: u64): bool {
    return Format.magnitude<T>(x) > Format.infinity<T>();
  }
  @inline static isDenormal<T>(x: u64): bool {
    return Format.magnitude<T>(x) - 1 < ((<u64>1) << Format.fraction<T>()) - 1;
  }
  @inline static isZero<T>(x: u64): bool {
    return Format.magnitude<T>(x) == 0;
  }
  @inline static isInfinite<T>(x: u64): bool {
    return Format.magnitude<T>(x) == Format.infinity<T>();
  }
}

const LEADING: u64 = (<u64>1) << 63;

/** Records exceptions. */
export function note(v: usize, flags: u32): void {
  store<u32>(v, load<u32>(v, VCPU_FX_FLAGS) | flags, VCPU_FX_FLAGS);
}
function noteDenormal<T>(v: usize, x: u64): void {
  if (Format.isDenormal<T>(x)) note(v, MXCSR_DE);
}
export function rounding(v: usize): u32 {
  return (load<u32>(v, VCPU_MXCSR) >>> MXCSR_RC_SHIFT) & 3;
}
function isMasked(v: usize, exception: u32): bool {
  return (load<u32>(v, VCPU_MXCSR) & (exception << MXCSR_MASK_SHIFT)) != 0;
}

/** @returns `x`, a zero of its sign when it is denormal and those are to be zeroes. */
export function operand<T>(v: usize, x: u64): u64 {
  const flushes = (load<u32>(v, VCPU_MXCSR) & MXCSR_DAZ) != 0;
  return flushes && Format.isDenormal<T>(x) ? x & Format.signBit<T>() : x;
}

/** @returns the default NaN, invalid operation noted. */
function invalid<T>(v: usize): u64 {
  note(v, MXCSR_IE);
  return Format.signBit<T>() | Format.infinity<T>() | Format.quietBit<T>();
}
function noteSignaling<T>(v: usize, x: u64): void {
  if (Format.isNan<T>(x) && (x & Format.quietBit<T>()) == 0) note(v, MXCSR_IE);
}
/** @returns the NaN that results when one of them is one: the first operand's if it is. */
function propagate<T>(v: usize, a: u64, b: u64): u64 {
  noteSignaling<T>(v, a);
  noteSignaling<T>(v, b);
  return (Format.isNan<T>(a) ? a : b) | Format.quietBit<T>();
}

/** @returns `sig` shifted right by `n` >= 0, what falls out stuck in bit 0. */
function shiftSticky(sig: u64, n: i32): u64 {
  if (n == 0) return sig;
  if (n > 63) return sig != 0 ? 1 : 0;
  return (sig >> n) | (sig << (64 - n) != 0 ? 1 : 0);
}

/** Significand of a number that is neither zero nor special, leading bit at 63. */
function significand<T>(x: u64): u64 {
  const fraction = x & (((<u64>1) << Format.fraction<T>()) - 1);
  if (Format.exponent<T>(x) == 0) return fraction << clz(fraction);
  return LEADING | (fraction << (63 - Format.fraction<T>()));
}
/** Its biased exponent, below 1 for denormals. */
function scale<T>(x: u64): i32 {
  const exponent = Format.exponent<T>(x);
  if (exponent != 0) return exponent;
  return 64 - <i32>Format.fraction<T>() - <i32>clz(Format.magnitude<T>(x));
}

/** @returns whether to round away from zero, by what lies below the last place. */
function roundsUp(rc: u32, isNegative: bool, isOdd: bool, below: u64, half: u64): bool {
  if (rc == RC_NEAREST) return below > half || (below == half && isOdd);
  if (rc == RC_ZERO || below == 0) return false;
  return isNegative == (rc == RC_DOWN);
}

/**
 * Rounds to the format. @param sign the sign bit in its place @param exponent biased @param sig not 0, leading bit at 63
 * @returns the number; exceptions noted. Tininess is found after rounding.
 */
export function pack<T>(v: usize, sign: u64, exponent: i32, sig: u64): u64 {
  const rc = rounding(v);
  const drop = 63 - Format.fraction<T>();
  const half = (<u64>1) << (drop - 1);
  const below = sig & ((half << 1) - 1);
  const whole = sig >> drop;
  const up = roundsUp(rc, sign != 0, (whole & 1) != 0, below, half);
  // The leading bit of `whole` adds one to the exponent field, and a carry out of it one more.
  const rounded = whole + (up ? 1 : 0);
  const carries = rounded >> (Format.fraction<T>() + 1) != 0;
  const final = exponent + (carries ? 1 : 0);
  if (final < 1) return packTiny<T>(v, sign, exponent, sig);
  if (final >= Format.top<T>()) return overflow<T>(v, sign, rc, below != 0);
  if (below != 0) note(v, MXCSR_PE);
  return sign | (((<u64>(exponent - 1)) << Format.fraction<T>()) + rounded);
}

function overflow<T>(v: usize, sign: u64, rc: u32, isInexact: bool): u64 {
  // The handler gets the result with its true exponent, which may be exact.
  note(v, isInexact || isMasked(v, MXCSR_OE) ? MXCSR_OE | MXCSR_PE : MXCSR_OE);
  const toInfinity = rc == RC_NEAREST || (rc != RC_ZERO && (sign != 0) == (rc == RC_DOWN));
  return sign | (Format.infinity<T>() - (toInfinity ? 0 : 1));
}

function packTiny<T>(v: usize, sign: u64, exponent: i32, sig: u64): u64 {
  const isUnderflowMasked = isMasked(v, MXCSR_UE);
  if (isUnderflowMasked && (load<u32>(v, VCPU_MXCSR) & MXCSR_FTZ) != 0) {
    note(v, MXCSR_UE | MXCSR_PE);
    return sign;
  }
  const drop = 63 - Format.fraction<T>();
  const half = (<u64>1) << (drop - 1);
  const shifted = shiftSticky(sig, 1 - exponent);
  const below = shifted & ((half << 1) - 1);
  const whole = shifted >> drop;
  const up = roundsUp(rounding(v), sign != 0, (whole & 1) != 0, below, half);
  if (!isUnderflowMasked) {
    // The handler gets the result with its true exponent, which may be exact where the denormal is not.
    note(v, (sig & ((half << 1) - 1)) != 0 ? MXCSR_UE | MXCSR_PE : MXCSR_UE);
  } else if (below != 0) note(v, MXCSR_UE | MXCSR_PE);
  return sign | (whole + (up ? 1 : 0));
}

/** @returns a + b, or a - b when `negates`. */
export function add<T>(v: usize, a: u64, second: u64, negates: bool): u64 {
  if (Format.isNan<T>(a) || Format.isNan<T>(second)) return propagate<T>(v, a, second);
  const signBit = Format.signBit<T>();
  const b = negates ? second ^ signBit : second;
  const signA = a & signBit;
  const signB = b & signBit;
  if (Format.isInfinite<T>(a) && Format.isInfinite<T>(b) && signA != signB) return invalid<T>(v);
  noteDenormal<T>(v, a);
  noteDenormal<T>(v, b);
  if (Format.isInfinite<T>(a)) return a;
  if (Format.isInfinite<T>(b)) return b;
  const zero: u64 = rounding(v) == RC_DOWN ? signBit : 0;
  if (Format.isZero<T>(a)) {
    if (Format.isZero<T>(b)) return signA == signB ? a : zero;
    return pack<T>(v, signB, scale<T>(b), significand<T>(b));
  }
  if (Format.isZero<T>(b)) return pack<T>(v, signA, scale<T>(a), significand<T>(a));
  const isSwapped = Format.magnitude<T>(a) < Format.magnitude<T>(b);
  const large = isSwapped ? b : a;
  const small = isSwapped ? a : b;
  const exponent = scale<T>(large);
  const sigLarge = significand<T>(large) >> 1;
  const sigSmall = shiftSticky(significand<T>(small) >> 1, exponent - scale<T>(small));
  const sum = signA == signB ? sigLarge + sigSmall : sigLarge - sigSmall;
  if (sum == 0) return zero;
  const shift = <i32>clz(sum);
  return pack<T>(v, large & signBit, exponent + 1 - shift, sum << shift);
}

/** @returns upper half of the 128-bit product, what is below stuck in bit 0. The leading bit is at 62 or 63. */
function multiplySticky(a: u64, b: u64): u64 {
  const aLow = a & 0xffffffff;
  const bLow = b & 0xffffffff;
  const aHigh = a >> 32;
  const bHigh = b >> 32;
  const low = aLow * bLow;
  const middle = aHigh * bLow + (low >> 32);
  const cross = aLow * bHigh + (middle & 0xffffffff);
  const high = aHigh * bHigh + (middle >> 32) + (cross >> 32);
  return high | (((cross << 32) | (low & 0xffffffff)) != 0 ? 1 : 0);
}

/** @returns a * b. */
export function multiply<T>(v: usize, a: u64, b: u64): u64 {
  if (Format.isNan<T>(a) || Format.isNan<T>(b)) return propagate<T>(v, a, b);
  const sign = (a ^ b) & Format.signBit<T>();
  const isInfinite = Format.isInfinite<T>(a) || Format.isInfinite<T>(b);
  const isZero = Format.isZero<T>(a) || Format.isZero<T>(b);
  if (isInfinite && isZero) return invalid<T>(v);
  noteDenormal<T>(v, a);
  noteDenormal<T>(v, b);
  if (isInfinite) return sign | Format.infinity<T>();
  if (isZero) return sign;
  // At most 106 bits are significant: shifting a zero in below the sticky bit loses nothing.
  const product = multiplySticky(significand<T>(a), significand<T>(b));
  const shift = <i32>clz(product);
  const exponent = scale<T>(a) + scale<T>(b) - Format.bias<T>() + 1 - shift;
  return pack<T>(v, sign, exponent, product << shift);
}

/** Quotient bits gained by one step of the division. */
const QUOTIENT_STEP: u64 = 11;

/** @returns a / b. */
export function divide<T>(v: usize, a: u64, b: u64): u64 {
  if (Format.isNan<T>(a) || Format.isNan<T>(b)) return propagate<T>(v, a, b);
  const sign = (a ^ b) & Format.signBit<T>();
  const areInfinite = Format.isInfinite<T>(a) && Format.isInfinite<T>(b);
  if (areInfinite || (Format.isZero<T>(a) && Format.isZero<T>(b))) return invalid<T>(v);
  if (Format.isZero<T>(b) && !Format.isInfinite<T>(a)) {
    note(v, MXCSR_ZE);
    return sign | Format.infinity<T>();
  }
  noteDenormal<T>(v, a);
  noteDenormal<T>(v, b);
  if (Format.isInfinite<T>(a)) return sign | Format.infinity<T>();
  if (Format.isInfinite<T>(b) || Format.isZero<T>(a)) return sign;
  let exponent = scale<T>(a) - scale<T>(b) + Format.bias<T>();
  const divisor = significand<T>(b) >> QUOTIENT_STEP;
  let rest = significand<T>(a) >> QUOTIENT_STEP;
  if (rest < divisor) {
    rest <<= 1;
    exponent--;
  }
  let quotient: u64 = 1;
  rest -= divisor;
  for (let i = 0; i < 5; i++) {
    rest <<= QUOTIENT_STEP;
    quotient = (quotient << QUOTIENT_STEP) | (rest / divisor);
    rest %= divisor;
  }
  // 56 bits.
  return pack<T>(v, sign, exponent, (quotient << 8) | (rest != 0 ? 1 : 0));
}

/** @returns the square root. */
export function squareRoot<T>(v: usize, x: u64): u64 {
  if (Format.isNan<T>(x)) return propagate<T>(v, x, x);
  if (Format.isZero<T>(x)) return x;
  if (x & Format.signBit<T>()) return invalid<T>(v);
  noteDenormal<T>(v, x);
  if (Format.isInfinite<T>(x)) return x;
  let exponent = scale<T>(x) - Format.bias<T>();
  // 53 bits, or 54 to make the exponent even.
  let radicand = significand<T>(x) >> 11;
  if (exponent & 1) {
    radicand <<= 1;
    exponent--;
  }
  let root: u64 = 0;
  let rest: u64 = 0;
  for (let i = 0; i < 56; i++) {
    const pair: u64 = i < 27 ? (radicand >> (2 * (26 - i))) & 3 : 0;
    rest = (rest << 2) | pair;
    const trial = (root << 2) | 1;
    root <<= 1;
    if (rest >= trial) {
      rest -= trial;
      root |= 1;
    }
  }
  return pack<T>(v, 0, (exponent >> 1) + Format.bias<T>(), (root << 8) | (rest != 0 ? 1 : 0));
}

/** Relations, as bits. */
export const IS_EQUAL: u32 = 1;
export const IS_LESS: u32 = 2;
export const IS_GREATER: u32 = 4;
export const IS_UNORDERED: u32 = 8;

/** @returns how `a` relates to `b`; quiet NaNs are invalid too when `signals`. */
export function relation<T>(v: usize, a: u64, b: u64, signals: bool): u32 {
  if (Format.isNan<T>(a) || Format.isNan<T>(b)) {
    noteSignaling<T>(v, a);
    noteSignaling<T>(v, b);
    if (signals) note(v, MXCSR_IE);
    return IS_UNORDERED;
  }
  noteDenormal<T>(v, a);
  noteDenormal<T>(v, b);
  if (a == b || (Format.isZero<T>(a) && Format.isZero<T>(b))) return IS_EQUAL;
  const isNegative = (a & Format.signBit<T>()) != 0;
  if (((a ^ b) & Format.signBit<T>()) != 0) return isNegative ? IS_LESS : IS_GREATER;
  return isNegative == a > b ? IS_LESS : IS_GREATER;
}

/** @returns `from` in the other format. */
export function convert<From, To>(v: usize, from: u64): u64 {
  const sign: u64 = from & Format.signBit<From>() ? Format.signBit<To>() : 0;
  if (Format.isNan<From>(from)) {
    noteSignaling<From>(v, from);
    const payload = from & (((<u64>1) << Format.fraction<From>()) - 1);
    const moved = sizeof<From>() == 4 ? payload << 29 : payload >> 29;
    return sign | Format.infinity<To>() | Format.quietBit<To>() | moved;
  }
  if (Format.isInfinite<From>(from)) return sign | Format.infinity<To>();
  if (Format.isZero<From>(from)) return sign;
  noteDenormal<From>(v, from);
  const exponent = scale<From>(from) - Format.bias<From>() + Format.bias<To>();
  return pack<To>(v, sign, exponent, significand<From>(from));
}

/** @returns the number with the value of `x`. */
export function fromInteger<T>(v: usize, x: i32): u64 {
  if (x == 0) return 0;
  const magnitude = <u64>(x < 0 ? -(<i64>x) : <i64>x);
  const shift = <i32>clz(magnitude);
  const sign: u64 = x < 0 ? Format.signBit<T>() : 0;
  return pack<T>(v, sign, Format.bias<T>() + 63 - shift, magnitude << shift);
}

/** @returns the integral number that `x` rounds to by `rc`. Denormal operands are no exception; an inexact result is one when `signals`. */
export function toIntegral<T>(v: usize, x: u64, rc: u32, signals: bool): u64 {
  if (Format.isNan<T>(x)) return propagate<T>(v, x, x);
  const exponent = Format.exponent<T>(x) - Format.bias<T>();
  if (exponent >= <i32>Format.fraction<T>() || Format.isZero<T>(x)) return x;
  const sign = x & Format.signBit<T>();
  // Two bits below the point.
  const fixed = shiftSticky(significand<T>(x), 61 - exponent);
  if ((fixed & 3) == 0) return x;
  if (signals) note(v, MXCSR_PE);
  const up = roundsUp(rc, sign != 0, (fixed & 4) != 0, fixed & 3, 2);
  const magnitude = (fixed >> 2) + (up ? 1 : 0);
  if (magnitude == 0) return sign;
  const shift = <i32>clz(magnitude);
  return pack<T>(v, sign, Format.bias<T>() + 63 - shift, magnitude << shift);
}

/** What a conversion gives for NaNs and numbers out of range. */
const INTEGER_INDEFINITE: u32 = 0x80000000;

/** @returns `x` as a 32-bit integer, rounded as MXCSR says or toward zero. Denormal operands are no exception here. */
export function toInteger<T>(v: usize, x: u64, truncates: bool): u32 {
  if (Format.isZero<T>(x)) return 0;
  const exponent = Format.exponent<T>(x) - Format.bias<T>();
  if (exponent > 31) {
    note(v, MXCSR_IE);
    return INTEGER_INDEFINITE;
  }
  const isNegative = (x & Format.signBit<T>()) != 0;
  // Two bits below the point.
  const fixed = shiftSticky(significand<T>(x), 61 - exponent);
  const rc = truncates ? RC_ZERO : rounding(v);
  const up = roundsUp(rc, isNegative, (fixed & 4) != 0, fixed & 3, 2);
  const magnitude = (fixed >> 2) + (up ? 1 : 0);
  if (magnitude > (isNegative ? 0x80000000 : 0x7fffffff)) {
    note(v, MXCSR_IE);
    return INTEGER_INDEFINITE;
  }
  if ((fixed & 3) != 0) note(v, MXCSR_PE);
  return isNegative ? <u32>-(<i64>magnitude) : <u32>magnitude;
}
