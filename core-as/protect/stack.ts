/**
 * The stack as far transfers see it: frames are reserved slot by slot before the first word is stored, and inner stacks come from the TSS.
 * Source: SDM 3A, "Stack Switching" and "Task-State Segment (TSS)".
 */
import {
  MODE_FLAT,
  POLICY_XEN,
  SEG_ATTR,
  SEG_BASE,
  SEG_LIMIT,
  SEG_SELECTOR,
  VCPU_EA,
  VCPU_GPR,
  VCPU_INNER_ESP,
  VCPU_MODE,
  VCPU_POLICY,
  VCPU_TLB,
  VCPU_XEN_KERNEL_SP,
  VCPU_XEN_KERNEL_SS,
} from "../../abi/vcpu.ts";
import {
  ATTR_DB,
  ATTR_P,
  ATTR_TYPE,
  REG_ESP,
  SEG_SS,
  SEG_TR,
  SYSDESC_TSS32,
  SYSDESC_TSS32_BUSY,
  VECTOR_TS,
} from "../../abi/x86.ts";
import { PAGE_MASK, TLB_ADDEND, TLB_READ } from "../layout.ts";
import { commitWrite, Mem, translateRead, translateWrite } from "../mmu/access.ts";
import { reg, segAttr, segPtr, setReg } from "../state/vcpu.ts";
import {
  checkStackSegment,
  isNull,
  needDescriptor,
  refuse,
  SystemMem,
  segLinear,
  selectorError,
} from "./segments.ts";

const ESP: usize = VCPU_GPR + REG_ESP * 4;

/** TSS layout: bytes from the base to the stack pointer of ring 0, and the size of one ring's pair. */
const TSS32_STACKS: u32 = 4;
const TSS32_STACK_BYTES: u32 = 8;
const TSS16_STACKS: u32 = 2;
const TSS16_STACK_BYTES: u32 = 4;

/** @returns the bits of ESP that address a stack whose segment has these attributes. */
export function stackMask(attr: u32): u32 {
  return attr & ATTR_DB ? 0xffffffff : 0xffff;
}

/** Sets ESP, or only SP when the stack is a 16-bit one. */
export function setStackPointer(v: usize, value: u32): void {
  setStackPointerUnder(v, value, stackMask(segAttr(v, SEG_SS)));
}
/** Sets the bits of ESP that `mask` (from stackMask) names. */
export function setStackPointerUnder(v: usize, value: u32, mask: u32): void {
  setReg(v, REG_ESP, (reg(v, REG_ESP) & ~mask) | (value & mask));
}

/** @returns pointer for writing `size` bytes (1-32) of a frame, 0 = event recorded; commitWrite afterwards. */
export function slotForWrite(v: usize, lin: u32, size: u32, system: bool): usize {
  return system ? SystemMem.write(v, lin, size) : translateWrite(v, lin, size);
}

/**
 * Obtains every slot of a frame of `count` words of `size` bytes below `sp`, storing nothing.
 * @param base linear base of the stack segment; `mask` from stackMask; `system` with supervisor rights whatever the CPL.
 * @returns false when an event is recorded.
 */
export function reserveSlots(
  v: usize,
  base: u32,
  sp: u32,
  mask: u32,
  count: u32,
  size: u32,
  system: bool,
): bool {
  let at = sp;
  for (let i: u32 = 0; i < count; i++) {
    at = (at - size) & mask;
    if (slotForWrite(v, base + at, size, system) == 0) return false;
  }
  return true;
}

/** Stores one word into a slot that reserveSlots obtained. @returns the new stack pointer. */
export function pushSlot(
  v: usize,
  base: u32,
  sp: u32,
  mask: u32,
  size: u32,
  system: bool,
  value: u32,
): u32 {
  const at = (sp - size) & mask;
  const ptr = slotForWrite(v, base + at, size, system);
  if (size == 4) store<u32>(ptr, value);
  else store<u16>(ptr, value);
  commitWrite(v, ptr);
  return at;
}

