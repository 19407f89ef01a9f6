/**
 * grant_table_op: each entry of its list is done by itself and gets a status of its own; the call itself fails only where the list cannot be
 * reached. Source: Xen's public grant_table.h.
 */
import { PAGE_BYTES } from "../../abi/memory.ts";
import {
  GNTCOPY_DEST_GREF,
  GNTCOPY_SOURCE_GREF,
  GNTST_BAD_COPY_ARG,
  GNTST_BAD_DOMAIN,
  GNTST_BAD_GNTREF,
  GNTST_BAD_HANDLE,
  GNTST_BAD_PAGE,
  GNTST_GENERAL_ERROR,
  GNTST_OKAY,
  GNTST_PERMISSION_DENIED,
  GNTTABOP_CACHE_FLUSH,
  GNTTABOP_COPY,
  GNTTABOP_DUMP_TABLE,
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
  XEN_EFAULT,
  XEN_EINVAL,
  XEN_ENOSYS,
} from "../../abi/xen.ts";
import {
  GNTTAB_COPY_BYTES,
  GNTTAB_COPY_DEST,
  GNTTAB_COPY_FLAGS,
  GNTTAB_COPY_LEN,
  GNTTAB_COPY_PTR_DOMID,
  GNTTAB_COPY_PTR_OFFSET,
  GNTTAB_COPY_SOURCE,
  GNTTAB_COPY_STATUS,
  GNTTAB_GET_VERSION_BYTES,
  GNTTAB_GET_VERSION_DOM,
  GNTTAB_GET_VERSION_VERSION,
  GNTTAB_MAP_BYTES,
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
  GNTTAB_SWAP_STATUS,
  GNTTAB_TRANSFER_BYTES,
  GNTTAB_TRANSFER_STATUS,
  GNTTAB_UNMAP_BYTES,
  GNTTAB_UNMAP_REPLACE_BYTES,
  GNTTAB_UNMAP_REPLACE_STATUS,
  GNTTAB_UNMAP_STATUS,
} from "../../abi/xen-layout.ts";
import type { XenDomain } from "./domain.ts";

/** Acts on one entry in place. @returns a negative errno when something that it points to cannot be reached. */
type EntryHandler = (domain: XenDomain, entry: DataView) => number | undefined;

const OPERATIONS: Readonly<
  Record<number, { readonly bytes: number; readonly handle: EntryHandler }>
> = {
  // The only other domain here is the Host, which grants nothing.
  [GNTTABOP_MAP_GRANT_REF]: only(GNTTAB_MAP_BYTES, GNTTAB_MAP_STATUS, GNTST_BAD_DOMAIN),
  [GNTTABOP_UNMAP_GRANT_REF]: only(GNTTAB_UNMAP_BYTES, GNTTAB_UNMAP_STATUS, GNTST_BAD_HANDLE),
  [GNTTABOP_UNMAP_AND_REPLACE]: only(
    GNTTAB_UNMAP_REPLACE_BYTES,
    GNTTAB_UNMAP_REPLACE_STATUS,
    GNTST_BAD_HANDLE,
  ),
  [GNTTABOP_TRANSFER]: only(GNTTAB_TRANSFER_BYTES, GNTTAB_TRANSFER_STATUS, GNTST_BAD_DOMAIN),
  [GNTTABOP_SWAP_GRANT_REF]: only(GNTTAB_SWAP_BYTES, GNTTAB_SWAP_STATUS, GNTST_BAD_GNTREF),
  [GNTTABOP_DUMP_TABLE]: only(8, 4, GNTST_PERMISSION_DENIED),
  [GNTTABOP_SETUP_TABLE]: { bytes: GNTTAB_SETUP_BYTES, handle: setupTable },
  [GNTTABOP_COPY]: { bytes: GNTTAB_COPY_BYTES, handle: copy },
  [GNTTABOP_QUERY_SIZE]: { bytes: GNTTAB_QUERY_BYTES, handle: querySize },
  [GNTTABOP_GET_STATUS_FRAMES]: { bytes: GNTTAB_STATUS_FRAMES_BYTES, handle: statusFrames },
  [GNTTABOP_GET_VERSION]: { bytes: GNTTAB_GET_VERSION_BYTES, handle: getVersion },
};

/** Entries of one list: more than any guest has grants for. */
const MAX_ENTRIES = 0x10000;

/** HYPERVISOR_grant_table_op. */
export function grantTableOp(
  domain: XenDomain,
  command: number,
  list: number,
  count: number,
): number {
  if (command === GNTTABOP_SET_VERSION) return setVersion(domain, list, count);
  if (command === GNTTABOP_CACHE_FLUSH) return -XEN_ENOSYS;
  const operation = OPERATIONS[command];
  if (operation === undefined) return -XEN_ENOSYS;
  if (count > MAX_ENTRIES) return -XEN_EINVAL;
  const { pointers } = domain;
  for (let i = 0; i < count; i++) {
    const at = list + i * operation.bytes;
    const entry = pointers.read(at, operation.bytes);
    if (entry === undefined) return -XEN_EFAULT;
    const error = operation.handle(domain, entry);
    if (error !== undefined) return error;
    if (!pointers.write(at, new Uint8Array(entry.buffer))) return -XEN_EFAULT;
  }
  return 0;
}

