/**
 * `npm run test:vectors -- [DIR] [--group NAME]... [--step N] [--show N] [--soft] ...`: replays the CPU vectors of a directory (by
 * default the sample in the repository) on the core and prints what differs from the processor. Ends `N passed, N failed`; a file that
 * cannot be read to its end counts as one failure.
 * `--step N` takes every N-th case, `--show N` prints N failures of each name, `--soft` also those that the architecture leaves
 * open, `--slice N` runs the core N instructions at a time, `--chaos SEED` drops its caches at random, `--pae` uses PAE page tables,
 * `--segmented` segments that are not flat, `--release` the build without assertions. `--cut OUT` writes the sampled files to OUT instead of running them.
 */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { loadDisassembler } from "../host-ts/debug/disasm.ts";
import { createCoreDriver } from "../test/drivers/cpu-core.ts";
import { describeFailure } from "../test/drivers/describe-failure.ts";
import { BadVectorFileError, VectorFile } from "../test/drivers/nv1.ts";
import { type GroupResult, runGroup } from "../test/drivers/run-vectors.ts";

const SUFFIX = /\.nv(\.gz)?$/;
const SAMPLE = fileURLToPath(new URL("../test/isa/vectors/", import.meta.url));
const groupOf = (file: string) => file.replace(SUFFIX, "");
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    group: { type: "string", multiple: true },
    step: { type: "string", default: "1" },
    show: { type: "string", default: "1" },
    soft: { type: "boolean", default: false },
    release: { type: "boolean", default: false },
    slice: { type: "string" },
    chaos: { type: "string" },
    pae: { type: "boolean", default: false },
    segmented: { type: "boolean", default: false },
    cut: { type: "string" },
  },
});
const total = { passed: 0, failed: 0 };

/** Nothing was run. */
function giveUp(message: string): never {
  console.log(message);
  console.log("0 passed, 0 failed");
  process.exit(2);
}

/** The files of a directory, only those of the groups that were asked for. */
function filesIn(directory: string): string[] {
  let names: string[] = [];
  try {
    names = readdirSync(directory);
  } catch (error) {
    giveUp(`${directory}: ${(error as Error).message}`);
  }
  const files = names.filter((name) => SUFFIX.test(name)).sort();
  if (files.length === 0) giveUp(`${directory}: no files that end in .nv or .nv.gz`);
  for (const group of values.group ?? []) {
    if (!files.some((name) => groupOf(name) === group)) giveUp(`${directory}: no group ${group}`);
  }
  return files.filter((name) => values.group?.includes(groupOf(name)) ?? true);
}

const directory = positionals[0] ?? SAMPLE;
const files = filesIn(directory);
const open = (name: string) => new VectorFile(readFileSync(join(directory, name)));

if (values.cut !== undefined) {
  mkdirSync(values.cut, { recursive: true });
  for (const name of files) {
    writeFileSync(join(values.cut, `${groupOf(name)}.nv.gz`), open(name).cut(Number(values.step)));
  }
  process.exit(0);
}

const disassembler = await loadDisassembler();
const driver = createCoreDriver({
  assertions: !values.release,
  pae: values.pae,
  segmented: values.segmented,
  ...(values.slice === undefined ? {} : { slice: Number(values.slice) }),
  ...(values.chaos === undefined ? {} : { chaosSeed: Number(values.chaos) }),
});

/** @returns what was found; a file that cannot be read is a failure. */
function runFile(name: string): GroupResult | undefined {
  try {
    const cases = open(name).sample(Number(values.step));
    return runGroup(driver, cases, Number(values.show), values.soft);
  } catch (error) {
    if (!(error instanceof BadVectorFileError)) throw error;
    console.log(`${name}: ${error.message}`);
    total.failed++;
    return undefined;
  }
}

for (const name of files) {
  const startedAt = performance.now();
  const result = runFile(name);
  if (result === undefined) continue;
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
  const soft = result.soft > 0 ? `, ${result.softFailed} of ${result.soft} soft differ` : "";
  console.log(
    `${groupOf(name)}: ${result.passed} passed, ${result.failed} failed${soft} (${seconds} s)`,
  );
  if (result.damage !== undefined) console.log(`  ${name}: ${result.damage}`);
  for (const [test, failures] of result.failuresByName) {
    for (const failure of failures) console.log(describeFailure(disassembler, failure));
    const left = result.countsByName.get(test)! - failures.length;
    if (left > 0) console.log(`  (${left} more like it: --show N)`);
  }
  total.passed += result.passed;
  total.failed += result.failed;
}
console.log(`${total.passed} passed, ${total.failed} failed`);
process.exitCode = total.failed === 0 ? 0 : 1;
