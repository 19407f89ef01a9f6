/**
 * grant_table_op: each entry of its list is done by itself and gets a status of its own; the call itself fails only where the list cannot be
 * reached. Long lists are done in pieces: the guest makes the call again for the rest, as under Xen.
 * Source: Xen's public grant_table.h and the behaviour of Xen 4.17 towards 32-bit guests.
 */
import { PAGE_BYTES } from "../../abi/memory.ts";
import {
  GNTMAP_DEVICE_MAP,
  GNTMAP_HOST_MAP,
  GNTST_BAD_DOMAIN,
  GNTST_BAD_GNTREF,
  GNTST_BAD_PAGE,
  GNTST_BAD_VIRT_ADDR,
  GNTST_GENERAL_ERROR,
  GNTST_OKAY,
  GNTST_PERMISSION_DENIED,
  GNTTAB_CACHE_CLEAN,
  GNTTAB_CACHE_INVAL,
  GNTTABOP_CACHE_FLUSH,
  GNTTABOP_CMD_MASK,
  GNTTABOP_COPY,
  GNTTABOP_GET_STATUS_FRAMES,
  GNTTABOP_GET_VERSION,
  GNTTABOP_MAP_GRANT_REF,
  GNTTABOP_QUERY_SIZE,
  GNTTABOP_SET_VERSION,
  GNTTABOP_SETUP_TABLE,
  GNTTABOP_SWAP_GRANT_REF,
  GNTTABOP_TRANSFER,
  GNTTABOP_UNMAP_AND_REPLACE,
  GNTTABOP_UNMAP_GRANT_REF,
  GRANT_MAX_FRAMES,
  HYPERVISOR_VIRT_START,
  XEN_EFAULT,
  XEN_EINVAL,
  XEN_ENOSYS,
  XEN_EOPNOTSUPP,
  XEN_EPERM,
} from "../../abi/xen.ts";
import {
  GNTTAB_CACHE_FLUSH_ADDR,
  GNTTAB_CACHE_FLUSH_BYTES,
  GNTTAB_CACHE_FLUSH_LENGTH,
  GNTTAB_CACHE_FLUSH_OFFSET,
  GNTTAB_CACHE_FLUSH_OP,
  GNTTAB_COPY_BYTES,
  GNTTAB_COPY_STATUS,
  GNTTAB_GET_VERSION_BYTES,
  GNTTAB_GET_VERSION_DOM,
  GNTTAB_GET_VERSION_VERSION,
  GNTTAB_MAP_BYTES,
  GNTTAB_MAP_DEV_BUS_ADDR,
  GNTTAB_MAP_DOM,
  GNTTAB_MAP_FLAGS,
  GNTTAB_MAP_HANDLE,
  GNTTAB_MAP_HOST_ADDR,
  GNTTAB_MAP_REF,
  GNTTAB_MAP_STATUS,
  GNTTAB_QUERY_BYTES,
  GNTTAB_QUERY_DOM,
  GNTTAB_QUERY_MAX_FRAMES,
  GNTTAB_QUERY_NR_FRAMES,
  GNTTAB_QUERY_STATUS,
  GNTTAB_SET_VERSION_BYTES,
  GNTTAB_SETUP_BYTES,
  GNTTAB_SETUP_DOM,
  GNTTAB_SETUP_FRAME_LIST,
  GNTTAB_SETUP_NR_FRAMES,
  GNTTAB_SETUP_STATUS,
  GNTTAB_STATUS_FRAMES_BYTES,
  GNTTAB_STATUS_FRAMES_DOM,
  GNTTAB_STATUS_FRAMES_LIST,
  GNTTAB_STATUS_FRAMES_NR,
  GNTTAB_STATUS_FRAMES_STATUS,
  GNTTAB_SWAP_BYTES,
  GNTTAB_SWAP_REF_A,
  GNTTAB_SWAP_REF_B,
  GNTTAB_SWAP_STATUS,
  GNTTAB_TRANSFER_BYTES,
  GNTTAB_TRANSFER_DOMID,
  GNTTAB_TRANSFER_MFN,
  GNTTAB_TRANSFER_REF,
  GNTTAB_TRANSFER_STATUS,
  GNTTAB_UNMAP_BYTES,
  GNTTAB_UNMAP_DEV_BUS_ADDR,
  GNTTAB_UNMAP_HANDLE,
  GNTTAB_UNMAP_HOST_ADDR,
  GNTTAB_UNMAP_REPLACE_BYTES,
  GNTTAB_UNMAP_REPLACE_NEW_ADDR,
  GNTTAB_UNMAP_STATUS,
} from "../../abi/xen-layout.ts";
import { PAGE_OWNED, PAGE_SHARED } from "../../abi/xen-memory.ts";
import type { XenDomain } from "./domain.ts";
import { copyGrant } from "./grant-copy.ts";
import { hostGrantStatus } from "./xen-machine.ts";

