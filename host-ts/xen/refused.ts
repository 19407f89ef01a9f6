/** Calls that exist and are not for a domain like these: what Xen answers who may not. */
import {
  CONSOLEIO_READ,
  CONSOLEIO_WRITE,
  XEN_DOMCTL_INTERFACE_VERSION,
  XEN_EACCES,
  XEN_EFAULT,
  XEN_EINVAL,
  XEN_ENOSYS,
  XEN_EOPNOTSUPP,
  XEN_EPERM,
  XEN_ESRCH,
  XEN_SYSCTL_INTERFACE_VERSION,
  XENPF_INTERFACE_VERSION,
} from "../../abi/xen.ts";
import type { XenDomain } from "./domain.ts";

/** console_io: the hypervisor's own console is closed to domains. */
export function consoleIo(_: XenDomain, command: number): number {
  return command === CONSOLEIO_WRITE || command === CONSOLEIO_READ ? -XEN_EPERM : -XEN_ENOSYS;
}

/** platform_op: command and version first, then rights. */
export function platformOp({ pointers }: XenDomain, pointer: number): number {
  return versioned(pointers.read(pointer, 8), 4, XENPF_INTERFACE_VERSION, -XEN_EPERM);
}

export function sysctl({ pointers }: XenDomain, pointer: number): number {
  return versioned(pointers.read(pointer, 8), 4, XEN_SYSCTL_INTERFACE_VERSION, -XEN_EPERM);
}

export function domctl({ pointers }: XenDomain, pointer: number): number {
  return versioned(pointers.read(pointer, 8), 4, XEN_DOMCTL_INTERFACE_VERSION, -XEN_EPERM);
}

function versioned(
  head: DataView | undefined,
  versionAt: number,
  version: number,
  refusal: number,
): number {
  if (head === undefined) return -XEN_EFAULT;
  return head.getUint32(versionAt, true) === version ? refusal : -XEN_EACCES;
}

/** hvm_op: a paravirtual domain has none of what it is about. */
export function hvmOp(_: XenDomain, command: number): number {
  return HVM_OPS.includes(command) ? -XEN_EINVAL : -XEN_ENOSYS;
}
const HVM_OPS = [0, 1, 5, 9, 10, 15, 19, 20, 21, 22, 23, 24, 25];

export function kexecOp(): number {
  return -XEN_EPERM;
}
export function xenpmuOp(): number {
  return -XEN_EOPNOTSUPP;
}
export function dmOp(): number {
  return -XEN_ESRCH;
}
export function notBuiltIn(): number {
  return -XEN_ENOSYS;
}
