import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { CPUID_XEN_EBX, CPUID_XEN_ECX, CPUID_XEN_EDX } from "../../../abi/cpuid.ts";
import { VCPU_XEN_IOBITMAP, VCPU_XEN_IOBITMAP_PORTS, VCPU_XEN_IOPL } from "../../../abi/vcpu.ts";
import {
  CR0_TS,
  CR4_DE,
  CR4_TSD,
  EFLAGS_TF,
  REG_EAX,
  REG_EBP,
  REG_EBX,
  REG_ECX,
  REG_EDI,
  REG_EDX,
  VECTOR_DB,
  VECTOR_GP,
  VECTOR_NM,
  VECTOR_UD,
} from "../../../abi/x86.ts";
import {
  FLAT_RING1_SS,
  HYPERVISOR_STACK_SWITCH,
  HYPERVISOR_VM_ASSIST,
  VMASST_TYPE_ARCHITECTURAL_IOPL,
  XEN_VERSION,
} from "../../../abi/xen.ts";
import { VI_CR2 } from "../../../abi/xen-layout.ts";
import {
  type Code,
  cli,
  clts,
  cpuid,
  hlt,
  inDx8,
  inImm8,
  lgdt,
  lmsw,
  movFromCr,
  movFromDr,
  movImm,
  movToCr,
  movToDr,
  outImm32,
  popf,
  pushImm,
  rdmsr,
  rdtsc,
  sti,
  sysenter,
  wrmsr,
} from "../protect/assembler.ts";
import {
  CODE,
  DATA,
  Domain,
  KERNEL_STACK,
  L3_PAGE,
  mfnOf,
  STOP,
  STOP_HANDLER,
  USER_CODE,
} from "./domain.ts";

const GP = STOP_HANDLER + VECTOR_GP;
const UD = STOP_HANDLER + VECTOR_UD;
const keep: Code = [0x89, 0xc5];
const forced: Code = [0x0f, 0x0b, 0x78, 0x65, 0x6e];

let domain: Domain;
beforeEach(() => {
  domain = new Domain();
  domain.setTraps([VECTOR_GP, 0], [VECTOR_UD, 0], [VECTOR_DB, 0], [VECTOR_NM, 0]);
  domain.call(HYPERVISOR_STACK_SWITCH, FLAT_RING1_SS, KERNEL_STACK);
});
afterEach(() => {
  domain.destroy();
});

/** EBP after the code has run in ring 1 to its end. */
function result(...code: Code[]): number {
  expect(domain.execute(1, ...code, keep)).toBe(STOP);
  return domain.vcpu.gpr(REG_EBP);
}

describe("control registers in ring 1", () => {
  it("CR0: only TS may change", () => {
    const cr0 = result(movFromCr(REG_EAX, 0));
    expect(cr0).toBe(0x80050033);
    expect(result(movImm(REG_EAX, cr0 | CR0_TS), movToCr(0, REG_EAX), movFromCr(REG_EAX, 0))).toBe(
      (cr0 | CR0_TS) >>> 0,
    );
    expect(result(clts, movFromCr(REG_EAX, 0))).toBe(cr0);
    expect(domain.execute(1, movImm(REG_EAX, cr0 & 0x7fffffff), movToCr(0, REG_EAX))).toBe(GP);
  });

  it("CR2 is in vcpu_info too", () => {
    expect(result(movImm(REG_EAX, 0x1234), movToCr(2, REG_EAX), movFromCr(REG_EAX, 2))).toBe(
      0x1234,
    );
    expect(domain.info32(VI_CR2)).toBe(0x1234);
  });

  it("CR3 is the base pointer", () => {
    const cr3 = mfnOf(L3_PAGE) << 12;
    expect(result(movFromCr(REG_EAX, 3), movToCr(3, REG_EAX), movFromCr(REG_EAX, 3))).toBe(cr3);
    expect(domain.execute(1, movImm(REG_EAX, DATA), movToCr(3, REG_EAX))).toBe(GP);
  });

  it("CR4: only TSD and DE are the guest's", () => {
    const cr4 = result(movFromCr(REG_EAX, 4));
    const write = (value: number) =>
      result(movImm(REG_EAX, value), movToCr(4, REG_EAX), movFromCr(REG_EAX, 4));
    expect(write(0)).toBe(cr4);
    expect(write(0xffffffff)).toBe(cr4 | CR4_TSD | CR4_DE);
    expect(domain.execute(1, rdtsc)).toBe(STOP);
    expect(domain.execute(3, rdtsc)).toBe(GP);
  });

  it("are nobody's in ring 3", () => {
    for (const code of [movFromCr(REG_EAX, 0), clts, movFromDr(REG_EAX, 0), rdmsr, [0x0f, 0x09]]) {
      expect(domain.execute(3, code)).toBe(GP);
      expect(domain.frame(2)).toEqual([0, USER_CODE]);
    }
  });
});

