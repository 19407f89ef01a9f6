/**
 * The instruction being decoded: byte fetch, prefixes, ModR/M and SIB, and emission of its micro-ops.
 * Scratch of the decoding thread: the fields mean nothing once a block is finished.
 *
 * Source: SDM 2A, "Instruction Format".
 */
import { MODE_CODE32, MODE_FLAT, MODE_MODEL_SHIFT, VCPU_EA, VCPU_ZERO } from "../../abi/vcpu.ts";
import {
  REG_EBP,
  REG_EBX,
  REG_EDI,
  REG_ESI,
  REG_ESP,
  SEG_CS,
  SEG_DS,
  SEG_ES,
  SEG_SS,
} from "../../abi/x86.ts";
import { codePointer, codeRoom } from "../mmu/access.ts";
import { raiseGp } from "../state/faults.ts";
import { reg8Offset, segBase, segLimit } from "../state/vcpu.ts";
import { FORM_LENGTH_SHIFT, FORM_LOCK, FORM_MEMORY, UOP_SIZE } from "./uop.ts";
import { UOP_AGEN, UOP_CONTROL_SIZE } from "./uop-ids.ts";

/** Repeat prefixes. */
export const REP_NONE: u32 = 0;
export const REP_E: u32 = 1;
export const REP_NE: u32 = 2;
/** No segment override; no memory operand. */
export const NO_SEGMENT: u32 = 8;
/** Longest instruction (SDM 2A, "Instruction Prefixes"). */
const MAX_LENGTH: u32 = 15;

/** Immediate of an AGEN micro-op: segment in bits 0-2, then these, then the access size from bit 8. */
export const AGEN_WRITE: u32 = 0x10;
export const AGEN_ADDR16: u32 = 0x20;
export const AGEN_SIZE_SHIFT: u32 = 8;

export class Ins {
  // Where we are.
  static v: usize = 0;
  static out: usize = 0;
  static host: usize = 0;
  static left: u32 = 0;
  static eip: u32 = 0;
  static delta: u32 = 0;
  static len: u32 = 0;
  static isFirst: bool = false;
  static flat: bool = false;
  static code32: bool = false;
  /** CPU_MODEL_*. */
  static model: u32 = 0;
  // What went wrong: failed = this instruction cannot be decoded here; crossed = it runs into the next page.
  static failed: bool = false;
  static crossed: bool = false;
  // Prefixes.
  static op16: bool = false;
  static addr16: bool = false;
  static segment: u32 = NO_SEGMENT;
  static rep: u32 = 0;
  static lock: bool = false;
  static lockable: bool = false;
  // ModR/M.
  static mod: u32 = 0;
  static regField: u32 = 0;
  static rmField: u32 = 0;
  static isMem: bool = false;
  static base: u32 = VCPU_ZERO;
  static index: u32 = VCPU_ZERO;
  static scale: u32 = 0;
  static disp: u32 = 0;
  static memSegment: u32 = NO_SEGMENT;
  // Set by the opcode maps: the block ends with this instruction.
  static ends: bool = false;
  static isControl: bool = false;

  /** Starts decoding a block at host pointer `host` (`left` bytes to the end of its page). */
  static startBlock(v: usize, out: usize, host: usize, left: u32, eip: u32, mode: u32): void {
    Ins.v = v;
    Ins.out = out;
    Ins.host = host;
    Ins.left = left;
    Ins.eip = eip;
    Ins.delta = 0;
    Ins.crossed = false;
    Ins.failed = false;
    Ins.flat = (mode & MODE_FLAT) != 0;
    Ins.code32 = (mode & MODE_CODE32) != 0;
    Ins.model = (mode >>> MODE_MODEL_SHIFT) & 7;
  }

  /** Starts the next instruction. */
  static start(isFirst: bool): void {
    Ins.isFirst = isFirst;
    Ins.len = 0;
    Ins.failed = false;
    Ins.ends = false;
    Ins.isControl = false;
    Ins.op16 = !Ins.code32;
    Ins.addr16 = !Ins.code32;
    Ins.segment = NO_SEGMENT;
    Ins.memSegment = NO_SEGMENT;
    Ins.rep = REP_NONE;
    Ins.lock = false;
    Ins.lockable = false;
    Ins.isMem = false;
    Ins.base = VCPU_ZERO;
    Ins.index = VCPU_ZERO;
    Ins.scale = 0;
    Ins.disp = 0;
  }

