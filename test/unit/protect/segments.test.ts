/** Segment loads, far transfers and descriptor queries: SDM 3A, "Protection". */
import { describe, expect, it } from "vitest";
import {
  VCPU_CPL,
  VCPU_CR0,
  VCPU_EFLAGS,
  VCPU_HELD_GDT,
  VCPU_HELD_GDT_COUNT,
  VCPU_IDTR_BASE,
} from "../../../abi/vcpu.ts";
import {
  CR0_ET,
  EFLAGS_FIXED,
  EFLAGS_IF,
  REG_EAX,
  REG_EBP,
  REG_EBX,
  REG_ECX,
  REG_EDX,
  REG_ESP,
  SEG_CS,
  SEG_DS,
  SEG_ES,
  SEG_FS,
  SEG_LDTR,
  SEG_SS,
  VECTOR_GP,
  VECTOR_NP,
  VECTOR_SS,
  VECTOR_TS,
  VECTOR_UD,
} from "../../../abi/x86.ts";
import * as asm from "./assembler.ts";
import {
  CODE,
  DATA,
  DATA0,
  DATA3,
  FLAT,
  FREE,
  GATE_CALL32,
  GDT,
  INNER_STACK,
  KERNEL_CS,
  KERNEL_DS,
  Machine,
  STACK,
  USER_CODE,
  USER_CS,
  USER_DS,
  USER_STACK,
} from "./machine.ts";

const FLAGS = EFLAGS_FIXED | EFLAGS_IF;

function machine(ring: number, ...code: asm.Code[]): Machine {
  const m = new Machine();
  m.enter(ring);
  m.vcpu.setU32(VCPU_EFLAGS, FLAGS);
  m.assemble(ring === 3 ? USER_CODE : CODE, ...code);
  return m;
}

describe("a flat operand past 4 GiB", () => {
  const top = 0xfffffffe | 0;
  it.each<[string, asm.Code, Record<number, number>, number]>([
    ["[ebx]", [0x8b, 0x03], { [REG_EBX]: top }, VECTOR_GP],
    [
      "[ebx] with the same number in EBP",
      [0x8b, 0x03],
      { [REG_EBX]: top, [REG_EBP]: top },
      VECTOR_GP,
    ],
    ["[ebp]", [0x8b, 0x45, 0], { [REG_EBP]: top }, VECTOR_SS],
    ["[ebp - 2]", [0x8b, 0x45, 0xfe], { [REG_EBP]: 0 }, VECTOR_SS],
    ["[esp - 2]", [0x8b, 0x44, 0x24, 0xfe], { [REG_ESP]: 0 }, VECTOR_SS],
    ["ss:[ebx]", [0x36, 0x8b, 0x03], { [REG_EBX]: top }, VECTOR_SS],
    ["ds:[ebp]", [0x3e, 0x8b, 0x45, 0], { [REG_EBP]: top }, VECTOR_GP],
    ["a store to [ebp - 2]", [0x89, 0x45, 0xfe], { [REG_EBP]: 0 }, VECTOR_SS],
    ["a PUSH", [0x50], { [REG_ESP]: 2 }, VECTOR_SS],
    ["a PUSH of [ebx], the operand", [0xff, 0x33], { [REG_EBX]: top }, VECTOR_GP],
    ["a PUSH of [ebx], the stack", [0xff, 0x33], { [REG_EBX]: DATA, [REG_ESP]: 2 }, VECTOR_SS],
    ["a PUSH of [ebp - 2], the operand", [0xff, 0x75, 0xfe], { [REG_EBP]: 0 }, VECTOR_SS],
    ["LEAVE", [0xc9], { [REG_EBP]: top }, VECTOR_SS],
  ])("%s", (_, code, regs, vector) => {
    // In ring 3, so that the handler has a stack of its own.
    const m = machine(3, code);
    for (const [r, value] of Object.entries(regs)) m.vcpu.setGpr(Number(r), value);
    expect(m.runToHalt()).toBe(vector);
    m.destroy();
  });
});

