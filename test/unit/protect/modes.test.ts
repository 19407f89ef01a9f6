/** Real-address and virtual-8086 mode, the ways between the modes, and what only some policies and models have. */
import { describe, expect, it } from "vitest";
import {
  CPU_MODEL_I686,
  CPU_MODEL_PENTIUM3,
  POLICY_LGUEST,
  VCPU_CPL,
  VCPU_CPU_MODEL,
  VCPU_CR0,
  VCPU_CR4,
  VCPU_EFLAGS,
  VCPU_EIP,
  VCPU_IDTR_BASE,
  VCPU_IDTR_LIMIT,
  VCPU_SYSENTER_CS,
  VCPU_SYSENTER_EIP,
  VCPU_SYSENTER_ESP,
} from "../../../abi/vcpu.ts";
import {
  CR0_ET,
  CR0_PE,
  EFLAGS_FIXED,
  EFLAGS_IF,
  EFLAGS_IOPL,
  EFLAGS_RF,
  EFLAGS_VM,
  REG_EAX,
  REG_EBX,
  REG_ECX,
  REG_EDX,
  REG_ESP,
  SEG_CS,
  SEG_DS,
  SEG_ES,
  SEG_SS,
  VECTOR_GP,
  VECTOR_UD,
} from "../../../abi/x86.ts";
import * as asm from "./assembler.ts";
import {
  CODE,
  DATA,
  GATE_INT32,
  GDT,
  KERNEL_CS,
  KERNEL_DS,
  Machine,
  USER_CODE,
  USER_STACK,
} from "./machine.ts";

const SEGMENT = USER_CODE >>> 4;
const STACK_SEGMENT = (USER_STACK - 0x1000) >>> 4;
const SP = 0x0f00;
const CR4_PCE = 0x100;

/** Code in virtual-8086 mode with this IOPL (0-3), at the start of its segment. */
function v86(iopl: number, ...code: asm.Code[]): Machine {
  const m = new Machine();
  m.assemble(USER_CODE, ...code);
  const v = m.vcpu;
  const paragraph = (selector: number) => ({
    selector,
    base: selector << 4,
    limit: 0xffff,
    attr: 0xf3,
  });
  for (let s = 0; s < 6; s++) v.setSegment(s, paragraph(SEGMENT));
  v.setSegment(SEG_SS, paragraph(STACK_SEGMENT));
  v.setU32(VCPU_CPL, 3);
  v.setU32(VCPU_EFLAGS, EFLAGS_FIXED | EFLAGS_VM | (iopl << 12));
  v.setU32(VCPU_EIP, 0);
  v.setGpr(REG_ESP, SP);
  m.gate(0x40, KERNEL_CS, m.handler(0x40), GATE_INT32 | 0x60);
  m.core.exports.updateMode(v.ptr);
  return m;
}

/** Code in real-address mode at the start of segment CODE >> 4. */
function real(...code: asm.Code[]): Machine {
  const m = new Machine();
  m.assemble(CODE, ...code);
  const v = m.vcpu;
  const paragraph = (base: number) => ({ selector: base >>> 4, base, limit: 0xffff, attr: 0x93 });
  for (let s = 0; s < 6; s++) v.setSegment(s, paragraph(DATA));
  v.setSegment(SEG_CS, paragraph(CODE));
  v.setU32(VCPU_CR0, CR0_ET);
  v.setU32(VCPU_CPL, 0);
  v.setU32(VCPU_EIP, 0);
  v.setGpr(REG_ESP, SP);
  m.core.exports.updateMode(v.ptr);
  return m;
}

