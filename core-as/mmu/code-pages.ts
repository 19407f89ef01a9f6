/**
 * Which pool frames hold code this thread has decoded, by 64-byte line, and how to forget it.
 * A store does not call the decoder: it invalidates block headers here, and whoever follows a link compares BLOCK_HOST.
 */
import { COUNTER_CODE_INVALIDATIONS, VCPU_BLOCK } from "../../abi/vcpu.ts";
import {
  ARENA_CODE_DIR,
  ARENA_UOP_NEXT,
  ARENA_WRITE_HINT,
  BLOCK_COUNT,
  BLOCK_HOST,
  BLOCK_NEXT_IN_PAGE,
  BLOCK_SCRATCH_HOST,
  CODE_FIRST_BLOCK,
  CODE_LINES,
  CODE_RECORD,
  PAGE_MASK,
  PAGE_SHIFT,
} from "../layout.ts";
import { arena } from "../state/thread.ts";
import { count } from "../state/vcpu.ts";

function directorySlot(frame: usize): usize {
  return arena + ARENA_CODE_DIR + ((frame >>> PAGE_SHIFT) << 2);
}

/** @returns the record of a frame, 0 when nothing of it was decoded. */
export function codeRecord(frame: usize): usize {
  return load<usize>(directorySlot(frame));
}

/** @returns true when a store to `frame` may hit decoded code. */
export function hasCode(frame: usize): bool {
  const record = codeRecord(frame);
  return record != 0 && load<u64>(record, CODE_LINES) != 0;
}

/** Tags through which a frame may be written: those that let every store pass, and those that let every store look. */
const TAGS_PLAIN: u8 = 1;
const TAGS_WATCHED: u8 = 2;

function writeHint(frame: usize): usize {
  return arena + ARENA_WRITE_HINT + (frame >>> PAGE_SHIFT);
}
/** Remembers that a TLB of this thread may let `frame` be written, without a check unless `watched`. */
export function noteWritable(frame: usize, watched: bool): void {
  const p = writeHint(frame);
  store<u8>(p, load<u8>(p) | (watched ? TAGS_WATCHED : TAGS_PLAIN));
}
/** @returns whether some tag may let `frame` be written without a check; the caller is about to make them watched ones. */
export function takePlainWrites(frame: usize): bool {
  const p = writeHint(frame);
  if ((load<u8>(p) & TAGS_PLAIN) == 0) return false;
  store<u8>(p, TAGS_WATCHED);
  return true;
}
/** @returns whether some tag may let `frame` be written; the caller is about to drop them. */
export function takeWrites(frame: usize): bool {
  const p = writeHint(frame);
  const was = load<u8>(p);
  store<u8>(p, 0);
  return was != 0;
}

/** Marks the lines of [host, host + bytes) as code and links the block into its page. The bytes are within one frame. */
export function addBlock(host: usize, bytes: u32, block: usize): void {
  const slot = directorySlot(host);
  let record = load<usize>(slot);
  if (record == 0) {
    record = load<usize>(arena, ARENA_UOP_NEXT);
    store<usize>(arena, record + CODE_RECORD, ARENA_UOP_NEXT);
    store<u64>(record, 0, CODE_LINES);
    store<usize>(record, 0, CODE_FIRST_BLOCK);
    store<usize>(slot, record);
  }
  store<u64>(record, load<u64>(record, CODE_LINES) | lineMask(host, bytes), CODE_LINES);
  store<usize>(block, load<usize>(record, CODE_FIRST_BLOCK), BLOCK_NEXT_IN_PAGE);
  store<usize>(record, block, CODE_FIRST_BLOCK);
}

function lineMask(host: usize, bytes: u32): u64 {
  const first = (host >>> 6) & 63;
  const last = ((host + bytes - 1) >>> 6) & 63;
  const upTo: u64 = last == 63 ? ~(<u64>0) : ((<u64>1) << (last + 1)) - 1;
  return upTo & ~(((<u64>1) << first) - 1);
}

/** @returns true when [host, host + bytes), within one frame, overlaps decoded lines. */
export function touchesCode(host: usize, bytes: u32): bool {
  const record = codeRecord(host);
  return record != 0 && (load<u64>(record, CODE_LINES) & lineMask(host, bytes)) != 0;
}

/**
 * @returns true when the block being executed was decoded from this frame and has more than one instruction: a store into its code must
 * not be pulled from under it, the instruction is executed alone instead.
 */
export function isRunningIn(v: usize, frame: usize): bool {
  const block = load<usize>(v, VCPU_BLOCK);
  if (block == 0 || load<u32>(block, BLOCK_COUNT) <= 1) return false;
  const cached = load<usize>(block, BLOCK_HOST);
  const source = cached != 0 ? cached : load<usize>(block, BLOCK_SCRATCH_HOST);
  return (source & PAGE_MASK) == (frame & PAGE_MASK);
}

/** Forgets every block of the frame. */
export function dropCode(v: usize, frame: usize): void {
  const record = codeRecord(frame);
  if (record == 0 || load<u64>(record, CODE_LINES) == 0) return;
  let block = load<usize>(record, CODE_FIRST_BLOCK);
  while (block != 0) {
    store<usize>(block, 0, BLOCK_HOST);
    block = load<usize>(block, BLOCK_NEXT_IN_PAGE);
  }
  store<usize>(record, 0, CODE_FIRST_BLOCK);
  store<u64>(record, 0, CODE_LINES);
  if (v != 0) count(v, COUNTER_CODE_INVALIDATIONS);
}
