/** Non-maskable interrupts: when one is taken, what blocks the next, what ends the blocking. SDM 3A, "Nonmaskable Interrupt (NMI)". */
import { describe, expect, it } from "vitest";
import {
  EXIT_BUDGET,
  NMI_BLOCKED,
  NMI_PENDING,
  VCPU_CPL,
  VCPU_DR0,
  VCPU_DR7,
  VCPU_EFLAGS,
  VCPU_EIP,
  VCPU_HALTED,
  VCPU_NMI,
  VCPU_RETIRED,
} from "../../../abi/vcpu.ts";
import {
  EFLAGS_FIXED,
  EFLAGS_IF,
  EFLAGS_TF,
  EFLAGS_VM,
  REG_EAX,
  REG_ECX,
  REG_EDI,
  REG_ESP,
  SEG_SS,
  SEG_TR,
  VECTOR_DB,
  VECTOR_GP,
  VECTOR_NMI,
  VECTOR_NP,
} from "../../../abi/x86.ts";
import * as asm from "./assembler.ts";
import {
  CODE,
  DATA,
  FREE,
  GATE_TASK,
  KERNEL_CS,
  KERNEL_DS,
  Machine,
  STACK,
  TSS_LIMIT,
  TSS_SELECTOR,
  TSS2,
  USER_CODE,
  USER_STACK,
} from "./machine.ts";

const INC_EAX = [0x40];
const REP_STOSB = [0xf3, 0xaa];
const HANDLER = USER_CODE;

function machine(...code: asm.Code[]): Machine {
  const m = new Machine();
  m.assemble(CODE, ...code);
  m.vcpu.setGpr(REG_EAX, 0);
  return m;
}

/** With a handler of its own for NMIs, instead of a HLT. */
function handling(handler: readonly asm.Code[], ...code: asm.Code[]): Machine {
  const m = machine(...code);
  m.gate(VECTOR_NMI, KERNEL_CS, HANDLER, 0x8e);
  m.assemble(HANDLER, ...handler);
  return m;
}

function raise(m: Machine): void {
  m.vcpu.setU32(VCPU_NMI, m.vcpu.u32(VCPU_NMI) | NMI_PENDING);
}

