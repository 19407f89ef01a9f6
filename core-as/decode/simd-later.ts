/**
 * What came after SSE2, as rows and forms like those of decode/simd.ts: SSE3 in the two-byte map, SSSE3 and SSE4 in the maps behind
 * 0F 38 and 0F 3A, and the instructions on general registers that arrived with them.
 * Source: SDM 2D, "Two-byte Opcode Map" and "Three-byte Opcode Map".
 */
import { CPU_MODEL_CORE2, CPU_MODEL_MAX } from "../../abi/vcpu.ts";
import { rmPair } from "./alu-forms.ts";
import { Ins, REP_E, REP_NE, REP_NONE } from "./instruction.ts";
import { ending, undefinedOpcode } from "./one-byte.ts";
import {
  decodeRow,
  LEVEL_SHIFT,
  MEMORY_ONLY,
  SIMD_ALIGNED,
  SIMD_IMM8,
  SIMD_MMX,
  SIMD_XMM,
  WRITES,
} from "./simd.ts";
import * as S from "./simd-ops.ts";
import * as U from "./uop-ids.ts";

/** As in decode/simd.ts: X XMM, A aligned, M MMX, and I with an immediate; the number is the model. */
const X3: u32 = ((<u32>CPU_MODEL_CORE2) << LEVEL_SHIFT) | SIMD_XMM;
const X4: u32 = ((<u32>CPU_MODEL_MAX) << LEVEL_SHIFT) | SIMD_XMM;
const A3: u32 = X3 | SIMD_ALIGNED;
const A4: u32 = X4 | SIMD_ALIGNED;
const M3: u32 = ((<u32>CPU_MODEL_CORE2) << LEVEL_SHIFT) | SIMD_MMX;
const I: u32 = SIMD_IMM8;

const PACKED: u32 = 0;
const PACKED_IMM: u32 = 1;
const XMM: u32 = 2;
const XMM_IMM: u32 = 3;
const XMM4: u32 = 4;
const STRING: u32 = 5;
const HALVES: u32 = 6;
const QUARTERS: u32 = 7;
const EIGHTHS: u32 = 8;
const DWORD_IMM: u32 = 9;
const QUAD_IMM: u32 = 10;
const BYTE_IMM: u32 = 11;
const BYTE_OUT: u32 = 12;
const WORD_OUT: u32 = 13;
const DWORD_OUT: u32 = 14;
const STREAM_LOAD: u32 = 15;
/** 66 is for doubles, F2 for singles. */
const TWO_FLOATS: u32 = 16;
const DUPLICATES: u32 = 17;
const DUPLICATES_LOW: u32 = 18;
const UNALIGNED_LOAD: u32 = 19;

// biome-ignore format: one form per line
const FORMS: usize = memory.data<u32>([
  /* PACKED */ M3 | 8, A3 | 16, 0, 0,
  /* PACKED_IMM */ M3 | I | 8, A3 | I | 16, 0, 0,
  /* XMM */ 0, A3 | 16, 0, 0,
  /* XMM_IMM */ 0, A3 | I | 16, 0, 0,
  /* XMM4 */ 0, A4 | 16, 0, 0,
  /* STRING */ 0, X4 | I | 16, 0, 0,
  /* HALVES */ 0, X3 | 8, 0, 0,
  /* QUARTERS */ 0, X3 | 4, 0, 0,
  /* EIGHTHS */ 0, X3 | 2, 0, 0,
  /* DWORD_IMM */ 0, X3 | I | 4, 0, 0,
  /* QUAD_IMM */ 0, X3 | I | 8, 0, 0,
  /* BYTE_IMM */ 0, X3 | I | 1, 0, 0,
  /* BYTE_OUT */ 0, X3 | I | WRITES | 1, 0, 0,
  /* WORD_OUT */ 0, X3 | I | WRITES | 2, 0, 0,
  /* DWORD_OUT */ 0, X3 | I | WRITES | 4, 0, 0,
  /* STREAM_LOAD */ 0, A3 | MEMORY_ONLY | 16, 0, 0,
  /* TWO_FLOATS */ 0, A3 | 16, 0, A3 | 16,
  /* DUPLICATES */ 0, 0, A3 | 16, 0,
  /* DUPLICATES_LOW */ 0, 0, 0, X3 | 8,
  /* UNALIGNED_LOAD */ 0, 0, 0, X3 | MEMORY_ONLY | 16,
]);

