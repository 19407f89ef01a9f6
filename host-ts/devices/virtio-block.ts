/**
 * virtio-block: a disk of 512-byte sectors over a BlockBackend.
 *
 * Requests complete in order, before the kick returns; what the guest asks wrongly is answered IOERR or UNSUPP.
 * Source: VIRTIO 1.0, "Block Device".
 */
import {
  SECTOR_BYTES,
  VIRTIO_BLK_CONFIG_BLK_SIZE,
  VIRTIO_BLK_CONFIG_BYTES,
  VIRTIO_BLK_CONFIG_CAPACITY,
  VIRTIO_BLK_CONFIG_SEG_MAX,
  VIRTIO_BLK_F_BLK_SIZE,
  VIRTIO_BLK_F_FLUSH,
  VIRTIO_BLK_F_RO,
  VIRTIO_BLK_F_SEG_MAX,
  VIRTIO_BLK_HEADER_BYTES,
  VIRTIO_BLK_HEADER_SECTOR,
  VIRTIO_BLK_HEADER_TYPE,
  VIRTIO_BLK_ID_BYTES,
  VIRTIO_BLK_S_IOERR,
  VIRTIO_BLK_S_OK,
  VIRTIO_BLK_S_UNSUPP,
  VIRTIO_BLK_T_FLUSH,
  VIRTIO_BLK_T_GET_ID,
  VIRTIO_BLK_T_IN,
  VIRTIO_BLK_T_OUT,
  VIRTIO_ID_BLOCK,
} from "../../abi/virtio.ts";
import type {
  BlockBackend,
  DeviceIrq,
  HostInput,
  VirtioDevice,
  Virtqueue,
  VirtqueueRequest,
} from "../base/ports.ts";
import { checkVersion, readField, writeField } from "./records.ts";
import { RING_FEATURES } from "./virtqueue.ts";

const QUEUE_SIZE = 256;
const STATE_VERSION = 1;
/** Data moves between ring and backend in pieces of this size. */
const PIECE_BYTES = 64 << 10;

/** What a disk is made of; `serial` (up to 20 Latin-1 characters) answers GET_ID and defaults to the name. */
export interface BlockDeviceOptions {
  /** Unique in the guest, such as "block0". */
  readonly name: string;
  readonly backend: BlockBackend;
  readonly serial?: string;
}

/** The block device: one queue. */
export class VirtioBlock implements VirtioDevice {
  readonly id = VIRTIO_ID_BLOCK;
  readonly name: string;
  readonly features: bigint;
  readonly queueSizes: readonly number[] = [QUEUE_SIZE];
  readonly configBytes = VIRTIO_BLK_CONFIG_BYTES;
  readonly metrics = { reads: 0, readBytes: 0, writes: 0, writeBytes: 0, flushes: 0, errors: 0 };

  #backend: BlockBackend;
  #serial: string;
  #config = new Uint8Array(VIRTIO_BLK_CONFIG_BYTES);
  #ring: Virtqueue | undefined;
  #irq: DeviceIrq | undefined;

