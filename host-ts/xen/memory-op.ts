/**
 * memory_op: how much memory a domain has, giving some of it back and getting it again, and where the machine-to-physical table is.
 * Source: Xen's public memory.h.
 */
import { PAGE_BYTES } from "../../abi/memory.ts";
import {
  HYPERVISOR_VIRT_START,
  MACH2PHYS_VIRT_END,
  XEN_EFAULT,
  XEN_EINVAL,
  XEN_ENOMEM,
  XEN_ENOSYS,
  XEN_EPERM,
  XENMEM_ADD_TO_PHYSMAP,
  XENMEM_ADD_TO_PHYSMAP_BATCH,
  XENMEM_CURRENT_RESERVATION,
  XENMEM_DECREASE_RESERVATION,
  XENMEM_EXCHANGE,
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
  XENMEM_SET_MEMORY_MAP,
} from "../../abi/xen.ts";
import {
  E820_BYTES,
  SI_MAX_PFN,
  XENMEM_EXCHANGE_BYTES,
  XENMEM_EXCHANGE_DONE,
  XENMEM_EXCHANGE_IN,
  XENMEM_EXCHANGE_OUT,
  XENMEM_MEMORY_MAP_BUFFER,
  XENMEM_MEMORY_MAP_BYTES,
  XENMEM_MFN_LIST_BYTES,
  XENMEM_MFN_LIST_EXTENTS,
  XENMEM_MFN_LIST_MAX,
  XENMEM_MFN_LIST_NR,
  XENMEM_RESERVATION_BYTES,
  XENMEM_RESERVATION_DOMID,
  XENMEM_RESERVATION_EXTENTS,
  XENMEM_RESERVATION_NR,
  XENMEM_RESERVATION_ORDER,
} from "../../abi/xen-layout.ts";
import type { XenDomain } from "./domain.ts";
import { M2P_ENTRIES_PER_FRAME } from "./machine-map.ts";

/** Above the sub-command in its word: where a call goes on that was preempted. */
const COMMAND_MASK = 0x3f;
/** log2 of the largest extent that a domain without hardware may ask for. */
const MAX_ORDER = 9;
const E820_RAM = 1;
/** Frames of the table behind one entry of its list: what a 2 MiB page holds. */
const MFN_LIST_STRIDE = 512;

/** struct xen_memory_reservation. */
interface Request {
  readonly extents: number;
  readonly count: number;
  readonly order: number;
  readonly domid: number;
}

/** HYPERVISOR_memory_op. */
export function memoryOp(domain: XenDomain, command: number, pointer: number): number {
  const { pointers, reservation, map, host } = domain;
  switch (command & COMMAND_MASK) {
    case XENMEM_INCREASE_RESERVATION:
    case XENMEM_DECREASE_RESERVATION:
    case XENMEM_POPULATE_PHYSMAP:
      return changeReservation(domain, command & COMMAND_MASK, pointer);
    case XENMEM_EXCHANGE:
      return exchange(domain, pointer);
    case XENMEM_MAXIMUM_RAM_PAGE:
      return map.limit - 1;
    case XENMEM_CURRENT_RESERVATION:
      return ofDomain(domain, pointer) ?? reservation.currentPages;
    case XENMEM_MAXIMUM_RESERVATION:
      return ofDomain(domain, pointer) ?? reservation.maximumPages;
    case XENMEM_MAXIMUM_GPFN:
      return (
        ofDomain(domain, pointer) ??
        Math.max(0, host.memory.readU32(domain.sharedInfoGpa + SI_MAX_PFN) - 1)
      );
    case XENMEM_MACHPHYS_MFN_LIST:
    case XENMEM_MACHPHYS_COMPAT_MFN_LIST:
      return machphysList(domain, pointer);
    case XENMEM_MACHPHYS_MAPPING: {
      const last = map.m2pFrames * M2P_ENTRIES_PER_FRAME - 1;
      const mapping = Uint32Array.of(HYPERVISOR_VIRT_START, MACH2PHYS_VIRT_END, last);
      return pointers.write(pointer, new Uint8Array(mapping.buffer)) ? 0 : -XEN_EFAULT;
    }
    case XENMEM_MEMORY_MAP:
      return memoryMap(domain, pointer);
    case XENMEM_MACHINE_MEMORY_MAP:
    case XENMEM_SET_MEMORY_MAP:
      return -XEN_EPERM;
    // A domain that translates by itself has no map to add to.
    case XENMEM_ADD_TO_PHYSMAP:
    case XENMEM_ADD_TO_PHYSMAP_BATCH:
    case XENMEM_REMOVE_FROM_PHYSMAP:
      return -XEN_EPERM;
    default:
      return -XEN_ENOSYS;
  }
}

/** @returns undefined when the domain identifier at `pointer` is this domain's, else the error. */
function ofDomain(domain: XenDomain, pointer: number): number | undefined {
  const domid = domain.pointers.read(pointer, 2)?.getUint16(0, true);
  return domid === undefined ? -XEN_EFAULT : domain.refusal(domid);
}