describe("virtual-8086 mode", () => {
  const sensitive: [string, asm.Code][] = [
    ["PUSHF", asm.pushf],
    ["POPF", asm.popf],
    ["PUSHFD", asm.o16(asm.pushf)],
    ["POPFD", asm.o16(asm.popf)],
    ["IRET", asm.iret],
    ["INT n", asm.intN(0x40)],
    ["CLI", asm.cli],
    ["STI", asm.sti],
  ];

  it.each(sensitive)("%s below IOPL 3 is #GP(0) and changes nothing", (_, code) => {
    for (const iopl of [0, 1, 2]) {
      const m = v86(iopl, code);
      expect(m.runToHalt()).toBe(VECTOR_GP);
      const flags = EFLAGS_FIXED | EFLAGS_VM | EFLAGS_RF | (iopl << 12);
      expect(m.frame(6)).toEqual([0, 0, SEGMENT, flags, SP, STACK_SEGMENT]);
    }
  });

  it("POPF at IOPL 3 changes IF, but neither IOPL nor VM; PUSHF shows IOPL 3 and no VM", () => {
    const m = v86(3, asm.o16(asm.popf), asm.pushf, asm.intN(0x40));
    const stack = STACK_SEGMENT << 4;
    m.write32(stack + SP, EFLAGS_FIXED | EFLAGS_IF);

    expect(m.runToHalt()).toBe(0x40);

    const [, , flags, sp] = m.frame(4);
    expect(flags).toBe(EFLAGS_FIXED | EFLAGS_VM | EFLAGS_IF | EFLAGS_IOPL);
    expect(sp).toBe(SP + 2);
    expect(m.read(stack + SP + 2, 2)).toBe(EFLAGS_FIXED | EFLAGS_IF | EFLAGS_IOPL);
  });

  it("IRET at IOPL 3 stays in the mode and keeps IOPL", () => {
    const m = v86(3, asm.iret);
    const stack = STACK_SEGMENT << 4;
    m.write32(stack + SP, 0x20 | (SEGMENT << 16));
    m.write32(stack + SP + 4, EFLAGS_FIXED | EFLAGS_IF);
    m.assemble(USER_CODE + 0x20, asm.intN(0x40));

    expect(m.runToHalt()).toBe(0x40);

    expect(m.frame(3)).toEqual([0x22, SEGMENT, EFLAGS_FIXED | EFLAGS_VM | EFLAGS_IF | EFLAGS_IOPL]);
  });

  it("has no descriptors: LLDT, LTR, LAR, VERW are #UD; HLT, MOV to CR0 and LGDT are #GP(0)", () => {
    for (const code of [asm.lldt(0), asm.ltr(0), asm.lar(0, 0), asm.verw(0)]) {
      expect(v86(3, code).runToHalt()).toBe(VECTOR_UD);
    }
    for (const code of [asm.hlt, asm.movToCr(0, 0), [0x0f, 0x01, 0x16, 0, 0]]) {
      expect(v86(3, code).runToHalt()).toBe(VECTOR_GP);
    }
  });
});

describe("real-address mode", () => {
  it("leads through LGDT, CR0.PE and a far jump into 32-bit protected mode", () => {
    const m = real(
      [0x0f, 0x01, 0x16, 0x00, 0x01],
      asm.o16(asm.movImm(REG_EAX, CR0_PE | CR0_ET)),
      asm.movToCr(0, REG_EAX),
      [0x66, 0xea, ...asm.le(USER_CODE, 4), ...asm.le(KERNEL_CS, 2)],
    );
    m.write32(DATA + 0x100, (GDT << 16) | 0xff);
    m.write32(DATA + 0x104, GDT >>> 16);
    // MOV EAX, KERNEL_DS; MOV DS, AX; MOV EBX, [DATA + 0x200]; HLT
    m.assemble(
      USER_CODE,
      asm.movImm(REG_EAX, KERNEL_DS),
      asm.movToSeg(SEG_DS, REG_EAX),
      [0x8b, 0x1d, ...asm.le(DATA + 0x200, 4)],
      asm.hlt,
    );
    m.write32(DATA + 0x200, 0xcafe);

    expect(m.runToHalt()).toBe(-1);

    expect(m.vcpu.gpr(REG_EBX)).toBe(0xcafe);
    expect(m.selector(SEG_CS)).toBe(KERNEL_CS);
  });

  it("keeps the limits that protected mode loaded: data beyond 64 KiB stays in reach", () => {
    const code = [[0x67, 0x66, 0xa1, ...asm.le(0x20000, 4)], asm.hlt];
    const flat = { selector: 0, base: 0, limit: 0xffffffff, attr: 0x93 };
    const big = real(...code);
    big.vcpu.setSegment(SEG_DS, flat);
    big.core.exports.updateMode(big.vcpu.ptr);
    big.write32(0x20000, 0xbeef);
    expect(big.runToHalt()).toBe(-1);
    expect(big.vcpu.gpr(REG_EAX)).toBe(0xbeef);

    const small = real(...code);
    small.vcpu.setU32(VCPU_IDTR_BASE, 0);
    small.vcpu.setU32(VCPU_IDTR_LIMIT, 0x3ff);
    small.write32(VECTOR_GP * 4, (0x900 << 16) | 0);
    small.assemble(0x9000, asm.hlt);
    expect(small.runToHalt()).toBe(-1);
    expect(small.selector(SEG_CS)).toBe(0x900);
  });

  it("loads any selector, and far calls push two words", () => {
    const m = real(asm.movToSeg(SEG_ES, REG_EAX), [0x9a, 0x10, 0x00, ...asm.le(SEGMENT, 2)]);
    m.vcpu.setGpr(REG_EAX, 0xffff);
    m.assemble(USER_CODE + 0x10, asm.hlt);

    expect(m.runToHalt()).toBe(-1);

    expect(m.vcpu.segment(SEG_ES).base).toBe(0xffff0);
    expect(m.read32(DATA + SP - 4)).toBe(((CODE >>> 4) << 16) | 7);
    expect(m.vcpu.eip).toBe(0x11);
  });
});