  /** @returns the next byte of code; on failure 0 with Ins.failed set (and a fault recorded when this is the first instruction). */
  static fetch8(): u32 {
    if (Ins.failed) return 0;
    if (Ins.len >= MAX_LENGTH) {
      raiseGp(Ins.v, 0);
      Ins.failed = true;
      return 0;
    }
    const off = Ins.eip + Ins.len;
    if (!Ins.flat && (off > segLimit(Ins.v, SEG_CS) || (!Ins.code32 && off > 0xffff))) {
      raiseGp(Ins.v, 0);
      Ins.failed = true;
      return 0;
    }
    if (Ins.left == 0) {
      Ins.crossed = true;
      const lin = segBase(Ins.v, SEG_CS) + off;
      const ptr: usize = Ins.isFirst ? codePointer(Ins.v, lin) : 0;
      if (ptr == 0) {
        Ins.failed = true;
        return 0;
      }
      Ins.host = ptr;
      Ins.left = codeRoom(ptr, lin);
    }
    const byte = load<u8>(Ins.host);
    Ins.host++;
    Ins.left--;
    Ins.len++;
    return byte;
  }
  static fetch16(): u32 {
    const low = Ins.fetch8();
    return low | (Ins.fetch8() << 8);
  }
  static fetch32(): u32 {
    if (Ins.flat && Ins.left >= 4 && Ins.len <= MAX_LENGTH - 4 && !Ins.failed) {
      const word = load<u32>(Ins.host);
      Ins.host += 4;
      Ins.left -= 4;
      Ins.len += 4;
      return word;
    }
    const low = Ins.fetch16();
    return low | (Ins.fetch16() << 16);
  }
  /** Sign-extended byte immediate. */
  static fetchS8(): u32 {
    return <u32>(<i32>(<i8>Ins.fetch8()));
  }
  /** Iz: 16 or 32 bits by operand size, zero-extended. */
  static fetchZ(): u32 {
    return Ins.op16 ? Ins.fetch16() : Ins.fetch32();
  }

  /** Reads ModR/M, SIB and displacement. */
  static modrm(): void {
    const byte = Ins.fetch8();
    Ins.mod = byte >>> 6;
    Ins.regField = (byte >>> 3) & 7;
    Ins.rmField = byte & 7;
    Ins.isMem = Ins.mod != 3;
    if (!Ins.isMem) return;
    let defaultSegment: u32;
    if (Ins.addr16) defaultSegment = Ins.address16();
    else defaultSegment = Ins.address32();
    Ins.memSegment = Ins.segment != NO_SEGMENT ? Ins.segment : defaultSegment;
  }

  /** @returns default segment. */
  private static address32(): u32 {
    let segment: u32 = SEG_DS;
    let base = Ins.rmField;
    let hasBase = true;
    if (base == REG_ESP) {
      const sib = Ins.fetch8();
      base = sib & 7;
      const index = (sib >>> 3) & 7;
      if (index != REG_ESP) {
        Ins.index = index << 2;
        Ins.scale = sib >>> 6;
      }
    }
    if (base == REG_EBP && Ins.mod == 0) {
      hasBase = false;
      Ins.disp = Ins.fetch32();
    } else if (base == REG_ESP || base == REG_EBP) segment = SEG_SS;
    if (hasBase) Ins.base = base << 2;
    if (Ins.mod == 1) Ins.disp = Ins.fetchS8();
    else if (Ins.mod == 2) Ins.disp = Ins.fetch32();
    return segment;
  }

  /** SDM 2A, table "16-Bit Addressing Forms with the ModR/M Byte". */
  private static address16(): u32 {
    let segment: u32 = SEG_DS;
    switch (Ins.rmField) {
      case 0: {
        Ins.pair16(REG_EBX, REG_ESI);
        break;
      }
      case 1: {
        Ins.pair16(REG_EBX, REG_EDI);
        break;
      }
      case 2: {
        Ins.pair16(REG_EBP, REG_ESI);
        segment = SEG_SS;
        break;
      }
      case 3: {
        Ins.pair16(REG_EBP, REG_EDI);
        segment = SEG_SS;
        break;
      }
      case 4: {
        Ins.base = REG_ESI << 2;
        break;
      }
      case 5: {
        Ins.base = REG_EDI << 2;
        break;
      }
      case 6: {
        if (Ins.mod == 0) {
          Ins.disp = Ins.fetch16();
          return SEG_DS;
        }
        Ins.base = REG_EBP << 2;
        segment = SEG_SS;
        break;
      }
      default: {
        Ins.base = REG_EBX << 2;
        break;
      }
    }
    if (Ins.mod == 1) Ins.disp = Ins.fetchS8();
    else if (Ins.mod == 2) Ins.disp = Ins.fetch16();
    return segment;
  }
  private static pair16(base: u32, index: u32): void {
    Ins.base = base << 2;
    Ins.index = index << 2;
  }