/**
 * @returns pointer to `size` bytes (1-32) that start `off` bytes above the stack pointer; 0 with #SS(0) or #PF recorded. More than one word
 * only on a 32-bit stack: a 16-bit one wraps between words.
 */
export function peekSlot(v: usize, off: u32, size: u32): usize {
  if (load<u32>(v, VCPU_MODE) & MODE_FLAT) return readFlat(v, load<u32>(v, ESP) + off, size);
  const ss = segPtr(v, SEG_SS);
  const at = (load<u32>(v, ESP) + off) & stackMask(load<u32>(ss, SEG_ATTR));
  if (!segLinear(v, SEG_SS, at, size, false)) return 0;
  return translateRead(v, load<u32>(v, VCPU_EA), size);
}
function readFlat(v: usize, lin: u32, size: u32): usize {
  const entry = Mem.entry(load<usize>(v, VCPU_TLB), lin);
  if (((lin + (size - 1)) & PAGE_MASK) == load<u32>(entry, TLB_READ)) {
    return lin + load<u32>(entry, TLB_ADDEND);
  }
  return translateRead(v, lin, size);
}
/** @returns the word behind a pointer of peekSlot, zero-extended. */
export function slotValue(ptr: usize, size: u32): u32 {
  return size == 4 ? load<u32>(ptr) : load<u16>(ptr);
}

/** @returns true when TR holds a 32-bit TSS. */
export function hasTss32(v: usize): bool {
  const type = segAttr(v, SEG_TR) & ATTR_TYPE;
  return type == SYSDESC_TSS32 || type == SYSDESC_TSS32_BUSY;
}

/**
 * Finds the stack of ring `level` (0-2) in the TSS and checks its segment; a Xen guest names that of ring 1 by hypercall. The descriptor is left in VCPU_DESC_*, the stack pointer in
 * VCPU_INNER_ESP. @param ext ERR_EXT or 0, for the error codes. @returns the selector, or 0 with #TS, #SS or #PF recorded.
 */
export function innerStack(v: usize, level: u32, ext: u32): u32 {
  if (load<u32>(v, VCPU_POLICY) == POLICY_XEN) {
    const ss = load<u32>(v, VCPU_XEN_KERNEL_SS);
    return checkInner(v, level, ext, ss, load<u32>(v, VCPU_XEN_KERNEL_SP));
  }
  const tr = segPtr(v, SEG_TR);
  const is32 = hasTss32(v);
  const off: u32 = is32
    ? TSS32_STACKS + level * TSS32_STACK_BYTES
    : TSS16_STACKS + level * TSS16_STACK_BYTES;
  const bytes: u32 = is32 ? 6 : 4;
  if ((load<u32>(tr, SEG_ATTR) & ATTR_P) == 0 || off + bytes - 1 > load<u32>(tr, SEG_LIMIT)) {
    return u32(refuse(v, VECTOR_TS, selectorError(load<u32>(tr, SEG_SELECTOR)) | ext));
  }
  const ptr = SystemMem.read(v, load<u32>(tr, SEG_BASE) + off, bytes);
  if (ptr == 0) return 0;
  const esp: u32 = is32 ? load<u32>(ptr) : load<u16>(ptr);
  const selector: u32 = is32 ? load<u16>(ptr, 4) : load<u16>(ptr, 2);
  return checkInner(v, level, ext, selector, esp);
}
function checkInner(v: usize, level: u32, ext: u32, selector: u32, esp: u32): u32 {
  if (isNull(selector)) return u32(refuse(v, VECTOR_TS, ext));
  if (!needDescriptor(v, selector, VECTOR_TS, ext)) return 0;
  if (!checkStackSegment(v, selector, level, VECTOR_TS, ext)) return 0;
  store<u32>(v, esp, VCPU_INNER_ESP);
  return selector;
}
