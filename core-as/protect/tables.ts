/**
 * LDTR and TR, and the instructions that ask about descriptors without loading them: LAR, LSL, VERR, VERW.
 * Source: SDM 2A and 2B under those names; SDM 3A, "Checking Caller Access Privileges".
 */
import { VCPU_CPL, VCPU_DESC_HI, VCPU_DESC_LO } from "../../abi/vcpu.ts";
import {
  ATTR_P,
  DESC_CODE,
  DESC_READABLE,
  DESC_S,
  DESC_TYPE_MASK,
  ERR_TI,
  SEG_LDTR,
  SEG_TR,
  SYSDESC_CALL_GATE16,
  SYSDESC_CALL_GATE32,
  SYSDESC_LDT,
  SYSDESC_TASK_GATE,
  SYSDESC_TSS16,
  SYSDESC_TSS16_BUSY,
  SYSDESC_TSS32,
  SYSDESC_TSS32_BUSY,
  VECTOR_GP,
  VECTOR_NP,
} from "../../abi/x86.ts";
import { setSeg } from "../state/vcpu.ts";
import {
  attrDpl,
  DESC_EVENT,
  DESC_OUTSIDE,
  descAttr,
  descBase,
  descLimit,
  isCode,
  isConforming,
  isNull,
  isWritableData,
  markDescriptor,
  needDescriptor,
  readDescriptor,
  refuse,
  selectorError,
  setNullSegment,
} from "./segments.ts";

/** Question not answerable (ZF = 0), answered (ZF = 1), or an event is recorded. */
export const QUERY_NO: u32 = 0;
export const QUERY_YES: u32 = 1;
export const QUERY_EVENT: u32 = 2;

/** System descriptor types that LAR and LSL know. */
const LSL_TYPES: u32 =
  (1 << SYSDESC_TSS16) |
  (1 << SYSDESC_LDT) |
  (1 << SYSDESC_TSS16_BUSY) |
  (1 << SYSDESC_TSS32) |
  (1 << SYSDESC_TSS32_BUSY);
const LAR_TYPES: u32 =
  LSL_TYPES | (1 << SYSDESC_CALL_GATE16) | (1 << SYSDESC_TASK_GATE) | (1 << SYSDESC_CALL_GATE32);
/** Bits of the high dword that LAR returns; 16-19 are undefined in the manual and come along on silicon. */
const LAR_MASK: u32 = 0x00ffff00;

const TSS_BUSY: u32 = 2;

/** LLDT, privilege already checked. @returns false with #GP(sel), #NP(sel) or #PF recorded. */
export function loadLdt(v: usize, selector: u32): bool {
  if (isNull(selector)) {
    setNullSegment(v, SEG_LDTR, selector);
    return true;
  }
  if (selector & ERR_TI) return refuse(v, VECTOR_GP, selectorError(selector));
  if (!needDescriptor(v, selector, VECTOR_GP)) return false;
  return loadSystem(v, SEG_LDTR, selector, 1 << SYSDESC_LDT, 0);
}

/** LTR, privilege already checked; marks the TSS busy. @returns false with #GP(sel), #NP(sel) or #PF recorded. */
export function loadTaskRegister(v: usize, selector: u32): bool {
  if (isNull(selector)) return refuse(v, VECTOR_GP, 0);
  if (selector & ERR_TI) return refuse(v, VECTOR_GP, selectorError(selector));
  if (!needDescriptor(v, selector, VECTOR_GP)) return false;
  return loadSystem(v, SEG_TR, selector, (1 << SYSDESC_TSS16) | (1 << SYSDESC_TSS32), TSS_BUSY);
}

function loadSystem(v: usize, seg: u32, selector: u32, types: u32, mark: u32): bool {
  const lo = load<u32>(v, VCPU_DESC_LO);
  const hi = load<u32>(v, VCPU_DESC_HI);
  const attr = descAttr(hi);
  if (((types >>> (attr & DESC_TYPE_MASK)) & 1) == 0) {
    return refuse(v, VECTOR_GP, selectorError(selector));
  }
  if ((attr & ATTR_P) == 0) return refuse(v, VECTOR_NP, selectorError(selector));
  if (mark != 0 && !markDescriptor(v, selector, mark)) return false;
  setSeg(v, seg, selector, descBase(lo, hi), descLimit(lo, hi), attr | mark);
  return true;
}

/** Reads a descriptor for a query. @returns QUERY_YES when it is visible from CPL and RPL (conforming code always is). */
function look(v: usize, selector: u32): u32 {
  if (isNull(selector)) return QUERY_NO;
  const outcome = readDescriptor(v, selector);
  if (outcome == DESC_EVENT) return QUERY_EVENT;
  if (outcome == DESC_OUTSIDE) return QUERY_NO;
  const attr = descAttr(load<u32>(v, VCPU_DESC_HI));
  if (isCode(attr) && isConforming(attr)) return QUERY_YES;
  const dpl = attrDpl(attr);
  return load<u32>(v, VCPU_CPL) <= dpl && (selector & 3) <= dpl ? QUERY_YES : QUERY_NO;
}
function isOneOf(attr: u32, systemTypes: u32): bool {
  return (attr & DESC_S) != 0 || ((systemTypes >>> (attr & DESC_TYPE_MASK)) & 1) != 0;
}

/** LAR. The rights are left in VCPU_DESC_HI, masked. @returns QUERY_*. */
export function queryRights(v: usize, selector: u32): u32 {
  const outcome = look(v, selector);
  if (outcome != QUERY_YES) return outcome;
  const hi = load<u32>(v, VCPU_DESC_HI);
  if (!isOneOf(descAttr(hi), LAR_TYPES)) return QUERY_NO;
  store<u32>(v, hi & LAR_MASK, VCPU_DESC_HI);
  return QUERY_YES;
}
/** LSL. The limit in bytes is left in VCPU_DESC_LO. @returns QUERY_*. */
export function queryLimit(v: usize, selector: u32): u32 {
  const outcome = look(v, selector);
  if (outcome != QUERY_YES) return outcome;
  const hi = load<u32>(v, VCPU_DESC_HI);
  if (!isOneOf(descAttr(hi), LSL_TYPES)) return QUERY_NO;
  store<u32>(v, descLimit(load<u32>(v, VCPU_DESC_LO), hi), VCPU_DESC_LO);
  return QUERY_YES;
}
/** VERR, or VERW with `write`. @returns QUERY_*. */
export function queryAccess(v: usize, selector: u32, write: bool): u32 {
  const outcome = look(v, selector);
  if (outcome != QUERY_YES) return outcome;
  const attr = descAttr(load<u32>(v, VCPU_DESC_HI));
  if (write) return isWritableData(attr) ? QUERY_YES : QUERY_NO;
  const isReadable = (attr & DESC_S) != 0 && (attr & (DESC_CODE | DESC_READABLE)) != DESC_CODE;
  return isReadable ? QUERY_YES : QUERY_NO;
}
