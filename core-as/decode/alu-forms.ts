/**
 * Emission of the regular families, whatever their width: ALU, TEST, MOV, and the one-operand groups. Each function chooses the micro-op
 * by operand kind; no arithmetic is done here.
 */

import { Ins } from "./instruction.ts";
import {
  UOP_ALU8_MI,
  UOP_ALU8_MR,
  UOP_ALU8_RI,
  UOP_ALU8_RM,
  UOP_ALU8_RR,
  UOP_ALU16_RMI,
  UOP_ALU16_RMR,
  UOP_ALU16_RRM,
  UOP_ALU32_MI,
  UOP_ALU32_MR,
  UOP_ALU32_RI,
  UOP_ALU32_RM,
  UOP_ALU32_RR,
  UOP_MOV8_MI,
  UOP_MOV8_MR,
  UOP_MOV8_RI,
  UOP_MOV8_RM,
  UOP_MOV8_RR,
  UOP_MOV16_MI,
  UOP_MOV16_MR,
  UOP_MOV16_RI,
  UOP_MOV16_RM,
  UOP_MOV16_RR,
  UOP_MOV32_MI,
  UOP_MOV32_MR,
  UOP_MOV32_RI,
  UOP_MOV32_RM,
  UOP_MOV32_RR,
  UOP_TEST8_MI,
  UOP_TEST8_MR,
  UOP_TEST8_RI,
  UOP_TEST8_RR,
  UOP_TEST16_RMI,
  UOP_TEST16_RMR,
  UOP_TEST32_MI,
  UOP_TEST32_MR,
  UOP_TEST32_RI,
  UOP_TEST32_RR,
} from "./uop-ids.ts";

/** CMP among the eight ALU operations: reads only. */
const ALU_CMP: u32 = 7;

/** r/m OP register. */
export function aluRmReg(op: u32, size: u32): void {
  Ins.lockable = Ins.isMem && op != ALU_CMP;
  Ins.use(size, op != ALU_CMP);
  const reg = Ins.gpr(Ins.regField, size);
  const rm = Ins.gpr(Ins.rmField, size);
  if (size == 2) Ins.emit(UOP_ALU16_RMR + op, reg, rm, 0);
  else if (Ins.isMem) Ins.emit((size == 4 ? UOP_ALU32_MR : UOP_ALU8_MR) + op, reg, 0, 0);
  else Ins.emit((size == 4 ? UOP_ALU32_RR : UOP_ALU8_RR) + op, rm, reg, 0);
}
/** register OP r/m. */
export function aluRegRm(op: u32, size: u32): void {
  Ins.use(size, false);
  const reg = Ins.gpr(Ins.regField, size);
  const rm = Ins.gpr(Ins.rmField, size);
  if (size == 2) Ins.emit(UOP_ALU16_RRM + op, reg, rm, 0);
  else if (Ins.isMem) Ins.emit((size == 4 ? UOP_ALU32_RM : UOP_ALU8_RM) + op, reg, 0, 0);
  else Ins.emit((size == 4 ? UOP_ALU32_RR : UOP_ALU8_RR) + op, reg, rm, 0);
}
/** r/m OP immediate. */
export function aluRmImm(op: u32, size: u32, imm: u32): void {
  Ins.lockable = Ins.isMem && op != ALU_CMP;
  Ins.use(size, op != ALU_CMP);
  const rm = Ins.gpr(Ins.rmField, size);
  if (size == 2) Ins.emit(UOP_ALU16_RMI + op, 0, rm, imm);
  else if (Ins.isMem) Ins.emit((size == 4 ? UOP_ALU32_MI : UOP_ALU8_MI) + op, 0, 0, imm);
  else Ins.emit((size == 4 ? UOP_ALU32_RI : UOP_ALU8_RI) + op, rm, 0, imm);
}
/** Accumulator OP immediate. */
export function aluAccImm(op: u32, size: u32, imm: u32): void {
  if (size == 2) Ins.emit(UOP_ALU16_RMI + op, 0, 0, imm);
  else Ins.emit((size == 4 ? UOP_ALU32_RI : UOP_ALU8_RI) + op, 0, 0, imm);
}

