/** The Xen block back end, driven by a front end through xenstore, grants and a ring. */
import { describe, expect, it } from "vitest";
import {
  BLKIF_ENTRY_BYTES,
  BLKIF_OP_DISCARD,
  BLKIF_OP_FLUSH_DISKCACHE,
  BLKIF_OP_INDIRECT,
  BLKIF_OP_READ,
  BLKIF_OP_WRITE,
  BLKIF_OP_WRITE_BARRIER,
  BLKIF_RSP_EOPNOTSUPP,
  BLKIF_RSP_ERROR,
  BLKIF_RSP_OKAY,
  SRING_REQ_PROD,
  XS_RM,
} from "../../../abi/xen-layout.ts";
import { MemoryBlock, OverlayBlock, ReadOnlyBlock } from "../../../host-ts/backends/block.ts";
import { BackendError, BugError } from "../../../host-ts/base/errors.ts";
import type { BlockBackend } from "../../../host-ts/base/ports.ts";
import { XenBlock } from "../../../host-ts/devices/xen-block.ts";
import { diskName, virtualDevice } from "../../../host-ts/devices/xen-vdev.ts";
import {
  type BlockSegment,
  blockRequest,
  blockResponse,
  FakeDomain,
  FrontRing,
  segmentBytes,
} from "./frontends.ts";

const RING = 8;
const PORT = 7;

/** A front end that goes through the handshake as Linux does. */
class BlockFront {
  readonly device: XenBlock;
  readonly domain: FakeDomain;
  ring: FrontRing;
  #id = 0;

  constructor(backend: BlockBackend, ringRefs = [RING]) {
    this.device = new XenBlock({ name: "block0", vdev: "xvda", backend });
    this.domain = new FakeDomain(this.device);
    this.ring = this.newRing(ringRefs);
  }

  newRing(refs = [RING]): FrontRing {
    for (const ref of refs) this.domain.grants.grant(ref);
    return new FrontRing(
      refs.map((ref) => this.domain.page(ref)),
      BLKIF_ENTRY_BYTES,
    );
  }

  connect(keys: Record<string, string | number> = {}): this {
    const { domain } = this;
    expect(domain.backend("state")).toBe("2");
    domain.events.unbound.add(PORT);
    domain.write({ "ring-ref": RING, "event-channel": PORT, protocol: "x86_32-abi", ...keys });
    domain.write({ state: 3 });
    return this;
  }

  /** Requests in one push; their statuses in order. */
  submit(...requests: Uint8Array[]): number[] {
    for (const request of requests) this.ring.put(request);
    this.ring.push();
    this.domain.events.kick(PORT);
    return this.ring.take(12).map((response) => blockResponse(response)[1]);
  }

  request(operation: number, sector: number, segments: BlockSegment[] = []): number {
    this.#id += 0x1_0000_0001;
    const id = this.#id;
    this.ring.put(blockRequest(operation, id, sector, segments));
    this.ring.push();
    this.domain.events.kick(PORT);
    const [response] = this.ring.take(12);
    const [answered, status] = blockResponse(response!);
    expect(answered).toBe(id);
    return status;
  }

  /** After everything: nothing is mapped but the ring, and nothing else was ever touched. */
  expectClean(inUse = [RING]): void {
    expect(this.domain.grants.inUse).toEqual(inUse);
    expect(this.domain.memory.trespasses).toEqual([]);
    expect(this.domain.memory.badAccesses).toEqual([]);
  }
}

function disk(sectors = 64): MemoryBlock {
  return new MemoryBlock(Uint8Array.from({ length: sectors * 512 }, (_, i) => (i >> 9) + (i & 7)));
}

