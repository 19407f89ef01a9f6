/**
 * Breakpoints of the debug registers: which kinds are armed, and what an access, a port or an instruction hits.
 * While none is armed nothing looks here. A page with an armed data breakpoint never has a TLB tag, so its accesses come by the slow
 * path; one that hits is executed again alone, and its trap waits in VCPU_DEBUG until the instruction has retired.
 * Source: SDM 3B, "Debug Registers" and "Debug Exceptions".
 */
import {
  DEBUG_ARMED,
  DEBUG_DATA,
  DEBUG_EXECUTE,
  DEBUG_PORT,
  EVENT_STEP,
  VCPU_ALONE,
  VCPU_CR4,
  VCPU_DEBUG,
  VCPU_DR0,
  VCPU_DR7,
  VCPU_EVENT,
} from "../../abi/vcpu.ts";
import { CR4_DE } from "../../abi/x86.ts";
import { PAGE_SIZE } from "../layout.ts";
import { flushAllTranslations } from "./tlb.ts";

/** The R/W field of DR7, as bits of a mask of kinds. */
const KIND_EXECUTE: u32 = 1 << 0;
const KIND_WRITE: u32 = 1 << 1;
const KIND_PORT: u32 = 1 << 2;
const KIND_ACCESS: u32 = 1 << 3;

/** @returns the kind of breakpoint `i` as a mask with one bit, 0 when it is not enabled. */
function kindOf(v: usize, i: u32): u32 {
  const dr7 = load<u32>(v, VCPU_DR7);
  if (((dr7 >>> (i * 2)) & 3) == 0) return 0;
  const kind: u32 = 1 << ((dr7 >>> (16 + i * 4)) & 3);
  // Without CR4.DE that encoding means nothing.
  return kind == KIND_PORT && (load<u32>(v, VCPU_CR4) & CR4_DE) == 0 ? 0 : kind;
}

/** Recomputes what is armed; call after any change of DR0-DR3, DR7 or CR4.DE. */
export function armBreakpoints(v: usize): void {
  let armed: u32 = 0;
  for (let i: u32 = 0; i < 4; i++) {
    const kind = kindOf(v, i);
    if (kind == KIND_EXECUTE) armed |= DEBUG_EXECUTE;
    else if (kind == KIND_PORT) armed |= DEBUG_PORT;
    else if (kind != 0) armed |= DEBUG_DATA;
  }
  const old = load<u32>(v, VCPU_DEBUG);
  store<u32>(v, (old & ~DEBUG_ARMED) | armed, VCPU_DEBUG);
  if (((old | armed) & DEBUG_DATA) != 0) flushAllTranslations(v);
}

/** @returns bits 0-3: enabled breakpoints of these kinds that overlap [at, at + size). */
function hits(v: usize, at: u32, size: u32, kinds: u32): u32 {
  let found: u32 = 0;
  for (let i: u32 = 0; i < 4; i++) {
    const kind = kindOf(v, i) & kinds;
    if (kind == 0) continue;
    const length = (load<u32>(v, VCPU_DR7) >>> (18 + i * 4)) & 3;
    // The encoding that 32-bit processors leave undefined is 8 bytes on their successors.
    const bytes: u32 = kind == KIND_EXECUTE ? 1 : length == 2 ? 8 : length + 1;
    const first = load<u32>(v + i * 4, VCPU_DR0) & ~(bytes - 1);
    if (at - first < bytes || first - at < size) found |= 1 << i;
  }
  return found;
}

/** @returns bits 0-3: the execution breakpoints at linear address `lin`. */
export function executionHits(v: usize, lin: u32): u32 {
  return hits(v, lin, 1, KIND_EXECUTE);
}

/** @returns true when a data breakpoint is armed in the page at `page`. */
export function isWatchedPage(v: usize, page: u32): bool {
  if ((load<u32>(v, VCPU_DEBUG) & DEBUG_DATA) == 0) return false;
  return hits(v, page, PAGE_SIZE, KIND_WRITE | KIND_ACCESS) != 0;
}

/**
 * Notes a data access that is about to be made while data breakpoints are armed.
 * @returns false with EVENT_STEP recorded when it hits one and the instruction does not run alone yet.
 */
export function noteAccess(v: usize, lin: u32, size: u32, write: bool): bool {
  const found = hits(v, lin, size, write ? KIND_WRITE | KIND_ACCESS : KIND_ACCESS);
  if (found == 0) return true;
  if (load<u32>(v, VCPU_ALONE) == 0) {
    store<u32>(v, EVENT_STEP, VCPU_EVENT);
    return false;
  }
  store<u32>(v, load<u32>(v, VCPU_DEBUG) | found, VCPU_DEBUG);
  return true;
}

/** Notes that `size` ports from `port` were used: the trap comes after the instruction. */
export function notePort(v: usize, port: u32, size: u32): void {
  const debug = load<u32>(v, VCPU_DEBUG);
  if ((debug & DEBUG_PORT) == 0) return;
  store<u32>(v, debug | hits(v, port, size, KIND_PORT), VCPU_DEBUG);
}
