/** Breakpoints of the debug registers, the resume flag, and single step. Source: SDM 3B, "Debug Registers", "Debug Exceptions". */
import { describe, expect, it } from "vitest";
import {
  EXIT_BUDGET,
  EXIT_IO_IN,
  VCPU_CR4,
  VCPU_DR0,
  VCPU_DR6,
  VCPU_DR7,
  VCPU_EFLAGS,
  VCPU_EIP,
} from "../../../abi/vcpu.ts";
import {
  CR4_DE,
  EFLAGS_FIXED,
  EFLAGS_RF,
  EFLAGS_TF,
  REG_EAX,
  REG_ECX,
  REG_EDI,
  REG_ESI,
  SEG_DS,
  SEG_SS,
  VECTOR_BP,
  VECTOR_DB,
  VECTOR_UD,
} from "../../../abi/x86.ts";
import * as asm from "./assembler.ts";
import { CODE, DATA, KERNEL_DS, Machine, TSS_SELECTOR, TSS2 } from "./machine.ts";

const DR6_NONE = 0xffff0ff0;
const BS = 0x4000;
const BT = 0x8000;
const EXECUTE = 0;
const WRITE = 1;
const PORT = 2;
const ACCESS = 3;
const BYTE = 0;
const WORD = 1;
const DWORD = 3;

/** DR7 with local breakpoint `i` of this kind and length. */
const enable = (i: number, kind: number, length: number): number =>
  (1 << (2 * i)) | (kind << (16 + 4 * i)) | (length << (18 + 4 * i));

interface Breakpoint {
  readonly at: number;
  readonly kind: number;
  readonly length?: number;
}

/** Ring 0 code with breakpoints 0, 1... armed. */
function armed(breakpoints: readonly Breakpoint[], ...code: asm.Code[]): Machine {
  const m = new Machine();
  m.assemble(CODE, ...code);
  let dr7 = 0x400;
  for (const [i, { at, kind, length = BYTE }] of breakpoints.entries()) {
    m.vcpu.setU32(VCPU_DR0 + 4 * i, at);
    dr7 |= enable(i, kind, length);
  }
  m.vcpu.setU32(VCPU_DR6, DR6_NONE);
  m.vcpu.setU32(VCPU_DR7, dr7);
  return m;
}
/** Ring 0 code that runs with TF set from its first instruction on. */
function stepping(...code: asm.Code[]): Machine {
  const m = armed([], ...code);
  m.vcpu.setU32(VCPU_EFLAGS, EFLAGS_FIXED | EFLAGS_TF);
  return m;
}
const conditions = (m: Machine): number => (m.vcpu.u32(VCPU_DR6) ^ DR6_NONE) & 0xf00f;
/** EIP of the instruction that the #DB handler was entered for. */
const savedEip = (m: Machine): number => m.frame(1)[0]!;
const savedFlags = (m: Machine): number => m.frame(3)[2]!;
/** MOV byte [address], AL and MOV AX, [address]. */
const storeByte = (address: number): asm.Code => [0xa2, ...asm.le(address, 4)];
const loadWord = (address: number): asm.Code => [0x66, 0xa1, ...asm.le(address, 4)];
/** INC ECX: counts how often it was executed. */
const count: asm.Code = [0x41];
/** A #DB handler that counts in EDI and returns as it was entered. */
const countTraps: asm.Code = [0x47, 0xcf];

