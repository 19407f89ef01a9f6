/** x87: what the recorded vectors do not reach. Availability, pending exceptions, pointers and images, both ways of arithmetic, accuracy. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  CPU_MODEL_PENTIUM3,
  EXIT_FERR,
  POLICY_EXIT,
  VCPU_CPL,
  VCPU_CR0,
  VCPU_EFLAGS,
  VCPU_EIP,
  VCPU_FCS,
  VCPU_FCW,
  VCPU_FDP,
  VCPU_FDS,
  VCPU_FIP,
  VCPU_FOP,
  VCPU_FPR,
  VCPU_FSW,
  VCPU_FTW,
  VCPU_RETIRED,
} from "../../../abi/vcpu.ts";
import {
  CR0_EM,
  CR0_ET,
  CR0_MP,
  CR0_NE,
  CR0_PE,
  CR0_TS,
  EFLAGS_FIXED,
  EFLAGS_VM,
  REG_EAX,
  REG_EBP,
  SEG_CS,
  SEG_DS,
  SEG_ES,
  SEG_FS,
  SEG_SS,
  VECTOR_GP,
  VECTOR_MF,
  VECTOR_NM,
  VECTOR_UD,
} from "../../../abi/x86.ts";
import { FCW_INIT, FSW_B, FSW_C2, FSW_ES, FSW_TOP, FSW_ZE, FTW_INIT } from "../../../abi/x87.ts";
import { type Code, hlt, le } from "../protect/assembler.ts";
import { CODE, DATA, DATA0, FLAT, FREE, KERNEL_DS, Machine } from "../protect/machine.ts";

const absolute = (opcode: number, op: number, address: number): Code => [
  opcode,
  (op << 3) | 5,
  ...le(address, 4),
];
const fninit: Code = [0xdb, 0xe3];
const fnclex: Code = [0xdb, 0xe2];
const fnstswAx: Code = [0xdf, 0xe0];
const emms: Code = [0x0f, 0x77];
const fwait: Code = [0x9b];
const fld1: Code = [0xd9, 0xe8];
const fldz: Code = [0xd9, 0xee];
const fadd: Code = [0xd8, 0xc1];
const fdivp: Code = [0xde, 0xf9];
const fchs: Code = [0xd9, 0xe0];
const fsin: Code = [0xd9, 0xfe];
const fcos: Code = [0xd9, 0xff];
const fptan: Code = [0xd9, 0xf2];
const fpatan: Code = [0xd9, 0xf3];
const f2xm1: Code = [0xd9, 0xf0];
const fyl2x: Code = [0xd9, 0xf1];
const fyl2xp1: Code = [0xd9, 0xf9];
const fsqrt: Code = [0xd9, 0xfa];
const fldcw = (address: number) => absolute(0xd9, 5, address);
const fnstcw = (address: number) => absolute(0xd9, 7, address);
const fnstenv = (address: number) => absolute(0xd9, 6, address);
const fldenv = (address: number) => absolute(0xd9, 4, address);
const fnsave = (address: number) => absolute(0xdd, 6, address);
const frstor = (address: number) => absolute(0xdd, 4, address);
const fnstsw = (address: number) => absolute(0xdd, 7, address);
const fldExtended = (address: number) => absolute(0xdb, 5, address);
const fstpExtended = (address: number) => absolute(0xdb, 7, address);
const faddDouble = (address: number) => absolute(0xdc, 0, address);

const fxsave = (address: number): Code => [0x0f, 0xae, 0x05, ...le(address, 4)];

const PROTECTED = CR0_PE | CR0_ET | CR0_NE;
const UNMASK_ZE = FCW_INIT & ~FSW_ZE;

/** A machine about to run `code` in ring 0, its FPU initialized. */
function machine(cr0: number, ...code: Code[]): Machine {
  const m = new Machine();
  m.vcpu.setU32(VCPU_CR0, cr0);
  m.vcpu.setU32(VCPU_FCW, FCW_INIT);
  m.vcpu.setU32(VCPU_FTW, FTW_INIT);
  m.assemble(CODE, ...code, hlt);
  return m;
}
/** Runs `code`. @returns the vector it ended with, -1 for its own HLT. */
function vectorOf(cr0: number, ...code: Code[]): number {
  const m = machine(cr0, ...code);
  const vector = m.runToHalt();
  m.destroy();
  return vector;
}
/** Code that leaves a division by zero pending. */
function divideByZero(m: Machine): Code[] {
  m.write(DATA, le(UNMASK_ZE, 2));
  return [fldcw(DATA), fld1, fldz, fdivp];
}

