/**
 * The back end of a Xen block device: a disk of 512-byte sectors over a BlockBackend, for front ends with the 32-bit ring.
 *
 * Requests complete in order, before the kick returns, so a barrier only has to make durable what came before it. All pages of a request
 * are mapped before any of it is done. Persistent grants are not offered: to map a page costs nothing here.
 * Source: Xen's public io/blkif.h.
 */
import {
  BLKIF_DISCARD_FLAG,
  BLKIF_DISCARD_SECURE,
  BLKIF_ID_BYTES,
  BLKIF_RSP_BYTES,
  BLKIF_SECTOR_BYTES,
  BLKIF_SECTORS_PER_PAGE,
  BLKIF_SEGMENTS_PER_INDIRECT_PAGE,
  VDISK_READONLY,
} from "../../abi/xen-io.ts";
import {
  BLKIF_DISCARD_NR_SECTORS,
  BLKIF_ENTRY_BYTES,
  BLKIF_INDIRECT_GREFS,
  BLKIF_INDIRECT_NR_SEGMENTS,
  BLKIF_INDIRECT_OP,
  BLKIF_MAX_SEGMENTS,
  BLKIF_OP_DISCARD,
  BLKIF_OP_FLUSH_DISKCACHE,
  BLKIF_OP_INDIRECT,
  BLKIF_OP_READ,
  BLKIF_OP_WRITE,
  BLKIF_OP_WRITE_BARRIER,
  BLKIF_REQ_ID,
  BLKIF_REQ_NR_SEGMENTS,
  BLKIF_REQ_OPERATION,
  BLKIF_REQ_SECTOR,
  BLKIF_REQ_SEGMENTS,
  BLKIF_RSP_EOPNOTSUPP,
  BLKIF_RSP_ERROR,
  BLKIF_RSP_ID,
  BLKIF_RSP_OKAY,
  BLKIF_RSP_OPERATION,
  BLKIF_RSP_STATUS,
  BLKIF_SEGMENT_BYTES,
  BLKIF_SEGMENT_FIRST_SECTOR,
  BLKIF_SEGMENT_GREF,
  BLKIF_SEGMENT_LAST_SECTOR,
} from "../../abi/xen-layout.ts";
import { assertHost, BugError } from "../base/errors.ts";
import type { BlockBackend, HostInput } from "../base/ports.ts";
import { checkVersion } from "./records.ts";
import type {
  EventPort,
  FrontendLink,
  GrantAccess,
  GrantedPage,
  SplitDevice,
} from "./xen-ports.ts";
import { BackRing, parseKey } from "./xen-ring.ts";
import { virtualDevice } from "./xen-vdev.ts";

const STATE_VERSION = 1;
const PROTOCOL = "x86_32-abi";
const RING_PAGE_ORDER_MAX = 4;
const INDIRECT_SEGMENTS_MAX = 256;

/** What a disk is made of. */
export interface XenBlockOptions {
  /** Unique in the guest, such as "block0". */
  readonly name: string;
  /** What the guest is to call it, such as "xvda": a name of which there is a number. */
  readonly vdev: string;
  readonly backend: BlockBackend;
}

/** Sectors `first` to `last` of one page. */
interface Segment {
  readonly ref: number;
  readonly first: number;
  readonly last: number;
}

/** See the file header. */
export class XenBlock implements SplitDevice {
  readonly kind = "vbd";
  readonly id: number;
  readonly name: string;
  readonly frontendKeys: Readonly<Record<string, string>>;
  readonly backendKeys: Readonly<Record<string, string>>;
  readonly connectionKeys: Readonly<Record<string, string>>;
  readonly metrics = {
    reads: 0,
    readBytes: 0,
    writes: 0,
    writeBytes: 0,
    flushes: 0,
    discards: 0,
    errors: 0,
  };

  readonly #backend: BlockBackend;
  #ring: BackRing | undefined;
  #event: EventPort | undefined;
  #grants: GrantAccess | undefined;

