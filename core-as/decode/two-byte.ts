/**
 * The two-byte opcode map (0F xx); what is not here is MMX, SSE or undefined. Source: SDM 2D, "Two-byte Opcode Map".
 */
import { SEG_FS, SEG_GS, SEG_SS } from "../../abi/x86.ts";
import { plainPair, rmPair, rmTriple } from "./alu-forms.ts";
import { Ins } from "./instruction.ts";
import { conditionalJump, ending, loadFar, undefinedOpcode } from "./one-byte.ts";
import { decodeSimd, decodeSimdState } from "./simd.ts";
import { decodeLater, decodeLaterSystem, decodeReadProcessor } from "./simd-later.ts";
import * as U from "./uop-ids.ts";

/** 0F 00: SLDT STR LLDT LTR VERR VERW. */
function group6(): void {
  const store = Ins.regField < 2;
  const wide: u32 = !Ins.isMem && !Ins.op16 ? 1 : 0;
  Ins.use(2, store);
  const rm = Ins.rmField << 2;
  switch (Ins.regField) {
    case 0: {
      Ins.emit(U.UOP_SLDT16 + wide, 0, rm, 0);
      return;
    }
    case 1: {
      Ins.emit(U.UOP_STR16 + wide, 0, rm, 0);
      return;
    }
    case 2: {
      ending(U.UOP_LLDT, 0, rm, 0);
      return;
    }
    case 3: {
      ending(U.UOP_LTR, 0, rm, 0);
      return;
    }
    case 4: {
      Ins.emit(U.UOP_VERR, 0, rm, 0);
      return;
    }
    case 5: {
      Ins.emit(U.UOP_VERW, 0, rm, 0);
      return;
    }
    default:
      undefinedOpcode();
  }
}

/** 0F 01: SGDT SIDT LGDT LIDT SMSW LMSW INVLPG; CLAC STAC RDTSCP. */
function group7(): void {
  if (decodeLaterSystem()) return;
  const op = Ins.regField;
  const rm = Ins.rmField << 2;
  if (op == 4) {
    const wide: u32 = !Ins.isMem && !Ins.op16 ? 1 : 0;
    Ins.use(2, true);
    Ins.emit(U.UOP_SMSW16 + wide, 0, rm, 0);
    return;
  }
  if (op == 6) {
    Ins.use(2, false);
    ending(U.UOP_LMSW, 0, rm, 0);
    return;
  }
  if (op == 5 || !Ins.isMem) {
    undefinedOpcode();
    return;
  }
  if (op == 7) {
    Ins.use(1, false);
    ending(U.UOP_INVLPG, 0, 0, 0);
    return;
  }
  Ins.use(6, op < 2);
  const wide: u32 = Ins.op16 ? 0 : 1;
  if (op == 0) Ins.emit(U.UOP_SGDT, 0, 0, 0);
  else if (op == 1) Ins.emit(U.UOP_SIDT, 0, 0, 0);
  else ending((op == 2 ? U.UOP_LGDT16 : U.UOP_LIDT16) + wide, 0, 0, 0);
}

/** 0F AE: FXSAVE and FXRSTOR; the rest came with SSE. */
function group15(): void {
  if (!Ins.isMem || Ins.regField > 1) {
    decodeSimdState();
    return;
  }
  Ins.use(512, Ins.regField == 0);
  Ins.emit(Ins.regField == 0 ? U.UOP_FXSAVE : U.UOP_FXRSTOR, 0, 0, 0);
}

/** 0F BA: BT BTS BTR BTC with an immediate. */
function group8(): void {
  const op = Ins.regField;
  const bit = Ins.fetch8();
  if (op < 4) {
    undefinedOpcode();
    return;
  }
  Ins.lockable = Ins.isMem && op != 4;
  rmPair(U.UOP_BT_I16 + (op - 4) * 2, op != 4, bit);
}

/** Immediate of a BT family micro-op whose address holds the bit offset already. */
export const BIT_ADDRESS_DONE: u32 = 1;

/**
 * BT family with a register: the memory form adds the bit offset to its address when it executes, or, where the segment must be checked
 * with the offset in, by a micro-op of its own before that.
 */
