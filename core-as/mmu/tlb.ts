/**
 * The software TLB, which is also the shadow page table: 16 directory contexts per thread, each with one direct-mapped TLB for
 * supervisor and one for user accesses. A context is tagged with the vCPU and the directory (CR3) it serves, so switching between
 * known directories flushes nothing; a vCPU holds at most DIRECTORIES_PER_VCPU of them, and the least recently used one is replaced.
 *
 * One comparison decides an access: `((lin + size - 1) & ~0xfff) == tag` holds only when the page matches, the access is permitted
 * and does not run into the next page. The write tag stays invalid for pages that are clean, shared copy-on-write or hold decoded code.
 */
import {
  COUNTER_DIRECTORY_MISSES,
  COUNTER_DIRECTORY_SWITCHES,
  COUNTER_TLB_FLUSHES,
  GUEST_TABLES_EPOCH,
  PAGING_NONE,
  POLICY_XEN,
  VCPU_CONTEXT,
  VCPU_CPL,
  VCPU_CR0,
  VCPU_CR3,
  VCPU_EFLAGS,
  VCPU_GUEST,
  VCPU_ID,
  VCPU_LARGE_PAGES,
  VCPU_PAGING,
  VCPU_POLICY,
  VCPU_TLB,
} from "../../abi/vcpu.ts";
import { CR0_AM, EFLAGS_AC, PTE_D, PTE_P, PTE_RW, PTE_US } from "../../abi/x86.ts";
import {
  ARENA_CLOCK,
  ARENA_CONTEXTS,
  ARENA_MISS_READY,
  ARENA_MISS_TLB,
  ARENA_TLB_USED,
  ARENA_TLBS,
  CONTEXT_DIRECTORY,
  CONTEXT_EPOCH,
  CONTEXT_LAST_USE,
  CONTEXT_STRIDE,
  CONTEXT_VCPU,
  DIRECTORIES_PER_VCPU,
  PAGE_MASK,
  TLB_ADDEND,
  TLB_BYTES,
  TLB_CONTEXT_BYTES,
  TLB_CONTEXTS,
  TLB_ENTRIES,
  TLB_ENTRY_SHIFT,
  TLB_USED_BYTES,
  TLB_USER,
  TLB_WATCHED,
  TLB_WRITE,
} from "../layout.ts";
import { arena } from "../state/thread.ts";
import { count } from "../state/vcpu.ts";
import { takePlainWrites, takeWrites } from "./code-pages.ts";

/** What an entry's rights are read from on the classic path. */
const SHADOW_FLAGS: u32 = PTE_RW | PTE_US | PTE_D;

/** Entries that 4 MiB can occupy. */
const LARGE_PAGE_ENTRIES: u32 = 1024;

/** A word of bits stands for 64 entries. */
const USED_SHIFT: u32 = 10;
/** More entries of a word than this are dropped as one piece. */
const DENSE: u64 = 24;

function contextRecord(i: u32): usize {
  return arena + ARENA_CONTEXTS + i * CONTEXT_STRIDE;
}
function contextTlbs(i: u32): usize {
  return arena + ARENA_TLBS + i * TLB_CONTEXT_BYTES;
}

/** @returns the word that has the bits of the 64 entries from `entry` on. */
function usedWord(entry: usize): usize {
  return arena + ARENA_TLB_USED + (((entry - (arena + ARENA_TLBS)) >>> USED_SHIFT) << 3);
}
/** Call when an empty entry gets a translation or a mark: whoever drops a context looks at the entries noted here. */
export function noteUsed(entry: usize): void {
  const word = usedWord(entry);
  const index: u64 = (entry >>> TLB_ENTRY_SHIFT) & 63;
  const bit: u64 = (<u64>1) << index;
  store<u64>(word, load<u64>(word) | bit);
}

