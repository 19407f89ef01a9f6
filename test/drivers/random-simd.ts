/**
 * Random MMX, SSE and SSE2 instructions and registers. Memory operands are mostly aligned; the reciprocal estimates end their run.
 */
import type { FxState } from "./nv1.ts";
import { interesting, little, type Random } from "./random.ts";
import { ALL, DATA_AT, type Maker, modrm } from "./random-code.ts";
import { randomFx } from "./random-x87.ts";

const [NONE, P66, PF3, PF2]: readonly (readonly number[])[] = [[], [0x66], [0xf3], [0xf2]];
const ALL_PREFIXES = [NONE!, P66!, PF3!, PF2!];
const PACKED = [NONE!, P66!];

/** Which operands a form takes: register or memory, or one of them only. */
export type Operand = "any" | "memory" | "register";

/** Prefixes, opcodes after 0F, and the operand; every combination exists up to SSE2. */
type Form = readonly [
  prefixes: readonly (readonly number[])[],
  opcodes: readonly number[],
  operand?: Operand,
];

function range(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, i) => first + i);
}

const FLOAT_FORMS: readonly Form[] = [
  [ALL_PREFIXES, [0x51, 0x58, 0x59, 0x5a, 0x5c, 0x5d, 0x5e, 0x5f]],
  [ALL_PREFIXES, [0x58, 0x59, 0x5c, 0x5e]],
  [PACKED, [0x14, 0x15, 0x54, 0x55, 0x56, 0x57]],
  [[NONE!, P66!, PF3!], [0x5b]],
  [[P66!, PF3!, PF2!], [0xe6]],
  [ALL_PREFIXES, [0x2a, 0x2c, 0x2d]],
];

const MOVE_FORMS: readonly Form[] = [
  [ALL_PREFIXES, [0x10, 0x11]],
  [PACKED, [0x28, 0x29]],
  [[NONE!], [0x12, 0x16]],
  [PACKED, [0x12, 0x13, 0x16, 0x17, 0x2b, 0xe7], "memory"],
  [PACKED, [0x50, 0xd7], "register"],
  [
    [NONE!, P66!, PF3!],
    [0x6f, 0x7f],
  ],
  [[NONE!, P66!, PF3!], [0x7e]],
  [PACKED, [0x6e]],
  [[P66!], [0xd6]],
  [[PF3!, PF2!], [0xd6], "register"],
  [[NONE!], [0xc3], "memory"],
];

const INTEGER_FORMS: readonly Form[] = [
  [PACKED, [...range(0x60, 0x6b), 0x74, 0x75, 0x76]],
  [PACKED, [...range(0xd1, 0xd5), ...range(0xd8, 0xdf)]],
  [PACKED, [...range(0xe0, 0xe5), ...range(0xe8, 0xef)]],
  [PACKED, [...range(0xf1, 0xf6), ...range(0xf8, 0xfe)]],
  [[P66!], [0x6c, 0x6d]],
];

/** Shifts by an immediate: opcode and extensions; the last pair shifts whole registers and needs the prefix. */
const SHIFTS: readonly (readonly [opcode: number, extensions: readonly number[]])[] = [
  [0x71, [2, 4, 6]],
  [0x72, [2, 4, 6]],
  [0x73, [2, 6]],
];

/** ModR/M of a register, or of memory that is mostly aligned. */
export function operand(random: Random, reg: number, kind: Operand): number[] {
  if (kind === "register" || (kind === "any" && random.below(2) === 0)) {
    return [0xc0 | (reg << 3) | random.below(8)];
  }
  for (;;) {
    if (random.below(6) > 0)
      return [0x05 | (reg << 3), ...little(DATA_AT + 16 * random.below(16), 4)];
    const form = modrm(random, reg);
    if (form[0]! < 0xc0) return form;
  }
}

function instruction(random: Random, forms: readonly Form[]): number[] {
  const [prefixes, opcodes, kind = "any"] = random.pick(forms);
  const prefix = random.pick(prefixes);
  return [...prefix, 0x0f, random.pick(opcodes), ...operand(random, random.below(8), kind)];
}

/** MXCSR: all exceptions masked three times out of four, any rounding, FTZ and DAZ now and then. */
function control(random: Random): number {
  const masks = random.below(4) === 0 ? random.below(64) : 0x3f;
  const modes = (random.pick([0, 0, 1]) << 15) | (random.pick([0, 0, 1]) << 6);
  return (masks << 7) | (random.below(4) << 13) | modes;
}

