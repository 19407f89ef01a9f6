/**
 * memory_op: how much memory a domain has, where the machine-to-physical table is, and what is for other kinds of domains. Frames come and go in
 * memory-reservation.ts. Source: Xen's public memory.h; errors as for a 32-bit guest.
 */
import {
  HYPERVISOR_VIRT_START,
  MACH2PHYS_VIRT_END,
  MEMOP_COMMAND_MASK,
  MEMOP_EXTENT_SHIFT,
  XEN_EACCES,
  XEN_EDOM,
  XEN_EFAULT,
  XEN_EINVAL,
  XEN_ENOSYS,
  XEN_EOPNOTSUPP,
  XEN_EPERM,
  XEN_ESRCH,
  XENMAPSPACE_GMFN_FOREIGN,
  XENMAPSPACE_GMFN_RANGE,
  XENMEM_ACCESS_OP,
  XENMEM_ACQUIRE_RESOURCE,
  XENMEM_ADD_TO_PHYSMAP,
  XENMEM_ADD_TO_PHYSMAP_BATCH,
  XENMEM_CURRENT_RESERVATION,
  XENMEM_DECREASE_RESERVATION,
  XENMEM_EXCHANGE,
  XENMEM_GET_POD_TARGET,
  XENMEM_GET_SHARING_FREED_PAGES,
  XENMEM_GET_SHARING_SHARED_PAGES,
  XENMEM_GET_VNUMAINFO,
  XENMEM_INCREASE_RESERVATION,
  XENMEM_MACHINE_MEMORY_MAP,
  XENMEM_MACHPHYS_COMPAT_MFN_LIST,
  XENMEM_MACHPHYS_MAPPING,
  XENMEM_MACHPHYS_MFN_LIST,
  XENMEM_MAXIMUM_GPFN,
  XENMEM_MAXIMUM_RAM_PAGE,
  XENMEM_MAXIMUM_RESERVATION,
  XENMEM_MEMORY_MAP,
  XENMEM_POPULATE_PHYSMAP,
  XENMEM_REMOVE_FROM_PHYSMAP,
  XENMEM_RESERVED_DEVICE_MEMORY_MAP,
  XENMEM_SET_MEMORY_MAP,
  XENMEM_SET_POD_TARGET,
} from "../../abi/xen.ts";
import {
  SI_MAX_PFN,
  XENMEM_ACCESS_BYTES,
  XENMEM_ACCESS_DOMID,
  XENMEM_ACQUIRE_BYTES,
  XENMEM_ACQUIRE_FRAME,
  XENMEM_ACQUIRE_NR,
  XENMEM_ACQUIRE_PAD,
  XENMEM_ADD_BATCH_BYTES,
  XENMEM_ADD_BATCH_SPACE,
  XENMEM_ADD_TO_PHYSMAP_BYTES,
  XENMEM_ADD_TO_PHYSMAP_SPACE,
  XENMEM_MEMORY_MAP_BYTES,
  XENMEM_MFN_LIST_BYTES,
  XENMEM_MFN_LIST_EXTENTS,
  XENMEM_MFN_LIST_MAX,
  XENMEM_MFN_LIST_NR,
  XENMEM_POD_BYTES,
  XENMEM_POD_DOMID,
  XENMEM_RDM_BYTES,
  XENMEM_RDM_FLAGS,
  XENMEM_RDM_NR,
  XENMEM_REMOVE_BYTES,
  XENMEM_VNUMA_BYTES,
  XENMEM_VNUMA_PAD,
} from "../../abi/xen-layout.ts";
import type { XenDomain } from "./domain.ts";
import { M2P_ENTRIES_PER_FRAME } from "./machine-map.ts";
import { giveMemoryMap, takeMemoryMap } from "./memory-map.ts";
import { changeReservation, exchange } from "./memory-reservation.ts";

/** Frames of the table behind one entry of its list: what a 2 MiB page holds. */
const MFN_LIST_STRIDE = 512;
/** XENMEM_reserved_device_memory_map: of all devices. */
const RDM_ALL = 1;
const MAX_U16 = 0xffff;

/** Performs a sub-operation; `done` is the part of the command's word above it. */
type Handler = (
  domain: XenDomain,
  pointer: number,
  done: number,
  command: number,
) => number | undefined;

const change: Handler = (domain, pointer, done, command) =>
  changeReservation(domain, command, pointer, done);
/** Takes no part of a call that goes on. */
const whole =
  (handler: (domain: XenDomain, pointer: number) => number | undefined, error: number): Handler =>
  (domain, pointer, done) =>
    done === 0 ? handler(domain, pointer) : error;

