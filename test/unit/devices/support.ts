/** A guest without a guest: plain memory, and the driver's half of a split ring. */
import {
  VIRTIO_F_RING_EVENT_IDX,
  VIRTIO_F_RING_INDIRECT_DESC,
  VIRTQ_DESC_F_NEXT,
  VIRTQ_DESC_F_WRITE,
} from "../../../abi/virtio.ts";
import type {
  DeviceIrq,
  Entropy,
  GuestMemory,
  IrqPort,
  VirtioDevice,
} from "../../../host-ts/base/ports.ts";
import { legacyRing, SplitVirtqueue } from "../../../host-ts/devices/virtqueue.ts";

export const INDIRECT = 1n << BigInt(VIRTIO_F_RING_INDIRECT_DESC);
export const EVENT_IDX = 1n << BigInt(VIRTIO_F_RING_EVENT_IDX);

/** GuestMemory over one array; bad accesses are recorded. */
export class FakeMemory implements GuestMemory {
  readonly bytes: Uint8Array;
  readonly ramBytes: number;
  readonly limitBytes: number;
  readonly badAccesses: string[] = [];
  #view: DataView;

  constructor(ramBytes: number, deviceBytes = 0) {
    this.ramBytes = ramBytes;
    this.limitBytes = ramBytes + deviceBytes;
    this.bytes = new Uint8Array(this.limitBytes);
    this.#view = new DataView(this.bytes.buffer);
  }

