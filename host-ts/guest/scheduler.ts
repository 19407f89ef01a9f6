/**
 * Whose turn it is. The vCPUs of a guest run on one thread, one at a time, in turns of a fixed number of instructions: one that waits
 * is passed over, and nobody who spins keeps the others out for longer than a turn. A turn ends by the count of retired instructions or
 * where its vCPU halts, never by a clock or by the length of a run slice, so the same inputs give the same order of turns.
 */
import type { VcpuBlock } from "../base/vcpu-block.ts";

/** Instructions of a turn: short for a guest that waits in a loop for another vCPU, long beside the cost of a change. */
export const TURN_INSTRUCTIONS = 5_000;

/** The turns of one guest. Counts are instructions retired by all its vCPUs. */
export class Scheduler {
  readonly #vcpus: readonly VcpuBlock[];
  #turnEnd = TURN_INSTRUCTIONS;

  /** @param vcpus by number. */
  constructor(vcpus: readonly VcpuBlock[]) {
    this.#vcpus = vcpus;
  }

  /**
   * The vCPU to run now: `current` until its turn is over, then the next by number that is ready, itself last. When none is, it
   * stays with `current`.
   */
  choose(current: VcpuBlock, retired: number, isReady: (vcpu: VcpuBlock) => boolean): VcpuBlock {
    if (retired < this.#turnEnd && isReady(current)) return current;
    const from = this.#vcpus.indexOf(current) + 1;
    const inOrder = [...this.#vcpus.slice(from), ...this.#vcpus.slice(0, from)];
    const next = inOrder.find(isReady);
    if (next === undefined) return current;
    this.#turnEnd = retired + TURN_INSTRUCTIONS;
    return next;
  }

  /** Instructions until the turn is over, at least 1. */
  instructionsLeft(retired: number): number {
    return Math.max(1, this.#turnEnd - retired);
  }

  /** The turn is over now. */
  endTurn(retired: number): void {
    this.#turnEnd = retired;
  }

  /** Serialisable state. */
  save(): Record<string, number> {
    return { turnEnd: this.#turnEnd };
  }

  /** Continues from saved state. */
  restore(state: Record<string, number>): void {
    this.#turnEnd = state.turnEnd ?? TURN_INSTRUCTIONS;
  }
}
