/** What `wasmvisor bench` makes of measurements: comparison, page, profile. */
import { expect, test } from "vitest";
import { PHASE_END, PHASE_HYPERCALL, PHASE_TRAP } from "../../../abi/vcpu.ts";
import { PhaseClock } from "../../../host-ts/launcher/bench-clock.ts";
import { phaseProfile } from "../../../host-ts/launcher/bench-export.ts";
import { escapeHtml, renderHtml } from "../../../host-ts/launcher/bench-html.ts";
import {
  attribute,
  byPhase,
  type ClockedRun,
  type PHASES,
  type Phase,
} from "../../../host-ts/launcher/bench-phases.ts";
import { makeResult, parseResult } from "../../../host-ts/launcher/bench-result.ts";
import type { Measurement } from "../../../host-ts/launcher/bench-run.ts";
import { SCENARIOS } from "../../../host-ts/launcher/bench-scenarios.ts";
import { parseBench } from "../../../host-ts/launcher/bench-usage.ts";
import { UsageError } from "../../../host-ts/launcher/usage-error.ts";

function row(name: string, path: string, ns: number, spread = 0.01): Measurement {
  return {
    name,
    path,
    what: `what ${name} <is>`,
    iterations: 10,
    instructions: 50,
    crossings: path === "host" ? 3 : 0,
    counts: {
      instructions: 50,
      crossings: 0,
      deliveries: 1,
      tlbFills: 1,
      calls: 2,
      directoryMisses: 0,
    },
    ns,
    ciLow: ns * (1 - spread),
    ciHigh: ns * (1 + spread),
    coverage: 0.95,
    samples: [ns * 0.9, ns, ns * 1.1],
    isCoarse: false,
    phases: [
      phase("guest access", 4, ns / 4),
      phase("trap", 0, 8, true),
      phase("guest handler", 46, (3 * ns) / 4 - 8),
      phase("unattributed", 0, 0),
    ],
  };
}

function phase(name: Phase["name"], instructions: number, ns: number, isUncertain = false): Phase {
  return { name, count: 1, instructions, ns, errorNs: isUncertain ? ns : ns / 20, isUncertain };
}
const result = (...rows: Measurement[]) => makeResult(rows, "1.2.3");

test("a result survives its file, and a file that is none is refused by name", () => {
  const written = result(row("pingpong", "switcher", 100));
  expect(parseResult(JSON.stringify(written)).scenarios).toEqual(written.scenarios);
  const file = (...rows: unknown[]) => JSON.stringify({ scenarios: rows });
  expect(() => parseResult("{}")).toThrow("no list of scenarios");
  expect(() => parseResult('{"format":2,"scenarios":[]}')).toThrow("format 2");
  expect(() => parseResult(file(null))).toThrow("entry 0 is no object");
  expect(() => parseResult(file({ name: "trap", path: "host", ns: 0 }))).toThrow("0 for ns");
  expect(() => parseResult(file({ name: "trap", path: "host" }))).toThrow("undefined for ns");
});

test("the page shows every scenario, needs no script and nothing from elsewhere", () => {
  const rows = SCENARIOS.flatMap(({ name }) => [
    row(name, "switcher", 100),
    row(name, "host", 300),
    row(name, "xen-pv", 200),
    row(name, "xen-pv host", 400),
  ]);
  const html = renderHtml(result(...rows));
  for (const { name } of SCENARIOS) expect(html).toContain(`<b>${name}</b>`);
  expect(html.match(/<svg/g)).toHaveLength(SCENARIOS.length + 2);
  expect(html).not.toMatch(/<script|src=|href=|NaN|undefined|Infinity/);
  expect(html).toContain("what fill &lt;is&gt;");
  expect(html).toContain("takes 3.0 times as long");
  expect(html).toContain("the same takes 2.0 times as long, and 4.0 times on its");
  expect(html).toContain("prefers-color-scheme:dark");
  expect(escapeHtml(`<&">`)).toBe("&lt;&amp;&quot;&gt;");
});

test("a page of one path or without phases is whole too", () => {
  const html = renderHtml(result({ ...row("trap", "host", 300), phases: [] }));
  expect(html).not.toContain("System against system");
  expect(html).not.toMatch(/NaN|undefined/);
});

