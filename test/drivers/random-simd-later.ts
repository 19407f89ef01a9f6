/**
 * Random instructions of SSE3, SSSE3, SSE4.1, SSE4.2, POPCNT, MOVBE and RDTSCP's neighbours, as far as their results are exact and
 * do not depend on the machine.
 */
import { readFileSync } from "node:fs";
import type { Random } from "./random.ts";
import { ALL, type Maker, modrm } from "./random-code.ts";
import { type Operand, operand } from "./random-simd.ts";

/** What the host's processor must have, in the names of /proc/cpuinfo. */
const NEEDED = ["pni", "ssse3", "sse4_1", "sse4_2", "popcnt", "movbe"];

/** @returns what the host's processor lacks for these instructions; all of it where that cannot be asked. */
export function missingFeatures(): readonly string[] {
  let flags: readonly string[] = [];
  try {
    flags = /^flags\s*:(.*)$/m.exec(readFileSync("/proc/cpuinfo", "latin1"))?.[1]?.split(" ") ?? [];
  } catch {
    // Not Linux: nobody says.
  }
  return NEEDED.filter((name) => !flags.includes(name));
}

function range(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, i) => first + i);
}

/** Prefix, opcode bytes after 0F, operand. */
function packed(
  prefixes: readonly number[][],
  map: readonly number[],
  opcodes: readonly number[],
  kind: Operand = "any",
): Maker {
  return (r) => ({
    bytes: [...r.pick(prefixes), 0x0f, ...map, r.pick(opcodes), ...operand(r, r.below(8), kind)],
  });
}
const withImmediate =
  (maker: Maker): Maker =>
  (r) => {
    const { bytes } = maker(r);
    return { bytes: [...bytes, r.pick([r.below(256), r.below(16), r.below(64)])] };
  };
const definesAll =
  (maker: Maker): Maker =>
  (r) => ({ ...maker(r), defines: ALL });

const BOTH = [[], [0x66]];
const P66 = [[0x66]];
const PF2 = [[0xf2]];
const PF3 = [[0xf3]];
const DOUBLES_OR_SINGLES = [[0x66], [0xf2]];

const M38 = [0x38];
const M3A = [0x3a];

/** ModR/M of a memory operand. */
function memory(random: Random, reg: number): number[] {
  for (;;) {
    const form = modrm(random, reg);
    if (form[0]! < 0xc0) return form;
  }
}

/** One entry for each kind of instruction. */
export const SIMD_LATER_MAKERS: readonly Maker[] = [
  // SSE3: ADDSUB, HADD, HSUB; the duplicating moves; LDDQU; FISTTP.
  packed(DOUBLES_OR_SINGLES, [], [0xd0, 0x7c, 0x7d]),
  packed(DOUBLES_OR_SINGLES, [], [0xd0, 0x7c, 0x7d]),
  packed(PF3, [], [0x12, 0x16]),
  packed(PF2, [], [0x12]),
  packed(PF2, [], [0xf0], "memory"),
  (r) => ({ bytes: [r.pick([0xdb, 0xdd, 0xdf]), ...memory(r, 1)] }),
  // SSSE3.
  packed(BOTH, M38, [...range(0x00, 0x0b), 0x1c, 0x1d, 0x1e]),
  packed(BOTH, M38, [...range(0x00, 0x0b), 0x1c, 0x1d, 0x1e]),
  withImmediate(packed(BOTH, M3A, [0x0f])),
  // SSE4.1.
  packed(P66, M38, [0x10, 0x14, 0x15]),
  definesAll(packed(P66, M38, [0x17])),
  packed(P66, M38, [...range(0x20, 0x25), ...range(0x30, 0x35)]),
  packed(P66, M38, [0x28, 0x29, 0x2b, ...range(0x38, 0x41)]),
  packed(P66, M38, [0x2a], "memory"),
  withImmediate(packed(P66, M3A, range(0x08, 0x0b))),
  withImmediate(packed(P66, M3A, range(0x08, 0x0b))),
  withImmediate(packed(P66, M3A, [0x0c, 0x0d, 0x0e, 0x42])),
  withImmediate(packed(P66, M3A, [0x14, 0x15, 0x16, 0x17, 0x20, 0x21, 0x22])),
  withImmediate(packed(P66, M3A, [0x40, 0x41])),
  withImmediate(packed(P66, M3A, [0x40, 0x41])),
  // SSE4.2.
  packed(P66, M38, [0x37]),
  definesAll(withImmediate(packed(P66, M3A, range(0x60, 0x63)))),
  (r) => {
    // Short strings of few letters in EAX, EDX and the registers: otherwise hardly anything is equal.
    const length = (opcode: number) => [opcode, r.below(20), r.below(2) * 255, 0, 0];
    const lengths = r.below(2) === 0 ? [] : [...length(0xb8), ...length(0xba)];
    // pxor xmm1, xmm1; pshufb xmm0, xmm1: one byte everywhere.
    const uniform = [0x66, 0x0f, 0xef, 0xc9, 0x66, 0x0f, 0x38, 0x00, 0xc1];
    const compare = [0x66, 0x0f, 0x3a, r.pick(range(0x60, 0x63)), r.pick([0xc0, 0xc1, 0xd0, 0xc8])];
    return { bytes: [...lengths, ...uniform, ...compare, r.below(128)], defines: ALL };
  },
  // CRC32, POPCNT, MOVBE.
  (r) => ({
    bytes: [
      ...r.pick([[0xf2], [0x66, 0xf2]]),
      0x0f,
      0x38,
      0xf0 | r.below(2),
      ...modrm(r, r.pick([0, 1, 2])),
    ],
  }),
  (r) => ({
    bytes: [...r.pick([[0xf3], [0x66, 0xf3]]), 0x0f, 0xb8, ...modrm(r, r.pick([0, 1, 2]))],
    defines: ALL,
  }),
  (r) => ({
    bytes: [...r.pick(BOTH), 0x0f, 0x38, 0xf0 | r.below(2), ...memory(r, r.pick([0, 1, 2]))],
  }),
];
