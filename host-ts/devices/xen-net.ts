/**
 * The back end of a Xen network card: raw Ethernet frames in one or several slots, copied to and from the guest's pages.
 *
 * A frame that finds no buffers is dropped and counted, as on a wire. Frames from outside come as host inputs only. The guest may leave
 * checksums to us; frames longer than its MTU (segmentation) are not offered.
 * Source: Xen's public io/netif.h.
 */
import { PAGE_BYTES } from "../../abi/memory.ts";
import {
  NETIF_EXTRA_FLAG_MORE,
  NETIF_EXTRA_FLAGS,
  NETIF_EXTRA_MCAST_ADDRESS,
  NETIF_EXTRA_TYPE,
  NETIF_EXTRA_TYPE_HASH,
  NETIF_EXTRA_TYPE_MCAST_ADD,
  NETIF_EXTRA_TYPE_MCAST_DEL,
  NETIF_MCAST_MAX,
  NETIF_NR_SLOTS_MIN,
  NETIF_RSP_NULL,
  NETIF_TX_RSP_BYTES,
} from "../../abi/xen-io.ts";
import {
  NETIF_RSP_ERROR,
  NETIF_RSP_OKAY,
  NETIF_RX_BYTES,
  NETIF_RX_REQ_GREF,
  NETIF_RX_REQ_ID,
  NETIF_RX_RSP_FLAGS,
  NETIF_RX_RSP_ID,
  NETIF_RX_RSP_STATUS,
  NETIF_TX_FLAGS,
  NETIF_TX_GREF,
  NETIF_TX_ID,
  NETIF_TX_OFFSET,
  NETIF_TX_REQ_BYTES,
  NETIF_TX_RSP_ID,
  NETIF_TX_RSP_STATUS,
  NETIF_TX_SIZE,
  NETRXF_MORE_DATA,
  NETTXF_CSUM_BLANK,
  NETTXF_EXTRA_INFO,
  NETTXF_MORE_DATA,
} from "../../abi/xen-layout.ts";
import { BugError, ConfigError } from "../base/errors.ts";
import type { HostInput, InputSink, NetBackend } from "../base/ports.ts";
import { completeChecksum } from "./net-checksum.ts";
import { checkVersion } from "./records.ts";
import type {
  EventPort,
  FrontendLink,
  GrantAccess,
  GrantedPage,
  SplitDevice,
} from "./xen-ports.ts";
import { BackRing, parseKey } from "./xen-ring.ts";

const STATE_VERSION = 2;
const MAC_BYTES = 6;
/** Bit of an address's first byte that means a group; all groups are the broadcast address. */
const GROUP_BIT = 1;
const BROADCAST = "ff:ff:ff:ff:ff:ff";
const FRAME_BYTES_MIN = 14;

/** What a network card is made of. `sink` takes the frames that arrive at `backend` until they are replayed to `receive`. */
export interface XenNetOptions {
  /** Unique in the guest, such as "net0". */
  readonly name: string;
  /** Number of the card in the guest, from 0. */
  readonly index: number;
  /** Six bytes, unicast. */
  readonly mac: Uint8Array;
  readonly backend: NetBackend;
  readonly sink: InputSink;
}

/** A connected front end. */
interface Connection {
  readonly tx: BackRing;
  readonly rx: BackRing;
  readonly txEvent: EventPort;
  readonly rxEvent: EventPort;
  readonly grants: GrantAccess;
  /** The front end puts a frame together from several slots. */
  readonly takesFragments: boolean;
  /** Addresses of the groups that the front end wants frames for; undefined where it wants those of all. */
  readonly groups: Set<string> | undefined;
}

/** One frame as it stands in the transmit ring. */
interface Chain {
  /** Slots with data, the first one's size being that of the whole frame. */
  readonly parts: DataView[];
  /** Slots with extra information, which follow the first. */
  readonly extras: DataView[];
}