export function testRmReg(size: u32): void {
  Ins.use(size, false);
  const reg = Ins.gpr(Ins.regField, size);
  const rm = Ins.gpr(Ins.rmField, size);
  if (size == 2) Ins.emit(UOP_TEST16_RMR, reg, rm, 0);
  else if (Ins.isMem) Ins.emit(size == 4 ? UOP_TEST32_MR : UOP_TEST8_MR, reg, 0, 0);
  else Ins.emit(size == 4 ? UOP_TEST32_RR : UOP_TEST8_RR, rm, reg, 0);
}
export function testRmImm(size: u32, imm: u32): void {
  Ins.use(size, false);
  const rm = Ins.gpr(Ins.rmField, size);
  if (size == 2) Ins.emit(UOP_TEST16_RMI, 0, rm, imm);
  else if (Ins.isMem) Ins.emit(size == 4 ? UOP_TEST32_MI : UOP_TEST8_MI, 0, 0, imm);
  else Ins.emit(size == 4 ? UOP_TEST32_RI : UOP_TEST8_RI, rm, 0, imm);
}
export function testAccImm(size: u32, imm: u32): void {
  if (size == 2) Ins.emit(UOP_TEST16_RMI, 0, 0, imm);
  else Ins.emit(size == 4 ? UOP_TEST32_RI : UOP_TEST8_RI, 0, 0, imm);
}

function bySize(size: u32, id8: u32, id16: u32, id32: u32): u32 {
  return size == 4 ? id32 : size == 2 ? id16 : id8;
}
/** r/m ← register. */
export function movRmReg(size: u32): void {
  Ins.use(size, true);
  const reg = Ins.gpr(Ins.regField, size);
  if (Ins.isMem) Ins.emit(bySize(size, UOP_MOV8_MR, UOP_MOV16_MR, UOP_MOV32_MR), reg, 0, 0);
  else
    Ins.emit(
      bySize(size, UOP_MOV8_RR, UOP_MOV16_RR, UOP_MOV32_RR),
      Ins.gpr(Ins.rmField, size),
      reg,
      0,
    );
}
/** register ← r/m. */
export function movRegRm(size: u32): void {
  Ins.use(size, false);
  const reg = Ins.gpr(Ins.regField, size);
  if (Ins.isMem) Ins.emit(bySize(size, UOP_MOV8_RM, UOP_MOV16_RM, UOP_MOV32_RM), reg, 0, 0);
  else
    Ins.emit(
      bySize(size, UOP_MOV8_RR, UOP_MOV16_RR, UOP_MOV32_RR),
      reg,
      Ins.gpr(Ins.rmField, size),
      0,
    );
}
/** r/m ← immediate. */
export function movRmImm(size: u32, imm: u32): void {
  Ins.use(size, true);
  if (Ins.isMem) Ins.emit(bySize(size, UOP_MOV8_MI, UOP_MOV16_MI, UOP_MOV32_MI), 0, 0, imm);
  else movRegImm(Ins.rmField, size, imm);
}
export function movRegImm(r: u32, size: u32, imm: u32): void {
  Ins.emit(bySize(size, UOP_MOV8_RI, UOP_MOV16_RI, UOP_MOV32_RI), Ins.gpr(r, size), 0, imm);
}

/** An out-of-line micro-op on the r/m operand, with register `r1` and immediate; `id8` is the 8-bit member of a width triple. */
export function rmTriple(id8: u32, size: u32, write: bool, imm: u32): void {
  Ins.use(size, write);
  Ins.emit(id8 + (size >>> 1), Ins.gpr(Ins.regField, size), Ins.gpr(Ins.rmField, size), imm);
}
/** The same for families that exist in 16 and 32 bits only. */
export function rmPair(id16: u32, write: bool, imm: u32): void {
  const size = Ins.opSize();
  Ins.use(size, write);
  Ins.emit(id16 + (size >>> 2), Ins.gpr(Ins.regField, size), Ins.gpr(Ins.rmField, size), imm);
}
/** An instruction of 16 or 32 bits without r/m operand. */
export function plainPair(id16: u32, r1: u32, imm: u32): void {
  Ins.emit(id16 + (Ins.opSize() >>> 2), r1, 0, imm);
}
