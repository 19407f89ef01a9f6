/**
 * The hypercalls as data: number, name, kinds of arguments, where each is performed, and the Host's handler. A number that is not here
 * does not exist: -ENOSYS.
 */
import { VCPU_XEN_ARGS, VCPU_XEN_CALL } from "../../abi/vcpu.ts";
import { PTE_P } from "../../abi/x86.ts";
import * as xen from "../../abi/xen.ts";
import { MMU_UPDATE_BYTES, MMU_UPDATE_VAL } from "../../abi/xen-layout.ts";
import type { XenDomain } from "./domain.ts";
import { eventChannelOp, eventChannelOpCompat } from "./event-ops.ts";
import { grantTableOp } from "./grant-ops.ts";
import { hvmOp } from "./hvm-op.ts";
import { memoryOp } from "./memory-op.ts";
import { physdevOp, physdevOpCompat } from "./physdev.ts";
import * as refused from "./refused.ts";
import { schedOp, schedOpCompat } from "./sched.ts";
import { vcpuOp } from "./vcpu-op.ts";
import { xenVersion } from "./version.ts";

/** "in", "out", "inout": pointers; "cmd": a sub-command; "list": a pointer to as many entries as the "count" after it says. */
export type ArgumentKind =
  | "value"
  | "cmd"
  | "count"
  | "domid"
  | "mfn"
  | "lin"
  | "in"
  | "out"
  | "inout"
  | "list";

/** Performs a call; every argument is an unsigned 32-bit number. @returns what the guest finds in EAX, a negative errno for a failure; undefined when it is there. */
export type HypercallHandler = (domain: XenDomain, ...args: number[]) => number | undefined;

/** One call. */
export interface Hypercall {
  readonly number: number;
  /** As in Xen's headers, without the prefix. */
  readonly name: string;
  readonly args: readonly ArgumentKind[];
  /** "core": completes inside Wasm. "host": leaves for the handler. */
  readonly where: "core" | "host";
  /** With where "host"; with "core" for what the core leaves to the Host. */
  readonly handler?: HypercallHandler;
}

function core(number: number, name: string, ...args: ArgumentKind[]): Hypercall {
  return { number, name, args, where: "core" };
}
/** Performed by the core, but for a domain that names the frames of another one. */
function coreOr(handler: HypercallHandler, number: number, name: string, ...args: ArgumentKind[]) {
  return { ...core(number, name, ...args), handler };
}
function host(
  number: number,
  name: string,
  handler: HypercallHandler,
  ...args: ArgumentKind[]
): Hypercall {
  return { number, name, args, where: "host", handler };
}

