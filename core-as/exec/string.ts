/**
 * String instructions. A repeated one works in chunks: until the end of the page of either pointer, or until the count is used up.
 * A chunk retires as one instruction and leaves EIP at the instruction while work is left, so slices and faults fall between chunks.
 * A chunk is one element while EFLAGS.TF is set or data breakpoints are armed, because their traps come after every element.
 * How far a chunk goes depends on registers alone, never on what is cached: the instruction count stays architectural.
 * ECX, ESI, EDI and, for CMPS and SCAS, the flags always say what has been done.
 *
 * Immediate: bits 0-1 repeat kind, bit 2 16-bit addressing, bits 4-6 source segment.
 * Source: SDM 2, "REP/REPE/REPZ/REPNE/REPNZ" and each instruction's page.
 */
import {
  DEBUG_DATA,
  EVENT_MMIO,
  EVENT_NONE,
  EXIT_IO_IN,
  EXIT_IO_OUT,
  MODE_FLAT,
  VCPU_DEBUG,
  VCPU_EA,
  VCPU_EFLAGS,
  VCPU_EIP,
  VCPU_EVENT,
  VCPU_GPR,
  VCPU_MMIO_COUNT,
  VCPU_MMIO_CURSOR,
  VCPU_MMIO_VALUES,
  VCPU_MODE,
  VCPU_SIZE,
} from "../../abi/vcpu.ts";
import {
  ATTR_P,
  DESC_CODE,
  DESC_EXPAND_DOWN,
  DESC_S,
  DESC_WRITABLE,
  EFLAGS_DF,
  EFLAGS_TF,
  SEG_ES,
  SEG_FS,
} from "../../abi/x86.ts";
import { advance, Uop, uopEip } from "../decode/uop.ts";
import { PAGE_OFFSET_MASK, PAGE_SIZE } from "../layout.ts";
import { mayStore, storeValue, translateRead, writeRun } from "../mmu/access.ts";
import { notePort } from "../mmu/watch.ts";
import { mayStringPort } from "../protect/io.ts";
import { segLinear } from "../protect/segments.ts";
import { leave, STEP_END, STEP_EVENT, STEP_NEXT } from "../state/faults.ts";
import { Flags, setResume } from "../state/flags.ts";
import { segAttr, segBase, segLimit, setExit } from "../state/vcpu.ts";

/** Bits of the immediate. */
export const STRING_REPE: u32 = 1;
export const STRING_REPNE: u32 = 2;
export const STRING_REP_MASK: u32 = 3;
export const STRING_ADDR16: u32 = 4;
export const STRING_SEG_SHIFT: u32 = 4;

const EAX: usize = VCPU_GPR;
const ECX: usize = VCPU_GPR + 4;
const EDX: usize = VCPU_GPR + 8;
const ESI: usize = VCPU_GPR + 24;
const EDI: usize = VCPU_GPR + 28;

/** Registers as the address size sees them. */
class Str {
  @inline static mask(imm: u32): u32 {
    return imm & STRING_ADDR16 ? 0xffff : 0xffffffff;
  }
  @inline static get(v: usize, r: usize, imm: u32): u32 {
    return load<u32>(v + r) & Str.mask(imm);
  }
  @inline static set(v: usize, r: usize, imm: u32, value: u32): void {
    if (imm & STRING_ADDR16) store<u16>(v + r, <u16>value);
    else store<u32>(v + r, value);
  }
  @inline static seg(imm: u32): u32 {
    return (imm >>> STRING_SEG_SHIFT) & 7;
  }
  @inline static isDown(v: usize): bool {
    return (load<u32>(v, VCPU_EFLAGS) & EFLAGS_DF) != 0;
  }
  /** Moves a pointer register by `n` elements in the direction of DF. */
  @inline static move<T>(v: usize, r: usize, imm: u32, n: u32): void {
    const bytes = n * sizeof<T>();
    Str.set(v, r, imm, load<u32>(v + r) + (Str.isDown(v) ? 0 - bytes : bytes));
  }
}

/** Segment check of one element; leaves the linear address in VCPU_EA. @returns false = faulted. */
function elementLinear<T>(v: usize, seg: u32, off: u32, write: bool): bool {
  if (load<u32>(v, VCPU_MODE) & MODE_FLAT && seg < <u32>SEG_FS) {
    store<u32>(v, off, VCPU_EA);
    return true;
  }
  return segLinear(v, seg, off, sizeof<T>(), write);
}

