/**
 * Completes the transport checksum of an Ethernet frame whose sender left it to its network card.
 * Source: RFC 1071 (the sum), RFC 9293 and RFC 768 (pseudo headers over IPv4), RFC 8200 (IPv6).
 */

const ETHERTYPE_AT = 12;
const ETHERTYPE_IPV4 = 0x0800;
const ETHERTYPE_IPV6 = 0x86dd;
const ETHERTYPE_VLAN = 0x8100;
const VLAN_BYTES = 4;
const IPV4_BYTES = 20;
const IPV4_FRAGMENT_MASK = 0x3fff;
const IPV6_BYTES = 40;
const PROTOCOL_TCP = 6;
const PROTOCOL_UDP = 17;
/** IPv6 extension headers that only stand before the transport header: hop-by-hop, routing, destination options. */
const EXTENSIONS: readonly number[] = [0, 43, 60];
/** Length of the header and place of the checksum in it, by protocol. */
const TRANSPORTS: Readonly<Record<number, { bytes: number; checksumAt: number }>> = {
  [PROTOCOL_TCP]: { bytes: 20, checksumAt: 16 },
  [PROTOCOL_UDP]: { bytes: 8, checksumAt: 6 },
};

/** Where the transport part is, and what its pseudo header holds. */
interface Transport {
  readonly protocol: number;
  readonly start: number;
  readonly end: number;
  /** Both addresses are in here. */
  readonly addresses: { readonly start: number; readonly end: number };
}

/** Fills in the checksum of a TCP or UDP packet over IPv4 or IPv6. @returns false, with nothing changed, for any other frame. */
export function completeChecksum(frame: Uint8Array): boolean {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  const transport = findTransport(view);
  const form = transport && TRANSPORTS[transport.protocol];
  if (transport === undefined || form === undefined) return false;
  const { protocol, start, end, addresses } = transport;
  if (start + form.bytes > end || end > frame.length) return false;
  const field = start + form.checksumAt;
  view.setUint16(field, 0);
  let sum = protocol + (end - start);
  sum = addWords(view, addresses.start, addresses.end, sum);
  sum = addWords(view, start, end, sum);
  while (sum > 0xffff) sum = (sum & 0xffff) + Math.floor(sum / 0x10000);
  const checksum = ~sum & 0xffff;
  // In UDP, 0 means that there is none.
  view.setUint16(field, protocol === PROTOCOL_UDP && checksum === 0 ? 0xffff : checksum);
  return true;
}

function findTransport(view: DataView): Transport | undefined {
  let at = ETHERTYPE_AT;
  if (readU16(view, at) === ETHERTYPE_VLAN) at += VLAN_BYTES;
  const start = at + 2;
  switch (readU16(view, at)) {
    case ETHERTYPE_IPV4:
      return findInIpv4(view, start);
    case ETHERTYPE_IPV6:
      return findInIpv6(view, start);
    default:
      return undefined;
  }
}

function findInIpv4(view: DataView, at: number): Transport | undefined {
  if (view.byteLength < at + IPV4_BYTES) return undefined;
  const headerBytes = (view.getUint8(at) & 0xf) * 4;
  const isFragment = (view.getUint16(at + 6) & IPV4_FRAGMENT_MASK) !== 0;
  if (headerBytes < IPV4_BYTES || isFragment) return undefined;
  return {
    protocol: view.getUint8(at + 9),
    start: at + headerBytes,
    end: at + view.getUint16(at + 2),
    addresses: { start: at + 12, end: at + 20 },
  };
}

function findInIpv6(view: DataView, at: number): Transport | undefined {
  if (view.byteLength < at + IPV6_BYTES) return undefined;
  const end = at + IPV6_BYTES + view.getUint16(at + 4);
  let protocol = view.getUint8(at + 6);
  let start = at + IPV6_BYTES;
  while (EXTENSIONS.includes(protocol)) {
    if (start + 8 > view.byteLength) return undefined;
    protocol = view.getUint8(start);
    start += 8 * (view.getUint8(start + 1) + 1);
  }
  return { protocol, start, end, addresses: { start: at + 8, end: at + 40 } };
}

/** Adds the 16-bit words of [from, to); an odd last byte counts as a word with a zero behind it. */
function addWords(view: DataView, from: number, to: number, sum: number): number {
  let total = sum;
  for (let at = from; at + 1 < to; at += 2) total += view.getUint16(at);
  return (to - from) % 2 === 1 ? total + view.getUint8(to - 1) * 0x100 : total;
}

function readU16(view: DataView, at: number): number {
  return at + 2 <= view.byteLength ? view.getUint16(at) : 0;
}
