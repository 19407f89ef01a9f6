/** Random cases by number: seed and index alone make the same case again. */
import { DATA_BYTES, type NativeInput } from "./native.ts";
import type { FxState } from "./nv1.ts";
import { interesting, Random } from "./random.ts";
import { assemble, type Maker, type Piece, randomPieces } from "./random-code.ts";
import { INTEGER_MAKERS } from "./random-integer.ts";
import { ESTIMATE_MAKERS, randomSimdFx, randomXmm, SIMD_MAKERS } from "./random-simd.ts";
import { SIMD_LATER_MAKERS } from "./random-simd-later.ts";
import { randomFx, TRANSCENDENTAL_MAKERS, X87_MAKERS } from "./random-x87.ts";

/** A case before it is assembled. */
export interface RandomCase {
  readonly name: string;
  readonly pieces: readonly Piece[];
  readonly regs: Uint32Array;
  readonly flags: number;
  readonly fx: FxState | undefined;
  readonly data: Uint8Array;
}

/** A family of instructions. */
export type Family = "integer" | "x87" | "simd" | "sse4";
export const FAMILIES: readonly Family[] = ["integer", "x87", "simd", "sse4"];

/** Whether an argument names a family. */
export function isFamily(name: string): name is Family {
  return (FAMILIES as readonly string[]).includes(name);
}

const MAX_PIECES = 8;
const MAX_CODE_BYTES = 60;
const FLAGS = 0xcd5;
/** EBX, ESP, EBP, ESI, EDI point into the mapped ranges. */
const POINTERS: readonly (readonly [register: number, value: number])[] = [
  [3, 0x00200440],
  [4, 0x00301000],
  [5, 0x00301008],
  [6, 0x00200480],
  [7, 0x002004c0],
];

function times(makers: readonly Maker[], count: number): Maker[] {
  return Array.from({ length: count }, () => makers).flat();
}

/** What each family draws from: its own instructions, and a few of the others between them. */
const POOLS: Readonly<Record<Family, readonly Maker[]>> = {
  integer: INTEGER_MAKERS,
  simd: [...times(SIMD_MAKERS, 12), ...ESTIMATE_MAKERS, ...INTEGER_MAKERS, ...X87_MAKERS],
  sse4: [...times(SIMD_LATER_MAKERS, 3), ...SIMD_MAKERS, ...INTEGER_MAKERS.slice(0, 8)],
  x87: [...times(X87_MAKERS, 12), ...TRANSCENDENTAL_MAKERS, ...INTEGER_MAKERS],
};

function randomState(random: Random, family: Family): Pick<RandomCase, "fx" | "data"> {
  const data = Uint8Array.from({ length: DATA_BYTES }, () => random.below(256));
  if (family === "integer") return { fx: undefined, data };
  if (family === "x87") return { fx: randomFx(random), data };
  for (let at = 0; at < DATA_BYTES; at += 16) data.set(randomXmm(random), at);
  return { fx: randomSimdFx(random), data };
}

/** Case number `index` of a seed. */
export function randomCase(seed: number, index: number, families: readonly Family[]): RandomCase {
  const random = new Random(Math.imul(seed, 0x9e3779b1) ^ Math.imul(index + 1, 0x85ebca6b));
  // The generator's first numbers are alike for like seeds.
  for (let i = 0; i < 8; i++) random.u32();
  const family = families[index % families.length]!;
  const regs = Uint32Array.from({ length: 8 }, () => interesting(random));
  for (const [register, value] of POINTERS) regs[register] = value;
  return {
    name: `case ${index} of seed ${seed}, ${family}`,
    pieces: randomPieces(random, POOLS[family], MAX_PIECES, MAX_CODE_BYTES),
    regs,
    flags: random.u32() & FLAGS,
    ...randomState(random, family),
  };
}

/** What an oracle takes; undefined when the pieces do not go together. */
export function toInput(test: RandomCase): NativeInput | undefined {
  const code = assemble(test.pieces);
  if (code === undefined) return undefined;
  return {
    name: test.name,
    code: code.bytes,
    regs: test.regs,
    flags: test.flags,
    fx: test.fx,
    data: test.data,
    isApprox: code.isApprox,
    undefinedFlags: code.undefinedFlags,
  };
}