  constructor(options: XenBlockOptions) {
    const { name, vdev, backend } = options;
    this.name = name;
    const id = virtualDevice(vdev);
    assertHost(id !== undefined, "a disk has a name that stands for a number");
    this.id = id;
    this.#backend = backend;
    this.frontendKeys = {
      "virtual-device": String(this.id),
      "device-type": "disk",
    };
    this.backendKeys = {
      dev: vdev,
      mode: backend.readOnly ? "r" : "w",
      removable: "0",
      "device-type": "disk",
      "multi-queue-max-queues": "1",
      "max-ring-page-order": String(RING_PAGE_ORDER_MAX),
      "feature-flush-cache": "1",
      "feature-barrier": "1",
      "feature-discard": backend.discard === undefined ? "0" : "1",
      "discard-granularity": String(BLKIF_SECTOR_BYTES),
      "discard-alignment": "0",
      "discard-secure": "0",
      "feature-max-indirect-segments": String(INDIRECT_SEGMENTS_MAX),
    };
    this.connectionKeys = {
      "hotplug-status": "connected",
      sectors: String(backend.sectors),
      "sector-size": String(BLKIF_SECTOR_BYTES),
      "physical-sector-size": String(BLKIF_SECTOR_BYTES),
      info: String(backend.readOnly ? VDISK_READONLY : 0),
    };
  }

