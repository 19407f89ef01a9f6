/**
 * Moves between XMM, MMX and general registers and memory, and the control and status register.
 * A store is made before any register changes, so that one that faults changes nothing.
 * Source: SDM 2A and 2B, the instruction of each name; SDM 1, "MXCSR Control and Status Register".
 */

import { MXCSR_DEFINED } from "../../abi/sse.ts";
import { VCPU_MXCSR } from "../../abi/vcpu.ts";
import { SHAPE_PS, SIMD_MMX, SIMD_SIZE_SHIFT } from "../decode/simd.ts";
import * as S from "../decode/simd-ops.ts";
import { Uop } from "../decode/uop.ts";
import { storeValue, translateRead, translateWrite } from "../mmu/access.ts";
import { raiseGp, STEP_EVENT, STEP_NEXT } from "../state/faults.ts";
import { finishMmx } from "./mmx.ts";
import { enterMmx, source, storeScalar, storeVector, Vec } from "./simd-operands.ts";

function step(isDone: bool): u32 {
  return isDone ? STEP_NEXT : STEP_EVENT;
}

/** SIMD_LOAD: whole registers, or scalars, which clear the rest of the register when they come from memory. */
function loadXmm(v: usize, pc: usize): u32 {
  const ptr = source(v, pc, Vec.xmm(v, Vec.r2(pc)));
  if (ptr == 0) return STEP_EVENT;
  const target = Vec.xmm(v, Vec.r1(pc));
  const size = Uop.imm(pc) >>> SIMD_SIZE_SHIFT;
  if (size == 16) v128.store(target, v128.load(ptr));
  else if (Uop.isMemory(pc)) {
    const value: u64 = size == 4 ? <u64>load<u32>(ptr) : load<u64>(ptr);
    store<u64>(target, value);
    store<u64>(target, 0, 8);
  } else if (size == 4) store<u32>(target, load<u32>(ptr));
  else store<u64>(target, load<u64>(ptr));
  return STEP_NEXT;
}

/** SIMD_STORE: the same in the other direction; a scalar leaves the rest of a register alone. */
function storeXmm(v: usize, pc: usize): u32 {
  const from = Vec.xmm(v, Vec.r1(pc));
  const size = Uop.imm(pc) >>> SIMD_SIZE_SHIFT;
  if (Uop.isMemory(pc)) {
    if (size == 16) return step(storeVector(v, pc, v128.load(from)));
    if (size == 8) return step(storeScalar<u64>(v, pc, load<u64>(from)));
    return step(storeScalar<u32>(v, pc, load<u32>(from)));
  }
  const target = Vec.xmm(v, Vec.r2(pc));
  if (size == 16) v128.store(target, v128.load(from));
  else if (size == 8) store<u64>(target, load<u64>(from));
  else store<u32>(target, load<u32>(from));
  return STEP_NEXT;
}

/** MOVLPS, MOVHLPS (`half` 0) and MOVHPS, MOVLHPS (`half` 8): the register forms take the other half. */
function loadHalf(v: usize, pc: usize, half: usize): u32 {
  const ptr = source(v, pc, Vec.xmm(v, Vec.r2(pc)) + (8 - half));
  if (ptr == 0) return STEP_EVENT;
  store<u64>(Vec.xmm(v, Vec.r1(pc)) + half, load<u64>(ptr));
  return STEP_NEXT;
}

/** MOVQ mm, mm/m64. */
function loadMmx(v: usize, pc: usize): u32 {
  const ptr = source(v, pc, Vec.mmx(v, Vec.r2(pc)));
  return ptr == 0 ? STEP_EVENT : finishMmx(v, Vec.r1(pc), load<u64>(ptr));
}
/** MOVQ mm/m64, mm; MOVNTQ. */
function storeMmx(v: usize, pc: usize): u32 {
  const value = load<u64>(Vec.mmx(v, Vec.r1(pc)));
  if (!Uop.isMemory(pc)) return finishMmx(v, Vec.r2(pc), value);
  if (!storeScalar<u64>(v, pc, value)) return STEP_EVENT;
  enterMmx(v);
  return STEP_NEXT;
}