it("debug registers move in ring 1, DR4 and DR5 not under CR4.DE", () => {
  expect(result(movImm(REG_EAX, 0x99), movToDr(0, REG_EAX), movFromDr(REG_EAX, 0))).toBe(0x99);
  expect(result(movFromDr(REG_EAX, 4))).toBe(0xffff0ff0);
  expect(domain.execute(1, movImm(REG_EAX, 0x2000), movToDr(7, REG_EAX))).toBe(GP);
  domain.execute(1, movImm(REG_EAX, CR4_DE), movToCr(4, REG_EAX));
  expect(domain.execute(1, movFromDr(REG_EAX, 5))).toBe(UD);
});

it("other privileged instructions are the guest's fault, SYSENTER is unknown", () => {
  const [invd, invlpg] = [
    [0x0f, 0x08],
    [0x0f, 0x01, 0x3d, 0, 0, 0, 0],
  ];
  for (const code of [hlt, lgdt(DATA), lmsw(REG_EAX), invd, invlpg]) {
    expect(domain.execute(1, code)).toBe(GP);
    expect(domain.frame(2)).toEqual([0, CODE]);
  }
  expect(domain.execute(1, [0x0f, 0x09])).toBe(STOP);
  for (const ring of [1, 3]) expect(domain.execute(ring, sysenter)).toBe(UD);
});

describe("CPUID", () => {
  const leaf = (n: number, prefix: Code = []): number[] => {
    expect(domain.execute(1, movImm(REG_EAX, n), prefix, cpuid, keep)).toBe(STOP);
    const v = domain.vcpu;
    return [v.gpr(REG_EBP), v.gpr(REG_EBX), v.gpr(REG_ECX), v.gpr(REG_EDX)];
  };

  it("has Xen's leaves, forced or not", () => {
    for (const prefix of [[], forced]) {
      expect(leaf(0x40000000, prefix)).toEqual([
        0x40000005,
        CPUID_XEN_EBX,
        CPUID_XEN_ECX,
        CPUID_XEN_EDX,
      ]);
      expect(leaf(0x40000001, prefix)[0]).toBe(XEN_VERSION);
      expect(leaf(0x40000100, prefix)).toEqual([0, 0, 0, 0]);
      expect(leaf(1, prefix)[2]! >>> 31).toBe(1);
    }
  });

  it("alone follows the forcing prefix", () => {
    expect(domain.execute(1, forced, [0x90])).toBe(UD);
    expect(domain.frame(1)).toEqual([CODE]);
  });

  it("faults in ring 3 when the kernel wants it to", () => {
    const msr = movImm(REG_ECX, 0x140);
    expect(result(movImm(REG_ECX, 0xce), rdmsr)).toBe(0x80000000);
    expect(domain.execute(1, msr, movImm(REG_EAX, 1), movImm(REG_EDX, 0), wrmsr)).toBe(STOP);
    expect(result(msr, rdmsr)).toBe(1);
    expect(domain.execute(3, cpuid)).toBe(GP);
    expect(domain.frame(2)).toEqual([0, USER_CODE]);
    expect(domain.execute(3, forced, cpuid)).toBe(GP);
    expect(domain.frame(2)).toEqual([0, USER_CODE + 5]);
    expect(domain.execute(1, cpuid)).toBe(STOP);
    expect(domain.execute(1, msr, movImm(REG_EAX, 2), wrmsr)).toBe(GP);
  });

  it("steps like any instruction", () => {
    expect(domain.execute(1, pushImm(EFLAGS_TF | 2), popf, cpuid)).toBe(STOP_HANDLER + VECTOR_DB);
    expect(domain.frame(1)).toEqual([CODE + 8]);
  });
});

