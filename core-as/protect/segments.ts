/**
 * Segments: the check in front of every access that is not flat, descriptors in the GDT and LDT, and loading DS ES FS GS SS.
 * Loading CS belongs to transfers.ts, gates.ts and iret.ts, because it always comes with a new EIP.
 * Source: SDM 3A, "Segment Descriptors", "Protection" and the MOV page of SDM 2B.
 */
import {
  HELD_GDT_XEN,
  MODE_FLAT,
  SEG_ATTR,
  SEG_BASE,
  SEG_LIMIT,
  VCPU_CONTEXT,
  VCPU_CPL,
  VCPU_CR0,
  VCPU_DESC_HI,
  VCPU_DESC_LO,
  VCPU_EA,
  VCPU_EFLAGS,
  VCPU_GDTR_BASE,
  VCPU_GDTR_LIMIT,
  VCPU_HELD_GDT,
  VCPU_HELD_GDT_COUNT,
  VCPU_MODE,
} from "../../abi/vcpu.ts";
import {
  ATTR_DB,
  ATTR_DPL,
  ATTR_DPL_SHIFT,
  ATTR_G,
  ATTR_MASK,
  ATTR_P,
  CR0_PE,
  DESC_ACCESSED,
  DESC_CODE,
  DESC_CONFORMING,
  DESC_EXPAND_DOWN,
  DESC_READABLE,
  DESC_S,
  DESC_WRITABLE,
  EFLAGS_VM,
  ERR_TI,
  SEG_CS,
  SEG_FS,
  SEG_LDTR,
  SEG_SS,
  VECTOR_GP,
  VECTOR_NP,
  VECTOR_SS,
} from "../../abi/x86.ts";
import { PAGE_MASK, TLB_ADDEND, TLB_READ, TLB_WRITE } from "../layout.ts";
import { commitWrite, Mem, translateSystemRead, translateSystemWrite } from "../mmu/access.ts";
import { updatePrivilege } from "../mmu/tlb.ts";
import { raise } from "../state/faults.ts";
import { segAttr, segBase, segLimit, segPtr, setSeg, updateMode } from "../state/vcpu.ts";
import { markXenDescriptor, xenGdtForRead, xenLdtForRead } from "./xen-tables.ts";

/** Attributes of every segment in virtual-8086 mode: present, writable, accessed data with DPL 3. */
const ATTR_V86: u32 = 0xf3;
/** Attributes of a segment loaded in real-address mode, where only type and privilege are replaced. */
const ATTR_REAL: u32 = 0x93;
/** Attributes of a flat 32-bit segment, without type and DPL. */
const ATTR_FLAT: u32 = ATTR_P | ATTR_DB | ATTR_G;

/** A descriptor of present, writable, expand-up data with base 0 and limit 4 GiB: its low dword, and what the high one has under a mask. */
const FLAT_DATA_LOW: u32 = 0x0000ffff;
const FLAT_DATA_MASK: u32 = 0xff8f9eff;
const FLAT_DATA: u32 = 0x008f9200;

/** readDescriptor: the selector is outside its table (nothing recorded), */
export const DESC_OUTSIDE: u32 = 0;
/** ... the descriptor is in VCPU_DESC_LO and VCPU_DESC_HI, */
export const DESC_READ: u32 = 1;
/** ... or reading the table faulted and the event is recorded. */
export const DESC_EVENT: u32 = 2;

/** Records a fault. @returns false, what a check says that did not pass. */
export function refuse(v: usize, vector: u32, errorCode: u32): bool {
  raise(v, vector, errorCode);
  return false;
}

/** @returns true when CR0.PE is set (virtual-8086 mode included). */
export function isProtected(v: usize): bool {
  return (load<u32>(v, VCPU_CR0) & CR0_PE) != 0;
}
/** @returns true in virtual-8086 mode. */
export function isV86(v: usize): bool {
  return (load<u32>(v, VCPU_EFLAGS) & EFLAGS_VM) != 0 && isProtected(v);
}
/** @returns true when selectors are paragraphs: real-address or virtual-8086 mode. */
export function usesParagraphs(v: usize): bool {
  return !isProtected(v) || (load<u32>(v, VCPU_EFLAGS) & EFLAGS_VM) != 0;
}

/** Changes the current privilege level (0-3) and, with it, the TLB in use. */
export function setCpl(v: usize, level: u32): void {
  if (load<u32>(v, VCPU_CPL) == level) return;
  store<u32>(v, level, VCPU_CPL);
  updatePrivilege(v);
}

