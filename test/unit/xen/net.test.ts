/** The Xen network back end, driven by a front end through xenstore, grants and rings. */
import { describe, expect, it, vi } from "vitest";
import {
  NETIF_RSP_ERROR,
  NETIF_RSP_OKAY,
  NETRXF_MORE_DATA,
  NETTXF_CSUM_BLANK,
  NETTXF_EXTRA_INFO,
  NETTXF_MORE_DATA,
  SRING_REQ_PROD,
} from "../../../abi/xen-layout.ts";
import { NetHub } from "../../../host-ts/backends/net-hub.ts";
import { ConfigError } from "../../../host-ts/base/errors.ts";
import type { HostInput } from "../../../host-ts/base/ports.ts";
import { completeChecksum } from "../../../host-ts/devices/net-checksum.ts";
import { XenNet } from "../../../host-ts/devices/xen-net.ts";
import { FakeDomain, FrontRing } from "./frontends.ts";

const MAC = Uint8Array.of(0, 0x16, 0x3e, 0, 0, 1);
const TX = 8;
const RX = 9;
const TX_PORT = 5;
const RX_PORT = 6;

/** [reference, offset, size, flags] of a transmit slot, or the bytes of one with extra information. */
type Slot = [ref: number, offset: number, size: number, flags?: number] | Uint8Array;

class NetFront {
  readonly hub = new NetHub();
  readonly sent: Uint8Array[] = [];
  readonly posted: HostInput[] = [];
  readonly device: XenNet;
  readonly domain: FakeDomain;
  readonly tx: FrontRing;
  readonly rx: FrontRing;
  readonly peer = this.hub.port();
  readonly backend = this.hub.port();
  #id = 100;

  constructor() {
    this.peer.connect((frame) => this.sent.push(frame));
    const sink = { post: (input: HostInput) => void this.posted.push(input) };
    this.device = new XenNet({ name: "net0", index: 0, mac: MAC, backend: this.backend, sink });
    this.domain = new FakeDomain(this.device);
    for (const ref of [TX, RX]) this.domain.grants.grant(ref);
    this.tx = new FrontRing([this.domain.page(TX)], 12);
    this.rx = new FrontRing([this.domain.page(RX)], 8);
  }

  connect(keys: Record<string, string | number> = {}): this {
    const { domain } = this;
    expect(domain.backend("state")).toBe("2");
    expect(domain.backend("feature-rx-copy")).toBe("1");
    for (const port of [TX_PORT, RX_PORT]) domain.events.unbound.add(port);
    domain.write({
      "multi-queue-num-queues": 1,
      "tx-ring-ref": TX,
      "rx-ring-ref": RX,
      "event-channel-tx": TX_PORT,
      "event-channel-rx": RX_PORT,
      "request-rx-copy": 1,
      "feature-sg": 1,
      ...keys,
    });
    domain.write({ state: 4 });
    return this;
  }

  /** Sends one frame made of slots. @returns the statuses, in slot order. */
  send(...slots: Slot[]): number[] {
    const ids: (number | undefined)[] = [];
    for (const slot of slots) {
      const bytes = new Uint8Array(12);
      const view = new DataView(bytes.buffer);
      if (slot instanceof Uint8Array) {
        bytes.set(slot);
        ids.push(undefined);
      } else {
        const [ref, offset, size, flags = 0] = slot;
        const id = this.#id++ & 0xffff;
        ids.push(id);
        view.setUint32(0, ref, true);
        for (const [at, value] of [
          [4, offset],
          [6, flags],
          [8, id],
          [10, size],
        ] as const) {
          view.setUint16(at, value, true);
        }
      }
      this.tx.put(bytes);
    }
    this.tx.push();
    this.domain.events.kick(TX_PORT);
    const responses = this.tx.take(12);
    for (const [i, response] of responses.entries()) {
      if (ids[i] !== undefined) expect(response.getUint16(0, true)).toBe(ids[i]);
    }
    return responses.map((response) => response.getInt16(2, true));
  }

  /** Gives the back end buffers: request identifiers are the references. */
  offer(...refs: number[]): void {
    for (const ref of refs) {
      const bytes = new Uint8Array(8);
      new DataView(bytes.buffer).setUint16(0, ref, true);
      new DataView(bytes.buffer).setUint32(4, ref, true);
      this.rx.put(bytes);
    }
    this.rx.push();
  }

