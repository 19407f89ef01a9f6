/**
 * The 80-bit format: classes of operands, NaN propagation, and the one place where results are rounded.
 *
 * A number travels as (sig: u64, se: u32): the significand with its explicit integer bit, and the sign (bit 15) over the biased
 * exponent. An *unpacked* number is a sign (0 or 0x8000), an exponent of any size, and a significand with bit 63 set; a second
 * word below it holds what rounding needs to know. Results and exceptions are left in the scratch words VCPU_FX_*: a function
 * here never touches a register. Sources: SDM 1, "x87 FPU Floating-Point Exception Conditions" and "Operating on NaNs".
 */
import { VCPU_FCW, VCPU_FX_FLAGS, VCPU_FX_LOW, VCPU_FX_SE, VCPU_FX_SIG } from "../../abi/vcpu.ts";
import {
  FCW_PC,
  FCW_PC_DOUBLE,
  FCW_PC_EXTENDED,
  FCW_PC_SINGLE,
  FCW_RC,
  FCW_RC_DOWN,
  FCW_RC_NEAREST,
  FCW_RC_UP,
  FSW_C1,
  FSW_DE,
  FSW_IE,
  FSW_OE,
  FSW_PE,
  FSW_UE,
} from "../../abi/x87.ts";

/** The explicit integer bit. */
export const SIG_J: u64 = 0x8000000000000000;
/** Set in a quiet NaN. */
export const SIG_QUIET: u64 = 0x4000000000000000;
export const SIG_MAX: u64 = ~(<u64>0);
export const EXP_BIAS = 0x3fff;
export const EXP_SPECIAL = 0x7fff;
export const EXP_LARGEST = 0x7ffe;
export const SE_SIGN = 0x8000;
/** The default NaN ("real indefinite") is this over SIG_J | SIG_QUIET. */
export const SE_INDEFINITE = 0xffff;
/** What an unmasked overflow or underflow takes off or adds to the exponent of a register result. */
const BIAS_ADJUST = 0x6000;

/** Classes of operands. The order matters: DENORMAL and below are finite, QNAN and above have no value. */
export const CLASS_ZERO: u32 = 0;
export const CLASS_NORMAL: u32 = 1;
export const CLASS_DENORMAL: u32 = 2;
export const CLASS_INFINITY: u32 = 3;
export const CLASS_QNAN: u32 = 4;
export const CLASS_SNAN: u32 = 5;
export const CLASS_UNSUPPORTED: u32 = 6;

/** @returns the class of an operand; pseudo-denormals count as denormals. */
export function classify(sig: u64, se: u32): u32 {
  const exp = se & EXP_SPECIAL;
  if (exp == 0) return sig == 0 ? CLASS_ZERO : CLASS_DENORMAL;
  if ((sig & SIG_J) == 0) return CLASS_UNSUPPORTED;
  if (exp != EXP_SPECIAL) return CLASS_NORMAL;
  if (sig == SIG_J) return CLASS_INFINITY;
  return (sig & SIG_QUIET) != 0 ? CLASS_QNAN : CLASS_SNAN;
}

/** Access to the result being formed. */
export class Fx {
  @inline static sig(v: usize): u64 {
    return load<u64>(v, VCPU_FX_SIG);
  }
  @inline static se(v: usize): u32 {
    return load<u32>(v, VCPU_FX_SE);
  }
  @inline static low(v: usize): u64 {
    return load<u64>(v, VCPU_FX_LOW);
  }
  @inline static flags(v: usize): u32 {
    return load<u32>(v, VCPU_FX_FLAGS);
  }
  @inline static set(v: usize, sig: u64, se: u32): void {
    store<u64>(v, sig, VCPU_FX_SIG);
    store<u32>(v, se, VCPU_FX_SE);
  }
  @inline static setLow(v: usize, low: u64): void {
    store<u64>(v, low, VCPU_FX_LOW);
  }
  @inline static setFlags(v: usize, flags: u32): void {
    store<u32>(v, flags, VCPU_FX_FLAGS);
  }
  @inline static raise(v: usize, flags: u32): void {
    store<u32>(v, load<u32>(v, VCPU_FX_FLAGS) | flags, VCPU_FX_FLAGS);
  }
  @inline static isNormal(sig: u64, se: u32): bool {
    return (se & EXP_SPECIAL) - 1 < <u32>EXP_LARGEST && (sig & SIG_J) != 0;
  }
  /** Exponent of a finite operand once its significand is normalized. */
  @inline static exponent(sig: u64, se: u32): i32 {
    const exp = <i32>(se & EXP_SPECIAL);
    return exp != 0 ? exp : 1 - <i32>clz(sig);
  }
  /** Significand of a finite operand, normalized; 0 stays 0. */
  @inline static significand(sig: u64): u64 {
    return sig << clz(sig);
  }
  /** High word of hi:0 shifted right by n >= 0. */
  @inline static shiftHigh(hi: u64, n: i32): u64 {
    return n < 64 ? hi >> n : 0;
  }
  /** Low word of hi:lo shifted right by n >= 0, its last bit telling of everything that fell off. */
  @inline static shiftLow(hi: u64, lo: u64, n: i32): u64 {
    if (n == 0) return lo;
    if (n < 64) return (hi << (64 - n)) | (lo >> n) | u64(lo << (64 - n) != 0);
    if (n == 64) return hi | u64(lo != 0);
    if (n < 128) return (hi >> (n - 64)) | u64(hi << (128 - n) != 0 || lo != 0);
    return u64((hi | lo) != 0);
  }
  /** High 64 bits of a * b. */
  @inline static mulHigh(a: u64, b: u64): u64 {
    const a0 = a & 0xffffffff;
    const a1 = a >> 32;
    const b0 = b & 0xffffffff;
    const b1 = b >> 32;
    const mid = a1 * b0 + ((a0 * b0) >> 32);
    return a1 * b1 + (mid >> 32) + (((mid & 0xffffffff) + a0 * b1) >> 32);
  }
}

