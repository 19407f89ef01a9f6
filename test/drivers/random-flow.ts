/**
 * Random control flow: bounded loops, fused compare-and-branch pairs, calls, indirect jumps, and code that changes itself ahead and
 * behind. Counters of loops lie where random stores rarely reach, and a loop whose counter is spoilt ends all the same.
 */
import { little, type Random } from "./random.ts";
import {
  AF,
  ALL,
  CF,
  DATA_AT,
  type Label,
  type Maker,
  type Piece,
  withFlagsDefined,
} from "./random-code.ts";

/** Loop counters, and pointers for indirect jumps. */
const COUNTERS_AT = 0x00301800;
const POINTERS_AT = 0x00301900;
const JMP8 = 0xeb;
const RET = 0xc3;
/** Rounds of a loop: mostly few; now and then enough to come out of every cache of links. */
const ROUNDS = [1, 2, 3, 5, 8, 13];
const MANY_ROUNDS = 300;

/** An instruction before Jcc that the decoder may fuse with it: registers, immediates, memory; each defines what Jcc reads. */
const FUSED: readonly ((
  random: Random,
) => Pick<Piece, "bytes" | "leaves"> & { isIncDec?: true })[] = [
  (r) => ({ bytes: [r.pick([0x38, 0x39, 0x3a, 0x3b]), 0xc0 | r.below(64)] }),
  (r) => ({ bytes: [r.pick([0x84, 0x85]), 0xc0 | r.below(64)], leaves: AF }),
  (r) => ({ bytes: [0x66, r.pick([0x39, 0x3b]), 0xc0 | r.below(64)] }),
  (r) => ({ bytes: [0x83, 0xf8 | r.below(8), r.pick([0, 1, 0x7f, 0x80, 0xff, r.below(256)])] }),
  (r) => ({ bytes: [0x81, 0xf8 | r.below(8), ...little(r.u32(), 4)] }),
  (r) => ({ bytes: [0x3c, r.below(256)] }),
  (r) => ({ bytes: [0xa8, r.below(256)], leaves: AF }),
  (r) => ({ bytes: [0xf7, 0xc0 | r.below(8), ...little(r.u32(), 4)], leaves: AF }),
  (r) => ({
    bytes: [r.pick([0x38, 0x39, 0x3a, 0x3b, 0x84, 0x85]), 0x43 | (r.below(8) << 3), r.below(128)],
    leaves: AF,
  }),
  (r) => ({ bytes: [0x80, 0x7b, r.below(128), r.below(256)] }),
  (r) => ({
    bytes: [r.pick([0x01, 0x29, 0x03, 0x2b]), 0xc0 | (r.pick([0, 1, 2]) << 3) | r.below(3)],
  }),
  (r) => ({
    bytes: [r.pick([0x21, 0x09, 0x31]), 0xc0 | (r.pick([0, 1, 2]) << 3) | r.below(3)],
    leaves: AF,
  }),
  (r) => ({ bytes: [0x83, 0xc0 | (r.pick([0, 5]) << 3) | r.below(3), r.below(256)] }),
  (r) => ({ bytes: [r.pick([0x40, 0x48]) | r.below(3)], isIncDec: true }),
  (r) => ({ bytes: [0xff, 0x43 | (r.below(2) << 3), r.below(128)], isIncDec: true }),
  (r) => ({ bytes: [0xf7, 0xd8 | r.below(3)] }),
  (r) => ({ bytes: [0xc1, r.pick([0xe0, 0xe8, 0xf8]) | r.below(3), 1], leaves: AF }),
];

/** Conditions that do not read CF: INC and DEC keep it. */
const WITHOUT_CARRY = [0, 1, 4, 5, 8, 9, 10, 11, 12, 13, 14, 15];