  /** A frame arrives; what the front end then finds: [id, offset, flags, status] of each slot. */
  arrive(frame: Uint8Array): number[][] {
    this.peer.send(frame);
    this.device.receive(this.posted.pop()!);
    return this.rx
      .take(8)
      .map((r) => [
        r.getUint16(0, true),
        r.getUint16(2, true),
        r.getUint16(4, true),
        r.getInt16(6, true),
      ]);
  }

  expectClean(): void {
    expect(this.domain.grants.inUse).toEqual([TX, RX]);
    expect(this.domain.memory.trespasses).toEqual([]);
  }
}

const frame = (length: number) => Uint8Array.from({ length }, (_, i) => (i * 7) & 0xff);

describe("handshake", () => {
  it("front and back end meet with two event channels, and the front end has its address", () => {
    const { domain, ...front } = new NetFront().connect();
    expect(domain.read("mac")).toBe("00:16:3e:00:00:01");
    expect(domain.backend("state")).toBe("4");
    expect(domain.backend("hotplug-status")).toBe("connected");
    expect([...domain.events.handlers.keys()]).toEqual([TX_PORT, RX_PORT]);
    expect(front.device.metrics.txFrames).toBe(0);
    domain.write({ state: 5 });
    expect(domain.backend("state")).toBe("5");
    expect(domain.grants.inUse).toEqual([]);
    expect(domain.events.handlers.size).toBe(0);
  });

  it("one event channel for both rings will do", () => {
    const front = new NetFront();
    front.connect({ "event-channel-tx": "", "event-channel-rx": "", "event-channel": TX_PORT });
    expect(front.domain.backend("state")).toBe("4");
    front.domain.grants.grant(20);
    expect(front.send([20, 0, 60])).toEqual([NETIF_RSP_OKAY]);
  });

  it.each([
    ["no copying", { "request-rx-copy": 0 }],
    ["more queues than offered", { "multi-queue-num-queues": 2 }],
    ["a ring that is not granted", { "rx-ring-ref": 30 }],
    ["no event channel", { "event-channel-rx": "" }],
    ["a foreign event channel", { "event-channel-rx": 77 }],
  ])("%s is refused, with nothing left mapped or bound", (_, keys) => {
    const { domain } = new NetFront().connect(keys);
    expect(domain.backend("state")).toBe("5");
    expect(domain.grants.inUse).toEqual([]);
    expect(domain.events.handlers.size).toBe(0);
  });

  it("an address must be that of one card", () => {
    const options = {
      name: "net0",
      index: 0,
      backend: new NetHub().port(),
      sink: { post: () => {} },
    };
    expect(() => new XenNet({ ...options, mac: Uint8Array.of(1, 2, 3, 4, 5, 6) })).toThrow(
      ConfigError,
    );
    expect(() => new XenNet({ ...options, mac: new Uint8Array(5) })).toThrow(ConfigError);
  });
});

