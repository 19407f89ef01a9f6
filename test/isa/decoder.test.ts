/**
 * The decoder against iced-x86: which instructions exist, and how long they are. All one- and two-byte opcodes with random tails, under
 * prefixes; with DECODER=all every ModR/M byte under every prefix, else a sample that has each /reg with a register and with memory.
 * SEED gives other tails.
 */
import * as iced from "iced-x86";
import { describe, expect, it } from "vitest";
import {
  CPU_MODEL_CORE2,
  CPU_MODEL_I686,
  CPU_MODEL_MAX,
  CPU_MODEL_PENTIUM3,
  CPU_MODEL_PENTIUM4,
} from "../../abi/vcpu.ts";
import { DecoderMachine } from "../drivers/decoder-machine.ts";

const isFull = process.env.DECODER === "all";
const SEED = Number(process.env.SEED ?? 1);
const MAX_BYTES = 15;
const SHOWN = 20;

const { DecoderOptions } = iced;
/** Prefixes that later processors gave a meaning, and hints that they named, are what they were. */
const OPTIONS =
  DecoderOptions.ForceReservedNop |
  DecoderOptions.NoPause |
  DecoderOptions.NoWbnoinvd |
  DecoderOptions.NoMPFX_0FBC |
  DecoderOptions.NoMPFX_0FBD;

const features = (...names: (keyof typeof iced.CpuidFeature)[]): Set<number> =>
  new Set(names.map((name) => iced.CpuidFeature[name] as number));
const I686 = [
  "INTEL8086",
  "INTEL186",
  "INTEL286",
  "INTEL386",
  "INTEL486",
  "FPU",
  "FPU287",
  "FPU387",
  "CMOV",
  "CPUID",
  "CX8",
  "FXSR",
  "MSR",
  "MULTIBYTENOP",
  "RDPMC",
  "TSC",
] as const;
const PENTIUM3 = [...I686, "MMX", "SSE", "SEP"] as const;
const PENTIUM4 = [...PENTIUM3, "SSE2", "CLFSH"] as const;
const CORE2 = [...PENTIUM4, "SSE3", "SSSE3", "SSE4_1"] as const;
const MAX = [...CORE2, "SSE4_2", "POPCNT", "MOVBE", "RDTSCP", "RDPID", "SMAP"] as const;
/** CPU models, and what of iced's instructions each has. */
const MODELS = [
  { name: "i686", model: CPU_MODEL_I686, has: features(...I686) },
  { name: "pentium3", model: CPU_MODEL_PENTIUM3, has: features(...PENTIUM3) },
  { name: "pentium4", model: CPU_MODEL_PENTIUM4, has: features(...PENTIUM4) },
  { name: "core2", model: CPU_MODEL_CORE2, has: features(...CORE2) },
  { name: "max", model: CPU_MODEL_MAX, has: features(...MAX) },
];

interface Exception {
  readonly why: string;
  /** @param opcode the opcode with 0x0f00 for the two-byte map, its prefixes before it */
  matches(opcode: number, modrm: number, prefixes: readonly number[]): boolean;
}
const isMemory = (modrm: number) => modrm < 0xc0;
const reg = (modrm: number) => (modrm >> 3) & 7;
const EXCEPTIONS: readonly Exception[] = [
  {
    why: "UD0, UD1 and UD2 exist in order to be undefined",
    matches: (opcode) => opcode === 0x0f0b || opcode === 0x0fb9 || opcode === 0x0fff,
  },
  {
    why: "FXSAVE and FXRSTOR ignore 66, F2 and F3; the manual leaves to the processor whether they are undefined",
    matches: (opcode, modrm, prefixes) =>
      opcode === 0x0fae &&
      isMemory(modrm) &&
      reg(modrm) < 2 &&
      prefixes.some((prefix) => prefix === 0x66 || prefix === 0xf2 || prefix === 0xf3),
  },
  {
    why: "SYSENTER and SYSEXIT are there by trap policy, and this machine's is the one that leaves all to the Host",
    matches: (opcode) => opcode === 0x0f34 || opcode === 0x0f35,
  },
  {
    why: "PADDQ and PSUBQ on MMX registers came with SSE2 (SDM 2B, PADDQ); iced counts them as MMX",
    matches: (opcode) => opcode === 0x0fd4 || opcode === 0x0ffb,
  },
];