/** @returns pointer to the element at `off` for reading, 0 = event recorded. */
function elementRead<T>(v: usize, seg: u32, off: u32): usize {
  if (!elementLinear<T>(v, seg, off, false)) return 0;
  return translateRead(v, load<u32>(v, VCPU_EA), sizeof<T>());
}

function elementStore<T>(v: usize, off: u32, value: T): bool {
  if (!elementLinear<T>(v, SEG_ES, off, true)) return false;
  return storeValue<T>(v, load<u32>(v, VCPU_EA), value);
}

/** Forgets device accesses of an element that is done: the next one makes its own. */
function elementDone(v: usize): void {
  if (load<u32>(v, VCPU_MMIO_COUNT) == 0) return;
  store<u32>(v, 0, VCPU_MMIO_COUNT);
  store<u32>(v, 0, VCPU_MMIO_CURSOR);
}

/** @returns elements of [off, ...) in the direction of DF that stay in one page and do not wrap; at least 1. */
function elementsInPage<T>(v: usize, seg: u32, off: u32, imm: u32): u32 {
  const inPage: u32 = (segBase(v, seg) + off) & PAGE_OFFSET_MASK;
  let n: u32;
  if (Str.isDown(v)) {
    if (inPage + sizeof<T>() > <u32>PAGE_SIZE) return 1;
    n = inPage / sizeof<T>() + 1;
    const below = off / sizeof<T>();
    return below < n - 1 ? below + 1 : n;
  }
  n = (<u32>PAGE_SIZE - inPage) / sizeof<T>();
  // Distance to the end of the offset space; 0 stands for the whole of it.
  const room = Str.mask(imm) - off + 1;
  if (room != 0 && room / sizeof<T>() < n) n = room / sizeof<T>();
  return n == 0 ? 1 : n;
}

/**
 * @returns linear address when `bytes` from `off` lie inside an ordinary segment, so that no element can fault on the segment;
 * 1 in bit 32 when they do not.
 */
function runLinear(v: usize, seg: u32, off: u32, bytes: u32, write: bool): u64 {
  if (load<u32>(v, VCPU_MODE) & MODE_FLAT && seg < <u32>SEG_FS) return off;
  const attr = segAttr(v, seg);
  const type = write
    ? DESC_S | DESC_CODE | DESC_EXPAND_DOWN | DESC_WRITABLE
    : DESC_S | DESC_CODE | DESC_EXPAND_DOWN;
  const want = write ? DESC_S | DESC_WRITABLE : DESC_S;
  if ((attr & ATTR_P) == 0 || (attr & type) != want) return NO_RUN;
  const last = off + bytes - 1;
  if (last < off || last > segLimit(v, seg)) return NO_RUN;
  return <u64>(segBase(v, seg) + off);
}
const NO_RUN: u64 = 0x100000000;

/** @returns host pointer for reading `n` ascending elements in one page; 0 = event recorded, or go element by element. */
function readRun<T>(v: usize, seg: u32, off: u32, n: u32): usize {
  const lin = runLinear(v, seg, off, n * sizeof<T>(), false);
  if (lin == NO_RUN) return 0;
  const cursor = load<u32>(v, VCPU_MMIO_CURSOR);
  const p = translateRead(v, <u32>lin, sizeof<T>());
  // A pointer into the vCPU block is a copy of one element from device memory.
  if (p - v < <usize>VCPU_SIZE) {
    store<u32>(v, cursor, VCPU_MMIO_CURSOR);
    return 0;
  }
  return p;
}

/** @returns host pointer for writing `n` ascending elements in one page; 0 = event recorded, or go element by element. */
function storeRun<T>(v: usize, off: u32, n: u32): usize {
  const lin = runLinear(v, SEG_ES, off, n * sizeof<T>(), true);
  if (lin == NO_RUN) return 0;
  // An access that is not aligned to its size may have to fault, which only the element path checks.
  if (<u32>lin & (sizeof<T>() - 1)) return 0;
  return writeRun(v, <u32>lin, n * sizeof<T>());
}

/** Ends a chunk of a repeated instruction. @returns STEP_END with EIP at or past the instruction. */
function endChunk(v: usize, pc: usize, isFinished: bool): u32 {
  if (isFinished) advance(v, pc);
  else {
    store<u32>(v, uopEip(v, pc), VCPU_EIP);
    // What interrupts it shows RF, and its execution breakpoint is behind it.
    setResume(v, true);
  }
  return STEP_END;
}

function trapsEveryElement(v: usize): bool {
  return ((load<u32>(v, VCPU_EFLAGS) & EFLAGS_TF) | (load<u32>(v, VCPU_DEBUG) & DEBUG_DATA)) != 0;
}

