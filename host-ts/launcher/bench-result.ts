/** The file that `wasmvisor bench faults --json` writes and `bench compare` reads, and what a result depends on besides the code. */
import { cpus, loadavg, platform, release, totalmem } from "node:os";
import type { Measurement } from "./bench-run.ts";

/** Version of the format: changes when a reader would have to. */
export const BENCH_FORMAT = 1;

/** The whole file. */
export interface BenchResult {
  readonly format: number;
  readonly date: string;
  readonly machine: MachineDescription;
  readonly versions: {
    readonly wasmvisor: string;
    readonly node: string;
    readonly v8: string;
  };
  readonly method: string;
  readonly systemsMethod: string;
  readonly phaseMethod: string;
  readonly scenarios: readonly Measurement[];
}

/** Where it was measured. */
export interface MachineDescription {
  readonly cpu: string;
  readonly cpus: number;
  readonly memoryMiB: number;
  readonly os: string;
  /** Load averages of 1, 5 and 15 minutes when the measurement ended. */
  readonly load: string;
}

/** How the numbers came about, in the words of the report. */
export const METHOD =
  "Each scenario is one loop of the guest in guests/bench. Times are CPU time of the thread that runs the guest, per iteration: the " +
  "median of repeats, less a loop of the fewest iterations after which everything is as before, with an interval of order statistics " +
  "that holds the true median with 95 % confidence. The repeats of all scenarios and systems take turns, on one thread and one core " +
  "instance; the first round warms up. Instructions, crossings and the other counts are differences of the core's own counters, " +
  "exact and equal in every repeat.";

/** What is the same on all systems, and what is not. */
export const SYSTEMS_METHOD =
  "One source runs on all systems. Under lguest a guest writes its page tables, of two levels, as memory and tells the Host, which fills a " +
  "shadow on demand; calls may wait in an asynchronous ring. Under Xen PV the processor walks the guest's own tables, of three levels and " +
  "in machine frames, which the guest may only read: each change is a call that checks it (update_va_mapping), and `ring` makes its 32 " +
  "changes by one multicall when the fault comes. Where a whole table is written, in `fill` and `fork`, the Xen guest takes it out of its " +
  "directory, writes it and puts it back, and Xen looks through its 512 entries both times. Handlers, stacks and returns are the same. On a " +
  "host path every exception, and every call that the core could do, goes out to the Host.";

/** How phases come about. */
export const PHASE_METHOD =
  "Phases come from two more runs of each scenario. One steps through it and counts the guest's instructions by phase, exactly. In the " +
  "other, repeated, the core and the Host's entries into it read a clock whenever a phase begins; runs that the machine interrupted are " +
  "left out, and each phase is the median of the others. Reading the clock costs as much as a short phase. That cost is calibrated " +
  "beside every run, for readings from Wasm and from the Host apart, and taken off; a fifth of it is taken for the error, and a phase " +
  "that is not four times its error is marked as uncertain. Nothing is scaled: what the phases do not explain of the measured time is " +
  "shown as unattributed, and is negative where they take longer than it.";

/** Describes this machine. */
export function describeMachine(): MachineDescription {
  return {
    cpu: cpus()[0]?.model.trim() ?? "unknown CPU",
    cpus: cpus().length,
    memoryMiB: Math.round(totalmem() / 2 ** 20),
    os: `${platform()} ${release()}`,
    load: loadavg()
      .map((load) => load.toFixed(1))
      .join(" "),
  };
}

/** Puts measurements into a file's shape. `wasmvisor` is the package's version. */
export function makeResult(scenarios: readonly Measurement[], wasmvisor: string): BenchResult {
  return {
    format: BENCH_FORMAT,
    date: new Date().toISOString(),
    machine: describeMachine(),
    versions: { wasmvisor, node: process.versions.node, v8: process.versions.v8 },
    method: METHOD,
    systemsMethod: SYSTEMS_METHOD,
    phaseMethod: PHASE_METHOD,
    scenarios,
  };
}

/** What a comparison takes from a file; only the first three are needed. */
export interface ComparableRow {
  readonly name: string;
  readonly path: string;
  readonly ns: number;
  readonly ciLow?: number;
  readonly ciHigh?: number;
  readonly instructions?: number;
  readonly crossings?: number;
  readonly samples?: readonly number[];
}

/**
 * Reads a result file's text, of this program or of another that writes its scenarios.
 * @throws Error saying what is wrong with it.
 */
export function parseResult(text: string): { readonly scenarios: readonly ComparableRow[] } {
  const value: unknown = JSON.parse(text);
  const { format, scenarios } = (value ?? {}) as { format?: unknown; scenarios?: unknown };
  if (format !== undefined && format !== BENCH_FORMAT) {
    throw new Error(`it has format ${format}, not ${BENCH_FORMAT}`);
  }
  if (!Array.isArray(scenarios)) throw new Error("it has no list of scenarios");
  for (const [index, row] of scenarios.entries()) checkRow(row, index);
  return { scenarios };
}

function checkRow(row: unknown, index: number): void {
  const trouble = troubleOf(row);
  if (trouble !== undefined)
    throw new Error(`its list of scenarios is damaged: entry ${index} ${trouble}`);
}

function troubleOf(row: unknown): string | undefined {
  if (typeof row !== "object" || row === null) return "is no object";
  const { name, path, ns, samples, ...others } = row as Record<string, unknown>;
  if (typeof name !== "string" || typeof path !== "string") return "lacks a name or a path";
  if (!isNumber(ns) || ns <= 0) return `has ${JSON.stringify(ns)} for ns`;
  for (const field of ["ciLow", "ciHigh", "instructions", "crossings"]) {
    const number = others[field];
    if (number !== undefined && (!isNumber(number) || number < 0)) {
      return `has ${JSON.stringify(number)} for ${field}`;
    }
  }
  const areSamples = samples === undefined || (Array.isArray(samples) && samples.every(isNumber));
  return areSamples ? undefined : "has repeats that are no numbers";
}

function isNumber(value: unknown): value is number {
  return typeof value === "number" && Number.isFinite(value);
}