describe("an execution breakpoint", () => {
  it("faults before its instruction, with RF clear in the frame", () => {
    const m = armed([{ at: CODE + 1, kind: EXECUTE }], asm.nop, count, asm.hlt);
    m.vcpu.setGpr(REG_ECX, 0);

    expect(m.runToHalt()).toBe(VECTOR_DB);

    expect(savedEip(m)).toBe(CODE + 1);
    expect(savedFlags(m) & EFLAGS_RF).toBe(0);
    expect(conditions(m)).toBe(1);
    expect(m.vcpu.gpr(REG_ECX)).toBe(0);
  });

  it("is passed once by an IRET that sets RF, and hits again the next time", () => {
    // INC ECX; JMP back to it.
    const m = armed([{ at: CODE, kind: EXECUTE }], count, [0xeb, 0xfd]);
    // INC EDI; CMP EDI, 3; JE +8; OR dword [ESP+8], RF; IRET; HLT.
    const resume = [0x81, 0x4c, 0x24, 0x08, ...asm.le(EFLAGS_RF, 4)];
    m.assemble(m.handler(VECTOR_DB), [0xe9, ...asm.le(DATA - m.handler(VECTOR_DB) - 5, 4)]);
    m.assemble(DATA, [0x47, 0x83, 0xff, 3, 0x74, 9], resume, asm.iret, asm.hlt);
    m.vcpu.setGpr(REG_ECX, 0);
    m.vcpu.setGpr(REG_EDI, 0);

    expect(m.runToHalt()).toBe(-1);

    expect(m.vcpu.gpr(REG_EDI)).toBe(3);
    expect(m.vcpu.gpr(REG_ECX)).toBe(2);
  });

  it("that MOV to DR7 arms in the middle of a block works at once", () => {
    const m = armed(
      [],
      asm.movImm(REG_EAX, CODE + 17),
      asm.movToDr(0, REG_EAX),
      asm.movImm(REG_EAX, enable(0, EXECUTE, BYTE)),
      asm.movToDr(7, REG_EAX),
      asm.nop,
      asm.hlt,
    );

    expect(m.runToHalt()).toBe(VECTOR_DB);
    expect(savedEip(m)).toBe(CODE + 17);
  });

  it("does not hit in the shadow of MOV SS", () => {
    const m = armed(
      [{ at: CODE + 2, kind: EXECUTE }],
      asm.movToSeg(SEG_SS, REG_EAX),
      asm.nop,
      asm.hlt,
    );
    m.vcpu.setGpr(REG_EAX, KERNEL_DS);

    expect(m.runToHalt()).toBe(-1);
  });

  it("on a repeated string instruction hits once, not at every chunk", () => {
    const m = armed([{ at: CODE, kind: EXECUTE }], [0xf3, 0xaa], asm.hlt);
    m.assemble(m.handler(VECTOR_DB), [0x81, 0x4c, 0x24, 0x08, ...asm.le(EFLAGS_RF, 4)], asm.iret);
    m.vcpu.setGpr(REG_ECX, 0x1800);
    m.vcpu.setGpr(REG_EDI, 0x40800);

    expect(m.runToHalt()).toBe(-1);
    expect(m.vcpu.gpr(REG_ECX)).toBe(0);
  });
});

describe("a data breakpoint", () => {
  it("traps after the instruction that writes, wherever it stands in its block", () => {
    const m = armed(
      [{ at: DATA + 4, kind: WRITE, length: DWORD }],
      count,
      storeByte(DATA + 6),
      count,
      asm.hlt,
    );
    m.vcpu.setGpr(REG_ECX, 0);
    m.vcpu.setGpr(REG_EAX, 0x5a);

    expect(m.runToHalt()).toBe(VECTOR_DB);

    expect(savedEip(m)).toBe(CODE + 6);
    expect(m.vcpu.gpr(REG_ECX)).toBe(1);
    expect(m.read(DATA + 6, 1)).toBe(0x5a);
    expect(conditions(m)).toBe(1);
    expect(savedFlags(m) & EFLAGS_RF).toBe(0);
  });

  it("of the write kind lets reads pass, of the access kind it does not", () => {
    const read = (kind: number) =>
      armed([{ at: DATA, kind, length: WORD }], loadWord(DATA), asm.hlt).runToHalt();
    expect(read(WRITE)).toBe(-1);
    expect(read(ACCESS)).toBe(VECTOR_DB);
  });

  it("covers its aligned length and nothing beside it", () => {
    for (let at = DATA - 4; at < DATA + 12; at++) {
      const m = armed([{ at: DATA + 6, kind: WRITE, length: DWORD }], storeByte(at), asm.hlt);
      expect(m.runToHalt(), `byte ${at - DATA}`).toBe(
        at >= DATA + 4 && at < DATA + 8 ? VECTOR_DB : -1,
      );
    }
  });

  it("is hit by an access that only overlaps it, across a page boundary too", () => {
    const edge = DATA + 0x1000;
    const m = armed([{ at: edge, kind: ACCESS }], asm.load(SEG_DS, edge - 3), asm.hlt);
    expect(m.runToHalt()).toBe(VECTOR_DB);
  });

  it("reports every breakpoint that the instruction hit, and forgets those of the last trap", () => {
    const m = armed(
      [
        { at: DATA, kind: WRITE },
        { at: DATA + 1, kind: ACCESS },
        { at: DATA + 8, kind: WRITE },
      ],
      asm.store(SEG_DS, DATA),
      storeByte(DATA + 8),
      asm.hlt,
    );
    m.assemble(m.handler(VECTOR_DB), countTraps);
    m.vcpu.setGpr(REG_EDI, 0);

    m.run(2);
    expect(conditions(m)).toBe(3);
    expect(m.runToHalt()).toBe(-1);
    expect(conditions(m)).toBe(4);
    expect(m.vcpu.gpr(REG_EDI)).toBe(2);
  });

  it("stops REP MOVS after the element that hit it, with RF in the frame", () => {
    const m = armed([{ at: DATA + 0x105, kind: WRITE }], [0xf3, 0xa4], asm.hlt);
    m.vcpu.setGpr(REG_ESI, DATA);
    m.vcpu.setGpr(REG_EDI, DATA + 0x100);
    m.vcpu.setGpr(REG_ECX, 16);

    expect(m.runToHalt()).toBe(VECTOR_DB);

    expect(m.vcpu.gpr(REG_ECX)).toBe(10);
    expect(savedEip(m)).toBe(CODE);
    expect(savedFlags(m) & EFLAGS_RF).toBe(EFLAGS_RF);
  });

  it("on the operand of MOV SS waits for the instruction behind it", () => {
    // MOV SS, [DATA]
    const m = armed([{ at: DATA, kind: ACCESS }], [0x8e, 0x15, ...asm.le(DATA, 4)], count, count);
    m.write32(DATA, KERNEL_DS);
    m.vcpu.setGpr(REG_ECX, 0);

    expect(m.runToHalt()).toBe(VECTOR_DB);

    expect(m.vcpu.gpr(REG_ECX)).toBe(1);
    expect(savedEip(m)).toBe(CODE + 7);
  });

  it("that is disarmed leaves nothing behind", () => {
    const m = armed(
      [{ at: DATA, kind: ACCESS }],
      asm.movImm(REG_EAX, 0),
      asm.movToDr(7, REG_EAX),
      asm.store(SEG_DS, DATA),
      asm.hlt,
    );
    expect(m.runToHalt()).toBe(-1);
  });
});