const HANDLERS: Readonly<Record<number, Handler>> = {
  [XENMEM_INCREASE_RESERVATION]: change,
  [XENMEM_DECREASE_RESERVATION]: change,
  [XENMEM_POPULATE_PHYSMAP]: change,
  [XENMEM_EXCHANGE]: whole(exchange, -XEN_EINVAL),
  [XENMEM_MAXIMUM_RAM_PAGE]: whole(({ map }) => map.limit, -XEN_EINVAL),
  [XENMEM_CURRENT_RESERVATION]: whole(
    (domain, pointer) => ofDomain(domain, pointer) ?? domain.reservation.currentPages,
    -XEN_EINVAL,
  ),
  [XENMEM_MAXIMUM_RESERVATION]: whole(
    (domain, pointer) => ofDomain(domain, pointer) ?? domain.reservation.maximumPages,
    -XEN_EINVAL,
  ),
  [XENMEM_MAXIMUM_GPFN]: whole(maximumGpfn, -XEN_EINVAL),
  [XENMEM_MACHPHYS_MFN_LIST]: whole(machphysList, -XEN_ENOSYS),
  [XENMEM_MACHPHYS_COMPAT_MFN_LIST]: whole(machphysList, -XEN_ENOSYS),
  [XENMEM_MACHPHYS_MAPPING]: whole(machphysMapping, -XEN_ENOSYS),
  [XENMEM_MEMORY_MAP]: whole(giveMemoryMap, -XEN_ENOSYS),
  [XENMEM_SET_MEMORY_MAP]: whole(takeMemoryMap, -XEN_ENOSYS),
  [XENMEM_MACHINE_MEMORY_MAP]: whole(
    ({ pointers }, pointer) =>
      pointers.read(pointer, XENMEM_MEMORY_MAP_BYTES) === undefined ? -XEN_EFAULT : -XEN_EPERM,
    -XEN_ENOSYS,
  ),
  [XENMEM_SET_POD_TARGET]: whole(podTarget, -XEN_ENOSYS),
  [XENMEM_GET_POD_TARGET]: whole(podTarget, -XEN_ENOSYS),
  // Nothing is ever shared.
  [XENMEM_GET_SHARING_FREED_PAGES]: whole(() => 0, -XEN_ENOSYS),
  [XENMEM_GET_SHARING_SHARED_PAGES]: whole(() => 0, -XEN_ENOSYS),
  [XENMEM_ADD_TO_PHYSMAP]: addToPhysmap,
  [XENMEM_ADD_TO_PHYSMAP_BATCH]: addBatch,
  [XENMEM_REMOVE_FROM_PHYSMAP]: removeFromPhysmap,
  [XENMEM_ACCESS_OP]: accessOp,
  [XENMEM_GET_VNUMAINFO]: vnumaInfo,
  [XENMEM_RESERVED_DEVICE_MEMORY_MAP]: whole(reservedMemory, -XEN_EINVAL),
  [XENMEM_ACQUIRE_RESOURCE]: acquireResource,
};

/** HYPERVISOR_memory_op. */
export function memoryOp(domain: XenDomain, word: number, pointer: number): number | undefined {
  const command = word & MEMOP_COMMAND_MASK;
  const handler = HANDLERS[command];
  return handler === undefined
    ? -XEN_ENOSYS
    : handler(domain, pointer, word >>> MEMOP_EXTENT_SHIFT, command);
}

/** @returns undefined when the domain identifier at `pointer` is this domain's, else the error. */
function ofDomain(domain: XenDomain, pointer: number): number | undefined {
  const domid = domain.pointers.read(pointer, 2)?.getUint16(0, true);
  return domid === undefined ? -XEN_EFAULT : domain.refusal(domid);
}

function maximumGpfn(domain: XenDomain, pointer: number): number {
  const { host, sharedInfoGpa } = domain;
  const error = ofDomain(domain, pointer);
  return error ?? Math.max(0, host.memory.readU32(sharedInfoGpa + SI_MAX_PFN) - 1);
}

function machphysMapping({ pointers, map }: XenDomain, pointer: number): number {
  const last = map.m2pFrames * M2P_ENTRIES_PER_FRAME - 1;
  const mapping = Uint32Array.of(HYPERVISOR_VIRT_START, MACH2PHYS_VIRT_END, last);
  return pointers.write(pointer, new Uint8Array(mapping.buffer)) ? 0 : -XEN_EFAULT;
}

