/**
 * The MMX, SSE and SSE2 rows of the two-byte opcode map, by mandatory prefix, as data. A row pairs an opcode with an operation
 * and a form; the form says for each prefix which operands there are, how wide, and from which CPU model on.
 *
 * The micro-op carries register numbers in r1 (reg field) and r2 (r/m field); its immediate is laid out below.
 * DEVIATION: an opcode that a model lacks under its prefix is undefined; older processors ignored prefixes they did not know.
 * Source: SDM 2D, "Two-byte Opcode Map".
 */
import { CPU_MODEL_PENTIUM3, CPU_MODEL_PENTIUM4, VCPU_ZERO } from "../../abi/vcpu.ts";
import { REG_EDI } from "../../abi/x86.ts";
import { Ins, REP_E, REP_NE } from "./instruction.ts";
import { undefinedOpcode } from "./one-byte.ts";
import * as S from "./simd-ops.ts";
import { UOP_NOP, UOP_SIMD } from "./uop-ids.ts";

/** Immediate of the micro-op: the instruction's own in bits 0-7, the operation in 8-15, the shape in 16-17, then these. */
export const SIMD_OPERATION_SHIFT: u32 = 8;
export const SIMD_SHAPE_SHIFT: u32 = 16;
/** It uses XMM registers or MXCSR; it uses MMX registers; a memory operand must be aligned to 16 bytes. */
export const SIMD_XMM: u32 = 1 << 18;
export const SIMD_MMX: u32 = 1 << 19;
export const SIMD_ALIGNED: u32 = 1 << 20;
/** There is an immediate. For the packed shifts: it is the count, and r2 the register. */
export const SIMD_IMM8: u32 = 1 << 21;
/** Bytes of a memory operand, from this bit on. */
export const SIMD_SIZE_SHIFT: u32 = 24;

/** Shapes, by mandatory prefix: none, 66, F3, F2. For arithmetic: packed single, packed double, scalar single, scalar double. */
export const SHAPE_PS: u32 = 0;
export const SHAPE_PD: u32 = 1;
export const SHAPE_SS: u32 = 2;
export const SHAPE_SD: u32 = 3;

/** A form's word for one prefix: size in bits 0-7, least model in 8-10, flags of the immediate in their places, then these. */
export const LEVEL_SHIFT: u32 = 8;
const LEVEL_MASK: u32 = 7;
export const WRITES: u32 = 1 << 22;
export const MEMORY_ONLY: u32 = 1 << 24;
const REGISTER_ONLY: u32 = 1 << 25;
const NO_MODRM: u32 = 1 << 26;
/** X, M, B: XMM, MMX or both; the number is the model. */
const N1: u32 = (<u32>CPU_MODEL_PENTIUM3) << LEVEL_SHIFT;
const N2: u32 = (<u32>CPU_MODEL_PENTIUM4) << LEVEL_SHIFT;
const X1: u32 = N1 | SIMD_XMM;
const X2: u32 = N2 | SIMD_XMM;
const M1: u32 = N1 | SIMD_MMX;
const M2: u32 = N2 | SIMD_MMX;
const B1: u32 = X1 | SIMD_MMX;
const B2: u32 = X2 | SIMD_MMX;
const A1: u32 = X1 | SIMD_ALIGNED;
const A2: u32 = X2 | SIMD_ALIGNED;

