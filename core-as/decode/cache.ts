/**
 * Decoded blocks by (host address, EIP, mode, CS base). The TLB is the judge of every lookup: a block found by host address belongs to the
 * page that the linear address maps to now, whatever was mapped there before.
 */
import {
  COUNTER_ARENA_RESETS,
  COUNTER_BLOCKS_DECODED,
  MODE_FLAT,
  VCPU_MODE,
} from "../../abi/vcpu.ts";
import { SEG_CS } from "../../abi/x86.ts";
import {
  ARENA_BLOCK_HASH,
  ARENA_CODE_DIR,
  ARENA_JUMP_CACHE,
  ARENA_SCRATCH_BLOCK,
  ARENA_UOP_NEXT,
  ARENA_UOPS,
  ARENA_UOPS_END,
  ARENA_WRITE_HINT,
  BLOCK_CS_BASE,
  BLOCK_EIP,
  BLOCK_HASH_ENTRIES,
  BLOCK_HOST,
  BLOCK_MODE,
  BLOCK_NEXT_IN_HASH,
  BLOCK_SCRATCH_HOST,
  CODE_RECORD,
  JUMP_CACHE_ENTRIES,
} from "../layout.ts";
import { codePointer, codeRoom, isVoid } from "../mmu/access.ts";
import { addBlock } from "../mmu/code-pages.ts";
import { revokeWrites } from "../mmu/tlb.ts";
import { arena } from "../state/thread.ts";
import { count, segBase } from "../state/vcpu.ts";
import { decodeBlock, MAX_BLOCK_INSTRUCTIONS, MAX_BLOCK_SIZE } from "./decoder.ts";
import { Ins } from "./instruction.ts";

/** Bumped whenever the arena is emptied: link slots of older blocks must not be written any more. */
export let cacheEpoch: u32 = 0;

/** Forgets every decoded block of this thread. */
export function resetCodeCache(): void {
  cacheEpoch++;
  store<usize>(arena, arena + ARENA_UOPS, ARENA_UOP_NEXT);
  memory.fill(arena + ARENA_BLOCK_HASH, 0, BLOCK_HASH_ENTRIES * 4);
  memory.fill(arena + ARENA_JUMP_CACHE, 0, JUMP_CACHE_ENTRIES * 4);
  memory.fill(arena + ARENA_CODE_DIR, 0, ARENA_WRITE_HINT - ARENA_CODE_DIR);
}

function bucket(host: usize, eip: u32): usize {
  const h = host ^ (host >>> 15) ^ (eip >>> 12);
  return arena + ARENA_BLOCK_HASH + ((h & (BLOCK_HASH_ENTRIES - 1)) << 2);
}

/** @returns where the jump cache keeps the block for `eip`; whoever reads it checks EIP, mode and mapping. */
export function jumpCacheSlot(eip: u32): usize {
  const i = (eip ^ (eip >>> 12)) & (JUMP_CACHE_ENTRIES - 1);
  return arena + ARENA_JUMP_CACHE + <usize>(i << 2);
}

/** @returns the block that starts at `eip` now, decoding it if needed; 0 when fetching faulted (event recorded). */
export function findBlock(v: usize, eip: u32): usize {
  const mode = load<u32>(v, VCPU_MODE);
  const csBase: u32 = mode & MODE_FLAT ? 0 : segBase(v, SEG_CS);
  const host = codePointer(v, csBase + eip);
  if (host == 0) return 0;
  if (isVoid(host)) return scratchBlock(v, eip, 1);
  const head = bucket(host, eip);
  let previous: usize = head - BLOCK_NEXT_IN_HASH;
  let block = load<usize>(head);
  while (block != 0) {
    const next = load<usize>(block, BLOCK_NEXT_IN_HASH);
    const blockHost = load<usize>(block, BLOCK_HOST);
    if (blockHost == 0) store<usize>(previous, next, BLOCK_NEXT_IN_HASH);
    else {
      if (
        blockHost == host &&
        load<u32>(block, BLOCK_EIP) == eip &&
        load<u32>(block, BLOCK_MODE) == mode &&
        load<u32>(block, BLOCK_CS_BASE) == csBase
      ) {
        return block;
      }
      previous = block;
    }
    block = next;
  }
  return decodeAndCache(v, eip, mode, csBase, host);
}

function decodeAndCache(v: usize, eip: u32, mode: u32, csBase: u32, host: usize): usize {
  let block = load<usize>(arena, ARENA_UOP_NEXT);
  if (block + MAX_BLOCK_SIZE + CODE_RECORD > arena + ARENA_UOPS_END) {
    resetCodeCache();
    count(v, COUNTER_ARENA_RESETS);
    block = load<usize>(arena, ARENA_UOP_NEXT);
  }
  const left = codeRoom(host, csBase + eip);
  const bytes = decodeBlock(v, block, host, left, eip, mode, MAX_BLOCK_INSTRUCTIONS);
  if (bytes == 0) return 0;
  count(v, COUNTER_BLOCKS_DECODED);
  // An instruction that straddles two pages is decoded anew each time: nothing watches its second page.
  if (Ins.crossed) return scratchBlock(v, eip, 1);
  fillHeader(block, host, eip, mode, csBase);
  store<usize>(arena, Ins.out, ARENA_UOP_NEXT);
  const head = bucket(host, eip);
  store<usize>(block, load<usize>(head), BLOCK_NEXT_IN_HASH);
  store<usize>(head, block);
  addBlock(host, bytes, block);
  revokeWrites(host);
  return block;
}

function fillHeader(block: usize, host: usize, eip: u32, mode: u32, csBase: u32): void {
  store<usize>(block, host, BLOCK_HOST);
  store<u32>(block, eip, BLOCK_EIP);
  store<u32>(block, mode, BLOCK_MODE);
  store<u32>(block, csBase, BLOCK_CS_BASE);
}

/**
 * Decodes at most `limit` instructions at `eip` outside the cache: the rest of a slice, a single step, a store into running code.
 * @returns the block, valid until the next call; 0 when fetching faulted (event recorded).
 */
export function scratchBlock(v: usize, eip: u32, limit: u32): usize {
  const mode = load<u32>(v, VCPU_MODE);
  const csBase: u32 = mode & MODE_FLAT ? 0 : segBase(v, SEG_CS);
  const host = codePointer(v, csBase + eip);
  if (host == 0) return 0;
  const block = arena + ARENA_SCRATCH_BLOCK;
  const most = limit < MAX_BLOCK_INSTRUCTIONS ? limit : MAX_BLOCK_INSTRUCTIONS;
  if (decodeBlock(v, block, host, codeRoom(host, csBase + eip), eip, mode, most) == 0) return 0;
  fillHeader(block, 0, eip, mode, csBase);
  store<usize>(block, host, BLOCK_SCRATCH_HOST);
  return block;
}