/** Opcode with 38 or 3A before it, operation, form. */
// biome-ignore format: rows of the opcode maps
const ROWS: usize = memory.data<u32>([
  0x12, S.SIMD_MOVSLDUP, DUPLICATES, 0x12, S.SIMD_MOVDDUP, DUPLICATES_LOW, 0x16, S.SIMD_MOVSHDUP, DUPLICATES,
  0x7c, S.SIMD_HADD, TWO_FLOATS, 0x7d, S.SIMD_HSUB, TWO_FLOATS,
  0xd0, S.SIMD_ADDSUB, TWO_FLOATS, 0xf0, S.SIMD_LOAD, UNALIGNED_LOAD,
  0x3800, S.SIMD_PSHUFB, PACKED, 0x3801, S.SIMD_PHADDW, PACKED, 0x3802, S.SIMD_PHADDD, PACKED,
  0x3803, S.SIMD_PHADDSW, PACKED, 0x3804, S.SIMD_PMADDUBSW, PACKED, 0x3805, S.SIMD_PHSUBW, PACKED,
  0x3806, S.SIMD_PHSUBD, PACKED, 0x3807, S.SIMD_PHSUBSW, PACKED,
  0x3808, S.SIMD_PSIGNB, PACKED, 0x3809, S.SIMD_PSIGNW, PACKED, 0x380a, S.SIMD_PSIGND, PACKED,
  0x380b, S.SIMD_PMULHRSW, PACKED,
  0x3810, S.SIMD_PBLENDVB, XMM, 0x3814, S.SIMD_BLENDVPS, XMM, 0x3815, S.SIMD_BLENDVPD, XMM, 0x3817, S.SIMD_PTEST, XMM,
  0x381c, S.SIMD_PABSB, PACKED, 0x381d, S.SIMD_PABSW, PACKED, 0x381e, S.SIMD_PABSD, PACKED,
  0x3820, S.SIMD_PMOVSXBW, HALVES, 0x3821, S.SIMD_PMOVSXBD, QUARTERS, 0x3822, S.SIMD_PMOVSXBQ, EIGHTHS,
  0x3823, S.SIMD_PMOVSXWD, HALVES, 0x3824, S.SIMD_PMOVSXWQ, QUARTERS, 0x3825, S.SIMD_PMOVSXDQ, HALVES,
  0x3828, S.SIMD_PMULDQ, XMM, 0x3829, S.SIMD_PCMPEQQ, XMM, 0x382a, S.SIMD_LOAD, STREAM_LOAD,
  0x382b, S.SIMD_PACKUSDW, XMM,
  0x3830, S.SIMD_PMOVZXBW, HALVES, 0x3831, S.SIMD_PMOVZXBD, QUARTERS, 0x3832, S.SIMD_PMOVZXBQ, EIGHTHS,
  0x3833, S.SIMD_PMOVZXWD, HALVES, 0x3834, S.SIMD_PMOVZXWQ, QUARTERS, 0x3835, S.SIMD_PMOVZXDQ, HALVES,
  0x3837, S.SIMD_PCMPGTQ, XMM4,
  0x3838, S.SIMD_PMINSB, XMM, 0x3839, S.SIMD_PMINSD, XMM, 0x383a, S.SIMD_PMINUW, XMM, 0x383b, S.SIMD_PMINUD, XMM,
  0x383c, S.SIMD_PMAXSB, XMM, 0x383d, S.SIMD_PMAXSD, XMM, 0x383e, S.SIMD_PMAXUW, XMM, 0x383f, S.SIMD_PMAXUD, XMM,
  0x3840, S.SIMD_PMULLD, XMM, 0x3841, S.SIMD_PHMINPOSUW, XMM,
  0x3a08, S.SIMD_ROUNDPS, XMM_IMM, 0x3a09, S.SIMD_ROUNDPD, XMM_IMM,
  0x3a0a, S.SIMD_ROUNDSS, DWORD_IMM, 0x3a0b, S.SIMD_ROUNDSD, QUAD_IMM,
  0x3a0c, S.SIMD_BLENDPS, XMM_IMM, 0x3a0d, S.SIMD_BLENDPD, XMM_IMM, 0x3a0e, S.SIMD_PBLENDW, XMM_IMM,
  0x3a0f, S.SIMD_PALIGNR, PACKED_IMM,
  0x3a14, S.SIMD_PEXTRB, BYTE_OUT, 0x3a15, S.SIMD_PEXTRW_RM, WORD_OUT,
  0x3a16, S.SIMD_PEXTRD, DWORD_OUT, 0x3a17, S.SIMD_PEXTRD, DWORD_OUT,
  0x3a20, S.SIMD_PINSRB, BYTE_IMM, 0x3a21, S.SIMD_INSERTPS, DWORD_IMM, 0x3a22, S.SIMD_PINSRD, DWORD_IMM,
  0x3a40, S.SIMD_DPPS, XMM_IMM, 0x3a41, S.SIMD_DPPD, XMM_IMM, 0x3a42, S.SIMD_MPSADBW, XMM_IMM,
  0x3a60, S.SIMD_PCMPESTRM, STRING, 0x3a61, S.SIMD_PCMPESTRI, STRING,
  0x3a62, S.SIMD_PCMPISTRM, STRING, 0x3a63, S.SIMD_PCMPISTRI, STRING,
  0, 0, 0,
]);