function bitByRegister(id16: u32, writes: bool): void {
  Ins.modrm();
  Ins.lockable = Ins.isMem && writes;
  if (!Ins.isMem || Ins.isFlatOperand()) {
    rmPair(id16, writes, 0);
    return;
  }
  Ins.emit(U.UOP_BIT_ADDRESS, Ins.regField << 2, 0, Ins.opSize());
  Ins.rebase();
  rmPair(id16, writes, BIT_ADDRESS_DONE);
}

function movControl(id: u32): void {
  // MOD is ignored: the operand is always a register.
  const byte = Ins.fetch8();
  ending(id, (byte & 7) << 2, 0, (byte >>> 3) & 7);
}

export function decodeTwoByte(): void {
  const opcode = Ins.fetch8();
  const v = Ins.opSize();
  const low = opcode & 15;
  switch (opcode >>> 4) {
    case 0x4: {
      Ins.modrm();
      // The memory operand is read, and may fault, whatever the condition says.
      rmPair(U.UOP_CMOV16, false, low);
      return;
    }
    case 0x8: {
      const displacement = Ins.fetchZ();
      conditionalJump(low, displacement);
      return;
    }
    case 0x9: {
      Ins.modrm();
      Ins.use(1, true);
      Ins.emit(U.UOP_SETCC, 0, Ins.gpr(Ins.rmField, 1), low);
      return;
    }
    default:
  }
  switch (opcode) {
    case 0x00: {
      Ins.modrm();
      group6();
      return;
    }
    case 0x01: {
      Ins.modrm();
      group7();
      return;
    }
    case 0x02:
    case 0x03: {
      Ins.modrm();
      Ins.use(2, false);
      const id: u32 = (opcode == 0x02 ? U.UOP_LAR16 : U.UOP_LSL16) + (v >>> 2);
      Ins.emit(id, Ins.regField << 2, Ins.rmField << 2, 0);
      return;
    }
    case 0x06: {
      ending(U.UOP_CLTS, 0, 0, 0);
      return;
    }
    case 0x08:
    case 0x09: {
      ending(U.UOP_WBINVD, 0, 0, opcode & 1);
      return;
    }
    case 0x0b: {
      undefinedOpcode();
      return;
    }
    // PREFETCHh and the hints reserved beside it, AMD's PREFETCH and PREFETCHW too: no operation, whatever the address.
    case 0x0d:
    case 0x18:
    case 0x19:
    case 0x1a:
    case 0x1b:
    case 0x1c:
    case 0x1d:
    case 0x1e:
    case 0x1f: {
      Ins.modrm();
      Ins.isMem = false;
      Ins.emit(U.UOP_NOP, 0, 0, 0);
      return;
    }
    case 0x20: {
      movControl(U.UOP_MOV_FROM_CR);
      return;
    }
    case 0x21: {
      movControl(U.UOP_MOV_FROM_DR);
      return;
    }
    case 0x22: {
      movControl(U.UOP_MOV_TO_CR);
      return;
    }
    case 0x23: {
      movControl(U.UOP_MOV_TO_DR);
      return;
    }
    case 0x30: {
      ending(U.UOP_WRMSR, 0, 0, 0);
      return;
    }
    case 0x31: {
      ending(U.UOP_RDTSC, 0, 0, 0);
      return;
    }
    case 0x32: {
      ending(U.UOP_RDMSR, 0, 0, 0);
      return;
    }
    case 0x33: {
      ending(U.UOP_RDPMC, 0, 0, 0);
      return;
    }
    case 0x34: {
      ending(U.UOP_SYSENTER, 0, 0, 0);
      return;
    }
    case 0x35: {
      ending(U.UOP_SYSEXIT, 0, 0, 0);
      return;
    }
    case 0xa0: {
      plainPair(U.UOP_PUSH_SEG16, 0, SEG_FS);
      return;
    }
    case 0xa1: {
      plainPair(U.UOP_POP_SEG16, 0, SEG_FS);
      return;
    }
    case 0xa2: {
      ending(U.UOP_CPUID, 0, 0, 0);
      return;
    }
    case 0xa3: {
      bitByRegister(U.UOP_BT_R16, false);
      return;
    }
    case 0xa4: {
      Ins.modrm();
      const count = Ins.fetch8();
      rmPair(U.UOP_SHLD_IMM16, true, count);
      return;
    }
    case 0xa5: {
      Ins.modrm();
      rmPair(U.UOP_SHLD_CL16, true, 0);
      return;
    }
    case 0xa8: {
      plainPair(U.UOP_PUSH_SEG16, 0, SEG_GS);
      return;
    }
    case 0xa9: {
      plainPair(U.UOP_POP_SEG16, 0, SEG_GS);
      return;
    }
    case 0xab: {
      bitByRegister(U.UOP_BTS_R16, true);
      return;
    }
    case 0xac: {
      Ins.modrm();
      const count = Ins.fetch8();
      rmPair(U.UOP_SHRD_IMM16, true, count);
      return;
    }
    case 0xad: {
      Ins.modrm();
      rmPair(U.UOP_SHRD_CL16, true, 0);
      return;
    }
    case 0xae: {
      Ins.modrm();
      group15();
      return;
    }
    case 0xaf: {
      Ins.modrm();
      if (v == 4) {
        Ins.use(4, false);
        if (Ins.isMem) Ins.emit(U.UOP_IMUL32_RM, Ins.regField << 2, 0, 0);
        else Ins.emit(U.UOP_IMUL32_RR, Ins.regField << 2, Ins.rmField << 2, 0);
      } else rmPair(U.UOP_IMUL2_16, false, 0);
      return;
    }
    case 0xb0:
    case 0xb1: {
      Ins.modrm();
      Ins.lockable = Ins.isMem;
      rmTriple(U.UOP_CMPXCHG8, opcode & 1 ? v : 1, true, 0);
      return;
    }
    case 0xb2: {
      Ins.modrm();
      loadFar(SEG_SS);
      return;
    }
    case 0xb3: {
      bitByRegister(U.UOP_BTR_R16, true);
      return;
    }
    case 0xb4: {
      Ins.modrm();
      loadFar(SEG_FS);
      return;
    }
    case 0xb5: {
      Ins.modrm();
      loadFar(SEG_GS);
      return;
    }
    case 0xb6:
    case 0xb7:
    case 0xbe:
    case 0xbf: {
      extendMove(opcode);
      return;
    }
    case 0xba: {
      Ins.modrm();
      group8();
      return;
    }
    case 0xbb: {
      bitByRegister(U.UOP_BTC_R16, true);
      return;
    }
    case 0xbc: {
      Ins.modrm();
      rmPair(U.UOP_BSF16, false, 0);
      return;
    }
    case 0xbd: {
      Ins.modrm();
      rmPair(U.UOP_BSR16, false, 0);
      return;
    }
    case 0xc0:
    case 0xc1: {
      Ins.modrm();
      Ins.lockable = Ins.isMem;
      rmTriple(U.UOP_XADD8, opcode & 1 ? v : 1, true, 0);
      return;
    }
    case 0xc7: {
      Ins.modrm();
      if (!Ins.isMem || Ins.regField != 1) {
        decodeReadProcessor();
        return;
      }
      Ins.lockable = true;
      Ins.use(8, true);
      Ins.emit(U.UOP_CMPXCHG8B, 0, 0, 0);
      return;
    }
    case 0xc8:
    case 0xc9:
    case 0xca:
    case 0xcb:
    case 0xcc:
    case 0xcd:
    case 0xce:
    case 0xcf: {
      plainPair(U.UOP_BSWAP16, (opcode & 7) << 2, 0);
      return;
    }
    default:
      if (!decodeSimd(opcode) && !decodeLater(opcode)) undefinedOpcode();
  }
}

/** MOVZX and MOVSX. */
function extendMove(opcode: u32): void {
  Ins.modrm();
  const signed = opcode >= 0xbe;
  const size: u32 = opcode & 1 ? 2 : 1;
  Ins.use(size, false);
  const reg = Ins.regField << 2;
  const rm = Ins.gpr(Ins.rmField, size);
  if (Ins.op16) {
    if (size == 2) Ins.emit(Ins.isMem ? U.UOP_MOV16_RM : U.UOP_MOV16_RR, reg, rm, 0);
    else Ins.emit(signed ? U.UOP_MOVSX8_16 : U.UOP_MOVZX8_16, reg, rm, 0);
    return;
  }
  let id: u32 = signed ? U.UOP_MOVSX8_RR : U.UOP_MOVZX8_RR;
  if (size == 2) id += 2;
  Ins.emit(id + (Ins.isMem ? 1 : 0), reg, rm, 0);
}
