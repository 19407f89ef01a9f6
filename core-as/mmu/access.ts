/**
 * Guest memory accesses by linear address, slow paths included: page crossings, first touches, device memory, stores into decoded code.
 * The interpreter inlines the TLB hit (Mem below); everything else comes here. One idiom: a pointer of 0 means an event is recorded.
 *
 * An access that straddles two pages, or goes to device memory, is carried out on a bounce buffer in the vCPU block; one can be
 * pending at a time, and commitWrite() moves it to where it belongs.
 */
import {
  DEBUG_DATA,
  EVENT_MMIO,
  EVENT_STEP,
  EXIT_MMIO_READ,
  EXIT_MMIO_WRITE,
  KILL_BAD_ADDRESS,
  MMIO_QUEUE_MAX,
  MODE_FLAT,
  VCPU_BOUNCE,
  VCPU_BOUNCE_FIRST,
  VCPU_BOUNCE_MMIO,
  VCPU_BOUNCE_SECOND,
  VCPU_BOUNCE_SIZE,
  VCPU_BOUNCE_SPLIT,
  VCPU_CONTEXT,
  VCPU_CPL,
  VCPU_DEBUG,
  VCPU_EVENT,
  VCPU_EXIT_ARG,
  VCPU_MMIO_COUNT,
  VCPU_MMIO_CURSOR,
  VCPU_MMIO_VALUES,
  VCPU_MODE,
  VCPU_TLB,
} from "../../abi/vcpu.ts";
import { REG_EBP, REG_ESP, VECTOR_AC, VECTOR_GP, VECTOR_SS } from "../../abi/x86.ts";
import {
  PAGE_MASK,
  PAGE_OFFSET_MASK,
  PAGE_SIZE,
  TLB_ADDEND,
  TLB_ENTRIES,
  TLB_ENTRY_SHIFT,
  TLB_EXEC,
  TLB_READ,
  TLB_USER,
  TLB_WATCHED,
  TLB_WRITE,
} from "../layout.ts";
import { kill, raise, raiseGp } from "../state/faults.ts";
import { reg, setExit } from "../state/vcpu.ts";
import { dropCode, hasCode, isRunningIn, noteWritable, touchesCode } from "./code-pages.ts";
import { ACCESS_FETCH, ACCESS_READ, ACCESS_WRITE } from "./shadow-fault.ts";
import { checksAlignment } from "./tlb.ts";
import { clearEvent, FILL_MMIO, fill } from "./walker.ts";
import { noteAccess } from "./watch.ts";

/** The TLB hit, inline. `tlb` is VCPU_TLB, which the interpreter keeps in a local. */
export class Mem {
  @inline static entry(tlb: usize, lin: u32): usize {
    return tlb + (((lin >>> 12) & (TLB_ENTRIES - 1)) << TLB_ENTRY_SHIFT);
  }
  /** @returns host pointer for reading sizeof<T> bytes, 0 = event recorded. */
  @inline static read<T>(v: usize, tlb: usize, lin: u32): usize {
    const entry = Mem.entry(tlb, lin);
    if (((lin + (sizeof<T>() - 1)) & PAGE_MASK) == load<u32>(entry, TLB_READ)) {
      return lin + load<u32>(entry, TLB_ADDEND);
    }
    return translateRead(v, lin, sizeof<T>());
  }
  /** @returns host pointer for read-modify-write, 0 = event recorded; then commit(). */
  @inline static write<T>(v: usize, tlb: usize, lin: u32): usize {
    const entry = Mem.entry(tlb, lin);
    if (((lin + (sizeof<T>() - 1)) & PAGE_MASK) == load<u32>(entry, TLB_WRITE)) {
      return lin + load<u32>(entry, TLB_ADDEND);
    }
    return translateWrite(v, lin, sizeof<T>());
  }
  @inline static commit(v: usize, ptr: usize): bool {
    return ptr != v + VCPU_BOUNCE || commitWrite(v, ptr);
  }
  /** Plain store. @returns false = event recorded. */
  @inline static store<T>(v: usize, tlb: usize, lin: u32, value: T): bool {
    const entry = Mem.entry(tlb, lin);
    if (((lin + (sizeof<T>() - 1)) & PAGE_MASK) == load<u32>(entry, TLB_WRITE)) {
      store<T>(lin + load<u32>(entry, TLB_ADDEND), value);
      return true;
    }
    return storeValue<T>(v, lin, value);
  }
}

