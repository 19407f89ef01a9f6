/** The digest tells machines apart by everything that decides how they go on. */

import fc from "fast-check";
import { expect, it } from "vitest";
import { LGDEV_STATUS, LHCALL_NOTIFY } from "../../../abi/lguest.ts";
import type { Machine } from "../../../host-ts/guest/machine.ts";
import { canonicalText, digestState } from "../../../host-ts/state/digest.ts";
import { call } from "../../drivers/fake-core.ts";
import { initialisedGuest } from "../../drivers/lguest-guest.ts";

const RAM = 2 << 20;

it("is the same for two guests that did the same", () => {
  const [a, b] = [initialisedGuest("page"), initialisedGuest("page")];
  expect(digestState(a.machine)).toBe(digestState(b.machine));
});

it("differs when a timer runs in one of two machines that are equal otherwise", () => {
  const { machine } = initialisedGuest("page", { memoryBytes: RAM });
  const before = digestState(machine);
  machine.timers.set("clock event", 5);
  const with5 = digestState(machine);
  machine.timers.set("clock event", 6);
  const digests = [before, with5, digestState(machine)];
  machine.timers.cancel("clock event");
  expect(new Set(digests).size).toBe(3);
  expect(digestState(machine)).toBe(before);
});

it("differs when another vCPU has the turn, or has it for longer", () => {
  const { machine } = initialisedGuest("page", { memoryBytes: RAM });
  const digestIn = (turn: Machine["turn"]) =>
    digestState(Object.create(machine, { turn: { value: turn } }) as Machine);
  const [first, second, longer] = [
    digestIn({ vcpu: 0, turnEnd: 5000 }),
    digestIn({ vcpu: 1, turnEnd: 5000 }),
    digestIn({ vcpu: 1, turnEnd: 5001 }),
  ];
  expect(new Set([first, second, longer]).size).toBe(3);
  expect(digestIn(undefined)).toBe(digestState(machine));
});

it("differs when a device was set up, though memory and registers are the same again", () => {
  const guest = initialisedGuest("page", { memoryBytes: RAM });
  const { memory, vcpu, vcpuRunner, personality } = guest.machine;
  const settle = (status: number) => {
    memory.writeU8(RAM + LGDEV_STATUS, status);
    guest.fake.script.push(call(LHCALL_NOTIFY, [RAM], 0));
    vcpuRunner.enter(100);
    personality.runHypercalls();
    personality.deliverNotify();
    memory.writeU8(RAM + LGDEV_STATUS, 0);
  };
  const { retired } = vcpu;
  const before = digestState(guest.machine);
  settle(7);
  expect(vcpu.retired).toBe(retired);
  expect(digestState(guest.machine)).not.toBe(before);
  settle(0);
  expect(digestState(guest.machine)).toBe(before);
});

it("differs when the random-number device has another seed, or input waits for the guest", () => {
  const digestOf = (seed: number, typed: string) => {
    const guest = initialisedGuest("pci", { memoryBytes: RAM, seed });
    guest.machine.devices[0]!.receive({
      kind: "console",
      device: "console",
      data: new TextEncoder().encode(typed),
    });
    return digestState(guest.machine);
  };
  expect(new Set([digestOf(1, ""), digestOf(2, ""), digestOf(1, "a"), digestOf(1, "b")]).size).toBe(
    4,
  );
  expect(digestOf(1, "a")).toBe(digestOf(1, "a"));
});

it("does not depend on the order in which a record was filled", () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (record) => {
      const reversed = Object.fromEntries(Object.entries(record).reverse());
      expect(canonicalText({ a: [record] })).toBe(canonicalText({ a: [reversed] }));
      expect(JSON.parse(canonicalText(record))).toEqual(JSON.parse(JSON.stringify(record)));
    }),
  );
});
