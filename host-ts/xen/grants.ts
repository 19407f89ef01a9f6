/**
 * The grant table of one domain: frames that the guest maps and in which it says which of its pages the Host may use. Version 1, entries of
 * 8 bytes, or version 2, entries of 16 and a status word each; the guest chooses while it has granted nothing.
 *
 * Source: Xen's public grant_table.h. Status values are GNTST_*.
 */
import { PAGE_BYTES } from "../../abi/memory.ts";
import {
  GNTST_BAD_GNTREF,
  GNTST_BAD_PAGE,
  GNTST_GENERAL_ERROR,
  GNTST_OKAY,
  GNTST_PERMISSION_DENIED,
  GNTTAB_NR_RESERVED_ENTRIES,
  GRANT_ENTRIES_PER_FRAME,
  GRANT_MAX_FRAMES,
  GTF_PERMIT_ACCESS,
  GTF_READING,
  GTF_READONLY,
  GTF_TYPE_MASK,
  GTF_WRITING,
  XEN_EBUSY,
  XEN_EINVAL,
} from "../../abi/xen.ts";
import {
  GRANT_V1_BYTES,
  GRANT_V1_DOMID,
  GRANT_V1_FLAGS,
  GRANT_V1_FRAME,
  GRANT_V2_BYTES,
  GRANT_V2_FRAME,
} from "../../abi/xen-layout.ts";
import type { PersonalityHost } from "../base/personality.ts";
import type { MachineMap } from "./machine-map.ts";

const HOST_DOMID = 0;
const STATUS_PER_FRAME = PAGE_BYTES / 2;

interface Uses {
  /** Machine frame, whatever the entry names by now. */
  readonly mfn: number;
  readers: number;
  writers: number;
}

/** A page that the guest lets the Host use. */
export interface GrantedPage {
  readonly status: number;
  /** Machine address of the page; 0 when `status` is not GNTST_OKAY. */
  readonly gpa: number;
}

/** See the file header. */
export class GrantTable {
  readonly #host: PersonalityHost;
  readonly #map: MachineMap;
  readonly #domid: number;
  #frames = 1;
  #version = 1;
  /** Uses by the Host, by reference. */
  #uses = new Map<number, Uses>();

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

