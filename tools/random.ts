/**
 * `npm run test:random -- [--minutes M | --count N] [--seed S] [--oracle native|qemu] [--family NAME]...`: random code on the core
 * and on another processor. Prints what differs, made small, with the command that repeats it, and ends `N passed, N failed`.
 * `--only I` runs case I of the seed alone, `--whole` prints cases as drawn, `--show N` prints N failures in full (default 10).
 */
import { parseArgs } from "node:util";
import { loadDisassembler } from "../host-ts/debug/disasm.ts";
import { createCoreDriver } from "../test/drivers/cpu-core.ts";
import { describeFailure } from "../test/drivers/describe-failure.ts";
import { differing, shrink } from "../test/drivers/differential.ts";
import { createOracle, isOracleName, ORACLE_FAMILIES, ORACLES } from "../test/drivers/oracles.ts";
import { isFamily, randomCase } from "../test/drivers/random-case.ts";

const BATCH = 1000;
const MINUTE_MS = 60_000;

const { values } = parseArgs({
  options: {
    seed: { type: "string", default: "1" },
    count: { type: "string", default: "20000" },
    minutes: { type: "string" },
    oracle: { type: "string", default: "native" },
    family: { type: "string", multiple: true },
    only: { type: "string" },
    whole: { type: "boolean", default: false },
    show: { type: "string", default: "10" },
  },
});

function fail(message: string): never {
  console.error(message);
  process.exit(2);
}

const { oracle: oracleName } = values;
if (!isOracleName(oracleName)) fail(`--oracle takes ${ORACLES.join(", ")}`);
const known = ORACLE_FAMILIES[oracleName];
const families = values.family?.filter(isFamily) ?? known;
if (families.length === 0 || families.some((family) => !known.includes(family))) {
  fail(`--family takes ${known.join(", ")}`);
}
const oracle = createOracle(oracleName);
if ("reason" in oracle) fail(`skipped: ${oracle.reason}`);

const seed = Number(values.seed);
const first = Number(values.only ?? 0);
const end = values.only === undefined ? Number(values.count) : first + 1;
const startedAt = performance.now();
const until = startedAt + Number(values.minutes ?? 0) * MINUTE_MS;
const isMore = (next: number) =>
  values.minutes === undefined ? next < end : performance.now() < until;

const disassembler = await loadDisassembler();
const driver = createCoreDriver();
const familyOptions =
  families === known ? "" : families.map((name) => ` --family ${name}`).join("");
let ran = 0;
let failed = 0;
for (let next = first; isMore(next); next += BATCH) {
  const count = values.minutes === undefined ? Math.min(BATCH, end - next) : BATCH;
  const cases = Array.from({ length: count }, (_, i) => randomCase(seed, next + i, families));
  const failures = differing(driver, oracle.record, cases);
  for (const failure of failures) {
    if (++failed > Number(values.show)) continue;
    const shown = values.whole ? failure : shrink(driver, oracle.record, failure);
    console.log(describeFailure(disassembler, shown));
    console.log(
      `    again: npm run test:random -- --oracle ${oracleName} --seed ${seed} --only ${next + cases.indexOf(failure.from)}${familyOptions}`,
    );
  }
  ran += count;
}
const hours = (performance.now() - startedAt) / (60 * MINUTE_MS);
console.log(`seed ${seed} on ${oracleName}: ${Math.round(ran / hours)} cases per hour`);
console.log(`${ran - failed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
