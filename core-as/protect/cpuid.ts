/**
 * CPU models as data: what CPUID says, and which CR4 bits and instructions go with it. A model is a row of words in a read-only table.
 *
 * The default, i686, is a Pentium Pro class processor by feature bits, under a vendor string that is nobody's: guests that
 * key errata workarounds on "GenuineIntel" or "AuthenticAMD" then apply none. The models that are named after processors of Intel
 * have their vendor, family, model and stepping, because C libraries choose what to use by those; protect/model-msrs.ts has the
 * registers that go with them. Leaf 0x40000000 identifies the hypervisor in all of them (that is how the launcher refuses to nest).
 * Source: SDM 2A, CPUID; the hypervisor range is a convention all hypervisors share.
 */
import { APIC_BASE_ENABLE } from "../../abi/apic.ts";
import {
  CPUID_HYPERVISOR_LEAF,
  CPUID_INTEL_EBX,
  CPUID_INTEL_ECX,
  CPUID_INTEL_EDX,
  CPUID_SIGNATURE_EBX,
  CPUID_SIGNATURE_ECX,
  CPUID_SIGNATURE_EDX,
  CPUID_VENDOR_EBX,
  CPUID_VENDOR_ECX,
  CPUID_VENDOR_EDX,
} from "../../abi/cpuid.ts";
import {
  CPU_MODEL_CORE2,
  CPU_MODEL_I686,
  CPU_MODEL_MAX,
  CPU_MODEL_PENTIUM4,
  POLICY_NATIVE,
  VCPU_APIC_BASE,
  VCPU_ID,
  VCPU_MISC_ENABLE,
  VCPU_POLICY,
} from "../../abi/vcpu.ts";
import {
  CR4_DE,
  CR4_MCE,
  CR4_OSFXSR,
  CR4_OSXMMEXCPT,
  CR4_PAE,
  CR4_PGE,
  CR4_PSE,
  CR4_SMAP,
  CR4_SMEP,
  CR4_TSD,
  CR4_UMIP,
  MISC_LIMIT_CPUID,
  MISC_NO_XD_HIGH,
  REG_EAX,
  REG_EBX,
  REG_ECX,
  REG_EDX,
} from "../../abi/x86.ts";
import { cpuModel, reg, setReg } from "../state/vcpu.ts";

/** Family 6, model 3, stepping 3. */
const I686_SIGNATURE: u32 = 0x633;

/** Feature bits of leaf 1, EDX. */
const FEATURE_FPU: u32 = 1 << 0;
const FEATURE_DE: u32 = 1 << 2;
const FEATURE_PSE: u32 = 1 << 3;
const FEATURE_TSC: u32 = 1 << 4;
const FEATURE_MSR: u32 = 1 << 5;
const FEATURE_PAE: u32 = 1 << 6;
/** With FEATURE_MCA: machine checks exist; of the banks that report them there is none. */
const FEATURE_MCE: u32 = 1 << 7;
const FEATURE_CX8: u32 = 1 << 8;
/** Follows IA32_APIC_BASE: a machine without an APIC never enables it. */
const FEATURE_APIC: u32 = 1 << 9;
const FEATURE_SEP: u32 = 1 << 11;
const FEATURE_PGE: u32 = 1 << 13;
const FEATURE_MCA: u32 = 1 << 14;
const FEATURE_CMOV: u32 = 1 << 15;
const FEATURE_PAT: u32 = 1 << 16;
const FEATURE_CLFLUSH: u32 = 1 << 19;
const FEATURE_MMX: u32 = 1 << 23;
const FEATURE_FXSR: u32 = 1 << 24;
const FEATURE_SSE: u32 = 1 << 25;
const FEATURE_SSE2: u32 = 1 << 26;
/** Leaf 1, ECX. */
const FEATURE_SSE3: u32 = 1 << 0;
const FEATURE_SSSE3: u32 = 1 << 9;
const FEATURE_SSE41: u32 = 1 << 19;
const FEATURE_SSE42: u32 = 1 << 20;
const FEATURE_MOVBE: u32 = 1 << 22;
const FEATURE_POPCNT: u32 = 1 << 23;
/** A hypervisor is present. */
const FEATURE_HYPERVISOR: u32 = 0x80000000;
/** Leaf 0x80000001, EDX. */
const FEATURE_NX: u32 = 1 << 20;
const FEATURE_RDTSCP: u32 = 1 << 27;
/** Leaf 7, EBX: the string instructions move pages as a whole, so bytes are as good as words. */
const FEATURE_SMEP: u32 = 1 << 7;
const FEATURE_ERMS: u32 = 1 << 9;
const FEATURE_SMAP: u32 = 1 << 20;
/** Leaf 7, ECX. */
const FEATURE_UMIP: u32 = 1 << 2;
const FEATURE_RDPID: u32 = 1 << 22;
/** Leaf 7, EDX: IA32_SPEC_CTRL with IBRS and IA32_PRED_CMD with IBPB; IA32_ARCH_CAPABILITIES. */
const FEATURE_SPEC_CTRL: u32 = 1 << 26;
const FEATURE_ARCH_CAPABILITIES: u32 = 1 << 29;
/** What only a kernel in ring 0 can use; a paravirtual one has another ring, and can neither write CR4 nor read MSRs. */
const RING0_EBX: u32 = FEATURE_SMEP | FEATURE_SMAP;
const RING0_ECX: u32 = FEATURE_UMIP;
const RING0_LEAF1_EDX: u32 = FEATURE_SEP | FEATURE_MCE | FEATURE_MCA;

