/** MMX and SSE: what the recorded vectors do not reach. CPU models, availability, exception delivery, wide device operands. */
import { describe, expect, it } from "vitest";
import { MXCSR_IE, MXCSR_INIT, MXCSR_PE } from "../../../abi/sse.ts";
import {
  CPU_MODEL_CORE2,
  CPU_MODEL_I686,
  CPU_MODEL_MAX,
  CPU_MODEL_PENTIUM3,
  CPU_MODEL_PENTIUM4,
  EXIT_MMIO_READ,
  EXIT_MMIO_WRITE,
  VCPU_CR0,
  VCPU_CR4,
  VCPU_FTW,
  VCPU_MMIO_COUNT,
  VCPU_MMIO_VALUES,
  VCPU_MXCSR,
  VCPU_XMM,
} from "../../../abi/vcpu.ts";
import {
  CR0_EM,
  CR0_ET,
  CR0_NE,
  CR0_PE,
  CR0_TS,
  CR4_OSFXSR,
  CR4_OSXMMEXCPT,
  REG_EAX,
  REG_EBX,
  REG_EDX,
  VECTOR_GP,
  VECTOR_MF,
  VECTOR_NM,
  VECTOR_UD,
  VECTOR_XM,
} from "../../../abi/x86.ts";
import { type Code, cpuid, hlt, le, movImm } from "../protect/assembler.ts";
import { DATA, Machine } from "../protect/machine.ts";

const absolute = (opcode: Code, reg: number, address: number): Code => [
  ...opcode,
  (reg << 3) | 5,
  ...le(address, 4),
];
const paddb: Code = [0x0f, 0xfc, 0xc1];
const emms: Code = [0x0f, 0x77];
const addps: Code = [0x0f, 0x58, 0xc1];
const divss: Code = [0xf3, 0x0f, 0x5e, 0xc1];
const addpd: Code = [0x66, 0x0f, 0x58, 0xc1];
const padddXmm: Code = [0x66, 0x0f, 0xfe, 0xc1];
const paddq: Code = [0x0f, 0xd4, 0xc1];
const sfence: Code = [0x0f, 0xae, 0xf8];
const mfence: Code = [0x0f, 0xae, 0xf0];
const addsubps: Code = [0xf2, 0x0f, 0xd0, 0xc1];
const cvtpi2psMemory = absolute([0x0f, 0x2a], 0, DATA);
const cvtpi2psRegister: Code = [0x0f, 0x2a, 0xc1];
const fisttp = absolute([0xdd], 1, DATA);
const SSE = CR4_OSFXSR | CR4_OSXMMEXCPT;
const PROTECTED = CR0_PE | CR0_ET | CR0_NE;

/** A ring 0 machine of a CPU model with the code at its entry. */
function machine(model: number, cr4: number, ...code: Code[]): Machine {
  const m = new Machine();
  m.core.exports.vcpuSetModel(m.vcpu.ptr, model);
  m.vcpu.setU32(VCPU_CR0, PROTECTED);
  m.vcpu.setU32(VCPU_CR4, cr4);
  m.assemble(m.vcpu.eip, ...code, hlt);
  return m;
}

/** Runs the code. @returns the vector it raised, -1 for none. */
function vectorOf(model: number, cr4: number, ...code: Code[]): number {
  const m = machine(model, cr4, ...code);
  const vector = m.runToHalt();
  m.destroy();
  return vector;
}

