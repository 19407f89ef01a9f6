/**
 * The eight ALU operations, TEST, INC, DEC, NEG, NOT: one body for every width and operand form. `op` is always a constant at the call,
 * so only its arm remains after inlining.
 */
import { VCPU_FLAG_AUX } from "../../abi/vcpu.ts";
import { rmRead, rmWrite, Uop } from "../decode/uop.ts";
import { commitWrite, Mem } from "../mmu/access.ts";
import { STEP_EVENT, STEP_NEXT } from "../state/faults.ts";
import { Flags } from "../state/flags.ts";

/** ALU operations in encoding order (SDM 2D, "One-byte Opcode Map", columns of 00-3F). */
export const ADD: u32 = 0;
export const OR: u32 = 1;
export const ADC: u32 = 2;
export const SBB: u32 = 3;
export const AND: u32 = 4;
export const SUB: u32 = 5;
export const XOR: u32 = 6;
export const CMP: u32 = 7;

export class Alu {
  /** @returns the result, without touching flags. */
  @inline static result(v: usize, op: u32, a: u32, b: u32): u32 {
    switch (op) {
      case ADD:
        return a + b;
      case OR:
        return a | b;
      case ADC:
        return a + b + (load<u32>(v, VCPU_FLAG_AUX) >>> 31);
      case SBB:
        return a - b - (load<u32>(v, VCPU_FLAG_AUX) >>> 31);
      case AND:
        return a & b;
      case XOR:
        return a ^ b;
      default:
        return a - b;
    }
  }
  @inline static setFlags<T>(v: usize, op: u32, a: u32, b: u32, r: u32): void {
    if (op == ADD || op == ADC) Flags.add<T>(v, a, b, r);
    else if (op == SUB || op == SBB || op == CMP) Flags.sub<T>(v, a, b, r);
    else Flags.logic<T>(v, r);
  }

  // The forms of the interpreter. Memory forms return false when an event was recorded.

  @inline static rr<T>(v: usize, pc: usize, op: u32): void {
    const p = Uop.r1(v, pc);
    const a = <u32>load<T>(p);
    const b = <u32>load<T>(Uop.r2(v, pc));
    const r = Alu.result(v, op, a, b);
    if (op != CMP) store<T>(p, <T>r);
    Alu.setFlags<T>(v, op, a, b, r);
  }
  @inline static ri<T>(v: usize, pc: usize, op: u32): void {
    const p = Uop.r1(v, pc);
    const a = <u32>load<T>(p);
    const b = Uop.imm(pc);
    const r = Alu.result(v, op, a, b);
    if (op != CMP) store<T>(p, <T>r);
    Alu.setFlags<T>(v, op, a, b, r);
  }
  @inline static rm<T>(v: usize, pc: usize, tlb: usize, op: u32): bool {
    const m = Mem.read<T>(v, tlb, Uop.ea(v, pc));
    if (m == 0) return false;
    const p = Uop.r1(v, pc);
    const a = <u32>load<T>(p);
    const b = <u32>load<T>(m);
    const r = Alu.result(v, op, a, b);
    if (op != CMP) store<T>(p, <T>r);
    Alu.setFlags<T>(v, op, a, b, r);
    return true;
  }
  @inline static memory<T>(v: usize, pc: usize, tlb: usize, op: u32, b: u32): bool {
    const lin = Uop.ea(v, pc);
    const m = op == CMP ? Mem.read<T>(v, tlb, lin) : Mem.write<T>(v, tlb, lin);
    if (m == 0) return false;
    const a = <u32>load<T>(m);
    const r = Alu.result(v, op, a, b);
    if (op != CMP) {
      store<T>(m, <T>r);
      if (!Mem.commit(v, m)) return false;
    }
    Alu.setFlags<T>(v, op, a, b, r);
    return true;
  }
  @inline static mr<T>(v: usize, pc: usize, tlb: usize, op: u32): bool {
    return Alu.memory<T>(v, pc, tlb, op, <u32>load<T>(Uop.r1(v, pc)));
  }
  @inline static mi<T>(v: usize, pc: usize, tlb: usize, op: u32): bool {
    return Alu.memory<T>(v, pc, tlb, op, Uop.imm(pc));
  }
  // 32-bit forms whose flags nothing can observe.
  @inline static rrQuiet(v: usize, pc: usize, op: u32): void {
    const p = Uop.r1(v, pc);
    store<u32>(p, Alu.result(v, op, load<u32>(p), load<u32>(Uop.r2(v, pc))));
  }
  @inline static riQuiet(v: usize, pc: usize, op: u32): void {
    const p = Uop.r1(v, pc);
    store<u32>(p, Alu.result(v, op, load<u32>(p), Uop.imm(pc)));
  }
  @inline static rmQuiet(v: usize, pc: usize, tlb: usize, op: u32): bool {
    const m = Mem.read<u32>(v, tlb, Uop.ea(v, pc));
    if (m == 0) return false;
    const p = Uop.r1(v, pc);
    store<u32>(p, Alu.result(v, op, load<u32>(p), load<u32>(m)));
    return true;
  }

