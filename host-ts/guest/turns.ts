/**
 * The turns of a guest on a thread: each ends after about ten milliseconds, so that the thread's event loop goes on, or where guests that go in
 * step say; between two of them a guest that has nothing to do sleeps.
 */
import type { Alarm } from "../base/event-loop.ts";
import type { HostInputs } from "../base/inputs.ts";
import type { MonotonicMs } from "../base/time.ts";
import type { Machine } from "./machine.ts";
import { type LoopOutcome, runGuest } from "./run-loop.ts";
import type { Step } from "./step.ts";

/** Longest turn of the run loop before the event loop gets its own, in milliseconds. */
const TURN_MS = 10;

/** See the file header. */
export class Turns {
  /** Time spent in turns of this life, in milliseconds. */
  coreMs = 0;
  readonly #inputs: HostInputs;
  readonly #step: Step;
  readonly #alarm: Alarm;
  readonly #nowMs: MonotonicMs;

  /** @param alarm rings when there is something to look at */
  constructor(inputs: HostInputs, step: Step, alarm: Alarm, nowMs: MonotonicMs) {
    this.#inputs = inputs;
    this.#step = step;
    this.#alarm = alarm;
    this.#nowMs = nowMs;
  }

  /** One turn, cut short once `mustEnd`. @returns undefined when it is another guest's. */
  run(machine: Machine, mustEnd: () => boolean): LoopOutcome | undefined {
    const turnEndNs = this.#step.limitNs;
    if (this.#step.isStranded) machine.giveUp();
    else if (this.#step.isShared && turnEndNs === undefined) return undefined;
    machine.setTurnEnd(turnEndNs);
    const startMs = this.#nowMs();
    const outcome = runGuest(
      machine,
      () => mustEnd() || machine.isTurnOver || this.#nowMs() - startMs > TURN_MS,
    );
    this.coreMs += this.#nowMs() - startMs;
    return outcome;
  }

  /** What lies between a turn that ended so and the next one. */
  async rest(machine: Machine, outcome: LoopOutcome): Promise<void> {
    if (this.#step.isShared) this.#passOn(machine, outcome);
    else if (outcome.kind === "asleep") await this.#sleep(machine, outcome.untilNs);
  }

  /** Of guests that go in step: the next one's turn comes, unless only this thread's event loop had to run. */
  #passOn(machine: Machine, outcome: LoopOutcome): void {
    const isAsleep = outcome.kind === "asleep";
    if (!isAsleep && !machine.isTurnOver) return;
    const canWait = this.#inputs.hasSources;
    this.#step.finish(isAsleep ? { untilNs: outcome.untilNs, canWait } : undefined);
  }

  async #sleep(machine: Machine, untilNs: number | undefined): Promise<void> {
    const sleptMs = this.#nowMs();
    await this.#alarm.sleep(
      untilNs === undefined ? undefined : Math.max(0, (untilNs - machine.clock.nowNs) / 1e6),
    );
    machine.wakeAfter(this.#nowMs() - sleptMs, untilNs);
  }
}