/** What all models have. */
const I686_FEATURES: u32 =
  FEATURE_FPU |
  FEATURE_DE |
  FEATURE_PSE |
  FEATURE_TSC |
  FEATURE_MSR |
  FEATURE_PAE |
  FEATURE_CX8 |
  FEATURE_PGE |
  FEATURE_CMOV |
  FEATURE_PAT |
  FEATURE_FXSR;
const I686_CR4: u32 = CR4_TSD | CR4_DE | CR4_PSE | CR4_PAE | CR4_PGE;
const PENTIUM3_CR4: u32 = I686_CR4 | CR4_MCE;
/** CLFLUSH line size in units of 8 bytes, in bits 8-15 of leaf 1 EBX. */
const CLFLUSH_LINE: u32 = 8 << 8;

const PENTIUM3_FEATURES: u32 =
  I686_FEATURES | FEATURE_SEP | FEATURE_MCE | FEATURE_MCA | FEATURE_MMX | FEATURE_SSE;
const PENTIUM4_FEATURES: u32 = PENTIUM3_FEATURES | FEATURE_SSE2 | FEATURE_CLFLUSH;
const CORE2_ECX: u32 = FEATURE_HYPERVISOR | FEATURE_SSE3 | FEATURE_SSSE3 | FEATURE_SSE41;

/**
 * What tells a kernel that nothing here runs ahead of itself. Processors so old that they have no leaf 7 do not say it, and kernels
 * protect themselves on them.
 */
const NO_SPECULATION: u32 = FEATURE_SPEC_CTRL | FEATURE_ARCH_CAPABILITIES;

/**
 * Row layout, u32 each: leaf 1 EAX, leaf 1 ECX, leaf 1 EDX, leaf 0x80000001 EDX, CR4 bits, leaf 7 EBX, ECX, EDX, highest basic leaf,
 * and cache descriptors: leaf 2 EAX, EBX, EDX.
 */
