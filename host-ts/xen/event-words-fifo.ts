/**
 * Event channels as words in pages of the guest's, linked into queues by priority; each vCPU has a control block with the heads of its queues.
 * The guest follows the links while the Host appends; on one thread neither is ever in the middle of its step when the other takes one, so
 * BUSY, which keeps the guest from unmasking meanwhile, is never seen set.
 *
 * Source: Xen's public event_channel.h, "FIFO ABI". Calls return negative errno values.
 */
import { PAGE_BYTES } from "../../abi/memory.ts";
import {
  EVTCHN_FIFO_BUSY,
  EVTCHN_FIFO_LINK_MASK,
  EVTCHN_FIFO_LINKED,
  EVTCHN_FIFO_MASKED,
  EVTCHN_FIFO_PENDING,
  EVTCHN_FIFO_PORTS,
  EVTCHN_FIFO_PRIORITIES,
  EVTCHN_FIFO_PRIORITY_DEFAULT,
  XEN_EINVAL,
  XEN_ENOSPC,
} from "../../abi/xen.ts";
import {
  EVTCHN_FIFO_CONTROL_BYTES,
  EVTCHN_FIFO_HEADS,
  EVTCHN_FIFO_READY,
  VI_UPCALL_PENDING,
} from "../../abi/xen-layout.ts";
import type { EventDomain, EventWords } from "./event-words.ts";

const WORD_BYTES = 4;
const WORDS_PER_PAGE = PAGE_BYTES / WORD_BYTES;
const MAX_PAGES = EVTCHN_FIFO_PORTS / WORDS_PER_PAGE;

/** What is kept of a port besides its word. */
interface PortState {
  priority: number;
  /** The queue that it was linked into last. */
  lastVcpu: number;
  lastPriority: number;
  /** It became pending while there was no page for its word. */
  isEarly: boolean;
}

/** See the file header. */
export class FifoWords implements EventWords {
  readonly ports = EVTCHN_FIFO_PORTS;
  readonly #domain: EventDomain;
  /** Frames of event words, in the order of their ports. */
  #pages: number[] = [];
  /** Machine address of each vCPU's control block. */
  #controls: (number | undefined)[];
  /** Last port of each queue, 0 for none: by vCPU, then priority. */
  #tails: number[];
  #states = new Map<number, PortState>();

  constructor(domain: EventDomain) {
    this.#domain = domain;
    this.#controls = Array.from({ length: domain.vcpus }, () => undefined);
    this.#tails = Array.from({ length: domain.vcpus * EVTCHN_FIFO_PRIORITIES }, () => 0);
  }

