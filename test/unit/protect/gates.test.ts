/** Delivery through the IDT, double faults, and IRET: SDM 3A, "Exception- or Interrupt-Handler Procedures". */
import { describe, expect, it } from "vitest";
import {
  EXIT_TRIPLE_FAULT,
  NMI_BLOCKED,
  VCPU_CPL,
  VCPU_CR0,
  VCPU_EFLAGS,
  VCPU_EIP,
  VCPU_IDTR_BASE,
  VCPU_IDTR_LIMIT,
  VCPU_NMI,
} from "../../../abi/vcpu.ts";
import {
  CR0_ET,
  EFLAGS_FIXED,
  EFLAGS_IF,
  EFLAGS_IOPL,
  EFLAGS_NT,
  EFLAGS_RF,
  EFLAGS_TF,
  EFLAGS_VM,
  REG_EAX,
  REG_ESP,
  SEG_CS,
  SEG_DS,
  SEG_ES,
  SEG_FS,
  SEG_GS,
  SEG_SS,
  VECTOR_BP,
  VECTOR_DF,
  VECTOR_GP,
  VECTOR_NP,
  VECTOR_SS,
  VECTOR_TS,
  VECTOR_UD,
} from "../../../abi/x86.ts";
import * as asm from "./assembler.ts";
import {
  CODE,
  DATA0,
  FREE,
  GATE_INT16,
  GATE_INT32,
  GATE_TASK,
  GATE_TRAP32,
  GDT,
  INNER_STACK,
  KERNEL_CS,
  KERNEL_DS,
  Machine,
  STACK,
  TSS,
  TSS_LIMIT,
  TSS_SELECTOR,
  TSS2,
  USER_CODE,
  USER_CS,
  USER_DS,
  USER_STACK,
} from "./machine.ts";

const DPL3 = 0x60;
const FLAGS = EFLAGS_FIXED | EFLAGS_IF;

function userMachine(...code: asm.Code[]): Machine {
  const m = new Machine();
  m.enter(3);
  m.vcpu.setU32(VCPU_EFLAGS, FLAGS);
  m.assemble(USER_CODE, ...code);
  return m;
}

