/**
 * The short way of the everyday x87: normal operands, results in range, and the control word that C and Linux programs run with
 * (round to nearest, extended precision, all exceptions masked). Whatever is not that simple returns false, having changed
 * nothing, and goes the full way through float80.ts, which would give the same result.
 */
import { VCPU_FCW, VCPU_FPR, VCPU_FSW } from "../../abi/vcpu.ts";
import { FCW_PC, FCW_PC_EXTENDED, FCW_RC, FSW_C1, FSW_EXCEPTIONS, FSW_PE } from "../../abi/x87.ts";
import { EXP_BIAS, EXP_SPECIAL, Fx, SE_SIGN, SIG_J } from "./float80.ts";
import { divide128 } from "./float80-arith.ts";

/** The bits of the control word that matter, and what they must be. */
const CONTROL_MASK: u32 = FCW_RC | FCW_PC | FSW_EXCEPTIONS;
const CONTROL_USUAL: u32 = FCW_PC_EXTENDED | FSW_EXCEPTIONS;
/** Exponents far enough from both ends for a result that may still grow by one. */
const EXP_ROOM: u32 = 0x7ffd;

class Fast {
  @inline static isUsual(v: usize): bool {
    return (load<u32>(v, VCPU_FCW) & CONTROL_MASK) == CONTROL_USUAL;
  }
  /** Reports in the status word that `rest`, what follows the result, was rounded away, upwards or not. */
  @inline static report(v: usize, rest: u64, isUp: bool): void {
    const flags = (rest != 0 ? FSW_PE : 0) | (isUp ? FSW_C1 : 0);
    store<u32>(v, (load<u32>(v, VCPU_FSW) & ~FSW_C1) | flags, VCPU_FSW);
  }
  /** Rounds hi:lo to nearest and stores it into the slot. */
  @inline static finish(v: usize, slot: u32, sign: u32, exp: i32, hi: u64, lo: u64): bool {
    if (<u32>(exp - 1) >= EXP_ROOM) return false;
    const isUp = lo > SIG_J || (lo == SIG_J && (hi & 1) != 0);
    let sig = hi + u64(isUp);
    if (sig < hi) {
      sig = SIG_J;
      exp++;
    }
    store<u64>(v + (slot << 4), sig, VCPU_FPR);
    store<u32>(v + (slot << 4), sign | exp, VCPU_FPR + 8);
    Fast.report(v, lo, isUp);
    return true;
  }
}

/** a + b, or a - b with `flip` SE_SIGN, into a slot. */
export function fastAdd(
  v: usize,
  slot: u32,
  aSig: u64,
  aSe: u32,
  bSig: u64,
  bSe: u32,
  flip: u32,
): bool {
  let sign = aSe & SE_SIGN;
  const differs = ((aSe ^ bSe ^ flip) & SE_SIGN) != 0;
  let exp = <i32>(aSe & EXP_SPECIAL);
  let n = exp - <i32>(bSe & EXP_SPECIAL);
  if (n < 0 || (n == 0 && aSig < bSig)) {
    const sig = aSig;
    aSig = bSig;
    bSig = sig;
    sign = (bSe ^ flip) & SE_SIGN;
    exp -= n;
    n = -n;
  }
  if (n > 63) return false;
  const bLow = (bSig << 1) << (63 - n);
  const bHigh = bSig >> n;
  if (!differs) {
    const sum = aSig + bHigh;
    if (sum >= aSig) return Fast.finish(v, slot, sign, exp, sum, bLow);
    const low = (sum << 63) | (bLow >> 1) | (bLow & 1);
    return Fast.finish(v, slot, sign, exp + 1, (sum >> 1) | SIG_J, low);
  }
  const hi = aSig - bHigh - u64(bLow != 0);
  const lo: u64 = 0 - bLow;
  if (hi == 0) return false;
  const zeros = clz(hi);
  const high = (hi << zeros) | ((lo >> 1) >> (63 - zeros));
  return Fast.finish(v, slot, sign, exp - <i32>zeros, high, lo << zeros);
}

/** a * b into a slot. */
export function fastMultiply(v: usize, slot: u32, aSig: u64, aSe: u32, bSig: u64, bSe: u32): bool {
  const hi = Fx.mulHigh(aSig, bSig);
  const lo = aSig * bSig;
  const room = clz(hi);
  const exp = <i32>((aSe & EXP_SPECIAL) + (bSe & EXP_SPECIAL)) - <i32>room - (EXP_BIAS - 1);
  const high = (hi << room) | ((lo >> 1) >> (63 - room));
  return Fast.finish(v, slot, (aSe ^ bSe) & SE_SIGN, exp, high, lo << room);
}

/** a / b into a slot. */
export function fastDivide(v: usize, slot: u32, aSig: u64, aSe: u32, bSig: u64, bSe: u32): bool {
  const isLess = aSig < bSig;
  const hi = isLess ? aSig : aSig >> 1;
  const q = divide128(v, hi, isLess ? 0 : aSig << 63, bSig);
  const rest = Fx.low(v);
  const missing = bSig - rest;
  // What follows the quotient: nothing, less than, exactly, or more than half a unit.
  const lo: u64 = rest == 0 ? 0 : rest > missing ? SIG_J | 1 : rest == missing ? SIG_J : 1;
  const exp = <i32>(aSe & EXP_SPECIAL) - <i32>(bSe & EXP_SPECIAL) + EXP_BIAS - i32(isLess);
  return Fast.finish(v, slot, (aSe ^ bSe) & SE_SIGN, exp, q, lo);
}

/**
 * Arithmetic on two operands that are not empty, into a slot that is not empty either. `op` is the reg field.
 * @returns false when the full way has to be gone.
 */
export function fastArithmetic(
  v: usize,
  op: u32,
  slot: u32,
  aSig: u64,
  aSe: u32,
  bSig: u64,
  bSe: u32,
): bool {
  if (!Fast.isUsual(v) || !Fx.isNormal(aSig, aSe) || !Fx.isNormal(bSig, bSe)) return false;
  if (op == 1) return fastMultiply(v, slot, aSig, aSe, bSig, bSe);
  if (op == 0) return fastAdd(v, slot, aSig, aSe, bSig, bSe, 0);
  if (op == 4) return fastAdd(v, slot, aSig, aSe, bSig, bSe, SE_SIGN);
  if (op == 5) return fastAdd(v, slot, bSig, bSe, aSig, aSe, SE_SIGN);
  if (op == 6) return fastDivide(v, slot, aSig, aSe, bSig, bSe);
  return fastDivide(v, slot, bSig, bSe, aSig, aSe);
}