function machphysList({ pointers, map }: XenDomain, pointer: number): number {
  const view = pointers.read(pointer, XENMEM_MFN_LIST_BYTES);
  if (view === undefined) return -XEN_EFAULT;
  const list = view.getUint32(XENMEM_MFN_LIST_EXTENTS, true);
  const pieces = Math.ceil(map.m2pFrames / MFN_LIST_STRIDE);
  const count = Math.min(view.getUint32(XENMEM_MFN_LIST_MAX, true), pieces);
  for (let i = 0; i < count; i++) {
    if (!pointers.writeU32(list + 4 * i, map.m2pMfn + i * MFN_LIST_STRIDE)) return -XEN_EFAULT;
  }
  return pointers.writeU32(pointer + XENMEM_MFN_LIST_NR, count) ? 0 : -XEN_EFAULT;
}

/** What only exists for domains that Xen translates for: -EINVAL for any other that there is. */
function podTarget(domain: XenDomain, pointer: number): number {
  const domid = domain.pointers.read(pointer, XENMEM_POD_BYTES)?.getUint16(XENMEM_POD_DOMID, true);
  if (domid === undefined) return -XEN_EFAULT;
  return domain.refusal(domid) === -XEN_ESRCH ? -XEN_ESRCH : -XEN_EINVAL;
}

/** A domain that translates by itself has no map to add to, whoever asks. */
function addToPhysmap(domain: XenDomain, pointer: number, done: number): number {
  const view = domain.pointers.read(pointer, XENMEM_ADD_TO_PHYSMAP_BYTES);
  if (view === undefined) return -XEN_EFAULT;
  if (done > MAX_U16) return -XEN_EDOM;
  const space = view.getUint32(XENMEM_ADD_TO_PHYSMAP_SPACE, true);
  if (space === XENMAPSPACE_GMFN_FOREIGN) return -XEN_ENOSYS;
  return noPhysmap(domain, view.getUint16(0, true));
}
function addBatch(domain: XenDomain, pointer: number, done: number): number {
  const view = domain.pointers.read(pointer, XENMEM_ADD_BATCH_BYTES);
  if (view === undefined) return -XEN_EFAULT;
  if (done > MAX_U16) return -XEN_EDOM;
  const space = view.getUint16(XENMEM_ADD_BATCH_SPACE, true);
  if (space === XENMAPSPACE_GMFN_RANGE) return -XEN_EOPNOTSUPP;
  return noPhysmap(domain, view.getUint16(0, true));
}
function removeFromPhysmap(domain: XenDomain, pointer: number, done: number): number {
  const view = domain.pointers.read(pointer, XENMEM_REMOVE_BYTES);
  if (view === undefined) return -XEN_EFAULT;
  return done !== 0 ? -XEN_EINVAL : noPhysmap(domain, view.getUint16(0, true));
}
function noPhysmap(domain: XenDomain, domid: number): number {
  return domain.refusal(domid) === -XEN_ESRCH ? -XEN_ESRCH : -XEN_EACCES;
}

/** Asks about another domain, and only one that Xen translates for. */
function accessOp(domain: XenDomain, pointer: number): number {
  const view = domain.pointers.read(pointer, XENMEM_ACCESS_BYTES);
  if (view === undefined) return -XEN_EFAULT;
  return domain.remoteRefusal(view.getUint16(XENMEM_ACCESS_DOMID, true)) ?? -XEN_EINVAL;
}

function vnumaInfo(domain: XenDomain, pointer: number, done: number): number {
  const view = domain.pointers.read(pointer, XENMEM_VNUMA_BYTES);
  if (view === undefined) return -XEN_EFAULT;
  if (done !== 0 || view.getUint16(XENMEM_VNUMA_PAD, true) !== 0) return -XEN_EINVAL;
  return domain.refusal(view.getUint16(0, true)) ?? -XEN_EOPNOTSUPP;
}

/** No device has memory of its own. */
function reservedMemory({ pointers }: XenDomain, pointer: number): number {
  const view = pointers.read(pointer, XENMEM_RDM_BYTES);
  if (view === undefined) return -XEN_EFAULT;
  if ((view.getUint32(XENMEM_RDM_FLAGS, true) & ~RDM_ALL) !== 0) return -XEN_EINVAL;
  return pointers.writeU32(pointer + XENMEM_RDM_NR, 0) ? 0 : -XEN_EFAULT;
}

/** Maps what belongs to another domain, for whoever serves it. */
function acquireResource(domain: XenDomain, pointer: number): number {
  const view = domain.pointers.read(pointer, XENMEM_ACQUIRE_BYTES);
  if (view === undefined) return -XEN_EFAULT;
  const frame = view.getBigUint64(XENMEM_ACQUIRE_FRAME, true);
  const last = frame + BigInt(view.getUint32(XENMEM_ACQUIRE_NR, true));
  if (view.getUint32(XENMEM_ACQUIRE_PAD, true) !== 0 || last >> 32n !== 0n) return -XEN_EINVAL;
  return domain.remoteRefusal(view.getUint16(0, true)) ?? -XEN_EPERM;
}
