/**
 * Random code whose outcome the manuals define: the generator knows which flags each instruction leaves undefined and never lets
 * a later one read them, so two processors must agree on everything but the flags it reports as open.
 */
import type { Random } from "./random.ts";
import { little } from "./random.ts";

export const CF = 0x1;
export const PF = 0x4;
export const AF = 0x10;
export const ZF = 0x40;
export const SF = 0x80;
export const OF = 0x800;
/** C1 of the x87 status word, kept with the flags of which it is none. */
export const C1 = 0x10000;
/** The six arithmetic flags. */
export const ALL = CF | PF | AF | ZF | SF | OF;

/** Default operand and address size of code. */
export type Bits = 16 | 32;

/** A place that other pieces name. One that shrinking has taken away stands for the next piece, or for the data. */
export interface Label {
  readonly what: string;
}

/** A field of a piece that the assembler fills in. */
export interface Reference {
  /** Offset of the field in the piece, and its size. */
  readonly at: number;
  readonly bytes: 1 | 2 | 4;
  /** A displacement from the end of the field, an address for an indirect jump, or the linear address of what a store changes. */
  readonly kind: "relative" | "address" | "store";
  readonly to: Label;
  /** Added to an address: minus the base of a code segment, or an offset in the piece that is stored to. */
  readonly plus?: number;
}

/** One instruction, or a few that belong together: its bytes, the flags it reads, those it defines and those it leaves undefined. */
export interface Piece {
  readonly bytes: readonly number[];
  readonly reads?: number;
  readonly defines?: number;
  readonly leaves?: number;
  /** Its result is approximate, so nothing may follow it. */
  readonly isApprox?: boolean;
  readonly label?: Label;
  readonly refs?: readonly Reference[];
  /** It never goes on to the next piece. */
  readonly isEnd?: boolean;
  /** It jumps to an address that it finds: any that a piece took, or where a call returns to. */
  readonly isIndirect?: boolean;
  readonly isCall?: boolean;
  /** The code that it stands in, and the code that follows where that is another. */
  readonly bits?: Bits;
  readonly nextBits?: Bits;
  /** Offset of a byte that may be stored to, and the values it may get. */
  readonly patch?: { readonly at: number; readonly values: readonly number[] };
}

/** Draws one instruction of a kind. */
export type Maker = (random: Random) => Piece;

/** Where the data of a case lies: linear address. */
export const DATA_AT = 0x00200400;

/** ModR/M with a register, or one of a few memory forms that hit the data while EBX, ESI and EDI keep their first values. */
export function modrm(random: Random, reg: number): number[] {
  const small = random.below(256);
  switch (random.below(8)) {
    case 0:
      return [0x43 | (reg << 3), small];
    case 1:
      return [0x46 | (reg << 3), small];
    case 2:
      return [0x87 | (reg << 3), ...little(random.below(0x200) - 0x100, 4)];
    case 3:
      return [0x44 | (reg << 3), 0x03 | (random.pick([0, 1, 2, 4]) << 3), small];
    case 4:
      return [0x05 | (reg << 3), ...little(DATA_AT + random.below(0x100), 4)];
    default:
      return [0xc0 | (reg << 3) | random.below(8)];
  }
}

/** A run of instructions. */
export interface RandomCode {
  readonly bytes: Uint8Array;
  readonly isApprox: boolean;
  /** Offsets where the code changes between 16 and 32 bits, with what it is from there on. */
  readonly bits: readonly (readonly [at: number, bits: Bits])[];
  /** Flags that are open when the run stops `at` bytes from its start. */
  undefinedFlags(at: number): number;
}

/** Flags that are open before each piece and after the last: what any way there leaves open. */
function openFlags(pieces: readonly Piece[]): number[] {
  const places = new Map<Label, number>();
  pieces.forEach(({ label }, i) => {
    if (label !== undefined) places.set(label, i);
  });
  const targets = (piece: Piece, kind: Reference["kind"]) =>
    (piece.refs ?? []).filter((ref) => ref.kind === kind).map(({ to }) => places.get(to));
  const taken = pieces.flatMap((piece, i) => [
    ...targets(piece, "address"),
    ...(piece.isCall ? [i + 1] : []),
  ]);
  const open = new Array<number>(pieces.length + 1).fill(0);
  for (let changed = true; changed; ) {
    changed = false;
    pieces.forEach((piece, i) => {
      const after = (open[i]! & ~(piece.defines ?? 0)) | (piece.leaves ?? 0);
      const next = [
        ...(piece.isEnd ? [] : [i + 1]),
        ...targets(piece, "relative"),
        ...(piece.isIndirect ? taken : []),
      ];
      for (const to of next) {
        const at = to ?? i + 1;
        if ((open[at]! | after) === open[at]) continue;
        open[at]! |= after;
        changed = true;
      }
    });
  }
  return open;
}

