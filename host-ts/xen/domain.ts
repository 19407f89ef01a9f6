/** What the handlers of hypercalls reach: the domain they act on, and the parts of it that the Host keeps. */
import { PAGE_BYTES } from "../../abi/memory.ts";
import { VCPU_XEN_ARGS, VCPU_XEN_INFO, VCPU_XEN_LOOK } from "../../abi/vcpu.ts";
import { DOMID_SELF, XEN_EPERM, XEN_ESRCH } from "../../abi/xen.ts";
import { SI_VCPU_INFO, VCPU_INFO_BYTES } from "../../abi/xen-layout.ts";
import { assertHost } from "../base/errors.ts";
import type { PersonalityHost } from "../base/personality.ts";
import type { VcpuBlock } from "../base/vcpu-block.ts";
import { EventChannels } from "./event-channels.ts";
import { GrantMaps } from "./grant-maps.ts";
import { GrantTable } from "./grants.ts";
import { drawMachineMap, type MachineMap } from "./machine-map.ts";
import { Pirqs } from "./pirqs.ts";
import { GuestPointers } from "./pointers.ts";
import { Reservation } from "./reservation.ts";
import { Runstates } from "./runstates.ts";
import { XenTimers } from "./timers.ts";
import { Vcpus } from "./vcpus.ts";
import { Waiting } from "./waiting.ts";
import type { XenMachine } from "./xen-machine.ts";

/** Where a domain is, and under which number. */
export interface Residence {
  readonly machine: XenMachine;
  readonly domid: number;
}

/** One domain. */
export class XenDomain {
  readonly host: PersonalityHost;
  /** The other domains. */
  readonly machine: XenMachine;
  readonly domid: number;
  readonly map: MachineMap;
  readonly pointers: GuestPointers;
  readonly channels: EventChannels;
  readonly timers: XenTimers;
  readonly grants: GrantTable;
  /** Pages of others that this one has mapped. */
  readonly grantMaps: GrantMaps;
  readonly reservation: Reservation;
  readonly pirqs: Pirqs;
  readonly vcpus: Vcpus;
  readonly runstates: Runstates;
  readonly waiting: Waiting;
  /** Whether it may choose queues of events. */
  readonly hasFifo: boolean;
  /** SHUTDOWN_*: ends the domain. @returns what the call answers where the domain lives on, undefined while it is suspended. */
  readonly shutDown: (reason: number) => number | undefined;

  /** SCHEDOP_shutdown_code: why it will end, however it does. */
  declaredReason: number | undefined;
  /** It was suspended once, and went on in place or from its image. */
  wasSuspended = false;

  /**
   * @param ramFrames frames of RAM @param seed of the scrambled physical-to-machine list, 0 for one in order
   * @param pfns pseudo-physical frames that it has, ascending; default: all of them
   */
  constructor(
    host: PersonalityHost,
    { machine, domid }: Residence,
    ramFrames: number,
    seed: number,
    shutDown: (reason: number) => number | undefined,
    hasFifo = true,
    pfns?: readonly number[],
  ) {
    this.host = host;
    this.hasFifo = hasFifo;
    this.machine = machine;
    this.domid = domid;
    this.shutDown = (reason) => shutDown(this.declaredReason ?? reason);
    this.map = drawMachineMap(ramFrames);
    this.reservation = new Reservation(host, this.map, seed, pfns);
    this.pirqs = new Pirqs(this.reservation);
    this.pointers = new GuestPointers(host);
    this.channels = new EventChannels({
      memory: host.memory,
      domid: this.domid,
      sharedInfoGpa: this.sharedInfoGpa,
      vcpus: host.vcpus.length,
      vcpuInfoGpa: (id) => this.vcpuInfoGpa(host.vcpus[id]!),
      holdFrame: (mfn) => this.reservation.hold(mfn),
      releaseFrame: (mfn) => this.reservation.release(mfn),
      peer: (domid) => machine.find(domid)?.channels,
      onRaise: () => {
        host.vcpu.setU32(VCPU_XEN_LOOK, 1);
        if (machine.isShared) host.nudge();
      },
    });
    this.vcpus = new Vcpus(this);
    this.timers = new XenTimers(this);
    this.grants = new GrantTable(host, this.map, this.domid);
    this.grantMaps = new GrantMaps(this);
    this.runstates = new Runstates(this);
    this.waiting = new Waiting(this);
  }

  /**
   * The domain is gone: what it had bound, mapped and granted is given up, then its tables. What is still counted of its frames then is
   * what others have of them. Before its memory goes.
   */
  destroy(): void {
    const { core, vcpus, vcpu } = this.host;
    this.channels.closeAll();
    this.pirqs.release();
    this.grantMaps.releaseAll();
    for (const each of vcpus) {
      this.#releaseInfo(each);
      core.exports.xenDropTables(each.ptr);
    }
    const left = core.exports.xenRelinquish(vcpu.ptr);
    const { references } = this.grants;
    this.grants.close();
    assertHost(left === references, `${left} counts of a domain that is gone, not ${references}`);
  }

  /** The place of a vCPU's struct vcpu_info is the guest's again. */
  #releaseInfo(vcpu: VcpuBlock): void {
    const legacy = this.legacyInfoGpa(vcpu.id);
    const info = this.vcpuInfoGpa(vcpu);
    if (info === legacy) return;
    vcpu.setU32(VCPU_XEN_INFO, legacy);
    this.reservation.release(Math.floor(info / PAGE_BYTES));
  }

  /** Machine address of struct shared_info. */
  get sharedInfoGpa(): number {
    return this.map.sharedInfoMfn * PAGE_BYTES;
  }

  /** Machine address of a vCPU's struct vcpu_info. */
  vcpuInfoGpa(vcpu: VcpuBlock): number {
    return vcpu.u32(VCPU_XEN_INFO);
  }

  /** Where the struct vcpu_info of vCPU `id` is until the guest moves it. */
  legacyInfoGpa(id: number): number {
    return this.sharedInfoGpa + SI_VCPU_INFO + id * VCPU_INFO_BYTES;
  }

  /** What a call that needs rights over a domain answers: undefined for this one, which has them over itself. */
  refusal(domid: number): number | undefined {
    return this.isSelf(domid) ? undefined : this.machine.refusal(domid);
  }

  /** Whether a domain identifier means this domain. */
  isSelf(domid: number): boolean {
    return domid === DOMID_SELF || domid === this.domid;
  }

  /** What a call about another domain answers for this one, or none; undefined for another that there is. */
  remoteRefusal(domid: number): number | undefined {
    if (domid === this.domid) return -XEN_EPERM;
    return this.machine.refusal(domid) === -XEN_ESRCH ? -XEN_ESRCH : undefined;
  }

  /** The call being performed has more to do than is good at once: the guest makes it again with these arguments. */
  again(...args: readonly number[]): undefined {
    const { core, vcpu } = this.host;
    for (const [index, arg] of args.entries()) vcpu.setU32(VCPU_XEN_ARGS + 4 * index, arg);
    core.exports.xenAgain(vcpu.ptr);
  }
}
