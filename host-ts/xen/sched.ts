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
import { isGuestRange } from "./pointers.ts";
import { systemTime } from "./timers.ts";

/** A reason is a byte, whatever the width of its field. */
const REASON_MASK = 0xff;

/** HYPERVISOR_sched_op_compat: arguments by value. */
export function schedOpCompat(
  domain: XenDomain,
  command: number,
  argument: number,
): number | undefined {
  if (command === SCHEDOP_SHUTDOWN) return domain.shutDown(argument & REASON_MASK);
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
      return reason === undefined ? -XEN_EFAULT : domain.shutDown(reason & REASON_MASK);
    }
    case SCHEDOP_POLL:
      return poll(domain, pointer);
    case SCHEDOP_REMOTE_SHUTDOWN: {
      const domid = pointers.read(pointer, 8)?.getUint16(0, true);
      if (domid === undefined) return -XEN_EFAULT;
      return domain.remoteRefusal(domid) ?? -XEN_EPERM;
    }
    case SCHEDOP_SHUTDOWN_CODE: {
      const reason = pointers.readU32(pointer);
      if (reason === undefined) return -XEN_EFAULT;
      domain.declaredReason ??= reason & REASON_MASK;
      return 0;
    }
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

/** Ports are looked at in their order, and not before it is known that the vCPU would wait. */
function poll({ host, pointers, waiting, channels }: XenDomain, pointer: number): number {
  const request = pointers.read(pointer, SCHED_POLL_BYTES);
  if (request === undefined) return -XEN_EFAULT;
  const count = request.getUint32(SCHED_POLL_NR_PORTS, true);
  if (count > SCHEDOP_POLL_PORTS) return -XEN_EINVAL;
  const list = request.getUint32(SCHED_POLL_PORTS, true);
  if (!isGuestRange(list, 4 * count)) return -XEN_EFAULT;
  if (host.core.exports.xenHasUpcall(host.vcpu.ptr) !== 0) return 0;
  const ports: number[] = [];
  for (let i = 0; i < count; i++) {
    const port = pointers.readU32(list + 4 * i);
    if (port === undefined) return -XEN_EFAULT;
    if (!channels.exists(port)) return -XEN_EINVAL;
    if (channels.isPending(port)) return 0;
    ports.push(port);
  }
  const timeout = request.getBigUint64(SCHED_POLL_TIMEOUT, true);
  waiting.poll(host.vcpu, ports, timeout === 0n ? undefined : systemTime(timeout));
  return 0;
}
