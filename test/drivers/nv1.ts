/**
 * Reader and writer of NV1 files: cases recorded on a real processor, as their FORMAT.md describes them.
 * A file is unpacked once; cases are decoded one at a time, because a group holds tens of thousands.
 */
import { gunzipSync, gzipSync } from "node:zlib";

/** x87 and SSE state in FXSAVE's terms: `ftw` has one bit per physical register, `st` is stack-relative. */
export interface FxState {
  readonly fcw: number;
  readonly fsw: number;
  readonly ftw: number;
  readonly mxcsr: number;
  /** Eight of 10 bytes, little-endian. */
  readonly st: readonly Uint8Array[];
  /** Eight of 16 bytes, little-endian. */
  readonly xmm: readonly Uint8Array[];
}

/** Bytes at a linear address. */
export interface MemoryPiece {
  readonly address: number;
  readonly bytes: Uint8Array;
}

/** What the processor holds before or after a case. */
export interface CpuState {
  /** EAX ECX EDX EBX ESP EBP ESI EDI. */
  readonly regs: Uint32Array;
  readonly eip: number;
  /** The arithmetic flags, DF and AC in their EFLAGS places. */
  readonly flags: number;
  /** ES CS SS DS FS GS. */
  readonly segs: readonly number[];
  readonly fx: FxState | undefined;
}

/** Traps of single steps: how many, and a digest of EIP and registers after each. */
export interface Steps {
  readonly count: number;
  readonly trace: number;
}

/** One case: this code, these registers and this memory led to exactly that. */
export interface VectorCase {
  readonly name: string;
  readonly code: Uint8Array;
  readonly isSoft: boolean;
  readonly isApprox: boolean;
  readonly hasSegs: boolean;
  readonly before: CpuState;
  readonly memory: readonly MemoryPiece[];
  readonly vector: number;
  readonly error: number | undefined;
  readonly cr2: number | undefined;
  /** Bits of CR2 to compare where not all. */
  readonly cr2Mask?: number;
  readonly after: CpuState;
  readonly undefinedFlags: number;
  readonly undefinedFsw: number;
  /** Every byte of DATA and STACK that differs from before. */
  readonly changes: readonly MemoryPiece[];
  readonly ignored: readonly { readonly address: number; readonly length: number }[];
  /** Where a case single-steps on after every trap. */
  readonly steps?: Steps;
}

/** The JSON at the head of a file. */
export interface VectorHeader {
  readonly group: string;
  readonly needs: "flat" | "paged" | "ldt";
  readonly names: readonly string[];
  readonly entry: number;
  readonly regDefault: readonly number[];
  readonly fxDefault: {
    readonly fcw: number;
    readonly fsw: number;
    readonly ftw: number;
    readonly mxcsr: number;
    readonly xmm: readonly string[];
  };
  readonly count: number;
}

const MAGIC = "NVEC1\n\0\0";
const ATTR_FX = 1;
const ATTR_SEG = 2;
const ATTR_SOFT = 4;
const ATTR_APPROX = 8;
const MASK_EIP = 0x100;
const MASK_SEGS = 0x200;
const FLAGS_AC = 0x8000;
const EFLAGS_AC = 0x40000;
const FLAT_SEGS = [0x2b, 0x23, 0x2b, 0x2b, 0, 0];
/** Exceptions that push an error code: 8, 10-14, 17. */
const WITH_ERROR = 0x27d00;
const VECTOR_BP = 3;
const VECTOR_PF = 14;

/** Walks little-endian fields. */
class Cursor {
  at: number;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;

