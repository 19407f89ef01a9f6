/**
 * Where the time of a round trip goes. Two runs apart from the measured ones tell: a stepped one counts the guest's instructions by phase
 * (bench-stepper.ts), and a clocked one reads a clock whenever a phase begins (bench-clock.ts). Reading the clock costs about as much as
 * a short phase; it is calibrated and taken off. Nothing is scaled: what the phases do not explain of the measured time is said.
 */
import {
  PHASE_GUEST,
  PHASE_HANDLER,
  PHASE_HYPERCALL,
  PHASE_REFLECT,
  PHASE_RETURN,
  PHASE_TRAP,
  PHASE_WALK,
} from "../../abi/vcpu.ts";
import { median } from "./bench-stats.ts";

/** Names of the phases, in the order in which a page fault goes through them. */
export const PHASES = [
  "guest access",
  "trap",
  "walk",
  "reflect or map",
  "guest handler",
  "hypercall",
  "return",
] as const;
export type PhaseName = (typeof PHASES)[number];

/** Name of what the phases do not explain of the measured time: below 0 when they take longer than it. */
export const UNATTRIBUTED = "unattributed";

/** Phases by their PHASE_*. */
export const PHASE_IDS: Readonly<Record<PhaseName, number>> = {
  "guest access": PHASE_GUEST,
  trap: PHASE_TRAP,
  walk: PHASE_WALK,
  "reflect or map": PHASE_REFLECT,
  "guest handler": PHASE_HANDLER,
  hypercall: PHASE_HYPERCALL,
  return: PHASE_RETURN,
};

/** One phase of one iteration. */
export interface Phase {
  readonly name: PhaseName | typeof UNATTRIBUTED;
  /** How often it begins. */
  readonly count: number;
  /** Guest instructions retired in it. */
  readonly instructions: number;
  readonly ns: number;
  /** How far `ns` may be off: by the calibration of the clock's readings, or by the spread of the runs. */
  readonly errorNs: number;
  /** The error is more than a quarter of the time, or, of what is unattributed, it is more than a fifth of the measured time. */
  readonly isUncertain: boolean;
}

/** What one clocked run found, per iteration. */
export interface ClockedRun {
  /** How often each phase began. */
  readonly counts: Readonly<Record<PhaseName, number>>;
  /** Readings of the clock that a phase bears, half of each at its beginning and at its end: called from Wasm, and from the Host. */
  readonly wasmReadings: Readonly<Record<PhaseName, number>>;
  readonly hostReadings: Readonly<Record<PhaseName, number>>;
  /** Time between readings, with what reading costs. */
  readonly rawNs: Readonly<Record<PhaseName, number>>;
  /** What one reading of each kind costs, calibrated beside the runs. */
  readonly wasmReadingNs: number;
  readonly hostReadingNs: number;
}

/** A reading among work costs what it costs alone, give or take this part. */
const CALIBRATION_ERROR = 0.2;
const UNCERTAIN = 0.25;
const UNEXPLAINED = 0.2;

/**
 * Puts clocked runs, stepped counts and the measured time together: medians over the runs, less what the readings cost.
 * @param runs at least one, of one scenario and path: all have the same counts
 * @returns phases in their order without those that do not happen, then what is unattributed: together `ns`
 */
export function attribute(
  runs: readonly ClockedRun[],
  instructions: Readonly<Record<PhaseName, number>>,
  ns: number,
): Phase[] {
  const { counts } = runs[0]!;
  const phases = PHASES.map((name): Phase => {
    const costs = runs.map(
      (run) =>
        run.wasmReadings[name] * run.wasmReadingNs + run.hostReadings[name] * run.hostReadingNs,
    );
    const nets = runs.map((run, index) => run.rawNs[name] - costs[index]!);
    const middle = median(nets);
    const spread = median(nets.map((net) => Math.abs(net - middle)));
    const errorNs = Math.max(spread, CALIBRATION_ERROR * median(costs));
    const time = Math.max(0, middle);
    const isUncertain = errorNs > UNCERTAIN * time;
    return {
      name,
      count: counts[name],
      instructions: instructions[name],
      ns: time,
      errorNs,
      isUncertain,
    };
  }).filter(({ count, instructions }) => count > 0.0005 || instructions > 0.0005);
  const rest = ns - phases.reduce((sum, phase) => sum + phase.ns, 0);
  return [
    ...phases,
    {
      name: UNATTRIBUTED,
      count: 0,
      instructions: 0,
      ns: rest,
      errorNs: phases.reduce((sum, phase) => sum + phase.errorNs, 0),
      isUncertain: Math.abs(rest) > UNEXPLAINED * ns,
    },
  ];
}

/** Whether the phases leave so much unexplained, or explain so much too much, that they are but a hint. */
export function areHint(phases: readonly Phase[]): boolean {
  return phases.some(({ name, isUncertain }) => name === UNATTRIBUTED && isUncertain);
}

/** Builds a record from a function of the phase's name. */
export function byPhase(value: (phase: PhaseName) => number): Record<PhaseName, number> {
  return Object.fromEntries(PHASES.map((phase) => [phase, value(phase)])) as Record<
    PhaseName,
    number
  >;
}