/** Empties both TLBs of a context: most often few of their entries are in use. */
function emptyContext(tlbs: usize): void {
  let word = usedWord(tlbs);
  const end = tlbs + TLB_CONTEXT_BYTES;
  for (let group = tlbs; group < end; group += 1 << USED_SHIFT, word += 8) {
    let bits = load<u64>(word);
    if (bits == 0) continue;
    store<u64>(word, 0);
    if (popcnt<u64>(bits) > DENSE) {
      memory.fill(group, 0xff, 1 << USED_SHIFT);
      continue;
    }
    for (; bits != 0; bits &= bits - 1) {
      const entry = group + ((<usize>ctz<u64>(bits)) << TLB_ENTRY_SHIFT);
      store<u64>(entry, ~(<u64>0));
      store<u64>(entry, ~(<u64>0), 8);
    }
  }
}
/** Makes a context empty whatever it holds: it may never have been used. */
function clearContext(tlbs: usize): void {
  memory.fill(usedWord(tlbs), 0, TLB_USED_BYTES);
  memory.fill(tlbs, 0xff, TLB_CONTEXT_BYTES);
}

/** Directory tag: CR3 without its low bits, plus the paging mode. */
function directoryTag(v: usize): u32 {
  const paging = load<u32>(v, VCPU_PAGING);
  return paging == PAGING_NONE ? 0 : (load<u32>(v, VCPU_CR3) & ~31) | paging;
}

/** @returns true when accesses that are not aligned to their size raise #AC (SDM 3A, "Alignment Check Exception (#AC)"). */
export function checksAlignment(v: usize): bool {
  return (
    load<u32>(v, VCPU_CPL) == 3 &&
    (load<u32>(v, VCPU_EFLAGS) & EFLAGS_AC) != 0 &&
    (load<u32>(v, VCPU_CR0) & CR0_AM) != 0
  );
}

function missTlb(): usize {
  const tlb = arena + ARENA_MISS_TLB;
  if (load<u32>(arena, ARENA_MISS_READY) == 0) {
    memory.fill(tlb, 0xff, TLB_BYTES);
    store<u32>(arena, 1, ARENA_MISS_READY);
  }
  return tlb;
}

/** Points VCPU_TLB at the TLB of the current privilege; call after every change of CPL, EFLAGS.AC or CR0.AM. */
export function updatePrivilege(v: usize): void {
  if (checksAlignment(v)) {
    store<usize>(v, missTlb(), VCPU_TLB);
    return;
  }
  const user: usize = load<u32>(v, VCPU_CPL) == 3 ? <usize>TLB_USER : 0;
  store<usize>(v, load<usize>(v, VCPU_CONTEXT) + user, VCPU_TLB);
}

/** Makes the context of the current directory the active one; call after a change of CR3 or paging mode and when a vCPU enters. */
export function switchDirectory(v: usize): void {
  count(v, COUNTER_DIRECTORY_SWITCHES);
  const tag = directoryTag(v);
  const now = load<u32>(arena, ARENA_CLOCK) + 1;
  store<u32>(arena, now, ARENA_CLOCK);
  let oldest: u32 = 0;
  let oldestUse: u32 = 0xffffffff;
  let ownOldest: u32 = 0;
  let ownOldestUse: u32 = 0xffffffff;
  let owned: u32 = 0;
  for (let i: u32 = 0; i < <u32>TLB_CONTEXTS; i++) {
    const record = contextRecord(i);
    const use = load<u32>(record, CONTEXT_LAST_USE);
    if (load<usize>(record, CONTEXT_VCPU) == v) {
      if (load<u32>(record, CONTEXT_DIRECTORY) == tag) {
        if (isBehind(v, i)) dropContext(i);
        activate(v, i, now);
        return;
      }
      owned++;
      if (use < ownOldestUse) {
        ownOldestUse = use;
        ownOldest = i;
      }
    }
    if (use < oldestUse) {
      oldestUse = use;
      oldest = i;
    }
  }
  count(v, COUNTER_DIRECTORY_MISSES);
  const victim = owned >= <u32>DIRECTORIES_PER_VCPU ? ownOldest : oldest;
  const record = contextRecord(victim);
  if (load<u32>(record, CONTEXT_LAST_USE) == 0) clearContext(contextTlbs(victim));
  else emptyContext(contextTlbs(victim));
  store<usize>(record, v, CONTEXT_VCPU);
  store<u32>(record, tag, CONTEXT_DIRECTORY);
  store<u32>(record, tablesEpoch(v), CONTEXT_EPOCH);
  activate(v, victim, now);
}

