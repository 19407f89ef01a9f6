/** Control registers, privileged instructions, ports, CPUID and the time-stamp counter. */
import { describe, expect, it } from "vitest";
import {
  EXIT_IO_IN,
  EXIT_IO_OUT,
  EXIT_MSR,
  PAGING_32,
  PAGING_PAE,
  POLICY_EXIT,
  POLICY_LGUEST,
  VCPU_CR0,
  VCPU_CR3,
  VCPU_CR4,
  VCPU_DR6,
  VCPU_DR7,
  VCPU_EFLAGS,
  VCPU_GDTR_BASE,
  VCPU_GDTR_LIMIT,
  VCPU_PAGING,
  VCPU_PDPTE,
  VCPU_RETIRED,
  VCPU_SHADOW,
  VCPU_TSC_OFFSET,
  VCPU_TSC_RATIO,
} from "../../../abi/vcpu.ts";
import {
  CR0_ET,
  CR0_NW,
  CR0_PE,
  CR0_PG,
  CR0_TS,
  CR4_DE,
  CR4_PAE,
  CR4_PGE,
  CR4_TSD,
  EFLAGS_FIXED,
  EFLAGS_IF,
  EFLAGS_IOPL,
  MSR_APIC_BASE,
  MSR_EFER,
  MSR_TSC,
  REG_EAX,
  REG_EBX,
  REG_ECX,
  REG_EDX,
  SEG_DS,
  SEG_TR,
  VECTOR_DB,
  VECTOR_GP,
  VECTOR_UD,
} from "../../../abi/x86.ts";
import * as asm from "./assembler.ts";
import { CODE, DATA, Machine, STACK, TSS, USER_CODE } from "./machine.ts";

function machine(ring: number, ...code: asm.Code[]): Machine {
  const m = new Machine();
  m.enter(ring);
  m.assemble(ring === 3 ? USER_CODE : CODE, ...code);
  return m;
}
/** Ring 0 code that puts `value` into CRn and halts. */
const settingCr = (n: number, value: number) =>
  machine(0, asm.movImm(REG_EAX, value), asm.movToCr(n, REG_EAX), asm.hlt);

describe("CR0", () => {
  it("refuses PG without PE, and NW without CD, by #GP(0)", () => {
    for (const value of [CR0_PG, CR0_PE | CR0_NW]) {
      const m = settingCr(0, value);
      expect(m.runToHalt()).toBe(VECTOR_GP);
      expect(m.frame(2)).toEqual([0, CODE + 5]);
      expect(m.vcpu.u32(VCPU_CR0)).toBe(CR0_PE | CR0_ET);
    }
  });

  it("turns 32-bit paging on; the next instruction is fetched through the tables", () => {
    const m = machine(
      0,
      asm.movImm(REG_EAX, 0x20000),
      asm.movToCr(3, REG_EAX),
      asm.movImm(REG_EAX, CR0_PE | CR0_PG),
      asm.movToCr(0, REG_EAX),
      asm.load(SEG_DS, 0x00400010),
      asm.hlt,
    );
    m.write32(0x20000, 0x21003);
    m.write32(0x20004, 0x22003);
    for (let page = 0; page < 32; page++) m.write32(0x21000 + 4 * page, (page << 12) | 3);
    m.write32(0x22000, DATA | 3);
    m.write32(DATA + 0x10, 0xcafe);

    expect(m.runToHalt()).toBe(-1);

    expect(m.vcpu.u32(VCPU_PAGING)).toBe(PAGING_32);
    expect(m.vcpu.gpr(REG_EAX)).toBe(0xcafe);
  });

  it("with PAE loads the four PDPTEs and refuses reserved bits in one that is present", () => {
    const enabling = (pdpte: number) => {
      const m = machine(0, asm.movImm(REG_EAX, CR0_PE | CR0_PG), asm.movToCr(0, REG_EAX), asm.hlt);
      m.vcpu.setU32(VCPU_CR4, CR4_PAE);
      m.vcpu.setU32(VCPU_CR3, 0x20020);
      m.write32(0x20020, pdpte);
      m.write32(0x21000, 0x22003);
      for (let page = 0; page < 32; page++) m.write32(0x22000 + 8 * page, (page << 12) | 3);
      return m;
    };
    const good = enabling(0x21001);
    const bad = enabling(0x21003);

    expect(good.runToHalt()).toBe(-1);
    expect(good.vcpu.u32(VCPU_PAGING)).toBe(PAGING_PAE);
    expect(good.vcpu.u32(VCPU_PDPTE)).toBe(0x21001);
    expect(bad.runToHalt()).toBe(VECTOR_GP);
    expect(bad.vcpu.u32(VCPU_CR0)).toBe(CR0_PE | CR0_ET);
  });

  it("is set in its low bits by LMSW, which cannot clear PE, and read by SMSW at any ring", () => {
    const m = machine(0, asm.movImm(REG_EAX, CR0_TS), asm.lmsw(REG_EAX), asm.hlt);
    expect(m.runToHalt()).toBe(-1);
    expect(m.vcpu.u32(VCPU_CR0)).toBe(CR0_PE | CR0_ET | CR0_TS);

    const user = machine(3, asm.smsw(REG_EBX), asm.hlt);
    expect(user.runToHalt()).toBe(VECTOR_GP);
    expect(user.vcpu.gpr(REG_EBX)).toBe(CR0_PE | CR0_ET);
  });
});

