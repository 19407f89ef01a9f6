/**
 * How a guest of ours is recognised from inside: the vendor string, and the hypervisor leaf of CPUID, a convention all
 * hypervisors share. Text is given as the little-endian words that the registers hold.
 */

/** Leaf 0: "WasmvisorCPU" in the order EBX, EDX, ECX. Linux shows it in /proc/cpuinfo. */
export const CPUID_VENDOR_EBX = 0x6d736157;
export const CPUID_VENDOR_EDX = 0x6f736976;
export const CPUID_VENDOR_ECX = 0x55504372;
/** "GenuineIntel", which the models have that are named after processors of Intel. */
export const CPUID_INTEL_EBX = 0x756e6547;
export const CPUID_INTEL_EDX = 0x49656e69;
export const CPUID_INTEL_ECX = 0x6c65746e;
export const CPUID_HYPERVISOR_LEAF = 0x40000000;
/** EBX, ECX and EDX of that leaf: "wasmvisor" in ASCII, zero-padded. */
export const CPUID_SIGNATURE_EBX = 0x6d736177;
export const CPUID_SIGNATURE_ECX = 0x6f736976;
export const CPUID_SIGNATURE_EDX = 0x00000072;
/** EBX, ECX and EDX of that leaf for a Xen guest: "XenVMMXenVMM". */
export const CPUID_XEN_EBX = 0x566e6558;
export const CPUID_XEN_ECX = 0x65584d4d;
export const CPUID_XEN_EDX = 0x4d4d566e;
/** Leaves of a Xen PV guest from the base on; ECX of the third: MMU_PT_UPDATE_PRESERVE_AD is there. */
export const CPUID_XEN_LEAVES = 5;
export const CPUID_XEN_PRESERVES_AD = 1;
