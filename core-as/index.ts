/**
 * Everything the Host may call. Pointers are offsets in linear memory; abi/vcpu.ts says what they point at.
 */
import { VCPU_FAULT_ADDRESS } from "../abi/vcpu.ts";
import { PFERR_USER } from "../abi/x86.ts";
import { resetCodeCache } from "./decode/cache.ts";
import { ARENA_BYTES, PAGE_SIZE } from "./layout.ts";
import { dropCode, touchesCode } from "./mmu/code-pages.ts";
import { clearEvent, fillFrom } from "./mmu/fill.ts";
import { frameForRead as readFrame, frameForWrite as writeFrame } from "./mmu/frames.ts";
import { allocRun, poolInit as initPool } from "./mmu/pool.ts";
import { accessOf, grant } from "./mmu/shadow-fault.ts";
import {
  flushAllTranslations,
  flushGuestTranslations,
  flushDirectory as flushOneDirectory,
  flushPageEverywhere,
  flushPageOf,
  knowsDirectory as knows,
  shadowPage as noteShadow,
  switchDirectory,
} from "./mmu/tlb.ts";
import { markEntry as mark, probe } from "./mmu/walker.ts";
import { setArena } from "./state/thread.ts";
import { updateMode as recomputeMode } from "./state/vcpu.ts";
import { canTakeNmi, deliver, deliverPageFault, onInterrupt, onNmi } from "./switcher/classify.ts";
import { enter, resume as goOn } from "./switcher/enter.ts";
import { pinPage as pin } from "./switcher/lguest-calls.ts";
import {
  createGuest,
  createVcpu,
  destroyGuest,
  destroyVcpu,
  initVcpu,
  setLimits,
  setModel,
} from "./switcher/vcpus.ts";

/** Prepares the shared memory; once, before any thread starts. */
export function poolInit(): void {
  initPool();
}

/** Claims this thread's arena; once per instance. @returns its address, 0 when memory is exhausted. */
export function threadInit(): usize {
  const arena = allocRun(ARENA_BYTES);
  if (arena == 0) return 0;
  setArena(arena);
  resetCodeCache();
  return arena;
}

/** @returns a guest with `ramFrames` frames of RAM, 0 when memory is exhausted. */
export function guestCreate(ramFrames: u32): usize {
  return createGuest(ramFrames);
}
/** Memory is [0, limitFrames); device space is [mmioStart, mmioEnd). Frame numbers. */
export function guestSetLimits(guest: usize, limitFrames: u32, mmioStart: u32, mmioEnd: u32): void {
  setLimits(guest, limitFrames, mmioStart, mmioEnd);
}
/** Frees a guest whose vCPUs are destroyed. */
export function guestDestroy(guest: usize): void {
  destroyGuest(guest);
}

/** @returns a vCPU of `guest` with trap policy POLICY_*, at its reset state; 0 when memory is exhausted. */
export function vcpuCreate(guest: usize, policy: u32): usize {
  return createVcpu(guest, policy);
}
/** Makes a vCPU that has not run one of CPU_MODEL_*; the default is CPU_MODEL_I686. */
export function vcpuSetModel(v: usize, model: u32): void {
  setModel(v, model);
}
/** Applies the INIT signal to a vCPU of a plain machine that is not in the middle of an instruction. */
export function vcpuInit(v: usize): void {
  initVcpu(v);
}
export function vcpuDestroy(v: usize): void {
  destroyVcpu(v);
}

/** Runs at most `budget` instructions. @returns EXIT_*. */
export function run(v: usize, budget: i32): u32 {
  return enter(v, budget);
}
/** Runs what is left of the slice that EXIT_TRAP, EXIT_SHADOW_FAULT or EXIT_HYPERCALL interrupted. @returns EXIT_*. */
export function resume(v: usize): u32 {
  return goOn(v);
}

/** @returns host pointer of frame `gfn` for reading, 0 when it is not memory. Valid until the guest runs again. */
export function frameForRead(guest: usize, gfn: u32): usize {
  return readFrame(guest, gfn);
}
/**
 * @returns host pointer of frame `gfn` for writing: private, dirty, its decoded code forgotten; 0 when it is not memory or none is left.
 */
export function frameForWrite(guest: usize, gfn: u32): usize {
  const before = readFrame(guest, gfn);
  const frame = writeFrame(guest, gfn);
  if (frame == 0) return 0;
  if (frame != before) flushGuestTranslations(guest);
  if (touchesCode(frame, PAGE_SIZE)) dropCode(0, frame);
  return frame;
}

