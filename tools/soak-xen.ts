/**
 * `npm run soak:xen -- [--calls N] [--seed S] [--path P]`: two Xen domains that mean harm, with hypercalls drawn at random from the model of
 * the fuzz tests, until N of them (default 10,000,000) are made. Prints a line each minute. What breaks a rule is made small and printed
 * with the command that repeats it; the exit code is 1 then.
 */
import { parseArgs } from "node:util";
import fc from "fast-check";
import { noTotals, property } from "../test/drivers/xen-hostile/session.ts";

/** Sessions that share a seed: repeating one makes those before it too, but for a path. */
const BATCH = 50;
const MINUTE_MS = 60_000;
/** For making a failure small. */
const PATIENCE_MS = 3 * MINUTE_MS;

const { values } = parseArgs({
  options: {
    calls: { type: "string", default: "10000000" },
    seed: { type: "string", default: "1" },
    path: { type: "string" },
  },
});
const wanted = Number(values.calls);
const firstSeed = Number(values.seed);
const totals = noTotals();
const startedMs = performance.now();
let saidMs = startedMs;

function report(): string {
  const minutes = ((performance.now() - startedMs) / MINUTE_MS).toFixed(1);
  const { calls, sessions, steps, deaths } = totals;
  return `${calls} calls in ${sessions} sessions of ${steps} steps, ${deaths} domains dead, ${minutes} min`;
}

console.log(`soak: ${wanted} calls from seed ${firstSeed}`);
for (let seed = firstSeed; totals.calls < wanted; seed++) {
  const result = fc.check(property(totals), {
    seed,
    numRuns: BATCH,
    interruptAfterTimeLimit: PATIENCE_MS,
    ...(values.path === undefined ? {} : { path: values.path }),
  });
  if (result.failed) {
    console.log(`FAIL ${result.errorInstance instanceof Error ? result.errorInstance.stack : ""}`);
    console.log(JSON.stringify(result.counterexample));
    console.log(`npm run soak:xen -- --seed ${seed} --path ${result.counterexamplePath}`);
    process.exitCode = 1;
    break;
  }
  if (values.path !== undefined) break;
  if (performance.now() - saidMs > MINUTE_MS) {
    console.log(`${report()}, seed ${seed} done`);
    saidMs = performance.now();
  }
}
console.log(report());
for (const [reason, count] of [...totals.reasons].sort(([, a], [, b]) => b - a)) {
  console.log(`${String(count).padStart(8)}  ${reason}`);
}
