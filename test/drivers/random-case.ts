/** Random cases by number: seed and index alone make the same case again. */
import { CODE_BYTES, DATA_BYTES, ENTRY, type NativeInput } from "./native.ts";
import type { FxState } from "./nv1.ts";
import { interesting, Random } from "./random.ts";
import { assemble, type Bits, type Maker, type Piece, randomPieces } from "./random-code.ts";
import { randomFlow } from "./random-flow.ts";
import { INTEGER_MAKERS } from "./random-integer.ts";
import { MEMORY_MAKERS } from "./random-memory.ts";
import { randomSegments } from "./random-segments.ts";
import { ESTIMATE_MAKERS, randomSimdFx, randomXmm, SIMD_MAKERS } from "./random-simd.ts";
import { SIMD_LATER_MAKERS } from "./random-simd-later.ts";
import { randomFx, TRANSCENDENTAL_MAKERS, X87_MAKERS } from "./random-x87.ts";

/** A case before it is assembled. */
export interface RandomCase {
  readonly name: string;
  readonly pieces: readonly Piece[];
  /** Linear address of its first piece. */
  readonly codeAt: number;
  readonly regs: Uint32Array;
  readonly flags: number;
  readonly segs: readonly number[] | undefined;
  readonly fx: FxState | undefined;
  readonly data: Uint8Array;
}

/** A family of instructions. */
export type Family = "integer" | "x87" | "simd" | "sse4" | "memory" | "segments" | "flow";
export const FAMILIES: readonly Family[] = [
  "integer",
  "x87",
  "simd",
  "sse4",
  "memory",
  "segments",
  "flow",
];

/** Whether an argument names a family. */
export function isFamily(name: string): name is Family {
  return (FAMILIES as readonly string[]).includes(name);
}

const MAX_PIECES = 8;
const MAX_CODE_BYTES = 160;
const FLOW_PIECES = 24;
const FLAGS = 0xcd5;
const EFLAGS_TF = 0x100;
/** One case in so many single-steps. */
const STEPPED = 12;
const CS16 = 0x4f;
const PAGE_END = 0x00101000;
/** EBX, ESP, EBP, ESI, EDI point into the mapped ranges. */
const POINTERS: readonly (readonly [register: number, value: number])[] = [
  [3, 0x00200440],
  [4, 0x00301000],
  [5, 0x00301008],
  [6, 0x00200480],
  [7, 0x002004c0],
];
/** The same as offsets in a segment that begins with DATA. */
const OFFSETS: readonly (readonly [register: number, value: number])[] = [
  [3, 0x440],
  [6, 0x480],
  [7, 0x4c0],
];

function times(makers: readonly Maker[], count: number): Maker[] {
  return Array.from({ length: count }, () => makers).flat();
}

/** What each family draws from: its own instructions, and a few of the others between them. */
const POOLS: Readonly<Record<Exclude<Family, "segments" | "flow">, readonly Maker[]>> = {
  integer: INTEGER_MAKERS,
  simd: [...times(SIMD_MAKERS, 12), ...ESTIMATE_MAKERS, ...INTEGER_MAKERS, ...X87_MAKERS],
  sse4: [...times(SIMD_LATER_MAKERS, 3), ...SIMD_MAKERS, ...INTEGER_MAKERS.slice(0, 8)],
  x87: [...times(X87_MAKERS, 12), ...TRANSCENDENTAL_MAKERS, ...INTEGER_MAKERS],
  memory: [...times(MEMORY_MAKERS, 4), ...INTEGER_MAKERS],
};

function isSimd(family: Family): boolean {
  return family === "simd" || family === "sse4";
}

function randomData(random: Random, family: Family): Uint8Array {
  const data = Uint8Array.from({ length: DATA_BYTES }, () => random.below(256));
  if (isSimd(family)) {
    for (let at = 0; at < DATA_BYTES; at += 16) data.set(randomXmm(random), at);
  }
  return data;
}

function randomState(random: Random, family: Family): FxState | undefined {
  if (family === "x87") return randomFx(random);
  return isSimd(family) ? randomSimdFx(random) : undefined;
}

type Program = Pick<RandomCase, "pieces" | "codeAt" | "segs">;

/** Code, and the registers it counts on in `regs`. */
function randomProgram(random: Random, family: Family, regs: Uint32Array): Program {
  const set = ([register, value]: readonly [number, number]) => {
    regs[register] = value;
  };
  if (family === "segments") {
    const { pieces, segs, esp, ebp } = randomSegments(random, MAX_PIECES);
    if (random.below(4) > 0) OFFSETS.forEach(set);
    else POINTERS.forEach(set);
    regs[4] = esp;
    regs[5] = ebp;
    return { pieces, segs, codeAt: ENTRY };
  }
  POINTERS.forEach(set);
  if (family === "flow") {
    // Half of them lie across the end of a page.
    const codeAt = random.below(2) === 0 ? ENTRY : PAGE_END - random.below(200);
    return { pieces: randomFlow(random, INTEGER_MAKERS, FLOW_PIECES), segs: undefined, codeAt };
  }
  const pieces = randomPieces(random, POOLS[family], MAX_PIECES, MAX_CODE_BYTES);
  const codeAt = random.below(8) === 0 ? PAGE_END - random.below(30) : ENTRY;
  return { pieces, segs: undefined, codeAt };
}

/** Case number `index` of a seed. */
export function randomCase(seed: number, index: number, families: readonly Family[]): RandomCase {
  const random = new Random(Math.imul(seed, 0x9e3779b1) ^ Math.imul(index + 1, 0x85ebca6b));
  // The generator's first numbers are alike for like seeds.
  for (let i = 0; i < 8; i++) random.u32();
  const family = families[index % families.length]!;
  const regs = Uint32Array.from({ length: 8 }, () => interesting(random));
  const program = randomProgram(random, family, regs);
  const steps = random.below(STEPPED) === 0 ? EFLAGS_TF : 0;
  return {
    name: `case ${index} of seed ${seed}, ${family}`,
    ...program,
    regs,
    flags: (random.u32() & FLAGS) | steps,
    fx: randomState(random, family),
    data: randomData(random, family),
  };
}

/** Code size in force at the start of a case. */
export function startBits(test: RandomCase): Bits {
  return test.segs?.[1] === CS16 ? 16 : 32;
}

/** What an oracle takes; undefined when the pieces do not go together. */
export function toInput(test: RandomCase): NativeInput | undefined {
  const code = assemble(test.pieces, test.codeAt, startBits(test));
  if (code === undefined || code.bytes.length > CODE_BYTES) return undefined;
  return {
    name: test.name,
    code: code.bytes,
    codeAt: test.codeAt,
    regs: test.regs,
    flags: test.flags,
    segs: test.segs,
    fx: test.fx,
    data: test.data,
    isApprox: code.isApprox,
    undefinedFlags: code.undefinedFlags,
  };
}
