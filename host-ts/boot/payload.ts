/**
 * Kernels and initial RAM disks that come packed: as a file of one of the usual formats, or as the payload of a bzImage. Who builds a
 * domain around an ELF file unpacks them first.
 * Source: RFC 1952; Documentation/x86/boot.txt, "payload_offset"; the sizes behind payloads are appended by Linux's makefiles.
 */
import { HypervisorError, ImageError } from "../base/errors.ts";
import { isBzImage } from "./bzimage.ts";
import { badField, FieldReader, hex } from "./fields.ts";
import { unpackLzma } from "./lzma.ts";
import { damaged, Unpacked } from "./unpacked.ts";
import { unpackXz } from "./xz.ts";
import { unpackZstd } from "./zstd.ts";

const SETUP_SECTS = 0x1f1;
const VERSION = 0x206;
const PAYLOAD_OFFSET = 0x248;
const PAYLOAD_LENGTH = 0x24c;
/** First protocol whose header says where the payload is. */
const VERSION_PAYLOAD = 0x0208;
const SECTOR = 512;

/** Files in files; nobody packs a kernel more often than this. */
const LAYERS_MAX = 4;

/** A format, known by how it begins. */
interface Format {
  readonly name: string;
  readonly magic: readonly number[];
  readonly unpack: (bytes: Uint8Array, output: Unpacked) => void | Promise<void>;
  /** Ends with the unpacked size by itself, so that a payload has none behind it. */
  readonly endsWithSize?: true;
}

const FORMATS: readonly Format[] = [
  { name: "gzip", magic: [0x1f, 0x8b], unpack: unpackGzip, endsWithSize: true },
  { name: "xz", magic: [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0], unpack: unpackXz },
  { name: "zstd", magic: [0x28, 0xb5, 0x2f, 0xfd], unpack: unpackZstd },
  { name: "lzma", magic: [0x5d, 0, 0], unpack: unpackLzma },
];

/** Formats that are not unpacked here, and the program that does. */
const OTHERS: readonly (readonly [magic: readonly number[], name: string, program: string])[] = [
  [[0x42, 0x5a, 0x68], "bzip2", "bunzip2"],
  [[0x02, 0x21, 0x4c, 0x18], "lz4", "unlz4"],
  [[0x04, 0x22, 0x4d, 0x18], "lz4", "unlz4"],
  [[0x89, 0x4c, 0x5a, 0x4f], "lzop", "lzop -d"],
];

/**
 * The kernel inside of what may be packed, several times over; a file that is not comes back as it is.
 * @throws ImageError for a damaged file, one packed in a way that cannot be unpacked here, or HV_IMAGE_TOO_LARGE past 512 MiB
 */
export async function unpackKernel(bytes: Uint8Array): Promise<Uint8Array> {
  let kernel = bytes;
  for (let layer = 0; layer < LAYERS_MAX; layer++) {
    const inner = isBzImage(kernel) ? await unpackPayload(kernel) : await unpackFile(kernel);
    if (inner === kernel) return kernel;
    kernel = inner;
  }
  throw new ImageError(
    `kernel: it is packed more than ${LAYERS_MAX} times`,
    "HV_IMAGE_UNSUPPORTED",
  );
}

async function unpackFile(bytes: Uint8Array): Promise<Uint8Array> {
  const format = FORMATS.find(({ magic }) => startsWith(bytes, magic));
  if (format !== undefined) return await unpack("kernel", format, bytes);
  refuseOthers(bytes, "unpack it first");
  return bytes;
}

/** The kernel that a bzImage carries: a packed file, and behind it the unpacked size where the format says none. */
async function unpackPayload(image: Uint8Array): Promise<Uint8Array> {
  const payload = payloadOf(image);
  const format = FORMATS.find(({ magic }) => startsWith(payload, magic));
  if (format === undefined) {
    refuseOthers(payload, "hand over its vmlinux, as Linux's extract-vmlinux gets it");
    return payload;
  }
  if (format.endsWithSize) return await unpack("bzImage", format, payload);
  const end = payload.length - 4;
  const size = new FieldReader(payload, "bzImage").u32(end, "payload_length");
  const kernel = await unpack("bzImage", format, payload.subarray(0, end));
  if (kernel.length === size) return kernel;
  throw badField("bzImage", "payload's size", String(size), String(kernel.length));
}

/** @param what begins a message */
async function unpack(what: string, format: Format, bytes: Uint8Array): Promise<Uint8Array> {
  const output = new Unpacked();
  try {
    await format.unpack(bytes, output);
  } catch (error) {
    if (!(error instanceof HypervisorError)) throw error;
    throw new ImageError(`${what}: ${error.message}`, error.code, { cause: error });
  }
  return output.view().slice();
}

function refuseOthers(bytes: Uint8Array, advice: string): void {
  const other = OTHERS.find(([magic]) => startsWith(bytes, magic));
  if (other === undefined) return;
  const [, name, program] = other;
  throw new ImageError(
    `kernel: it is packed with ${name}, which cannot be unpacked here; ${advice} (${program})`,
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

async function unpackGzip(bytes: Uint8Array, output: Unpacked): Promise<void> {
  const packed = new Blob([bytes.slice()]).stream().pipeThrough(new DecompressionStream("gzip"));
  const reader = packed.getReader();
  for (;;) {
    const piece = await reader.read().catch((cause) => {
      throw damaged("gzip", cause);
    });
    if (piece.done) return;
    try {
      output.append(piece.value);
    } catch (error) {
      await reader.cancel();
      throw error;
    }
  }
}