describe("a port breakpoint", () => {
  it("needs CR4.DE, and traps after the access that the Host made", () => {
    for (const de of [0, CR4_DE]) {
      const m = armed([{ at: 0x41, kind: PORT }], [0xe5, 0x40], asm.hlt);
      m.vcpu.setU32(VCPU_CR4, de);
      expect(m.run()).toBe(EXIT_IO_IN);
      expect(m.runToHalt()).toBe(de === 0 ? -1 : VECTOR_DB);
    }
  });
});

describe("a task switch", () => {
  it("clears the local enables, and traps before the first instruction when the new TSS says so", () => {
    const m = armed([{ at: DATA, kind: WRITE }], asm.farJump(0x30, 0));
    m.vcpu.setU32(VCPU_DR7, m.vcpu.u32(VCPU_DR7) | 0x302);
    m.describe(0x30, TSS2, 0x67, 0x89, 0);
    m.write32(TSS2 + 0x20, CODE + 0x40);
    m.write32(TSS2 + 0x24, EFLAGS_FIXED);
    m.write32(TSS2 + 0x38, 0xb000);
    for (const [at, selector] of [
      [0x48, KERNEL_DS],
      [0x4c, 8],
      [0x50, KERNEL_DS],
      [0x54, KERNEL_DS],
    ] as const) {
      m.write32(TSS2 + at, selector);
    }
    m.write32(TSS2 + 0x64, 1);
    m.assemble(CODE + 0x40, asm.hlt);

    expect(m.runToHalt()).toBe(VECTOR_DB);

    expect(savedEip(m)).toBe(CODE + 0x40);
    expect(conditions(m)).toBe(BT);
    expect(m.vcpu.u32(VCPU_DR7) & 0x3ff).toBe(0x202);
    expect(m.selector(7)).toBe(0x30);
    expect(TSS_SELECTOR).not.toBe(0x30);
  });
});