function requestAt(view: DataView, at: number): Request {
  return {
    extents: view.getUint32(at + XENMEM_RESERVATION_EXTENTS, true),
    count: view.getUint32(at + XENMEM_RESERVATION_NR, true),
    order: view.getUint32(at + XENMEM_RESERVATION_ORDER, true),
    domid: view.getUint16(at + XENMEM_RESERVATION_DOMID, true),
  };
}

/** @returns the number of extents done, whatever stopped it. */
function changeReservation(domain: XenDomain, command: number, pointer: number): number {
  const view = domain.pointers.read(pointer, XENMEM_RESERVATION_BYTES);
  if (view === undefined) return -XEN_EFAULT;
  const request = requestAt(view, 0);
  const refused = domain.refusal(request.domid);
  if (refused !== undefined) return refused;
  if (request.order > MAX_ORDER) return 0;
  const change = CHANGES[command]!;
  let done = 0;
  while (done < request.count && change(domain, request.extents + 4 * done, request.order)) done++;
  return done;
}

/** By command: changes one extent, whose number is at a linear address. @returns whether it could. */
const CHANGES: Readonly<
  Record<number, (domain: XenDomain, lin: number, order: number) => boolean>
> = {
  [XENMEM_DECREASE_RESERVATION]: ({ pointers, reservation }, lin, order) => {
    const first = pointers.readU32(lin);
    if (first === undefined) return false;
    for (let mfn = first; mfn < first + 2 ** order; mfn++) {
      if (!reservation.giveBack(mfn)) return false;
    }
    return true;
  },
  [XENMEM_INCREASE_RESERVATION]: ({ pointers, reservation }, lin, order) => {
    const first = reservation.take(2 ** order);
    if (first === undefined) return false;
    return lin < 4 * PAGE_BYTES || pointers.writeU32(lin, first);
  },
  [XENMEM_POPULATE_PHYSMAP]: ({ pointers, reservation }, lin, order) => {
    const pfn = pointers.readU32(lin);
    const first = pfn === undefined ? undefined : reservation.take(2 ** order);
    if (pfn === undefined || first === undefined) return false;
    for (let i = 0; i < 2 ** order; i++) reservation.setPfn(first + i, pfn + i);
    return pointers.writeU32(lin, first);
  },
};

/** Frames for others that are neighbours: all or nothing. */
function exchange(domain: XenDomain, pointer: number): number {
  const { pointers, reservation } = domain;
  const view = pointers.read(pointer, XENMEM_EXCHANGE_BYTES);
  if (view === undefined) return -XEN_EFAULT;
  const given = requestAt(view, XENMEM_EXCHANGE_IN);
  const wanted = requestAt(view, XENMEM_EXCHANGE_OUT);
  const refused = domain.refusal(given.domid) ?? domain.refusal(wanted.domid);
  if (refused !== undefined) return refused;
  if (given.order > MAX_ORDER || wanted.order > MAX_ORDER) return -XEN_EPERM;
  const pages = given.count * 2 ** given.order;
  if (pages !== wanted.count * 2 ** wanted.order || given.count > reservation.maximumPages) {
    return -XEN_EINVAL;
  }
  if (view.getUint32(XENMEM_EXCHANGE_DONE, true) > given.count) return -XEN_EINVAL;
  const inputs = pointers.read(given.extents, 4 * given.count);
  const outputs = pointers.read(wanted.extents, 4 * wanted.count);
  if (inputs === undefined || outputs === undefined) return -XEN_EFAULT;
  for (let i = 0; i < given.count; i++) {
    const first = inputs.getUint32(4 * i, true);
    for (let mfn = first; mfn < first + 2 ** given.order; mfn++) {
      if (!reservation.giveBack(mfn)) return -XEN_EINVAL;
    }
  }
  for (let i = 0; i < wanted.count; i++) {
    const pfn = outputs.getUint32(4 * i, true);
    const first = reservation.take(2 ** wanted.order);
    if (first === undefined) return -XEN_ENOMEM;
    for (let page = 0; page < 2 ** wanted.order; page++) {
      reservation.setPfn(first + page, pfn + page);
    }
    if (!pointers.writeU32(wanted.extents + 4 * i, first)) return -XEN_EFAULT;
  }
  return pointers.writeU32(pointer + XENMEM_EXCHANGE_DONE, given.count) ? 0 : -XEN_EFAULT;
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

/** One range: pseudo-physical memory begins at 0 and has no holes. */
function memoryMap({ pointers, reservation }: XenDomain, pointer: number): number {
  const view = pointers.read(pointer, XENMEM_MEMORY_MAP_BYTES);
  if (view === undefined) return -XEN_EFAULT;
  const room = view.getUint32(0, true);
  const buffer = view.getUint32(XENMEM_MEMORY_MAP_BUFFER, true);
  const entry = new DataView(new ArrayBuffer(E820_BYTES));
  entry.setBigUint64(8, BigInt(reservation.maximumPages * PAGE_BYTES), true);
  entry.setUint32(16, E820_RAM, true);
  const count = Math.min(room, 1);
  if (count > 0 && !pointers.write(buffer, new Uint8Array(entry.buffer))) return -XEN_EFAULT;
  return pointers.writeU32(pointer, count) ? 0 : -XEN_EFAULT;
}
