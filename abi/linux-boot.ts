/**
 * Linux's own boot protocol on x86: struct boot_params with the setup header of a bzImage inside, and the state at the 32-bit entry.
 * Source: Documentation/x86/boot.rst, "The Real-Mode Kernel Header", "32-bit Boot Protocol"; zero-page.rst.
 */

export const BOOT_PARAMS_BYTES = 0x1000;
/** u64 address of ACPI's root pointer. */
export const BP_ACPI_RSDP = 0x070;
export const BP_E820_ENTRIES = 0x1e8;
/** The setup header, at the same offset in the image; the byte says how far past 0x202 it reaches. */
export const BP_SETUP_HEADER = 0x1f1;
export const BP_SETUP_HEADER_LENGTH = 0x201;
export const BP_SETUP_HEADER_BASE = 0x202;
export const BP_VERSION = 0x206;
export const BP_TYPE_OF_LOADER = 0x210;
export const BP_LOADFLAGS = 0x211;
export const BP_RAMDISK_IMAGE = 0x218;
export const BP_RAMDISK_SIZE = 0x21c;
export const BP_CMD_LINE_PTR = 0x228;
export const BP_KERNEL_ALIGNMENT = 0x230;
export const BP_HARDWARE_SUBARCH = 0x23c;
/** Where the kernel unpacks itself to (u64), and how much memory it needs there until it can allocate. Since protocol 2.10. */
export const BP_PREF_ADDRESS = 0x258;
export const BP_INIT_SIZE = 0x260;
export const BP_E820_TABLE = 0x2d0;
/** u64 address, u64 size, u32 type. */
export const BP_E820_ENTRY_BYTES = 20;
export const BP_E820_RAM = 1;
/** A loader without a number of its own. */
export const BP_LOADER_VALUE = 0xff;
export const BP_VERSION_INIT_SIZE = 0x020a;

/** Flat descriptors that the 32-bit entry finds in the GDT: code and data. */
export const LINUX_BOOT_CS = 0x10;
export const LINUX_BOOT_DS = 0x18;
export const LINUX_BOOT_GDT_BYTES = 0x20;
export const LINUX_FLAT_LOW = 0x0000ffff;
export const LINUX_FLAT_CODE_HIGH = 0x00cf9b00;
export const LINUX_FLAT_DATA_HIGH = 0x00cf9300;
