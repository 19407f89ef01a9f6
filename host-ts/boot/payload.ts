/**
 * Kernels that come packed: as a gzip file, or as the payload of a bzImage. Who builds a domain around an ELF file unpacks them first, with
 * what every platform has.
 * Source: RFC 1952; Documentation/x86/boot.txt, "payload_offset".
 */
import { ImageError } from "../base/errors.ts";
import { isBzImage } from "./bzimage.ts";
import { badField, FieldReader, hex } from "./fields.ts";

const SETUP_SECTS = 0x1f1;
const VERSION = 0x206;
const PAYLOAD_OFFSET = 0x248;
const PAYLOAD_LENGTH = 0x24c;
/** First protocol whose header says where the payload is. */
const VERSION_PAYLOAD = 0x0208;
const SECTOR = 512;
/** More than any kernel; bounds what a file that lies can make us allocate. */
const UNPACKED_MAX_BYTES = 512 << 20;

const GZIP = [0x1f, 0x8b];
/** Formats that no platform unpacks by itself, and the program that does. */
const OTHERS: readonly (readonly [magic: readonly number[], name: string, program: string])[] = [
  [[0xfd, 0x37, 0x7a, 0x58, 0x5a], "xz", "unxz"],
  [[0x28, 0xb5, 0x2f, 0xfd], "zstd", "unzstd"],
  [[0x42, 0x5a, 0x68], "bzip2", "bunzip2"],
  [[0x5d, 0x00, 0x00], "lzma", "unlzma"],
  [[0x02, 0x21, 0x4c, 0x18], "lz4", "unlz4"],
];

/**
 * The kernel inside of what may be packed; a file that is not comes back as it is.
 * @throws ImageError for a damaged file, or one packed in a way that cannot be unpacked here
 */
export async function unpackKernel(bytes: Uint8Array): Promise<Uint8Array> {
  if (isBzImage(bytes)) return await unpackKernel(payloadOf(bytes));
  if (startsWith(bytes, GZIP)) return await gunzip(bytes);
  const other = OTHERS.find(([magic]) => startsWith(bytes, magic));
  if (other === undefined) return bytes;
  const [, name, program] = other;
  throw new ImageError(
    `kernel: it is packed with ${name}, which cannot be unpacked here; unpack it first (${program})`,
    "HV_IMAGE_UNSUPPORTED",
  );
}

function startsWith(bytes: Uint8Array, magic: readonly number[]): boolean {
  return magic.every((byte, index) => bytes[index] === byte);
}

/** The compressed kernel that a bzImage carries. */
function payloadOf(bytes: Uint8Array): Uint8Array {
  const file = new FieldReader(bytes, "bzImage");
  const version = file.u16(VERSION, "version");
  if (version < VERSION_PAYLOAD) {
    throw badField("bzImage", "version", hex(version), `${hex(VERSION_PAYLOAD)} or later`);
  }
  const start = ((file.u8(SETUP_SECTS, "setup_sects") || 4) + 1) * SECTOR;
  const offset = start + file.u32(PAYLOAD_OFFSET, "payload_offset");
  const payload = file.slice(offset, file.u32(PAYLOAD_LENGTH, "payload_length"), "payload_length");
  if (!isBzImage(payload)) return payload;
  throw badField("bzImage", "payload_offset", "another bzImage", "a compressed kernel");
}

async function gunzip(bytes: Uint8Array): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  let total = 0;
  try {
    const stream = new Blob([bytes.slice()]).stream().pipeThrough(new DecompressionStream("gzip"));
    for (const reader = stream.getReader(); ; ) {
      const { done, value } = await reader.read();
      if (done) break;
      total += value.length;
      if (total > UNPACKED_MAX_BYTES) break;
      pieces.push(value);
    }
  } catch (cause) {
    throw new ImageError("kernel: its gzip data is damaged", "HV_IMAGE", { cause });
  }
  if (total > UNPACKED_MAX_BYTES) {
    throw new ImageError("kernel: unpacked it is more than 512 MiB", "HV_IMAGE_TOO_LARGE");
  }
  const whole = new Uint8Array(total);
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}