/** See the file header. Throws ConfigError for a bad MAC address. */
export class XenNet implements SplitDevice {
  readonly kind = "vif";
  readonly id: number;
  readonly name: string;
  readonly frontendKeys: Readonly<Record<string, string>>;
  readonly backendKeys: Readonly<Record<string, string>>;
  readonly connectionKeys = { "hotplug-status": "connected" };
  readonly metrics = {
    rxFrames: 0,
    rxBytes: 0,
    rxDropped: 0,
    txFrames: 0,
    txBytes: 0,
    txDropped: 0,
  };

  readonly #backend: NetBackend;
  #connection: Connection | undefined;

  constructor(options: XenNetOptions) {
    const { name, index, mac, backend, sink } = options;
    if (mac.length !== MAC_BYTES || ((mac[0] ?? 1) & 1) !== 0) {
      throw new ConfigError(
        `MAC address of ${name} must be six bytes and unicast (first byte even)`,
      );
    }
    this.name = name;
    this.id = index;
    this.#backend = backend;
    const address = addressText(mac);
    this.frontendKeys = { handle: String(index), mac: address };
    this.backendKeys = {
      handle: String(index),
      mac: address,
      "feature-rx-copy": "1",
      "feature-rx-flip": "0",
      "feature-sg": "1",
      "feature-gso-tcpv4": "0",
      "feature-gso-tcpv6": "0",
      "feature-ipv6-csum-offload": "1",
      "feature-multicast-control": "1",
      "feature-split-event-channels": "1",
      "multi-queue-max-queues": "1",
    };
    backend.connect((frame) => sink.post({ kind: "net", device: name, data: frame }));
  }

