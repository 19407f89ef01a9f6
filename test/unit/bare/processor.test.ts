/** One processor of a plain machine: which messages start and reset it, and when it obeys them. */
import { expect, test } from "vitest";
import { VCPU_EFLAGS, VCPU_HALTED } from "../../../abi/vcpu.ts";
import { EFLAGS_IF, SEG_CS } from "../../../abi/x86.ts";
import { Processor } from "../../../host-ts/bare/processor.ts";
import { Timers } from "../../../host-ts/base/time.ts";
import { VcpuBlock } from "../../../host-ts/base/vcpu-block.ts";
import { type ApicMessage, Lapic } from "../../../host-ts/devices/legacy/lapic.ts";
import { PicPair } from "../../../host-ts/devices/legacy/pic.ts";
import { FakeCore } from "../../drivers/fake-core.ts";

const message = { isLevel: false, destination: 0, isLogical: false, shorthand: 0 };
const INIT: ApicMessage = { ...message, mode: 5, vector: 0 };
const startAt = (page: number): ApicMessage => ({ ...message, mode: 6, vector: page });

/** Two processors of one machine. */
function machine() {
  const fake = new FakeCore();
  const pic = new PicPair();
  const create = () => {
    const vcpu = new VcpuBlock(fake.core, fake.core.exports.vcpuCreate(0, 0));
    const none = { send: () => {}, ended: () => {}, raiseNmi: () => {} };
    const lapic = new Lapic({ id: vcpu.id, clock: { nowNs: 0 }, timers: new Timers(), ...none });
    const processor = () => new Processor(fake.core, vcpu, pic, lapic);
    return { vcpu, processor: processor(), other: processor() };
  };
  return { fake, first: create(), second: create() };
}

test("the first runs from the beginning, the second waits for a start-up message", () => {
  const { first, second, fake } = machine();
  expect([first.processor.isHalted, second.processor.isHalted]).toEqual([false, true]);
  expect([second.processor.canWake, second.processor.isStuck]).toEqual([false, true]);
  second.processor.receive(startAt(8));
  expect([second.processor.canWake, second.processor.isStuck]).toEqual([true, false]);
  second.processor.obeySignals();
  expect(second.processor.isHalted).toBe(false);
  expect([second.vcpu.segment(SEG_CS), second.vcpu.eip]).toMatchObject([
    { selector: 0x800, base: 0x8000 },
    0,
  ]);
  expect(fake.initialised).toEqual([]);
});

test("one that runs ignores start-up messages; after INIT the first of several counts", () => {
  const { second, fake } = machine();
  const { processor, vcpu } = second;
  processor.receive(startAt(1));
  processor.obeySignals();
  processor.receive(startAt(2));
  expect(processor.canWake).toBe(false);
  for (const each of [INIT, startAt(3), startAt(4)]) processor.receive(each);
  processor.obeySignals();
  expect([vcpu.segment(SEG_CS).selector, fake.initialised]).toEqual([0x300, [vcpu.ptr]]);
});

test("INIT forgets a start-up message that came before it", () => {
  const { processor } = machine().second;
  processor.receive(startAt(1));
  processor.receive(INIT);
  processor.obeySignals();
  expect([processor.isHalted, processor.canWake]).toEqual([true, false]);
});

test("the first is not made to wait by INIT: it goes where firmware begins", () => {
  const { processor } = machine().first;
  processor.receive(INIT);
  processor.receive(startAt(5));
  expect(processor.obeySignals()).toBe("initialised");
  expect([processor.isWaiting, processor.canWake]).toEqual([false, false]);
});

test("halted with interrupts off it is stuck; with them on it is not", () => {
  const { processor, vcpu } = machine().first;
  vcpu.setU32(VCPU_HALTED, 1);
  expect(processor.isStuck).toBe(true);
  vcpu.setU32(VCPU_EFLAGS, EFLAGS_IF);
  expect(processor.isStuck).toBe(false);
});

test("messages that wait are state", () => {
  const { processor, other, vcpu } = machine().second;
  processor.receive(INIT);
  processor.receive(startAt(7));
  other.restore(JSON.parse(JSON.stringify(processor.save())));
  other.obeySignals();
  expect([other.isHalted, vcpu.segment(SEG_CS).selector]).toEqual([false, 0x700]);
});
