/** The delivery rules of lguest: mask, flag, window, gate, and the exactness of irq_pending. */

import { expect, test } from "vitest";
import {
  LG_DATA_BLOCKED,
  LG_DATA_IRQ_ENABLED,
  LG_DATA_IRQ_PENDING,
  LG_DATA_TIME_SEC,
  LHCALL_HALT,
  LHCALL_SEND_INTERRUPTS,
  LHCALL_SET_CLOCKEVENT,
} from "../../abi/lguest.ts";
import { VCPU_EIP, VCPU_HALTED, VCPU_LG_IRQS_PENDING } from "../../abi/vcpu.ts";
import { runGuest } from "../../host-ts/guest/run-loop.ts";
import { burn, call } from "../drivers/fake-core.ts";
import { initialisedGuest, NOIRQ_END, NOIRQ_START, TestGuest } from "../drivers/lguest-guest.ts";

const TIMER = 0x20;

function withTimerPending(variety: "page" | "pci" = "page") {
  const guest = initialisedGuest(variety);
  guest.setGate(TIMER);
  guest.machine.vcpu.setU32(VCPU_LG_IRQS_PENDING, 1);
  return guest;
}

test("an open, unmasked interrupt with a gate is delivered before the next entry", () => {
  const guest = withTimerPending();
  guest.run(1);
  expect(guest.fake.delivered).toEqual([TIMER]);
  expect(guest.machine.vcpu.u32(VCPU_LG_IRQS_PENDING)).toBe(0);
});

test("the lowest of several pending interrupts goes first, and irq_pending says that more wait", () => {
  const guest = withTimerPending();
  guest.setGate(TIMER + 3);
  guest.machine.vcpu.setU32(VCPU_LG_IRQS_PENDING, 0b1001);
  guest.run(1);
  expect(guest.fake.delivered).toEqual([TIMER]);
  expect(guest.data(LG_DATA_IRQ_PENDING)).toBe(0x200);
});

test("a masked interrupt is neither delivered nor announced", () => {
  const guest = withTimerPending();
  guest.setData(LG_DATA_BLOCKED, 1);
  guest.run(1);
  expect(guest.fake.delivered).toEqual([]);
  expect(guest.data(LG_DATA_IRQ_PENDING)).toBe(0);
});

test("with the flag closed irq_pending is set, and cleared again by the delivery", () => {
  const guest = withTimerPending();
  guest.setData(LG_DATA_IRQ_ENABLED, 0);
  guest.run(1);
  expect(guest.fake.delivered).toEqual([]);
  expect(guest.data(LG_DATA_IRQ_PENDING)).toBe(0x200);
  guest.setData(LG_DATA_IRQ_ENABLED, 0x200);
  guest.fake.script.push(call(LHCALL_SEND_INTERRUPTS), burn);
  guest.run(2);
  expect(guest.fake.delivered).toEqual([TIMER]);
  expect(guest.data(LG_DATA_IRQ_PENDING)).toBe(0);
});

test("a guest whose sti never calls is looked at again within 1008 instructions", () => {
  const guest = withTimerPending();
  guest.setData(LG_DATA_IRQ_ENABLED, 0);
  guest.run(1);
  expect(guest.fake.budgets.at(-1)).toBeLessThanOrEqual(1008);
});

test("irq_pending is taken back when the waiting interrupt became masked", () => {
  const guest = withTimerPending();
  guest.setData(LG_DATA_IRQ_ENABLED, 0);
  guest.run(1);
  guest.setData(LG_DATA_BLOCKED, 1);
  guest.run(1);
  expect(guest.data(LG_DATA_IRQ_PENDING)).toBe(0);
});

test("a masked line that waits is looked at rarely, but within 17,000 instructions", () => {
  const guest = withTimerPending();
  guest.setData(LG_DATA_BLOCKED, 1);
  guest.run(20);
  const budgets = guest.fake.budgets.slice(-20);
  expect(Math.min(...budgets)).toBeGreaterThan(10_000);
  expect(Math.max(...budgets)).toBeLessThanOrEqual(17_000);
});

test("an interrupt that only lacks its gate is not announced while the flag is open", () => {
  const guest = initialisedGuest();
  guest.machine.vcpu.setU32(VCPU_LG_IRQS_PENDING, 1);
  guest.setData(LG_DATA_IRQ_PENDING, 0x200);
  guest.run(1);
  expect(guest.data(LG_DATA_IRQ_PENDING)).toBe(0);
});