  connect(link: FrontendLink): string | undefined {
    if (link.key("request-rx-copy") !== "1") return "request-rx-copy must be 1";
    if ((parseKey(link.key("multi-queue-num-queues")) ?? 1) !== 1) return "one queue was offered";
    const tx = mapRing(link, "tx-ring-ref", NETIF_TX_REQ_BYTES);
    const rx = mapRing(link, "rx-ring-ref", NETIF_RX_BYTES);
    if (tx === undefined || rx === undefined) return "a ring is missing or not granted";
    const shared = parseKey(link.key("event-channel"));
    const txPort = parseKey(link.key("event-channel-tx")) ?? shared;
    const rxPort = parseKey(link.key("event-channel-rx")) ?? shared;
    if (txPort === undefined || rxPort === undefined) return "event-channel is missing";
    const txEvent = link.bindPort(txPort, () => this.#transmit());
    // Every arriving frame looks for buffers by itself, so a kick on the receive ring says nothing.
    const rxEvent = rxPort === txPort ? txEvent : link.bindPort(rxPort, () => {});
    if (txEvent === undefined || rxEvent === undefined)
      return "an event channel is not ours to bind";
    const takesFragments = link.key("feature-sg") === "1";
    const groups = link.key("request-multicast-control") === "1" ? new Set<string>() : undefined;
    this.#connection = { tx, rx, txEvent, rxEvent, grants: link.grants, takesFragments, groups };
    return undefined;
  }

  disconnect(): void {
    this.#connection = undefined;
  }

  receive(input: HostInput): void {
    if (input.kind !== "net") return;
    const frame = Uint8Array.from(input.data);
    if (!isWanted(this.#connection?.groups, frame)) return;
    if (this.#connection !== undefined && deliver(this.#connection, frame)) {
      this.metrics.rxFrames++;
      this.metrics.rxBytes += frame.length;
    } else {
      this.metrics.rxDropped++;
    }
  }

  save(): Record<string, unknown> {
    const connection = this.#connection;
    return {
      version: STATE_VERSION,
      tx: connection?.tx.save(),
      rx: connection?.rx.save(),
      groups: [...(connection?.groups ?? [])],
    };
  }

  restore(state: Record<string, unknown>): void {
    checkVersion(state, this.name, STATE_VERSION);
    this.#connection?.tx.restore(state.tx as Record<string, unknown>);
    this.#connection?.rx.restore(state.rx as Record<string, unknown>);
    for (const group of state.groups as string[]) this.#connection?.groups?.add(group);
  }

  #transmit(): void {
    const connection = this.#connection;
    if (connection === undefined) return;
    const { tx, txEvent } = connection;
    for (let left = tx.waiting; left > 0; ) {
      const chain = takeChain(tx, left);
      // Front ends show a frame whole or not at all.
      if (chain === undefined) {
        tx.breakOff();
        break;
      }
      left -= chain.parts.length + chain.extras.length;
      const change = changeGroups(connection.groups, chain);
      if (change !== undefined) {
        respond(tx, chain, change ? NETIF_RSP_OKAY : NETIF_RSP_ERROR);
        continue;
      }
      const frame = assemble(connection, chain);
      const isSent = frame !== undefined && this.#send(frame);
      if (isSent) {
        this.metrics.txFrames++;
        this.metrics.txBytes += frame.length;
      } else this.metrics.txDropped++;
      respond(tx, chain, isSent ? NETIF_RSP_OKAY : NETIF_RSP_ERROR);
    }
    if (tx.isBroken) return;
    tx.wantKick();
    if (tx.publish()) txEvent.notify();
  }

  /** @returns false when the network fails, which loses the frame and nothing else. */
  #send(frame: Uint8Array): boolean {
    try {
      this.#backend.send(frame);
      return true;
    } catch (error) {
      if (error instanceof BugError) throw error;
      return false;
    }
  }
}

/** Takes the slots of one frame, `left` being what there is. @returns undefined when the frame goes on behind them. */
function takeChain(ring: BackRing, left: number): Chain | undefined {
  const first = ring.take();
  const parts = [first];
  const extras: DataView[] = [];
  let room = left - 1;
  let hasExtra = (first.getUint16(NETIF_TX_FLAGS, true) & NETTXF_EXTRA_INFO) !== 0;
  while (hasExtra) {
    if (room-- === 0) return undefined;
    const extra = ring.take();
    extras.push(extra);
    hasExtra = (extra.getUint8(NETIF_EXTRA_FLAGS) & NETIF_EXTRA_FLAG_MORE) !== 0;
  }
  while ((parts.at(-1)!.getUint16(NETIF_TX_FLAGS, true) & NETTXF_MORE_DATA) !== 0) {
    if (room-- === 0) return undefined;
    parts.push(ring.take());
  }
  return { parts, extras };
}

/** A chain that is no frame but joins a group or leaves it. @returns whether it could; undefined for a frame */
function changeGroups(groups: Set<string> | undefined, { extras }: Chain): boolean | undefined {
  const isChange = (extra: DataView) =>
    extra.getUint8(NETIF_EXTRA_TYPE) === NETIF_EXTRA_TYPE_MCAST_ADD ||
    extra.getUint8(NETIF_EXTRA_TYPE) === NETIF_EXTRA_TYPE_MCAST_DEL;
  const extra = extras.find(isChange);
  if (extra === undefined) return undefined;
  const at = extra.byteOffset + NETIF_EXTRA_MCAST_ADDRESS;
  const address = new Uint8Array(extra.buffer, at, MAC_BYTES);
  if (groups === undefined || (address[0]! & GROUP_BIT) === 0) return false;
  const group = addressText(address);
  if (extra.getUint8(NETIF_EXTRA_TYPE) === NETIF_EXTRA_TYPE_MCAST_DEL) return groups.delete(group);
  if (groups.size >= NETIF_MCAST_MAX) return false;
  groups.add(group);
  return true;
}

/** Frames for one card and for all are always wanted. */
function isWanted(groups: Set<string> | undefined, frame: Uint8Array): boolean {
  if (groups === undefined || ((frame[0] ?? 0) & GROUP_BIT) === 0) return true;
  const address = addressText(frame.subarray(0, MAC_BYTES));
  return address === BROADCAST || groups.has(address);
}

function addressText(address: Uint8Array): string {
  return Array.from(address, (byte) => byte.toString(16).padStart(2, "0")).join(":");
}

/** The frame that a chain describes, undefined for one that cannot be sent. */
function assemble({ grants }: Connection, { parts, extras }: Chain): Uint8Array | undefined {
  const first = parts[0]!;
  const total = first.getUint16(NETIF_TX_SIZE, true);
  if (total < FRAME_BYTES_MIN || parts.length > NETIF_NR_SLOTS_MIN) return undefined;
  // A hash of the frame is of no use here; everything else was not offered.
  if (extras.some((extra) => extra.getUint8(NETIF_EXTRA_TYPE) !== NETIF_EXTRA_TYPE_HASH)) {
    return undefined;
  }
  const sizes = parts.map((part) => part.getUint16(NETIF_TX_SIZE, true));
  sizes[0] = total - sizes.slice(1).reduce((sum, size) => sum + size, 0);
  if (sizes[0]! < 0) return undefined;
  const frame = new Uint8Array(total);
  let done = 0;
  for (const [i, part] of parts.entries()) {
    const size = sizes[i]!;
    const offset = part.getUint16(NETIF_TX_OFFSET, true);
    if (offset + size > PAGE_BYTES) return undefined;
    const page = grants.map(part.getUint32(NETIF_TX_GREF, true), false);
    if (page === undefined) return undefined;
    frame.set(page.read(offset, size), done);
    page.release();
    done += size;
  }
  const isBlank = (first.getUint16(NETIF_TX_FLAGS, true) & NETTXF_CSUM_BLANK) !== 0;
  return isBlank && !completeChecksum(frame) ? undefined : frame;
}

/** Answers the slots of a chain in the order in which they stand in the ring. */
function respond(ring: BackRing, { parts, extras }: Chain, status: number): void {
  const answer = (id: number, slotStatus: number) => {
    const bytes = new Uint8Array(NETIF_TX_RSP_BYTES);
    const view = new DataView(bytes.buffer);
    view.setUint16(NETIF_TX_RSP_ID, id, true);
    view.setInt16(NETIF_TX_RSP_STATUS, slotStatus, true);
    ring.respond(bytes);
  };
  const [first, ...rest] = parts as [DataView, ...DataView[]];
  answer(first.getUint16(NETIF_TX_ID, true), status);
  for (const _ of extras) answer(0, NETIF_RSP_NULL);
  for (const part of rest) answer(part.getUint16(NETIF_TX_ID, true), status);
}

/** Copies a frame into as many buffers as it needs. @returns false for a frame that must be dropped. */
function deliver({ rx, rxEvent, grants, takesFragments }: Connection, frame: Uint8Array): boolean {
  const needed = Math.ceil(frame.length / PAGE_BYTES);
  if (needed === 0) return false;
  if (needed > (takesFragments ? NETIF_NR_SLOTS_MIN : 1) || needed > rx.waiting) return false;
  const requests = Array.from({ length: needed }, () => rx.take());
  const pages = requests.map((request) =>
    grants.map(request.getUint32(NETIF_RX_REQ_GREF, true), true),
  );
  const isGranted = pages.every((page): page is GrantedPage => page !== undefined);
  for (const [i, request] of requests.entries()) {
    const piece = frame.subarray(i * PAGE_BYTES, (i + 1) * PAGE_BYTES);
    if (isGranted) pages[i]!.write(0, piece);
    pages[i]?.release();
    const response = new Uint8Array(NETIF_RX_BYTES);
    const view = new DataView(response.buffer);
    view.setUint16(NETIF_RX_RSP_ID, request.getUint16(NETIF_RX_REQ_ID, true), true);
    view.setUint16(NETIF_RX_RSP_FLAGS, isGranted && i + 1 < needed ? NETRXF_MORE_DATA : 0, true);
    view.setInt16(NETIF_RX_RSP_STATUS, isGranted ? piece.length : NETIF_RSP_ERROR, true);
    rx.respond(response);
  }
  if (rx.publish()) rxEvent.notify();
  return isGranted;
}

function mapRing(link: FrontendLink, key: string, slotBytes: number): BackRing | undefined {
  const ref = parseKey(link.key(key));
  const page = ref === undefined ? undefined : link.mapRing([ref]);
  return page && new BackRing(page, slotBytes);
}
