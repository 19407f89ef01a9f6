/**
 * The machine frames that a domain holds: at its start as many as it may, fewer after it gave some back. Which pseudo-physical frame each
 * stands for is in the machine-to-physical table, which the guest reads.
 */
import { PAGE_BYTES } from "../../abi/memory.ts";
import { PTE_A, PTE_P } from "../../abi/x86.ts";
import { INVALID_M2P_ENTRY } from "../../abi/xen.ts";
import { E820_BYTES, E820_RAM, E820_SIZE, E820_TYPE } from "../../abi/xen-layout.ts";
import {
  PAGE_COUNT_MASK,
  PAGE_OWNED,
  PAGE_READ_ONLY,
  PAGE_SHARED,
  PGT_SHIFT,
  PGT_WRITABLE,
  XEN_M2P_TABLES,
} from "../../abi/xen-memory.ts";
import { OutOfMemoryError } from "../base/errors.ts";
import type { PersonalityHost } from "../base/personality.ts";
import { assignFrames, M2P_ENTRIES_PER_FRAME, type MachineMap } from "./machine-map.ts";

/** What a list of machine frames says of a pseudo-physical frame that is none. */
export const INVALID_P2M = 0xffffffff;
const L1_ENTRIES = 512;
const ENTRY_BYTES = 8;

/** See the file header. */
export class Reservation {
  readonly #host: PersonalityHost;
  readonly #map: MachineMap;
  /** Machine frames by pseudo-physical ones, as the domain begins; INVALID_P2M where it has none. */
  readonly firstP2m: Uint32Array;
  /** Machine frames that are not the domain's: spare ones, and those it gave back, free or still referred to. */
  #returned = new Set<number>();

  /** Entries of the domain's map of pseudo-physical memory: at first one, for memory begins at 0 and has no holes. */
  memoryMap: Uint8Array;

  /**
   * Makes all of the machine map known to the core. Throws OutOfMemoryError.
   * @param pfns pseudo-physical frames that the domain has, ascending, at most as many as the map has RAM; default: all of it from 0 on
   */
  constructor(host: PersonalityHost, map: MachineMap, seed: number, pfns?: readonly number[]) {
    this.#host = host;
    this.#map = map;
    const frames = assignFrames(map, seed);
    this.firstP2m = pfns === undefined ? frames : assignTo(pfns, frames);
    this.memoryMap = oneRange(map.ramFrames * PAGE_BYTES);
    const { core, guest, memory } = host;
    core.exports.guestSetLimits(guest, map.limit, 0, 0);
    memory.setLimit(map.limit * PAGE_BYTES);
    if (core.exports.xenCreate(guest) === 0) throw noRoom();
    this.#own(map.ramMfn, map.ramFrames, PAGE_OWNED);
    this.#own(map.sharedInfoMfn, map.m2pTablesMfn - map.sharedInfoMfn, PAGE_SHARED);
    this.#own(map.m2pMfn, map.m2pFrames, PAGE_READ_ONLY);
    for (let mfn = map.ramMfn + map.ramFrames; mfn < map.sharedInfoMfn; mfn++) {
      this.#returned.add(mfn);
    }
    this.#buildM2p();
    for (const mfn of pfns === undefined ? [] : frames.subarray(pfns.length)) this.giveBack(mfn);
  }

  /** What the machine-to-physical table says, by machine frame. */
  readM2p(): Uint32Array {
    const { m2pMfn, m2pFrames } = this.#map;
    const bytes = this.#host.memory.read(m2pMfn * PAGE_BYTES, m2pFrames * PAGE_BYTES);
    return new Uint32Array(bytes.buffer);
  }

  /** Whether `mfn` is RAM of the domain. */
  owns(mfn: number): boolean {
    const { core, guest } = this.#host;
    return (core.exports.xenTypeOf(guest, mfn) & PAGE_OWNED) !== 0;
  }

  /** Frames that the domain holds. */
  get currentPages(): number {
    return this.#map.sharedInfoMfn - this.#map.ramMfn - this.#returned.size;
  }

  /** Frames that it may hold. */
  get maximumPages(): number {
    return this.#map.ramFrames;
  }

  /** The domain gives a frame back. @returns whether it had it. */
  giveBack(mfn: number): boolean {
    const { core, vcpu } = this.#host;
    if (core.exports.xenTakeFrame(vcpu.ptr, mfn) === 0) return false;
    this.#returned.add(mfn);
    this.setPfn(mfn, INVALID_M2P_ENTRY);
    return true;
  }

  /** Whether a frame is the domain's and nothing refers to it: it can be exchanged for another, or given to another domain. */
  isFree(mfn: number): boolean {
    const { core, guest } = this.#host;
    const isOwned = (core.exports.xenTypeOf(guest, mfn) & PAGE_OWNED) !== 0;
    return isOwned && core.exports.xenReferencesOf(guest, mfn) === 0;
  }

  /**
   * As exchange() without giving anything, as long as the domain may hold more.
   * @returns the first of `count` frames, undefined when there are none.
   */
  take(count: number, limitMfn: number): number | undefined {
    const isAllowed = this.currentPages + count <= this.maximumPages;
    return isAllowed ? this.exchange(count, limitMfn) : undefined;
  }

