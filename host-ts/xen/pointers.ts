/**
 * What a hypercall's pointers point at: linear addresses under the page tables in use, with the kernel's rights. A range that cannot be
 * reached is the call's failure (-EFAULT) and no fault of the guest's.
 */
import { PAGE_BYTES } from "../../abi/memory.ts";
import { HYPERVISOR_VIRT_START } from "../../abi/xen.ts";
import type { PersonalityHost } from "../base/personality.ts";
import type { VcpuBlock } from "../base/vcpu-block.ts";

const GUEST_END = HYPERVISOR_VIRT_START >>> 0;
/** More than any call's structure or list piece; bounds what a guest can make us allocate. */
const MAX_BYTES = 1 << 20;

/** Reads and writes by linear address for the vCPU whose turn it is. */
export class GuestPointers {
  readonly #host: PersonalityHost;

  constructor(host: PersonalityHost) {
    this.#host = host;
  }

  /** A copy of `length` bytes, undefined when one of them cannot be read. */
  read(lin: number, length: number): DataView | undefined {
    if (!isGuestRange(lin, length)) return undefined;
    const target = new Uint8Array(length);
    if (isWithinPage(lin, length)) {
      const gpa = this.#walk(this.#host.vcpu, lin, false);
      if (gpa < 0) return undefined;
      this.#host.memory.readInto(gpa, target);
      return new DataView(target.buffer);
    }
    for (let done = 0; done < length; ) {
      const chunk = Math.min(PAGE_BYTES - ((lin + done) % PAGE_BYTES), length - done);
      const gpa = this.#walk(this.#host.vcpu, lin + done, false);
      if (gpa < 0) return undefined;
      target.set(this.#host.memory.read(gpa, chunk), done);
      done += chunk;
    }
    return new DataView(target.buffer);
  }

  /** @returns false, with nothing written, when one of the bytes cannot be. */
  write(lin: number, bytes: Uint8Array): boolean {
    return this.writeFor(this.#host.vcpu, lin, bytes);
  }

  /** The same under the page tables of any vCPU that has some. */
  writeFor(vcpu: VcpuBlock, lin: number, bytes: Uint8Array): boolean {
    if (!isGuestRange(lin, bytes.length)) return false;
    if (isWithinPage(lin, bytes.length)) {
      const gpa = this.#walk(vcpu, lin, true);
      if (gpa >= 0) this.#host.memory.write(gpa, bytes);
      return gpa >= 0;
    }
    const pieces: { gpa: number; from: number; length: number }[] = [];
    for (let from = 0; from < bytes.length; ) {
      const length = Math.min(PAGE_BYTES - ((lin + from) % PAGE_BYTES), bytes.length - from);
      const gpa = this.#walk(vcpu, lin + from, true);
      if (gpa < 0) return false;
      pieces.push({ gpa, from, length });
      from += length;
    }
    for (const { gpa, from, length } of pieces) {
      this.#host.memory.write(gpa, bytes.subarray(from, from + length));
    }
    return true;
  }

  /** Whether a range of any length lies below Xen's area. */
  isInside(lin: number, length: number): boolean {
    return lin + length <= GUEST_END;
  }

  readU32(lin: number): number | undefined {
    if (!isWithinPage(lin, 4) || !isGuestRange(lin, 4)) {
      return this.read(lin, 4)?.getUint32(0, true);
    }
    const gpa = this.#walk(this.#host.vcpu, lin, false);
    return gpa < 0 ? undefined : this.#host.memory.readU32(gpa);
  }

  writeU16(lin: number, value: number): boolean {
    return this.write(lin, Uint8Array.of(value, value >>> 8));
  }

  writeU32(lin: number, value: number): boolean {
    return this.write(lin, Uint8Array.of(value, value >>> 8, value >>> 16, value >>> 24));
  }

  #walk(vcpu: VcpuBlock, lin: number, isWrite: boolean): number {
    const { core, memory } = this.#host;
    const gpa = core.exports.walk(vcpu.ptr, lin, isWrite ? 1 : 0, 0);
    return memory.isRange(gpa, 1) ? gpa : -1;
  }
}

function isWithinPage(lin: number, length: number): boolean {
  return length > 0 && (lin % PAGE_BYTES) + length <= PAGE_BYTES;
}

/** Whether all of a range lies below what the hypervisor has for itself. */
export function isGuestRange(lin: number, length: number): boolean {
  return length <= MAX_BYTES && lin + length <= GUEST_END;
}
