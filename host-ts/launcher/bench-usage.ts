/** The command line of `wasmvisor bench`: its grammar and its help text. */
import { parseArgs } from "node:util";
import { FAULT_PATHS } from "../base/fault-path.ts";
import { CALLS } from "./bench-calls.ts";
import { SCENARIOS, type Scenario } from "./bench-scenarios.ts";
import { BENCH_ABIS, type BenchSystem, CALL_SYSTEMS, FAULT_SYSTEMS } from "./bench-systems.ts";
import { UsageError } from "./usage-error.ts";

/** What to measure, and where to write it. */
interface BenchMeasureCommand {
  readonly verb: "bench";
  readonly scenarios: readonly Scenario[];
  readonly systems: readonly BenchSystem[];
  readonly repeats: number;
  readonly iterations: number | undefined;
  readonly jsonFile: string | undefined;
}

/** `wasmvisor bench hypercalls`. */
export interface BenchCallsCommand extends BenchMeasureCommand {
  readonly what: "hypercalls";
}

/** `wasmvisor bench faults`. */
export interface BenchFaultsCommand extends BenchMeasureCommand {
  readonly what: "faults";
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
  | BenchCallsCommand
  | BenchCompareCommand
  | { readonly verb: "bench"; readonly what: "help" };

const REPEATS = 15;
const QUICK_REPEATS = 5;
const QUICK_PART = 10;
const THRESHOLD = 1.1;
const MEASURE_OPTIONS = ["scenario", "abi", "repeats", "iterations", "quick", "json"] as const;
const FAULTS_OPTIONS = [
  ...MEASURE_OPTIONS,
  "fault-path",
  "html",
  "no-phases",
  "speedscope",
  "pprof",
] as const;

/** Text of `wasmvisor bench --help`. */
export const BENCH_HELP = `wasmvisor bench: what a round trip between guest and Host costs

  wasmvisor bench faults [options]                     round trips: lguest and Xen PV, on both fault paths
  wasmvisor bench hypercalls [options]                 single calls and lists of them: lguest, Xen PV
  wasmvisor bench compare BEFORE.json AFTER.json       ratios; exit code 1 when the second is worse,
                                                       2 when they cannot be compared

bench faults, bench hypercalls
      --scenario NAME      only this one; may be repeated
      --abi NAME           only lguest or xen-pv
      --repeats N          measurements of each, of which the median counts (default ${REPEATS})
      --iterations N       iterations of each measurement (default: as many as make a few ten milliseconds)
      --quick              a tenth of the iterations, ${QUICK_REPEATS} repeats: to see that it works
      --json FILE          everything as JSON

bench faults
      --fault-path WHERE   only switcher or host
      --no-phases          only the whole, not where the time goes
      --html FILE          a report with plots, one self-contained page
      --speedscope FILE    the phases for speedscope.app; --pprof FILE: for pprof

bench compare
      --threshold RATIO    how much slower a scenario may be (default ${THRESHOLD}); noise does not count: a
                           median within the other's confidence interval, or fastest repeats as fast as
                           before. On a busy machine take 1.3 or more.
  Worse is also: more instructions or crossings than before, which are exact, and a scenario that is gone.
  Either file may be of another program: of scenarios only name, path and ns are needed.

Scenarios of bench faults
${SCENARIOS.map(({ name, what }) => `  ${name.padEnd(11)}${what}`).join("\n")}

Scenarios of bench hypercalls
${CALLS.map(({ name, what, abi }) => `  ${name.padEnd(11)}${what}${abi === undefined ? "" : ` (${abi})`}`).join("\n")}
`;

/**
 * Parses what follows `bench`.
 * @throws UsageError
 */
export function parseBench(args: string[]): BenchCommand {
  const { values, positionals } = parse(args);
  const [what, ...files] = positionals;
  if (values.help) return { verb: "bench", what: "help" };
  if (what === undefined) throw new UsageError("bench needs a word: faults, hypercalls or compare");
  if (what === "compare") {
    refuseOthers(what, values, ["threshold"]);
    const [before, after, extra] = files;
    if (before === undefined || after === undefined || extra !== undefined) {
      throw new UsageError("bench compare needs two files: BEFORE.json AFTER.json");
    }
    return { verb: "bench", what: "compare", before, after, threshold: ratio(values.threshold) };
  }
  if (what !== "faults" && what !== "hypercalls") {
    throw new UsageError(`bench ${what} is unknown; there are faults, hypercalls and compare`);
  }
  const isFaults = what === "faults";
  refuseOthers(what, values, isFaults ? FAULTS_OPTIONS : MEASURE_OPTIONS);
  if (files.length > 0) throw new UsageError(`"${files[0]}" is one argument too many`);
  const scenarios = chosenScenarios(isFaults ? SCENARIOS : CALLS, values.scenario);
  const iterations = positive("--iterations", values.iterations);
  const quick = values.quick ?? false;
  const command = {
    verb: "bench",
    scenarios: quick && iterations === undefined ? scenarios.map(shortened) : scenarios,
    repeats: positive("--repeats", values.repeats) ?? (quick ? QUICK_REPEATS : REPEATS),
    iterations,
    jsonFile: values.json,
  } as const;
  const abi = chosen("--abi", BENCH_ABIS, values.abi);
  if (!isFaults) {
    return { ...command, what, systems: CALL_SYSTEMS.filter((each) => abi.includes(each.abi)) };
  }
  const paths = chosen("--fault-path", FAULT_PATHS, values["fault-path"]);
  const systems = FAULT_SYSTEMS.filter(
    (each) => abi.includes(each.abi) && paths.includes(each.path),
  );
  return {
    ...command,
    what,
    systems,
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
        abi: { type: "string" },
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

function chosenScenarios(
  all: readonly Scenario[],
  names: readonly string[] | undefined,
): readonly Scenario[] {
  const unknown = names?.find((name) => all.every((scenario) => scenario.name !== name));
  if (unknown !== undefined) {
    const known = all.map(({ name }) => name).join(", ");
    throw new UsageError(`--scenario is "${unknown}"; it must be one of ${known}`);
  }
  return all.filter(({ name }) => names?.includes(name) ?? true);
}

/** Whole thousands stay whole: `fill` reloads its directory after 1,024 pages. */
function shortened(scenario: Scenario): Scenario {
  return { ...scenario, iterations: scenario.iterations / QUICK_PART };
}

/** @returns all of them, or the one that was named. */
function chosen<T extends string>(
  option: string,
  all: readonly T[],
  name: string | undefined,
): readonly T[] {
  if (name === undefined) return all;
  const found = all.filter((each) => each === name);
  if (found.length > 0) return found;
  throw new UsageError(`${option} is "${name}"; it must be one of ${all.join(", ")}`);
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
