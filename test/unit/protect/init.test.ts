/** The INIT signal: what it resets, and what it leaves (SDM 3A, "Processor State After Reset"). */
import { expect, test } from "vitest";
import {
  EXIT_HALT,
  PAGING_NONE,
  VCPU_APIC_BASE,
  VCPU_CR0,
  VCPU_CR3,
  VCPU_CR4,
  VCPU_DR7,
  VCPU_EFER,
  VCPU_EIP,
  VCPU_FPR,
  VCPU_HALTED,
  VCPU_IDTR_LIMIT,
  VCPU_MXCSR,
  VCPU_NMI,
  VCPU_PAGING,
  VCPU_SYSENTER_EIP,
  VCPU_TSC_OFFSET,
  VCPU_XMM,
} from "../../../abi/vcpu.ts";
import { REG_EAX, REG_EBX, REG_EDX, SEG_CS, SEG_DS } from "../../../abi/x86.ts";
import { BareMachine, CODE } from "../../drivers/bare-machine.ts";

test("registers and modes are those after reset", () => {
  const machine = new BareMachine();
  const { vcpu } = machine;
  vcpu.setU32(VCPU_EFER, 0x800);
  vcpu.setU32(VCPU_CR3, 0x5000);
  vcpu.setU32(VCPU_CR4, 0x10);
  vcpu.setU32(VCPU_DR7, 0x4ff);
  vcpu.setU32(VCPU_HALTED, 1);
  vcpu.setU32(VCPU_NMI, 1);
  machine.init();
  expect([vcpu.gpr(REG_EAX), vcpu.gpr(REG_EDX), vcpu.eip, vcpu.eflags]).toEqual([
    ...[0, 0x633, 0xfff0, 2],
  ]);
  const { cr0, cr3, cr4, cpl } = vcpu.registers();
  expect([cr0, cr3, cr4, cpl]).toEqual([0x10, 0, 0, 0]);
  expect(vcpu.segment(SEG_CS)).toMatchObject({ selector: 0xf000, base: 0xffff0000, limit: 0xffff });
  expect(vcpu.segment(SEG_DS)).toMatchObject({ selector: 0, base: 0, limit: 0xffff });
  const fields = [VCPU_EFER, VCPU_DR7, VCPU_HALTED, VCPU_NMI, VCPU_PAGING, VCPU_IDTR_LIMIT];
  expect(fields.map((field) => vcpu.u32(field))).toEqual([0, 0x400, 0, 0, PAGING_NONE, 0xffff]);
});

test("the cache bits, x87 and SSE registers, counters and MSRs stay", () => {
  const machine = new BareMachine();
  const { vcpu } = machine;
  machine.load([0x90, 0x90], []);
  machine.run();
  const { retired } = vcpu;
  const kept = [VCPU_FPR, VCPU_XMM, VCPU_MXCSR, VCPU_SYSENTER_EIP, VCPU_APIC_BASE, VCPU_TSC_OFFSET];
  for (const [index, field] of kept.entries()) vcpu.setU32(field, 0x1000 + index);
  vcpu.setU32(VCPU_CR0, 0xe0000011 | 0);
  machine.init();
  expect(kept.map((field) => vcpu.u32(field))).toEqual(kept.map((_, index) => 0x1000 + index));
  expect([vcpu.u32(VCPU_CR0), vcpu.retired]).toEqual([0x60000010, retired]);
});

test("from there it runs 16-bit code, though the same bytes were decoded for 32 bits before", () => {
  const machine = new BareMachine();
  const { vcpu } = machine;
  // mov eax, 0x12345678 in 32-bit code; mov ax, 0x5678; xor al, 0x12 in 16-bit code
  machine.load([0xb8, 0x78, 0x56, 0x34, 0x12], []);
  expect(machine.run()[0]).toBe(EXIT_HALT);
  expect(vcpu.gpr(REG_EAX)).toBe(0x12345678);
  machine.init();
  vcpu.setSegment(SEG_CS, { ...vcpu.segment(SEG_CS), selector: CODE >> 4, base: CODE });
  vcpu.setU32(VCPU_EIP, 0);
  machine.updateMode();
  expect(machine.run()[0]).toBe(EXIT_HALT);
  expect(vcpu.gpr(REG_EAX)).toBe(0x5678 ^ 0x12);
});

test("CPUID tells a vCPU its number", () => {
  const machine = new BareMachine();
  const other = machine.createSibling();
  for (const [number, each] of [machine, other].entries()) {
    each.load([0xb8, 1, 0, 0, 0, 0x0f, 0xa2], []);
    each.run();
    expect(each.vcpu.gpr(REG_EBX) >>> 24).toBe(number);
  }
});
