/**
 * Local APIC and I/O APIC: register offsets and bits.
 * Source: SDM 3A, "Advanced Programmable Interrupt Controller (APIC)"; 82093AA datasheet, "Register Description".
 */

export const APIC_GPA = 0xfee00000 | 0;
export const APIC_BYTES = 0x1000;
/** IA32_APIC_BASE: bootstrap processor, global enable. */
export const APIC_BASE_BSP = 0x100;
export const APIC_BASE_ENABLE = 0x800;
/** Bits a processor with 36 address bits and no x2APIC lets be written besides BSP: the enable bit and the address. */
export const APIC_BASE_WRITABLE_LOW = 0xfffff900 | 0;
export const APIC_BASE_WRITABLE_HIGH = 0x0000000f;

export const APIC_ID = 0x20;
export const APIC_VERSION = 0x30;
export const APIC_TPR = 0x80;
export const APIC_PPR = 0xa0;
export const APIC_EOI = 0xb0;
export const APIC_LDR = 0xd0;
export const APIC_DFR = 0xe0;
export const APIC_SPURIOUS = 0xf0;
/** Eight words of 32 vectors each, 16 bytes apart. */
export const APIC_ISR = 0x100;
export const APIC_TMR = 0x180;
export const APIC_IRR = 0x200;
export const APIC_ESR = 0x280;
export const APIC_ICR_LOW = 0x300;
export const APIC_ICR_HIGH = 0x310;
export const APIC_LVT_TIMER = 0x320;
export const APIC_LVT_THERMAL = 0x330;
export const APIC_LVT_PERFORMANCE = 0x340;
export const APIC_LVT_LINT0 = 0x350;
export const APIC_LVT_LINT1 = 0x360;
export const APIC_LVT_ERROR = 0x370;
export const APIC_TIMER_INITIAL = 0x380;
export const APIC_TIMER_CURRENT = 0x390;
export const APIC_TIMER_DIVIDE = 0x3e0;

/** Version 0x14 with six LVT entries. */
export const APIC_VERSION_VALUE = 0x00050014;
export const APIC_SPURIOUS_ENABLE = 0x100;
export const APIC_LVT_MASKED = 0x10000;
export const APIC_LVT_PERIODIC = 0x20000;
export const APIC_LVT_EXTINT = 0x700;
export const APIC_ESR_ILLEGAL_SEND = 0x20;
export const APIC_ESR_ILLEGAL_RECEIVE = 0x40;

/** Delivery modes, bits 8-10. */
export const DELIVERY_FIXED = 0;
export const DELIVERY_LOWEST = 1;
export const DELIVERY_SMI = 2;
export const DELIVERY_NMI = 4;
export const DELIVERY_INIT = 5;
export const DELIVERY_STARTUP = 6;
export const DELIVERY_EXTINT = 7;

export const IOAPIC_GPA = 0xfec00000 | 0;
export const IOAPIC_BYTES = 0x1000;
export const IOAPIC_SELECT = 0x00;
export const IOAPIC_WINDOW = 0x10;
export const IOAPIC_EOI = 0x40;
export const IOAPIC_PINS = 24;
/** Version 0x20, highest redirection entry 23. */
export const IOAPIC_VERSION_VALUE = 0x00170020;
export const IOAPIC_REG_ID = 0x00;
export const IOAPIC_REG_VERSION = 0x01;
export const IOAPIC_REG_ARBITRATION = 0x02;
export const IOAPIC_REG_REDIRECTION = 0x10;
/** Redirection entry, low half: destination mode, remote IRR, level-triggered, masked. */
export const REDIRECTION_LOGICAL = 0x0800;
export const REDIRECTION_REMOTE_IRR = 0x4000;
export const REDIRECTION_LEVEL = 0x8000;
export const REDIRECTION_MASKED = 0x10000;
/** Bits of the low half that a driver may write. */
export const REDIRECTION_WRITABLE = 0x1afff;
