/**
 * ELF32 executables for the 386: load segments, notes and, on demand, symbols.
 * Source: Tool Interface Standard (TIS), "Executable and Linking Format"; names of fields are the document's.
 */
import { badField, FieldReader, findText, hex, latin1 } from "./fields.ts";
import type { KernelImage, KernelNote, KernelSegment, KernelSymbol } from "./kernel.ts";

const EI_CLASS = 4;
const EI_DATA = 5;
const ELFCLASS32 = 1;
const ELFCLASS64 = 2;
const ELFDATA2LSB = 1;
const ET_EXEC = 2;
const EM_386 = 3;
const PT_LOAD = 1;
const PT_NOTE = 4;
const PHDR_BYTES = 32;
/** More than any kernel has; bounds the work that a lying header can ask for. */
const PHDR_MAX = 128;
const SHDR_BYTES = 40;
const SHT_SYMTAB = 2;
const SHT_NOTE = 7;
const SYM_BYTES = 16;
/** Longer than any name that is looked for. */
const NAME_MAX_BYTES = 64;
/** More than any kernel has, in all its segments or sections together. */
const NOTES_MAX = 4096;
const SYMBOLS_MAX = 2 ** 20;
/** Symbol types that name an address: none, object, function. */
const NAMING_TYPES = [0, 1, 2];
/** Section index of symbols that are undefined, and of plain numbers. */
const SHN_UNDEF = 0;
const SHN_ABS = 0xfff1;

const ADDRESS_SPACE = 2 ** 32;

interface ProgramHeader {
  type: number;
  offset: number;
  vaddr: number;
  paddr: number;
  filesz: number;
  memsz: number;
}

/** Whether the bytes start with the ELF magic number. */
export function isElf(bytes: Uint8Array): boolean {
  return findText(bytes.subarray(0, 4), "\x7fELF") === 0;
}

/**
 * Parses an ELF32 executable. Segments are placed by p_paddr.
 * @param entersElsewhere whether something else than e_entry may say where the kernel begins
 * @throws ImageError naming the header field
 */
export function parseElf(bytes: Uint8Array, entersElsewhere = false): KernelImage {
  const file = new FieldReader(bytes, "ELF");
  checkIdentity(file);
  const headers = programHeaders(file);
  const loads = headers.filter((header) => header.type === PT_LOAD && header.memsz > 0);
  if (loads.length === 0) throw badField("ELF", "e_phnum", "without a PT_LOAD segment", "one");
  const segments = loads.map((header) => segmentOf(file, header));
  const entry = file.u32(24, "e_entry");
  const isCovered = ({ vaddr, paddr, memsz }: ProgramHeader): boolean =>
    [vaddr, paddr].some((start) => entry >= start && entry - start < memsz);
  if (!entersElsewhere && !loads.some(isCovered)) {
    throw badField("ELF", "e_entry", hex(entry), "an address inside a PT_LOAD segment");
  }
  let symbols: readonly KernelSymbol[] | undefined;
  return {
    kind: "elf",
    entry,
    segments,
    // Some linkers leave p_offset of note segments empty.
    notes: notesOf(
      headers
        .filter(({ type, offset }) => type === PT_NOTE && offset !== 0)
        .map(({ offset, filesz }) => file.slice(offset, filesz, "p_offset")),
    ),
    version: versionOf(segments),
    symbols: () => {
      symbols ??= symbolsOf(bytes);
      return symbols;
    },
  };
}

function checkIdentity(file: FieldReader): void {
  const elfClass = file.u8(EI_CLASS, "EI_CLASS");
  if (elfClass !== ELFCLASS32) {
    const found = elfClass === ELFCLASS64 ? "2 (a 64-bit kernel)" : hex(elfClass);
    throw badField("ELF", "EI_CLASS", found, "1 (32-bit)", "HV_IMAGE_UNSUPPORTED");
  }
  const data = file.u8(EI_DATA, "EI_DATA");
  if (data !== ELFDATA2LSB) throw badField("ELF", "EI_DATA", hex(data), "1 (little-endian)");
  const type = file.u16(16, "e_type");
  if (type !== ET_EXEC) throw badField("ELF", "e_type", hex(type), "2 (executable)");
  const machine = file.u16(18, "e_machine");
  if (machine !== EM_386) throw badField("ELF", "e_machine", hex(machine), "3 (Intel 80386)");
}

