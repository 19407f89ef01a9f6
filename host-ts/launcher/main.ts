#!/usr/bin/env node
/** The program `wasmvisor`: reads the command line, runs the verb, turns errors into one sentence and an exit code. */
import { ConfigError, HypervisorError } from "../index.ts";
import { EXIT_NOT_COMPARED, runBench } from "./bench.ts";
import { EXIT_HOST_ERROR, EXIT_POWER_OFF, EXIT_USAGE } from "./exit-codes.ts";
import { packageVersion } from "./files.ts";
import { HELP } from "./help.ts";
import { runVerb } from "./run.ts";
import { renderPolicy } from "./trace.ts";
import { type Command, parseCommandLine } from "./usage.ts";
import { UsageError } from "./usage-error.ts";

/* Launcher 010: a program in three steps.
 *
 * The command line becomes data (usage.ts), the data becomes a guest joined to this terminal (run.ts), the guest's end becomes
 * an exit code (exit-codes.ts). Whatever fails on the way ends here as one sentence that says what happened and what to do.
 */
async function perform(command: Command): Promise<number> {
  if (command.verb === "help") process.stdout.write(HELP);
  else if (command.verb === "version")
    process.stdout.write(`wasmvisor ${await packageVersion()}\n`);
  else if (command.verb === "trace") process.stdout.write(`${renderPolicy(command.abi)}\n`);
  else if (command.verb === "bench") return await runBench(command);
  else return await runVerb(command);
  return EXIT_POWER_OFF;
}

/** Says what went wrong and what to do about it. */
function explain(error: unknown, showTraces: boolean): number {
  const isOurs = error instanceof HypervisorError && error.code !== "HV_BUG";
  const isExpected = isOurs || error instanceof UsageError;
  const message = error instanceof Error ? error.message : String(error);
  // A mistake that crossed a thread carries its stack in the message.
  process.stderr.write(`wasmvisor: ${showTraces ? message : message.split("\n")[0]}\n`);
  if (error instanceof UsageError) process.stderr.write("wasmvisor --help lists the options\n");
  if (!isExpected) {
    process.stderr.write(
      "This is a mistake in wasmvisor itself; please report it, with --debug.\n",
    );
  }
  for (let cause = error; showTraces && cause instanceof Error; cause = cause.cause) {
    process.stderr.write(`${cause.stack}\n`);
  }
  const isUsage = error instanceof UsageError || error instanceof ConfigError;
  return isUsage ? EXIT_USAGE : EXIT_HOST_ERROR;
}

const args = process.argv.slice(2);
let command: Command | undefined;
let code: number;
try {
  command = parseCommandLine(args);
  code = await perform(command);
} catch (error) {
  code = explain(error, args.includes("--debug"));
  const isComparison = command?.verb === "bench" && command.what === "compare";
  if (isComparison && code === EXIT_HOST_ERROR) code = EXIT_NOT_COMPARED;
}
// Pipes are written in the background; leaving before they are empty would cut the output short.
for (const stream of [process.stdout, process.stderr]) {
  await new Promise<void>((resolve) => stream.write("", () => resolve()));
}
process.exit(code);
