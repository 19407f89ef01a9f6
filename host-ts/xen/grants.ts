/**
 * The grant table of one domain: frames that the guest maps and in which it says which of its pages others may use, the Host or other
 * domains. Version 1, entries of 8 bytes, or version 2, entries of 16 and a status word each. While a page is used its entry is pinned: who
 * uses it is known here, whatever the guest makes of the entry meanwhile, and the guest sees that it is read or written.
 *
 * Source: Xen's public grant_table.h and the behaviour of Xen 4.17. Status values are GNTST_*.
 */
import { PAGE_BYTES } from "../../abi/memory.ts";
import {
  GNTST_BAD_GNTREF,
  GNTST_BAD_PAGE,
  GNTST_EAGAIN,
  GNTST_GENERAL_ERROR,
  GNTST_OKAY,
  GNTTAB_NR_RESERVED_ENTRIES,
  GRANT_ENTRIES_PER_FRAME,
  GRANT_MAX_FRAMES,
  GTF_ACCEPT_TRANSFER,
  GTF_PERMIT_ACCESS,
  GTF_READING,
  GTF_READONLY,
  GTF_SUB_PAGE,
  GTF_TRANSFER_COMMITTED,
  GTF_TRANSFER_COMPLETED,
  GTF_TRANSITIVE,
  GTF_TYPE_MASK,
  GTF_WRITING,
  XEN_EBUSY,
  XEN_EINVAL,
  XEN_ERANGE,
} from "../../abi/xen.ts";
import {
  GRANT_V1_BYTES,
  GRANT_V1_DOMID,
  GRANT_V1_FLAGS,
  GRANT_V1_FRAME,
  GRANT_V2_BYTES,
  GRANT_V2_FRAME,
  GRANT_V2_LENGTH,
  GRANT_V2_OFFSET,
  GRANT_V2_TRANS_DOMID,
  GRANT_V2_TRANS_REF,
} from "../../abi/xen-layout.ts";
import { PAGE_OWNED, PAGE_SHARED } from "../../abi/xen-memory.ts";
import type { PersonalityHost } from "../base/personality.ts";
import type { MachineMap } from "./machine-map.ts";
import { HOST_DOMID } from "./xenstore/paths.ts";

const STATUS_PER_FRAME = PAGE_BYTES / 2;
/** Uses of one kind that an entry bears. */
const MAX_PINS = 0x80;

/** A kind of use: by a processor or by a device, to read or to write. */
export type PinKind = "read" | "write" | "deviceRead" | "deviceWrite";

/** Who uses an entry, and as what. Serialisable. */
interface Pin {
  readonly domid: number;
  /** Machine frame of this domain's; undefined: the page is one that somebody else granted to it. */
  readonly mfn: number | undefined;
  /** The bytes of it that are granted. */
  readonly offset: number;
  readonly length: number;
  /** Only good for copies. */
  readonly isPart: boolean;
  readonly counts: Record<PinKind, number>;
}

/** What somebody wants to do with an entry. */
export interface GrantUse {
  readonly domid: number;
  /** One of a kind each; all read, or all write. */
  readonly kinds: readonly PinKind[];
  /** A mapping takes whole pages only. */
  readonly isMap: boolean;
}

/** A page that the guest lets somebody use. */
export interface GrantedFrame {
  readonly status: number;
  /** Machine frame of the granting domain; 0 when `status` is not GNTST_OKAY. */
  readonly mfn: number;
  readonly offset: number;
  readonly length: number;
}

/** A page that the guest lets the Host use. */
export interface GrantedPage {
  readonly status: number;
  /** Machine address of the page; 0 when `status` is not GNTST_OKAY. */
  readonly gpa: number;
}

/** Another domain's grant that an entry of version 2 passes on. */
export interface PassedGrant {
  readonly domid: number;
  readonly ref: number;
}

interface Entry {
  readonly flags: number;
  readonly domid: number;
  readonly frame: number;
}

/** See the file header. */
export class GrantTable {
  readonly #host: PersonalityHost;
  readonly #map: MachineMap;
  readonly #domid: number;
  #frames = 1;
  #version = 1;
  #pins = new Map<number, Pin>();
  /** The domain is gone, and its memory with it; others may still have pages of it. */
  #isGone = false;

  constructor(host: PersonalityHost, map: MachineMap, domid: number) {
    this.#host = host;
    this.#map = map;
    this.#domid = domid;
  }

  /** Frames in use. */
  get frames(): number {
    return this.#frames;
  }

  get version(): number {
    return this.#version;
  }

  get domid(): number {
    return this.#domid;
  }

  /** Guest block of the domain. */
  get guest(): number {
    return this.#host.guest;
  }

