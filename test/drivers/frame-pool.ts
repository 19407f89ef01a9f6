/** How many frames of the shared memory are in use: what a test of lifetimes compares. */
import {
  PAGE_SHIFT,
  POOL_BASE,
  POOL_CONTROL,
  POOL_FREE_COUNT,
  POOL_NEXT,
} from "../../core-as/layout.ts";
import type { Core } from "../../host-ts/base/core.ts";

/** Frames that were taken from the pool and not given back. */
export function framesInUse(core: Core): number {
  const words = core.words(POOL_CONTROL + POOL_FREE_COUNT + 4);
  const next = words.getUint32(POOL_CONTROL + POOL_NEXT, true);
  const free = words.getUint32(POOL_CONTROL + POOL_FREE_COUNT, true);
  return ((next - POOL_BASE) >>> PAGE_SHIFT) - free;
}
