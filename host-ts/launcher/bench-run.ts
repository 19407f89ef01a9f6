/** Measures scenarios on fault paths: guests that take turns on this thread, exact counts, medians of repeats. */

import { loadCoreImage } from "../base/core-node.ts";
import { createPlatform } from "../guest/platform-node.ts";
import type { FaultPath } from "../lguest/trap-policy.ts";
import { digestState } from "../state/digest.ts";
import { type ClockedPlatform, clockPhases, createClockedPlatform } from "./bench-clock.ts";
import { BenchGuest, type Counts, difference, mapCounts, type Sample } from "./bench-guest.ts";
import { attribute, type Phase } from "./bench-phases.ts";
import type { Scenario } from "./bench-scenarios.ts";
import { estimateMedian, median } from "./bench-stats.ts";
import { countByPhase } from "./bench-stepper.ts";

/** How much to measure. */
export interface BenchPlan {
  readonly scenarios: readonly Scenario[];
  readonly paths: readonly FaultPath[];
  readonly repeats: number;
  /** Replaces the iterations that each scenario has, when given. */
  readonly iterations: number | undefined;
  /** Whether to find out where the time goes, in runs of their own. */
  readonly withPhases: boolean;
}

/** One scenario on one path, per iteration. */
export interface Measurement {
  readonly name: string;
  readonly path: FaultPath;
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
 * paths take turns within a scenario. The first round warms up.
 * @throws Error when counts differ between repeats, or the guest's handlers did not see what the scenario causes.
 */
export function measure(
  kernel: Uint8Array,
  plan: BenchPlan,
  progress: (what: string) => void,
): Measurement[] {
  const platform = createPlatform(loadCoreImage(false), digestState);
  const guests: { path: FaultPath; guest: BenchGuest; loops: Loops[] }[] = [];
  try {
    const clocked = plan.withPhases ? createClockedPlatform() : undefined;
    const line = roundOf(plan);
    for (const path of plan.paths) {
      const guest = new BenchGuest(
        kernel,
        { path, plan: line, rounds: plan.repeats + 1 },
        platform,
      );
      guests.push({ path, guest, loops: plan.scenarios.map(() => ({ short: [], full: [] })) });
    }
    for (let round = 0; round <= plan.repeats; round++) {
      progress(`round ${round} of ${plan.repeats}`);
      const order = round % 2 === 0 ? guests : guests.toReversed();
      for (const index of plan.scenarios.keys()) {
        for (const { guest, loops } of order) runOnce(guest, loops[index]!, round > 0);
      }
    }
    return plan.scenarios.flatMap((scenario, index) => {
      progress(scenario.name);
      const rows = guests.map(({ path, loops }) =>
        summarise(scenario, path, iterationsOf(scenario, plan), loops[index]!),
      );
      return clocked === undefined ? rows : addPhases(clocked, kernel, scenario, rows);
    });
  } finally {
    for (const { guest } of guests) guest.dispose();
  }
}

/** All repeats of one scenario on one path. */
interface Loops {
  readonly short: Sample[];
  readonly full: Sample[];
}

/** @returns how often the loop of `scenario` runs. */
export function iterationsOf(scenario: Scenario, plan: Pick<BenchPlan, "iterations">): number {
  return plan.iterations ?? scenario.iterations;
}

/** One round, as the guest's command line takes it. */
function roundOf(plan: BenchPlan): string {
  const items = plan.scenarios.map(
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
  path: FaultPath,
  iterations: number,
  { short, full }: Loops,
): Measurement {
  const where = `${scenario.name} on the ${path} path`;
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
  const isCoarse = Math.min(...works) < SHORTEST_MS;
  const samples = isCoarse
    ? full.map(({ cpuMs }) => (cpuMs / loops) * 1e6)
    : works.map((cpuMs) => (cpuMs / iterations) * 1e6);
  const estimate = estimateMedian(samples);
  return {
    name: scenario.name,
    path,
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

/** The guest cannot tell the paths apart, so its instructions are counted once. */
function addPhases(
  clocked: ClockedPlatform,
  kernel: Uint8Array,
  scenario: Scenario,
  rows: readonly Measurement[],
): Measurement[] {
  const periods = Math.ceil(STEPPED_ITERATIONS / scenario.period);
  const instructions = countByPhase(kernel, scenario, periods * scenario.period);
  return rows.map((row) => {
    const runs = clockPhases(clocked, kernel, row.path, scenario, row.ns);
    return { ...row, phases: attribute(runs, instructions, row.ns) };
  });
}
