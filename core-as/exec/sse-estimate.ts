/**
 * RCPPS, RCPSS, RSQRTPS, RSQRTSS: estimates that raise no exceptions. The architecture allows a relative error of 1.5 * 2^-12; these
 * are the exact results rounded to 12 bits after the point, the same on every host, so that nothing can come to rely on more.
 * Source: SDM 2B, RCPPS and RSQRTPS.
 */
import { SHAPE_SS, SIMD_SHAPE_SHIFT } from "../decode/simd.ts";
import * as S from "../decode/simd-ops.ts";
import { Uop } from "../decode/uop.ts";
import { STEP_EVENT, STEP_NEXT } from "../state/faults.ts";
import { source, Vec } from "./simd-operands.ts";

const SIGN: u32 = 0x80000000;
const INFINITY: u32 = 0x7f800000;
const QUIET: u32 = 0x00400000;
/** Fraction bits that an estimate does not have. */
const LOST: u32 = 0x7ff;
/** The estimate of 1 / 2^126 counts as tiny already: a processor of AMD gives zero there. */
const SMALLEST_NORMAL: u32 = 0x00800000;

/** @returns estimate of 1/x or 1/sqrt(x). Denormals count as zeroes, as operands and as results. */
function estimateLane(op: u32, x: u32): u32 {
  const sign = x & SIGN;
  const magnitude = x & ~SIGN;
  if (magnitude > INFINITY) return x | QUIET;
  if (magnitude < 0x00800000) return sign | INFINITY;
  const isRoot = op == S.SIMD_RSQRT;
  if (isRoot && sign != 0) return SIGN | INFINITY | QUIET;
  if (magnitude == INFINITY) return sign;
  // In double precision both are exact enough that the bits kept are those of the true value.
  const number = <f64>reinterpret<f32>(magnitude);
  const value = reinterpret<u32>(<f32>(isRoot ? 1 / sqrt(number) : 1 / number));
  if (value <= SMALLEST_NORMAL) return sign;
  return sign | ((value + (LOST >>> 1)) & ~LOST);
}

/** SIMD_RSQRT and SIMD_RCP. */
export function estimate(v: usize, pc: usize, op: u32): u32 {
  const ptr = source(v, pc, Vec.xmm(v, Vec.r2(pc)));
  if (ptr == 0) return STEP_EVENT;
  const target = Vec.xmm(v, Vec.r1(pc));
  const isScalar = ((Uop.imm(pc) >>> SIMD_SHAPE_SHIFT) & 3) == SHAPE_SS;
  const bytes: usize = isScalar ? 4 : 16;
  // Lane by lane is safe for an operand that is the target itself.
  for (let at: usize = 0; at < bytes; at += 4) {
    store<u32>(target + at, estimateLane(op, load<u32>(ptr + at)));
  }
  return STEP_NEXT;
}