describe("a gate", () => {
  it("from ring 3 switches to the TSS's stack and pushes SS, ESP, EFLAGS, CS, EIP and the error code", () => {
    const m = userMachine(asm.hlt);

    expect(m.runToHalt()).toBe(VECTOR_GP);

    expect(m.vcpu.gpr(REG_ESP)).toBe(INNER_STACK - 24);
    expect(m.frame(6)).toEqual([0, USER_CODE, USER_CS, FLAGS | EFLAGS_RF, USER_STACK, USER_DS]);
    expect(m.selector(SEG_CS)).toBe(KERNEL_CS);
    expect(m.selector(SEG_SS)).toBe(KERNEL_DS);
    expect(m.vcpu.u32(VCPU_CPL)).toBe(0);
  });

  it("of the same ring keeps the stack", () => {
    const m = new Machine();
    m.assemble(CODE, asm.ud2);

    expect(m.runToHalt()).toBe(VECTOR_UD);

    expect(m.vcpu.gpr(REG_ESP)).toBe(STACK - 12);
    expect(m.frame(3)).toEqual([CODE, KERNEL_CS, EFLAGS_FIXED | EFLAGS_RF]);
  });

  it("of type interrupt clears IF, TF and NT; of type trap it leaves IF", () => {
    for (const [type, kept] of [
      [GATE_INT32, 0],
      [GATE_TRAP32, EFLAGS_IF],
    ] as const) {
      const m = new Machine();
      m.vcpu.setU32(VCPU_EFLAGS, FLAGS | EFLAGS_NT);
      m.gate(0x40, KERNEL_CS, m.handler(0x40), type);
      m.assemble(CODE, asm.intN(0x40));

      expect(m.runToHalt()).toBe(0x40);

      const cleared = EFLAGS_IF | EFLAGS_TF | EFLAGS_NT;
      expect(m.vcpu.u32(VCPU_EFLAGS) & cleared).toBe(kept);
    }
  });

  it("does not set RF in the frame of a software interrupt, and saves the EIP after it", () => {
    const m = userMachine(asm.int3);
    m.gate(VECTOR_BP, KERNEL_CS, m.handler(VECTOR_BP), GATE_INT32 | DPL3);

    expect(m.runToHalt()).toBe(VECTOR_BP);

    expect(m.frame(3)).toEqual([USER_CODE + 1, USER_CS, FLAGS]);
  });

  it("with DPL below CPL refuses INT n by #GP(vector * 8 + 2)", () => {
    const m = userMachine(asm.intN(0x40));

    expect(m.runToHalt()).toBe(VECTOR_GP);

    expect(m.frame(2)).toEqual([0x40 * 8 + 2, USER_CODE]);
  });

  it("that is not present refuses by #NP, with EXT when an exception wanted it", () => {
    const software = new Machine();
    software.gate(0x40, KERNEL_CS, 0, GATE_INT32 & ~0x80);
    software.assemble(CODE, asm.intN(0x40));
    const exception = new Machine();
    exception.gate(VECTOR_UD, KERNEL_CS, 0, GATE_INT32 & ~0x80);
    exception.assemble(CODE, asm.ud2);

    expect(software.runToHalt()).toBe(VECTOR_NP);
    expect(exception.runToHalt()).toBe(VECTOR_NP);

    expect(software.frame(1)).toEqual([0x40 * 8 + 2]);
    expect(exception.frame(1)).toEqual([VECTOR_UD * 8 + 3]);
  });

  it("beyond the limit of the IDT refuses by #GP", () => {
    const m = new Machine();
    m.vcpu.setU32(VCPU_IDTR_LIMIT, 0x40 * 8 + 6);
    m.assemble(CODE, asm.intN(0x40));

    expect(m.runToHalt()).toBe(VECTOR_GP);
    expect(m.frame(1)).toEqual([0x40 * 8 + 2]);
  });

  it("of 16 bits pushes words and jumps to 16 bits of offset", () => {
    const m = new Machine();
    m.gate(0x40, KERNEL_CS, m.handler(0x40), GATE_INT16);
    m.assemble(CODE, asm.intN(0x40));

    expect(m.runToHalt()).toBe(0x40);

    expect(m.vcpu.gpr(REG_ESP)).toBe(STACK - 6);
    expect(m.read(STACK - 6, 2)).toBe(CODE + 2);
    expect(m.read(STACK - 4, 2)).toBe(KERNEL_CS);
    expect(m.read(STACK - 2, 2)).toBe(EFLAGS_FIXED);
  });

  it("raises #TS naming the stack selector when the TSS holds one of the wrong ring", () => {
    const m = userMachine(asm.ud2);
    m.write32(TSS + 8, USER_DS);
    m.describe(FREE, TSS2, TSS_LIMIT, 0x89, 0);
    // #TS itself needs a stack: a task of its own.
    m.gate(VECTOR_TS, FREE, 0, GATE_TASK);
    const handler = m.handler(VECTOR_TS);
    prepareTask(m, handler);

    expect(m.runToHalt()).toBe(VECTOR_TS);

    expect(m.frame(1)).toEqual([(USER_DS & ~3) | 1]);
  });

  it("raises #SS naming the stack selector when the inner stack has no room", () => {
    const m = userMachine(asm.ud2);
    m.describe(FREE, 0, 0x0f, DATA0, 4);
    m.write32(TSS + 4, 0x10);
    m.write32(TSS + 8, FREE);
    m.gate(VECTOR_SS, FREE + 8, 0, GATE_TASK);
    m.describe(FREE + 8, TSS2, TSS_LIMIT, 0x89, 0);
    prepareTask(m, m.handler(VECTOR_SS));

    expect(m.runToHalt()).toBe(VECTOR_SS);
    expect(m.frame(1)).toEqual([FREE | 1]);
  });
});

/** A task at TSS2 that starts at `eip` in ring 0 with its stack at STACK. */
function prepareTask(m: Machine, eip: number): void {
  m.write32(TSS2 + 0x20, eip);
  m.write32(TSS2 + 0x24, EFLAGS_FIXED);
  m.write32(TSS2 + 0x28 + REG_ESP * 4, STACK);
  for (const seg of [SEG_ES, SEG_SS, SEG_DS]) m.write32(TSS2 + 0x48 + seg * 4, KERNEL_DS);
  m.write32(TSS2 + 0x48 + SEG_CS * 4, KERNEL_CS);
}

describe("a fault during delivery", () => {
  it("of a contributory exception becomes #DF with error code 0", () => {
    const m = userMachine(asm.hlt);
    m.gate(VECTOR_GP, KERNEL_CS, 0, GATE_INT32 & ~0x80);

    expect(m.runToHalt()).toBe(VECTOR_DF);
    expect(m.frame(2)).toEqual([0, USER_CODE]);
  });

  it("of #DF is a triple fault", () => {
    const m = userMachine(asm.hlt);
    m.gate(VECTOR_GP, KERNEL_CS, 0, GATE_INT32 & ~0x80);
    m.gate(VECTOR_DF, KERNEL_CS, 0, GATE_INT32 & ~0x80);

    expect(m.run()).toBe(EXIT_TRIPLE_FAULT);
  });
});

