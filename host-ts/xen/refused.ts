/**
 * Calls that exist and are not for a domain like these: what Xen 4.17 answers who may not, in the order in which it looks at the arguments.
 */
import {
  XEN_DOMCTL_INTERFACE_VERSION,
  XEN_E2BIG,
  XEN_EACCES,
  XEN_EFAULT,
  XEN_EINVAL,
  XEN_ENODEV,
  XEN_ENOSYS,
  XEN_EOPNOTSUPP,
  XEN_EPERM,
  XEN_ESRCH,
  XEN_SYSCTL_INTERFACE_VERSION,
  XENPF_INTERFACE_VERSION,
} from "../../abi/xen.ts";
import {
  DM_OP_BUFFER_BYTES,
  DOMCTL_BYTES,
  DOMCTL_DOMAIN,
  INTERFACE_VERSION,
  PLATFORM_OP_BYTES,
  SYSCTL_BYTES,
} from "../../abi/xen-layout.ts";
import type { XenDomain } from "./domain.ts";

/** Commands of domctl that name no domain, or may. */
const DOMCTL_WITHOUT_DOMAIN = [1, 1000];
/** Command of domctl that may be made again by another call. */
const DOMCTL_SHADOW_OP = 10;
/** Buffers that dm_op takes at most. */
const MAX_DM_BUFFERS = 2;
/** xenoprof_op: its last command, and those by which a domain may try to begin. */
const LAST_PROFILE_COMMAND = 17;
const PROFILE_START = [0, 14];
const PROFILE_INIT_BYTES = 0x4c;
const PROFILE_BUFFER_BYTES = 0x18;

/** For whoever has all rights, whatever is asked. */
export function denied(): number {
  return -XEN_EPERM;
}

/** What this Xen was built without. */
export function notBuiltIn(): number {
  return -XEN_ENOSYS;
}

/** platform_op: command and version first, then rights. */
export function platformOp({ pointers }: XenDomain, pointer: number): number {
  return versioned(pointers.read(pointer, PLATFORM_OP_BYTES), XENPF_INTERFACE_VERSION);
}

export function sysctl({ pointers }: XenDomain, pointer: number): number {
  return versioned(pointers.read(pointer, SYSCTL_BYTES), XEN_SYSCTL_INTERFACE_VERSION);
}

/** domctl: the domain is looked for before rights are. */
export function domctl(domain: XenDomain, pointer: number): number {
  const op = domain.pointers.read(pointer, DOMCTL_BYTES);
  const result = versioned(op, XEN_DOMCTL_INTERFACE_VERSION);
  if (op === undefined || result !== -XEN_EPERM) return result;
  if (DOMCTL_WITHOUT_DOMAIN.includes(op.getUint32(0, true))) return -XEN_EPERM;
  return domain.remoteRefusal(op.getUint16(DOMCTL_DOMAIN, true)) ?? -XEN_EPERM;
}

/** The other end of a domctl that takes long. */
export function pagingDomctlCont(domain: XenDomain, pointer: number): number {
  const op = domain.pointers.read(pointer, DOMCTL_BYTES);
  if (op === undefined) return -XEN_EFAULT;
  const isKnown =
    op.getUint32(INTERFACE_VERSION, true) === XEN_DOMCTL_INTERFACE_VERSION &&
    op.getUint32(0, true) === DOMCTL_SHADOW_OP;
  if (!isKnown) return -XEN_EOPNOTSUPP;
  return domain.remoteRefusal(op.getUint16(DOMCTL_DOMAIN, true)) ?? -XEN_EPERM;
}

function versioned(op: DataView | undefined, version: number): number {
  if (op === undefined) return -XEN_EFAULT;
  return op.getUint32(INTERFACE_VERSION, true) === version ? -XEN_EPERM : -XEN_EACCES;
}

/** No processor of these can count events. */
export function xenpmuOp(): number {
  return -XEN_EOPNOTSUPP;
}

/** xenoprof_op: for the same reason nothing can be profiled. */
export function xenoprofOp({ pointers }: XenDomain, command: number, pointer: number): number {
  if (command > LAST_PROFILE_COMMAND) return -XEN_EINVAL;
  if (!PROFILE_START.includes(command)) return -XEN_EPERM;
  const bytes = command === 0 ? PROFILE_INIT_BYTES : PROFILE_BUFFER_BYTES;
  return pointers.read(pointer, bytes) === undefined ? -XEN_EFAULT : -XEN_ENODEV;
}

/** dm_op: about another domain, and only one with hardware of its own. */
export function dmOp(domain: XenDomain, domid: number, count: number, list: number): number {
  if (count > MAX_DM_BUFFERS) return -XEN_E2BIG;
  if (domain.pointers.read(list, count * DM_OP_BUFFER_BYTES) === undefined) return -XEN_EFAULT;
  return domain.remoteRefusal(domid & 0xffff) ?? -XEN_EINVAL;
}

/** @returns -ESRCH for a domain that there is not, else `error`. */
export function unlessMissing(domain: XenDomain, domid: number, error: number): number {
  return domain.refusal(domid) === -XEN_ESRCH ? -XEN_ESRCH : error;
}