/** A comparison and a jump, short or near. */
function branch(random: Random, to: Label, isShort: boolean): Piece {
  const { bytes, leaves = 0, isIncDec } = random.pick(FUSED)(random);
  const cc = isIncDec ? random.pick(WITHOUT_CARRY) : random.below(16);
  const size = isShort ? 1 : 4;
  const jump = isShort ? [0x70 | cc, 0] : [0x0f, 0x80 | cc, 0, 0, 0, 0];
  const at = bytes.length + jump.length - size;
  return {
    bytes: [...bytes, ...jump],
    defines: isIncDec ? ALL & ~CF : ALL & ~leaves,
    leaves,
    refs: [{ at, bytes: size, kind: "relative", to }],
    // Another condition: what it reads is defined all the same, unless it is CF after INC.
    ...(isIncDec ? {} : { patch: { at: at - 1, values: range(isShort ? 0x70 : 0x80, 16) } }),
  };
}

function range(first: number, count: number): number[] {
  return Array.from({ length: count }, (_, i) => first + i);
}

const BYTES = range(0, 256);
/** INC and DEC of any register but ESP and EBX, which pointers need. */
const INC_DEC = range(0x40, 16).filter((opcode) => (opcode & 7) !== 4 && (opcode & 7) !== 3);

/** Instructions with a byte that another may store to. */
const PATCHABLE: readonly Maker[] = [
  (r) => ({
    bytes: [0xb8 | r.pick([0, 1, 2, 5]), ...little(r.u32(), 4)],
    patch: { at: 1 + r.below(4), values: BYTES },
  }),
  (r) => ({ bytes: [r.pick(INC_DEC)], defines: ALL & ~CF, patch: { at: 0, values: INC_DEC } }),
  (r) => ({
    bytes: [0x83, 0xc0 | r.pick([0, 1, 2]), r.below(256)],
    defines: ALL,
    patch: { at: 2, values: BYTES },
  }),
  (r) => ({
    bytes: [0x05, ...little(r.u32(), 4)],
    defines: ALL,
    patch: { at: 1 + r.below(4), values: BYTES },
  }),
  (r) => ({
    bytes: [0xc1, 0xc0 | r.pick([0, 1, 2]), 1],
    defines: CF | 0x800,
    patch: { at: 2, values: [1] },
  }),
  (r) => ({
    bytes: [0x8d, 0x40 | (r.pick([0, 1, 2]) << 3), r.below(128)],
    patch: { at: 2, values: BYTES },
  }),
];

/** A store to the byte of a piece: an immediate, a register with it, one of four, a string instruction, or LOCKed. */
function patchStore(random: Random, target: Piece, to: Label): Piece {
  const { at, values } = target.patch!;
  const value = random.pick(values);
  const ref = (field: number) => ({ at: field, bytes: 4, kind: "store", to, plus: at }) as const;
  switch (random.below(5)) {
    case 0:
      // MOV CL, value; MOV [place], CL.
      return { bytes: [0xb1, value, 0x88, 0x0d, 0, 0, 0, 0], refs: [ref(4)] };
    case 1:
      // MOV EDI, place; MOV AL, value; STOSB; EDI back to data: a longer store over itself is each processor's own affair.
      return {
        bytes: [0xfc, 0xbf, 0, 0, 0, 0, 0xb0, value, 0xaa, 0xbf, ...little(DATA_AT + 0xc0, 4)],
        refs: [ref(2)],
      };
    case 2:
      // MOV CL, value; XCHG [place], CL.
      return { bytes: [0xb1, value, 0x86, 0x0d, 0, 0, 0, 0], refs: [ref(4)] };
    case 3:
      // PUSH value; POP EDX; MOV [place], DL.
      return { bytes: [0x6a, value, 0x5a, 0x88, 0x15, 0, 0, 0, 0], refs: [ref(5)] };
    default:
      return { bytes: [0xc6, 0x05, 0, 0, 0, 0, value], refs: [ref(2)] };
  }
}

/** Draws plain instructions and puts control flow around them. */
class FlowBuilder {
  readonly #random: Random;
  readonly #plain: readonly Maker[];
  readonly #pieces: Piece[] = [];
  readonly #subroutines: Label[] = [];
  #counters = 0;
  #pointers = 0;
  #left: number;

  constructor(random: Random, plain: readonly Maker[], size: number) {
    this.#random = random;
    this.#plain = plain;
    this.#left = size;
  }