describe("task gates", () => {
  it("switch tasks: back link, NT and busy are set, registers are saved, the error code is pushed", () => {
    const m = userMachine(asm.movImm(REG_EAX, 0x1234), asm.hlt);
    m.describe(FREE, TSS2, TSS_LIMIT, 0x89, 0);
    m.gate(VECTOR_GP, FREE, 0, GATE_TASK);
    prepareTask(m, m.handler(VECTOR_GP));

    expect(m.runToHalt()).toBe(VECTOR_GP);

    expect(m.read(TSS2, 2)).toBe(TSS_SELECTOR);
    expect(m.vcpu.u32(VCPU_EFLAGS) & EFLAGS_NT).toBe(EFLAGS_NT);
    expect(m.read(GDT + FREE + 5, 1)).toBe(0x8b);
    expect(m.read32(TSS + 0x28)).toBe(0x1234);
    expect(m.read32(TSS + 0x20)).toBe(USER_CODE + 5);
    expect(m.read(TSS + 0x48 + SEG_CS * 4, 2)).toBe(USER_CS);
    expect(m.frame(1)).toEqual([0]);
  });

  it("are left by IRET, which goes back to the interrupted instruction", () => {
    const m = userMachine(asm.movImm(REG_EAX, 0x1234), asm.intN(0x41), asm.hlt);
    m.describe(FREE, TSS2, TSS_LIMIT, 0x89, 0);
    m.gate(0x41, FREE, 0, GATE_TASK | DPL3);
    prepareTask(m, CODE);
    m.assemble(CODE, asm.movImm(REG_EAX, 0x5678), asm.iret);

    expect(m.runToHalt()).toBe(VECTOR_GP);

    expect(m.frame(3).slice(1)).toEqual([USER_CODE + 7, USER_CS]);
    expect(m.vcpu.gpr(REG_EAX)).toBe(0x1234);
    expect(m.read(GDT + FREE + 5, 1)).toBe(0x89);
    expect(m.read32(TSS2 + 0x28)).toBe(0x5678);
    expect(m.vcpu.u32(VCPU_EFLAGS) & EFLAGS_NT).toBe(0);
  });
});