describe("MSRs", () => {
  it("DEBUGCTL is 0 and takes nothing else; unknown ones fault", () => {
    const write = (value: number): Code => [
      ...movImm(REG_ECX, 0x1d9),
      ...movImm(REG_EAX, value),
      ...movImm(REG_EDX, 0),
      ...wrmsr,
    ];
    expect(result(movImm(REG_ECX, 0x1d9), rdmsr)).toBe(0);
    expect(domain.execute(1, write(0))).toBe(STOP);
    expect(domain.execute(1, write(1))).toBe(GP);
    expect(domain.execute(1, movImm(REG_ECX, 0x1fff), rdmsr)).toBe(GP);
    expect(domain.frame(2)).toEqual([0, CODE + 5]);
  });
});

describe("ports and interrupt flag", () => {
  it("need the virtual I/O privilege level, 1 for the kernel", () => {
    for (const code of [cli, sti, inImm8(0x80), outImm32(0x80)]) {
      domain.vcpu.setU32(VCPU_XEN_IOPL, 0);
      expect(domain.execute(1, code)).toBe(GP);
      domain.vcpu.setU32(VCPU_XEN_IOPL, 1);
      expect(domain.execute(1, code)).toBe(STOP);
      expect(domain.execute(3, code)).toBe(GP);
      domain.vcpu.setU32(VCPU_XEN_IOPL, 3);
      domain.enter(3);
      domain.assemble(USER_CODE, code, [0x0f, 0x0b]);
      expect(domain.stop()).toBe(UD);
      expect(domain.frame(1)).toEqual([USER_CODE + code.length]);
    }
  });

  it("take level 0 for the kernel when that is architectural", () => {
    domain.call(HYPERVISOR_VM_ASSIST, 0, VMASST_TYPE_ARCHITECTURAL_IOPL);
    expect(domain.execute(1, cli)).toBe(STOP);
    domain.vcpu.setU32(VCPU_XEN_IOPL, 2);
    expect(domain.execute(1, hlt)).toBe(GP);
    expect(domain.frame(4)[3]! & 0x3000).toBe(0x2000);
  });

  it("read ones, also by the bitmap and by strings", () => {
    expect(domain.execute(3, movImm(REG_EDX, 0x61), inDx8)).toBe(GP);
    domain.vcpu.setU32(VCPU_XEN_IOBITMAP, DATA);
    domain.vcpu.setU32(VCPU_XEN_IOBITMAP_PORTS, 0x80);
    domain.write(DATA + 0x0c, [0xfd, 0xff]);
    expect(result(movImm(REG_EDX, 0x61), movImm(REG_EAX, 0), inDx8)).toBe(0xff);
    expect(domain.execute(1, movImm(REG_EDX, 0x62), inDx8)).toBe(GP);
    domain.vcpu.setU32(VCPU_XEN_IOPL, 1);
    const target = DATA + 0x100;
    expect(
      domain.execute(
        1,
        movImm(REG_ECX, 3),
        movImm(REG_EDI, target),
        movImm(REG_EDX, 9),
        [0xf3, 0x6c],
      ),
    ).toBe(STOP);
    expect(domain.read32(target)).toBe(0x00ffffff);
    expect(domain.vcpu.gpr(REG_EDI)).toBe(target + 3);
  });
});
