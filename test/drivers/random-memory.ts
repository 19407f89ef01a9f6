/**
 * Random accesses at the edges of pages: operands across two pages of which one is missing or read-only, string instructions in
 * both directions, LOCKed and unaligned ones, the stack, nested frames.
 */
import { EDGE } from "./cpu-driver.ts";
import { interesting, little, type Random } from "./random.ts";
import { AF, ALL, CF, type Maker, OF, PF, type Piece, SF, ZF } from "./random-code.ts";

const PAGE = 0x1000;
const DATA = 0x00200000;
const DATA_END = 0x00204000;
const RO = 0x00208000;
const STACK = 0x00300000;
const STACK_END = 0x00302000;
/** Page ends in the middle of DATA. */
const INNER = [DATA + PAGE, DATA + 2 * PAGE, DATA + 3 * PAGE];
/** Where what is allowed changes: missing to writable and back, writable to read-only and back. */
const BOUNDS = [
  DATA,
  DATA_END,
  RO,
  RO + PAGE,
  EDGE.address,
  EDGE.address + PAGE,
  EDGE.address + PAGE,
  EDGE.address + 2 * PAGE,
  EDGE.address + 2 * PAGE,
  EDGE.address + EDGE.bytes,
];

/** An address where `bytes` bytes end near a bound, or lie across it. */
function edge(random: Random, bytes: number): number {
  const bound = random.below(2) === 0 ? random.pick(INNER) : random.pick(BOUNDS);
  return bound - random.below(bytes + 3) + 1;
}

interface Width {
  readonly prefix: readonly number[];
  readonly bytes: number;
  readonly wide: number;
}
const WIDTHS: readonly Width[] = [
  { prefix: [], bytes: 1, wide: 0 },
  { prefix: [0x66], bytes: 2, wide: 1 },
  { prefix: [], bytes: 4, wide: 1 },
];
const WIDER = WIDTHS.slice(1);

/** ModR/M with an absolute address, or with EBX that an instruction before it loads. */
function operand(random: Random, reg: number, bytes: number): { load: number[]; form: number[] } {
  const at = edge(random, bytes);
  if (random.below(2) === 0) return { load: [], form: [0x05 | (reg << 3), ...little(at, 4)] };
  const displacement = random.below(256);
  const base = at - ((displacement << 24) >> 24);
  return { load: [0xbb, ...little(base, 4)], form: [0x43 | (reg << 3), displacement] };
}

function piece(
  random: Random,
  width: Width,
  opcode: readonly number[],
  reg: number,
  about: Omit<Piece, "bytes"> = {},
  tail: readonly number[] = [],
  lock = false,
): Piece {
  const { load, form } = operand(random, reg, width.bytes);
  const prefixes = lock ? [0xf0, ...width.prefix] : width.prefix;
  return { ...about, bytes: [...load, ...prefixes, ...opcode, ...form, ...tail] };
}

/** The eight operations: what they read and define. */
function alu(op: number): Omit<Piece, "bytes"> {
  const isLogic = op === 1 || op === 4 || op === 6;
  return {
    reads: op === 2 || op === 3 ? CF : 0,
    defines: isLogic ? ALL & ~AF : ALL,
    leaves: isLogic ? AF : 0,
  };
}

/** Read-modify-write instructions that LOCK allows. */
function readModifyWrite(random: Random, lock: boolean): Piece {
  const width = random.pick(WIDTHS);
  const { wide } = width;
  const make = (opcode: number[], reg: number, about?: Omit<Piece, "bytes">, tail?: number[]) =>
    piece(random, width, opcode, reg, about, tail, lock);
  const op = random.below(7);
  switch (random.below(9)) {
    case 0:
      return make([(op << 3) | wide], random.below(8), alu(op));
    case 1:
      return make([0x80 | wide], op, alu(op), little(interesting(random), width.bytes));
    case 2:
      return make([0xfe | wide], random.below(2), { defines: ALL & ~CF });
    case 3:
      return make([0xf6 | wide], 2);
    case 4:
      return make([0xf6 | wide], 3, { defines: ALL });
    case 5:
      return make([0x86 | wide], random.below(8));
    case 6:
      return make([0x0f, random.pick([0xb0, 0xc0]) | wide], random.below(8), { defines: ALL });
    case 7: {
      const eight = { prefix: [], bytes: 8, wide: 1 };
      return piece(random, eight, [0x0f, 0xc7], 1, { defines: ZF }, [], lock);
    }
    default: {
      const about = { defines: CF, leaves: OF | SF | AF | PF };
      const bits = piece(
        random,
        random.pick(WIDER),
        [0x0f, 0xba],
        5 + random.below(3),
        about,
        [random.below(256)],
        lock,
      );
      return bits;
    }
  }
}

/** A string instruction over pages, with every prefix that makes sense, in both directions. */
function string(random: Random): Piece {
  const width = random.pick(WIDTHS);
  const base = random.pick([0xa4, 0xa6, 0xaa, 0xac, 0xae]);
  const compares = base === 0xa6 || base === 0xae;
  const isRepeated = random.below(4) > 0;
  const count = isRepeated ? 1 + random.below(random.pick([8, 40, 1200])) : 1;
  const down = random.below(2);
  const reach = count * width.bytes;
  const good = () => DATA + 0x1000 + random.below(0x1000);
  // One pointer at an edge only: which of two faults comes first differs between processors.
  const near = () => {
    const at = edge(random, Math.min(reach, 64));
    return down ? at + random.below(width.bytes + 1) : at;
  };
  const usesSource = base === 0xa4 || base === 0xa6 || base === 0xac;
  const atSource = usesSource && random.below(2) === 0;
  const prefixes = isRepeated
    ? [compares ? 0xf2 | random.below(2) : random.pick([0xf2, 0xf3])]
    : [];
  return {
    bytes: [
      0xfc | down,
      ...[0xbe, ...little(atSource ? near() : good(), 4)],
      ...[0xbf, ...little(atSource ? good() : near(), 4)],
      ...[0xb9, ...little(count, 4)],
      ...width.prefix,
      ...prefixes,
      base | width.wide,
    ],
    defines: compares ? ALL : 0,
  };
}

