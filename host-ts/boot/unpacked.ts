/** Where decompressors put what they unpack: a buffer that grows up to a limit and can repeat what it holds. */
import { ImageError } from "../base/errors.ts";

/** More than any 32-bit kernel or its initial RAM disk; bounds what a file that lies can make us allocate. */
export const UNPACKED_MAX_BYTES = 512 << 20;
const FIRST_BYTES = 1 << 20;

/** What every decompressor says about data that it cannot follow. */
export function damaged(format: string, cause?: unknown): ImageError {
  const options = cause === undefined ? undefined : { cause };
  return new ImageError(`its ${format} data is damaged or cut short`, "HV_IMAGE", options);
}

/** The error for data that would unpack to more than `limit` bytes. */
export function tooLarge(limit: number): ImageError {
  const mib = Math.floor(limit / 2 ** 20);
  return new ImageError(`unpacked it is more than ${mib} MiB`, "HV_IMAGE_TOO_LARGE");
}

/** See the file header. */
export class Unpacked {
  readonly #limit: number;
  #bytes: Uint8Array;
  #length = 0;

  /** @param limit bytes that it may hold; more throws ImageError HV_IMAGE_TOO_LARGE */
  constructor(limit = UNPACKED_MAX_BYTES) {
    this.#limit = limit;
    this.#bytes = new Uint8Array(Math.min(FIRST_BYTES, limit));
  }

  get length(): number {
    return this.#length;
  }

  /** Bytes from `from` on, a view that lasts until more comes. */
  view(from = 0): Uint8Array {
    return this.#bytes.subarray(from, this.#length);
  }

  /** Makes sure that there is room for `bytes` more. */
  reserve(bytes: number): void {
    const needed = this.#length + bytes;
    if (needed <= this.#bytes.length) return;
    if (!(needed <= this.#limit)) throw tooLarge(this.#limit);
    const grown = new Uint8Array(Math.min(this.#limit, Math.max(needed, 2 * this.#bytes.length)));
    grown.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = grown;
  }

  push(byte: number): void {
    if (this.#length === this.#bytes.length) this.reserve(1);
    this.#bytes[this.#length++] = byte;
  }

  append(bytes: Uint8Array): void {
    this.reserve(bytes.length);
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  /** The byte `distance` before the end, 1 for the last. */
  back(distance: number): number {
    return this.#bytes[this.#length - distance]!;
  }

  /** Appends `count` bytes, each the one that lies `distance` before it. */
  repeat(distance: number, count: number): void {
    this.reserve(count);
    const bytes = this.#bytes;
    const end = this.#length + count;
    for (let at = this.#length; at < end; at++) bytes[at] = bytes[at - distance]!;
    this.#length = end;
  }
}
