/**
 * The classic fault path: every trap, every TLB miss and every hypercall of the guest comes out of Wasm and is judged here, as the
 * original Host judged them. It all happens within one slice: the run loop sees the same slices as on the other path, so both paths
 * deliver interrupts and take news at the same instruction.
 */

import {
  EXIT_BUDGET,
  EXIT_HYPERCALL,
  EXIT_SHADOW_FAULT,
  EXIT_TRAP,
  VCPU_EXIT_ARG,
  VCPU_EXIT_REASON,
  VCPU_GPR,
  VCPU_LG_DATA,
  VCPU_LG_DRAINING,
} from "../../abi/vcpu.ts";
import { REG_EAX, REG_EBX, REG_ECX, REG_EDX, REG_ESI } from "../../abi/x86.ts";
import type { Core } from "../base/core.ts";
import type { PersonalityHost } from "../base/personality.ts";
import { AsyncRing } from "./async-ring.ts";
import { DemandPager } from "./demand-page.ts";
import { type CallContext, performCall } from "./hypercalls.ts";
import { isCoreCall } from "./trap-policy.ts";

/** One guest's classic path. */
export class ClassicPath {
  readonly #context: CallContext;
  readonly #host: PersonalityHost;
  readonly #core: Core;
  readonly #vcpu: number;
  readonly #pager: DemandPager;
  readonly #ring: AsyncRing;

  constructor(context: CallContext) {
    const { host } = context;
    this.#context = context;
    this.#host = host;
    this.#core = host.core;
    this.#vcpu = host.vcpu.ptr;
    this.#pager = new DemandPager(host);
    this.#ring = new AsyncRing(host);
  }

  /** Runs the guest for at most `budget` instructions. @returns the EXIT_* that the run loop must act upon. */
  run(budget: number): number {
    const verbs = this.#core.exports;
    if (this.#word(VCPU_LG_DRAINING) !== 0) {
      // Other guests may have run while a device was served.
      verbs.activateDirectory(this.#vcpu);
      if (!this.#resumeCall()) return this.#reason;
    }
    let reason = verbs.run(this.#vcpu, budget);
    while (this.#serve(reason)) reason = verbs.resume(this.#vcpu);
    return this.#reason;
  }

  /** @returns true when the guest goes on within its slice. */
  #serve(reason: number): boolean {
    switch (reason) {
      case EXIT_SHADOW_FAULT:
        return this.#pager.demandPage(this.#arg(0), this.#arg(1));
      case EXIT_TRAP: {
        const verbs = this.#core.exports;
        return verbs.deliverTrap(this.#vcpu, this.#arg(0), this.#arg(1), this.#arg(2)) !== 0;
      }
      case EXIT_HYPERCALL:
        return this.#hypercall();
      default:
        return false;
    }
  }

  /** Drains the ring, then performs the call; what concerns devices, timers and sleep goes out to the run loop, in order. */
  #hypercall(): boolean {
    // Before LGUEST_INIT there is no ring.
    if (this.#word(VCPU_LG_DATA) === 0) return false;
    this.#ring.snapshot();
    this.#setWord(VCPU_LG_DRAINING, 1);
    return this.#resumeCall();
  }

  /** Goes on with a hypercall whose ring was being drained when a queued call had to go out. */
  #resumeCall(): boolean {
    const ring = this.#ring;
    const { args } = ring;
    ring.open();
    while (ring.take()) {
      if (!this.#dispatch(ring.number, args[0], args[1], args[2], args[3])) return false;
    }
    this.#setWord(VCPU_LG_DRAINING, 0);
    return this.#dispatch(
      this.#gpr(REG_EAX),
      this.#gpr(REG_EBX),
      this.#gpr(REG_ECX),
      this.#gpr(REG_EDX),
      this.#gpr(REG_ESI),
    );
  }

  #dispatch(number: number, a1: number, a2: number, a3: number, a4: number): boolean {
    if (this.#host.isDead) return false;
    if (isCoreCall(number)) {
      performCall(this.#context, number, a1, a2, a3, a4);
      return !this.#host.isDead;
    }
    this.#setWord(VCPU_EXIT_REASON, EXIT_HYPERCALL);
    [number, a1, a2, a3, a4].forEach((word, index) => {
      this.#setWord(VCPU_EXIT_ARG + 4 * index, word);
    });
    return false;
  }

  /** Why the slice is over: the exit record says so, but for a guest that died here. */
  get #reason(): number {
    return this.#host.isDead ? EXIT_BUDGET : this.#word(VCPU_EXIT_REASON);
  }

  #word(field: number): number {
    return this.#core.cell(this.#vcpu + field);
  }

  #setWord(field: number, value: number): void {
    this.#core.setCell(this.#vcpu + field, value);
  }

  #arg(index: number): number {
    return this.#word(VCPU_EXIT_ARG + 4 * index);
  }

  #gpr(register: number): number {
    return this.#word(VCPU_GPR + 4 * register);
  }
}
