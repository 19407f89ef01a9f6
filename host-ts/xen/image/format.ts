/**
 * A suspended domain as bytes: what `xl save` would put into a file, in a form of our own. Frame numbers in it are pseudo-physical, so it
 * says nothing about the machine that it comes from.
 *
 * A header of 16 bytes, records of a type, a length and a payload that is padded to 8 bytes, and a record with the CRC-32 of all before.
 * All numbers are little-endian.
 */
import { PAGE_BYTES } from "../../../abi/memory.ts";
import { E820_MAX_ENTRIES } from "../../../abi/xen.ts";
import { E820_BYTES, VGC_BYTES } from "../../../abi/xen-layout.ts";
import { PGT_L1, PGT_L2, PGT_L3, PGT_NONE } from "../../../abi/xen-memory.ts";
import { SnapshotError } from "../../base/errors.ts";
import { crc32 } from "../../boot/checksums.ts";
import { type DomainAbout, parseAbout } from "./about.ts";

/** One page of the domain. */
export interface ImagePage {
  readonly pfn: number;
  /** PGT_L1 to PGT_L3 for a page table, whose entries hold pseudo-physical numbers; else PGT_NONE. */
  readonly type: number;
  readonly isPinned: boolean;
  /** Undefined when all of it is zero. */
  readonly bytes: Uint8Array | undefined;
}

/** One vCPU that was up. */
export interface ImageVcpu {
  readonly id: number;
  /** struct vcpu_guest_context, with pseudo-physical numbers. */
  readonly context: Uint8Array;
  /** EXTRA_*: what has no place in that structure, 4 bytes each. */
  readonly extra: Uint8Array;
}

/** A domain at rest. */
export interface DomainImage {
  readonly about: DomainAbout;
  /** In ascending order. */
  readonly pages: readonly ImagePage[];
  /** Pages of the guest's own list of machine frames, in its order. */
  readonly p2mPfns: readonly number[];
  readonly sharedInfo: Uint8Array;
  readonly vcpus: readonly ImageVcpu[];
  /** What was typed and has not come to the guest. */
  readonly consoleInput: Uint8Array;
  /** The domain's map of memory, struct e820entry each; undefined in images that have none: that of a new domain. */
  readonly memoryMap: Uint8Array | undefined;
}

/** Offsets in ImageVcpu.extra. */
export const EXTRA_SYSENTER_CS = 0x00;
export const EXTRA_SYSENTER_EIP = 0x04;
export const EXTRA_SYSCALL_CS = 0x08;
export const EXTRA_SYSCALL_EIP = 0x0c;
/** Bit n: callback of type n is entered with the upcall mask set. */
export const EXTRA_CALLBACK_MASKS = 0x10;
export const EXTRA_CPUID_FAULTING = 0x14;
export const EXTRA_TSC_AUX = 0x18;
export const EXTRA_BYTES = 0x20;

/** Entries of the guest's list of machine frames in one page. */
export const P2M_ENTRIES_PER_PAGE = PAGE_BYTES / 4;

const MAGIC = "wvdomain";
const VERSION = 1;
const HEADER_BYTES = 16;
const RECORD_HEADER_BYTES = 8;
const ALIGNMENT = 8;

const RECORD_END = 0;
const RECORD_ABOUT = 1;
const RECORD_P2M = 2;
const RECORD_SHARED_INFO = 3;
const RECORD_VCPU = 4;
const RECORD_PAGES = 5;
/** Left out when there is none. */
const RECORD_CONSOLE_INPUT = 6;
const RECORD_MEMORY_MAP = 7;

/** A page's word in RECORD_PAGES: its number, PGT_*, and flags. */
const PAGE_PFN = 0x00ffffff;
const PAGE_TYPE_SHIFT = 24;
const PAGE_TYPE = 0xf;
const PAGE_IS_PINNED = 0x10000000;
const PAGE_IS_ZERO = 0x80000000;
const PAGE_FLAGS = 0x9fffffff;
const PAGES_PER_RECORD = 4096;
/** More than the largest domain's image has; bounds what a small packed file can make of us. */
const RECORDS_MAX = 1024;
const PAGE_TYPES: readonly number[] = [PGT_NONE, PGT_L1, PGT_L2, PGT_L3];

