import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  COUNTER_CORE_CALLS,
  EXIT_BUDGET,
  VCPU_EIP,
  VCPU_XEN_LEAVING_CALLS,
} from "../../../abi/vcpu.ts";
import { REG_EAX, REG_EBP, REG_EBX, REG_ECX, REG_EDX, REG_ESP } from "../../../abi/x86.ts";
import {
  CALLBACKOP_REGISTER,
  CALLBACKOP_UNREGISTER,
  CALLBACKTYPE_EVENT,
  CALLBACKTYPE_SYSCALL,
  CALLBACKTYPE_SYSCALL32,
  CALLBACKTYPE_SYSENTER,
  DOMID_SELF,
  FLAT_RING1_CS,
  HYPERVISOR_CALLBACK_OP,
  HYPERVISOR_GET_DEBUGREG,
  HYPERVISOR_IRET,
  HYPERVISOR_MMU_UPDATE,
  HYPERVISOR_MULTICALL,
  HYPERVISOR_SCHED_OP,
  HYPERVISOR_SET_DEBUGREG,
  HYPERVISOR_UPDATE_VA_MAPPING,
  HYPERVISOR_VM_ASSIST,
  HYPERVISOR_XEN_VERSION,
  MMU_UPDATE_PREEMPTED,
  UVMF_INVLPG,
  XEN_EFAULT,
  XEN_EINVAL,
  XEN_ENODEV,
  XEN_ENOSYS,
  XEN_EPERM,
  XEN_VERSION,
} from "../../../abi/xen.ts";
import { intN, movImm } from "../protect/assembler.ts";
import {
  CODE,
  DATA,
  Domain,
  entryAt,
  entryOf,
  FREE_PAGE,
  KERNEL_STACK,
  L1_PAGE,
  RO,
  RW,
  STOP,
  UNMAPPED_PAGE,
} from "./domain.ts";

const LIST = DATA + 0x100;
const HOLE = UNMAPPED_PAGE << 12;
const ENTRY = 32;

let domain: Domain;
beforeEach(() => {
  domain = new Domain();
});
afterEach(() => {
  domain.destroy();
});

function entries(...calls: (readonly number[])[]): void {
  for (const [i, call] of calls.entries()) {
    const [op = 0, ...args] = call;
    const padded = Array.from({ length: 6 }, (_, n) => args[n] ?? 0);
    domain.write32(LIST + i * ENTRY, op, 0xdeadbeef, ...padded);
  }
}
function results(count: number): number[] {
  return Array.from({ length: count }, (_, i) => domain.read32(LIST + i * ENTRY + 4) | 0);
}
const VERSION = [HYPERVISOR_XEN_VERSION, 0];
const map = (slot: number) => [
  HYPERVISOR_UPDATE_VA_MAPPING,
  (UNMAPPED_PAGE + slot) << 12,
  entryOf(FREE_PAGE, RO),
  0,
  2,
];

