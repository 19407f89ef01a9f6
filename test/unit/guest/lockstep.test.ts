import { expect, test } from "vitest";
import { Lockstep, type Stepper } from "../../../host-ts/guest/lockstep.ts";

const ROUND = 100_000;

class Clock {
  nowNs = 0;
  jumpTo(ns: number): void {
    this.nowNs = Math.max(this.nowNs, ns);
  }
}

/** Guests that only write down when they had a turn. */
function setUp(count: number) {
  const lockstep = new Lockstep();
  const woken: number[] = [];
  const guests = Array.from({ length: count }, (_, id) => ({
    id,
    clock: new Clock(),
    stepper: lockstep.enter(() => woken.push(id)),
  }));
  const turn = () => guests.find(({ stepper }) => lockstep.limitNs(stepper) !== undefined);
  /** The guest whose turn it is works to the end of the round. */
  const work = (): string => {
    const guest = turn()!;
    const from = guest.clock.nowNs;
    guest.clock.jumpTo(lockstep.limitNs(guest.stepper)!);
    lockstep.finish(guest.stepper, undefined);
    return `${guest.id}: ${from / ROUND}-${guest.clock.nowNs / ROUND}`;
  };
  const nap = (untilNs: number | undefined, canWait = false) => {
    const guest = turn()!;
    lockstep.finish(guest.stepper, { untilNs, canWait });
    return guest.id;
  };
  const start = (guest: { stepper: Stepper; clock: Clock }) =>
    lockstep.start(guest.stepper, guest.clock);
  return { lockstep, guests, woken, turn, work, nap, start };
}

test("guests take turns of one round each, in the order in which they were made", () => {
  const { guests, start, work } = setUp(2);
  start(guests[0]!);
  start(guests[1]!);
  expect([work(), work(), work(), work(), work()]).toEqual([
    "0: 0-1",
    "0: 1-2",
    "1: 0-1",
    "0: 2-3",
    "1: 1-2",
  ]);
});

test("rounds in which everybody idles are left out, and a clock that stood still follows", () => {
  const { guests, start, work, nap, turn } = setUp(2);
  for (const guest of guests) start(guest);
  work();
  nap(40.5 * ROUND);
  nap(undefined);
  expect(turn()?.id).toBe(0);
  expect(turn()?.clock.nowNs).toBe(40 * ROUND);
  work();
  expect(work()).toBe("1: 39-40");
});

test("who is nudged while everybody waits for the world goes on; where nobody can wait, all are stranded", () => {
  const { lockstep, guests, start, nap, turn, work } = setUp(2);
  for (const guest of guests) start(guest);
  work();
  nap(undefined, true);
  nap(undefined);
  expect(turn()).toBeUndefined();
  expect(guests.map(({ stepper }) => stepper.isStranded)).toEqual([false, false]);
  lockstep.nudge(guests[1]!.stepper);
  nap(undefined);
  nap(undefined);
  expect(turn()).toBeUndefined();
  expect(guests.map(({ stepper }) => stepper.isStranded)).toEqual([true, true]);
});

test("one that stops, in its turn or out of it, holds up nobody", () => {
  const { lockstep, guests, start, work, turn } = setUp(3);
  for (const guest of guests) start(guest);
  work();
  lockstep.stop(guests[0]!.stepper);
  expect(turn()?.id).toBe(1);
  lockstep.leave(guests[2]!.stepper);
  expect([work(), work()]).toEqual(["1: 0-1", "1: 1-2"]);
  start(guests[0]!);
  expect([work(), work(), work()].map((text) => text[0])).toEqual(["1", "0", "1"]);
});
