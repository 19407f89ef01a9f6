/** The command line of `wasmvisor bench`: its grammar and its help text. */
import { parseArgs } from "node:util";
import type { FaultPath } from "../lguest/trap-policy.ts";
import { SCENARIOS, type Scenario } from "./bench-scenarios.ts";
import { UsageError } from "./usage-error.ts";

/** `wasmvisor bench faults`: what to measure and where to write it. */
export interface BenchFaultsCommand {
  readonly verb: "bench";
  readonly what: "faults";
  readonly scenarios: readonly Scenario[];
  readonly paths: readonly FaultPath[];
  readonly repeats: number;
  readonly iterations: number | undefined;
  readonly jsonFile: string | undefined;
  readonly htmlFile: string | undefined;
  readonly withPhases: boolean;
  readonly speedscopeFile: string | undefined;
  readonly pprofFile: string | undefined;
}

/** `wasmvisor bench compare`: two result files and how much slower the second may be. */
export interface BenchCompareCommand {
  readonly verb: "bench";
  readonly what: "compare";
  readonly before: string;
  readonly after: string;
  readonly threshold: number;
}

export type BenchCommand =
  | BenchFaultsCommand
  | BenchCompareCommand
  | { readonly verb: "bench"; readonly what: "help" };

const PATHS: readonly FaultPath[] = ["switcher", "host"];
const REPEATS = 15;
const QUICK_REPEATS = 5;
const QUICK_PART = 10;
const THRESHOLD = 1.1;
const FAULTS_OPTIONS = [
  "scenario",
  "fault-path",
  "repeats",
  "iterations",
  "quick",
  "json",
  "html",
  "no-phases",
  "speedscope",
  "pprof",
] as const;

/** Text of `wasmvisor bench --help`. */
export const BENCH_HELP = `wasmvisor bench: what a round trip between guest and Host costs

  wasmvisor bench faults [options]                     measure every scenario on both fault paths
  wasmvisor bench compare BEFORE.json AFTER.json       ratios; exit code 1 when the second is worse

bench faults
      --scenario NAME      only this one; may be repeated
      --fault-path WHERE   only switcher or host
      --repeats N          measurements of each, of which the median counts (default ${REPEATS})
      --iterations N       iterations of each measurement (default: as many as make a few ten milliseconds)
      --quick              a tenth of the iterations, ${QUICK_REPEATS} repeats: to see that it works
      --no-phases          only the whole, not where the time goes
      --json FILE          everything as JSON
      --html FILE          a report with plots, one self-contained page
      --speedscope FILE    the phases for speedscope.app; --pprof FILE: for pprof

bench compare
      --threshold RATIO    how much slower a scenario may be (default ${THRESHOLD}); noise does not count: a
                           median within the other's confidence interval, or fastest repeats as fast as
                           before. On a busy machine take 1.3 or more.
  Worse is also: more instructions or crossings than before, which are exact, and a scenario that is gone.
  Either file may be of another program: of scenarios only name, path and ns are needed.

Scenarios
${SCENARIOS.map(({ name, what }) => `  ${name.padEnd(11)}${what}`).join("\n")}
`;

/**
 * Parses what follows `bench`.
 * @throws UsageError
 */
export function parseBench(args: string[]): BenchCommand {
  const { values, positionals } = parse(args);
  const [what, ...files] = positionals;
  if (values.help) return { verb: "bench", what: "help" };
  if (what === undefined) throw new UsageError("bench needs a word: faults or compare");
  if (what === "compare") {
    refuseOthers(what, values, ["threshold"]);
    const [before, after, extra] = files;
    if (before === undefined || after === undefined || extra !== undefined) {
      throw new UsageError("bench compare needs two files: BEFORE.json AFTER.json");
    }
    return { verb: "bench", what: "compare", before, after, threshold: ratio(values.threshold) };
  }
  if (what !== "faults")
    throw new UsageError(`bench ${what} is unknown; there are faults and compare`);
  refuseOthers(what, values, FAULTS_OPTIONS);
  if (files.length > 0) throw new UsageError(`"${files[0]}" is one argument too many`);
  const scenarios = chosenScenarios(values.scenario);
  const iterations = positive("--iterations", values.iterations);
  const quick = values.quick ?? false;
  return {
    verb: "bench",
    what: "faults",
    scenarios: quick && iterations === undefined ? scenarios.map(shortened) : scenarios,
    paths: chosenPaths(values["fault-path"]),
    repeats: positive("--repeats", values.repeats) ?? (quick ? QUICK_REPEATS : REPEATS),
    iterations,
    jsonFile: values.json,
    htmlFile: values.html,
    withPhases: !(values["no-phases"] ?? false),
    speedscopeFile: values.speedscope,
    pprofFile: values.pprof,
  };
}

/** An option that would change nothing is a misunderstanding. */
function refuseOthers(what: string, values: object, own: readonly string[]): void {
  const stray = Object.keys(values).find((name) => name !== "debug" && !own.includes(name));
  if (stray !== undefined) throw new UsageError(`--${stray} is not for bench ${what}`);
}

function parse(args: string[]) {
  try {
    return parseArgs({
      args,
      allowPositionals: true,
      strict: true,
      options: {
        scenario: { type: "string", multiple: true },
        "fault-path": { type: "string" },
        repeats: { type: "string" },
        iterations: { type: "string" },
        quick: { type: "boolean" },
        json: { type: "string" },
        html: { type: "string" },
        "no-phases": { type: "boolean" },
        speedscope: { type: "string" },
        pprof: { type: "string" },
        threshold: { type: "string" },
        debug: { type: "boolean" },
        help: { type: "boolean", short: "h" },
      },
    });
  } catch (error) {
    throw new UsageError((error as Error).message.split(". ")[0]);
  }
}

function chosenScenarios(names: readonly string[] | undefined): readonly Scenario[] {
  const unknown = names?.find((name) => SCENARIOS.every((scenario) => scenario.name !== name));
  if (unknown !== undefined) {
    const known = SCENARIOS.map(({ name }) => name).join(", ");
    throw new UsageError(`--scenario is "${unknown}"; it must be one of ${known}`);
  }
  return SCENARIOS.filter(({ name }) => names?.includes(name) ?? true);
}

/** Whole thousands stay whole: `fill` reloads its directory after 1,024 pages. */
function shortened(scenario: Scenario): Scenario {
  return { ...scenario, iterations: scenario.iterations / QUICK_PART };
}

function chosenPaths(path: string | undefined): readonly FaultPath[] {
  if (path === undefined) return PATHS;
  const chosen = PATHS.filter((each) => each === path);
  if (chosen.length > 0) return chosen;
  throw new UsageError(`--fault-path is "${path}"; it must be one of ${PATHS.join(", ")}`);
}

function positive(name: string, value: string | undefined): number | undefined {
  if (value === undefined) return undefined;
  if (!/^[1-9]\d{0,8}$/.test(value)) {
    throw new UsageError(`${name} is "${value}"; it must be a number from 1 up`);
  }
  return Number(value);
}

function ratio(value: string | undefined): number {
  const number = Number(value ?? THRESHOLD);
  if (number >= 1) return number;
  throw new UsageError(`--threshold is "${value}"; it must be a ratio from 1 up, such as 1.10`);
}