  build(): Piece[] {
    this.#sequence(3 + this.#random.below(8), 0);
    const end: Label = { what: "end" };
    this.#pieces.push({
      bytes: [0xe9, 0, 0, 0, 0],
      isEnd: true,
      refs: [{ at: 1, bytes: 4, kind: "relative", to: end }],
    });
    for (const label of this.#subroutines) this.#subroutine(label);
    this.#pieces.push({ bytes: [0x90], label: end });
    this.#storeIntoCode();
    return withFlagsDefined(this.#pieces);
  }

  #sequence(count: number, depth: number): void {
    for (let i = 0; i < count && this.#left > 0; i++) this.#item(depth);
  }

  #item(depth: number): void {
    const r = this.#random;
    this.#left--;
    const kind = r.below(depth < 3 ? 12 : 6);
    if (kind < 4) this.#pieces.push(r.pick(this.#plain)(r));
    else if (kind < 6) this.#pieces.push(r.pick(PATCHABLE)(r));
    else if (kind < 8) this.#loop(depth);
    else if (kind === 8) this.#call();
    else if (kind === 9) this.#indirect();
    else this.#skip(depth);
  }

  #skip(depth: number): void {
    const over: Label = { what: "over" };
    this.#pieces.push(branch(this.#random, over, false));
    this.#sequence(1 + this.#random.below(3), depth + 1);
    this.#pieces.push({ bytes: [0x90], label: over });
  }

  #loop(depth: number): void {
    const r = this.#random;
    const head: Label = { what: "head" };
    const counter = little(COUNTERS_AT + 4 * this.#counters++, 4);
    const rounds = depth === 0 && r.below(12) === 0 ? MANY_ROUNDS : r.pick(ROUNDS);
    this.#pieces.push({ bytes: [0xc7, 0x05, ...counter, ...little(rounds, 4)] });
    this.#pieces.push({ bytes: [0x90], label: head });
    this.#sequence(1 + r.below(4), depth + 1);
    if (r.below(3) === 0) {
      // MOV ECX, [counter]; DEC [counter]; LOOP head, or JECXZ out; JMP head. A counter at or below 0 is set to 1 first.
      this.#pieces.push({
        bytes: [0x83, 0x3d, ...counter, 1, 0x7f, 10, 0xc7, 0x05, ...counter, 1, 0, 0, 0],
        defines: ALL,
      });
      this.#pieces.push({
        bytes: [0x8b, 0x0d, ...counter, 0xff, 0x0d, ...counter, 0x49, 0xe3, 5, 0xe9, 0, 0, 0, 0],
        defines: ALL & ~CF,
        refs: [{ at: 16, bytes: 4, kind: "relative", to: head }],
      });
      return;
    }
    // DEC [counter]; JG head: also near, or short where it fits.
    this.#pieces.push({
      bytes: [0xff, 0x0d, ...counter, 0x0f, 0x8f, 0, 0, 0, 0],
      defines: ALL & ~CF,
      refs: [{ at: 8, bytes: 4, kind: "relative", to: head }],
    });
  }

  #call(): void {
    const r = this.#random;
    if (this.#subroutines.length < 3) this.#subroutines.push({ what: "subroutine" });
    const to = r.pick(this.#subroutines);
    const about = { isCall: true, isEnd: true };
    const byRegister = r.below(3) === 0;
    // Flags pass through a call: what a subroutine leaves open is open at every place it may return to.
    this.#pieces.push(
      byRegister
        ? {
            ...about,
            isEnd: false,
            isIndirect: true,
            bytes: [0xba, 0, 0, 0, 0, 0xff, 0xd2],
            refs: [{ at: 1, bytes: 4, kind: "address", to }],
          }
        : {
            ...about,
            isEnd: false,
            bytes: [0xe8, 0, 0, 0, 0],
            refs: [{ at: 1, bytes: 4, kind: "relative", to }],
          },
    );
  }

  #subroutine(label: Label): void {
    const r = this.#random;
    this.#pieces.push({ bytes: [0x90], label });
    for (let i = r.below(4); i > 0; i--) {
      this.#pieces.push(r.pick(r.below(3) === 0 ? PATCHABLE : this.#plain)(r));
    }
    const pops = r.below(4) === 0;
    // PUSH EAX; RET 4 is a return that drops what was pushed before it: XCHG keeps the address on top.
    this.#pieces.push(
      pops
        ? {
            bytes: [0x50, 0x8b, 0x44, 0x24, 0x04, 0x87, 0x04, 0x24, 0xc2, 4, 0],
            isEnd: true,
            isIndirect: true,
          }
        : { bytes: [RET], isEnd: true, isIndirect: true },
    );
  }

  #indirect(): void {
    const r = this.#random;
    const over: Label = { what: "over" };
    const pointer = POINTERS_AT + 4 * this.#pointers++;
    const about = { isEnd: true, isIndirect: true };
    const address = (at: number) => ({ at, bytes: 4, kind: "address", to: over }) as const;
    switch (r.below(4)) {
      case 0:
        this.#pieces.push({ ...about, bytes: [0xb9, 0, 0, 0, 0, 0xff, 0xe1], refs: [address(1)] });
        break;
      case 1:
        this.#pieces.push({ ...about, bytes: [0x68, 0, 0, 0, 0, RET], refs: [address(1)] });
        break;
      case 2:
        this.#pieces.push({
          ...about,
          bytes: [0xc7, 0x05, ...little(pointer, 4), 0, 0, 0, 0, 0xff, 0x25, ...little(pointer, 4)],
          refs: [address(6)],
        });
        break;
      default:
        this.#table(pointer);
    }
    if (r.below(2) === 0) this.#pieces.push(r.pick(this.#plain)(r));
    this.#pieces.push({ bytes: [0x90], label: over });
  }

  /** A jump through a table of two by the lowest bit of EAX. */
  #table(pointer: number): void {
    const first: Label = { what: "first" };
    const second: Label = { what: "second" };
    this.#pointers++;
    const store = (at: number) => [0xc7, 0x05, ...little(at, 4), 0, 0, 0, 0];
    this.#pieces.push({
      bytes: [
        ...store(pointer),
        ...store(pointer + 4),
        0x89,
        0xc1,
        0x83,
        0xe1,
        1,
        0xff,
        0x24,
        0x8d,
        ...little(pointer, 4),
      ],
      defines: ALL & ~AF,
      leaves: AF,
      isEnd: true,
      isIndirect: true,
      refs: [
        { at: 6, bytes: 4, kind: "address", to: first },
        { at: 16, bytes: 4, kind: "address", to: second },
      ],
    });
    const out: Label = { what: "out" };
    this.#pieces.push({
      bytes: [0x42, JMP8, 0],
      defines: ALL & ~CF,
      label: first,
      isEnd: true,
      refs: [{ at: 2, bytes: 1, kind: "relative", to: out }],
    });
    this.#pieces.push({ bytes: [0x41], defines: ALL & ~CF, label: second });
    this.#pieces.push({ bytes: [0x90], label: out });
  }

  /** Stores to patchable pieces, from anywhere before or behind them. */
  #storeIntoCode(): void {
    const r = this.#random;
    if (r.below(3) === 0) return;
    for (let count = 1 + r.below(3); count > 0; count--) {
      const found = this.#pieces.flatMap((piece, i) => (piece.patch === undefined ? [] : [i]));
      if (found.length === 0) return;
      const index = r.pick(found);
      const target = this.#pieces[index]!;
      const to: Label = target.label ?? { what: "patched" };
      this.#pieces[index] = { ...target, label: to };
      const near = r.below(2) === 0 ? index + r.below(2) : r.below(this.#pieces.length);
      this.#pieces.splice(near, 0, patchStore(r, target, to));
    }
  }
}

/** A program of about `size` pieces. @param plain makers of single instructions, which may fault. */
export function randomFlow(random: Random, plain: readonly Maker[], size: number): Piece[] {
  return new FlowBuilder(random, plain, size).build();
}
