/**
 * The x87 instructions: entry, availability, pending exceptions, and the map of the ESC opcodes D8-DF.
 * Arithmetic is exact 80-bit software, so that results are the same on every host. Source: SDM 2, "Escape Opcodes (x87)".
 */
import { VCPU_CR0, VCPU_FCW, VCPU_FSW, VCPU_GPR } from "../../abi/vcpu.ts";
import { CR0_EM, CR0_MP, CR0_TS, REG_EAX, VECTOR_NM } from "../../abi/x86.ts";
import { FCW_DEFINED, FSW_EXCEPTIONS, FSW_SF } from "../../abi/x87.ts";
import { UOP_R1, Uop } from "../decode/uop.ts";
import { storeValue, translateRead } from "../mmu/access.ts";
import { raise, raiseUd, STEP_EVENT, STEP_NEXT } from "../state/faults.ts";
import { Fx, SE_SIGN } from "./float80.ts";
import { Double } from "./float80-convert.ts";
import { WANT_COSINE, WANT_SINE } from "./float80-trig.ts";
import { loadEnvironment, restoreState, saveState, storeEnvironment } from "./fpu-env.ts";
import {
  circularTop,
  exp2m1Top,
  PAIR_ARCTANGENT,
  PAIR_LOG2,
  PAIR_LOG2P1,
  pairFunction,
  sineCosineTop,
  tangentTop,
} from "./fpu-functions.ts";
import {
  convertOperand,
  exchange,
  FORMAT_F32,
  FORMAT_F64,
  FORMAT_I16,
  FORMAT_I32,
  FORMAT_I64,
  loadBcd,
  loadConstant,
  loadExtended,
  loadNumber,
  loadRegister,
  moveIf,
  operandPointer,
  storeBcd,
  storeDouble,
  storeExtended,
  storeInteger,
  storeRegister,
  storeSingle,
  storeTruncated,
} from "./fpu-moves.ts";
import {
  arithmetic,
  arithmeticMemory,
  changeSign,
  compareOperand,
  compareRegister,
  compareToFlags,
  examineTop,
  extractTop,
  remainderTop,
  roundTop,
  scaleTop,
  squareRootTop,
} from "./fpu-ops.ts";
import {
  clearSummary,
  initialize,
  isPending,
  recordInstruction,
  reportPending,
  St,
  setControl,
  settle,
} from "./fpu-state.ts";

/** FWAIT: #NM when TS and MP are both set, #MF when an exception is pending. */
export function fwait(v: usize, _pc: usize): u32 {
  const both = CR0_TS | CR0_MP;
  const isAbsent = (load<u32>(v, VCPU_CR0) & both) == both;
  if (isAbsent) raise(v, VECTOR_NM);
  else if (!isPending(v) || !reportPending(v)) return STEP_NEXT;
  return STEP_EVENT;
}

/** Register forms that are FADD .. FDIVR, one bit for each opcode and reg field. */
const ARITHMETIC_FORMS: u64 = ((<u64>0x00f300f3) << 32) | 0xf3;

/** Any ESC instruction: the immediate is the low three opcode bits and the ModR/M byte, below the segment; r1 is 1 for 16-bit operand size. */
export function fpu(v: usize, pc: usize): u32 {
  if ((load<u32>(v, VCPU_CR0) & (CR0_TS | CR0_EM)) != 0) {
    raise(v, VECTOR_NM);
    return STEP_EVENT;
  }
  const imm = Uop.imm(pc);
  // Opcode and reg field as one number, 0-63.
  const group = ((imm >>> 5) & 0x38) | ((imm >>> 3) & 7);
  const isMemory = (imm & 0xc0) != 0xc0;
  if (isPending(v) && waits(group, isMemory) && reportPending(v)) return STEP_EVENT;
  Fx.setFlags(v, 0);
  if (isMemory) return memoryForm(v, pc, group, load<u8>(pc, UOP_R1) == 0);
  if (((ARITHMETIC_FORMS >> group) & 1) != 0) {
    // Into ST(0) in D8, into ST(i) in DC, and with a pop in DE.
    recordInstruction(v, pc);
    return arithmetic(v, group & 7, imm & 7, group < 8 ? 0 : imm & 7, group >= 0x30);
  }
  if (group == 0x1c || group == 0x3c) return control(v, group, imm & 7);
  const step = registerForm(v, group, imm & 7);
  if (step != STEP_EVENT) recordInstruction(v, pc);
  return step;
}

/** @returns whether a pending exception is reported before the instruction: not by FNSTENV, FNSTCW, FNSAVE, FNSTSW and control(). */
function waits(group: u32, isMemory: bool): bool {
  if (!isMemory) return group != 0x1c && group != 0x3c;
  return group != 0x0e && group != 0x0f && group != 0x2e && group != 0x2f;
}

