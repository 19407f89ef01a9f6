/** An image as a gzip file, by what every platform has. Source: RFC 1952. */
import { SnapshotError } from "../../base/errors.ts";

const GZIP = [0x1f, 0x8b];
/** The largest domain with all that stands beside its pages; bounds what a file that lies can make us allocate. */
const UNPACKED_MAX_BYTES = (1024 + 64) * 2 ** 20;

/** Packs an image. */
export async function packImage(image: Uint8Array): Promise<Uint8Array> {
  return await readAll(streamOf(image).pipeThrough(new CompressionStream("gzip")));
}

/** The image inside of what may be packed; one that is not comes back as it is. Throws SnapshotError for a damaged file. */
export async function unpackImage(bytes: Uint8Array): Promise<Uint8Array> {
  if (!GZIP.every((byte, index) => bytes[index] === byte)) return bytes;
  try {
    return await readAll(streamOf(bytes).pipeThrough(new DecompressionStream("gzip")));
  } catch (cause) {
    if (cause instanceof SnapshotError) throw cause;
    throw new SnapshotError("not a usable image of a domain: its gzip data is damaged", { cause });
  }
}

function streamOf(bytes: Uint8Array): ReadableStream<Uint8Array<ArrayBuffer>> {
  return new Blob([bytes as Uint8Array<ArrayBuffer>]).stream();
}

async function readAll(stream: ReadableStream<Uint8Array>): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  let total = 0;
  for await (const piece of stream) {
    total += piece.length;
    if (total > UNPACKED_MAX_BYTES) {
      throw new SnapshotError("not a usable image of a domain: it is larger than any");
    }
    pieces.push(piece);
  }
  const whole = new Uint8Array(total);
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}
