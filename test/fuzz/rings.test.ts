/** Hostile drivers: whatever a guest writes into rings and registers, devices neither throw nor hang nor leave its memory. */
import fc from "fast-check";
import { expect, it } from "vitest";
import { MemoryBlock } from "../../host-ts/backends/block.ts";
import { NetHub } from "../../host-ts/backends/net-hub.ts";
import type { VirtioDevice } from "../../host-ts/base/ports.ts";
import { VirtioBlock } from "../../host-ts/devices/virtio-block.ts";
import { VirtioConsole } from "../../host-ts/devices/virtio-console.ts";
import { VirtioNet } from "../../host-ts/devices/virtio-net.ts";
import { VirtioPciBus } from "../../host-ts/devices/virtio-pci.ts";
import { VirtioRng } from "../../host-ts/devices/virtio-rng.ts";
import { DevicePageBus } from "../../host-ts/lguest/device-page.ts";
import { BufferConsole } from "../drivers/buffer-console.ts";
import {
  EVENT_IDX,
  FakeLine,
  FakeMemory,
  fixedEntropy,
  INDIRECT,
  rig,
} from "../unit/devices/support.ts";

const MAC = Uint8Array.of(2, 0, 0, 0, 0, 1);

function devices(): VirtioDevice[] {
  const sink = { post: () => {} };
  return [
    new VirtioConsole({ backend: new BufferConsole() }),
    new VirtioBlock({ name: "block0", backend: new MemoryBlock(new Uint8Array(8192)) }),
    new VirtioNet({ name: "net0", mac: MAC, backend: new NetHub().port(), sink }),
    new VirtioRng({ entropy: fixedEntropy(3) }),
  ];
}

const SIZE = 8;
/** Addresses that matter: the rings themselves, the end of memory, and anywhere. */
const address = fc.oneof(
  fc.constantFrom(0, 0x4000, 0x4080, 0x5000, 0x8000, 0x8080, 0x9000, 0xfffff, 0xffffffff),
  fc.nat(0x11ffff),
);
const length = fc.oneof(
  fc.constantFrom(0, 1, 12, 16, 17, 512, 0x10000, 0xffffffff),
  fc.nat(0x2000),
);
const descriptor = fc.record({
  address,
  length,
  flags: fc.oneof(fc.integer({ min: 0, max: 7 }), fc.nat(0xffff)),
  next: fc.oneof(fc.nat(SIZE), fc.nat(0xffff)),
});
const attack = fc.record({
  features: fc.constantFrom(0n, INDIRECT, EVENT_IDX, INDIRECT | EVENT_IDX, 1n << 32n),
  table: fc.array(descriptor, { minLength: SIZE, maxLength: SIZE }),
  heads: fc.array(fc.oneof(fc.nat(SIZE - 1), fc.nat(0xffff)), { minLength: SIZE, maxLength: SIZE }),
  available: fc.oneof(fc.nat(SIZE + 1), fc.nat(0xffff)),
  flags: fc.nat(1),
  payload: fc.uint8Array({ maxLength: 64 }),
});

it("a random ring is served or broken by every device", () => {
  fc.assert(
    fc.property(attack, fc.nat(3), fc.nat(2), ({ features, ...ring }, which, rounds) => {
      const device = devices()[which]!;
      const { memory, drivers, broken } = rig(device, features, SIZE);
      for (let round = 0; round <= rounds; round++) {
        for (const driver of drivers) {
          ring.table.forEach((d, i) =>
            driver.setDescriptor(i, d.address, d.length, d.flags, d.next),
          );
          ring.heads.forEach((head, i) =>
            memory.writeU16(driver.parts.available + 4 + 2 * i, head),
          );
          memory.writeU16(driver.parts.available + 2, ring.available);
          driver.availFlags = ring.flags;
        }
        memory.write(0x10000, ring.payload);
        for (const queue of [0, 1, 2]) device.notify(queue);
        for (const kind of ["console", "net", "block", "resize"] as const) {
          device.receive({ kind, device: device.name, data: ring.payload });
        }
      }
      expect(memory.badAccesses).toEqual([]);
      expect(broken.length).toBeLessThanOrEqual(drivers.length);
      JSON.stringify(device.save());
    }),
    { numRuns: 1500 },
  );
});

it("random port, register and window accesses leave the PCI bus standing", () => {
  const access = fc.record({
    kind: fc.constantFrom("port", "mmio", "config"),
    at: fc.oneof(fc.nat(0x7f), fc.nat(0x3ff)),
    size: fc.constantFrom(1, 2, 4),
    value: fc.oneof(
      fc.constantFrom(0, 1, 3, 0xb, 0xf, 0xffffffff),
      fc.nat(0x20000),
      fc.nat(0xffffffff),
    ),
    isWrite: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(access, { maxLength: 60 }), (accesses) => {
      const memory = new FakeMemory(1 << 20);
      const mmioStart = 1 << 21;
      const bus = new VirtioPciBus({
        memory,
        mmioStart,
        mmioEnd: mmioStart + 0x10000,
        irq: () => new FakeLine(),
      });
      for (const device of devices()) bus.add(device);
      const { pci } = bus;
      for (const { kind, at, size, value, isWrite } of accesses) {
        if (kind === "config") {
          pci.portWrite(0xcf8, 4, (0x80000000 | ((at >> 8) << 11) | (at & 0xfc)) >>> 0);
          if (isWrite) pci.portWrite(0xcfc, size, value);
          else pci.portRead(0xcfc, size);
        } else if (kind === "port") {
          if (isWrite) pci.portWrite(0xcf8 + (at & 7), size, value);
          else pci.portRead(0xcf8 + (at & 7), size);
        } else if (isWrite) {
          pci.mmioWrite(mmioStart + at, size, value);
        } else {
          const read = pci.mmioRead(mmioStart + at, size);
          expect(read >= 0 && read < 2 ** (8 * size)).toBe(true);
        }
      }
      expect(memory.badAccesses).toEqual([]);
      JSON.stringify(bus.save());
    }),
    { numRuns: 500 },
  );
});

it("random NOTIFY addresses on a scribbled device page end as an outcome", () => {
  const RAM = 1 << 16;
  const scribble = fc.tuple(fc.nat(0x200), fc.nat(255));
  const notify = fc.oneof(
    fc.nat(0x200).map((off) => RAM + off),
    fc.nat(6).map((ring) => RAM + 0x1000 + 0x3000 * ring),
    fc.nat(0xffffffff),
  );
  fc.assert(
    fc.property(fc.array(fc.tuple(scribble, notify), { maxLength: 40 }), (steps) => {
      const memory = new FakeMemory(RAM, 64 * 4096);
      const bus = new DevicePageBus({ memory, irq: () => new FakeLine(), kill: () => {} });
      for (const device of devices()) bus.add(device);
      bus.publish();
      for (const [[offset, byte], gpa] of steps) {
        memory.writeU8(RAM + offset, byte);
        expect(bus.notify(gpa).kind).toMatch(/^(kick|status|early-console|bad)$/);
      }
      expect(memory.badAccesses).toEqual([]);
    }),
    { numRuns: 300 },
  );
});