  /** Frames of status words that the table needs. */
  get statusFrames(): number {
    return Math.ceil((this.#frames * (PAGE_BYTES / GRANT_V2_BYTES)) / STATUS_PER_FRAME);
  }

  /** Changes the form of the entries. @returns 0 or a negative errno: -EBUSY when pages are granted or in use. */
  setVersion(version: number): number {
    if (version !== 1 && version !== 2) return -XEN_EINVAL;
    if (version === this.#version) return 0;
    if (this.#uses.size > 0) return -XEN_EBUSY;
    const { memory } = this.#host;
    const reserved = [];
    for (let ref = 0; ref < GNTTAB_NR_RESERVED_ENTRIES; ref++) reserved.push(this.#entry(ref));
    for (let ref = GNTTAB_NR_RESERVED_ENTRIES; ref < this.#entries; ref++) {
      if ((this.#entry(ref).flags & GTF_TYPE_MASK) !== 0) return -XEN_EBUSY;
    }
    for (let i = 0; i < this.#frames; i++)
      memory.fill(this.frameMfn(i) * PAGE_BYTES, PAGE_BYTES, 0);
    for (let i = 0; i < this.statusFrames; i++) {
      memory.fill(this.statusMfn(i) * PAGE_BYTES, PAGE_BYTES, 0);
    }
    this.#version = version;
    for (const [ref, entry] of reserved.entries()) this.#setEntry(ref, entry);
    return 0;
  }

  /** A grant of the toolstack's to the Host, for the console and xenstore pages. */
  grantToHost(ref: number, mfn: number): void {
    this.#setEntry(ref, { flags: GTF_PERMIT_ACCESS, domid: HOST_DOMID, frame: mfn });
  }

  /** The Host begins to use a page, and says so in the entry. Nobody makes it a page table meanwhile, if the Host may write. */
  use(ref: number, isWrite: boolean): GrantedPage {
    const page = this.check(ref, isWrite);
    if (page.status !== GNTST_OKAY) return page;
    const uses = this.#uses.get(ref) ?? { mfn: page.gpa / PAGE_BYTES, readers: 0, writers: 0 };
    const { core, vcpu } = this.#host;
    if (core.exports.xenGetFrame(vcpu.ptr, uses.mfn, isWrite ? 1 : 0) !== 0) {
      return { status: GNTST_GENERAL_ERROR, gpa: 0 };
    }
    if (isWrite) uses.writers++;
    else uses.readers++;
    this.#uses.set(ref, uses);
    this.#mark(ref, uses);
    return { status: GNTST_OKAY, gpa: uses.mfn * PAGE_BYTES };
  }

  /** The Host is done with a page that it used. */
  release(ref: number, isWrite: boolean): void {
    const uses = this.#uses.get(ref);
    if (uses === undefined) return;
    if (isWrite) uses.writers--;
    else uses.readers--;
    const { core, vcpu } = this.#host;
    core.exports.xenPutFrame(vcpu.ptr, uses.mfn, isWrite ? 1 : 0);
    if (uses.readers + uses.writers === 0) this.#uses.delete(ref);
    this.#mark(ref, uses);
  }

  /** What a reference grants to the Host now, for a copy that is done at once. */
  check(ref: number, isWrite: boolean): GrantedPage {
    const refuse = (status: number) => ({ status, gpa: 0 });
    if (ref >= this.#entries) return refuse(GNTST_BAD_GNTREF);
    const { flags, domid, frame } = this.#entry(ref);
    if ((flags & GTF_TYPE_MASK) !== GTF_PERMIT_ACCESS) return refuse(GNTST_BAD_GNTREF);
    if (domid !== HOST_DOMID) return refuse(GNTST_PERMISSION_DENIED);
    if (isWrite && (flags & GTF_READONLY) !== 0) return refuse(GNTST_PERMISSION_DENIED);
    const isRam = frame >= this.#map.ramMfn && frame < this.#map.ramMfn + this.#map.ramFrames;
    return isRam ? { status: GNTST_OKAY, gpa: frame * PAGE_BYTES } : refuse(GNTST_BAD_PAGE);
  }

  /** Serialisable state besides the frames. */
  save(): Record<string, unknown> {
    return { frames: this.#frames, version: this.#version, uses: [...this.#uses] };
  }

  restore(state: Record<string, unknown>): void {
    this.#frames = state.frames as number;
    this.#version = state.version as number;
    this.#uses = new Map(structuredClone(state.uses as [number, Uses][]));
  }

  get #entries(): number {
    const perFrame = this.#version === 1 ? GRANT_ENTRIES_PER_FRAME : PAGE_BYTES / GRANT_V2_BYTES;
    return this.#frames * perFrame;
  }

  #at(ref: number): number {
    const bytes = this.#version === 1 ? GRANT_V1_BYTES : GRANT_V2_BYTES;
    return this.frameMfn(0) * PAGE_BYTES + ref * bytes;
  }

  #entry(ref: number): { flags: number; domid: number; frame: number } {
    const { memory } = this.#host;
    const at = this.#at(ref);
    const frame = this.#version === 1 ? GRANT_V1_FRAME : GRANT_V2_FRAME;
    return {
      flags: memory.readU16(at + GRANT_V1_FLAGS),
      domid: memory.readU16(at + GRANT_V1_DOMID),
      frame: memory.readU32(at + frame),
    };
  }

  #setEntry(ref: number, entry: { flags: number; domid: number; frame: number }): void {
    const { memory } = this.#host;
    const at = this.#at(ref);
    memory.writeU16(at + GRANT_V1_DOMID, entry.domid);
    memory.writeU32(at + (this.#version === 1 ? GRANT_V1_FRAME : GRANT_V2_FRAME), entry.frame);
    memory.writeU16(at + GRANT_V1_FLAGS, entry.flags);
  }

  /** Where the guest sees that a page is in use: in the entry itself, or in its status word. */
  #mark(ref: number, uses: Uses): void {
    const { memory } = this.#host;
    const bits =
      (uses.readers + uses.writers > 0 ? GTF_READING : 0) | (uses.writers > 0 ? GTF_WRITING : 0);
    if (this.#version === 1) {
      const at = this.#at(ref) + GRANT_V1_FLAGS;
      memory.writeU16(at, (memory.readU16(at) & ~(GTF_READING | GTF_WRITING)) | bits);
    } else {
      memory.writeU16(this.statusMfn(0) * PAGE_BYTES + 2 * ref, bits);
    }
  }
}