  constructor(bytes: Uint8Array, at: number) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.at = at;
  }
  u8(): number {
    this.at += 1;
    return this.#view.getUint8(this.at - 1);
  }
  u16(): number {
    this.at += 2;
    return this.#view.getUint16(this.at - 2, true);
  }
  u32(): number {
    this.at += 4;
    return this.#view.getUint32(this.at - 4, true);
  }
  take(length: number): Uint8Array {
    this.at += length;
    return this.#bytes.subarray(this.at - length, this.at);
  }
  list<T>(item: () => T): T[] {
    return Array.from({ length: this.u8() }, item);
  }
  piece(): MemoryPiece {
    return { address: this.u32(), bytes: this.take(this.u16()) };
  }
  segs(): number[] {
    return Array.from({ length: 6 }, () => this.u16());
  }
  /** Registers that the mask names replace those of `base`. */
  regs(mask: number, base: ArrayLike<number>): Uint32Array {
    const regs = Uint32Array.from(base);
    for (let r = 0; r < 8; r++) if (mask & (1 << r)) regs[r] = this.u32();
    return regs;
  }
  flags(): number {
    const word = this.u16();
    return (word & ~FLAGS_AC) | (word & FLAGS_AC ? EFLAGS_AC : 0);
  }
  fx(base: FxState): FxState {
    const fcw = this.u16();
    const fsw = this.u16();
    const ftw = this.u8();
    const mxcsr = this.u32();
    const stMask = this.u8();
    const xmmMask = this.u8();
    const st = base.st.map((old, i) => (stMask & (1 << i) ? this.take(10) : old));
    const xmm = base.xmm.map((old, i) => (xmmMask & (1 << i) ? this.take(16) : old));
    return { fcw, fsw, ftw, mxcsr, st, xmm };
  }
}

/** A file that is not what FORMAT.md says. */
export class BadVectorFileError extends Error {}

const GZIP_MAGIC = 0x8b1f;

function isHeader(header: Partial<VectorHeader>): header is VectorHeader {
  const { names, regDefault, fxDefault } = header;
  return Array.isArray(names) && Array.isArray(regDefault) && Array.isArray(fxDefault?.xmm);
}

/** The contents of a file that may be compressed, without the magic number. */
function unpack(stored: Uint8Array): { readonly bytes: Buffer; readonly header: VectorHeader } {
  try {
    const plain = Buffer.from(stored.buffer, stored.byteOffset, stored.byteLength);
    const isPacked = plain.length >= 2 && plain.readUInt16LE() === GZIP_MAGIC;
    const bytes = isPacked ? gunzipSync(plain) : plain;
    if (bytes.toString("latin1", 0, MAGIC.length) !== MAGIC)
      throw new Error("another magic number");
    const end = MAGIC.length + 4 + bytes.readUInt32LE(MAGIC.length);
    if (end > bytes.length) throw new Error("it ends within its header");
    const header = JSON.parse(bytes.toString("utf8", MAGIC.length + 4, end));
    if (!isHeader(header)) throw new Error("its header lacks fields");
    return { bytes: bytes.subarray(end), header };
  } catch (error) {
    throw new BadVectorFileError(`not an NV1 file: ${(error as Error).message}`);
  }
}

/** One group. Iterating decodes the cases one by one, and throws BadVectorFileError where one is damaged or missing. */
export class VectorFile implements Iterable<VectorCase> {
  readonly header: VectorHeader;
  readonly #bytes: Uint8Array;
  readonly #fxDefault: FxState;

