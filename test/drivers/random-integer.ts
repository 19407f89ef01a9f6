/** Random integer instructions whose outcome the manuals define, but for the flags that each says it leaves open. */
import { interesting, little } from "./random.ts";
import { AF, ALL, CF, DATA_AT, type Maker, modrm, OF, PF, SF, ZF } from "./random-code.ts";

/** Flags that each pair of conditions (the low nibble of Jcc, halved) reads. */
const CONDITION_READS = [OF, CF, ZF, CF | ZF, SF, PF, SF | OF, ZF | SF | OF];

/** An operand size: prefix bytes, width in bits, and what to add to the opcode of the 8-bit form. */
interface Size {
  readonly prefix: readonly number[];
  readonly bits: number;
  readonly wide: number;
}
const SIZES: readonly Size[] = [
  { prefix: [], bits: 8, wide: 0 },
  { prefix: [0x66], bits: 16, wide: 1 },
  { prefix: [], bits: 32, wide: 1 },
];
const WIDE = SIZES.slice(1);

/** Instructions of the general registers, the flags and the stack. */
export const INTEGER_MAKERS: readonly Maker[] = [
  // The eight ALU operations in their five forms.
  (r) => {
    const op = r.below(8);
    const size = r.pick(SIZES);
    const about = { reads: op === 2 || op === 3 ? CF : 0, defines: ALL };
    const logic = op === 1 || op === 4 || op === 6;
    const effect = logic ? { ...about, defines: ALL & ~AF, leaves: AF } : about;
    const immediate = little(interesting(r), size.bits / 8);
    switch (r.below(4)) {
      case 0:
        return { ...effect, bytes: [...size.prefix, (op << 3) | 4 | size.wide, ...immediate] };
      case 1:
        return {
          ...effect,
          bytes: [...size.prefix, 0x80 | size.wide, ...modrm(r, op), ...immediate],
        };
      default:
        return {
          ...effect,
          bytes: [
            ...size.prefix,
            (op << 3) | (r.below(2) << 1) | size.wide,
            ...modrm(r, r.below(8)),
          ],
        };
    }
  },
  // INC, DEC, NOT, NEG, TEST.
  (r) => {
    const size = r.pick(SIZES);
    const op = r.below(5);
    if (op < 2) {
      return {
        bytes: [...size.prefix, 0xfe | size.wide, ...modrm(r, op)],
        defines: ALL & ~CF,
      };
    }
    if (op === 4) {
      return {
        bytes: [...size.prefix, 0x84 | size.wide, ...modrm(r, r.below(8))],
        defines: ALL & ~AF,
        leaves: AF,
      };
    }
    return {
      bytes: [...size.prefix, 0xf6 | size.wide, ...modrm(r, op)],
      defines: op === 3 ? ALL : 0,
    };
  },
  // Shifts and rotates by 1 and by an immediate below the width.
  (r) => {
    const size = r.pick(SIZES);
    const op = r.pick([0, 1, 2, 3, 4, 5, 7]);
    const reads = op === 2 || op === 3 ? CF : 0;
    const changed = op < 4 ? CF : CF | PF | ZF | SF;
    const leaves = op < 4 ? 0 : AF;
    if (r.below(2) === 0) {
      return {
        bytes: [...size.prefix, 0xd0 | size.wide, ...modrm(r, op)],
        reads,
        defines: changed | OF,
        leaves,
      };
    }
    const count = 2 + r.below(size.bits - 2);
    return {
      bytes: [...size.prefix, 0xc0 | size.wide, ...modrm(r, op), count],
      reads,
      defines: changed,
      leaves: leaves | OF,
    };
  },
  // 32-bit shifts by CL: a count of 0 keeps what was there, so nothing becomes defined.
  (r) => {
    const op = r.pick([0, 1, 4, 5, 7]);
    return { bytes: [0xd3, ...modrm(r, op)], leaves: op < 4 ? OF : OF | AF };
  },
  // SHLD and SHRD.
  (r) => {
    const size = r.pick(WIDE);
    const count = 2 + r.below(size.bits - 3);
    return {
      bytes: [...size.prefix, 0x0f, r.pick([0xa4, 0xac]), ...modrm(r, r.below(8)), count],
      defines: CF | PF | ZF | SF,
      leaves: AF | OF,
    };
  },
  // MUL, IMUL, DIV, IDIV.
  (r) => {
    const size = r.pick(SIZES);
    const op = 4 + r.below(4);
    return {
      bytes: [...size.prefix, 0xf6 | size.wide, ...modrm(r, op)],
      defines: op < 6 ? CF | OF : 0,
      leaves: op < 6 ? SF | ZF | AF | PF : ALL,
    };
  },
  (r) => {
    const size = r.pick(WIDE);
    const effect = { defines: CF | OF, leaves: SF | ZF | AF | PF };
    const reg = r.below(8);
    if (r.below(2) === 0) {
      return { ...effect, bytes: [...size.prefix, 0x0f, 0xaf, ...modrm(r, reg)] };
    }
    const immediate = little(interesting(r), size.bits / 8);
    return { ...effect, bytes: [...size.prefix, 0x69, ...modrm(r, reg), ...immediate] };
  },
  // Bit tests; the memory form with a register stays near by taking an immediate.
  (r) => {
    const size = r.pick(WIDE);
    return {
      bytes: [...size.prefix, 0x0f, 0xba, ...modrm(r, 4 + r.below(4)), r.below(256)],
      defines: CF,
      leaves: OF | SF | AF | PF,
    };
  },
  // MOV, MOVZX, MOVSX, XCHG, XADD, CMPXCHG, LEA.
  (r) => {
    const size = r.pick(SIZES);
    return {
      bytes: [...size.prefix, 0x88 | (r.below(2) << 1) | size.wide, ...modrm(r, r.below(8))],
    };
  },
  (r) => ({ bytes: [0xb8 | r.below(8), ...little(interesting(r), 4)] }),
  (r) => {
    const size = r.pick(WIDE);
    return {
      bytes: [...size.prefix, 0x0f, r.pick([0xb6, 0xb7, 0xbe, 0xbf]), ...modrm(r, r.below(8))],
    };
  },
  (r) => {
    const size = r.pick(SIZES);
    return { bytes: [...size.prefix, 0x86 | size.wide, ...modrm(r, r.below(8))] };
  },
  (r) => {
    const size = r.pick(SIZES);
    const opcode = r.pick([0xb0, 0xc0]) | size.wide;
    return { bytes: [...size.prefix, 0x0f, opcode, ...modrm(r, r.below(8))], defines: ALL };
  },
  (r) => {
    const form = modrm(r, r.below(8));
    return { bytes: form[0]! < 0xc0 ? [0x8d, ...form] : [0x90] };
  },
  // SETcc, CMOVcc, and Jcc over one byte.
  (r) => {
    const cc = r.below(16);
    return { bytes: [0x0f, 0x90 | cc, ...modrm(r, 0)], reads: CONDITION_READS[cc >> 1]! };
  },
  (r) => {
    const cc = r.below(16);
    const size = r.pick(WIDE);
    return {
      bytes: [...size.prefix, 0x0f, 0x40 | cc, ...modrm(r, r.below(8))],
      reads: CONDITION_READS[cc >> 1]!,
    };
  },
  (r) => {
    const cc = r.below(16);
    return {
      bytes: [0x70 | cc, 1, 0x40 | r.below(8)],
      reads: CONDITION_READS[cc >> 1]!,
      defines: 0,
      // Whether INC ran is not known here, but it defines what it changes.
    };
  },
  // Stack and flags.
  (r) => ({ bytes: [0x50 | r.below(8)] }),
  (r) => ({ bytes: [0x58 | r.below(8)] }),
  (r) => ({ bytes: [0x68, ...little(interesting(r), 4)] }),
  // ENTER on a stack known to be good: what it has written when it faults half-way is not defined.
  () => ({ bytes: [0xbc, ...little(0x00301000, 4), 0xc8, 8, 0, 1] }),
  () => ({ bytes: [0x9f], reads: ALL & ~OF }),
  () => ({ bytes: [0x9e], defines: ALL & ~OF }),
  () => ({ bytes: [0xf5], reads: CF }),
  (r) => ({ bytes: [0xf8 | r.below(2)], defines: CF }),
  (r) => ({ bytes: [0xfc | r.below(2)] }),
  // Sign extensions, BSWAP, decimal adjustments.
  (r) => ({ bytes: [...r.pick(WIDE).prefix, r.pick([0x98, 0x99])] }),
  (r) => ({ bytes: [0x0f, 0xc8 | r.below(8)] }),
  (r) => ({ bytes: [r.pick([0x27, 0x2f])], reads: AF | CF, defines: ALL & ~OF, leaves: OF }),
  (r) => ({
    bytes: [r.pick([0x37, 0x3f])],
    reads: AF,
    defines: AF | CF,
    leaves: OF | SF | ZF | PF,
  }),
  (r) => ({
    bytes: [r.pick([0xd4, 0xd5]), 1 + r.below(255)],
    defines: SF | ZF | PF,
    leaves: OF | AF | CF,
  }),
  // String instructions, the repeated ones with a count that fits.
  (r) => {
    const size = r.pick(SIZES);
    const base = r.pick([0xa4, 0xa6, 0xaa, 0xac, 0xae]);
    const compares = base === 0xa6 || base === 0xae;
    const opcode = base | size.wide;
    // When both operands of CMPS fault, processors differ in which one they report: give it good ones.
    const pointers =
      base === 0xa6 ? [0xbe, ...little(DATA_AT + 0x80, 4), 0xbf, ...little(DATA_AT + 0xc0, 4)] : [];
    if (r.below(2) === 0) {
      return { bytes: [...pointers, ...size.prefix, opcode], defines: compares ? ALL : 0 };
    }
    // mov ecx, n with n above 0: a comparison then always sets the flags.
    const count = [0xb9, ...little(1 + r.below(40), 4)];
    const repeat = compares ? 0xf2 | r.below(2) : 0xf3;
    return {
      bytes: [...pointers, ...count, ...size.prefix, repeat, opcode],
      defines: compares ? ALL : 0,
    };
  },
];