describe("loading a segment register", () => {
  it("marks the descriptor accessed, in the table and in the register", () => {
    const m = machine(0, asm.movImm(REG_EAX, FREE), asm.movToSeg(SEG_DS, REG_EAX), asm.hlt);
    m.describe(FREE, DATA, 0xfff, DATA0 & ~1, 4);

    expect(m.runToHalt()).toBe(-1);

    expect(m.read(GDT + FREE + 5, 1)).toBe(DATA0);
    expect(m.vcpu.segment(SEG_DS)).toEqual({
      selector: FREE,
      base: DATA,
      limit: 0xfff,
      attr: 0x4000 | DATA0,
    });
  });

  it("applies base and limit to accesses: the last byte is fine, the next is #GP(0)", () => {
    const code = (address: number) => [
      asm.movImm(REG_EAX, FREE),
      asm.movToSeg(SEG_FS, REG_EAX),
      asm.load(SEG_FS, address),
      asm.hlt,
    ];
    const inside = machine(0, ...code(0xffc));
    const outside = machine(0, ...code(0xffd));
    for (const m of [inside, outside]) m.describe(FREE, DATA, 0xfff, DATA0, 4);
    inside.write32(DATA + 0xffc, 0x12345678);

    expect(inside.runToHalt()).toBe(-1);
    expect(inside.vcpu.gpr(REG_EAX)).toBe(0x12345678);
    expect(outside.runToHalt()).toBe(VECTOR_GP);
    expect(outside.frame(1)).toEqual([0]);
  });

  it("of an expand-down segment allows offsets above the limit only", () => {
    const code = (address: number) => [
      asm.movImm(REG_EAX, FREE),
      asm.movToSeg(SEG_FS, REG_EAX),
      asm.store(SEG_FS, address),
      asm.hlt,
    ];
    const above = machine(0, ...code(0x1000));
    const below = machine(0, ...code(0xfff));
    for (const m of [above, below]) m.describe(FREE, DATA, 0xfff, 0x97, 4);

    expect(above.runToHalt()).toBe(-1);
    expect(below.runToHalt()).toBe(VECTOR_GP);
  });

  it("with a null selector works for DS, and the next use is #GP(0)", () => {
    const m = machine(
      0,
      asm.movImm(REG_EAX, 3),
      asm.movToSeg(SEG_DS, REG_EAX),
      asm.load(SEG_DS, DATA),
    );

    expect(m.runToHalt()).toBe(VECTOR_GP);

    expect(m.frame(2)).toEqual([0, CODE + 7]);
    expect(m.selector(SEG_DS)).toBe(3);
  });

  it("with a null selector is #GP(0) for SS", () => {
    const m = machine(0, asm.movImm(REG_EAX, 0), asm.movToSeg(SEG_SS, REG_EAX));

    expect(m.runToHalt()).toBe(VECTOR_GP);
    expect(m.frame(2)).toEqual([0, CODE + 5]);
  });

  it("that is not present raises #NP(selector), for SS #SS(selector)", () => {
    const data = machine(0, asm.movImm(REG_EAX, FREE), asm.movToSeg(SEG_ES, REG_EAX));
    const stack = machine(0, asm.movImm(REG_EAX, FREE), asm.movToSeg(SEG_SS, REG_EAX));
    for (const m of [data, stack]) m.describe(FREE, 0, 0xfffff, DATA0 & ~0x80, FLAT);

    expect(data.runToHalt()).toBe(VECTOR_NP);
    expect(data.frame(1)).toEqual([FREE]);
    expect(stack.runToHalt()).toBe(VECTOR_SS);
    expect(stack.frame(1)).toEqual([FREE]);
  });

  it("checks privilege: ring 3 may not load a segment of ring 0", () => {
    const m = machine(3, asm.movImm(REG_EAX, KERNEL_DS), asm.movToSeg(SEG_DS, REG_EAX));

    expect(m.runToHalt()).toBe(VECTOR_GP);
    expect(m.frame(2)).toEqual([KERNEL_DS, USER_CODE + 5]);
    expect(m.selector(SEG_DS)).toBe(USER_DS);
  });

  it("outside the table raises #GP(selector), and POP leaves ESP", () => {
    const m = machine(0, asm.pushImm(0x7f8), asm.popSeg(SEG_ES));

    expect(m.runToHalt()).toBe(VECTOR_GP);
    expect(m.frame(1)).toEqual([0x7f8]);
    expect(m.vcpu.gpr(REG_ESP)).toBe(STACK - 4 - 16);
  });

  it("takes descriptors from the LDT when the selector says so", () => {
    const m = machine(
      0,
      asm.movImm(REG_EAX, FREE),
      asm.lldt(REG_EAX),
      asm.movImm(REG_EAX, 0x0c),
      asm.movToSeg(SEG_ES, REG_EAX),
      asm.hlt,
    );
    m.describe(FREE, DATA, 0x0f, 0x82, 0);
    m.write32(DATA + 8, 0x1234ffff);
    m.write32(DATA + 12, 0x0040f300);

    expect(m.runToHalt()).toBe(-1);

    expect(m.selector(SEG_LDTR)).toBe(FREE);
    expect(m.vcpu.segment(SEG_ES)).toMatchObject({ selector: 0x0c, base: 0x1234, limit: 0xffff });
  });

  it("uses the table held by the Host when there is one", () => {
    const m = machine(0, asm.movImm(REG_EAX, 8), asm.movToSeg(SEG_ES, REG_EAX), asm.hlt);
    m.vcpu.setU32(VCPU_HELD_GDT_COUNT, 2);
    m.vcpu.setU32(VCPU_HELD_GDT + 8, 0x0000ffff);
    m.vcpu.setU32(VCPU_HELD_GDT + 12, 0x00cf9300);

    expect(m.runToHalt()).toBe(-1);
    expect(m.vcpu.segment(SEG_ES)).toMatchObject({ selector: 8, base: 0, limit: 0xffffffff });
  });
});

