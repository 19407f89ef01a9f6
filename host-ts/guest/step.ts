/** A guest's place among the guests that it goes in step with; of a guest that goes alone every word of it means nothing. */
import type { Lockstep, Nap, StepClock, Stepper } from "./lockstep.ts";

/** See the file header. */
export class Step {
  readonly #lockstep: Lockstep | undefined;
  readonly #stepper: Stepper | undefined;

  /** @param wake makes the guest's driver look whether it is its turn */
  constructor(lockstep: Lockstep | undefined, wake: () => void) {
    this.#lockstep = lockstep;
    this.#stepper = lockstep?.enter(wake);
  }

  /** Whether the guest goes in step with others at all. */
  get isShared(): boolean {
    return this.#stepper !== undefined;
  }

  /** Nothing can wake the guest, nor any of the others. */
  get isStranded(): boolean {
    return this.#stepper?.isStranded ?? false;
  }

  /** Guest time at which the guest's turn ends; undefined while it is not its turn, and for a guest that goes alone. */
  get limitNs(): number | undefined {
    return this.#do((lockstep, stepper) => lockstep.limitNs(stepper));
  }

  /** The guest goes, with this clock. */
  start(clock: StepClock): void {
    this.#do((lockstep, stepper) => lockstep.start(stepper, clock));
  }

  /** The guest stands still. */
  stop(): void {
    this.#do((lockstep, stepper) => lockstep.stop(stepper));
  }

  /** The guest's turn is over; with `nap` it has nothing to do before that. */
  finish(nap: Nap | undefined): void {
    this.#do((lockstep, stepper) => lockstep.finish(stepper, nap));
  }

  /** Something came for the guest. */
  nudge(): void {
    this.#do((lockstep, stepper) => lockstep.nudge(stepper));
  }

  /** The guest goes no more. */
  leave(): void {
    this.#do((lockstep, stepper) => lockstep.leave(stepper));
  }

  #do<T>(action: (lockstep: Lockstep, stepper: Stepper) => T): T | undefined {
    if (this.#lockstep === undefined || this.#stepper === undefined) return undefined;
    return action(this.#lockstep, this.#stepper);
  }
}
