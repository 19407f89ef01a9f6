/**
 * sched_op: giving up the processor, waiting for events, and the ways in which a domain ends.
 * Source: Xen's public sched.h.
 */
import {
  SCHEDOP_BLOCK,
  SCHEDOP_PIN_OVERRIDE,
  SCHEDOP_POLL,
  SCHEDOP_POLL_PORTS,
  SCHEDOP_REMOTE_SHUTDOWN,
  SCHEDOP_SHUTDOWN,
  SCHEDOP_SHUTDOWN_CODE,
  SCHEDOP_WATCHDOG,
  SCHEDOP_YIELD,
  XEN_EFAULT,
  XEN_EINVAL,
  XEN_ENOSYS,
  XEN_EPERM,
} from "../../abi/xen.ts";
import {
  SCHED_POLL_BYTES,
  SCHED_POLL_NR_PORTS,
  SCHED_POLL_PORTS,
  SCHED_POLL_TIMEOUT,
} from "../../abi/xen-layout.ts";
import type { XenDomain } from "./domain.ts";

/** HYPERVISOR_sched_op_compat: arguments by value. */
export function schedOpCompat(
  domain: XenDomain,
  command: number,
  argument: number,
): number | undefined {
  if (command === SCHEDOP_SHUTDOWN) return domain.shutDown(argument & 0xff);
  return command === SCHEDOP_YIELD || command === SCHEDOP_BLOCK
    ? schedOp(domain, command, 0)
    : -XEN_ENOSYS;
}

/** HYPERVISOR_sched_op. */
export function schedOp(domain: XenDomain, command: number, pointer: number): number | undefined {
  const { host, pointers, waiting } = domain;
  switch (command) {
    case SCHEDOP_YIELD:
      host.endTurn();
      return 0;
    case SCHEDOP_BLOCK:
      waiting.block(host.vcpu);
      return 0;
    case SCHEDOP_SHUTDOWN: {
      const reason = pointers.readU32(pointer);
      return reason === undefined ? -XEN_EFAULT : domain.shutDown(reason);
    }
    case SCHEDOP_POLL:
      return poll(domain, pointer);
    case SCHEDOP_REMOTE_SHUTDOWN: {
      const domid = pointers.read(pointer, 8)?.getUint16(0, true);
      if (domid === undefined) return -XEN_EFAULT;
      return domain.refusal(domid) ?? -XEN_EPERM;
    }
    case SCHEDOP_SHUTDOWN_CODE:
      return pointers.readU32(pointer) === undefined ? -XEN_EFAULT : 0;
    case SCHEDOP_WATCHDOG: {
      const request = pointers.read(pointer, 8);
      if (request === undefined) return -XEN_EFAULT;
      return waiting.setWatchdog(request.getUint32(0, true), request.getUint32(4, true));
    }
    case SCHEDOP_PIN_OVERRIDE:
      return -XEN_EPERM;
    default:
      return -XEN_ENOSYS;
  }
}

function poll({ host, pointers, waiting }: XenDomain, pointer: number): number {
  const request = pointers.read(pointer, SCHED_POLL_BYTES);
  if (request === undefined) return -XEN_EFAULT;
  const count = request.getUint32(SCHED_POLL_NR_PORTS, true);
  if (count > SCHEDOP_POLL_PORTS) return -XEN_EINVAL;
  const list = pointers.read(request.getUint32(SCHED_POLL_PORTS, true), 4 * count);
  if (list === undefined) return -XEN_EFAULT;
  const ports = Array.from({ length: count }, (_, i) => list.getUint32(4 * i, true));
  if (ports.some((port) => port === 0 || port >= 1024)) return -XEN_EINVAL;
  waiting.poll(host.vcpu, ports, Number(request.getBigUint64(SCHED_POLL_TIMEOUT, true)));
  return 0;
}
