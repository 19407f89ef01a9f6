/**
 * vcpu_op: bringing vCPUs up and down, their timers, their runstates, and where their struct vcpu_info is.
 * Source: Xen's public vcpu.h.
 */
import { PAGE_BYTES } from "../../abi/memory.ts";
import { VCPU_XEN_INFO } from "../../abi/vcpu.ts";
import {
  HYPERVISOR_VIRT_START,
  SHUTDOWN_POWEROFF,
  VCPU_PERIODIC_MIN_NS,
  VCPU_SSHOTTMR_FUTURE,
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
  XEN_EEXIST,
  XEN_EFAULT,
  XEN_EINVAL,
  XEN_ENOENT,
  XEN_ENOSYS,
  XEN_ENXIO,
  XEN_EPERM,
  XEN_ETIME,
} from "../../abi/xen.ts";
import {
  RUNSTATE_INFO_BYTES,
  TIME_INFO_BYTES,
  VCPU_INFO_BYTES,
  VCPU_INFO_MAX_OFFSET,
  VI_PENDING_SEL,
  VI_UPCALL_PENDING,
} from "../../abi/xen-layout.ts";
import type { VcpuBlock } from "../base/vcpu-block.ts";
import type { XenDomain } from "./domain.ts";
import { timeInfo } from "./timers.ts";

type Handler = (domain: XenDomain, vcpu: VcpuBlock, pointer: number) => number | undefined;

const HANDLERS: Readonly<Record<number, Handler>> = {
  // The only vCPU is up from the start, and when it goes down the domain has ended.
  [VCPUOP_INITIALISE]: () => -XEN_EEXIST,
  [VCPUOP_UP]: () => 0,
  [VCPUOP_DOWN]: (domain) => domain.shutDown(SHUTDOWN_POWEROFF),
  [VCPUOP_IS_UP]: () => 1,
  [VCPUOP_GET_RUNSTATE_INFO]: ({ pointers, runstates }, vcpu, pointer) =>
    pointers.write(pointer, runstates.info(vcpu)) ? 0 : -XEN_EFAULT,
  [VCPUOP_REGISTER_RUNSTATE_MEMORY_AREA]: registerRunstate,
  [VCPUOP_SET_PERIODIC_TIMER]: setPeriodic,
  [VCPUOP_STOP_PERIODIC_TIMER]: ({ timers }, { id }) => {
    timers.setPeriodic(id, 0);
    return 0;
  },
  [VCPUOP_SET_SINGLESHOT_TIMER]: setSingleShot,
  [VCPUOP_STOP_SINGLESHOT_TIMER]: ({ host, timers }, vcpu) => {
    if (vcpu !== host.vcpu) return -XEN_EINVAL;
    timers.cancelOneShot("single", vcpu.id);
    return 0;
  },
  [VCPUOP_REGISTER_VCPU_INFO]: registerInfo,
  [VCPUOP_SEND_NMI]: ({ host }, vcpu) => {
    host.raiseNmi(vcpu);
    return 0;
  },
  // Only a domain whose vCPUs are pinned may know where they run.
  [VCPUOP_GET_PHYSID]: () => -XEN_EPERM,
  [VCPUOP_REGISTER_VCPU_TIME_MEMORY_AREA]: registerTime,
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
  if (periodNs < VCPU_PERIODIC_MIN_NS || periodNs > 2n ** 52n) return -XEN_EINVAL;
  timers.setPeriodic(id, Number(periodNs));
  return 0;
}

function setSingleShot(domain: XenDomain, vcpu: VcpuBlock, pointer: number): number {
  const { host, pointers, timers } = domain;
  if (vcpu !== host.vcpu) return -XEN_EINVAL;
  const view = pointers.read(pointer, 12);
  if (view === undefined) return -XEN_EFAULT;
  const deadlineNs = Number(view.getBigUint64(0, true));
  const mustBeAhead = (view.getUint32(8, true) & VCPU_SSHOTTMR_FUTURE) !== 0;
  if (mustBeAhead && deadlineNs < host.clock.nowNs) return -XEN_ETIME;
  timers.setOneShot("single", vcpu.id, deadlineNs);
  return 0;
}

/** Kept by machine address: where the page is mapped may change, the page is what the guest meant. */
function registerRunstate(domain: XenDomain, vcpu: VcpuBlock, pointer: number): number {
  const lin = domain.pointers.readU32(pointer);
  if (lin === undefined) return -XEN_EFAULT;
  const gpas = machineAddresses(domain, lin, RUNSTATE_INFO_BYTES);
  if (gpas === undefined) return -XEN_EFAULT;
  domain.runstates.setArea(vcpu, gpas, lin % PAGE_BYTES);
  return 0;
}

function registerTime(domain: XenDomain, _: VcpuBlock, pointer: number): number {
  const lin = domain.pointers.readU32(pointer);
  if (lin === undefined) return -XEN_EFAULT;
  if (machineAddresses(domain, lin, TIME_INFO_BYTES) === undefined) return -XEN_EFAULT;
  return domain.pointers.write(lin, timeInfo(domain.host.clock.nowNs, 2)) ? 0 : -XEN_EFAULT;
}

/** Machine addresses of a range's first byte in each of its one or two pages, undefined when one cannot be written. */
function machineAddresses(
  { host }: XenDomain,
  lin: number,
  sizeBytes: number,
): number[] | undefined {
  if (lin + sizeBytes > HYPERVISOR_VIRT_START >>> 0) return undefined;
  const starts = [lin];
  const nextPage = (Math.floor(lin / PAGE_BYTES) + 1) * PAGE_BYTES;
  if (nextPage < lin + sizeBytes) starts.push(nextPage);
  const gpas = starts.map((at) => host.core.exports.walk(host.vcpu.ptr, at, 1, 0));
  return gpas.some((gpa) => gpa < 0) ? undefined : gpas;
}

/** From the place in shared_info to one of the guest's choice, once; what was pending stays so, and is told again to be safe. */
function registerInfo(domain: XenDomain, vcpu: VcpuBlock, pointer: number): number {
  const { host, pointers, reservation } = domain;
  const view = pointers.read(pointer, 16);
  if (view === undefined) return -XEN_EFAULT;
  const mfn = view.getUint32(0, true);
  const offset = view.getUint32(8, true);
  if (offset > VCPU_INFO_MAX_OFFSET || offset % 4 !== 0) return -XEN_ENXIO;
  const old = domain.vcpuInfoGpa(vcpu);
  const info = mfn * PAGE_BYTES + offset;
  if (old !== domain.legacyInfoGpa(vcpu.id)) {
    // A kernel for one processor registers after every suspension, and would look at the wrong words if it were refused after one that
    // was cancelled.
    return domain.wasResumed && info === old ? 0 : -XEN_EINVAL;
  }
  if (view.getUint32(4, true) !== 0 || !reservation.hold(mfn)) return -XEN_EINVAL;
  host.memory.write(info, host.memory.read(old, VCPU_INFO_BYTES));
  vcpu.setU32(VCPU_XEN_INFO, info);
  host.memory.writeU32(info + VI_PENDING_SEL, 0xffffffff);
  host.memory.writeU8(info + VI_UPCALL_PENDING, 1);
  return 0;
}