const PACKED: u32 = 0;
const PACKED2: u32 = 1;
const SHUFFLE: u32 = 2;
const XMM: u32 = 3;
const XMM_IMM: u32 = 4;
const FLOAT: u32 = 5;
const FLOAT_IMM: u32 = 6;
const ESTIMATE: u32 = 7;
const COMPARE: u32 = 8;
const FROM_INT: u32 = 9;
const TO_INT: u32 = 10;
const WIDTH: u32 = 11;
const DWORDS: u32 = 12;
const DOUBLES: u32 = 13;
const LOADS: u32 = 14;
const STORES: u32 = 15;
const LOADS_ALIGNED: u32 = 16;
const STORES_ALIGNED: u32 = 17;
const LOADS_DQ: u32 = 18;
const STORES_DQ: u32 = 19;
const HALF_LOADS: u32 = 20;
const HALF_STORES: u32 = 21;
const STREAMS: u32 = 22;
const MMX_LOADS: u32 = 23;
const MMX_STORES: u32 = 24;
const MMX_STREAMS: u32 = 25;
const DWORD_LOADS: u32 = 26;
const DWORD_STORES: u32 = 27;
const QUAD_LOADS: u32 = 28;
const QUAD_STORES: u32 = 29;
const TO_XMM: u32 = 30;
const TO_MMX: u32 = 31;
const SIGNS: u32 = 32;
const BYTE_SIGNS: u32 = 33;
const INSERT: u32 = 34;
const EXTRACT: u32 = 35;
const DIRECT: u32 = 36;
const MASKED: u32 = 37;
const EMPTY: u32 = 38;
const HIGH_QUADS: u32 = 39;
const STREAMS_DQ: u32 = 40;

/** Four words each, by shape; 0 = undefined. */
// biome-ignore format: one form per line
const FORMS: usize = memory.data<u32>([
  /* PACKED */ M1 | 8, A2 | 16, 0, 0,
  /* PACKED2 */ M2 | 8, A2 | 16, 0, 0,
  /* SHUFFLE */ M1 | 8 | SIMD_IMM8, A2 | 16 | SIMD_IMM8, A2 | 16 | SIMD_IMM8, A2 | 16 | SIMD_IMM8,
  /* XMM */ A1 | 16, A2 | 16, 0, 0,
  /* XMM_IMM */ A1 | 16 | SIMD_IMM8, A2 | 16 | SIMD_IMM8, 0, 0,
  /* FLOAT */ A1 | 16, A2 | 16, X1 | 4, X2 | 8,
  /* FLOAT_IMM */ A1 | 16 | SIMD_IMM8, A2 | 16 | SIMD_IMM8, X1 | 4 | SIMD_IMM8, X2 | 8 | SIMD_IMM8,
  /* ESTIMATE */ A1 | 16, 0, X1 | 4, 0,
  /* COMPARE */ X1 | 4, X2 | 8, 0, 0,
  /* FROM_INT */ B1 | 8, B2 | 8, X1 | 4, X2 | 4,
  /* TO_INT */ B1 | 8, B2 | 16 | SIMD_ALIGNED, X1 | 4, X2 | 8,
  /* WIDTH */ X2 | 8, A2 | 16, X2 | 4, X2 | 8,
  /* DWORDS */ A2 | 16, A2 | 16, A2 | 16, 0,
  /* DOUBLES */ 0, A2 | 16, X2 | 8, A2 | 16,
  /* LOADS */ X1 | 16, X2 | 16, X1 | 4, X2 | 8,
  /* STORES */ X1 | 16 | WRITES, X2 | 16 | WRITES, X1 | 4 | WRITES, X2 | 8 | WRITES,
  /* LOADS_ALIGNED */ A1 | 16, A2 | 16, 0, 0,
  /* STORES_ALIGNED */ A1 | 16 | WRITES, A2 | 16 | WRITES, 0, 0,
  /* LOADS_DQ */ 0, A2 | 16, X2 | 16, 0,
  /* STORES_DQ */ 0, A2 | 16 | WRITES, X2 | 16 | WRITES, 0,
  /* HALF_LOADS */ X1 | 8, X2 | 8 | MEMORY_ONLY, 0, 0,
  /* HALF_STORES */ X1 | 8 | WRITES | MEMORY_ONLY, X2 | 8 | WRITES | MEMORY_ONLY, 0, 0,
  /* STREAMS */ A1 | 16 | WRITES | MEMORY_ONLY, A2 | 16 | WRITES | MEMORY_ONLY, 0, 0,
  /* MMX_LOADS */ M1 | 8, 0, 0, 0,
  /* MMX_STORES */ M1 | 8 | WRITES, 0, 0, 0,
  /* MMX_STREAMS */ M1 | 8 | WRITES | MEMORY_ONLY, 0, 0, 0,
  /* DWORD_LOADS */ M1 | 4, X2 | 4, 0, 0,
  /* DWORD_STORES */ M1 | 4 | WRITES, X2 | 4 | WRITES, 0, 0,
  /* QUAD_LOADS */ 0, 0, X2 | 8, 0,
  /* QUAD_STORES */ 0, X2 | 8 | WRITES, 0, 0,
  /* TO_XMM */ 0, 0, B2 | REGISTER_ONLY, 0,
  /* TO_MMX */ 0, 0, 0, B2 | REGISTER_ONLY,
  /* SIGNS */ X1 | REGISTER_ONLY, X2 | REGISTER_ONLY, 0, 0,
  /* BYTE_SIGNS */ M1 | REGISTER_ONLY, X2 | REGISTER_ONLY, 0, 0,
  /* INSERT */ M1 | 2 | SIMD_IMM8, X2 | 2 | SIMD_IMM8, 0, 0,
  /* EXTRACT */ M1 | REGISTER_ONLY | SIMD_IMM8, X2 | REGISTER_ONLY | SIMD_IMM8, 0, 0,
  /* DIRECT */ N2 | 4 | WRITES | MEMORY_ONLY, 0, 0, 0,
  /* MASKED */ M1 | 8 | WRITES | REGISTER_ONLY, X2 | 16 | WRITES | REGISTER_ONLY, 0, 0,
  /* EMPTY */ M1 | NO_MODRM, 0, 0, 0,
  /* HIGH_QUADS */ 0, A2 | 16, 0, 0,
  /* STREAMS_DQ */ 0, A2 | 16 | WRITES | MEMORY_ONLY, 0, 0,
]);

