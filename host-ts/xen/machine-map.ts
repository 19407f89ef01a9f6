/**
 * Machine memory of one domain: which frames are its RAM, and where behind them Xen keeps its own. Frame numbers only; nothing here
 * touches memory.
 */
import { PAGE_BYTES } from "../../abi/memory.ts";
import {
  XEN_FOREIGN_FRAMES,
  XEN_GRANT_FRAMES,
  XEN_M2P_TABLES,
  XEN_RAM_MFN,
  XEN_SPARE_FRAMES,
  XEN_STATUS_FRAMES,
} from "../../abi/xen-memory.ts";

/** Entries of the machine-to-physical table in one frame. */
export const M2P_ENTRIES_PER_FRAME = PAGE_BYTES / 4;

/** Where everything is; all numbers are machine frame numbers, or counts of them. */
export interface MachineMap {
  /** RAM is [ramMfn, ramMfn + ramFrames), as the domain begins; up to sharedInfoMfn follow frames that nobody has. */
  readonly ramMfn: number;
  readonly ramFrames: number;
  readonly sharedInfoMfn: number;
  readonly grantMfn: number;
  readonly statusMfn: number;
  /** L1 tables by which every guest reads the machine-to-physical table, and the table itself. */
  readonly m2pTablesMfn: number;
  readonly m2pMfn: number;
  readonly m2pFrames: number;
  /** Window for pages of other domains. */
  readonly foreignMfn: number;
  /** First frame past all of it. */
  readonly limit: number;
}

/** Draws the map of a domain with `ramFrames` frames of RAM. */
export function drawMachineMap(ramFrames: number): MachineMap {
  const sharedInfoMfn = XEN_RAM_MFN + ramFrames + XEN_SPARE_FRAMES;
  const grantMfn = sharedInfoMfn + 1;
  const statusMfn = grantMfn + XEN_GRANT_FRAMES;
  const m2pTablesMfn = statusMfn + XEN_STATUS_FRAMES;
  const m2pMfn = m2pTablesMfn + XEN_M2P_TABLES;
  const beforeM2p = m2pMfn + XEN_FOREIGN_FRAMES;
  // The table has entries for its own frames too.
  const m2pFrames = Math.ceil(beforeM2p / (M2P_ENTRIES_PER_FRAME - 1));
  const foreignMfn = m2pMfn + m2pFrames;
  return {
    ramMfn: XEN_RAM_MFN,
    ramFrames,
    sharedInfoMfn,
    grantMfn,
    statusMfn,
    m2pTablesMfn,
    m2pMfn,
    m2pFrames,
    foreignMfn,
    limit: foreignMfn + XEN_FOREIGN_FRAMES,
  };
}

/**
 * The first assignment of machine frames to pseudo-physical ones: in order behind the gap at 0, so that the two numbers always differ, or
 * for a seed other than 0 a pseudo-random permutation.
 */
export function assignFrames(map: MachineMap, seed: number): Uint32Array {
  const p2m = Uint32Array.from({ length: map.ramFrames }, (_, pfn) => map.ramMfn + pfn);
  if (seed === 0) return p2m;
  let state = seed >>> 0;
  for (let last = p2m.length - 1; last > 0; last--) {
    // A linear congruential generator (Numerical Recipes) will do: nobody must be surprised, only nobody in order.
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    const other = Math.floor((state / 2 ** 32) * (last + 1));
    const mfn = p2m[last]!;
    p2m[last] = p2m[other]!;
    p2m[other] = mfn;
  }
  return p2m;
}
