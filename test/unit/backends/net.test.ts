import { describe, expect, it } from "vitest";
import { NetHub } from "../../../host-ts/backends/net-hub.ts";
import { NetPeer } from "../../../host-ts/backends/net-peer.ts";

const GUEST_MAC = [0x52, 0x54, 0, 0, 0, 1];
const PEER_MAC = [0x52, 0x54, 0, 0, 0, 2];

describe("a hub", () => {
  it("repeats a frame, as a copy, to every port but the sender", () => {
    const hub = new NetHub();
    const heard: [number, Uint8Array][] = [];
    const ports = [0, 1, 2].map((n) => {
      const port = hub.port();
      port.connect((frame) => heard.push([n, frame]));
      return port;
    });
    const frame = Uint8Array.of(1, 2, 3);
    ports[1]!.send(frame);
    frame[0] = 9;
    expect(heard).toEqual([
      [0, Uint8Array.of(1, 2, 3)],
      [2, Uint8Array.of(1, 2, 3)],
    ]);
  });

  it("forgets closed ports", () => {
    const hub = new NetHub();
    const [a, b] = [hub.port(), hub.port()];
    let heard = 0;
    b.connect(() => heard++);
    b.close();
    a.send(Uint8Array.of(1));
    expect([heard, hub.size]).toEqual([0, 1]);
    a.connect(() => heard++);
    b.send(Uint8Array.of(1));
    expect(heard).toBe(0);
  });
});

describe("a peer", () => {
  const setUp = () => {
    const hub = new NetHub();
    const peer = new NetPeer(hub.port(), "10.0.0.1", Uint8Array.from(PEER_MAC));
    const port = hub.port();
    const heard: number[][] = [];
    port.connect((frame) => heard.push([...frame]));
    return { peer, heard, send: (bytes: number[]) => port.send(Uint8Array.from(bytes)) };
  };

  it("answers ARP for its address and no other", () => {
    const { heard, send } = setUp();
    const arp = (target: number) => [
      ...Array(6).fill(0xff),
      ...GUEST_MAC,
      8,
      6,
      0,
      1,
      8,
      0,
      6,
      4,
      0,
      1,
      ...GUEST_MAC,
      10,
      0,
      0,
      9,
      0,
      0,
      0,
      0,
      0,
      0,
      10,
      0,
      0,
      target,
    ];
    send(arp(2));
    send(arp(1));
    expect(heard).toEqual([
      [
        ...GUEST_MAC,
        ...PEER_MAC,
        8,
        6,
        0,
        1,
        8,
        0,
        6,
        4,
        0,
        2,
        ...PEER_MAC,
        10,
        0,
        0,
        1,
        ...GUEST_MAC,
        10,
        0,
        0,
        9,
      ],
    ]);
  });

  it("answers an echo request with right checksums", () => {
    const { heard, send } = setUp();
    const ip = [0x45, 0, 0, 31, 0, 1, 0x40, 0, 64, 1, 0, 0, 10, 0, 0, 9, 10, 0, 0, 1];
    const echo = [8, 0, 0, 0, 0x12, 0x34, 0, 1, 0x61, 0x62, 0x63];
    send([...PEER_MAC, ...GUEST_MAC, 8, 0, ...ip, ...echo]);
    const reply = heard[0]!.slice(14);
    // A sum over data and its checksum is all ones, RFC 1071.
    const sum = (bytes: number[]) => {
      let total = 0;
      for (let i = 0; i < bytes.length; i += 2) total += (bytes[i]! << 8) | (bytes[i + 1] ?? 0);
      return (total & 0xffff) + (total >> 16);
    };
    expect(sum(reply.slice(0, 20))).toBe(0xffff);
    expect(sum(reply.slice(20))).toBe(0xffff);
    expect(reply.slice(12, 20)).toEqual([10, 0, 0, 1, 10, 0, 0, 9]);
    expect([reply[20], ...reply.slice(24)]).toEqual([0, 0x12, 0x34, 0, 1, 0x61, 0x62, 0x63]);
  });

  it("ignores what is cut short", () => {
    const { peer, heard, send } = setUp();
    send([1, 2, 3]);
    send([...PEER_MAC, ...GUEST_MAC, 8, 0, 0x45]);
    send([...PEER_MAC, ...GUEST_MAC, 8, 6, 0, 1]);
    expect([peer.frames, peer.answers, heard.length]).toEqual([3, 0, 0]);
  });
});
