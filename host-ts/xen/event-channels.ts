/**
 * Event channels of one domain: what each port is bound to. How the guest learns of them is event-words.ts. The other end of an interdomain
 * channel is the Host, which plays domain 0, a port of another domain, or one of the same domain.
 *
 * Source: Xen's public event_channel.h. Calls return negative errno values.
 */
import {
  DOMID_SELF,
  EVTCHN_2L_PORTS,
  EVTCHN_GROUP,
  EVTCHNSTAT_INTERDOMAIN,
  EVTCHNSTAT_IPI,
  EVTCHNSTAT_UNBOUND,
  EVTCHNSTAT_VIRQ,
  NR_VIRQS,
  VIRQ_DEBUG,
  VIRQ_TIMER,
  VIRQ_XENOPROF,
  VIRQ_XENPMU,
  XEN_EACCES,
  XEN_EEXIST,
  XEN_EINVAL,
  XEN_ENOENT,
  XEN_ENOSPC,
  XEN_ENOSYS,
  XEN_EOPNOTSUPP,
  XEN_EPERM,
  XEN_ESRCH,
} from "../../abi/xen.ts";
import type { EventDomain, EventWords } from "./event-words.ts";
import { FifoWords } from "./event-words-fifo.ts";
import { TwoLevelWords } from "./event-words-two-level.ts";

/** What event channels need to know of their domain and its neighbours. */
export interface ChannelDomain extends EventDomain {
  /** Channels of another domain of the machine; without it nobody else is there. */
  readonly peer?: (domid: number) => EventChannels | undefined;
  /** Called when a port is raised, for whoever lets the domain sleep. */
  readonly onRaise?: (() => void) | undefined;
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
  readonly #domain: ChannelDomain;
  readonly #channels: (Channel | undefined)[] = [];
  readonly #twoLevel: TwoLevelWords;
  /** While the guest has chosen this form. */
  #fifo: FifoWords | undefined;
  /** Ports below this exist, if only as closed ones. */
  #known = EVTCHN_GROUP;
  /** What the Host does when the guest sends on a port that is bound to it. */
  readonly #handlers = new Map<number, () => void>();

  constructor(domain: ChannelDomain) {
    this.#domain = domain;
    this.#twoLevel = new TwoLevelWords(domain);
  }

  /** Whether a port can be asked about: it is bound, or closed in a group of ports of which one was bound. */
  exists(port: number): boolean {
    return port < this.#known;
  }