describe("sending", () => {
  it("a frame leaves from one slot, or gathered from several", () => {
    const front = new NetFront().connect();
    const { domain } = front;
    for (const ref of [20, 21, 22]) domain.grants.grant(ref, true);
    const data = frame(9000);
    domain.page(20).write(100, data.subarray(0, 1000));
    domain.page(21).write(0, data.subarray(1000, 5096));
    domain.page(22).write(192, data.subarray(5096));
    expect(front.send([20, 100, 1000])).toEqual([NETIF_RSP_OKAY]);
    expect(front.sent.pop()).toEqual(data.slice(0, 1000));
    const statuses = front.send(
      [20, 100, 9000, NETTXF_MORE_DATA],
      [21, 0, 4096, NETTXF_MORE_DATA],
      [22, 192, 3904],
    );
    expect(statuses).toEqual([0, 0, 0]);
    expect(front.sent.pop()).toEqual(data);
    expect(front.device.metrics).toMatchObject({ txFrames: 2, txBytes: 10000, txDropped: 0 });
    front.expectClean();
  });

  it("what cannot be sent is answered slot by slot, and the next frame goes", () => {
    const front = new NetFront().connect();
    front.domain.grants.grant(20);
    const refused = (...slots: Slot[]) =>
      expect(front.send(...slots)).toEqual(
        slots.map((slot) => (slot instanceof Uint8Array ? 1 : NETIF_RSP_ERROR)),
      );
    refused([20, 0, 13]);
    refused([20, 4090, 60]);
    refused([21, 0, 60]);
    refused([20, 0, 100, NETTXF_MORE_DATA], [20, 0, 101]);
    refused([20, 0, 100, NETTXF_MORE_DATA], [21, 0, 50]);
    refused(
      ...Array.from(
        { length: 19 },
        (_, i): Slot => [20, 0, i ? 10 : 300, i < 18 ? NETTXF_MORE_DATA : 0],
      ),
    );
    refused([20, 0, 60, NETTXF_EXTRA_INFO], Uint8Array.of(1, 0));
    refused([20, 0, 60, NETTXF_CSUM_BLANK]);
    expect(front.sent).toEqual([]);
    expect(
      front.send([20, 0, 60, NETTXF_EXTRA_INFO], Uint8Array.of(4, 1), Uint8Array.of(4, 0)),
    ).toEqual([0, 1, 1]);
    expect(front.sent.length).toBe(1);
    expect(front.device.metrics.txDropped).toBe(8);
    front.expectClean();
  });

  it("a network that fails loses the frame, which is answered, and the next one goes", () => {
    const front = new NetFront().connect();
    front.domain.grants.grant(20);
    const failing = vi.spyOn(front.backend, "send").mockImplementation(() => {
      throw new Error("gone");
    });
    expect(front.send([20, 0, 60])).toEqual([NETIF_RSP_ERROR]);
    failing.mockRestore();
    expect(front.send([20, 0, 60])).toEqual([NETIF_RSP_OKAY]);
    expect(front.sent).toHaveLength(1);
    expect(front.device.metrics).toMatchObject({ txFrames: 1, txDropped: 1 });
  });

  it("a frame that is shown in part ends the service", () => {
    const front = new NetFront().connect();
    front.domain.grants.grant(20);
    expect(front.send([20, 0, 100, NETTXF_MORE_DATA])).toEqual([]);
    expect(front.send([20, 0, 60])).toEqual([]);
    expect(front.sent).toEqual([]);
    front.expectClean();
  });

  it("a checksum left blank is filled in before the frame leaves", () => {
    const front = new NetFront().connect();
    front.domain.grants.grant(20);
    const packet = udp4(Uint8Array.of(1, 2, 3));
    front.domain.page(20).write(0, packet);
    expect(front.send([20, 0, packet.length, NETTXF_CSUM_BLANK])).toEqual([NETIF_RSP_OKAY]);
    const [sent] = front.sent;
    expect(sent!.subarray(40, 42)).not.toEqual(packet.subarray(40, 42));
    expect(sumOf(pseudo4(sent!))).toBe(0xffff);
  });
});

