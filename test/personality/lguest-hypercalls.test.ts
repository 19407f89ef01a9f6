/** The hypercalls the Host performs, and every death it finds by itself. */

import { expect, test } from "vitest";
import {
  LG_DATA_OLD_BYTES,
  LG_DATA_OLD_KERNEL_ADDRESS,
  LG_DATA_OLD_SYSCALL_VECTOR,
  LG_DATA_PCI_BYTES,
  LG_DATA_RESERVE_MEM,
  LG_DATA_TIME_SEC,
  LG_DATA_TSC_KHZ,
  LHCALL_HALT,
  LHCALL_LGUEST_INIT,
  LHCALL_NOTIFY,
  LHCALL_SEND_INTERRUPTS,
  LHCALL_SET_CLOCKEVENT,
  LHCALL_SHUTDOWN,
} from "../../abi/lguest.ts";
import {
  EXIT_BUDGET,
  EXIT_HYPERCALL,
  EXIT_IO_IN,
  EXIT_IO_OUT,
  EXIT_KILL,
  EXIT_MMIO_READ,
  EXIT_OUT_OF_MEMORY,
  EXIT_TRIPLE_FAULT,
  KILL_BAD_ADDRESS,
  KILL_BAD_PGD_INDEX,
  KILL_BAD_PTE,
  KILL_UNHANDLED_TRAP,
  VCPU_LG_DATA,
  VCPU_LG_KERNEL,
  VCPU_LG_NOIRQ_END,
  VCPU_LG_NOIRQ_START,
  VCPU_LG_NOTIFY,
  VCPU_MMIO_COUNT,
  VCPU_MMIO_VALUES,
} from "../../abi/vcpu.ts";
import { REG_EAX } from "../../abi/x86.ts";
import { OutOfMemoryError } from "../../host-ts/base/errors.ts";
import { HANDLERS } from "../../host-ts/lguest/hypercalls.ts";
import { CALLS } from "../../host-ts/lguest/trap-policy.ts";
import { burn, call, exit, FakeCore } from "../drivers/fake-core.ts";
import {
  DATA,
  fillData,
  initialisedGuest,
  KERNEL,
  NOIRQ_END,
  NOIRQ_START,
  TestGuest,
} from "../drivers/lguest-guest.ts";

const RAM = 4 << 20;

function deathOf(guest: TestGuest): string | undefined {
  guest.run(guest.fake.script.length);
  guest.run(0);
  return guest.death;
}

test.each(["page", "pci"] as const)(
  "LGUEST_INIT of the %s variety is told apart and takes over its words",
  (variety) => {
    const guest = initialisedGuest(variety);
    const { vcpu } = guest.machine;
    expect(guest.death).toBeUndefined();
    expect(vcpu.u32(VCPU_LG_DATA)).toBe(DATA);
    expect(vcpu.u32(VCPU_LG_KERNEL)).toBe(KERNEL);
    expect(vcpu.u32(VCPU_LG_NOIRQ_START)).toBe(NOIRQ_START);
    expect(vcpu.u32(VCPU_LG_NOIRQ_END)).toBe(variety === "page" ? NOIRQ_END : NOIRQ_START + 1);
    expect(guest.data(LG_DATA_TSC_KHZ)).toBe(1_000_000);
    expect(guest.data(LG_DATA_RESERVE_MEM)).toBe(4 << 20);
    expect(guest.data(LG_DATA_TIME_SEC)).toBe(Date.UTC(2026, 0, 1) / 1000);
    expect(guest.fake.flushes).toEqual(["all"]);
  },
);

test("the words of the handshake are read anew: data may lie at the very end of RAM", () => {
  for (const [variety, bytes] of [
    ["page", LG_DATA_OLD_BYTES],
    ["pci", LG_DATA_PCI_BYTES],
  ] as const) {
    const fits = new TestGuest({ lguest: { bus: variety } });
    for (const field of [0x564, 0x568, 0x56c]) {
      if (field < bytes) fits.machine.memory.writeU32(RAM - bytes + field, 0x80);
    }
    fits.fake.script.push(call(LHCALL_LGUEST_INIT, [RAM - bytes]));
    expect(deathOf(fits)).toBeUndefined();
    const tooHigh = new TestGuest({ lguest: { bus: variety } });
    tooHigh.fake.script.push(call(LHCALL_LGUEST_INIT, [RAM - bytes + 1]));
    expect(deathOf(tooHigh)).toMatch(/^bad guest page 0x3ffa/);
  }
});

test.each([
  [0, "bad guest page 0x0"],
  [RAM, "bad guest page 0x400000"],
  [0xfffffff0, "bad guest page 0xfffffff0"],
])("LGUEST_INIT at %i dies by name", (gpa, reason) => {
  const guest = new TestGuest();
  guest.fake.script.push(call(LHCALL_LGUEST_INIT, [gpa]));
  expect(deathOf(guest)).toBe(reason);
});

test("a second LGUEST_INIT dies", () => {
  const guest = initialisedGuest();
  guest.fake.script.push(call(LHCALL_LGUEST_INIT, [DATA]));
  expect(deathOf(guest)).toBe("already have lguest_data");
});

