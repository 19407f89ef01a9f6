/** Small valid kernel images for the tests, with every field open to change. */

/** What buildElf puts into the file; fields that are left out are those of a valid image. */
export interface ElfParts {
  entry?: number;
  segments?: { paddr: number; vaddr?: number; bytes: Uint8Array; memsz?: number }[];
  notes?: { name: string; type: number; desc: Uint8Array }[];
  symbols?: { name: string; address: number; size?: number; type?: number; section?: number }[];
}

const EHDR = 52;
const PHDR = 32;
const SHDR = 40;

/** Builds an ELF32 executable for the 386: header, program headers, contents, then symbols and section headers. */
export function buildElf(parts: ElfParts = {}): Uint8Array {
  const segments = parts.segments ?? [
    { paddr: 0x100000, bytes: Uint8Array.of(0xf4), memsz: 0x1000 },
  ];
  const chunks: { bytes: Uint8Array; at: number }[] = [];
  const count = segments.length + (parts.notes ? 1 : 0);
  let end = EHDR + PHDR * count;
  const place = (bytes: Uint8Array): number => {
    const at = end;
    chunks.push({ bytes, at });
    end += Math.ceil(bytes.length / 4) * 4;
    return at;
  };
  const header = new DataView(new ArrayBuffer(end));
  [0x7f, 0x45, 0x4c, 0x46, 1, 1, 1].forEach((byte, index) => header.setUint8(index, byte));
  header.setUint16(16, 2, true);
  header.setUint16(18, 3, true);
  header.setUint32(20, 1, true);
  header.setUint32(24, parts.entry ?? segments[0]?.paddr ?? 0, true);
  header.setUint32(28, EHDR, true);
  header.setUint16(40, EHDR, true);
  header.setUint16(42, PHDR, true);
  header.setUint16(44, count, true);
  segments.forEach(({ paddr, vaddr, bytes, memsz }, index) => {
    const words = [
      1,
      place(bytes),
      vaddr ?? paddr,
      paddr,
      bytes.length,
      memsz ?? bytes.length,
      7,
      4,
    ];
    words.forEach((word, i) => header.setUint32(EHDR + PHDR * index + 4 * i, word, true));
  });
  if (parts.notes) {
    const bytes = concat(parts.notes.map(noteBytes));
    const words = [4, place(bytes), 0, 0, bytes.length, bytes.length, 4, 4];
    words.forEach((word, i) => header.setUint32(EHDR + PHDR * segments.length + 4 * i, word, true));
  }
  if (parts.symbols) {
    let strings = "\0";
    const table = new DataView(new ArrayBuffer(16 * parts.symbols.length));
    parts.symbols.forEach(({ name, address, size, type, section }, index) => {
      table.setUint32(16 * index, strings.length, true);
      table.setUint32(16 * index + 4, address, true);
      table.setUint32(16 * index + 8, size ?? 0, true);
      table.setUint8(16 * index + 12, 0x10 | (type ?? 2));
      table.setUint16(16 * index + 14, section ?? 1, true);
      strings += `${name}\0`;
    });
    const symbolBytes = new Uint8Array(table.buffer);
    const symbolsAt = place(symbolBytes);
    const stringsAt = place(new TextEncoder().encode(strings));
    const sections = new DataView(new ArrayBuffer(SHDR * 3));
    [0, 2, 0, 0, symbolsAt, symbolBytes.length, 2].forEach((word, i) =>
      sections.setUint32(SHDR + 4 * i, word, true),
    );
    [0, 3, 0, 0, stringsAt, strings.length].forEach((word, i) =>
      sections.setUint32(2 * SHDR + 4 * i, word, true),
    );
    header.setUint32(32, place(new Uint8Array(sections.buffer)), true);
    header.setUint16(46, SHDR, true);
    header.setUint16(48, 3, true);
  }
  const file = new Uint8Array(end);
  file.set(new Uint8Array(header.buffer));
  for (const { bytes, at } of chunks) file.set(bytes, at);
  return file;
}

/** Builds a bzImage of protocol 2.10 with one setup sector and `payload` as its 32-bit part. */
export function buildBzImage(payload: Uint8Array = new Uint8Array(2048).fill(0x90)): Uint8Array {
  const file = new Uint8Array(1024 + payload.length);
  const view = new DataView(file.buffer);
  view.setUint8(0x1f1, 1);
  view.setUint16(0x1fe, 0xaa55, true);
  file.set(new TextEncoder().encode("HdrS"), 0x202);
  view.setUint16(0x206, 0x020a, true);
  view.setUint16(0x20e, 0x100, true);
  view.setUint8(0x211, 1);
  view.setUint32(0x214, 0x100000, true);
  file.set(new TextEncoder().encode("4.1.15 (builder@host) #1"), 0x300);
  file.set(payload, 1024);
  return file;
}

/** Returns a copy with one little-endian field overwritten. */
export function patch(
  image: Uint8Array,
  off: number,
  bits: 8 | 16 | 32,
  value: number,
): Uint8Array {
  const copy = image.slice();
  const view = new DataView(copy.buffer);
  if (bits === 8) view.setUint8(off, value);
  else if (bits === 16) view.setUint16(off, value, true);
  else view.setUint32(off, value, true);
  return copy;
}

function noteBytes({
  name,
  type,
  desc,
}: {
  name: string;
  type: number;
  desc: Uint8Array;
}): Uint8Array {
  const nameBytes = new TextEncoder().encode(`${name}\0`);
  const descAt = 12 + Math.ceil(nameBytes.length / 4) * 4;
  const bytes = new Uint8Array(descAt + Math.ceil(desc.length / 4) * 4);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, nameBytes.length, true);
  view.setUint32(4, desc.length, true);
  view.setUint32(8, type, true);
  bytes.set(nameBytes, 12);
  bytes.set(desc, descAt);
  return bytes;
}

function concat(parts: Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** A bzImage that says where its payload is; where that does not end with its unpacked size, Linux's makefiles append it. */
export function buildPayloadImage(packed: Uint8Array, unpackedBytes?: number): Uint8Array {
  const size = new Uint8Array(unpackedBytes === undefined ? 0 : 4);
  if (unpackedBytes !== undefined) new DataView(size.buffer).setUint32(0, unpackedBytes, true);
  const payload = new Uint8Array(packed.length + size.length);
  payload.set(packed);
  payload.set(size, packed.length);
  return patch(patch(buildBzImage(payload), 0x248, 32, 0), 0x24c, 32, payload.length);
}
