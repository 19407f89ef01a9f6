/**
 * The lguest guest/Host interface as numbers: hypercalls, struct lguest_data, start of day, the descriptor page.
 * Plain constants, valid as AssemblyScript and as TypeScript.
 * Source: facts read off Linux 3.10 ("old bus") and Linux 4.1 ("pci") guests; where the two differ the name says which.
 */

// ---------------------------------------------------------------------------------------------------------------
// Hypercalls: int 0x1F from CPL 1, number in EAX, arguments in EBX ECX EDX ESI
// ---------------------------------------------------------------------------------------------------------------

export const LGUEST_TRAP_ENTRY = 0x1f;

export const LHCALL_FLUSH_ASYNC = 0;
/** EBX: guest-physical address of struct lguest_data. */
export const LHCALL_LGUEST_INIT = 1;
/** EBX: guest-physical address of a C string, ECX: LGUEST_SHUTDOWN_*. */
export const LHCALL_SHUTDOWN = 2;
/** EBX: guest-physical address of the top-level page table. */
export const LHCALL_NEW_PGTABLE = 4;
/** EBX: 0 drops the user half of the current table, 1 drops everything. */
export const LHCALL_FLUSH_TLB = 5;
/** EBX: vector, ECX and EDX: the gate. */
export const LHCALL_LOAD_IDT_ENTRY = 6;
/** EBX: SS, ECX: ESP, EDX: pages. */
export const LHCALL_SET_STACK = 7;
/** EBX: 0 or CR0.TS. */
export const LHCALL_TS = 8;
/** EBX: nanoseconds until interrupt 0, 0 cancels. */
export const LHCALL_SET_CLOCKEVENT = 9;
export const LHCALL_HALT = 10;
/** EBX: guest-physical address of a page middle directory, ECX: index. PAE only. */
export const LHCALL_SET_PMD = 13;
/** EBX: top-level table, ECX: linear address, EDX (ESI): the entry. */
export const LHCALL_SET_PTE = 14;
/** EBX: top-level table, ECX: index. */
export const LHCALL_SET_PGD = 15;
/** EBX: guest-physical address of three descriptors, ECX: CPU. */
export const LHCALL_LOAD_TLS = 16;
/** Old bus only. EBX: guest-physical address of a ring, a device descriptor or a string. */
export const LHCALL_NOTIFY = 17;
/** EBX: index, ECX and EDX: the descriptor. */
export const LHCALL_LOAD_GDT_ENTRY = 18;
export const LHCALL_SEND_INTERRUPTS = 19;
/** One more than the highest call number. */
export const LHCALL_COUNT = 20;

export const LGUEST_SHUTDOWN_POWEROFF = 1;
export const LGUEST_SHUTDOWN_RESTART = 2;
/** Bytes of the SHUTDOWN string that are read. */
export const LGUEST_SHUTDOWN_TEXT_BYTES = 128;
/** The string of a power off; with any other one, SHUTDOWN(.., POWEROFF) is a panic. */
export const LGUEST_POWER_DOWN = "Power down";

// ---------------------------------------------------------------------------------------------------------------
// struct lguest_data, by guest-physical address
// ---------------------------------------------------------------------------------------------------------------

/** u32, 0 or EFLAGS.IF: this word is the guest's interrupt flag. */
export const LG_DATA_IRQ_ENABLED = 0x000;
/** u32, bit n masks interrupt n. */
export const LG_DATA_BLOCKED = 0x004;
export const LG_DATA_CR2 = 0x008;
/** u32 seconds, u32 nanoseconds: wall clock. */
export const LG_DATA_TIME_SEC = 0x00c;
export const LG_DATA_TIME_NSEC = 0x010;
/** u32, EFLAGS.IF while an unmasked interrupt waits because IRQ_ENABLED is 0. */
export const LG_DATA_IRQ_PENDING = 0x014;
/** u8[64], one per ring slot: LG_HCALL_FREE or 0 when ready. */
export const LG_DATA_HCALL_STATUS = 0x018;
/** 64 slots of five u32: number and four arguments. */
export const LG_DATA_HCALLS = 0x058;
export const LG_DATA_RESERVE_MEM = 0x558;
export const LG_DATA_TSC_KHZ = 0x55c;
/** Old bus: interrupts are held off while NOIRQ_START <= EIP < NOIRQ_END. */
export const LG_DATA_OLD_NOIRQ_START = 0x560;
export const LG_DATA_OLD_NOIRQ_END = 0x564;
/** Also the word that tells the layouts apart: a kernel address here, a system-call vector in the pci layout. */
export const LG_DATA_OLD_KERNEL_ADDRESS = 0x568;
export const LG_DATA_OLD_SYSCALL_VECTOR = 0x56c;
export const LG_DATA_OLD_BYTES = 0x570;
/** pci: interrupts are held off at EIP == NOIRQ_IRET. */
export const LG_DATA_PCI_NOIRQ_IRET = 0x560;
export const LG_DATA_PCI_KERNEL_ADDRESS = 0x564;
export const LG_DATA_PCI_SYSCALL_VECTOR = 0x568;
export const LG_DATA_PCI_BYTES = 0x56c;

export const LG_RING_SLOTS = 64;
export const LG_RING_SLOT_BYTES = 20;
export const LG_HCALL_FREE = 0xff;

