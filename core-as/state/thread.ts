/**
 * The thread arena: what belongs to the executing thread and is lent to the guest that runs (TLBs, micro-ops, code directory).
 * Its address is the one fact that is per instance, hence a Wasm global.
 */
export let arena: usize = 0;

/** Sets the arena of this instance; once, from threadInit. */
export function setArena(ptr: usize): void {
  arena = ptr;
}