describe("other control and debug registers", () => {
  it("CR4 takes the bits of the CPU model and refuses others", () => {
    const good = settingCr(4, CR4_PGE | CR4_TSD);
    const bad = settingCr(4, 0x4000);
    expect(good.runToHalt()).toBe(-1);
    expect(good.vcpu.u32(VCPU_CR4)).toBe(CR4_PGE | CR4_TSD);
    expect(bad.runToHalt()).toBe(VECTOR_GP);
  });

  it("CR1 does not exist", () => {
    expect(settingCr(1, 0).runToHalt()).toBe(VECTOR_UD);
  });

  it("are out of reach above ring 0", () => {
    for (const code of [
      asm.movFromCr(REG_EAX, 0),
      asm.movToCr(3, REG_EAX),
      asm.movFromDr(REG_EAX, 7),
      asm.clts,
      asm.lgdt(DATA),
      asm.ltr(REG_EAX),
      asm.lldt(REG_EAX),
      asm.hlt,
      asm.cli,
      asm.sti,
      asm.rdmsr,
      asm.wrmsr,
    ]) {
      const m = machine(3, code);
      expect(m.runToHalt()).toBe(VECTOR_GP);
      expect(m.frame(2)).toEqual([0, USER_CODE]);
    }
  });

  it("DR4 is DR6 unless CR4.DE is set", () => {
    const alias = machine(0, asm.movFromDr(REG_EAX, 4), asm.hlt);
    const strict = machine(0, asm.movFromDr(REG_EAX, 4), asm.hlt);
    strict.vcpu.setU32(VCPU_CR4, CR4_DE);

    expect(alias.runToHalt()).toBe(-1);
    expect(alias.vcpu.gpr(REG_EAX)).toBe(0xffff0ff0);
    expect(strict.runToHalt()).toBe(VECTOR_UD);
  });

  it("DR7.GD makes the next access #DB, and lets the handler in", () => {
    const m = machine(
      0,
      asm.movImm(REG_EAX, 0x2000),
      asm.movToDr(7, REG_EAX),
      asm.movFromDr(REG_EAX, 0),
    );

    expect(m.runToHalt()).toBe(VECTOR_DB);

    expect(m.frame(1)).toEqual([CODE + 8]);
    expect(m.vcpu.u32(VCPU_DR6) & 0x2000).toBe(0x2000);
    expect(m.vcpu.u32(VCPU_DR7)).toBe(0x400);
  });

  it("LGDT takes 24 bits of base with a 16-bit operand size, and SGDT gives all of them back", () => {
    const m = machine(0, asm.lgdt(DATA), asm.sgdt(DATA + 8), asm.o16(asm.lgdt(DATA)), asm.hlt);
    m.write(DATA, [0x34, 0x12, 0x00, 0x10, 0x00, 0xab]);

    expect(m.runToHalt()).toBe(-1);

    expect(m.vcpu.u32(VCPU_GDTR_LIMIT)).toBe(0x1234);
    expect(m.vcpu.u32(VCPU_GDTR_BASE)).toBe(0x00001000);
    expect(m.read(DATA + 8, 2)).toBe(0x1234);
    expect(m.read32(DATA + 10)).toBe(0xab001000);
  });
});