describe("CPU models", () => {
  const P3 = CPU_MODEL_PENTIUM3;
  const P4 = CPU_MODEL_PENTIUM4;
  const CORE2 = CPU_MODEL_CORE2;
  const MAX = CPU_MODEL_MAX;
  const MODELS = [CPU_MODEL_I686, P3, P4, CORE2, MAX];
  it.each<[string, Code, number]>([
    ["paddb mm", paddb, P3],
    ["emms", emms, P3],
    ["addps", addps, P3],
    ["sfence", sfence, P3],
    ["cvtpi2ps from memory", cvtpi2psMemory, P3],
    ["addpd", addpd, P4],
    ["paddd xmm", padddXmm, P4],
    ["paddq mm", paddq, P4],
    ["mfence", mfence, P4],
    ["addsubps", addsubps, CORE2],
    ["fisttp", fisttp, CORE2],
    ["pabsb mm", [0x0f, 0x38, 0x1c, 0xc1], CORE2],
    ["pshufb xmm", [0x66, 0x0f, 0x38, 0x00, 0xc1], CORE2],
    ["roundps", [0x66, 0x0f, 0x3a, 0x08, 0xc1, 0], CORE2],
    ["pcmpgtq", [0x66, 0x0f, 0x38, 0x37, 0xc1], MAX],
    ["pcmpistri", [0x66, 0x0f, 0x3a, 0x63, 0xc1, 0], MAX],
    ["crc32", [0xf2, 0x0f, 0x38, 0xf1, 0xc1], MAX],
    ["popcnt", [0xf3, 0x0f, 0xb8, 0xc1], MAX],
    ["movbe", absolute([0x0f, 0x38, 0xf0], 0, DATA), MAX],
    ["rdtscp", [0x0f, 0x01, 0xf9], MAX],
    ["rdpid", [0xf3, 0x0f, 0xc7, 0xf8], MAX],
    ["clac", [0x0f, 0x01, 0xca], MAX],
    ["stac", [0x0f, 0x01, 0xcb], MAX],
  ])("%s exists from its model on and is undefined before", (_name, code, first) => {
    for (const model of MODELS) {
      expect(vectorOf(model, SSE, code)).toBe(model >= first ? -1 : VECTOR_UD);
    }
  });

  it("CPUID, and EDX after reset, tell the model", () => {
    const seen = MODELS.map((model) => {
      const m = machine(model, 0, movImm(REG_EAX, 1), cpuid);
      const reset = m.vcpu.gpr(REG_EDX);
      m.runToHalt();
      const [signature, ebx, edx] = [REG_EAX, REG_EBX, REG_EDX].map((r) => m.vcpu.gpr(r));
      m.destroy();
      expect(reset).toBe(signature);
      return { simd: (edx! >>> 23) & 0xf, clflush: (edx! >>> 19) & 1, line: (ebx! >>> 8) & 0xff };
    });
    // MMX, FXSR, SSE, SSE2 from bit 0 on.
    expect(seen).toEqual([
      { simd: 0b0010, clflush: 0, line: 0 },
      { simd: 0b0111, clflush: 0, line: 0 },
      ...Array.from({ length: 3 }, () => ({ simd: 0b1111, clflush: 1, line: 8 })),
    ]);
  });
});

describe("availability", () => {
  it.each<[string, number, number, Code, number]>([
    ["SSE without OSFXSR", 0, 0, addps, VECTOR_UD],
    ["MMX without OSFXSR", 0, 0, paddb, -1],
    ["a fence without OSFXSR", 0, 0, sfence, -1],
    ["SSE under EM", CR0_EM, SSE, addps, VECTOR_UD],
    ["MMX under EM", CR0_EM, SSE, paddb, VECTOR_UD],
    ["SSE under TS", CR0_TS, SSE, addps, VECTOR_NM],
    ["MMX under TS", CR0_TS, SSE, paddb, VECTOR_NM],
    ["SSE without OSFXSR under TS", CR0_TS, 0, addps, VECTOR_UD],
  ])("%s", (_name, cr0, cr4, code, vector) => {
    const m = machine(CPU_MODEL_PENTIUM4, cr4, code);
    m.vcpu.setU32(VCPU_CR0, PROTECTED | cr0);
    expect(m.runToHalt()).toBe(vector);
    m.destroy();
  });

  it("a pending x87 exception is due before MMX, and before SSE only where MMX registers are used", () => {
    // FNINIT; unmask division by zero; 1 / 0.
    const m0 = DATA + 0x40;
    const pending: Code[] = [
      [0xdb, 0xe3],
      absolute([0xd9], 5, m0),
      [0xd9, 0xe8],
      [0xd9, 0xee],
      [0xde, 0xf9],
    ];
    for (const [code, vector] of [
      [paddb, VECTOR_MF],
      [cvtpi2psRegister, VECTOR_MF],
      [cvtpi2psMemory, -1],
      [addps, -1],
    ] as const) {
      const m = machine(CPU_MODEL_PENTIUM4, SSE, ...pending, code);
      m.write32(m0, 0x037b);
      expect(m.runToHalt()).toBe(vector);
      m.destroy();
    }
  });
});

