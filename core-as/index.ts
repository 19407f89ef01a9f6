/**
 * Everything the Host may call. Pointers are offsets in linear memory; abi/vcpu.ts says what they point at.
 */
import {
  GUEST_M2P_MFN,
  GUEST_M2P_TABLES_MFN,
  VCPU_EFLAGS,
  VCPU_FAULT_ADDRESS,
  VCPU_GUEST,
} from "../abi/vcpu.ts";
import { EFLAGS_ARITH, PFERR_USER } from "../abi/x86.ts";
import { XEN_EINVAL } from "../abi/xen.ts";
import { PGT_WRITABLE } from "../abi/xen-memory.ts";
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
import { loadSegment } from "./protect/segments.ts";
import { setArithFlags } from "./state/flags.ts";
import { setArena } from "./state/thread.ts";
import { updateMode as recomputeMode } from "./state/vcpu.ts";
import {
  canTakeNmi,
  deliver,
  deliverPageFault,
  noteTrap,
  onInterrupt,
  onNmi,
} from "./switcher/classify.ts";
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
import { land } from "./xen/bounce.ts";
import { setDebugRegister } from "./xen/debug-registers.ts";
import {
  addFrames,
  dropVcpuTables,
  moveFrame,
  relinquish,
  shareFrame,
  takeFrame,
  unshareFrame,
} from "./xen/domain.ts";
import { mapGranted, unmapGranted } from "./xen/grant-map.ts";
import { answerCall, callAgain, performLeft } from "./xen/hypercalls.ts";
import { createPageInfo, refWord, typeOf } from "./xen/page-info.ts";
import { getPage, getPageAndType, putPage, putPageAndType } from "./xen/page-types.ts";
import { newBasePointer, pinTable } from "./xen/pins.ts";
import { setGdtFrame, setLdt } from "./xen/segments.ts";
import { start } from "./xen/start.ts";
import { FAULT_SETTLED, settleFault } from "./xen/traps.ts";
import { hasUpcall } from "./xen/upcall.ts";

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

/** Makes a guest a Xen domain: it gets (empty) page information. Its frame numbers are machine frames. @returns 0 when memory is exhausted. */
export function xenCreate(guest: usize): bool {
  return createPageInfo(guest);
}
/** Where the machine-to-physical table is: first L1 table that maps it, first frame of it. Before the first page table is checked. */
export function xenSetMachineToPhysical(guest: usize, tablesMfn: u32, tableMfn: u32): void {
  store<u32>(guest, tablesMfn, GUEST_M2P_TABLES_MFN);
  store<u32>(guest, tableMfn, GUEST_M2P_MFN);
}
/**
 * Gives frames [mfn, mfn + count) to the domain as PAGE_OWNED (RAM), PAGE_SHARED or PAGE_READ_ONLY (Xen's own).
 * @returns 1; 0 when memory is exhausted, or a frame is somebody's or still in use.
 */
export function xenAddFrames(guest: usize, mfn: u32, count: u32, owner: u32): bool {
  return addFrames(guest, mfn, count, owner);
}
/** Takes a frame of RAM from the vCPU's domain; its memory goes with the last reference. @returns 0 when it is not RAM of the domain's. */
export function xenTakeFrame(v: usize, mfn: u32): bool {
  return takeFrame(v, mfn);
}
/** @returns the type word of a frame: PGT_* and PAGE_* of abi/xen-memory.ts; 0 for one not known. */
export function xenTypeOf(guest: usize, mfn: u32): u32 {
  return typeOf(guest, mfn);
}
/** @returns references to a frame. */
export function xenReferencesOf(guest: usize, mfn: u32): u32 {
  const ptr = refWord(guest, mfn);
  return ptr == 0 ? 0 : load<u32>(ptr);
}
/** Takes a reference to a frame, and one as writable on demand: it stays memory until xenPutFrame. @returns 0 or a negative errno. */
export function xenGetFrame(v: usize, mfn: u32, writable: bool): i32 {
  if (writable) return getPageAndType(v, mfn, PGT_WRITABLE);
  return getPage(load<usize>(v, VCPU_GUEST), mfn) ? 0 : -XEN_EINVAL;
}
/** Gives back what xenGetFrame took, with the same `writable`. */
export function xenPutFrame(v: usize, mfn: u32, writable: bool): void {
  if (writable) putPageAndType(v, mfn);
  else putPage(load<usize>(v, VCPU_GUEST), mfn);
}
/**
 * Lets `guest` see frame `otherMfn` of `other` as its frame `mfn` of PAGE_FOREIGN; hold the other's frame with xenGetFrame meanwhile.
 * @param flags PAGE_READ_ONLY or 0 @returns 0 when one of the frames cannot be had.
 */
export function xenShareFrame(
  guest: usize,
  mfn: u32,
  other: usize,
  otherMfn: u32,
  flags: u32,
): bool {
  return shareFrame(guest, mfn, other, otherMfn, flags);
}
/** Ends xenShareFrame. @returns 0 while an entry still maps the frame. */
export function xenUnshareFrame(guest: usize, mfn: u32): bool {
  return unshareFrame(guest, mfn);
}
/**
 * Makes a page-table entry map a frame of PAGE_FOREIGN: the entry at machine address `entryGpa`, or where that is 0 the one that maps `lin`.
 * @param low entry, low half, and `high` half @returns 0 or a negative errno.
 */
export function xenMapGranted(v: usize, entryGpa: u32, lin: u32, low: u32, high: u32): i32 {
  switchDirectory(v);
  const error = mapGranted(v, entryGpa, lin, low, high);
  if (error == 0) flushGuestTranslations(load<usize>(v, VCPU_GUEST));
  return error;
}
/**
 * Ends what xenMapGranted made: clears the entry, named as there, if it maps `mfn` with `rights` (PTE_RW or 0), or gives it what the entry of `newLin` has,
 * which is cleared then (0: there is none). @returns 0, or -EINVAL: it maps something else.
 */
