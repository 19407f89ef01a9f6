/**
 * The one-byte opcode map. Source: SDM 2D, "One-byte Opcode Map".
 * Anything that is not here is undefined and becomes UOP_UD, which raises #UD.
 */
import { CPU_MODEL_CORE2, VCPU_EA, VCPU_ZERO } from "../../abi/vcpu.ts";
import { REG_EAX, SEG_CS, SEG_DS, SEG_ES, SEG_SS } from "../../abi/x86.ts";
import {
  aluAccImm,
  aluRegRm,
  aluRmImm,
  aluRmReg,
  movRegImm,
  movRegRm,
  movRmImm,
  movRmReg,
  plainPair,
  rmPair,
  rmTriple,
  testAccImm,
  testRmImm,
  testRmReg,
} from "./alu-forms.ts";
import { Ins } from "./instruction.ts";
import { FPU_SEGMENT_SHIFT } from "./uop.ts";
import * as U from "./uop-ids.ts";

/** An undefined opcode: raises #UD when it is reached. */
export function undefinedOpcode(): void {
  Ins.isMem = false;
  Ins.emit(U.UOP_UD, 0, 0, 0);
  Ins.ends = true;
}
/** A micro-op after which the block ends: it changes EIP, segments, mode or TLB, or must see an exact instruction count. */
export function ending(id: u32, r1: u32, r2: u32, imm: u32): void {
  Ins.emit(id, r1, r2, imm);
  Ins.ends = true;
}
export function endingPair(id16: u32, r1: u32, imm: u32): void {
  ending(id16 + (Ins.opSize() >>> 2), r1, 0, imm);
}

/** Target of a direct near branch with a 32-bit operand. */
function branchTarget(displacement: u32): u32 {
  return Ins.eip + Ins.len + displacement;
}
/** Branches with a 32-bit operand in flat code are linked block to block; all others go the general way. */
export function isLinked(): bool {
  return Ins.flat && !Ins.op16;
}
/** Bits telling the interpreter that a target lies on the block's own page. */
export const NEAR_TAKEN: u32 = 1;
export const NEAR_FALL: u32 = 2;
export function nearness(taken: u32, fall: u32): u32 {
  const page = (Ins.eip - Ins.delta) >>> 12;
  return (taken >>> 12 == page ? NEAR_TAKEN : 0) | (fall >>> 12 == page ? NEAR_FALL : 0);
}

/** Jcc with the displacement already fetched. A comparison right before it becomes one micro-op with the jump. */
export function conditionalJump(cc: u32, displacement: u32): void {
  if (Ins.failed) return;
  if (!isLinked()) {
    endingPair(U.UOP_JCC_REL16, cc, displacement);
    return;
  }
  const target = branchTarget(displacement);
  const fall = Ins.nextEip();
  const near = nearness(target, fall);
  const fused = fusedWithPrevious(cc);
  if (fused != 0) {
    const previous = Ins.out - 16;
    const r1 = load<u8>(previous, 2);
    const r2 = load<u8>(previous, 3);
    const imm = load<u32>(previous, 8);
    Ins.out = previous;
    Ins.emitControl(fused, r1, r2, target, fall);
    store<u32>(previous, imm, U.UOP_IMM2);
    // The register numbers occupy r1 and r2; nearness goes where the EA's base would be.
    store<u8>(previous, <u8>near, 4);
    return;
  }
  Ins.emitControl(U.UOP_JCC + cc, 0, 0, target, fall);
  store<u8>(Ins.out - U.UOP_CONTROL_SIZE, <u8>near, 4);
}

/** @returns id of the fused compare-and-jump when the previous instruction of this block is a register comparison, else 0. */
function fusedWithPrevious(cc: u32): u32 {
  if (Ins.isFirst) return 0;
  const id = load<u16>(Ins.out - 16);
  if (id == U.UOP_ALU32_RR + 7) return U.UOP_CMPJCC32_RR + cc;
  if (id == U.UOP_ALU32_RI + 7) return U.UOP_CMPJCC32_RI + cc;
  if (id == U.UOP_TEST32_RR) return U.UOP_TESTJCC32_RR + cc;
  return 0;
}