/** PUSH, POP and their kin with ESP near a bound of the stack; what they leave is good again. */
function stack(random: Random): Piece {
  const is16 = random.below(3) === 0;
  const prefix = is16 ? [0x66] : [];
  const low = STACK + random.below(8);
  const high = STACK_END - random.below(8);
  const esp = (at: number) => [0xbc, ...little(at, 4)];
  const restore = esp(0x00301000);
  const make = (at: number, opcode: readonly number[]) => ({
    bytes: [...esp(at), ...prefix, ...opcode, ...restore],
  });
  switch (random.below(7)) {
    case 0:
      return make(low, [0x50 | random.below(8)]);
    case 1:
      return make(low, [0x68, ...little(random.u32(), is16 ? 2 : 4)]);
    case 2:
      return make(high, [0x58 | random.below(8)]);
    case 3:
      return make(low, [0x6a, random.below(256)]);
    case 4:
      return make(0x00301000, [0x8f, 0x05, ...little(edge(random, 4), 4)]);
    case 5:
      return make(0x00301000, [0xff, 0x35, ...little(edge(random, 4), 4)]);
    default:
      // PUSHF of flags that are all defined.
      return {
        bytes: [0x39, 0xd8, ...esp(low), 0x9c, ...restore],
        defines: ALL,
      };
  }
}

/** ENTER of every depth on a good stack, and LEAVE: what it has written when it faults half-way is not defined. */
function frame(random: Random): Piece {
  const depth = random.pick([0, 1, 2, 3, 4, 8, 31, 32, 63]);
  const is16 = random.below(4) === 0;
  const prefix = is16 ? [0x66] : [];
  const body = [0x89, 0x45, 0xf8, 0x8b, 0x4d, 0x00];
  return {
    bytes: [
      ...[0xbc, ...little(0x00301000, 4), 0xbd, ...little(0x00301200 + 4 * random.below(16), 4)],
      ...prefix,
      ...[0xc8, ...little(random.below(64), 2), depth],
      // After a 16-bit ENTER only the low half of EBP is new: it points there all the same.
      ...body,
      ...(random.below(2) === 0 ? [...prefix, 0xc9] : []),
      ...[0xbc, ...little(0x00301000, 4)],
    ],
  };
}

/** Accesses at the edges of pages. */
export const MEMORY_MAKERS: readonly Maker[] = [
  (r) => {
    const op = r.below(8);
    const width = r.pick(WIDTHS);
    return piece(r, width, [(op << 3) | (r.below(2) << 1) | width.wide], r.below(8), alu(op));
  },
  (r) => {
    const width = r.pick(WIDTHS);
    return piece(r, width, [0x88 | (r.below(2) << 1) | width.wide], r.below(8));
  },
  (r) => {
    const width = r.pick(WIDTHS);
    const value = little(interesting(r), width.bytes);
    return piece(r, width, [0xc6 | width.wide], 0, {}, value);
  },
  (r) => {
    const opcode = r.pick([0xb6, 0xb7, 0xbe, 0xbf]);
    return piece(r, { prefix: [], bytes: 1 + (opcode & 1), wide: 0 }, [0x0f, opcode], r.below(8));
  },
  (r) => readModifyWrite(r, false),
  (r) => readModifyWrite(r, true),
  (r) => readModifyWrite(r, true),
  string,
  string,
  string,
  stack,
  frame,
  // Bit tests whose register reaches far from the operand.
  (r) => {
    const at = DATA + 0x2000;
    const target = edge(r, 4);
    const offset = (target - at) * 8 + r.below(32);
    const lock = r.below(2) === 0 ? [0xf0] : [];
    const opcode = r.pick(lock.length > 0 ? [0xab, 0xb3, 0xbb] : [0xa3, 0xab, 0xb3, 0xbb]);
    return {
      bytes: [0xb9, ...little(offset, 4), ...lock, 0x0f, opcode, 0x0d, ...little(at, 4)],
      defines: CF,
      leaves: OF | SF | AF | PF,
    };
  },
  // Shifts, double shifts, SETcc, CMOVcc by flags that a comparison defines.
  (r) => {
    const width = r.pick(WIDTHS);
    const about = { defines: CF | PF | ZF | SF, leaves: AF | OF };
    const count = 2 + r.below(width.bytes * 8 - 2);
    return piece(r, width, [0xc0 | width.wide], r.pick([4, 5, 7]), about, [count]);
  },
  (r) => {
    const width = r.pick(WIDER);
    const about = { defines: CF | PF | ZF | SF, leaves: AF | OF };
    const count = 2 + r.below(12);
    return piece(r, width, [0x0f, r.pick([0xa4, 0xac])], r.below(8), about, [count]);
  },
  (r) => {
    const { load, form } = operand(r, r.below(8), 4);
    const cc = r.below(16);
    const opcode = r.pick([0x40, 0x90]) | cc;
    return { bytes: [...load, 0x39, 0xd8, 0x0f, opcode, ...form], defines: ALL };
  },
];
