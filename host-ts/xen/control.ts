/**
 * What the Host asks of a domain's kernel through its control directory in xenstore, and the domain that suspended itself. Source: Xen's docs/misc/xenstore-paths.txt; SHUTDOWN_suspend in its public sched.h.
 */
import type { GuestControl, ShutdownRequest } from "../base/personality.ts";
import type { HostInput } from "../base/ports.ts";
import {
  pendingShutdown,
  requestShutdown,
  requestSysrq,
  watchShutdown,
  withdrawShutdown,
} from "./xenstore/domain.ts";
import type { Xenstore } from "./xenstore/xenstore.ts";

/** What SCHEDOP_shutdown answers a domain whose suspension came to nothing. */
const SUSPEND_CANCELLED = 1;

/** What control needs of its domain. */
export interface ControlledDomain {
  readonly store: Xenstore;
  readonly domid: number;
  /** The domain goes on in place: the call by which it suspended itself gives `answer`. */
  goOn(answer: number): void;
  /** VIRQ_DEBUG on every vCPU. */
  raiseDebug(): void;
  /** The domain as it is kept, with console input that has not come to it yet. */
  image(waitingInput: Uint8Array): Uint8Array;
  /** Of a domain that suspends itself unasked: it learns at once that nothing came of it, or stands as on Xen. */
  readonly onSuspend: "cancel" | "stand";
}

/** See the file header. */
export class DomainControl implements GuestControl {
  readonly #domain: ControlledDomain;
  #isSuspendAsked = false;
  #isSuspended = false;

  readonly #unwatch: () => void;

  constructor(domain: ControlledDomain) {
    this.#domain = domain;
    this.#unwatch = watchShutdown(domain.store, domain.domid, (request) => {
      if (request !== "") this.#isSuspendAsked = request === "suspend";
    });
  }

  /** The domain is gone. */
  close(): void {
    this.#unwatch();
  }

  get hasPendingRequest(): boolean {
    return pendingShutdown(this.#domain.store, this.#domain.domid) !== "";
  }

  get isSuspended(): boolean {
    return this.#isSuspended;
  }

  /** A request of the embedder's, as text; an empty one takes the last back. */
  receive({ device, data }: HostInput): void {
    const { store, domid } = this.#domain;
    const text = String.fromCharCode(...data);
    if (device === "debug") this.#domain.raiseDebug();
    else if (device === "sysrq") requestSysrq(store, domid, text);
    else if (text !== "") requestShutdown(store, domid, text as ShutdownRequest);
    else {
      withdrawShutdown(store, domid);
      this.#isSuspendAsked = false;
    }
  }

  /** SHUTDOWN_suspend. @returns what the call answers now; undefined when the domain stands still and the answer comes later. */
  suspend(): number | undefined {
    if (!this.#isSuspendAsked && this.#domain.onSuspend === "cancel") return SUSPEND_CANCELLED;
    this.#isSuspendAsked = false;
    this.#isSuspended = true;
    return undefined;
  }

  cancelSuspend(): void {
    if (!this.#isSuspended) return;
    this.#isSuspended = false;
    this.#domain.goOn(SUSPEND_CANCELLED);
  }

  image(waitingInput: Uint8Array): Uint8Array {
    return this.#domain.image(waitingInput);
  }

  save(): Record<string, unknown> {
    return { isSuspendAsked: this.#isSuspendAsked, isSuspended: this.#isSuspended };
  }

  restore(state: Record<string, unknown>): void {
    this.#isSuspendAsked = state.isSuspendAsked as boolean;
    this.#isSuspended = state.isSuspended as boolean;
  }
}
