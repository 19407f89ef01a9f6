/**
 * Registers that software expects of a processor because of its family, model or a bit of CPUID, and that change nothing here, or hardly
 * anything: they hold what a processor at rest holds. What has no effect is ignored when written.
 * Source: SDM 4, the tables of architectural MSRs and of the P6, Pentium 4 and Core families.
 */
import { CPU_MODEL_CORE2, VCPU_MISC_ENABLE, VCPU_SPEC_CTRL } from "../../abi/vcpu.ts";
import {
  MISC_WRITABLE_HIGH,
  MISC_WRITABLE_LOW,
  MSR_ARCH_CAPABILITIES,
  MSR_BBL_CR_CTL,
  MSR_FEATURE_CONTROL,
  MSR_MCG_CAP,
  MSR_MCG_STATUS,
  MSR_MICROCODE_REVISION,
  MSR_MISC_ENABLE,
  MSR_PLATFORM_ID,
  MSR_POWER_ON,
  MSR_PRED_CMD,
  MSR_SPEC_CTRL,
  PRED_CMD_IBPB,
  SPEC_CTRL_IBRS,
} from "../../abi/x86.ts";
import { cpuModel } from "../state/vcpu.ts";
import { modelHasMiscEnable, modelIsIntel, modelTellsOfSpeculation } from "./cpuid.ts";

/** Revision 1, in the high half. */
const MICROCODE: u64 = 0x100000000;
/** Locked, with nothing enabled. */
const FEATURES_LOCKED: u64 = 1;
const MISC_WRITABLE: u64 = ((<u64>MISC_WRITABLE_HIGH) << 32) | <u64>MISC_WRITABLE_LOW;

/**
 * IA32_ARCH_CAPABILITIES. An interpreter loads nothing before its permissions are checked, predicts no branches and has no buffers to
 * leave data in: RDCL_NO (bit 0), IBRS_ALL (1), SKIP_L1DFL_VMENTRY (3), SSB_NO (4), MDS_NO (5), IF_PSCHANGE_MC_NO (6), TAA_NO (8),
 * SBDR_SSDP_NO (13), FBSDP_NO (14), PSDP_NO (15), BHI_NO (20), PBRSB_NO (24), GDS_NO (26), RFDS_NO (27), ITS_NO (62).
 */
const NOTHING_SPECULATES: u64 = ((<u64>0x40000000) << 32) | 0x0d10e17b;

/** @returns whether the vCPU's model has one of these registers at `index`. */
export function hasModelMsr(v: usize, index: u32): bool {
  switch (index) {
    case MSR_SPEC_CTRL:
    case MSR_PRED_CMD:
    case MSR_ARCH_CAPABILITIES:
      return modelTellsOfSpeculation(v);
    case MSR_PLATFORM_ID:
    case MSR_POWER_ON:
    case MSR_MICROCODE_REVISION:
    case MSR_BBL_CR_CTL:
    case MSR_MCG_CAP:
    case MSR_MCG_STATUS:
      return modelIsIntel(v);
    case MSR_MISC_ENABLE:
      return modelHasMiscEnable(v);
    case MSR_FEATURE_CONTROL:
      return cpuModel(v) >= <u32>CPU_MODEL_CORE2;
    default:
      return false;
  }
}

/** @returns whether RDMSR gives its value; one takes commands alone. */
export function mayReadModelMsr(index: u32): bool {
  return index != MSR_PRED_CMD;
}

/** @returns its value. */
export function modelMsr(v: usize, index: u32): u64 {
  switch (index) {
    case MSR_MICROCODE_REVISION:
      return MICROCODE;
    case MSR_MISC_ENABLE:
      return load<u64>(v, VCPU_MISC_ENABLE);
    case MSR_FEATURE_CONTROL:
      return FEATURES_LOCKED;
    case MSR_SPEC_CTRL:
      return load<u32>(v, VCPU_SPEC_CTRL);
    case MSR_ARCH_CAPABILITIES:
      return NOTHING_SPECULATES;
    default:
      return 0;
  }
}

/** Takes what WRMSR writes. @returns false where that is #GP(0): a register that is read only, or reserved bits. */
export function writeModelMsr(v: usize, index: u32, value: u64): bool {
  switch (index) {
    case MSR_MISC_ENABLE: {
      const fixed = load<u64>(v, VCPU_MISC_ENABLE) & ~MISC_WRITABLE;
      store<u64>(v, fixed | (value & MISC_WRITABLE), VCPU_MISC_ENABLE);
      return true;
    }
    case MSR_SPEC_CTRL: {
      if ((value & ~(<u64>SPEC_CTRL_IBRS)) != 0) return false;
      store<u32>(v, <u32>value, VCPU_SPEC_CTRL);
      return true;
    }
    case MSR_PRED_CMD:
      return (value & ~(<u64>PRED_CMD_IBPB)) == 0;
    case MSR_ARCH_CAPABILITIES:
    case MSR_MCG_CAP:
      return false;
    default:
      return true;
  }
}