function nearJump(displacement: u32): void {
  if (!isLinked()) {
    endingPair(U.UOP_JMP_REL16, 0, displacement);
    return;
  }
  const target = branchTarget(displacement);
  Ins.emitControl(U.UOP_JMP, 0, 0, target, 0);
  store<u8>(Ins.out - U.UOP_CONTROL_SIZE, <u8>nearness(target, target), 4);
}
function nearCall(displacement: u32): void {
  if (!isLinked()) {
    endingPair(U.UOP_CALL_REL16, 0, displacement);
    return;
  }
  const target = branchTarget(displacement);
  Ins.emitControl(U.UOP_CALL, 0, 0, target, Ins.nextEip());
  store<u8>(Ins.out - U.UOP_CONTROL_SIZE, <u8>nearness(target, target), 4);
}
function nearReturn(releaseBytes: u32): void {
  if (isLinked()) Ins.emitControl(U.UOP_RET, 0, 0, releaseBytes, 0);
  else endingPair(U.UOP_RET_NEAR16, 0, releaseBytes);
}
/** FF /2 and /4. */
function indirectBranch(isCall: bool): void {
  if (!isLinked()) {
    Ins.use(Ins.opSize(), false);
    ending(
      (isCall ? U.UOP_CALL_RM16 : U.UOP_JMP_RM16) + (Ins.opSize() >>> 2),
      0,
      Ins.rmField << 2,
      0,
    );
    return;
  }
  Ins.use(4, false);
  const inRegister = isCall ? U.UOP_CALL_R : U.UOP_JMP_R;
  const inMemory = isCall ? U.UOP_CALL_M : U.UOP_JMP_M;
  Ins.emitControl(Ins.isMem ? inMemory : inRegister, Ins.rmField << 2, 0, Ins.nextEip(), 0);
}

/** String instructions: repeat, address size and segment in the immediate; the block ends when they may run again. */
function stringOp(id8: u32, size: u32): void {
  const imm = Ins.rep | (Ins.addr16 ? 4 : 0) | (Ins.stringSegment() << 4);
  Ins.emit(id8 + (size >>> 1), 0, 0, imm);
  if (Ins.rep != 0) Ins.ends = true;
}

function pushReg(r: u32): void {
  if (Ins.flat && !Ins.op16) Ins.emit(U.UOP_PUSH32_R, r << 2, 0, 0);
  else plainPair(U.UOP_PUSH_R16, r << 2, 0);
}
function popReg(r: u32): void {
  if (Ins.flat && !Ins.op16) Ins.emit(U.UOP_POP32_R, r << 2, 0, 0);
  else plainPair(U.UOP_POP_R16, r << 2, 0);
}
function pushImm(imm: u32): void {
  if (Ins.flat && !Ins.op16) Ins.emit(U.UOP_PUSH32_I, 0, 0, imm);
  else plainPair(U.UOP_PUSH_I16, 0, imm);
}
function pushRm(): void {
  const size = Ins.opSize();
  Ins.use(size, false);
  if (Ins.isMem && Ins.flat && !Ins.op16) Ins.emit(U.UOP_PUSH32_M, 0, 0, 0);
  else Ins.emit(U.UOP_PUSH_M16 + (size >>> 2), 0, Ins.rmField << 2, 0);
}
/** POP r/m computes its address with ESP already incremented; an AGEN micro-op runs before the pop, so it is told. */
function popRm(): void {
  const size = Ins.opSize();
  if (Ins.isMem && Ins.base == 16) {
    const before = Ins.out;
    Ins.disp += size;
    Ins.use(size, true);
    if (Ins.out == before) Ins.disp -= size;
  } else Ins.use(size, true);
  Ins.emit(U.UOP_POP_M16 + (size >>> 2), 0, Ins.rmField << 2, 0);
}