  /** Takes a file compressed by gzip or as it is. @throws BadVectorFileError when it is no NV1 file. */
  constructor(stored: Uint8Array) {
    const { bytes, header } = unpack(stored);
    this.#bytes = bytes;
    this.header = header;
    const { fcw, fsw, ftw, mxcsr, xmm } = header.fxDefault;
    this.#fxDefault = {
      fcw,
      fsw,
      ftw,
      mxcsr,
      st: Array.from({ length: 8 }, () => new Uint8Array(10)),
      xmm: xmm.map((hex) => new Uint8Array(Buffer.from(hex, "hex"))),
    };
  }

  *[Symbol.iterator](): Generator<VectorCase> {
    for (const [start, end] of this.#records()) yield this.#decode(start, end);
  }

  /** Every `step`-th case from the first on, without decoding the others. */
  *sample(step: number): Generator<VectorCase> {
    let index = 0;
    for (const [start, end] of this.#records())
      if (index++ % step === 0) yield this.#decode(start, end);
  }

  /** A file with every `step`-th record of this one. */
  cut(step: number): Uint8Array {
    const kept = [...this.#records()].filter((_, index) => index % step === 0);
    const header = Buffer.from(JSON.stringify({ ...this.header, count: kept.length }));
    const length = Buffer.alloc(4);
    length.writeUInt32LE(header.length);
    const records = kept.map(([start, end]) => this.#bytes.subarray(start - 2, end));
    return gzipSync(Buffer.concat([Buffer.from(MAGIC, "latin1"), length, header, ...records]), {
      level: 9,
    });
  }

  /** First byte after the size field, and first byte after the record. */
  *#records(): Generator<readonly [number, number]> {
    const cursor = new Cursor(this.#bytes, 0);
    let count = 0;
    for (; cursor.at < this.#bytes.length; count++) {
      const size = cursor.at + 2 <= this.#bytes.length ? cursor.u16() : Number.POSITIVE_INFINITY;
      const end = cursor.at + size;
      if (end > this.#bytes.length)
        throw new BadVectorFileError(`it ends within case ${count + 1} of ${this.header.count}`);
      yield [cursor.at, end];
      cursor.at = end;
    }
    if (count !== this.header.count)
      throw new BadVectorFileError(
        `it has ${count} cases where its header says ${this.header.count}`,
      );
  }

  #decode(start: number, end: number): VectorCase {
    let test: VectorCase | undefined;
    try {
      test = this.#read(start, end);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
    }
    if (test === undefined) throw new BadVectorFileError(`its record at byte ${start} is damaged`);
    return test;
  }

  /** @returns undefined for a record of another length than its contents have. */
  #read(start: number, end: number): VectorCase | undefined {
    const c = new Cursor(this.#bytes, start);
    const attr = c.u8();
    const name = this.header.names[c.u16()] ?? "?";
    const code = c.take(c.u8());
    const hasSegs = (attr & ATTR_SEG) !== 0;

    const inMask = c.u16();
    const regs = c.regs(inMask, this.header.regDefault);
    const eip = inMask & MASK_EIP ? c.u32() : this.header.entry;
    const flags = c.flags();
    const segs = hasSegs ? c.segs() : FLAT_SEGS;
    const fx = attr & ATTR_FX ? c.fx(this.#fxDefault) : undefined;
    const memory = c.list(() => c.piece());

    const vector = c.u8();
    const error = (WITH_ERROR >>> vector) & 1 ? c.u32() : undefined;
    const cr2 = vector === VECTOR_PF ? c.u32() : undefined;
    const outMask = c.u16();
    const outRegs = c.regs(outMask, regs);
    const usualEip = vector === VECTOR_BP ? eip + code.length : eip;
    const outEip = outMask & MASK_EIP ? c.u32() : usualEip;
    const outSegs = outMask & MASK_SEGS ? c.segs() : segs;
    const outFlags = c.flags();
    const undefinedFlags = c.flags();
    const outFx = fx === undefined ? undefined : c.fx(fx);
    const undefinedFsw = fx === undefined ? 0 : c.u16();
    const changes = c.list(() => c.piece());
    const ignored = c.list(() => ({ address: c.u32(), length: c.u16() }));
    if (c.at !== end) return undefined;
    return {
      name,
      code,
      isSoft: (attr & ATTR_SOFT) !== 0,
      isApprox: (attr & ATTR_APPROX) !== 0,
      hasSegs,
      before: { regs, eip, flags, segs, fx },
      memory,
      vector,
      error,
      cr2,
      after: { regs: outRegs, eip: outEip, flags: outFlags, segs: outSegs, fx: outFx },
      undefinedFlags,
      undefinedFsw,
      changes,
      ignored,
    };
  }
}