const ROW_SIGNATURE: usize = 0;
const ROW_ECX: usize = 4;
const ROW_EDX: usize = 8;
const ROW_EXTENDED_EDX: usize = 12;
const ROW_CR4: usize = 16;
const ROW_LEAF7_EBX: usize = 20;
const ROW_LEAF7_ECX: usize = 24;
const ROW_LEAF7_EDX: usize = 28;
const ROW_MAX_BASIC: usize = 32;
const ROW_CACHES: usize = 36;
const ROW_BYTES: u32 = 48;
/** In the order of CPU_MODEL_*. */
// biome-ignore format: one fact per line
const ROWS = memory.data<u32>([
  // i686: family 6, model 3 of the Pentium II, the first with FXSAVE; no MMX.
  I686_SIGNATURE, FEATURE_HYPERVISOR, I686_FEATURES, FEATURE_NX, I686_CR4,
  0, 0, NO_SPECULATION,
  1, 0, 0, 0,
  // pentium3: family 6, model 8, with 256 KiB of second-level cache.
  0x683, FEATURE_HYPERVISOR, PENTIUM3_FEATURES, FEATURE_NX, PENTIUM3_CR4,
  0, 0, 0,
  2, 0x03020101, 0, 0x0c040882,
  // pentium4: family 15, model 2, with 512 KiB.
  0xf29, FEATURE_HYPERVISOR, PENTIUM4_FEATURES, FEATURE_NX, PENTIUM3_CR4,
  0, 0, 0,
  2, 0x665b5001, 0, 0x007b7040,
  // core2: family 6, model 23, with 6 MiB.
  0x10676, CORE2_ECX, PENTIUM4_FEATURES, FEATURE_NX, PENTIUM3_CR4,
  0, 0, NO_SPECULATION,
  4, 0x05b0b101, 0x005657f0, 0x2cb4304e,
  // max: family 6, model 61, the first with SMAP.
  0x306d4, CORE2_ECX | FEATURE_SSE42 | FEATURE_MOVBE | FEATURE_POPCNT, PENTIUM4_FEATURES,
  FEATURE_NX | FEATURE_RDTSCP, PENTIUM3_CR4 | CR4_UMIP | CR4_SMEP | CR4_SMAP,
  FEATURE_SMEP | FEATURE_ERMS | FEATURE_SMAP, FEATURE_UMIP | FEATURE_RDPID, NO_SPECULATION,
  7, 0x05b0b101, 0x005657f0, 0x2cb4304e,
]);

/** Leaf 4, a cache each: EAX (kind, level, self-initialising), EBX (ways, partitions, line), ECX (sets), each minus 1 in its bits. */
const CACHES = memory.data<u32>([
  // Data and instructions of 32 KiB, 8 ways; both at the second level, 6 MiB, 24 ways. What leaf 2 says in its own terms.
  0x121,
  0x01c0003f, 63, 0x122, 0x01c0003f, 63, 0x143, 0x05c0003f, 4095,
]);
const CACHE_BYTES: u32 = 12;
const CACHE_COUNT: u32 = 3;
/** Leaf 0x80000006, ECX: 6 MiB, 16 ways or more, lines of 64 bytes. */
const SECOND_LEVEL: u32 = 0x18008040;

const EXTENDED_BASE: u32 = 0x80000000;
/** Highest leaf while MISC_ENABLE limits them. */
const LIMITED_BASIC: u32 = 3;
/** Highest leaf of that range. */
const MAX_EXTENDED: u32 = 0x80000008;
/** Leaf 0x80000008: physical and linear address bits. */
const ADDRESS_BITS: u32 = 0x2024;

/** "wasmvisor virtual i686 processor", zero-padded to 48 bytes. */
const BRAND = memory.data<u8>([
  0x77, 0x61, 0x73, 0x6d, 0x76, 0x69, 0x73, 0x6f, 0x72, 0x20, 0x76, 0x69, 0x72, 0x74, 0x75, 0x61,
  0x6c, 0x20, 0x69, 0x36, 0x38, 0x36, 0x20, 0x70, 0x72, 0x6f, 0x63, 0x65, 0x73, 0x73, 0x6f, 0x72, 0,
  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
]);

function row(v: usize): usize {
  return ROWS + cpuModel(v) * ROW_BYTES;
}

/** @returns leaf 1 EAX, which EDX holds after reset: family, model and stepping. */
export function modelSignature(v: usize): u32 {
  return load<u32>(row(v), ROW_SIGNATURE);
}
/** @returns CR4 bits that exist in the vCPU's model. */
export function modelCr4(v: usize): u32 {
  const fxsr = (load<u32>(row(v), ROW_EDX) & FEATURE_FXSR) != 0;
  return load<u32>(row(v), ROW_CR4) | (fxsr ? <u32>(CR4_OSFXSR | CR4_OSXMMEXCPT) : 0);
}
/** @returns true when the model has SYSENTER and SYSEXIT. */
export function modelHasSysenter(v: usize): bool {
  return (load<u32>(row(v), ROW_EDX) & FEATURE_SEP) != 0;
}
/** @returns true when the model has no-execute pages. */
export function modelHasNx(v: usize): bool {
  return (extendedFeatures(v, row(v)) & FEATURE_NX) != 0;
}