describe("handshake", () => {
  it("front and back end meet, and the front end learns the disk", () => {
    const front = new BlockFront(disk());
    const { domain } = front;
    expect(domain.read("backend-id")).toBe("0");
    expect(domain.read("virtual-device")).toBe("51712");
    expect(domain.read("device-type")).toBe("disk");
    expect(domain.back).toBe("/local/domain/0/backend/vbd/1/51712");
    front.connect();
    expect(domain.backend("state")).toBe("4");
    domain.write({ state: 4 });
    const keys = ["sectors", "sector-size", "physical-sector-size", "info", "feature-discard"];
    expect(keys.map((key) => domain.backend(key))).toEqual(["64", "512", "512", "0", "1"]);
    expect(domain.backend("feature-persistent")).toBe("ENOENT");
    expect(domain.backend("feature-max-indirect-segments")).toBe("256");
    front.expectClean();
  });

  it("disks and partitions have Xen's names and numbers", () => {
    const names = ["xvda", "xvdb", "xvdp", "xvdq", "xvda1", "xvda16", "xvdaa"];
    expect(names.map(virtualDevice)).toEqual([
      ...[51712, 51728, 51952, 0x10001000, 51713, 0x10000010, 0x10001a00],
    ]);
    expect(["d0", "d0p1", "d16p3", "d1048575p255"].map(virtualDevice)).toEqual([
      ...[51712, 51713, 0x10001003, 0x1fffffff],
    ]);
    expect(["hda", "hdb2", "hdc", "hdd63", "sda", "sdp15"].map(virtualDevice)).toEqual([
      ...[0x300, 0x342, 0x1600, 0x167f, 0x800, 0x8ff],
    ]);
    for (const name of ["", "xvd", "xvda0", "xvda256", "hde", "hda64", "sdq", "vda", "d1048576"]) {
      expect([name, virtualDevice(name)]).toEqual([name, undefined]);
    }
    expect([0, 25, 26, 701, 702].map(diskName)).toEqual([
      ...["xvda", "xvdz", "xvdaa", "xvdzz", "xvdaaa"],
    ]);
  });

  it.each([
    ["an unknown protocol", { protocol: "x86_64-abi" }],
    ["no event channel", { "event-channel": "none" }],
    ["a foreign event channel", { "event-channel": 9 }],
    ["a ring that is not granted", { "ring-ref": 5 }],
    ["a ring-ref that is no number", { "ring-ref": "-1" }],
    ["too large a ring", { "ring-page-order": 5 }],
    ["a larger ring without its pages", { "ring-page-order": 1 }],
  ])("%s is refused, and the next try may succeed", (_, keys) => {
    const front = new BlockFront(disk());
    const { domain } = front;
    front.connect(keys);
    expect(domain.backend("state")).toBe("5");
    expect(domain.store.read("/local/domain/0/error/backend/vbd/1/51712/error")).toBeTruthy();
    expect(domain.grants.inUse).toEqual([]);
    domain.write({ state: 6 });
    expect(domain.backend("state")).toBe("6");
    if (domain.read("ring-page-order") !== "ENOENT") {
      domain.guest.ask(XS_RM, `${domain.front}/ring-page-order\0`);
    }
    domain.write({ state: 1 });
    front.connect();
    expect(domain.backend("state")).toBe("4");
    expect(front.request(BLKIF_OP_FLUSH_DISKCACHE, 0)).toBe(BLKIF_RSP_OKAY);
  });

  it("a front end closes, and another one connects with a new ring", () => {
    const front = new BlockFront(disk());
    front.connect();
    front.domain.grants.grant(20);
    front.request(BLKIF_OP_READ, 0, [[20, 0, 0]]);
    const { domain } = front;
    domain.write({ state: 5 });
    expect(domain.backend("state")).toBe("5");
    expect(domain.grants.inUse).toEqual([]);
    expect(domain.events.unbound.has(PORT)).toBe(true);
    domain.write({ state: 6 });
    expect(domain.backend("state")).toBe("6");
    domain.write({ state: 1 });
    front.ring = front.newRing();
    front.connect();
    expect(domain.backend("state")).toBe("4");
    expect(front.request(BLKIF_OP_READ, 0, [[20, 0, 0]])).toBe(BLKIF_RSP_OKAY);
    domain.guest.ask(XS_RM, `${domain.front}\0`);
    expect(domain.backend("state")).toBe("6");
    expect(domain.grants.inUse).toEqual([]);
  });
});

