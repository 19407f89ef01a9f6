/**
 * Guest memory accesses by linear address, slow paths included: page crossings, first touches, device memory, stores into decoded code.
 * The interpreter inlines the TLB hit (Mem below); everything else comes here. One idiom: a pointer of 0 means an event is recorded.
 *
 * An access that straddles two pages, or goes to device memory, is carried out on a bounce buffer in the vCPU block; one can be
 * pending at a time, and commitWrite() moves it to where it belongs.
 */
import {
  BOUNCE_FIRST_MMIO,
  BOUNCE_SECOND_MMIO,
  DEBUG_DATA,
  EVENT_STEP,
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
  VCPU_FAULT_ADDRESS,
  VCPU_MODE,
  VCPU_PAST_END,
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
import { raise } from "../state/faults.ts";
import { reg } from "../state/vcpu.ts";
import { dropCode, hasCode, isRunningIn, noteWritable, touchesCode } from "./code-pages.ts";
import { deviceAddress, deviceWrite, gather } from "./devices.ts";
import { clearEvent, FILL_MMIO, fill } from "./fill.ts";
import { ACCESS_FETCH, ACCESS_READ, ACCESS_WRITE } from "./shadow-fault.ts";
import { checksAlignment } from "./tlb.ts";
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
function locate(v: usize, lin: u32, access: u32, user: bool, system: bool): usize {
  const tlb = load<usize>(v, VCPU_CONTEXT) + (user ? <usize>TLB_USER : 0);
  const entry = Mem.entry(tlb, lin);
  const tag = access == ACCESS_WRITE ? load<u32>(entry, TLB_WRITE) : load<u32>(entry, TLB_READ);
  const page = lin & PAGE_MASK;
  if (page == tag) return lin + load<u32>(entry, TLB_ADDEND);
  if ((page | TLB_WATCHED) == tag && access == ACCESS_WRITE) return watched(entry, lin);
  return fill(v, lin, access, user, system);
}

/** A store to a page that held code when its translation was made: once the code is forgotten, stores go unwatched again. */
function watched(entry: usize, lin: u32): usize {
  const ptr: usize = lin + load<u32>(entry, TLB_ADDEND);
  if (!hasCode(ptr)) {
    store<u32>(entry, lin & PAGE_MASK, TLB_WRITE);
    noteWritable(ptr, false);
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
  return noted(v, readAs(v, lin, size, isUser(v), false), lin, size, false);
}
/** translateRead with supervisor privilege whatever the CPL: descriptor tables, TSS, IDT. */
export function translateSystemRead(v: usize, lin: u32, size: u32): usize {
  return readAs(v, lin, size, false, true);
}
/** @returns host pointer to `size` bytes for reading and writing, 0 = event recorded; commitWrite() afterwards. */
export function translateWrite(v: usize, lin: u32, size: u32): usize {
  return noted(v, writeAs(v, lin, size, isUser(v), false, true), lin, size, true);
}
export function translateSystemWrite(v: usize, lin: u32, size: u32): usize {
  return writeAs(v, lin, size, false, true, true);
}

/** @returns false when #AC was recorded. Operands of 6 bytes align like doublewords, longer odd ones like quadwords. */
function isAligned(v: usize, lin: u32, size: u32): bool {
  const mask: u32 = size <= 2 ? size - 1 : size <= 6 ? 3 : size <= 10 ? 7 : 0;
  if ((lin & mask) == 0 || !checksAlignment(v)) return true;
  raise(v, VECTOR_AC, 0);
  return false;
}

/**
 * An access that runs past 4 GiB. @returns true in flat mode, with #SS(0) or #GP(0) recorded; other segments were checked before. An
 * explicit operand may be of another segment than its address tells: the switcher looks (VCPU_PAST_END).
 */
function isPastEnd(v: usize, lin: u32, size: u32, system: bool): bool {
  if ((load<u32>(v, VCPU_MODE) & MODE_FLAT) == 0) return false;
  const esp = reg(v, REG_ESP);
  const usesStack = lin == esp || lin == esp - size || lin == reg(v, REG_EBP);
  raise(v, usesStack ? VECTOR_SS : VECTOR_GP, 0);
  if (!system) {
    store<u32>(v, lin, VCPU_FAULT_ADDRESS);
    store<u32>(v, 1, VCPU_PAST_END);
  }
  return true;
}

function readAs(v: usize, lin: u32, size: u32, user: bool, system: bool): usize {
  if (user && !isAligned(v, lin, size)) return 0;
  if (lin + size - 1 < lin && isPastEnd(v, lin, size, system)) return 0;
  const first = locate(v, lin, ACCESS_READ, user, system);
  if (first == 0) return 0;
  const firstGpa = deviceAddress(v, first);
  const split = <u32>PAGE_SIZE - (lin & PAGE_OFFSET_MASK);
  if (size <= split) {
    if (first != FILL_MMIO) return first;
    return gather(v, first, firstGpa, size, 0) ? v + VCPU_BOUNCE : 0;
  }
  const second = locate(v, lin + split, ACCESS_READ, user, system);
  if (second == 0) return 0;
  const secondGpa = deviceAddress(v, second);
  if (!gather(v, first, firstGpa, split, 0)) return 0;
  return gather(v, second, secondGpa, size - split, split) ? v + VCPU_BOUNCE : 0;
}

function writeAs(v: usize, lin: u32, size: u32, user: bool, system: bool, readsFirst: bool): usize {
  if (user && !isAligned(v, lin, size)) return 0;
  if (lin + size - 1 < lin && isPastEnd(v, lin, size, system)) return 0;
  const first = locate(v, lin, ACCESS_WRITE, user, system);
  if (first == 0) return 0;
  const firstGpa = deviceAddress(v, first);
  const split = <u32>PAGE_SIZE - (lin & PAGE_OFFSET_MASK);
  if (size <= split) {
    if (first != FILL_MMIO) return releaseCode(v, first, size) ? first : 0;
    return expectWrite(v, first, firstGpa, size, readsFirst, 0) ? finishWrite(v, size, size) : 0;
  }
  const second = locate(v, lin + split, ACCESS_WRITE, user, system);
  if (second == 0) return 0;
  const secondGpa = deviceAddress(v, second);
  if (first != FILL_MMIO && !releaseCode(v, first, split)) return 0;
  if (second != FILL_MMIO && !releaseCode(v, second, size - split)) return 0;
  if (!expectWrite(v, first, firstGpa, split, readsFirst, 0)) return 0;
  if (!expectWrite(v, second, secondGpa, size - split, readsFirst, split)) return 0;
  return finishWrite(v, size, split);
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
  const split = load<u32>(v, VCPU_BOUNCE_SPLIT);
  const first = load<usize>(v, VCPU_BOUNCE_FIRST);
  const second = load<usize>(v, VCPU_BOUNCE_SECOND);
  const devices = load<u32>(v, VCPU_BOUNCE_MMIO);
  // Memory comes last: until the Host has written to the devices the instruction is executed again, and must read what it read.
  if ((devices & BOUNCE_FIRST_MMIO) != 0 && !deviceWrite(v, first, split, 0)) return false;
  if ((devices & BOUNCE_SECOND_MMIO) != 0 && !deviceWrite(v, second, size - split, split)) {
    return false;
  }
  if ((devices & BOUNCE_FIRST_MMIO) == 0) memory.copy(first, ptr, split);
  if (size > split && (devices & BOUNCE_SECOND_MMIO) == 0) {
    memory.copy(second, ptr + split, size - split);
  }
  return true;
}

/** @returns whether `size` bytes at `lin` could be stored now, without touching a device that may be there; else an event is recorded. */
export function mayStore(v: usize, lin: u32, size: u32): bool {
  return writeAs(v, lin, size, isUser(v), false, false) != 0;
}

/** Stores 1, 2, 4 or 8 bytes. @returns false = event recorded. */
export function storeValue<T>(v: usize, lin: u32, value: T): bool {
  const ptr = noted(
    v,
    writeAs(v, lin, sizeof<T>(), isUser(v), false, false),
    lin,
    sizeof<T>(),
    true,
  );
  if (ptr == 0) return false;
  store<T>(ptr, value);
  return commitWrite(v, ptr);
}

/** Stores with supervisor privilege whatever the CPL. @returns false = event recorded. */
export function storeSystemValue<T>(v: usize, lin: u32, value: T): bool {
  const ptr = writeAs(v, lin, sizeof<T>(), false, true, false);
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
  const ptr = locate(v, lin, ACCESS_WRITE, isUser(v), false);
  if (ptr == FILL_MMIO) {
    clearEvent(v);
    return 0;
  }
  if (ptr == 0) return 0;
  return releaseCode(v, ptr, bytes) ? ptr : 0;
}

/** Notes where half of a bounced write goes, its old bytes in the buffer. @returns false = event recorded. */
function expectWrite(v: usize, ptr: usize, gpa: u32, size: u32, readsFirst: bool, at: u32): bool {
  const isDevice = ptr == FILL_MMIO;
  if ((readsFirst || !isDevice) && !gather(v, ptr, gpa, size, at)) return false;
  const devices: u32 = at == 0 ? 0 : load<u32>(v, VCPU_BOUNCE_MMIO);
  const mark: u32 = at == 0 ? BOUNCE_FIRST_MMIO : BOUNCE_SECOND_MMIO;
  store<u32>(v, isDevice ? devices | mark : devices, VCPU_BOUNCE_MMIO);
  const target = isDevice ? <usize>gpa : ptr;
  if (at == 0) store<usize>(v, target, VCPU_BOUNCE_FIRST);
  else store<usize>(v, target, VCPU_BOUNCE_SECOND);
  return true;
}
function finishWrite(v: usize, size: u32, split: u32): usize {
  store<u32>(v, size, VCPU_BOUNCE_SIZE);
  store<u32>(v, split, VCPU_BOUNCE_SPLIT);
  return v + VCPU_BOUNCE;
}

/** What a processor reads as code where no memory answers; no instruction is longer. */
const VOID_BYTES = 16;
const VOID = memory.data<u32>([0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff]);

/**
 * @returns host pointer of the code byte at `lin` with the current privilege, good for codeRoom() bytes; 0 = fault recorded. Outside RAM
 * all bytes are ones: code in device memory is not executed.
 */
export function codePointer(v: usize, lin: u32): usize {
  const entry = Mem.entry(load<usize>(v, VCPU_TLB), lin);
  if ((lin & PAGE_MASK) == load<u32>(entry, TLB_EXEC)) return lin + load<u32>(entry, TLB_ADDEND);
  const ptr = fill(v, lin, ACCESS_FETCH, isUser(v), false);
  if (ptr != FILL_MMIO) return ptr;
  clearEvent(v);
  return VOID;
}

/** @returns whether codePointer() found no memory: what is decoded from there belongs to no frame. */
export function isVoid(ptr: usize): bool {
  return ptr == VOID;
}

/** @returns bytes of code from `ptr` on, which codePointer() gave for `lin`. */
export function codeRoom(ptr: usize, lin: u32): u32 {
  const left = PAGE_SIZE - (lin & PAGE_OFFSET_MASK);
  return ptr == VOID && left > VOID_BYTES ? VOID_BYTES : left;
}
