/**
 * The end of an SSE floating-point instruction: flags in MXCSR, and #XM.
 * Source: SDM 1, "SIMD Floating-Point Exceptions"; SDM 3A, "Interrupt 19—SIMD Floating-Point Exception (#XM)".
 */
import { MXCSR_BEFORE, MXCSR_FLAGS, MXCSR_MASK_SHIFT } from "../../abi/sse.ts";
import { VCPU_CR4, VCPU_FX_FLAGS, VCPU_MXCSR } from "../../abi/vcpu.ts";
import { CR4_OSXMMEXCPT, VECTOR_UD, VECTOR_XM } from "../../abi/x86.ts";
import { raise } from "../state/faults.ts";

/**
 * Reports what the instruction noted in MXCSR. @returns false with #XM recorded (#UD where the system does not handle it) when an
 * exception is unmasked; one found beforehand then hides those of computing.
 */
export function settleSse(v: usize): bool {
  let flags = load<u32>(v, VCPU_FX_FLAGS);
  if (flags == 0) return true;
  const mxcsr = load<u32>(v, VCPU_MXCSR);
  const unmasked = ~(mxcsr >>> MXCSR_MASK_SHIFT) & MXCSR_FLAGS;
  if ((flags & unmasked & MXCSR_BEFORE) != 0) flags &= MXCSR_BEFORE;
  store<u32>(v, mxcsr | flags, VCPU_MXCSR);
  if ((flags & unmasked) == 0) return true;
  raise(v, load<u32>(v, VCPU_CR4) & CR4_OSXMMEXCPT ? VECTOR_XM : VECTOR_UD);
  return false;
}
