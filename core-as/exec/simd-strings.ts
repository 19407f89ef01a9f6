/**
 * PCMPESTRI, PCMPESTRM, PCMPISTRI, PCMPISTRM: two strings of up to sixteen bytes or eight words in registers, compared element by element.
 * The first string is the set, the ranges or the needle; a bit of the result belongs to each element of the second.
 * Source: SDM 2B, "Imm8 Control Byte Operation for PCMPESTRI / PCMPESTRM / PCMPISTRI / PCMPISTRM".
 */
import {
  EFLAGS_CF,
  EFLAGS_OF,
  EFLAGS_SF,
  EFLAGS_ZF,
  REG_EAX,
  REG_ECX,
  REG_EDX,
} from "../../abi/x86.ts";
import * as S from "../decode/simd-ops.ts";
import { Uop } from "../decode/uop.ts";
import { STEP_EVENT, STEP_NEXT } from "../state/faults.ts";
import { setArithFlags } from "../state/flags.ts";
import { reg, setReg } from "../state/vcpu.ts";
import { source, Vec } from "./simd-operands.ts";

/** The control byte: words, signed elements, how to aggregate, what to negate, and which form the result has. */
const IMM_WORDS: u32 = 1;
const IMM_SIGNED: u32 = 2;
const AGGREGATE_SHIFT: u32 = 2;
const AGGREGATE_ANY: u32 = 0;
const AGGREGATE_RANGES: u32 = 1;
const AGGREGATE_EACH: u32 = 2;
const IMM_NEGATES: u32 = 0x10;
/** Negates only elements that the second string has. */
const IMM_VALID_ONLY: u32 = 0x20;
/** The last index instead of the first; a mask of whole elements instead of one of bits. */
const IMM_FAR: u32 = 0x40;

/** @returns element `i`. */
function element(ptr: usize, i: u32, imm: u32): i32 {
  if (imm & IMM_WORDS) {
    const at = ptr + (i << 1);
    return imm & IMM_SIGNED ? load<i16>(at) : load<u16>(at);
  }
  return imm & IMM_SIGNED ? load<i8>(ptr + i) : load<u8>(ptr + i);
}

/** @returns elements before the first zero, at most `most`. */
function implicitLength(ptr: usize, most: u32, imm: u32): u32 {
  let i: u32 = 0;
  while (i < most && element(ptr, i, imm) != 0) i++;
  return i;
}
/** @returns the magnitude of a register, at most `most`. */
function explicitLength(value: u32, most: u32): u32 {
  const magnitude: u32 = <i32>value < 0 ? 0 - value : value;
  return magnitude < most ? magnitude : most;
}

/** @returns whether element `j` of `b` is one of the set, or in one of the ranges. */
function isIn(a: usize, lengthA: u32, b: usize, j: u32, imm: u32, ranges: bool): bool {
  const wanted = element(b, j, imm);
  if (!ranges) {
    for (let i: u32 = 0; i < lengthA; i++) if (element(a, i, imm) == wanted) return true;
    return false;
  }
  for (let i: u32 = 0; i + 1 < lengthA; i += 2) {
    if (element(a, i, imm) <= wanted && wanted <= element(a, i + 1, imm)) return true;
  }
  return false;
}
/** @returns whether the needle `a` starts at element `j` of `b`, as far as the register goes. */
function starts(a: usize, lengthA: u32, b: usize, lengthB: u32, j: u32, most: u32, imm: u32): bool {
  for (let i: u32 = 0; i < lengthA && i + j < most; i++) {
    if (i + j >= lengthB || element(a, i, imm) != element(b, i + j, imm)) return false;
  }
  return true;
}

/** @returns the bit of each element of `b`, before negation. */
function compared(a: usize, lengthA: u32, b: usize, lengthB: u32, most: u32, imm: u32): u32 {
  const aggregate = (imm >>> AGGREGATE_SHIFT) & 3;
  let bits: u32 = 0;
  for (let j: u32 = 0; j < most; j++) {
    let holds: bool;
    if (aggregate == AGGREGATE_ANY || aggregate == AGGREGATE_RANGES) {
      holds = j < lengthB && isIn(a, lengthA, b, j, imm, aggregate == AGGREGATE_RANGES);
    } else if (aggregate == AGGREGATE_EACH) {
      const both = j < lengthA && j < lengthB;
      holds = both ? element(a, j, imm) == element(b, j, imm) : j >= lengthA && j >= lengthB;
    } else holds = starts(a, lengthA, b, lengthB, j, most, imm);
    if (holds) bits |= 1 << j;
  }
  return bits;
}

function storeMask(target: usize, bits: u32, imm: u32): void {
  const size: u32 = imm & IMM_WORDS ? 2 : 1;
  for (let i: u32 = 0; i < 16; i++) {
    const isSet = ((bits >>> (i / size)) & 1) != 0;
    store<u8>(target + i, isSet ? 0xff : 0);
  }
}

/** The four instructions: ECX or XMM0, and CF any, ZF and SF for strings that end, OF the first bit. */
export function compareStrings(v: usize, pc: usize, op: u32): u32 {
  const b = source(v, pc, Vec.xmm(v, Vec.r2(pc)));
  if (b == 0) return STEP_EVENT;
  const imm = Uop.imm(pc) & 0xff;
  const a = Vec.xmm(v, Vec.r1(pc));
  const most: u32 = imm & IMM_WORDS ? 8 : 16;
  const isExplicit = op == S.SIMD_PCMPESTRM || op == S.SIMD_PCMPESTRI;
  const lengthA = isExplicit ? explicitLength(reg(v, REG_EAX), most) : implicitLength(a, most, imm);
  const lengthB = isExplicit ? explicitLength(reg(v, REG_EDX), most) : implicitLength(b, most, imm);
  let bits = compared(a, lengthA, b, lengthB, most, imm);
  if (imm & IMM_NEGATES) bits ^= (1 << (imm & IMM_VALID_ONLY ? lengthB : most)) - 1;
  if (op == S.SIMD_PCMPESTRI || op == S.SIMD_PCMPISTRI) {
    const index = imm & IMM_FAR ? 31 - clz(bits) : ctz(bits);
    setReg(v, REG_ECX, bits == 0 ? most : index);
  } else {
    const target = Vec.xmm(v, 0);
    if (imm & IMM_FAR) storeMask(target, bits, imm);
    else {
      store<u64>(target, bits);
      store<u64>(target, 0, 8);
    }
  }
  let flags: u32 = bits & 1 ? EFLAGS_OF : 0;
  if (bits != 0) flags |= EFLAGS_CF;
  if (lengthB < most) flags |= EFLAGS_ZF;
  if (lengthA < most) flags |= EFLAGS_SF;
  setArithFlags(v, flags);
  return STEP_NEXT;
}