/** @returns host pointer of the byte at `lin`, FILL_MMIO or 0, whatever the rest of its page holds. */
function locate(v: usize, lin: u32, access: u32, user: bool): usize {
  const tlb = load<usize>(v, VCPU_CONTEXT) + (user ? <usize>TLB_USER : 0);
  const entry = Mem.entry(tlb, lin);
  const tag = access == ACCESS_WRITE ? load<u32>(entry, TLB_WRITE) : load<u32>(entry, TLB_READ);
  const page = lin & PAGE_MASK;
  if (page == tag) return lin + load<u32>(entry, TLB_ADDEND);
  if ((page | TLB_WATCHED) == tag && access == ACCESS_WRITE) return watched(entry, lin);
  return fill(v, lin, access, user);
}

/** A store to a page that held code when its translation was made: once the code is forgotten, stores go unwatched again. */
function watched(entry: usize, lin: u32): usize {
  const ptr: usize = lin + load<u32>(entry, TLB_ADDEND);
  if (!hasCode(ptr)) {
    store<u32>(entry, lin & PAGE_MASK, TLB_WRITE);
    noteWritable(ptr);
  }
  return ptr;
}

function isUser(v: usize): bool {
  return load<u32>(v, VCPU_CPL) == 3;
}

/** @returns `ptr`, or 0 when a data breakpoint wants the instruction to run alone. Accesses to system tables hit none. */
function noted(v: usize, ptr: usize, lin: u32, size: u32, write: bool): usize {
  if (ptr == 0 || (load<u32>(v, VCPU_DEBUG) & DEBUG_DATA) == 0) return ptr;
  return noteAccess(v, lin, size, write) ? ptr : 0;
}

/** @returns host pointer to `size` (1-32) readable bytes at `lin` with the current privilege; 0 = event recorded. */
export function translateRead(v: usize, lin: u32, size: u32): usize {
  return noted(v, readAs(v, lin, size, isUser(v)), lin, size, false);
}
/** translateRead with supervisor privilege whatever the CPL: descriptor tables, TSS, IDT. */
export function translateSystemRead(v: usize, lin: u32, size: u32): usize {
  return readAs(v, lin, size, false);
}
/** @returns host pointer to `size` bytes for reading and writing, 0 = event recorded; commitWrite() afterwards. */
export function translateWrite(v: usize, lin: u32, size: u32): usize {
  return noted(v, writeAs(v, lin, size, isUser(v), true), lin, size, true);
}
export function translateSystemWrite(v: usize, lin: u32, size: u32): usize {
  return writeAs(v, lin, size, false, true);
}

/** @returns false when #AC was recorded. Operands of 6 bytes align like doublewords, longer odd ones like quadwords. */
function isAligned(v: usize, lin: u32, size: u32): bool {
  const mask: u32 = size <= 2 ? size - 1 : size <= 6 ? 3 : size <= 10 ? 7 : 0;
  if ((lin & mask) == 0 || !checksAlignment(v)) return true;
  raise(v, VECTOR_AC, 0);
  return false;
}

/**
 * An access that runs past 4 GiB. @returns true in flat mode, with #SS(0) or #GP(0) recorded; other segments were checked before.
 * DEVIATION: an explicit operand that is based on ESP or EBP with a displacement raises #GP instead of #SS there.
 */
function isPastEnd(v: usize, lin: u32, size: u32): bool {
  if ((load<u32>(v, VCPU_MODE) & MODE_FLAT) == 0) return false;
  const esp = reg(v, REG_ESP);
  const usesStack = lin == esp || lin == esp - size || lin == reg(v, REG_EBP);
  raise(v, usesStack ? VECTOR_SS : VECTOR_GP, 0);
  return true;
}

function readAs(v: usize, lin: u32, size: u32, user: bool): usize {
  if (user && !isAligned(v, lin, size)) return 0;
  if (lin + size - 1 < lin && isPastEnd(v, lin, size)) return 0;
  const first = locate(v, lin, ACCESS_READ, user);
  if (first == 0) return 0;
  if (first == FILL_MMIO) return deviceRead(v, size);
  const split = <u32>PAGE_SIZE - (lin & PAGE_OFFSET_MASK);
  if (size <= split) return first;
  const second = locate(v, lin + split, ACCESS_READ, user);
  if (second == 0) return 0;
  if (second == FILL_MMIO) return deviceRead(v, size);
  memory.copy(v + VCPU_BOUNCE, first, split);
  memory.copy(v + VCPU_BOUNCE + split, second, size - split);
  return v + VCPU_BOUNCE;
}

