/**
 * Guest-physical memory for the core's own business: table entries, struct lguest_data, rings. Any address and alignment is fine:
 * neighbouring guest frames are nowhere near each other in linear memory, so a word may take two translations.
 * A write makes the frame private and dirty and forgets code decoded from it, like any other store.
 */
import {
  EVENT_KILL,
  EVENT_STEP,
  EXIT_OUT_OF_MEMORY,
  FRAME_COW,
  FRAME_DIRTY,
  FRAME_PTR_MASK,
  GUEST_LIMIT_FRAMES,
  KILL_BAD_READ,
  KILL_BAD_WRITE,
  VCPU_EVENT,
  VCPU_GUEST,
} from "../../abi/vcpu.ts";
import { PAGE_OFFSET_MASK, PAGE_SIZE } from "../layout.ts";
import { kill } from "../state/faults.ts";
import { setExit } from "../state/vcpu.ts";
import { dropCode, isRunningIn, touchesCode } from "./code-pages.ts";
import { FrameTable, frameEntry, frameForRead, frameForWrite } from "./frames.ts";
import { flushGuestTranslations } from "./tlb.ts";

/** The pool has no frame left: the instruction does not happen and the Host is told. @returns 0. */
export function exhausted(v: usize): u32 {
  setExit(v, EXIT_OUT_OF_MEMORY);
  store<u32>(v, EVENT_KILL, VCPU_EVENT);
  return 0;
}

/** @returns true when `gpa` is memory, RAM or device page. */
function isMemory(v: usize, gpa: u32): bool {
  return gpa >>> 12 < load<u32>(load<usize>(v, VCPU_GUEST), GUEST_LIMIT_FRAMES);
}

/** @returns host pointer of the byte at `gpa` for reading, good to the end of its frame; 0 when it is not memory. */
export function physicalForRead(v: usize, gpa: u32): usize {
  const known = FrameTable.peek(load<usize>(v, VCPU_GUEST), gpa >>> 12);
  if (known != 0) return (known & FRAME_PTR_MASK) + (gpa & PAGE_OFFSET_MASK);
  const frame = frameForRead(load<usize>(v, VCPU_GUEST), gpa >>> 12);
  return frame == 0 ? 0 : frame + (gpa & PAGE_OFFSET_MASK);
}

/** @returns host pointer for writing `bytes` that stay within the frame; 0 when it is not memory or the pool is exhausted. */
export function physicalForWrite(v: usize, gpa: u32, bytes: u32): usize {
  const guest = load<usize>(v, VCPU_GUEST);
  const known = FrameTable.peek(guest, gpa >>> 12);
  if ((known & (FRAME_COW | FRAME_DIRTY)) == FRAME_DIRTY) {
    const own: usize = (known & FRAME_PTR_MASK) + (gpa & PAGE_OFFSET_MASK);
    if (touchesCode(own, bytes)) dropCode(v, own);
    return own;
  }
  const entry = frameEntry(guest, gpa >>> 12);
  if (entry == 0) return 0;
  const wasShared = (load<u32>(entry) & FRAME_COW) != 0;
  const before = load<u32>(entry) & FRAME_PTR_MASK;
  const frame = frameForWrite(guest, gpa >>> 12);
  if (frame == 0) return 0;
  if (wasShared && frame != before) flushGuestTranslations(guest);
  const ptr = frame + (gpa & PAGE_OFFSET_MASK);
  if (touchesCode(ptr, bytes)) dropCode(v, ptr);
  return ptr;
}

/**
 * @returns true when a store of `bytes` at `gpa`, within one frame, would hit the block being executed: EVENT_STEP is recorded, and the
 * instruction is executed alone.
 */
export function hitsRunningCode(v: usize, gpa: u32, bytes: u32): bool {
  const ptr = physicalForRead(v, gpa);
  if (ptr == 0 || !touchesCode(ptr, bytes) || !isRunningIn(v, ptr)) return false;
  store<u32>(v, EVENT_STEP, VCPU_EVENT);
  return true;
}

/** Reads sizeof<T> bytes at any alignment. What is not memory reads as 0: ask canReadPhysical first where that matters. */
export function readPhysical<T>(v: usize, gpa: u32): T {
  if ((gpa & PAGE_OFFSET_MASK) + sizeof<T>() <= <u32>PAGE_SIZE) {
    const ptr = physicalForRead(v, gpa);
    return ptr == 0 ? <T>0 : load<T>(ptr);
  }
  let value: u64 = 0;
  for (let i: u32 = 0; i < sizeof<T>(); i++) {
    const ptr = physicalForRead(v, gpa + i);
    if (ptr != 0) value |= (<u64>load<u8>(ptr)) << (<u64>i * 8);
  }
  return <T>value;
}

/** @returns whether [gpa, gpa + bytes) is memory; else the guest is killed for a bad read. */
export function canReadPhysical(v: usize, gpa: u32, bytes: u32): bool {
  const last = gpa + bytes - 1;
  if (last >= gpa && isMemory(v, gpa) && isMemory(v, last)) return true;
  kill(v, KILL_BAD_READ, gpa, bytes);
  return false;
}

/** Writes sizeof<T> bytes at any alignment. @returns false: the guest is killed for a bad write, or memory is exhausted. */
export function writePhysical<T>(v: usize, gpa: u32, value: T): bool {
  const whole = (gpa & PAGE_OFFSET_MASK) + sizeof<T>() <= <u32>PAGE_SIZE;
  const first = physicalForWrite(v, gpa, whole ? sizeof<T>() : 1);
  if (first == 0) return refuseWrite(v, gpa, sizeof<T>());
  if (whole) {
    store<T>(first, value);
    return true;
  }
  if (physicalForWrite(v, gpa + sizeof<T>() - 1, 1) == 0) return refuseWrite(v, gpa, sizeof<T>());
  for (let i: u32 = 0; i < sizeof<T>(); i++) {
    store<u8>(physicalForWrite(v, gpa + i, 1), <u8>(<u64>value >> (<u64>i * 8)));
  }
  return true;
}

function refuseWrite(v: usize, gpa: u32, bytes: u32): bool {
  if (isMemory(v, gpa) && isMemory(v, gpa + bytes - 1)) exhausted(v);
  else kill(v, KILL_BAD_WRITE, gpa, bytes);
  return false;
}
