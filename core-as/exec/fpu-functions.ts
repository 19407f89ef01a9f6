/**
 * The transcendental instructions on the stack: operand checks, C2, and which registers change. Source: SDM 2A.
 */
import { VCPU_FSW } from "../../abi/vcpu.ts";
import { FSW_C2 } from "../../abi/x87.ts";
import { STEP_NEXT } from "../state/faults.ts";
import { CLASS_QNAN, classify, EXP_BIAS, Fx, SIG_J } from "./float80.ts";
import { arctangent } from "./float80-arctangent.ts";
import { exp2m1 } from "./float80-exp.ts";
import { log2p1Times, log2Times } from "./float80-log.ts";
import { circular, WANT_COSINE, WANT_SINE, WANT_TANGENT } from "./float80-trig.ts";
import { finish, finishPair, pairIsReady, St, settle, setUnderflow } from "./fpu-state.ts";

/** F2XM1. */
export function exp2m1Top(v: usize): u32 {
  const a = St.slot(v, 0);
  if (St.isEmpty(v, a)) setUnderflow(v);
  else exp2m1(v, St.sig(v, a), St.se(v, a));
  return finish(v, a, false);
}

/** Which function of ST(0) and ST(1) replaces both. */
export const PAIR_LOG2: u32 = 0;
export const PAIR_LOG2P1: u32 = 1;
export const PAIR_ARCTANGENT: u32 = 2;

/** FYL2X, FYL2XP1, FPATAN: the result replaces ST(1), and ST(0) is popped. */
export function pairFunction(v: usize, which: u32): u32 {
  const a = St.slot(v, 0);
  const b = St.slot(v, 1);
  if (St.isEmpty(v, a) || St.isEmpty(v, b)) setUnderflow(v);
  else if (which == PAIR_LOG2) log2Times(v, St.sig(v, a), St.se(v, a), St.sig(v, b), St.se(v, b));
  else if (which == PAIR_LOG2P1) {
    log2p1Times(v, St.sig(v, a), St.se(v, a), St.sig(v, b), St.se(v, b));
  } else arctangent(v, St.sig(v, a), St.se(v, a), St.sig(v, b), St.se(v, b));
  return finish(v, b, true);
}

/** Sets or clears C2: whether the operand was out of range and everything else stays as it is. */
function setC2(v: usize, isOut: bool): void {
  const fsw = load<u32>(v, VCPU_FSW) & ~FSW_C2;
  store<u32>(v, isOut ? fsw | FSW_C2 : fsw, VCPU_FSW);
}

/** An operand of 2^63 or more: C2 reports it, C1 is cleared. */
function finishOutOfRange(v: usize): u32 {
  Fx.setFlags(v, 0);
  settle(v);
  setC2(v, true);
  return STEP_NEXT;
}

/** FSIN, FCOS. */
export function circularTop(v: usize, want: u32): u32 {
  const a = St.slot(v, 0);
  if (St.isEmpty(v, a)) setUnderflow(v);
  else if (!circular(v, St.sig(v, a), St.se(v, a), want)) return finishOutOfRange(v);
  setC2(v, false);
  return finish(v, a, false);
}

/** FSINCOS: the sine replaces ST(0), the cosine is pushed. */
export function sineCosineTop(v: usize): u32 {
  const a = St.slot(v, 0);
  let se: u32;
  if (pairIsReady(v)) {
    const sig = St.sig(v, a);
    const aSe = St.se(v, a);
    if (!circular(v, sig, aSe, WANT_COSINE)) return finishOutOfRange(v);
    const cosine = Fx.sig(v);
    se = Fx.se(v);
    Fx.setFlags(v, 0);
    circular(v, sig, aSe, WANT_SINE);
    Fx.setLow(v, cosine);
  } else se = Fx.se(v);
  setC2(v, false);
  return finishPair(v, se);
}

/** FPTAN: the tangent replaces ST(0), and 1 is pushed (a NaN twice). */
export function tangentTop(v: usize): u32 {
  const a = St.slot(v, 0);
  let se: u32;
  if (pairIsReady(v)) {
    if (!circular(v, St.sig(v, a), St.se(v, a), WANT_TANGENT)) return finishOutOfRange(v);
    const isNan = classify(Fx.sig(v), Fx.se(v)) >= CLASS_QNAN;
    Fx.setLow(v, isNan ? Fx.sig(v) : SIG_J);
    se = isNan ? Fx.se(v) : EXP_BIAS;
  } else se = Fx.se(v);
  setC2(v, false);
  return finishPair(v, se);
}
