/** What `wasmvisor bench` makes of measurements: comparison, page, profile. */
import { expect, test } from "vitest";
import { PHASE_END, PHASE_HYPERCALL, PHASE_TRAP } from "../../../abi/vcpu.ts";
import { phaseProfile } from "../../../host-ts/launcher/bench-export.ts";
import { escapeHtml, renderHtml } from "../../../host-ts/launcher/bench-html.ts";
import { attribute, PHASES, PhaseClock } from "../../../host-ts/launcher/bench-phases.ts";
import { makeResult, parseResult } from "../../../host-ts/launcher/bench-result.ts";
import type { Measurement } from "../../../host-ts/launcher/bench-run.ts";
import { SCENARIOS } from "../../../host-ts/launcher/bench-scenarios.ts";
import { parseBench } from "../../../host-ts/launcher/bench-usage.ts";
import { UsageError } from "../../../host-ts/launcher/usage-error.ts";

function row(name: string, path: "switcher" | "host", ns: number, spread = 0.01): Measurement {
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
    phases: [
      { name: "guest access", count: 1, instructions: 4, ns: ns / 4 },
      { name: "guest handler", count: 1, instructions: 46, ns: (3 * ns) / 4 },
    ],
  };
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
  ]);
  const html = renderHtml(result(...rows));
  for (const { name } of SCENARIOS) expect(html).toContain(`<b>${name}</b>`);
  expect(html.match(/<svg/g)).toHaveLength(SCENARIOS.length + 2);
  expect(html).not.toMatch(/<script|src=|href=|NaN|undefined|Infinity/);
  expect(html).toContain("what fill &lt;is&gt;");
  expect(html).toContain("prefers-color-scheme:dark");
  expect(escapeHtml(`<&">`)).toBe("&lt;&amp;&quot;&gt;");
});

test("a page of one path or without phases is whole too", () => {
  const html = renderHtml(result({ ...row("trap", "host", 300), phases: [] }));
  expect(html).not.toContain("Path against path");
  expect(html).not.toMatch(/NaN|undefined/);
});

test("phases become a profile of nanoseconds: path, scenario, phase", () => {
  const { profile, names } = phaseProfile([row("trap", "host", 400)]);
  expect(profile.samples.map(({ count }) => count)).toEqual([100, 300]);
  const [inner, ...callers] = profile.samples[1]!.frames;
  const found = [inner!, ...callers.map((address) => address - 1)].map(
    (address) => names.kernel.locate(address)?.name,
  );
  expect(found).toEqual(["guest handler", "trap", "host path"]);
});

test("the time of the phases adds up to what was measured", () => {
  const table = (...values: number[]) =>
    Object.fromEntries(PHASES.map((phase, index) => [phase, values[index] ?? 0])) as Record<
      (typeof PHASES)[number],
      number
    >;
  const phases = attribute(
    {
      counts: table(1, 1, 0, 0, 1),
      readings: table(1, 2, 0, 0, 1),
      rawNs: table(100, 120, 0, 0, 200),
      readingNs: 40,
    },
    table(4, 0, 0, 0, 46),
    250,
  );
  expect(phases.map(({ name }) => name)).toEqual(["guest access", "trap", "guest handler"]);
  expect(phases.reduce((sum, { ns }) => sum + ns, 0)).toBeCloseTo(250);
  expect(phases[0]!.ns).toBeLessThan(100);
});

test("the clock returns to the guest from a call that a trap turned into", () => {
  const clock = new PhaseClock();
  clock.start();
  for (let call = 0; call < 3; call++) {
    for (const phase of [PHASE_TRAP, PHASE_HYPERCALL, PHASE_END]) clock.mark(phase);
  }
  const { counts, readings } = clock.found(1);
  expect(counts).toMatchObject({ "guest access": 1, trap: 3, hypercall: 3, walk: 0 });
  expect(readings).toMatchObject({ "guest access": 3, trap: 3, hypercall: 3 });
});

test("the command line chooses scenarios, paths, repeats and files", () => {
  const command = parseBench(
    "faults --scenario fill --scenario trap --fault-path host --repeats 3 --json a.json".split(" "),
  );
  expect(command).toMatchObject({
    what: "faults",
    paths: ["host"],
    repeats: 3,
    jsonFile: "a.json",
  });
  expect(command.what === "faults" && command.scenarios.map(({ name }) => name)).toEqual([
    "fill",
    "trap",
  ]);
  expect(parseBench("compare a b --threshold 1.5".split(" "))).toMatchObject({ threshold: 1.5 });
  expect(parseBench(["--help"])).toMatchObject({ what: "help" });
  for (const wrong of [
    "faults --scenario x",
    "faults --repeats 0",
    "compare a",
    "compare a b --threshold 0.5",
    "compare a b --json c",
    "faults --threshold 2",
    "x",
  ]) {
    expect(() => parseBench(wrong.split(" ")), wrong).toThrow(UsageError);
  }
  expect(() => parseBench([])).toThrow(UsageError);
});
