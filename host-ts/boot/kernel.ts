/** The shape of a parsed kernel image: types only. */

/** A range of guest-physical memory to fill: `bytes` at `gpa`, then zeroes up to `memSize`. */
export interface KernelSegment {
  readonly gpa: number;
  readonly bytes: Uint8Array;
  /** At least `bytes.length`; `gpa + memSize` is at most 2^32. */
  readonly memSize: number;
}

/** One ELF note, for instance of the name "Xen". */
export interface KernelNote {
  readonly name: string;
  readonly type: number;
  readonly desc: Uint8Array;
}

/** A named address; `size` is 0 when unknown. Addresses are linear, as the kernel is linked. */
export interface KernelSymbol {
  readonly name: string;
  readonly address: number;
  readonly size: number;
}

/** How a Xen domain is built around a kernel, by its notes (xen-notes.ts). Addresses are linear. */
export interface XenParameters {
  readonly entry: number;
  /** Where the page of hypercall stubs goes, undefined when the kernel traps by itself. */
  readonly hypercallPage: number | undefined;
  /** Linear address of the first page of the domain. */
  readonly virtBase: number;
  /** What p_paddr has more than the offset from `virtBase`. */
  readonly paddrOffset: number;
  readonly guestOs: string;
  /** Names of features that the kernel cannot do without, and of those it can use. */
  readonly requiredFeatures: readonly string[];
  readonly supportedFeatures: readonly string[];
  /** Where Xen may begin at the earliest; 0 when the kernel does not say. */
  readonly hypervisorStart: number;
  /** Takes its RAM disk by its first frame's number, outside of what is mapped. */
  readonly takesUnmappedRamdisk: boolean;
}

/** A kernel ready to be placed in memory. */
export interface KernelImage {
  readonly kind: "elf" | "bzimage" | "multiboot" | "rom";
  /** How a plain machine enters it; undefined when it was not parsed for one. */
  readonly protocol?: "multiboot" | "pvh" | "linux" | "reset-vector";
  /** With protocol "linux": the setup header, from BP_SETUP_HEADER on. */
  readonly setupHeader?: Uint8Array;
  /** For a Xen domain: how it is built. */
  readonly xen?: XenParameters;
  /** Guest-physical address of the first instruction (a Xen kernel's may be linear). */
  readonly entry: number;
  readonly segments: readonly KernelSegment[];
  readonly notes: readonly KernelNote[];
  /** Release of a Linux kernel such as "4.1.15", undefined when none was found. */
  readonly version: string | undefined;
  /** Functions and objects by ascending address; parsed at the first call. Empty for a stripped or a damaged table: never throws. */
  symbols(): readonly KernelSymbol[];
}