/** @returns whether bytes `off` .. `off + size - 1` (size 1 or more) are inside a segment with this limit and these attributes. */
export function inLimit(limit: u32, attr: u32, off: u32, size: u32): bool {
  const last = off + size - 1;
  if (last < off) return false;
  if ((attr & (DESC_S | DESC_CODE | DESC_EXPAND_DOWN)) == (DESC_S | DESC_EXPAND_DOWN)) {
    const top: u32 = attr & ATTR_DB ? 0xffffffff : 0xffff;
    return off > limit && last <= top;
  }
  return last <= limit;
}

/**
 * Checks an access through segment `seg` (SEG_ES..SEG_GS) to `size` bytes at `off` and leaves its linear address in VCPU_EA.
 * @returns false after raising #GP(0), or #SS(0) for SS: unusable segment, wrong type, or outside the limit.
 */
export function segLinear(v: usize, seg: u32, off: u32, size: u32, write: bool): bool {
  const p = segPtr(v, seg);
  const attr = load<u32>(p, SEG_ATTR);
  let allowed = (attr & ATTR_P) != 0;
  if (write) {
    allowed = allowed && (attr & (DESC_CODE | DESC_WRITABLE)) == DESC_WRITABLE;
  } else {
    // Data is always readable, code only with R; an execute-only segment has CODE without READABLE.
    allowed = allowed && (attr & (DESC_CODE | DESC_READABLE)) != DESC_CODE;
  }
  if (!allowed || !inLimit(load<u32>(p, SEG_LIMIT), attr, off, size)) {
    return refuse(v, seg == SEG_SS ? VECTOR_SS : VECTOR_GP, 0);
  }
  store<u32>(v, load<u32>(p, SEG_BASE) + off, VCPU_EA);
  return true;
}

/** @returns true when a segment that may be read may also be written; else #GP(0), or #SS(0) for SS, is recorded. */
export function requireWritable(v: usize, seg: u32): bool {
  const attr = load<u32>(segPtr(v, seg), SEG_ATTR);
  if ((attr & (DESC_CODE | DESC_WRITABLE)) == DESC_WRITABLE) return true;
  return refuse(v, seg == SEG_SS ? VECTOR_SS : VECTOR_GP, 0);
}

/** @returns the error code that names a selector: index and table bit, without RPL. */
export function selectorError(selector: u32): u32 {
  return selector & 0xfffc;
}
/** @returns true for the four null selectors. */
export function isNull(selector: u32): bool {
  return (selector & 0xfffc) == 0;
}

/** The TLB hit with supervisor rights, inline: tables and inner stacks are hot on every trap. */
export class SystemMem {
  /** translateSystemRead of mmu/access.ts, for a size of 1 to 32 bytes. */
  @inline static read(v: usize, lin: u32, size: u32): usize {
    const entry = Mem.entry(load<usize>(v, VCPU_CONTEXT), lin);
    if (((lin + (size - 1)) & PAGE_MASK) == load<u32>(entry, TLB_READ)) {
      return lin + load<u32>(entry, TLB_ADDEND);
    }
    return translateSystemRead(v, lin, size);
  }
  /** translateSystemWrite of mmu/access.ts; commitWrite afterwards. */
  @inline static write(v: usize, lin: u32, size: u32): usize {
    const entry = Mem.entry(load<usize>(v, VCPU_CONTEXT), lin);
    if (((lin + (size - 1)) & PAGE_MASK) == load<u32>(entry, TLB_WRITE)) {
      return lin + load<u32>(entry, TLB_ADDEND);
    }
    return translateSystemWrite(v, lin, size);
  }
}

/**
 * Fetches the descriptor of `selector` (16 bits, not null) from the GDT (held by the Host or in guest memory) or the LDT.
 * @returns DESC_OUTSIDE, DESC_READ or DESC_EVENT.
 */
export function readDescriptor(v: usize, selector: u32): u32 {
  const off = selector & 0xfff8;
  let ptr: usize;
  if (selector & ERR_TI) {
    if ((segAttr(v, SEG_LDTR) & ATTR_P) == 0 || off + 7 > segLimit(v, SEG_LDTR))
      return DESC_OUTSIDE;
    ptr =
      load<u32>(v, VCPU_HELD_GDT_COUNT) == HELD_GDT_XEN
        ? xenLdtForRead(v, off)
        : SystemMem.read(v, segBase(v, SEG_LDTR) + off, 8);
  } else {
    const held = load<u32>(v, VCPU_HELD_GDT_COUNT);
    if (held != 0) {
      if (off >>> 3 >= held) return DESC_OUTSIDE;
      ptr = held == HELD_GDT_XEN ? xenGdtForRead(v, off) : v + VCPU_HELD_GDT + off;
    } else {
      if (off + 7 > load<u32>(v, VCPU_GDTR_LIMIT)) return DESC_OUTSIDE;
      ptr = SystemMem.read(v, load<u32>(v, VCPU_GDTR_BASE) + off, 8);
    }
  }
  if (ptr == 0) return DESC_EVENT;
  store<u32>(v, load<u32>(ptr), VCPU_DESC_LO);
  store<u32>(v, load<u32>(ptr, 4), VCPU_DESC_HI);
  return DESC_READ;
}

