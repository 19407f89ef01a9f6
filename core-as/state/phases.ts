/** Marks for whoever measures where the time of a round trip goes; a load and a branch when nobody does. */
import { VCPU_PHASES } from "../../abi/vcpu.ts";
import { phaseClock } from "./env.ts";

/** The vCPU begins `phase` (PHASE_*). */
export function notePhase(v: usize, phase: u32): void {
  if (load<u32>(v, VCPU_PHASES) != 0) phaseClock(phase);
}
