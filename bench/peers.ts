/**
 * `npm run bench:peers`: the round trips of guests/bench on wasmvisor, on v86 with its JIT, and on QEMU TCG, in one run.
 *
 * Usage: npm run bench:peers -- [--repeat N] [--scenario NAME]... [--json FILE]
 * One C source makes the paravirtual guests that wasmvisor runs, for lguest and for Xen, and the Multiboot kernel that the others run, and
 * that wasmvisor runs as a plain machine too. Each repetition runs every system in a fresh process, one after the other, in alternating order.
 * Times are CPU time of the thread that runs guest code, per iteration; medians are reported. QEMU is skipped where it is absent.
 */
import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { describeMachine } from "../host-ts/launcher/bench-result.ts";
import { SCENARIOS } from "../host-ts/launcher/bench-scenarios.ts";
import { estimateMedian } from "../host-ts/launcher/bench-stats.ts";
import { padTable } from "../host-ts/launcher/bench-table.ts";
import { buildBench, findGcc } from "../tools/guest-build.ts";
import { runScript } from "./child-run.ts";
import type { PeerJob, PeerSample } from "./peers/job.ts";
import { findQemu } from "./peers/qemu.ts";
import { v86Version } from "./peers/v86.ts";

const { values } = parseArgs({
  options: {
    repeat: { type: "string", default: "5" },
    scenario: { type: "string", multiple: true },
    json: { type: "string" },
  },
});

/** Loops of one measurement are this much longer than those of `wasmvisor bench faults`: a peer's compiler needs to warm up. */
const LONGER = 3;
/** Loops in a process: the first ones warm up. */
const WARM_UPS = 2;
const MEASURED = 2;

if (!/^[1-9]\d{0,3}$/.test(values.repeat))
  fail(`--repeat is "${values.repeat}", not a number from 1`);
for (const name of values.scenario ?? []) {
  const known = SCENARIOS.map((scenario) => scenario.name);
  if (!known.includes(name)) fail(`--scenario is "${name}", not one of ${known.join(", ")}`);
}

const gcc = findGcc();
if ("missing" in gcc) {
  console.error(
    `the guests are compiled, and ${gcc.missing}; on Debian: apt-get install gcc gcc-multilib`,
  );
  process.exit(1);
}
const native = buildBench("native");
const paravirtual = buildBench("lguest");
const qemu = findQemu();
if (qemu === undefined) {
  console.error(
    "QEMU is skipped: there is no qemu-system-i386; on Debian: apt-get install qemu-system-x86",
  );
}
const scenarios = SCENARIOS.filter(({ name }) => values.scenario?.includes(name) ?? true);
const systems: Omit<PeerJob, "plan" | "loops">[] = [
  { system: "wasmvisor", kernel: paravirtual },
  { system: "wasmvisor host", kernel: paravirtual },
  { system: "wasmvisor xen-pv", kernel: buildBench("xen") },
  { system: "wasmvisor bare", kernel: native },
  { system: "v86", kernel: native },
  ...(qemu === undefined ? [] : [{ system: "qemu" as const, kernel: native }]),
];

/** Nanoseconds per iteration by system and scenario: all measurements. */
const results = new Map<string, number[]>();
const events = new Map<string, number>();
for (let repetition = 0; repetition < Number(values.repeat); repetition++) {
  for (const job of repetition % 2 === 0 ? systems : systems.toReversed()) {
    const plan = scenarios.map(
      ({ name, iterations }) => `${name}:${iterations * LONGER}*${WARM_UPS + MEASURED}`,
    );
    const loops = (WARM_UPS + MEASURED) * scenarios.length;
    const samples = await runInChild({ ...job, plan: plan.join(","), loops });
    for (const [index, scenario] of scenarios.entries()) {
      const own = samples.slice(index * (WARM_UPS + MEASURED)).slice(WARM_UPS, WARM_UPS + MEASURED);
      const key = `${job.system}/${scenario.name}`;
      const list = results.get(key) ?? [];
      for (const { cpuMs, events: seen } of own) {
        list.push((cpuMs / (scenario.iterations * LONGER)) * 1e6);
        if (seen !== (events.get(scenario.name) ?? seen)) {
          throw new Error(
            `${job.system}, ${scenario.name}: ${seen} faults, others ${events.get(scenario.name)}`,
          );
        }
        events.set(scenario.name, seen);
      }
      results.set(key, list);
    }
    process.stderr.write(".");
  }
}
process.stderr.write("\n");

const names = systems.map(({ system }) => system);
const rows = scenarios.map(({ name, what }) => ({
  name,
  what,
  systems: Object.fromEntries(
    names.map((system) => {
      const all = results.get(`${system}/${name}`)!;
      const { median: ns, low: ciLow, high: ciHigh } = estimateMedian(all);
      return [system, { ns, ciLow, ciHigh, all }];
    }),
  ),
}));
const nsOf = (row: (typeof rows)[number], system: string): number => row.systems[system]!.ns;
const others = names.filter((name) => name !== "wasmvisor");
console.log(
  "\nnanoseconds per iteration, medians; then wasmvisor's time as a part of the other's\n",
);
console.log(
  padTable(
    ["scenario", ...names, ...others.map((name) => `/ ${name}`)],
    rows.map((row) => [
      row.name,
      ...names.map((name) => nsOf(row, name).toFixed(0)),
      ...others.map((name) => (nsOf(row, "wasmvisor") / nsOf(row, name)).toFixed(2)),
    ]),
    1,
  ),
);
const versions = {
  node: process.versions.node,
  v86: v86Version(),
  qemu: qemu?.version,
  gcc: gcc.major,
};
if (values.json !== undefined) {
  const result = {
    date: new Date().toISOString(),
    machine: describeMachine(),
    versions,
    repetitions: Number(values.repeat),
    scenarios: rows,
  };
  writeFileSync(values.json, `${JSON.stringify(result, null, 2)}\n`);
}

function fail(message: string): never {
  console.error(message);
  process.exit(2);
}

/** Runs one system in a fresh process. Rejects with its error text when it fails or hangs. */
function runInChild(job: PeerJob): Promise<readonly PeerSample[]> {
  return runScript(new URL("peers/child.ts", import.meta.url), job.system, job);
}