/**
 * Fetches a descriptor that must exist. @returns false when an event is recorded: `vector`(selector + ext) when it is outside its table.
 */
export function needDescriptor(v: usize, selector: u32, vector: u32, ext: u32 = 0): bool {
  const outcome = readDescriptor(v, selector);
  if (outcome == DESC_OUTSIDE) return refuse(v, vector, selectorError(selector) | ext);
  return outcome == DESC_READ;
}

/** @returns segment base, from a descriptor's two dwords. */
export function descBase(lo: u32, hi: u32): u32 {
  return (lo >>> 16) | ((hi & 0xff) << 16) | (hi & 0xff000000);
}
/** @returns segment limit in bytes, granularity applied. */
export function descLimit(lo: u32, hi: u32): u32 {
  const limit = (lo & 0xffff) | (hi & 0xf0000);
  return hi & 0x800000 ? (limit << 12) | 0xfff : limit;
}
/** @returns the high dword in the form of SEG_ATTR. */
export function descAttr(hi: u32): u32 {
  return (hi >>> 8) & ATTR_MASK;
}
/** @returns DPL, 0-3, of attributes. */
export function attrDpl(attr: u32): u32 {
  return (attr & ATTR_DPL) >>> ATTR_DPL_SHIFT;
}
/** @returns true for a code segment, false for data and system descriptors. */
export function isCode(attr: u32): bool {
  return (attr & (DESC_S | DESC_CODE)) == (DESC_S | DESC_CODE);
}
/** @returns true for a conforming code segment; `attr` must be one of a code segment. */
export function isConforming(attr: u32): bool {
  return (attr & DESC_CONFORMING) != 0;
}
/** @returns true for a writable data segment. */
export function isWritableData(attr: u32): bool {
  return (attr & (DESC_S | DESC_CODE | DESC_WRITABLE)) == (DESC_S | DESC_WRITABLE);
}

/**
 * ORs `bits` into byte 5 (type) of a descriptor in its table, or clears them with `clear`. A table held by the Host is left alone: its
 * descriptors are marked accessed when they are entered. @returns false when the store faulted and the event is recorded.
 */
export function markDescriptor(v: usize, selector: u32, bits: u32, clear: bool = false): bool {
  const inLdt = (selector & ERR_TI) != 0;
  if (load<u32>(v, VCPU_HELD_GDT_COUNT) == HELD_GDT_XEN) {
    return markXenDescriptor(v, inLdt, selector & 0xfff8, bits, clear);
  }
  if (!inLdt && load<u32>(v, VCPU_HELD_GDT_COUNT) != 0) return true;
  const table = inLdt ? segBase(v, SEG_LDTR) : load<u32>(v, VCPU_GDTR_BASE);
  const ptr = translateSystemWrite(v, table + (selector & 0xfff8) + 5, 1);
  if (ptr == 0) return false;
  const type = load<u8>(ptr);
  store<u8>(ptr, clear ? type & ~bits : type | bits);
  return commitWrite(v, ptr);
}

/** Sets the accessed bit of a code or data descriptor if it is clear. @returns false when the event is recorded. */
export function markAccessed(v: usize, selector: u32, hi: u32): bool {
  return (hi & (DESC_ACCESSED << 8)) != 0 || markDescriptor(v, selector, DESC_ACCESSED);
}

