/**
 * Guest-physical memory by way of the frame table: page by page, because neighbouring guest frames are not neighbours in
 * linear memory, and through views fetched anew after each verb, because the verb may have grown the memory.
 */

import { PAGE_BITS, PAGE_BYTES } from "../../abi/memory.ts";
import type { Core } from "./core.ts";
import type { BadAccessHandler, GuestMemory } from "./ports.ts";

const OFFSET_MASK = PAGE_BYTES - 1;

/** Why a guest dies when it touches a page for which no frame is left. */
export const EXHAUSTED_REASON = "the memory shared by all guests of this process is exhausted";

/** GuestMemory over one guest of the core. */
export class FrameMemory implements GuestMemory {
  readonly ramBytes: number;
  #limitBytes: number;
  readonly #core: Core;
  readonly #guest: number;
  readonly #onBadAccess: BadAccessHandler;

  constructor(core: Core, guest: number, ramBytes: number, onBadAccess: BadAccessHandler) {
    this.#core = core;
    this.#guest = guest;
    this.ramBytes = ramBytes;
    this.#limitBytes = ramBytes;
    this.#onBadAccess = onBadAccess;
  }

  get limitBytes(): number {
    return this.#limitBytes;
  }

  /** Follows guestSetLimits: the first byte past the RAM-like device pages. */
  setLimit(limitBytes: number): void {
    this.#limitBytes = limitBytes;
  }

  isRange(gpa: number, length: number): boolean {
    return length === 0 || (gpa >= 0 && length > 0 && gpa + length <= this.#limitBytes);
  }

  read(gpa: number, length: number): Uint8Array {
    // A length that a guest made up must not make us allocate before it is known to be sane.
    if (!this.#check("read", gpa, length)) return new Uint8Array(Math.min(length, PAGE_BYTES));
    const target = new Uint8Array(length);
    this.#copyOut(gpa, target);
    return target;
  }

  readInto(gpa: number, target: Uint8Array): void {
    if (this.#check("read", gpa, target.length)) this.#copyOut(gpa, target);
    else target.fill(0);
  }

  write(gpa: number, bytes: Uint8Array): void {
    if (!this.#check("write", gpa, bytes.length)) return;
    let done = 0;
    while (done < bytes.length) {
      const chunk = Math.min(PAGE_BYTES - ((gpa + done) & OFFSET_MASK), bytes.length - done);
      const ptr = this.#pointer("write", gpa + done, chunk);
      if (ptr === 0) return;
      this.#core.bytes(ptr + chunk).set(bytes.subarray(done, done + chunk), ptr);
      done += chunk;
    }
  }

  fill(gpa: number, length: number, byte: number): void {
    if (!this.#check("write", gpa, length)) return;
    let done = 0;
    while (done < length) {
      const chunk = Math.min(PAGE_BYTES - ((gpa + done) & OFFSET_MASK), length - done);
      const ptr = this.#pointer("write", gpa + done, chunk);
      if (ptr === 0) return;
      this.#core.bytes(ptr + chunk).fill(byte, ptr, ptr + chunk);
      done += chunk;
    }
  }

  readU8(gpa: number): number {
    if (!this.#check("read", gpa, 1)) return 0;
    const ptr = this.#pointer("read", gpa, 1);
    return ptr === 0 ? 0 : this.#core.bytes(ptr + 1)[ptr]!;
  }

  readU16(gpa: number): number {
    return this.#scalar(gpa, 2).getUint16(0, true);
  }

  readU32(gpa: number): number {
    if ((gpa & OFFSET_MASK) <= PAGE_BYTES - 4 && this.#check("read", gpa, 4)) {
      const ptr = this.#pointer("read", gpa, 4);
      return ptr === 0 ? 0 : this.#core.words(ptr + 4).getUint32(ptr, true);
    }
    return this.#scalar(gpa, 4).getUint32(0, true);
  }

  readU64(gpa: number): bigint {
    return this.#scalar(gpa, 8).getBigUint64(0, true);
  }

  writeU8(gpa: number, value: number): void {
    if (!this.#check("write", gpa, 1)) return;
    const ptr = this.#pointer("write", gpa, 1);
    if (ptr !== 0) this.#core.bytes(ptr + 1)[ptr] = value;
  }

  writeU16(gpa: number, value: number): void {
    this.write(gpa, Uint8Array.of(value, value >>> 8));
  }

  writeU32(gpa: number, value: number): void {
    if ((gpa & OFFSET_MASK) <= PAGE_BYTES - 4 && this.#check("write", gpa, 4)) {
      const ptr = this.#pointer("write", gpa, 4);
      if (ptr !== 0) this.#core.words(ptr + 4).setUint32(ptr, value, true);
      return;
    }
    this.write(gpa, Uint8Array.of(value, value >>> 8, value >>> 16, value >>> 24));
  }

  writeU64(gpa: number, value: bigint): void {
    const bytes = new Uint8Array(8);
    new DataView(bytes.buffer).setBigUint64(0, value, true);
    this.write(gpa, bytes);
  }

  readCString(gpa: number, max: number): string {
    if (max === 0) return "";
    if (!this.#check("read", gpa, 1)) return "";
    const bytes = this.read(gpa, Math.min(max, this.#limitBytes - gpa));
    const end = bytes.indexOf(0);
    return String.fromCharCode(...(end < 0 ? bytes : bytes.subarray(0, end)));
  }

  #scalar(gpa: number, size: number): DataView {
    const bytes = new Uint8Array(size);
    this.readInto(gpa, bytes);
    return new DataView(bytes.buffer);
  }

  #copyOut(gpa: number, target: Uint8Array): void {
    let done = 0;
    while (done < target.length) {
      const chunk = Math.min(PAGE_BYTES - ((gpa + done) & OFFSET_MASK), target.length - done);
      const ptr = this.#pointer("read", gpa + done, chunk);
      if (ptr === 0) return;
      target.set(this.#core.bytes(ptr + chunk).subarray(ptr, ptr + chunk), done);
      done += chunk;
    }
  }

  #check(kind: "read" | "write", gpa: number, length: number): boolean {
    if (length === 0) return false;
    if (this.isRange(gpa, length)) return true;
    this.#onBadAccess(kind, gpa, length);
    return false;
  }

  /** Host pointer of one byte, valid to the end of its page until the next verb. */
  #pointer(kind: "read" | "write", gpa: number, length: number): number {
    const gfn = gpa >>> PAGE_BITS;
    const verbs = this.#core.exports;
    const frame =
      (kind === "read"
        ? verbs.frameForRead(this.#guest, gfn)
        : verbs.frameForWrite(this.#guest, gfn)) >>> 0;
    // The range was checked, so only the pool can be at fault.
    if (frame === 0) this.#onBadAccess("exhausted", gpa, length);
    return frame === 0 ? 0 : frame + (gpa & OFFSET_MASK);
  }
}
