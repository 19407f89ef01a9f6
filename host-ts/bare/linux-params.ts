/** struct boot_params with everything it points at, as one piece of memory: itself, the GDT of the 32-bit entry, the command line. */
import {
  BOOT_PARAMS_BYTES,
  BP_ACPI_RSDP,
  BP_CMD_LINE_PTR,
  BP_E820_ENTRIES,
  BP_E820_ENTRY_BYTES,
  BP_E820_TABLE,
  BP_LOADER_VALUE,
  BP_RAMDISK_IMAGE,
  BP_RAMDISK_SIZE,
  BP_SETUP_HEADER,
  BP_TYPE_OF_LOADER,
  LINUX_BOOT_CS,
  LINUX_BOOT_DS,
  LINUX_BOOT_GDT_BYTES,
  LINUX_FLAT_CODE_HIGH,
  LINUX_FLAT_DATA_HIGH,
  LINUX_FLAT_LOW,
} from "../../abi/linux-boot.ts";
import { writeField } from "../devices/records.ts";
import { type BootInfo, memoryMap } from "./memory-map.ts";

/** The GDT lies right behind the parameters. */
export const LINUX_GDT_OFFSET = BOOT_PARAMS_BYTES;
const TEXT_OFFSET = LINUX_GDT_OFFSET + LINUX_BOOT_GDT_BYTES;

/** @returns the bytes to put at `gpa`, the parameters first. @param setupHeader of the image; the first module is the RAM disk */
export function buildLinuxParams(
  gpa: number,
  { ramBytes, commandLine, modules, rsdpGpa }: BootInfo,
  setupHeader: Uint8Array,
): Uint8Array {
  const text = new TextEncoder().encode(`${commandLine}\0`);
  const bytes = new Uint8Array(TEXT_OFFSET + text.length);
  const put = (offset: number, size: number, value: number) =>
    writeField(bytes, offset, size, value);
  bytes.set(setupHeader, BP_SETUP_HEADER);
  put(BP_ACPI_RSDP, 8, rsdpGpa);
  put(BP_TYPE_OF_LOADER, 1, BP_LOADER_VALUE);
  put(BP_RAMDISK_IMAGE, 4, modules[0]?.gpa ?? 0);
  put(BP_RAMDISK_SIZE, 4, modules[0]?.sizeBytes ?? 0);
  put(BP_CMD_LINE_PTR, 4, gpa + TEXT_OFFSET);
  const map = memoryMap(ramBytes);
  put(BP_E820_ENTRIES, 1, map.length);
  for (const [index, range] of map.entries()) {
    const at = BP_E820_TABLE + BP_E820_ENTRY_BYTES * index;
    put(at, 8, range.gpa);
    put(at + 8, 8, range.sizeBytes);
    put(at + 16, 4, range.type);
  }
  for (const [selector, high] of [
    [LINUX_BOOT_CS, LINUX_FLAT_CODE_HIGH],
    [LINUX_BOOT_DS, LINUX_FLAT_DATA_HIGH],
  ] as const) {
    put(LINUX_GDT_OFFSET + selector, 4, LINUX_FLAT_LOW);
    put(LINUX_GDT_OFFSET + selector + 4, 4, high);
  }
  bytes.set(text, TEXT_OFFSET);
  return bytes;
}
