/** Front ends without a guest: memory whose pages are granted one by one, event channels, and drivers of the rings. */
import {
  BLKIF_ENTRY_BYTES,
  BLKIF_REQ_ID,
  BLKIF_REQ_NR_SEGMENTS,
  BLKIF_REQ_SECTOR,
  BLKIF_REQ_SEGMENTS,
  BLKIF_RSP_STATUS,
  SRING_ENTRIES,
  SRING_REQ_PROD,
  SRING_RSP_EVENT,
  SRING_RSP_PROD,
  XS_READ,
  XS_WRITE,
} from "../../../abi/xen-layout.ts";
import type { SplitDevice } from "../../../host-ts/devices/xen-ports.ts";
import { MemoryPage } from "../../../host-ts/devices/xen-ports.ts";
import { GrantedPages, type GrantUses } from "../../../host-ts/xen/granted-pages.ts";
import { type HostEvents, Xenbus } from "../../../host-ts/xen/xenbus.ts";
import { populateDomain } from "../../../host-ts/xen/xenstore/domain.ts";
import { Xenstore } from "../../../host-ts/xen/xenstore/xenstore.ts";
import { FakeMemory } from "../devices/support.ts";
import { lonePage, PAGE, StoreGuest } from "./xenstore-guest.ts";

/** A grant table of 64 references; reference n is page n unless said otherwise. Counts uses and notes what was out of bounds. */
export class FakeGrants implements GrantUses {
  readonly granted = new Map<number, { page: number; isReadOnly: boolean }>();
  readonly readers = new Map<number, number>();
  readonly writers = new Map<number, number>();

  grant(ref: number, isReadOnly = false, page = ref): void {
    this.granted.set(ref, { page, isReadOnly });
  }

  use(ref: number, isWrite: boolean): { status: number; gpa: number } {
    const entry = this.granted.get(ref);
    if (entry === undefined) return { status: -3, gpa: 0 };
    if (isWrite && entry.isReadOnly) return { status: -8, gpa: 0 };
    const uses = isWrite ? this.writers : this.readers;
    uses.set(ref, (uses.get(ref) ?? 0) + 1);
    return { status: 0, gpa: entry.page * PAGE };
  }

  release(ref: number, isWrite: boolean): void {
    const uses = isWrite ? this.writers : this.readers;
    const left = (uses.get(ref) ?? 0) - 1;
    if (left < 0) throw new Error(`reference ${ref} released once too often`);
    if (left === 0) uses.delete(ref);
    else uses.set(ref, left);
  }

  /** References in use. */
  get inUse(): number[] {
    return [...new Set([...this.readers.keys(), ...this.writers.keys()])].sort((a, b) => a - b);
  }

  canAccess(page: number, isWrite: boolean): boolean {
    const isIn = (uses: Map<number, number>) =>
      [...uses.keys()].some((ref) => this.granted.get(ref)?.page === page);
    return isIn(this.writers) || (!isWrite && isIn(this.readers));
  }
}

/** Memory in which the Host may only touch what is granted and in use. */
export class GuardedMemory extends FakeMemory {
  readonly grants: FakeGrants;
  readonly trespasses: string[] = [];
  /** The guest's own accesses are not watched. */
  readonly guest: FakeMemory;

  constructor(pages: number, grants: FakeGrants) {
    super(pages * PAGE);
    this.grants = grants;
    const bytes = this.bytes;
    this.guest = new (class extends FakeMemory {
      override read(gpa: number, length: number): Uint8Array {
        return bytes.slice(gpa, gpa + length);
      }
      override write(gpa: number, data: Uint8Array): void {
        bytes.set(data, gpa);
      }
      override readU32(gpa: number): number {
        return new DataView(bytes.buffer).getUint32(gpa, true);
      }
      override writeU32(gpa: number, value: number): void {
        new DataView(bytes.buffer).setUint32(gpa, value, true);
      }
    })(0);
  }

  override read(gpa: number, length: number): Uint8Array {
    this.#watch("read", gpa, length);
    return super.read(gpa, length);
  }

  override write(gpa: number, bytes: Uint8Array): void {
    this.#watch("write", gpa, bytes.length);
    super.write(gpa, bytes);
  }

  override readU32(gpa: number): number {
    this.#watch("read", gpa, 4);
    return super.readU32(gpa);
  }

  override writeU32(gpa: number, value: number): void {
    this.#watch("write", gpa, 4);
    super.writeU32(gpa, value);
  }

  #watch(kind: string, gpa: number, length: number): void {
    const page = Math.floor(gpa / PAGE);
    const isInside = length === 0 || Math.floor((gpa + length - 1) / PAGE) === page;
    if (!isInside || !this.grants.canAccess(page, kind === "write")) {
      this.trespasses.push(`${kind} of ${length} at ${gpa.toString(16)}`);
    }
  }
}

/** Event channels: ports are the guest's until the Host binds them. */
export class FakeEvents implements HostEvents {
  readonly handlers = new Map<number, () => void>();
  readonly unbound = new Set<number>();
  /** Ports that the Host raised, in order. */
  raised: number[] = [];

  bindToHost(port: number, handler: () => void): boolean {
    if (!this.unbound.delete(port)) return false;
    this.handlers.set(port, handler);
    return true;
  }

  unbindFromHost(port: number, handler: () => void): void {
    if (!this.isHeldByHost(port, handler)) return;
    this.handlers.delete(port);
    this.unbound.add(port);
  }

  isHeldByHost(port: number, handler: () => void): boolean {
    return this.handlers.get(port) === handler;
  }

  attachHandler(port: number, handler: () => void): void {
    this.handlers.set(port, handler);
  }

