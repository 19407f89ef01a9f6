/**
 * Typed access to the vCPU block. `v` is the block's base everywhere in the core; the offsets are abi/vcpu.ts.
 */
import {
  COUNTER_TRAPS,
  CPU_MODELS,
  MODE_CODE32,
  MODE_FLAT,
  MODE_MODEL_SHIFT,
  MODE_STACK32,
  SEG_ATTR,
  SEG_BASE,
  SEG_LIMIT,
  SEG_SELECTOR,
  SEG_STRIDE,
  VCPU_COUNTERS,
  VCPU_CPL,
  VCPU_CPU_MODEL,
  VCPU_EIP,
  VCPU_EXIT_ARG,
  VCPU_EXIT_REASON,
  VCPU_GPR,
  VCPU_MODE,
  VCPU_SEGS,
} from "../../abi/vcpu.ts";
import {
  ATTR_DB,
  ATTR_P,
  ATTR_TYPE,
  DESC_CODE,
  DESC_EXPAND_DOWN,
  DESC_READABLE,
  DESC_S,
  DESC_WRITABLE,
  SEG_CS,
  SEG_DS,
  SEG_ES,
  SEG_SS,
} from "../../abi/x86.ts";

/** @returns general register `r` (0-7). */
export function reg(v: usize, r: u32): u32 {
  return load<u32>(v + (r << 2), VCPU_GPR);
}
export function setReg(v: usize, r: u32, value: u32): void {
  store<u32>(v + (r << 2), value, VCPU_GPR);
}
/** @returns byte offset of byte register `r` (AL CL DL BL AH CH DH BH) in the block. */
export function reg8Offset(r: u32): u32 {
  return ((r & 3) << 2) + (r >> 2);
}
export function eip(v: usize): u32 {
  return load<u32>(v, VCPU_EIP);
}
export function cpl(v: usize): u32 {
  return load<u32>(v, VCPU_CPL);
}

/** @returns pointer to segment register `s` (SEG_ES .. SEG_TR) in the block. */
export function segPtr(v: usize, s: u32): usize {
  return v + VCPU_SEGS + s * SEG_STRIDE;
}
export function segSelector(v: usize, s: u32): u32 {
  return load<u32>(segPtr(v, s), SEG_SELECTOR);
}
export function segBase(v: usize, s: u32): u32 {
  return load<u32>(segPtr(v, s), SEG_BASE);
}
export function segLimit(v: usize, s: u32): u32 {
  return load<u32>(segPtr(v, s), SEG_LIMIT);
}
export function segAttr(v: usize, s: u32): u32 {
  return load<u32>(segPtr(v, s), SEG_ATTR);
}
/** Sets the visible and the hidden part; the caller has made every check and calls updateMode afterwards. */
export function setSeg(v: usize, s: u32, selector: u32, base: u32, limit: u32, attr: u32): void {
  const p = segPtr(v, s);
  store<u32>(p, selector, SEG_SELECTOR);
  store<u32>(p, base, SEG_BASE);
  store<u32>(p, limit, SEG_LIMIT);
  store<u32>(p, attr, SEG_ATTR);
}

/** @returns true when `s` covers all 4 GiB from 0 with the rights that ordinary code needs. */
function isFlat(v: usize, s: u32): bool {
  const attr = segAttr(v, s);
  if (segBase(v, s) != 0 || segLimit(v, s) != 0xffffffff || (attr & ATTR_P) == 0) return false;
  const type = attr & ATTR_TYPE;
  if (s == SEG_CS) {
    return (type & (DESC_S | DESC_CODE | DESC_READABLE)) == (DESC_S | DESC_CODE | DESC_READABLE);
  }
  return (
    (type & (DESC_S | DESC_CODE | DESC_WRITABLE | DESC_EXPAND_DOWN)) == (DESC_S | DESC_WRITABLE)
  );
}

/** @returns CPU_MODEL_*; a number out of range means the default. */
export function cpuModel(v: usize): u32 {
  const model = load<u32>(v, VCPU_CPU_MODEL);
  return model < <u32>CPU_MODELS ? model : 0;
}

/** Recomputes VCPU_MODE; call after any change of CS, SS, DS, ES, of the processor mode or model. */
export function updateMode(v: usize): void {
  let mode: u32 = 0;
  if (segAttr(v, SEG_CS) & ATTR_DB) mode |= MODE_CODE32;
  if (segAttr(v, SEG_SS) & ATTR_DB) mode |= MODE_STACK32;
  if (
    mode == (MODE_CODE32 | MODE_STACK32) &&
    isFlat(v, SEG_CS) &&
    isFlat(v, SEG_SS) &&
    isFlat(v, SEG_DS) &&
    isFlat(v, SEG_ES)
  ) {
    mode |= MODE_FLAT;
  }
  store<u32>(v, mode | (cpuModel(v) << MODE_MODEL_SHIFT), VCPU_MODE);
}

/** Fills the exit record. */
export function setExit(
  v: usize,
  reason: u32,
  arg0: u32 = 0,
  arg1: u32 = 0,
  arg2: u32 = 0,
  arg3: u32 = 0,
): void {
  store<u32>(v, reason, VCPU_EXIT_REASON);
  store<u32>(v, arg0, VCPU_EXIT_ARG);
  store<u32>(v, arg1, VCPU_EXIT_ARG + 4);
  store<u32>(v, arg2, VCPU_EXIT_ARG + 8);
  store<u32>(v, arg3, VCPU_EXIT_ARG + 12);
}

/** Adds one to the u64 counter at byte offset `counter` (COUNTER_*, plus 8 × index for the arrays). */
export function count(v: usize, counter: u32): void {
  const p = load<usize>(v, VCPU_COUNTERS) + counter;
  store<u64>(p, load<u64>(p) + 1);
}
export function countTrap(v: usize, vector: u32): void {
  count(v, COUNTER_TRAPS + (vector & 255) * 8);
}
