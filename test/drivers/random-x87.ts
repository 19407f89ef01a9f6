/**
 * Random x87 instructions and states. Forms that the manuals leave out are left out, FNSTENV and FNSAVE write to a place of their
 * own (native.ts says which of their bytes are compared), and a transcendental function ends its run.
 */
import type { FxState } from "./nv1.ts";
import { little, type Random } from "./random.ts";
import { AF, ALL, C1, CF, type Maker, modrm, OF, PF, SF, ZF } from "./random-code.ts";

/** Where FNSTENV and FNSAVE store: linear address. */
export const ENVIRONMENT_AT = 0x00300100;

/** Opcode and ModR/M of a register form, and how many of the eight registers it takes (1 or 8). */
type RegisterForm = readonly [opcode: number, modrm: number, registers: number];

/** FADD to FDIVR; the last opcode pops. FCOM and FCOMP have one register form only. */
const ARITHMETIC: readonly RegisterForm[] = [
  ...[0xc0, 0xc8, 0xd0, 0xd8, 0xe0, 0xe8, 0xf0, 0xf8].map((at) => [0xd8, at, 8] as const),
  ...[0xc0, 0xc8, 0xe0, 0xe8, 0xf0, 0xf8].map((at) => [0xdc, at, 8] as const),
  ...[0xc0, 0xc8, 0xe0, 0xe8, 0xf0, 0xf8].map((at) => [0xde, at, 8] as const),
  [0xde, 0xd9, 1],
  [0xda, 0xe9, 1],
  [0xdd, 0xe0, 8],
  [0xdd, 0xe8, 8],
];

/** Exchanges, constants, stack movements, and the one-operand functions with exact results. */
const MOVES: readonly RegisterForm[] = [
  [0xd9, 0xc8, 8],
  ...[0xe0, 0xe1, 0xe4, 0xe5].map((at) => [0xd9, at, 1] as const),
  ...[0xe8, 0xe9, 0xea, 0xeb, 0xec, 0xed, 0xee].map((at) => [0xd9, at, 1] as const),
  ...[0xf4, 0xf5, 0xf6, 0xf7, 0xf8, 0xfa, 0xfc, 0xfd].map((at) => [0xd9, at, 1] as const),
  [0xdd, 0xd0, 8],
  [0xdd, 0xd8, 8],
];

/** FCMOVcc and the flags each pair of conditions reads. */
const CONDITIONAL_READS = [CF, ZF, CF | ZF, PF];

/** Memory forms: every defined opcode and ModR/M extension but those with a place of their own. */
const MEMORY: readonly (readonly [opcode: number, extensions: readonly number[]])[] = [
  [0xd8, [0, 1, 2, 3, 4, 5, 6, 7]],
  [0xd9, [0, 2, 3]],
  [0xda, [0, 1, 2, 3, 4, 5, 6, 7]],
  [0xdb, [0, 2, 3, 5, 7]],
  [0xdc, [0, 1, 2, 3, 4, 5, 6, 7]],
  [0xdd, [0, 2, 3]],
  [0xde, [0, 1, 2, 3, 4, 5, 6, 7]],
  [0xdf, [0, 2, 3, 4, 5, 6, 7]],
];

/** F2XM1, FYL2X, FPTAN, FPATAN, FYL2XP1, FSINCOS, FSIN, FCOS. */
const TRANSCENDENTAL = [0xf0, 0xf1, 0xf2, 0xf3, 0xf9, 0xfb, 0xfe, 0xff];

function memoryOperand(random: Random, extension: number): number[] {
  for (;;) {
    const form = modrm(random, extension);
    if (form[0]! < 0xc0) return form;
  }
}

function registerForm(random: Random, [opcode, at, registers]: RegisterForm): number[] {
  return [opcode, at + random.below(registers)];
}