function programHeaders(file: FieldReader): ProgramHeader[] {
  const offset = file.u32(28, "e_phoff");
  const entryBytes = file.u16(42, "e_phentsize");
  const count = file.u16(44, "e_phnum");
  if (count > PHDR_MAX) throw badField("ELF", "e_phnum", String(count), `at most ${PHDR_MAX}`);
  if (count > 0 && entryBytes < PHDR_BYTES) {
    throw badField("ELF", "e_phentsize", String(entryBytes), `${PHDR_BYTES} or more`);
  }
  file.need(offset, count * entryBytes, "e_phoff");
  return Array.from({ length: count }, (_, index) => {
    const at = offset + index * entryBytes;
    return {
      type: file.u32(at, "p_type"),
      offset: file.u32(at + 4, "p_offset"),
      vaddr: file.u32(at + 8, "p_vaddr"),
      paddr: file.u32(at + 12, "p_paddr"),
      filesz: file.u32(at + 16, "p_filesz"),
      memsz: file.u32(at + 20, "p_memsz"),
    };
  });
}

function segmentOf(file: FieldReader, header: ProgramHeader): KernelSegment {
  const { offset, paddr, filesz, memsz } = header;
  if (filesz > memsz) {
    throw badField("ELF", "p_filesz", hex(filesz), `at most p_memsz (${hex(memsz)})`);
  }
  if (paddr + memsz > ADDRESS_SPACE) {
    throw badField("ELF", "p_memsz", `${hex(memsz)} at ${hex(paddr)}`, "an end within 4 GiB");
  }
  return { gpa: paddr, bytes: file.slice(offset, filesz, "p_offset"), memSize: memsz };
}

/** Notes of several segments or sections. A small packed file may hold millions, so there is a limit. */
function notesOf(areas: readonly Uint8Array[]): KernelNote[] {
  const notes: KernelNote[] = [];
  for (const area of areas) {
    for (const note of splitNotes(area)) {
      if (notes.length === NOTES_MAX) {
        throw badField("ELF", "the number of notes", `above ${NOTES_MAX}`, `at most ${NOTES_MAX}`);
      }
      notes.push(note);
    }
  }
  return notes;
}

/**
 * Splits a segment or section of notes; names and descriptors are padded to 4 bytes. A descriptor that claims to reach past the end is
 * cut there: tools write such ones, and loaders take them. Of a name, what is longer than any that is looked for is cut.
 */
function* splitNotes(bytes: Uint8Array): Generator<KernelNote> {
  const area = new FieldReader(bytes, "ELF note");
  for (let at = 0; at + 12 <= area.bytes.length; ) {
    const nameBytes = area.u32(at, "n_namesz");
    const descBytes = area.u32(at + 4, "n_descsz");
    const type = area.u32(at + 8, "n_type");
    const nameArea = area.slice(at + 12, nameBytes, "n_namesz").subarray(0, NAME_MAX_BYTES);
    const name = latin1(nameArea).replace(/\0+$/, "");
    const descAt = at + 12 + roundUp4(nameBytes);
    yield { name, type, desc: area.bytes.subarray(descAt, descAt + descBytes) };
    at = descAt + roundUp4(descBytes);
  }
}

function roundUp4(bytes: number): number {
  return Math.ceil(bytes / 4) * 4;
}

/** Finds the release in the banner that every Linux kernel carries. */
function versionOf(segments: readonly KernelSegment[]): string | undefined {
  const banner = "Linux version ";
  for (const { bytes } of segments) {
    const at = findText(bytes, banner);
    if (at < 0) continue;
    const text = latin1(bytes.subarray(at + banner.length, at + banner.length + 64));
    const release = /^\d+\.\d+[\w.+-]*/.exec(text)?.[0];
    if (release !== undefined) return release;
  }
  return undefined;
}

