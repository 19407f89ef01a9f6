/** Whose turn it is: by instruction counts alone, and nobody is forgotten. */
import { describe, expect, test } from "vitest";
import { VCPU_TSC_OFFSET } from "../../../abi/vcpu.ts";
import { UnsupportedError } from "../../../host-ts/base/errors.ts";
import { GuestClock } from "../../../host-ts/base/time.ts";
import { VcpuBlock } from "../../../host-ts/base/vcpu-block.ts";
import { resolveConfig } from "../../../host-ts/guest/config.ts";
import { Scheduler, TURN_INSTRUCTIONS } from "../../../host-ts/guest/scheduler.ts";
import { FakeCore, retire } from "../../drivers/fake-core.ts";
import { buildElf } from "../boot/images.ts";

function blocks(count: number): [VcpuBlock, ...VcpuBlock[]] {
  const { core } = new FakeCore();
  const create = () => new VcpuBlock(core, core.exports.vcpuCreate(0, 0));
  return [create(), ...Array.from({ length: count - 1 }, create)];
}

describe("turns", () => {
  const all = () => true;

  test("go round by number, each of the same length", () => {
    const vcpus = blocks(3);
    const scheduler = new Scheduler(vcpus);
    let current = vcpus[0];
    const order = [];
    for (let retired = 0; retired < 6 * TURN_INSTRUCTIONS; retired += 500) {
      current = scheduler.choose(current, retired, all);
      order.push(current.id);
    }
    const turn = (id: number) => new Array(TURN_INSTRUCTIONS / 500).fill(id);
    expect(order).toEqual([0, 1, 2, 0, 1, 2].flatMap(turn));
  });

  test("pass over who waits, and end where their vCPU halts", () => {
    const vcpus = blocks(3);
    const scheduler = new Scheduler(vcpus);
    const ready = new Set([0, 2]);
    const isReady = (vcpu: VcpuBlock) => ready.has(vcpu.id);
    const next = scheduler.choose(vcpus[0], TURN_INSTRUCTIONS, isReady);
    expect(next.id).toBe(2);
    ready.delete(2);
    expect(scheduler.choose(next, TURN_INSTRUCTIONS + 1, isReady).id).toBe(0);
    expect(scheduler.instructionsLeft(TURN_INSTRUCTIONS + 1)).toBe(TURN_INSTRUCTIONS);
  });

  test("stay where they are while nobody is ready, and go on with whoever wakes", () => {
    const vcpus = blocks(2);
    const scheduler = new Scheduler(vcpus);
    expect(scheduler.choose(vcpus[1]!, 7, () => false).id).toBe(1);
    expect(scheduler.choose(vcpus[1]!, 7, ({ id }) => id === 0).id).toBe(0);
  });

  test("are given up, and are state", () => {
    const vcpus = blocks(2);
    const scheduler = new Scheduler(vcpus);
    scheduler.endTurn(10);
    const other = new Scheduler(vcpus);
    other.restore(scheduler.save());
    expect([scheduler, other].map((each) => each.choose(vcpus[0], 10, all).id)).toEqual([1, 1]);
  });
});

describe("time of several vCPUs", () => {
  const options = { time: "virtual", nsPerInstruction: 2, startTimeMs: 0 } as const;
  const tsc = (vcpu: VcpuBlock) => BigInt(vcpu.retired) * 2n + vcpu.u64(VCPU_TSC_OFFSET);

  test("the instructions of each count for all, and their counters agree", () => {
    const [first, second] = blocks(2) as [VcpuBlock, VcpuBlock];
    const clock = new GuestClock([first, second], options, () => 0);
    retire(first, 100);
    clock.switchTo(second);
    expect([clock.nowNs, tsc(second)]).toEqual([200, 200n]);
    retire(second, 50);
    clock.jumpTo(1000);
    clock.switchTo(first);
    expect([clock.nowNs, clock.retired, tsc(first)]).toEqual([1000, 150, 1000n]);
  });

  test("what a guest wrote into a counter stays a difference", () => {
    const [first, second] = blocks(2) as [VcpuBlock, VcpuBlock];
    const clock = new GuestClock([first, second], options, () => 0);
    first.setU64(VCPU_TSC_OFFSET, 5n);
    clock.switchTo(second);
    retire(second, 10);
    clock.switchTo(first);
    expect(tsc(first)).toBe(25n);
  });

  test("goes on from a saved moment in the middle of a turn", () => {
    const vcpus = blocks(2) as [VcpuBlock, VcpuBlock];
    const clock = new GuestClock(vcpus, options, () => 0);
    retire(vcpus[0], 30);
    clock.switchTo(vcpus[1]);
    retire(vcpus[1], 5);
    clock.jumpTo(500);
    const offsets = vcpus.map((vcpu) => vcpu.u64(VCPU_TSC_OFFSET));
    const other = new GuestClock(vcpus, options, () => 0);
    for (const [i, vcpu] of vcpus.entries()) vcpu.setU64(VCPU_TSC_OFFSET, offsets[i]!);
    other.restore(JSON.parse(JSON.stringify(clock.save())));
    expect([other.nowNs, other.retired]).toEqual([500, 35]);
    other.switchTo(vcpus[0]);
    expect(tsc(vcpus[0])).toBe(500n);
  });
});

test("lguest refuses a second vCPU, and nobody takes nine", () => {
  const kernel = buildElf();
  expect(() => resolveConfig({ kernel, vcpus: 2 })).toThrow(UnsupportedError);
  expect(() => resolveConfig({ kernel, vcpus: 9, abi: "bare" })).toThrow("from 1 to 8");
  expect(resolveConfig({ kernel, vcpus: 8, abi: "bare" }).vcpus).toBe(8);
});