test("a guest that halts inside its own no-IRQ window with an interrupt pending is stuck, not spinning", () => {
  const guest = withTimerPending();
  guest.machine.vcpu.setU32(VCPU_EIP, NOIRQ_START);
  guest.machine.vcpu.setU32(VCPU_HALTED, 1);
  let looks = 0;
  runGuest(guest.machine, () => ++looks > 100);
  expect(looks).toBeLessThan(10);
  expect(guest.machine.death?.kind).toBe("deadlocked");
});

test("without a gate an interrupt stays pending and nothing is delivered", () => {
  const guest = initialisedGuest();
  guest.machine.vcpu.setU32(VCPU_LG_IRQS_PENDING, 1);
  guest.run(1);
  expect(guest.fake.delivered).toEqual([]);
  expect(guest.machine.vcpu.u32(VCPU_LG_IRQS_PENDING)).toBe(1);
});

test.each([
  ["page", NOIRQ_START, true],
  ["page", NOIRQ_END - 1, true],
  ["page", NOIRQ_START - 1, false],
  ["page", NOIRQ_END, false],
  ["pci", NOIRQ_START, true],
  ["pci", NOIRQ_START + 1, false],
  ["pci", NOIRQ_START - 1, false],
] as const)("%s variety: at EIP %i delivery is held off: %s", (variety, eip, isHeldOff) => {
  const guest = withTimerPending(variety);
  guest.machine.vcpu.setU32(VCPU_EIP, eip);
  guest.run(1);
  expect(guest.fake.delivered).toEqual(isHeldOff ? [] : [TIMER]);
  expect(guest.data(LG_DATA_IRQ_PENDING)).toBe(0);
  if (isHeldOff) expect(guest.fake.budgets.at(-1)).toBe(1);
});

test("a halted guest is woken with its flag opened, even if it had closed it", () => {
  const guest = initialisedGuest();
  guest.setGate(TIMER);
  guest.setData(LG_DATA_IRQ_ENABLED, 0);
  guest.fake.script.push(call(LHCALL_SET_CLOCKEVENT, [5000]), call(LHCALL_HALT), burn);
  guest.run(3);
  expect(guest.fake.delivered).toEqual([TIMER]);
  expect(guest.data(LG_DATA_IRQ_ENABLED)).toBe(0x200);
  expect(guest.machine.vcpu.u32(VCPU_HALTED)).toBe(0);
});

test("delivery publishes the wall clock", () => {
  const guest = initialisedGuest("page", { startTimeMs: 1_700_000_000_000 });
  guest.setGate(TIMER);
  guest.fake.script.push(call(LHCALL_SET_CLOCKEVENT, [3_000_000_000]), call(LHCALL_HALT), burn);
  guest.run(3);
  expect(guest.data(LG_DATA_TIME_SEC)).toBe(1_700_000_003);
});

test("before LGUEST_INIT no interrupt is ever delivered", () => {
  const guest = new TestGuest();
  guest.setGate(TIMER);
  guest.machine.vcpu.setU32(VCPU_LG_IRQS_PENDING, 1);
  guest.run(1);
  expect(guest.fake.delivered).toEqual([]);
});

test("the clock event fires after exactly the asked number of instructions", () => {
  const guest = initialisedGuest();
  guest.setGate(TIMER);
  guest.fake.script.push(call(LHCALL_SET_CLOCKEVENT, [250_000]));
  guest.run(1);
  const armedAt = guest.machine.vcpu.retired;
  while (guest.fake.delivered.length === 0) guest.run(1);
  const entries = guest.fake.budgets.slice(-4);
  expect(entries.slice(0, 3)).toEqual([100_000, 100_000, 50_000]);
  expect(guest.machine.vcpu.retired - armedAt).toBe(250_000 + (entries[3] ?? 0));
});

test("a clock event of 0 cancels the one that runs", () => {
  const guest = initialisedGuest();
  guest.setGate(TIMER);
  guest.fake.script.push(call(LHCALL_SET_CLOCKEVENT, [5000]), call(LHCALL_SET_CLOCKEVENT, [0]));
  guest.run(6);
  expect(guest.fake.delivered).toEqual([]);
});
