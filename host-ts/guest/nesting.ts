/**
 * Hosting inside a guest of our own is refused: nothing would break, but virtual time inside virtual time and an interpreter
 * inside an interpreter are nothing anybody wants without noticing.
 *
 * The virtual processor says who it is twice: by its brand string, which starts with our name whatever the model, and by its
 * signature in the hypervisor leaf. JavaScript cannot execute CPUID, so the product looks for the brand where a Linux guest shows it, in /proc/cpuinfo
 * (nesting-node.ts); under another system, or in a browser, nothing is looked at and nothing is refused. Who can execute CPUID
 * asks the hypervisor leaf with isOurCpuid.
 */

import {
  CPUID_HYPERVISOR_LEAF,
  CPUID_SIGNATURE_EBX,
  CPUID_SIGNATURE_ECX,
  CPUID_SIGNATURE_EDX,
} from "../../abi/cpuid.ts";
import { UnsupportedError } from "../base/errors.ts";

/** How the brand string of our virtual processor starts: like the signature, as text. */
export const BRAND: string = [CPUID_SIGNATURE_EBX, CPUID_SIGNATURE_ECX, CPUID_SIGNATURE_EDX]
  .flatMap((word) => [0, 8, 16, 24].map((shift) => (word >>> shift) & 0xff))
  .filter((byte) => byte !== 0)
  .map((byte) => String.fromCharCode(byte))
  .join("");

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