describe("call gates", () => {
  /** Ring 3 calls a ring-0 procedure with two parameters through the gate at FREE. */
  function caller(procedure: asm.Code[]): Machine {
    const m = machine(
      3,
      asm.pushImm(0x1111),
      asm.pushImm(0x2222),
      asm.farCall(FREE | 3, 0xdead),
      asm.hlt,
    );
    m.gdtGate(FREE, KERNEL_CS, CODE, GATE_CALL32 | 0x60, 2);
    m.assemble(CODE, ...procedure);
    return m;
  }

  it("to an inner ring switch stacks and copy the parameters", () => {
    const m = caller([asm.hlt]);

    expect(m.runToHalt()).toBe(-1);

    expect(m.vcpu.gpr(REG_ESP)).toBe(INNER_STACK - 24);
    expect(m.frame(6)).toEqual([USER_CODE + 17, USER_CS, 0x2222, 0x1111, USER_STACK - 8, USER_DS]);
    expect(m.vcpu.u32(VCPU_CPL)).toBe(0);
  });

  it("are left by RETF n, which releases the parameters on both stacks", () => {
    const m = caller([asm.retfN(8)]);

    expect(m.runToHalt()).toBe(VECTOR_GP);

    const [error, eip, cs, , esp, ss] = m.frame(6);
    expect([error, eip, cs, esp, ss]).toEqual([0, USER_CODE + 17, USER_CS, USER_STACK, USER_DS]);
  });

  it("whose DPL is below CPL refuse by #GP(gate)", () => {
    const m = caller([asm.hlt]);
    m.gdtGate(FREE, KERNEL_CS, CODE, GATE_CALL32, 2);

    expect(m.runToHalt()).toBe(VECTOR_GP);
    expect(m.frame(2)).toEqual([FREE, USER_CODE + 10]);
  });
});