test.each([LHCALL_HALT, LHCALL_SHUTDOWN, LHCALL_SEND_INTERRUPTS, 99])(
  "hypercall %i before LGUEST_INIT dies",
  (number) => {
    const guest = new TestGuest();
    guest.fake.script.push(call(number));
    expect(deathOf(guest)).toBe(`hypercall ${number} before INIT`);
  },
);

test.each([3, 11, 12, 20, 255, 0x7fffffff])("the unused call %i dies", (number) => {
  const guest = initialisedGuest();
  guest.fake.script.push(call(number));
  expect(deathOf(guest)).toBe(`Bad hypercall ${number}`);
});

test("another system-call vector dies unless the options allow it", () => {
  for (const [option, reason] of [
    [undefined, "bad syscall vector"],
    [0x81, undefined],
  ] as const) {
    const guest = new TestGuest({ lguest: { syscallVector: option } });
    fillData(guest, "page");
    guest.setData(LG_DATA_OLD_SYSCALL_VECTOR, 0x81);
    guest.fake.script.push(call(LHCALL_LGUEST_INIT, [DATA]));
    expect(deathOf(guest)).toBe(reason);
  }
});

test("a kernel that claims addresses of the Host dies", () => {
  const guest = new TestGuest({ lguest: { bus: "page" } });
  fillData(guest, "page");
  guest.setData(LG_DATA_OLD_KERNEL_ADDRESS, 0xffc00000);
  guest.fake.script.push(call(LHCALL_LGUEST_INIT, [DATA]));
  expect(deathOf(guest)).toBe("bad kernel address 0xffc00000");
});

test.each([
  ["Power down", 1, "power-off", "CRASH: Power down"],
  ["Attempted to kill init!", 1, "panic", "CRASH: Attempted to kill init!"],
  ["", 1, "panic", "CRASH: "],
  ["whatever", 2, "restart", "whatever"],
])("SHUTDOWN(%j, %i) ends as %s", (text, reason, kind, message) => {
  const guest = initialisedGuest();
  guest.machine.memory.write(0x9000, new TextEncoder().encode(`${text}\0`));
  guest.fake.script.push(call(LHCALL_SHUTDOWN, [0x9000, reason]));
  deathOf(guest);
  expect(guest.machine.death).toEqual({ kind, reason: message });
});

test("a SHUTDOWN whose string is nowhere dies by that address", () => {
  const guest = initialisedGuest();
  guest.fake.script.push(call(LHCALL_SHUTDOWN, [0xf0000000, 1]));
  expect(deathOf(guest)).toBe("bad read address 0xf0000000 len 1");
});

test("a restart needs no string: Linux passes the physical address of NULL", () => {
  const guest = initialisedGuest();
  guest.fake.script.push(call(LHCALL_SHUTDOWN, [0x40000000, 2]));
  deathOf(guest);
  expect(guest.machine.death).toEqual({ kind: "restart", reason: "" });
});

test("a SHUTDOWN string without an end is cut at 128 bytes", () => {
  const guest = initialisedGuest();
  guest.machine.memory.fill(0x9000, 300, 0x41);
  guest.fake.script.push(call(LHCALL_SHUTDOWN, [0x9000, 1]));
  expect(deathOf(guest)).toBe(`CRASH: ${"A".repeat(128)}`);
});

test("NOTIFY with a string prints it early and tells the launcher", () => {
  const guest = initialisedGuest();
  guest.machine.memory.write(0x9000, new TextEncoder().encode("hello\n\0"));
  guest.fake.script.push(call(LHCALL_NOTIFY, [0x9000]), burn);
  guest.run(2);
  expect(guest.printed).toBe("hello\n");
  expect(guest.notified).toEqual([0x9000]);
});

test.each([0, 0xe0000000])("NOTIFY of %i dies", (gpa) => {
  const guest = initialisedGuest();
  guest.fake.script.push(call(LHCALL_NOTIFY, [gpa]));
  expect(deathOf(guest)).toMatch(/^Bad NOTIFY/);
});

test("the pci variety has no NOTIFY", () => {
  const guest = initialisedGuest("pci");
  guest.fake.script.push(call(LHCALL_NOTIFY, [0x9000]));
  expect(deathOf(guest)).toBe("Bad hypercall 17");
});

test("the first reason sticks", () => {
  const guest = initialisedGuest();
  guest.machine.kill("first");
  guest.machine.kill("second");
  guest.machine.end("power-off", "third");
  expect(guest.machine.death).toEqual({ kind: "killed", reason: "first" });
});

test.each([
  [EXIT_KILL, [KILL_BAD_PTE], "bad page table entry"],
  [EXIT_KILL, [KILL_BAD_ADDRESS, 0xdeadbeef], "Bad address 0xdeadbeef"],
  [EXIT_KILL, [KILL_BAD_PGD_INDEX, 1024, 1024], "Attempt to set pgd 1024/1024"],
  [EXIT_KILL, [KILL_UNHANDLED_TRAP, 14, 0x1000, 0x2000], "unhandled trap 14 at 0x1000 (0x2000)"],
  [EXIT_TRIPLE_FAULT, [], "triple fault"],
  [EXIT_OUT_OF_MEMORY, [], "the memory shared by all guests of this process is exhausted"],
])("exit %i with %j kills in words", (reason, args, words) => {
  const guest = initialisedGuest();
  guest.fake.script.push(exit(reason, args));
  expect(deathOf(guest)).toBe(words);
});