/** @returns the image as bytes. */
export function encodeImage(image: DomainImage): Uint8Array {
  const pieces: Uint8Array[] = [header()];
  const add = (type: number, ...payload: Uint8Array[]) => pieces.push(...record(type, payload));
  add(RECORD_ABOUT, new TextEncoder().encode(JSON.stringify(image.about)));
  add(RECORD_P2M, words(image.p2mPfns));
  add(RECORD_SHARED_INFO, image.sharedInfo);
  if (image.consoleInput.length > 0) add(RECORD_CONSOLE_INPUT, image.consoleInput);
  if (image.memoryMap !== undefined) add(RECORD_MEMORY_MAP, image.memoryMap);
  for (const { id, context, extra } of image.vcpus) {
    add(RECORD_VCPU, words([id, 0]), context, extra);
  }
  for (let from = 0; from < image.pages.length; from += PAGES_PER_RECORD) {
    const pages = image.pages.slice(from, from + PAGES_PER_RECORD);
    const data = pages.flatMap(({ bytes }) => bytes ?? []);
    add(RECORD_PAGES, words([pages.length, 0, ...pages.map(pageWord)]), ...data);
  }
  const body = join(pieces);
  return join([body, ...record(RECORD_END, [words([crc32(body)])])]);
}

/**
 * The image that bytes hold, as views into them.
 * @throws SnapshotError for bytes that are no image, of another version, cut short, damaged, or that contradict themselves
 */
export function decodeImage(bytes: Uint8Array): DomainImage {
  const records = readRecords(bytes);
  const atMostOne = (type: number, name: string): Uint8Array | undefined => {
    const [first, ...more] = records.filter((each) => each.type === type);
    if (more.length > 0) throw bad(`it has more than one ${name}`);
    return first?.payload;
  };
  const only = (type: number, name: string): Uint8Array => {
    const payload = atMostOne(type, name);
    if (payload === undefined) throw bad(`it has no ${name}`);
    return payload;
  };
  const of = (type: number) =>
    records.filter((each) => each.type === type).map(({ payload }) => payload);
  const about = parseAbout(only(RECORD_ABOUT, "description"));
  const sharedInfo = only(RECORD_SHARED_INFO, "shared_info");
  if (sharedInfo.length !== PAGE_BYTES) throw bad("its shared_info is no page");
  const list = only(RECORD_P2M, "list of machine frames");
  if (list.length !== 4 * Math.ceil(about.pfns / P2M_ENTRIES_PER_PAGE)) {
    throw bad("its list of machine frames has another length than it says");
  }
  const p2mPfns = readWords(list);
  const image = {
    about,
    p2mPfns,
    sharedInfo,
    vcpus: of(RECORD_VCPU).map(readVcpu),
    pages: of(RECORD_PAGES).flatMap(readPages),
    consoleInput: atMostOne(RECORD_CONSOLE_INPUT, "console input") ?? new Uint8Array(0),
    memoryMap: atMostOne(RECORD_MEMORY_MAP, "map of memory"),
  };
  checkPages(image);
  checkMemoryMap(image);
  checkVcpus(image);
  return image;
}

/** What an image says of its domain, without looking at the rest. Throws like decodeImage. */
export function aboutImage(bytes: Uint8Array): DomainAbout {
  const first = readRecord(bytes, checkHeader(bytes));
  if (first.type !== RECORD_ABOUT) throw bad("it does not begin with a description");
  return parseAbout(first.payload);
}

function checkMemoryMap({ memoryMap }: DomainImage): void {
  const bytes = memoryMap?.length ?? 0;
  if (bytes % E820_BYTES !== 0 || bytes > E820_MAX_ENTRIES * E820_BYTES) {
    throw bad("its map of memory has a length that none has");
  }
}

function checkPages({ about, pages, p2mPfns }: DomainImage): void {
  let last = -1;
  for (const { pfn } of pages) {
    if (pfn <= last || pfn >= about.pfns) throw bad(`page ${pfn} stands where none can`);
    last = pfn;
  }
  if (pages.length * PAGE_BYTES > about.memoryBytes) throw bad("it has more pages than memory");
  for (const pfn of p2mPfns) {
    if (pfn >= about.pfns) throw bad(`its list of machine frames has a part in page ${pfn}`);
  }
}

function checkVcpus({ about, vcpus }: DomainImage): void {
  const ids = new Set(vcpus.map(({ id }) => id));
  if (ids.size !== vcpus.length || vcpus.some(({ id }) => id >= about.vcpus)) {
    throw bad("its vCPUs have numbers that they cannot have");
  }
  if (!ids.has(about.caller)) throw bad(`vCPU ${about.caller}, which suspended it, is missing`);
}

function pageWord({ pfn, type, isPinned, bytes }: ImagePage): number {
  const flags = (isPinned ? PAGE_IS_PINNED : 0) | (bytes === undefined ? PAGE_IS_ZERO : 0);
  return pfn | (type << PAGE_TYPE_SHIFT) | flags;
}

