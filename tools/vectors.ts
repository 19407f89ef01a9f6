/**
 * `npm run test:vectors -- DIR [--group NAME]... [--step N] [--show N] [--soft] ...`: replays the CPU vectors
 * of a directory on the core and prints what differs from the processor. Ends `N passed, N failed`.
 * `--step N` takes every N-th case, `--show N` prints N failures of each kind, `--soft` also those that the architecture leaves
 * open, `--slice N` runs the core N instructions at a time, `--chaos SEED` drops its caches at random, `--pae` uses PAE page tables,
 * `--segmented` segments that are not flat, `--release` the build without assertions. `--cut OUT` writes the sampled files to OUT instead of running them.
 */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { loadDisassembler } from "../host-ts/debug/disasm.ts";
import { createCoreDriver } from "../test/drivers/cpu-core.ts";
import { describeFailure } from "../test/drivers/describe-failure.ts";
import { VectorFile } from "../test/drivers/nv1.ts";
import { type GroupResult, runGroup } from "../test/drivers/run-vectors.ts";

const SUFFIX = ".nv.gz";
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

function fail(message: string): never {
  console.error(message);
  process.exit(2);
}

const directory = positionals[0] ?? fail("usage: npm run test:vectors -- DIR [--group NAME]...");
const files = readdirSync(directory)
  .filter((name) => name.endsWith(SUFFIX))
  .filter((name) => values.group?.includes(name.slice(0, -SUFFIX.length)) ?? true)
  .sort();
if (files.length === 0) fail(`no vectors in ${directory}`);
const open = (name: string) => new VectorFile(readFileSync(join(directory, name)));

if (values.cut !== undefined) {
  mkdirSync(values.cut, { recursive: true });
  for (const name of files) {
    writeFileSync(join(values.cut, name), open(name).cut(Number(values.step)));
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
const total = { passed: 0, failed: 0 };
for (const name of files) {
  const startedAt = performance.now();
  const result: GroupResult = runGroup(
    driver,
    open(name).sample(Number(values.step)),
    Number(values.show),
    values.soft,
  );
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
  const soft = result.soft > 0 ? `, ${result.softFailed} of ${result.soft} soft differ` : "";
  console.log(
    `${name.slice(0, -SUFFIX.length)}: ${result.passed} passed, ${result.failed} failed${soft} (${seconds} s)`,
  );
  for (const failures of result.failuresByName.values()) {
    for (const failure of failures) console.log(describeFailure(disassembler, failure));
  }
  total.passed += result.passed;
  total.failed += result.failed;
}
console.log(`${total.passed} passed, ${total.failed} failed`);
process.exitCode = total.failed === 0 ? 0 : 1;