function writeAs(v: usize, lin: u32, size: u32, user: bool, readsFirst: bool): usize {
  if (user && !isAligned(v, lin, size)) return 0;
  if (lin + size - 1 < lin && isPastEnd(v, lin, size)) return 0;
  const first = locate(v, lin, ACCESS_WRITE, user);
  if (first == 0) return 0;
  if (first == FILL_MMIO) return deviceWrite(v, size, readsFirst);
  const split = <u32>PAGE_SIZE - (lin & PAGE_OFFSET_MASK);
  if (size <= split) return releaseCode(v, first, size) ? first : 0;
  const second = locate(v, lin + split, ACCESS_WRITE, user);
  if (second == 0) return 0;
  if (second == FILL_MMIO) return deviceWrite(v, size, readsFirst);
  if (!releaseCode(v, first, split) || !releaseCode(v, second, size - split)) return 0;
  memory.copy(v + VCPU_BOUNCE, first, split);
  memory.copy(v + VCPU_BOUNCE + split, second, size - split);
  store<usize>(v, first, VCPU_BOUNCE_FIRST);
  store<usize>(v, second, VCPU_BOUNCE_SECOND);
  store<u32>(v, split, VCPU_BOUNCE_SPLIT);
  store<u32>(v, size, VCPU_BOUNCE_SIZE);
  store<u32>(v, 0, VCPU_BOUNCE_MMIO);
  return v + VCPU_BOUNCE;
}

/** Drops decoded code under a store. @returns false when the running block would be hit: the instruction must be stepped alone. */
function releaseCode(v: usize, ptr: usize, size: u32): bool {
  if (!touchesCode(ptr, size)) return true;
  if (isRunningIn(v, ptr)) {
    store<u32>(v, EVENT_STEP, VCPU_EVENT);
    return false;
  }
  dropCode(v, ptr);
  return true;
}

/** Carries out a write made through `ptr`. @returns false = event recorded (the Host must perform it first). */
export function commitWrite(v: usize, ptr: usize): bool {
  if (ptr != v + VCPU_BOUNCE) return true;
  const size = load<u32>(v, VCPU_BOUNCE_SIZE);
  if (load<u32>(v, VCPU_BOUNCE_MMIO) != 0)
    return deviceStore(v, load<u32>(v, VCPU_BOUNCE_FIRST), size);
  const split = load<u32>(v, VCPU_BOUNCE_SPLIT);
  memory.copy(load<usize>(v, VCPU_BOUNCE_FIRST), ptr, split);
  memory.copy(load<usize>(v, VCPU_BOUNCE_SECOND), ptr + split, size - split);
  return true;
}

/** @returns whether `size` bytes at `lin` could be stored now, without touching a device that may be there; else an event is recorded. */
export function mayStore(v: usize, lin: u32, size: u32): bool {
  return writeAs(v, lin, size, isUser(v), false) != 0;
}

/** Stores 1, 2, 4 or 8 bytes. @returns false = event recorded. */
export function storeValue<T>(v: usize, lin: u32, value: T): bool {
  const ptr = noted(v, writeAs(v, lin, sizeof<T>(), isUser(v), false), lin, sizeof<T>(), true);
  if (ptr == 0) return false;
  store<T>(ptr, value);
  return commitWrite(v, ptr);
}

/** Stores with supervisor privilege whatever the CPL. @returns false = event recorded. */
export function storeSystemValue<T>(v: usize, lin: u32, value: T): bool {
  const ptr = writeAs(v, lin, sizeof<T>(), false, false);
  if (ptr == 0) return false;
  store<T>(ptr, value);
  return commitWrite(v, ptr);
}

/**
 * @returns host pointer valid for writing `bytes` that stay within one page, decoded code below them already dropped; 0 when an event
 * was recorded (VCPU_EVENT) or the page is device memory (VCPU_EVENT is EVENT_NONE: go element by element). Nobody calls it while data
 * breakpoints are armed.
 */