  isRange(gpa: number, length: number): boolean {
    return length === 0 || (gpa >= 0 && gpa + length <= this.limitBytes);
  }
  read(gpa: number, length: number): Uint8Array {
    if (!this.#check("read", gpa, length)) return new Uint8Array(length);
    return this.bytes.slice(gpa, gpa + length);
  }
  readInto(gpa: number, target: Uint8Array): void {
    target.set(this.read(gpa, target.length));
  }
  write(gpa: number, bytes: Uint8Array): void {
    if (this.#check("write", gpa, bytes.length)) this.bytes.set(bytes, gpa);
  }
  fill(gpa: number, length: number, byte: number): void {
    if (this.#check("write", gpa, length)) this.bytes.fill(byte, gpa, gpa + length);
  }
  readU8(gpa: number): number {
    return this.#check("read", gpa, 1) ? this.#view.getUint8(gpa) : 0;
  }
  readU16(gpa: number): number {
    return this.#check("read", gpa, 2) ? this.#view.getUint16(gpa, true) : 0;
  }
  readU32(gpa: number): number {
    return this.#check("read", gpa, 4) ? this.#view.getUint32(gpa, true) : 0;
  }
  readU64(gpa: number): bigint {
    return this.#check("read", gpa, 8) ? this.#view.getBigUint64(gpa, true) : 0n;
  }
  writeU8(gpa: number, value: number): void {
    if (this.#check("write", gpa, 1)) this.#view.setUint8(gpa, value);
  }
  writeU16(gpa: number, value: number): void {
    if (this.#check("write", gpa, 2)) this.#view.setUint16(gpa, value, true);
  }
  writeU32(gpa: number, value: number): void {
    if (this.#check("write", gpa, 4)) this.#view.setUint32(gpa, value, true);
  }
  writeU64(gpa: number, value: bigint): void {
    if (this.#check("write", gpa, 8)) this.#view.setBigUint64(gpa, value, true);
  }
  readCString(gpa: number, max: number): string {
    const bytes = this.read(gpa, Math.min(max, this.limitBytes - gpa));
    const end = bytes.indexOf(0);
    return String.fromCharCode(...(end < 0 ? bytes : bytes.subarray(0, end)));
  }

  #check(kind: string, gpa: number, length: number): boolean {
    if (this.isRange(gpa, length)) return true;
    this.badAccesses.push(`${kind} ${gpa.toString(16)} ${length}`);
    return false;
  }
}

export interface Buffer {
  readonly gpa: number;
  readonly length: number;
  readonly write?: boolean;
}

/** The driver's half of one ring: adds chains, takes used elements, sets flags. */
export class RingDriver {
  readonly memory: GuestMemory;
  readonly base: number;
  readonly size: number;
  readonly parts: ReturnType<typeof legacyRing>["addresses"];
  #nextDescriptor = 0;
  #available = 0;
  #used = 0;

  constructor(memory: GuestMemory, base: number, size: number) {
    this.memory = memory;
    this.base = base;
    this.size = size;
    this.parts = legacyRing(base, size, 4096).addresses;
  }

  setDescriptor(index: number, gpa: number, length: number, flags: number, next = 0): void {
    const at = this.parts.descriptors + 16 * index;
    this.memory.writeU64(at, BigInt(gpa));
    this.memory.writeU32(at + 8, length);
    this.memory.writeU16(at + 12, flags);
    this.memory.writeU16(at + 14, next);
  }

  offer(head: number): void {
    this.memory.writeU16(this.parts.available + 4 + 2 * (this.#available % this.size), head);
    this.#available = (this.#available + 1) & 0xffff;
    this.memory.writeU16(this.parts.available + 2, this.#available);
  }

  /** Adds a chain of direct descriptors; returns its head. */
  add(buffers: readonly Buffer[]): number {
    const indexes = buffers.map(() => this.#nextDescriptor++ % this.size);
    buffers.forEach((buffer, i) => {
      const next = indexes[i + 1];
      const flags =
        (buffer.write === true ? VIRTQ_DESC_F_WRITE : 0) |
        (next === undefined ? 0 : VIRTQ_DESC_F_NEXT);
      this.setDescriptor(indexes[i]!, buffer.gpa, buffer.length, flags, next);
    });
    this.offer(indexes[0]!);
    return indexes[0]!;
  }

  /** Used elements since the last call, as [head, length]. */
  takeUsed(): [number, number][] {
    const index = this.memory.readU16(this.parts.used + 2);
    const elements: [number, number][] = [];
    for (; this.#used !== index; this.#used = (this.#used + 1) & 0xffff) {
      const at = this.parts.used + 4 + 8 * (this.#used % this.size);
      elements.push([this.memory.readU32(at), this.memory.readU32(at + 4)]);
    }
    return elements;
  }

  set availFlags(flags: number) {
    this.memory.writeU16(this.parts.available, flags);
  }
  set usedEvent(index: number) {
    this.memory.writeU16(this.parts.available + 4 + 2 * this.size, index);
  }
  get usedFlags(): number {
    return this.memory.readU16(this.parts.used);
  }
  get availEvent(): number {
    return this.memory.readU16(this.parts.used + 4 + 8 * this.size);
  }
}

/** An IRQ line that counts. */
export class FakeLine implements IrqPort {
  raised = 0;
  level = false;
  raise(): void {
    this.raised++;
    this.level = true;
  }
  lower(): void {
    this.level = false;
  }
}

/** A device activated without a bus. */
export interface Rig {
  readonly memory: FakeMemory;
  readonly drivers: RingDriver[];
  readonly queues: SplitVirtqueue[];
  readonly broken: string[];
  /** Interrupts per queue. */
  readonly interrupts: number[];
  configChanges: number;
  /** First free guest-physical address for buffers. */
  readonly buffers: number;
}

/** Puts a device on rings of 16 in a megabyte of memory. */
export function rig(device: VirtioDevice, features = device.features & ~EVENT_IDX, size = 16): Rig {
  const memory = new FakeMemory(1 << 20);
  const drivers = device.queueSizes.map((_, i) => new RingDriver(memory, 0x4000 * (i + 1), size));
  const broken: string[] = [];
  const queues = drivers.map(
    (driver, i) => new SplitVirtqueue(memory, i, driver.parts, features, (r) => broken.push(r)),
  );
  const result: Rig = {
    memory,
    drivers,
    queues,
    broken,
    interrupts: queues.map(() => 0),
    configChanges: 0,
    buffers: 0x20000,
  };
  const raise = (queue: number) => {
    if (queues[queue]?.wantsInterrupt()) result.interrupts[queue]!++;
  };
  const irq: DeviceIrq = {
    raise: (queue) =>
      queue === undefined ? queues.forEach((_, i) => void raise(i)) : raise(queue),
    configChanged: () => {
      result.configChanges++;
    },
  };
  device.activate(features, queues, irq);
  return result;
}

/** Latin-1 bytes of a text. */
export function bytesOf(text: string): Uint8Array {
  return Uint8Array.from(text, (c) => c.charCodeAt(0));
}

/** Latin-1 text of bytes. */
export function textOf(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes);
}

/** Entropy that is the same byte for ever. */
export function fixedEntropy(byte: number): Entropy {
  return { fill: (bytes) => bytes.fill(byte), save: () => ({}), restore: () => {} };
}