/** Elements one call may do: the count, cut at the page ends of the given pointers. */
function chunk<T>(v: usize, imm: u32, usesSource: bool, usesDestination: bool): u32 {
  let n = Str.get(v, ECX, imm);
  if (n > 1 && trapsEveryElement(v)) return 1;
  if (usesSource) {
    const limit = elementsInPage<T>(v, Str.seg(imm), Str.get(v, ESI, imm), imm);
    if (limit < n) n = limit;
  }
  if (usesDestination) {
    const limit = elementsInPage<T>(v, SEG_ES, Str.get(v, EDI, imm), imm);
    if (limit < n) n = limit;
  }
  return n;
}

/** Accounts for `n` elements done by a repeated instruction. */
function takeCount(v: usize, imm: u32, n: u32): void {
  Str.set(v, ECX, imm, Str.get(v, ECX, imm) - n);
}

function movsElement<T>(v: usize, imm: u32): bool {
  const p = elementRead<T>(v, Str.seg(imm), Str.get(v, ESI, imm));
  if (p == 0) return false;
  if (!elementStore<T>(v, Str.get(v, EDI, imm), load<T>(p))) return false;
  Str.move<T>(v, ESI, imm, 1);
  Str.move<T>(v, EDI, imm, 1);
  return true;
}

/** Copies upward. A destination that starts inside the source repeats it, so memory.copy must not be used there. */
function copyUp<T>(to: usize, from: usize, n: u32): void {
  const bytes = n * sizeof<T>();
  if (to - from >= bytes) {
    memory.copy(to, from, bytes);
    return;
  }
  for (let at: u32 = 0; at < bytes; at += sizeof<T>()) store<T>(to + at, load<T>(from + at));
}

/** MOVS. */
export function movs<T>(v: usize, pc: usize): u32 {
  const imm = Uop.imm(pc);
  if ((imm & STRING_REP_MASK) == 0) return movsElement<T>(v, imm) ? STEP_NEXT : STEP_EVENT;
  const n = chunk<T>(v, imm, true, true);
  if (n > 1 && !Str.isDown(v)) {
    const src = Str.get(v, ESI, imm);
    let from = readRun<T>(v, Str.seg(imm), src, n);
    if (from != 0) {
      const to = storeRun<T>(v, Str.get(v, EDI, imm), n);
      // Making the destination writable may have moved the source's frame.
      if (to != 0) from = readRun<T>(v, Str.seg(imm), src, n);
      if (to != 0 && from != 0) {
        copyUp<T>(to, from, n);
        Str.move<T>(v, ESI, imm, n);
        Str.move<T>(v, EDI, imm, n);
        takeCount(v, imm, n);
        return endChunk(v, pc, Str.get(v, ECX, imm) == 0);
      }
    }
    if (load<u32>(v, VCPU_EVENT) != EVENT_NONE) return STEP_EVENT;
  }
  for (let i: u32 = 0; i < n; i++) {
    if (!movsElement<T>(v, imm)) return STEP_EVENT;
    takeCount(v, imm, 1);
    elementDone(v);
  }
  return endChunk(v, pc, Str.get(v, ECX, imm) == 0);
}

function stosElement<T>(v: usize, imm: u32): bool {
  if (!elementStore<T>(v, Str.get(v, EDI, imm), load<T>(v, EAX))) return false;
  Str.move<T>(v, EDI, imm, 1);
  return true;
}

function fillUp<T>(to: usize, value: T, n: u32): void {
  const byte = <u32>value & 0xff;
  const bytes = n * sizeof<T>();
  if (sizeof<T>() == 1 || <T>(byte * 0x01010101) == value) {
    memory.fill(to, <u8>byte, bytes);
    return;
  }
  for (let at: u32 = 0; at < bytes; at += sizeof<T>()) store<T>(to + at, value);
}

/** STOS. */
export function stos<T>(v: usize, pc: usize): u32 {
  const imm = Uop.imm(pc);
  if ((imm & STRING_REP_MASK) == 0) return stosElement<T>(v, imm) ? STEP_NEXT : STEP_EVENT;
  const n = chunk<T>(v, imm, false, true);
  if (n > 1 && !Str.isDown(v)) {
    const to = storeRun<T>(v, Str.get(v, EDI, imm), n);
    if (to != 0) {
      fillUp<T>(to, load<T>(v, EAX), n);
      Str.move<T>(v, EDI, imm, n);
      takeCount(v, imm, n);
      return endChunk(v, pc, Str.get(v, ECX, imm) == 0);
    }
    if (load<u32>(v, VCPU_EVENT) != EVENT_NONE) return STEP_EVENT;
  }
  for (let i: u32 = 0; i < n; i++) {
    if (!stosElement<T>(v, imm)) return STEP_EVENT;
    takeCount(v, imm, 1);
    elementDone(v);
  }
  return endChunk(v, pc, Str.get(v, ECX, imm) == 0);
}