/** MOVD from r/m32, zero-extended. */
function loadDword(v: usize, pc: usize): u32 {
  const ptr = source(v, pc, Vec.gpr(v, Vec.r2(pc)));
  if (ptr == 0) return STEP_EVENT;
  const value: u64 = load<u32>(ptr);
  if (Uop.imm(pc) & SIMD_MMX) return finishMmx(v, Vec.r1(pc), value);
  setLow(v, Vec.r1(pc), value);
  return STEP_NEXT;
}
/** MOVD to r/m32. */
function storeDword(v: usize, pc: usize): u32 {
  const isMmx = (Uop.imm(pc) & SIMD_MMX) != 0;
  const value = load<u32>(isMmx ? Vec.mmx(v, Vec.r1(pc)) : Vec.xmm(v, Vec.r1(pc)));
  if (Uop.isMemory(pc)) {
    if (!storeScalar<u32>(v, pc, value)) return STEP_EVENT;
  } else store<u32>(Vec.gpr(v, Vec.r2(pc)), value);
  if (isMmx) enterMmx(v);
  return STEP_NEXT;
}

/** Fills an XMM register with a quadword and zeroes. */
function setLow(v: usize, n: u32, value: u64): void {
  store<u64>(Vec.xmm(v, n), value);
  store<u64>(Vec.xmm(v, n), 0, 8);
}

/** MOVQ xmm, xmm/m64. */
function loadQuad(v: usize, pc: usize): u32 {
  const ptr = source(v, pc, Vec.xmm(v, Vec.r2(pc)));
  if (ptr == 0) return STEP_EVENT;
  setLow(v, Vec.r1(pc), load<u64>(ptr));
  return STEP_NEXT;
}
/** MOVQ xmm/m64, xmm. */
function storeQuad(v: usize, pc: usize): u32 {
  const value = load<u64>(Vec.xmm(v, Vec.r1(pc)));
  if (Uop.isMemory(pc)) return step(storeScalar<u64>(v, pc, value));
  setLow(v, Vec.r2(pc), value);
  return STEP_NEXT;
}

/** MOVMSKPS, MOVMSKPD. */
function signMask(v: usize, pc: usize): u32 {
  const value = v128.load(Vec.xmm(v, Vec.r2(pc)));
  const isSingle = shapeOf(pc) == SHAPE_PS;
  const mask = isSingle ? i32x4.bitmask(value) : i64x2.bitmask(value);
  store<u32>(Vec.gpr(v, Vec.r1(pc)), mask);
  return STEP_NEXT;
}
/** PMOVMSKB. */
function byteMask(v: usize, pc: usize): u32 {
  const isMmx = (Uop.imm(pc) & SIMD_MMX) != 0;
  const ptr = isMmx ? Vec.mmx(v, Vec.r2(pc)) : Vec.xmm(v, Vec.r2(pc));
  const mask = i8x16.bitmask(v128.load(ptr)) & (isMmx ? 0xff : 0xffff);
  store<u32>(Vec.gpr(v, Vec.r1(pc)), mask);
  if (isMmx) enterMmx(v);
  return STEP_NEXT;
}

/** PINSRW. */
function insertWord(v: usize, pc: usize): u32 {
  const ptr = source(v, pc, Vec.gpr(v, Vec.r2(pc)));
  if (ptr == 0) return STEP_EVENT;
  const word = load<u16>(ptr);
  const place = Uop.imm(pc) & 7;
  const n = Vec.r1(pc);
  if (Uop.imm(pc) & SIMD_MMX) {
    const shift = <u64>((place & 3) << 4);
    const old = load<u64>(Vec.mmx(v, n)) & ~((<u64>0xffff) << shift);
    return finishMmx(v, n, old | ((<u64>word) << shift));
  }
  store<u16>(Vec.xmm(v, n) + (place << 1), word);
  return STEP_NEXT;
}
/** PEXTRW. */
function extractWord(v: usize, pc: usize): u32 {
  const place = Uop.imm(pc) & 7;
  const isMmx = (Uop.imm(pc) & SIMD_MMX) != 0;
  const ptr = isMmx
    ? Vec.mmx(v, Vec.r2(pc)) + ((place & 3) << 1)
    : Vec.xmm(v, Vec.r2(pc)) + (place << 1);
  store<u32>(Vec.gpr(v, Vec.r1(pc)), load<u16>(ptr));
  if (isMmx) enterMmx(v);
  return STEP_NEXT;
}

/**
 * MASKMOVQ, MASKMOVDQU: stores the bytes whose mask byte is negative, at DS:EDI. All of the bytes must be writable if any is stored.
 */
