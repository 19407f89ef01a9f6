/**
 * The parts of a PC that small kernels rely on: ports, interrupt lines, memory map.
 * Source: Intel ICH datasheets ("Fixed I/O Address Ranges"), ACPI 6, "Address Range Types".
 */

/** First address past conventional memory, the area of the system ROM, and the first address past 1 MiB. */
export const PC_LOW_RAM_END = 0x9fc00;
export const PC_ROM_START = 0xe0000;
export const PC_HIGH_RAM_START = 0x100000;
/** The ROM's other image ends at 4 GiB. */
export const PC_ROM_BYTES_MAX = 0x20000;
export const PC_RESET_SELECTOR = 0xf000;
export const PC_RESET_OFFSET = 0xfff0;
/** Where the firmware begins in real mode, F000:FFF0 and FFFF:0000. */
export const PC_FIRMWARE_ENTRY = 0xffff0;
/** Real-mode pointer at 40:67, offset first: where firmware goes on after a reset with one of the shutdown codes below. */
export const PC_WARM_RESET_VECTOR = 0x467;
/** The byte of battery-backed memory in which a program leaves word for the firmware, and codes: go on, with an end of interrupt first. */
export const CMOS_SHUTDOWN = 0x0f;
export const SHUTDOWN_JUMP_EOI = 0x05;
export const SHUTDOWN_JUMP = 0x0a;

/** Address range types of memory maps. */
export const MEMORY_RAM = 1;
export const MEMORY_RESERVED = 2;

/** Interrupt controllers: command and data ports of each 8259, and the edge/level registers. */
export const PORT_PIC_MASTER = 0x20;
export const PORT_PIC_SLAVE = 0xa0;
export const PORT_PIC_ELCR = 0x4d0;
/** Line of the master that the slave's output is wired to. */
export const PIC_CASCADE_LINE = 2;

/** Interval timer: three counters and a control port, 1,193,182 Hz; its gate and speaker port. */
export const PORT_PIT = 0x40;
export const PORT_PIT_CONTROL = 0x43;
export const PIT_HZ = 1_193_182;
export const PORT_SYSTEM_CONTROL_B = 0x61;

export const PORT_KEYBOARD_DATA = 0x60;
export const PORT_KEYBOARD_COMMAND = 0x64;
export const PORT_RTC_INDEX = 0x70;
export const PORT_RTC_DATA = 0x71;
export const PORT_POST = 0x80;
export const PORT_SYSTEM_CONTROL_A = 0x92;
/** Commands to the firmware, and the one that its own entry point gives. */
export const PORT_SMI_COMMAND = 0xb2;
export const SMI_START_OVER = 0x5a;
export const PORT_TEST_POST = 0x190;
export const PORT_DEBUG_CONSOLE = 0xe9;
/** A write clears the latch that the x87's FERR# sets. */
export const PORT_COPROCESSOR = 0xf0;
export const PORT_COPROCESSOR_LAST = 0xf1;
export const PORT_DEBUG_EXIT = 0xf4;
export const PORT_COM1 = 0x3f8;
export const PORT_FW_CFG_SELECT = 0x510;
export const PORT_FW_CFG_DATA = 0x511;
export const PORT_RESET_CONTROL = 0xcf9;
/** Reset control: the whole machine rather than the processor; now. */
export const RESET_CONTROL_HARD = 0x02;
export const RESET_CONTROL_NOW = 0x04;

/** Interrupt lines. */
export const IRQ_PIT = 0;
export const IRQ_COM1 = 4;
export const IRQ_RTC = 8;
export const IRQ_COPROCESSOR = 13;
export const ISA_IRQS = 16;
/** The pin of the I/O APIC that the interval timer is wired to. */
export const IOAPIC_TIMER_PIN = 2;

/** fw_cfg selectors that kernels ask for. */
export const FW_CFG_SIGNATURE = 0x00;
export const FW_CFG_ID = 0x01;
export const FW_CFG_RAM_SIZE = 0x03;
export const FW_CFG_NB_CPUS = 0x05;
export const FW_CFG_MAX_CPUS = 0x0f;

/** The device of kernel test suites: lines by port, a port that remembers, memory that is a device. */
export const PORT_TEST_IO = 0xe0;
export const PORT_TEST_IO_LAST = 0xe8;
export const PORT_TEST_IRQS = 0x2000;
export const TEST_MEMORY_GPA = 0xff000000 | 0;
export const TEST_MEMORY_BYTES = 0x10000;
