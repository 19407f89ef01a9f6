/**
 * The Multiboot 1 boot protocol: the header in the image, the machine state at entry, the information structure.
 * Source: Multiboot Specification 0.6.96, "OS image format", "Machine state", "Boot information format".
 */

/** Header: u32 magic at a 4-byte boundary within the first 8192 bytes, then flags and a checksum that makes the sum 0. */
export const MULTIBOOT_HEADER_MAGIC = 0x1badb002;
export const MULTIBOOT_SEARCH_BYTES = 8192;
export const MULTIBOOT_HEADER_FLAGS = 4;
export const MULTIBOOT_HEADER_CHECKSUM = 8;
/** u32 each, present with MULTIBOOT_FLAG_ADDRESSES: where the header itself goes, first and last loaded byte, end of bss, entry. */
export const MULTIBOOT_HEADER_ADDR = 12;
export const MULTIBOOT_LOAD_ADDR = 16;
export const MULTIBOOT_LOAD_END_ADDR = 20;
export const MULTIBOOT_BSS_END_ADDR = 24;
export const MULTIBOOT_ENTRY_ADDR = 28;

/** Header flags: bits 0-15 are demands, 16-31 are offers. */
export const MULTIBOOT_FLAG_PAGE_ALIGN = 0x00000001;
export const MULTIBOOT_FLAG_MEMORY_INFO = 0x00000002;
export const MULTIBOOT_FLAG_ADDRESSES = 0x00010000;
export const MULTIBOOT_FLAGS_DEMANDS = 0x0000ffff;

/** EAX at entry; EBX points at the information structure. */
export const MULTIBOOT_BOOT_MAGIC = 0x2badb002;

/** Information structure: u32 fields by offset. */
export const MBI_FLAGS = 0;
/** KiB below 1 MiB, and KiB from 1 MiB up to the first hole. */
export const MBI_MEM_LOWER = 4;
export const MBI_MEM_UPPER = 8;
export const MBI_CMDLINE = 16;
export const MBI_MODS_COUNT = 20;
export const MBI_MODS_ADDR = 24;
export const MBI_MMAP_LENGTH = 44;
export const MBI_MMAP_ADDR = 48;
export const MBI_BOOT_LOADER_NAME = 64;
export const MBI_BYTES = 120;

/** MBI_FLAGS: which fields are valid. */
export const MBI_HAS_MEMORY = 0x001;
export const MBI_HAS_CMDLINE = 0x004;
export const MBI_HAS_MODULES = 0x008;
export const MBI_HAS_MMAP = 0x040;
export const MBI_HAS_LOADER_NAME = 0x200;

/** Module entry: u32 start, end (exclusive), text, 0. */
export const MBI_MODULE_BYTES = 16;
/** Memory-map entry: u32 size of what follows (20), u64 base, u64 length, u32 type. */
export const MBI_MMAP_ENTRY_BYTES = 24;
export const MBI_MMAP_ENTRY_SIZE = 20;