/** Acts on one entry in place. @returns a negative errno when the call as such fails. */
type EntryHandler = (domain: XenDomain, entry: DataView) => number | undefined;

interface Operation {
  readonly bytes: number;
  readonly handle: EntryHandler;
  /** A call of this kind has exactly one entry. */
  readonly isSingle?: boolean;
}

const u16 = (entry: DataView, at: number) => entry.getUint16(at, true);
const u32 = (entry: DataView, at: number) => entry.getUint32(at, true);

/** A list operation whose entries get what `perform` says as their status. */
function list(
  bytes: number,
  statusAt: number,
  perform: (domain: XenDomain, entry: DataView) => number,
): Operation {
  const handle: EntryHandler = (domain, entry) => {
    entry.setInt16(statusAt, perform(domain, entry), true);
    return undefined;
  };
  return { bytes, handle };
}

const OPERATIONS: Readonly<Record<number, Operation>> = {
  [GNTTABOP_MAP_GRANT_REF]: list(GNTTAB_MAP_BYTES, GNTTAB_MAP_STATUS, map),
  [GNTTABOP_UNMAP_GRANT_REF]: list(GNTTAB_UNMAP_BYTES, GNTTAB_UNMAP_STATUS, unmap),
  [GNTTABOP_UNMAP_AND_REPLACE]: list(
    GNTTAB_UNMAP_REPLACE_BYTES,
    GNTTAB_UNMAP_STATUS,
    unmapAndReplace,
  ),
  [GNTTABOP_TRANSFER]: list(GNTTAB_TRANSFER_BYTES, GNTTAB_TRANSFER_STATUS, transfer),
  [GNTTABOP_COPY]: list(GNTTAB_COPY_BYTES, GNTTAB_COPY_STATUS, copyGrant),
  [GNTTABOP_SWAP_GRANT_REF]: list(GNTTAB_SWAP_BYTES, GNTTAB_SWAP_STATUS, swap),
  [GNTTABOP_CACHE_FLUSH]: { bytes: GNTTAB_CACHE_FLUSH_BYTES, handle: cacheFlush },
  [GNTTABOP_SETUP_TABLE]: { bytes: GNTTAB_SETUP_BYTES, handle: setupTable, isSingle: true },
  [GNTTABOP_QUERY_SIZE]: { bytes: GNTTAB_QUERY_BYTES, handle: querySize, isSingle: true },
  [GNTTABOP_GET_STATUS_FRAMES]: {
    bytes: GNTTAB_STATUS_FRAMES_BYTES,
    handle: statusFrames,
    isSingle: true,
  },
};

/** Entries done before the guest makes the call again. */
const PIECE = 256;
const GUEST_END = HYPERVISOR_VIRT_START >>> 0;

/** HYPERVISOR_grant_table_op. @returns undefined when the guest is to make the call again for the rest. */
export function grantTableOp(
  domain: XenDomain,
  command: number,
  list: number,
  count: number,
): number | undefined {
  if (count >>> 31 !== 0) return -XEN_EINVAL;
  if ((command & ~GNTTABOP_CMD_MASK) !== 0) return -XEN_EINVAL;
  if (command === GNTTABOP_SET_VERSION) return setVersion(domain, list);
  if (command === GNTTABOP_GET_VERSION) return getVersion(domain, list);
  const operation = OPERATIONS[command];
  if (operation === undefined) return -XEN_ENOSYS;
  if (operation.isSingle && count > 1) return -XEN_EINVAL;
  if (list + count * operation.bytes > GUEST_END) return -XEN_EFAULT;
  const { pointers } = domain;
  for (let i = 0; i < Math.min(count, PIECE); i++) {
    const at = list + i * operation.bytes;
    const entry = pointers.read(at, operation.bytes);
    if (entry === undefined) return -XEN_EFAULT;
    const error = operation.handle(domain, entry);
    if (error !== undefined) return error;
    if (!pointers.write(at, new Uint8Array(entry.buffer))) return -XEN_EFAULT;
  }
  if (count <= PIECE) return 0;
  return domain.again(command, list + PIECE * operation.bytes, count - PIECE);
}