/** Opcode, operation, form. Several rows of one opcode have forms for different prefixes. */
// biome-ignore format: rows of the opcode map
const ROWS: usize = memory.data<u32>([
  0x10, S.SIMD_LOAD, LOADS, 0x11, S.SIMD_STORE, STORES,
  0x12, S.SIMD_LOAD_LOW, HALF_LOADS, 0x13, S.SIMD_STORE_LOW, HALF_STORES,
  0x14, S.SIMD_PUNPCKLDQ, XMM, 0x15, S.SIMD_PUNPCKHDQ, XMM,
  0x16, S.SIMD_LOAD_HIGH, HALF_LOADS, 0x17, S.SIMD_STORE_HIGH, HALF_STORES,
  0x28, S.SIMD_LOAD, LOADS_ALIGNED, 0x29, S.SIMD_STORE, STORES_ALIGNED,
  0x2a, S.SIMD_CVT_FROM_INT, FROM_INT, 0x2b, S.SIMD_STORE, STREAMS,
  0x2c, S.SIMD_CVT_TO_INT_TRUNC, TO_INT, 0x2d, S.SIMD_CVT_TO_INT, TO_INT,
  0x2e, S.SIMD_UCOMIS, COMPARE, 0x2f, S.SIMD_COMIS, COMPARE,
  0x50, S.SIMD_MOVMSK, SIGNS, 0x51, S.SIMD_FSQRT, FLOAT,
  0x52, S.SIMD_RSQRT, ESTIMATE, 0x53, S.SIMD_RCP, ESTIMATE,
  0x54, S.SIMD_PAND, XMM, 0x55, S.SIMD_PANDN, XMM, 0x56, S.SIMD_POR, XMM, 0x57, S.SIMD_PXOR, XMM,
  0x58, S.SIMD_FADD, FLOAT, 0x59, S.SIMD_FMUL, FLOAT,
  0x5a, S.SIMD_CVT_WIDTH, WIDTH, 0x5b, S.SIMD_CVT_DWORDS, DWORDS,
  0x5c, S.SIMD_FSUB, FLOAT, 0x5d, S.SIMD_FMIN, FLOAT, 0x5e, S.SIMD_FDIV, FLOAT, 0x5f, S.SIMD_FMAX, FLOAT,
  0x60, S.SIMD_PUNPCKLBW, PACKED, 0x61, S.SIMD_PUNPCKLWD, PACKED, 0x62, S.SIMD_PUNPCKLDQ, PACKED,
  0x63, S.SIMD_PACKSSWB, PACKED,
  0x64, S.SIMD_PCMPGTB, PACKED, 0x65, S.SIMD_PCMPGTW, PACKED, 0x66, S.SIMD_PCMPGTD, PACKED,
  0x67, S.SIMD_PACKUSWB, PACKED,
  0x68, S.SIMD_PUNPCKHBW, PACKED, 0x69, S.SIMD_PUNPCKHWD, PACKED, 0x6a, S.SIMD_PUNPCKHDQ, PACKED,
  0x6b, S.SIMD_PACKSSDW, PACKED,
  0x6c, S.SIMD_PUNPCKLQDQ, HIGH_QUADS, 0x6d, S.SIMD_PUNPCKHQDQ, HIGH_QUADS,
  0x6e, S.SIMD_MOVD_LOAD, DWORD_LOADS, 0x6f, S.SIMD_MMX_LOAD, MMX_LOADS, 0x6f, S.SIMD_LOAD, LOADS_DQ,
  0x70, S.SIMD_PSHUFW, SHUFFLE,
  0x74, S.SIMD_PCMPEQB, PACKED, 0x75, S.SIMD_PCMPEQW, PACKED, 0x76, S.SIMD_PCMPEQD, PACKED,
  0x77, S.SIMD_EMMS, EMPTY,
  0x7e, S.SIMD_MOVD_STORE, DWORD_STORES, 0x7e, S.SIMD_MOVQ_LOAD, QUAD_LOADS,
  0x7f, S.SIMD_MMX_STORE, MMX_STORES, 0x7f, S.SIMD_STORE, STORES_DQ,
  0xc2, S.SIMD_FCMP, FLOAT_IMM, 0xc3, S.SIMD_MOVNTI, DIRECT,
  0xc4, S.SIMD_PINSRW, INSERT, 0xc5, S.SIMD_PEXTRW, EXTRACT, 0xc6, S.SIMD_SHUFPS, XMM_IMM,
  0xd1, S.SIMD_PSRLW, PACKED, 0xd2, S.SIMD_PSRLD, PACKED, 0xd3, S.SIMD_PSRLQ, PACKED,
  0xd4, S.SIMD_PADDQ, PACKED2, 0xd5, S.SIMD_PMULLW, PACKED,
  0xd6, S.SIMD_MOVQ_STORE, QUAD_STORES, 0xd6, S.SIMD_MOVQ2DQ, TO_XMM, 0xd6, S.SIMD_MOVDQ2Q, TO_MMX,
  0xd7, S.SIMD_PMOVMSKB, BYTE_SIGNS,
  0xd8, S.SIMD_PSUBUSB, PACKED, 0xd9, S.SIMD_PSUBUSW, PACKED, 0xda, S.SIMD_PMINUB, PACKED,
  0xdb, S.SIMD_PAND, PACKED,
  0xdc, S.SIMD_PADDUSB, PACKED, 0xdd, S.SIMD_PADDUSW, PACKED, 0xde, S.SIMD_PMAXUB, PACKED,
  0xdf, S.SIMD_PANDN, PACKED,
  0xe0, S.SIMD_PAVGB, PACKED, 0xe1, S.SIMD_PSRAW, PACKED, 0xe2, S.SIMD_PSRAD, PACKED,
  0xe3, S.SIMD_PAVGW, PACKED, 0xe4, S.SIMD_PMULHUW, PACKED, 0xe5, S.SIMD_PMULHW, PACKED,
  0xe6, S.SIMD_CVT_DOUBLES, DOUBLES, 0xe7, S.SIMD_MMX_STORE, MMX_STREAMS, 0xe7, S.SIMD_STORE, STREAMS_DQ,
  0xe8, S.SIMD_PSUBSB, PACKED, 0xe9, S.SIMD_PSUBSW, PACKED, 0xea, S.SIMD_PMINSW, PACKED,
  0xeb, S.SIMD_POR, PACKED,
  0xec, S.SIMD_PADDSB, PACKED, 0xed, S.SIMD_PADDSW, PACKED, 0xee, S.SIMD_PMAXSW, PACKED,
  0xef, S.SIMD_PXOR, PACKED,
  0xf1, S.SIMD_PSLLW, PACKED, 0xf2, S.SIMD_PSLLD, PACKED, 0xf3, S.SIMD_PSLLQ, PACKED,
  0xf4, S.SIMD_PMULUDQ, PACKED2, 0xf5, S.SIMD_PMADDWD, PACKED, 0xf6, S.SIMD_PSADBW, PACKED,
  0xf7, S.SIMD_MASKMOV, MASKED,
  0xf8, S.SIMD_PSUBB, PACKED, 0xf9, S.SIMD_PSUBW, PACKED, 0xfa, S.SIMD_PSUBD, PACKED,
  0xfb, S.SIMD_PSUBQ, PACKED2,
  0xfc, S.SIMD_PADDB, PACKED, 0xfd, S.SIMD_PADDW, PACKED, 0xfe, S.SIMD_PADDD, PACKED,
  0, 0, 0,
]);
const ROW_BYTES: usize = 12;

