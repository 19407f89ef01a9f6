/**
 * The tables and fixed registers of ACPI as far as a plain machine has them.
 * Source: ACPI 6, "ACPI Software Programming Model" and "ACPI Hardware Specification" (each section by its table's name).
 */

/** Address of the root pointer, in the area that systems without firmware calls search, and where its neighbours end. */
export const ACPI_TABLES_GPA = 0xe0000;
export const ACPI_TABLES_END = 0xf0000;

/** Root System Description Pointer, revision 2. Its first checksum covers the 20 bytes of revision 0. */
export const RSDP_REVISION = 2;
export const RSDP_V1_BYTES = 20;
export const RSDP_BYTES = 36;
export const RSDP_CHECKSUM = 8;
export const RSDP_OEM_ID = 9;
export const RSDP_REVISION_FIELD = 15;
export const RSDP_RSDT = 16;
export const RSDP_LENGTH = 20;
export const RSDP_XSDT = 24;
export const RSDP_EXTENDED_CHECKSUM = 32;

/** The header that all other tables but FACS begin with. */
export const SDT_LENGTH = 4;
export const SDT_REVISION = 8;
export const SDT_CHECKSUM = 9;
export const SDT_OEM_ID = 10;
export const SDT_OEM_TABLE_ID = 16;
export const SDT_OEM_REVISION = 24;
export const SDT_CREATOR_ID = 28;
export const SDT_CREATOR_REVISION = 32;
export const SDT_HEADER_BYTES = 36;

/** Fixed ACPI Description Table, revision 3. */
export const FADT_REVISION = 3;
export const FADT_BYTES = 244;
export const FADT_FIRMWARE_CTRL = 36;
export const FADT_DSDT = 40;
export const FADT_SCI_INT = 46;
export const FADT_PM1A_EVT_BLK = 56;
export const FADT_PM1A_CNT_BLK = 64;
export const FADT_PM1_EVT_LEN = 88;
export const FADT_PM1_CNT_LEN = 89;
/** Latencies above 100 and 1000 microseconds: C2 and C3 do not exist. */
export const FADT_P_LVL2_LAT = 96;
export const FADT_P_LVL3_LAT = 98;
export const FADT_NO_C2 = 101;
export const FADT_NO_C3 = 1001;
export const FADT_BOOT_ARCH = 109;
export const FADT_FLAGS = 112;
export const FADT_RESET_REG = 116;
export const FADT_RESET_VALUE = 128;
/** IAPC_BOOT_ARCH: devices at their traditional ports, but no keyboard; no VGA. */
export const BOOT_ARCH_LEGACY_DEVICES = 0x1;
export const BOOT_ARCH_NO_VGA = 0x4;
/** Flags: WBINVD works, C1 works, no fixed power and sleep buttons, a reset register. */
export const FADT_WBINVD = 0x1;
export const FADT_PROC_C1 = 0x4;
export const FADT_PWR_BUTTON = 0x10;
export const FADT_SLP_BUTTON = 0x20;
export const FADT_RESET_REG_SUP = 0x400;
/** Generic Address Structure: u8 space, bit width, bit offset, access size, u64 address. */
export const GAS_SYSTEM_IO = 1;
export const GAS_BYTE_ACCESS = 1;

/** Firmware ACPI Control Structure, aligned to 64 bytes. */
export const FACS_BYTES = 64;
export const FACS_LENGTH = 4;
export const FACS_WAKING_VECTOR = 12;
export const FACS_VERSION = 32;

/** Multiple APIC Description Table: after its header the local APICs' address and flags, then entries. */
export const MADT_REVISION = 1;
export const MADT_LOCAL_APIC_ADDRESS = 36;
export const MADT_FLAGS = 40;
export const MADT_ENTRIES = 44;
/** Flag: 8259s are there too. */
export const MADT_PCAT_COMPAT = 1;
/** Entry types with their lengths. */
export const MADT_LOCAL_APIC = 0;
export const MADT_LOCAL_APIC_BYTES = 8;
export const MADT_LOCAL_APIC_ENABLED = 1;
export const MADT_IO_APIC = 1;
export const MADT_IO_APIC_BYTES = 12;
export const MADT_OVERRIDE = 2;
export const MADT_OVERRIDE_BYTES = 10;
export const MADT_LOCAL_NMI = 4;
export const MADT_LOCAL_NMI_BYTES = 6;
export const MADT_ALL_PROCESSORS = 0xff;
/** Polarity and trigger: as the bus has it; active high and level-triggered. */
export const MADT_CONFORMS = 0;
export const MADT_HIGH_LEVEL = 0x000d;

/** Fixed registers: PM1 status and enable, PM1 control. */
export const PORT_PM1_EVT = 0x600;
export const PM1_EVT_BYTES = 4;
export const PORT_PM1_CNT = 0x604;
export const PM1_CNT_BYTES = 2;
/** The system control interrupt. */
export const IRQ_SCI = 9;
/** PM1 status and enable: the alarm of the clock rang; status only: the machine woke up. */
export const PM1_RTC = 0x0400;
export const PM1_WAK = 0x8000;
/** PM1 control: ACPI mode is on; type of sleep, and go. */
export const PM1_SCI_EN = 0x0001;
export const PM1_SLP_TYP_SHIFT = 10;
export const PM1_SLP_TYP_MASK = 0x1c00;
export const PM1_SLP_EN = 0x2000;
/** Types of sleep, as the DSDT says: the machine is switched off, or suspended to memory. */
export const SLP_TYP_S5 = 0;
export const SLP_TYP_S3 = 1;

/** AML: a name, a package, the constant zero. */
export const AML_ZERO = 0x00;
export const AML_NAME = 0x08;
export const AML_PACKAGE = 0x12;