/** An 80-bit number: sign and exponent over the significand. */
interface Extended {
  readonly se: number;
  readonly sig: bigint;
}
function putExtended(m: Machine, address: number, { se, sig }: Extended): void {
  const bytes = Array.from({ length: 8 }, (_, i) => Number((sig >> BigInt(8 * i)) & 0xffn));
  m.write(address, [...bytes, ...le(se, 2)]);
}
function getExtended(m: Machine, address: number): Extended {
  const low = BigInt(m.read32(address));
  const high = BigInt(m.read32(address + 4));
  return { se: m.read(address + 8, 2), sig: (high << 32n) | low };
}

describe("availability", () => {
  it.each([CR0_TS, CR0_EM, CR0_TS | CR0_MP])(
    "with CR0 bits %i an instruction raises #NM",
    (bits) => {
      expect(vectorOf(PROTECTED | bits, fld1)).toBe(VECTOR_NM);
      expect(vectorOf(PROTECTED | bits, fnstswAx)).toBe(VECTOR_NM);
    },
  );

  it("FWAIT raises #NM only when TS and MP are both set", () => {
    expect(vectorOf(PROTECTED | CR0_TS, fwait)).toBe(-1);
    expect(vectorOf(PROTECTED | CR0_MP, fwait)).toBe(-1);
    expect(vectorOf(PROTECTED | CR0_EM, fwait)).toBe(-1);
    expect(vectorOf(PROTECTED | CR0_TS | CR0_MP, fwait)).toBe(VECTOR_NM);
  });

  it.each([
    [0xd9, 0xd1],
    [0xd9, 0xe2],
    [0xd9, 0xef],
    [0xda, 0xe8],
    [0xdb, 0xe5],
    [0xde, 0xd8],
    [0xdf, 0xe1],
    [0xdf, 0xf8],
  ])("%i %i is no instruction", (opcode, modrm) => {
    expect(vectorOf(PROTECTED, [opcode, modrm])).toBe(VECTOR_UD);
  });
});

describe("pending exceptions", () => {
  it.each<[string, Code]>([
    ["FWAIT", fwait],
    ["FLD1", fld1],
    ["FCHS", fchs],
    ["FADD m64", faddDouble(DATA)],
    ["FLDCW", fldcw(DATA)],
    ["FLDENV", fldenv(DATA)],
    ["FRSTOR", frstor(DATA)],
  ])("%s raises #MF, at itself", (_, code) => {
    const m = machine(PROTECTED);
    const before = divideByZero(m);
    m.assemble(CODE, ...before, code, hlt);
    expect(m.runToHalt()).toBe(VECTOR_MF);
    // The frame's EIP.
    expect(m.frame(1)[0]).toBe(CODE + before.flat().length);
    m.destroy();
  });

  it.each<[string, Code]>([
    ["FNINIT", fninit],
    ["FNCLEX", fnclex],
    ["FNSTSW AX", fnstswAx],
    ["FNSTSW m16", fnstsw(DATA + 16)],
    ["FNSTCW", fnstcw(DATA + 16)],
    ["FNSTENV", fnstenv(DATA + 16)],
    ["FNSAVE", fnsave(DATA + 16)],
  ])("%s does not wait for them", (_, code) => {
    const m = machine(PROTECTED);
    m.assemble(CODE, ...divideByZero(m), code, hlt);
    expect(m.runToHalt()).toBe(-1);
    m.destroy();
  });

  it("a division by zero that is unmasked leaves the operands and sets ES and B", () => {
    const m = machine(PROTECTED);
    m.assemble(CODE, ...divideByZero(m), fnstswAx, hlt);
    m.runToHalt();
    const expected = FSW_ZE | FSW_ES | FSW_B | (6 << 11);
    expect(m.vcpu.gpr(REG_EAX) & 0xffff).toBe(expected);
    m.destroy();
  });

  it("unmasking a recorded exception makes it pending, masking it again does not", () => {
    const m = machine(PROTECTED, fld1, fldz, fdivp, fldcw(DATA), fldcw(DATA + 2), fwait);
    m.write(DATA, [...le(UNMASK_ZE, 2), ...le(FCW_INIT, 2)]);
    // The second FLDCW is a waiting instruction.
    expect(m.runToHalt()).toBe(VECTOR_MF);
    m.destroy();
  });

  it.each<[string, Code]>([
    ["FWAIT", fwait],
    ["an x87 instruction", fld1],
    ["an MMX instruction", emms],
  ])("while CR0.NE is clear %s asserts FERR#, once, and then goes on", (_, waiting) => {
    const m = machine(CR0_PE | CR0_ET);
    m.core.exports.vcpuSetModel(m.vcpu.ptr, CPU_MODEL_PENTIUM3);
    const code = divideByZero(m);
    m.assemble(CODE, ...code, waiting, fwait, hlt);
    expect(m.run()).toBe(EXIT_FERR);
    expect(m.vcpu.eip).toBe(CODE + code.flat().length);
    expect(m.vcpu.u64(VCPU_RETIRED)).toBe(BigInt(code.length));
    expect(m.runToHalt()).toBe(-1);
    m.destroy();
  });

  it.each<[string, Code]>([
    ["FNCLEX", fnclex],
    ["FNINIT", fninit],
    ["FLDENV", fldenv(DATA + 64)],
  ])("%s ends it, and the next exception asserts it anew", (_, clear) => {
    const m = machine(CR0_PE | CR0_ET, fnstenv(DATA + 64));
    m.runToHalt();
    m.assemble(CODE, ...divideByZero(m), fwait, clear, ...divideByZero(m), fwait, hlt);
    m.enter(0);
    expect([m.run(), m.run(), m.runToHalt()]).toEqual([EXIT_FERR, EXIT_FERR, -1]);
    m.destroy();
  });

  it("a paravirtual kernel never asserts it", () => {
    const m = new Machine(POLICY_EXIT);
    m.vcpu.setU32(VCPU_CR0, CR0_PE | CR0_ET);
    m.vcpu.setU32(VCPU_FCW, FCW_INIT);
    m.vcpu.setU32(VCPU_FTW, FTW_INIT);
    m.assemble(CODE, ...divideByZero(m), fwait, fld1, hlt);
    expect(m.runToHalt()).toBe(-1);
    m.destroy();
  });
});

