/**
 * hvm_op for a paravirtual domain, which has hardly anything of what it is about. Source: Xen's public hvm/hvm_op.h; errors as of Xen 4.17.
 */
import {
  HVM_NR_PARAMS,
  HVMOP_ALTP2M,
  HVMOP_FLUSH_TLBS,
  HVMOP_GET_MEM_TYPE,
  HVMOP_GET_PARAM,
  HVMOP_GET_TIME,
  HVMOP_GUEST_REQUEST_VM_EVENT,
  HVMOP_PAGETABLE_DYING,
  HVMOP_SET_EVTCHN_UPCALL_VECTOR,
  HVMOP_SET_PARAM,
  HVMOP_XENTRACE,
  XEN_EFAULT,
  XEN_EINVAL,
  XEN_ENOSYS,
  XEN_EOPNOTSUPP,
  XEN_EPERM,
} from "../../abi/xen.ts";
import {
  HVM_ALTP2M_BYTES,
  HVM_MEM_TYPE_BYTES,
  HVM_PAGETABLE_DYING_BYTES,
  HVM_PARAM_BYTES,
  HVM_PARAM_INDEX,
  HVM_XENTRACE_BYTES,
  HVM_XENTRACE_DATA_BYTES,
} from "../../abi/xen-layout.ts";
import type { XenDomain } from "./domain.ts";
import { unlessMissing } from "./refused.ts";

/** Events that a guest may put into a trace: none of the subclasses that Xen uses. */
const TRACE_EVENT_MASK = 0xfff;
/** HVMOP_altp2m: version of its structure. */
const ALTP2M_VERSION = 1;

type Handler = (domain: XenDomain, pointer: number) => number;

const HANDLERS: Readonly<Record<number, Handler>> = {
  [HVMOP_SET_PARAM]: parameter,
  [HVMOP_GET_PARAM]: parameter,
  [HVMOP_FLUSH_TLBS]: () => -XEN_EINVAL,
  [HVMOP_GET_MEM_TYPE]: (domain, pointer) => {
    const op = domain.pointers.read(pointer, HVM_MEM_TYPE_BYTES);
    return op === undefined ? -XEN_EFAULT : (domain.refusal(op.getUint16(0, true)) ?? -XEN_EINVAL);
  },
  [HVMOP_PAGETABLE_DYING]: (domain, pointer) => {
    const domid = domain.pointers.read(pointer, HVM_PAGETABLE_DYING_BYTES)?.getUint16(0, true);
    if (domid === undefined) return -XEN_EFAULT;
    const error = domain.refusal(domid);
    return error === -XEN_EPERM ? -XEN_EOPNOTSUPP : (error ?? -XEN_EINVAL);
  },
  [HVMOP_GET_TIME]: ({ host, pointers }, pointer) => {
    const now = new BigUint64Array([BigInt(Math.floor(host.clock.nowNs))]);
    return pointers.write(pointer, new Uint8Array(now.buffer)) ? 0 : -XEN_EFAULT;
  },
  // Nobody reads the trace.
  [HVMOP_XENTRACE]: ({ pointers }, pointer) => {
    const op = pointers.read(pointer, HVM_XENTRACE_BYTES);
    if (op === undefined) return -XEN_EFAULT;
    const isGood =
      op.getUint16(2, true) <= HVM_XENTRACE_DATA_BYTES &&
      (op.getUint16(0, true) & ~TRACE_EVENT_MASK) === 0;
    return isGood ? 0 : -XEN_EINVAL;
  },
  [HVMOP_SET_EVTCHN_UPCALL_VECTOR]: () => -XEN_EINVAL,
  // Nobody watches the guest.
  [HVMOP_GUEST_REQUEST_VM_EVENT]: (_, pointer) => (pointer === 0 ? 0 : -XEN_EINVAL),
  [HVMOP_ALTP2M]: ({ pointers }, pointer) => {
    const op = pointers.read(pointer, HVM_ALTP2M_BYTES);
    if (op === undefined) return -XEN_EFAULT;
    return op.getUint32(0, true) === ALTP2M_VERSION ? -XEN_EOPNOTSUPP : -XEN_EINVAL;
  },
};

/** HYPERVISOR_hvm_op. */
export function hvmOp(domain: XenDomain, command: number, pointer: number): number {
  return HANDLERS[command]?.(domain, pointer) ?? -XEN_ENOSYS;
}

function parameter(domain: XenDomain, pointer: number): number {
  const op = domain.pointers.read(pointer, HVM_PARAM_BYTES);
  if (op === undefined) return -XEN_EFAULT;
  if (op.getUint32(HVM_PARAM_INDEX, true) >= HVM_NR_PARAMS) return -XEN_EINVAL;
  return unlessMissing(domain, op.getUint16(0, true), -XEN_EINVAL);
}
