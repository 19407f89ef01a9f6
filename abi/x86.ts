/**
 * The 32-bit x86 architecture as numbers: vectors, flag bits, control registers, descriptors, page-table entries.
 * Owned by nobody in particular and valid as AssemblyScript and as TypeScript; plain constants only.
 * Source: Intel SDM, volumes 1 and 3A; the section is named at each group.
 */

/** General registers, in encoding order (SDM 2A, "ModR/M and SIB Bytes"). */
export const REG_EAX = 0;
export const REG_ECX = 1;
export const REG_EDX = 2;
export const REG_EBX = 3;
export const REG_ESP = 4;
export const REG_EBP = 5;
export const REG_ESI = 6;
export const REG_EDI = 7;

/** Segment registers, in encoding order; LDTR and TR follow because they too have a hidden part. */
export const SEG_ES = 0;
export const SEG_CS = 1;
export const SEG_SS = 2;
export const SEG_DS = 3;
export const SEG_FS = 4;
export const SEG_GS = 5;
export const SEG_LDTR = 6;
export const SEG_TR = 7;

/** Exception vectors (SDM 3A, "Exception and Interrupt Vectors"). */
export const VECTOR_DE = 0;
export const VECTOR_DB = 1;
export const VECTOR_NMI = 2;
export const VECTOR_BP = 3;
export const VECTOR_OF = 4;
export const VECTOR_BR = 5;
export const VECTOR_UD = 6;
export const VECTOR_NM = 7;
export const VECTOR_DF = 8;
export const VECTOR_TS = 10;
export const VECTOR_NP = 11;
export const VECTOR_SS = 12;
export const VECTOR_GP = 13;
export const VECTOR_PF = 14;
export const VECTOR_MF = 16;
export const VECTOR_AC = 17;
export const VECTOR_MC = 18;
export const VECTOR_XM = 19;

/** Vectors that push an error code, as a bit mask: 8, 10-14, 17. */
export const VECTORS_WITH_ERROR_CODE = 0x00027d00;

/** Page-fault error code (SDM 3A, "Interrupt 14—Page-Fault Exception (#PF)"). */
export const PFERR_PRESENT = 1;
export const PFERR_WRITE = 2;
export const PFERR_USER = 4;
export const PFERR_RESERVED = 8;
export const PFERR_FETCH = 16;

/** Selector error code bits (SDM 3A, "Error Code"). */
export const ERR_EXT = 1;
export const ERR_IDT = 2;
export const ERR_TI = 4;

/** EFLAGS (SDM 3A, "System Flags and Fields in the EFLAGS Register"). */
export const EFLAGS_CF = 0x00000001;
export const EFLAGS_FIXED = 0x00000002;
export const EFLAGS_PF = 0x00000004;
export const EFLAGS_AF = 0x00000010;
export const EFLAGS_ZF = 0x00000040;
export const EFLAGS_SF = 0x00000080;
export const EFLAGS_TF = 0x00000100;
export const EFLAGS_IF = 0x00000200;
export const EFLAGS_DF = 0x00000400;
export const EFLAGS_OF = 0x00000800;
export const EFLAGS_IOPL = 0x00003000;
export const EFLAGS_IOPL_SHIFT = 12;
export const EFLAGS_NT = 0x00004000;
export const EFLAGS_RF = 0x00010000;
export const EFLAGS_VM = 0x00020000;
export const EFLAGS_AC = 0x00040000;
export const EFLAGS_VIF = 0x00080000;
export const EFLAGS_VIP = 0x00100000;
export const EFLAGS_ID = 0x00200000;
/** The six arithmetic flags, kept lazily. */
export const EFLAGS_ARITH = 0x000008d5;