/** Memory forms; `wide` for 32-bit images. */
function memoryForm(v: usize, pc: usize, group: u32, wide: bool): u32 {
  // D8, DA, DC and DE are arithmetic.
  if ((group & 8) == 0) return memoryArithmetic(v, pc, group);
  switch (group) {
    case 0x08: // D9
      return loadNumber(v, pc, FORMAT_F32);
    case 0x0a:
      return storeSingle(v, pc, false);
    case 0x0b:
      return storeSingle(v, pc, true);
    case 0x0c:
      return loadEnvironment(v, Uop.ea(v, pc), wide);
    case 0x0d:
      return loadControl(v, pc);
    case 0x0e: // FNSTENV
      return storeEnvironment(v, Uop.ea(v, pc), wide);
    case 0x0f: // FNSTCW
      return storeWord(v, pc, load<u32>(v, VCPU_FCW));
    case 0x18: // DB
      return loadNumber(v, pc, FORMAT_I32);
    case 0x19:
      return storeTruncated<i32>(v, pc);
    case 0x1a:
      return storeInteger<i32>(v, pc, false);
    case 0x1b:
      return storeInteger<i32>(v, pc, true);
    case 0x1d:
      return loadExtended(v, pc);
    case 0x1f:
      return storeExtended(v, pc);
    case 0x28: // DD
      return loadNumber(v, pc, FORMAT_F64);
    case 0x29:
      return storeTruncated<i64>(v, pc);
    case 0x2a:
      return storeDouble(v, pc, false);
    case 0x2b:
      return storeDouble(v, pc, true);
    case 0x2c:
      return restoreState(v, Uop.ea(v, pc), wide);
    case 0x2e: // FNSAVE
      return saveState(v, Uop.ea(v, pc), wide);
    case 0x2f: // FNSTSW
      return storeWord(v, pc, load<u32>(v, VCPU_FSW));
    case 0x38: // DF
      return loadNumber(v, pc, FORMAT_I16);
    case 0x39:
      return storeTruncated<i16>(v, pc);
    case 0x3a:
      return storeInteger<i16>(v, pc, false);
    case 0x3b:
      return storeInteger<i16>(v, pc, true);
    case 0x3c:
      return loadBcd(v, pc);
    case 0x3d:
      return loadNumber(v, pc, FORMAT_I64);
    case 0x3e:
      return storeBcd(v, pc);
    case 0x3f:
      return storeInteger<i64>(v, pc, true);
  }
  return undefinedForm(v);
}

/** FADD .. FDIVR with a memory operand: singles in D8, dwords in DA, doubles in DC, words in DE. */
function memoryArithmetic(v: usize, pc: usize, group: u32): u32 {
  const opcode = group >>> 3;
  let format = FORMAT_F32;
  if (opcode == 2) format = FORMAT_I32;
  else if (opcode == 4) format = FORMAT_F64;
  else if (opcode == 6) format = FORMAT_I16;
  const ptr = operandPointer(v, pc, format);
  if (ptr == 0) return STEP_EVENT;
  const op = group & 7;
  if (opcode == 4 && (op & 6) != 2) {
    const bits = load<u64>(ptr);
    if (Double.isNormal(bits)) {
      return arithmeticMemory(v, op, Double.sig(bits), Double.se(bits));
    }
  }
  convertOperand(v, ptr, format);
  if ((op & 6) == 2) return compareOperand(v, op & 1);
  return arithmeticMemory(v, op, Fx.sig(v), Fx.se(v));
}

/** Register forms other than arithmetic; `i` is the r/m field. */
function registerForm(v: usize, group: u32, i: u32): u32 {
  switch (group) {
    case 0x02: // FCOM, FCOMP and the aliases of FCOM2, FCOMP3, FCOMP5
    case 0x22:
      return compareRegister(v, i, false, 0);
    case 0x03:
    case 0x23:
    case 0x32:
      return compareRegister(v, i, false, 1);
    case 0x33: // FCOMPP
      return i == 1 ? compareRegister(v, 1, false, 2) : undefinedForm(v);
    case 0x08: // FLD
      return loadRegister(v, i);
    case 0x09: // FXCH, FXCH4, FXCH7
    case 0x29:
    case 0x39:
      return exchange(v, i);
    case 0x0a: // FNOP
      return i == 0 ? STEP_NEXT : undefinedForm(v);
    case 0x0b: // FSTP1, FSTP, FSTP8, FSTP9
    case 0x2b:
    case 0x3a:
    case 0x3b:
      return storeRegister(v, i, true);
    case 0x0c:
      return examineOrSign(v, i);
    case 0x0d:
      return i != 7 ? loadConstant(v, i) : undefinedForm(v);
    case 0x0e:
      return functionF0(v, i);
    case 0x0f:
      return functionF8(v, i);
    case 0x10: // FCMOVcc
    case 0x11:
    case 0x12:
    case 0x13:
      return moveIf(v, group & 3, 0, i);
    case 0x18: // FCMOVNcc
    case 0x19:
    case 0x1a:
    case 0x1b:
      return moveIf(v, group & 3, 1, i);
    case 0x15: // FUCOMPP
      return i == 1 ? compareRegister(v, 1, true, 2) : undefinedForm(v);
    case 0x1d: // FUCOMI, FCOMI, FUCOMIP, FCOMIP
      return compareToFlags(v, i, true, false);
    case 0x1e:
      return compareToFlags(v, i, false, false);
    case 0x3d:
      return compareToFlags(v, i, true, true);
    case 0x3e:
      return compareToFlags(v, i, false, true);
    case 0x28: // FFREE
      return free(v, i, false);
    case 0x38: // FFREEP
      return free(v, i, true);
    case 0x2a: // FST
      return storeRegister(v, i, false);
    case 0x2c: // FUCOM, FUCOMP
      return compareRegister(v, i, true, 0);
    case 0x2d:
      return compareRegister(v, i, true, 1);
  }
  return undefinedForm(v);
}