/** All calls, by ascending number. */
// biome-ignore format: a table
export const HYPERCALLS: readonly Hypercall[] = [
  core(xen.HYPERVISOR_SET_TRAP_TABLE, "set_trap_table", "in"),
  coreOr(foreignUpdate, xen.HYPERVISOR_MMU_UPDATE, "mmu_update", "list", "count", "out", "domid"),
  core(xen.HYPERVISOR_SET_GDT, "set_gdt", "list", "count"),
  core(xen.HYPERVISOR_STACK_SWITCH, "stack_switch", "value", "lin"),
  core(xen.HYPERVISOR_SET_CALLBACKS, "set_callbacks", "value", "lin", "value", "lin"),
  core(xen.HYPERVISOR_FPU_TASKSWITCH, "fpu_taskswitch", "value"),
  host(xen.HYPERVISOR_SCHED_OP_COMPAT, "sched_op_compat", schedOpCompat, "cmd", "value"),
  host(xen.HYPERVISOR_PLATFORM_OP, "platform_op", refused.platformOp, "inout"),
  core(xen.HYPERVISOR_SET_DEBUGREG, "set_debugreg", "value", "value"),
  core(xen.HYPERVISOR_GET_DEBUGREG, "get_debugreg", "value"),
  core(xen.HYPERVISOR_UPDATE_DESCRIPTOR, "update_descriptor", "value", "value", "value", "value"),
  host(xen.HYPERVISOR_MEMORY_OP, "memory_op", memoryOp, "cmd", "inout"),
  core(xen.HYPERVISOR_MULTICALL, "multicall", "list", "count"),
  core(xen.HYPERVISOR_UPDATE_VA_MAPPING, "update_va_mapping", "lin", "value", "value", "value"),
  host(xen.HYPERVISOR_SET_TIMER_OP, "set_timer_op", setTimerOp, "value", "value"),
  host(xen.HYPERVISOR_EVENT_CHANNEL_OP_COMPAT, "event_channel_op_compat", eventChannelOpCompat, "inout"),
  host(xen.HYPERVISOR_XEN_VERSION, "xen_version", xenVersion, "cmd", "inout"),
  host(xen.HYPERVISOR_CONSOLE_IO, "console_io", refused.denied, "cmd", "count", "inout"),
  host(xen.HYPERVISOR_PHYSDEV_OP_COMPAT, "physdev_op_compat", physdevOpCompat, "inout"),
  host(xen.HYPERVISOR_GRANT_TABLE_OP, "grant_table_op", grantTableOp, "cmd", "list", "count"),
  core(xen.HYPERVISOR_VM_ASSIST, "vm_assist", "cmd", "value"),
  host(xen.HYPERVISOR_UPDATE_VA_MAPPING_OTHERDOMAIN, "update_va_mapping_otherdomain", updateOtherDomain, "lin", "value", "value", "value", "domid"),
  core(xen.HYPERVISOR_IRET, "iret"),
  host(xen.HYPERVISOR_VCPU_OP, "vcpu_op", vcpuOp, "cmd", "value", "inout"),
  coreOr(foreignOperation, xen.HYPERVISOR_MMUEXT_OP, "mmuext_op", "list", "count", "out", "domid"),
  host(xen.HYPERVISOR_XSM_OP, "xsm_op", refused.notBuiltIn, "inout"),
  core(xen.HYPERVISOR_NMI_OP, "nmi_op", "cmd", "in"),
  host(xen.HYPERVISOR_SCHED_OP, "sched_op", schedOp, "cmd", "inout"),
  core(xen.HYPERVISOR_CALLBACK_OP, "callback_op", "cmd", "in"),
  host(xen.HYPERVISOR_XENOPROF_OP, "xenoprof_op", refused.xenoprofOp, "cmd", "inout"),
  host(xen.HYPERVISOR_EVENT_CHANNEL_OP, "event_channel_op", eventChannelOp, "cmd", "inout"),
  host(xen.HYPERVISOR_PHYSDEV_OP, "physdev_op", physdevOp, "cmd", "inout"),
  host(xen.HYPERVISOR_HVM_OP, "hvm_op", hvmOp, "cmd", "inout"),
  host(xen.HYPERVISOR_SYSCTL, "sysctl", refused.sysctl, "inout"),
  host(xen.HYPERVISOR_DOMCTL, "domctl", refused.domctl, "inout"),
  host(xen.HYPERVISOR_KEXEC_OP, "kexec_op", refused.denied, "cmd", "inout"),
  host(xen.HYPERVISOR_TMEM_OP, "tmem_op", refused.notBuiltIn, "inout"),
  host(xen.HYPERVISOR_ARGO_OP, "argo_op", refused.notBuiltIn, "cmd", "inout", "inout", "value", "value"),
  host(xen.HYPERVISOR_XENPMU_OP, "xenpmu_op", refused.xenpmuOp, "cmd", "inout"),
  host(xen.HYPERVISOR_DM_OP, "dm_op", refused.dmOp, "domid", "count", "list"),
  host(xen.HYPERVISOR_HYPFS_OP, "hypfs_op", refused.denied, "cmd", "in", "value", "inout", "value"),
  host(xen.HYPERVISOR_MCA, "mca", refused.denied, "inout"),
  host(xen.HYPERVISOR_PAGING_DOMCTL_CONT, "paging_domctl_cont", refused.pagingDomctlCont, "inout"),
];

/** Names by number, for statistics and traces. */
export const CALL_NAMES: readonly (string | undefined)[] = HYPERCALLS.reduce<string[]>(
  (names, { number, name }) => {
    names[number] = name;
    return names;
  },
  [],
);

const HANDLERS: readonly (HypercallHandler | undefined)[] = HYPERCALLS.reduce<
  (HypercallHandler | undefined)[]
>((handlers, { number, handler }) => {
  handlers[number] = handler;
  return handlers;
}, []);

/** Performs one call of the vCPU whose turn it is. @returns what it answers, undefined when that is done; -ENOSYS for a number that is none. */
export function performHypercall(
  domain: XenDomain,
  number: number,
  args: readonly number[],
): number | undefined {
  const handler = HANDLERS[number];
  return handler === undefined ? -xen.XEN_ENOSYS : handler(domain, ...args);
}

