/**
 * xen_version: which Xen this is, as far as a guest can tell. Source: Xen's public version.h.
 */
import { PAGE_BYTES } from "../../abi/memory.ts";
import { GUEST_XEN_ASSISTS } from "../../abi/vcpu.ts";
import {
  HYPERVISOR_VIRT_START,
  VMASST_TYPE_PAE_EXTENDED_CR3,
  XEN_EFAULT,
  XEN_EINVAL,
  XEN_ENOSYS,
  XEN_EPERM,
  XEN_VERSION,
  XENFEAT_DIRECT_MAPPED,
  XENFEAT_GNTTAB_MAP_AVAIL_BITS,
  XENFEAT_HIGHMEM_ASSIST,
  XENFEAT_MEMORY_OP_VNODE_SUPPORTED,
  XENFEAT_MMU_PT_UPDATE_PRESERVE_AD,
  XENFEAT_PAE_PGDIR_ABOVE_4GB,
  XENVER_BUILD_ID,
  XENVER_CAPABILITIES,
  XENVER_CHANGESET,
  XENVER_COMMANDLINE,
  XENVER_COMPILE_INFO,
  XENVER_EXTRAVERSION,
  XENVER_GET_FEATURES,
  XENVER_GUEST_HANDLE,
  XENVER_PAGESIZE,
  XENVER_PLATFORM_PARAMETERS,
  XENVER_VERSION,
} from "../../abi/xen.ts";
import {
  XEN_CAPABILITIES_BYTES,
  XEN_CHANGESET_BYTES,
  XEN_COMPILE_INFO_BYTES,
  XEN_EXTRAVERSION_BYTES,
  XEN_GUEST_HANDLE_BYTES,
} from "../../abi/xen-layout.ts";
import type { XenDomain } from "./domain.ts";

/** Offsets of compiler, builder, domain and date in struct xen_compile_info. */
const COMPILE_INFO: readonly (readonly [number, string])[] = [
  [0x00, "AssemblyScript"],
  [0x40, "wasmvisor"],
  [0x50, "wasmvisor"],
  [0x70, ""],
];

/** HYPERVISOR_xen_version. */
export function xenVersion(domain: XenDomain, command: number, pointer: number): number {
  const { pointers } = domain;
  switch (command) {
    case XENVER_VERSION:
      return XEN_VERSION;
    case XENVER_EXTRAVERSION:
      return give(domain, pointer, padded(".0", XEN_EXTRAVERSION_BYTES));
    case XENVER_COMPILE_INFO: {
      const info = new Uint8Array(XEN_COMPILE_INFO_BYTES);
      for (const [at, text] of COMPILE_INFO) info.set(new TextEncoder().encode(text), at);
      return give(domain, pointer, info);
    }
    case XENVER_CAPABILITIES:
      return give(domain, pointer, padded("xen-3.0-x86_32p ", XEN_CAPABILITIES_BYTES));
    case XENVER_CHANGESET:
      return give(domain, pointer, padded("unavailable", XEN_CHANGESET_BYTES));
    case XENVER_PLATFORM_PARAMETERS:
      return pointers.writeU32(pointer, HYPERVISOR_VIRT_START) ? 0 : -XEN_EFAULT;
    case XENVER_GET_FEATURES:
      return features(domain, pointer);
    case XENVER_PAGESIZE:
      return pointer === 0 ? PAGE_BYTES : -XEN_EINVAL;
    case XENVER_GUEST_HANDLE:
      return give(domain, pointer, new Uint8Array(XEN_GUEST_HANDLE_BYTES));
    case XENVER_COMMANDLINE:
      return give(domain, pointer, padded("<denied>", 9));
    case XENVER_BUILD_ID:
      return -XEN_EPERM;
    default:
      return -XEN_ENOSYS;
  }
}

function give({ pointers }: XenDomain, pointer: number, bytes: Uint8Array): number {
  return pointers.write(pointer, bytes) ? 0 : -XEN_EFAULT;
}

function features({ host, pointers }: XenDomain, pointer: number): number {
  const index = pointers.readU32(pointer);
  if (index === undefined) return -XEN_EFAULT;
  if (index !== 0) return -XEN_EINVAL;
  const { core, guest } = host;
  const assists = core.words(guest + PAGE_BYTES).getUint32(guest + GUEST_XEN_ASSISTS, true);
  const bits = [
    XENFEAT_MMU_PT_UPDATE_PRESERVE_AD,
    XENFEAT_HIGHMEM_ASSIST,
    XENFEAT_GNTTAB_MAP_AVAIL_BITS,
    XENFEAT_MEMORY_OP_VNODE_SUPPORTED,
    XENFEAT_DIRECT_MAPPED,
  ];
  const isExtended = ((assists >>> VMASST_TYPE_PAE_EXTENDED_CR3) & 1) !== 0;
  if (isExtended) bits.push(XENFEAT_PAE_PGDIR_ABOVE_4GB);
  const map = bits.reduce((sum, bit) => sum + 2 ** bit, 0);
  return pointers.writeU32(pointer + 4, map) ? 0 : -XEN_EFAULT;
}

/** Text in a field of fixed size, with NULs to its end. */
function padded(text: string, sizeBytes: number): Uint8Array {
  const bytes = new Uint8Array(sizeBytes);
  bytes.set(new TextEncoder().encode(text).subarray(0, sizeBytes));
  return bytes;
}
