/**
 * Decodes a basic block into micro-ops: from one EIP to the first instruction that may change the flow, never across a page.
 * Afterwards a backward pass marks flag results that nothing can observe.
 */
import { SEG_CS, SEG_DS, SEG_ES, SEG_FS, SEG_GS, SEG_SS } from "../../abi/x86.ts";
import { BLOCK_COUNT, BLOCK_HEADER } from "../layout.ts";
import { clearEvent } from "../mmu/fill.ts";
import { Ins, REP_E, REP_NE } from "./instruction.ts";
import { conditionalJump, decodeOneByte, nearness, undefinedOpcode } from "./one-byte.ts";
import { decodeTwoByte } from "./two-byte.ts";
import { UOP_SIZE } from "./uop.ts";
import * as U from "./uop-ids.ts";

/** Most instructions in a block, and the offset after which none may start (UOP_DELTA is a byte). */
export const MAX_BLOCK_INSTRUCTIONS: u32 = 64;
const MAX_BLOCK_BYTES: u32 = 240;
/** Space a block can need: 64 instructions of at most 3 micro-ops, a control micro-op, the header. */
export const MAX_BLOCK_SIZE: u32 = BLOCK_HEADER + 64 * 3 * UOP_SIZE + 64;

/** Decodes one instruction's prefixes and opcode. */
function decodeInstruction(): void {
  while (true) {
    const byte = Ins.fetch8();
    if (Ins.failed) return;
    switch (byte) {
      case 0x26: {
        Ins.segment = SEG_ES;
        continue;
      }
      case 0x2e: {
        Ins.segment = SEG_CS;
        continue;
      }
      case 0x36: {
        Ins.segment = SEG_SS;
        continue;
      }
      case 0x3e: {
        Ins.segment = SEG_DS;
        continue;
      }
      case 0x64: {
        Ins.segment = SEG_FS;
        continue;
      }
      case 0x65: {
        Ins.segment = SEG_GS;
        continue;
      }
      case 0x66: {
        Ins.op16 = Ins.code32;
        continue;
      }
      case 0x67: {
        Ins.addr16 = Ins.code32;
        continue;
      }
      case 0xf0: {
        Ins.lock = true;
        continue;
      }
      case 0xf2: {
        Ins.rep = REP_NE;
        continue;
      }
      case 0xf3: {
        Ins.rep = REP_E;
        continue;
      }
      case 0x0f: {
        decodeTwoByte();
        return;
      }
      default: {
        if (byte >= 0x70 && byte <= 0x7f) conditionalJump(byte & 15, Ins.fetchS8());
        else decodeOneByte(byte);
        return;
      }
    }
  }
}

/**
 * Decodes a block for execution at `host`, writing micro-ops after the header at `block`.
 * @param left bytes from `host` to the end of its page
 * @param limit most instructions wanted
 * @returns number of code bytes consumed; 0 when not even the first instruction could be fetched (event recorded).
 *   Ins.crossed tells that the only instruction runs into the next page; BLOCK_COUNT and Ins.out are set.
 */
export function decodeBlock(
  v: usize,
  block: usize,
  host: usize,
  left: u32,
  eip: u32,
  mode: u32,
  limit: u32,
): u32 {
  const firstUop = block + BLOCK_HEADER;
  Ins.startBlock(v, firstUop, host, left, eip, mode);
  let instructions: u32 = 0;
  while (true) {
    const outBefore = Ins.out;
    const hostBefore = Ins.host;
    const leftBefore = Ins.left;
    Ins.start(instructions == 0);
    decodeInstruction();
    if (!Ins.failed && Ins.lock && !Ins.lockable) {
      Ins.out = outBefore;
      undefinedOpcode();
      Ins.isControl = false;
    }
    if (Ins.failed) {
      if (instructions == 0) return 0;
      // This instruction starts a block of its own and faults there.
      clearEvent(v);
      Ins.crossed = false;
      Ins.out = outBefore;
      Ins.host = hostBefore;
      Ins.left = leftBefore;
      Ins.isControl = false;
      Ins.ends = false;
      break;
    }
    const start = outBefore < Ins.out ? outBefore : Ins.out - U.UOP_CONTROL_SIZE;
    Ins.stampLength(start);
    instructions++;
    Ins.delta += Ins.len;
    Ins.eip = Ins.nextEip();
    if (
      Ins.ends ||
      Ins.crossed ||
      instructions >= limit ||
      Ins.delta >= MAX_BLOCK_BYTES ||
      Ins.left == 0
    )
      break;
  }
  store<u32>(block, instructions, BLOCK_COUNT);
  if (!Ins.ends) fallThrough();
  dropDeadFlags(firstUop);
  return Ins.delta;
}

