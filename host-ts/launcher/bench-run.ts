/** Measures scenarios on fault paths: guests that take turns on this thread, exact counts, medians of repeats. */

import { loadCoreImage } from "../base/core-node.ts";
import { createPlatform } from "../guest/platform-node.ts";
import { digestState } from "../state/digest.ts";
import { clockPhases, createClockedPlatform } from "./bench-clock.ts";
import { BenchGuest, type Counts, difference, mapCounts, type Sample } from "./bench-guest.ts";
import { attribute, type Phase } from "./bench-phases.ts";
import type { Scenario } from "./bench-scenarios.ts";
import { estimateMedian, median } from "./bench-stats.ts";
import { countByPhase } from "./bench-stepper.ts";
import type { BenchSystem } from "./bench-systems.ts";

/** How much to measure. */
export interface BenchPlan {
  readonly scenarios: readonly Scenario[];
  readonly systems: readonly BenchSystem[];
  readonly repeats: number;
  /** Replaces the iterations that each scenario has, when given. */
  readonly iterations: number | undefined;
  /** Whether to find out where the time goes, in runs of their own. */
  readonly withPhases: boolean;
}

/** Images by interface. */
export type BenchKernels = Readonly<Partial<Record<BenchSystem["abi"], Uint8Array>>>;

/** One scenario on one system, per iteration. */
export interface Measurement {
  readonly name: string;
  /** The system's name. */
  readonly path: string;
  readonly what: string;
  readonly iterations: number;
  /** Exact, and the same in every run. */
  readonly instructions: number;
  readonly crossings: number;
  readonly counts: Counts;
  /** CPU time of this thread: median, its confidence interval, and every repeat. */
  readonly ns: number;
  readonly ciLow: number;
  readonly ciHigh: number;
  readonly coverage: number;
  readonly samples: readonly number[];
  /**
   * The loop took so little time that the marks around it were measured rather than its work: `ns` is with them, an upper bound.
   */
  readonly isCoarse: boolean;
  /** Where the time goes, and what is unattributed; their times add up to `ns`. Empty when phases were not asked for. */
  readonly phases: readonly Phase[];
}

/** Loops of one period before each measurement: the second says what the marks, the beginning and the end of a loop cost. */
const SHORT_RUNS = 2;
/** Shortest time of a loop, milliseconds, that says something about its work. */
const SHORTEST_MS = 0.1;
/** Iterations of the stepped run, at least: whole periods, so a few are as good as many. */
const STEPPED_ITERATIONS = 8;

/**
 * Runs the plan in rounds of all scenarios, so that a disturbance of the machine hits a repeat of many and not all repeats of one; the
 * systems take turns within a scenario. The first round warms up.
 * @param kernels one for each interface of the plan's systems
 * @throws Error when counts differ between repeats, or the guest's handlers did not see what the scenario causes.
 */
export function measure(
  kernels: BenchKernels,
  plan: BenchPlan,
  progress: (what: string) => void,
): Measurement[] {
  const platform = createPlatform(loadCoreImage(false), digestState);
  const runs: { system: BenchSystem; guest: BenchGuest; loops: Map<Scenario, Loops> }[] = [];
  try {
    const clocked = plan.withPhases ? createClockedPlatform() : undefined;
    for (const system of plan.systems) {
      const scenarios = plan.scenarios.filter((scenario) => isOn(scenario, system));
      if (scenarios.length === 0) continue;
      const line = roundOf(scenarios, plan);
      const { abi, path } = system;
      const job = { abi, path, plan: line, rounds: plan.repeats + 1 };
      const guest = new BenchGuest(kernels[abi]!, job, platform);
      const loops = new Map(scenarios.map((each) => [each, { short: [], full: [] }]));
      runs.push({ system, guest, loops });
    }
    for (let round = 0; round <= plan.repeats; round++) {
      progress(`round ${round} of ${plan.repeats}`);
      const order = round % 2 === 0 ? runs : runs.toReversed();
      for (const scenario of plan.scenarios) {
        for (const { guest, loops } of order) {
          const own = loops.get(scenario);
          if (own !== undefined) runOnce(guest, own, round > 0);
        }
      }
    }
    return plan.scenarios.flatMap((scenario) => {
      progress(scenario.name);
      const counted = new Map<Uint8Array, ReturnType<typeof countByPhase>>();
      return runs.flatMap(({ system, loops }) => {
        const own = loops.get(scenario);
        if (own === undefined) return [];
        const row = summarise(scenario, system, iterationsOf(scenario, plan), own);
        if (clocked === undefined) return row;
        const kernel = kernels[system.abi]!;
        // The guest cannot tell the paths apart, so its instructions are counted once.
        let instructions = counted.get(kernel);
        if (instructions === undefined) {
          instructions = countPhases(kernel, system, scenario);
          counted.set(kernel, instructions);
        }
        const clock = clockPhases(clocked, kernel, system, scenario, row.ns);
        return { ...row, phases: attribute(clock, instructions, row.ns) };
      });
    });
  } finally {
    for (const { guest } of runs) guest.dispose();
  }
}