  /**
   * `count` neighbouring frames at a multiple of `count` and below `limitMfn`, zeroed, for the domain to hold. A frame that something still
   * refers to is not free yet. @returns the first, undefined when there are none.
   */
  exchange(count: number, limitMfn: number): number | undefined {
    const { core, guest } = this.#host;
    for (const first of this.#returned) {
      if (first % count !== 0 || first + count > limitMfn) continue;
      if (!this.#isReturned(first, count)) continue;
      if (core.exports.xenAddFrames(guest, first, count, PAGE_OWNED) === 0) continue;
      for (let mfn = first; mfn < first + count; mfn++) this.#returned.delete(mfn);
      return first;
    }
    return undefined;
  }

  /**
   * A free frame of this domain's goes to another one, contents and all. @returns its number there; undefined when the other holds all
   * that it may, and the frame stays.
   */
  moveTo(other: Reservation, mfn: number): number | undefined {
    const { core, vcpu } = this.#host;
    for (const otherMfn of other.#returned) {
      if (core.exports.xenMoveFrame(vcpu.ptr, mfn, other.#host.guest, otherMfn) === 0) continue;
      other.#returned.delete(otherMfn);
      this.#returned.add(mfn);
      this.setPfn(mfn, INVALID_M2P_ENTRY);
      return otherMfn;
    }
    return undefined;
  }

  /** Whether `mfn` is RAM of the domain that may be read, or written: not a page table or descriptors. */
  isUsable(mfn: number, isWrite: boolean): boolean {
    const { core, guest } = this.#host;
    const bits = core.exports.xenTypeOf(guest, mfn);
    if ((bits & PAGE_OWNED) === 0) return false;
    return !isWrite || bits >>> PGT_SHIFT <= PGT_WRITABLE || (bits & PAGE_COUNT_MASK) === 0;
  }

  /** Keeps a frame writable memory of the domain's, whatever the guest does with it. @returns false when it is no RAM, or in use as something else. */
  hold(mfn: number): boolean {
    const { core, vcpu } = this.#host;
    return this.isUsable(mfn, true) && core.exports.xenGetFrame(vcpu.ptr, mfn, 1) === 0;
  }

  /** Ends hold(). */
  release(mfn: number): void {
    const { core, vcpu } = this.#host;
    core.exports.xenPutFrame(vcpu.ptr, mfn, 1);
  }

  /** What the machine-to-physical table says of a frame of the domain's. */
  pfnOf(mfn: number): number {
    return this.#host.memory.readU32(this.#map.m2pMfn * PAGE_BYTES + 4 * mfn);
  }

  /** Writes what the machine-to-physical table says of a frame. */
  setPfn(mfn: number, pfn: number): void {
    this.#host.memory.writeU32(this.#map.m2pMfn * PAGE_BYTES + 4 * mfn, pfn);
  }

  /** Serialisable state besides guest memory. */
  save(): Record<string, unknown> {
    return { returned: [...this.#returned], memoryMap: [...this.memoryMap] };
  }

  restore(state: Record<string, unknown>): void {
    this.#returned = new Set(state.returned as number[]);
    this.memoryMap = Uint8Array.from(state.memoryMap as number[]);
  }

  #isReturned(first: number, count: number): boolean {
    for (let mfn = first; mfn < first + count; mfn++) if (!this.#returned.has(mfn)) return false;
    return true;
  }

  #own(mfn: number, count: number, flags: number): void {
    const { core, guest } = this.#host;
    if (core.exports.xenAddFrames(guest, mfn, count, flags) === 0) throw noRoom();
  }

  /** The table, and the L1 tables through which every address space of the guest shows its beginning. */
  #buildM2p(): void {
    const { core, guest, memory } = this.#host;
    const { m2pMfn, m2pFrames, m2pTablesMfn } = this.#map;
    const table = new Uint32Array(m2pFrames * M2P_ENTRIES_PER_FRAME).fill(INVALID_M2P_ENTRY);
    for (const [pfn, mfn] of this.firstP2m.entries()) if (mfn !== INVALID_P2M) table[mfn] = pfn;
    memory.write(m2pMfn * PAGE_BYTES, new Uint8Array(table.buffer));
    const mapped = Math.min(m2pFrames, XEN_M2P_TABLES * L1_ENTRIES);
    const entries = new Uint32Array((mapped * ENTRY_BYTES) / 4);
    for (let i = 0; i < mapped; i++) entries[2 * i] = (m2pMfn + i) * PAGE_BYTES + PTE_P + PTE_A;
    memory.write(m2pTablesMfn * PAGE_BYTES, new Uint8Array(entries.buffer));
    core.exports.xenSetMachineToPhysical(guest, m2pTablesMfn, m2pMfn);
  }
}

function oneRange(sizeBytes: number): Uint8Array {
  const entry = new DataView(new ArrayBuffer(E820_BYTES));
  entry.setBigUint64(E820_SIZE, BigInt(sizeBytes), true);
  entry.setUint32(E820_TYPE, E820_RAM, true);
  return new Uint8Array(entry.buffer);
}

/** The first frames, one for each of `pfns`, by pseudo-physical number. */
function assignTo(pfns: readonly number[], frames: Uint32Array): Uint32Array {
  const p2m = new Uint32Array((pfns.at(-1) ?? -1) + 1).fill(INVALID_P2M);
  for (const [index, pfn] of pfns.entries()) p2m[pfn] = frames[index]!;
  return p2m;
}

function noRoom(): OutOfMemoryError {
  return new OutOfMemoryError("no room for the page information of a Xen domain");
}