/** @returns true when the model is named after a processor that has a 64-bit mode, which no model has. */
export function modelIs64Bit(v: usize): bool {
  return cpuModel(v) >= <u32>CPU_MODEL_CORE2;
}
/** @returns true when the model has IA32_MISC_ENABLE. */
export function modelHasMiscEnable(v: usize): bool {
  return cpuModel(v) >= <u32>CPU_MODEL_PENTIUM4;
}
/** @returns true when the model has IA32_SPEC_CTRL, IA32_PRED_CMD and IA32_ARCH_CAPABILITIES. */
export function modelTellsOfSpeculation(v: usize): bool {
  return load<u32>(row(v), ROW_LEAF7_EDX) != 0;
}

/** @returns true when the model is named after a processor of Intel. */
export function modelIsIntel(v: usize): bool {
  return cpuModel(v) != <u32>CPU_MODEL_I686;
}
/** @returns true when the model has RDTSCP and RDPID, and IA32_TSC_AUX for them. */
export function modelHasTscAux(v: usize): bool {
  return cpuModel(v) >= <u32>CPU_MODEL_MAX;
}

function answer(v: usize, eax: u32, ebx: u32, ecx: u32, edx: u32): void {
  setReg(v, REG_EAX, eax);
  setReg(v, REG_EBX, ebx);
  setReg(v, REG_ECX, ecx);
  setReg(v, REG_EDX, edx);
}

function answerVendor(v: usize, highest: u32): void {
  if (modelIsIntel(v)) answer(v, highest, CPUID_INTEL_EBX, CPUID_INTEL_ECX, CPUID_INTEL_EDX);
  else answer(v, highest, CPUID_VENDOR_EBX, CPUID_VENDOR_ECX, CPUID_VENDOR_EDX);
}

/** Leaf 1. */
function answerFeatures(v: usize, model: usize): void {
  // EBX: CLFLUSH line, and the initial APIC identifier, which is the vCPU's number.
  const hasApic = (load<u32>(v, VCPU_APIC_BASE) & APIC_BASE_ENABLE) != 0;
  const hidden: u32 = isNative(v) ? 0 : RING0_LEAF1_EDX;
  const edx = (load<u32>(model, ROW_EDX) & ~hidden) | (hasApic ? FEATURE_APIC : 0);
  const line: u32 = edx & FEATURE_CLFLUSH ? CLFLUSH_LINE : 0;
  const ebx = line | (load<u32>(v, VCPU_ID) << 24);
  answer(v, load<u32>(model, ROW_SIGNATURE), ebx, load<u32>(model, ROW_ECX), edx);
}

/** Leaf 7, of which there is sub-leaf 0. */
function answerExtendedFeatures(v: usize, model: usize): void {
  if (reg(v, REG_ECX) != 0) {
    answer(v, 0, 0, 0, 0);
    return;
  }
  const native = isNative(v);
  const ebx = load<u32>(model, ROW_LEAF7_EBX) & (native ? 0xffffffff : ~RING0_EBX);
  const ecx = load<u32>(model, ROW_LEAF7_ECX) & (native ? 0xffffffff : ~RING0_ECX);
  answer(v, 0, ebx, ecx, native ? load<u32>(model, ROW_LEAF7_EDX) : 0);
}

/** Leaf 4, a cache for each sub-leaf. */
function answerCache(v: usize): void {
  const index = reg(v, REG_ECX);
  const cache = CACHES + index * CACHE_BYTES;
  if (index >= CACHE_COUNT) answer(v, 0, 0, 0, 0);
  else answer(v, load<u32>(cache), load<u32>(cache, 4), load<u32>(cache, 8), 0);
}