/** An address of 64 bits; undefined past the 32 that there are. */
function address(entry: DataView, at: number): number | undefined {
  return u32(entry, at + 4) === 0 ? u32(entry, at) : undefined;
}

function map(domain: XenDomain, entry: DataView): number {
  const flags = u32(entry, GNTTAB_MAP_FLAGS);
  const domid = u16(entry, GNTTAB_MAP_DOM);
  const ref = u32(entry, GNTTAB_MAP_REF);
  if ((flags & (GNTMAP_HOST_MAP | GNTMAP_DEVICE_MAP)) === 0) return GNTST_BAD_GNTREF;
  const granter = domain.machine.find(domid);
  if (granter === undefined) {
    return domain.machine.isThere(domid) ? hostGrantStatus(ref) : GNTST_BAD_DOMAIN;
  }
  const hostAddress = address(entry, GNTTAB_MAP_HOST_ADDR);
  const { status, handle, busAddress } = domain.grantMaps.map(granter, { ref, flags, hostAddress });
  if (status !== GNTST_OKAY) return status;
  entry.setUint32(GNTTAB_MAP_HANDLE, handle, true);
  entry.setBigUint64(GNTTAB_MAP_DEV_BUS_ADDR, BigInt(busAddress), true);
  return status;
}

function unmap({ grantMaps }: XenDomain, entry: DataView): number {
  return grantMaps.unmap({
    handle: u32(entry, GNTTAB_UNMAP_HANDLE),
    hostAddress: address(entry, GNTTAB_UNMAP_HOST_ADDR),
    busAddress: address(entry, GNTTAB_UNMAP_DEV_BUS_ADDR),
    newAddress: 0,
  });
}

function unmapAndReplace({ grantMaps }: XenDomain, entry: DataView): number {
  return grantMaps.unmap({
    handle: u32(entry, GNTTAB_UNMAP_HANDLE),
    hostAddress: address(entry, GNTTAB_UNMAP_HOST_ADDR),
    busAddress: 0,
    newAddress: address(entry, GNTTAB_UNMAP_REPLACE_NEW_ADDR),
  });
}

/** The page is gone whatever comes of it, once it can be given at all. */
function transfer(domain: XenDomain, entry: DataView): number {
  const { reservation, machine } = domain;
  const mfn = u32(entry, GNTTAB_TRANSFER_MFN);
  const domid = u16(entry, GNTTAB_TRANSFER_DOMID);
  const ref = u32(entry, GNTTAB_TRANSFER_REF);
  if (!reservation.isFree(mfn)) return GNTST_BAD_PAGE;
  const taker = machine.find(domid);
  const hasRoom =
    taker !== undefined && taker.reservation.currentPages < taker.reservation.maximumPages;
  if (taker === undefined || !hasRoom || !taker.grants.commitTransfer(ref, domain.domid)) {
    reservation.giveBack(mfn);
    return machine.isThere(domid) ? GNTST_GENERAL_ERROR : GNTST_BAD_DOMAIN;
  }
  const taken = reservation.moveTo(taker.reservation, mfn);
  if (taken === undefined) {
    reservation.giveBack(mfn);
    return GNTST_GENERAL_ERROR;
  }
  taker.reservation.setPfn(taken, taker.grants.completeTransfer(ref, taken));
  return GNTST_OKAY;
}

function swap({ grants }: XenDomain, entry: DataView): number {
  return grants.swap(u32(entry, GNTTAB_SWAP_REF_A), u32(entry, GNTTAB_SWAP_REF_B));
}

/** Memory is coherent: there is nothing to do, but for the rules. */
function cacheFlush(domain: XenDomain, entry: DataView): number | undefined {
  const offset = u16(entry, GNTTAB_CACHE_FLUSH_OFFSET);
  const length = u16(entry, GNTTAB_CACHE_FLUSH_LENGTH);
  const operation = u32(entry, GNTTAB_CACHE_FLUSH_OP);
  const isWithin = offset < PAGE_BYTES && offset + length <= PAGE_BYTES;
  if (!isWithin || (operation & ~(GNTTAB_CACHE_CLEAN | GNTTAB_CACHE_INVAL)) !== 0) {
    return -XEN_EINVAL;
  }
  if (length === 0 || operation === 0) return undefined;
  const mfn = Math.floor((address(entry, GNTTAB_CACHE_FLUSH_ADDR) ?? 2 ** 52) / PAGE_BYTES);
  if (mfn >= domain.map.limit) return -XEN_EINVAL;
  const { core, guest } = domain.host;
  const isOwn = (core.exports.xenTypeOf(guest, mfn) & (PAGE_OWNED | PAGE_SHARED)) !== 0;
  if (!isOwn && !domain.grantMaps.hasMapped(mfn)) return -XEN_EPERM;
  return operation === GNTTAB_CACHE_INVAL ? -XEN_EOPNOTSUPP : undefined;
}