  connect(link: FrontendLink): string | undefined {
    const protocol = link.key("protocol") ?? PROTOCOL;
    if (protocol !== PROTOCOL) return `protocol ${protocol} is not ${PROTOCOL}`;
    const port = parseKey(link.key("event-channel"));
    if (port === undefined) return "event-channel is missing";
    const refs = ringRefs(link);
    if (refs === undefined) return "ring-ref is missing, or the ring has too many pages";
    const page = link.mapRing(refs);
    if (page === undefined) return "the ring is not granted";
    const event = link.bindPort(port, () => this.#serve());
    if (event === undefined) return `event channel ${port} is not ours to bind`;
    this.#ring = new BackRing(page, BLKIF_ENTRY_BYTES);
    this.#event = event;
    this.#grants = link.grants;
    return undefined;
  }

  disconnect(): void {
    this.#ring = undefined;
    this.#event = undefined;
    this.#grants = undefined;
  }

  receive(_input: HostInput): void {}

  save(): Record<string, unknown> {
    return { version: STATE_VERSION, ring: this.#ring?.save() };
  }

  restore(state: Record<string, unknown>): void {
    checkVersion(state, this.name, STATE_VERSION);
    this.#ring?.restore(state.ring as Record<string, unknown>);
  }

  #serve(): void {
    const ring = this.#ring;
    if (ring === undefined) return;
    for (let left = ring.waiting; left > 0; left--) {
      const request = ring.take();
      const status = this.#execute(request);
      if (status !== BLKIF_RSP_OKAY) this.metrics.errors++;
      const response = new Uint8Array(BLKIF_RSP_BYTES);
      const id = request.byteOffset + BLKIF_REQ_ID;
      response.set(new Uint8Array(request.buffer, id, BLKIF_ID_BYTES), BLKIF_RSP_ID);
      const operation = request.getUint8(BLKIF_REQ_OPERATION);
      // Linux does not know its indirect requests again but by what they did.
      const isIndirect = operation === BLKIF_OP_INDIRECT;
      response[BLKIF_RSP_OPERATION] = isIndirect ? request.getUint8(BLKIF_INDIRECT_OP) : operation;
      new DataView(response.buffer).setInt16(BLKIF_RSP_STATUS, status, true);
      ring.respond(response);
    }
    if (ring.isBroken) return;
    ring.wantKick();
    if (ring.publish()) this.#event?.notify();
  }

  /** Does what one request asks and returns its status. */
  #execute(request: DataView): number {
    const operation = request.getUint8(BLKIF_REQ_OPERATION);
    const sector = readU64(request, BLKIF_REQ_SECTOR);
    try {
      switch (operation) {
        case BLKIF_OP_READ:
        case BLKIF_OP_WRITE:
          return this.#transfer(operation, sector, directSegments(request));
        case BLKIF_OP_WRITE_BARRIER:
        case BLKIF_OP_FLUSH_DISKCACHE:
          return this.#flush(sector, request, operation === BLKIF_OP_WRITE_BARRIER);
        case BLKIF_OP_DISCARD:
          return this.#discard(sector, request);
        case BLKIF_OP_INDIRECT:
          return this.#transfer(
            request.getUint8(BLKIF_INDIRECT_OP),
            sector,
            this.#indirectSegments(request),
          );
        default:
          return BLKIF_RSP_EOPNOTSUPP;
      }
    } catch (error) {
      if (error instanceof BugError) throw error;
      // Whatever went wrong with the medium, the guest sees what a driver can handle.
      return BLKIF_RSP_ERROR;
    }
  }

  /** Reads or writes; undefined segments are malformed ones. */
  #transfer(operation: number, sector: number, segments: Segment[] | undefined): number {
    const isWrite = operation === BLKIF_OP_WRITE;
    if (!isWrite && operation !== BLKIF_OP_READ) return BLKIF_RSP_ERROR;
    if (segments === undefined || segments.length === 0) return BLKIF_RSP_ERROR;
    if (isWrite && this.#backend.readOnly) return BLKIF_RSP_ERROR;
    const sectors = segments.reduce((sum, { first, last }) => sum + last - first + 1, 0);
    if (!this.#isOnDisk(sector, sectors)) return BLKIF_RSP_ERROR;
    // A disk's read writes the page, and the other way round.
    const pages = this.#mapAll(segments, !isWrite);
    if (pages === undefined) return BLKIF_RSP_ERROR;
    try {
      if (isWrite) this.#writeSectors(sector, sectors, segments, pages);
      else this.#readSectors(sector, sectors, segments, pages);
    } finally {
      for (const page of pages) page.release();
    }
    return BLKIF_RSP_OKAY;
  }

  #readSectors(sector: number, sectors: number, segments: Segment[], pages: GrantedPage[]): void {
    const data = new Uint8Array(sectors * BLKIF_SECTOR_BYTES);
    this.#backend.read(sector, data);
    let done = 0;
    for (const [i, { first, last }] of segments.entries()) {
      const length = (last - first + 1) * BLKIF_SECTOR_BYTES;
      pages[i]!.write(first * BLKIF_SECTOR_BYTES, data.subarray(done, done + length));
      done += length;
    }
    this.metrics.reads++;
    this.metrics.readBytes += done;
  }

  #writeSectors(sector: number, sectors: number, segments: Segment[], pages: GrantedPage[]): void {
    const data = new Uint8Array(sectors * BLKIF_SECTOR_BYTES);
    let done = 0;
    for (const [i, { first, last }] of segments.entries()) {
      const length = (last - first + 1) * BLKIF_SECTOR_BYTES;
      data.set(pages[i]!.read(first * BLKIF_SECTOR_BYTES, length), done);
      done += length;
    }
    this.#backend.write(sector, data);
    this.metrics.writes++;
    this.metrics.writeBytes += done;
  }

  /** Makes durable what came before, writes what the request brings along, and for a barrier makes that durable, too. */
  #flush(sector: number, request: DataView, isBarrier: boolean): number {
    this.metrics.flushes++;
    this.#backend.flush();
    if (request.getUint8(BLKIF_REQ_NR_SEGMENTS) === 0) return BLKIF_RSP_OKAY;
    const status = this.#transfer(BLKIF_OP_WRITE, sector, directSegments(request));
    if (status === BLKIF_RSP_OKAY && isBarrier) this.#backend.flush();
    return status;
  }

  #discard(sector: number, request: DataView): number {
    const isSecure = (request.getUint8(BLKIF_DISCARD_FLAG) & BLKIF_DISCARD_SECURE) !== 0;
    if (isSecure || this.#backend.discard === undefined) return BLKIF_RSP_EOPNOTSUPP;
    const count = readU64(request, BLKIF_DISCARD_NR_SECTORS);
    if (this.#backend.readOnly || !this.#isOnDisk(sector, count)) return BLKIF_RSP_ERROR;
    this.metrics.discards++;
    this.#backend.discard(sector, count);
    return BLKIF_RSP_OKAY;
  }

  #indirectSegments(request: DataView): Segment[] | undefined {
    const count = request.getUint16(BLKIF_INDIRECT_NR_SEGMENTS, true);
    if (count > INDIRECT_SEGMENTS_MAX) return undefined;
    const segments: Segment[] = [];
    for (let from = 0; from < count; from += BLKIF_SEGMENTS_PER_INDIRECT_PAGE) {
      const at = BLKIF_INDIRECT_GREFS + 4 * (from / BLKIF_SEGMENTS_PER_INDIRECT_PAGE);
      const page = this.#grants?.map(request.getUint32(at, true), false);
      if (page === undefined) return undefined;
      const here = Math.min(count - from, BLKIF_SEGMENTS_PER_INDIRECT_PAGE);
      const bytes = page.read(0, here * BLKIF_SEGMENT_BYTES);
      page.release();
      const found = parseSegments(new DataView(bytes.buffer, bytes.byteOffset), 0, here);
      if (found === undefined) return undefined;
      segments.push(...found);
    }
    return segments;
  }

  /** The pages of all segments, undefined when the guest does not grant one of them. */
  #mapAll(segments: readonly Segment[], isWritable: boolean): GrantedPage[] | undefined {
    const pages: GrantedPage[] = [];
    for (const { ref } of segments) {
      const page = this.#grants?.map(ref, isWritable);
      if (page === undefined) {
        for (const mapped of pages) mapped.release();
        return undefined;
      }
      pages.push(page);
    }
    return pages;
  }

  /** Sector numbers past 2^53 lose bits when read, but stay far past every disk. */
  #isOnDisk(sector: number, count: number): boolean {
    return sector + count <= this.#backend.sectors;
  }
}