describe("requests", () => {
  it("reads and writes go sector by sector through all segments of a request", () => {
    const backend = disk(128);
    const front = new BlockFront(backend).connect();
    for (let ref = 20; ref < 31; ref++) front.domain.grants.grant(ref);
    const segments = Array.from({ length: 11 }, (_, i): BlockSegment => [20 + i, 0, 7]);
    segments[0] = [20, 6, 7];
    segments[10] = [30, 0, 3];
    expect(front.request(BLKIF_OP_READ, 3, segments)).toBe(BLKIF_RSP_OKAY);
    const { domain } = front;
    expect(domain.page(20).read(6 * 512, 1024)).toEqual(backend.bytes.slice(3 * 512, 5 * 512));
    expect(domain.page(20).read(0, 6 * 512)).toEqual(new Uint8Array(6 * 512));
    expect(domain.page(30).read(0, 4 * 512)).toEqual(backend.bytes.slice(77 * 512, 81 * 512));
    domain.page(21).write(512, new Uint8Array(1024).fill(0xaa));
    expect(front.request(BLKIF_OP_WRITE, 126, [[21, 1, 2]])).toBe(BLKIF_RSP_OKAY);
    expect(backend.bytes.slice(126 * 512)).toEqual(new Uint8Array(1024).fill(0xaa));
    expect(front.device.metrics).toMatchObject({ reads: 1, readBytes: 78 * 512, writes: 1 });
    front.expectClean();
  });

  it("indirect requests bring up to 256 segments in a page of their own", () => {
    const backend = disk(400);
    const front = new BlockFront(backend).connect();
    const { domain } = front;
    domain.grants.grant(20);
    domain.grants.grant(40, true);
    const segments = Array.from({ length: 256 }, (_, i): BlockSegment => [20, i % 8, i % 8]);
    domain.page(40).write(0, segmentBytes(segments));
    const indirect = (operation: number, count: number, sector: number, ref = 40) => {
      const request = blockRequest(BLKIF_OP_INDIRECT, 1, sector);
      const view = new DataView(request.buffer);
      request[1] = operation;
      view.setUint16(2, count, true);
      view.setUint32(0x18, ref, true);
      front.ring.put(request);
      front.ring.push();
      domain.events.kick(PORT);
      const [response] = front.ring.take(12);
      expect(response!.getUint8(8)).toBe(operation);
      return blockResponse(response!)[1];
    };
    expect(indirect(BLKIF_OP_READ, 256, 100)).toBe(BLKIF_RSP_OKAY);
    expect(domain.page(20).read(0, 4096)).toEqual(backend.bytes.slice(348 * 512, 356 * 512));
    expect(indirect(BLKIF_OP_WRITE, 16, 8)).toBe(BLKIF_RSP_OKAY);
    expect(backend.bytes.slice(16 * 512, 24 * 512)).toEqual(domain.page(20).read(0, 4096));
    expect(indirect(BLKIF_OP_READ, 257, 0)).toBe(BLKIF_RSP_ERROR);
    expect(indirect(BLKIF_OP_READ, 0, 0)).toBe(BLKIF_RSP_ERROR);
    expect(indirect(BLKIF_OP_READ, 1, 0, 41)).toBe(BLKIF_RSP_ERROR);
    expect(indirect(BLKIF_OP_FLUSH_DISKCACHE, 1, 0)).toBe(BLKIF_RSP_ERROR);
    domain.page(40).write(4, Uint8Array.of(0, 8));
    expect(indirect(BLKIF_OP_READ, 1, 0)).toBe(BLKIF_RSP_ERROR);
    front.expectClean();
  });

  it("a ring of several pages holds several times the requests, some of which lie across two", () => {
    const refs = [8, 9, 10, 11];
    const front = new BlockFront(disk(), refs);
    front.connect({
      "ring-page-order": 2,
      ...Object.fromEntries(refs.map((ref, i) => [`ring-ref${i}`, ref])),
    });
    expect(front.ring.size).toBe(128);
    front.domain.grants.grant(20);
    for (let round = 0; round < 3; round++) {
      const all = Array.from({ length: 128 }, (_, i) =>
        blockRequest(BLKIF_OP_READ, i, i % 64, [[20, 0, 0]]),
      );
      expect(front.submit(...all)).toEqual(all.map(() => BLKIF_RSP_OKAY));
    }
    front.expectClean(refs);
  });

  it("what cannot be done is answered with an error and does nothing", () => {
    const backend = disk(8);
    const before = backend.bytes.slice();
    const front = new BlockFront(backend).connect();
    front.domain.grants.grant(20);
    front.domain.grants.grant(21, true);
    const error = (operation: number, sector: number, ...segments: BlockSegment[]) =>
      expect(front.request(operation, sector, segments)).toBe(BLKIF_RSP_ERROR);
    error(BLKIF_OP_READ, 0);
    error(BLKIF_OP_WRITE, 0);
    error(BLKIF_OP_READ, 7, [20, 0, 1]);
    error(BLKIF_OP_READ, 2 ** 52, [20, 0, 0]);
    error(BLKIF_OP_WRITE, 0, [20, 3, 2]);
    error(BLKIF_OP_WRITE, 0, [20, 0, 8]);
    error(BLKIF_OP_WRITE, 0, [20, 0, 0], [22, 0, 0]);
    error(BLKIF_OP_READ, 0, [21, 0, 0]);
    error(BLKIF_OP_READ, 0, ...Array.from({ length: 12 }, (): BlockSegment => [20, 0, 0]));
    expect(front.request(BLKIF_OP_WRITE, 0, [[21, 0, 0]])).toBe(BLKIF_RSP_OKAY);
    for (const unknown of [4, 7, 0xff]) {
      expect(front.request(unknown, 0, [[20, 0, 0]])).toBe(BLKIF_RSP_EOPNOTSUPP);
    }
    expect(backend.bytes.slice(512)).toEqual(before.slice(512));
    expect(front.device.metrics.errors).toBe(12);
    front.expectClean();
  });

  it("flushes, barriers and discards reach the medium", () => {
    const calls: string[] = [];
    const backend: BlockBackend = {
      sectors: 64,
      readOnly: false,
      read: () => calls.push("read"),
      write: () => calls.push("write"),
      flush: () => calls.push("flush"),
      discard: (sector, count) => calls.push(`discard ${sector} ${count}`),
      close: () => {},
    };
    const front = new BlockFront(backend).connect();
    front.domain.grants.grant(20);
    const done = (operation: number, segments: BlockSegment[] = []) => {
      expect(front.request(operation, 0, segments)).toBe(BLKIF_RSP_OKAY);
      return calls.splice(0);
    };
    expect(done(BLKIF_OP_FLUSH_DISKCACHE)).toEqual(["flush"]);
    expect(done(BLKIF_OP_FLUSH_DISKCACHE, [[20, 0, 0]])).toEqual(["flush", "write"]);
    expect(done(BLKIF_OP_WRITE_BARRIER)).toEqual(["flush"]);
    expect(done(BLKIF_OP_WRITE_BARRIER, [[20, 0, 0]])).toEqual(["flush", "write", "flush"]);
    const discard = (sector: number, count: number, flag = 0) => {
      const request = blockRequest(BLKIF_OP_DISCARD, 1, sector);
      request[1] = flag;
      new DataView(request.buffer).setBigUint64(0x14, BigInt(count), true);
      return front.submit(request)[0];
    };
    expect(discard(60, 4)).toBe(BLKIF_RSP_OKAY);
    expect(calls).toEqual(["discard 60 4"]);
    expect(discard(60, 5)).toBe(BLKIF_RSP_ERROR);
    expect(discard(0, 1, 1)).toBe(BLKIF_RSP_EOPNOTSUPP);
    const plain = new BlockFront(new OverlayBlock(disk())).connect();
    expect(plain.domain.backend("feature-discard")).toBe("0");
    expect(plain.submit(blockRequest(BLKIF_OP_DISCARD, 1, 0))).toEqual([BLKIF_RSP_EOPNOTSUPP]);
  });

  it("a disk in memory reads zeroes where it was discarded", () => {
    const backend = disk(8);
    backend.discard(2, 3);
    expect(backend.bytes.slice(2 * 512, 5 * 512)).toEqual(new Uint8Array(3 * 512));
    expect(backend.bytes.slice(5 * 512)).toEqual(disk(8).bytes.slice(5 * 512));
    expect(() => backend.discard(7, 2)).toThrow(BackendError);
  });

  it("a read-only disk says so and refuses writes; a failing medium is an error of the request", () => {
    const front = new BlockFront(new ReadOnlyBlock(disk())).connect();
    expect([front.domain.backend("mode"), front.domain.backend("info")]).toEqual(["r", "4"]);
    front.domain.grants.grant(20);
    expect(front.request(BLKIF_OP_WRITE, 0, [[20, 0, 0]])).toBe(BLKIF_RSP_ERROR);
    expect(front.request(BLKIF_OP_READ, 0, [[20, 0, 0]])).toBe(BLKIF_RSP_OKAY);
    const broken: BlockBackend = {
      ...disk(),
      sectors: 64,
      readOnly: false,
      read: () => {
        throw new BackendError("gone");
      },
      write: () => {},
      flush: () => {},
      close: () => {},
    };
    const unlucky = new BlockFront(broken).connect();
    unlucky.domain.grants.grant(20);
    expect(unlucky.request(BLKIF_OP_READ, 0, [[20, 0, 0]])).toBe(BLKIF_RSP_ERROR);
    unlucky.expectClean();
  });

  it("a mistake of our own is no error of the medium", () => {
    const backend = disk();
    const front = new BlockFront(backend).connect();
    front.domain.grants.grant(20);
    backend.read = () => {
      throw new BugError("ours");
    };
    expect(() => front.request(BLKIF_OP_READ, 0, [[20, 0, 0]])).toThrow(BugError);
  });
});