function isOn({ abi }: Scenario, system: BenchSystem): boolean {
  return abi === undefined || abi === system.abi;
}

/** All repeats of one scenario on one system. */
interface Loops {
  readonly short: Sample[];
  readonly full: Sample[];
}

/** @returns how often the loop of `scenario` runs. */
export function iterationsOf(scenario: Scenario, plan: Pick<BenchPlan, "iterations">): number {
  return plan.iterations ?? scenario.iterations;
}

/** One round, as the guest's command line takes it. */
function roundOf(scenarios: readonly Scenario[], plan: BenchPlan): string {
  const items = scenarios.map(
    (scenario) =>
      `${scenario.name}:${scenario.period}*${SHORT_RUNS},` +
      `${scenario.name}:${scenario.period + iterationsOf(scenario, plan)}`,
  );
  return items.join(",");
}

function runOnce(guest: BenchGuest, { short, full }: Loops, counts: boolean): void {
  let before: Sample | undefined;
  for (let run = 0; run < SHORT_RUNS; run++) before = guest.next();
  const sample = guest.next();
  if (!counts) return;
  short.push(before!);
  full.push(sample);
}

function summarise(
  scenario: Scenario,
  system: BenchSystem,
  iterations: number,
  { short, full }: Loops,
): Measurement {
  const where = `${scenario.name}, ${system.name}`;
  const loops = scenario.period + iterations;
  const first = full[0]!;
  for (const samples of [short, full]) {
    const differs = samples.find(
      ({ counts }) => JSON.stringify(counts) !== JSON.stringify(samples[0]!.counts),
    );
    if (differs !== undefined) {
      throw new Error(
        `${where}: counts differ between repeats: ${JSON.stringify([samples[0]!.counts, differs.counts])}`,
      );
    }
  }
  if (scenario.faults > 0 && first.events !== scenario.faults * loops) {
    throw new Error(`${where}: the guest saw ${first.events} faults in ${loops} iterations`);
  }
  const total = difference(first.counts, short[0]!.counts);
  const counts = mapCounts((name) => total[name] / iterations);
  const shortMs = median(short.map(({ cpuMs }) => cpuMs));
  const works = full.map(({ cpuMs }) => cpuMs - shortMs);
  // What is taken off must not be the greater part.
  const isCoarse = iterations < scenario.period || Math.min(...works) < SHORTEST_MS;
  const samples = isCoarse
    ? full.map(({ cpuMs }) => (cpuMs / loops) * 1e6)
    : works.map((cpuMs) => (cpuMs / iterations) * 1e6);
  const estimate = estimateMedian(samples);
  return {
    name: scenario.name,
    path: system.name,
    what: scenario.what,
    iterations,
    instructions: counts.instructions,
    crossings: counts.crossings,
    counts,
    ns: estimate.median,
    ciLow: estimate.low,
    ciHigh: estimate.high,
    coverage: estimate.coverage,
    samples,
    isCoarse,
    phases: [],
  };
}

function countPhases(
  kernel: Uint8Array,
  system: BenchSystem,
  scenario: Scenario,
): ReturnType<typeof countByPhase> {
  const periods = Math.ceil(STEPPED_ITERATIONS / scenario.period);
  return countByPhase(kernel, system, scenario, periods * scenario.period);
}
