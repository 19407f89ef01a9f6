/**
 * x87 instructions that compute: arithmetic, comparisons, the one- and two-operand functions of D9.
 * Operands are stack slots or the scratch words; every function settles its own exceptions. Source: SDM 2A.
 */
import { VCPU_FSW } from "../../abi/vcpu.ts";
import { EFLAGS_CF, EFLAGS_PF, EFLAGS_ZF } from "../../abi/x86.ts";
import { FSW_C0, FSW_C1, FSW_C2, FSW_C3 } from "../../abi/x87.ts";
import { STEP_NEXT } from "../state/faults.ts";
import { setArithFlags } from "../state/flags.ts";
import {
  CLASS_DENORMAL,
  CLASS_INFINITY,
  CLASS_QNAN,
  classify,
  Fx,
  noteDenormal,
  SE_SIGN,
  setNanOf,
} from "./float80.ts";
import { add, compare, divide, examine, multiply, squareRoot } from "./float80-arith.ts";
import { roundToIntegral } from "./float80-convert.ts";
import { extract, REMAINDER_NONE, remainder, scale } from "./float80-parts.ts";
import { fastArithmetic } from "./fpu-fast.ts";
import { finish, finishPair, pairIsReady, St, settle, setUnderflow } from "./fpu-state.ts";

const CONDITIONS = FSW_C0 | FSW_C1 | FSW_C2 | FSW_C3;

/** Operation `op` (the reg field: ADD MUL - - SUB SUBR DIV DIVR) on a and b, into the scratch words. */
function operate(v: usize, op: u32, aSig: u64, aSe: u32, bSig: u64, bSe: u32): void {
  switch (op) {
    case 0: {
      add(v, aSig, aSe, bSig, bSe, 0);
      break;
    }
    case 1: {
      multiply(v, aSig, aSe, bSig, bSe);
      break;
    }
    case 4: {
      add(v, aSig, aSe, bSig, bSe, SE_SIGN);
      break;
    }
    case 5: {
      add(v, bSig, bSe, aSig, aSe, SE_SIGN);
      break;
    }
    case 6: {
      divide(v, aSig, aSe, bSig, bSe);
      break;
    }
    default: {
      divide(v, bSig, bSe, aSig, aSe);
      break;
    }
  }
}

/** ST(0) op ST(i) into `dst`, one of the two. */
export function arithmetic(v: usize, op: u32, i: u32, dst: u32, pops: bool): u32 {
  const a = St.slot(v, 0);
  const b = St.slot(v, i);
  const to = dst == 0 ? a : b;
  if (St.isEmpty(v, a) || St.isEmpty(v, b)) setUnderflow(v);
  else {
    const aSig = St.sig(v, a);
    const aSe = St.se(v, a);
    const bSig = St.sig(v, b);
    const bSe = St.se(v, b);
    if (fastArithmetic(v, op, to, aSig, aSe, bSig, bSe)) {
      if (pops) St.pop(v);
      return STEP_NEXT;
    }
    operate(v, op, aSig, aSe, bSig, bSe);
  }
  return finish(v, to, pops);
}

/** ST(0) op b, an operand from memory. */
export function arithmeticMemory(v: usize, op: u32, bSig: u64, bSe: u32): u32 {
  const a = St.slot(v, 0);
  if (St.isEmpty(v, a)) setUnderflow(v);
  else {
    const aSig = St.sig(v, a);
    const aSe = St.se(v, a);
    // A denormal that was widened is a normal operand with an exception to its name.
    if (Fx.flags(v) == 0 && fastArithmetic(v, op, a, aSig, aSe, bSig, bSe)) return STEP_NEXT;
    operate(v, op, aSig, aSe, bSig, bSe);
  }
  return finish(v, a, false);
}

/** Settles a comparison: condition codes in any case, pops unless an exception stops it. */
function finishCompare(v: usize, codes: u32, pops: u32): u32 {
  const goesOn = settle(v);
  store<u32>(v, (load<u32>(v, VCPU_FSW) & ~(FSW_C0 | FSW_C2 | FSW_C3)) | codes, VCPU_FSW);
  for (; goesOn && pops > 0; pops--) St.pop(v);
  return STEP_NEXT;
}

/** @returns the condition codes of ST(0) against ST(i), exceptions in FX_FLAGS. */
function compareSlots(v: usize, i: u32, quiet: bool): u32 {
  const a = St.slot(v, 0);
  const b = St.slot(v, i);
  if (St.isEmpty(v, a) || St.isEmpty(v, b)) {
    setUnderflow(v);
    return FSW_C0 | FSW_C2 | FSW_C3;
  }
  return compare(v, St.sig(v, a), St.se(v, a), St.sig(v, b), St.se(v, b), quiet);
}

