/**
 * The device's side of a split virtqueue: takes chains of descriptors, gives used elements back, decides about interrupts.
 *
 * The ring lives in guest memory and is hostile: every index, address and length is checked before use, every walk is bounded.
 * A ring that lies is broken: `onBroken` hears the reason once and no request comes out of it again. Nothing here throws.
 *
 * Source: VIRTIO 1.0, "Virtqueues"; the legacy layout from "Legacy Interfaces: A Note on Virtqueue Layout".
 */
import {
  VIRTIO_F_RING_EVENT_IDX,
  VIRTIO_F_RING_INDIRECT_DESC,
  VIRTQ_AVAIL_F_NO_INTERRUPT,
  VIRTQ_AVAIL_FLAGS,
  VIRTQ_AVAIL_IDX,
  VIRTQ_AVAIL_RING,
  VIRTQ_DESC_ADDR,
  VIRTQ_DESC_BYTES,
  VIRTQ_DESC_F_INDIRECT,
  VIRTQ_DESC_F_NEXT,
  VIRTQ_DESC_F_WRITE,
  VIRTQ_DESC_FLAGS,
  VIRTQ_DESC_LEN,
  VIRTQ_DESC_NEXT,
  VIRTQ_SIZE_MAX,
  VIRTQ_USED_ELEM_BYTES,
  VIRTQ_USED_F_NO_NOTIFY,
  VIRTQ_USED_FLAGS,
  VIRTQ_USED_IDX,
  VIRTQ_USED_RING,
} from "../../abi/virtio.ts";
import type { GuestMemory, Virtqueue, VirtqueueRequest } from "../base/ports.ts";
import { ChainRequest } from "./virtqueue-request.ts";

/** Ring features every device offers, because they are implemented here. */
export const RING_FEATURES: bigint =
  (1n << BigInt(VIRTIO_F_RING_INDIRECT_DESC)) | (1n << BigInt(VIRTIO_F_RING_EVENT_IDX));

/** Most bytes one request may describe: far above what drivers send, low enough that a liar cannot stall the Host. */
export const REQUEST_BYTES_MAX = 64 << 20;

/** Most bytes and ring revolutions between two looks at the interrupt flag; a ring refilling itself ends here. */
const BURST_BYTES_MAX = 1 << 30;
const BURST_REVOLUTIONS_MAX = 4;

/** Where the three parts of a ring are, guest-physical byte addresses, and how many descriptors it has. */
export interface RingAddresses {
  readonly size: number;
  readonly descriptors: number;
  readonly available: number;
  readonly used: number;
}

/** Everything that a snapshot keeps of a ring; the rest is in guest memory. */
export interface RingRecord extends RingAddresses {
  readonly lastAvailable: number;
  readonly usedIndex: number;
  readonly signalledIndex: number;
  readonly kicksWanted: boolean;
  readonly broken: string;
}

/** Bytes from the first byte of a legacy ring to its last, and its parts: descriptors, available, aligned used. */
export function legacyRing(
  base: number,
  size: number,
  align: number,
): { addresses: RingAddresses; bytes: number } {
  const available = base + size * VIRTQ_DESC_BYTES;
  const used = Math.ceil((available + VIRTQ_AVAIL_RING + 2 * size + 2) / align) * align;
  const end = used + VIRTQ_USED_RING + VIRTQ_USED_ELEM_BYTES * size + 2;
  return { addresses: { size, descriptors: base, available, used }, bytes: end - base };
}

/** One split ring. Check it with `broken` after construction: addresses outside memory break it at once. */
export class SplitVirtqueue implements Virtqueue {
  readonly index: number;
  readonly size: number;
  readonly addresses: RingAddresses;
  /** Why this ring gives no more requests; empty while it is well. */
  broken = "";

  #memory: GuestMemory;
  #onBroken: (reason: string) => void;
  #hasIndirect: boolean;
  #hasEventIndex: boolean;
  #lastAvailable = 0;
  #usedIndex = 0;
  #signalledIndex = 0;
  #kicksWanted = true;
  #burstRequests = 0;
  #burstBytes = 0;
  #descriptor = new Uint8Array(VIRTQ_DESC_BYTES);
  #fields = new DataView(this.#descriptor.buffer);

