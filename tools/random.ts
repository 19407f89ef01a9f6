/**
 * `npm run test:random -- [--minutes M | --count N] [--seed S] [--oracle native|qemu]... [--family NAME]...`: random code on the
 * core and on other processors, all families and oracles in turn. Prints what differs, made small, with the command that repeats
 * it, a line each minute and how often QEMU departed from this processor, and ends `N passed, N failed`. `--count N` is for each family and oracle. `--only I` runs case I of one
 * family alone, `--whole` prints cases as drawn, `--show N` prints N failures in full (default 10).
 */
import { parseArgs } from "node:util";
import { loadDisassembler } from "../host-ts/debug/disasm.ts";
import { createCoreDriver } from "../test/drivers/cpu-core.ts";
import { describeFailure } from "../test/drivers/describe-failure.ts";
import {
  codeSizes,
  type Departure,
  examine,
  type RandomFailure,
  shrink,
} from "../test/drivers/differential.ts";
import { createOracle, isOracleName, ORACLES, type Oracle } from "../test/drivers/oracles.ts";
import { OTHER } from "../test/drivers/qemu-departures.ts";
import { FAMILIES, type Family, isFamily, randomCase } from "../test/drivers/random-case.ts";
import { missingFeatures } from "../test/drivers/random-simd-later.ts";

const BATCH = 1000;
const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const MIB = 1 << 20;
/** Departures outside the list that are shown. */
const EXAMPLES = 3;

const { values } = parseArgs({
  options: {
    seed: { type: "string", default: "1" },
    count: { type: "string", default: "2000" },
    minutes: { type: "string" },
    oracle: { type: "string", multiple: true },
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

/** One oracle and one family, and the number of its next case. */
interface Lane {
  readonly oracleName: string;
  readonly oracle: Oracle;
  readonly family: Family;
  next: number;
}

function lanes(): Lane[] {
  const names = values.oracle ?? ORACLES;
  const families = values.family ?? FAMILIES;
  const lacking = missingFeatures();
  if (lacking.length > 0) console.log(`sse4 skipped: no ${lacking.join(", ")}`);
  const first = Number(values.only ?? 0);
  const made = names.flatMap((oracleName) => {
    if (!isOracleName(oracleName)) fail(`--oracle takes ${ORACLES.join(", ")}`);
    const oracle = createOracle(oracleName);
    if ("reason" in oracle) {
      console.log(`${oracleName} skipped: ${oracle.reason}`);
      return [];
    }
    return families.flatMap((family): Lane[] => {
      if (!isFamily(family)) fail(`--family takes ${FAMILIES.join(", ")}`);
      if (family === "sse4" && lacking.length > 0) return [];
      return [{ oracleName, oracle, family, next: first }];
    });
  });
  return made.sort((a, b) => families.indexOf(a.family) - families.indexOf(b.family));
}

const seed = Number(values.seed);
const end = values.only === undefined ? Number(values.count) : Number(values.only) + 1;
const startedAt = performance.now();
const until =
  values.minutes === undefined ? undefined : startedAt + Number(values.minutes) * MINUTE_MS;
const disassembler = await loadDisassembler();
const driver = createCoreDriver({ edges: true });
let cases = 0;
let instructions = 0;
let open = 0;
let failed = 0;
const departures = new Map<string, number>();
let departed = 0;

function report({ oracle, oracleName, family }: Lane, failure: RandomFailure, index: number): void {
  if (++failed > Number(values.show)) return;
  const shown = values.whole ? failure : shrink(driver, oracle, failure);
  console.log(describeFailure(disassembler, shown, codeSizes(shown)));
  console.log(`    again: ${again({ oracleName, family }, index)}`);
}

function again({ oracleName, family }: Pick<Lane, "oracleName" | "family">, index: number): string {
  return `npm run test:random -- --oracle ${oracleName} --family ${family} --seed ${seed} --only ${index}`;
}

/** Counts what an emulator does unlike the core and silicon; the first that the list does not explain are shown. */
function note(lane: Lane, departure: Departure, index: number): void {
  departed++;
  for (const name of departure.classes) {
    const count = (departures.get(name) ?? 0) + 1;
    departures.set(name, count);
    if (name !== OTHER || count > EXAMPLES) continue;
    console.log("not in the list of departures, and not a failure:");
    console.log(describeFailure(disassembler, departure, codeSizes(departure)));
    console.log(`    again: ${again(lane, index)}`);
  }
}

function runBatch(lane: Lane): void {
  const count = until === undefined ? Math.min(BATCH, end - lane.next) : BATCH;
  const drawn = Array.from({ length: count }, (_, i) =>
    randomCase(seed, lane.next + i, [lane.family]),
  );
  const findings = examine(driver, lane.oracle, drawn);
  cases += findings.cases;
  instructions += findings.instructions;
  open += findings.open.length;
  for (const departure of findings.departures) {
    note(lane, departure, lane.next + drawn.indexOf(departure.from));
  }
  for (const failure of findings.failures) {
    report(lane, failure, lane.next + drawn.indexOf(failure.from));
  }
  lane.next += count;
}

function summary(): string {
  const ms = performance.now() - startedAt;
  const perHour = (count: number) => Math.round((count / ms) * HOUR_MS);
  return `seed ${seed}, ${Math.round(ms / 1000)} s: ${cases} cases (${open} more without an answer), ${instructions} instructions, ${perHour(instructions)} instructions per hour, ${failed} differences`;
}

const all = lanes();
let reported = startedAt;
for (let turn = 0; all.length > 0; turn++) {
  const lane = all[turn % all.length]!;
  if (until === undefined ? lane.next >= end : performance.now() >= until) break;
  runBatch(lane);
  if (performance.now() - reported < MINUTE_MS) continue;
  reported += MINUTE_MS;
  console.log(`${summary()}; ${Math.round(process.memoryUsage().rss / MIB)} MiB`);
}
console.log(summary());
if (departed > 0) console.log(`qemu-i386 did otherwise than this processor in ${departed} cases:`);
for (const [name, count] of [...departures].sort((a, b) => b[1] - a[1])) {
  console.log(`${`${count}`.padStart(8)}  ${name}`);
}
console.log(`${cases - failed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