describe("pointers and images", () => {
  it("the last instruction and operand are remembered, and control instructions are not", () => {
    const m = machine(PROTECTED, fld1, faddDouble(DATA + 8), fnstcw(DATA), fnclex, fwait);
    m.runToHalt();
    expect(m.vcpu.u32(VCPU_FIP)).toBe(CODE + fld1.length);
    expect(m.vcpu.u32(VCPU_FOP)).toBe(0x405);
    expect(m.vcpu.u32(VCPU_FDP)).toBe(DATA + 8);
    m.destroy();
  });

  it("the pointers are offsets, with the selectors of code and operand", () => {
    const m = machine(PROTECTED, fld1, [0x64, ...faddDouble(8)], fnstenv(DATA), fxsave(DATA + 64));
    m.vcpu.setSegment(SEG_FS, { selector: FREE, base: DATA + 8, limit: 0xfff, attr: 0x4093 });
    m.runToHalt();
    const fip = CODE + fld1.length;
    const selectors = [m.selector(SEG_CS), FREE];
    expect([m.read32(DATA + 12), m.read32(DATA + 20)]).toEqual([fip, 8]);
    expect([m.read(DATA + 16, 2), m.read(DATA + 24, 2)]).toEqual(selectors);
    expect([m.read32(DATA + 64 + 8), m.read32(DATA + 64 + 16)]).toEqual([fip, 8]);
    expect([m.read(DATA + 64 + 12, 2), m.read(DATA + 64 + 20, 2)]).toEqual(selectors);
    m.destroy();
  });

  it.each<[string, Code, number, number]>([
    ["through DS", faddDouble(DATA), SEG_DS, DATA],
    ["through CS by a prefix", [0x2e, ...faddDouble(DATA)], SEG_CS, DATA],
    ["through SS because of EBP", [0xdc, 0x45, 8], SEG_SS, DATA + 8],
  ])("an operand %s has its selector", (_, code, segment, offset) => {
    const m = machine(PROTECTED, fld1, code);
    m.vcpu.setSegment(SEG_SS, { ...m.vcpu.segment(SEG_SS), selector: KERNEL_DS | 0x100 });
    m.vcpu.setGpr(REG_EBP, DATA);
    m.runToHalt();
    expect(m.vcpu.u32(VCPU_FDS)).toBe(m.selector(segment));
    expect(m.vcpu.u32(VCPU_FDP)).toBe(offset);
    m.destroy();
  });

  it("FNINIT forgets the selectors", () => {
    const m = machine(PROTECTED, fld1, faddDouble(DATA), fninit);
    m.runToHalt();
    expect([m.vcpu.u32(VCPU_FCS), m.vcpu.u32(VCPU_FDS)]).toEqual([0, 0]);
    m.destroy();
  });

  it.each([CR0_ET | CR0_NE, PROTECTED])(
    "FNSTENV outside protected mode (CR0 %i) writes linear pointers around the opcode, FLDENV reads them",
    (cr0) => {
      // FLD1; FADD [40h]; FNSTENV [100h] and, once more behind FNINIT and FLDENV, [140h]; HLT, all of 32-bit operand size.
      const code = [0xd9, 0xe8, 0xdc, 0x06, 0x40, 0, 0x66, 0xd9, 0x36, 0, 1];
      const again = [0xdb, 0xe3, 0x66, 0xd9, 0x26, 0, 1, 0x66, 0xd9, 0x36, 0x40, 1];
      const m = machine(cr0);
      const at = 0x18000;
      m.write(at, [...code, ...again, ...hlt]);
      const paragraph = (base: number) => ({
        selector: base >>> 4,
        base,
        limit: 0xffff,
        attr: cr0 === PROTECTED ? 0xf3 : 0x93,
      });
      for (const s of [SEG_ES, SEG_SS, SEG_DS]) m.vcpu.setSegment(s, paragraph(0x2a000));
      m.vcpu.setSegment(SEG_CS, paragraph(0x10000));
      if (cr0 === PROTECTED) {
        m.vcpu.setU32(VCPU_EFLAGS, EFLAGS_FIXED | EFLAGS_VM);
        m.vcpu.setU32(VCPU_CPL, 3);
      }
      m.vcpu.setU32(VCPU_EIP, at - 0x10000);
      m.core.exports.updateMode(m.vcpu.ptr);
      m.run();
      for (const image of [0x2a100, 0x2a140]) {
        expect(m.read32(image + 12)).toBe((0xffff0000 | (at + 2)) >>> 0);
        expect(m.read32(image + 16)).toBe((0x1 << 12) | 0x406);
        expect(m.read(image + 20, 2)).toBe(0xa040);
        expect(m.read32(image + 24)).toBe(0x2 << 12);
      }
      m.destroy();
    },
  );

  it.each<[string, Code]>([
    ["32-bit", []],
    ["16-bit", [0x66]],
  ])("FNSAVE and FRSTOR in the %s format carry the whole state", (_, prefix) => {
    const m = machine(
      PROTECTED,
      fldz,
      fld1,
      fchs,
      [...prefix, ...fnsave(DATA)],
      fninit,
      [...prefix, ...frstor(DATA)],
      fstpExtended(DATA + 0x80),
    );
    m.runToHalt();
    expect(getExtended(m, DATA + 0x80)).toEqual({ se: 0xbfff, sig: 1n << 63n });
    // Back to one register, the zero, in slot 7.
    expect(m.vcpu.u32(VCPU_FTW)).toBe(0x3fff);
    expect((m.vcpu.u32(VCPU_FSW) & FSW_TOP) >> 11).toBe(7);
    m.destroy();
  });

  it("a store beyond the segment limit raises #GP and does not pop", () => {
    const m = machine(PROTECTED, fld1, fstpExtended(DATA));
    m.describe(FREE, 0, DATA + 8, DATA0, FLAT & 4);
    const attr = ((FLAT & 4) << 12) | DATA0;
    m.vcpu.setSegment(SEG_DS, { selector: FREE, base: 0, limit: DATA + 8, attr });
    m.core.exports.updateMode(m.vcpu.ptr);
    expect(m.runToHalt()).toBe(VECTOR_GP);
    expect(m.vcpu.u32(VCPU_FTW)).toBe(0x3fff);
    m.destroy();
  });
});