  @inline static test<T>(v: usize, a: u32, b: u32): void {
    Flags.logic<T>(v, a & b);
  }
  /** Condition `cc` of a comparison a ? b whose flags are already stored; plain comparisons where there is one. */
  @inline static comparison(v: usize, cc: u32, a: u32, b: u32): bool {
    switch (cc) {
      case 2:
        return a < b;
      case 3:
        return a >= b;
      case 4:
        return a == b;
      case 5:
        return a != b;
      case 6:
        return a <= b;
      case 7:
        return a > b;
      case 12:
        return <i32>a < <i32>b;
      case 13:
        return <i32>a >= <i32>b;
      case 14:
        return <i32>a <= <i32>b;
      case 15:
        return <i32>a > <i32>b;
      default:
        return Flags.condition(v, cc) != 0;
    }
  }
  /** Condition `cc` of a TEST with result r whose flags are already stored: CF = OF = 0. */
  @inline static tested(v: usize, cc: u32, r: u32): bool {
    switch (cc) {
      case 4:
      case 6:
        return r == 0;
      case 5:
      case 7:
        return r != 0;
      case 8:
      case 12:
        return <i32>r < 0;
      case 9:
      case 13:
        return <i32>r >= 0;
      case 14:
        return <i32>r <= 0;
      case 15:
        return <i32>r > 0;
      default:
        return Flags.condition(v, cc) != 0;
    }
  }
}

/** Out-of-line ALU on r/m, any width: operand b already read. CMP only reads. */
function onRm<T>(v: usize, pc: usize, op: u32, b: u32): u32 {
  const p = op == CMP ? rmRead(v, pc, sizeof<T>()) : rmWrite(v, pc, sizeof<T>());
  if (p == 0) return STEP_EVENT;
  const a = <u32>load<T>(p);
  const r = Alu.result(v, op, a, b);
  if (op != CMP) {
    store<T>(p, <T>r);
    if (!commitWrite(v, p)) return STEP_EVENT;
  }
  Alu.setFlags<T>(v, op, a, b, r);
  return STEP_NEXT;
}
/** r/m OP register. */
export function aluRmReg<T>(v: usize, pc: usize, op: u32): u32 {
  return onRm<T>(v, pc, op, <u32>load<T>(Uop.r1(v, pc)));
}
/** r/m OP immediate. */
export function aluRmImm<T>(v: usize, pc: usize, op: u32): u32 {
  return onRm<T>(v, pc, op, Uop.imm(pc));
}
/** register OP r/m. */
export function aluRegRm<T>(v: usize, pc: usize, op: u32): u32 {
  const m = rmRead(v, pc, sizeof<T>());
  if (m == 0) return STEP_EVENT;
  const p = Uop.r1(v, pc);
  const a = <u32>load<T>(p);
  const b = <u32>load<T>(m);
  const r = Alu.result(v, op, a, b);
  if (op != CMP) store<T>(p, <T>r);
  Alu.setFlags<T>(v, op, a, b, r);
  return STEP_NEXT;
}
export function testRm<T>(v: usize, pc: usize, b: u32): u32 {
  const p = rmRead(v, pc, sizeof<T>());
  if (p == 0) return STEP_EVENT;
  Flags.logic<T>(v, <u32>load<T>(p) & b);
  return STEP_NEXT;
}
/** INC and DEC of r/m. */
export function incDec<T>(v: usize, pc: usize, isDec: bool): u32 {
  const p = rmWrite(v, pc, sizeof<T>());
  if (p == 0) return STEP_EVENT;
  const a = <u32>load<T>(p);
  const r = isDec ? a - 1 : a + 1;
  store<T>(p, <T>r);
  if (!commitWrite(v, p)) return STEP_EVENT;
  if (isDec) Flags.dec<T>(v, a, r);
  else Flags.inc<T>(v, a, r);
  return STEP_NEXT;
}
export function notRm<T>(v: usize, pc: usize): u32 {
  const p = rmWrite(v, pc, sizeof<T>());
  if (p == 0) return STEP_EVENT;
  store<T>(p, <T>~(<u32>load<T>(p)));
  return commitWrite(v, p) ? STEP_NEXT : STEP_EVENT;
}
export function negRm<T>(v: usize, pc: usize): u32 {
  const p = rmWrite(v, pc, sizeof<T>());
  if (p == 0) return STEP_EVENT;
  const a = <u32>load<T>(p);
  store<T>(p, <T>(0 - a));
  if (!commitWrite(v, p)) return STEP_EVENT;
  Flags.sub<T>(v, 0, a, 0 - a);
  return STEP_NEXT;
}
/** @returns condition `cc` known only at run time. */
export function conditionOf(v: usize, cc: u32): bool {
  return Flags.condition(v, cc) != 0;
}
/** CMOVcc: the operand is read, and may fault, whatever the condition. The condition is the immediate. */
export function cmov<T>(v: usize, pc: usize): u32 {
  const p = rmRead(v, pc, sizeof<T>());
  if (p == 0) return STEP_EVENT;
  if (conditionOf(v, Uop.imm(pc))) store<T>(Uop.r1(v, pc), load<T>(p));
  return STEP_NEXT;
}
/** SETcc r/m8. */
export function setcc(v: usize, pc: usize): u32 {
  const p = rmWrite(v, pc, 1);
  if (p == 0) return STEP_EVENT;
  store<u8>(p, conditionOf(v, Uop.imm(pc)) ? 1 : 0);
  return commitWrite(v, p) ? STEP_NEXT : STEP_EVENT;
}
