/** Measures scenarios on fault paths: guests that take turns on this thread, exact counts, medians of repeats. */

import { loadCoreImage } from "../base/core-node.ts";
import { createPlatform } from "../guest/platform-node.ts";
import type { FaultPath } from "../lguest/trap-policy.ts";
import { digestState } from "../state/digest.ts";
import { BenchGuest, type Counts, difference, mapCounts, type Sample } from "./bench-guest.ts";
import {
  attribute,
  type ClockedPlatform,
  clockPhases,
  countByPhase,
  createClockedPlatform,
  type Phase,
} from "./bench-phases.ts";
import type { Scenario } from "./bench-scenarios.ts";
import { estimateMedian, median } from "./bench-stats.ts";

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
  /** Where the time goes; their times add up to `ns`. Empty when phases were not asked for. */
  readonly phases: readonly Phase[];
}

/** Empty loops, to know what the marks cost. */
const EMPTY_RUNS = 3;
/** Iterations of the runs that find the phases: once around for `fill`. */
const PHASE_ITERATIONS = 1024;

/**
 * Runs the plan. The paths take turns after every repeat, so that a disturbance hits them alike; the first repeat of each warms up.
 * @throws Error when counts differ between repeats, or the guest's handlers did not see what the scenario causes.
 */
export function measure(
  kernel: Uint8Array,
  plan: BenchPlan,
  progress: (name: string) => void,
): Measurement[] {
  const platform = createPlatform(loadCoreImage(false), digestState);
  const guests = new Map<FaultPath, BenchGuest>();
  try {
    const clocked = plan.withPhases ? createClockedPlatform() : undefined;
    const line = commandLine(plan);
    for (const path of plan.paths)
      guests.set(path, new BenchGuest(kernel, { path, plan: line }, platform));
    return plan.scenarios.flatMap((scenario) => {
      progress(scenario.name);
      const rows = measureScenario(scenario, iterationsOf(scenario, plan), plan.repeats, guests);
      return clocked === undefined ? rows : addPhases(clocked, kernel, scenario, rows);
    });
  } finally {
    for (const guest of guests.values()) guest.dispose();
  }
}

/** @returns how often the loop of `scenario` runs. */
export function iterationsOf(scenario: Scenario, plan: Pick<BenchPlan, "iterations">): number {
  return plan.iterations ?? scenario.iterations;
}

/** The guest's command line for a plan. */
function commandLine(plan: BenchPlan): string {
  const items = plan.scenarios.map(
    (scenario) =>
      `${scenario.name}:0*${EMPTY_RUNS},${scenario.name}:${iterationsOf(scenario, plan)}*${plan.repeats + 1}`,
  );
  return items.join(",");
}

function measureScenario(
  scenario: Scenario,
  iterations: number,
  repeats: number,
  guests: ReadonlyMap<FaultPath, BenchGuest>,
): Measurement[] {
  const rows = [...guests].map(([path, guest]) => ({
    path,
    guest,
    empty: [] as Sample[],
    full: [] as Sample[],
  }));
  for (let turn = 0; turn < EMPTY_RUNS + 1 + repeats; turn++) {
    const order = turn % 2 === 0 ? rows : rows.toReversed();
    for (const { guest, empty, full } of order) {
      const sample = guest.next();
      if (turn < EMPTY_RUNS) empty.push(sample);
      else if (turn > EMPTY_RUNS) full.push(sample);
    }
  }
  return rows.map(({ path, empty, full }) => summarise(scenario, path, iterations, empty, full));
}

function summarise(
  scenario: Scenario,
  path: FaultPath,
  iterations: number,
  empty: readonly Sample[],
  full: readonly Sample[],
): Measurement {
  const where = `${scenario.name} on the ${path} path`;
  const idle = empty.at(-1)!;
  const first = full[0]!;
  for (const sample of full) {
    if (JSON.stringify(sample.counts) !== JSON.stringify(first.counts)) {
      throw new Error(
        `${where}: counts differ between repeats: ${JSON.stringify([first.counts, sample.counts])}`,
      );
    }
  }
  if (scenario.faults > 0 && first.events !== scenario.faults * iterations) {
    throw new Error(`${where}: the guest saw ${first.events} faults in ${iterations} iterations`);
  }
  const total = difference(first.counts, idle.counts);
  const counts = mapCounts((name) => total[name] / iterations);
  const idleMs = median(empty.map(({ cpuMs }) => cpuMs));
  const samples = full.map(({ cpuMs }) => (Math.max(0, cpuMs - idleMs) / iterations) * 1e6);
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
    phases: [],
  };
}

/** The guest cannot tell the paths apart, so its instructions are counted once. */
function addPhases(
  platform: ClockedPlatform,
  kernel: Uint8Array,
  { name }: Scenario,
  rows: readonly Measurement[],
): Measurement[] {
  const instructions = countByPhase(kernel, name, PHASE_ITERATIONS);
  return rows.map((row) => {
    const clocked = clockPhases(platform, kernel, row.path, name, PHASE_ITERATIONS);
    return { ...row, phases: attribute(clocked, instructions, row.ns) };
  });
}