describe("arithmetic", () => {
  const ordinary = fc.record({
    se: fc
      .tuple(fc.boolean(), fc.integer({ min: 0x3fc0, max: 0x403f }))
      .map(([s, e]) => (s ? 0x8000 : 0) | e),
    sig: fc.bigInt({ min: 0n, max: (1n << 63n) - 1n }).map((f) => f | (1n << 63n)),
  });

  it("the short way and the full way give the same result and flags", () => {
    // With the precision exception unmasked only the full way is open; it must differ in ES and B alone.
    const m = machine(PROTECTED);
    const run = (fcw: number, modrm: number) => {
      const v = m.vcpu;
      m.enter(0);
      m.assemble(
        CODE,
        fninit,
        fldcw(DATA),
        fldExtended(DATA + 16),
        fldExtended(DATA + 32),
        [0xd8, modrm],
        hlt,
      );
      m.write(DATA, le(fcw, 2));
      expect(m.runToHalt()).toBe(-1);
      const slot = VCPU_FPR + 16 * ((v.u32(VCPU_FSW) >> 11) & 7);
      return [v.u32(slot), v.u32(slot + 4), v.u32(slot + 8), v.u32(VCPU_FSW) & ~(FSW_ES | FSW_B)];
    };
    fc.assert(
      fc.property(
        ordinary,
        ordinary,
        fc.constantFrom(0xc1, 0xc9, 0xe1, 0xe9, 0xf1, 0xf9),
        (a, b, modrm) => {
          putExtended(m, DATA + 16, a);
          putExtended(m, DATA + 32, b);
          expect(run(FCW_INIT, modrm)).toEqual(run(FCW_INIT & ~0x20, modrm));
        },
      ),
      { numRuns: 200 },
    );
    m.destroy();
  });

  const ONE: Extended = { se: 0x3fff, sig: 1n << 63n };
  const TWO: Extended = { se: 0x4000, sig: 1n << 63n };
  const HALF: Extended = { se: 0x3ffe, sig: 1n << 63n };
  const HUNDRED: Extended = { se: 0x4005, sig: 0xc800000000000000n };
  const TEN: Extended = { se: 0x4002, sig: 0xa000000000000000n };
  it.each<[string, Extended, Extended, Code, Extended]>([
    ["sin 1", ONE, ONE, fsin, { se: 0x3ffe, sig: 0xd76aa47848677021n }],
    ["cos 1", ONE, ONE, fcos, { se: 0x3ffe, sig: 0x8a51407da8345c92n }],
    ["cos 100 by a pi of 66 bits", HUNDRED, ONE, fcos, { se: 0x3ffe, sig: 0xdcc0edfb32fefb21n }],
    ["tan 1/2", HALF, ONE, [...fptan, 0xdd, 0xd8], { se: 0x3ffe, sig: 0x8bda7adf9a3a5219n }],
    ["atan 1/2", TWO, ONE, fpatan, { se: 0x3ffd, sig: 0xed63382b0dda7b45n }],
    ["2^(1/2) - 1", HALF, ONE, f2xm1, { se: 0x3ffd, sig: 0xd413cccfe7799211n }],
    ["log2 10", TEN, ONE, fyl2x, { se: 0x4000, sig: 0xd49a784bcd1b8afen }],
    ["log2 (1 + 1)", ONE, ONE, fyl2xp1, { se: 0x3fff, sig: 1n << 63n }],
    ["the root of 2", TWO, ONE, fsqrt, { se: 0x3fff, sig: 0xb504f333f9de6484n }],
  ])("%s is the nearest number", (_, x, y, code, expected) => {
    const m = machine(
      PROTECTED,
      fldExtended(DATA + 16),
      fldExtended(DATA),
      code,
      fstpExtended(DATA + 32),
    );
    putExtended(m, DATA, x);
    putExtended(m, DATA + 16, y);
    expect(m.runToHalt()).toBe(-1);
    expect(getExtended(m, DATA + 32)).toEqual(expected);
    m.destroy();
  });

  it("an argument of 2^63 or more sets C2 and stays", () => {
    const m = machine(PROTECTED, fldExtended(DATA), fsin, fnstswAx, fstpExtended(DATA + 16));
    putExtended(m, DATA, { se: 0x403e, sig: 1n << 63n });
    m.runToHalt();
    expect(m.vcpu.gpr(REG_EAX) & FSW_C2).toBe(FSW_C2);
    expect(getExtended(m, DATA + 16)).toEqual({ se: 0x403e, sig: 1n << 63n });
    m.destroy();
  });

  it("FADD to an empty register is a stack fault, masked to the default NaN", () => {
    const m = machine(PROTECTED, fld1, fadd, fnstswAx, fstpExtended(DATA));
    m.runToHalt();
    expect(m.vcpu.gpr(REG_EAX) & 0x7f).toBe(0x41);
    expect(getExtended(m, DATA)).toEqual({ se: 0xffff, sig: 0xc000000000000000n });
    m.destroy();
  });
});
