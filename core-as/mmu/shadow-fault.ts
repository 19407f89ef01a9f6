/**
 * The classic path's view of a TLB miss: a page fault of the shadow, which the Host judges. The instruction has changed nothing yet, and it
 * is executed again once the Host has mapped the page.
 *
 * An instruction may need pages that share one TLB entry, and each new mapping drives the one before it out. So the Host's mappings are
 * remembered for the instruction: where one of them is missed again, the walker fills it and nothing leaves. The list is forgotten when
 * the instruction has retired or something else happened to it.
 */
import {
  EVENT_SHADOW_FAULT,
  EXIT_SHADOW_FAULT,
  SHADOW_GRANTS_MAX,
  VCPU_EVENT,
  VCPU_RETIRED,
  VCPU_SHADOW_GRANT,
  VCPU_SHADOW_GRANTS,
  VCPU_SHADOW_GRANTS_AT,
} from "../../abi/vcpu.ts";
import { PFERR_FETCH, PFERR_USER, PFERR_WRITE } from "../../abi/x86.ts";
import { PAGE_MASK } from "../layout.ts";
import { setExit } from "../state/vcpu.ts";

/** Access kinds. */
export const ACCESS_READ: u32 = 0;
export const ACCESS_WRITE: u32 = 1;
export const ACCESS_FETCH: u32 = 2;

/** @returns the access as error-code bits of a page fault. */
function kindOf(access: u32, user: bool): u32 {
  const kind: u32 = access == ACCESS_WRITE ? PFERR_WRITE : access == ACCESS_FETCH ? PFERR_FETCH : 0;
  return user ? kind | PFERR_USER : kind;
}
/** @returns ACCESS_* of error-code bits. */
export function accessOf(kind: u32): u32 {
  if ((kind & PFERR_FETCH) != 0) return ACCESS_FETCH;
  return (kind & PFERR_WRITE) != 0 ? ACCESS_WRITE : ACCESS_READ;
}

/** Leaves a TLB miss to the Host. @returns 0. */
export function shadowFault(v: usize, lin: u32, access: u32, user: bool): usize {
  setExit(v, EXIT_SHADOW_FAULT, kindOf(access, user), lin);
  store<u32>(v, EVENT_SHADOW_FAULT, VCPU_EVENT);
  return 0;
}

/** @returns true when the Host has mapped the page for this kind of access and this instruction; a full list stands for every page. */
export function isGranted(v: usize, lin: u32, access: u32, user: bool): bool {
  const granted = load<u32>(v, VCPU_SHADOW_GRANTS);
  if (granted >= <u32>SHADOW_GRANTS_MAX) return true;
  const wanted = (lin & PAGE_MASK) | kindOf(access, user);
  for (let i: u32 = 0; i < granted; i++) {
    if (load<u32>(v + (i << 2), VCPU_SHADOW_GRANT) == wanted) return true;
  }
  return false;
}

/** Remembers a mapping of the Host; those of an earlier instruction are forgotten. VCPU_RETIRED is exact. */
export function grant(v: usize, lin: u32, kind: u32): void {
  const now = load<u64>(v, VCPU_RETIRED);
  if (load<u64>(v, VCPU_SHADOW_GRANTS_AT) != now) {
    store<u64>(v, now, VCPU_SHADOW_GRANTS_AT);
    forgetGrants(v);
  }
  const granted = load<u32>(v, VCPU_SHADOW_GRANTS);
  if (granted >= <u32>SHADOW_GRANTS_MAX) return;
  store<u32>(v + (granted << 2), (lin & PAGE_MASK) | kind, VCPU_SHADOW_GRANT);
  store<u32>(v, granted + 1, VCPU_SHADOW_GRANTS);
}
export function forgetGrants(v: usize): void {
  store<u32>(v, 0, VCPU_SHADOW_GRANTS);
}
