/**
 * The map of linear memory: who owns which range. No literal address is written anywhere else in the core.
 *
 *   0x00000000  +--------------------------------+
 *               | never mapped: a zero pointer   |  64 KiB, so `ptr == 0` means "faulted"
 *   0x00010000  +--------------------------------+
 *               | static data (asc --memoryBase) |  read-only tables, rewritten identically by every instance
 *   0x00070000  +--------------------------------+
 *               | pool control block             |  allocator state, shared by all threads through atomics
 *   0x00080000  +--------------------------------+
 *               | zero frame                     |  what a never-touched guest frame reads as
 *   0x00100000  +--------------------------------+
 *               | frame reference counts         |  u32 for each of the 2^20 pool frames
 *   0x00500000  +--------------------------------+
 *               | frame pool, 4 KiB frames       |  guest frames, frame tables, vCPU blocks, thread arenas
 *               |   grows with memory.grow       |
 *   0xffff0000  +--------------------------------+
 */

export const PAGE_SHIFT = 12;
export const PAGE_SIZE = 0x1000;
export const PAGE_MASK = 0xfffff000 | 0;
export const PAGE_OFFSET_MASK = 0xfff;

export const POOL_CONTROL = 0x70000;
export const ZERO_FRAME = 0x80000;
export const FRAME_REFS = 0x100000;
export const POOL_BASE = 0x500000;
/** Bytes linear memory grows by. */
export const GROW_BYTES = 0x1000000;

/** Pool control block: u64 free-list head {frame pointer, tag}, u32 next unused byte, u32 next guest id, u32 frames on the list. */
export const POOL_FREE_HEAD = 0;
export const POOL_NEXT = 8;
export const POOL_GUEST_ID = 12;
export const POOL_FREE_COUNT = 20;

// ---------------------------------------------------------------------------------------------------------------
// Thread arena: what belongs to the executing thread and is lent to the guest that runs. Offsets from the arena base.
// ---------------------------------------------------------------------------------------------------------------

/** Directory contexts: 16, each two TLBs (supervisor, user). */
export const TLB_ENTRIES = 4096;
export const TLB_ENTRY_SHIFT = 4;
export const TLB_BYTES = 0x10000;
export const TLB_CONTEXTS = 16;
export const TLB_CONTEXT_BYTES = 0x20000;
export const TLB_USER = 0x10000;
/** TLB entry: read tag, write tag, addend (host pointer = linear + addend), execute tag. An invalid tag has low bits set. */
export const TLB_READ = 0;
export const TLB_WRITE = 4;
export const TLB_ADDEND = 8;
export const TLB_EXEC = 12;
export const TLB_INVALID = 0xffffffff | 0;
/** Added to a write tag: the page may be written, but it holds decoded code and every store has to look. */
export const TLB_WATCHED = 1;
/** A guest keeps at most this many directories cached, as lguest does. */
export const DIRECTORIES_PER_VCPU = 4;

export const ARENA_TLBS = 0;
/** Context tags: {u32 vCPU pointer, u32 directory, u32 last use, u32 GUEST_TABLES_EPOCH when it was last empty} each. */
export const ARENA_CONTEXTS = 0x200000;
export const CONTEXT_STRIDE = 16;
export const CONTEXT_VCPU = 0;
export const CONTEXT_DIRECTORY = 4;
export const CONTEXT_LAST_USE = 8;
export const CONTEXT_EPOCH = 12;
/** Thread words: use clock, next free micro-op byte, and scratch. */
export const ARENA_CLOCK = 0x200100;
export const ARENA_UOP_NEXT = 0x200104;
/** Micro-ops of a block that must not be cached: truncated, single-stepped or self-modifying. */
export const ARENA_SCRATCH_BLOCK = 0x201000;
/** Block hash: u32[BLOCK_HASH_ENTRIES] pointers to block headers. */
export const ARENA_BLOCK_HASH = 0x210000;
export const BLOCK_HASH_ENTRIES = 0x10000;
/** Jump cache: u32[JUMP_CACHE_ENTRIES] blocks by EIP, where indirect branches and returns look first. */
export const ARENA_JUMP_CACHE = 0x250000;
export const JUMP_CACHE_ENTRIES = 4096;
/** Per pool frame: u32, 0 or the pointer of its code-page record. */
export const ARENA_CODE_DIR = 0x280000;
/** Per pool frame: u8, not 0 when some TLB context of this thread may hold a write tag for it, plain (1) or watched (2). */
export const ARENA_WRITE_HINT = 0x680000;
/** Micro-op arena: block headers, micro-ops, code-page records, bump-allocated, reset as a whole. */
export const ARENA_UOPS = 0x780000;
export const ARENA_UOPS_END = 0x1780000;
/** A TLB that never hits, for when every access must be checked for alignment; the word before says that it is filled. */
export const ARENA_MISS_TLB = 0x1781000;
export const ARENA_MISS_READY = 0x1780000;
/** Per TLB entry a bit: the entry may hold something. 1 KiB for each context, the supervisor's entries first. */
export const ARENA_TLB_USED = 0x1791000;
export const TLB_USED_BYTES = 0x400;
export const ARENA_BYTES = 0x1795000;

// ---------------------------------------------------------------------------------------------------------------
// Decoded blocks (in the micro-op arena)
// ---------------------------------------------------------------------------------------------------------------

/** Block header, 32 bytes of which 28 are used, micro-ops follow. Host pointer of the first code byte; 0 = invalidated or never cached. */
export const BLOCK_HOST = 0;
/** EIP of the first instruction. */
export const BLOCK_EIP = 4;
/** VCPU_MODE it was decoded for. */
export const BLOCK_MODE = 8;
/** CS base it was decoded for. */
export const BLOCK_CS_BASE = 12;
/** Instructions in the block. */
export const BLOCK_COUNT = 16;
/** Next block of the same code page, and next block of the same hash bucket. */
export const BLOCK_NEXT_IN_PAGE = 20;
/** In a block outside the cache: where its code was, in the place of the page link. */
export const BLOCK_SCRATCH_HOST = 20;
export const BLOCK_NEXT_IN_HASH = 24;
export const BLOCK_HEADER = 32;

/** Code-page record, 16 bytes: u64 mask of the 64-byte lines that hold decoded code, pointer to the first block. */
export const CODE_LINES = 0;
export const CODE_FIRST_BLOCK = 8;
export const CODE_RECORD = 16;
