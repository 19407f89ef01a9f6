/**
 * Direct boot of a 32-bit entry point named by an ELF note ("PVH").
 * Source: xen/include/public/arch-x86/hvm/start_info.h, xen/include/public/elfnote.h, docs/misc/pvh.
 */

/** The ELF note of name "Xen" whose 4 bytes are the physical entry address. */
export const PVH_NOTE_NAME = "Xen";
export const XEN_ELFNOTE_PHYS32_ENTRY = 18;

/** struct hvm_start_info, whose address is in EBX at entry. */
export const HVM_START_MAGIC = 0x336ec578;
export const HVM_START_VERSION_1 = 1;
export const HVM_START_INFO_MAGIC = 0;
export const HVM_START_INFO_VERSION = 4;
export const HVM_START_INFO_NR_MODULES = 12;
/** u64 guest-physical addresses; 0 when absent. */
export const HVM_START_INFO_MODLIST = 16;
export const HVM_START_INFO_CMDLINE = 24;
export const HVM_START_INFO_RSDP = 32;
export const HVM_START_INFO_MEMMAP = 40;
export const HVM_START_INFO_MEMMAP_ENTRIES = 48;
export const HVM_START_INFO_BYTES = 56;

/** struct hvm_modlist_entry: u64 address, size, command line, reserved. */
export const HVM_MODLIST_ENTRY_BYTES = 32;
/** struct hvm_memmap_table_entry: u64 address, size, u32 type, u32 reserved. */
export const HVM_MEMMAP_ENTRY_BYTES = 24;