export function xenUnmapGranted(
  v: usize,
  entryGpa: u32,
  lin: u32,
  mfn: u32,
  rights: u32,
  newLin: u32,
): i32 {
  switchDirectory(v);
  const error = unmapGranted(v, entryGpa, lin, mfn, rights, newLin);
  flushGuestTranslations(load<usize>(v, VCPU_GUEST));
  return error;
}
/**
 * Moves a frame of the vCPU's domain, contents and all, to `other`, whose frame `otherMfn` it is from now on. @returns 0 when the
 * frame is not RAM of the domain's or something refers to it, or `otherMfn` is not free.
 */
export function xenMoveFrame(v: usize, mfn: u32, other: usize, otherMfn: u32): bool {
  return moveFrame(load<usize>(v, VCPU_GUEST), mfn, other, otherMfn);
}
/** Pins (checks) a table of type PGT_L1 to PGT_L3. @returns 0 or a negative errno. */
export function xenPin(v: usize, mfn: u32, type: u32): i32 {
  return pinTable(v, mfn, type);
}
/** Makes the L3 table `mfn` the vCPU's, checking it if need be. @returns 0 or -EINVAL. */
export function xenSetBase(v: usize, mfn: u32): i32 {
  return newBasePointer(v, mfn);
}
/** Makes `mfn` frame `index` (0-13) of the vCPU's GDT, 0 for none. @returns 0 or -EINVAL: its descriptors are no good. */
export function xenSetGdtFrame(v: usize, index: u32, mfn: u32): i32 {
  return setGdtFrame(v, index, mfn);
}
/** Gives the vCPU an LDT. @returns 0 or -EINVAL. */
export function xenSetLdt(v: usize, lin: u32, entries: u32): i32 {
  return setLdt(v, lin, entries);
}
/**
 * Loads CS:EIP, EFLAGS (IF must be set, IOPL 0) and SS:ESP with all checks, and the rings that go with them; VCPU_CPL should be 1 before.
 * @returns 0, with nothing changed, when a selector cannot be loaded.
 */
export function xenLand(v: usize, cs: u32, eip: u32, flags: u32, ss: u32, esp: u32): bool {
  switchDirectory(v);
  if (!land(v, cs, eip, flags & ~EFLAGS_ARITH, ss, esp)) return false;
  setArithFlags(v, flags);
  return true;
}
/** Loads SEG_ES, SEG_DS, SEG_FS or SEG_GS as the guest would. @returns 0, with the register unchanged, when it cannot be loaded. */
export function xenLoadSegment(v: usize, seg: u32, selector: u32): bool {
  switchDirectory(v);
  const done = loadSegment(v, seg, selector);
  clearEvent(v);
  return done;
}
/**
 * Begins a vCPU that has never run: EIP, ESP and EFLAGS (IF set, IOPL 0) of the block, and segment registers of which the Host has set the
 * selectors only. What cannot be loaded leads to the failsafe callback. @returns 0 with EXIT_KILL recorded.
 */
export function xenStart(v: usize): bool {
  switchDirectory(v);
  const flags = load<u32>(v, VCPU_EFLAGS);
  store<u32>(v, flags & ~EFLAGS_ARITH, VCPU_EFLAGS);
  setArithFlags(v, flags);
  return start(v);
}
/** Sets debug register `n` (0-7) as set_debugreg does. @returns 0 or a negative errno, nothing changed then. */
export function xenSetDebugRegister(v: usize, n: u32, value: u32): i32 {
  return setDebugRegister(v, n, value);
}
/** Answers the EXIT_HYPERCALL that the vCPU left with: into EAX, or into the entry of the multicall, which then goes on by itself. */
export function xenReturn(v: usize, value: u32): void {
  switchDirectory(v);
  answerCall(v, value);
}
/**
 * Performs the hypercall that the vCPU left with as the core would have: for calls of VCPU_XEN_LEAVING_CALLS. No xenReturn then.
 * @returns 1 when it is done, 2 when the guest makes it again for what is left; 0 when the core does not know the call (the Host performs
 *   it), or with EXIT_KILL recorded.
 */
export function xenPerform(v: usize): u32 {
  switchDirectory(v);
  return performLeft(v);
}
/** The hypercall that the vCPU left with is made again, with what the Host has put into VCPU_XEN_ARGS. No xenReturn then. */
export function xenAgain(v: usize): void {
  callAgain(v);
}
/**
 * Settles what is the hypervisor's of the fault that the vCPU left with: an instruction is carried out, a page of the LDT promoted.
 * @returns FAULT_SETTLED (1); FAULT_IS_GUESTS (0), to be delivered as VCPU_FAULT_* say; FAULT_KILLED (2) with EXIT_KILL recorded.
 */
export function xenSettleFault(v: usize): u32 {
  const outcome = settleFault(v);
  if (outcome == FAULT_SETTLED) noteTrap(v);
  return outcome;
}
/** @returns 1 when an event waits and is not masked: a blocked vCPU wakes. */
export function xenHasUpcall(v: usize): bool {
  return hasUpcall(v);
}
/** Gives back the vCPU's tables (base pointer, GDT, LDT): it does not run again before xenSetBase. */
export function xenDropTables(v: usize): void {
  dropVcpuTables(v);
}
/** Undoes all pins of the domain, whose vCPUs hold no tables any more. @returns the sum of all counts left: 0 unless frames are held. */
export function xenRelinquish(v: usize): u32 {
  return relinquish(v);
}