/** @returns true when a Xen guest has changed present entries since context `i`, not in use, was empty: its own load of CR3 would have flushed. */
function isBehind(v: usize, i: u32): bool {
  if (load<u32>(v, VCPU_POLICY) != POLICY_XEN) return false;
  // What is stale in the one in use is the guest's own business, as it is on a processor.
  if (contextTlbs(i) == load<usize>(v, VCPU_CONTEXT)) return false;
  return load<u32>(contextRecord(i), CONTEXT_EPOCH) != tablesEpoch(v);
}
/** Empties context `i`. */
function dropContext(i: u32): void {
  emptyContext(contextTlbs(i));
  const vcpu = load<usize>(contextRecord(i), CONTEXT_VCPU);
  if (vcpu != 0) store<u32>(contextRecord(i), tablesEpoch(vcpu), CONTEXT_EPOCH);
}
function tablesEpoch(v: usize): u32 {
  return load<u32>(load<usize>(v, VCPU_GUEST), GUEST_TABLES_EPOCH);
}

function activate(v: usize, i: u32, now: u32): void {
  store<u32>(contextRecord(i), now, CONTEXT_LAST_USE);
  store<usize>(v, contextTlbs(i), VCPU_CONTEXT);
  updatePrivilege(v);
}
/** Drops every cached translation of the vCPU, in all its directories. */
export function flushAllTranslations(v: usize): void {
  count(v, COUNTER_TLB_FLUSHES);
  for (let i: u32 = 0; i < <u32>TLB_CONTEXTS; i++) {
    if (load<usize>(contextRecord(i), CONTEXT_VCPU) == v) dropContext(i);
  }
}

/** Drops every translation this thread holds for any vCPU of `guest`: one of its frames has moved. */
export function flushGuestTranslations(guest: usize): void {
  for (let i: u32 = 0; i < <u32>TLB_CONTEXTS; i++) {
    const vcpu = load<usize>(contextRecord(i), CONTEXT_VCPU);
    if (vcpu != 0 && load<usize>(vcpu, VCPU_GUEST) == guest) dropContext(i);
  }
}

/** A set of vCPUs that has them all. */
export const ALL_VCPUS: u32 = 0xffffffff;

/** Drops what this thread holds for those vCPUs of `guest` whose bit is in `vcpus`. */
export function flushVcpus(guest: usize, vcpus: u32): void {
  for (let i: u32 = 0; i < <u32>TLB_CONTEXTS; i++) {
    if (isOneOf(i, guest, vcpus)) dropContext(i);
  }
}
/** Drops what the directories in use hold for the vCPUs of `guest`; those that sleep are left to GUEST_TABLES_EPOCH. */
export function flushDirectoriesInUse(guest: usize): void {
  for (let i: u32 = 0; i < <u32>TLB_CONTEXTS; i++) {
    const vcpu = load<usize>(contextRecord(i), CONTEXT_VCPU);
    if (vcpu == 0 || load<usize>(vcpu, VCPU_GUEST) != guest) continue;
    if (load<usize>(vcpu, VCPU_CONTEXT) == contextTlbs(i)) dropContext(i);
  }
}
/** Drops the translation of one page, all of it if it may be a large one, for those vCPUs of `guest` whose bit is in `vcpus`. */
export function flushPageOfVcpus(guest: usize, vcpus: u32, lin: u32): void {
  for (let i: u32 = 0; i < <u32>TLB_CONTEXTS; i++) {
    if (isOneOf(i, guest, vcpus))
      flushPageEverywhere(load<usize>(contextRecord(i), CONTEXT_VCPU), lin);
  }
}
/** @returns whether context `i` serves a vCPU of `guest` whose bit is in `vcpus`. */
function isOneOf(i: u32, guest: usize, vcpus: u32): bool {
  const vcpu = load<usize>(contextRecord(i), CONTEXT_VCPU);
  if (vcpu == 0 || load<usize>(vcpu, VCPU_GUEST) != guest) return false;
  return ((vcpus >>> load<u32>(vcpu, VCPU_ID)) & 1) != 0;
}

/** Drops the cached translations of the current directory only. */
export function flushCurrentDirectory(v: usize): void {
  count(v, COUNTER_TLB_FLUSHES);
  dropContext(<u32>(load<usize>(v, VCPU_CONTEXT) - (arena + ARENA_TLBS)) / TLB_CONTEXT_BYTES);
}