describe("far transfers", () => {
  it("to conforming code keep the privilege", () => {
    const m = machine(3, asm.farJump(FREE, CODE));
    m.describe(FREE, 0, 0xfffff, 0x9f, FLAT);
    m.assemble(CODE, asm.hlt);

    expect(m.runToHalt()).toBe(VECTOR_GP);
    expect(m.frame(3).slice(1)).toEqual([CODE, FREE | 3]);
  });

  it("past the limit raise #GP(0) and leave ESP", () => {
    const m = machine(0, asm.farCall(FREE, 0x1000));
    m.describe(FREE, 0, 0xfff, 0x9b, 4);

    expect(m.runToHalt()).toBe(VECTOR_GP);
    expect(m.frame(2)).toEqual([0, CODE]);
    expect(m.vcpu.gpr(REG_ESP)).toBe(STACK - 16);
  });

  it("call and return within a ring", () => {
    const m = machine(0, asm.farCall(FREE, DATA), asm.hlt);
    m.describe(FREE, 0, 0xfffff, 0x9b, FLAT);
    m.assemble(DATA, asm.movFromSeg(REG_EAX, SEG_CS), asm.retf);

    expect(m.runToHalt()).toBe(-1);
    expect(m.vcpu.gpr(REG_EAX)).toBe(FREE);
    expect(m.selector(SEG_CS)).toBe(KERNEL_CS);
    expect(m.vcpu.gpr(REG_ESP)).toBe(STACK);
  });

  it("to a TSS switch tasks and mark the old one available", () => {
    const m = machine(0, asm.farJump(FREE, 0));
    m.describe(FREE, DATA, 0x67, 0x89, 0);
    m.write32(DATA + 0x20, USER_CODE);
    m.write32(DATA + 0x24, EFLAGS_FIXED);
    m.write32(DATA + 0x38, STACK);
    for (const seg of [SEG_ES, SEG_SS, SEG_DS]) m.write32(DATA + 0x48 + seg * 4, KERNEL_DS);
    m.write32(DATA + 0x48 + SEG_CS * 4, KERNEL_CS);
    m.assemble(USER_CODE, asm.str(REG_EBX), asm.hlt);

    expect(m.runToHalt()).toBe(-1);

    expect(m.vcpu.gpr(REG_EBX)).toBe(FREE);
    expect(m.read(GDT + FREE + 5, 1)).toBe(0x8b);
    expect(m.read(GDT + 0x28 + 5, 1)).toBe(0x89);
    expect(m.read32(0x3000 + 0x20)).toBe(CODE + 7);
  });
});

describe("a switch to a task", () => {
  /** Ring 0 jumps to a task at DATA that would run from USER_CODE. */
  function jumping(type: number): Machine {
    const m = machine(0, asm.movImm(REG_EBX, 0x12345678), asm.farJump(FREE, 0));
    m.describe(FREE, DATA, 0x67, type, 0);
    m.describe(FREE + 8, 0, 0xfffff, DATA0 & ~0x80, FLAT);
    m.assemble(USER_CODE, asm.hlt);
    return m;
  }
  function fill32(m: Machine, ds: number): void {
    m.write32(DATA + 0x20, USER_CODE);
    m.write32(DATA + 0x24, EFLAGS_FIXED);
    m.write32(DATA + 0x38, USER_STACK);
    m.write32(DATA + 0x48 + SEG_SS * 4, KERNEL_DS);
    m.write32(DATA + 0x48 + SEG_DS * 4, ds);
    m.write32(DATA + 0x48 + SEG_CS * 4, KERNEL_CS);
  }

  it("that cannot load its DS faults in the new task, at its first instruction", () => {
    const m = jumping(0x89);
    fill32(m, FREE + 8);

    expect(m.runToHalt()).toBe(VECTOR_NP);

    expect(m.frame(3)).toEqual([FREE + 8, USER_CODE, KERNEL_CS]);
    expect(m.vcpu.gpr(REG_ESP)).toBe(USER_STACK - 16);
    expect(m.read32(0x3000 + 0x20)).toBe(CODE + 12);
    expect(m.read32(0x3000 + 0x34)).toBe(0x12345678);
  });

  it("with too small a limit raises #TS in the old task, which has not changed", () => {
    const m = jumping(0x89);
    fill32(m, KERNEL_DS);
    m.describe(FREE, DATA, 0x66, 0x89, 0);

    expect(m.runToHalt()).toBe(VECTOR_TS);

    expect(m.frame(3)).toEqual([FREE, CODE + 5, KERNEL_CS]);
    expect(m.read(GDT + FREE + 5, 1)).toBe(0x89);
  });

  it("that is busy raises #GP(selector)", () => {
    const m = jumping(0x8b);
    fill32(m, KERNEL_DS);

    expect(m.runToHalt()).toBe(VECTOR_GP);
    expect(m.frame(1)).toEqual([FREE]);
  });

  it("of 16 bits loads words, and the upper halves of the registers are ones", () => {
    const m = jumping(0x81);
    const words = [USER_CODE, EFLAGS_FIXED, 1, 2, 3, 4, 0x7000, 6, 7, 8];
    for (const [i, word] of words.entries()) m.write(DATA + 0x0e + 2 * i, asm.le(word, 2));
    for (const [i, sel] of [0, KERNEL_CS, KERNEL_DS, 0].entries()) {
      m.write(DATA + 0x22 + 2 * i, asm.le(sel, 2));
    }

    expect(m.runToHalt()).toBe(-1);

    expect(m.vcpu.eip).toBe(USER_CODE + 1);
    expect([REG_EAX, REG_EBX].map((r) => m.vcpu.gpr(r))).toEqual([0xffff0001, 0xffff0004]);
  });
});

