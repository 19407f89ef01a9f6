/**
 * SSE3 to SSE4.2 and their companions: a few exact results of each group, worked out by hand from the manual, so that machines without
 * these instructions prove something too. test/isa/random.test.ts compares all of them with silicon.
 */
import { describe, expect, it } from "vitest";
import { MXCSR_INIT, MXCSR_PE } from "../../../abi/sse.ts";
import {
  CPU_MODEL_MAX,
  VCPU_CR0,
  VCPU_CR4,
  VCPU_FCW,
  VCPU_FPR,
  VCPU_FTW,
  VCPU_MXCSR,
  VCPU_XMM,
} from "../../../abi/vcpu.ts";
import {
  CR0_ET,
  CR0_NE,
  CR0_PE,
  CR4_OSFXSR,
  CR4_OSXMMEXCPT,
  EFLAGS_ARITH,
  EFLAGS_CF,
  EFLAGS_OF,
  EFLAGS_SF,
  EFLAGS_ZF,
  REG_EAX,
  REG_ECX,
  REG_EDX,
} from "../../../abi/x86.ts";
import { type Code, hlt, le } from "../protect/assembler.ts";
import { DATA, Machine } from "../protect/machine.ts";

interface Given {
  readonly xmm0?: readonly number[];
  readonly xmm1?: readonly number[];
  readonly eax?: number;
  readonly ecx?: number;
  readonly edx?: number;
  readonly mxcsr?: number;
}

/** Runs one instruction on a `max`. */
function run(code: Code, given: Given = {}) {
  const m = new Machine();
  const v = m.vcpu;
  m.core.exports.vcpuSetModel(v.ptr, CPU_MODEL_MAX);
  v.setU32(VCPU_CR0, CR0_PE | CR0_ET | CR0_NE);
  v.setU32(VCPU_CR4, CR4_OSFXSR | CR4_OSXMMEXCPT);
  v.setU32(VCPU_MXCSR, given.mxcsr ?? MXCSR_INIT);
  v.setGpr(REG_EAX, given.eax ?? 0);
  v.setGpr(REG_ECX, given.ecx ?? 0);
  v.setGpr(REG_EDX, given.edx ?? 0);
  const block = m.core.bytes(v.ptr + VCPU_XMM + 32);
  block.set(given.xmm0 ?? [], v.ptr + VCPU_XMM);
  block.set(given.xmm1 ?? [], v.ptr + VCPU_XMM + 16);
  m.assemble(v.eip, code, hlt);
  expect(m.runToHalt()).toBe(-1);
  const at = v.ptr + VCPU_XMM;
  const result = {
    xmm0: [...m.core.bytes(at + 16).slice(at, at + 16)],
    eax: v.gpr(REG_EAX),
    ecx: v.gpr(REG_ECX),
    mxcsr: v.u32(VCPU_MXCSR),
    flags: v.eflags & EFLAGS_ARITH,
  };
  m.destroy();
  return result;
}

const bytes = (values: ArrayLike<number> & { readonly buffer: ArrayBufferLike }) => [
  ...new Uint8Array(values.buffer),
];
const singles = (...values: number[]) => bytes(Float32Array.from(values));
const doubles = (...values: number[]) => bytes(Float64Array.from(values));
const words = (...values: number[]) => bytes(Uint16Array.from(values));
const text = (value: string) => Array.from({ length: 16 }, (_, i) => value.charCodeAt(i) || 0);
const COUNT = Array.from({ length: 16 }, (_, i) => i);

