/**
 * The container .xz: streams of blocks, each with a chain of filters, checked as they say. Known filters are LZMA2 and the one for x86
 * code, which is what kernels are packed with.
 *
 * Source: Lasse Collin's "The .xz File Format" (public domain), sections 2 to 6; XZ Embedded's description of LZMA2 chunks.
 */
import { ImageError } from "../base/errors.ts";
import { crc32, crc64, sha256 } from "./checksums.ts";
import { LzmaDecoder } from "./lzma.ts";
import { damaged, type Unpacked } from "./unpacked.ts";
import { unfilterX86 } from "./x86-filter.ts";

const HEADER_BYTES = 12;
const FOOTER_BYTES = 12;
const FOOTER_MAGIC = [0x59, 0x5a];
/** Sizes of the sixteen kinds of check. */
const CHECK_BYTES = [0, 4, 4, 4, 8, 8, 8, 16, 16, 16, 32, 32, 32, 64, 64, 64];
const CHECK_CRC32 = 1;
const CHECK_CRC64 = 4;
const CHECK_SHA256 = 10;
const FILTER_X86 = 0x04;
const FILTER_LZMA2 = 0x21;
const HAS_COMPRESSED_SIZE = 0x40;
const HAS_UNCOMPRESSED_SIZE = 0x80;
const RESERVED_FLAGS = 0x3c;

/** Control bytes of LZMA2 chunks. */
const CHUNK_END = 0;
const CHUNK_PLAIN_RESET = 1;
const CHUNK_PLAIN = 2;
const CHUNK_LZMA = 0x80;
/** Of an LZMA chunk, how much begins anew: the state, also the properties, also the dictionary. */
const RESET_STATE = 1;
const RESET_PROPERTIES = 2;
const RESET_ALL = 3;

/** Unpacks an .xz file into `output`. Throws ImageError for one that is damaged, too large, or filtered in another way. */
export async function unpackXz(bytes: Uint8Array, output: Unpacked): Promise<void> {
  const file = new Cursor(bytes);
  while (file.left > 0) {
    await unpackStream(file, output);
    // Streams may be padded with zeroes to a multiple of 4.
    while (file.left >= 4 && file.peek() === 0) file.skipZeroes(4);
  }
}

interface BlockSizes {
  readonly unpadded: number;
  readonly uncompressed: number;
}

async function unpackStream(file: Cursor, output: Unpacked): Promise<void> {
  const header = file.take(HEADER_BYTES);
  const flags = header.subarray(6, 8);
  if (flags[0] !== 0 || flags[1]! > 15 || crc32(flags) !== wordAt(header, 8)) throw damaged("xz");
  const check = flags[1]!;
  const blocks: BlockSizes[] = [];
  while (file.peek() !== 0) blocks.push(await unpackBlock(file, check, output));
  const indexAt = file.at;
  readIndex(file, blocks);
  const indexBytes = file.at - indexAt;
  const footer = file.take(FOOTER_BYTES);
  const isWhole =
    crc32(footer.subarray(4, 10)) === wordAt(footer, 0) &&
    (wordAt(footer, 4) + 1) * 4 === indexBytes &&
    footer[8] === flags[0] &&
    footer[9] === flags[1] &&
    FOOTER_MAGIC.every((byte, i) => footer[10 + i] === byte);
  if (!isWhole) throw damaged("xz");
}

async function unpackBlock(file: Cursor, check: number, output: Unpacked): Promise<BlockSizes> {
  const start = file.at;
  const header = new Cursor(file.take((file.peek() + 1) * 4 - 4));
  if (crc32(header.bytes) !== wordAt(file.take(4), 0)) throw damaged("xz");
  header.take(1);
  const flags = header.byte();
  if ((flags & RESERVED_FLAGS) !== 0) throw damaged("xz");
  const compressed = (flags & HAS_COMPRESSED_SIZE) === 0 ? undefined : header.number();
  const uncompressed = (flags & HAS_UNCOMPRESSED_SIZE) === 0 ? undefined : header.number();
  const filters = Array.from({ length: (flags & 3) + 1 }, () => {
    const id = header.number();
    return { id, properties: header.take(header.number()) };
  });
  header.skipZeroes(header.left);
  if (uncompressed !== undefined) output.reserve(uncompressed);

  const [last, ...before] = filters.reverse();
  const unknown = [last!, ...before].find(
    ({ id }, i) => id !== (i === 0 ? FILTER_LZMA2 : FILTER_X86),
  );
  if (unknown !== undefined) {
    throw new ImageError(
      `its xz data is packed with filter 0x${unknown.id.toString(16)}, which cannot be undone here; unpack it first (unxz)`,
      "HV_IMAGE_UNSUPPORTED",
    );
  }
  const dataAt = file.at;
  const outputAt = output.length;
  unpackLzma2(file, output);
  const dataBytes = file.at - dataAt;
  const data = output.view(outputAt);
  for (const { properties } of before) {
    unfilterX86(data, properties.length === 4 ? wordAt(properties, 0) : 0);
  }
  const isAsAnnounced =
    (compressed ?? dataBytes) === dataBytes && (uncompressed ?? data.length) === data.length;
  if (!isAsAnnounced) throw damaged("xz");
  file.skipZeroes(-dataBytes & 3);
  const found = file.take(CHECK_BYTES[check]!);
  const wanted = await checkOf(check, data);
  if (wanted?.some((byte, i) => byte !== found[i])) throw damaged("xz");
  return { unpadded: file.at - start - (-dataBytes & 3), uncompressed: data.length };
}