/** x87 instructions with exact results. */
export const X87_MAKERS: readonly Maker[] = [
  (r) => ({ bytes: registerForm(r, r.pick(ARITHMETIC)), defines: C1 }),
  (r) => ({ bytes: registerForm(r, r.pick(ARITHMETIC)), defines: C1 }),
  (r) => ({ bytes: registerForm(r, r.pick(MOVES)), defines: C1 }),
  (r) => ({ bytes: registerForm(r, r.pick(MOVES)), defines: C1 }),
  (r) => {
    const [opcode, extensions] = r.pick(MEMORY);
    return { bytes: [opcode, ...memoryOperand(r, r.pick(extensions))], defines: C1 };
  },
  (r) => {
    const [opcode, extensions] = r.pick(MEMORY);
    return { bytes: [opcode, ...memoryOperand(r, r.pick(extensions))], defines: C1 };
  },
  // FCOMI, FUCOMI and the ones that pop. AMD keeps C1 where Intel clears it.
  (r) => ({
    bytes: [r.pick([0xdb, 0xdf]), r.pick([0xe8, 0xf0]) + r.below(8)],
    defines: ALL & ~(OF | SF | AF),
    leaves: C1,
  }),
  (r) => {
    const condition = r.below(4);
    return {
      bytes: [r.pick([0xda, 0xdb]), 0xc0 + 8 * condition + r.below(8)],
      reads: CONDITIONAL_READS[condition]!,
      leaves: C1,
    };
  },
  // FFREE and FNOP, likewise; FLD of an empty register onto a full stack.
  (r) => ({
    bytes: r.pick([
      [0xd9, 0xd0],
      [0xdd, 0xc0 + r.below(8)],
      [0xd9, 0xc0 + r.below(8)],
    ]),
    leaves: C1,
  }),
  // FLDCW, FNSTCW, FWAIT, FNCLEX, FNINIT.
  (r) => ({ bytes: [0xd9, ...memoryOperand(r, r.pick([5, 7]))] }),
  (r) => ({ bytes: r.pick([[0x9b], [0xdb, 0xe2]]) }),
  () => ({ bytes: [0xdb, 0xe3], defines: C1 }),
  // FNSTSW.
  (r) => ({
    bytes: r.pick([
      [0xdf, 0xe0],
      [0xdd, ...memoryOperand(r, 7)],
    ]),
    reads: C1,
  }),
  // FLDENV and FRSTOR of data; FNSTENV and FNSAVE.
  (r) => ({ bytes: [r.pick([0xd9, 0xdd]), ...memoryOperand(r, 4)], defines: C1 }),
  (r) => ({
    bytes: [r.pick([0xd9, 0xdd]), 0x35, ...little(ENVIRONMENT_AT, 4)],
    reads: C1,
  }),
];

/** x87 instructions with approximate results. */
export const TRANSCENDENTAL_MAKERS: readonly Maker[] = [
  (r) => ({ bytes: [0xd9, r.pick(TRANSCENDENTAL)], defines: C1, isApprox: true }),
];

/** An 80-bit pattern of some class: ordinary, zero, denormal, infinite, NaN, or one that no processor makes. */
function extended(random: Random): Uint8Array {
  const bytes = Uint8Array.from({ length: 10 }, () => random.below(256));
  const view = new DataView(bytes.buffer);
  const sign = random.below(2) << 15;
  const simple = random.below(3) === 0;
  if (simple) view.setUint32(0, 0);
  if (simple && random.below(2) === 0) view.setUint16(4, 0);
  bytes[7]! |= 0x80;
  switch (random.below(12)) {
    case 0:
      bytes.fill(0);
      view.setUint16(8, sign, true);
      break;
    case 1:
      bytes[7]! &= 0x7f;
      view.setUint16(8, sign, true);
      break;
    case 2:
      view.setBigUint64(0, 1n << 63n, true);
      view.setUint16(8, sign | 0x7fff, true);
      break;
    case 3:
      view.setUint16(8, sign | 0x7fff, true);
      break;
    case 4:
      break;
    case 5:
      if (random.below(4) === 0) bytes[7]! &= 0x7f;
      break;
    default:
      view.setUint16(8, sign | (0x3fff - 40 + random.below(80)), true);
  }
  return bytes;
}

/** Control words: all exceptions masked three times out of four, any rounding and precision but the reserved one. */
function controlWord(random: Random): number {
  const masks = random.below(4) === 0 ? random.below(64) : 0x3f;
  return 0x40 | masks | (random.pick([0, 2, 3, 3]) << 8) | (random.pick([0, 0, 1, 2, 3]) << 10);
}

/** A state of x87 and SSE as FXRSTOR takes it: mostly three to six registers in use. */
export function randomFx(random: Random): FxState {
  const depth = random.pick([0, 1, 2, 3, 4, 5, 6, 7, 8]);
  const top = random.below(8);
  let ftw = 0;
  for (let i = 0; i < depth; i++) ftw |= 1 << ((top + i) & 7);
  const raised = random.below(8) === 0 ? random.below(0x80) : 0;
  return {
    fcw: controlWord(random),
    fsw: (top << 11) | (random.u32() & 0x4700) | raised,
    ftw,
    mxcsr: 0x1f80,
    st: Array.from({ length: 8 }, (_, i) => (i < depth ? extended(random) : new Uint8Array(10))),
    xmm: Array.from({ length: 8 }, () => new Uint8Array(16)),
  };
}
