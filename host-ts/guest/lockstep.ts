/**
 * Guests that share memory and events go in step, so that what they do to each other does not depend on how fast this computer is: virtual
 * time has rounds, and in each round every guest has one turn, in the order in which they were made. Nobody is ahead of another by more than a round, and a
 * guest that idles has its clock moved with the others'. All of them together are as repeatable as one guest alone.
 */

/** Length of a round in virtual nanoseconds: what an event between two guests takes at most. */
const ROUND_NS = 100_000;

/** The part of a guest's clock that going in step needs. Guest nanoseconds. */
export interface StepClock {
  readonly nowNs: number;
  jumpTo(ns: number): void;
}

/** Why a guest has nothing more to do in a round. */
export interface Nap {
  /** Guest time of what wakes it at the latest; undefined: nothing of its own. */
  readonly untilNs: number | undefined;
  /** Whether somebody outside may wake it. */
  readonly canWait: boolean;
}

/** One guest among those that go in step. Opaque. */
export interface Stepper {
  /** Makes the guest's driver look whether it is its turn. */
  readonly wake: () => void;
  clock: StepClock | undefined;
  /** Adds up with the guest's time to the time of all. */
  offsetNs: number;
  isDone: boolean;
  nap: Nap | undefined;
  /** Nothing can wake it, nor any of the others. */
  isStranded: boolean;
}

/** See the file header. */
export class Lockstep {
  readonly #steppers: Stepper[] = [];
  #startNs = 0;
  #turn: Stepper | undefined;

  /** A guest that will go in step; it stands still. */
  enter(wake: () => void): Stepper {
    const stepper: Stepper = {
      wake,
      clock: undefined,
      offsetNs: 0,
      isDone: true,
      nap: undefined,
      isStranded: false,
    };
    this.#steppers.push(stepper);
    return stepper;
  }

  /** A guest goes, with this clock: from the round after this one on, or from this one if nobody else goes. */
  start(stepper: Stepper, clock: StepClock): void {
    const isFirst = this.#going.length === 0;
    stepper.clock = clock;
    stepper.nap = undefined;
    stepper.isDone = !isFirst;
    stepper.offsetNs = this.#startNs + (isFirst ? 0 : ROUND_NS) - clock.nowNs;
    if (isFirst || this.#turn === undefined) this.#pass();
  }

  /** A guest stands still, paused or for ever; the others go on. */
  stop(stepper: Stepper): void {
    stepper.clock = undefined;
    stepper.isDone = true;
    if (this.#turn === stepper) this.#pass();
  }

  /** A guest goes no more. */
  leave(stepper: Stepper): void {
    const index = this.#steppers.indexOf(stepper);
    if (index >= 0) this.#steppers.splice(index, 1);
    stepper.clock = undefined;
    // Who waited for it may wait for nobody now.
    if (this.#turn === stepper || this.#turn === undefined) this.#pass();
  }

  /** Guest time at which the turn of a guest ends; undefined while it is not its turn. */
  limitNs(stepper: Stepper): number | undefined {
    if (this.#turn !== stepper) return undefined;
    return this.#startNs + ROUND_NS - stepper.offsetNs;
  }

  /** A guest whose turn it is has come to the end of the round, or has nothing to do before that. */
  finish(stepper: Stepper, nap: Nap | undefined): void {
    if (this.#turn !== stepper) return;
    stepper.isDone = true;
    stepper.nap = nap;
    this.#pass();
  }

  /** Something came for a guest that may have nothing to do. */
  nudge(stepper: Stepper): void {
    stepper.nap = undefined;
    if (this.#turn === undefined && stepper.clock !== undefined) this.#pass();
  }

  get #going(): Stepper[] {
    return this.#steppers.filter(({ clock }) => clock !== undefined);
  }

  /** The turn is the next one's. */
  #pass(): void {
    this.#turn = undefined;
    const going = this.#going;
    if (going.length === 0) return;
    if (going.every(({ isDone }) => isDone) && !this.#nextRound(going)) return;
    const next = going.find(({ isDone }) => !isDone)!;
    this.#turn = next;
    // The clock of one that idled stood still.
    next.clock!.jumpTo(this.#startNs - next.offsetNs);
    next.wake();
  }

  /** @returns false when there is none before somebody outside does something. */
  #nextRound(going: readonly Stepper[]): boolean {
    let nextNs = this.#startNs + ROUND_NS;
    if (going.every(({ nap }) => nap !== undefined)) {
      const timersNs = going.flatMap(({ nap, offsetNs }) =>
        nap?.untilNs === undefined ? [] : [nap.untilNs + offsetNs],
      );
      if (timersNs.length === 0) {
        const isEverybody = going.length === this.#steppers.length;
        if (isEverybody && !going.some(({ nap }) => nap!.canWait)) strand(going);
        return false;
      }
      // Rounds in which nobody does anything are left out.
      nextNs = Math.max(nextNs, Math.floor(Math.min(...timersNs) / ROUND_NS) * ROUND_NS);
    }
    this.#startNs = nextNs;
    for (const stepper of going) stepper.isDone = false;
    return true;
  }
}

function strand(going: readonly Stepper[]): void {
  for (const stepper of going) {
    stepper.isStranded = true;
    stepper.wake();
  }
}