/** Leaf 0x80000001, EDX. */
function extendedFeatures(v: usize, model: usize): u32 {
  const hidden: u32 = isMisc(v, (<u64>MISC_NO_XD_HIGH) << 32) ? FEATURE_NX : 0;
  return load<u32>(model, ROW_EXTENDED_EDX) & ~hidden;
}

/** The highest basic leaf; a kernel in ring 0 finds leaf 7 wherever it has something for it. */
function highestBasic(v: usize, model: usize): u32 {
  const own = load<u32>(model, ROW_MAX_BASIC);
  const highest: u32 = isNative(v) && load<u32>(model, ROW_LEAF7_EDX) != 0 ? 7 : own;
  return isMisc(v, MISC_LIMIT_CPUID) ? min(highest, LIMITED_BASIC) : highest;
}

function isNative(v: usize): bool {
  return load<u32>(v, VCPU_POLICY) == POLICY_NATIVE;
}

/** @returns true when `bit` is set in IA32_MISC_ENABLE. */
function isMisc(v: usize, bit: u64): bool {
  return modelHasMiscEnable(v) && (load<u64>(v, VCPU_MISC_ENABLE) & bit) != 0;
}

/**
 * CPUID: replaces EAX, EBX, ECX and EDX by the answer for `leaf`. One that does not exist is taken for the highest basic one by processors
 * of Intel, and gives zeroes otherwise, as every leaf of the hypervisors' range does that we lack.
 */
export function cpuid(v: usize, leaf: u32): void {
  const model = row(v);
  const maxBasic = highestBasic(v, model);
  const exists = leaf <= maxBasic || (leaf >= EXTENDED_BASE && leaf <= MAX_EXTENDED);
  const isForeign = !exists && (leaf & 0xff000000) != CPUID_HYPERVISOR_LEAF;
  answerLeaf(v, model, isForeign && modelIsIntel(v) ? maxBasic : leaf, maxBasic);
}

function answerLeaf(v: usize, model: usize, leaf: u32, maxBasic: u32): void {
  const hasCaches = cpuModel(v) >= <u32>CPU_MODEL_CORE2;
  if (leaf == 0) answerVendor(v, maxBasic);
  else if (leaf == 1) answerFeatures(v, model);
  else if (leaf == 2) {
    const caches = model + ROW_CACHES;
    answer(v, load<u32>(caches), load<u32>(caches, 4), 0, load<u32>(caches, 8));
  } else if (leaf == 4 && maxBasic >= 4 && hasCaches) answerCache(v);
  else if (leaf == 7 && maxBasic >= 7) answerExtendedFeatures(v, model);
  else if (leaf == CPUID_HYPERVISOR_LEAF) {
    const top = CPUID_HYPERVISOR_LEAF;
    answer(v, top, CPUID_SIGNATURE_EBX, CPUID_SIGNATURE_ECX, CPUID_SIGNATURE_EDX);
  } else if (leaf == EXTENDED_BASE) {
    // Intel's processors have zeroes where AMD's repeat the vendor.
    if (modelIsIntel(v)) answer(v, MAX_EXTENDED, 0, 0, 0);
    else answerVendor(v, MAX_EXTENDED);
  } else if (leaf == EXTENDED_BASE + 1) {
    const edx = extendedFeatures(v, model);
    answer(v, modelIsIntel(v) ? 0 : load<u32>(model, ROW_SIGNATURE), 0, 0, edx);
  } else if (leaf >= EXTENDED_BASE + 2 && leaf <= EXTENDED_BASE + 4) {
    const text = BRAND + (leaf - (EXTENDED_BASE + 2)) * 16;
    answer(v, load<u32>(text), load<u32>(text, 4), load<u32>(text, 8), load<u32>(text, 12));
  } else if (leaf == EXTENDED_BASE + 6 && hasCaches) answer(v, 0, 0, SECOND_LEVEL, 0);
  else if (leaf == MAX_EXTENDED) answer(v, ADDRESS_BITS, 0, 0, 0);
  else answer(v, 0, 0, 0, 0);
}
