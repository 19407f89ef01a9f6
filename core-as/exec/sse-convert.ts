/**
 * SSE and SSE2 conversions between integers, singles and doubles. MMX operands switch the x87 registers to MMX use.
 * Source: SDM 2A, CVTPI2PS and the other CVT instructions.
 */
import { SHAPE_PD, SHAPE_PS, SHAPE_SD, SHAPE_SS, SIMD_MMX } from "../decode/simd.ts";
import * as S from "../decode/simd-ops.ts";
import { Uop } from "../decode/uop.ts";
import { STEP_EVENT, STEP_NEXT } from "../state/faults.ts";
import { finishMmx } from "./mmx.ts";
import { enterMmx, source, Vec } from "./simd-operands.ts";
import { convert, fromInteger, operand, toInteger } from "./softfloat.ts";
import { settleSse } from "./sse-settle.ts";

/** Two dwords as a quadword. */
function pair(low: u64, high: u64): u64 {
  return low | (high << 32);
}
function single(v: usize, ptr: usize): u64 {
  return operand<f32>(v, load<u32>(ptr));
}
function double(v: usize, ptr: usize): u64 {
  return operand<f64>(v, load<u64>(ptr));
}
function singleToInteger(v: usize, ptr: usize, truncates: bool): u64 {
  return toInteger<f32>(v, single(v, ptr), truncates);
}
function doubleToInteger(v: usize, ptr: usize, truncates: bool): u64 {
  return toInteger<f64>(v, double(v, ptr), truncates);
}

/** Settles and writes a whole register. @returns STEP_NEXT or STEP_EVENT. */
function finish(v: usize, pc: usize, low: u64, high: u64): u32 {
  if (!settleSse(v)) return STEP_EVENT;
  const target = Vec.xmm(v, Vec.r1(pc));
  store<u64>(target, low);
  store<u64>(target, high, 8);
  return STEP_NEXT;
}
/** Settles and writes the lowest lane. */
function finishLow<T>(v: usize, pc: usize, value: u64): u32 {
  if (!settleSse(v)) return STEP_EVENT;
  store<T>(Vec.xmm(v, Vec.r1(pc)), <T>value);
  return STEP_NEXT;
}

/** 0F 2A: CVTPI2PS, CVTPI2PD, CVTSI2SS, CVTSI2SD. */
function fromIntegers(v: usize, pc: usize, shape: u32): u32 {
  const n = Vec.r2(pc);
  const ptr = source(v, pc, shape == SHAPE_SS || shape == SHAPE_SD ? Vec.gpr(v, n) : Vec.mmx(v, n));
  if (ptr == 0) return STEP_EVENT;
  const first = load<i32>(ptr);
  if (shape == SHAPE_SS) return finishLow<u32>(v, pc, fromInteger<f32>(v, first));
  if (shape == SHAPE_SD) return finishLow<u64>(v, pc, fromInteger<f64>(v, first));
  const second = load<i32>(ptr, 4);
  if (shape == SHAPE_PD) {
    leaveX87(v, pc);
    return finish(v, pc, fromInteger<f64>(v, first), fromInteger<f64>(v, second));
  }
  leaveX87(v, pc);
  const low = fromInteger<f32>(v, first);
  return finishLow<u64>(v, pc, pair(low, fromInteger<f32>(v, second)));
}
/** A memory operand, which the decoder does not mark as MMX, leaves the x87 alone; #XM does not. */
function leaveX87(v: usize, pc: usize): void {
  if (Uop.imm(pc) & SIMD_MMX) enterMmx(v);
}