test.each([
  ["page", 0x64, 1, 0x123456ff],
  ["page", 0xcf8, 4, 0xffffffff],
  ["pci", 0x64, 1, 0x12345601],
  ["pci", 0x71, 2, 0x1234ffff],
  ["pci", 0x3f8, 4, 0xffffffff],
] as const)("%s variety: in from port %i of %i bytes gives EAX %i", (variety, port, size, eax) => {
  const guest = initialisedGuest(variety);
  guest.machine.vcpu.setGpr(REG_EAX, 0x12345678);
  guest.fake.script.push(exit(EXIT_IO_IN, [port, size]));
  guest.run(1);
  expect(guest.machine.vcpu.gpr(REG_EAX)).toBe(eax);
});

test("pci variety: device 1 is the console", () => {
  const guest = initialisedGuest("pci");
  guest.fake.script.push(
    exit(EXIT_IO_OUT, [0xcf8, 4, 0x80000800]),
    exit(EXIT_IO_IN, [0xcfc, 4, 0]),
  );
  guest.run(2);
  expect(guest.machine.vcpu.gpr(REG_EAX)).toBe(0x10431af4);
});

test("a device access is answered in the queue that the instruction reads again", () => {
  const guest = initialisedGuest("pci");
  guest.fake.script.push(exit(EXIT_MMIO_READ, [RAM + 0x100, 4]), exit(EXIT_MMIO_READ, [RAM, 1]));
  guest.run(2);
  const { vcpu } = guest.machine;
  expect(vcpu.u32(VCPU_MMIO_COUNT)).toBe(2);
  expect(vcpu.u32(VCPU_MMIO_VALUES)).toBe(0xffffffff);
  expect(vcpu.u32(VCPU_MMIO_VALUES + 8)).toBe(0xff);
});

test("a halted guest without timer or input source is reported dead, not left hanging", () => {
  const guest = initialisedGuest();
  guest.fake.script.push(call(LHCALL_HALT));
  expect(guest.run(5)).toEqual({ kind: "dead" });
  expect(guest.machine.death?.kind).toBe("deadlocked");
});

test("a halted guest with an input source sleeps until input", () => {
  const guest = initialisedGuest();
  guest.inputs.openSource();
  guest.fake.script.push(call(LHCALL_HALT));
  expect(guest.run(5)).toEqual({ kind: "asleep", untilNs: undefined });
});

test("in real time a halted guest sleeps until its timer", () => {
  const guest = initialisedGuest("page", { time: "real" });
  guest.fake.script.push(call(LHCALL_SET_CLOCKEVENT, [7_000_000]), call(LHCALL_HALT));
  const outcome = guest.run(5);
  expect(outcome.kind).toBe("asleep");
  guest.setGate(0x20);
  guest.hostMs += 8;
  guest.run(1);
  expect(guest.fake.delivered).toEqual([0x20]);
});

test("every call of the ABI has a policy and a handler", () => {
  const numbers = [0, 1, 2, 4, 5, 6, 7, 8, 9, 10, 13, 14, 15, 16, 17, 18, 19];
  expect(Object.keys(CALLS).map(Number)).toEqual(numbers);
  expect(Object.keys(HANDLERS).map(Number)).toEqual(numbers);
});

test("a device's write that finds the pool exhausted does not blame the guest", () => {
  const guest = initialisedGuest();
  guest.fake.isExhausted = true;
  guest.machine.memory.writeU32(0x200000, 1);
  expect(guest.death).toBe("the memory shared by all guests of this process is exhausted");
});

test("a guest that the pool cannot hold is refused as such", () => {
  const fake = new FakeCore();
  fake.isExhausted = true;
  expect(() => new TestGuest({}, fake)).toThrow(OutOfMemoryError);
  expect(fake.destroyed).toBe(1);
});

test("a call and a NOTIFY wait in the vCPU block, where a snapshot finds them", () => {
  const guest = initialisedGuest();
  const { vcpu, vcpuRunner, personality } = guest.machine;
  guest.fake.script.push(call(LHCALL_NOTIFY, [0x3000]));
  vcpuRunner.enter(100);
  expect(vcpu.exitReason).toBe(EXIT_HYPERCALL);
  personality.runHypercalls();
  expect([vcpu.exitReason, vcpu.u32(VCPU_LG_NOTIFY)]).toEqual([EXIT_BUDGET, 0x3000]);
  personality.runHypercalls();
  personality.deliverNotify();
  personality.deliverNotify();
  expect(vcpu.u32(VCPU_LG_NOTIFY)).toBe(0);
  expect(guest.notified).toEqual([0x3000]);
  expect(Object.keys(personality.save())).toEqual(["version", "buses"]);
});