/** FE and FF /0, /1: INC and DEC of r/m. */
function incDecRm(size: u32, isDec: bool): void {
  Ins.lockable = Ins.isMem;
  if (size == 4) {
    Ins.use(4, true);
    if (Ins.isMem) Ins.emit(isDec ? U.UOP_DEC32_M : U.UOP_INC32_M, 0, 0, 0);
    else Ins.emit(isDec ? U.UOP_DEC32_R : U.UOP_INC32_R, Ins.rmField << 2, 0, 0);
  } else rmTriple(isDec ? U.UOP_DEC8 : U.UOP_INC8, size, true, 0);
}
function incDecReg(r: u32, isDec: bool): void {
  Ins.mod = 3;
  Ins.rmField = r;
  incDecRm(Ins.opSize(), isDec);
}

function lea(): void {
  if (!Ins.isMem) {
    undefinedOpcode();
    return;
  }
  const size = Ins.opSize();
  // An address is all that is wanted: 16-bit forms and 16-bit results wrap in AGEN-free arithmetic of the slow form.
  Ins.emit(
    size == 4 && !Ins.addr16 ? U.UOP_LEA32 : U.UOP_LEA_WRAP,
    Ins.regField << 2,
    0,
    size | (Ins.addr16 ? 0x100 : 0),
  );
}

/** C0, C1, D0-D3: shifts and rotates. `count` 0-255, or -1 for CL. */
function shiftGroup(size: u32, isCl: bool, count: u32): void {
  const op = Ins.regField;
  const amount = count & 31;
  if (!isCl && size == 4 && !Ins.isMem && amount != 0 && op != 2 && op != 3) {
    let id: u32 = U.UOP_SHL32_RI;
    if (op == 0) id = U.UOP_ROL32_RI;
    else if (op == 1) id = U.UOP_ROR32_RI;
    else if (op == 5) id = U.UOP_SHR32_RI;
    else if (op == 7) id = U.UOP_SAR32_RI;
    Ins.emit(id, Ins.rmField << 2, 0, amount);
    return;
  }
  Ins.use(size, true);
  const id = (isCl ? U.UOP_SHIFT_CL8 : U.UOP_SHIFT_IMM8) + (size >>> 1);
  Ins.emit(id, op, Ins.gpr(Ins.rmField, size), count);
}

/** F6, F7. */
function unaryGroup(size: u32): void {
  const op = Ins.regField;
  if (op < 2) {
    testRmImm(size, size == 1 ? Ins.fetch8() : Ins.fetchZ());
    return;
  }
  if (op < 4) {
    Ins.lockable = Ins.isMem;
    if (size == 4 && !Ins.isMem) {
      Ins.emit(op == 2 ? U.UOP_NOT32_R : U.UOP_NEG32_R, Ins.rmField << 2, 0, 0);
    } else rmTriple(op == 2 ? U.UOP_NOT8 : U.UOP_NEG8, size, true, 0);
    return;
  }
  const id: u32 =
    op == 4 ? U.UOP_MUL8 : op == 5 ? U.UOP_IMUL1_8 : op == 6 ? U.UOP_DIV8 : U.UOP_IDIV8;
  rmTriple(id, size, false, 0);
}

/** FF. */
function group5(): void {
  const op = Ins.regField;
  if (op < 2) incDecRm(Ins.opSize(), op == 1);
  else if (op == 2) indirectBranch(true);
  else if (op == 4) indirectBranch(false);
  else if (op == 6) pushRm();
  else if ((op == 3 || op == 5) && Ins.isMem) {
    Ins.use(Ins.opSize() + 2, false);
    endingPair(op == 3 ? U.UOP_FAR_CALL_M16 : U.UOP_FAR_JMP_M16, 0, 0);
  } else undefinedOpcode();
}

function portOp(idImm8: u32, size: u32, port: u32): void {
  ending(idImm8 + (size >>> 1), 0, 0, port);
}

/** Direct far pointer: offset, then selector. The micro-op carries the offset in imm and the selector in disp. */
function farDirect(id16: u32): void {
  const offset = Ins.fetchZ();
  Ins.disp = Ins.fetch16();
  endingPair(id16, 0, offset);
}