/** Index of the first piece that may read an open flag, or -1. */
function firstBad(pieces: readonly Piece[], open: readonly number[]): number {
  return pieces.findIndex(({ reads = 0 }, i) => (reads & open[i]!) !== 0);
}

/** CMP EAX, EBX before every piece that may read an open flag. */
export function withFlagsDefined(pieces: readonly Piece[]): Piece[] {
  const left = [...pieces];
  for (;;) {
    const bad = firstBad(left, openFlags(left));
    if (bad < 0) return left;
    const { reads: _, ...piece } = left[bad]!;
    left[bad] = {
      ...piece,
      bytes: [0x39, 0xd8, ...piece.bytes],
      defines: ALL,
      refs: (piece.refs ?? []).map((ref) => ({ ...ref, at: ref.at + 2 })),
      ...(piece.patch && { patch: { ...piece.patch, at: piece.patch.at + 2 } }),
    };
  }
}

/**
 * @param address linear address of the first piece. @param bits what the code starts as.
 * @returns the run that the pieces make, or undefined when a piece may read a flag that is open, follows an approximate one, or
 * stands in code of the other size.
 */
export function assemble(
  pieces: readonly Piece[],
  address: number,
  bits: Bits = 32,
): RandomCode | undefined {
  const open = openFlags(pieces);
  if (firstBad(pieces, open) >= 0) return undefined;
  if (pieces.some(({ isApprox }, i) => isApprox && i < pieces.length - 1)) return undefined;
  const starts: number[] = [0];
  const sizes: (readonly [number, Bits])[] = [[0, bits]];
  const labels = new Map<Label, number>();
  let now = bits;
  for (const piece of pieces) {
    const start = starts.at(-1)!;
    if (piece.bits !== undefined && piece.bits !== now) return undefined;
    if (piece.label !== undefined) labels.set(piece.label, start);
    starts.push(start + piece.bytes.length);
    if (piece.nextBits === undefined || piece.nextBits === now) continue;
    now = piece.nextBits;
    sizes.push([start + piece.bytes.length, now]);
  }
  const bytes = new Uint8Array(starts.at(-1)!);
  for (const [i, piece] of pieces.entries()) {
    const start = starts[i]!;
    bytes.set(piece.bytes, start);
    for (const { at, bytes: size, kind, to, plus = 0 } of piece.refs ?? []) {
      const place = labels.get(to);
      const target = place ?? starts[i + 1]!;
      const value =
        kind === "relative"
          ? target - (start + at + size)
          : kind === "store" && place === undefined
            ? DATA_AT
            : address + target + plus;
      if (size === 1 && value !== (value << 24) >> 24) return undefined;
      bytes.set(little(value, size), start + at);
    }
  }
  const undefinedFlags = (at: number) => {
    if (at < 0 || at > bytes.length) return ALL;
    return open[starts.findLastIndex((start) => start <= at)]!;
  };
  return { bytes, isApprox: pieces.at(-1)?.isApprox ?? false, bits: sizes, undefinedFlags };
}

/** @returns pieces that can be assembled, at most so many and so many bytes. */
export function randomPieces(
  random: Random,
  makers: readonly Maker[],
  maxPieces: number,
  maxBytes: number,
): Piece[] {
  const pieces: Piece[] = [];
  let open = 0;
  let bytes = 0;
  for (let left = 1 + random.below(maxPieces); left > 0; ) {
    const piece = random.pick(makers)(random);
    if (((piece.reads ?? 0) & open) !== 0) continue;
    bytes += piece.bytes.length;
    if (bytes > maxBytes) break;
    pieces.push(piece);
    open = (open & ~(piece.defines ?? 0)) | (piece.leaves ?? 0);
    left = piece.isApprox ? 0 : left - 1;
  }
  return pieces;
}