/** 0F 2C and 2D: CVTPS2PI, CVTPD2PI, CVTSS2SI, CVTSD2SI and the truncating ones. */
function toIntegers(v: usize, pc: usize, shape: u32, truncates: bool): u32 {
  const ptr = source(v, pc, Vec.xmm(v, Vec.r2(pc)));
  if (ptr == 0) return STEP_EVENT;
  const isSingle = shape == SHAPE_PS || shape == SHAPE_SS;
  const first = isSingle ? singleToInteger(v, ptr, truncates) : doubleToInteger(v, ptr, truncates);
  if (shape == SHAPE_SS || shape == SHAPE_SD) {
    if (!settleSse(v)) return STEP_EVENT;
    store<u32>(Vec.gpr(v, Vec.r1(pc)), <u32>first);
    return STEP_NEXT;
  }
  const second = isSingle
    ? singleToInteger(v, ptr + 4, truncates)
    : doubleToInteger(v, ptr + 8, truncates);
  // The x87 registers are in MMX use even when #XM keeps the result back.
  enterMmx(v);
  return settleSse(v) ? finishMmx(v, Vec.r1(pc), pair(first, second)) : STEP_EVENT;
}

/** 0F 5A: CVTPS2PD, CVTPD2PS, CVTSS2SD, CVTSD2SS. */
function width(v: usize, pc: usize, shape: u32): u32 {
  const ptr = source(v, pc, Vec.xmm(v, Vec.r2(pc)));
  if (ptr == 0) return STEP_EVENT;
  if (shape == SHAPE_PS || shape == SHAPE_SS) {
    const low = convert<f32, f64>(v, single(v, ptr));
    if (shape == SHAPE_SS) return finishLow<u64>(v, pc, low);
    return finish(v, pc, low, convert<f32, f64>(v, single(v, ptr + 4)));
  }
  const low = convert<f64, f32>(v, double(v, ptr));
  if (shape == SHAPE_SD) return finishLow<u32>(v, pc, low);
  return finish(v, pc, pair(low, convert<f64, f32>(v, double(v, ptr + 8))), 0);
}

/** 0F 5B: CVTDQ2PS, CVTPS2DQ, CVTTPS2DQ, on four lanes. */
function dwords(v: usize, pc: usize, shape: u32): u32 {
  const ptr = source(v, pc, Vec.xmm(v, Vec.r2(pc)));
  if (ptr == 0) return STEP_EVENT;
  const low = pair(dwordLane(v, ptr, shape), dwordLane(v, ptr + 4, shape));
  const high = pair(dwordLane(v, ptr + 8, shape), dwordLane(v, ptr + 12, shape));
  return finish(v, pc, low, high);
}
function dwordLane(v: usize, ptr: usize, shape: u32): u64 {
  if (shape == SHAPE_PS) return fromInteger<f32>(v, load<i32>(ptr));
  return singleToInteger(v, ptr, shape == SHAPE_SS);
}

/** 0F E6: CVTTPD2DQ, CVTDQ2PD, CVTPD2DQ. */
function doubles(v: usize, pc: usize, shape: u32): u32 {
  const ptr = source(v, pc, Vec.xmm(v, Vec.r2(pc)));
  if (ptr == 0) return STEP_EVENT;
  if (shape == SHAPE_SS) {
    const first = fromInteger<f64>(v, load<i32>(ptr));
    return finish(v, pc, first, fromInteger<f64>(v, load<i32>(ptr, 4)));
  }
  const truncates = shape == SHAPE_PD;
  const low = doubleToInteger(v, ptr, truncates);
  return finish(v, pc, pair(low, doubleToInteger(v, ptr + 8, truncates)), 0);
}

/** SIMD_CVT_FROM_INT to SIMD_CVT_DOUBLES. */
export function convertOperation(v: usize, pc: usize, op: u32, shape: u32): u32 {
  switch (op) {
    case S.SIMD_CVT_FROM_INT:
      return fromIntegers(v, pc, shape);
    case S.SIMD_CVT_TO_INT_TRUNC:
      return toIntegers(v, pc, shape, true);
    case S.SIMD_CVT_TO_INT:
      return toIntegers(v, pc, shape, false);
    case S.SIMD_CVT_WIDTH:
      return width(v, pc, shape);
    case S.SIMD_CVT_DWORDS:
      return dwords(v, pc, shape);
    default:
      return doubles(v, pc, shape);
  }
}
