/**
 * Event channels of one domain, in the 2-level form: what each port is bound to, and the pending, mask and selector words that the guest
 * reads. The other end of an interdomain channel is the Host, which plays domain 0, or another port of the same domain.
 *
 * Source: Xen's public event_channel.h. Calls return negative errno values.
 */
import {
  DOMID_SELF,
  EVTCHN_2L_PORTS,
  EVTCHNSTAT_INTERDOMAIN,
  EVTCHNSTAT_IPI,
  EVTCHNSTAT_UNBOUND,
  EVTCHNSTAT_VIRQ,
  NR_VIRQS,
  VIRQ_DEBUG,
  VIRQ_TIMER,
  VIRQ_XENOPROF,
  VIRQ_XENPMU,
  XEN_EEXIST,
  XEN_EINVAL,
  XEN_ENOENT,
  XEN_ENOSPC,
  XEN_EPERM,
  XEN_ESRCH,
} from "../../abi/xen.ts";
import {
  SI_EVTCHN_MASK,
  SI_EVTCHN_PENDING,
  VI_PENDING_SEL,
  VI_UPCALL_PENDING,
} from "../../abi/xen-layout.ts";

/** What event channels touch in guest memory. */
export interface EventMemory {
  readU8(gpa: number): number;
  readU32(gpa: number): number;
  writeU8(gpa: number, value: number): void;
  writeU32(gpa: number, value: number): void;
}

/** What event channels need to know of their domain. */
export interface EventDomain {
  readonly memory: EventMemory;
  readonly domid: number;
  /** Machine address of struct shared_info. */
  readonly sharedInfoGpa: number;
  readonly vcpus: number;
  /** Machine address of a vCPU's struct vcpu_info. */
  vcpuInfoGpa(vcpu: number): number;
}

/** One port. Serialisable. */
export interface Channel {
  state: number;
  /** vCPU that is told. */
  vcpu: number;
  /** Unbound and interdomain: the other domain; interdomain: its port, 0 where it is the Host. */
  remoteDomid: number;
  remotePort: number;
  virq: number;
}

/** virqs that each vCPU has one of; the others are the domain's, told to vCPU 0. */
const VCPU_VIRQS: readonly number[] = [VIRQ_TIMER, VIRQ_DEBUG, VIRQ_XENOPROF, VIRQ_XENPMU];
/** The highest port that a domain may have: the toolstack's usual limit. */
const LAST_PORT = EVTCHN_2L_PORTS - 1;
const HOST_DOMID = 0;

/** See the file header. */
export class EventChannels {
  readonly #domain: EventDomain;
  readonly #channels: (Channel | undefined)[] = [];
  /** What the Host does when the guest sends on a port that is bound to it. */
  readonly #handlers = new Map<number, () => void>();

  constructor(domain: EventDomain) {
    this.#domain = domain;
  }

  /** A channel to the Host as the domain finds it at its start. @returns its port. */
  openToHost(handler: () => void): number {
    const port = this.#allocate(EVTCHNSTAT_INTERDOMAIN, { remoteDomid: HOST_DOMID });
    this.#handlers.set(port, handler);
    return port;
  }

  /** The Host takes the other end of a port that the guest left unbound for it. @returns false when there is no such port. */
  bindToHost(port: number, handler: () => void): boolean {
    const channel = this.#at(port);
    if (channel?.state !== EVTCHNSTAT_UNBOUND || channel.remoteDomid !== HOST_DOMID) return false;
    channel.state = EVTCHNSTAT_INTERDOMAIN;
    channel.remotePort = 0;
    this.#handlers.set(port, handler);
    return true;
  }

