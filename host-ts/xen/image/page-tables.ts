/**
 * Page tables between the machine and an image: their entries name machine frames here and pseudo-physical ones there, and Xen's own entries
 * are left out. Source: Xen's docs/specs/libxc-migration-stream.pandoc, "x86 PV Guest".
 */
import { PAGE_BYTES } from "../../../abi/memory.ts";
import { PTE_P } from "../../../abi/x86.ts";
import { L2_FIRST_XEN_SLOT } from "../../../abi/xen.ts";
import { PAGE_XEN_L2, PGT_L2, PGT_L3 } from "../../../abi/xen-memory.ts";

const ENTRY_BYTES = 8;
const ENTRIES = PAGE_BYTES / ENTRY_BYTES;
const L3_SLOTS = 4;
const FLAGS = 0xfff;
/** Bits of the upper half that are part of a frame number. */
const FRAME_HIGH = 0x000fffff;

/** Slots of a table that are the guest's. @param typeBits type word of the page @param type PGT_* */
export function guestSlots(typeBits: number, type: number): number {
  if (type === PGT_L3) return L3_SLOTS;
  return type === PGT_L2 && (typeBits & PAGE_XEN_L2) !== 0 ? L2_FIRST_XEN_SLOT : ENTRIES;
}

/**
 * Replaces the frame of every present entry in the first `slots` of a table, and clears the others.
 * @returns undefined, or the first slot whose frame `rename` does not know
 */
export function renameFrames(
  table: Uint8Array,
  slots: number,
  rename: (frame: number) => number | undefined,
): { readonly slot: number; readonly frame: number } | undefined {
  const view = new DataView(table.buffer, table.byteOffset, PAGE_BYTES);
  for (let slot = 0; slot < slots; slot++) {
    const low = view.getUint32(slot * ENTRY_BYTES, true);
    if ((low & PTE_P) === 0) continue;
    const high = view.getUint32(slot * ENTRY_BYTES + 4, true);
    const frame = (high & FRAME_HIGH) * 2 ** 20 + (low >>> 12);
    const renamed = rename(frame);
    if (renamed === undefined) return { slot, frame };
    view.setUint32(slot * ENTRY_BYTES, renamed * PAGE_BYTES + (low & FLAGS), true);
    view.setUint32(slot * ENTRY_BYTES + 4, high & ~FRAME_HIGH, true);
  }
  table.fill(0, slots * ENTRY_BYTES);
  return undefined;
}
