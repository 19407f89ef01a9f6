/**
 * bzImage, the compressed Linux kernel: boot sector, setup code, then the 32-bit part that unpacks itself.
 * Only the 32-bit part is loaded; who enters a kernel by its own boot protocol passes the setup header on.
 * Source: Documentation/x86/boot.txt, "THE REAL-MODE KERNEL HEADER".
 */
import {
  BP_E820_TABLE,
  BP_INIT_SIZE,
  BP_PREF_ADDRESS,
  BP_SETUP_HEADER,
  BP_SETUP_HEADER_BASE,
  BP_SETUP_HEADER_LENGTH,
  BP_VERSION,
  BP_VERSION_INIT_SIZE,
} from "../../abi/linux-boot.ts";
import { badField, FieldReader, findText, hex } from "./fields.ts";
import type { KernelImage } from "./kernel.ts";

const SETUP_SECTS = 0x1f1;
const BOOT_FLAG = 0x1fe;
const HEADER_MAGIC = 0x202;
const KERNEL_VERSION = 0x20e;
const LOADFLAGS = 0x211;
const CODE32_START = 0x214;

const SECTOR = 512;
const FOUR_GIB = 2 ** 32;
/** Where the 32-bit part of a bzImage is loaded. */
const LOAD_GPA = 0x100000;
/** First protocol whose images may be loaded high, and its flag. */
const PROTOCOL_MIN = 0x0200;
const LOADED_HIGH = 1;

/** Whether the bytes carry the boot header's magic number. */
export function isBzImage(bytes: Uint8Array): boolean {
  return findText(bytes.subarray(HEADER_MAGIC, HEADER_MAGIC + 4), "HdrS") === 0;
}

/**
 * Parses a bzImage.
 * @throws ImageError naming the header field
 */
export function parseBzImage(bytes: Uint8Array): KernelImage {
  const file = new FieldReader(bytes, "bzImage");
  const bootFlag = file.u16(BOOT_FLAG, "boot_flag");
  if (bootFlag !== 0xaa55) throw badField("bzImage", "boot_flag", hex(bootFlag), "0xaa55");
  const protocol = file.u16(BP_VERSION, "version");
  if (protocol < PROTOCOL_MIN) {
    throw badField("bzImage", "version", hex(protocol), `${hex(PROTOCOL_MIN)} or later`);
  }
  const loadflags = file.u8(LOADFLAGS, "loadflags");
  if ((loadflags & LOADED_HIGH) === 0) {
    throw badField("bzImage", "loadflags", hex(loadflags), "bit 0 set (a zImage is not supported)");
  }
  // A count of 0 means 4, for the sake of very old images.
  const setupSects = file.u8(SETUP_SECTS, "setup_sects") || 4;
  const start = (setupSects + 1) * SECTOR;
  const payload = file.slice(start, bytes.length - start, "setup_sects");
  if (payload.length === 0) {
    throw badField(
      "bzImage",
      "setup_sects",
      `${setupSects}, which leaves no kernel`,
      "a smaller one",
    );
  }
  const entry = file.u32(CODE32_START, "code32_start");
  if (entry < LOAD_GPA || entry >= LOAD_GPA + payload.length) {
    const wanted = `${hex(LOAD_GPA)} up to ${hex(LOAD_GPA + payload.length)}`;
    throw badField("bzImage", "code32_start", hex(entry), wanted);
  }
  return {
    kind: "bzimage",
    entry,
    segments: [{ gpa: LOAD_GPA, bytes: payload, memSize: payload.length }],
    notes: [],
    version: versionOf(file, start),
    symbols: () => [],
  };
}

/**
 * Parses a bzImage that is entered by its own boot protocol: the segment reaches to the end of what the kernel needs to unpack itself.
 * @throws ImageError naming the header field
 */
export function parseBootableBzImage(bytes: Uint8Array): KernelImage {
  const image = parseBzImage(bytes);
  const file = new FieldReader(bytes, "bzImage");
  const version = file.u16(BP_VERSION, "version");
  if (version < BP_VERSION_INIT_SIZE) {
    throw badField("bzImage", "version", hex(version), `${hex(BP_VERSION_INIT_SIZE)} or later`);
  }
  const prefHigh = file.u32(BP_PREF_ADDRESS + 4, "pref_address");
  const unpackedEnd =
    file.u32(BP_PREF_ADDRESS, "pref_address") + file.u32(BP_INIT_SIZE, "init_size");
  if (prefHigh !== 0 || unpackedEnd > FOUR_GIB) {
    throw badField("bzImage", "pref_address", hex(unpackedEnd), "an end below 4 GiB");
  }
  const headerEnd = BP_SETUP_HEADER_BASE + file.u8(BP_SETUP_HEADER_LENGTH, "jump");
  const headerBytes = Math.min(headerEnd, BP_E820_TABLE) - BP_SETUP_HEADER;
  const segments = image.segments.map((segment) => ({
    ...segment,
    memSize: Math.max(segment.memSize, unpackedEnd - segment.gpa),
  }));
  const setupHeader = file.slice(BP_SETUP_HEADER, headerBytes, "jump");
  return { ...image, protocol: "linux", segments, setupHeader };
}

/** The release that the header points at; absent or out of the setup area, it is simply unknown. */
function versionOf(file: FieldReader, setupBytes: number): string | undefined {
  const pointer = file.u16(KERNEL_VERSION, "kernel_version");
  if (pointer === 0 || pointer + SECTOR >= setupBytes) return undefined;
  const text = file.text(pointer + SECTOR, 128, "kernel_version");
  return /^\d+\.\d+\S*/.exec(text)?.[0];
}
