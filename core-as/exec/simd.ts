/**
 * MMX and SSE: whether the instruction is available now, and which subject it belongs to.
 * Decoding has settled that the CPU model has it; the control registers are asked each time.
 * Source: SDM 2A, "Exceptions" of each instruction; SDM 3A, "Checking for Intel SSE Support".
 */
import { VCPU_CR0, VCPU_CR4 } from "../../abi/vcpu.ts";
import { CR0_EM, CR0_TS, CR4_OSFXSR, VECTOR_NM } from "../../abi/x86.ts";
import { SIMD_IMM8, SIMD_MMX, SIMD_OPERATION_SHIFT, SIMD_XMM } from "../decode/simd.ts";
import * as S from "../decode/simd-ops.ts";
import { Uop } from "../decode/uop.ts";
import { raise, raiseUd, STEP_EVENT, STEP_NEXT } from "../state/faults.ts";
import { isPending, reportPending } from "./fpu-state.ts";
import { emms, mmxPacked } from "./mmx.ts";
import { packed, shifted, shiftedBytes, shuffled } from "./simd-int.ts";
import { laterOperation } from "./simd-later.ts";
import { source, Vec } from "./simd-operands.ts";
import { floatOperation } from "./sse-float.ts";
import { moveOperation } from "./sse-move.ts";

/** @returns false with #UD, #NM or #MF recorded, in this order. */
function isAvailable(v: usize, imm: u32): bool {
  const cr0 = load<u32>(v, VCPU_CR0);
  const lacksSse = (imm & SIMD_XMM) != 0 && (load<u32>(v, VCPU_CR4) & CR4_OSFXSR) == 0;
  if ((cr0 & CR0_EM) != 0 || lacksSse) raiseUd(v);
  else if (cr0 & CR0_TS) raise(v, VECTOR_NM);
  else return (imm & SIMD_MMX) == 0 || !isPending(v) || !reportPending(v);
  return false;
}

/** Any instruction of decode/simd.ts. */
export function simd(v: usize, pc: usize): u32 {
  const imm = Uop.imm(pc);
  if ((imm & (SIMD_XMM | SIMD_MMX)) != 0 && !isAvailable(v, imm)) return STEP_EVENT;
  const op = (imm >>> SIMD_OPERATION_SHIFT) & 0xff;
  if (op >= S.SIMD_PSHUFB) return laterOperation(v, pc, op);
  if (op >= S.SIMD_LOAD) return op == S.SIMD_EMMS ? emms(v) : moveOperation(v, pc, op);
  if (op >= S.SIMD_FADD) return floatOperation(v, pc, op);
  return imm & SIMD_MMX ? mmxPacked(v, pc, op) : xmmPacked(v, pc, op, imm);
}

/** Packed integers, shifts and shuffles of XMM registers. */
function xmmPacked(v: usize, pc: usize, op: u32, imm: u32): u32 {
  const isShift = op >= S.SIMD_PSRLW && op <= S.SIMD_PSLLDQ;
  if (isShift && (imm & SIMD_IMM8) != 0) {
    const target = Vec.xmm(v, Vec.r2(pc));
    const old = v128.load(target);
    const count = imm & 0xff;
    v128.store(
      target,
      op >= S.SIMD_PSRLDQ ? shiftedBytes(op, old, count) : shifted(op, old, count),
    );
    return STEP_NEXT;
  }
  const ptr = source(v, pc, Vec.xmm(v, Vec.r2(pc)));
  if (ptr == 0) return STEP_EVENT;
  const target = Vec.xmm(v, Vec.r1(pc));
  const old = v128.load(target);
  if (isShift) v128.store(target, shifted(op, old, load<u64>(ptr)));
  else if (op >= S.SIMD_PSHUFW) v128.store(target, shuffled(op, target, ptr, imm & 0xff));
  else v128.store(target, packed(op, old, v128.load(ptr)));
  return STEP_NEXT;
}