/** @returns the guest-physical address that the guest's tables give for `lin`, or -1; nothing is changed. */
export function walk(v: usize, lin: u32, write: bool, user: bool): f64 {
  return probe(v, lin, write, user);
}
/** Drops every cached translation of the vCPU. */
export function flushAll(v: usize): void {
  flushAllTranslations(v);
}
/** Drops the cached translations of one page. */
export function flushPage(v: usize, lin: u32): void {
  flushPageEverywhere(v, lin);
}

/** Drops the cached translations of one page in the directory at `cr3`, if that is known. */
export function flushPageIn(v: usize, cr3: u32, lin: u32): void {
  flushPageOf(v, cr3, lin);
}
/**
 * SET_PTE named an entry that was used before, and the Host found nothing wrong with it: drops the page's cached translations in the
 * directory at `cr3` or in all, and lets the accesses that `pte` allows be made without a shadow fault.
 */
export function shadowPage(v: usize, cr3: u32, everywhere: bool, lin: u32, pte: u32): void {
  if (everywhere) flushPageEverywhere(v, lin);
  else flushPageOf(v, cr3, lin);
  noteShadow(v, cr3, everywhere, lin, pte);
}
/** Drops the cached translations of the directory at `cr3`, if that is known. */
export function flushDirectory(v: usize, cr3: u32): void {
  flushOneDirectory(v, cr3);
}
/** @returns whether translations of the directory at `cr3` may be cached. */
export function knowsDirectory(v: usize, cr3: u32): bool {
  return knows(v, cr3);
}
/** The Host wrote CR3 or the paging mode, or another vCPU has run since: makes the current directory's translations the active ones. */
export function activateDirectory(v: usize): void {
  switchDirectory(v);
}

/**
 * Maps a page for an access of the guest that missed the TLB, as the Host found it in the guest's tables. Only right after EXIT_SHADOW_FAULT.
 * @param kind PFERR_* of the exit record @param entry effective PTE_RW and PTE_US, PTE_D, and PTE_NX_HIGH as in the high half of an entry
 * @returns 1, or 0 with the exit record saying why not.
 */
export function mapPage(v: usize, lin: u32, kind: u32, gfn: u32, entry: u32): bool {
  grant(v, lin, kind);
  const ptr = fillFrom(v, lin, accessOf(kind), (kind & PFERR_USER) != 0, gfn, entry);
  // Device memory is never mapped: the access finds that out by itself when it is made again.
  if (ptr == 0) return false;
  clearEvent(v);
  return true;
}
/** Sets accessed and dirty bits in a table entry of the guest. @returns 1, or 0 with the exit record saying why not. */
export function markEntry(v: usize, gpa: u32, bits: u32): bool {
  return mark(v, gpa, bits);
}
/** A page of the stack that SET_STACK names. @returns 1 when the guest kernel may write it, or 0 with the exit record saying why not. */
export function pinPage(v: usize, lin: u32): bool {
  return pin(v, lin);
}

/**
 * Delivers a trap as if the instruction at EIP had raised it; the vCPU is the one that ran last on this thread.
 * @returns 1, or 0 with the exit record saying why not.
 */
export function deliverTrap(v: usize, vector: u32, errorCode: u32, address: u32): bool {
  store<u32>(v, address, VCPU_FAULT_ADDRESS);
  return deliver(v, vector, errorCode);
}
/** A TLB miss turned out to be the guest's own page fault: delivers it. @returns 1, or 0 with the exit record saying why not. */
export function reflectPageFault(v: usize, lin: u32, errorCode: u32): bool {
  return deliverPageFault(v, lin, errorCode);
}
/** Delivers interrupt `vector` between two instructions. @returns 1, or 0 with the exit record saying why not. */
export function deliverInterrupt(v: usize, vector: u32): bool {
  switchDirectory(v);
  return onInterrupt(v, vector);
}
/** Delivers the NMI that waits (VCPU_NMI), if it may be taken now. @returns 1, or 0 with the exit record saying why not. */
export function deliverNmi(v: usize): bool {
  if (!canTakeNmi(v)) return true;
  switchDirectory(v);
  return onNmi(v);
}
/** The Host wrote segment registers of the block. */
export function updateMode(v: usize): void {
  recomputeMode(v);
}
