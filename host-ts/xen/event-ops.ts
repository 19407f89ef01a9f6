/**
 * event_channel_op and its older form: reads a sub-operation's structure, performs it, writes back what it says.
 * Source: Xen's public event_channel.h.
 */
import {
  EVTCHN_FIFO_LINK_BITS,
  EVTCHNOP_ALLOC_UNBOUND,
  EVTCHNOP_BIND_INTERDOMAIN,
  EVTCHNOP_BIND_IPI,
  EVTCHNOP_BIND_PIRQ,
  EVTCHNOP_BIND_VCPU,
  EVTCHNOP_BIND_VIRQ,
  EVTCHNOP_CLOSE,
  EVTCHNOP_EXPAND_ARRAY,
  EVTCHNOP_INIT_CONTROL,
  EVTCHNOP_RESET,
  EVTCHNOP_RESET_CONT,
  EVTCHNOP_SEND,
  EVTCHNOP_SET_PRIORITY,
  EVTCHNOP_STATUS,
  EVTCHNOP_UNMASK,
  EVTCHNSTAT_CLOSED,
  EVTCHNSTAT_INTERDOMAIN,
  EVTCHNSTAT_UNBOUND,
  EVTCHNSTAT_VIRQ,
  NR_PIRQS,
  XEN_EBUSY,
  XEN_EFAULT,
  XEN_EINVAL,
  XEN_ENOSYS,
  XEN_EPERM,
} from "../../abi/xen.ts";
import {
  EVTCHN_INIT_CONTROL_BYTES,
  EVTCHN_INIT_CONTROL_GFN,
  EVTCHN_INIT_CONTROL_LINK_BITS,
  EVTCHN_INIT_CONTROL_OFFSET,
  EVTCHN_INIT_CONTROL_VCPU,
  EVTCHN_OP_BYTES,
  EVTCHN_STATUS_BYTES,
} from "../../abi/xen-layout.ts";
import type { XenDomain } from "./domain.ts";

/** Performs one sub-operation on its structure in place. @returns 0 or a negative errno. */
type Handler = (domain: XenDomain, op: DataView) => number;

interface Operation {
  readonly bytes: number;
  readonly handle: Handler;
}
/** One that is asked for all the time and is about a port alone: its structure is not copied. @returns 0 or a negative errno. */
type PortHandler = (domain: XenDomain, port: number) => number;

/** Where the structure begins in the older form, after the command. */
const COMPAT_OFFSET = 4;

/** Not the number of any frame. */
const NO_FRAME = 0xffffffff;

const u16 = (op: DataView, at: number) => op.getUint16(at, true);
const u32 = (op: DataView, at: number) => op.getUint32(at, true);

/** Puts a new port where it belongs. */
function answer(op: DataView, at: number, port: number): number {
  if (port < 0) return port;
  op.setUint32(at, port, true);
  return 0;
}

const OPERATIONS: Readonly<Record<number, Operation>> = {
  [EVTCHNOP_BIND_INTERDOMAIN]: {
    bytes: 12,
    handle: ({ channels }, op) => answer(op, 8, channels.bindInterdomain(u16(op, 0), u32(op, 4))),
  },
  [EVTCHNOP_BIND_VIRQ]: {
    bytes: 12,
    handle: ({ channels }, op) => answer(op, 8, channels.bindVirq(u32(op, 0), u32(op, 4))),
  },
  // No interrupt lines of hardware here.
  [EVTCHNOP_BIND_PIRQ]: {
    bytes: 12,
    handle: (_, op) => (u32(op, 0) >= NR_PIRQS ? -XEN_EINVAL : -XEN_EPERM),
  },
  [EVTCHNOP_CLOSE]: { bytes: 4, handle: ({ channels }, op) => channels.close(u32(op, 0)) },
  [EVTCHNOP_STATUS]: { bytes: EVTCHN_STATUS_BYTES, handle: status },
  [EVTCHNOP_ALLOC_UNBOUND]: {
    bytes: 8,
    handle: ({ channels }, op) => answer(op, 4, channels.allocUnbound(u16(op, 0), u16(op, 2))),
  },
  [EVTCHNOP_BIND_IPI]: {
    bytes: 8,
    handle: ({ channels }, op) => answer(op, 4, channels.bindIpi(u32(op, 0))),
  },
  [EVTCHNOP_BIND_VCPU]: {
    bytes: 8,
    handle: ({ channels }, op) => channels.bindVcpu(u32(op, 0), u32(op, 4)),
  },
  [EVTCHNOP_RESET]: { bytes: 2, handle: ({ channels }, op) => channels.reset(u16(op, 0)) },
  // Closing all ports takes no time worth stopping for, so there never is one that goes on.
  [EVTCHNOP_RESET_CONT]: {
    bytes: 2,
    handle: (domain, op) => domain.refusal(u16(op, 0)) ?? -XEN_EBUSY,
  },
  [EVTCHNOP_INIT_CONTROL]: { bytes: EVTCHN_INIT_CONTROL_BYTES, handle: initControl },
  [EVTCHNOP_EXPAND_ARRAY]: {
    bytes: 8,
    handle: ({ channels }, op) => channels.expandArray(frameAt(op, 0)),
  },
  [EVTCHNOP_SET_PRIORITY]: {
    bytes: 8,
    handle: ({ channels }, op) => channels.setPriority(u32(op, 0), u32(op, 4)),
  },
};
const PORT_OPERATIONS: Readonly<Record<number, PortHandler>> = {
  [EVTCHNOP_SEND]: ({ channels }, port) => channels.send(port),
  [EVTCHNOP_UNMASK]: ({ channels }, port) => channels.unmask(port),
};
/** Operations of FIFO queues, which a domain may be without. */
const FIFO_OPERATIONS = [EVTCHNOP_INIT_CONTROL, EVTCHNOP_EXPAND_ARRAY, EVTCHNOP_SET_PRIORITY];