describe("receiving", () => {
  it("a frame lands in one buffer, a long one in several", () => {
    const front = new NetFront().connect();
    const { domain } = front;
    for (const ref of [20, 21, 22]) domain.grants.grant(ref);
    front.offer(20, 21, 22);
    expect(front.arrive(frame(60))).toEqual([[20, 0, 0, 60]]);
    expect(domain.page(20).read(0, 60)).toEqual(frame(60));
    expect(front.arrive(frame(5000))).toEqual([
      [21, 0, NETRXF_MORE_DATA, 4096],
      [22, 0, 0, 904],
    ]);
    expect(domain.page(22).read(0, 904)).toEqual(frame(5000).slice(4096));
    expect(front.device.metrics).toMatchObject({ rxFrames: 2, rxBytes: 5060, rxDropped: 0 });
    front.expectClean();
  });

  it("no buffer, too few buffers, or no front end: the frame is dropped and counted", () => {
    const front = new NetFront();
    expect(front.arrive(frame(60))).toEqual([]);
    front.connect({ "feature-sg": 0 });
    expect(front.arrive(frame(60))).toEqual([]);
    front.domain.grants.grant(20);
    front.domain.grants.grant(21);
    front.offer(20, 21);
    expect(front.arrive(frame(5000))).toEqual([]);
    expect(front.arrive(new Uint8Array(0))).toEqual([]);
    expect(front.arrive(frame(60))).toEqual([[20, 0, 0, 60]]);
    expect(front.device.metrics.rxDropped).toBe(4);
    front.expectClean();
  });

  it("a buffer that is not granted for writing is given back with an error", () => {
    const front = new NetFront().connect();
    front.domain.grants.grant(20, true);
    front.domain.grants.grant(21);
    front.offer(20, 30, 21, 30);
    for (const id of [20, 30])
      expect(front.arrive(frame(60))).toEqual([[id, 0, 0, NETIF_RSP_ERROR]]);
    expect(front.arrive(frame(5000))).toEqual([
      [21, 0, 0, NETIF_RSP_ERROR],
      [30, 0, 0, NETIF_RSP_ERROR],
    ]);
    front.expectClean();
  });

  it("the guest is told on its receive channel, when it asked for it", () => {
    const front = new NetFront().connect();
    front.domain.grants.grant(20);
    front.offer(20, 20, 20);
    front.domain.events.raised = [];
    front.arrive(frame(60));
    expect(front.domain.events.raised).toEqual([RX_PORT]);
    front.rx.first.writeU32(0xc, 3);
    front.arrive(frame(60));
    expect(front.domain.events.raised).toEqual([RX_PORT]);
    front.domain.page(RX).writeU32(SRING_REQ_PROD, 0x8000_0000);
    expect(front.arrive(frame(60))).toEqual([]);
    front.expectClean();
  });

  it("a front end that asks for it gets frames for the groups that it joined, and for no others", () => {
    const group = Uint8Array.of(0x33, 0x33, 0, 0, 0, 1);
    const other = Uint8Array.of(0x33, 0x33, 0, 0, 0, 2);
    const toGroup = (address: Uint8Array) => {
      const bytes = frame(60);
      bytes.set(address);
      return bytes;
    };
    const change = (front: NetFront, type: number, address: Uint8Array) =>
      front.send([0, 0, 0, NETTXF_EXTRA_INFO], Uint8Array.of(type, 0, ...address));
    const plain = new NetFront().connect();
    plain.domain.grants.grant(20);
    plain.offer(20, 20);
    expect(plain.domain.backend("feature-multicast-control")).toBe("1");
    expect(plain.arrive(toGroup(group))).toHaveLength(1);
    expect(change(plain, 2, group)).toEqual([NETIF_RSP_ERROR, 1]);

    const front = new NetFront().connect({ "request-multicast-control": 1 });
    front.domain.grants.grant(20);
    front.offer(20, 20, 20, 20);
    expect(front.arrive(toGroup(group))).toHaveLength(0);
    expect(front.arrive(toGroup(new Uint8Array(6).fill(0xff)))).toHaveLength(1);
    expect(front.arrive(frame(60))).toHaveLength(1);
    expect(change(front, 2, group)).toEqual([NETIF_RSP_OKAY, 1]);
    expect(front.arrive(toGroup(group))).toHaveLength(1);
    expect(front.arrive(toGroup(other))).toHaveLength(0);
    expect(front.device.save()).toMatchObject({ groups: ["33:33:00:00:00:01"] });
    expect(change(front, 3, group)).toEqual([NETIF_RSP_OKAY, 1]);
    expect(change(front, 3, group)).toEqual([NETIF_RSP_ERROR, 1]);
    expect(front.arrive(toGroup(group))).toHaveLength(0);
    expect(change(front, 2, MAC)).toEqual([NETIF_RSP_ERROR, 1]);
    for (let i = 0; i < 64; i++) {
      expect(change(front, 2, Uint8Array.of(1, 0, 0, 0, 0, i))).toEqual([NETIF_RSP_OKAY, 1]);
    }
    expect(change(front, 2, group)).toEqual([NETIF_RSP_ERROR, 1]);
    expect(front.device.metrics).toMatchObject({ rxDropped: 0, txFrames: 0, txDropped: 0 });
    front.expectClean();
  });

  it("a restored card goes on in both directions", () => {
    const front = new NetFront().connect();
    front.domain.grants.grant(20);
    front.offer(20, 20);
    front.arrive(frame(60));
    const saved = JSON.parse(
      JSON.stringify({ bus: front.domain.bus.save(), store: front.domain.store.save() }),
    );
    const twin = new NetFront();
    twin.domain.memory.bytes.set(front.domain.memory.bytes);
    twin.domain.grants.grant(20);
    for (const ref of [TX, RX]) twin.domain.grants.writers.set(ref, 1);
    twin.domain.store.restore(saved.store);
    twin.domain.bus.restore(saved.bus);
    twin.rx.consumed = 1;
    expect(twin.arrive(frame(70))).toEqual([[20, 0, 0, 70]]);
    expect(twin.send([20, 0, 60])).toEqual([NETIF_RSP_OKAY]);
    expect(twin.sent.length).toBe(1);
    twin.expectClean();
  });
});

