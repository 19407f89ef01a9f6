/**
 * vcpu_op: bringing vCPUs up and down, their timers, their runstates, and where their struct vcpu_info is.
 * Source: Xen's public vcpu.h.
 */
import { PAGE_BYTES } from "../../abi/memory.ts";
import { VCPU_XEN_INFO } from "../../abi/vcpu.ts";
import {
  VCPU_PERIODIC_MIN_NS,
  VCPUOP_DOWN,
  VCPUOP_GET_PHYSID,
  VCPUOP_GET_RUNSTATE_INFO,
  VCPUOP_INITIALISE,
  VCPUOP_IS_UP,
  VCPUOP_REGISTER_RUNSTATE_MEMORY_AREA,
  VCPUOP_REGISTER_VCPU_INFO,
  VCPUOP_REGISTER_VCPU_TIME_MEMORY_AREA,
  VCPUOP_SEND_NMI,
  VCPUOP_SET_PERIODIC_TIMER,
  VCPUOP_SET_SINGLESHOT_TIMER,
  VCPUOP_STOP_PERIODIC_TIMER,
  VCPUOP_STOP_SINGLESHOT_TIMER,
  VCPUOP_UP,
  XEN_EFAULT,
  XEN_EINVAL,
  XEN_ENOENT,
  XEN_ENOSYS,
  XEN_ENXIO,
} from "../../abi/xen.ts";
import {
  RUNSTATE_INFO_BYTES,
  TIME_INFO_BYTES,
  VCPU_INFO_BYTES,
  VCPU_INFO_MAX_OFFSET,
  VGC_BYTES,
  VI_PENDING_SEL,
  VI_UPCALL_PENDING,
} from "../../abi/xen-layout.ts";
import type { VcpuBlock } from "../base/vcpu-block.ts";
import type { XenDomain } from "./domain.ts";
import { isGuestRange } from "./pointers.ts";
import { systemTime } from "./timers.ts";

type Handler = (domain: XenDomain, vcpu: VcpuBlock, pointer: number) => number | undefined;

const HANDLERS: Readonly<Record<number, Handler>> = {
  [VCPUOP_INITIALISE]: ({ pointers, vcpus }, vcpu, pointer) => {
    const context = pointers.read(pointer, VGC_BYTES);
    return context === undefined ? -XEN_EFAULT : vcpus.initialise(vcpu, context);
  },
  [VCPUOP_UP]: ({ waiting }, vcpu) => waiting.bringUp(vcpu),
  [VCPUOP_DOWN]: ({ waiting }, vcpu) => waiting.takeDown(vcpu),
  [VCPUOP_IS_UP]: ({ vcpus }, vcpu) => (vcpus.isUp(vcpu) ? 1 : 0),
  [VCPUOP_GET_RUNSTATE_INFO]: ({ pointers, runstates }, vcpu, pointer) =>
    pointers.write(pointer, runstates.info(vcpu)) ? 0 : -XEN_EFAULT,
  [VCPUOP_REGISTER_RUNSTATE_MEMORY_AREA]: (domain, vcpu, pointer) => {
    const lin = areaAddress(domain, pointer, RUNSTATE_INFO_BYTES);
    if (lin === undefined) return -XEN_EFAULT;
    domain.runstates.setArea(vcpu, lin);
    return 0;
  },
  [VCPUOP_SET_PERIODIC_TIMER]: setPeriodic,
  [VCPUOP_STOP_PERIODIC_TIMER]: ({ timers }, { id }) => {
    timers.setPeriodic(id, 0);
    return 0;
  },
  [VCPUOP_SET_SINGLESHOT_TIMER]: setSingleShot,
  [VCPUOP_STOP_SINGLESHOT_TIMER]: ({ host, timers }, vcpu) => {
    if (vcpu !== host.vcpu) return -XEN_EINVAL;
    timers.cancelOneShot(vcpu.id);
    return 0;
  },
  [VCPUOP_REGISTER_VCPU_INFO]: registerInfo,
  [VCPUOP_SEND_NMI]: ({ host }, vcpu, pointer) => {
    if (pointer !== 0) return -XEN_EINVAL;
    host.raiseNmi(vcpu);
    return 0;
  },
  // Only a domain whose vCPUs are pinned may know where they run.
  [VCPUOP_GET_PHYSID]: () => -XEN_EINVAL,
  [VCPUOP_REGISTER_VCPU_TIME_MEMORY_AREA]: (domain, vcpu, pointer) => {
    const lin = areaAddress(domain, pointer, TIME_INFO_BYTES);
    if (lin === undefined) return -XEN_EFAULT;
    domain.timers.setTimeArea(vcpu, lin);
    return 0;
  },
};