/** DR6: breakpoints hit, a debug register was touched, single step, task switch (SDM 3B, "Debug Status Register (DR6)"). */
export const DR6_HITS = 0xf;
export const DR6_BD = 0x2000;
export const DR6_BS = 0x4000;
export const DR6_BT = 0x8000;
/** DR7: the enable bits, the local ones and LE, and the guard of the registers (SDM 3B, "Debug Control Register (DR7)"). */
export const DR7_ENABLES = 0xff;
export const DR7_LOCAL = 0x155;
export const DR7_GD = 0x2000;

/** CR0 and CR4 (SDM 3A, "Control Registers"). */
export const CR0_PE = 0x00000001;
export const CR0_MP = 0x00000002;
export const CR0_EM = 0x00000004;
export const CR0_TS = 0x00000008;
export const CR0_ET = 0x00000010;
export const CR0_NE = 0x00000020;
export const CR0_WP = 0x00010000;
export const CR0_AM = 0x00040000;
export const CR0_NW = 0x20000000;
export const CR0_CD = 0x40000000;
export const CR0_PG = 0x80000000 | 0;
export const CR4_VME = 0x001;
export const CR4_PVI = 0x002;
export const CR4_TSD = 0x004;
export const CR4_DE = 0x008;
export const CR4_PSE = 0x010;
export const CR4_PAE = 0x020;
export const CR4_MCE = 0x040;
export const CR4_PGE = 0x080;
export const CR4_PCE = 0x100;
export const CR4_OSFXSR = 0x200;
export const CR4_OSXMMEXCPT = 0x400;
export const CR4_UMIP = 0x800;
export const CR4_SMEP = 0x100000;
export const CR4_SMAP = 0x200000;
/** IA32_EFER: only NXE means anything in a 32-bit machine. */
export const EFER_SCE = 0x1;
export const EFER_NXE = 0x800;

/** Page-table entries (SDM 3A, "32-Bit Paging" and "PAE Paging"). */
export const PTE_P = 0x001;
export const PTE_RW = 0x002;
export const PTE_US = 0x004;
export const PTE_PWT = 0x008;
export const PTE_PCD = 0x010;
export const PTE_A = 0x020;
export const PTE_D = 0x040;
export const PTE_PS = 0x080;
export const PTE_G = 0x100;
/** NX lives in bit 63, i.e. bit 31 of a PAE entry's high half. */
export const PTE_NX_HIGH = 0x80000000 | 0;
/** Entries of a directory or table with 32-bit entries, with 64-bit entries, and of a page-directory-pointer table. */
export const TABLE_ENTRIES_32 = 1024;
export const TABLE_ENTRIES_PAE = 512;
export const PDPT_ENTRIES = 4;
/** High half of a PAE entry: the part of the frame number, and what lies past the 36 address bits that CPUID announces, but for NX. */
export const PAE_FRAME_HIGH = 0x000fffff;
export const PAE_RESERVED_HIGH = 0x7ffffff0;

/** Descriptor type field with S, bits 8-12 of the high dword (SDM 3A, "Segment Descriptors"). */
export const DESC_TYPE_MASK = 0x1f;
export const DESC_ACCESSED = 0x01;
export const DESC_WRITABLE = 0x02;
export const DESC_READABLE = 0x02;
export const DESC_EXPAND_DOWN = 0x04;
export const DESC_CONFORMING = 0x04;
export const DESC_CODE = 0x08;
export const DESC_S = 0x10;
/** In the high dword of a descriptor: its privilege level, and that it was accessed. */
export const DESC_DPL_HIGH = 0x6000;
export const DESC_DPL_HIGH_SHIFT = 13;
export const DESC_ACCESSED_HIGH = 0x100;

/** System descriptor types with S = 0 (SDM 3A, "System Descriptor Types"). */
export const SYSDESC_TSS16 = 1;
export const SYSDESC_LDT = 2;
export const SYSDESC_TSS16_BUSY = 3;
export const SYSDESC_CALL_GATE16 = 4;
export const SYSDESC_TASK_GATE = 5;
export const SYSDESC_INT_GATE16 = 6;
export const SYSDESC_TRAP_GATE16 = 7;
export const SYSDESC_TSS32 = 9;
export const SYSDESC_TSS32_BUSY = 11;
export const SYSDESC_CALL_GATE32 = 12;
export const SYSDESC_INT_GATE32 = 14;
export const SYSDESC_TRAP_GATE32 = 15;

