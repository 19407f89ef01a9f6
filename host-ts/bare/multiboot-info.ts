/** The information structure of Multiboot 1 with everything it points at, as one piece of memory. */
import {
  MBI_BOOT_LOADER_NAME,
  MBI_BYTES,
  MBI_CMDLINE,
  MBI_FLAGS,
  MBI_HAS_CMDLINE,
  MBI_HAS_LOADER_NAME,
  MBI_HAS_MEMORY,
  MBI_HAS_MMAP,
  MBI_HAS_MODULES,
  MBI_MEM_LOWER,
  MBI_MEM_UPPER,
  MBI_MMAP_ADDR,
  MBI_MMAP_ENTRY_BYTES,
  MBI_MMAP_ENTRY_SIZE,
  MBI_MMAP_LENGTH,
  MBI_MODS_ADDR,
  MBI_MODS_COUNT,
  MBI_MODULE_BYTES,
} from "../../abi/multiboot.ts";
import { PC_HIGH_RAM_START, PC_LOW_RAM_END } from "../../abi/pc.ts";
import { Layout } from "./layout.ts";
import { type BootInfo, memoryMap } from "./memory-map.ts";

const LOADER_NAME = "wasmvisor";
const KIB = 1024;

/** @returns the bytes to put at `gpa`, the structure first. */
export function buildMultibootInfo(
  gpa: number,
  { ramBytes, commandLine, modules }: BootInfo,
): Uint8Array {
  const layout = new Layout(gpa);
  const map = memoryMap(ramBytes);
  const info = layout.reserve(MBI_BYTES);
  const mods = layout.reserve(MBI_MODULE_BYTES * modules.length);
  const mmap = layout.reserve(MBI_MMAP_ENTRY_BYTES * map.length);
  const text = layout.text(commandLine);
  const loaderName = layout.text(LOADER_NAME);
  const moduleNames = modules.map(({ name }) => layout.text(name));

  const flags =
    MBI_HAS_MEMORY | MBI_HAS_CMDLINE | MBI_HAS_MODULES | MBI_HAS_MMAP | MBI_HAS_LOADER_NAME;
  layout.u32(info + MBI_FLAGS, flags);
  layout.u32(info + MBI_MEM_LOWER, PC_LOW_RAM_END / KIB);
  layout.u32(info + MBI_MEM_UPPER, Math.max(0, ramBytes - PC_HIGH_RAM_START) / KIB);
  layout.u32(info + MBI_CMDLINE, text);
  layout.u32(info + MBI_MODS_COUNT, modules.length);
  layout.u32(info + MBI_MODS_ADDR, mods);
  layout.u32(info + MBI_MMAP_LENGTH, MBI_MMAP_ENTRY_BYTES * map.length);
  layout.u32(info + MBI_MMAP_ADDR, mmap);
  layout.u32(info + MBI_BOOT_LOADER_NAME, loaderName);
  for (const [index, module] of modules.entries()) {
    const at = mods + MBI_MODULE_BYTES * index;
    layout.u32(at, module.gpa);
    layout.u32(at + 4, module.gpa + module.sizeBytes);
    layout.u32(at + 8, moduleNames[index]!);
  }
  for (const [index, range] of map.entries()) {
    const at = mmap + MBI_MMAP_ENTRY_BYTES * index;
    layout.u32(at, MBI_MMAP_ENTRY_SIZE);
    layout.u32(at + 4, range.gpa);
    layout.u32(at + 12, range.sizeBytes);
    layout.u32(at + 20, range.type);
  }
  return layout.bytes;
}