/** D9 E0-E7: FCHS FABS - - FTST FXAM. */
function examineOrSign(v: usize, i: u32): u32 {
  if ((i & 2) != 0) return undefinedForm(v);
  if (i == 0) return changeSign(v, 0xffff, SE_SIGN);
  if (i == 1) return changeSign(v, 0x7fff, 0);
  if (i == 5) return examineTop(v);
  Fx.set(v, 0, 0);
  return compareOperand(v, 0);
}

/** D9 F0-F7: F2XM1 FYL2X FPTAN FPATAN FXTRACT FPREM1 FDECSTP FINCSTP. */
function functionF0(v: usize, i: u32): u32 {
  switch (i) {
    case 0:
      return exp2m1Top(v);
    case 1:
      return pairFunction(v, PAIR_LOG2);
    case 2:
      return tangentTop(v);
    case 3:
      return pairFunction(v, PAIR_ARCTANGENT);
    case 4:
      return extractTop(v);
    case 5:
      return remainderTop(v, true);
    case 6:
      return rotate(v, 7);
    default:
      return rotate(v, 1);
  }
}

/** D9 F8-FF: FPREM FYL2XP1 FSQRT FSINCOS FRNDINT FSCALE FSIN FCOS. */
function functionF8(v: usize, i: u32): u32 {
  switch (i) {
    case 0:
      return remainderTop(v, false);
    case 1:
      return pairFunction(v, PAIR_LOG2P1);
    case 2:
      return squareRootTop(v);
    case 3:
      return sineCosineTop(v);
    case 4:
      return roundTop(v);
    case 5:
      return scaleTop(v);
    case 6:
      return circularTop(v, WANT_SINE);
    default:
      return circularTop(v, WANT_COSINE);
  }
}

/** FINCSTP, FDECSTP. */
function rotate(v: usize, by: u32): u32 {
  settle(v);
  St.rotate(v, by);
  return STEP_NEXT;
}

/** FFREE, FFREEP. */
function free(v: usize, i: u32, pops: bool): u32 {
  St.setEmpty(v, St.slot(v, i));
  if (pops) St.rotate(v, 1);
  return STEP_NEXT;
}

/**
 * DB E0-E4: FNENI and FNDISI (nothing since the 80287), FNCLEX, FNINIT, FNSETPM (nothing since the 80387); DF E0: FNSTSW AX.
 */
function control(v: usize, group: u32, i: u32): u32 {
  if (group == 0x3c) {
    if (i != 0) return undefinedForm(v);
    store<u16>(v, <u16>load<u32>(v, VCPU_FSW), VCPU_GPR + REG_EAX * 4);
  } else if (i == 2) {
    store<u32>(v, load<u32>(v, VCPU_FSW) & ~(FSW_EXCEPTIONS | FSW_SF), VCPU_FSW);
    clearSummary(v);
  } else if (i == 3) initialize(v);
  else if (i > 4) return undefinedForm(v);
  return STEP_NEXT;
}

/** FLDCW. */
function loadControl(v: usize, pc: usize): u32 {
  const ptr = translateRead(v, Uop.ea(v, pc), 2);
  if (ptr == 0) return STEP_EVENT;
  setControl(v, load<u16>(ptr), FCW_DEFINED);
  return STEP_NEXT;
}

/** FNSTCW, FNSTSW m16. */
function storeWord(v: usize, pc: usize, value: u32): u32 {
  return storeValue<u16>(v, Uop.ea(v, pc), <u16>value) ? STEP_NEXT : STEP_EVENT;
}

function undefinedForm(v: usize): u32 {
  raiseUd(v);
  return STEP_EVENT;
}
