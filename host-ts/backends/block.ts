/**
 * Disks without files: bytes in memory, a copy-on-write layer over any other disk, and a write lock on any other disk.
 */
import { SECTOR_BYTES } from "../../abi/virtio.ts";
import { BackendError, ConfigError } from "../base/errors.ts";
import type { BlockBackend } from "../base/ports.ts";

/** A disk in memory. `bytes` is used in place, so what the guest wrote can be read there; a part sector at its end is unused. */
export class MemoryBlock implements BlockBackend {
  readonly sectors: number;
  readonly readOnly = false;
  readonly bytes: Uint8Array;

  /** Throws ConfigError for less than one sector. */
  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.sectors = Math.floor(bytes.length / SECTOR_BYTES);
    if (this.sectors === 0) throw new ConfigError("a disk needs at least 512 bytes");
  }

  read(sector: number, target: Uint8Array): void {
    checkOnDisk(this, sector, target.length);
    const at = sector * SECTOR_BYTES;
    target.set(this.bytes.subarray(at, at + target.length));
  }

  write(sector: number, source: Uint8Array): void {
    checkOnDisk(this, sector, source.length);
    this.bytes.set(source, sector * SECTOR_BYTES);
  }

  flush(): void {}

  discard(sector: number, count: number): void {
    checkOnDisk(this, sector, count * SECTOR_BYTES);
    this.bytes.fill(0, sector * SECTOR_BYTES, (sector + count) * SECTOR_BYTES);
  }

  close(): void {}
}

/** Reads go to `base` until written; writes stay in memory, by sector, and are gone at the end. */
export class OverlayBlock implements BlockBackend {
  readonly sectors: number;
  readonly readOnly = false;
  #base: BlockBackend;
  #written = new Map<number, Uint8Array>();

  constructor(base: BlockBackend) {
    this.#base = base;
    this.sectors = base.sectors;
  }

  /** How many sectors differ from the base. */
  get writtenSectors(): number {
    return this.#written.size;
  }

  read(sector: number, target: Uint8Array): void {
    checkOnDisk(this, sector, target.length);
    const end = target.length / SECTOR_BYTES;
    for (let i = 0; i < end; ) {
      const own = this.#written.get(sector + i);
      if (own !== undefined) {
        target.set(own, i * SECTOR_BYTES);
        i++;
        continue;
      }
      let next = i + 1;
      while (next < end && !this.#written.has(sector + next)) next++;
      this.#base.read(sector + i, target.subarray(i * SECTOR_BYTES, next * SECTOR_BYTES));
      i = next;
    }
  }

  write(sector: number, source: Uint8Array): void {
    checkOnDisk(this, sector, source.length);
    for (let at = 0; at < source.length; at += SECTOR_BYTES) {
      this.#written.set(sector + at / SECTOR_BYTES, source.slice(at, at + SECTOR_BYTES));
    }
  }

  /** Nothing reaches the base, so there is nothing to make durable. */
  flush(): void {}

  close(): void {
    this.#written.clear();
    this.#base.close();
  }
}

/** The same disk with writes refused. */
export class ReadOnlyBlock implements BlockBackend {
  readonly sectors: number;
  readonly readOnly = true;
  #base: BlockBackend;

  constructor(base: BlockBackend) {
    this.#base = base;
    this.sectors = base.sectors;
  }

  read(sector: number, target: Uint8Array): void {
    this.#base.read(sector, target);
  }

  write(_sector: number, _source: Uint8Array): void {
    throw new BackendError("the disk is read-only", "HV_BACKEND_READ_ONLY");
  }

  flush(): void {}

  close(): void {
    this.#base.close();
  }
}

/** Throws BackendError unless [sector, sector + length/512) is on the disk and whole sectors. */
export function checkOnDisk(disk: BlockBackend, sector: number, length: number): void {
  if (sector < 0 || length % SECTOR_BYTES !== 0 || sector + length / SECTOR_BYTES > disk.sectors) {
    throw new BackendError(
      `${length} bytes at sector ${sector} are not on a disk of ${disk.sectors}`,
    );
  }
}
