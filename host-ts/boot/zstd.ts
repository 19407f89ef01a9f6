/**
 * zstd files: the frames are told apart and checked here, fzstd decompresses each.
 *
 * fzstd checks neither sizes nor checksums, and makes room for whatever window a header claims; so every frame's blocks are looked through
 * first, which tells where it ends and how much it can be at most.
 * Source: RFC 8878, 3.1.
 */
import { Decompress } from "fzstd";
import { damaged, tooLarge, UNPACKED_MAX_BYTES, type Unpacked } from "./unpacked.ts";
import { xxh64Low } from "./xxh64.ts";

const MAGIC = 0xfd2fb528;
/** Sixteen magic numbers begin frames that hold no data. */
const SKIPPABLE = 0x184d2a5;
const DESCRIPTOR_AT = 4;
const WINDOW_AT = 5;
const SINGLE_SEGMENT = 0x20;
const HAS_CHECKSUM = 0x04;
const BLOCK_MAX_BYTES = 128 << 10;
const BLOCK_HEADER_BYTES = 3;
const BLOCK_RUN = 1;
const BLOCK_COMPRESSED = 2;
const CHECKSUM_BYTES = 4;

/** One frame, as its headers describe it. */
interface Frame {
  readonly bytes: Uint8Array;
  /** Where the first block is. */
  readonly headerBytes: number;
  readonly isSingleSegment: boolean;
  readonly contentBytes: number | undefined;
  /** No more can come of its blocks. */
  readonly bound: number;
  readonly checksum: number | undefined;
}

/** Unpacks a zstd file into `output`. Throws ImageError for one that is damaged or too large. */
export function unpackZstd(bytes: Uint8Array, output: Unpacked): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  for (let at = 0; at < bytes.length; ) {
    if (at + 8 > bytes.length) throw damaged("zstd");
    const magic = view.getUint32(at, true);
    if (magic >>> 4 === SKIPPABLE) {
      at += 8 + view.getUint32(at + 4, true);
      if (at > bytes.length) throw damaged("zstd");
      continue;
    }
    if (magic !== MAGIC) throw damaged("zstd");
    const frame = readFrame(bytes.subarray(at));
    unpackFrame(frame, output);
    at += frame.bytes.length;
  }
}

/** Finds a frame's end. Throws ImageError when it has none. */
function readFrame(bytes: Uint8Array): Frame {
  const byte = (at: number): number => {
    const value = bytes[at];
    if (value === undefined) throw damaged("zstd");
    return value;
  };
  const number = (at: number, count: number): number => {
    let value = 0;
    for (let i = count - 1; i >= 0; i--) value = value * 256 + byte(at + i);
    return value;
  };
  const descriptor = byte(DESCRIPTOR_AT);
  const isSingleSegment = (descriptor & SINGLE_SEGMENT) !== 0;
  let at = WINDOW_AT + (isSingleSegment ? 0 : 1) + [0, 1, 2, 4][descriptor & 3]!;
  const sizeBytes = [isSingleSegment ? 1 : 0, 2, 4, 8][descriptor >>> 6]!;
  const size = number(at, sizeBytes) + (sizeBytes === 2 ? 256 : 0);
  at += sizeBytes;
  const headerBytes = at;
  let bound = 0;
  for (let isLast = false; !isLast; ) {
    const header = number(at, BLOCK_HEADER_BYTES);
    const type = (header >>> 1) & 3;
    const length = header >>> 3;
    isLast = (header & 1) !== 0;
    if (length > BLOCK_MAX_BYTES || type > BLOCK_COMPRESSED) throw damaged("zstd");
    bound += type === BLOCK_COMPRESSED ? BLOCK_MAX_BYTES : length;
    at += BLOCK_HEADER_BYTES + (type === BLOCK_RUN ? 1 : length);
  }
  const hasChecksum = (descriptor & HAS_CHECKSUM) !== 0;
  const checksum = hasChecksum ? number(at, CHECKSUM_BYTES) : undefined;
  if (hasChecksum) at += CHECKSUM_BYTES;
  if (at > bytes.length) throw damaged("zstd");
  const contentBytes = sizeBytes === 0 ? undefined : size;
  if (contentBytes !== undefined && contentBytes > bound) throw damaged("zstd");
  return {
    bytes: bytes.subarray(0, at),
    headerBytes,
    isSingleSegment,
    contentBytes,
    bound,
    checksum,
  };
}

function unpackFrame(frame: Frame, output: Unpacked): void {
  const start = output.length;
  const most = frame.contentBytes ?? frame.bound;
  if (start + most > UNPACKED_MAX_BYTES) throw tooLarge(UNPACKED_MAX_BYTES);
  try {
    const decompress = new Decompress((piece) => {
      if (output.length - start + piece.length > most) throw damaged("zstd");
      output.append(piece);
    });
    decompress.push(withSmallWindow(frame, most), true);
  } catch (cause) {
    throw damaged("zstd", cause);
  }
  const data = output.view(start);
  const isWhole =
    data.length === (frame.contentBytes ?? data.length) &&
    (frame.checksum === undefined || frame.checksum === xxh64Low(data));
  if (!isWhole) throw damaged("zstd");
}

/** A frame whose header claims no larger window than its contents can fill: fzstd moves the whole window at each block. */
function withSmallWindow(frame: Frame, contentBytes: number): Uint8Array {
  if (frame.isSingleSegment) return frame.bytes;
  const bits = Math.max(17, Math.ceil(Math.log2(Math.max(contentBytes, 1))));
  const descriptor = (bits - 10) << 3;
  if (descriptor >= frame.bytes[WINDOW_AT]!) return frame.bytes;
  const bytes = frame.bytes.slice();
  bytes[WINDOW_AT] = descriptor;
  return bytes;
}