/** MMX, SSE and SSE2 instructions with exact results. */
export const SIMD_MAKERS: readonly Maker[] = [
  ...Array.from({ length: 4 }, (): Maker => (r) => ({ bytes: instruction(r, FLOAT_FORMS) })),
  ...Array.from({ length: 3 }, (): Maker => (r) => ({ bytes: instruction(r, MOVE_FORMS) })),
  ...Array.from({ length: 4 }, (): Maker => (r) => ({ bytes: instruction(r, INTEGER_FORMS) })),
  // CMPPS and its kin, UCOMISS, COMISS.
  (r) => ({ bytes: [...instruction(r, [[ALL_PREFIXES, [0xc2]]]), r.below(8)] }),
  (r) => ({ bytes: instruction(r, [[PACKED, [0x2e, 0x2f]]]), defines: ALL }),
  // Shuffles, PINSRW, PEXTRW.
  (r) => ({
    bytes: [
      ...instruction(r, [
        [ALL_PREFIXES, [0x70]],
        [PACKED, [0xc4, 0xc6]],
      ]),
      r.below(256),
    ],
  }),
  (r) => ({ bytes: [...instruction(r, [[PACKED, [0xc5], "register"]]), r.below(256)] }),
  // Shifts by an immediate.
  (r) => {
    const whole = r.below(4) === 0;
    const [opcode, extensions] = whole ? ([0x73, [3, 7]] as const) : r.pick(SHIFTS);
    const prefix = whole ? P66! : r.pick(PACKED);
    const form = 0xc0 | (r.pick(extensions) << 3) | r.below(8);
    return { bytes: [...prefix, 0x0f, opcode, form, r.pick([r.below(256), r.below(64)])] };
  },
  // MASKMOVQ and MASKMOVDQU on good memory: whether a byte that is masked out faults is open. EMMS, the fences.
  (r) => {
    const store = instruction(r, [[PACKED, [0xf7], "register"]]);
    return { bytes: [0xbf, ...little(DATA_AT + r.below(240), 4), ...store] };
  },
  (r) => ({
    bytes: r.pick([
      [0x0f, 0x77],
      [0x0f, 0xae, 0xe8],
      [0x0f, 0xae, 0xf0],
      [0x0f, 0xae, 0xf8],
    ]),
  }),
  // LDMXCSR of a value that a store put there, one in eight with a reserved bit; STMXCSR.
  (r) => {
    const at = little(DATA_AT + 4 * r.below(64), 4);
    const value = control(r) | (r.below(8) === 0 ? 0x80000000 : 0);
    return { bytes: [0xc7, 0x05, ...at, ...little(value, 4), 0x0f, 0xae, 0x15, ...at] };
  },
  (r) => ({ bytes: [0x0f, 0xae, ...operand(r, 3, "memory")] }),
];

/** RSQRTPS, RCPPS and their scalar forms. */
export const ESTIMATE_MAKERS: readonly Maker[] = [
  (r) => ({
    bytes: instruction(r, [
      [
        [NONE!, PF3!],
        [0x52, 0x53],
      ],
    ]),
    isApprox: true,
  }),
];

/** A float of some class at `at`: 4 or 8 bytes. */
function writeFloat(random: Random, view: DataView, at: number, bytes: 4 | 8): void {
  const wide = bytes === 8;
  const high = at + bytes - 4;
  if (wide) view.setUint32(at, random.below(3) === 0 ? 0 : random.u32(), true);
  const sign = random.below(2) * 0x80000000;
  const exponentShift = wide ? 20 : 23;
  const special = wide ? 0x7ff : 0xff;
  const bias = special >> 1;
  const fraction = random.below(3) === 0 ? 0 : random.u32() >>> (32 - exponentShift);
  const near = bias - 12 + random.below(24);
  const exponent = random.pick([0, special, random.below(special), near, near, near, near, near]);
  view.setUint32(high, (sign | (exponent << exponentShift) | fraction) >>> 0, true);
}

/** Sixteen bytes: singles, doubles, or integers. */
export function randomXmm(random: Random): Uint8Array {
  const bytes = new Uint8Array(16);
  const view = new DataView(bytes.buffer);
  const kind = random.below(3);
  if (kind === 0) for (let at = 0; at < 16; at += 4) writeFloat(random, view, at, 4);
  else if (kind === 1) for (let at = 0; at < 16; at += 8) writeFloat(random, view, at, 8);
  else for (let at = 0; at < 16; at += 4) view.setUint32(at, interesting(random), true);
  return bytes;
}

/** A state with all XMM registers in use. */
export function randomSimdFx(random: Random): FxState {
  const raised = random.below(4) === 0 ? random.below(0x40) : 0;
  return {
    ...randomFx(random),
    mxcsr: control(random) | raised,
    xmm: Array.from({ length: 8 }, () => randomXmm(random)),
  };
}
