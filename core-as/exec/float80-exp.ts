/**
 * 2^x - 1 of 80-bit numbers, correctly rounded (float80-wide.ts says how nearly always). Results and exceptions are left in
 * VCPU_FX_*. Source: SDM 2A, F2XM1 (the table of special operands); the series is Taylor's.
 */
import { FSW_PE } from "../../abi/x87.ts";
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
  setNanOf,
} from "./float80.ts";
import { EXPONENTIAL, EXPONENTIAL_TERMS, EXPONENTIAL_WIDE, TAIL_LOW } from "./float80-tables.ts";
import { multiplyWide, roundInexact, series } from "./float80-wide.ts";

/** ln 2, normalized. */
const LN2: u64 = ((<u64>0xb17217f7) << 32) | 0xd1cf79ab;
const LN2_LOW: u64 = ((<u64>0xc9e3b398) << 32) | 0x03f2f6af;

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
  const a = Fx.significand(sig);
  let hi = Fx.mulHigh(a, LN2);
  let lo = a * LN2;
  const carry = Fx.mulHigh(a, LN2_LOW);
  lo += carry;
  hi += u64(lo < carry);
  // The product of two normalized numbers has its top bit one place lower than exp says: as a fraction |a| ln 2 is hi:lo >> n.
  const n = -exp - 1;
  const factorHigh = series(
    v,
    EXPONENTIAL,
    EXPONENTIAL_TERMS,
    EXPONENTIAL_WIDE,
    TAIL_LOW,
    Fx.shiftHigh(hi, n),
    Fx.shiftLow(hi, lo, n),
    sign != 0,
  );
  const moreHigh = multiplyWide(v, hi, lo, factorHigh, Fx.low(v));
  const moreLow = Fx.low(v);
  if (sign == 0) {
    lo += moreLow;
    hi += moreHigh + u64(lo < moreLow);
  } else {
    hi -= moreHigh + u64(lo < moreLow);
    lo -= moreLow;
  }
  roundInexact(v, sign, exp + EXP_BIAS, hi, lo);
}