  /**
   * @param features the bits the driver accepted; indirect descriptors and event indexes depend on them
   * @param onBroken hears the reason, once
   */
  constructor(
    memory: GuestMemory,
    index: number,
    addresses: RingAddresses,
    features: bigint,
    onBroken: (reason: string) => void,
  ) {
    this.#memory = memory;
    this.index = index;
    this.size = addresses.size;
    this.addresses = addresses;
    this.#hasIndirect = ((features >> BigInt(VIRTIO_F_RING_INDIRECT_DESC)) & 1n) === 1n;
    this.#hasEventIndex = ((features >> BigInt(VIRTIO_F_RING_EVENT_IDX)) & 1n) === 1n;
    this.#onBroken = onBroken;
    const { size, descriptors, available, used } = addresses;
    if (size < 1 || size > VIRTQ_SIZE_MAX || (size & (size - 1)) !== 0) {
      this.fail(`size ${size} is not a power of two`);
    } else if (!memory.isRange(descriptors, size * VIRTQ_DESC_BYTES)) {
      this.fail(`descriptor table at ${hex(descriptors)} is outside memory`);
    } else if (!memory.isRange(available, VIRTQ_AVAIL_RING + 2 * size + 2)) {
      this.fail(`available ring at ${hex(available)} is outside memory`);
    } else if (!memory.isRange(used, VIRTQ_USED_RING + VIRTQ_USED_ELEM_BYTES * size + 2)) {
      this.fail(`used ring at ${hex(used)} is outside memory`);
    }
  }