function lodsElement<T>(v: usize, imm: u32): bool {
  const p = elementRead<T>(v, Str.seg(imm), Str.get(v, ESI, imm));
  if (p == 0) return false;
  store<T>(v, load<T>(p), EAX);
  Str.move<T>(v, ESI, imm, 1);
  return true;
}

/** LODS. */
export function lods<T>(v: usize, pc: usize): u32 {
  const imm = Uop.imm(pc);
  if ((imm & STRING_REP_MASK) == 0) return lodsElement<T>(v, imm) ? STEP_NEXT : STEP_EVENT;
  const n = chunk<T>(v, imm, true, false);
  for (let i: u32 = 0; i < n; i++) {
    if (!lodsElement<T>(v, imm)) return STEP_EVENT;
    takeCount(v, imm, 1);
    elementDone(v);
  }
  return endChunk(v, pc, Str.get(v, ECX, imm) == 0);
}

/** @returns whether a repeated comparison goes on after two elements that are equal or not. */
function goesOn(imm: u32, isEqual: bool): bool {
  return isEqual == ((imm & STRING_REP_MASK) == STRING_REPE);
}

/** Ends a chunk of CMPS or SCAS after comparing `a` with `b`; `n` is how many elements the chunk compared. */
function endCompare<T>(v: usize, pc: usize, imm: u32, a: T, b: T): u32 {
  Flags.sub<T>(v, <u32>a, <u32>b, <u32>a - <u32>b);
  return endChunk(v, pc, Str.get(v, ECX, imm) == 0 || !goesOn(imm, a == b));
}

/** CMPS: source element minus destination element. */
export function cmps<T>(v: usize, pc: usize): u32 {
  const imm = Uop.imm(pc);
  const isRepeated = (imm & STRING_REP_MASK) != 0;
  const n = isRepeated ? chunk<T>(v, imm, true, true) : 1;
  if (n == 0) return endChunk(v, pc, true);
  if (n > 1 && !Str.isDown(v)) {
    const b = readRun<T>(v, SEG_ES, Str.get(v, EDI, imm), n);
    const a: usize = b == 0 ? 0 : readRun<T>(v, Str.seg(imm), Str.get(v, ESI, imm), n);
    if (a != 0) {
      let at: u32 = 0;
      let left = n;
      while (left > 1 && goesOn(imm, load<T>(a + at) == load<T>(b + at))) {
        at += sizeof<T>();
        left--;
      }
      const done = n - left + 1;
      Str.move<T>(v, ESI, imm, done);
      Str.move<T>(v, EDI, imm, done);
      takeCount(v, imm, done);
      return endCompare<T>(v, pc, imm, load<T>(a + at), load<T>(b + at));
    }
    if (load<u32>(v, VCPU_EVENT) != EVENT_NONE) return STEP_EVENT;
  }
  let a = <T>0;
  let b = <T>0;
  for (let i: u32 = 0; i < n; i++) {
    // Silicon reads the destination first: when both fault, its address is the one that is reported.
    const q = elementRead<T>(v, SEG_ES, Str.get(v, EDI, imm));
    if (q == 0) return STEP_EVENT;
    b = load<T>(q);
    const p = elementRead<T>(v, Str.seg(imm), Str.get(v, ESI, imm));
    if (p == 0) return STEP_EVENT;
    a = load<T>(p);
    Str.move<T>(v, ESI, imm, 1);
    Str.move<T>(v, EDI, imm, 1);
    if (!isRepeated) break;
    // A fault at a later element shows the flags of the last comparison that was made.
    Flags.sub<T>(v, <u32>a, <u32>b, <u32>a - <u32>b);
    takeCount(v, imm, 1);
    elementDone(v);
    if (!goesOn(imm, a == b)) break;
  }
  if (isRepeated) return endCompare<T>(v, pc, imm, a, b);
  Flags.sub<T>(v, <u32>a, <u32>b, <u32>a - <u32>b);
  return STEP_NEXT;
}

