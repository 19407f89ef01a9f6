/**
 * The frame pool: 4 KiB frames of the shared linear memory, allocated and counted without locks so that every thread may call.
 * A frame's reference count is how many frame-table entries (or owners) name it; at zero it returns to the free list.
 */
import {
  FRAME_REFS,
  GROW_BYTES,
  PAGE_SHIFT,
  PAGE_SIZE,
  POOL_BASE,
  POOL_CONTROL,
  POOL_FREE_COUNT,
  POOL_FREE_HEAD,
  POOL_GUEST_ID,
  POOL_NEXT,
} from "../layout.ts";

/** Linear memory never grows past this: the last 64 KiB stay out of reach so that end addresses do not wrap. */
const POOL_END: u64 = 0xffff0000;

/** Prepares the allocator; once per shared memory, before any thread starts. */
export function poolInit(): void {
  store<u64>(POOL_CONTROL, 0, POOL_FREE_HEAD);
  store<u32>(POOL_CONTROL, POOL_BASE, POOL_NEXT);
  store<u32>(POOL_CONTROL, 1, POOL_GUEST_ID);
  store<u32>(POOL_CONTROL, 0, POOL_FREE_COUNT);
}

/** @returns an identifier that no other guest of this memory has had. */
export function nextGuestId(): u32 {
  return atomic.add<u32>(POOL_CONTROL, 1, POOL_GUEST_ID);
}

/** Takes `bytes` (a multiple of 4 KiB) of never-used memory. @returns zeroed memory, or 0 when the 4 GiB are exhausted. */
export function allocRun(bytes: u32): usize {
  while (true) {
    const ptr = atomic.load<u32>(POOL_CONTROL, POOL_NEXT);
    const end = <u64>ptr + <u64>bytes;
    if (end > POOL_END) return 0;
    if (end > (<u64>memory.size()) << 16) {
      const missing = end - ((<u64>memory.size()) << 16);
      const grow = missing > <u64>GROW_BYTES ? missing : <u64>GROW_BYTES;
      // Another thread may have grown in between; then the loop finds enough. Near the end, take what is left.
      if (
        memory.grow(<i32>((grow + 0xffff) >> 16)) < 0 &&
        memory.grow(<i32>((missing + 0xffff) >> 16)) < 0
      ) {
        if (end > (<u64>memory.size()) << 16) return 0;
      }
      continue;
    }
    if (atomic.cmpxchg<u32>(POOL_CONTROL, ptr, <u32>end, POOL_NEXT) == ptr) return ptr;
  }
}

function refPtr(frame: usize): usize {
  return <usize>FRAME_REFS + ((frame >>> PAGE_SHIFT) << 2);
}

/** @returns a zeroed frame with one reference, or 0 when memory is exhausted. */
export function allocFrame(): usize {
  while (true) {
    const head = atomic.load<u64>(POOL_CONTROL, POOL_FREE_HEAD);
    const ptr = <usize>(head & 0xffffffff);
    if (ptr == 0) break;
    // The tag in the upper half makes a head that was popped and pushed back in between look different.
    const next = (((head >> 32) + 1) << 32) | <u64>atomic.load<u32>(ptr);
    if (atomic.cmpxchg<u64>(POOL_CONTROL, head, next, POOL_FREE_HEAD) == head) {
      atomic.sub<u32>(POOL_CONTROL, 1, POOL_FREE_COUNT);
      memory.fill(ptr, 0, PAGE_SIZE);
      atomic.store<u32>(refPtr(ptr), 1);
      return ptr;
    }
  }
  const fresh = allocRun(PAGE_SIZE);
  if (fresh != 0) atomic.store<u32>(refPtr(fresh), 1);
  return fresh;
}

export function frameReferences(frame: usize): u32 {
  return atomic.load<u32>(refPtr(frame));
}
/** Takes another reference of a frame that has one. */
export function retainFrame(frame: usize): void {
  atomic.add<u32>(refPtr(frame), 1);
}
/** Drops a reference; the last one frees the frame. */
export function releaseFrame(frame: usize): void {
  if (atomic.sub<u32>(refPtr(frame), 1) != 1) return;
  while (true) {
    const head = atomic.load<u64>(POOL_CONTROL, POOL_FREE_HEAD);
    atomic.store<u32>(frame, <u32>head);
    const next = (((head >> 32) + 1) << 32) | <u64>frame;
    if (atomic.cmpxchg<u64>(POOL_CONTROL, head, next, POOL_FREE_HEAD) == head) break;
  }
  atomic.add<u32>(POOL_CONTROL, 1, POOL_FREE_COUNT);
}