/** Interrupt n is vector LGUEST_IRQ_BASE + n; interrupt 0 is the timer. */
export const LGUEST_IRQ_BASE = 0x20;
export const LGUEST_IRQS = 32;
export const LGUEST_TIMER_IRQ = 0;

/** The system-call vector every known guest uses. */
export const LGUEST_SYSCALL_VECTOR = 0x80;
/** From here to 4 GiB linear addresses belong to the Host: reserve_mem is 2^32 minus this. */
export const LGUEST_SWITCHER_LIN = 0xffc00000 | 0;

// ---------------------------------------------------------------------------------------------------------------
// Start of day
// ---------------------------------------------------------------------------------------------------------------

export const LGUEST_GDT_ENTRIES = 32;
/** Entries the Host keeps to itself, as a bit mask: its code and data (10, 11), the TSS (16), the double-fault TSS (31). */
export const LGUEST_GDT_IGNORED = 0x80010c00 | 0;
/** LOAD_TLS: first entry and how many. */
export const LGUEST_TLS_FIRST = 6;
export const LGUEST_TLS_ENTRIES = 3;
/** Vectors whose LOAD_IDT_ENTRY is silently ignored, as a bit mask: #DF, 15 and the hypercall itself. The original ignored NMI's too. */
export const LGUEST_IDT_IGNORED = 0x80008100 | 0;
/** Exceptions whose gate a processor never enters by itself, as a bit mask: NMI, #NM, #GP, #PF and the hypercall. */
export const LGUEST_NEVER_DIRECT = 0x80006084 | 0;
export const LGUEST_GDT_KERNEL_CS = 12;
export const LGUEST_GDT_KERNEL_DS = 13;
/** LOAD_IDT_ENTRY keeps these bits of a gate's high dword: offset, P, DPL, type. */
export const LGUEST_GATE_HIGH_MASK = 0xffffef00 | 0;
/** SET_STACK names at most this many pages. */
export const LGUEST_STACK_PAGES_MAX = 2;
/** Flags that an entry of a directory may have, and one of a page-directory-pointer table. Any other one kills. */
export const LGUEST_PDE_FLAGS = 0x067;
export const LGUEST_PDPTE_FLAGS = 0x001;
/** Selectors of the guest kernel: entries 12 and 13 with RPL 1. */
export const LGUEST_KERNEL_CS = 0x61;
export const LGUEST_KERNEL_DS = 0x69;
/** Flat 4 GiB, DPL 1, accessed, 32-bit: code and data. The low dword is the same for both. */
export const LGUEST_FLAT_LOW = 0x0000ffff;
export const LGUEST_FLAT_CODE_HIGH = 0x00cfbb00;
export const LGUEST_FLAT_DATA_HIGH = 0x00cfb300;
export const LGUEST_KERNEL_CPL = 1;

/** struct boot_params (linux-boot.ts) is at guest-physical 0; what lguest puts into its fields. */
export const BOOT_PARAMS_GPA = 0;
export const BP_VERSION_VALUE = 0x0207;
export const BP_KEEP_SEGMENTS = 0x40;
export const BP_KERNEL_ALIGNMENT_VALUE = 0x01000000;
export const BP_SUBARCH_LGUEST = 1;
/** The command line follows boot_params; a kernel reads at most 2048 bytes of it. */
export const LGUEST_CMDLINE_GPA = 0x1000;
export const LGUEST_CMDLINE_MAX_BYTES = 2048;
/** Where the payload of a bzImage is copied. */
export const LGUEST_BZIMAGE_GPA = 0x100000;

/** RAM-like device pages above RAM: the descriptor page and the rings of the old bus. */
export const LGUEST_DEVICE_PAGES = 256;

// ---------------------------------------------------------------------------------------------------------------
// Old bus: the descriptor page, the first page above RAM
// ---------------------------------------------------------------------------------------------------------------

/** One descriptor: five bytes, then 8 bytes per queue, two feature arrays, the configuration; type 0 ends the list. */
export const LGDEV_TYPE = 0;
export const LGDEV_NUM_VQ = 1;
export const LGDEV_FEATURE_LEN = 2;
export const LGDEV_CONFIG_LEN = 3;
export const LGDEV_STATUS = 4;
export const LGDEV_HEADER_BYTES = 5;
/** Per queue: u16 ring size, u16 interrupt, u32 page frame of the ring. */
export const LGDEV_VQ_NUM = 0;
export const LGDEV_VQ_IRQ = 2;
export const LGDEV_VQ_PFN = 4;
export const LGDEV_VQ_BYTES = 8;
export const LGDEV_RING_ALIGN = 4096;
export const LGDEV_RING_SIZE = 256;
/** Longest early-console string read for one NOTIFY. */
export const LGUEST_EARLY_CONSOLE_BYTES = 4096;

// ---------------------------------------------------------------------------------------------------------------
// I/O ports (pci variety)
// ---------------------------------------------------------------------------------------------------------------

/** Keyboard controller status: reads 1 so that the guest's probe gives up. */
export const PORT_KEYBOARD_STATUS = 0x64;
/** System control port B: its two highest bits name the cause of an NMI, memory parity or a card's error. Neither exists here. */
export const PORT_SYSTEM_CONTROL_B = 0x61;
export const SYSTEM_CONTROL_B_NO_CAUSE = 0x3f;
export const PORT_PCI_FIRST = 0xcf8;
export const PORT_PCI_LAST = 0xcff;