/** Drops the cached translations of directory `cr3` if the vCPU knows it. */
export function flushDirectory(v: usize, cr3: u32): void {
  const tag = (cr3 & ~31) | load<u32>(v, VCPU_PAGING);
  for (let i: u32 = 0; i < <u32>TLB_CONTEXTS; i++) {
    const record = contextRecord(i);
    if (load<usize>(record, CONTEXT_VCPU) == v && load<u32>(record, CONTEXT_DIRECTORY) == tag) {
      emptyContext(contextTlbs(i));
    }
  }
}

/** The two entries of a page in a context. */
export class PageSlot {
  @inline static drop(tlbs: usize, lin: u32): void {
    const entry = tlbs + (((lin >>> 12) & (TLB_ENTRIES - 1)) << TLB_ENTRY_SHIFT);
    v128.store(entry, i32x4.splat(-1));
    v128.store(entry, i32x4.splat(-1), TLB_USER);
  }
}
function invalidateEntry(tlbs: usize, lin: u32): void {
  PageSlot.drop(tlbs, lin);
}

/** Remembers that `lin` lies in a large page of which some 4 KiB pieces are cached. */
export function noteLargePage(v: usize, lin: u32): void {
  const word = largePageWord(v, lin);
  store<u32>(word, load<u32>(word) | (1 << ((lin >>> 22) & 31)));
}
/** @returns pointer to the word of VCPU_LARGE_PAGES that has the bit of `lin`. */
function largePageWord(v: usize, lin: u32): usize {
  return v + VCPU_LARGE_PAGES + ((lin >>> 27) << 2);
}

/** Drops the translation of one page, all of it if it may be a large one, in every directory of the vCPU. */
export function flushPageEverywhere(v: usize, lin: u32): void {
  const word = largePageWord(v, lin);
  const bit: u32 = 1 << ((lin >>> 22) & 31);
  const isLarge = (load<u32>(word) & bit) != 0;
  if (isLarge) store<u32>(word, load<u32>(word) & ~bit);
  for (let i: u32 = 0; i < <u32>TLB_CONTEXTS; i++) {
    if (load<usize>(contextRecord(i), CONTEXT_VCPU) != v) continue;
    if (isLarge) invalidateRegion(contextTlbs(i), lin);
    else invalidateEntry(contextTlbs(i), lin);
  }
}
/** The 4 MiB around `lin`; what other addresses have in those entries goes too. */
function invalidateRegion(tlbs: usize, lin: u32): void {
  const bytes: usize = LARGE_PAGE_ENTRIES << TLB_ENTRY_SHIFT;
  const start = ((lin >>> 22) * LARGE_PAGE_ENTRIES) & (TLB_ENTRIES - 1);
  const offset = start << TLB_ENTRY_SHIFT;
  memory.fill(tlbs + offset, 0xff, bytes);
  memory.fill(tlbs + TLB_USER + offset, 0xff, bytes);
}

/** Drops the translation of one page in directory `cr3`, if known. */
export function flushPageOf(v: usize, cr3: u32, lin: u32): void {
  const tag = (cr3 & ~31) | load<u32>(v, VCPU_PAGING);
  // A directory has one context at most, and most often it is the one in use.
  if (tag == directoryTag(v)) {
    invalidateEntry(load<usize>(v, VCPU_CONTEXT), lin);
    return;
  }
  for (let i: u32 = 0; i < <u32>TLB_CONTEXTS; i++) {
    const record = contextRecord(i);
    if (load<usize>(record, CONTEXT_VCPU) == v && load<u32>(record, CONTEXT_DIRECTORY) == tag) {
      invalidateEntry(contextTlbs(i), lin);
      return;
    }
  }
}

/**
 * Remembers on the classic path that the Host judged an entry by SET_PTE, in the directories that `flushPageOf` and `flushPageEverywhere`
 * took the page from: the first access that `pte` allows is filled without the Host. It stands where the addend of an empty entry is.
 */