describe("the ring", () => {
  it("the front end is told of the response that it waits for, not of each", () => {
    const front = new BlockFront(disk()).connect();
    const { domain, ring } = front;
    domain.events.raised = [];
    front.submit(blockRequest(BLKIF_OP_FLUSH_DISKCACHE, 1, 0));
    expect(domain.events.raised).toEqual([PORT]);
    ring.first.writeU32(0xc, ring.consumed + 3);
    for (const expected of [[PORT], [PORT], [PORT, PORT]]) {
      ring.put(blockRequest(BLKIF_OP_FLUSH_DISKCACHE, 1, 0));
      ring.push();
      domain.events.kick(PORT);
      expect(domain.events.raised).toEqual(expected);
    }
    expect(ring.first.readU32(4)).toBe(ring.produced + 1);
  });

  it("indices run over 2^32, and a lie about them ends the service until reconnection", () => {
    const front = new BlockFront(disk());
    for (const word of [0, 8]) front.ring.first.writeU32(word, 0xffff_fff0);
    front.ring.produced = front.ring.consumed = 0xffff_fff0;
    front.connect();
    for (let i = 0; i < 20; i++) {
      const request = blockRequest(BLKIF_OP_FLUSH_DISKCACHE, i, 0);
      front.ring.put(request);
      front.ring.produced >>>= 0;
      front.ring.push();
      front.domain.events.kick(PORT);
      expect(front.ring.first.readU32(8)).toBe(front.ring.produced);
    }
    front.ring.first.writeU32(SRING_REQ_PROD, front.ring.produced + 33);
    front.domain.events.kick(PORT);
    expect(front.ring.first.readU32(8)).toBe(front.ring.produced);
    front.ring.first.writeU32(SRING_REQ_PROD, front.ring.produced + 1);
    front.domain.events.kick(PORT);
    expect(front.ring.first.readU32(8)).toBe(front.ring.produced);
  });

  it("a disk read into the ring itself cannot make one kick last for ever", () => {
    const backend = disk(8);
    const front = new BlockFront(backend).connect();
    // The disk holds the ring's own first page with a producer index that is always ahead.
    front.ring.put(blockRequest(BLKIF_OP_READ, 1, 0, [[RING, 0, 7]]));
    backend.bytes.set(front.ring.first.read(0, 4096));
    new DataView(backend.bytes.buffer).setUint32(SRING_REQ_PROD, 30, true);
    for (let slot = 1; slot < 32; slot++) {
      backend.bytes.copyWithin(64 + slot * BLKIF_ENTRY_BYTES, 64, 64 + BLKIF_ENTRY_BYTES);
    }
    front.ring.push();
    front.domain.events.kick(PORT);
    expect(front.device.metrics.reads).toBeLessThanOrEqual(1);
  });
});