const ALL_PREFIXES: readonly (readonly number[])[] = [
  [],
  [0x66],
  [0x67],
  [0xf2],
  [0xf3],
  [0xf0],
  [0x66, 0xf2],
  [0x66, 0xf3],
  [0xf0, 0x66],
  [0xf0, 0xf3],
  [0x26],
  [0x2e],
  [0x36],
  [0x3e],
  [0x64],
  [0x65],
  [0x64, 0x67, 0x66],
];
const PREFIX_BYTES = new Set(ALL_PREFIXES.flat());
/** Without DECODER=all one segment prefix stands for the six. */
const PREFIXES = isFull
  ? ALL_PREFIXES
  : ALL_PREFIXES.filter(([first, second]) => second !== undefined || !isSegment(first));

function isSegment(prefix: number | undefined): boolean {
  return prefix !== undefined && prefix < 0x66 && prefix !== 0x2e;
}

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");

function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state >>> 24;
  };
}

/** ModR/M bytes to try: all, or for every /reg a register and a memory operand, now and then SIB and absolute ones. */
function* modrms(next: () => number): Generator<number> {
  if (isFull) {
    for (let modrm = 0; modrm < 256; modrm++) yield modrm;
    return;
  }
  for (let group = 0; group < 8; group++) {
    yield 0xc0 | (group << 3) | (next() & 7);
    yield ((next() % 3) << 6) | (group << 3) | (next() & 7);
    if (group === (next() & 7)) yield ((next() % 3) << 6) | (group << 3) | 4 | (next() & 1);
  }
}

interface Case {
  readonly code: Uint8Array;
  readonly opcode: number;
  readonly modrm: number;
  readonly prefixes: readonly number[];
}

function* cases(): Generator<Case> {
  const next = random(SEED);
  for (const prefixes of PREFIXES) {
    for (let opcode = 0; opcode < 0x1000; opcode++) {
      if (opcode === 0x100) opcode = 0x0f00;
      if (opcode === 0x0f || PREFIX_BYTES.has(opcode)) continue;
      for (const modrm of modrms(next)) {
        const start = opcode > 0xff ? [...prefixes, 0x0f, opcode & 0xff] : [...prefixes, opcode];
        const code = Uint8Array.from({ length: MAX_BYTES }, next);
        code.set([...start, modrm]);
        yield { code, opcode, modrm, prefixes };
      }
    }
  }
}

describe.each(MODELS)("on a $name", ({ model, has }) => {
  it.each([32, 16] as const)(
    `every opcode exists and is as long as iced-x86 says, in %i-bit code (seed ${SEED})`,
    {
      timeout: isFull ? 600_000 : 60_000,
    },
    (bits) => {
      const machine = new DecoderMachine(bits, model);
      const instruction = new iced.Instruction();
      const lines: string[] = [];
      const excused = new Set<Exception>();
      for (const { code, opcode, modrm, prefixes } of cases()) {
        const decoder = new iced.Decoder(bits, code, OPTIONS);
        decoder.decodeOut(instruction);
        decoder.free();
        const exists =
          instruction.code !== iced.Code.INVALID &&
          instruction.cpuidFeatures().every((feature) => has.has(feature));
        const length = exists ? instruction.length : MAX_BYTES;
        const verdict = machine.attempt(code, length);
        const cut = exists && length > 1 ? machine.attempt(code, length - 1) : "wants more";
        if (verdict === (exists ? "runs" : "undefined") && cut === "wants more") continue;
        const exception = EXCEPTIONS.find((e) => e.matches(opcode, modrm, prefixes));
        if (exception !== undefined) excused.add(exception);
        else if (lines.length < SHOWN) {
          const want = exists ? `${length} bytes, ${iced.Code[instruction.code]}` : "undefined";
          lines.push(`${hex(code)}: ${want}; the core: ${verdict}, one byte less: ${cut}`);
        }
      }
      instruction.free();
      expect(lines).toEqual([]);
      expect(excused.size).toBeGreaterThan(0);
    },
  );
});

describe("an instruction", () => {
  const prefixed = (prefixes: number, opcode: number[]) =>
    Uint8Array.from([
      ...Array.from({ length: prefixes }, (_, i) => [0x66, 0x2e][i % 2]!),
      ...opcode,
    ]);
  const machine = new DecoderMachine(32, CPU_MODEL_I686);

  it("of 15 bytes runs, whatever they are", () => {
    expect(machine.attempt(prefixed(14, [0x90]), 15)).toBe("runs");
    expect(machine.attempt(prefixed(13, [0x88, 0xc0]), 15)).toBe("runs");
  });

  it("of more than 15 bytes raises #GP(0), before it is looked at", () => {
    expect(machine.attempt(prefixed(15, [0x90]), 16)).toBe("too long");
    expect(machine.attempt(prefixed(14, [0x88, 0xc0]), 16)).toBe("too long");
    expect(machine.attempt(prefixed(14, [0x0f, 0xff]), 16)).toBe("too long");
  });
});