  get domid(): number {
    return this.#domain.domid;
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

  /** Whether the Host still has the end that it took with `handler`: the guest has not closed the port since. */
  isHeldByHost(port: number, handler: () => void): boolean {
    return this.#handlers.get(port) === handler;
  }

  /** The Host lets go of the end that it took with `handler`: the port is unbound again. */
  unbindFromHost(port: number, handler: () => void): void {
    if (!this.isHeldByHost(port, handler)) return;
    this.#handlers.delete(port);
    const channel = this.#at(port);
    if (channel !== undefined) channel.state = EVTCHNSTAT_UNBOUND;
  }

  /** The Host sends on the end that it took with `handler`. */
  notifyFromHost(port: number, handler: () => void): void {
    if (this.isHeldByHost(port, handler)) this.raise(port);
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

  /** EVTCHNOP_alloc_unbound. Nobody asks whether the remote domain is there. @returns the port. */
  allocUnbound(domid: number, remoteDomid: number): number {
    if (!this.#isSelf(domid)) return this.#refusal(domid);
    const remote = remoteDomid === DOMID_SELF ? this.#domain.domid : remoteDomid;
    return this.#allocate(EVTCHNSTAT_UNBOUND, { remoteDomid: remote });
  }

  /** EVTCHNOP_bind_interdomain: to a port that another domain, or this one, left unbound for this domain. @returns the local port. */
  bindInterdomain(remoteDomid: number, remotePort: number): number {
    const peer = this.#isSelf(remoteDomid) ? this : this.#domain.peer?.(remoteDomid);
    if (peer === undefined) return remoteDomid === HOST_DOMID ? -XEN_EINVAL : -XEN_ESRCH;
    if (this.#freePort() === undefined) return -XEN_ENOSPC;
    const remote = peer.#at(remotePort);
    if (remote?.state !== EVTCHNSTAT_UNBOUND || remote.remoteDomid !== this.domid) {
      return -XEN_EINVAL;
    }
    const binding = { remoteDomid: peer.domid, remotePort };
    const port = this.#allocate(EVTCHNSTAT_INTERDOMAIN, binding);
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
      const peer = this.#peerOf(channel);
      const remote = peer === undefined ? undefined : peer.#at(channel.remotePort);
      if (remote !== undefined) {
        remote.state = EVTCHNSTAT_UNBOUND;
        remote.remoteDomid = this.#domain.domid;
        remote.remotePort = 0;
      }
    }
    this.#channels[port] = undefined;
    this.#handlers.delete(port);
    this.#words.clearPending(port);
    return 0;
  }

  /** EVTCHNOP_send. */
  send(port: number): number {
    const channel = this.#at(port);
    if (channel === undefined) return -XEN_EINVAL;
    if (channel.state === EVTCHNSTAT_IPI) this.raise(port);
    else if (channel.state === EVTCHNSTAT_INTERDOMAIN) {
      if (channel.remotePort !== 0) this.#peerOf(channel)?.raise(channel.remotePort);
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
    if (!this.exists(port)) return -XEN_EINVAL;
    const channel = this.#at(port);
    if (channel !== undefined) this.#words.unmask(port, channel.vcpu);
    return 0;
  }

  /** EVTCHNOP_reset: closes everything, and bits tell of events again. */
  reset(domid: number): number {
    if (!this.#isSelf(domid)) return this.#refusal(domid);
    this.closeAll();
    return 0;
  }

  /** The domain is gone, or starts over: what others had bound to it is unbound. */
  closeAll(): void {
    for (let port = 1; port < this.#channels.length; port++) this.close(port);
    this.#fifo?.release();
    this.#fifo = undefined;
  }

  /** EVTCHNOP_init_control: a vCPU's control block at `offset` of a frame; the first one makes queues tell of events. */
  initControl(vcpu: number, mfn: number, offset: number): number {
    if (vcpu >= this.#domain.vcpus) return -XEN_ENOENT;
    if (this.#fifo !== undefined) return this.#fifo.setControl(vcpu, mfn, offset);
    const fifo = new FifoWords(this.#domain);
    const error = fifo.setControl(vcpu, mfn, offset);
    if (error !== 0) return error;
    for (const port of this.#channels.keys()) {
      if (this.isPending(port)) fifo.setEarly(port);
    }
    this.#fifo = fifo;
    return 0;
  }

  /** EVTCHNOP_expand_array: one more frame of event words. */
  expandArray(mfn: number): number {
    if (this.#fifo === undefined) return -XEN_EOPNOTSUPP;
    return this.#fifo.addPage(mfn, (port) => this.#at(port)?.vcpu);
  }

  /** EVTCHNOP_set_priority. */
  setPriority(port: number, priority: number): number {
    if (!this.exists(port)) return -XEN_EINVAL;
    if (this.#fifo === undefined) return -XEN_ENOSYS;
    return this.#at(port) === undefined ? -XEN_EACCES : this.#fifo.setPriority(port, priority);
  }

  /** Tells a vCPU's virq, if the guest has bound it. */
  raiseVirq(virq: number, vcpu = 0): void {
    const port = this.#virqPort(virq, vcpu);
    if (port !== undefined) this.raise(port);
  }

  /** Makes a port pending. */
  raise(port: number): void {
    const channel = this.#at(port);
    if (channel === undefined) return;
    this.#words.setPending(port, channel.vcpu);
    this.#domain.onRaise?.();
  }

  /** Whether a port that is bound is pending, masked or not. */
  isPending(port: number): boolean {
    return this.#at(port) !== undefined && this.#words.isPending(port);
  }

  /** Serialisable state: bindings by port, and the queues. */
  save(): Record<string, unknown> {
    return {
      channels: this.#channels.map((channel) => channel && { ...channel }),
      known: this.#known,
      fifo: this.#fifo?.save(),
    };
  }

  /** Continues from saved state; whoever had handlers attaches them again. */
  restore(state: Record<string, unknown>): void {
    this.#channels.length = 0;
    const channels = state.channels as (Channel | undefined)[];
    for (const [port, channel] of channels.entries()) {
      this.#channels[port] = channel ? { ...channel } : undefined;
    }
    for (const port of this.#handlers.keys()) {
      if (!this.#isHosts(port)) this.#handlers.delete(port);
    }
    this.#known = state.known as number;
    this.#fifo = undefined;
    if (state.fifo === undefined || state.fifo === null) return;
    this.#fifo = new FifoWords(this.#domain);
    this.#fifo.restore(state.fifo as Record<string, unknown>);
  }

  get #words(): EventWords {
    return this.#fifo ?? this.#twoLevel;
  }

  #at(port: number): Channel | undefined {
    return port === 0 ? undefined : this.#channels[port];
  }

  /** Whether the Host has the other end of a port. */
  #isHosts(port: number): boolean {
    const channel = this.#at(port);
    return channel?.state === EVTCHNSTAT_INTERDOMAIN && channel.remotePort === 0;
  }

  /** Channels of the domain that has the other end of an interdomain channel. */
  #peerOf(channel: Channel): EventChannels | undefined {
    if (channel.remoteDomid === this.#domain.domid) return this;
    return this.#domain.peer?.(channel.remoteDomid);
  }

  /** The answer to a domain that names another one without being its master. */
  #refusal(domid: number): number {
    const isThere = domid === HOST_DOMID || this.#domain.peer?.(domid) !== undefined;
    return isThere ? -XEN_EPERM : -XEN_ESRCH;
  }

  #isSelf(domid: number): boolean {
    return domid === DOMID_SELF || domid === this.#domain.domid;
  }

  /** The lowest one; a guest that still has a closed port in a queue keeps it from being found. */
  #freePort(): number | undefined {
    for (let port = 1; port <= LAST_PORT; port++) {
      if (this.#channels[port] === undefined && !this.#words.isBusy(port)) return port;
    }
    return undefined;
  }

  #allocate(state: number, binding: Partial<Channel>): number {
    const port = this.#freePort();
    if (port === undefined) return -XEN_ENOSPC;
    this.#channels[port] = { state, vcpu: 0, remoteDomid: 0, remotePort: 0, virq: 0, ...binding };
    this.#known = Math.max(this.#known, (Math.floor(port / EVTCHN_GROUP) + 1) * EVTCHN_GROUP);
    this.#words.open(port);
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
}
