/**
 * Operands of the MMX and SSE instructions: registers by number, memory with the alignment rule, and the switch of the x87
 * registers to MMX use.
 * Source: SDM 1, "The MMX State and MMX Register Aliasing"; SDM 2A, "Exceptions Type".
 */
import { VCPU_FPR, VCPU_FSW, VCPU_FTW, VCPU_GPR, VCPU_TLB, VCPU_XMM } from "../../abi/vcpu.ts";
import { FSW_TOP } from "../../abi/x87.ts";
import { SIMD_ALIGNED, SIMD_SIZE_SHIFT } from "../decode/simd.ts";
import { UOP_R1, UOP_R2, Uop } from "../decode/uop.ts";
import { Mem, storeValue, translateRead } from "../mmu/access.ts";
import { raiseGp } from "../state/faults.ts";

/** Sign and exponent of every x87 register written as an MMX register. */
const MMX_EXPONENT: u64 = 0xffff;

/** Register numbers of a micro-op, and the registers. */
export class Vec {
  @inline static r1(pc: usize): u32 {
    return load<u8>(pc, UOP_R1);
  }
  @inline static r2(pc: usize): u32 {
    return load<u8>(pc, UOP_R2);
  }
  @inline static xmm(v: usize, n: u32): usize {
    return v + VCPU_XMM + (n << 4);
  }
  @inline static mmx(v: usize, n: u32): usize {
    return v + VCPU_FPR + (n << 4);
  }
  @inline static gpr(v: usize, n: u32): usize {
    return v + VCPU_GPR + (n << 2);
  }
}

/** Any MMX instruction but EMMS: TOP becomes 0 and all registers valid. Once nothing can fault any more. */
export function enterMmx(v: usize): void {
  store<u32>(v, load<u32>(v, VCPU_FSW) & ~FSW_TOP, VCPU_FSW);
  store<u32>(v, 0, VCPU_FTW);
}
/** Writes MMX register `n`; the caller has entered MMX use. */
export function setMmx(v: usize, n: u32, value: u64): void {
  store<u64>(Vec.mmx(v, n), value);
  store<u64>(Vec.mmx(v, n), MMX_EXPONENT, 8);
}

/** @returns linear address of the memory operand, with `ok` to be asked: #GP(0) is recorded where it had to be aligned. */
function isMisaligned(v: usize, pc: usize, lin: u32): bool {
  if ((Uop.imm(pc) & SIMD_ALIGNED) == 0 || (lin & 15) == 0) return false;
  raiseGp(v);
  return true;
}

/** @returns pointer to the source operand: `register`, or memory of the micro-op's size; 0 = event recorded. */
export function source(v: usize, pc: usize, register: usize): usize {
  if (!Uop.isMemory(pc)) return register;
  const lin = Uop.ea(v, pc);
  if (isMisaligned(v, pc, lin)) return 0;
  const size = Uop.imm(pc) >>> SIMD_SIZE_SHIFT;
  const tlb = load<usize>(v, VCPU_TLB);
  if (size == 16) return Mem.read<v128>(v, tlb, lin);
  if (size == 8) return Mem.read<u64>(v, tlb, lin);
  if (size == 4) return Mem.read<u32>(v, tlb, lin);
  return translateRead(v, lin, size);
}

/** Stores the vector at the memory operand. @returns false = event recorded. */
export function storeVector(v: usize, pc: usize, value: v128): bool {
  const lin = Uop.ea(v, pc);
  return !isMisaligned(v, pc, lin) && Mem.store<v128>(v, load<usize>(v, VCPU_TLB), lin, value);
}
/** Stores 4 or 8 bytes at the memory operand. @returns false = event recorded. */
export function storeScalar<T>(v: usize, pc: usize, value: T): bool {
  return storeValue<T>(v, Uop.ea(v, pc), value);
}
