/**
 * The Multiboot 1 header: found in the first 8 KiB of an image, with or without load addresses of its own.
 */
import {
  MULTIBOOT_BSS_END_ADDR,
  MULTIBOOT_ENTRY_ADDR,
  MULTIBOOT_FLAG_ADDRESSES,
  MULTIBOOT_FLAG_MEMORY_INFO,
  MULTIBOOT_FLAG_PAGE_ALIGN,
  MULTIBOOT_FLAGS_DEMANDS,
  MULTIBOOT_HEADER_ADDR,
  MULTIBOOT_HEADER_CHECKSUM,
  MULTIBOOT_HEADER_FLAGS,
  MULTIBOOT_HEADER_MAGIC,
  MULTIBOOT_LOAD_ADDR,
  MULTIBOOT_LOAD_END_ADDR,
  MULTIBOOT_SEARCH_BYTES,
} from "../../abi/multiboot.ts";
import { badField, FieldReader, hex } from "./fields.ts";
import type { KernelImage } from "./kernel.ts";

const FORMAT = "Multiboot";
const HEADER_BYTES = 12;
const KNOWN_DEMANDS = MULTIBOOT_FLAG_PAGE_ALIGN | MULTIBOOT_FLAG_MEMORY_INFO;

/** @returns offset of the header, undefined when there is none. */
export function findMultibootHeader(bytes: Uint8Array): number | undefined {
  const file = new FieldReader(bytes, FORMAT);
  const end = Math.min(bytes.length, MULTIBOOT_SEARCH_BYTES) - HEADER_BYTES;
  for (let at = 0; at <= end; at += 4) {
    if (file.u32(at, "magic") !== MULTIBOOT_HEADER_MAGIC) continue;
    const flags = file.u32(at + MULTIBOOT_HEADER_FLAGS, "flags");
    const checksum = file.u32(at + MULTIBOOT_HEADER_CHECKSUM, "checksum");
    if ((MULTIBOOT_HEADER_MAGIC + flags + checksum) % 2 ** 32 === 0) return at;
  }
  return undefined;
}

/**
 * Checks the demands of a header.
 * @returns the image that its address fields describe, undefined when it has none (the ELF headers decide then).
 * @throws ImageError naming the field
 */
export function readMultibootHeader(bytes: Uint8Array, at: number): KernelImage | undefined {
  const file = new FieldReader(bytes, FORMAT);
  const flags = file.u32(at + MULTIBOOT_HEADER_FLAGS, "flags");
  if ((flags & MULTIBOOT_FLAGS_DEMANDS & ~KNOWN_DEMANDS) !== 0) {
    const wanted = "no demand but page alignment (1) and memory information (2)";
    throw badField(FORMAT, "flags", hex(flags), wanted, "HV_IMAGE_UNSUPPORTED");
  }
  if ((flags & MULTIBOOT_FLAG_ADDRESSES) === 0) return undefined;

  const headerAddr = file.u32(at + MULTIBOOT_HEADER_ADDR, "header_addr");
  const loadAddr = file.u32(at + MULTIBOOT_LOAD_ADDR, "load_addr");
  const loadEnd = file.u32(at + MULTIBOOT_LOAD_END_ADDR, "load_end_addr");
  const bssEnd = file.u32(at + MULTIBOOT_BSS_END_ADDR, "bss_end_addr");
  const entry = file.u32(at + MULTIBOOT_ENTRY_ADDR, "entry_addr");
  const offset = at - (headerAddr - loadAddr);
  if (loadAddr > headerAddr || offset < 0) {
    throw badField(FORMAT, "load_addr", hex(loadAddr), `within the file, header at ${hex(at)}`);
  }
  const loadBytes = loadEnd === 0 ? bytes.length - offset : loadEnd - loadAddr;
  if (loadBytes < 0) {
    throw badField(FORMAT, "load_end_addr", hex(loadEnd), `0, or ${hex(loadAddr)} and more`);
  }
  const memSize = bssEnd === 0 ? loadBytes : bssEnd - loadAddr;
  if (memSize < loadBytes) {
    throw badField(
      FORMAT,
      "bss_end_addr",
      hex(bssEnd),
      `0, or ${hex(loadAddr + loadBytes)} and more`,
    );
  }
  if (loadAddr + memSize > 2 ** 32) {
    throw badField(FORMAT, "load_addr", hex(loadAddr), "an end within 4 GiB");
  }
  if (entry < loadAddr || entry - loadAddr >= memSize) {
    throw badField(FORMAT, "entry_addr", hex(entry), "an address inside the loaded image");
  }
  return {
    kind: "multiboot",
    protocol: "multiboot",
    entry,
    segments: [{ gpa: loadAddr, bytes: file.slice(offset, loadBytes, "load_end_addr"), memSize }],
    notes: [],
    version: undefined,
    symbols: () => [],
  };
}