  /** Memory operand without ModR/M: `disp` alone (moffs), or [EBX+AL] and the like. */
  static directMemory(base: u32, index: u32, disp: u32): void {
    Ins.isMem = true;
    Ins.base = base;
    Ins.index = index;
    Ins.disp = disp;
    Ins.memSegment = Ins.segment != NO_SEGMENT ? Ins.segment : SEG_DS;
  }

  /** Segment a string instruction reads through. */
  static stringSegment(): u32 {
    return Ins.segment != NO_SEGMENT ? Ins.segment : SEG_DS;
  }

  /**
   * Declares how the r/m operand is used. Where its segment is not plainly flat, an AGEN micro-op is emitted that checks the segment and
   * leaves the linear address in VCPU_EA, and the operand becomes [VCPU_EA].
   */
  static use(sizeBytes: u32, write: bool): void {
    if (!Ins.isMem || Ins.isFlatOperand()) return;
    const imm =
      Ins.memSegment |
      (write ? AGEN_WRITE : 0) |
      (Ins.addr16 ? AGEN_ADDR16 : 0) |
      (sizeBytes << AGEN_SIZE_SHIFT);
    Ins.emit(UOP_AGEN, 0, 0, imm);
    Ins.rebase();
  }
  /** True when the memory operand needs no segment arithmetic. */
  static isFlatOperand(): bool {
    const s = Ins.memSegment;
    return Ins.flat && !Ins.addr16 && (s == SEG_DS || s == SEG_SS || s == SEG_ES);
  }
  /** The memory operand becomes [VCPU_EA], which a micro-op before has filled. */
  static rebase(): void {
    Ins.base = VCPU_EA;
    Ins.index = VCPU_ZERO;
    Ins.scale = 0;
    Ins.disp = 0;
  }

  /** Emits one micro-op with the current memory operand. */
  static emit(id: u32, r1: u32, r2: u32, imm: u32): void {
    const out = Ins.out;
    store<u16>(out, <u16>id);
    store<u8>(out, <u8>r1, 2);
    store<u8>(out, <u8>r2, 3);
    store<u8>(out, <u8>Ins.base, 4);
    store<u8>(out, <u8>Ins.index, 5);
    store<u8>(out, <u8>(Ins.scale | (Ins.isMem ? FORM_MEMORY : 0) | (Ins.lock ? FORM_LOCK : 0)), 6);
    store<u8>(out, <u8>Ins.delta, 7);
    store<u32>(out, imm, 8);
    store<u32>(out, Ins.disp, 12);
    Ins.out = out + UOP_SIZE;
  }
  /** Emits a 32-byte control micro-op: imm = taken EIP, disp = fall-through EIP, empty links. It ends the block. */
  static emitControl(id: u32, r1: u32, r2: u32, taken: u32, fall: u32): void {
    const out = Ins.out;
    Ins.emit(id, r1, r2, taken);
    if (!Ins.isMem) store<u32>(out, fall, 12);
    store<u64>(out, 0, 16);
    store<u64>(out, 0, 24);
    Ins.out = out + UOP_CONTROL_SIZE;
    Ins.ends = true;
    Ins.isControl = true;
  }
  /** Writes the length into every micro-op of the instruction, once it is known. */
  static stampLength(first: usize): void {
    // A control micro-op is the last of its block and twice as long: its second half holds links, not a micro-op.
    const end = Ins.isControl ? Ins.out - UOP_SIZE : Ins.out;
    for (let p = first; p < end; p += UOP_SIZE) {
      const form = load<u8>(p, 6);
      store<u8>(p, <u8>((form & 15) | (Ins.len << FORM_LENGTH_SHIFT)), 6);
    }
  }

  /** Byte offset of general register `r` in the vCPU block, for the operand's width. */
  static gpr(r: u32, sizeBytes: u32): u32 {
    return sizeBytes == 1 ? reg8Offset(r) : r << 2;
  }
  /** Operand size in bytes. */
  static opSize(): u32 {
    return Ins.op16 ? 2 : 4;
  }
  /** EIP of the next instruction. Valid when the whole instruction is fetched. */
  static nextEip(): u32 {
    const next = Ins.eip + Ins.len;
    return Ins.code32 ? next : next & 0xffff;
  }
}