/** Ones' complement sum of big-endian words, which is 0xffff over a right packet with its pseudo header. */
function sumOf(bytes: Uint8Array): number {
  let sum = 0;
  for (let i = 0; i < bytes.length; i += 2) sum += (bytes[i]! << 8) + (bytes[i + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return sum;
}

function udp4(payload: Uint8Array, options = 0): Uint8Array {
  const length = 8 + payload.length;
  const ip = 20 + options;
  const packet = new Uint8Array(14 + ip + length);
  const view = new DataView(packet.buffer);
  view.setUint16(12, 0x0800);
  packet[14] = 0x40 | (ip / 4);
  view.setUint16(16, ip + length);
  packet[14 + 9] = 17;
  packet.set([10, 0, 0, 1, 10, 0, 0, 2], 14 + 12);
  view.setUint16(14 + ip, 1234);
  view.setUint16(14 + ip + 2, 53);
  view.setUint16(14 + ip + 4, length);
  view.setUint16(14 + ip + 6, 0xbeef);
  packet.set(payload, 14 + ip + 8);
  return packet;
}

function pseudo4(packet: Uint8Array, ip = 20): Uint8Array {
  const transport = packet.subarray(14 + ip);
  return Uint8Array.of(...packet.subarray(26, 34), 0, 17, 0, transport.length, ...transport);
}

describe("checksums", () => {
  it("UDP over IPv4, of odd and even length, with options, and never 0", () => {
    for (const payload of [[], [1], [1, 2], [255, 255, 255]]) {
      for (const options of [0, 8]) {
        const packet = udp4(Uint8Array.from(payload), options);
        expect(completeChecksum(packet)).toBe(true);
        expect(sumOf(pseudo4(packet, 20 + options))).toBe(0xffff);
      }
    }
    const zero = udp4(new Uint8Array(2));
    completeChecksum(zero);
    zero.set(zero.subarray(40, 42), 42);
    completeChecksum(zero);
    expect([...zero.subarray(40, 42)]).toEqual([0xff, 0xff]);
  });

  it("TCP over IPv6 behind extension headers and a VLAN tag", () => {
    const tcp = 24;
    const packet = new Uint8Array(18 + 40 + 16 + tcp).fill(0x11, 18 + 8);
    const view = new DataView(packet.buffer);
    view.setUint16(12, 0x8100);
    view.setUint16(16, 0x86dd);
    view.setUint16(18 + 4, 16 + tcp);
    packet[18 + 6] = 0;
    packet.set([60, 0], 58);
    packet.set([6, 0], 66);
    expect(completeChecksum(packet)).toBe(true);
    const addresses = packet.subarray(18 + 8, 18 + 40);
    const sum = sumOf(
      Uint8Array.of(...addresses, 0, 0, 0, tcp, 0, 0, 0, 6, ...packet.subarray(74)),
    );
    expect(sum).toBe(0xffff);
  });

  it("fragments, other protocols and lengths that lie are left alone", () => {
    const spoil = (at: number, ...bytes: number[]) => {
      const packet = udp4(new Uint8Array(4));
      packet.set(bytes, at);
      const before = packet.slice();
      expect(completeChecksum(packet)).toBe(false);
      expect(packet).toEqual(before);
    };
    spoil(12, 0x08, 0x06);
    spoil(14, 0x44);
    spoil(14, 0x4f);
    spoil(16, 0xff, 0xff);
    spoil(16, 0, 0);
    spoil(20, 0x20, 0);
    spoil(23, 1);
    for (let length = 0; length < 42; length++) {
      expect(completeChecksum(udp4(new Uint8Array(4)).slice(0, length))).toBe(false);
    }
  });
});
