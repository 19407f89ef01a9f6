/**
 * The MMX forms: 64-bit operands in the x87 registers.
 * Source: SDM 1, "Programming with Intel MMX Technology".
 */
import { VCPU_FSW, VCPU_FTW } from "../../abi/vcpu.ts";
import { FSW_TOP, FTW_INIT } from "../../abi/x87.ts";
import { SIMD_IMM8 } from "../decode/simd.ts";
import * as S from "../decode/simd-ops.ts";
import { Uop } from "../decode/uop.ts";
import { STEP_EVENT, STEP_NEXT } from "../state/faults.ts";
import { packed, shifted, shuffled } from "./simd-int.ts";
import { enterMmx, setMmx, source, Vec } from "./simd-operands.ts";

/** Unpacking the high halves is taking the high half of unpacking the low ones. */
const LOW_UNPACKS: u32 = S.SIMD_PUNPCKHBW - S.SIMD_PUNPCKLBW;

function low(a: u64): v128 {
  return i64x2.splat(a);
}

/** @returns `a op b` for SIMD_PUNPCKLBW to SIMD_PXOR on quadwords. */
function packedQuad(op: u32, a: u64, b: u64): u64 {
  if (op >= S.SIMD_PUNPCKHBW && op <= S.SIMD_PUNPCKHDQ) {
    return i64x2.extract_lane(packed(op - LOW_UNPACKS, low(a), low(b)), 1);
  }
  if (op >= S.SIMD_PACKSSWB && op <= S.SIMD_PACKSSDW) {
    const both = i64x2.replace_lane(low(a), 1, b);
    return i64x2.extract_lane(packed(op, both, both), 0);
  }
  return i64x2.extract_lane(packed(op, low(a), low(b)), 0);
}

/** Packed integers, shifts and PSHUFW with an MMX destination. */
export function mmxPacked(v: usize, pc: usize, op: u32): u32 {
  const imm = Uop.imm(pc);
  const isShift = op >= S.SIMD_PSRLW && op <= S.SIMD_PSLLQ;
  if (isShift && (imm & SIMD_IMM8) != 0) {
    const n = Vec.r2(pc);
    const value = low(load<u64>(Vec.mmx(v, n)));
    return finishMmx(v, n, i64x2.extract_lane(shifted(op, value, imm & 0xff), 0));
  }
  const n = Vec.r1(pc);
  const ptr = source(v, pc, Vec.mmx(v, Vec.r2(pc)));
  if (ptr == 0) return STEP_EVENT;
  const a = load<u64>(Vec.mmx(v, n));
  if (isShift) {
    return finishMmx(v, n, i64x2.extract_lane(shifted(op, low(a), load<u64>(ptr)), 0));
  }
  if (op == S.SIMD_PSHUFW) {
    return finishMmx(v, n, i64x2.extract_lane(shuffled(op, ptr, ptr, imm & 0xff), 0));
  }
  return finishMmx(v, n, packedQuad(op, a, load<u64>(ptr)));
}

/** Enters MMX use and writes register `n`. @returns STEP_NEXT. */
export function finishMmx(v: usize, n: u32, value: u64): u32 {
  enterMmx(v);
  setMmx(v, n, value);
  return STEP_NEXT;
}

/** EMMS. Silicon clears TOP too. */
export function emms(v: usize): u32 {
  store<u32>(v, load<u32>(v, VCPU_FSW) & ~FSW_TOP, VCPU_FSW);
  store<u32>(v, FTW_INIT, VCPU_FTW);
  return STEP_NEXT;
}