function maskedStore(v: usize, pc: usize): u32 {
  const isMmx = (Uop.imm(pc) & SIMD_MMX) != 0;
  const size: u32 = isMmx ? 8 : 16;
  const from = isMmx ? Vec.mmx(v, Vec.r1(pc)) : Vec.xmm(v, Vec.r1(pc));
  const mask = isMmx ? Vec.mmx(v, Vec.r2(pc)) : Vec.xmm(v, Vec.r2(pc));
  const lin = Uop.ea(v, pc);
  for (let i: u32 = 0; i < size; i++) {
    if (load<i8>(mask + i) < 0 && translateWrite(v, lin + i, 1) == 0) return STEP_EVENT;
  }
  for (let i: u32 = 0; i < size; i++) {
    if (load<i8>(mask + i) < 0 && !storeValue<u8>(v, lin + i, load<u8>(from + i)))
      return STEP_EVENT;
  }
  if (isMmx) enterMmx(v);
  return STEP_NEXT;
}

/** LDMXCSR: #GP(0) for bits that do not exist. */
function loadControl(v: usize, pc: usize): u32 {
  const ptr = source(v, pc, 0);
  if (ptr == 0) return STEP_EVENT;
  const value = load<u32>(ptr);
  if ((value & ~MXCSR_DEFINED) != 0) {
    raiseGp(v);
    return STEP_EVENT;
  }
  store<u32>(v, value, VCPU_MXCSR);
  return STEP_NEXT;
}

/** SHAPE_* of the micro-op. */
function shapeOf(pc: usize): u32 {
  return (Uop.imm(pc) >>> 16) & 3;
}

/** Every operation from SIMD_LOAD on but EMMS. */
export function moveOperation(v: usize, pc: usize, op: u32): u32 {
  switch (op) {
    case S.SIMD_LOAD:
      return loadXmm(v, pc);
    case S.SIMD_STORE:
      return storeXmm(v, pc);
    case S.SIMD_LOAD_LOW:
      return loadHalf(v, pc, 0);
    case S.SIMD_LOAD_HIGH:
      return loadHalf(v, pc, 8);
    case S.SIMD_STORE_LOW:
      return step(storeScalar<u64>(v, pc, load<u64>(Vec.xmm(v, Vec.r1(pc)))));
    case S.SIMD_STORE_HIGH:
      return step(storeScalar<u64>(v, pc, load<u64>(Vec.xmm(v, Vec.r1(pc)), 8)));
    case S.SIMD_MMX_LOAD:
      return loadMmx(v, pc);
    case S.SIMD_MMX_STORE:
      return storeMmx(v, pc);
    case S.SIMD_MOVD_LOAD:
      return loadDword(v, pc);
    case S.SIMD_MOVD_STORE:
      return storeDword(v, pc);
    case S.SIMD_MOVQ_LOAD:
      return loadQuad(v, pc);
    case S.SIMD_MOVQ_STORE:
      return storeQuad(v, pc);
    case S.SIMD_MOVQ2DQ: {
      setLow(v, Vec.r1(pc), load<u64>(Vec.mmx(v, Vec.r2(pc))));
      enterMmx(v);
      return STEP_NEXT;
    }
    case S.SIMD_MOVDQ2Q:
      return finishMmx(v, Vec.r1(pc), load<u64>(Vec.xmm(v, Vec.r2(pc))));
    case S.SIMD_MOVMSK:
      return signMask(v, pc);
    case S.SIMD_PMOVMSKB:
      return byteMask(v, pc);
    case S.SIMD_PINSRW:
      return insertWord(v, pc);
    case S.SIMD_PEXTRW:
      return extractWord(v, pc);
    case S.SIMD_MOVNTI:
      return step(storeScalar<u32>(v, pc, load<u32>(Vec.gpr(v, Vec.r1(pc)))));
    case S.SIMD_MASKMOV:
      return maskedStore(v, pc);
    case S.SIMD_LDMXCSR:
      return loadControl(v, pc);
    case S.SIMD_STMXCSR:
      return step(storeScalar<u32>(v, pc, load<u32>(v, VCPU_MXCSR)));
    default:
      // CLFLUSH has no cache to flush, but faults like a load.
      return step(translateRead(v, Uop.ea(v, pc), 1) != 0);
  }
}
