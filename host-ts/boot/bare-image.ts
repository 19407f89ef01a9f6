/**
 * Kernels of a plain machine: Multiboot 1, an ELF with a PVH entry note, a bzImage, or a ROM that is entered at the reset vector.
 */
import { PC_HIGH_RAM_START, PC_RESET_OFFSET, PC_ROM_BYTES_MAX } from "../../abi/pc.ts";
import { PVH_NOTE_NAME, XEN_ELFNOTE_PHYS32_ENTRY } from "../../abi/pvh.ts";
import { ImageError } from "../base/errors.ts";
import { isBzImage, parseBootableBzImage } from "./bzimage.ts";
import { isElf, parseElf } from "./elf.ts";
import { badField, FieldReader } from "./fields.ts";
import type { KernelImage } from "./kernel.ts";
import { findMultibootHeader, readMultibootHeader } from "./multiboot.ts";

/** Below this a file is no ROM image. */
const ROM_BYTES_MIN = 0x1000;

/**
 * Parses a kernel for the `bare` personality; the image says by `protocol` how it is entered.
 * @throws ImageError naming the field, what was found and what was wanted
 */
export function parseBareImage(bytes: Uint8Array): KernelImage {
  const header = findMultibootHeader(bytes);
  const loaded = header === undefined ? undefined : readMultibootHeader(bytes, header);
  if (loaded !== undefined) {
    return isElf(bytes) ? { ...loaded, symbols: () => symbolsOf(bytes) } : loaded;
  }
  if (isElf(bytes)) {
    const image = parseElf(bytes);
    return header === undefined ? withPvhEntry(image) : { ...image, protocol: "multiboot" };
  }
  if (header !== undefined) {
    throw badField("Multiboot", "flags", "without address fields", "them, or an ELF file");
  }
  if (isBzImage(bytes)) return parseBootableBzImage(bytes);
  if (isRomSize(bytes.length)) return rom(bytes);
  throw new ImageError(
    "kernel: the file is not for a plain machine; wanted a Multiboot 1 kernel, an ELF32 kernel with a PVH entry note, " +
      "a bzImage, or a ROM image of 4, 8, 16, 32, 64 or 128 KiB",
    "HV_IMAGE_UNSUPPORTED",
  );
}

function symbolsOf(bytes: Uint8Array): ReturnType<KernelImage["symbols"]> {
  try {
    return parseElf(bytes).symbols();
  } catch {
    return [];
  }
}

function withPvhEntry(image: KernelImage): KernelImage {
  const isEntry = (note: { name: string; type: number }) =>
    note.name === PVH_NOTE_NAME && note.type === XEN_ELFNOTE_PHYS32_ENTRY;
  const note = image.notes.find(isEntry);
  if (note === undefined) {
    throw new ImageError(
      "kernel: this ELF file has neither a Multiboot header nor a PVH entry note, so a plain machine cannot enter it",
      "HV_IMAGE_UNSUPPORTED",
    );
  }
  const entry = new FieldReader(note.desc, "ELF note").u32(0, "XEN_ELFNOTE_PHYS32_ENTRY");
  return { ...image, entry, protocol: "pvh" };
}

function isRomSize(sizeBytes: number): boolean {
  const isPowerOfTwo = (sizeBytes & (sizeBytes - 1)) === 0;
  return isPowerOfTwo && sizeBytes >= ROM_BYTES_MIN && sizeBytes <= PC_ROM_BYTES_MAX;
}

/** The ROM ends at 1 MiB; that it also ends at 4 GiB is the machine's business. */
function rom(bytes: Uint8Array): KernelImage {
  const gpa = PC_HIGH_RAM_START - bytes.length;
  return {
    kind: "rom",
    protocol: "reset-vector",
    entry: PC_HIGH_RAM_START - 0x10000 + PC_RESET_OFFSET,
    segments: [{ gpa, bytes, memSize: bytes.length }],
    notes: [],
    version: undefined,
    symbols: () => [],
  };
}
