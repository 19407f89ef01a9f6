/**
 * Hosting inside a guest of our own is refused: nothing would break, but virtual time inside virtual time and an interpreter
 * inside an interpreter are nothing anybody wants without noticing.
 */

import {
  CPUID_HYPERVISOR_LEAF,
  CPUID_SIGNATURE_EBX,
  CPUID_SIGNATURE_ECX,
  CPUID_SIGNATURE_EDX,
} from "../../abi/cpuid.ts";
import { UnsupportedError } from "../base/errors.ts";

/** Registers after CPUID with EAX = leaf. */
export type CpuidProbe = (leaf: number) => {
  readonly ebx: number;
  readonly ecx: number;
  readonly edx: number;
};

/** Whether the processor behind `probe` is the virtual one of a wasmvisor guest. */
export function isOurCpuid(probe: CpuidProbe): boolean {
  const { ebx, ecx, edx } = probe(CPUID_HYPERVISOR_LEAF);
  return (
    ebx >>> 0 === CPUID_SIGNATURE_EBX &&
    ecx >>> 0 === CPUID_SIGNATURE_ECX &&
    edx >>> 0 === CPUID_SIGNATURE_EDX
  );
}

/**
 * Refuses to host when this process runs inside a guest of ours.
 * @param isNested what the platform found out about its processor
 * @throws UnsupportedError HV_NESTED
 */
export function refuseNesting(isNested: boolean): void {
  if (!isNested) return;
  throw new UnsupportedError(
    "this process runs inside a wasmvisor guest already; run wasmvisor on the outer host instead",
    "HV_NESTED",
  );
}