describe("interrupt flag", () => {
  it("STI holds interrupts off for one instruction when it opens IF", () => {
    const m = machine(0, asm.nop, asm.sti, asm.hlt);

    expect(m.run(2)).toBe(0);

    expect(m.vcpu.u32(VCPU_EFLAGS) & EFLAGS_IF).toBe(EFLAGS_IF);
    expect(m.vcpu.u64(VCPU_SHADOW)).toBe(m.vcpu.u64(VCPU_RETIRED));
  });

  it("may be changed by CLI, STI and POPF with IOPL at or above CPL", () => {
    const m = machine(
      3,
      asm.sti,
      asm.cli,
      asm.pushImm(EFLAGS_FIXED | EFLAGS_IF),
      asm.popf,
      asm.hlt,
    );
    m.vcpu.setU32(VCPU_EFLAGS, EFLAGS_FIXED | EFLAGS_IOPL);

    expect(m.runToHalt()).toBe(VECTOR_GP);
    const [, eip, , flags = 0] = m.frame(4);
    expect(eip).toBe(USER_CODE + 8);
    expect(flags & (EFLAGS_IF | EFLAGS_IOPL)).toBe(EFLAGS_IF | EFLAGS_IOPL);
  });
});

describe("ports", () => {
  it("leave with the port, the width and the value, EIP past the instruction", () => {
    const m = machine(0, asm.inImm8(0x64), asm.movImm(REG_EAX, 0x89abcdef), asm.outImm32(0x80));

    expect(m.run()).toBe(EXIT_IO_IN);
    expect([m.vcpu.exitArg(0), m.vcpu.exitArg(1), m.vcpu.eip]).toEqual([0x64, 1, CODE + 2]);
    expect(m.run()).toBe(EXIT_IO_OUT);
    expect([0, 1, 2].map((i) => m.vcpu.exitArg(i))).toEqual([0x80, 4, 0x89abcdef]);
  });

  it("of ring 3 need IOPL or a clear bit in the TSS's bitmap", () => {
    // Dword 31 of the bitmap is ports 0x3e0-0x3ff.
    const tryPort = (bits: number) => {
      const m = machine(3, asm.movImm(REG_EDX, 0x3f9), asm.inDx8);
      m.vcpu.setSegment(SEG_TR, { selector: 0x28, base: TSS, limit: 0x1ff, attr: 0x8b });
      m.write32(TSS + 0x64, 0x68 << 16);
      m.write32(TSS + 0x68 + 0x7c, bits);
      return m;
    };
    const allowed = tryPort(~(1 << 25));
    const denied = tryPort(1 << 25);

    expect(allowed.run()).toBe(EXIT_IO_IN);
    expect(allowed.vcpu.exitArg(0)).toBe(0x3f9);
    expect(denied.runToHalt()).toBe(VECTOR_GP);
  });
});

