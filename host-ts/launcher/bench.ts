/** The verb `bench`: measures round trips, writes what was asked for, compares two results. */
import { gzipSync } from "node:zlib";
import { BackendError } from "../base/errors.ts";
import { encodePprof } from "../debug/pprof.ts";
import { speedscopeDocument } from "../debug/speedscope.ts";
import { judgeTargets } from "./bench-calls.ts";
import { renderCalls } from "./bench-calls-table.ts";
import { compareResults, renderComparison } from "./bench-compare.ts";
import { phaseProfile } from "./bench-export.ts";
import { renderHtml } from "./bench-html.ts";
import { type BenchResult, makeResult, parseResult } from "./bench-result.ts";
import { type BenchPlan, type Measurement, measure } from "./bench-run.ts";
import { renderMeasurements } from "./bench-table.ts";
import {
  BENCH_HELP,
  type BenchCallsCommand,
  type BenchCommand,
  type BenchFaultsCommand,
} from "./bench-usage.ts";
import { EXIT_POWER_OFF } from "./exit-codes.ts";
import { benchGuest, checkWritable, packageVersion, readWhole, writeWhole } from "./files.ts";

/** Exit code of a comparison that found something slower, more work, or a scenario that is gone. */
export const EXIT_SLOWER = 1;
/** Exit code of one that could not be made, for bad usage or a bad file: as of diff, where 1 is an answer. */
export const EXIT_NOT_COMPARED = 2;

/**
 * Runs a bench command.
 * @returns the process's exit code
 */
export async function runBench(command: BenchCommand): Promise<number> {
  if (command.what === "help") process.stdout.write(BENCH_HELP);
  else if (command.what === "faults") await benchFaults(command);
  else if (command.what === "hypercalls") await benchCalls(command);
  else {
    const [before, after] = await Promise.all([
      readResult(command.before),
      readResult(command.after),
    ]);
    const report = compareResults(before, after, command.threshold);
    if (report.rows.length === 0)
      throw new BackendError("the two results have no scenario in common");
    process.stdout.write(`${renderComparison(report, command.threshold)}\n`);
    return report.isWorse ? EXIT_SLOWER : EXIT_POWER_OFF;
  }
  return EXIT_POWER_OFF;
}

async function benchFaults(command: BenchFaultsCommand): Promise<void> {
  const { jsonFile, htmlFile, speedscopeFile, pprofFile } = command;
  for (const file of [jsonFile, htmlFile, speedscopeFile, pprofFile]) {
    if (file !== undefined) await checkWritable(file);
  }
  const rows = await measureAll("faults", command);
  const result = makeResult(rows, await packageVersion());
  printReport(result, command.repeats, renderMeasurements(rows));
  if (jsonFile !== undefined) await writeWhole(jsonFile, `${JSON.stringify(result, null, 2)}\n`);
  if (htmlFile !== undefined) await writeWhole(htmlFile, renderHtml(result));
  const { profile, names } = phaseProfile(rows);
  if (speedscopeFile !== undefined) {
    const document = speedscopeDocument(profile, names, "round trips", "nanoseconds");
    await writeWhole(speedscopeFile, `${JSON.stringify(document)}\n`);
  }
  if (pprofFile !== undefined) {
    const bytes = encodePprof(profile, names, { type: "time", unit: "nanoseconds" });
    await writeWhole(pprofFile, gzipSync(bytes));
  }
}

async function benchCalls(command: BenchCallsCommand): Promise<void> {
  const { jsonFile } = command;
  if (jsonFile !== undefined) await checkWritable(jsonFile);
  const rows = await measureAll("calls", { ...command, withPhases: false });
  const result = makeResult(rows, await packageVersion());
  printReport(result, command.repeats, renderCalls(rows));
  if (jsonFile === undefined) return;
  const judged = { ...result, targets: judgeTargets(rows) };
  await writeWhole(jsonFile, `${JSON.stringify(judged, null, 2)}\n`);
}

/** Runs a plan of one program, and says on a terminal how far it is. */
async function measureAll(program: "faults" | "calls", plan: BenchPlan): Promise<Measurement[]> {
  const abis = [...new Set(plan.systems.map(({ abi }) => abi))];
  const kernels = Object.fromEntries(
    await Promise.all(
      abis.map(async (abi) => [abi, await readWhole("bench guest", benchGuest(program, abi))]),
    ),
  );
  const isWatched = process.stderr.isTTY;
  const rows = measure(kernels, plan, (name) => {
    if (isWatched) process.stderr.write(`\rmeasuring ${name.padEnd(12)}`);
  });
  if (isWatched) process.stderr.write("\r".padEnd(24).concat("\r"));
  return rows;
}

function printReport({ machine, versions }: BenchResult, repeats: number, tables: string): void {
  process.stdout.write(
    `${machine.cpu}, ${machine.cpus} CPUs, load ${machine.load}; Node ${versions.node}\n` +
      `per iteration, medians of ${repeats}; times are CPU time of the guest's thread\n\n` +
      `${tables}\n`,
  );
}

async function readResult(file: string): Promise<ReturnType<typeof parseResult>> {
  const text = new TextDecoder().decode(await readWhole("result", file));
  try {
    return parseResult(text);
  } catch (error) {
    throw new BackendError(`cannot use the result ${file}: ${(error as Error).message}`);
  }
}