/** Shift groups 0F 71-73: the operation by opcode and reg field, 0 = undefined; the last four are for XMM registers only. */
// biome-ignore format: one opcode per line
const SHIFTS: usize = memory.data<u32>([
  0, 0, S.SIMD_PSRLW, 0, S.SIMD_PSRAW, 0, S.SIMD_PSLLW, 0,
  0, 0, S.SIMD_PSRLD, 0, S.SIMD_PSRAD, 0, S.SIMD_PSLLD, 0,
  0, 0, S.SIMD_PSRLQ, S.SIMD_PSRLDQ, 0, 0, S.SIMD_PSLLQ, S.SIMD_PSLLDQ,
]);

/** @returns SHAPE_* of the prefixes read: F2 and F3 outrank 66. */
function shapeOfPrefixes(): u32 {
  if (Ins.rep == REP_E) return SHAPE_SS;
  if (Ins.rep == REP_NE) return SHAPE_SD;
  return Ins.op16 == Ins.code32 ? SHAPE_PD : SHAPE_PS;
}

/** The operation where one opcode has several under one form: by shape, in encoding order. */
function operationOf(row: usize, shape: u32): u32 {
  const operation = load<u32>(row, 4);
  switch (operation) {
    case S.SIMD_PSHUFW:
      return S.SIMD_PSHUFW + shape;
    case S.SIMD_SHUFPS:
      return S.SIMD_SHUFPS + shape;
    default:
  }
  // UNPCKLPD and UNPCKHPD move quadwords.
  const isUnpack = operation == S.SIMD_PUNPCKLDQ || operation == S.SIMD_PUNPCKHDQ;
  return isUnpack && load<u32>(row, 8) == XMM ? operation + shape : operation;
}