describe("time-stamp counter", () => {
  it("counts retired instructions, RDTSC included, times the ratio plus the offset", () => {
    const m = machine(0, asm.nop, asm.nop, asm.rdtsc, asm.hlt);
    m.vcpu.setU32(VCPU_TSC_RATIO, 10);
    m.vcpu.setU64(VCPU_TSC_OFFSET, 0x1_0000_0000n);

    expect(m.runToHalt()).toBe(-1);

    expect([m.vcpu.gpr(REG_EAX), m.vcpu.gpr(REG_EDX)]).toEqual([30, 1]);
  });

  it("is kept from ring 3 by CR4.TSD", () => {
    const m = machine(3, asm.rdtsc);
    m.vcpu.setU32(VCPU_CR4, CR4_TSD);
    expect(m.runToHalt()).toBe(VECTOR_GP);
  });

  it("is set by WRMSR", () => {
    const m = machine(
      0,
      asm.movImm(REG_ECX, MSR_TSC),
      asm.movImm(REG_EAX, 1000),
      asm.movImm(REG_EDX, 0),
      asm.wrmsr,
      asm.rdtsc,
      asm.hlt,
    );
    expect(m.runToHalt()).toBe(-1);
    expect(m.vcpu.gpr(REG_EAX)).toBe(1001);
  });
});

describe("MSRs", () => {
  it("EFER takes NXE only", () => {
    const writing = (value: number) =>
      machine(
        0,
        asm.movImm(REG_ECX, MSR_EFER),
        asm.movImm(REG_EAX, value),
        asm.movImm(REG_EDX, 0),
        asm.wrmsr,
        asm.hlt,
      );
    expect(writing(0x800).runToHalt()).toBe(-1);
    expect(writing(0x801).runToHalt()).toBe(VECTOR_GP);
  });

  it("of the hypervisor range leave for the Host, others that nobody knows are #GP", () => {
    const m = machine(0, asm.movImm(REG_ECX, 0x40000000), asm.rdmsr);
    expect(m.run()).toBe(EXIT_MSR);
    expect([m.vcpu.exitArg(0), m.vcpu.exitArg(1), m.vcpu.eip]).toEqual([0x40000000, 0, CODE + 7]);
    const reading = (index: number) => machine(0, asm.movImm(REG_ECX, index), asm.rdmsr, asm.hlt);
    expect(reading(0x8b).runToHalt()).toBe(VECTOR_GP);
    expect(reading(0xc0010000).runToHalt()).toBe(-1);
  });

  it("APIC_BASE takes the enable bit and an address, and CPUID follows it", () => {
    const writing = (low: number) =>
      machine(
        0,
        asm.movImm(REG_ECX, MSR_APIC_BASE),
        asm.movImm(REG_EAX, low),
        asm.movImm(REG_EDX, 0),
        asm.wrmsr,
        asm.movImm(REG_EAX, 1),
        asm.cpuid,
        asm.hlt,
      );
    const apicBit = (low: number) => {
      const m = writing(low);
      expect(m.runToHalt()).toBe(-1);
      return (m.vcpu.gpr(REG_EDX) >>> 9) & 1;
    };
    expect([apicBit(0xfee00900), apicBit(0xfee00100)]).toEqual([1, 0]);
    // Bit 10 would be the x2APIC mode.
    expect(writing(0xfee00d00).runToHalt()).toBe(VECTOR_GP);
  });
});

describe("CPUID", () => {
  const ask = (leaf: number) => {
    const m = machine(0, asm.movImm(REG_EAX, leaf), asm.cpuid, asm.hlt);
    expect(m.runToHalt()).toBe(-1);
    return [REG_EAX, REG_EBX, REG_ECX, REG_EDX].map((r) => m.vcpu.gpr(r));
  };
  const text = (...words: number[]) =>
    String.fromCharCode(...words.flatMap((word) => asm.le(word, 4))).replace(/\0+$/, "");

  it("names the hypervisor at leaf 0x40000000, and leaf 1 says that there is one", () => {
    const [, ebx = 0, ecx = 0, edx = 0] = ask(0x40000000);
    expect(text(ebx, ecx, edx)).toBe("wasmvisor");
    expect((ask(1)[2] ?? 0) >>> 31).toBe(1);
  });

  it("describes a family 6 processor with FPU, TSC, CX8, CMOV and PGE, without SEP and SSE", () => {
    const [eax = 0, , , edx = 0] = ask(1);
    expect((eax >>> 8) & 15).toBe(6);
    const has = (bit: number) => ((edx >>> bit) & 1) === 1;
    expect([0, 4, 8, 13, 15].map(has)).toEqual([true, true, true, true, true]);
    expect([11, 25, 26].map(has)).toEqual([false, false, false]);
  });

  it("has a vendor, a brand string, and zeroes for leaves it does not know", () => {
    const [, ebx = 0, ecx = 0, edx = 0] = ask(0);
    expect(text(ebx, edx, ecx)).toBe("WasmvisorCPU");
    const brand = [2, 3, 4].flatMap((n) => ask((0x80000000 + n) | 0));
    expect(text(...brand)).toBe("wasmvisor virtual i686 processor");
    expect(ask(0x1234)).toEqual([0, 0, 0, 0]);
  });
});