  /** The Host lets go of its end: the port is unbound again. */
  unbindFromHost(port: number): void {
    const channel = this.#at(port);
    if (!this.#handlers.delete(port) || channel === undefined) return;
    channel.state = EVTCHNSTAT_UNBOUND;
  }

  /** After a restore: what the Host does for a port that is bound to it. */
  attachHandler(port: number, handler: () => void): void {
    this.#handlers.set(port, handler);
  }

  /** A copy of a port's binding, undefined for a closed one. */
  status(port: number): Channel | undefined {
    const channel = this.#at(port);
    return channel && { ...channel };
  }

  /** EVTCHNOP_alloc_unbound. @returns the port. */
  allocUnbound(domid: number, remoteDomid: number): number {
    if (!this.#isSelf(domid)) return -XEN_EPERM;
    const remote = remoteDomid === DOMID_SELF ? this.#domain.domid : remoteDomid;
    return this.#allocate(EVTCHNSTAT_UNBOUND, { remoteDomid: remote });
  }

  /** EVTCHNOP_bind_interdomain: here only between two ports of the same domain. @returns the local port. */
  bindInterdomain(remoteDomid: number, remotePort: number): number {
    if (!this.#isSelf(remoteDomid)) return -XEN_ESRCH;
    const remote = this.#at(remotePort);
    if (remote?.state !== EVTCHNSTAT_UNBOUND || remote.remoteDomid !== this.#domain.domid) {
      return -XEN_EINVAL;
    }
    const { domid } = this.#domain;
    const port = this.#allocate(EVTCHNSTAT_INTERDOMAIN, { remoteDomid: domid, remotePort });
    if (port < 0) return port;
    remote.state = EVTCHNSTAT_INTERDOMAIN;
    remote.remotePort = port;
    // What was sent before there was a receiver is not lost.
    this.raise(port);
    return port;
  }

  /** EVTCHNOP_bind_virq. @returns the port. */
  bindVirq(virq: number, vcpu: number): number {
    if (virq >= NR_VIRQS) return -XEN_EINVAL;
    if (!VCPU_VIRQS.includes(virq) && vcpu !== 0) return -XEN_EINVAL;
    if (vcpu >= this.#domain.vcpus) return -XEN_ENOENT;
    if (this.#virqPort(virq, vcpu) !== undefined) return -XEN_EEXIST;
    return this.#allocate(EVTCHNSTAT_VIRQ, { virq, vcpu });
  }

  /** EVTCHNOP_bind_ipi. @returns the port. */
  bindIpi(vcpu: number): number {
    if (vcpu >= this.#domain.vcpus) return -XEN_ENOENT;
    return this.#allocate(EVTCHNSTAT_IPI, { vcpu });
  }

  /** EVTCHNOP_close. */
  close(port: number): number {
    const channel = this.#at(port);
    if (channel === undefined) return -XEN_EINVAL;
    if (channel.remotePort !== 0) {
      const remote = this.#at(channel.remotePort);
      if (remote !== undefined) {
        remote.state = EVTCHNSTAT_UNBOUND;
        remote.remotePort = 0;
      }
    }
    this.#channels[port] = undefined;
    this.#handlers.delete(port);
    this.#setBit(SI_EVTCHN_PENDING, port, false);
    return 0;
  }

  /** EVTCHNOP_send. */
  send(port: number): number {
    const channel = this.#at(port);
    if (channel === undefined) return -XEN_EINVAL;
    if (channel.state === EVTCHNSTAT_IPI) this.raise(port);
    else if (channel.state === EVTCHNSTAT_INTERDOMAIN) {
      if (channel.remotePort !== 0) this.raise(channel.remotePort);
      else this.#handlers.get(port)?.();
    } else if (channel.state !== EVTCHNSTAT_UNBOUND) return -XEN_EINVAL;
    return 0;
  }

  /** EVTCHNOP_bind_vcpu: who is told of a port that is not of one vCPU by nature. */
  bindVcpu(port: number, vcpu: number): number {
    if (vcpu >= this.#domain.vcpus) return -XEN_ENOENT;
    const channel = this.#at(port);
    if (channel === undefined) return -XEN_EINVAL;
    const isBound = channel.state === EVTCHNSTAT_VIRQ && VCPU_VIRQS.includes(channel.virq);
    if (isBound || channel.state === EVTCHNSTAT_IPI) return -XEN_EINVAL;
    channel.vcpu = vcpu;
    return 0;
  }

  /** EVTCHNOP_unmask: opens the mask and tells of what came meanwhile. */
  unmask(port: number): number {
    const channel = this.#at(port);
    if (channel === undefined) return -XEN_EINVAL;
    const wasMasked = this.#setBit(SI_EVTCHN_MASK, port, false);
    if (wasMasked && this.#bit(SI_EVTCHN_PENDING, port)) this.#tell(channel.vcpu, port);
    return 0;
  }

  /** EVTCHNOP_reset: closes everything. */
  reset(domid: number): number {
    if (!this.#isSelf(domid)) return -XEN_EPERM;
    for (let port = 1; port < this.#channels.length; port++) this.close(port);
    return 0;
  }

  /** Tells a vCPU's virq, if the guest has bound it. */
  raiseVirq(virq: number, vcpu = 0): void {
    const port = this.#virqPort(virq, vcpu);
    if (port !== undefined) this.raise(port);
  }

  /** Makes a port pending. */
  raise(port: number): void {
    const channel = this.#at(port);
    if (channel === undefined || this.#setBit(SI_EVTCHN_PENDING, port, true)) return;
    if (!this.#bit(SI_EVTCHN_MASK, port)) this.#tell(channel.vcpu, port);
  }

  /** Whether a port's pending bit is set, masked or not. */
  isPending(port: number): boolean {
    return port > 0 && port <= LAST_PORT && this.#bit(SI_EVTCHN_PENDING, port);
  }

  /** Serialisable state: bindings by port. */
  save(): Record<string, unknown> {
    return { channels: this.#channels.map((channel) => channel && { ...channel }) };
  }

  /** Continues from saved state; whoever had handlers attaches them again. */
  restore(state: Record<string, unknown>): void {
    this.#channels.length = 0;
    const channels = state.channels as (Channel | undefined)[];
    for (const [port, channel] of channels.entries()) {
      this.#channels[port] = channel ? { ...channel } : undefined;
    }
  }

  #at(port: number): Channel | undefined {
    return port === 0 ? undefined : this.#channels[port];
  }

  #isSelf(domid: number): boolean {
    return domid === DOMID_SELF || domid === this.#domain.domid;
  }

  /** The lowest port that is free. */
  #allocate(state: number, binding: Partial<Channel>): number {
    let port = 1;
    while (this.#channels[port] !== undefined) port++;
    if (port > LAST_PORT) return -XEN_ENOSPC;
    this.#channels[port] = { state, vcpu: 0, remoteDomid: 0, remotePort: 0, virq: 0, ...binding };
    return port;
  }

  #virqPort(virq: number, vcpu: number): number | undefined {
    const isVcpus = VCPU_VIRQS.includes(virq);
    const port = this.#channels.findIndex(
      (channel) =>
        channel?.state === EVTCHNSTAT_VIRQ &&
        channel.virq === virq &&
        (!isVcpus || channel.vcpu === vcpu),
    );
    return port < 0 ? undefined : port;
  }

  /** The two steps by which a vCPU learns of a port: its selector word, then the byte that makes it take an upcall. */
  #tell(vcpu: number, port: number): void {
    const { memory } = this.#domain;
    const info = this.#domain.vcpuInfoGpa(vcpu);
    const bit = 1 << (port >>> 5);
    const selector = memory.readU32(info + VI_PENDING_SEL);
    if ((selector & bit) !== 0) return;
    memory.writeU32(info + VI_PENDING_SEL, selector | bit);
    memory.writeU8(info + VI_UPCALL_PENDING, 1);
  }

  #bit(words: number, port: number): boolean {
    return ((this.#domain.memory.readU32(this.#word(words, port)) >>> (port & 31)) & 1) !== 0;
  }

  /** @returns whether the bit was set before. */
  #setBit(words: number, port: number, isSet: boolean): boolean {
    const { memory } = this.#domain;
    const at = this.#word(words, port);
    const old = memory.readU32(at);
    const bit = 1 << (port & 31);
    memory.writeU32(at, isSet ? old | bit : old & ~bit);
    return (old & bit) !== 0;
  }

  #word(words: number, port: number): number {
    return this.#domain.sharedInfoGpa + words + 4 * (port >>> 5);
  }
}