/** LES, LDS and the 0F forms: far pointer from memory into a register and segment `s`. */
export function loadFar(s: u32): void {
  if (!Ins.isMem) {
    undefinedOpcode();
    return;
  }
  Ins.use(Ins.opSize() + 2, false);
  endingPair(U.UOP_LOAD_FAR16, Ins.regField << 2, s);
}

/** Decodes one opcode of the one-byte map; prefixes and 0F are the caller's. */
export function decodeOneByte(opcode: u32): void {
  const v = Ins.opSize();
  if (opcode < 0x40 && (opcode & 7) < 6) {
    const op = opcode >>> 3;
    switch (opcode & 7) {
      case 0: {
        Ins.modrm();
        aluRmReg(op, 1);
        return;
      }
      case 1: {
        Ins.modrm();
        aluRmReg(op, v);
        return;
      }
      case 2: {
        Ins.modrm();
        aluRegRm(op, 1);
        return;
      }
      case 3: {
        Ins.modrm();
        aluRegRm(op, v);
        return;
      }
      case 4: {
        aluAccImm(op, 1, Ins.fetch8());
        return;
      }
      default: {
        aluAccImm(op, v, Ins.fetchZ());
        return;
      }
    }
  }
  const low = opcode & 7;
  switch (opcode) {
    case 0x06: {
      plainPair(U.UOP_PUSH_SEG16, 0, SEG_ES);
      return;
    }
    case 0x07: {
      plainPair(U.UOP_POP_SEG16, 0, SEG_ES);
      return;
    }
    case 0x0e: {
      plainPair(U.UOP_PUSH_SEG16, 0, SEG_CS);
      return;
    }
    case 0x16: {
      plainPair(U.UOP_PUSH_SEG16, 0, SEG_SS);
      return;
    }
    case 0x17: {
      endingPair(U.UOP_POP_SEG16, 0, SEG_SS);
      return;
    }
    case 0x1e: {
      plainPair(U.UOP_PUSH_SEG16, 0, SEG_DS);
      return;
    }
    case 0x1f: {
      plainPair(U.UOP_POP_SEG16, 0, SEG_DS);
      return;
    }
    case 0x27: {
      Ins.emit(U.UOP_DAA, 0, 0, 0);
      return;
    }
    case 0x2f: {
      Ins.emit(U.UOP_DAS, 0, 0, 0);
      return;
    }
    case 0x37: {
      Ins.emit(U.UOP_AAA, 0, 0, 0);
      return;
    }
    case 0x3f: {
      Ins.emit(U.UOP_AAS, 0, 0, 0);
      return;
    }
    case 0x40:
    case 0x41:
    case 0x42:
    case 0x43:
    case 0x44:
    case 0x45:
    case 0x46:
    case 0x47: {
      incDecReg(low, false);
      return;
    }
    case 0x48:
    case 0x49:
    case 0x4a:
    case 0x4b:
    case 0x4c:
    case 0x4d:
    case 0x4e:
    case 0x4f: {
      incDecReg(low, true);
      return;
    }
    case 0x50:
    case 0x51:
    case 0x52:
    case 0x53:
    case 0x54:
    case 0x55:
    case 0x56:
    case 0x57: {
      pushReg(low);
      return;
    }
    case 0x58:
    case 0x59:
    case 0x5a:
    case 0x5b:
    case 0x5c:
    case 0x5d:
    case 0x5e:
    case 0x5f: {
      popReg(low);
      return;
    }
    case 0x60: {
      plainPair(U.UOP_PUSHA16, 0, 0);
      return;
    }
    case 0x61: {
      plainPair(U.UOP_POPA16, 0, 0);
      return;
    }
    case 0x62: {
      Ins.modrm();
      if (!Ins.isMem) undefinedOpcode();
      else {
        Ins.use(v * 2, false);
        plainPair(U.UOP_BOUND16, Ins.regField << 2, 0);
      }
      return;
    }
    case 0x63: {
      Ins.modrm();
      // Whether the operand is written is known when it has been read: the segment goes along.
      Ins.use(2, false);
      Ins.emit(U.UOP_ARPL, Ins.regField << 2, Ins.rmField << 2, Ins.memSegment);
      return;
    }
    case 0x68: {
      pushImm(Ins.fetchZ());
      return;
    }
    case 0x69: {
      Ins.modrm();
      const imm = Ins.fetchZ();
      rmPair(U.UOP_IMUL3_16, false, imm);
      return;
    }
    case 0x6a: {
      pushImm(Ins.fetchS8());
      return;
    }
    case 0x6b: {
      Ins.modrm();
      const imm = Ins.fetchS8();
      rmPair(U.UOP_IMUL3_16, false, imm);
      return;
    }
    case 0x6c: {
      stringOp(U.UOP_INS8, 1);
      Ins.ends = true;
      return;
    }
    case 0x6d: {
      stringOp(U.UOP_INS8, v);
      Ins.ends = true;
      return;
    }
    case 0x6e: {
      stringOp(U.UOP_OUTS8, 1);
      Ins.ends = true;
      return;
    }
    case 0x6f: {
      stringOp(U.UOP_OUTS8, v);
      Ins.ends = true;
      return;
    }
    case 0x80:
    case 0x82: {
      Ins.modrm();
      const imm = Ins.fetch8();
      aluRmImm(Ins.regField, 1, imm);
      return;
    }
    case 0x81: {
      Ins.modrm();
      const imm = Ins.fetchZ();
      aluRmImm(Ins.regField, v, imm);
      return;
    }
    case 0x83: {
      Ins.modrm();
      const imm = Ins.fetchS8();
      aluRmImm(Ins.regField, v, v == 2 ? imm & 0xffff : imm);
      return;
    }
    case 0x84: {
      Ins.modrm();
      testRmReg(1);
      return;
    }
    case 0x85: {
      Ins.modrm();
      testRmReg(v);
      return;
    }
    case 0x86: {
      Ins.modrm();
      Ins.lockable = Ins.isMem;
      rmTriple(U.UOP_XCHG8, 1, true, 0);
      return;
    }
    case 0x87: {
      Ins.modrm();
      Ins.lockable = Ins.isMem;
      if (v == 4 && !Ins.isMem) Ins.emit(U.UOP_XCHG32_RR, Ins.regField << 2, Ins.rmField << 2, 0);
      else rmTriple(U.UOP_XCHG8, v, true, 0);
      return;
    }
    case 0x88: {
      Ins.modrm();
      movRmReg(1);
      return;
    }
    case 0x89: {
      Ins.modrm();
      movRmReg(v);
      return;
    }
    case 0x8a: {
      Ins.modrm();
      movRegRm(1);
      return;
    }
    case 0x8b: {
      Ins.modrm();
      movRegRm(v);
      return;
    }
    case 0x8c: {
      Ins.modrm();
      if (Ins.regField > 5) {
        undefinedOpcode();
        return;
      }
      // To memory it is 16 bits whatever the operand size.
      Ins.use(2, true);
      const id: u32 = Ins.isMem || Ins.op16 ? U.UOP_MOV_FROM_SEG16 : U.UOP_MOV_FROM_SEG32;
      Ins.emit(id, 0, Ins.rmField << 2, Ins.regField);
      return;
    }
    case 0x8d: {
      Ins.modrm();
      lea();
      return;
    }
    case 0x8e: {
      Ins.modrm();
      if (Ins.regField > 5 || Ins.regField == SEG_CS) {
        undefinedOpcode();
        return;
      }
      Ins.use(2, false);
      Ins.emit(U.UOP_MOV_TO_SEG, 0, Ins.rmField << 2, Ins.regField);
      // The shadow of a new stack is counted in instructions, exactly at the end of a block.
      if (Ins.regField == SEG_SS) Ins.ends = true;
      return;
    }
    case 0x8f: {
      Ins.modrm();
      if (Ins.regField != 0) undefinedOpcode();
      else popRm();
      return;
    }
    case 0x90: {
      Ins.emit(U.UOP_NOP, 0, 0, 0);
      return;
    }
    case 0x91:
    case 0x92:
    case 0x93:
    case 0x94:
    case 0x95:
    case 0x96:
    case 0x97: {
      Ins.mod = 3;
      Ins.regField = REG_EAX;
      Ins.rmField = low;
      if (v == 4) Ins.emit(U.UOP_XCHG32_RR, 0, low << 2, 0);
      else rmTriple(U.UOP_XCHG8, 2, true, 0);
      return;
    }
    case 0x98: {
      Ins.emit(v == 4 ? U.UOP_CWDE : U.UOP_CBW, 0, 0, 0);
      return;
    }
    case 0x99: {
      Ins.emit(v == 4 ? U.UOP_CDQ : U.UOP_CWD, 0, 0, 0);
      return;
    }
    case 0x9a: {
      farDirect(U.UOP_FAR_CALL16);
      return;
    }
    case 0x9b: {
      Ins.emit(U.UOP_FWAIT, 0, 0, 0);
      return;
    }
    case 0x9c: {
      plainPair(U.UOP_PUSHF16, 0, 0);
      return;
    }
    case 0x9d: {
      endingPair(U.UOP_POPF16, 0, 0);
      return;
    }
    case 0x9e: {
      Ins.emit(U.UOP_SAHF, 0, 0, 0);
      return;
    }
    case 0x9f: {
      Ins.emit(U.UOP_LAHF, 0, 0, 0);
      return;
    }
    case 0xa0:
    case 0xa1:
    case 0xa2:
    case 0xa3: {
      const offset = Ins.addr16 ? Ins.fetch16() : Ins.fetch32();
      Ins.directMemory(VCPU_ZERO, VCPU_ZERO, offset);
      Ins.regField = REG_EAX;
      const size = opcode & 1 ? v : 1;
      if (opcode < 0xa2) movRegRm(size);
      else movRmReg(size);
      return;
    }
    case 0xa4: {
      stringOp(U.UOP_MOVS8, 1);
      return;
    }
    case 0xa5: {
      stringOp(U.UOP_MOVS8, v);
      return;
    }
    case 0xa6: {
      stringOp(U.UOP_CMPS8, 1);
      return;
    }
    case 0xa7: {
      stringOp(U.UOP_CMPS8, v);
      return;
    }
    case 0xa8: {
      testAccImm(1, Ins.fetch8());
      return;
    }
    case 0xa9: {
      testAccImm(v, Ins.fetchZ());
      return;
    }
    case 0xaa: {
      stringOp(U.UOP_STOS8, 1);
      return;
    }
    case 0xab: {
      stringOp(U.UOP_STOS8, v);
      return;
    }
    case 0xac: {
      stringOp(U.UOP_LODS8, 1);
      return;
    }
    case 0xad: {
      stringOp(U.UOP_LODS8, v);
      return;
    }
    case 0xae: {
      stringOp(U.UOP_SCAS8, 1);
      return;
    }
    case 0xaf: {
      stringOp(U.UOP_SCAS8, v);
      return;
    }
    case 0xb0:
    case 0xb1:
    case 0xb2:
    case 0xb3:
    case 0xb4:
    case 0xb5:
    case 0xb6:
    case 0xb7: {
      movRegImm(low, 1, Ins.fetch8());
      return;
    }
    case 0xb8:
    case 0xb9:
    case 0xba:
    case 0xbb:
    case 0xbc:
    case 0xbd:
    case 0xbe:
    case 0xbf: {
      movRegImm(low, v, Ins.fetchZ());
      return;
    }
    case 0xc0:
    case 0xc1: {
      Ins.modrm();
      const count = Ins.fetch8();
      shiftGroup(opcode & 1 ? v : 1, false, count);
      return;
    }
    case 0xc2: {
      nearReturn(Ins.fetch16());
      return;
    }
    case 0xc3: {
      nearReturn(0);
      return;
    }
    case 0xc4: {
      Ins.modrm();
      loadFar(SEG_ES);
      return;
    }
    case 0xc5: {
      Ins.modrm();
      loadFar(SEG_DS);
      return;
    }
    case 0xc6:
    case 0xc7: {
      Ins.modrm();
      const size = opcode & 1 ? v : 1;
      const imm = size == 1 ? Ins.fetch8() : Ins.fetchZ();
      if (Ins.regField != 0) undefinedOpcode();
      else movRmImm(size, imm);
      return;
    }
    case 0xc8: {
      const bytes = Ins.fetch16();
      const level = Ins.fetch8();
      plainPair(U.UOP_ENTER16, 0, bytes | (level << 16));
      return;
    }
    case 0xc9: {
      if (isLinked()) Ins.emit(U.UOP_LEAVE32, 0, 0, 0);
      else plainPair(U.UOP_LEAVE_16, 0, 0);
      return;
    }
    case 0xca: {
      const release = Ins.fetch16();
      endingPair(U.UOP_FAR_RET16, 0, release);
      return;
    }
    case 0xcb: {
      endingPair(U.UOP_FAR_RET16, 0, 0);
      return;
    }
    case 0xcc: {
      ending(U.UOP_INT3, 0, 0, 3);
      return;
    }
    case 0xcd: {
      const vector = Ins.fetch8();
      ending(U.UOP_INT, 0, 0, vector);
      return;
    }
    case 0xce: {
      ending(U.UOP_INTO, 0, 0, 4);
      return;
    }
    case 0xcf: {
      endingPair(U.UOP_IRET16, 0, 0);
      return;
    }
    case 0xd0:
    case 0xd1: {
      Ins.modrm();
      shiftGroup(opcode & 1 ? v : 1, false, 1);
      return;
    }
    case 0xd2:
    case 0xd3: {
      Ins.modrm();
      shiftGroup(opcode & 1 ? v : 1, true, 0);
      return;
    }
    case 0xd4: {
      Ins.emit(U.UOP_AAM, 0, 0, Ins.fetch8());
      return;
    }
    case 0xd5: {
      Ins.emit(U.UOP_AAD, 0, 0, Ins.fetch8());
      return;
    }
    case 0xd6: {
      Ins.emit(U.UOP_SALC, 0, 0, 0);
      return;
    }
    case 0xd7: {
      // [EBX + AL]: the sum is made by a micro-op of its own, then checked like any address.
      Ins.emit(U.UOP_XLAT_ADDRESS, 0, 0, Ins.addr16 ? 1 : 0);
      Ins.directMemory(VCPU_EA, VCPU_ZERO, 0);
      Ins.use(1, false);
      Ins.emit(U.UOP_XLAT, 0, 0, 0);
      return;
    }
    case 0xd8:
    case 0xd9:
    case 0xda:
    case 0xdb:
    case 0xdc:
    case 0xdd:
    case 0xde:
    case 0xdf: {
      Ins.modrm();
      const modrm = (Ins.mod << 6) | (Ins.regField << 3) | Ins.rmField;
      if (Ins.isMem && isReservedFpu(low, Ins.regField)) {
        undefinedOpcode();
        return;
      }
      Ins.use(fpuOperandBytes(low, Ins.regField), fpuWrites(low, Ins.regField));
      const segment = Ins.isMem ? Ins.memSegment : 0;
      const imm = (segment << FPU_SEGMENT_SHIFT) | (low << 8) | modrm;
      Ins.emit(U.UOP_FPU, Ins.op16 ? 1 : 0, 0, imm);
      return;
    }
    case 0xe0:
    case 0xe1:
    case 0xe2:
    case 0xe3: {
      const displacement = Ins.fetchS8();
      // r1: which of the four; the count register follows the address size, carried in bit 2.
      endingPair(U.UOP_LOOP16, low | (Ins.addr16 ? 4 : 0), displacement);
      return;
    }
    case 0xe4:
    case 0xe5: {
      portOp(U.UOP_IN_IMM8, opcode & 1 ? v : 1, Ins.fetch8());
      return;
    }
    case 0xe6:
    case 0xe7: {
      portOp(U.UOP_OUT_IMM8, opcode & 1 ? v : 1, Ins.fetch8());
      return;
    }
    case 0xe8: {
      const displacement = Ins.fetchZ();
      nearCall(displacement);
      return;
    }
    case 0xe9: {
      const displacement = Ins.fetchZ();
      nearJump(displacement);
      return;
    }
    case 0xea: {
      farDirect(U.UOP_FAR_JMP16);
      return;
    }
    case 0xeb: {
      const displacement = Ins.fetchS8();
      nearJump(displacement);
      return;
    }
    case 0xec:
    case 0xed: {
      portOp(U.UOP_IN_DX8, opcode & 1 ? v : 1, 0);
      return;
    }
    case 0xee:
    case 0xef: {
      portOp(U.UOP_OUT_DX8, opcode & 1 ? v : 1, 0);
      return;
    }
    case 0xf1: {
      ending(U.UOP_INT1, 0, 0, 1);
      return;
    }
    case 0xf4: {
      ending(U.UOP_HLT, 0, 0, 0);
      return;
    }
    case 0xf5: {
      Ins.emit(U.UOP_CMC, 0, 0, 0);
      return;
    }
    case 0xf6: {
      Ins.modrm();
      unaryGroup(1);
      return;
    }
    case 0xf7: {
      Ins.modrm();
      unaryGroup(v);
      return;
    }
    case 0xf8: {
      Ins.emit(U.UOP_CLC, 0, 0, 0);
      return;
    }
    case 0xf9: {
      Ins.emit(U.UOP_STC, 0, 0, 0);
      return;
    }
    case 0xfa: {
      ending(U.UOP_CLI, 0, 0, 0);
      return;
    }
    case 0xfb: {
      ending(U.UOP_STI, 0, 0, 0);
      return;
    }
    case 0xfc: {
      Ins.emit(U.UOP_CLD, 0, 0, 0);
      return;
    }
    case 0xfd: {
      Ins.emit(U.UOP_STD, 0, 0, 0);
      return;
    }
    case 0xfe: {
      Ins.modrm();
      if (Ins.regField < 2) incDecRm(1, Ins.regField == 1);
      else undefinedOpcode();
      return;
    }
    case 0xff: {
      Ins.modrm();
      group5();
      return;
    }
    default:
      undefinedOpcode();
  }
}