/** HYPERVISOR_vcpu_op. */
export function vcpuOp(domain: XenDomain, command: number, id: number, pointer: number): number {
  const vcpu = domain.host.vcpus[id];
  if (vcpu === undefined) return -XEN_ENOENT;
  return HANDLERS[command]?.(domain, vcpu, pointer) ?? -XEN_ENOSYS;
}

function setPeriodic({ pointers, timers }: XenDomain, { id }: VcpuBlock, pointer: number): number {
  const periodNs = pointers.read(pointer, 8)?.getBigUint64(0, true);
  if (periodNs === undefined) return -XEN_EFAULT;
  if (periodNs < VCPU_PERIODIC_MIN_NS || periodNs >= 2n ** 62n) return -XEN_EINVAL;
  timers.setPeriodic(id, Number(periodNs));
  return 0;
}

function setSingleShot(domain: XenDomain, vcpu: VcpuBlock, pointer: number): number {
  const { host, pointers, timers } = domain;
  if (vcpu !== host.vcpu) return -XEN_EINVAL;
  const view = pointers.read(pointer, 12);
  if (view === undefined) return -XEN_EFAULT;
  // Xen 4.17 no longer looks at the flag for a deadline that must be ahead: one that is past comes at once.
  timers.setOneShot(vcpu.id, systemTime(view.getBigUint64(0, true)));
  return 0;
}

/** Where the guest wants something kept up to date; undefined when that cannot be read, or is no place of the guest's. */
function areaAddress({ pointers }: XenDomain, pointer: number, bytes: number): number | undefined {
  const lin = pointers.readU32(pointer);
  return lin === undefined || !isGuestRange(lin, bytes) ? undefined : lin;
}

/**
 * From the place in shared_info to one of the guest's choice, once, on the vCPU itself or before it is up; what was pending stays so, and
 * is told again to be safe.
 */
function registerInfo(domain: XenDomain, vcpu: VcpuBlock, pointer: number): number {
  const { host, pointers, reservation, timers, vcpus } = domain;
  const view = pointers.read(pointer, 16);
  if (view === undefined) return -XEN_EFAULT;
  const mfn = view.getUint32(0, true);
  const offset = view.getUint32(8, true);
  if (offset > VCPU_INFO_MAX_OFFSET || offset % 4 !== 0) return -XEN_ENXIO;
  const old = domain.vcpuInfoGpa(vcpu);
  const info = mfn * PAGE_BYTES + offset;
  if (old !== domain.legacyInfoGpa(vcpu.id)) {
    // Linux for one processor registers once too often after every suspension, and would look at the wrong words if it were refused.
    return domain.wasSuspended && info === old ? 0 : -XEN_EINVAL;
  }
  if (vcpu !== host.vcpu && vcpus.isUp(vcpu)) return -XEN_EINVAL;
  if (view.getUint32(4, true) !== 0 || !reservation.hold(mfn)) return -XEN_EINVAL;
  host.memory.write(info, host.memory.read(old, VCPU_INFO_BYTES));
  vcpu.setU32(VCPU_XEN_INFO, info);
  timers.publishTimeInfo(vcpu);
  host.memory.writeU32(info + VI_PENDING_SEL, 0xffffffff);
  host.memory.writeU8(info + VI_UPCALL_PENDING, 1);
  return 0;
}
