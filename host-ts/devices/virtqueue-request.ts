/**
 * One request of a ring as two byte sequences, however its driver cut them into buffers.
 * The segments were checked when they were appended; offsets past the end give less, never an error.
 */
import type { GuestMemory, VirtqueueRequest } from "../base/ports.ts";

interface Segment {
  readonly gpa: number;
  readonly length: number;
}

/** The buffers of one chain: those the device reads come first, then those it writes. */
export class ChainRequest implements VirtqueueRequest {
  readonly head: number;
  readableBytes = 0;
  writableBytes = 0;
  #memory: GuestMemory;
  #readable: Segment[] = [];
  #writable: Segment[] = [];

  constructor(memory: GuestMemory, head: number) {
    this.#memory = memory;
    this.head = head;
  }

  /** Adds one buffer that is known to lie inside memory. */
  append(gpa: number, length: number, isWritable: boolean): void {
    if (isWritable) {
      this.#writable.push({ gpa, length });
      this.writableBytes += length;
    } else {
      this.#readable.push({ gpa, length });
      this.readableBytes += length;
    }
  }

  read(offset: number, length: number): Uint8Array {
    const bytes = new Uint8Array(Math.max(0, Math.min(length, this.readableBytes - offset)));
    forEachPart(this.#readable, offset, bytes.length, (gpa, at, count) => {
      this.#memory.readInto(gpa, bytes.subarray(at, at + count));
    });
    return bytes;
  }

  write(offset: number, bytes: Uint8Array): number {
    const length = Math.max(0, Math.min(bytes.length, this.writableBytes - offset));
    forEachPart(this.#writable, offset, length, (gpa, at, count) => {
      this.#memory.write(gpa, bytes.subarray(at, at + count));
    });
    return length;
  }
}

/** Calls `visit(gpa, position, count)` for the pieces of segments that make up [offset, offset + length). */
function forEachPart(
  segments: readonly Segment[],
  offset: number,
  length: number,
  visit: (gpa: number, position: number, count: number) => void,
): void {
  let skip = offset;
  let done = 0;
  for (const segment of segments) {
    if (done === length) return;
    if (skip >= segment.length) {
      skip -= segment.length;
      continue;
    }
    const count = Math.min(segment.length - skip, length - done);
    visit(segment.gpa + skip, done, count);
    done += count;
    skip = 0;
  }
}