  pop(): VirtqueueRequest | undefined {
    if (this.broken !== "") return undefined;
    const waiting = this.#waiting();
    if (waiting === 0) return undefined;
    if (waiting > this.size) {
      return this.#giveUp(`available index is ${waiting} ahead in a ring of ${this.size}`);
    }
    if (++this.#burstRequests > this.size * BURST_REVOLUTIONS_MAX) {
      return this.#giveUp("ring refills itself");
    }
    const slot = this.#lastAvailable & (this.size - 1);
    const { available } = this.addresses;
    const head = this.#memory.readU16(available + VIRTQ_AVAIL_RING + 2 * slot);
    if (head >= this.size) return this.#giveUp(`head ${head} is outside a ring of ${this.size}`);
    const request = new ChainRequest(this.#memory, head);
    if (!this.#collect(request)) return undefined;
    this.#burstBytes += request.readableBytes + request.writableBytes;
    if (this.#burstBytes > BURST_BYTES_MAX) return this.#giveUp("ring refills itself");
    this.#lastAvailable = (this.#lastAvailable + 1) & 0xffff;
    return request;
  }

  unpop(request: VirtqueueRequest): void {
    this.#lastAvailable = (this.#lastAvailable - 1) & 0xffff;
    this.#burstRequests--;
    this.#burstBytes -= request.readableBytes + request.writableBytes;
  }

  push(request: VirtqueueRequest, writtenBytes: number): void {
    if (this.broken !== "") return;
    const { used } = this.addresses;
    const slot = this.#usedIndex & (this.size - 1);
    const element = used + VIRTQ_USED_RING + slot * VIRTQ_USED_ELEM_BYTES;
    this.#memory.writeU32(element, request.head);
    this.#memory.writeU32(element + 4, writtenBytes);
    this.#usedIndex = (this.#usedIndex + 1) & 0xffff;
    this.#memory.writeU16(used + VIRTQ_USED_IDX, this.#usedIndex);
  }

  wantsInterrupt(): boolean {
    this.#burstRequests = 0;
    this.#burstBytes = 0;
    const pushed = (this.#usedIndex - this.#signalledIndex) & 0xffff;
    if (pushed === 0 || this.broken !== "") return false;
    this.#signalledIndex = this.#usedIndex;
    const { available } = this.addresses;
    if (this.#hasEventIndex) {
      const event = this.#memory.readU16(available + VIRTQ_AVAIL_RING + 2 * this.size);
      return ((this.#usedIndex - event - 1) & 0xffff) < pushed;
    }
    const flags = this.#memory.readU16(available + VIRTQ_AVAIL_FLAGS);
    return (flags & VIRTQ_AVAIL_F_NO_INTERRUPT) === 0;
  }

  wantKicks(wanted: boolean): void {
    if (this.broken !== "" || this.#kicksWanted === wanted) return;
    this.#kicksWanted = wanted;
    const { used } = this.addresses;
    if (this.#hasEventIndex) this.#publishAvailEvent();
    else this.#memory.writeU16(used + VIRTQ_USED_FLAGS, wanted ? 0 : VIRTQ_USED_F_NO_NOTIFY);
  }

  fail(reason: string): void {
    if (this.broken !== "") return;
    this.broken = `queue ${this.index}: ${reason}`;
    this.#onBroken(this.broken);
  }

  /** The ring's own state, plain. */
  save(): RingRecord {
    return {
      ...this.addresses,
      lastAvailable: this.#lastAvailable,
      usedIndex: this.#usedIndex,
      signalledIndex: this.#signalledIndex,
      kicksWanted: this.#kicksWanted,
      broken: this.broken,
    };
  }

  /** Continues where `record` was taken; guest memory must already be that of the snapshot. */
  restore(record: RingRecord): void {
    this.#lastAvailable = record.lastAvailable;
    this.#usedIndex = record.usedIndex;
    this.#signalledIndex = record.signalledIndex;
    this.#kicksWanted = record.kicksWanted;
    this.broken = record.broken;
  }

  /** Requests made available and not popped; on an empty ring the driver is told to kick again from here. */
  #waiting(): number {
    const at = this.addresses.available + VIRTQ_AVAIL_IDX;
    const waiting = (this.#memory.readU16(at) - this.#lastAvailable) & 0xffff;
    if (waiting !== 0 || !this.#hasEventIndex) return waiting;
    this.#publishAvailEvent();
    // Another vCPU may have added one between the read and the publication, and it saw no reason to kick.
    return (this.#memory.readU16(at) - this.#lastAvailable) & 0xffff;
  }

  /** With event indexes the driver kicks when it passes avail_event: one behind is as good as never. */
  #publishAvailEvent(): void {
    const event = this.#kicksWanted ? this.#lastAvailable : this.#lastAvailable - 1;
    const at = this.addresses.used + VIRTQ_USED_RING + VIRTQ_USED_ELEM_BYTES * this.size;
    this.#memory.writeU16(at, event & 0xffff);
  }

  /** Walks the chain of `request.head` into its segments; false when the ring broke. */
  #collect(request: ChainRequest): boolean {
    let table = this.addresses.descriptors;
    let entries = this.size;
    let entry = request.head;
    let isIndirect = false;
    for (let walked = 0; walked <= this.size; walked++) {
      this.#memory.readInto(table + entry * VIRTQ_DESC_BYTES, this.#descriptor);
      const gpa = this.#fields.getUint32(VIRTQ_DESC_ADDR, true);
      const gpaHigh = this.#fields.getUint32(VIRTQ_DESC_ADDR + 4, true);
      const length = this.#fields.getUint32(VIRTQ_DESC_LEN, true);
      const flags = this.#fields.getUint16(VIRTQ_DESC_FLAGS, true);
      if (gpaHigh !== 0 || !this.#memory.isRange(gpa, length)) {
        return this.#reject(`buffer at ${hex(gpa)} of ${length} bytes is outside memory`);
      }
      if ((flags & VIRTQ_DESC_F_INDIRECT) !== 0) {
        if (!this.#hasIndirect) return this.#reject("indirect descriptors were not agreed");
        if (isIndirect) return this.#reject("indirect table inside an indirect table");
        if ((flags & VIRTQ_DESC_F_NEXT) !== 0)
          return this.#reject("indirect descriptor has a next");
        if (length === 0 || length % VIRTQ_DESC_BYTES !== 0) {
          return this.#reject(`indirect table of ${length} bytes`);
        }
        isIndirect = true;
        table = gpa;
        entries = length / VIRTQ_DESC_BYTES;
        entry = 0;
        continue;
      }
      const isWritable = (flags & VIRTQ_DESC_F_WRITE) !== 0;
      if (!isWritable && request.writableBytes > 0) {
        return this.#reject("buffer to read stands behind a buffer to write");
      }
      request.append(gpa, length, isWritable);
      if (request.readableBytes + request.writableBytes > REQUEST_BYTES_MAX) {
        return this.#reject("request is too large");
      }
      if ((flags & VIRTQ_DESC_F_NEXT) === 0) return true;
      entry = this.#fields.getUint16(VIRTQ_DESC_NEXT, true);
      if (entry >= entries) return this.#reject(`next descriptor ${entry} is outside ${entries}`);
    }
    return this.#reject("chain loops or is longer than the ring");
  }

  #reject(reason: string): false {
    this.fail(reason);
    return false;
  }

  #giveUp(reason: string): undefined {
    this.fail(reason);
    return undefined;
  }
}

function hex(value: number): string {
  return `0x${value.toString(16)}`;
}