describe("an lguest kernel at ring 1", () => {
  function kernel(policy: number, ...code: asm.Code[]): Machine {
    const m = new Machine(policy);
    m.enter(1);
    m.assemble(CODE, ...code);
    return m;
  }

  it("reaches ports without IOPL", () => {
    const m = kernel(POLICY_LGUEST, asm.inImm8(0x64));
    expect(m.run()).toBe(EXIT_IO_IN);
    expect(m.vcpu.eip).toBe(CODE + 2);
  });

  it("has CLI skipped: IF stays", () => {
    const m = kernel(POLICY_LGUEST, asm.cli, asm.inImm8(0x64));
    m.vcpu.setU32(VCPU_EFLAGS, EFLAGS_FIXED | EFLAGS_IF);
    expect(m.run()).toBe(EXIT_IO_IN);
    expect(m.vcpu.u32(VCPU_EFLAGS)).toBe(EFLAGS_FIXED | EFLAGS_IF);
  });

  it("gets #GP(0) for everything else that is privileged, as any ring 1 does", () => {
    for (const code of [asm.hlt, asm.sti, asm.movFromCr(REG_EAX, 0), asm.rdmsr, asm.clts]) {
      const m = kernel(POLICY_EXIT, code);
      m.run();
      expect([0, 1].map((i) => m.vcpu.exitArg(i))).toEqual([VECTOR_GP, 0]);
      expect(m.vcpu.eip).toBe(CODE);
    }
  });

  it("may read debug registers, as the oops of Linux 3.10 does, but not write them", () => {
    const reads = kernel(POLICY_LGUEST, asm.movFromDr(REG_EAX, 0), asm.inImm8(0x64));
    expect(reads.run()).toBe(EXIT_IO_IN);
    expect(reads.vcpu.gpr(REG_EAX)).toBe(0);

    const writes = kernel(POLICY_EXIT, asm.movToDr(7, REG_EAX));
    writes.run();
    expect(writes.vcpu.exitArg(0)).toBe(VECTOR_GP);
  });

  it("gets #UD for SYSENTER", () => {
    const m = kernel(POLICY_EXIT, asm.sysenter);
    m.run();
    expect(m.vcpu.exitArg(0)).toBe(VECTOR_UD);
  });

  it("keeps IF over IRET and POPF", () => {
    const m = kernel(
      POLICY_LGUEST,
      asm.pushImm(EFLAGS_FIXED),
      asm.popf,
      asm.pushImm(EFLAGS_FIXED),
      asm.pushImm(0x09),
      asm.pushImm(CODE + 0x40),
      asm.iret,
    );
    m.assemble(CODE + 0x40, asm.inImm8(0x64));
    m.vcpu.setU32(VCPU_EFLAGS, EFLAGS_FIXED | EFLAGS_IF);
    m.describe(0x08, 0, 0xfffff, 0xbb, 0xc);

    expect(m.run()).toBe(EXIT_IO_IN);
    expect(m.vcpu.u32(VCPU_EFLAGS)).toBe(EFLAGS_FIXED | EFLAGS_IF);
    expect(m.vcpu.gpr(4)).toBe(STACK);
  });
});