function emit(operation: u32, shape: u32, form: u32, imm8: u32): void {
  const flags = form & (SIMD_XMM | SIMD_MMX | SIMD_ALIGNED | SIMD_IMM8);
  const size = (form & 0xff) << SIMD_SIZE_SHIFT;
  const imm =
    imm8 | (operation << SIMD_OPERATION_SHIFT) | (shape << SIMD_SHAPE_SHIFT) | flags | size;
  Ins.emit(UOP_SIMD, Ins.regField, Ins.rmField, imm);
}

/** @returns whether the model has what a form's word stands for. */
function isOffered(form: u32): bool {
  return form != 0 && ((form >>> LEVEL_SHIFT) & LEVEL_MASK) <= Ins.model;
}

/** Decodes an opcode of the rows above. @returns false, with nothing consumed, where the model or the prefix has none. */
export function decodeSimd(opcode: u32): bool {
  if (opcode < 0x71 || opcode > 0x73) return decodeRow(ROWS, FORMS, opcode);
  shiftGroup(opcode);
  return true;
}
/** The same for any table of rows and forms that is laid out like these. */
export function decodeRow(rows: usize, forms: usize, opcode: u32): bool {
  const shape = shapeOfPrefixes();
  for (let row = rows; load<u32>(row) != 0; row += ROW_BYTES) {
    if (load<u32>(row) != opcode) continue;
    const form = load<u32>(forms + (load<u32>(row, 8) * 4 + shape) * 4);
    if (!isOffered(form)) continue;
    decodeForm(operationOf(row, shape), shape, form);
    return true;
  }
  return false;
}

