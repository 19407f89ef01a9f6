/**
 * The plot. Everything else in the Host exists so that this loop can be read aloud; it is the same for every personality.
 *
 *     while the guest lives:
 *         run the hypercalls it asked for           (a notify goes to its device, or out to the launcher)
 *         stop if the embedder paused or aborted, or the guest suspended itself
 *         choose the vCPU whose turn it is, then a deliverable interrupt, and deliver it
 *         stop if one of those killed it
 *         if all of it is halted: sleep until a timer or an interrupt; look once more before sleeping
 *         enter the core with an instruction budget, and handle what made it come back
 */

import type { Machine } from "./machine.ts";

/** Why the loop came back to its driver. */
export type LoopOutcome =
  /** It is dead: `Machine.death` says how. */
  | { readonly kind: "dead" }
  /** Its turn is over, or somebody wants something: call again after letting the event loop run. */
  | { readonly kind: "turn over" }
  /** It waits for a timer at this guest time, or for input only (undefined). */
  | { readonly kind: "asleep"; readonly untilNs: number | undefined }
  /** It suspended itself. */
  | { readonly kind: "suspended" };

/** Runs a guest until it dies, sleeps, or `isTurnOver` says so. */
export function runGuest(machine: Machine, isTurnOver: () => boolean): LoopOutcome {
  const { personality, vcpuRunner } = machine;
  while (!machine.isDead) {
    personality.runHypercalls();
    personality.deliverNotify();
    if (personality.control?.isSuspended) return { kind: "suspended" };
    if (isTurnOver()) return { kind: "turn over" };

    machine.takeNews();
    // An instruction that waits for its device access is half done: nothing may come between.
    if (!machine.isMidInstruction) {
      machine.schedule();
      personality.deliverInterrupts();
    }
    if (machine.isDead) break;

    if (personality.isHalted(machine.vcpu)) {
      const nap = machine.sleepUntil();
      if (nap === "awake") continue;
      return { kind: "asleep", untilNs: nap.untilNs };
    }
    vcpuRunner.enter(machine.nextBudget());
  }
  return { kind: "dead" };
}
