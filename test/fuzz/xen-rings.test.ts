/**
 * Hostile front ends: whatever a guest writes into rings and into its xenstore keys, Xen's back ends neither throw nor hang, touch only pages
 * that are granted to them, and let go of all but the rings.
 */
import fc from "fast-check";
import { expect, it } from "vitest";
import { XS_RM, XS_WRITE } from "../../abi/xen-layout.ts";
import { MemoryBlock } from "../../host-ts/backends/block.ts";
import { NetHub } from "../../host-ts/backends/net-hub.ts";
import { XenBlock } from "../../host-ts/devices/xen-block.ts";
import { XenNet } from "../../host-ts/devices/xen-net.ts";
import type { SplitDevice } from "../../host-ts/devices/xen-ports.ts";
import { blockRequest, FakeDomain, segmentBytes } from "../unit/xen/frontends.ts";
import { PAGE } from "../unit/xen/xenstore-guest.ts";

const MAC = Uint8Array.of(2, 0, 0, 0, 0, 1);
const RINGS = [8, 9];
const PORTS = [5, 6];
const BLOCK_RING_SLOTS = 32;

function newDevice(kind: "block" | "net"): SplitDevice {
  if (kind === "block") {
    const backend = new MemoryBlock(Uint8Array.from({ length: 64 << 10 }, (_, i) => i * 31));
    return new XenBlock({ name: "block0", vdev: "xvda", backend });
  }
  const sink = { post: () => {} };
  return new XenNet({ name: "net0", index: 0, mac: MAC, backend: new NetHub().port(), sink });
}

/** A domain whose front end said what an honest one would. */
function connected(kind: "block" | "net"): FakeDomain {
  const domain = new FakeDomain(newDevice(kind));
  for (const ref of RINGS) domain.grants.grant(ref);
  for (const port of PORTS) domain.events.unbound.add(port);
  if (kind === "block") domain.write({ "ring-ref": 8, "event-channel": 5 });
  else {
    domain.write({ "tx-ring-ref": 8, "rx-ring-ref": 9, "event-channel-tx": 5 });
    domain.write({ "event-channel-rx": 6, "request-rx-copy": 1, "feature-sg": 1 });
  }
  domain.write({ state: 4 });
  expect(domain.backend("state")).toBe("4");
  return domain;
}

const ref = fc.oneof({ weight: 9, arbitrary: fc.integer({ min: 7, max: 24 }) }, fc.nat(0xffffffff));
const segment = fc.tuple(ref, fc.nat(8), fc.nat(8));
const block = fc
  .record({
    operation: fc.oneof({ weight: 9, arbitrary: fc.nat(7) }, fc.nat(255)),
    second: fc.oneof(fc.nat(12), fc.nat(255)),
    sector: fc.oneof({ weight: 9, arbitrary: fc.nat(130) }, fc.maxSafeNat()),
    segments: fc.array(segment, { maxLength: 11 }),
  })
  .map(({ operation, second, sector, segments }) => {
    const bytes = blockRequest(operation, 1, sector, segments);
    bytes[1] = second;
    return bytes;
  });
const net = fc
  .record({
    ref,
    offset: fc.oneof(fc.nat(4200), fc.nat(0xffff)),
    flags: fc.oneof(fc.nat(15), fc.constantFrom(0, 1, 4)),
    size: fc.oneof(fc.nat(200), fc.nat(0xffff)),
  })
  .map(({ ref, offset, flags, size }) => {
    const view = new DataView(new ArrayBuffer(12));
    view.setUint32(0, ref, true);
    for (const [at, value] of [
      [4, offset],
      [6, flags],
      [10, size],
    ] as const) {
      view.setUint16(at, value, true);
    }
    return new Uint8Array(view.buffer);
  });