/** HYPERVISOR_event_channel_op. */
export function eventChannelOp(domain: XenDomain, command: number, pointer: number): number {
  const portHandler = PORT_OPERATIONS[command];
  if (portHandler !== undefined) return performOnPort(domain, portHandler, pointer);
  const operation = OPERATIONS[command];
  const isHidden = !domain.hasFifo && FIFO_OPERATIONS.includes(command);
  if (operation === undefined || isHidden) return -XEN_ENOSYS;
  return perform(domain, operation, pointer);
}

/** HYPERVISOR_event_channel_op_compat: command and structure in one. */
export function eventChannelOpCompat(domain: XenDomain, pointer: number): number {
  const command = domain.pointers.read(pointer, EVTCHN_OP_BYTES)?.getUint32(0, true);
  if (command === undefined) return -XEN_EFAULT;
  const portHandler = PORT_OPERATIONS[command];
  if (portHandler !== undefined) return performOnPort(domain, portHandler, pointer + COMPAT_OFFSET);
  const operation = OPERATIONS[command];
  if (operation === undefined || command > EVTCHNOP_UNMASK) return -XEN_ENOSYS;
  return perform(domain, operation, pointer + COMPAT_OFFSET);
}

function performOnPort(domain: XenDomain, handle: PortHandler, pointer: number): number {
  const port = domain.pointers.readU32(pointer);
  return port === undefined ? -XEN_EFAULT : handle(domain, port);
}

function perform(domain: XenDomain, { bytes, handle }: Operation, pointer: number): number {
  const op = domain.pointers.read(pointer, bytes);
  if (op === undefined) return -XEN_EFAULT;
  const before = new Uint8Array(op.buffer).slice();
  const result = handle(domain, op);
  const after = new Uint8Array(op.buffer);
  const isChanged = after.some((byte, index) => byte !== before[index]);
  if (isChanged && !domain.pointers.write(pointer, after)) return -XEN_EFAULT;
  return result;
}

/** A frame number of 64 bits; one past the 32 that there are here is none. */
function frameAt(op: DataView, at: number): number {
  return u32(op, at + 4) === 0 ? u32(op, at) : NO_FRAME;
}

function initControl({ channels }: XenDomain, op: DataView): number {
  const error = channels.initControl(
    u32(op, EVTCHN_INIT_CONTROL_VCPU),
    frameAt(op, EVTCHN_INIT_CONTROL_GFN),
    u32(op, EVTCHN_INIT_CONTROL_OFFSET),
  );
  if (error === 0) op.setUint8(EVTCHN_INIT_CONTROL_LINK_BITS, EVTCHN_FIFO_LINK_BITS);
  return error;
}

/** What a port is bound to: u16 dom, u32 port @4, u32 status @8, u32 vcpu @12, and more by kind @16. */
function status(domain: XenDomain, op: DataView): number {
  const refused = domain.refusal(u16(op, 0));
  if (refused !== undefined) return refused;
  const { channels } = domain;
  const port = u32(op, 4);
  if (!channels.exists(port)) return -XEN_EINVAL;
  const channel = channels.status(port);
  op.setUint32(8, channel?.state ?? EVTCHNSTAT_CLOSED, true);
  op.setUint32(12, channel?.vcpu ?? 0, true);
  if (channel?.state === EVTCHNSTAT_UNBOUND) op.setUint16(16, channel.remoteDomid, true);
  if (channel?.state === EVTCHNSTAT_INTERDOMAIN) {
    op.setUint16(16, channel.remoteDomid, true);
    op.setUint32(20, channel.remotePort, true);
  }
  if (channel?.state === EVTCHNSTAT_VIRQ) op.setUint32(16, channel.virq, true);
  return 0;
}
