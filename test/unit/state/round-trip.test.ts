/** Law 8: whatever saves itself continues from its own plain record, at any moment of its life. */

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { LGDEV_STATUS, LHCALL_LGUEST_INIT, LHCALL_NOTIFY } from "../../../abi/lguest.ts";
import { VCPU_TSC_OFFSET } from "../../../abi/vcpu.ts";
import { MemoryBlock } from "../../../host-ts/backends/block.ts";
import { NetHub } from "../../../host-ts/backends/net-hub.ts";
import { PlatformEntropy, SeededEntropy } from "../../../host-ts/base/entropy.ts";
import type { VirtioDevice } from "../../../host-ts/base/ports.ts";
import { GuestClock, Timers } from "../../../host-ts/base/time.ts";
import { VirtioBlock } from "../../../host-ts/devices/virtio-block.ts";
import { VirtioConsole } from "../../../host-ts/devices/virtio-console.ts";
import { VirtioNet } from "../../../host-ts/devices/virtio-net.ts";
import { VirtioRng } from "../../../host-ts/devices/virtio-rng.ts";
import { call, FakeCore, retire } from "../../drivers/fake-core.ts";
import { DATA, fillData, TestGuest } from "../../drivers/lguest-guest.ts";
import { RingDriver } from "../devices/support.ts";

/** As a snapshot file would carry it. */
const plain = <T>(state: T): T => JSON.parse(JSON.stringify(state));
const bytes = (entropy: { fill(target: Uint8Array): void }, length: number) => {
  const target = new Uint8Array(length);
  entropy.fill(target);
  return target;
};

describe("base", () => {
  it("a seeded generator goes on with the same bytes, whatever the seed of the new one", () => {
    fc.assert(
      fc.property(fc.nat(0xffffffff), fc.nat(0xffffffff), fc.nat(300), (seed, other, before) => {
        const first = new SeededEntropy(seed);
        bytes(first, before);
        const second = new SeededEntropy(other);
        second.restore(plain(first.save()));
        expect(bytes(second, 40)).toEqual(bytes(first, 40));
      }),
    );
  });

  it("the platform's generator has nothing to save, and takes that back", () => {
    const platform = new PlatformEntropy();
    platform.restore(plain(platform.save()));
    expect(platform.save()).toEqual({});
  });

  it("timers expire at the same times in the same order", () => {
    const name = fc.constantFrom("a", "b", "c", "d");
    const step = fc.oneof(fc.tuple(name, fc.nat(1000)), fc.tuple(name, fc.constant(undefined)));
    fc.assert(
      fc.property(fc.array(step), fc.array(step), (before, leftOver) => {
        const play = (timers: Timers, steps: typeof before) => {
          for (const [who, ns] of steps) {
            if (ns === undefined) timers.cancel(who);
            else timers.set(who, ns);
          }
          return timers;
        };
        const first = play(new Timers(), before);
        const second = play(new Timers(), leftOver);
        second.restore(plain(first.save()));
        expect(second.nextNs()).toBe(first.nextNs());
        expect(second.save()).toEqual(first.save());
        expect(second.takeDue(500)).toEqual(first.takeDue(500));
        expect(second.takeDue(1000)).toEqual(first.takeDue(1000));
      }),
    );
  });

  it("a clock shows the same time, and moves on from there", () => {
    const options = { time: "virtual", nsPerInstruction: 3, startTimeMs: 0 } as const;
    fc.assert(
      fc.property(fc.nat(1e6), fc.nat(1e9), fc.nat(1e9), (retired, jump, later) => {
        const { vcpu } = new TestGuest().machine;
        retire(vcpu, retired);
        const first = new GuestClock([vcpu], options, () => 0);
        first.jumpTo(jump);
        const offset = vcpu.u64(VCPU_TSC_OFFSET);
        const second = new GuestClock([vcpu], options, () => 0);
        vcpu.setU64(VCPU_TSC_OFFSET, offset);
        second.restore(plain(first.save()));
        expect(second.nowNs).toBe(first.nowNs);
        second.jumpTo(later);
        expect(second.nowNs).toBe(Math.max(later, first.nowNs));
      }),
      { numRuns: 30 },
    );
  });
});

