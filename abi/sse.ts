/**
 * SSE as numbers: the control and status register.
 * Source: Intel SDM 1, "MXCSR Control and Status Register".
 */

/** Exceptions, in the places of their flags; their masks are seven bits higher. */
export const MXCSR_IE = 0x0001;
export const MXCSR_DE = 0x0002;
export const MXCSR_ZE = 0x0004;
export const MXCSR_OE = 0x0008;
export const MXCSR_UE = 0x0010;
export const MXCSR_PE = 0x0020;
export const MXCSR_FLAGS = 0x003f;
/** Exceptions found before anything is computed. */
export const MXCSR_BEFORE = 0x0007;
export const MXCSR_MASK_SHIFT = 7;
export const MXCSR_DAZ = 0x0040;
export const MXCSR_FTZ = 0x8000;
/** Rounding control, two bits. */
export const MXCSR_RC_SHIFT = 13;
export const RC_NEAREST = 0;
export const RC_DOWN = 1;
export const RC_UP = 2;
export const RC_ZERO = 3;
/** Bits that exist. */
export const MXCSR_DEFINED = 0xffff;
export const MXCSR_INIT = 0x1f80;
