/**
 * The x87 as numbers: status word, control word, tag word.
 * Source: Intel SDM 1, "x87 FPU Status Register", "x87 FPU Control Word", "x87 FPU Tag Word".
 */

/** Status word: exceptions (the same bits mask them in the control word), stack fault, summary, condition codes, TOP, busy. */
export const FSW_IE = 0x0001;
export const FSW_DE = 0x0002;
export const FSW_ZE = 0x0004;
export const FSW_OE = 0x0008;
export const FSW_UE = 0x0010;
export const FSW_PE = 0x0020;
export const FSW_SF = 0x0040;
export const FSW_ES = 0x0080;
export const FSW_C0 = 0x0100;
export const FSW_C1 = 0x0200;
export const FSW_C2 = 0x0400;
export const FSW_TOP = 0x3800;
export const FSW_TOP_SHIFT = 11;
export const FSW_C3 = 0x4000;
export const FSW_B = 0x8000;
/** The six exceptions, without the stack fault. */
export const FSW_EXCEPTIONS = 0x003f;
/** Exceptions found before anything is computed: when unmasked the operands stay as they were. */
export const FSW_BEFORE = 0x0007;

/** Control word: rounding control and precision control; bit 6 reads as 1. */
export const FCW_INIT = 0x037f;
export const FCW_FIXED = 0x0040;
/** At power-up, before FNINIT; the tag word, all zeroes in registers that are not empty, reads as 0x5555. */
export const FCW_POWER_UP = 0x0040;
export const FTW_POWER_UP = 0x0000;
export const FCW_DEFINED = 0x1f3f;
export const FCW_RC = 0x0c00;
export const FCW_RC_NEAREST = 0x0000;
export const FCW_RC_DOWN = 0x0400;
export const FCW_RC_UP = 0x0800;
export const FCW_RC_ZERO = 0x0c00;
export const FCW_PC = 0x0300;
export const FCW_PC_SINGLE = 0x0000;
export const FCW_PC_DOUBLE = 0x0200;
export const FCW_PC_EXTENDED = 0x0300;

/** Tag word: two bits for each physical register. */
export const TAG_VALID = 0;
export const TAG_ZERO = 1;
export const TAG_SPECIAL = 2;
export const TAG_EMPTY = 3;
/** All registers empty. */
export const FTW_INIT = 0xffff;

/**
 * FXSAVE's image: FCW and FSW; a byte of tags and FOP; pointers; MXCSR; ST(0)-ST(7) and XMM0-XMM7 of 16 bytes each.
 * Source: SDM 2A, "FXSAVE—Save x87 FPU, MMX Technology, and SSE State".
 */
export const FXSAVE_BYTES = 512;
export const FX_FCW = 0;
export const FX_FSW = 2;
/** Bit n: physical register n is not empty. */
export const FX_FTW = 4;
export const FX_FOP = 6;
export const FX_FIP = 8;
export const FX_FCS = 12;
export const FX_FDP = 16;
export const FX_FDS = 20;
export const FX_MXCSR = 24;
export const FX_MXCSR_MASK = 28;
export const FX_ST = 32;
export const FX_XMM = 160;
