/**
 * The symbol table that kernels of the BSD family want loaded behind their image: a length, and an ELF file of nothing but the symbols and
 * their strings.
 * Source: the layout that Xen's loader makes for the note BSD_SYMTAB, and where the Xen Test Framework looks for it.
 */
import { FieldReader } from "./fields.ts";

const EHDR_BYTES = 52;
const E_VERSION = 20;
const E_PHOFF = 28;
const E_SHOFF = 32;
const E_EHSIZE = 40;
const E_PHENTSIZE = 42;
const E_PHNUM = 44;
const E_SHENTSIZE = 46;
const E_SHNUM = 48;
const E_SHSTRNDX = 50;
const EV_CURRENT = 1;
const SHDR_BYTES = 40;
const SH_TYPE = 4;
const SH_OFFSET = 16;
const SH_SIZE = 20;
const SH_LINK = 24;
const SHT_SYMTAB = 2;
const SHT_STRTAB = 3;

const LENGTH_BYTES = 4;
/** Xen leaves room for the headers of 64-bit files; offsets in it count from the ELF header. */
const SECTIONS_AT = 64;
const SECTIONS = 3;
const SYMBOLS_SECTION = 1;
const STRINGS_SECTION = 2;
const SYMBOLS_AT = 256;

/** What is loaded at the next multiple of 4 behind the image of an ELF file, undefined for one without symbols. Throws ImageError. */
export function bsdSymbolTable(bytes: Uint8Array): Uint8Array | undefined {
  const file = new FieldReader(bytes, "ELF");
  const sections = sectionTable(file);
  const symbolsAt = sections.find((at) => file.u32(at + SH_TYPE, "sh_type") === SHT_SYMTAB);
  if (symbolsAt === undefined) return undefined;
  const stringsAt = sections[file.u32(symbolsAt + SH_LINK, "sh_link")];
  if (stringsAt === undefined || file.u32(stringsAt + SH_TYPE, "sh_type") !== SHT_STRTAB) {
    return undefined;
  }
  const symbols = contents(file, symbolsAt);
  const strings = contents(file, stringsAt);
  const stringsOffset = SYMBOLS_AT + Math.ceil(symbols.length / 4) * 4;
  const sizeBytes = stringsOffset + strings.length;

  const table = new Uint8Array(LENGTH_BYTES + Math.ceil(sizeBytes / 4) * 4);
  new DataView(table.buffer).setUint32(0, sizeBytes, true);
  const image = table.subarray(LENGTH_BYTES);
  const view = new DataView(image.buffer, image.byteOffset);
  image.set(file.slice(0, EHDR_BYTES, "e_ehsize"));
  for (const field of [E_PHENTSIZE, E_PHNUM, E_SHSTRNDX]) view.setUint16(field, 0, true);
  view.setUint32(E_PHOFF, 0, true);
  view.setUint32(E_VERSION, EV_CURRENT, true);
  view.setUint16(E_EHSIZE, EHDR_BYTES, true);
  view.setUint32(E_SHOFF, SECTIONS_AT, true);
  view.setUint16(E_SHENTSIZE, SHDR_BYTES, true);
  view.setUint16(E_SHNUM, SECTIONS, true);

  const place = (section: number, headerAt: number, offset: number, data: Uint8Array) => {
    const at = SECTIONS_AT + section * SHDR_BYTES;
    image.set(file.slice(headerAt, SHDR_BYTES, "e_shoff"), at);
    view.setUint32(at + SH_OFFSET, offset, true);
    image.set(data, offset);
    return at;
  };
  const header = place(SYMBOLS_SECTION, symbolsAt, SYMBOLS_AT, symbols);
  view.setUint32(header + SH_LINK, STRINGS_SECTION, true);
  place(STRINGS_SECTION, stringsAt, stringsOffset, strings);
  return table;
}

/** Offsets of the section headers. */
function sectionTable(file: FieldReader): number[] {
  const table = file.u32(E_SHOFF, "e_shoff");
  const entryBytes = file.u16(E_SHENTSIZE, "e_shentsize");
  const count = file.u16(E_SHNUM, "e_shnum");
  if (table === 0 || entryBytes < SHDR_BYTES) return [];
  file.need(table, count * entryBytes, "e_shnum");
  return Array.from({ length: count }, (_, index) => table + index * entryBytes);
}

function contents(file: FieldReader, headerAt: number): Uint8Array {
  const offset = file.u32(headerAt + SH_OFFSET, "sh_offset");
  return file.slice(offset, file.u32(headerAt + SH_SIZE, "sh_size"), "sh_size");
}