export function shadowPage(v: usize, cr3: u32, everywhere: bool, lin: u32, pte: u32): void {
  const tag = (cr3 & ~31) | load<u32>(v, VCPU_PAGING);
  const mark = (lin & PAGE_MASK) | (pte & SHADOW_FLAGS) | PTE_P;
  for (let i: u32 = 0; i < <u32>TLB_CONTEXTS; i++) {
    const record = contextRecord(i);
    if (load<usize>(record, CONTEXT_VCPU) != v) continue;
    if (!everywhere && load<u32>(record, CONTEXT_DIRECTORY) != tag) continue;
    const entry = contextTlbs(i) + (((lin >>> 12) & (TLB_ENTRIES - 1)) << TLB_ENTRY_SHIFT);
    noteUsed(entry);
    noteUsed(entry + TLB_USER);
    store<u32>(entry, mark, TLB_ADDEND);
    store<u32>(entry, mark, TLB_USER + TLB_ADDEND);
  }
}
/** @returns whether shadowPage allows this access. An addend in use is a multiple of a page, and an empty one has every flag. */
export function isShadowed(v: usize, lin: u32, write: bool, user: bool): bool {
  const entry = load<usize>(v, VCPU_CONTEXT) + (user ? <usize>TLB_USER : 0);
  const mark = load<u32>(
    entry + (((lin >>> 12) & (TLB_ENTRIES - 1)) << TLB_ENTRY_SHIFT),
    TLB_ADDEND,
  );
  const need: u32 = PTE_P | (write ? PTE_RW | PTE_D : 0) | (user ? PTE_US : 0);
  return (mark & ~SHADOW_FLAGS) == ((lin & PAGE_MASK) | PTE_P) && (mark & need) == need;
}

/** @returns true when directory `cr3` has a context of its own. */
export function knowsDirectory(v: usize, cr3: u32): bool {
  const tag = (cr3 & ~31) | load<u32>(v, VCPU_PAGING);
  if (tag == directoryTag(v)) return true;
  for (let i: u32 = 0; i < <u32>TLB_CONTEXTS; i++) {
    const record = contextRecord(i);
    if (load<usize>(record, CONTEXT_VCPU) == v && load<u32>(record, CONTEXT_DIRECTORY) == tag)
      return true;
  }
  return false;
}

/** Gives back every context of a vCPU that dies or moves to another thread. */
export function forgetVcpu(v: usize): void {
  for (let i: u32 = 0; i < <u32>TLB_CONTEXTS; i++) {
    const record = contextRecord(i);
    if (load<usize>(record, CONTEXT_VCPU) == v) {
      store<usize>(record, 0, CONTEXT_VCPU);
      store<u32>(record, 0, CONTEXT_LAST_USE);
    }
  }
}

/** Makes every later store to `frame` take the slow path: no TLB of this thread keeps a plain write tag for it. */
export function revokeWrites(frame: usize): void {
  if (takePlainWrites(frame)) forWrites(frame, true);
}
/** Drops every translation of this thread through which `frame` could be written: it becomes a page table, or somebody else's. */
export function dropWritesTo(frame: usize): void {
  if (takeWrites(frame)) forWrites(frame, false);
}
/** @param watch keep the translations, but let every store look. */
function forWrites(frame: usize, watch: bool): void {
  for (let i: u32 = 0; i < <u32>TLB_CONTEXTS; i++) {
    if (load<usize>(contextRecord(i), CONTEXT_VCPU) == 0) continue;
    let word = usedWord(contextTlbs(i));
    const end = contextTlbs(i) + TLB_CONTEXT_BYTES;
    for (let group = contextTlbs(i); group < end; group += 1 << USED_SHIFT, word += 8) {
      for (let bits = load<u64>(word); bits != 0; bits &= bits - 1) {
        const entry = group + ((<usize>ctz<u64>(bits)) << TLB_ENTRY_SHIFT);
        const tag = load<u32>(entry, TLB_WRITE);
        const page = tag & ~TLB_WATCHED;
        if (page + load<u32>(entry, TLB_ADDEND) != <u32>(frame & PAGE_MASK)) continue;
        if (!watch) memory.fill(entry, 0xff, 1 << TLB_ENTRY_SHIFT);
        else store<u32>(entry, page | TLB_WATCHED, TLB_WRITE);
      }
    }
  }
}