/**
 * Segment attributes as the vCPU block keeps them: the descriptor's high dword shifted right by 8 and masked to
 * {type+S, DPL, P, AVL, L, D/B, G}; 0 in bit 7 (P) marks an unusable (null) segment.
 */
export const ATTR_TYPE = 0x001f;
export const ATTR_DPL = 0x0060;
export const ATTR_DPL_SHIFT = 5;
export const ATTR_P = 0x0080;
export const ATTR_AVL = 0x1000;
export const ATTR_DB = 0x4000;
export const ATTR_G = 0x8000;
export const ATTR_MASK = 0xf0ff;

/** MSRs a 32-bit kernel asks for (SDM 4, "Architectural MSRs"). */
export const MSR_TSC = 0x10;
export const MSR_APIC_BASE = 0x1b;
export const MSR_SYSENTER_CS = 0x174;
export const MSR_SYSENTER_ESP = 0x175;
export const MSR_SYSENTER_EIP = 0x176;
export const MSR_PAT = 0x277;
export const MSR_EFER = 0xc0000080 | 0;
/** Bit 31: CPUID can be made to fault. Bit 0 of the other one: it does (SDM 4, "MSR_PLATFORM_INFO" and "MSR_MISC_FEATURES_ENABLES"). */
export const MSR_PLATFORM_INFO = 0xce;
export const MSR_MISC_FEATURES_ENABLES = 0x140;
export const MSR_DEBUGCTL = 0x1d9;
export const MSR_TSC_AUX = 0xc0000103 | 0;
/** Those that CPUID leaf 7 promises in EDX (SDM 4, "IA32_SPEC_CTRL", "IA32_PRED_CMD", "IA32_ARCH_CAPABILITIES"). */
export const MSR_SPEC_CTRL = 0x48;
export const MSR_PRED_CMD = 0x49;
export const MSR_ARCH_CAPABILITIES = 0x10a;
export const SPEC_CTRL_IBRS = 1;
export const PRED_CMD_IBPB = 1;
/** How many banks report machine checks, and which one is in progress (SDM 3B, "Machine-Check Global Control MSRs"). */
export const MSR_MCG_CAP = 0x179;
export const MSR_MCG_STATUS = 0x17a;

/** MSRs of Intel processors that software reads without asking CPUID (SDM 4, tables of the P6, Pentium 4 and Core families). */
export const MSR_PLATFORM_ID = 0x17;
export const MSR_POWER_ON = 0x2a;
export const MSR_FEATURE_CONTROL = 0x3a;
export const MSR_MICROCODE_REVISION = 0x8b;
export const MSR_BBL_CR_CTL = 0x119;
export const MSR_MISC_ENABLE = 0x1a0;
/** MISC_ENABLE: fast strings, branch trace and event sampling unavailable; CPUID ends at leaf 3; (high half) no execute-disable bit. */
export const MISC_FAST_STRINGS = 0x1;
export const MISC_NO_TRACES = 0x1800;
export const MISC_LIMIT_CPUID = 0x400000;
export const MISC_NO_XD_HIGH = 0x4;
/** Bits of MISC_ENABLE that keep what is written: fast strings, thermal control, SpeedStep, MONITOR, the limit, xTPR; XD. */
export const MISC_WRITABLE_LOW = 0xc50009;
export const MISC_WRITABLE_HIGH = MISC_NO_XD_HIGH;
/** Event selects and counters of AMD processors, first index and how many (APM 2, "Performance Monitoring Counters"). */
export const MSR_K7_FIRST = 0xc0010000 | 0;
export const MSR_K7_COUNT = 8;
export const MSR_FAM15_FIRST = 0xc0010200 | 0;
export const MSR_FAM15_COUNT = 12;
