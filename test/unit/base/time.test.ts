import { expect, test } from "vitest";
import { VCPU_TSC_OFFSET } from "../../../abi/vcpu.ts";
import { GuestClock, Timers } from "../../../host-ts/base/time.ts";
import { VcpuBlock } from "../../../host-ts/base/vcpu-block.ts";
import { FakeCore, retire } from "../../drivers/fake-core.ts";

function clock(time: "virtual" | "real", nsPerInstruction = 1) {
  const fake = new FakeCore();
  const vcpu = new VcpuBlock(fake.core, fake.core.exports.vcpuCreate(0, 0));
  const host = { ms: 5000 };
  const options = { time, nsPerInstruction, startTimeMs: 1_000_999 };
  return { vcpu, host, clock: new GuestClock([vcpu], options, () => host.ms) };
}

test("virtual time follows instructions and ignores the host's clock", () => {
  const { vcpu, host, clock: c } = clock("virtual", 3);
  retire(vcpu, 1000);
  host.ms += 100;
  c.sync();
  expect(c.nowNs).toBe(3000);
  expect(c.instructionsUntil(3007)).toBe(3);
});

test("a jump moves clock and time-stamp counter together, and never back", () => {
  const { vcpu, clock: c } = clock("virtual");
  retire(vcpu, 10);
  c.jumpTo(500);
  expect(c.nowNs).toBe(500);
  expect(vcpu.u64(VCPU_TSC_OFFSET)).toBe(490n);
  c.jumpTo(100);
  expect(c.nowNs).toBe(500);
});

test("real time catches up at sync, leaves out pauses, and never runs backwards", () => {
  const { vcpu, host, clock: c } = clock("real");
  c.sync();
  host.ms += 2;
  c.sync();
  expect(c.nowNs).toBe(2_000_000);
  c.stop();
  host.ms += 1000;
  c.sync();
  expect(c.nowNs).toBe(2_000_000);
  retire(vcpu, 5_000_000);
  host.ms += 1;
  c.sync();
  expect(c.nowNs).toBe(7_000_000);
});

test("the wall clock carries nanoseconds into seconds", () => {
  const { vcpu, clock: c } = clock("virtual");
  retire(vcpu, 1_500_000);
  expect(c.wallClock()).toEqual({ seconds: 1001, nanoseconds: 500_000 });
});

test("timers come due earliest first, once", () => {
  const timers = new Timers();
  timers.set("late", 30);
  timers.set("early", 10);
  timers.set("never", 20);
  timers.cancel("never");
  expect(timers.nextNs()).toBe(10);
  expect(timers.takeDue(30)).toEqual(["early", "late"]);
  expect(timers.takeDue(30)).toEqual([]);
  expect(timers.nextNs()).toBeUndefined();
});
