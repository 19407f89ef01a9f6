import { expect, test } from "vitest";
import { HostInputs } from "../../../host-ts/base/inputs.ts";
import type { HostInput } from "../../../host-ts/base/ports.ts";

const input = (byte: number): HostInput => ({
  kind: "console",
  device: "console",
  data: Uint8Array.of(byte),
});

const clock = {
  nowNs: 5,
  jumpTo(ns: number) {
    this.nowNs = Math.max(this.nowNs, ns);
  },
};

test("inputs come out in order, once, and are logged with count and visit", () => {
  const inputs = new HostInputs([], true);
  inputs.post(input(1));
  inputs.post(input(2));
  expect(inputs.take(100, clock)).toEqual([input(1), input(2)]);
  expect(inputs.take(100, clock)).toEqual([]);
  inputs.post(input(3));
  inputs.take(100, clock);
  expect(inputs.log.map(({ atInstruction, visit }) => [atInstruction, visit])).toEqual([
    [100, 0],
    [100, 0],
    [100, 2],
  ]);
});

test("a recording comes out at its stamps and not before, also at the same instruction", () => {
  const first = new HostInputs([], true);
  first.take(50, clock);
  first.take(100, clock);
  first.take(100, clock);
  first.post(input(1));
  first.take(100, clock);
  first.startNextLife();
  first.post(input(2));
  first.take(7, clock);

  const replay = new HostInputs(first.log, true);
  expect(replay.nextStamp()?.atInstruction).toBe(100);
  expect([replay.take(50, clock), replay.take(100, clock), replay.take(100, clock)]).toEqual([
    [],
    [],
    [],
  ]);
  expect(replay.take(100, clock)).toEqual([input(1)]);
  expect(replay.nextStamp()).toBeUndefined();
  expect(replay.take(1000, clock)).toEqual([]);
  replay.startNextLife();
  expect(replay.take(7, clock)).toEqual([input(2)]);
  expect(replay.log).toEqual(first.log);
});

test("inputs are forgotten once taken, unless a recording is asked for", () => {
  const inputs = new HostInputs();
  inputs.post(input(1));
  expect(inputs.take(100, clock)).toEqual([input(1)]);
  expect(inputs.log).toEqual([]);
});

test("a post wakes the sleeper", () => {
  const inputs = new HostInputs();
  let woken = 0;
  inputs.onPost(() => woken++);
  inputs.post(input(1));
  expect([woken, inputs.hasWaiting]).toEqual([1, true]);
});
