/**
 * The micro-op: 16 bytes that say everything an executor needs, so that nothing is decoded twice.
 *
 *   +0  u16  id          operation (decode/uop-ids.ts)
 *   +2  u8   r1          byte offset of the register operand in the vCPU block (byte registers included)
 *   +3  u8   r2          byte offset of the second register operand; for a register r/m, of the r/m register
 *   +4  u8   base        byte offset of the EA's base register (VCPU_ZERO when absent)
 *   +5  u8   index       byte offset of the EA's index register (VCPU_ZERO when absent)
 *   +6  u8   form        bits 0-1 scale, bit 2 r/m is memory, bit 3 LOCK prefix, bits 4-7 instruction length (1-15)
 *   +7  u8   delta       offset of the instruction from the first byte of the block
 *   +8  u32  imm
 *   +12 u32  disp
 *
 * The EA of a memory operand is a *linear* address: in flat mode directly, otherwise a preceding AGEN micro-op has applied the
 * segment and left the sum in VCPU_EA, which is then `base`. An operand is a pointer either way: rmRead / rmWrite.
 */
import { VCPU_BLOCK, VCPU_EIP } from "../../abi/vcpu.ts";
import { BLOCK_EIP, BLOCK_MODE } from "../layout.ts";
import { translateRead, translateWrite } from "../mmu/access.ts";

export const UOP_SIZE = 16;
export const UOP_R1 = 2;
export const UOP_R2 = 3;
export const UOP_BASE = 4;
export const UOP_INDEX = 5;
export const UOP_FORM = 6;
export const UOP_DELTA = 7;
export const UOP_IMM = 8;
export const UOP_DISP = 12;
export const FORM_SCALE = 3;
export const FORM_MEMORY = 4;
export const FORM_LOCK = 8;
export const FORM_LENGTH_SHIFT = 4;
/** In the immediate of an x87 micro-op the segment of the memory operand lies above opcode and ModR/M byte. */
export const FPU_SEGMENT_SHIFT = 16;

/** Field access; `pc` points at the micro-op. */
export class Uop {
  /** Pointer to the register operand in the vCPU block. */
  @inline static r1(v: usize, pc: usize): usize {
    return v + load<u8>(pc, UOP_R1);
  }
  @inline static r2(v: usize, pc: usize): usize {
    return v + load<u8>(pc, UOP_R2);
  }
  @inline static imm(pc: usize): u32 {
    return load<u32>(pc, UOP_IMM);
  }
  /** Linear effective address. */
  @inline static ea(v: usize, pc: usize): u32 {
    const scale = load<u8>(pc, UOP_FORM) & FORM_SCALE;
    const index = load<u32>(v + load<u8>(pc, UOP_INDEX));
    return load<u32>(v + load<u8>(pc, UOP_BASE)) + (index << scale) + load<u32>(pc, UOP_DISP);
  }
  @inline static isMemory(pc: usize): bool {
    return (load<u8>(pc, UOP_FORM) & FORM_MEMORY) != 0;
  }
  @inline static length(pc: usize): u32 {
    return load<u8>(pc, UOP_FORM) >>> FORM_LENGTH_SHIFT;
  }
}

/** @returns EIP of the instruction of this micro-op. */
export function uopEip(v: usize, pc: usize): u32 {
  const block = load<usize>(v, VCPU_BLOCK);
  const eip = load<u32>(block, BLOCK_EIP) + load<u8>(pc, UOP_DELTA);
  return load<u32>(block, BLOCK_MODE) & 1 ? eip : eip & 0xffff;
}
/** @returns EIP of the instruction that follows. */
export function uopNextEip(v: usize, pc: usize): u32 {
  const block = load<usize>(v, VCPU_BLOCK);
  const eip = load<u32>(block, BLOCK_EIP) + load<u8>(pc, UOP_DELTA) + Uop.length(pc);
  return load<u32>(block, BLOCK_MODE) & 1 ? eip : eip & 0xffff;
}
/** Makes VCPU_EIP point past the instruction: for micro-ops that end a block without branching. */
export function advance(v: usize, pc: usize): void {
  store<u32>(v, uopNextEip(v, pc), VCPU_EIP);
}

/** @returns pointer to `size` readable bytes of the r/m operand, register or memory; 0 = event recorded. */
export function rmRead(v: usize, pc: usize, size: u32): usize {
  return Uop.isMemory(pc) ? translateRead(v, Uop.ea(v, pc), size) : Uop.r2(v, pc);
}
/**
 * @returns pointer to `size` bytes of the r/m operand for reading and writing; 0 = event recorded. After storing through it call
 * commitWrite(v, ptr) of mmu/access.ts, before any register or flag changes; if that returns 0, return STEP_EVENT.
 */
export function rmWrite(v: usize, pc: usize, size: u32): usize {
  return Uop.isMemory(pc) ? translateWrite(v, Uop.ea(v, pc), size) : Uop.r2(v, pc);
}