/** Fills a segment register from a checked descriptor. The caller calls updateMode. */
export function setSegFromDescriptor(v: usize, seg: u32, selector: u32, lo: u32, hi: u32): void {
  setSeg(v, seg, selector, descBase(lo, hi), descLimit(lo, hi), descAttr(hi) | DESC_ACCESSED);
}
/** Makes a segment register null (unusable), keeping the selector's RPL. */
export function setNullSegment(v: usize, seg: u32, selector: u32): void {
  setSeg(v, seg, selector & 0xffff, 0, 0, 0);
}
/** Loads a paragraph number. Real-address mode keeps limit and size, so that "big real mode" works. */
export function setParagraph(v: usize, seg: u32, selector: u32): void {
  if (isProtected(v)) {
    setSeg(v, seg, selector, selector << 4, 0xffff, ATTR_V86);
    return;
  }
  const kept = segAttr(v, seg) & (ATTR_DB | ATTR_G);
  setSeg(v, seg, selector, selector << 4, segLimit(v, seg), kept | ATTR_REAL);
}
/** Makes a segment cover all 4 GiB, as SYSENTER and boot protocols want it: code for SEG_CS, writable data otherwise. */
export function setFlat(v: usize, seg: u32, selector: u32, dpl: u32): void {
  const type: u32 =
    DESC_S | DESC_ACCESSED | DESC_WRITABLE | (seg == SEG_CS ? <u32>DESC_CODE : <u32>0);
  setSeg(v, seg, selector, 0, 0xffffffff, ATTR_FLAT | (dpl << ATTR_DPL_SHIFT) | type);
}

/** Checks what SS may hold at privilege `level`; the descriptor is in VCPU_DESC_*. @returns false after `vector`(sel) or #SS(sel). */
export function checkStackSegment(
  v: usize,
  selector: u32,
  level: u32,
  vector: u32,
  ext: u32 = 0,
): bool {
  const attr = descAttr(load<u32>(v, VCPU_DESC_HI));
  if ((selector & 3) != level || !isWritableData(attr) || attrDpl(attr) != level) {
    return refuse(v, vector, selectorError(selector) | ext);
  }
  if ((attr & ATTR_P) == 0) return refuse(v, VECTOR_SS, selectorError(selector) | ext);
  return true;
}

/** Checks what DS, ES, FS or GS may hold; the descriptor is in VCPU_DESC_*. @returns false after `vector`(sel) or #NP(sel). */
export function checkDataSegment(v: usize, selector: u32, vector: u32, ext: u32 = 0): bool {
  const attr = descAttr(load<u32>(v, VCPU_DESC_HI));
  let allowed = (attr & DESC_S) != 0 && (attr & (DESC_CODE | DESC_READABLE)) != DESC_CODE;
  if (!isCode(attr) || !isConforming(attr)) {
    const dpl = attrDpl(attr);
    allowed = allowed && (selector & 3) <= dpl && load<u32>(v, VCPU_CPL) <= dpl;
  }
  if (!allowed) return refuse(v, vector, selectorError(selector) | ext);
  if ((attr & ATTR_P) == 0) return refuse(v, VECTOR_NP, selectorError(selector) | ext);
  return true;
}

/**
 * Loads ES, SS, DS, FS or GS as MOV, POP and LDS do. @param selector 16 bits.
 * @returns false with #GP, #NP, #SS or #PF recorded and nothing changed.
 */
export function loadSegment(v: usize, seg: u32, selector: u32): bool {
  if (usesParagraphs(v)) {
    setParagraph(v, seg, selector);
    updateMode(v);
    return true;
  }
  if (isNull(selector)) {
    if (seg == SEG_SS) return refuse(v, VECTOR_GP, 0);
    setNullSegment(v, seg, selector);
    updateMode(v);
    return true;
  }
  if (!needDescriptor(v, selector, VECTOR_GP)) return false;
  const fits =
    seg == SEG_SS
      ? checkStackSegment(v, selector, load<u32>(v, VCPU_CPL), VECTOR_GP)
      : checkDataSegment(v, selector, VECTOR_GP);
  if (!fits) return false;
  const lo = load<u32>(v, VCPU_DESC_LO);
  const hi = load<u32>(v, VCPU_DESC_HI);
  if (!markAccessed(v, selector, hi)) return false;
  setSegFromDescriptor(v, seg, selector, lo, hi);
  // FS and GS have no part in the mode, and one flat data segment for another changes nothing.
  const isData = seg != SEG_SS && lo == FLAT_DATA_LOW && (hi & FLAT_DATA_MASK) == FLAT_DATA;
  const staysFlat = isData && (load<u32>(v, VCPU_MODE) & MODE_FLAT) != 0;
  if (seg < <u32>SEG_FS && !staysFlat) updateMode(v);
  return true;
}

/** After a return to an outer ring: makes DS, ES, FS and GS null where the new CPL may not use them. */
export function dropPrivilegedSegments(v: usize): void {
  const level = load<u32>(v, VCPU_CPL);
  for (let seg: u32 = 0; seg < <u32>SEG_LDTR; seg++) {
    if (seg == SEG_CS || seg == SEG_SS) continue;
    const attr = segAttr(v, seg);
    if ((attr & ATTR_P) == 0) continue;
    if (isCode(attr) && isConforming(attr)) continue;
    if (attrDpl(attr) < level) setNullSegment(v, seg, 0);
  }
}