export function writeRun(v: usize, lin: u32, bytes: u32): usize {
  const ptr = locate(v, lin, ACCESS_WRITE, isUser(v));
  if (ptr == FILL_MMIO) {
    clearEvent(v);
    return 0;
  }
  if (ptr == 0) return 0;
  return releaseCode(v, ptr, bytes) ? ptr : 0;
}

// Device memory: the Host performs the access, then the instruction runs again and finds the result in the queue.

/** @returns pointer into the queue when the Host has already performed this access; else 0. */
function performed(v: usize): usize {
  const cursor = load<u32>(v, VCPU_MMIO_CURSOR);
  if (cursor >= load<u32>(v, VCPU_MMIO_COUNT)) return 0;
  store<u32>(v, cursor + 1, VCPU_MMIO_CURSOR);
  return v + VCPU_MMIO_VALUES + cursor * 8;
}

/** @returns true when the Host may be asked; else the guest dies: no driver uses so many registers in one instruction. */
function mayQueue(v: usize, gpa: u32, size: u32): bool {
  if (load<u32>(v, VCPU_MMIO_CURSOR) < <u32>MMIO_QUEUE_MAX) return true;
  kill(v, KILL_BAD_ADDRESS, gpa, size);
  return false;
}

/** Bytes that one access to a device moves at most; a wider operand takes two, the lower first. */
const DEVICE_BYTES: u32 = 8;

/** Reads part of a device operand into the bounce buffer. @returns false = event recorded. */
function readPart(v: usize, gpa: u32, size: u32, at: u32): bool {
  const done = performed(v);
  if (done == 0) {
    if (!mayQueue(v, gpa, size)) return false;
    setExit(v, EXIT_MMIO_READ, gpa + at, size);
    store<u32>(v, EVENT_MMIO, VCPU_EVENT);
    return false;
  }
  store<u64>(v + at, load<u64>(done), VCPU_BOUNCE);
  return true;
}

function deviceRead(v: usize, size: u32): usize {
  const gpa = load<u32>(v, VCPU_EXIT_ARG);
  const first = size < DEVICE_BYTES ? size : DEVICE_BYTES;
  if (!readPart(v, gpa, first, 0)) return 0;
  if (size > first && !readPart(v, gpa, size - first, first)) return 0;
  clearEvent(v);
  return v + VCPU_BOUNCE;
}

function deviceWrite(v: usize, size: u32, readsFirst: bool): usize {
  const gpa = load<u32>(v, VCPU_EXIT_ARG);
  if (readsFirst) {
    if (deviceRead(v, size) == 0) return 0;
  } else clearEvent(v);
  store<u32>(v, 1, VCPU_BOUNCE_MMIO);
  store<u32>(v, gpa, VCPU_BOUNCE_FIRST);
  store<u32>(v, size, VCPU_BOUNCE_SIZE);
  return v + VCPU_BOUNCE;
}

/** Has the Host write part of a device operand from the bounce buffer. @returns true when it has. */
function writePart(v: usize, gpa: u32, size: u32, at: u32): bool {
  if (performed(v) != 0) return true;
  if (!mayQueue(v, gpa, size)) return false;
  let value = load<u64>(v + at, VCPU_BOUNCE);
  if (size < 8) value &= ((<u64>1) << (size * 8)) - 1;
  setExit(v, EXIT_MMIO_WRITE, gpa + at, size, <u32>value, <u32>(value >> 32));
  store<u32>(v, EVENT_MMIO, VCPU_EVENT);
  return false;
}

function deviceStore(v: usize, gpa: u32, size: u32): bool {
  const first = size < DEVICE_BYTES ? size : DEVICE_BYTES;
  return writePart(v, gpa, first, 0) && (size == first || writePart(v, gpa, size - first, first));
}

/** @returns host pointer of the code byte at `lin` with the current privilege, 0 = fault recorded. Device memory is not executable. */
export function codePointer(v: usize, lin: u32): usize {
  const entry = Mem.entry(load<usize>(v, VCPU_TLB), lin);
  if ((lin & PAGE_MASK) == load<u32>(entry, TLB_EXEC)) return lin + load<u32>(entry, TLB_ADDEND);
  const ptr = fill(v, lin, ACCESS_FETCH, isUser(v));
  return ptr == FILL_MMIO ? <usize>raiseGp(v, 0) : ptr;
}