/** SCAS: accumulator minus destination element. */
export function scas<T>(v: usize, pc: usize): u32 {
  const imm = Uop.imm(pc);
  const isRepeated = (imm & STRING_REP_MASK) != 0;
  const n = isRepeated ? chunk<T>(v, imm, false, true) : 1;
  const a = load<T>(v, EAX);
  if (n == 0) return endChunk(v, pc, true);
  if (n > 1 && !Str.isDown(v)) {
    const p = readRun<T>(v, SEG_ES, Str.get(v, EDI, imm), n);
    if (p != 0) {
      let at: u32 = 0;
      let left = n;
      while (left > 1 && goesOn(imm, a == load<T>(p + at))) {
        at += sizeof<T>();
        left--;
      }
      const done = n - left + 1;
      Str.move<T>(v, EDI, imm, done);
      takeCount(v, imm, done);
      return endCompare<T>(v, pc, imm, a, load<T>(p + at));
    }
    if (load<u32>(v, VCPU_EVENT) != EVENT_NONE) return STEP_EVENT;
  }
  let b = <T>0;
  for (let i: u32 = 0; i < n; i++) {
    const p = elementRead<T>(v, SEG_ES, Str.get(v, EDI, imm));
    if (p == 0) return STEP_EVENT;
    b = load<T>(p);
    Str.move<T>(v, EDI, imm, 1);
    if (!isRepeated) break;
    // A fault at a later element shows the flags of the last comparison that was made.
    Flags.sub<T>(v, <u32>a, <u32>b, <u32>a - <u32>b);
    takeCount(v, imm, 1);
    elementDone(v);
    if (!goesOn(imm, a == b)) break;
  }
  if (isRepeated) return endCompare<T>(v, pc, imm, a, b);
  Flags.sub<T>(v, <u32>a, <u32>b, <u32>a - <u32>b);
  return STEP_NEXT;
}

/** After one element of INS or OUTS: counts it and points EIP at or past the instruction. */
function endPortElement(v: usize, pc: usize, imm: u32): void {
  let isFinished = true;
  if (imm & STRING_REP_MASK) {
    takeCount(v, imm, 1);
    isFinished = Str.get(v, ECX, imm) == 0;
  }
  endChunk(v, pc, isFinished);
}

/** OUTS: one element per exit; a repeated one leaves EIP at the instruction while work is left. */
export function outs<T>(v: usize, pc: usize): u32 {
  const imm = Uop.imm(pc);
  if (!mayStringPort(v, load<u16>(v, EDX), sizeof<T>())) return STEP_EVENT;
  if (imm & STRING_REP_MASK && Str.get(v, ECX, imm) == 0) return endChunk(v, pc, true);
  const p = elementRead<T>(v, Str.seg(imm), Str.get(v, ESI, imm));
  if (p == 0) return STEP_EVENT;
  const value = <u32>load<T>(p);
  Str.move<T>(v, ESI, imm, 1);
  notePort(v, load<u16>(v, EDX), sizeof<T>());
  endPortElement(v, pc, imm);
  return leave(v, EXIT_IO_OUT, load<u16>(v, EDX), sizeof<T>(), value);
}

/** INS: the exit comes first; the Host queues the value it read and the instruction runs again to store it. */
export function ins<T>(v: usize, pc: usize): u32 {
  const imm = Uop.imm(pc);
  if (!mayStringPort(v, load<u16>(v, EDX), sizeof<T>())) return STEP_EVENT;
  if (imm & STRING_REP_MASK && Str.get(v, ECX, imm) == 0) return endChunk(v, pc, true);
  const off = Str.get(v, EDI, imm);
  if (!elementLinear<T>(v, SEG_ES, off, true)) return STEP_EVENT;
  if (load<u32>(v, VCPU_MMIO_COUNT) == 0) {
    // The destination must be good before the port is read: reading may not be repeatable.
    if (!mayStore(v, load<u32>(v, VCPU_EA), sizeof<T>())) return STEP_EVENT;
    setExit(v, EXIT_IO_IN, load<u16>(v, EDX), sizeof<T>(), 1);
    store<u32>(v, EVENT_MMIO, VCPU_EVENT);
    return STEP_EVENT;
  }
  store<u32>(v, 1, VCPU_MMIO_CURSOR);
  if (!storeValue<T>(v, load<u32>(v, VCPU_EA), load<T>(v, VCPU_MMIO_VALUES))) return STEP_EVENT;
  Str.move<T>(v, EDI, imm, 1);
  notePort(v, load<u16>(v, EDX), sizeof<T>());
  endPortElement(v, pc, imm);
  elementDone(v);
  return STEP_END;
}
