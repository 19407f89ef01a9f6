/**
 * The classic fault path of a Xen guest: every exception and every hypercall comes out of Wasm and is judged here, by verbs of the core. It
 * all happens within one slice, so that both paths have the same slices and take news at the same instruction. TLB misses stay inside: the
 * tables are the guest's own, and a processor walks them.
 */
import {
  EXIT_HYPERCALL,
  EXIT_TRAP,
  VCPU_FAULT_ADDRESS,
  VCPU_FAULT_ERROR,
  VCPU_FAULT_VECTOR,
} from "../../abi/vcpu.ts";
import type { PersonalityHost } from "../base/personality.ts";

/** What the core says of a fault (FAULT_* of core-as/xen/traps.ts). */
const FAULT_IS_GUESTS = 0;
const FAULT_SETTLED = 1;

/** What the core says of a call that it has performed whole; it may have to be made again for the rest. */
const PERFORMED = 1;

/** One guest's classic path. */
export class ClassicPath {
  readonly #host: PersonalityHost;

  constructor(host: PersonalityHost) {
    this.#host = host;
  }

  /** Runs the vCPU whose turn it is for at most `budget` instructions. @returns the EXIT_* that the run loop must act upon. */
  run(budget: number): number {
    const { core, vcpu } = this.#host;
    let reason = core.exports.run(vcpu.ptr, budget);
    while (this.#serve(reason)) reason = core.exports.resume(vcpu.ptr);
    return vcpu.exitReason;
  }

  /** @returns true when the guest goes on within its slice. */
  #serve(reason: number): boolean {
    if (reason === EXIT_TRAP) return this.#trap();
    return reason === EXIT_HYPERCALL && this.#hypercall();
  }

  /** What is not Xen's own business goes into the guest's handler. */
  #trap(): boolean {
    const { core, vcpu } = this.#host;
    const outcome = core.exports.xenSettleFault(vcpu.ptr);
    if (outcome !== FAULT_IS_GUESTS) return outcome === FAULT_SETTLED;
    const [vector, error, address] = [VCPU_FAULT_VECTOR, VCPU_FAULT_ERROR, VCPU_FAULT_ADDRESS];
    return (
      core.exports.deliverTrap(vcpu.ptr, vcpu.u32(vector), vcpu.u32(error), vcpu.u32(address)) !== 0
    );
  }

  /** What only touches tables, descriptors and the vCPU is performed at once; the others go out to the run loop. */
  #hypercall(): boolean {
    const { core, vcpu } = this.#host;
    const number = vcpu.exitArg(0);
    const outcome = core.exports.xenPerform(vcpu.ptr);
    if (outcome === PERFORMED) this.#host.countHypercall(number);
    return outcome !== 0;
  }
}