function decodeForm(operation: u32, shape: u32, form: u32): void {
  if ((form & NO_MODRM) == 0) Ins.modrm();
  if ((form & (Ins.isMem ? REGISTER_ONLY : MEMORY_ONLY)) != 0) {
    undefinedOpcode();
    return;
  }
  const imm8: u32 = form & SIMD_IMM8 ? Ins.fetch8() : 0;
  if (operation == S.SIMD_MASKMOV) Ins.directMemory(REG_EDI << 2, VCPU_ZERO, 0);
  Ins.use(form & 0xff, (form & WRITES) != 0);
  // CVTPI2PS and CVTPI2PD touch no MMX register when they read memory.
  const isFromMemory = operation == S.SIMD_CVT_FROM_INT && Ins.isMem;
  emit(operation, shape, isFromMemory ? form & ~SIMD_MMX : form, imm8);
}

/** 0F 71-73: shifts of a register by an immediate. */
function shiftGroup(opcode: u32): void {
  const shape = shapeOfPrefixes();
  Ins.modrm();
  const imm8 = Ins.fetch8();
  const operation = load<u32>(SHIFTS + ((opcode - 0x71) * 8 + Ins.regField) * 4);
  const isByteShift = operation == S.SIMD_PSRLDQ || operation == S.SIMD_PSLLDQ;
  const form = load<u32>(FORMS + ((isByteShift ? HIGH_QUADS : PACKED) * 4 + shape) * 4);
  if (operation == 0 || Ins.isMem || !isOffered(form)) undefinedOpcode();
  else emit(operation, shape, form | SIMD_IMM8, imm8);
}

/** 0F AE /2 and up: LDMXCSR, STMXCSR, CLFLUSH and, as registers, the fences. ModR/M is read. */
export function decodeSimdState(): void {
  const op = Ins.regField;
  const needed: u32 = op <= 3 || (op == 7 && !Ins.isMem) ? CPU_MODEL_PENTIUM3 : CPU_MODEL_PENTIUM4;
  const exists = Ins.isMem ? op != 4 && op != 5 && op != 6 : op >= 5;
  if (!exists || Ins.model < needed || shapeOfPrefixes() != SHAPE_PS) {
    undefinedOpcode();
    return;
  }
  if (!Ins.isMem) {
    Ins.emit(UOP_NOP, 0, 0, 0);
    return;
  }
  if (op == 7) {
    Ins.use(1, false);
    emit(S.SIMD_CLFLUSH, SHAPE_PS, 1, 0);
    return;
  }
  Ins.use(4, op == 3);
  emit(op == 2 ? S.SIMD_LDMXCSR : S.SIMD_STMXCSR, SHAPE_PS, SIMD_XMM | 4, 0);
}