/** Invalid operation: the result is the default NaN, and no lesser exception is reported. */
export function setInvalid(v: usize): void {
  Fx.set(v, SIG_J | SIG_QUIET, SE_INDEFINITE);
  Fx.setFlags(v, FSW_IE);
}

/** The result for one operand of class QNAN or above. */
export function setNanOf(v: usize, sig: u64, se: u32): void {
  const kind = classify(sig, se);
  if (kind == CLASS_UNSUPPORTED) {
    setInvalid(v);
    return;
  }
  Fx.set(v, sig | SIG_QUIET, se);
  Fx.setFlags(v, kind == CLASS_SNAN ? FSW_IE : 0);
}

/**
 * The result when one of two operands, of classes `ka` and `kb`, is of class QNAN or above: a quiet NaN wins over a signalling
 * one, the larger significand among equals, the positive one among those.
 */
export function setNan(v: usize, aSig: u64, aSe: u32, ka: u32, bSig: u64, bSe: u32, kb: u32): void {
  if (ka == CLASS_UNSUPPORTED || kb == CLASS_UNSUPPORTED) {
    setInvalid(v);
    return;
  }
  Fx.setFlags(v, ka == CLASS_SNAN || kb == CLASS_SNAN ? FSW_IE : 0);
  let useA: bool;
  if (kb < CLASS_QNAN) useA = true;
  else if (ka < CLASS_QNAN) useA = false;
  else if (ka != kb) useA = ka == CLASS_QNAN;
  else if (aSig != bSig) useA = aSig > bSig;
  else useA = aSe < bSe;
  if (useA) Fx.set(v, aSig | SIG_QUIET, aSe);
  else Fx.set(v, bSig | SIG_QUIET, bSe);
}

/** @returns significant bits that the precision control leaves. */
export function precision(fcw: u32): u32 {
  const pc = fcw & FCW_PC;
  if (pc == FCW_PC_SINGLE) return 24;
  return pc == FCW_PC_DOUBLE ? 53 : 64;
}

/** @returns whether rounding hi:lo to `bits` bits moves away from zero. */
export function roundsUp(rc: u32, sign: u32, hi: u64, lo: u64, bits: u32): bool {
  // The last kept bit, what follows it left-aligned, and whether anything follows that.
  let rest = lo;
  let beyond: u64 = 0;
  let odd = hi & 1;
  if (bits < 64) {
    rest = hi << bits;
    beyond = lo;
    odd = (hi >> (64 - bits)) & 1;
  }
  if (rc == FCW_RC_NEAREST) {
    return rest > SIG_J || (rest == SIG_J && (beyond != 0 || odd != 0));
  }
  if ((rest | beyond) == 0) return false;
  return rc == FCW_RC_UP ? sign == 0 : rc == FCW_RC_DOWN ? sign != 0 : false;
}

/**
 * Rounds an unpacked number to `bits` bits with an exponent from `least` to `greatest` and leaves it in FX_SIG and FX_SE, adding
 * to FX_FLAGS. Too small and denormal: FX_SE has exponent `least`, the significand no integer bit. Too large: infinity or the
 * largest number. With the exception unmasked the exponent is adjusted instead (SDM 1, "Numeric Overflow Exception").
 */