describe("exceptions", () => {
  const zeroByZero = (mxcsr: number, cr4: number) => {
    const m = machine(CPU_MODEL_PENTIUM3, cr4, divss);
    m.vcpu.setU32(VCPU_MXCSR, mxcsr);
    return m;
  };

  it("an unmasked one raises #XM, leaves the destination and sets its flag", () => {
    const m = zeroByZero(MXCSR_INIT & ~(MXCSR_IE << 7), SSE);
    expect(m.runToHalt()).toBe(VECTOR_XM);
    expect(m.vcpu.u32(VCPU_XMM)).toBe(0);
    expect(m.vcpu.u32(VCPU_MXCSR) & 0x3f).toBe(MXCSR_IE);
    m.destroy();
  });

  it("it raises #UD where the system does not handle #XM", () => {
    const m = zeroByZero(MXCSR_INIT & ~(MXCSR_IE << 7), CR4_OSFXSR);
    expect(m.runToHalt()).toBe(VECTOR_UD);
    m.destroy();
  });

  it("masked, it gives the default NaN", () => {
    const m = zeroByZero(MXCSR_INIT, SSE);
    expect(m.runToHalt()).toBe(-1);
    expect(m.vcpu.u32(VCPU_XMM)).toBe(0xffc00000);
    m.destroy();
  });

  it("the short way of arithmetic needs the precision flag and gives what the full way gives", () => {
    const results = [MXCSR_INIT, MXCSR_INIT | MXCSR_PE].map((mxcsr) => {
      const m = machine(CPU_MODEL_PENTIUM3, SSE, divss);
      m.vcpu.setU32(VCPU_MXCSR, mxcsr);
      m.vcpu.setU32(VCPU_XMM, 0x3f800000);
      m.vcpu.setU32(VCPU_XMM + 16, 0x40400000);
      m.runToHalt();
      const seen = [m.vcpu.u32(VCPU_XMM), m.vcpu.u32(VCPU_MXCSR)];
      m.destroy();
      return seen;
    });
    expect(results[0]).toEqual([0x3eaaaaab, MXCSR_INIT | MXCSR_PE]);
    expect(results[1]).toEqual(results[0]);
  });

  it("a 16-byte operand must be aligned, but for MOVUPS", () => {
    expect(vectorOf(CPU_MODEL_PENTIUM3, SSE, absolute([0x0f, 0x28], 0, DATA + 8))).toBe(VECTOR_GP);
    expect(vectorOf(CPU_MODEL_PENTIUM3, SSE, absolute([0x0f, 0x10], 0, DATA + 8))).toBe(-1);
  });
});

describe("MMX use of the x87 registers", () => {
  it("makes all of them valid, and EMMS empty", () => {
    for (const [code, tags] of [
      [[paddb], 0],
      [[paddb, emms], 0xffff],
    ] as const) {
      const m = machine(CPU_MODEL_PENTIUM3, 0, ...code);
      m.runToHalt();
      expect(m.vcpu.u32(VCPU_FTW)).toBe(tags);
      m.destroy();
    }
  });
});

describe("device memory", () => {
  it("a 16-byte load is two accesses of 8 bytes, and so is a store", () => {
    const frame = 0x300;
    const device = frame * 0x1000;
    const m = machine(
      CPU_MODEL_PENTIUM3,
      SSE,
      absolute([0x0f, 0x28], 0, device),
      absolute([0x0f, 0x29], 0, device + 0x20),
    );
    m.core.exports.guestSetLimits(m.guest, frame, frame, frame + 1);
    const asked: number[][] = [];
    for (;;) {
      const reason = m.run();
      if (reason !== EXIT_MMIO_READ && reason !== EXIT_MMIO_WRITE) break;
      const n = m.vcpu.u32(VCPU_MMIO_COUNT);
      const isRead = reason === EXIT_MMIO_READ;
      asked.push([reason, m.vcpu.exitArg(0) - device, m.vcpu.exitArg(1)]);
      if (!isRead) asked.at(-1)!.push(m.vcpu.exitArg(2), m.vcpu.exitArg(3));
      m.vcpu.setU32(VCPU_MMIO_VALUES + 8 * n, isRead ? 10 + n : 0);
      m.vcpu.setU32(VCPU_MMIO_VALUES + 8 * n + 4, isRead ? 20 + n : 0);
      m.vcpu.setU32(VCPU_MMIO_COUNT, n + 1);
    }
    expect(asked).toEqual([
      [EXIT_MMIO_READ, 0, 8],
      [EXIT_MMIO_READ, 8, 8],
      [EXIT_MMIO_WRITE, 0x20, 8, 10, 20],
      [EXIT_MMIO_WRITE, 0x28, 8, 11, 21],
    ]);
    m.destroy();
  });
});