describe("single step", () => {
  it("traps after each instruction with DR6.BS, and not for the one that sets TF", () => {
    const m = armed([], asm.pushImm(EFLAGS_FIXED | EFLAGS_TF), asm.popf, count, count, asm.hlt);
    m.vcpu.setGpr(REG_ECX, 0);

    expect(m.runToHalt()).toBe(VECTOR_DB);

    expect(savedEip(m)).toBe(CODE + 7);
    expect(m.vcpu.gpr(REG_ECX)).toBe(1);
    expect(conditions(m)).toBe(BS);
    expect(savedFlags(m) & (EFLAGS_TF | EFLAGS_RF)).toBe(EFLAGS_TF);
    expect(m.vcpu.u32(VCPU_EFLAGS) & EFLAGS_TF).toBe(0);
  });

  it("traps after the POPF that clears TF", () => {
    const m = stepping(asm.popf, asm.hlt);
    m.write32(m.vcpu.gpr(4), EFLAGS_FIXED);
    expect(m.runToHalt()).toBe(VECTOR_DB);
    expect(savedEip(m)).toBe(CODE + 1);
  });

  it("passes over MOV SS together with the instruction behind it, but not over LSS", () => {
    const moved = stepping(asm.movToSeg(SEG_SS, REG_EAX), asm.nop, asm.hlt);
    moved.vcpu.setGpr(REG_EAX, KERNEL_DS);
    expect(moved.runToHalt()).toBe(VECTOR_DB);
    expect(savedEip(moved)).toBe(CODE + 3);

    const loaded = stepping(asm.lssAt(4, DATA), asm.nop, asm.hlt);
    loaded.write32(DATA, 0xb000);
    loaded.write32(DATA + 4, KERNEL_DS);
    expect(loaded.runToHalt()).toBe(VECTOR_DB);
    expect(savedEip(loaded)).toBe(CODE + asm.lssAt(4, DATA).length);
  });

  it("does not trap in the handler of INT n, whose frame has TF", () => {
    const m = stepping(asm.int3);
    expect(m.runToHalt()).toBe(VECTOR_BP);
    expect(savedFlags(m) & EFLAGS_TF).toBe(EFLAGS_TF);
    expect(conditions(m)).toBe(0);
  });

  it("does not trap for an instruction that faults", () => {
    const m = stepping(asm.ud2);
    expect(m.runToHalt()).toBe(VECTOR_UD);
    expect(savedFlags(m) & (EFLAGS_TF | EFLAGS_RF)).toBe(EFLAGS_TF | EFLAGS_RF);
  });

  it("traps after each element of a repeated string instruction", () => {
    for (const [name, code, last] of [
      ["stos", [0xf3, 0xaa], 3],
      ["lods", [0xf3, 0xac], 3],
      ["movs", [0xf3, 0xa4], 3],
      ["scas", [0xf2, 0xae], 3],
      ["cmps", [0xf3, 0xa6], 3],
    ] as const) {
      const m = stepping([...code], asm.hlt);
      m.assemble(m.handler(VECTOR_DB), [0x42, 0xcf]);
      m.vcpu.setGpr(REG_ESI, DATA);
      m.vcpu.setGpr(REG_EDI, DATA + 0x100);
      m.vcpu.setGpr(REG_ECX, last);
      m.vcpu.setGpr(REG_EAX, 1);
      m.vcpu.setGpr(2, 0);

      // Each element and the handler's two instructions, then HLT, which traps too.
      m.run(3 * last);
      expect(m.vcpu.gpr(2), name).toBe(last);
      expect(m.vcpu.gpr(REG_ECX), name).toBe(0);
      expect(m.vcpu.u32(VCPU_EIP), name).toBe(CODE + 2);
    }
  });

  it("traps after IN once the Host has answered, and ends a HLT at once", () => {
    const m = stepping(asm.inDx8, asm.hlt);
    expect(m.run()).toBe(EXIT_IO_IN);
    expect(m.runToHalt()).toBe(VECTOR_DB);
    expect(savedEip(m)).toBe(CODE + 1);

    const halted = stepping(asm.hlt);
    expect(halted.runToHalt()).toBe(VECTOR_DB);
    expect(savedEip(halted)).toBe(CODE + 1);
  });

  it("that the Host interrupts after the instruction traps first", () => {
    const m = stepping(asm.inDx8, asm.hlt);
    m.assemble(m.handler(VECTOR_DB), asm.iret);
    expect(m.run()).toBe(EXIT_IO_IN);

    expect(m.core.exports.deliverInterrupt(m.vcpu.ptr, 0x30)).toBe(1);

    expect(m.vcpu.eip).toBe(m.handler(0x30));
    expect(savedEip(m)).toBe(m.handler(VECTOR_DB));
    expect(m.run(1)).not.toBe(EXIT_BUDGET);
  });
});