/** FCOM, FUCOM and their popping forms: ST(0) against ST(i). */
export function compareRegister(v: usize, i: u32, quiet: bool, pops: u32): u32 {
  return finishCompare(v, compareSlots(v, i, quiet), pops);
}

/** FCOM, FICOM, FTST: ST(0) against FX_SIG, FX_SE. */
export function compareOperand(v: usize, pops: u32): u32 {
  const a = St.slot(v, 0);
  if (St.isEmpty(v, a)) {
    setUnderflow(v);
    return finishCompare(v, FSW_C0 | FSW_C2 | FSW_C3, pops);
  }
  const codes = compare(v, St.sig(v, a), St.se(v, a), Fx.sig(v), Fx.se(v), false);
  return finishCompare(v, codes, pops);
}

/** FCOMI and relatives: the outcome goes to EFLAGS, where C3, C2, C0 become ZF, PF, CF. */
export function compareToFlags(v: usize, i: u32, quiet: bool, pops: bool): u32 {
  const codes = compareSlots(v, i, quiet);
  const flags =
    (codes & FSW_C3 ? EFLAGS_ZF : 0) |
    (codes & FSW_C2 ? EFLAGS_PF : 0) |
    (codes & FSW_C0 ? EFLAGS_CF : 0);
  setArithFlags(v, flags);
  if (settle(v) && pops) St.pop(v);
  return STEP_NEXT;
}

/** FXAM. */
export function examineTop(v: usize): u32 {
  const a = St.slot(v, 0);
  const se = St.se(v, a);
  let codes = St.isEmpty(v, a) ? FSW_C3 | FSW_C0 : examine(St.sig(v, a), se);
  if ((se & SE_SIGN) != 0) codes |= FSW_C1;
  store<u32>(v, (load<u32>(v, VCPU_FSW) & ~CONDITIONS) | codes, VCPU_FSW);
  return STEP_NEXT;
}

/** FCHS (`flip` SE_SIGN, `keep` all ones) and FABS (`flip` 0, `keep` without the sign): no operand is invalid for them. */
export function changeSign(v: usize, keep: u32, flip: u32): u32 {
  const a = St.slot(v, 0);
  if (St.isEmpty(v, a)) setUnderflow(v);
  else Fx.set(v, St.sig(v, a), (St.se(v, a) & keep) ^ flip);
  return finish(v, a, false);
}

/** FSQRT. */
export function squareRootTop(v: usize): u32 {
  const a = St.slot(v, 0);
  if (St.isEmpty(v, a)) setUnderflow(v);
  else squareRoot(v, St.sig(v, a), St.se(v, a));
  return finish(v, a, false);
}

/** FRNDINT. */
export function roundTop(v: usize): u32 {
  const a = St.slot(v, 0);
  const sig = St.sig(v, a);
  const se = St.se(v, a);
  const kind = classify(sig, se);
  if (St.isEmpty(v, a)) setUnderflow(v);
  else if (kind >= CLASS_QNAN) setNanOf(v, sig, se);
  else if (kind == CLASS_INFINITY) Fx.set(v, sig, se);
  else {
    if (kind == CLASS_DENORMAL) noteDenormal(v, kind, kind);
    roundToIntegral(v, sig, se);
  }
  return finish(v, a, false);
}

/** FSCALE: ST(0) by ST(1). */
export function scaleTop(v: usize): u32 {
  const a = St.slot(v, 0);
  const b = St.slot(v, 1);
  if (St.isEmpty(v, a) || St.isEmpty(v, b)) setUnderflow(v);
  else scale(v, St.sig(v, a), St.se(v, a), St.sig(v, b), St.se(v, b));
  return finish(v, a, false);
}

/** FPREM and FPREM1: ST(0) by ST(1). */
export function remainderTop(v: usize, isNearest: bool): u32 {
  const a = St.slot(v, 0);
  const b = St.slot(v, 1);
  let codes: u32 = REMAINDER_NONE;
  if (St.isEmpty(v, a) || St.isEmpty(v, b)) setUnderflow(v);
  else codes = remainder(v, St.sig(v, a), St.se(v, a), St.sig(v, b), St.se(v, b), isNearest);
  if (settle(v)) {
    St.set(v, a, Fx.sig(v), Fx.se(v));
    St.setValid(v, a);
  } else codes = REMAINDER_NONE;
  const fsw = load<u32>(v, VCPU_FSW);
  // Without a remainder silicon says "complete" but leaves the bits of the quotient.
  if (codes == REMAINDER_NONE) store<u32>(v, fsw & ~FSW_C2, VCPU_FSW);
  else store<u32>(v, (fsw & ~CONDITIONS) | codes, VCPU_FSW);
  return STEP_NEXT;
}

/** FXTRACT. */
export function extractTop(v: usize): u32 {
  const a = St.slot(v, 0);
  const se = pairIsReady(v) ? extract(v, St.sig(v, a), St.se(v, a)) : Fx.se(v);
  return finishPair(v, se);
}