describe("vectors", () => {
  it.each<[string, Code, number[], number[], number[]]>([
    [
      "ADDSUBPS",
      [0xf2, 0x0f, 0xd0, 0xc1],
      singles(1, 2, 3, 4),
      singles(10, 20, 30, 40),
      singles(-9, 22, -27, 44),
    ],
    ["HADDPD", [0x66, 0x0f, 0x7c, 0xc1], doubles(1, 2), doubles(3, 5), doubles(3, 8)],
    [
      "HSUBPS",
      [0xf2, 0x0f, 0x7d, 0xc1],
      singles(1, 2, 3, 5),
      singles(7, 1, 2, 9),
      singles(-1, -2, 6, -7),
    ],
    ["MOVDDUP", [0xf2, 0x0f, 0x12, 0xc1], [], doubles(7, 9), doubles(7, 7)],
    [
      "PSHUFB, zero where bit 7 is set",
      [0x66, 0x0f, 0x38, 0x00, 0xc1],
      COUNT,
      [...Array(14).fill(3), 0x80, 0x7f],
      [...Array(14).fill(3), 0, 15],
    ],
    [
      "PMULHRSW of -1 and -1 wraps",
      [0x66, 0x0f, 0x38, 0x0b, 0xc1],
      words(0x8000, 0x4000, 0x4000, 0, 0, 0, 0, 0),
      words(0x8000, 0x4000, 1, 0, 0, 0, 0, 0),
      words(0x8000, 0x2000, 1, 0, 0, 0, 0, 0),
    ],
    [
      "PMADDUBSW saturates",
      [0x66, 0x0f, 0x38, 0x04, 0xc1],
      [255, 255, 255, 255, 1, 2, ...Array(10).fill(0)],
      [127, 127, 128, 128, 3, 0xff, ...Array(10).fill(0)],
      words(0x7fff, 0x8000, 1, 0, 0, 0, 0, 0),
    ],
    [
      "PALIGNR by 20",
      [0x66, 0x0f, 0x3a, 0x0f, 0xc1, 20],
      COUNT,
      Array(16).fill(99),
      [4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 0, 0, 0, 0],
    ],
    [
      "PHMINPOSUW",
      [0x66, 0x0f, 0x38, 0x41, 0xc1],
      [],
      words(9, 8, 3, 7, 3, 9, 9, 9),
      words(3, 2, 0, 0, 0, 0, 0, 0),
    ],
    [
      "MPSADBW from place 4 of both",
      [0x66, 0x0f, 0x3a, 0x42, 0xc1, 0b101],
      COUNT,
      COUNT,
      words(0, 4, 8, 12, 16, 20, 24, 28),
    ],
    [
      "PMOVSXBQ",
      [0x66, 0x0f, 0x38, 0x22, 0xc1],
      [],
      [0xfe, 0x05, ...Array(14).fill(9)],
      bytes(BigInt64Array.from([-2n, 5n]) as never),
    ],
    [
      "INSERTPS with zeroes",
      [0x66, 0x0f, 0x3a, 0x21, 0xc1, 0b10_01_1000],
      singles(1, 2, 3, 4),
      singles(5, 6, 7, 8),
      singles(1, 7, 3, 0),
    ],
    [
      "DPPS of three products into two places",
      [0x66, 0x0f, 0x3a, 0x40, 0xc1, 0b0111_1001],
      singles(1, 2, 3, 4),
      singles(10, 20, 30, 40),
      singles(140, 0, 0, 140),
    ],
    [
      "ROUNDPS up",
      [0x66, 0x0f, 0x3a, 0x08, 0xc1, 2],
      [],
      singles(0.1, -0.1, 2.5, -2.5),
      singles(1, -0, 3, -2),
    ],
    [
      "ROUNDSD to nearest even leaves the other half",
      [0x66, 0x0f, 0x3a, 0x0b, 0xc1, 0],
      doubles(7, 9),
      doubles(2.5, 1),
      doubles(2, 9),
    ],
  ])("%s", (_name, code, xmm0, xmm1, want) => {
    expect(run(code, { xmm0, xmm1 }).xmm0).toEqual(want);
  });

  it("ROUND is inexact unless its immediate says that this does not matter", () => {
    const xmm1 = singles(0.5, 0, 0, 0);
    const controlAfter = (imm: number) => run([0x66, 0x0f, 0x3a, 0x0a, 0xc1, imm], { xmm1 }).mxcsr;
    expect(controlAfter(0) & MXCSR_PE).toBe(MXCSR_PE);
    expect(controlAfter(8) & MXCSR_PE).toBe(0);
  });
});