describe("a multicall", () => {
  it("gives each entry its own result", () => {
    entries(VERSION, map(0), [HYPERVISOR_SET_DEBUGREG, 9, 0], [HYPERVISOR_MULTICALL, LIST, 1]);
    expect(domain.call(HYPERVISOR_MULTICALL, LIST, 4)).toBe(0);
    expect(results(4)).toEqual([XEN_VERSION, 0, -XEN_ENODEV, -XEN_EINVAL]);
    expect(domain.entry(L1_PAGE, UNMAPPED_PAGE)).toBe(entryOf(FREE_PAGE, RO));
  });

  it("waits at an entry that the Host performs and goes on with its answer", () => {
    entries(VERSION, [HYPERVISOR_SCHED_OP, 7, 8], map(0));
    domain.assemble(CODE, intN(0x82), [0x89, 0xc5], movImm(REG_EAX, STOP), intN(0x82));
    domain.enter(1);
    domain.vcpu.setGpr(REG_EAX, HYPERVISOR_MULTICALL);
    domain.vcpu.setGpr(REG_EBX, LIST);
    domain.vcpu.setGpr(REG_ECX, 3);
    expect(domain.stop()).toBe(HYPERVISOR_SCHED_OP);
    expect([domain.vcpu.exitArg(1), domain.vcpu.exitArg(2)]).toEqual([7, 8]);
    domain.core.exports.xenReturn(domain.vcpu.ptr, -5);
    expect(domain.stop()).toBe(STOP);
    expect(results(3)).toEqual([XEN_VERSION, -5, 0]);
    expect(domain.vcpu.gpr(REG_EBP)).toBe(0);
  });

  it("ends where the Host's answer cannot be written", () => {
    const page = LIST & ~0xfff;
    entries([HYPERVISOR_SCHED_OP, 7, 8], VERSION);
    const readOnly = entryOf(page >>> 12, RO);
    expect(domain.call(HYPERVISOR_UPDATE_VA_MAPPING, page, readOnly, 0, UVMF_INVLPG)).toBe(0);
    domain.assemble(CODE, intN(0x82), [0x89, 0xc5], movImm(REG_EAX, STOP), intN(0x82));
    for (const more of ["an answer", "more to do"]) {
      domain.enter(1);
      domain.vcpu.setGpr(REG_EAX, HYPERVISOR_MULTICALL);
      domain.vcpu.setGpr(REG_EBX, LIST);
      domain.vcpu.setGpr(REG_ECX, 2);
      expect(domain.stop()).toBe(HYPERVISOR_SCHED_OP);
      if (more === "an answer") domain.core.exports.xenReturn(domain.vcpu.ptr, 0);
      else domain.core.exports.xenAgain(domain.vcpu.ptr);
      expect(domain.stop(), more).toBe(STOP);
      expect(domain.vcpu.gpr(REG_EBP) | 0).toBe(-XEN_EFAULT);
    }
  });

  it("ends with an iret, which takes EAX from its frame", () => {
    entries([HYPERVISOR_IRET], VERSION);
    domain.write32(KERNEL_STACK - 16, 0x55, CODE + 0x80, FLAT_RING1_CS, 0);
    domain.assemble(CODE + 0x80, [0x89, 0xc5], movImm(REG_EAX, STOP), intN(0x82));
    domain.assemble(CODE, intN(0x82));
    domain.enter(1);
    domain.vcpu.setGpr(REG_ESP, KERNEL_STACK - 16);
    domain.vcpu.setGpr(REG_EAX, HYPERVISOR_MULTICALL);
    domain.vcpu.setGpr(REG_EBX, LIST);
    domain.vcpu.setGpr(REG_ECX, 2);
    expect(domain.stop()).toBe(STOP);
    expect(domain.vcpu.gpr(REG_EBP)).toBe(0x55);
    expect(results(2)[1]).toBe(0xdeadbeef | 0);
  });

  it("fails where the list cannot be reached", () => {
    expect(domain.call(HYPERVISOR_MULTICALL, HOLE, 1)).toBe(-XEN_EFAULT);
    expect(domain.call(HYPERVISOR_MULTICALL, HOLE, 0)).toBe(0);
  });

  it("goes on in the page that one of its entries maps in the place of its own", () => {
    const other = FREE_PAGE + 1;
    const here = LIST & ~0xfff;
    entries(map(0), [HYPERVISOR_UPDATE_VA_MAPPING, here, entryOf(other, RW), 0, UVMF_INVLPG]);
    // What follows stands in the other page, seen through its own address.
    const rest = (other << 12) + (LIST & 0xfff) + 2 * ENTRY;
    domain.write32(rest, HYPERVISOR_XEN_VERSION, 0xdeadbeef, 0);
    expect(domain.call(HYPERVISOR_MULTICALL, LIST, 3)).toBe(0);
    expect(domain.read32(rest + 4)).toBe(XEN_VERSION);
    expect(domain.read32(rest - ENTRY + 4)).toBe(0);
    expect(results(3)).toEqual([0, 0xdeadbeef | 0, 0]);
  });

  it("has done the update that takes its page away, and fails", () => {
    entries(map(0), [HYPERVISOR_UPDATE_VA_MAPPING, LIST & ~0xfff, 0, 0, UVMF_INVLPG], map(1));
    expect(domain.call(HYPERVISOR_MULTICALL, LIST, 3)).toBe(-XEN_EFAULT);
    expect(domain.entry(L1_PAGE, LIST >>> 12)).toBe(0);
    expect(domain.entry(L1_PAGE, UNMAPPED_PAGE)).not.toBe(0);
    expect(domain.entry(L1_PAGE, UNMAPPED_PAGE + 1)).toBe(0);
  });

  it("is made again for what is left when it takes too long, whatever the slice", () => {
    const count = 300;
    entries(...Array.from({ length: count }, (_, i) => map(i % 16)));
    domain.assemble(CODE, intN(0x82), movImm(REG_EAX, STOP), intN(0x82));
    domain.enter(1);
    domain.vcpu.setGpr(REG_EAX, HYPERVISOR_MULTICALL);
    domain.vcpu.setGpr(REG_EBX, LIST);
    domain.vcpu.setGpr(REG_ECX, count);
    domain.vcpu.setGpr(REG_EDX, 0x99);
    expect(domain.core.exports.run(domain.vcpu.ptr, 1)).toBe(EXIT_BUDGET);
    expect(domain.vcpu.u32(VCPU_EIP)).toBe(CODE);
    expect(domain.vcpu.gpr(REG_EAX)).toBe(HYPERVISOR_MULTICALL);
    expect(domain.vcpu.gpr(REG_EDX)).toBe(0x99);
    const left = domain.vcpu.gpr(REG_ECX);
    expect(left).toBeGreaterThan(0);
    expect(left).toBeLessThan(count);
    expect(domain.vcpu.gpr(REG_EBX)).toBe(LIST + (count - left) * ENTRY);
    expect(domain.stop()).toBe(STOP);
    expect(results(count)).toEqual(Array(count).fill(0));
  });
});