/** Symbols serve diagnostics only, so a table that lies counts as no table. */
function symbolsOf(bytes: Uint8Array): readonly KernelSymbol[] {
  try {
    return readSymbols(new FieldReader(bytes, "ELF"));
  } catch {
    return [];
  }
}

/** Notes of the sections that hold some, for files whose segments have none. Throws ImageError when the section table points outside the file. */
export function sectionNotes(bytes: Uint8Array): KernelNote[] {
  const sections = sectionsOf(bytes).filter(({ type }) => type === SHT_NOTE);
  return notesOf(sections.map(({ contents }) => contents()));
}

/**
 * The bytes of the first section called `name`, undefined when there is none.
 * @throws ImageError when the section table points outside the file
 */
export function findSection(bytes: Uint8Array, name: string): Uint8Array | undefined {
  const section = sectionsOf(bytes).find((each) => each.name() === name);
  return section?.contents();
}

/** Sections in the file's order. */
function sectionsOf(
  bytes: Uint8Array,
): { type: number; name: () => string; contents: () => Uint8Array }[] {
  const file = new FieldReader(bytes, "ELF");
  const table = file.u32(32, "e_shoff");
  const entryBytes = file.u16(46, "e_shentsize");
  const count = file.u16(48, "e_shnum");
  if (table === 0 || entryBytes < SHDR_BYTES) return [];
  file.need(table, count * entryBytes, "e_shnum");
  const strings = table + file.u16(50, "e_shstrndx") * entryBytes;
  const hasNames = file.u16(50, "e_shstrndx") < count;
  return Array.from({ length: count }, (_, index) => {
    const at = table + index * entryBytes;
    return {
      type: file.u32(at + 4, "sh_type"),
      name: () => {
        const nameAt = file.u32(strings + 16, "sh_offset") + file.u32(at, "sh_name");
        return hasNames && nameAt < bytes.length
          ? file.text(nameAt, NAME_MAX_BYTES, "sh_name")
          : "";
      },
      contents: () =>
        file.slice(file.u32(at + 16, "sh_offset"), file.u32(at + 20, "sh_size"), "sh_size"),
    };
  });
}

function readSymbols(file: FieldReader): KernelSymbol[] {
  const table = file.u32(32, "e_shoff");
  const entryBytes = file.u16(46, "e_shentsize");
  const count = file.u16(48, "e_shnum");
  if (table === 0 || entryBytes < SHDR_BYTES) return [];
  const sectionAt = (index: number): number => table + index * entryBytes;
  for (let index = 0; index < count; index++) {
    const at = sectionAt(index);
    if (file.u32(at + 4, "sh_type") !== SHT_SYMTAB) continue;
    // There is at most one such section, so the first one decides.
    const symbols = file.slice(
      file.u32(at + 16, "sh_offset"),
      file.u32(at + 20, "sh_size"),
      "sh_size",
    );
    const strings = sectionAt(file.u32(at + 24, "sh_link"));
    const names = file.slice(
      file.u32(strings + 16, "sh_offset"),
      file.u32(strings + 20, "sh_size"),
      "sh_size",
    );
    return [...readSymbolTable(symbols, names)].sort((a, b) => a.address - b.address);
  }
  return [];
}

function* readSymbolTable(table: Uint8Array, strings: Uint8Array): Generator<KernelSymbol> {
  const symbols = new FieldReader(table, "ELF symbols");
  const names = new FieldReader(strings, "ELF strings");
  const end = Math.min(table.length, SYMBOLS_MAX * SYM_BYTES);
  for (let at = 0; at + SYM_BYTES <= end; at += SYM_BYTES) {
    const section = symbols.u16(at + 14, "st_shndx");
    const type = symbols.u8(at + 12, "st_info") & 15;
    if (section === SHN_UNDEF || section === SHN_ABS || !NAMING_TYPES.includes(type)) continue;
    const name = names.text(symbols.u32(at, "st_name"), 256, "st_name");
    if (name === "") continue;
    yield { name, address: symbols.u32(at + 4, "st_value"), size: symbols.u32(at + 8, "st_size") };
  }
}