  notifyFromHost(port: number, handler: () => void): void {
    if (this.isHeldByHost(port, handler)) this.raised.push(port);
  }

  /** The guest sends. */
  kick(port: number): void {
    this.handlers.get(port)?.();
  }
}

/** A domain with one device, and the guest's ways to its front end. */
export class FakeDomain {
  readonly store = new Xenstore();
  readonly grants = new FakeGrants();
  readonly events = new FakeEvents();
  readonly memory = new GuardedMemory(64, this.grants);
  readonly guest: StoreGuest;
  readonly bus: Xenbus;
  readonly front: string;
  readonly back: string;

  constructor(device: SplitDevice) {
    populateDomain(this.store, {
      domid: 1,
      name: "guest",
      memoryKib: 256,
      vcpus: 1,
      storeMfn: 0x100,
      storePort: 1,
      consoleMfn: 0x101,
      consolePort: 2,
    });
    this.guest = new StoreGuest(this.store, 1, lonePage());
    const grants = new GrantedPages(this.memory, this.grants);
    this.bus = new Xenbus({ store: this.store, domid: 1, grants, events: this.events });
    this.bus.add(device);
    this.front = `device/${device.kind}/${device.id}`;
    this.back = this.read("backend");
  }

  /** A key of the front end's directory, as the guest reads it. */
  read(key: string): string {
    return this.guest.ask(XS_READ, `${this.front}/${key}\0`);
  }

  /** A key of the back end's directory, as the guest reads it. */
  backend(key: string): string {
    return this.guest.ask(XS_READ, `${this.back}/${key}\0`);
  }

  write(keys: Record<string, string | number>): void {
    for (const [key, value] of Object.entries(keys)) {
      const answer = this.guest.ask(XS_WRITE, `${this.front}/${key}\0${value}`);
      if (answer !== "OK\0") throw new Error(`${key}: ${answer}`);
    }
  }

  /** A page of the guest's, by its number. */
  page(number: number): MemoryPage {
    return new MemoryPage(this.memory.guest, number * PAGE);
  }
}

/** The front end's side of a ring: the guest's indices. */
export class FrontRing {
  readonly size: number;
  produced = 0;
  consumed = 0;
  readonly #pages: readonly MemoryPage[];
  readonly #slotBytes: number;

  constructor(pages: readonly MemoryPage[], slotBytes: number) {
    this.#pages = pages;
    this.#slotBytes = slotBytes;
    this.size = 2 ** Math.floor(Math.log2((pages.length * PAGE - SRING_ENTRIES) / slotBytes));
    for (const page of pages) page.write(0, new Uint8Array(PAGE));
    this.first.writeU32(4, 1);
    this.first.writeU32(SRING_RSP_EVENT, 1);
  }

  get first(): MemoryPage {
    return this.#pages[0]!;
  }

  /** Writes a request, to be shown by `push`. */
  put(request: Uint8Array): void {
    this.#each(
      this.produced++,
      (page, at, i) => page.write(at, request.subarray(i, i + 1)),
      request.length,
    );
  }

  push(): void {
    this.first.writeU32(SRING_REQ_PROD, this.produced);
  }

  /** Takes all responses, and asks to be told of the next. */
  take(responseBytes: number): DataView[] {
    const responses: DataView[] = [];
    const end = this.first.readU32(SRING_RSP_PROD);
    while (this.consumed !== end) {
      const bytes = new Uint8Array(responseBytes);
      this.#each(this.consumed++, (page, at, i) => bytes.set(page.read(at, 1), i), responseBytes);
      responses.push(new DataView(bytes.buffer));
    }
    this.first.writeU32(SRING_RSP_EVENT, this.consumed + 1);
    return responses;
  }

  #each(
    index: number,
    byte: (page: MemoryPage, at: number, i: number) => void,
    length: number,
  ): void {
    const start = SRING_ENTRIES + (index % this.size) * this.#slotBytes;
    for (let i = 0; i < length; i++) {
      byte(this.#pages[Math.floor((start + i) / PAGE)]!, (start + i) % PAGE, i);
    }
  }
}

/** [reference, first sector, last sector]. */
export type BlockSegment = [number, number, number];

/** Bytes of a block request with its segments in it. */
export function blockRequest(
  operation: number,
  id: number,
  sector: number,
  segments: readonly BlockSegment[] = [],
): Uint8Array {
  const bytes = new Uint8Array(BLKIF_ENTRY_BYTES);
  const view = new DataView(bytes.buffer);
  bytes[0] = operation;
  bytes[BLKIF_REQ_NR_SEGMENTS] = segments.length;
  view.setBigUint64(BLKIF_REQ_ID, BigInt(id), true);
  view.setBigUint64(BLKIF_REQ_SECTOR, BigInt(sector), true);
  bytes.set(segmentBytes(segments.slice(0, 11)), BLKIF_REQ_SEGMENTS);
  return bytes;
}

/** Segments as they stand in a request or in a page of an indirect one. */
export function segmentBytes(segments: readonly BlockSegment[]): Uint8Array {
  const bytes = new Uint8Array(8 * segments.length);
  for (const [i, [ref, first, last]] of segments.entries()) {
    new DataView(bytes.buffer).setUint32(8 * i, ref, true);
    bytes[8 * i + 4] = first;
    bytes[8 * i + 5] = last;
  }
  return bytes;
}

/** A block response's identifier and status. */
export function blockResponse(view: DataView): [id: number, status: number] {
  return [Number(view.getBigUint64(0, true)), view.getInt16(BLKIF_RSP_STATUS, true)];
}
