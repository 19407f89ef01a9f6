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

/** One instruction, or a few that belong together: its bytes, the flags it reads, those it defines and those it leaves undefined. */
export interface Piece {
  readonly bytes: readonly number[];
  readonly reads?: number;
  readonly defines?: number;
  readonly leaves?: number;
  /** Its result is approximate, so nothing may follow it. */
  readonly isApprox?: boolean;
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
  /** Flags that are open when the run stops `at` bytes from its start. */
  undefinedFlags(at: number): number;
}

/** @returns the run that the pieces make, or undefined when a piece reads a flag that is open or follows an approximate one. */
export function assemble(pieces: readonly Piece[]): RandomCode | undefined {
  const bytes: number[] = [];
  const openAt: (readonly [at: number, flags: number])[] = [];
  let open = 0;
  let isApprox = false;
  for (const piece of pieces) {
    if (isApprox || ((piece.reads ?? 0) & open) !== 0) return undefined;
    openAt.push([bytes.length, open]);
    bytes.push(...piece.bytes);
    open = (open & ~(piece.defines ?? 0)) | (piece.leaves ?? 0);
    isApprox = piece.isApprox ?? false;
  }
  openAt.push([bytes.length, open]);
  const undefinedFlags = (at: number) => openAt.findLast(([start]) => start <= at)?.[1] ?? 0;
  return { bytes: Uint8Array.from(bytes), isApprox, undefinedFlags };
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