/** An operation that has the same answer always. */
function only(bytes: number, statusAt: number, status: number) {
  const handle: EntryHandler = (_, entry) => {
    entry.setInt16(statusAt, status, true);
    return undefined;
  };
  return { bytes, handle };
}

function setVersion({ pointers, grants }: XenDomain, list: number, count: number): number {
  if (count !== 1) return -XEN_EINVAL;
  const wanted = pointers.read(list, GNTTAB_SET_VERSION_BYTES)?.getUint32(0, true);
  if (wanted === undefined) return -XEN_EFAULT;
  const error = grants.setVersion(wanted);
  if (error !== 0) return error;
  return pointers.writeU32(list, grants.version) ? 0 : -XEN_EFAULT;
}

function setupTable(domain: XenDomain, entry: DataView): number | undefined {
  const { grants, pointers } = domain;
  const count = entry.getUint32(GNTTAB_SETUP_NR_FRAMES, true);
  const setStatus = (status: number) => entry.setInt16(GNTTAB_SETUP_STATUS, status, true);
  if (!domain.isSelf(entry.getUint16(GNTTAB_SETUP_DOM, true))) setStatus(GNTST_BAD_DOMAIN);
  else if (!grants.grow(count)) setStatus(GNTST_GENERAL_ERROR);
  else {
    const list = entry.getUint32(GNTTAB_SETUP_FRAME_LIST, true);
    for (let i = 0; i < count; i++) {
      if (!pointers.writeU32(list + 4 * i, grants.frameMfn(i))) return -XEN_EFAULT;
    }
    setStatus(GNTST_OKAY);
  }
  return undefined;
}

function querySize(domain: XenDomain, entry: DataView): undefined {
  const isSelf = domain.isSelf(entry.getUint16(GNTTAB_QUERY_DOM, true));
  entry.setInt16(GNTTAB_QUERY_STATUS, isSelf ? GNTST_OKAY : GNTST_BAD_DOMAIN, true);
  if (!isSelf) return;
  entry.setUint32(GNTTAB_QUERY_NR_FRAMES, domain.grants.frames, true);
  entry.setUint32(GNTTAB_QUERY_MAX_FRAMES, GRANT_MAX_FRAMES, true);
}

function getVersion(domain: XenDomain, entry: DataView): number | undefined {
  if (!domain.isSelf(entry.getUint16(GNTTAB_GET_VERSION_DOM, true))) return -XEN_EINVAL;
  entry.setUint32(GNTTAB_GET_VERSION_VERSION, domain.grants.version, true);
  return undefined;
}

function statusFrames(domain: XenDomain, entry: DataView): number | undefined {
  const { grants, pointers } = domain;
  const count = entry.getUint32(GNTTAB_STATUS_FRAMES_NR, true);
  const setStatus = (status: number) => entry.setInt16(GNTTAB_STATUS_FRAMES_STATUS, status, true);
  if (!domain.isSelf(entry.getUint16(GNTTAB_STATUS_FRAMES_DOM, true))) setStatus(GNTST_BAD_DOMAIN);
  else if (grants.version !== 2 || count > grants.statusFrames) setStatus(GNTST_GENERAL_ERROR);
  else {
    const list = entry.getUint32(GNTTAB_STATUS_FRAMES_LIST, true);
    for (let i = 0; i < count; i++) {
      const frame = Uint32Array.of(grants.statusMfn(i), 0);
      if (!pointers.write(list + 8 * i, new Uint8Array(frame.buffer))) return -XEN_EFAULT;
    }
    setStatus(GNTST_OKAY);
  }
  return undefined;
}

/** Between two pages of this domain; the Host grants none of its own. */
function copy(domain: XenDomain, entry: DataView): undefined {
  entry.setInt16(GNTTAB_COPY_STATUS, copyStatus(domain, entry), true);
}

function copyStatus(domain: XenDomain, entry: DataView): number {
  const flags = entry.getUint16(GNTTAB_COPY_FLAGS, true);
  const length = entry.getUint16(GNTTAB_COPY_LEN, true);
  const side = (at: number, isReference: boolean, isWrite: boolean) => {
    const offset = entry.getUint16(at + GNTTAB_COPY_PTR_OFFSET, true);
    const domid = entry.getUint16(at + GNTTAB_COPY_PTR_DOMID, true);
    if (offset + length > PAGE_BYTES) return { status: GNTST_BAD_COPY_ARG, gpa: 0 };
    if (isReference || !domain.isSelf(domid)) {
      return { status: isReference ? GNTST_BAD_DOMAIN : GNTST_PERMISSION_DENIED, gpa: 0 };
    }
    const mfn = entry.getUint32(at, true);
    const gpa = mfn * PAGE_BYTES;
    const isUsable = domain.reservation.isUsable(mfn, isWrite);
    return isUsable
      ? { status: GNTST_OKAY, gpa: gpa + offset }
      : { status: GNTST_BAD_PAGE, gpa: 0 };
  };
  const source = side(GNTTAB_COPY_SOURCE, (flags & GNTCOPY_SOURCE_GREF) !== 0, false);
  if (source.status !== GNTST_OKAY) return source.status;
  const target = side(GNTTAB_COPY_DEST, (flags & GNTCOPY_DEST_GREF) !== 0, true);
  if (target.status !== GNTST_OKAY) return target.status;
  const { memory } = domain.host;
  memory.write(target.gpa, memory.read(source.gpa, length));
  return GNTST_OKAY;
}