export function roundTo(
  v: usize,
  sign: u32,
  exp: i32,
  hi: u64,
  lo: u64,
  bits: u32,
  least: i32,
  greatest: i32,
): void {
  const fcw = load<u32>(v, VCPU_FCW);
  const rc = fcw & FCW_RC;
  const unit: u64 = (<u64>1) << (64 - bits);
  let tiny = false;
  let adjusted = false;
  if (exp < least) {
    // Tiny is judged after rounding as if the exponent had no bounds.
    tiny = exp < least - 1 || hi < SIG_MAX - unit + 1 || !roundsUp(rc, sign, hi, lo, bits);
    if (tiny && (fcw & FSW_UE) == 0) {
      Fx.raise(v, FSW_UE);
      exp += BIAS_ADJUST;
      adjusted = true;
      if (exp < least) {
        // Out of reach even so: FSCALE alone gets here.
        Fx.raise(v, FSW_PE);
        setZero(v, sign);
        return;
      }
    } else {
      lo = Fx.shiftLow(hi, lo, least - exp);
      hi = Fx.shiftHigh(hi, least - exp);
      exp = least;
    }
  }
  const kept = hi & (SIG_MAX - unit + 1);
  let flags: u32 = 0;
  let sig = kept;
  if (kept != hi || lo != 0) {
    flags = FSW_PE;
    if (tiny && (fcw & FSW_UE) != 0) flags |= FSW_UE;
    if (roundsUp(rc, sign, hi, lo, bits)) {
      flags |= FSW_C1;
      sig += unit;
      if (sig == 0) {
        sig = SIG_J;
        exp++;
      }
    }
  }
  if (exp > greatest && !adjusted) {
    flags |= FSW_OE;
    if ((fcw & FSW_OE) == 0) {
      exp -= BIAS_ADJUST;
      if (exp > greatest) {
        Fx.raise(v, flags | FSW_PE | FSW_C1);
        setInfinity(v, sign);
        return;
      }
    } else {
      flags |= FSW_PE;
      const toInfinity = rc == FCW_RC_NEAREST || (sign != 0 ? rc == FCW_RC_DOWN : rc == FCW_RC_UP);
      flags = toInfinity ? flags | FSW_C1 : flags & ~FSW_C1;
      sig = toInfinity ? SIG_J : SIG_MAX - unit + 1;
      exp = toInfinity ? EXP_SPECIAL : greatest;
    }
  }
  Fx.raise(v, flags);
  Fx.set(v, sig, sign | (exp & EXP_SPECIAL));
}

/** Rounds an unpacked number to `bits` bits and packs it as an 80-bit result. */
export function roundToBits(v: usize, sign: u32, exp: i32, hi: u64, lo: u64, bits: u32): void {
  roundTo(v, sign, exp, hi, lo, bits, 1, EXP_LARGEST);
  if ((Fx.sig(v) & SIG_J) == 0) Fx.set(v, Fx.sig(v), sign);
}

/** Rounds an unpacked number as the control word says and packs it: the end of every arithmetic instruction. */
export function round(v: usize, sign: u32, exp: i32, hi: u64, lo: u64): void {
  const fcw = load<u32>(v, VCPU_FCW);
  // The usual case: nearest, extended precision, far from both ends of the range.
  if ((fcw & (FCW_RC | FCW_PC)) == (FCW_RC_NEAREST | FCW_PC_EXTENDED) && <u32>(exp - 1) < 0x7ffd) {
    if (lo != 0) {
      let flags: u32 = FSW_PE;
      if (lo > SIG_J || (lo == SIG_J && (hi & 1) != 0)) {
        flags = FSW_PE | FSW_C1;
        hi++;
        if (hi == 0) {
          hi = SIG_J;
          exp++;
        }
      }
      Fx.raise(v, flags);
    }
    Fx.set(v, hi, sign | exp);
    return;
  }
  roundToBits(v, sign, exp, hi, lo, precision(fcw));
}

/** Adds FSW_DE to the exceptions when a finite operand is denormal. */
export function noteDenormal(v: usize, ka: u32, kb: u32): void {
  if (ka == CLASS_DENORMAL || kb == CLASS_DENORMAL) Fx.raise(v, FSW_DE);
}

/** An infinity or a zero. */
export function setInfinity(v: usize, sign: u32): void {
  Fx.set(v, SIG_J, sign | EXP_SPECIAL);
}
export function setZero(v: usize, sign: u32): void {
  Fx.set(v, 0, sign);
}
