/**
 * SSE3, SSSE3, SSE4.1 and SSE4.2: operands of the packed instructions, and those that involve general registers or flags.
 * Source: SDM 2A and 2B, the instruction of each name.
 */
import { EFLAGS_CF, EFLAGS_ZF } from "../../abi/x86.ts";
import { SIMD_MMX } from "../decode/simd.ts";
import * as S from "../decode/simd-ops.ts";
import { Uop } from "../decode/uop.ts";
import { STEP_EVENT, STEP_NEXT } from "../state/faults.ts";
import { setArithFlags } from "../state/flags.ts";
import { finishMmx } from "./mmx.ts";
import {
  aligned,
  blended,
  differences,
  extended,
  inserted,
  laterPacked,
  leastWord,
} from "./simd-int-later.ts";
import { source, storeScalar, Vec } from "./simd-operands.ts";
import { compareStrings } from "./simd-strings.ts";
import { floatLater } from "./sse-float-later.ts";

/** MMX forms: SIMD_PSHUFB to SIMD_PALIGNR. */
function mmxLater(v: usize, pc: usize, op: u32): u32 {
  const n = Vec.r1(pc);
  const ptr = source(v, pc, Vec.mmx(v, Vec.r2(pc)));
  if (ptr == 0) return STEP_EVENT;
  const a = load<u64>(Vec.mmx(v, n));
  const b = load<u64>(ptr);
  if (op == S.SIMD_PALIGNR) {
    const both = i64x2.replace_lane(i64x2.splat(b), 1, a);
    const zero = i64x2.splat(0);
    return finishMmx(v, n, i64x2.extract_lane(aligned(zero, both, Uop.imm(pc) & 0xff), 0));
  }
  const isHorizontal = op >= S.SIMD_PHADDW && op <= S.SIMD_PHSUBSW;
  // A horizontal operation takes its pairs from both operands: side by side they make one of the wide ones.
  const first = isHorizontal ? i64x2.replace_lane(i64x2.splat(a), 1, b) : i64x2.splat(a);
  const second = isHorizontal ? first : i64x2.splat(b);
  return finishMmx(v, n, i64x2.extract_lane(laterPacked(op, first, second), 0));
}

/** XMM forms: SIMD_PSHUFB to SIMD_PMOVZXDQ. */
function xmmLater(v: usize, pc: usize, op: u32): u32 {
  const ptr = source(v, pc, Vec.xmm(v, Vec.r2(pc)));
  if (ptr == 0) return STEP_EVENT;
  const target = Vec.xmm(v, Vec.r1(pc));
  const imm = Uop.imm(pc) & 0xff;
  let result: v128;
  if (op >= S.SIMD_PMOVSXBW) result = extended(op, ptr);
  else if (op == S.SIMD_MOVDDUP) result = i64x2.splat(load<u64>(ptr));
  else if (op == S.SIMD_PHMINPOSUW) result = leastWord(ptr);
  else if (op == S.SIMD_INSERTPS) {
    result = inserted(v128.load(target), ptr, Uop.isMemory(pc) ? imm & 0x3f : imm);
  } else if (op == S.SIMD_MPSADBW) result = differences(target, ptr, imm);
  else if (op == S.SIMD_PALIGNR) result = aligned(v128.load(target), v128.load(ptr), imm);
  else if (op >= S.SIMD_PBLENDVB && op <= S.SIMD_PBLENDW) {
    const mask = op <= S.SIMD_BLENDVPD ? v128.load(Vec.xmm(v, 0)) : i16x8.splat(<i16>imm);
    result = blended(op, v128.load(target), v128.load(ptr), mask);
  } else result = laterPacked(op, v128.load(target), v128.load(ptr));
  v128.store(target, result);
  return STEP_NEXT;
}

/** PTEST: ZF when no bit is set in both, CF when the destination covers the source; the other four flags are cleared. */
function test(v: usize, pc: usize): u32 {
  const ptr = source(v, pc, Vec.xmm(v, Vec.r2(pc)));
  if (ptr == 0) return STEP_EVENT;
  const a = v128.load(Vec.xmm(v, Vec.r1(pc)));
  const b = v128.load(ptr);
  const zf: u32 = v128.any_true(v128.and(a, b)) ? 0 : EFLAGS_ZF;
  const cf: u32 = v128.any_true(v128.andnot(b, a)) ? 0 : EFLAGS_CF;
  setArithFlags(v, zf | cf);
  return STEP_NEXT;
}

/** PEXTRB, PEXTRW to r/m, PEXTRD and EXTRACTPS: zero-extended in a register. */
function extract<T>(v: usize, pc: usize): u32 {
  const place = (Uop.imm(pc) & (16 / sizeof<T>() - 1)) * sizeof<T>();
  const value = load<T>(Vec.xmm(v, Vec.r1(pc)) + place);
  if (Uop.isMemory(pc)) return storeScalar<T>(v, pc, value) ? STEP_NEXT : STEP_EVENT;
  store<u32>(Vec.gpr(v, Vec.r2(pc)), <u32>value);
  return STEP_NEXT;
}
/** PINSRB, PINSRD. */
function insert<T>(v: usize, pc: usize): u32 {
  const ptr = source(v, pc, Vec.gpr(v, Vec.r2(pc)));
  if (ptr == 0) return STEP_EVENT;
  const place = (Uop.imm(pc) & (16 / sizeof<T>() - 1)) * sizeof<T>();
  store<T>(Vec.xmm(v, Vec.r1(pc)) + place, load<T>(ptr));
  return STEP_NEXT;
}

/** Every operation from SIMD_PSHUFB on. */
export function laterOperation(v: usize, pc: usize, op: u32): u32 {
  if (Uop.imm(pc) & SIMD_MMX) return mmxLater(v, pc, op);
  if (op <= S.SIMD_PMOVZXDQ) return xmmLater(v, pc, op);
  if (op >= S.SIMD_ADDSUB) return floatLater(v, pc, op);
  if (op >= S.SIMD_PCMPESTRM) return compareStrings(v, pc, op);
  switch (op) {
    case S.SIMD_PTEST:
      return test(v, pc);
    case S.SIMD_PEXTRB:
      return extract<u8>(v, pc);
    case S.SIMD_PEXTRW_RM:
      return extract<u16>(v, pc);
    case S.SIMD_PEXTRD:
      return extract<u32>(v, pc);
    case S.SIMD_PINSRB:
      return insert<u8>(v, pc);
    default:
      return insert<u32>(v, pc);
  }
}