/** @returns true for memory forms that no x87 instruction of the model has: they fault before their operand can. */
function isReservedFpu(esc: u32, op: u32): bool {
  // FISTTP came with SSE3.
  if (op == 1 && (esc == 3 || esc == 5 || esc == 7)) return Ins.model < <u32>CPU_MODEL_CORE2;
  return (esc == 1 && op == 1) || (esc == 3 && (op == 4 || op == 6)) || (esc == 5 && op == 5);
}

/** Bytes an x87 memory operand occupies, for the segment check (SDM 2D, "Escape Opcode" tables). */
function fpuOperandBytes(esc: u32, op: u32): u32 {
  const state: u32 = Ins.op16 ? 14 : 28;
  switch (esc) {
    case 1: {
      return op == 4 || op == 6 ? state : op == 5 || op == 7 ? 2 : 4;
    }
    case 3: {
      return op == 5 || op == 7 ? 10 : 4;
    }
    case 4: {
      return 8;
    }
    case 5: {
      return op == 4 || op == 6 ? state + 80 : op == 7 ? 2 : 8;
    }
    case 6: {
      return 2;
    }
    case 7: {
      return op == 4 || op == 6 ? 10 : op == 5 || op == 7 ? 8 : 2;
    }
    default:
      return 4;
  }
}
/** True when the x87 memory form stores. */
function fpuWrites(esc: u32, op: u32): bool {
  if (esc == 1) return op == 2 || op == 3 || op >= 6;
  if (esc == 3) return (op >= 1 && op <= 3) || op == 7;
  if (esc == 5) return (op >= 1 && op <= 3) || op >= 6;
  if (esc == 7) return (op >= 1 && op <= 3) || op >= 6;
  return false;
}