  /** Uses of all entries together. */
  get uses(): number {
    let sum = 0;
    for (const { counts } of this.#pins.values()) {
      sum += counts.read + counts.write + counts.deviceRead + counts.deviceWrite;
    }
    return sum;
  }

  /** Counts that all uses together hold of frames: one each, and one more of what is written. */
  get references(): number {
    let sum = 0;
    for (const { mfn, counts } of this.#pins.values()) {
      if (mfn === undefined) continue;
      sum += counts.read + counts.deviceRead + 2 * (counts.write + counts.deviceWrite);
    }
    return sum;
  }

  /** The domain is gone: who still has a page of it keeps the memory, and nobody writes into the table any more. */
  close(): void {
    this.#isGone = true;
  }

  /** Grows the table. @returns whether there may be so many frames. */
  grow(frames: number): boolean {
    if (frames > GRANT_MAX_FRAMES) return false;
    this.#frames = Math.max(this.#frames, frames);
    return true;
  }

  /** Machine frame of the table's frame `index`. */
  frameMfn(index: number): number {
    return this.#map.grantMfn + index;
  }

  /** Machine frame of frame `index` of the status words of version 2. */
  statusMfn(index: number): number {
    return this.#map.statusMfn + index;
  }

  /** Frames of status words that the table has. */
  get statusFrames(): number {
    if (this.#version === 1) return 0;
    return Math.ceil((this.#frames * (PAGE_BYTES / GRANT_V2_BYTES)) / STATUS_PER_FRAME);
  }

  /** Changes the form of the entries; all but the reserved ones are lost. @returns 0 or a negative errno: -EBUSY while others are in use. */
  setVersion(version: number): number {
    if (version !== 1 && version !== 2) return -XEN_EINVAL;
    if (version === this.#version) return 0;
    const isReserved = (ref: number) => ref < GNTTAB_NR_RESERVED_ENTRIES;
    if ([...this.#pins.keys()].some((ref) => !isReserved(ref))) return -XEN_EBUSY;
    const kept: Entry[] = [];
    for (let ref = 0; isReserved(ref); ref++) {
      const entry = this.#entry(ref);
      const type = entry.flags & GTF_TYPE_MASK;
      if (version === 1 && type === GTF_TRANSITIVE) return -XEN_ERANGE;
      const isKept = version === 2 || type === GTF_PERMIT_ACCESS;
      kept.push(isKept ? entry : { flags: 0, domid: 0, frame: 0 });
    }
    this.#clear(this.frameMfn(0), this.#frames);
    this.#clear(this.statusMfn(0), this.#map.m2pTablesMfn - this.statusMfn(0));
    this.#version = version;
    for (const [ref, entry] of kept.entries()) {
      this.#setEntry(ref, { ...entry, flags: entry.flags & ~(GTF_READING | GTF_WRITING) });
      if (this.#pins.has(ref)) this.#mark(ref);
    }
    return 0;
  }

  /** A grant of the toolstack's to the Host, for the console and xenstore pages. */
  grantToHost(ref: number, mfn: number): void {
    this.#setEntry(ref, { flags: GTF_PERMIT_ACCESS, domid: HOST_DOMID, frame: mfn });
  }

  /** The Host begins to use a page. Nobody makes it a page table meanwhile, if the Host may write. */
  use(ref: number, isWrite: boolean): GrantedPage {
    const kinds: PinKind[] = [isWrite ? "write" : "read"];
    const { status, mfn } = this.begin(ref, { domid: HOST_DOMID, kinds, isMap: true });
    return { status, gpa: mfn * PAGE_BYTES };
  }

  /** The Host is done with a page that it used. */
  release(ref: number, isWrite: boolean): void {
    if (this.#pins.has(ref)) this.end(ref, [isWrite ? "write" : "read"]);
  }

  /** Somebody begins to use the page of an entry, and nobody makes it a page table meanwhile if they may write: until end(). */
  begin(ref: number, use: GrantUse): GrantedFrame {
    const refused = this.#refusal(ref, use);
    if (refused !== GNTST_OKAY) return refuse(refused);
    const pin = this.#pins.get(ref) ?? this.#readPin(ref, use);
    if (pin === undefined) return refuse(GNTST_BAD_PAGE);
    const isWrite = isWriting(use.kinds);
    const { core, vcpu } = this.#host;
    for (const [taken] of use.kinds.entries()) {
      if (core.exports.xenGetFrame(vcpu.ptr, pin.mfn!, isWrite ? 1 : 0) === 0) continue;
      for (let i = 0; i < taken; i++) core.exports.xenPutFrame(vcpu.ptr, pin.mfn!, +isWrite);
      return refuse(GNTST_GENERAL_ERROR);
    }
    this.#count(ref, pin, use.kinds);
    return { status: GNTST_OKAY, mfn: pin.mfn!, offset: pin.offset, length: pin.length };
  }

  /** The grant that an entry passes on, undefined for one that grants a page itself. */
  passedOn(ref: number): PassedGrant | undefined {
    if (this.#version === 1 || ref >= this.#entries) return undefined;
    if ((this.#entry(ref).flags & GTF_TYPE_MASK) !== GTF_TRANSITIVE) return undefined;
    const { memory } = this.#host;
    const at = this.#at(ref);
    return {
      domid: memory.readU16(at + GRANT_V2_TRANS_DOMID),
      ref: memory.readU32(at + GRANT_V2_TRANS_REF),
    };
  }

  /** Whether somebody may use an entry that passes on a grant. @returns GNTST_*. */
  checkPassing(ref: number, use: GrantUse): number {
    return this.#refusal(ref, use);
  }

  /** Somebody begins to copy by an entry that passes on a grant of these bytes. */
  beginPassing(ref: number, use: GrantUse, { offset, length }: GrantedFrame): void {
    const fresh = { domid: use.domid, mfn: undefined, offset, length, isPart: true };
    this.#count(ref, this.#pins.get(ref) ?? { ...fresh, counts: noCounts() }, use.kinds);
  }

  /** Ends what began with these kinds. */
  end(ref: number, kinds: readonly PinKind[]): void {
    const pin = this.#pins.get(ref);
    if (pin === undefined) return;
    for (const kind of kinds) pin.counts[kind]--;
    if (isUnused(pin)) this.#pins.delete(ref);
    if (this.#isGone) return;
    const { core, vcpu } = this.#host;
    const isWrite = isWriting(kinds);
    if (pin.mfn !== undefined) {
      for (const _ of kinds) core.exports.xenPutFrame(vcpu.ptr, pin.mfn, isWrite ? 1 : 0);
    }
    this.#mark(ref);
  }

  /** Whether an entry takes a page of that domain's. It is committed to it then, and completeTransfer follows. */
  commitTransfer(ref: number, domid: number): boolean {
    if (ref >= this.#entries) return false;
    const entry = this.#entry(ref);
    if (entry.flags !== GTF_ACCEPT_TRANSFER || entry.domid !== domid) return false;
    this.#setFlags(ref, entry.flags | GTF_TRANSFER_COMMITTED);
    return true;
  }

  /** The page has come as machine frame `mfn`. @returns the pseudo-physical frame that the guest wants it to be. */
  completeTransfer(ref: number, mfn: number): number {
    const entry = this.#entry(ref);
    this.#setEntry(ref, { ...entry, frame: mfn });
    this.#setFlags(ref, entry.flags | GTF_TRANSFER_COMPLETED);
    return entry.frame;
  }

  /** GNTTABOP_swap_grant_ref. @returns GNTST_*. */
  swap(a: number, b: number): number {
    if (a >= this.#entries || b >= this.#entries) return GNTST_BAD_GNTREF;
    if (a === b) return GNTST_OKAY;
    if (this.#pins.has(a) || this.#pins.has(b)) return GNTST_EAGAIN;
    const { memory } = this.#host;
    const bytes = this.#version === 1 ? GRANT_V1_BYTES : GRANT_V2_BYTES;
    const [first, second] = [a, b].map((ref) => memory.read(this.#at(ref), bytes));
    memory.write(this.#at(a), second!);
    memory.write(this.#at(b), first!);
    return GNTST_OKAY;
  }

  /** Serialisable state besides the frames. */
  save(): Record<string, unknown> {
    return {
      frames: this.#frames,
      version: this.#version,
      pins: structuredClone([...this.#pins]),
    };
  }

  restore(state: Record<string, unknown>): void {
    this.#frames = state.frames as number;
    this.#version = state.version as number;
    this.#pins = new Map(structuredClone(state.pins as [number, Pin][]));
  }

  get #entries(): number {
    const perFrame = this.#version === 1 ? GRANT_ENTRIES_PER_FRAME : PAGE_BYTES / GRANT_V2_BYTES;
    return this.#frames * perFrame;
  }

  /** An entry that is in use is good for its user, whatever became of it, but for the right to write. */
  #refusal(ref: number, { domid, kinds, isMap }: GrantUse): number {
    if (ref >= this.#entries) return GNTST_BAD_GNTREF;
    const pin = this.#pins.get(ref);
    if (pin !== undefined) {
      const isFull = kinds.some((kind) => pin.counts[kind] >= MAX_PINS);
      if (pin.domid !== domid || isFull || (isMap && pin.isPart)) return GNTST_GENERAL_ERROR;
    }
    const isWrite = isWriting(kinds);
    const wasWritten = pin !== undefined && pin.counts.write + pin.counts.deviceWrite > 0;
    if (pin !== undefined && (!isWrite || wasWritten)) return GNTST_OKAY;
    const entry = this.#entry(ref);
    if (pin === undefined) {
      const isSubPage = (entry.flags & GTF_SUB_PAGE) !== 0;
      const type = entry.flags & GTF_TYPE_MASK;
      const isPassed = !isMap && this.#version === 2 && type === GTF_TRANSITIVE;
      const isGood = isPassed || (type === GTF_PERMIT_ACCESS && !(isMap && isSubPage));
      if (!isGood || entry.domid !== domid) return GNTST_GENERAL_ERROR;
    }
    return isWrite && (entry.flags & GTF_READONLY) !== 0 ? GNTST_GENERAL_ERROR : GNTST_OKAY;
  }

  /** What an entry that nobody uses yet grants; undefined when that is no page of the domain's. */
  #readPin(ref: number, { domid }: GrantUse): Pin | undefined {
    const { core, guest, memory } = this.#host;
    const { flags, frame } = this.#entry(ref);
    if ((core.exports.xenTypeOf(guest, frame) & (PAGE_OWNED | PAGE_SHARED)) === 0) return undefined;
    const isPart = this.#version === 2 && (flags & GTF_SUB_PAGE) !== 0;
    const at = this.#at(ref);
    return {
      domid,
      mfn: frame,
      offset: isPart ? memory.readU16(at + GRANT_V2_OFFSET) : 0,
      length: isPart ? memory.readU16(at + GRANT_V2_LENGTH) : PAGE_BYTES,
      isPart,
      counts: noCounts(),
    };
  }

  #count(ref: number, pin: Pin, kinds: readonly PinKind[]): void {
    for (const kind of kinds) pin.counts[kind]++;
    this.#pins.set(ref, pin);
    this.#mark(ref);
  }

  #at(ref: number): number {
    const bytes = this.#version === 1 ? GRANT_V1_BYTES : GRANT_V2_BYTES;
    return this.frameMfn(0) * PAGE_BYTES + ref * bytes;
  }

  /** Frames past 4 GiB are nobody's. */
  #entry(ref: number): Entry {
    const { memory } = this.#host;
    const at = this.#at(ref);
    const isWide = this.#version === 2 && memory.readU32(at + GRANT_V2_FRAME + 4) !== 0;
    const frame = memory.readU32(at + (this.#version === 1 ? GRANT_V1_FRAME : GRANT_V2_FRAME));
    return {
      flags: memory.readU16(at + GRANT_V1_FLAGS),
      domid: memory.readU16(at + GRANT_V1_DOMID),
      frame: isWide ? 0xffffffff : frame >>> 0,
    };
  }

  #setEntry(ref: number, entry: Entry): void {
    const { memory } = this.#host;
    const at = this.#at(ref);
    memory.writeU16(at + GRANT_V1_DOMID, entry.domid);
    memory.writeU32(at + (this.#version === 1 ? GRANT_V1_FRAME : GRANT_V2_FRAME), entry.frame);
    memory.writeU16(at + GRANT_V1_FLAGS, entry.flags);
  }

  #setFlags(ref: number, flags: number): void {
    this.#host.memory.writeU16(this.#at(ref) + GRANT_V1_FLAGS, flags);
  }

  /** Where the guest sees that a page is in use: in the entry itself, or in its status word. */
  #mark(ref: number): void {
    const { memory } = this.#host;
    const counts = this.#pins.get(ref)?.counts ?? noCounts();
    const isWritten = counts.write + counts.deviceWrite > 0;
    const isUsed = isWritten || counts.read + counts.deviceRead > 0;
    const bits = (isUsed ? GTF_READING : 0) | (isWritten ? GTF_WRITING : 0);
    if (this.#version === 1) {
      const { flags } = this.#entry(ref);
      this.#setFlags(ref, (flags & ~(GTF_READING | GTF_WRITING)) | bits);
    } else memory.writeU16(this.statusMfn(0) * PAGE_BYTES + 2 * ref, bits);
  }

  #clear(mfn: number, frames: number): void {
    this.#host.memory.fill(mfn * PAGE_BYTES, frames * PAGE_BYTES, 0);
  }
}

function refuse(status: number): GrantedFrame {
  return { status, mfn: 0, offset: 0, length: 0 };
}

function isWriting(kinds: readonly PinKind[]): boolean {
  return kinds.some((kind) => kind === "write" || kind === "deviceWrite");
}

function noCounts(): Record<PinKind, number> {
  return { read: 0, write: 0, deviceRead: 0, deviceWrite: 0 };
}

function isUnused({ counts }: Pin): boolean {
  return counts.read + counts.write + counts.deviceRead + counts.deviceWrite === 0;
}