/** Ends a block that was cut: it goes on at Ins.eip without executing anything. */
function fallThrough(): void {
  Ins.isMem = false;
  Ins.len = 0;
  Ins.lock = false;
  if (Ins.flat) {
    Ins.emitControl(U.UOP_JMP, 0, 0, Ins.eip, 0);
    store<u8>(Ins.out - U.UOP_CONTROL_SIZE, <u8>nearness(Ins.eip, Ins.eip), 4);
  } else Ins.emit(U.UOP_END, 0, 0, Ins.eip);
}

/** What a micro-op does to the arithmetic flags, as far as the pass below cares. */
const FLAGS_UNKNOWN: u32 = 0;
const FLAGS_UNTOUCHED: u32 = 1;
const FLAGS_WRITTEN: u32 = 2;

/** Classifies micro-ops that cannot fault; anything else may expose the flags and is unknown. */
function flagEffect(id: u32): u32 {
  if (id < U.UOP_ALU32_RM)
    return readsCarry((id - U.UOP_ALU32_RR) & 7) ? FLAGS_UNKNOWN : FLAGS_WRITTEN;
  if (id >= U.UOP_ALU8_RR && id < U.UOP_ALU8_RM) {
    return readsCarry((id - U.UOP_ALU8_RR) & 7) ? FLAGS_UNKNOWN : FLAGS_WRITTEN;
  }
  if (id >= U.UOP_CMPJCC32_RR && id < U.UOP_END) return FLAGS_WRITTEN;
  switch (id) {
    case U.UOP_TEST32_RR:
    case U.UOP_TEST32_RI:
    case U.UOP_TEST8_RR:
    case U.UOP_TEST8_RI:
    case U.UOP_NEG32_R:
    case U.UOP_IMUL32_RR:
    case U.UOP_SHL32_RI:
    case U.UOP_SHR32_RI:
    case U.UOP_SAR32_RI:
      return FLAGS_WRITTEN;
    case U.UOP_MOV32_RR:
    case U.UOP_MOV32_RI:
    case U.UOP_MOV16_RR:
    case U.UOP_MOV16_RI:
    case U.UOP_MOV8_RR:
    case U.UOP_MOV8_RI:
    case U.UOP_MOVZX8_RR:
    case U.UOP_MOVZX16_RR:
    case U.UOP_MOVSX8_RR:
    case U.UOP_MOVSX16_RR:
    case U.UOP_LEA32:
    case U.UOP_NOT32_R:
    case U.UOP_XCHG32_RR:
    case U.UOP_NOP:
    case U.UOP_CDQ:
    case U.UOP_CWDE:
      return FLAGS_UNTOUCHED;
    default:
      return FLAGS_UNKNOWN;
  }
}
/** ADC and SBB. */
function readsCarry(op: u32): bool {
  return op == 2 || op == 3;
}

/** Place of ADD OR - - AND SUB XOR among the forms without flags; NO_FORM for those that need or are only about flags. */
const NO_FORM: u8 = 8;
const QUIET_FORM = memory.data<u8>([0, 1, NO_FORM, NO_FORM, 2, 3, 4, NO_FORM]);

/** @returns the form of `id` that leaves the flags alone, or `id`. Memory forms may fault before they write, never after. */
function withoutFlags(id: u32): u32 {
  if (id >= U.UOP_ALU32_MR) return id;
  const alu = id - U.UOP_ALU32_RR;
  const form = load<u8>(QUIET_FORM + (alu & 7));
  return form == NO_FORM ? id : U.UOP_ALU32_RR_NF + (alu >>> 3) * 5 + <u32>form;
}

/** Walks the block backwards; a flag result is dead when the next reader-or-fault comes after a full overwrite. */
function dropDeadFlags(first: usize): void {
  let uop = Ins.isControl ? Ins.out - U.UOP_CONTROL_SIZE : Ins.out - UOP_SIZE;
  let live = true;
  for (; uop >= first; uop -= UOP_SIZE) {
    const id: u32 = load<u16>(uop);
    if (!live) store<u16>(uop, <u16>withoutFlags(id));
    const effect = flagEffect(id);
    if (effect == FLAGS_WRITTEN) live = false;
    else if (effect == FLAGS_UNKNOWN) live = true;
  }
}