describe("an NMI", () => {
  it("is taken before the next instruction, with interrupts off, and blocks the next", () => {
    const m = machine(INC_EAX, INC_EAX, asm.hlt);
    m.run(1);
    raise(m);

    expect(m.runToHalt()).toBe(VECTOR_NMI);

    expect(m.frame(3)).toEqual([CODE + 1, KERNEL_CS, EFLAGS_FIXED]);
    expect(m.vcpu.u32(VCPU_NMI)).toBe(NMI_BLOCKED);
    expect(m.vcpu.gpr(REG_EAX)).toBe(1);
  });

  it("costs no instruction: it is there even when the budget is used up", () => {
    const m = machine(INC_EAX);
    raise(m);

    expect(m.run(0)).toBe(EXIT_BUDGET);

    expect(m.vcpu.eip).toBe(m.handler(VECTOR_NMI));
    expect(m.vcpu.u64(VCPU_RETIRED)).toBe(0n);
  });

  it("that came during another is taken right after the IRET", () => {
    const m = handling([INC_EAX, asm.iret], asm.nop, asm.nop, asm.hlt);
    raise(m);
    m.run(1);
    raise(m);
    raise(m);
    expect(m.vcpu.u32(VCPU_NMI)).toBe(NMI_BLOCKED | NMI_PENDING);

    m.run(1);

    expect(m.vcpu.eip).toBe(HANDLER);
    expect(m.frame(1)).toEqual([CODE]);
    expect(m.vcpu.u32(VCPU_NMI)).toBe(NMI_BLOCKED);
    expect(m.runToHalt()).toBe(-1);
    expect([m.vcpu.gpr(REG_EAX), m.vcpu.u32(VCPU_NMI)]).toEqual([2, 0]);
  });

  it("is unblocked by the IRET of another handler too", () => {
    const m = handling([asm.int3, asm.hlt], asm.hlt);
    m.gate(3, KERNEL_CS, USER_CODE + 0x100, 0x8e);
    m.assemble(USER_CODE + 0x100, asm.iret);
    raise(m);
    m.run(1);
    raise(m);

    m.run(1);

    expect(m.vcpu.eip).toBe(HANDLER);
    expect(m.frame(1)).toEqual([HANDLER + 1]);
  });

  it("is unblocked by an IRET that faults, and comes before the first instruction of that fault's handler", () => {
    // Only a null CS is left of the frame.
    const m = handling([asm.pushImm(0), asm.pushImm(0), asm.pushImm(0), asm.iret], asm.hlt);
    raise(m);
    m.run(3);
    raise(m);

    // The IRET does not retire; the first push of the second handler does.
    m.run(1);

    expect(m.vcpu.eip).toBe(HANDLER + 5);
    expect(m.frame(8).map((word, i) => (i === 3 || i === 7 ? 0 : word))).toEqual([
      0,
      m.handler(VECTOR_GP),
      KERNEL_CS,
      0,
      0,
      HANDLER + 15,
      KERNEL_CS,
      0,
    ]);
    expect(m.vcpu.u32(VCPU_NMI)).toBe(NMI_BLOCKED);
  });

  it.each([
    ["MOV SS", [asm.movToSeg(SEG_SS, REG_ECX)]],
    ["POP SS", [asm.popSeg(SEG_SS)]],
    ["STI", [asm.sti]],
  ])("waits for the instruction after %s", (_name, code) => {
    const m = machine(...code, INC_EAX, INC_EAX, asm.hlt);
    m.vcpu.setGpr(REG_ECX, KERNEL_DS);
    m.vcpu.setGpr(REG_ESP, STACK - 4);
    m.write32(STACK - 4, KERNEL_DS);
    m.run(1);
    raise(m);

    expect(m.runToHalt()).toBe(VECTOR_NMI);

    expect(m.vcpu.gpr(REG_EAX)).toBe(1);
  });

  it("comes after a single step, on top of its handler, which runs unstepped", () => {
    const m = machine(INC_EAX, INC_EAX, asm.hlt);
    m.vcpu.setU32(VCPU_EFLAGS, EFLAGS_FIXED | EFLAGS_TF);
    expect(m.run(1)).toBe(EXIT_BUDGET);
    expect(m.vcpu.eip).toBe(m.handler(VECTOR_DB));
    raise(m);

    expect(m.runToHalt()).toBe(VECTOR_NMI);

    expect(m.frame(5)).toEqual([
      m.handler(VECTOR_DB),
      KERNEL_CS,
      EFLAGS_FIXED,
      CODE + 1,
      KERNEL_CS,
    ]);
  });

  it("keeps TF in its frame, so that stepping goes on behind it", () => {
    const m = handling([INC_EAX, asm.iret], asm.nop, asm.nop, asm.hlt);
    m.vcpu.setU32(VCPU_EFLAGS, EFLAGS_FIXED | EFLAGS_TF);
    raise(m);

    expect(m.runToHalt()).toBe(VECTOR_DB);

    expect(m.vcpu.gpr(REG_EAX)).toBe(1);
    expect(m.frame(3)).toEqual([CODE + 1, KERNEL_CS, EFLAGS_FIXED | EFLAGS_TF]);
  });

  it("comes before a code breakpoint on the same instruction, which is hit after the return", () => {
    const m = handling([INC_EAX, asm.iret], asm.nop, asm.hlt);
    m.vcpu.setU32(VCPU_DR0, CODE);
    m.vcpu.setU32(VCPU_DR7, 0x401);
    raise(m);

    expect(m.runToHalt()).toBe(VECTOR_DB);

    expect([m.vcpu.gpr(REG_EAX), m.frame(1)[0]]).toEqual([1, CODE]);
  });

  it("interrupts a repeated string instruction between two iterations", () => {
    const m = machine(REP_STOSB, asm.hlt);
    m.vcpu.setGpr(REG_ECX, 10_000);
    m.vcpu.setGpr(REG_EDI, DATA);
    m.run(1);
    const left = m.vcpu.gpr(REG_ECX);
    raise(m);

    expect(m.runToHalt()).toBe(VECTOR_NMI);

    expect(left).toBeGreaterThan(0);
    expect([m.vcpu.gpr(REG_ECX), m.frame(1)[0]]).toEqual([left, CODE]);
  });

  it("from ring 3 goes to the inner stack", () => {
    const m = machine();
    m.enter(3);
    m.vcpu.setU32(VCPU_EFLAGS, EFLAGS_FIXED | EFLAGS_IF);
    raise(m);

    expect(m.runToHalt()).toBe(VECTOR_NMI);

    expect(m.vcpu.u32(VCPU_CPL)).toBe(0);
    expect([m.frame(1)[0], m.frame(4)[3]]).toEqual([USER_CODE, USER_STACK]);
  });

  it("from virtual-8086 mode leaves it, and its IRET goes back and unblocks", () => {
    const m = handling([INC_EAX, asm.iret]);
    const paragraph = { selector: 0xa00, base: 0xa000, limit: 0xffff, attr: 0xf3 };
    for (let s = 0; s < 6; s++) m.vcpu.setSegment(s, paragraph);
    m.vcpu.setU32(VCPU_CPL, 3);
    m.vcpu.setU32(VCPU_EFLAGS, EFLAGS_FIXED | EFLAGS_VM);
    m.vcpu.setU32(VCPU_EIP, 0x10);
    m.core.exports.updateMode(m.vcpu.ptr);
    raise(m);
    m.run(1);
    expect(m.frame(4).map((word, i) => (i === 2 ? word & EFLAGS_VM : word))).toEqual([
      0x10,
      0xa00,
      EFLAGS_VM,
      STACK,
    ]);

    m.run(1);

    expect([m.vcpu.eip, m.vcpu.u32(VCPU_NMI)]).toEqual([0x10, 0]);
    expect(m.vcpu.u32(VCPU_EFLAGS) & EFLAGS_VM).toBe(EFLAGS_VM);
  });

  it("is unblocked by an IRET that virtual-8086 mode refuses", () => {
    const m = machine();
    m.assemble(DATA, asm.iret);
    for (let s = 0; s < 6; s++)
      m.vcpu.setSegment(s, { selector: 0xa00, base: 0xa000, limit: 0xffff, attr: 0xf3 });
    m.vcpu.setU32(VCPU_CPL, 3);
    m.vcpu.setU32(VCPU_EFLAGS, EFLAGS_FIXED | EFLAGS_VM);
    m.vcpu.setU32(VCPU_EIP, 0);
    m.core.exports.updateMode(m.vcpu.ptr);
    m.vcpu.setU32(VCPU_NMI, NMI_BLOCKED | NMI_PENDING);

    expect(m.runToHalt()).toBe(VECTOR_NMI);

    expect(m.frame(1)).toEqual([m.handler(VECTOR_GP)]);
  });

  it("through a task gate is blocked until that task's IRET returns", () => {
    const m = machine(asm.nop, asm.hlt);
    m.describe(FREE, TSS2, TSS_LIMIT, 0x89, 0);
    m.gate(VECTOR_NMI, FREE, 0, GATE_TASK);
    m.assemble(HANDLER, INC_EAX, asm.iret);
    const image: readonly (readonly [number, number])[] = [
      [0x20, HANDLER],
      [0x24, EFLAGS_FIXED],
      [0x38, STACK - 0x200],
      [0x4c, KERNEL_CS],
      [0x50, KERNEL_DS],
      [0x64, (TSS_LIMIT + 1) << 16],
    ];
    for (const [at, value] of image) m.write32(TSS2 + at, value);
    raise(m);
    m.run(1);
    expect([m.selector(SEG_TR), m.vcpu.eip]).toEqual([FREE, HANDLER + 1]);
    raise(m);

    m.run(1);

    // The old task is back only to be interrupted again; the task goes on behind its IRET.
    expect([m.selector(SEG_TR), m.vcpu.eip]).toEqual([FREE, HANDLER + 2]);
    expect(m.vcpu.u32(VCPU_NMI)).toBe(NMI_BLOCKED);
    expect(m.read(TSS2, 2)).toBe(TSS_SELECTOR);
  });

  it("whose gate is not present is #NP with EXT set, and stays blocked until an IRET", () => {
    const m = machine(asm.nop);
    m.gate(VECTOR_NMI, KERNEL_CS, HANDLER, 0x0e);
    raise(m);

    expect(m.runToHalt()).toBe(VECTOR_NP);

    expect(m.frame(2)).toEqual([(VECTOR_NMI << 3) | 3, CODE]);
    expect(m.vcpu.u32(VCPU_NMI)).toBe(NMI_BLOCKED);
  });

  it("ends a halt, also between two entries", () => {
    const m = machine(asm.hlt);
    expect(m.runToHalt()).toBe(-1);
    m.vcpu.setU32(VCPU_HALTED, 1);
    raise(m);

    expect(m.core.exports.deliverNmi(m.vcpu.ptr)).toBe(1);

    expect([m.vcpu.u32(VCPU_HALTED), m.vcpu.eip]).toEqual([0, m.handler(VECTOR_NMI)]);
    expect(m.frame(1)).toEqual([CODE + 1]);
  });

  it("is taken at the same instruction in slices of any length", () => {
    const ends = [1, 3, 1000].map((slice) => {
      const m = handling(
        [...Array(5).fill(INC_EAX), asm.iret],
        ...Array(40).fill(asm.nop),
        asm.hlt,
      );
      m.vcpu.setGpr(REG_EAX, 0);
      m.run(7);
      raise(m);
      m.run(2);
      raise(m);
      while (m.run(slice) === EXIT_BUDGET);
      return [m.vcpu.gpr(REG_EAX), m.vcpu.u64(VCPU_RETIRED), m.vcpu.eip];
    });
    expect(ends).toEqual([ends[0], ends[0], ends[0]]);
    expect(ends[0]).toEqual([10, 53n, CODE + 41]);
  });
});