/** What became of it is written back also when nothing did. */
function setVersion({ pointers, grants }: XenDomain, at: number): number {
  const wanted = pointers.read(at, GNTTAB_SET_VERSION_BYTES)?.getUint32(0, true);
  if (wanted === undefined) return -XEN_EFAULT;
  const error = grants.setVersion(wanted);
  return pointers.writeU32(at, grants.version) ? error : -XEN_EFAULT;
}

function getVersion(domain: XenDomain, at: number): number {
  const { pointers, grants } = domain;
  const request = pointers.read(at, GNTTAB_GET_VERSION_BYTES);
  if (request === undefined) return -XEN_EFAULT;
  const refused = domain.refusal(u16(request, GNTTAB_GET_VERSION_DOM));
  if (refused !== undefined) return refused;
  return pointers.writeU32(at + GNTTAB_GET_VERSION_VERSION, grants.version) ? 0 : -XEN_EFAULT;
}

/** @returns GNTST_OKAY when a domain identifier means the caller. */
function whose(domain: XenDomain, domid: number): number {
  if (domain.isSelf(domid)) return GNTST_OKAY;
  return domain.machine.isThere(domid) ? GNTST_PERMISSION_DENIED : GNTST_BAD_DOMAIN;
}

function setupTable(domain: XenDomain, entry: DataView): number | undefined {
  const { grants, pointers } = domain;
  const count = u32(entry, GNTTAB_SETUP_NR_FRAMES);
  const frames = u32(entry, GNTTAB_SETUP_FRAME_LIST);
  if (frames + 4 * count > GUEST_END) return -XEN_EFAULT;
  let status = whose(domain, u16(entry, GNTTAB_SETUP_DOM));
  if (status === GNTST_OKAY && !grants.grow(count)) status = GNTST_GENERAL_ERROR;
  if (status === GNTST_OKAY) {
    for (let i = 0; i < count; i++) {
      const isWritten = pointers.writeU32(frames + 4 * i, grants.frameMfn(i));
      if (!isWritten) status = GNTST_BAD_VIRT_ADDR;
    }
  }
  entry.setInt16(GNTTAB_SETUP_STATUS, status, true);
  return undefined;
}

function querySize(domain: XenDomain, entry: DataView): undefined {
  const status = whose(domain, u16(entry, GNTTAB_QUERY_DOM));
  entry.setInt16(GNTTAB_QUERY_STATUS, status, true);
  if (status !== GNTST_OKAY) return;
  entry.setUint32(GNTTAB_QUERY_NR_FRAMES, domain.grants.frames, true);
  entry.setUint32(GNTTAB_QUERY_MAX_FRAMES, GRANT_MAX_FRAMES, true);
}

function statusFrames(domain: XenDomain, entry: DataView): number | undefined {
  const { grants, pointers } = domain;
  const count = u32(entry, GNTTAB_STATUS_FRAMES_NR);
  const frames = u32(entry, GNTTAB_STATUS_FRAMES_LIST);
  if (frames + 8 * count > GUEST_END) return -XEN_EFAULT;
  let status = whose(domain, u16(entry, GNTTAB_STATUS_FRAMES_DOM));
  if (status === GNTST_OKAY && count > grants.statusFrames) status = GNTST_GENERAL_ERROR;
  if (status === GNTST_OKAY) {
    for (let i = 0; i < count; i++) {
      const frame = Uint32Array.of(grants.statusMfn(i), 0);
      const isWritten = pointers.write(frames + 8 * i, new Uint8Array(frame.buffer));
      if (!isWritten) status = GNTST_BAD_VIRT_ADDR;
    }
  }
  entry.setInt16(GNTTAB_STATUS_FRAMES_STATUS, status, true);
  return undefined;
}
