/**
 * A small IPv4 host on a network port: answers ARP for its address and ICMP echo, so that a guest has somebody to ping.
 * Source: RFC 826, RFC 791, RFC 792, RFC 1071.
 */
import { ConfigError } from "../base/errors.ts";
import type { NetBackend } from "../base/ports.ts";
import { NetHub } from "./net-hub.ts";

const ETHERTYPE_AT = 12;
const ETHERTYPE_IPV4 = 0x0800;
const ETHERTYPE_ARP = 0x0806;
const ETHERNET_BYTES = 14;
const ARP_BYTES = 28;
const ARP_REQUEST = 1;
const ARP_REPLY = 2;
const PROTOCOL_ICMP = 1;
const ICMP_ECHO = 8;
const ICMP_BYTES = 8;
const FRAGMENT_MASK = 0x3fff;

/** The address of a peer that was given none. */
export const PEER_ADDRESS = "10.0.0.1";
/** Locally administered; no guest's default address begins like this. */
const PEER_MAC = Uint8Array.of(0x02, 0, 0, 0, 0, 0x01);

/** The four bytes of a dotted IPv4 address. Throws ConfigError for anything else. */
export function parseAddress(text: string): Uint8Array {
  const parts = /^\d{1,3}(\.\d{1,3}){3}$/.test(text) ? text.split(".").map(Number) : [];
  if (parts.length !== 4 || parts.some((part) => part > 255)) {
    throw new ConfigError(`"${text}" is no IPv4 address; it must look like ${PEER_ADDRESS}`);
  }
  return Uint8Array.from(parts);
}

/** A port on a network of its own, where only a peer at `address` lives. Throws ConfigError for a bad address. */
export function connectPeer(address: string): NetBackend {
  const hub = new NetHub();
  new NetPeer(hub.port(), address, PEER_MAC);
  return hub.port();
}

/** The peer. Throws ConfigError unless `address` is a dotted IPv4 address and `mac` has six bytes. */
export class NetPeer {
  /** Frames seen, whoever they were for. */
  frames = 0;
  /** ARP requests and echo requests answered. */
  answers = 0;
  #backend: NetBackend;
  #mac: Uint8Array;
  #ip: Uint8Array;

  constructor(backend: NetBackend, address: string, mac: Uint8Array) {
    if (mac.length !== 6) throw new ConfigError("a peer needs six bytes of MAC address");
    this.#backend = backend;
    this.#mac = mac;
    this.#ip = parseAddress(address);
    backend.connect((frame) => this.#receive(frame));
  }

  close(): void {
    this.#backend.close();
  }

  #receive(frame: Uint8Array): void {
    this.frames++;
    if (frame.length < ETHERNET_BYTES) return;
    const type = u16(frame, ETHERTYPE_AT);
    const payload = frame.subarray(ETHERNET_BYTES);
    if (type === ETHERTYPE_ARP) this.#answerArp(frame, payload);
    else if (type === ETHERTYPE_IPV4) this.#answerEcho(frame, payload);
  }

  #answerArp(frame: Uint8Array, arp: Uint8Array): void {
    if (arp.length < ARP_BYTES || u16(arp, 6) !== ARP_REQUEST || !isEqual(arp, 24, this.#ip))
      return;
    const reply = arp.slice(0, ARP_BYTES);
    putU16(reply, 6, ARP_REPLY);
    reply.set(arp.subarray(8, 18), 18);
    reply.set(this.#mac, 8);
    reply.set(this.#ip, 14);
    this.#send(frame, ETHERTYPE_ARP, reply);
  }

  #answerEcho(frame: Uint8Array, packet: Uint8Array): void {
    const headerBytes = ((packet[0] ?? 0) & 0xf) * 4;
    const totalBytes = u16(packet, 2);
    const isWhole = (u16(packet, 6) & FRAGMENT_MASK) === 0;
    if ((packet[0] ?? 0) >> 4 !== 4 || headerBytes < 20 || !isWhole) return;
    if (totalBytes > packet.length || totalBytes < headerBytes + ICMP_BYTES) return;
    if (packet[9] !== PROTOCOL_ICMP || packet[headerBytes] !== ICMP_ECHO) return;
    if (!isEqual(packet, 16, this.#ip)) return;
    const reply = packet.slice(0, totalBytes);
    reply.set(packet.subarray(12, 16), 16);
    reply.set(this.#ip, 12);
    putU16(reply, 10, 0);
    putU16(reply, 10, checksum(reply.subarray(0, headerBytes)));
    const icmp = reply.subarray(headerBytes);
    icmp[0] = 0;
    putU16(icmp, 2, 0);
    putU16(icmp, 2, checksum(icmp));
    this.#send(frame, ETHERTYPE_IPV4, reply);
  }

  #send(question: Uint8Array, type: number, payload: Uint8Array): void {
    const frame = new Uint8Array(ETHERNET_BYTES + payload.length);
    frame.set(question.subarray(6, 12), 0);
    frame.set(this.#mac, 6);
    putU16(frame, ETHERTYPE_AT, type);
    frame.set(payload, ETHERNET_BYTES);
    this.answers++;
    this.#backend.send(frame);
  }
}

function u16(bytes: Uint8Array, at: number): number {
  return ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
}

function putU16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >> 8;
  bytes[at + 1] = value & 0xff;
}

function isEqual(bytes: Uint8Array, at: number, wanted: Uint8Array): boolean {
  return wanted.every((byte, i) => bytes[at + i] === byte);
}

/** The Internet checksum: ones' complement of the ones' complement sum of big-endian words. */
function checksum(bytes: Uint8Array): number {
  let sum = 0;
  for (let at = 0; at < bytes.length; at += 2) sum += u16(bytes, at);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}
