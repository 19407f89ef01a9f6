/**
 * The stack and near control flow in full generality: 16- and 32-bit stacks, any SS, 16- and 32-bit operands, CS limits.
 * The interpreter has its own copies of the flat 32-bit cases. Every function reads and checks all it needs before it changes anything.
 *
 * Immediates: relative branches hold the signed displacement from the next instruction; RET the bytes to release;
 * ENTER the size in bits 0-15 and the nesting level in bits 16-23; Jcc has its condition in raw UOP_R1.
 * Source: SDM 2, each instruction's page; SDM 3A, "Stack Segment".
 */
import {
  MODE_FLAT,
  MODE_STACK32,
  VCPU_EA,
  VCPU_EIP,
  VCPU_GPR,
  VCPU_MODE,
  VCPU_TLB,
  VCPU_TMP,
} from "../../abi/vcpu.ts";
import { EFLAGS_RF, EFLAGS_VM, REG_EBP, REG_ESP, SEG_CS, SEG_SS } from "../../abi/x86.ts";
import { advance, rmRead, UOP_R1, Uop, uopNextEip } from "../decode/uop.ts";
import { PAGE_MASK, TLB_ADDEND, TLB_READ, TLB_WRITE } from "../layout.ts";
import { Mem, storeValue, translateRead, translateWrite } from "../mmu/access.ts";
import { updatePrivilege } from "../mmu/tlb.ts";
import { popfMask, requireV86Iopl } from "../protect/control.ts";
import { segLinear } from "../protect/segments.ts";
import { raiseGp, raiseSs, STEP_END, STEP_EVENT, STEP_NEXT } from "../state/faults.ts";
import { eflags, Flags, setEflags } from "../state/flags.ts";
import { reg, segLimit, setReg } from "../state/vcpu.ts";

const ESP: usize = VCPU_GPR + 16;
const EBP: usize = VCPU_GPR + 20;
const ECX: usize = VCPU_GPR + 4;

/** Raw UOP_R1 of a LOOP micro-op: 0 LOOPNE, 1 LOOPE, 2 LOOP, 3 JCXZ; and a 16-bit counter. */
export const LOOP_KIND: u32 = 3;
export const LOOP_ADDR16: u32 = 4;
const LOOP_PLAIN: u32 = 2;
const LOOP_JCXZ: u32 = 3;

/** @returns mask of the bits of ESP that address the stack. */
export function stackMask(v: usize): u32 {
  return load<u32>(v, VCPU_MODE) & MODE_STACK32 ? 0xffffffff : 0xffff;
}

/** Writes ESP, or only SP on a 16-bit stack. */
export function setStackPointer(v: usize, value: u32): void {
  const mask = stackMask(v);
  store<u32>(v, (load<u32>(v, ESP) & ~mask) | (value & mask), ESP);
}

/** Checks `size` bytes at stack offset `off` against SS and leaves the linear address in VCPU_EA. @returns false = faulted. */
export function stackLinear(v: usize, off: u32, size: u32, write: bool): bool {
  if (load<u32>(v, VCPU_MODE) & MODE_FLAT) {
    store<u32>(v, off, VCPU_EA);
    if (off + size - 1 >= off) return true;
    raiseSs(v);
    return false;
  }
  return segLinear(v, SEG_SS, off & stackMask(v), size, write);
}

/** Pushes one value. @returns false = event recorded, nothing changed. */
export function pushValue<T>(v: usize, value: u32): bool {
  const sp = load<u32>(v, ESP) - sizeof<T>();
  if (!stackLinear(v, sp, sizeof<T>(), true)) return false;
  if (!storeValue<T>(v, load<u32>(v, VCPU_EA), <T>value)) return false;
  setStackPointer(v, sp);
  return true;
}

/** Reads the value `depth` bytes above the top of the stack into VCPU_TMP, zero-extended. @returns false = event recorded. */
export function peekValue<T>(v: usize, depth: u32): bool {
  return readStack<T>(v, load<u32>(v, ESP) + depth);
}

function readStack<T>(v: usize, off: u32): bool {
  if (!stackLinear(v, off, sizeof<T>(), false)) return false;
  const p = translateRead(v, load<u32>(v, VCPU_EA), sizeof<T>());
  if (p == 0) return false;
  store<u32>(v, <u32>load<T>(p), VCPU_TMP);
  return true;
}

