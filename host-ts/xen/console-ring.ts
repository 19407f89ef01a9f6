/**
 * The console of a Xen domain: one page with a ring each way, and an event channel. Output leaves as soon as the guest tells of it;
 * input that does not fit waits here.
 *
 * Source: Xen's public io/console.h. Indices run freely; a guest that lies about them loses its own text.
 */
import {
  XENCONS_IN,
  XENCONS_IN_BYTES,
  XENCONS_IN_CONS,
  XENCONS_IN_PROD,
  XENCONS_OUT,
  XENCONS_OUT_BYTES,
  XENCONS_OUT_CONS,
  XENCONS_OUT_PROD,
} from "../../abi/xen-layout.ts";
import type { GuestMemory } from "../base/ports.ts";

/** What a console ring is attached to. */
export interface ConsoleRingOptions {
  readonly memory: Pick<GuestMemory, "readU32" | "writeU32" | "readU8" | "writeU8">;
  /** Machine address of the page. */
  readonly gpa: number;
  readonly print: (bytes: Uint8Array) => void;
  /** Tells the guest: room in its output, or input. */
  readonly notify: () => void;
}

/** See the file header. */
export class ConsoleRing {
  readonly #options: ConsoleRingOptions;
  #input: number[] = [];

  constructor(options: ConsoleRingOptions) {
    this.#options = options;
  }

  /** Input that the guest has not been given yet. */
  get pendingInput(): readonly number[] {
    return this.#input;
  }

  /** The guest sent an event. */
  serve(): void {
    const moved = this.drain() + this.#deliver();
    if (moved > 0) this.#options.notify();
  }

  /** Input from outside. */
  receive(bytes: ArrayLike<number>): void {
    for (let i = 0; i < bytes.length; i++) this.#input.push(bytes[i]! & 0xff);
    if (this.#deliver() > 0) this.#options.notify();
  }

  /** Goes on with the page of a domain that was saved: tells the guest of what it has not read, there and in `input`. */
  goOn(input: ArrayLike<number>): void {
    const { memory, gpa, notify } = this.#options;
    this.#input = Array.from(input);
    this.#deliver();
    if (memory.readU32(gpa + XENCONS_IN_PROD) !== memory.readU32(gpa + XENCONS_IN_CONS)) notify();
  }

  /** Prints what waits in the output ring, such as the last words of a guest that sends no event any more. @returns how many bytes. */
  drain(): number {
    const { memory, gpa, print } = this.#options;
    const produced = memory.readU32(gpa + XENCONS_OUT_PROD);
    const consumed = memory.readU32(gpa + XENCONS_OUT_CONS);
    const count = Math.min((produced - consumed) >>> 0, XENCONS_OUT_BYTES);
    if (count === 0) return 0;
    const bytes = Uint8Array.from({ length: count }, (_, i) =>
      memory.readU8(gpa + XENCONS_OUT + ((consumed + i) % XENCONS_OUT_BYTES)),
    );
    memory.writeU32(gpa + XENCONS_OUT_CONS, produced);
    print(bytes);
    return count;
  }

  /** Serialisable state besides the page. */
  save(): Record<string, unknown> {
    return { input: [...this.#input] };
  }

  restore(state: Record<string, unknown>): void {
    this.#input = [...(state.input as number[])];
  }

  #deliver(): number {
    const { memory, gpa } = this.#options;
    const produced = memory.readU32(gpa + XENCONS_IN_PROD);
    const consumed = memory.readU32(gpa + XENCONS_IN_CONS);
    const room = XENCONS_IN_BYTES - ((produced - consumed) >>> 0);
    const count = Math.min(Math.max(room, 0), this.#input.length);
    if (count === 0) return 0;
    for (const [i, byte] of this.#input.splice(0, count).entries()) {
      memory.writeU8(gpa + XENCONS_IN + ((produced + i) % XENCONS_IN_BYTES), byte);
    }
    memory.writeU32(gpa + XENCONS_IN_PROD, (produced + count) >>> 0);
    return count;
  }
}