/** What Xen answers to a domain without privileges that names the owner of frames: itself by its number is nobody, too. */
function refuseFrames(domain: XenDomain, domid: number): number {
  if (domid === domain.domid) return -xen.XEN_ESRCH;
  const isXens = domid === xen.DOMID_IO || domid === xen.DOMID_XEN;
  return isXens ? -xen.XEN_EPERM : domain.machine.refusal(domid);
}

/** mmu_update for frames of another domain: the list is looked at before rights are. */
function foreignUpdate(
  domain: XenDomain,
  list = 0,
  count = 0,
  donePointer = 0,
  domid = 0,
): number | undefined {
  const tables = domid >>> 16;
  const owner = domid & 0xffff;
  if (tables !== 0 && !domain.machine.isThere(tables - 1)) return -xen.XEN_ESRCH;
  const isOwnTable = tables === 0 || tables - 1 === domain.domid;
  const isIo = isOwnTable && owner === xen.DOMID_IO;
  const ioRefusal = isIo ? refuseDevices(domain, list, count) : undefined;
  if (isOwnTable && (isIo ? ioRefusal === undefined : owner === xen.DOMID_SELF)) {
    domain.host.vcpu.setU32(VCPU_XEN_ARGS + 12, xen.DOMID_SELF);
    domain.host.core.exports.xenPerform(domain.host.vcpu.ptr);
    return undefined;
  }
  const refused =
    owner === xen.DOMID_SELF ? -xen.XEN_EPERM : (ioRefusal ?? refuseFrames(domain, owner));
  if (refused === -xen.XEN_ESRCH) return refused;
  if (donePointer !== 0 && !domain.pointers.writeU32(donePointer, 0)) return -xen.XEN_EFAULT;
  return count === 0 ? 0 : refused;
}

const MAX_IO_UPDATES = 512;

/** By what a list would map as device memory: RAM is none (-EBUSY), and a domain without devices may have no other. Entries may be cleared. */
function refuseDevices(
  { host, pointers }: XenDomain,
  list: number,
  count: number,
): number | undefined {
  // Longer than what a kernel clears at once.
  if (count > MAX_IO_UPDATES) return -xen.XEN_EPERM;
  for (let at = list; at < list + count * MMU_UPDATE_BYTES; at += MMU_UPDATE_BYTES) {
    const low = pointers.readU32(at + MMU_UPDATE_VAL);
    const high = pointers.readU32(at + MMU_UPDATE_VAL + 4);
    if (low === undefined || high === undefined) return -xen.XEN_EFAULT;
    if ((low & PTE_P) === 0) continue;
    const isRam = high << 12 === 0 && host.core.exports.xenTypeOf(host.guest, low >>> 12) !== 0;
    return isRam ? -xen.XEN_EBUSY : -xen.XEN_EPERM;
  }
  return undefined;
}

/** mmuext_op for frames of another domain. */
function foreignOperation(
  domain: XenDomain,
  _list = 0,
  _count = 0,
  _donePointer = 0,
  domid = 0,
): number {
  return refuseFrames(domain, domid & 0xffff);
}

/**
 * set_timer_op: the deadline is system time in two halves; 0 stops the timer. One that can only be an overflow, negative or further ahead than
 * any kernel means, comes soon: some set it instead of none, and some have work to do.
 */
function setTimerOp({ host: { vcpu, clock }, timers }: XenDomain, low = 0, high = 0): number {
  const deadlineNs = high * 2 ** 32 + low;
  const isTooFar = high >= 2 ** 31 || deadlineNs - clock.nowNs >= FARTHEST_TIMER_NS;
  if (deadlineNs === 0) timers.cancelOneShot(vcpu.id);
  else timers.setOneShot(vcpu.id, isTooFar ? clock.nowNs + SOON_NS : deadlineNs);
  return 0;
}
const FARTHEST_TIMER_NS = 2 ** 50;
const SOON_NS = 100_000_000;

/** No domain is master of another one's tables; on its own, which it must not name by its number, it is update_va_mapping. */
function updateOtherDomain(
  domain: XenDomain,
  _lin = 0,
  _low = 0,
  _high = 0,
  _flags = 0,
  domid = 0,
): number | undefined {
  const { core: verbs, vcpu } = domain.host;
  if (domid === xen.DOMID_SELF) {
    vcpu.setU32(VCPU_XEN_CALL, xen.HYPERVISOR_UPDATE_VA_MAPPING);
    verbs.exports.xenPerform(vcpu.ptr);
    return undefined;
  }
  return refuseFrames(domain, domid);
}
