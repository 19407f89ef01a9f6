/** Puts structures and texts that point at each other into one piece of memory at a known address. */
import { writeField } from "../devices/records.ts";

/** Addresses in and out are guest-physical. */
export class Layout {
  readonly #gpa: number;
  #bytes = new Uint8Array(0);

  constructor(gpa: number) {
    this.#gpa = gpa;
  }

  /** Everything so far. */
  get bytes(): Uint8Array {
    return this.#bytes;
  }

  /** @returns the address of `sizeBytes` zeroes, aligned to 8. */
  reserve(sizeBytes: number): number {
    const offset = Math.ceil(this.#bytes.length / 8) * 8;
    const grown = new Uint8Array(offset + sizeBytes);
    grown.set(this.#bytes);
    this.#bytes = grown;
    return this.#gpa + offset;
  }

  /** @returns the address of a text with its final zero. */
  text(value: string): number {
    const encoded = new TextEncoder().encode(`${value}\0`);
    const gpa = this.reserve(encoded.length);
    this.#bytes.set(encoded, gpa - this.#gpa);
    return gpa;
  }

  u32(gpa: number, value: number): void {
    writeField(this.#bytes, gpa - this.#gpa, 4, value);
  }
}
