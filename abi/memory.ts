/**
 * Page geometry, shared by the core, the Host and the devices.
 */

/** log2 of PAGE_BYTES. */
export const PAGE_BITS = 12;
/** Bytes of a guest page and of a pool frame. */
export const PAGE_BYTES = 4096;
