/**
 * Registers that software reads on processors of Intel because of their family and model, without a feature bit that promises them.
 * They hold what a processor at rest holds; what is written to them is ignored.
 * Source: SDM 4, the tables of the P6, Pentium 4 and Core families.
 */
import { CPU_MODEL_CORE2, CPU_MODEL_PENTIUM4 } from "../../abi/vcpu.ts";
import {
  MSR_BBL_CR_CTL,
  MSR_FEATURE_CONTROL,
  MSR_MICROCODE_REVISION,
  MSR_MISC_ENABLE,
  MSR_PLATFORM_ID,
  MSR_POWER_ON,
} from "../../abi/x86.ts";
import { cpuModel } from "../state/vcpu.ts";
import { modelIsIntel } from "./cpuid.ts";

/** Revision 1, in the high half. */
const MICROCODE: u64 = 0x100000000;
/** Locked, with nothing enabled. */
const FEATURES_LOCKED: u64 = 1;
/** Fast string operations. */
const MISC_FAST_STRINGS: u64 = 1;

/** @returns whether the vCPU's model has one of these registers at `index`. */
export function hasModelMsr(v: usize, index: u32): bool {
  if (!modelIsIntel(v)) return false;
  switch (index) {
    case MSR_PLATFORM_ID:
    case MSR_POWER_ON:
    case MSR_MICROCODE_REVISION:
    case MSR_BBL_CR_CTL:
      return true;
    case MSR_MISC_ENABLE:
      return cpuModel(v) >= <u32>CPU_MODEL_PENTIUM4;
    case MSR_FEATURE_CONTROL:
      return cpuModel(v) >= <u32>CPU_MODEL_CORE2;
    default:
      return false;
  }
}

/** @returns its value. */
export function modelMsr(index: u32): u64 {
  switch (index) {
    case MSR_MICROCODE_REVISION:
      return MICROCODE;
    case MSR_MISC_ENABLE:
      return MISC_FAST_STRINGS;
    case MSR_FEATURE_CONTROL:
      return FEATURES_LOCKED;
    default:
      return 0;
  }
}