/** @returns whether a value could be stored at stack offset `off`; false = event recorded. */
function canWriteStack<T>(v: usize, off: u32): bool {
  if (!stackLinear(v, off, sizeof<T>(), true)) return false;
  return translateWrite(v, load<u32>(v, VCPU_EA), sizeof<T>()) != 0;
}

function writeStack<T>(v: usize, off: u32, value: u32): bool {
  if (!stackLinear(v, off, sizeof<T>(), true)) return false;
  return storeValue<T>(v, load<u32>(v, VCPU_EA), <T>value);
}

/** Pops one value into VCPU_TMP, zero-extended. @returns false = event recorded, nothing changed. */
export function popValue<T>(v: usize): bool {
  if (!peekValue<T>(v, 0)) return false;
  setStackPointer(v, load<u32>(v, ESP) + sizeof<T>());
  return true;
}

/** PUSH r. */
export function pushReg<T>(v: usize, pc: usize): u32 {
  return pushValue<T>(v, <u32>load<T>(Uop.r1(v, pc))) ? STEP_NEXT : STEP_EVENT;
}
/** PUSH imm. */
export function pushImm<T>(v: usize, pc: usize): u32 {
  return pushValue<T>(v, Uop.imm(pc)) ? STEP_NEXT : STEP_EVENT;
}
/** PUSH r/m. */
export function pushRm<T>(v: usize, pc: usize): u32 {
  const p = rmRead(v, pc, sizeof<T>());
  if (p == 0) return STEP_EVENT;
  return pushValue<T>(v, <u32>load<T>(p)) ? STEP_NEXT : STEP_EVENT;
}
/** POP r: the value wins over the increment when r is the stack pointer. */
export function popReg<T>(v: usize, pc: usize): u32 {
  if (!popValue<T>(v)) return STEP_EVENT;
  store<T>(Uop.r1(v, pc), <T>load<u32>(v, VCPU_TMP));
  return STEP_NEXT;
}
/** POP r/m: an address based on ESP sees it already incremented. */
export function popRm<T>(v: usize, pc: usize): u32 {
  const esp = load<u32>(v, ESP);
  // An address micro-op left its sum in VCPU_EA, which reading the stack would overwrite.
  const ea = load<u32>(v, VCPU_EA);
  if (!popValue<T>(v)) return STEP_EVENT;
  const value = <T>load<u32>(v, VCPU_TMP);
  store<u32>(v, ea, VCPU_EA);
  if (!Uop.isMemory(pc)) {
    store<T>(Uop.r2(v, pc), value);
    return STEP_NEXT;
  }
  if (storeValue<T>(v, Uop.ea(v, pc), value)) return STEP_NEXT;
  store<u32>(v, esp, ESP);
  return STEP_EVENT;
}

/** PUSHA and PUSHAD. */
export function pusha<T>(v: usize, _pc: usize): u32 {
  const esp = load<u32>(v, ESP);
  if (sizeof<T>() == 4 && (load<u32>(v, VCPU_MODE) & MODE_FLAT) != 0) {
    const bottom = esp - 32;
    const entry = Mem.entry(load<usize>(v, VCPU_TLB), bottom);
    if (((bottom + 31) & PAGE_MASK) == load<u32>(entry, TLB_WRITE)) {
      const frame: usize = bottom + load<u32>(entry, TLB_ADDEND);
      for (let i: u32 = 0; i < 8; i++) store<u32>(frame + ((7 - i) << 2), reg(v, i));
      store<u32>(v, bottom, ESP);
      return STEP_NEXT;
    }
  }
  for (let i: u32 = 0; i < 8; i++) {
    if (!canWriteStack<T>(v, esp - (i + 1) * sizeof<T>())) return STEP_EVENT;
  }
  for (let i: u32 = 0; i < 8; i++) {
    if (!writeStack<T>(v, esp - (i + 1) * sizeof<T>(), reg(v, i))) return STEP_EVENT;
  }
  setStackPointer(v, esp - 8 * sizeof<T>());
  return STEP_NEXT;
}
/**
 * POPA and POPAD: the image of ESP is read and ignored. One that faults half-way keeps the registers it has popped, as recorded on silicon;
 * ESP is as it was, so it can be executed again.
 */