  /** EVTCHNOP_init_control for a vCPU that exists. @returns 0 or a negative errno. */
  setControl(vcpu: number, mfn: number, offset: number): number {
    if (offset > PAGE_BYTES - EVTCHN_FIFO_CONTROL_BYTES || offset % 8 !== 0) return -XEN_EINVAL;
    if (this.#controls[vcpu] !== undefined || !this.#domain.holdFrame(mfn)) return -XEN_EINVAL;
    this.#controls[vcpu] = mfn * PAGE_BYTES + offset;
    return 0;
  }

  /**
   * EVTCHNOP_expand_array: room for more event words.
   * @param vcpuOf who is told of a port, undefined when it is closed @returns 0 or a negative errno.
   */
  addPage(mfn: number, vcpuOf: (port: number) => number | undefined): number {
    if (this.#pages.length >= MAX_PAGES) return -XEN_ENOSPC;
    if (!this.#domain.holdFrame(mfn)) return -XEN_EINVAL;
    this.#pages.push(mfn);
    for (const [port, state] of [...this.#states].sort(([a], [b]) => a - b)) {
      const vcpu = vcpuOf(port);
      if (!state.isEarly || vcpu === undefined || this.#wordGpa(port) === undefined) continue;
      state.isEarly = false;
      this.setPending(port, vcpu);
    }
    return 0;
  }

  /** EVTCHNOP_set_priority: of its next event; one that is linked stays where it is. @returns 0 or a negative errno. */
  setPriority(port: number, priority: number): number {
    if (priority >= EVTCHN_FIFO_PRIORITIES) return -XEN_EINVAL;
    this.#state(port).priority = priority;
    return 0;
  }

  /** A port that was pending in the other form. */
  setEarly(port: number): void {
    this.#state(port).isEarly = true;
  }

  /** Gives all pages back. */
  release(): void {
    for (const mfn of this.#pages) this.#domain.releaseFrame(mfn);
    for (const gpa of this.#controls) {
      if (gpa !== undefined) this.#domain.releaseFrame(Math.floor(gpa / PAGE_BYTES));
    }
    this.#pages = [];
    this.#controls.fill(undefined);
  }

  setPending(port: number, vcpu: number): void {
    const { memory } = this.#domain;
    const gpa = this.#wordGpa(port);
    const state = this.#state(port);
    if (gpa === undefined) {
      state.isEarly = true;
      return;
    }
    const control = this.#controls[vcpu];
    // Before it has one, the guest unmasks nothing that this vCPU is told of.
    if (control === undefined) return;
    const word = memory.readU32(gpa) | EVTCHN_FIFO_PENDING;
    if ((word & (EVTCHN_FIFO_MASKED | EVTCHN_FIFO_LINKED)) !== 0) {
      memory.writeU32(gpa, word);
      return;
    }
    memory.writeU32(gpa, word | EVTCHN_FIFO_LINKED);
    this.#link(port, vcpu, state, control);
  }

  clearPending(port: number): void {
    this.#change(port, EVTCHN_FIFO_PENDING);
    const state = this.#states.get(port);
    if (state !== undefined) state.isEarly = false;
  }

  unmask(port: number, vcpu: number): void {
    this.#change(port, EVTCHN_FIFO_MASKED);
    if (this.isPending(port)) this.setPending(port, vcpu);
  }

  isPending(port: number): boolean {
    return (this.#word(port) & EVTCHN_FIFO_PENDING) !== 0;
  }

  isBusy(port: number): boolean {
    return (this.#word(port) & EVTCHN_FIFO_LINKED) !== 0;
  }

  open(port: number): void {
    this.#state(port).priority = EVTCHN_FIFO_PRIORITY_DEFAULT;
  }

  /** Serialisable state. */
  save(): Record<string, unknown> {
    return {
      pages: [...this.#pages],
      controls: this.#controls.map((gpa) => gpa ?? null),
      tails: [...this.#tails],
      states: [...this.#states].map(([port, state]) => [port, { ...state }]),
    };
  }

  /** Continues from saved state; its frames are held already. */
  restore(state: Record<string, unknown>): void {
    this.#pages = [...(state.pages as number[])];
    this.#controls = (state.controls as (number | null)[]).map((gpa) => gpa ?? undefined);
    this.#tails = [...(state.tails as number[])];
    const states = state.states as [number, PortState][];
    this.#states = new Map(states.map(([port, each]) => [port, { ...each }]));
  }

  /** Appends a port to the queue of its priority, and tells the vCPU of a queue that had been empty. */
  #link(port: number, vcpu: number, state: PortState, control: number): void {
    const { memory } = this.#domain;
    const queue = queueOf(vcpu, state.priority);
    const last = queueOf(state.lastVcpu, state.lastPriority);
    // It was the end of a queue that the guest has emptied: nothing may be linked to it there.
    if (this.#tails[last] === port) this.#tails[last] = 0;
    state.lastVcpu = vcpu;
    state.lastPriority = state.priority;
    const tail = this.#tails[queue]!;
    this.#tails[queue] = port;
    if (tail !== 0 && this.#linkBehind(tail, port)) return;
    memory.writeU32(control + EVTCHN_FIFO_HEADS + WORD_BYTES * state.priority, port);
    const ready = memory.readU32(control + EVTCHN_FIFO_READY);
    const bit = 1 << state.priority;
    if ((ready & bit) !== 0) return;
    memory.writeU32(control + EVTCHN_FIFO_READY, ready | bit);
    memory.writeU8(this.#domain.vcpuInfoGpa(vcpu) + VI_UPCALL_PENDING, 1);
  }

  /** @returns false when the guest has taken the tail out already: the queue is empty. */
  #linkBehind(tail: number, port: number): boolean {
    const word = this.#word(tail);
    if ((word & EVTCHN_FIFO_LINKED) === 0) return false;
    const bare = word & ~(EVTCHN_FIFO_BUSY | EVTCHN_FIFO_LINK_MASK);
    this.#domain.memory.writeU32(this.#wordGpa(tail)!, bare | port);
    return true;
  }

  #state(port: number): PortState {
    let state = this.#states.get(port);
    if (state === undefined) {
      const priority = EVTCHN_FIFO_PRIORITY_DEFAULT;
      state = { priority, lastVcpu: 0, lastPriority: 0, isEarly: false };
      this.#states.set(port, state);
    }
    return state;
  }

  #wordGpa(port: number): number | undefined {
    const mfn = this.#pages[Math.floor(port / WORDS_PER_PAGE)];
    return mfn === undefined ? undefined : mfn * PAGE_BYTES + (port % WORDS_PER_PAGE) * WORD_BYTES;
  }

  #word(port: number): number {
    const gpa = this.#wordGpa(port);
    return gpa === undefined ? 0 : this.#domain.memory.readU32(gpa);
  }

  #change(port: number, cleared: number): void {
    const gpa = this.#wordGpa(port);
    if (gpa !== undefined) this.#domain.memory.writeU32(gpa, this.#word(port) & ~cleared);
  }
}

function queueOf(vcpu: number, priority: number): number {
  return vcpu * EVTCHN_FIFO_PRIORITIES + priority;
}
