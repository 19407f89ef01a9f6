/** How a guest of ours is recognised from inside: the hypervisor leaf of CPUID, a convention all hypervisors share. */

export const CPUID_HYPERVISOR_LEAF = 0x40000000;
/** EBX, ECX and EDX of that leaf: "wasmvisor" in ASCII, zero-padded. */
export const CPUID_SIGNATURE_EBX = 0x6d736177;
export const CPUID_SIGNATURE_ECX = 0x6f736976;
export const CPUID_SIGNATURE_EDX = 0x00000072;
/** Leaf 0, EBX EDX ECX: the vendor string, which Linux shows in /proc/cpuinfo. */
export const CPUID_VENDOR = "WasmvisorCPU";
