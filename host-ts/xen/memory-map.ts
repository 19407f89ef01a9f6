/** The map of pseudo-physical memory that a domain may ask for: one range as the toolstack sets it, or what the domain set instead. */
import { E820_MAX_ENTRIES, XEN_EFAULT, XEN_EINVAL, XEN_ENOSYS } from "../../abi/xen.ts";
import {
  E820_BYTES,
  XENMEM_FOREIGN_MAP_BUFFER,
  XENMEM_FOREIGN_MAP_BYTES,
  XENMEM_FOREIGN_MAP_NR,
  XENMEM_MEMORY_MAP_BUFFER,
  XENMEM_MEMORY_MAP_BYTES,
} from "../../abi/xen-layout.ts";
import type { XenDomain } from "./domain.ts";

/** XENMEM_memory_map. */
export function giveMemoryMap({ pointers, reservation }: XenDomain, pointer: number): number {
  const view = pointers.read(pointer, XENMEM_MEMORY_MAP_BYTES);
  if (view === undefined) return -XEN_EFAULT;
  const { memoryMap } = reservation;
  const count = memoryMap.length / E820_BYTES;
  if (count === 0) return -XEN_ENOSYS;
  const given = Math.min(view.getUint32(0, true), count);
  const buffer = view.getUint32(XENMEM_MEMORY_MAP_BUFFER, true);
  const isGiven =
    pointers.write(buffer, memoryMap.subarray(0, given * E820_BYTES)) &&
    pointers.writeU32(pointer, given);
  return isGiven ? 0 : -XEN_EFAULT;
}

/** XENMEM_set_memory_map. */
export function takeMemoryMap(domain: XenDomain, pointer: number): number {
  const { pointers } = domain;
  const view = pointers.read(pointer, XENMEM_FOREIGN_MAP_BYTES);
  if (view === undefined) return -XEN_EFAULT;
  const count = view.getUint32(XENMEM_FOREIGN_MAP_NR, true);
  if (count > E820_MAX_ENTRIES) return -XEN_EINVAL;
  const refused = domain.refusal(view.getUint16(0, true));
  if (refused !== undefined) return refused;
  const entries = pointers.read(
    view.getUint32(XENMEM_FOREIGN_MAP_BUFFER, true),
    count * E820_BYTES,
  );
  if (entries === undefined) return -XEN_EFAULT;
  domain.reservation.memoryMap = new Uint8Array(entries.buffer);
  return 0;
}