it("a long mmu_update is made again with the rest and its count so far", () => {
  const count = 300;
  const done = DATA + 0x10;
  for (let i = 0; i < count; i++) {
    const request = [entryAt(L1_PAGE, UNMAPPED_PAGE + (i % 32)), 0, entryOf(FREE_PAGE, RO), 0];
    domain.write32(LIST + i * 16, ...request);
  }
  domain.assemble(CODE, intN(0x82), [0x89, 0xc5], movImm(REG_EAX, STOP), intN(0x82));
  domain.enter(1);
  for (const [reg, value] of [
    [REG_EAX, HYPERVISOR_MMU_UPDATE],
    [REG_EBX, LIST],
    [REG_ECX, count],
    [REG_EDX, done],
    [6, DOMID_SELF],
  ] as const) {
    domain.vcpu.setGpr(reg, value);
  }
  expect(domain.core.exports.run(domain.vcpu.ptr, 1)).toBe(EXIT_BUDGET);
  expect(domain.vcpu.gpr(REG_ECX) & MMU_UPDATE_PREEMPTED).not.toBe(0);
  expect(domain.stop()).toBe(STOP);
  expect(domain.vcpu.gpr(REG_EBP)).toBe(0);
  expect(domain.read32(done)).toBe(count);
});

describe("a call that the policy sends to the Host", () => {
  it("leaves with its arguments, and the core can still perform it", () => {
    domain.vcpu.setU32(VCPU_XEN_LEAVING_CALLS, 1 << HYPERVISOR_UPDATE_VA_MAPPING);
    entries(VERSION, map(0), VERSION);
    domain.assemble(CODE, intN(0x82), [0x89, 0xc5], movImm(REG_EAX, STOP), intN(0x82));
    domain.enter(1);
    domain.vcpu.setGpr(REG_EAX, HYPERVISOR_MULTICALL);
    domain.vcpu.setGpr(REG_EBX, LIST);
    domain.vcpu.setGpr(REG_ECX, 3);
    expect(domain.stop()).toBe(HYPERVISOR_UPDATE_VA_MAPPING);
    expect(domain.vcpu.exitArg(2)).toBe(entryOf(FREE_PAGE, RO));
    expect(domain.core.exports.xenPerform(domain.vcpu.ptr)).toBe(1);
    expect(domain.stop()).toBe(STOP);
    expect(results(3)).toEqual([XEN_VERSION, 0, XEN_VERSION]);
  });

  it("changes nothing of a long multicall: it is made again as often, and counted once where it was performed", () => {
    const count = 600;
    const counter = (number: number) => domain.vcpu.counter(COUNTER_CORE_CALLS + 8 * number);
    const runs = [0, 1 << HYPERVISOR_UPDATE_VA_MAPPING].map((mask) => {
      domain.destroy();
      domain = new Domain();
      domain.vcpu.setU32(VCPU_XEN_LEAVING_CALLS, mask);
      entries(...Array.from({ length: count }, (_, i) => map(i % 16)));
      domain.assemble(CODE, intN(0x82), movImm(REG_EAX, STOP), intN(0x82));
      domain.enter(1);
      domain.vcpu.setGpr(REG_EAX, HYPERVISOR_MULTICALL);
      domain.vcpu.setGpr(REG_EBX, LIST);
      domain.vcpu.setGpr(REG_ECX, count);
      let left = 0;
      while (domain.stop() !== STOP) {
        expect(domain.core.exports.xenPerform(domain.vcpu.ptr)).toBe(1);
        left++;
      }
      expect(results(count)).toEqual(Array(count).fill(0));
      const inCore = counter(HYPERVISOR_UPDATE_VA_MAPPING);
      expect([left, inCore]).toEqual(mask === 0 ? [0, count] : [count, 0]);
      return [domain.vcpu.retired, counter(HYPERVISOR_MULTICALL)];
    });
    expect(runs[1]).toEqual(runs[0]);
    expect(runs[0]![1]).toBe(1);
  });
});