/** References of the ring's pages: one key, or one per page when the front end chose an order. */
function ringRefs(link: FrontendLink): number[] | undefined {
  const orderKey = link.key("ring-page-order");
  const order = orderKey === undefined ? 0 : parseKey(orderKey);
  if (order === undefined || order > RING_PAGE_ORDER_MAX) return undefined;
  const keys =
    orderKey === undefined
      ? ["ring-ref"]
      : Array.from({ length: 2 ** order }, (_, page) => `ring-ref${page}`);
  const refs = keys.map((key) => parseKey(link.key(key)));
  return refs.every((ref) => ref !== undefined) ? refs : undefined;
}

function directSegments(request: DataView): Segment[] | undefined {
  const count = request.getUint8(BLKIF_REQ_NR_SEGMENTS);
  if (count > BLKIF_MAX_SEGMENTS) return undefined;
  return parseSegments(request, BLKIF_REQ_SEGMENTS, count);
}

function parseSegments(view: DataView, offset: number, count: number): Segment[] | undefined {
  const segments: Segment[] = [];
  for (let at = offset; segments.length < count; at += BLKIF_SEGMENT_BYTES) {
    const ref = view.getUint32(at + BLKIF_SEGMENT_GREF, true);
    const first = view.getUint8(at + BLKIF_SEGMENT_FIRST_SECTOR);
    const last = view.getUint8(at + BLKIF_SEGMENT_LAST_SECTOR);
    if (first > last || last >= BLKIF_SECTORS_PER_PAGE) return undefined;
    segments.push({ ref, first, last });
  }
  return segments;
}

function readU64(view: DataView, offset: number): number {
  return view.getUint32(offset, true) + view.getUint32(offset + 4, true) * 2 ** 32;
}