describe("iret", () => {
  /** Ring 0 code that returns to ring 3 with this EFLAGS image. */
  function returning(image: number): Machine {
    const m = new Machine();
    m.assemble(
      CODE,
      asm.pushImm(USER_DS),
      asm.pushImm(USER_STACK),
      asm.pushImm(image),
      asm.pushImm(USER_CS),
      asm.pushImm(USER_CODE),
      asm.iret,
    );
    m.assemble(USER_CODE, asm.hlt);
    return m;
  }

  it("to an outer ring pops ESP and SS and nulls the data segments that ring may not use", () => {
    const m = returning(FLAGS);
    m.vcpu.setSegment(SEG_ES, { selector: USER_DS, base: 0, limit: 0xffffffff, attr: 0xc0f3 });

    expect(m.runToHalt()).toBe(VECTOR_GP);

    expect(m.frame(6).slice(1)).toEqual([
      USER_CODE,
      USER_CS,
      FLAGS | EFLAGS_RF,
      USER_STACK,
      USER_DS,
    ]);
    expect(m.selector(SEG_DS)).toBe(0);
    expect(m.attr(SEG_DS)).toBe(0);
    expect(m.selector(SEG_ES)).toBe(USER_DS);
  });

  it("changes IF only when CPL is at most IOPL, and IOPL only at CPL 0", () => {
    const inner = returning(EFLAGS_FIXED | EFLAGS_IOPL | EFLAGS_IF);
    expect(inner.runToHalt()).toBe(VECTOR_GP);
    expect(inner.frame(4)[3]).toBe(EFLAGS_FIXED | EFLAGS_IOPL | EFLAGS_IF | EFLAGS_RF);

    const outer = userMachine(
      asm.pushImm(EFLAGS_FIXED | EFLAGS_IOPL),
      asm.pushImm(USER_CS),
      asm.pushImm(USER_CODE + 16),
      asm.iret,
      asm.hlt,
    );
    expect(outer.runToHalt()).toBe(VECTOR_GP);
    expect(outer.frame(4).slice(1)).toEqual([USER_CODE + 16, USER_CS, FLAGS | EFLAGS_RF]);
  });

  it("ends the blocking of NMIs", () => {
    const m = returning(FLAGS);
    m.vcpu.setU32(VCPU_NMI, NMI_BLOCKED);

    m.runToHalt();

    expect(m.vcpu.u32(VCPU_NMI)).toBe(0);
  });

  it("to a code segment of the wrong ring raises #GP(selector) and changes nothing", () => {
    const m = userMachine(
      asm.pushImm(FLAGS),
      asm.pushImm(KERNEL_CS | 3),
      asm.pushImm(USER_CODE),
      asm.iret,
    );

    expect(m.runToHalt()).toBe(VECTOR_GP);

    expect(m.frame(5)).toEqual([
      KERNEL_CS,
      USER_CODE + 15,
      USER_CS,
      FLAGS | EFLAGS_RF,
      USER_STACK - 12,
    ]);
  });

  it("with VM in the image enters virtual-8086 mode, which a fault leaves with nine words", () => {
    const m = new Machine();
    const image = EFLAGS_FIXED | EFLAGS_VM | EFLAGS_IF;
    m.assemble(
      CODE,
      asm.pushImm(0x44),
      asm.pushImm(0x33),
      asm.pushImm(0x22),
      asm.pushImm(0x11),
      asm.pushImm(0x0e00),
      asm.pushImm(0x0800),
      asm.pushImm(image),
      asm.pushImm(USER_CODE >>> 4),
      asm.pushImm(0),
      asm.iret,
    );
    m.assemble(USER_CODE, asm.hlt);

    expect(m.runToHalt()).toBe(VECTOR_GP);

    expect(m.frame(10)).toEqual([
      0,
      0,
      USER_CODE >>> 4,
      image | EFLAGS_RF,
      0x0800,
      0x0e00,
      0x11,
      0x22,
      0x33,
      0x44,
    ]);
    expect([SEG_ES, SEG_DS, SEG_FS, SEG_GS].map((s) => m.selector(s))).toEqual([0, 0, 0, 0]);
    expect(m.vcpu.u32(VCPU_EFLAGS) & EFLAGS_VM).toBe(0);
  });

  it.each([
    ["PUSHF", [0x9c]],
    ["PUSHFD", [0x66, 0x9c]],
    ["POPF", [0x9d]],
    ["INT n", [0xcd, 0x22]],
    ["IRET", [0xcf]],
    ["CLI", [0xfa]],
  ])("%s in virtual-8086 mode with IOPL 0 is #GP at the instruction", (_name, code) => {
    const m = new Machine();
    m.assemble(
      CODE,
      ...[0, 0, 0, 0, 0x0e00, 0x0800, EFLAGS_FIXED | EFLAGS_VM].map(asm.pushImm),
      asm.pushImm(USER_CODE >>> 4),
      asm.pushImm(0),
      asm.iret,
    );
    m.assemble(USER_CODE, code, asm.hlt);

    expect(m.runToHalt()).toBe(VECTOR_GP);

    expect(m.frame(2)).toEqual([0, 0]);
  });
});

describe("real-address mode", () => {
  it("delivers through the vector table with a frame of three words", () => {
    const m = new Machine();
    const v = m.vcpu;
    v.setU32(VCPU_CR0, CR0_ET);
    v.setU32(VCPU_IDTR_BASE, 0);
    v.setU32(VCPU_IDTR_LIMIT, 0x3ff);
    v.setU32(VCPU_EFLAGS, FLAGS);
    v.setSegment(SEG_CS, { selector: 0x800, base: 0x8000, limit: 0xffff, attr: 0x93 });
    v.setSegment(SEG_SS, { selector: 0xb00, base: 0xb000, limit: 0xffff, attr: 0x93 });
    v.setGpr(REG_ESP, 0x1000);
    v.setU32(VCPU_EIP, 0);
    m.core.exports.updateMode(v.ptr);
    m.write32(0x21 * 4, (0x900 << 16) | 0x10);
    m.assemble(0x8000, asm.intN(0x21), asm.hlt);
    m.assemble(0x9010, asm.nop, asm.iret);

    expect(m.runToHalt()).toBe(-1);

    expect(v.eip).toBe(3);
    expect(m.selector(SEG_CS)).toBe(0x800);
    expect(v.gpr(REG_ESP)).toBe(0x1000);
    expect(m.read(0xbffa, 2)).toBe(2);
    expect(m.read(0xbffc, 2)).toBe(0x800);
    expect(m.read(0xbffe, 2)).toBe(FLAGS);
    expect(v.u32(VCPU_EFLAGS)).toBe(FLAGS);
  });
});