/** The maps in front of their opcodes. */
const MAP_38: u32 = 0x3800;
const MAP_3A: u32 = 0x3a00;

/** Decodes what the two-byte map has nothing older for. @returns false, with nothing consumed, when the model has nothing either. */
export function decodeLater(opcode: u32): bool {
  switch (opcode) {
    case 0x38:
      return decodeMap38();
    case 0x3a:
      return Ins.model >= <u32>CPU_MODEL_CORE2 && decodeRow(ROWS, FORMS, MAP_3A | Ins.fetch8());
    case 0xb8:
      return decodePopcnt();
    default:
      return decodeRow(ROWS, FORMS, opcode);
  }
}

/** 0F 38. F0 and F1 are MOVBE, or CRC32 behind F2. */
function decodeMap38(): bool {
  if (Ins.model < <u32>CPU_MODEL_CORE2) return false;
  const opcode = Ins.fetch8();
  if (opcode < 0xf0) return decodeRow(ROWS, FORMS, MAP_38 | opcode);
  if (opcode > 0xf1 || Ins.model < <u32>CPU_MODEL_MAX || Ins.rep == REP_E) return false;
  Ins.modrm();
  if (Ins.rep == REP_NE) {
    const size: u32 = opcode == 0xf0 ? 1 : Ins.opSize();
    Ins.use(size, false);
    const reg = Ins.regField << 2;
    Ins.emit(U.UOP_CRC32_8 + (size >>> 1), reg, Ins.gpr(Ins.rmField, size), 0);
  } else if (Ins.isMem) {
    rmPair(opcode == 0xf0 ? U.UOP_MOVBE_LOAD16 : U.UOP_MOVBE_STORE16, opcode == 0xf1, 0);
  } else return false;
  return true;
}

/** F3 0F B8. */
function decodePopcnt(): bool {
  if (Ins.model < <u32>CPU_MODEL_MAX || Ins.rep != REP_E) return false;
  Ins.modrm();
  rmPair(U.UOP_POPCNT16, false, 0);
  return true;
}

/** 0F 01 with a register form: CLAC, STAC and RDTSCP. ModR/M is read. @returns false when it is none of them. */
export function decodeLaterSystem(): bool {
  if (Ins.isMem || Ins.model < <u32>CPU_MODEL_MAX) return false;
  const isPlain = Ins.rep == REP_NONE && Ins.op16 != Ins.code32;
  const which = (Ins.regField << 3) | Ins.rmField;
  if (which == 0x39) ending(U.UOP_RDTSCP, 0, 0, 0);
  else if (which == 0x0a && isPlain) Ins.emit(U.UOP_CLAC, 0, 0, 0);
  else if (which == 0x0b && isPlain) Ins.emit(U.UOP_STAC, 0, 0, 0);
  else return false;
  return true;
}

/** F3 0F C7 /7 with a register: RDPID. ModR/M is read. */
export function decodeReadProcessor(): void {
  const exists = Ins.rep == REP_E && Ins.regField == 7 && !Ins.isMem;
  if (!exists || Ins.model < <u32>CPU_MODEL_MAX) undefinedOpcode();
  else Ins.emit(U.UOP_RDPID, 0, Ins.rmField << 2, 0);
}