it("a restored device goes on with the same ring, whatever the guest wrote into its keys since", () => {
  const backend = disk();
  const front = new BlockFront(backend).connect();
  front.domain.grants.grant(20);
  front.request(BLKIF_OP_READ, 0, [[20, 0, 0]]);
  front.domain.write({ "ring-ref": 33, "event-channel": 99 });
  front.ring.first.writeU32(8, 12345);
  const saved = JSON.parse(
    JSON.stringify({ bus: front.domain.bus.save(), store: front.domain.store.save() }),
  );

  const twin = new BlockFront(backend);
  twin.domain.memory.bytes.set(front.domain.memory.bytes);
  twin.domain.grants.grant(20);
  twin.domain.grants.writers.set(RING, 1);
  twin.domain.store.restore(saved.store);
  twin.domain.bus.restore(saved.bus);
  twin.ring.produced = twin.ring.consumed = front.ring.produced;
  expect(twin.request(BLKIF_OP_READ, 1, [[20, 0, 0]])).toBe(BLKIF_RSP_OKAY);
  twin.expectClean();
  twin.domain.write({ state: 5 });
  expect(twin.domain.backend("state")).toBe("5");
  expect(twin.domain.grants.inUse).toEqual([]);
});

it("a restored device tells nobody by a port that the guest had closed", () => {
  const front = new BlockFront(disk()).connect();
  front.domain.events.handlers.delete(PORT);
  const twin = new BlockFront(disk());
  twin.domain.memory.bytes.set(front.domain.memory.bytes);
  twin.domain.grants.writers.set(RING, 1);
  twin.domain.store.restore(front.domain.store.save());
  twin.domain.bus.restore(front.domain.bus.save());
  expect([...twin.domain.events.handlers.keys()]).toEqual([]);
  twin.domain.write({ state: 5 });
  expect([...twin.domain.events.unbound]).not.toContain(PORT);
});
