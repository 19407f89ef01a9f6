/**
 * Tier 0, second level: one function for each micro-op that is not worth a place in the interpreter's own switch.
 */
import { VCPU_EA, VCPU_GPR } from "../../abi/vcpu.ts";
import { rmRead, Uop } from "../decode/uop.ts";
import * as U from "../decode/uop-ids.ts";
import { raiseUd, STEP_EVENT, STEP_NEXT } from "../state/faults.ts";
import { aluRegRm, aluRmImm, aluRmReg, cmov, incDec, negRm, notRm, setcc, testRm } from "./alu.ts";
import {
  aaa,
  aad,
  aam,
  aas,
  bswapReg,
  cbw,
  clc,
  cld,
  cmc,
  cmpxchg,
  cmpxchg8b,
  cwd,
  daa,
  das,
  div,
  idiv,
  imul1,
  imul2,
  imul3,
  lahf,
  mul,
  sahf,
  salc,
  stc,
  std,
  xadd,
  xchgRm,
  xlat,
} from "./arith.ts";
import { crc32, loadSwapped, popcount, storeSwapped } from "./arith-later.ts";
import { bitAddress, bsf, bsr, bt, btc, btcImm, btImm, btr, btrImm, bts, btsImm } from "./bits.ts";
import {
  bound,
  farCallDirect,
  farCallIndirect,
  farJumpDirect,
  farJumpIndirect,
  int1,
  int3,
  intN,
  into,
  iretOp,
  loadFar,
  movFromSeg,
  movToSeg,
  popSeg,
  pushSeg,
  retFar,
} from "./far.ts";
import { fpu, fwait } from "./fpu.ts";
import { fxrstor, fxsave } from "./fxsave.ts";
import { shiftCl, shiftImm, shldCl, shldImm, shrdCl, shrdImm } from "./shift.ts";
import { simd } from "./simd.ts";
import {
  callRel,
  callRm,
  enter,
  jcc,
  jmpRel,
  jmpRm,
  leaveFrame,
  loop,
  popa,
  popf,
  popReg,
  popRm,
  pusha,
  pushf,
  pushImm,
  pushReg,
  pushRm,
  ret,
} from "./stack.ts";
import { cmps, ins, lods, movs, outs, scas, stos } from "./string.ts";
import {
  arpl,
  cli,
  clts,
  cpuid,
  hlt,
  inDx,
  inImm,
  invlpg,
  lar,
  lgdt,
  lidt,
  lldt,
  lmsw,
  lsl,
  ltr,
  movFromCr,
  movFromDr,
  movToCr,
  movToDr,
  outDx,
  outImm,
  rdmsr,
  rdpid,
  rdpmc,
  rdtsc,
  rdtscp,
  setAlignmentCheck,
  sgdt,
  sidt,
  sldt,
  smsw,
  sti,
  str,
  sysenter,
  sysexit,
  verr,
  verw,
  wbinvd,
  wrmsr,
} from "./system.ts";

/** MOVZX and MOVSX r16, r/m8. */
function extend16(v: usize, pc: usize, signed: bool): u32 {
  const p = rmRead(v, pc, 1);
  if (p == 0) return STEP_EVENT;
  store<u16>(Uop.r1(v, pc), signed ? <u16>(<i16>load<i8>(p)) : <u16>load<u8>(p));
  return STEP_NEXT;
}
/** XLAT's address: EBX + AL, in 16 bits when the immediate says so. */
function xlatAddress(v: usize, pc: usize): u32 {
  const sum = load<u32>(v, VCPU_GPR + 12) + load<u8>(v, VCPU_GPR);
  store<u32>(v, Uop.imm(pc) != 0 ? sum & 0xffff : sum, VCPU_EA);
  return STEP_NEXT;
}
/** LEA with a 16-bit result or 16-bit addressing: size in bits 0-7 of the immediate, bit 8 for the addressing. */
function leaWrap(v: usize, pc: usize): u32 {
  const imm = Uop.imm(pc);
  let address = Uop.ea(v, pc);
  if ((imm & 0x100) != 0) address &= 0xffff;
  if ((imm & 0xff) == 2) store<u16>(Uop.r1(v, pc), <u16>address);
  else store<u32>(Uop.r1(v, pc), address);
  return STEP_NEXT;
}