/** The check of unpacked data, undefined for a kind that has no meaning yet, which a reader may pass over. */
async function checkOf(kind: number, data: Uint8Array): Promise<Uint8Array | undefined> {
  if (kind === CHECK_CRC32) return new Uint8Array(Uint32Array.of(crc32(data)).buffer);
  if (kind === CHECK_CRC64) return crc64(data);
  return kind === CHECK_SHA256 ? await sha256(data) : undefined;
}

/** The index repeats the sizes of all blocks. */
function readIndex(file: Cursor, blocks: readonly BlockSizes[]): void {
  const start = file.at;
  file.take(1);
  let isRight = file.number() === blocks.length;
  for (const { unpadded, uncompressed } of isRight ? blocks : []) {
    if (file.number() !== unpadded) isRight = false;
    if (file.number() !== uncompressed) isRight = false;
  }
  if (!isRight) throw damaged("xz");
  file.skipZeroes((start - file.at) & 3);
  const index = file.bytes.subarray(start, file.at);
  if (crc32(index) !== wordAt(file.take(4), 0)) throw damaged("xz");
}

function unpackLzma2(file: Cursor, output: Unpacked): void {
  const decoder = new LzmaDecoder("xz", file.bytes, output);
  let hasDictionary = false;
  let hasProperties = false;
  for (let control = file.byte(); control !== CHUNK_END; control = file.byte()) {
    if (control === CHUNK_PLAIN_RESET || control >= CHUNK_LZMA + (RESET_ALL << 5)) {
      decoder.resetDictionary();
      hasDictionary = true;
    }
    if (!hasDictionary) throw damaged("xz");
    if (control === CHUNK_PLAIN_RESET || control === CHUNK_PLAIN) {
      output.append(file.take(file.bigEndian16() + 1));
      continue;
    }
    if (control < CHUNK_LZMA) throw damaged("xz");
    const reset = (control >>> 5) & 3;
    const unpackedBytes = ((control & 0x1f) << 16) + file.bigEndian16() + 1;
    const packedBytes = file.bigEndian16() + 1;
    if (reset >= RESET_PROPERTIES) decoder.setProperties(file.byte());
    else if (reset === RESET_STATE && hasProperties) decoder.resetState();
    hasProperties ||= reset >= RESET_PROPERTIES;
    if (!hasProperties) throw damaged("xz");
    const start = file.at;
    file.take(packedBytes);
    output.reserve(unpackedBytes);
    const end = output.length + unpackedBytes;
    decoder.startRange(start, file.at);
    decoder.decode(end);
    const isWhole = decoder.isFinished && decoder.position === file.at && output.length === end;
    if (!isWhole) throw damaged("xz");
  }
}

function wordAt(bytes: Uint8Array, at: number): number {
  return new DataView(bytes.buffer, bytes.byteOffset + at, 4).getUint32(0, true);
}

/** Reads forward; whatever reaches past the end is damage. */
class Cursor {
  readonly bytes: Uint8Array;
  at = 0;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  get left(): number {
    return this.bytes.length - this.at;
  }

  take(count: number): Uint8Array {
    if (!(count <= this.left)) throw damaged("xz");
    this.at += count;
    return this.bytes.subarray(this.at - count, this.at);
  }

  peek(): number {
    const byte = this.bytes[this.at];
    if (byte === undefined) throw damaged("xz");
    return byte;
  }

  byte(): number {
    return this.take(1)[0]!;
  }

  bigEndian16(): number {
    const [high, low] = this.take(2);
    return (high! << 8) | low!;
  }

  /** A number in groups of 7 bits, the lowest first; larger than a safe integer, it can only be wrong. */
  number(): number {
    let value = 0;
    for (let shift = 0; shift < 56; shift += 7) {
      const byte = this.byte();
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
    throw damaged("xz");
  }

  skipZeroes(count: number): void {
    if (this.take(count).some((byte) => byte !== 0)) throw damaged("xz");
  }
}
