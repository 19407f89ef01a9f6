/**
 * The seams of devices that share pages with a Xen guest: types, and the page itself over guest memory.
 * A device knows rings and grants; event channels, grant tables and xenstore stay behind these.
 */
import { PAGE_BYTES } from "../../abi/memory.ts";
import type { GuestMemory, HostInput } from "../base/ports.ts";

/** Guest memory as far as shared pages need it. */
export type PageMemory = Pick<GuestMemory, "read" | "write" | "readU32" | "writeU32">;

/** A page, or several in a row, that guest and Host both see. Ranges must lie inside; numbers are little-endian. */
export interface SharedPage {
  readonly sizeBytes: number;
  read(offset: number, length: number): Uint8Array;
  write(offset: number, bytes: Uint8Array): void;
  readU32(offset: number): number;
  writeU32(offset: number, value: number): void;
}

/** The Host's end of an event channel. */
export interface EventPort {
  /** Tells the guest. */
  notify(): void;
}

/** A page that the guest lets the Host use, until it is released. A page mapped read-only takes no writes. */
export interface GrantedPage extends SharedPage {
  /** Machine address. */
  readonly gpa: number;
  release(): void;
}

/** Pages by grant reference. */
export interface GrantAccess {
  /** The page that a reference stands for, undefined when the guest grants no such use of it. */
  map(ref: number, isWritable: boolean): GrantedPage | undefined;
  /** After a restore: a page that was mapped when the state was saved. */
  adopt(ref: number, isWritable: boolean, gpa: number): GrantedPage;
}

/** A device's way to its front end in the guest, from connection to disconnection. */
export interface FrontendLink {
  /** What the front end wrote into its xenstore directory. */
  key(name: string): string | undefined;
  /** The pages of a ring, in order, undefined when the guest does not grant them all. */
  mapRing(refs: readonly number[]): SharedPage | undefined;
  /** Takes the other end of a port of the guest's, undefined when it is not ours to take. `onEvent` is called when the guest sends. */
  bindPort(port: number, onEvent: () => void): EventPort | undefined;
  /** Pages that single requests name. */
  readonly grants: GrantAccess;
}

/** The back end of a split driver, as the xenbus drives it. */
export interface SplitDevice {
  /** Name of the device's kind in xenstore. */
  readonly kind: "vbd" | "vif";
  /** Number of the device among those of its kind. */
  readonly id: number;
  /** Unique within the guest, for inputs, metrics and snapshots. */
  readonly name: string;
  /** What the device counted since it was made, by name. */
  readonly metrics: Readonly<Record<string, number>>;
  /** Keys of the front end's directory, there before the guest starts. */
  readonly frontendKeys: Readonly<Record<string, string>>;
  /** Keys of the back end's directory, there before the guest starts. */
  readonly backendKeys: Readonly<Record<string, string>>;
  /** Keys that the back end adds when it connects. */
  readonly connectionKeys: Readonly<Record<string, string>>;
  /** The front end is ready. @returns why it cannot be served, undefined when it is. */
  connect(link: FrontendLink): string | undefined;
  /** The link ends. */
  disconnect(): void;
  /** Host-side news at a slice boundary. */
  receive(input: HostInput): void;
  /** Plain serialisable state; restored after `connect` when it was saved connected. */
  save(): Record<string, unknown>;
  restore(state: Record<string, unknown>): void;
}

/** A page of guest memory by its machine address. */
export class MemoryPage implements SharedPage {
  readonly sizeBytes = PAGE_BYTES;
  readonly gpa: number;
  readonly #memory: PageMemory;

  constructor(memory: PageMemory, gpa: number) {
    this.#memory = memory;
    this.gpa = gpa;
  }

  read(offset: number, length: number): Uint8Array {
    return this.#memory.read(this.gpa + offset, length);
  }

  write(offset: number, bytes: Uint8Array): void {
    this.#memory.write(this.gpa + offset, bytes);
  }

  readU32(offset: number): number {
    return this.#memory.readU32(this.gpa + offset) >>> 0;
  }

  writeU32(offset: number, value: number): void {
    this.#memory.writeU32(this.gpa + offset, value >>> 0);
  }
}

/** Several pages as one range. */
export class PageSpan implements SharedPage {
  readonly sizeBytes: number;
  readonly #pages: readonly SharedPage[];

  constructor(pages: readonly SharedPage[]) {
    this.#pages = pages;
    this.sizeBytes = pages.length * PAGE_BYTES;
  }

  read(offset: number, length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    this.#pieces(offset, length, (page, at, done, size) => {
      bytes.set(page.read(at, size), done);
    });
    return bytes;
  }

  write(offset: number, bytes: Uint8Array): void {
    this.#pieces(offset, bytes.length, (page, at, done, size) => {
      page.write(at, bytes.subarray(done, done + size));
    });
  }

  readU32(offset: number): number {
    return new DataView(this.read(offset, 4).buffer).getUint32(0, true);
  }

  writeU32(offset: number, value: number): void {
    this.write(offset, Uint8Array.of(value, value >>> 8, value >>> 16, value >>> 24));
  }

  #pieces(
    offset: number,
    length: number,
    piece: (page: SharedPage, at: number, done: number, size: number) => void,
  ): void {
    for (let done = 0; done < length; ) {
      const at = (offset + done) % PAGE_BYTES;
      const size = Math.min(PAGE_BYTES - at, length - done);
      piece(this.#pages[Math.floor((offset + done) / PAGE_BYTES)]!, at, done, size);
      done += size;
    }
  }
}
