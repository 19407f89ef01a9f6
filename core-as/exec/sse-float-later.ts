/**
 * Floating point of SSE3 and SSE4.1: ADDSUB, HADD, HSUB, ROUND and the dot products, all through exec/softfloat.ts.
 * Source: SDM 2A and 2B, the instruction of each name.
 */
import { VCPU_FX_FLAGS } from "../../abi/vcpu.ts";
import { SHAPE_PD, SIMD_SHAPE_SHIFT } from "../decode/simd.ts";
import * as S from "../decode/simd-ops.ts";
import { Uop } from "../decode/uop.ts";
import { STEP_EVENT, STEP_NEXT } from "../state/faults.ts";
import { source, Vec } from "./simd-operands.ts";
import { add, multiply, operand, rounding, toIntegral } from "./softfloat.ts";
import { settleSse } from "./sse-settle.ts";

/** Number `i` of a vector in memory: U is the bits of T. */
function number<T, U>(v: usize, ptr: usize, i: u32): u64 {
  return operand<T>(v, <u64>load<U>(ptr + i * sizeof<U>()));
}

/** Where results gather until nothing can fault: a vector of numbers, as two quadwords. */
class Result {
  static low: u64 = 0;
  static high: u64 = 0;
  /** Sets number `i` of a cleared result. */
  static set<U>(i: u32, bits: u64): void {
    const at = i * sizeof<U>() * 8;
    if (at < 64) Result.low |= bits << at;
    else Result.high |= bits << (at - 64);
  }
  static clear(): void {
    Result.low = 0;
    Result.high = 0;
  }
}

/** Settles and writes the whole register. */
function finish(v: usize, target: usize): u32 {
  if (!settleSse(v)) return STEP_EVENT;
  store<u64>(target, Result.low);
  store<u64>(target, Result.high, 8);
  return STEP_NEXT;
}

/** ADDSUB: the even numbers are subtracted, the odd ones added. */
function alternate<T, U>(v: usize, a: usize, b: usize): u32 {
  Result.clear();
  for (let i: u32 = 0; i < 16 / sizeof<U>(); i++) {
    const sum = add<T>(v, number<T, U>(v, a, i), number<T, U>(v, b, i), (i & 1) == 0);
    Result.set<U>(i, sum);
  }
  return finish(v, a);
}

/** HADD, HSUB: neighbours of `a`, then those of `b`. */
function horizontal<T, U>(v: usize, a: usize, b: usize, subtracts: bool): u32 {
  const half: u32 = 8 / sizeof<U>();
  Result.clear();
  for (let i: u32 = 0; i < 2 * half; i++) {
    const from = i < half ? a : b;
    const at = (i % half) * 2;
    const sum = add<T>(v, number<T, U>(v, from, at), number<T, U>(v, from, at + 1), subtracts);
    Result.set<U>(i, sum);
  }
  return finish(v, a);
}

/** ROUND's immediate: a rounding mode, or MXCSR's, and no precision exception. */
const ROUND_BY_MXCSR: u32 = 4;
const ROUND_SILENT: u32 = 8;

/** ROUND of the first `count` numbers; the others stay. */
function round<T, U>(v: usize, a: usize, b: usize, imm: u32, count: u32): u32 {
  const rc = imm & ROUND_BY_MXCSR ? rounding(v) : imm & 3;
  Result.clear();
  for (let i: u32 = 0; i < 16 / sizeof<U>(); i++) {
    const isRounded = i < count;
    Result.set<U>(
      i,
      isRounded
        ? toIntegral<T>(v, number<T, U>(v, b, i), rc, (imm & ROUND_SILENT) == 0)
        : <u64>load<U>(a + i * sizeof<U>()),
    );
  }
  return finish(v, a);
}

/** @returns product `i`, or zero where the immediate leaves it out. */
function product<T, U>(v: usize, a: usize, b: usize, i: u32, imm: u32): u64 {
  if (((imm >>> (4 + i)) & 1) == 0) return 0;
  return multiply<T>(v, number<T, U>(v, a, i), number<T, U>(v, b, i));
}
/** The sum of two results of an earlier step, which are operands like any other. */
function sum<T>(v: usize, a: u64, b: u64): u64 {
  return add<T>(v, operand<T>(v, a), operand<T>(v, b), false);
}

/** DPPS, DPPD: an exception that is not masked ends the instruction at the step that raises it. */
function dot<T, U>(v: usize, a: usize, b: usize, imm: u32): u32 {
  const p0 = product<T, U>(v, a, b, 0, imm);
  const p1 = product<T, U>(v, a, b, 1, imm);
  let total: u64;
  if (sizeof<U>() == 8) {
    if (!settleSse(v)) return STEP_EVENT;
    total = sum<T>(v, p0, p1);
  } else {
    const p2 = product<T, U>(v, a, b, 2, imm);
    const p3 = product<T, U>(v, a, b, 3, imm);
    if (!settleSse(v)) return STEP_EVENT;
    const low = sum<T>(v, p0, p1);
    const high = sum<T>(v, p2, p3);
    if (!settleSse(v)) return STEP_EVENT;
    total = sum<T>(v, low, high);
  }
  Result.clear();
  for (let i: u32 = 0; i < 16 / sizeof<U>(); i++) if ((imm >>> i) & 1) Result.set<U>(i, total);
  return finish(v, a);
}

/** Every operation from SIMD_ADDSUB on. */
export function floatLater(v: usize, pc: usize, op: u32): u32 {
  const b = source(v, pc, Vec.xmm(v, Vec.r2(pc)));
  if (b == 0) return STEP_EVENT;
  store<u32>(v, 0, VCPU_FX_FLAGS);
  const a = Vec.xmm(v, Vec.r1(pc));
  const imm = Uop.imm(pc) & 0xff;
  const isDouble = ((Uop.imm(pc) >>> SIMD_SHAPE_SHIFT) & 3) == SHAPE_PD;
  switch (op) {
    case S.SIMD_ADDSUB:
      return isDouble ? alternate<f64, u64>(v, a, b) : alternate<f32, u32>(v, a, b);
    case S.SIMD_HADD:
      return isDouble ? horizontal<f64, u64>(v, a, b, false) : horizontal<f32, u32>(v, a, b, false);
    case S.SIMD_HSUB:
      return isDouble ? horizontal<f64, u64>(v, a, b, true) : horizontal<f32, u32>(v, a, b, true);
    case S.SIMD_ROUNDPS:
      return round<f32, u32>(v, a, b, imm, 4);
    case S.SIMD_ROUNDPD:
      return round<f64, u64>(v, a, b, imm, 2);
    case S.SIMD_ROUNDSS:
      return round<f32, u32>(v, a, b, imm, 1);
    case S.SIMD_ROUNDSD:
      return round<f64, u64>(v, a, b, imm, 1);
    case S.SIMD_DPPS:
      return dot<f32, u32>(v, a, b, imm);
    default:
      return dot<f64, u64>(v, a, b, imm);
  }
}