describe("strings", () => {
  it.each<[string, number, string, string, number, number]>([
    [
      "equal any: the first vowel",
      0x00,
      "aeiou",
      "xyzzy, plover",
      9,
      EFLAGS_CF | EFLAGS_ZF | EFLAGS_SF,
    ],
    ["ranges: the last digit", 0x44, "09", "a1b22c", 4, EFLAGS_CF | EFLAGS_ZF | EFLAGS_SF],
    [
      "equal each, negated: the first difference",
      0x18,
      "abcd",
      "abxd",
      2,
      EFLAGS_CF | EFLAGS_ZF | EFLAGS_SF,
    ],
    ["equal ordered: the needle", 0x0c, "lo", "hello", 3, EFLAGS_CF | EFLAGS_ZF | EFLAGS_SF],
    ["nothing found", 0x00, "q", "0123456789abcdef", 16, EFLAGS_SF],
    [
      "the first element sets OF",
      0x00,
      "h",
      "hello",
      0,
      EFLAGS_CF | EFLAGS_ZF | EFLAGS_SF | EFLAGS_OF,
    ],
  ])("PCMPISTRI, %s", (_name, imm, a, b, index, flags) => {
    const result = run([0x66, 0x0f, 0x3a, 0x63, 0xc1, imm], { xmm0: text(a), xmm1: text(b) });
    expect([result.ecx, result.flags]).toEqual([index, flags]);
  });

  it("PCMPESTRM takes lengths from EAX and EDX, and their magnitudes", () => {
    const given = { xmm0: text("ab"), xmm1: text("abab"), eax: -2, edx: 3 };
    const { xmm0, flags } = run([0x66, 0x0f, 0x3a, 0x60, 0xc1, 0x40], given);
    expect(xmm0).toEqual([255, 255, 255, ...Array(13).fill(0)]);
    expect(flags).toBe(EFLAGS_CF | EFLAGS_ZF | EFLAGS_SF | EFLAGS_OF);
  });
});

describe("general registers", () => {
  it('CRC32 of "123456789", byte by byte, is that of Castagnoli\'s polynomial', () => {
    let rest = 0xffffffff;
    for (const byte of Buffer.from("123456789")) {
      rest = run([0xf2, 0x0f, 0x38, 0xf0, 0xc1], { eax: rest, ecx: byte }).eax >>> 0;
    }
    expect((rest ^ 0xffffffff) >>> 0).toBe(0xe3069283);
  });

  it("POPCNT counts, with ZF for nothing", () => {
    const popcnt = [0xf3, 0x0f, 0xb8, 0xc1];
    expect(run(popcnt, { ecx: 0xf0f0_0001 })).toMatchObject({ eax: 9, flags: 0 });
    expect(run(popcnt, { eax: 5, ecx: 0 })).toMatchObject({ eax: 0, flags: EFLAGS_ZF });
  });

  it("MOVBE stores and loads with the bytes turned round", () => {
    const there = [0x0f, 0x38, 0xf1, 0x05, ...le(DATA, 4)];
    const back = [0x66, 0x0f, 0x38, 0xf0, 0x0d, ...le(DATA, 4)];
    expect(run([...there, ...back], { eax: 0x11223344 }).ecx).toBe(0x1122);
    expect(run([...there, 0x8b, 0x0d, ...le(DATA, 4)], { eax: 0x11223344 }).ecx).toBe(0x44332211);
  });
});

it("FISTTP cuts toward zero, whatever the control word says", () => {
  const m = new Machine();
  const v = m.vcpu;
  m.core.exports.vcpuSetModel(v.ptr, CPU_MODEL_MAX);
  v.setU32(VCPU_CR0, CR0_PE | CR0_ET | CR0_NE);
  // Rounding up; -1.75 in ST(0).
  v.setU32(VCPU_FCW, 0x0b7f);
  v.setU32(VCPU_FTW, 0xfffc);
  const words32 = m.core.words(v.ptr + VCPU_FPR + 16);
  words32.setUint32(v.ptr + VCPU_FPR + 4, 0xe0000000, true);
  words32.setUint32(v.ptr + VCPU_FPR + 8, 0xbfff, true);
  m.assemble(v.eip, [0xdb, 0x0d, ...le(DATA, 4)], [0xa1, ...le(DATA, 4)], hlt);
  expect(m.runToHalt()).toBe(-1);
  expect(v.gpr(REG_EAX) | 0).toBe(-1);
  expect(v.u32(VCPU_FTW)).toBe(0xffff);
  m.destroy();
});