test("phases become a profile of nanoseconds: path, scenario, phase, each a frame of its own", () => {
  const { profile, names } = phaseProfile([row("trap", "host", 400)]);
  expect(profile.samples.map(({ count }) => count)).toEqual([100, 8, 292]);
  const [inner, ...callers] = profile.samples[1]!.frames;
  const found = [inner!, ...callers.map((address) => address - 1)].map(
    (address) => names.kernel.locate(address)?.name,
  );
  expect(found).toEqual(["phase: trap", "trap", "host path"]);
});

/** A clocked run with 100, 120 and 200 ns between readings of 20 ns from Wasm and 30 ns from the Host. */
const clockedRun: ClockedRun = {
  counts: only({ "guest access": 1, trap: 1, "guest handler": 1 }),
  wasmReadings: only({ "guest access": 1, trap: 2, "guest handler": 1 }),
  hostReadings: only({ trap: 1 }),
  rawNs: only({ "guest access": 100, trap: 72, "guest handler": 200 }),
  wasmReadingNs: 20,
  hostReadingNs: 30,
};
function only(values: Partial<Record<(typeof PHASES)[number], number>>) {
  return byPhase((name) => values[name] ?? 0);
}
const counted = only({ "guest access": 4, "guest handler": 46 });

test("what the readings cost is taken off by kind, nothing is scaled, and the rest is said", () => {
  const phases = attribute([clockedRun], counted, 300);
  expect(phases.map(({ name, ns }) => [name, ns])).toEqual([
    ["guest access", 80],
    ["trap", 2],
    ["guest handler", 180],
    ["unattributed", 38],
  ]);
  expect(phases.map(({ isUncertain }) => isUncertain)).toEqual([false, true, false, false]);
});

test("phases that explain too much or too little of the time are uncertain as a whole", () => {
  for (const ns of [150, 600]) {
    expect(attribute([clockedRun], counted, ns).at(-1)).toMatchObject({
      name: "unattributed",
      ns: ns - 262,
      isUncertain: true,
    });
  }
});

test("one disturbed run of several changes no phase", () => {
  const disturbed = { ...clockedRun, rawNs: only({ "guest access": 9000, trap: 4000 }) };
  expect(attribute([clockedRun, disturbed, clockedRun], counted, 300).map(({ ns }) => ns)).toEqual(
    attribute([clockedRun], counted, 300).map(({ ns }) => ns),
  );
});

test("the clock returns to the guest from a call that a trap turned into", () => {
  const clock = new PhaseClock();
  clock.start();
  for (let call = 0; call < 3; call++) {
    for (const phase of [PHASE_TRAP, PHASE_HYPERCALL, PHASE_END]) clock.mark(phase);
  }
  clock.markHost(PHASE_HYPERCALL);
  clock.resume();
  const { counts, wasmReadings, hostReadings } = clock.found();
  expect(counts).toMatchObject({ "guest access": 1, trap: 3, hypercall: 4, walk: 0 });
  expect(wasmReadings).toMatchObject({ "guest access": 3, trap: 3, hypercall: 3 });
  expect(hostReadings).toMatchObject({ "guest access": 1, trap: 0, hypercall: 1 });
});

test("the command line chooses scenarios, paths, repeats and files", () => {
  const command = parseBench(
    "faults --scenario fill --scenario trap --fault-path host --repeats 3 --json a.json".split(" "),
  );
  expect(command).toMatchObject({
    what: "faults",
    systems: [
      { name: "host", abi: "lguest" },
      { name: "xen-pv host", abi: "xen-pv" },
    ],
    repeats: 3,
    jsonFile: "a.json",
  });
  expect(command.what === "faults" && command.scenarios.map(({ name }) => name)).toEqual([
    "fill",
    "trap",
  ]);
  expect(parseBench("compare a b --threshold 1.5".split(" "))).toMatchObject({ threshold: 1.5 });
  expect(parseBench("hypercalls --abi xen-pv --quick".split(" "))).toMatchObject({
    what: "hypercalls",
    systems: [{ name: "xen-pv" }],
    repeats: 5,
  });
  expect(parseBench(["--help"])).toMatchObject({ what: "help" });
  for (const wrong of [
    "faults --scenario x",
    "faults --repeats 0",
    "compare a",
    "compare a b --threshold 0.5",
    "compare a b --json c",
    "faults --threshold 2",
    "faults --abi bare",
    "hypercalls --scenario pingpong",
    "hypercalls --html page.html",
    "x",
  ]) {
    expect(() => parseBench(wrong.split(" ")), wrong).toThrow(UsageError);
  }
  expect(() => parseBench([])).toThrow(UsageError);
});