describe("small calls", () => {
  it("callback_op knows its types", () => {
    const register = (type: number) => {
      domain.write32(DATA, type, FLAT_RING1_CS, CODE);
      return domain.call(HYPERVISOR_CALLBACK_OP, CALLBACKOP_REGISTER, DATA);
    };
    for (const type of [CALLBACKTYPE_EVENT, CALLBACKTYPE_SYSCALL32, CALLBACKTYPE_SYSENTER]) {
      expect(register(type)).toBe(0);
    }
    expect(register(CALLBACKTYPE_SYSCALL)).toBe(-XEN_ENOSYS);
    domain.write32(DATA, CALLBACKTYPE_EVENT);
    expect(domain.call(HYPERVISOR_CALLBACK_OP, CALLBACKOP_UNREGISTER, DATA)).toBe(-XEN_EINVAL);
    expect(domain.call(HYPERVISOR_CALLBACK_OP, CALLBACKOP_REGISTER, HOLE)).toBe(-XEN_EFAULT);
  });

  it("vm_assist knows its commands and types", () => {
    expect(domain.call(HYPERVISOR_VM_ASSIST, 0, 3)).toBe(0);
    expect(domain.call(HYPERVISOR_VM_ASSIST, 0, 6)).toBe(-XEN_EINVAL);
    expect(domain.call(HYPERVISOR_VM_ASSIST, 2, 3)).toBe(-XEN_ENOSYS);
  });

  it("debug registers have the values of a reset, and rules", () => {
    const get = (n: number) => domain.call(HYPERVISOR_GET_DEBUGREG, n) >>> 0;
    const set = (n: number, value: number) => domain.call(HYPERVISOR_SET_DEBUGREG, n, value);
    expect([0, 3, 4, 5, 6, 7].map(get)).toEqual([0, 0, 0xffff0ff0, 0x400, 0xffff0ff0, 0x400]);
    expect(get(8) | 0).toBe(-XEN_ENODEV);
    expect(set(0, 0x1234)).toBe(0);
    expect(get(0)).toBe(0x1234);
    expect(set(7, 0x2000)).toBe(-XEN_EPERM);
    expect(set(7, 0x20001)).toBe(-XEN_EPERM);
    expect(set(7, 0x20000)).toBe(0);
    expect(get(7)).toBe(0x20400);
  });
});