const receive = ref.map((ref) => {
  const view = new DataView(new ArrayBuffer(8));
  view.setUint32(4, ref, true);
  return new Uint8Array(view.buffer);
});
/** How far the producer index runs ahead of the responses; mostly as far as it may. */
const ahead = fc.oneof({ weight: 9, arbitrary: fc.nat(12) }, fc.nat(0xffffffff));
const round = fc.record({
  ahead,
  rspEvent: fc.oneof(fc.nat(40), fc.nat(0xffffffff)),
  requests: fc.array(fc.oneof(block, net), { minLength: 1, maxLength: 12 }),
  buffers: fc.array(receive, { minLength: 1, maxLength: 12 }),
  indirect: fc.array(segment, { maxLength: 20 }),
  grants: fc.array(fc.record({ ref, isReadOnly: fc.boolean(), page: fc.nat(24) }), {
    maxLength: 12,
  }),
  frame: fc.nat(9000),
});

it.each(["block", "net"] as const)("a random %s ring is served or given up", (kind) => {
  fc.assert(
    fc.property(fc.array(round, { minLength: 1, maxLength: 6 }), (rounds) => {
      const domain = connected(kind);
      const slotBytes = kind === "block" ? 108 : 12;
      for (const each of rounds) {
        for (const { ref, isReadOnly, page } of each.grants) {
          if (!RINGS.includes(ref)) domain.grants.grant(ref, isReadOnly, page);
        }
        domain.page(20).write(0, segmentBytes(each.indirect));
        const put = (ring: number, bytes: number, slots: readonly Uint8Array[]) => {
          const page = domain.page(ring);
          const start = page.readU32(8);
          for (const [i, slot] of slots.entries()) {
            const index = (start + i) % (kind === "block" ? BLOCK_RING_SLOTS : 256);
            page.write(64 + index * bytes, slot.subarray(0, bytes));
          }
          page.writeU32(0, start + each.ahead);
          page.writeU32(12, each.rspEvent);
        };
        put(8, slotBytes, each.requests);
        put(9, 8, each.buffers);
        for (const port of PORTS) domain.events.kick(port);
        domain.bus.receive({ kind: "net", device: "net0", data: new Uint8Array(each.frame) });
        const rings = kind === "block" ? [8] : RINGS;
        expect(domain.grants.inUse).toEqual(rings);
      }
      expect(domain.memory.trespasses).toEqual([]);
      JSON.stringify(domain.bus.save());
      domain.write({ state: 5 });
      expect(domain.grants.inUse).toEqual([]);
      expect(domain.events.handlers.size).toBe(0);
    }),
    { numRuns: 150 },
  );
});

it.each(["block", "net"] as const)("a %s back end follows any keys and states", (kind) => {
  const key = fc.constantFrom(
    "state",
    "state",
    "ring-ref",
    "ring-ref0",
    "ring-page-order",
    "tx-ring-ref",
    "rx-ring-ref",
    "event-channel",
    "event-channel-tx",
    "event-channel-rx",
    "request-rx-copy",
    "multi-queue-num-queues",
    "protocol",
  );
  const value = fc.oneof(
    fc.nat(9).map(String),
    fc.constantFrom("", "-1", "4294967296", "x86_32-abi", "junk"),
  );
  const step = fc.record({ key, value, removes: fc.nat(20).map((n) => n === 0) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const domain = connected(kind);
      for (const { key, value, removes } of steps) {
        for (const port of PORTS)
          if (!domain.events.handlers.has(port)) domain.events.unbound.add(port);
        domain.guest.ask(
          removes ? XS_RM : XS_WRITE,
          `${domain.front}/${key}\0${removes ? "" : value}`,
        );
        for (const port of PORTS) domain.events.kick(port);
        domain.bus.receive({ kind: "net", device: "net0", data: new Uint8Array(60) });
        expect(domain.backend("state")).toMatch(/^[2456]$/);
        if (domain.backend("state") !== "4") expect(domain.grants.inUse).toEqual([]);
      }
      expect(domain.memory.trespasses).toEqual([]);
      expect(domain.memory.bytes.length).toBe(64 * PAGE);
    }),
    { numRuns: 150 },
  );
});