describe("devices", () => {
  const sink = { post: () => {} };
  const mac = (last: number) => Uint8Array.of(2, 0, 0, 0, 0, last);
  const backend = (size: { columns: number; rows: number } | undefined) => ({
    write: () => {},
    size: () => size,
  });
  const size = { columns: 80, rows: 25 };
  const makers: [string, (salt: number) => VirtioDevice][] = [
    ["console", () => new VirtioConsole({ backend: backend(undefined) })],
    ["console with a size", () => new VirtioConsole({ backend: backend(size) })],
    [
      "net",
      (salt) => new VirtioNet({ name: "net0", mac: mac(salt), backend: new NetHub().port(), sink }),
    ],
    [
      "block",
      () => new VirtioBlock({ name: "block0", backend: new MemoryBlock(new Uint8Array(1024)) }),
    ],
    ["rng", (salt) => new VirtioRng({ entropy: new SeededEntropy(salt) })],
  ];

  it.each(makers)("%s: a fresh device takes over the record of a used one", (_name, make) => {
    const input = fc.oneof(
      fc.record({
        kind: fc.constant("console" as const),
        device: fc.constant("console"),
        data: fc.uint8Array({ maxLength: 20 }),
      }),
      fc.record({
        kind: fc.constant("resize" as const),
        device: fc.constant("console"),
        data: fc.tuple(fc.nat(500), fc.nat(500)).map((pair) => [...pair]),
      }),
    );
    fc.assert(
      fc.property(fc.array(input), fc.nat(255), fc.nat(255), (inputs, salt, other) => {
        const first = make(salt);
        for (const each of inputs) first.receive(each);
        const second = make(other);
        second.restore(plain(first.save()));
        expect(plain(second.save())).toEqual(plain(first.save()));
        for (let at = 0; at < first.configBytes; at++) {
          expect(second.readConfig(at, 1)).toBe(first.readConfig(at, 1));
        }
      }),
      { numRuns: 40 },
    );
  });
});

describe("the lguest personality", () => {
  /** A guest whose driver settled some devices and asked for random numbers, after some input. */
  const play = (variety: "page" | "pci", settled: boolean[], draws: number, typed: string) => {
    const guest = new TestGuest({ seed: 7, lguest: { bus: variety } });
    fillData(guest, variety);
    guest.fake.script.push(call(LHCALL_LGUEST_INIT, [DATA]));
    guest.run(1);
    guest.run(0);
    const { memory } = guest.machine;
    const page = memory.ramBytes;
    guest.inputs.post({ kind: "console", device: "console", data: Buffer.from(typed) });
    if (variety === "pci") {
      guest.run(1);
      return guest;
    }
    let descriptor = page;
    for (const device of [...guest.machine.devices].slice(1).concat(guest.machine.devices[0]!)) {
      if (settled.shift() === true) {
        memory.writeU8(descriptor + LGDEV_STATUS, 7);
        guest.fake.script.push(call(LHCALL_NOTIFY, [descriptor]));
        guest.run(1);
        if (device.name === "rng") {
          const ring = memory.readU32(descriptor + 5 + 4) * 4096;
          for (let i = 0; i < draws; i++) {
            new RingDriver(memory, ring, 256).add([{ gpa: 0x9000, length: 8, write: true }]);
          }
          guest.fake.script.push(call(LHCALL_NOTIFY, [ring]));
          guest.run(1);
        }
      }
      const bytesOf = (at: number) => memory.readU8(descriptor + at);
      descriptor += 5 + 8 * bytesOf(1) + 2 * bytesOf(2) + bytesOf(3);
    }
    guest.run(1);
    return guest;
  };

  it.each(["page", "pci"] as const)(
    "%s variety: a fresh guest takes over its records",
    (variety) => {
      fc.assert(
        fc.property(
          fc.array(fc.boolean(), { minLength: 2, maxLength: 2 }),
          fc.nat(1),
          fc.string({ maxLength: 10 }),
          (settled, draws, typed) => {
            const first = play(variety, settled, draws, typed).machine;
            const second = new TestGuest({ seed: 8, lguest: { bus: variety } }, new FakeCore())
              .machine;
            second.personality.restore(plain(first.personality.save()));
            expect(plain(second.personality.save())).toEqual(plain(first.personality.save()));
            expect(second.memory.limitBytes).toBe(first.memory.limitBytes);
          },
        ),
        { numRuns: 20 },
      );
    },
  );

  it("state of another version is refused", () => {
    const { personality } = new TestGuest().machine;
    expect(() => personality.restore({ version: 99 })).toThrow(/version 99/);
  });
});