  constructor(options: BlockDeviceOptions) {
    this.name = options.name;
    this.#backend = options.backend;
    this.#serial = options.serial ?? options.name;
    this.features =
      RING_FEATURES |
      (1n << BigInt(VIRTIO_BLK_F_SEG_MAX)) |
      (1n << BigInt(VIRTIO_BLK_F_BLK_SIZE)) |
      (1n << BigInt(VIRTIO_BLK_F_FLUSH)) |
      (options.backend.readOnly ? 1n << BigInt(VIRTIO_BLK_F_RO) : 0n);
    writeField(this.#config, VIRTIO_BLK_CONFIG_CAPACITY, 8, options.backend.sectors);
    // Header and status take a descriptor each.
    writeField(this.#config, VIRTIO_BLK_CONFIG_SEG_MAX, 4, QUEUE_SIZE - 2);
    writeField(this.#config, VIRTIO_BLK_CONFIG_BLK_SIZE, 4, SECTOR_BYTES);
  }

  readConfig(offset: number, size: number): number {
    return readField(this.#config, offset, size);
  }

  writeConfig(_offset: number, _size: number, _value: number): void {}

  activate(_features: bigint, queues: Virtqueue[], irq: DeviceIrq): void {
    this.#ring = queues[0];
    this.#irq = irq;
  }

  reset(): void {
    this.#ring = undefined;
    this.#irq = undefined;
  }

  notify(_queue: number): void {
    const ring = this.#ring;
    for (let request = ring?.pop(); request !== undefined; request = ring?.pop()) {
      if (request.readableBytes < VIRTIO_BLK_HEADER_BYTES || request.writableBytes < 1) {
        ring?.fail("block request without room for its header and status");
        break;
      }
      const dataBytes = request.writableBytes - 1;
      const status = this.#execute(request);
      request.write(dataBytes, Uint8Array.of(status));
      if (status !== VIRTIO_BLK_S_OK) this.metrics.errors++;
      ring?.push(request, status === VIRTIO_BLK_S_OK ? request.writableBytes : 1);
    }
    this.#irq?.raise(0);
  }

  receive(_input: HostInput): void {}

  save(): Record<string, unknown> {
    return { version: STATE_VERSION, sectors: this.#backend.sectors };
  }

  restore(state: Record<string, unknown>): void {
    checkVersion(state, this.name, STATE_VERSION);
  }

  /** Does what one request asks and returns its status byte. */
  #execute(request: VirtqueueRequest): number {
    const header = request.read(0, VIRTIO_BLK_HEADER_BYTES);
    const type = readField(header, VIRTIO_BLK_HEADER_TYPE, 4);
    const sector = readField(header, VIRTIO_BLK_HEADER_SECTOR, 8);
    try {
      switch (type) {
        case VIRTIO_BLK_T_IN:
          return this.#readSectors(request, sector);
        case VIRTIO_BLK_T_OUT:
          return this.#writeSectors(request, sector);
        case VIRTIO_BLK_T_FLUSH:
          this.metrics.flushes++;
          this.#backend.flush();
          return VIRTIO_BLK_S_OK;
        case VIRTIO_BLK_T_GET_ID:
          request.write(0, this.#serialBytes(request.writableBytes - 1));
          return VIRTIO_BLK_S_OK;
        default:
          return VIRTIO_BLK_S_UNSUPP;
      }
    } catch {
      // Whatever went wrong with the medium, the guest sees what a driver can handle.
      return VIRTIO_BLK_S_IOERR;
    }
  }

  #readSectors(request: VirtqueueRequest, sector: number): number {
    const length = request.writableBytes - 1;
    if (!this.#isOnDisk(sector, length)) return VIRTIO_BLK_S_IOERR;
    for (let at = 0; at < length; at += PIECE_BYTES) {
      const piece = new Uint8Array(Math.min(PIECE_BYTES, length - at));
      this.#backend.read(sector + at / SECTOR_BYTES, piece);
      request.write(at, piece);
    }
    this.metrics.reads++;
    this.metrics.readBytes += length;
    return VIRTIO_BLK_S_OK;
  }

  #writeSectors(request: VirtqueueRequest, sector: number): number {
    const length = request.readableBytes - VIRTIO_BLK_HEADER_BYTES;
    if (this.#backend.readOnly || !this.#isOnDisk(sector, length)) return VIRTIO_BLK_S_IOERR;
    for (let at = 0; at < length; at += PIECE_BYTES) {
      const piece = request.read(VIRTIO_BLK_HEADER_BYTES + at, Math.min(PIECE_BYTES, length - at));
      this.#backend.write(sector + at / SECTOR_BYTES, piece);
    }
    this.metrics.writes++;
    this.metrics.writeBytes += length;
    return VIRTIO_BLK_S_OK;
  }

  /** Sector numbers past 2^53 lose bits when read, but stay far past every disk. */
  #isOnDisk(sector: number, length: number): boolean {
    return length % SECTOR_BYTES === 0 && sector + length / SECTOR_BYTES <= this.#backend.sectors;
  }

  #serialBytes(room: number): Uint8Array {
    const bytes = new Uint8Array(Math.min(VIRTIO_BLK_ID_BYTES, room));
    for (let i = 0; i < bytes.length; i++) bytes[i] = this.#serial.charCodeAt(i) & 0xff;
    return bytes;
  }
}
