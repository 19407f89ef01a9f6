/**
 * Reading numbers and byte ranges out of an untrusted image. Every access is range-checked; a failure is an ImageError that
 * names the field, what was found and what was wanted.
 */
import { type ErrorCode, ImageError } from "../base/errors.ts";

/** Few enough to be arguments of one call. */
const PIECE_BYTES = 4096;

/** Formats a number the way headers are documented: hexadecimal, or plain when it is a single digit. */
export function hex(value: number): string {
  return value < 10 ? String(value) : `0x${value.toString(16)}`;
}

/**
 * The error of a field that cannot be accepted.
 * @param field spelled as in the format's own document, such as "e_machine"
 */
export function badField(
  format: string,
  field: string,
  found: string,
  wanted: string,
  code: ErrorCode = "HV_IMAGE",
): ImageError {
  return new ImageError(`${format}: ${field} is ${found}, wanted ${wanted}`, code);
}

/** A little-endian view of an image. `format` begins every message. */
export class FieldReader {
  readonly bytes: Uint8Array;
  readonly format: string;
  readonly #view: DataView;

  constructor(bytes: Uint8Array, format: string) {
    this.bytes = bytes;
    this.format = format;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** @throws ImageError HV_IMAGE_TRUNCATED unless `off` and `length` are whole, not negative, and inside the image. */
  need(off: number, length: number, field: string): void {
    const size = this.bytes.length;
    const isInside =
      Number.isSafeInteger(off) &&
      Number.isSafeInteger(length) &&
      off >= 0 &&
      length >= 0 &&
      off + length <= size;
    if (isInside) return;
    const found = `at offset ${hex(off)}, ${length} bytes`;
    throw badField(this.format, field, found, `inside ${size} bytes`, "HV_IMAGE_TRUNCATED");
  }

  u8(off: number, field: string): number {
    this.need(off, 1, field);
    return this.#view.getUint8(off);
  }

  u16(off: number, field: string): number {
    this.need(off, 2, field);
    return this.#view.getUint16(off, true);
  }

  u32(off: number, field: string): number {
    this.need(off, 4, field);
    return this.#view.getUint32(off, true);
  }

  /** A view, not a copy, of `length` bytes. */
  slice(off: number, length: number, field: string): Uint8Array {
    this.need(off, length, field);
    return this.bytes.subarray(off, off + length);
  }

  /** Latin-1 text from `off` up to a NUL, the end of the image, or `max` bytes. */
  text(off: number, max: number, field: string): string {
    this.need(off, 0, field);
    const bytes = this.bytes.subarray(off, Math.min(off + max, this.bytes.length));
    const end = bytes.indexOf(0);
    return latin1(end < 0 ? bytes : bytes.subarray(0, end));
  }
}

/** Bytes as Latin-1 text: every byte is one character, so nothing is lost or refused. */
export function latin1(bytes: Uint8Array): string {
  let text = "";
  // In pieces: a text that grows by one character at a time takes 20 times its size.
  for (let at = 0; at < bytes.length; at += PIECE_BYTES) {
    text += String.fromCharCode(...bytes.subarray(at, at + PIECE_BYTES));
  }
  return text;
}

/** @returns the offset of the first occurrence of ASCII `text` in `bytes`, or -1. */
export function findText(bytes: Uint8Array, text: string): number {
  const first = text.charCodeAt(0);
  for (let at = bytes.indexOf(first); at >= 0; at = bytes.indexOf(first, at + 1)) {
    let matched = 1;
    while (matched < text.length && bytes[at + matched] === text.charCodeAt(matched)) matched++;
    if (matched === text.length) return at;
  }
  return -1;
}