export function popa<T>(v: usize, _pc: usize): u32 {
  if (sizeof<T>() == 4 && (load<u32>(v, VCPU_MODE) & MODE_FLAT) != 0) {
    const bottom = load<u32>(v, ESP);
    const entry = Mem.entry(load<usize>(v, VCPU_TLB), bottom);
    if (((bottom + 31) & PAGE_MASK) == load<u32>(entry, TLB_READ)) {
      const frame: usize = bottom + load<u32>(entry, TLB_ADDEND);
      for (let i: u32 = 0; i < 8; i++) {
        if (i != REG_ESP) setReg(v, i, load<u32>(frame + ((7 - i) << 2)));
      }
      store<u32>(v, bottom + 32, ESP);
      return STEP_NEXT;
    }
  }
  for (let i: u32 = 0; i < 8; i++) {
    if (!peekValue<T>(v, i * sizeof<T>())) return STEP_EVENT;
    const r = 7 - i;
    if (r != REG_ESP) store<T>(v + (r << 2), <T>load<u32>(v, VCPU_TMP), VCPU_GPR);
  }
  setStackPointer(v, load<u32>(v, ESP) + 8 * sizeof<T>());
  return STEP_NEXT;
}

/** PUSHF and PUSHFD: VM and RF read as 0. */
export function pushf<T>(v: usize, _pc: usize): u32 {
  if (!requireV86Iopl(v)) return STEP_EVENT;
  return pushValue<T>(v, eflags(v) & ~(EFLAGS_VM | EFLAGS_RF)) ? STEP_NEXT : STEP_EVENT;
}
/** POPF and POPFD: bits the current privilege may not change are kept, RF is cleared. Ends the block: TF, IF and AC may have changed. */
export function popf<T>(v: usize, pc: usize): u32 {
  if (!requireV86Iopl(v) || !popValue<T>(v)) return STEP_EVENT;
  const mask = sizeof<T>() == 2 ? popfMask(v) & 0xffff : popfMask(v);
  setEflags(v, ((eflags(v) & ~mask) | (load<u32>(v, VCPU_TMP) & mask)) & ~EFLAGS_RF);
  updatePrivilege(v);
  advance(v, pc);
  return STEP_END;
}

/** ENTER size, level. */
export function enter<T>(v: usize, pc: usize): u32 {
  const size = Uop.imm(pc) & 0xffff;
  const level = (Uop.imm(pc) >>> 16) & 31;
  const esp = load<u32>(v, ESP);
  const ebp = load<u32>(v, EBP);
  const frame = esp - sizeof<T>();
  const end = frame - level * sizeof<T>() - size;
  if (!canWriteStack<T>(v, frame)) return STEP_EVENT;
  for (let i: u32 = 1; i <= level; i++) {
    if (i != level && !readStack<T>(v, ebp - i * sizeof<T>())) return STEP_EVENT;
    if (!canWriteStack<T>(v, frame - i * sizeof<T>())) return STEP_EVENT;
  }
  // Silicon probes the new top of the stack for writing.
  if (!canWriteStack<T>(v, end)) return STEP_EVENT;
  if (!writeStack<T>(v, frame, ebp)) return STEP_EVENT;
  for (let i: u32 = 1; i < level; i++) {
    if (!readStack<T>(v, ebp - i * sizeof<T>())) return STEP_EVENT;
    if (!writeStack<T>(v, frame - i * sizeof<T>(), load<u32>(v, VCPU_TMP))) return STEP_EVENT;
  }
  // The frame pointer that is pushed and kept has the upper half of ESP on a 16-bit stack.
  const mask = stackMask(v);
  const pointer = (esp & ~mask) | (frame & mask);
  if (level != 0 && !writeStack<T>(v, frame - level * sizeof<T>(), pointer)) return STEP_EVENT;
  store<T>(v, <T>pointer, EBP);
  setStackPointer(v, end);
  return STEP_NEXT;
}
/** LEAVE. */
export function leaveFrame<T>(v: usize, _pc: usize): u32 {
  const ebp = reg(v, REG_EBP);
  if (!readStack<T>(v, ebp)) return STEP_EVENT;
  setStackPointer(v, ebp + sizeof<T>());
  store<T>(v, <T>load<u32>(v, VCPU_TMP), EBP);
  return STEP_NEXT;
}

