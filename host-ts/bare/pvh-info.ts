/** struct hvm_start_info with everything it points at, as one piece of memory. High halves of its addresses are zero. */
import {
  HVM_MEMMAP_ENTRY_BYTES,
  HVM_MODLIST_ENTRY_BYTES,
  HVM_START_INFO_BYTES,
  HVM_START_INFO_CMDLINE,
  HVM_START_INFO_MAGIC,
  HVM_START_INFO_MEMMAP,
  HVM_START_INFO_MEMMAP_ENTRIES,
  HVM_START_INFO_MODLIST,
  HVM_START_INFO_NR_MODULES,
  HVM_START_INFO_RSDP,
  HVM_START_INFO_VERSION,
  HVM_START_MAGIC,
  HVM_START_VERSION_1,
} from "../../abi/pvh.ts";
import { Layout } from "./layout.ts";
import { type BootInfo, memoryMap } from "./memory-map.ts";

/** @returns the bytes to put at `gpa`, the structure first. */
export function buildStartInfo(
  gpa: number,
  { ramBytes, commandLine, modules, rsdpGpa }: BootInfo,
): Uint8Array {
  const layout = new Layout(gpa);
  const map = memoryMap(ramBytes);
  const info = layout.reserve(HVM_START_INFO_BYTES);
  const list = layout.reserve(HVM_MODLIST_ENTRY_BYTES * modules.length);
  const ranges = layout.reserve(HVM_MEMMAP_ENTRY_BYTES * map.length);
  const text = layout.text(commandLine);
  const moduleNames = modules.map(({ name }) => layout.text(name));

  layout.u32(info + HVM_START_INFO_MAGIC, HVM_START_MAGIC);
  layout.u32(info + HVM_START_INFO_VERSION, HVM_START_VERSION_1);
  layout.u32(info + HVM_START_INFO_NR_MODULES, modules.length);
  layout.u32(info + HVM_START_INFO_MODLIST, modules.length === 0 ? 0 : list);
  layout.u32(info + HVM_START_INFO_CMDLINE, text);
  layout.u32(info + HVM_START_INFO_RSDP, rsdpGpa);
  layout.u32(info + HVM_START_INFO_MEMMAP, ranges);
  layout.u32(info + HVM_START_INFO_MEMMAP_ENTRIES, map.length);
  for (const [index, module] of modules.entries()) {
    const at = list + HVM_MODLIST_ENTRY_BYTES * index;
    layout.u32(at, module.gpa);
    layout.u32(at + 8, module.sizeBytes);
    layout.u32(at + 16, moduleNames[index]!);
  }
  for (const [index, range] of map.entries()) {
    const at = ranges + HVM_MEMMAP_ENTRY_BYTES * index;
    layout.u32(at, range.gpa);
    layout.u32(at + 8, range.sizeBytes);
    layout.u32(at + 16, range.type);
  }
  return layout.bytes;
}