describe("SYSENTER and SYSEXIT", () => {
  function machine(model: number, policy?: number): Machine {
    const m = new Machine(policy);
    m.vcpu.setU32(VCPU_CPU_MODEL, model);
    m.vcpu.setU32(VCPU_SYSENTER_CS, KERNEL_CS);
    m.vcpu.setU32(VCPU_SYSENTER_ESP, USER_STACK - 0x100);
    m.vcpu.setU32(VCPU_SYSENTER_EIP, CODE);
    m.enter(3);
    m.vcpu.setU32(VCPU_EFLAGS, EFLAGS_FIXED | EFLAGS_IF);
    m.assemble(USER_CODE, asm.sysenter, asm.intN(0x40));
    m.assemble(CODE, asm.hlt);
    return m;
  }

  it("go to ring 0 with IF clear, and back to ring 3 at EDX with the stack ECX", () => {
    const m = machine(CPU_MODEL_PENTIUM3);
    expect(m.runToHalt()).toBe(-1);
    expect(m.vcpu.u32(VCPU_CPL)).toBe(0);
    expect(m.vcpu.u32(VCPU_EFLAGS) & EFLAGS_IF).toBe(0);
    expect([m.selector(SEG_CS), m.selector(SEG_SS)]).toEqual([KERNEL_CS, KERNEL_CS + 8]);
    expect(m.vcpu.gpr(REG_ESP)).toBe(USER_STACK - 0x100);

    m.assemble(CODE + 1, [0x0f, 0x35]);
    m.vcpu.setGpr(REG_EDX, USER_CODE + 0x10);
    m.vcpu.setGpr(REG_ECX, USER_STACK);
    m.assemble(USER_CODE + 0x10, asm.ud2);
    expect(m.runToHalt()).toBe(VECTOR_UD);
    const [eip, cs, , esp, ss] = m.frame(5);
    expect([eip, cs, esp, ss]).toEqual([
      USER_CODE + 0x10,
      (KERNEL_CS + 16) | 3,
      USER_STACK,
      (KERNEL_CS + 24) | 3,
    ]);
  });

  it("are #GP(0) while SYSENTER_CS is null, and SYSEXIT above ring 0", () => {
    const none = machine(CPU_MODEL_PENTIUM3);
    none.vcpu.setU32(VCPU_SYSENTER_CS, 3);
    expect(none.runToHalt()).toBe(VECTOR_GP);
    const outer = machine(CPU_MODEL_PENTIUM3);
    outer.assemble(USER_CODE, [0x0f, 0x35]);
    expect(outer.runToHalt()).toBe(VECTOR_GP);
  });

  it("do not exist on an i686, nor in CPUID there or under a paravirtual policy", () => {
    expect(machine(CPU_MODEL_I686).runToHalt()).toBe(VECTOR_UD);
    const sep = (model: number, policy?: number) => {
      const m = machine(model, policy);
      m.assemble(USER_CODE, asm.cpuid, [0xeb, 0xfe]);
      m.vcpu.setGpr(REG_EAX, 1);
      m.run(2);
      return (m.vcpu.gpr(REG_EDX) >>> 11) & 1;
    };
    expect(sep(CPU_MODEL_PENTIUM3)).toBe(1);
    expect(sep(CPU_MODEL_PENTIUM3, POLICY_LGUEST)).toBe(0);
    expect(sep(CPU_MODEL_I686)).toBe(0);
  });
});

describe("counters", () => {
  it("RDPMC is #GP(0) at every ring, since there is no counter to name; RDTSCP is #UD", () => {
    for (const ring of [0, 3]) {
      for (const cr4 of [0, CR4_PCE]) {
        const m = new Machine();
        m.enter(ring);
        m.vcpu.setU32(VCPU_CR4, cr4);
        m.assemble(ring === 3 ? USER_CODE : CODE, [0x0f, 0x33]);
        expect(m.runToHalt()).toBe(VECTOR_GP);
      }
    }
    const m = new Machine();
    m.assemble(CODE, [0x0f, 0x01, 0xf9]);
    expect(m.runToHalt()).toBe(VECTOR_UD);
  });
});