/** @returns whether `target` is within CS; else #GP(0) is recorded. */
function isInCode(v: usize, target: u32): bool {
  if (target <= segLimit(v, SEG_CS)) return true;
  raiseGp(v);
  return false;
}

/** Goes to `target`, which a 16-bit operand size cuts to 16 bits. */
function jump<T>(v: usize, target: u32): u32 {
  const eip = <u32>(<T>target);
  if (!isInCode(v, eip)) return STEP_EVENT;
  store<u32>(v, eip, VCPU_EIP);
  return STEP_END;
}

/** CALL: checks the target, pushes the return address, goes. */
function call<T>(v: usize, pc: usize, target: u32): u32 {
  const eip = <u32>(<T>target);
  if (!isInCode(v, eip)) return STEP_EVENT;
  if (!pushValue<T>(v, uopNextEip(v, pc))) return STEP_EVENT;
  store<u32>(v, eip, VCPU_EIP);
  return STEP_END;
}

/** JMP rel. */
export function jmpRel<T>(v: usize, pc: usize): u32 {
  return jump<T>(v, uopNextEip(v, pc) + Uop.imm(pc));
}
/** JMP r/m. */
export function jmpRm<T>(v: usize, pc: usize): u32 {
  const p = rmRead(v, pc, sizeof<T>());
  if (p == 0) return STEP_EVENT;
  return jump<T>(v, <u32>load<T>(p));
}
/** CALL rel. */
export function callRel<T>(v: usize, pc: usize): u32 {
  return call<T>(v, pc, uopNextEip(v, pc) + Uop.imm(pc));
}
/** CALL r/m. */
export function callRm<T>(v: usize, pc: usize): u32 {
  const p = rmRead(v, pc, sizeof<T>());
  if (p == 0) return STEP_EVENT;
  return call<T>(v, pc, <u32>load<T>(p));
}
/** RET and RET imm16. */
export function ret<T>(v: usize, pc: usize): u32 {
  if (!peekValue<T>(v, 0)) return STEP_EVENT;
  const target = load<u32>(v, VCPU_TMP);
  if (!isInCode(v, target)) return STEP_EVENT;
  setStackPointer(v, load<u32>(v, ESP) + sizeof<T>() + Uop.imm(pc));
  store<u32>(v, target, VCPU_EIP);
  return STEP_END;
}
/** Jcc: the condition is the raw UOP_R1 byte. */
export function jcc<T>(v: usize, pc: usize): u32 {
  return jumpIf<T>(v, pc, Flags.condition(v, load<u8>(pc, UOP_R1)) != 0);
}

function jumpIf<T>(v: usize, pc: usize, taken: bool): u32 {
  if (taken) return jump<T>(v, uopNextEip(v, pc) + Uop.imm(pc));
  advance(v, pc);
  return STEP_END;
}

/** LOOP, LOOPE, LOOPNE and JCXZ; C is the width of the counter, the address size. The counter keeps its value on a fault. */
function loopBy<T, C>(v: usize, pc: usize, kind: u32): u32 {
  if (kind == LOOP_JCXZ) return jumpIf<T>(v, pc, load<C>(v, ECX) == <C>0);
  const count = <C>(<u32>load<C>(v, ECX) - 1);
  const goesOn = kind == LOOP_PLAIN || Flags.zf(v) == kind;
  const outcome = jumpIf<T>(v, pc, count != <C>0 && goesOn);
  if (outcome == STEP_END) store<C>(v, count, ECX);
  return outcome;
}
/** LOOP, LOOPE, LOOPNE and JCXZ: raw UOP_R1 holds the kind (opcode bits 0-1) and LOOP_ADDR16. */
export function loop<T>(v: usize, pc: usize): u32 {
  const raw: u32 = load<u8>(pc, UOP_R1);
  const kind = raw & LOOP_KIND;
  return raw & LOOP_ADDR16 ? loopBy<T, u16>(v, pc, kind) : loopBy<T, u32>(v, pc, kind);
}