function readPages(payload: Uint8Array): ImagePage[] {
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
  const count = payload.length < 8 ? 0 : view.getUint32(0, true);
  if (count > PAGES_PER_RECORD) throw bad(`a record has more than ${PAGES_PER_RECORD} pages`);
  let at = 8 + 4 * count;
  if (at > payload.length) throw bad("a record of pages ends early");
  const pages = Array.from({ length: count }, (_, i): ImagePage => {
    const word = view.getUint32(8 + 4 * i, true);
    const type = (word >>> PAGE_TYPE_SHIFT) & PAGE_TYPE;
    const isZero = (word & PAGE_IS_ZERO) !== 0;
    const isPinned = (word & PAGE_IS_PINNED) !== 0;
    const isOdd = (word & ~PAGE_FLAGS) !== 0 || (isPinned && type === PGT_NONE);
    if (isOdd || !PAGE_TYPES.includes(type)) {
      throw bad(`page ${word & PAGE_PFN} is of a kind that there is not`);
    }
    const bytes = isZero ? undefined : payload.subarray(at, at + PAGE_BYTES);
    if (!isZero) at += PAGE_BYTES;
    return { pfn: word & PAGE_PFN, type, isPinned, bytes };
  });
  if (at !== payload.length) throw bad("a record of pages has another length than it says");
  return pages;
}

function readVcpu(payload: Uint8Array): ImageVcpu {
  if (payload.length !== 8 + VGC_BYTES + EXTRA_BYTES) throw bad("a vCPU has the wrong size");
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
  return {
    id: view.getUint32(0, true),
    context: payload.subarray(8, 8 + VGC_BYTES),
    extra: payload.subarray(8 + VGC_BYTES),
  };
}

interface ImageRecord {
  readonly type: number;
  readonly payload: Uint8Array;
  /** Where the next one begins. */
  readonly end: number;
}

function readRecords(bytes: Uint8Array): ImageRecord[] {
  const records: ImageRecord[] = [];
  for (let at = checkHeader(bytes); ; ) {
    const record = readRecord(bytes, at);
    if (record.type === RECORD_END) {
      if (readWords(record.payload.subarray(0, 4))[0] !== crc32(bytes.subarray(0, at))) {
        throw bad("its checksum is wrong, so it is damaged");
      }
      if (record.end !== bytes.length) throw bad("something follows its end");
      return records;
    }
    if (records.length === RECORDS_MAX) throw bad(`it has more than ${RECORDS_MAX} records`);
    records.push(record);
    at = record.end;
  }
}

function readRecord(bytes: Uint8Array, at: number): ImageRecord {
  if (at + RECORD_HEADER_BYTES > bytes.length) throw bad("it ends early");
  const view = new DataView(bytes.buffer, bytes.byteOffset + at, RECORD_HEADER_BYTES);
  const type = view.getUint32(0, true);
  const length = view.getUint32(4, true);
  const start = at + RECORD_HEADER_BYTES;
  const end = start + roundUp(length);
  if (end > bytes.length) throw bad("it ends early");
  if (type > RECORD_MEMORY_MAP) throw bad(`it has a record of the unknown type ${type}`);
  return { type, payload: bytes.subarray(start, start + length), end };
}

/** @returns where the records begin. */
function checkHeader(bytes: Uint8Array): number {
  const magic = String.fromCharCode(...bytes.subarray(0, MAGIC.length));
  if (magic !== MAGIC) throw bad("it does not begin as one");
  if (bytes.length < HEADER_BYTES) throw bad("it ends early");
  const version = new DataView(bytes.buffer, bytes.byteOffset).getUint32(MAGIC.length, true);
  if (version !== VERSION) {
    throw bad(`it is of version ${version}, and this program reads version ${VERSION}`);
  }
  return HEADER_BYTES;
}

function header(): Uint8Array {
  const bytes = new Uint8Array(HEADER_BYTES);
  bytes.set(new TextEncoder().encode(MAGIC));
  new DataView(bytes.buffer).setUint32(MAGIC.length, VERSION, true);
  return bytes;
}

function record(type: number, payload: readonly Uint8Array[]): Uint8Array[] {
  const length = payload.reduce((sum, piece) => sum + piece.length, 0);
  return [words([type, length]), ...payload, new Uint8Array(roundUp(length) - length)];
}

function words(values: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(4 * values.length);
  const view = new DataView(bytes.buffer);
  for (const [i, value] of values.entries()) view.setUint32(4 * i, value, true);
  return bytes;
}

function readWords(bytes: Uint8Array): number[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Array.from({ length: bytes.length >>> 2 }, (_, i) => view.getUint32(4 * i, true));
}

function join(pieces: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}

function roundUp(length: number): number {
  return Math.ceil(length / ALIGNMENT) * ALIGNMENT;
}

/** What is wrong with bytes that should be a domain's image. */
function bad(what: string): SnapshotError {
  return new SnapshotError(`not a usable image of a domain: ${what}`);
}
