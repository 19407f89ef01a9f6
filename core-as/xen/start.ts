/**
 * A vCPU that never ran begins where the Host has put its registers, of which the segments are selectors only: they are loaded as on a
 * return out of the hypervisor. Source: Xen's public vcpu.h, "VCPUOP_initialise"; arch-x86/xen.h, "struct vcpu_guest_context".
 */
import {
  KILL_XEN_BAD_HANDLER,
  SEG_STRIDE,
  VCPU_CPL,
  VCPU_EFLAGS,
  VCPU_EIP,
  VCPU_SEGS,
} from "../../abi/vcpu.ts";
import { REG_ESP, SEG_CS, SEG_DS, SEG_ES, SEG_FS, SEG_GS, SEG_SS } from "../../abi/x86.ts";
import { FLAT_RING1_CS } from "../../abi/xen.ts";
import { clearEvent } from "../mmu/fill.ts";
import { loadSegment } from "../protect/segments.ts";
import { kill } from "../state/faults.ts";
import { reg, segSelector } from "../state/vcpu.ts";
import { failsafe, land } from "./bounce.ts";
import { settleLdtMiss } from "./segments.ts";

const KERNEL_CPL: u32 = 1;

/** Loads the segments. What cannot be loaded takes the vCPU to its failsafe callback. @returns false: EXIT_KILL is recorded. */
export function start(v: usize): bool {
  const cs = segSelector(v, SEG_CS);
  const ss = segSelector(v, SEG_SS);
  const eip = load<u32>(v, VCPU_EIP);
  const flags = load<u32>(v, VCPU_EFLAGS);
  const esp = reg(v, REG_ESP);
  const es = segSelector(v, SEG_ES);
  const ds = segSelector(v, SEG_DS);
  const fs = segSelector(v, SEG_FS);
  const gs = segSelector(v, SEG_GS);
  store<u32>(v, KERNEL_CPL, VCPU_CPL);
  if (!land(v, cs, eip, flags, ss, esp)) {
    // The callback runs on the stack that the vCPU has, so that has to be one.
    if (!land(v, FLAT_RING1_CS, eip, flags, ss, esp)) {
      kill(v, KILL_XEN_BAD_HANDLER, cs, eip);
      return false;
    }
    keepSelectors(v, es, ds, fs, gs);
    return failsafe(v, cs, eip, flags, ss, esp);
  }
  const isLoaded =
    loads(v, SEG_ES, es) && loads(v, SEG_DS, ds) && loads(v, SEG_FS, fs) && loads(v, SEG_GS, gs);
  if (isLoaded) return true;
  keepSelectors(v, es, ds, fs, gs);
  return failsafe(v, cs, eip, flags, ss, esp);
}

function loads(v: usize, seg: u32, selector: u32): bool {
  let done = loadSegment(v, seg, selector);
  if (!done && settleLdtMiss(v)) done = loadSegment(v, seg, selector);
  clearEvent(v);
  return done;
}

/** For the frame of the callback, which finds them null. */
function keepSelectors(v: usize, es: u32, ds: u32, fs: u32, gs: u32): void {
  store<u32>(v + SEG_ES * SEG_STRIDE, es, VCPU_SEGS);
  store<u32>(v + SEG_DS * SEG_STRIDE, ds, VCPU_SEGS);
  store<u32>(v + SEG_FS * SEG_STRIDE, fs, VCPU_SEGS);
  store<u32>(v + SEG_GS * SEG_STRIDE, gs, VCPU_SEGS);
}
