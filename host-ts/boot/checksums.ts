/** The checks by which packed files tell that they are whole. */

const CRC32_POLYNOMIAL = 0xedb88320;
/** Halves of CRC-64's polynomial (ECMA-182, reflected). */
const CRC64_LOW = 0xd7870f42;
const CRC64_HIGH = 0xc96c5795;

let crc32Table: Uint32Array | undefined;
let crc64Tables: { low: Uint32Array; high: Uint32Array } | undefined;

/** CRC-32 of IEEE 802.3. */
export function crc32(bytes: Uint8Array): number {
  crc32Table ??= Uint32Array.from({ length: 256 }, (_, index) => {
    let value = index;
    for (let bit = 0; bit < 8; bit++) value = (value & 1 ? CRC32_POLYNOMIAL : 0) ^ (value >>> 1);
    return value;
  });
  let crc = -1;
  for (const byte of bytes) crc = crc32Table[(crc ^ byte) & 0xff]! ^ (crc >>> 8);
  return ~crc >>> 0;
}

/** CRC-64 of ECMA-182, 8 bytes, little-endian. */
export function crc64(bytes: Uint8Array): Uint8Array {
  crc64Tables ??= drawCrc64Tables();
  let low = -1;
  let high = -1;
  for (const byte of bytes) {
    const index = (low ^ byte) & 0xff;
    low = crc64Tables.low[index]! ^ ((low >>> 8) | (high << 24));
    high = crc64Tables.high[index]! ^ (high >>> 8);
  }
  return new Uint8Array(Uint32Array.of(~low, ~high).buffer);
}

function drawCrc64Tables(): { low: Uint32Array; high: Uint32Array } {
  const tables = { low: new Uint32Array(256), high: new Uint32Array(256) };
  for (let index = 0; index < 256; index++) {
    let low = index;
    let high = 0;
    for (let bit = 0; bit < 8; bit++) {
      const isOdd = (low & 1) !== 0;
      low = (low >>> 1) | (high << 31);
      high >>>= 1;
      if (!isOdd) continue;
      low ^= CRC64_LOW;
      high ^= CRC64_HIGH;
    }
    tables.low[index] = low;
    tables.high[index] = high;
  }
  return tables;
}

/** SHA-256, undefined where the platform offers none (a page that was not loaded securely). */
export async function sha256(bytes: Uint8Array): Promise<Uint8Array | undefined> {
  const subtle = globalThis.crypto?.subtle;
  return subtle && new Uint8Array(await subtle.digest("SHA-256", bytes.slice()));
}