/** Executes micro-op `id` >= UOP_SLOW. @returns STEP_*. */
export function slow(v: usize, pc: usize, id: u32): u32 {
  if (id < U.UOP_ALU16_RRM) return aluRmReg<u16>(v, pc, id - U.UOP_ALU16_RMR);
  if (id < U.UOP_ALU16_RMI) return aluRegRm<u16>(v, pc, id - U.UOP_ALU16_RRM);
  if (id < U.UOP_TEST16_RMR) return aluRmImm<u16>(v, pc, id - U.UOP_ALU16_RMI);
  switch (id) {
    case U.UOP_TEST16_RMR:
      return testRm<u16>(v, pc, <u32>load<u16>(Uop.r1(v, pc)));
    case U.UOP_TEST16_RMI:
      return testRm<u16>(v, pc, Uop.imm(pc));
    case U.UOP_MOVZX8_16:
      return extend16(v, pc, false);
    case U.UOP_MOVSX8_16:
      return extend16(v, pc, true);
    case U.UOP_INC8:
      return incDec<u8>(v, pc, false);
    case U.UOP_INC16:
      return incDec<u16>(v, pc, false);
    case U.UOP_INC32:
      return incDec<u32>(v, pc, false);
    case U.UOP_DEC8:
      return incDec<u8>(v, pc, true);
    case U.UOP_DEC16:
      return incDec<u16>(v, pc, true);
    case U.UOP_DEC32:
      return incDec<u32>(v, pc, true);
    case U.UOP_NOT8:
      return notRm<u8>(v, pc);
    case U.UOP_NOT16:
      return notRm<u16>(v, pc);
    case U.UOP_NOT32:
      return notRm<u32>(v, pc);
    case U.UOP_NEG8:
      return negRm<u8>(v, pc);
    case U.UOP_NEG16:
      return negRm<u16>(v, pc);
    case U.UOP_NEG32:
      return negRm<u32>(v, pc);
    case U.UOP_XCHG8:
      return xchgRm<u8>(v, pc);
    case U.UOP_XCHG16:
      return xchgRm<u16>(v, pc);
    case U.UOP_XCHG32:
      return xchgRm<u32>(v, pc);
    case U.UOP_XADD8:
      return xadd<u8>(v, pc);
    case U.UOP_XADD16:
      return xadd<u16>(v, pc);
    case U.UOP_XADD32:
      return xadd<u32>(v, pc);
    case U.UOP_CMPXCHG8:
      return cmpxchg<u8>(v, pc);
    case U.UOP_CMPXCHG16:
      return cmpxchg<u16>(v, pc);
    case U.UOP_CMPXCHG32:
      return cmpxchg<u32>(v, pc);
    case U.UOP_CMPXCHG8B:
      return cmpxchg8b(v, pc);
    case U.UOP_BSWAP16:
      return bswapReg<u16>(v, pc);
    case U.UOP_BSWAP32:
      return bswapReg<u32>(v, pc);
    case U.UOP_PUSH_R16:
      return pushReg<u16>(v, pc);
    case U.UOP_PUSH_R32:
      return pushReg<u32>(v, pc);
    case U.UOP_PUSH_I16:
      return pushImm<u16>(v, pc);
    case U.UOP_PUSH_I32:
      return pushImm<u32>(v, pc);
    case U.UOP_PUSH_M16:
      return pushRm<u16>(v, pc);
    case U.UOP_PUSH_M32:
      return pushRm<u32>(v, pc);
    case U.UOP_POP_R16:
      return popReg<u16>(v, pc);
    case U.UOP_POP_R32:
      return popReg<u32>(v, pc);
    case U.UOP_POP_M16:
      return popRm<u16>(v, pc);
    case U.UOP_POP_M32:
      return popRm<u32>(v, pc);
    case U.UOP_PUSHA16:
      return pusha<u16>(v, pc);
    case U.UOP_PUSHA32:
      return pusha<u32>(v, pc);
    case U.UOP_POPA16:
      return popa<u16>(v, pc);
    case U.UOP_POPA32:
      return popa<u32>(v, pc);
    case U.UOP_PUSHF16:
      return pushf<u16>(v, pc);
    case U.UOP_PUSHF32:
      return pushf<u32>(v, pc);
    case U.UOP_POPF16:
      return popf<u16>(v, pc);
    case U.UOP_POPF32:
      return popf<u32>(v, pc);
    case U.UOP_ENTER16:
      return enter<u16>(v, pc);
    case U.UOP_ENTER32:
      return enter<u32>(v, pc);
    case U.UOP_LEAVE_16:
      return leaveFrame<u16>(v, pc);
    case U.UOP_LEAVE_32:
      return leaveFrame<u32>(v, pc);
    case U.UOP_CALL_REL16:
      return callRel<u16>(v, pc);
    case U.UOP_CALL_REL32:
      return callRel<u32>(v, pc);
    case U.UOP_CALL_RM16:
      return callRm<u16>(v, pc);
    case U.UOP_CALL_RM32:
      return callRm<u32>(v, pc);
    case U.UOP_JMP_REL16:
      return jmpRel<u16>(v, pc);
    case U.UOP_JMP_REL32:
      return jmpRel<u32>(v, pc);
    case U.UOP_JMP_RM16:
      return jmpRm<u16>(v, pc);
    case U.UOP_JMP_RM32:
      return jmpRm<u32>(v, pc);
    case U.UOP_RET_NEAR16:
      return ret<u16>(v, pc);
    case U.UOP_RET_NEAR32:
      return ret<u32>(v, pc);
    case U.UOP_JCC_REL16:
      return jcc<u16>(v, pc);
    case U.UOP_JCC_REL32:
      return jcc<u32>(v, pc);
    case U.UOP_LOOP16:
      return loop<u16>(v, pc);
    case U.UOP_LOOP32:
      return loop<u32>(v, pc);
    case U.UOP_SHIFT_IMM8:
      return shiftImm<u8>(v, pc);
    case U.UOP_SHIFT_IMM16:
      return shiftImm<u16>(v, pc);
    case U.UOP_SHIFT_IMM32:
      return shiftImm<u32>(v, pc);
    case U.UOP_SHIFT_CL8:
      return shiftCl<u8>(v, pc);
    case U.UOP_SHIFT_CL16:
      return shiftCl<u16>(v, pc);
    case U.UOP_SHIFT_CL32:
      return shiftCl<u32>(v, pc);
    case U.UOP_SHLD_IMM16:
      return shldImm<u16>(v, pc);
    case U.UOP_SHLD_IMM32:
      return shldImm<u32>(v, pc);
    case U.UOP_SHLD_CL16:
      return shldCl<u16>(v, pc);
    case U.UOP_SHLD_CL32:
      return shldCl<u32>(v, pc);
    case U.UOP_SHRD_IMM16:
      return shrdImm<u16>(v, pc);
    case U.UOP_SHRD_IMM32:
      return shrdImm<u32>(v, pc);
    case U.UOP_SHRD_CL16:
      return shrdCl<u16>(v, pc);
    case U.UOP_SHRD_CL32:
      return shrdCl<u32>(v, pc);
    case U.UOP_MUL8:
      return mul<u8>(v, pc);
    case U.UOP_MUL16:
      return mul<u16>(v, pc);
    case U.UOP_MUL32:
      return mul<u32>(v, pc);
    case U.UOP_IMUL1_8:
      return imul1<u8>(v, pc);
    case U.UOP_IMUL1_16:
      return imul1<u16>(v, pc);
    case U.UOP_IMUL1_32:
      return imul1<u32>(v, pc);
    case U.UOP_DIV8:
      return div<u8>(v, pc);
    case U.UOP_DIV16:
      return div<u16>(v, pc);
    case U.UOP_DIV32:
      return div<u32>(v, pc);
    case U.UOP_IDIV8:
      return idiv<u8>(v, pc);
    case U.UOP_IDIV16:
      return idiv<u16>(v, pc);
    case U.UOP_IDIV32:
      return idiv<u32>(v, pc);
    case U.UOP_IMUL2_16:
      return imul2<u16>(v, pc);
    case U.UOP_IMUL2_32:
      return imul2<u32>(v, pc);
    case U.UOP_IMUL3_16:
      return imul3<u16>(v, pc);
    case U.UOP_IMUL3_32:
      return imul3<u32>(v, pc);
    case U.UOP_BT_R16:
      return bt<u16>(v, pc);
    case U.UOP_BT_R32:
      return bt<u32>(v, pc);
    case U.UOP_BTS_R16:
      return bts<u16>(v, pc);
    case U.UOP_BTS_R32:
      return bts<u32>(v, pc);
    case U.UOP_BTR_R16:
      return btr<u16>(v, pc);
    case U.UOP_BTR_R32:
      return btr<u32>(v, pc);
    case U.UOP_BTC_R16:
      return btc<u16>(v, pc);
    case U.UOP_BTC_R32:
      return btc<u32>(v, pc);
    case U.UOP_BT_I16:
      return btImm<u16>(v, pc);
    case U.UOP_BT_I32:
      return btImm<u32>(v, pc);
    case U.UOP_BTS_I16:
      return btsImm<u16>(v, pc);
    case U.UOP_BTS_I32:
      return btsImm<u32>(v, pc);
    case U.UOP_BTR_I16:
      return btrImm<u16>(v, pc);
    case U.UOP_BTR_I32:
      return btrImm<u32>(v, pc);
    case U.UOP_BTC_I16:
      return btcImm<u16>(v, pc);
    case U.UOP_BTC_I32:
      return btcImm<u32>(v, pc);
    case U.UOP_BSF16:
      return bsf<u16>(v, pc);
    case U.UOP_BSF32:
      return bsf<u32>(v, pc);
    case U.UOP_BSR16:
      return bsr<u16>(v, pc);
    case U.UOP_BSR32:
      return bsr<u32>(v, pc);
    case U.UOP_CMOV16:
      return cmov<u16>(v, pc);
    case U.UOP_CMOV32:
      return cmov<u32>(v, pc);
    case U.UOP_SETCC:
      return setcc(v, pc);
    case U.UOP_MOVS8:
      return movs<u8>(v, pc);
    case U.UOP_MOVS16:
      return movs<u16>(v, pc);
    case U.UOP_MOVS32:
      return movs<u32>(v, pc);
    case U.UOP_CMPS8:
      return cmps<u8>(v, pc);
    case U.UOP_CMPS16:
      return cmps<u16>(v, pc);
    case U.UOP_CMPS32:
      return cmps<u32>(v, pc);
    case U.UOP_SCAS8:
      return scas<u8>(v, pc);
    case U.UOP_SCAS16:
      return scas<u16>(v, pc);
    case U.UOP_SCAS32:
      return scas<u32>(v, pc);
    case U.UOP_LODS8:
      return lods<u8>(v, pc);
    case U.UOP_LODS16:
      return lods<u16>(v, pc);
    case U.UOP_LODS32:
      return lods<u32>(v, pc);
    case U.UOP_STOS8:
      return stos<u8>(v, pc);
    case U.UOP_STOS16:
      return stos<u16>(v, pc);
    case U.UOP_STOS32:
      return stos<u32>(v, pc);
    case U.UOP_INS8:
      return ins<u8>(v, pc);
    case U.UOP_INS16:
      return ins<u16>(v, pc);
    case U.UOP_INS32:
      return ins<u32>(v, pc);
    case U.UOP_OUTS8:
      return outs<u8>(v, pc);
    case U.UOP_OUTS16:
      return outs<u16>(v, pc);
    case U.UOP_OUTS32:
      return outs<u32>(v, pc);
    case U.UOP_CBW:
      return cbw<u16>(v, pc);
    case U.UOP_CWD:
      return cwd<u16>(v, pc);
    case U.UOP_LAHF:
      return lahf(v, pc);
    case U.UOP_SAHF:
      return sahf(v, pc);
    case U.UOP_CMC:
      return cmc(v, pc);
    case U.UOP_CLC:
      return clc(v, pc);
    case U.UOP_STC:
      return stc(v, pc);
    case U.UOP_CLD:
      return cld(v, pc);
    case U.UOP_STD:
      return std(v, pc);
    case U.UOP_SALC:
      return salc(v, pc);
    case U.UOP_AAA:
      return aaa(v, pc);
    case U.UOP_AAS:
      return aas(v, pc);
    case U.UOP_DAA:
      return daa(v, pc);
    case U.UOP_DAS:
      return das(v, pc);
    case U.UOP_AAM:
      return aam(v, pc);
    case U.UOP_AAD:
      return aad(v, pc);
    case U.UOP_XLAT:
      return xlat(v, pc);
    case U.UOP_BIT_ADDRESS:
      return bitAddress(v, pc);
    case U.UOP_XLAT_ADDRESS:
      return xlatAddress(v, pc);
    case U.UOP_LEA_WRAP:
      return leaWrap(v, pc);
    case U.UOP_FPU:
      return fpu(v, pc);
    case U.UOP_FXSAVE:
      return fxsave(v, pc);
    case U.UOP_FXRSTOR:
      return fxrstor(v, pc);
    case U.UOP_FWAIT:
      return fwait(v, pc);
    case U.UOP_FAR_JMP16:
      return farJumpDirect(v, pc);
    case U.UOP_FAR_JMP32:
      return farJumpDirect(v, pc);
    case U.UOP_FAR_CALL16:
      return farCallDirect<u16>(v, pc);
    case U.UOP_FAR_CALL32:
      return farCallDirect<u32>(v, pc);
    case U.UOP_FAR_JMP_M16:
      return farJumpIndirect<u16>(v, pc);
    case U.UOP_FAR_JMP_M32:
      return farJumpIndirect<u32>(v, pc);
    case U.UOP_FAR_CALL_M16:
      return farCallIndirect<u16>(v, pc);
    case U.UOP_FAR_CALL_M32:
      return farCallIndirect<u32>(v, pc);
    case U.UOP_FAR_RET16:
      return retFar<u16>(v, pc);
    case U.UOP_FAR_RET32:
      return retFar<u32>(v, pc);
    case U.UOP_IRET16:
      return iretOp<u16>(v, pc);
    case U.UOP_IRET32:
      return iretOp<u32>(v, pc);
    case U.UOP_MOV_FROM_SEG16:
      return movFromSeg<u16>(v, pc);
    case U.UOP_MOV_FROM_SEG32:
      return movFromSeg<u32>(v, pc);
    case U.UOP_PUSH_SEG16:
      return pushSeg<u16>(v, pc);
    case U.UOP_PUSH_SEG32:
      return pushSeg<u32>(v, pc);
    case U.UOP_POP_SEG16:
      return popSeg<u16>(v, pc);
    case U.UOP_POP_SEG32:
      return popSeg<u32>(v, pc);
    case U.UOP_LOAD_FAR16:
      return loadFar<u16>(v, pc);
    case U.UOP_LOAD_FAR32:
      return loadFar<u32>(v, pc);
    case U.UOP_BOUND16:
      return bound<u16>(v, pc);
    case U.UOP_BOUND32:
      return bound<u32>(v, pc);
    case U.UOP_SMSW16:
      return smsw<u16>(v, pc);
    case U.UOP_SMSW32:
      return smsw<u32>(v, pc);
    case U.UOP_INT:
      return intN(v, pc);
    case U.UOP_INT3:
      return int3(v, pc);
    case U.UOP_INTO:
      return into(v, pc);
    case U.UOP_INT1:
      return int1(v, pc);
    case U.UOP_MOV_TO_SEG:
      return movToSeg(v, pc);
    case U.UOP_IN_IMM8:
      return inImm<u8>(v, pc);
    case U.UOP_IN_IMM16:
      return inImm<u16>(v, pc);
    case U.UOP_IN_IMM32:
      return inImm<u32>(v, pc);
    case U.UOP_IN_DX8:
      return inDx<u8>(v, pc);
    case U.UOP_IN_DX16:
      return inDx<u16>(v, pc);
    case U.UOP_IN_DX32:
      return inDx<u32>(v, pc);
    case U.UOP_OUT_IMM8:
      return outImm<u8>(v, pc);
    case U.UOP_OUT_IMM16:
      return outImm<u16>(v, pc);
    case U.UOP_OUT_IMM32:
      return outImm<u32>(v, pc);
    case U.UOP_OUT_DX8:
      return outDx<u8>(v, pc);
    case U.UOP_OUT_DX16:
      return outDx<u16>(v, pc);
    case U.UOP_OUT_DX32:
      return outDx<u32>(v, pc);
    case U.UOP_CLI:
      return cli(v, pc);
    case U.UOP_STI:
      return sti(v, pc);
    case U.UOP_HLT:
      return hlt(v, pc);
    case U.UOP_MOV_FROM_CR:
      return movFromCr(v, pc);
    case U.UOP_MOV_TO_CR:
      return movToCr(v, pc);
    case U.UOP_MOV_FROM_DR:
      return movFromDr(v, pc);
    case U.UOP_MOV_TO_DR:
      return movToDr(v, pc);
    case U.UOP_CLTS:
      return clts(v, pc);
    case U.UOP_LMSW:
      return lmsw(v, pc);
    case U.UOP_SGDT:
      return sgdt(v, pc);
    case U.UOP_SIDT:
      return sidt(v, pc);
    case U.UOP_LGDT16:
      return lgdt<u16>(v, pc);
    case U.UOP_LGDT32:
      return lgdt<u32>(v, pc);
    case U.UOP_LIDT16:
      return lidt<u16>(v, pc);
    case U.UOP_LIDT32:
      return lidt<u32>(v, pc);
    case U.UOP_LLDT:
      return lldt(v, pc);
    case U.UOP_LTR:
      return ltr(v, pc);
    case U.UOP_SLDT16:
      return sldt<u16>(v, pc);
    case U.UOP_SLDT32:
      return sldt<u32>(v, pc);
    case U.UOP_STR16:
      return str<u16>(v, pc);
    case U.UOP_STR32:
      return str<u32>(v, pc);
    case U.UOP_LAR16:
      return lar<u16>(v, pc);
    case U.UOP_LAR32:
      return lar<u32>(v, pc);
    case U.UOP_LSL16:
      return lsl<u16>(v, pc);
    case U.UOP_LSL32:
      return lsl<u32>(v, pc);
    case U.UOP_VERR:
      return verr(v, pc);
    case U.UOP_VERW:
      return verw(v, pc);
    case U.UOP_ARPL:
      return arpl(v, pc);
    case U.UOP_INVLPG:
      return invlpg(v, pc);
    case U.UOP_WBINVD:
      return wbinvd(v, pc);
    case U.UOP_RDMSR:
      return rdmsr(v, pc);
    case U.UOP_WRMSR:
      return wrmsr(v, pc);
    case U.UOP_RDTSC:
      return rdtsc(v, pc);
    case U.UOP_RDPMC:
      return rdpmc(v, pc);
    case U.UOP_CPUID:
      return cpuid(v, pc);
    case U.UOP_SYSENTER:
      return sysenter(v, pc);
    case U.UOP_SYSEXIT:
      return sysexit(v, pc);
    case U.UOP_SIMD:
      return simd(v, pc);
    case U.UOP_POPCNT16:
      return popcount<u16>(v, pc);
    case U.UOP_POPCNT32:
      return popcount<u32>(v, pc);
    case U.UOP_MOVBE_LOAD16:
      return loadSwapped<u16>(v, pc);
    case U.UOP_MOVBE_LOAD32:
      return loadSwapped<u32>(v, pc);
    case U.UOP_MOVBE_STORE16:
      return storeSwapped<u16>(v, pc);
    case U.UOP_MOVBE_STORE32:
      return storeSwapped<u32>(v, pc);
    case U.UOP_CRC32_8:
      return crc32<u8>(v, pc);
    case U.UOP_CRC32_16:
      return crc32<u16>(v, pc);
    case U.UOP_CRC32_32:
      return crc32<u32>(v, pc);
    case U.UOP_CLAC:
      return setAlignmentCheck(v, false);
    case U.UOP_STAC:
      return setAlignmentCheck(v, true);
    case U.UOP_RDTSCP:
      return rdtscp(v, pc);
    case U.UOP_RDPID:
      return rdpid(v, pc);
    default:
      raiseUd(v);
      return STEP_EVENT;
  }
}