describe("descriptor queries", () => {
  it("LAR and LSL give rights and byte limit to those who may see the segment, else clear ZF", () => {
    const m = machine(
      3,
      asm.movImm(REG_ECX, USER_DS),
      asm.lar(REG_EAX, REG_ECX),
      asm.lsl(REG_EDX, REG_ECX),
      asm.movImm(REG_ECX, KERNEL_DS),
      asm.lar(REG_EBX, REG_ECX),
      asm.hlt,
    );
    m.vcpu.setGpr(REG_EBX, 0x5555);

    expect(m.runToHalt()).toBe(VECTOR_GP);

    expect(m.vcpu.gpr(REG_EAX)).toBe(0xcff300);
    expect(m.vcpu.gpr(REG_EDX)).toBe(0xffffffff);
    expect(m.vcpu.gpr(REG_EBX)).toBe(0x5555);
    expect((m.frame(4)[3] ?? 0) & 0x40).toBe(0);
  });

  it("VERW says whether a segment is writable", () => {
    const m = machine(
      0,
      asm.movImm(REG_ECX, KERNEL_DS),
      asm.verw(REG_ECX),
      asm.pushf,
      asm.movImm(REG_ECX, KERNEL_CS),
      asm.verw(REG_ECX),
      asm.pushf,
      asm.hlt,
    );

    expect(m.runToHalt()).toBe(-1);
    expect(m.frame(2).map((flags) => (flags & 0x40) !== 0)).toEqual([false, true]);
  });

  it("are undefined where selectors are paragraphs", () => {
    const m = machine(0, asm.verw(REG_ECX));
    m.vcpu.setU32(VCPU_CR0, CR0_ET);
    // Without PE the vector table at 0 is used: #UD goes to 0:0x500.
    m.vcpu.setU32(VCPU_IDTR_BASE, 0);
    m.write32(VECTOR_UD * 4, 0x500);
    m.assemble(0x500, asm.hlt);

    expect(m.runToHalt()).toBe(-1);
    expect(m.vcpu.eip).toBe(0x501);
  });

  it("leave a ring-3 data descriptor untouched", () => {
    const m = machine(0, asm.movImm(REG_ECX, FREE), asm.lar(REG_EAX, REG_ECX), asm.hlt);
    m.describe(FREE, 0, 0xfffff, DATA3 & ~1, FLAT);

    expect(m.runToHalt()).toBe(-1);
    expect(m.read(GDT + FREE + 5, 1)).toBe(DATA3 & ~1);
  });
});

describe("ARPL", () => {
  const arpl = (rpl: number): Machine => {
    const m = new Machine();
    m.describe(FREE, 0, 0xfffff, 0x91, FLAT);
    m.assemble(
      CODE,
      asm.movImm(REG_EAX, FREE),
      [0x8e, 0xd8],
      asm.movImm(REG_EBX, rpl),
      [0x63, 0x1d, ...asm.le(DATA, 4)],
      asm.hlt,
    );
    return m;
  };

  it("writes only a selector that it raises, so others may lie in a read-only segment", () => {
    expect(arpl(0).runToHalt()).toBe(-1);
    expect(arpl(2).runToHalt()).toBe(VECTOR_GP);
  });
});
