import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test, vi } from "vitest";
import { BackendError } from "../../../host-ts/base/errors.ts";
import { EXIT_SLOWER, runBench } from "../../../host-ts/launcher/bench.ts";
import { parseBench } from "../../../host-ts/launcher/bench-usage.ts";

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), "wasmvisor-bench-"));
  onTestFinished(() => rmSync(path, { recursive: true }));
  return path;
}

/** Everything that a command prints. */
function captured(): () => string {
  const write = vi.spyOn(process.stdout, "write").mockReturnValue(true);
  onTestFinished(() => write.mockRestore());
  return () => write.mock.calls.map(([text]) => String(text)).join("");
}

test("a comparison ends with 0, and with 1 when something became slower", async () => {
  const printed = captured();
  const path = folder();
  const file = (name: string, ns: number): string => {
    const row = { name: "trap", path: "host", ns, ciLow: ns, ciHigh: ns };
    writeFileSync(join(path, name), JSON.stringify({ format: 1, scenarios: [row] }));
    return join(path, name);
  };
  const [fast, slow] = [file("fast.json", 100), file("slow.json", 150)];
  expect(await runBench(parseBench(["compare", fast, fast]))).toBe(0);
  expect(await runBench(parseBench(["compare", slow, fast]))).toBe(0);
  expect(await runBench(parseBench(["compare", fast, slow]))).toBe(EXIT_SLOWER);
  expect(await runBench(parseBench(["compare", fast, slow, "--threshold", "2"]))).toBe(0);
  expect(printed()).toContain("SLOWER");
  writeFileSync(join(path, "torn.json"), "{");
  const torn = parseBench(["compare", fast, join(path, "torn.json")]);
  await expect(runBench(torn)).rejects.toThrow(BackendError);
});

test("a file that cannot be written is refused by name before anything is measured", async () => {
  const printed = captured();
  const path = folder();
  for (const kind of ["json", "html", "speedscope", "pprof"]) {
    for (const file of [join(path, "none", "x"), path]) {
      const command = parseBench(["faults", "--scenario", "trap", `--${kind}`, file]);
      await expect(runBench(command), kind).rejects.toThrow(BackendError);
      await expect(runBench(command), kind).rejects.toThrow(`cannot write ${file}`);
    }
  }
  expect(printed()).toBe("");
});

test("bench faults prints its table and writes every file that is asked for", async () => {
  const printed = captured();
  const path = folder();
  const outputs = ["json", "html", "speedscope", "pprof"];
  const files = outputs.flatMap((kind) => [`--${kind}`, join(path, kind)]);
  const args = ["faults", "--scenario", "pingpong", "--iterations", "2048", "--repeats", "2"];
  expect(await runBench(parseBench([...args, ...files]))).toBe(0);
  expect(printed()).toMatch(/pingpong +host +33\.0 +3\.00/);
  const result = JSON.parse(readFileSync(join(path, "json"), "utf8"));
  for (const row of result.scenarios) {
    for (const field of ["instructions", "crossings", "ns", "ciLow", "ciHigh"]) {
      expect(typeof row[field], field).toBe("number");
    }
    const total = row.phases.reduce((sum: number, { ns }: { ns: number }) => sum + ns, 0);
    expect(total).toBeCloseTo(row.ns, 6);
    expect(row.phases.map(({ name }: { name: string }) => name)).toContain("guest handler");
  }
  const hypercall = (row: { phases: { name: string; ns: number }[] }) =>
    row.phases.find(({ name }) => name === "hypercall")!.ns;
  expect(hypercall(result.scenarios[1])).toBeGreaterThan(hypercall(result.scenarios[0]));
  expect(result.scenarios.map(({ path }: { path: string }) => path)).toEqual([
    "switcher",
    "host",
    "xen-pv",
    "xen-pv host",
  ]);
  expect(readFileSync(join(path, "html"), "utf8")).toContain("<svg");
  expect(readFileSync(join(path, "speedscope"), "utf8")).toContain('"unit":"nanoseconds"');
  expect(printed()).toMatch(
    /ns by phase +path +access +trap +walk +map +handler +hypercall +return +rest\n/,
  );
  expect([...readFileSync(join(path, "pprof")).subarray(0, 2)]).toEqual([0x1f, 0x8b]);
});

test("bench hypercalls prints rates and targets, and its file is judged and can be compared", async () => {
  const printed = captured();
  const json = join(folder(), "calls.json");
  const names = ["syscall", "null", "leave", "set_pte", "set_pte32"];
  const chosen = names.flatMap((name) => ["--scenario", name]);
  const args = ["hypercalls", ...chosen, "--iterations", "4096", "--repeats", "1", "--json", json];
  expect(await runBench(parseBench(args))).toBe(0);
  expect(printed()).toMatch(/^leave +lguest +7\.0 +1\.00 +\d+ +- +[\d.]+ M +[\d.]+$/m);
  expect(printed()).toMatch(/^syscall +xen-pv +4\.0 +0\.00 +\d+ +- +[\d.]+ M +1\.00$/m);
  expect(printed()).toMatch(/^null \/ system call +xen-pv +[\d.]+ +1\.00 +(not )?met$/m);
  const { scenarios, targets } = JSON.parse(readFileSync(json, "utf8"));
  expect(scenarios.map(({ name, path }: { name: string; path: string }) => [name, path])).toEqual(
    names.flatMap((name) => [
      [name, "lguest"],
      [name, "xen-pv"],
    ]),
  );
  expect(targets.map(({ limit }: { limit: number }) => limit)).toEqual([1, 4, 0.25]);
  expect(await runBench(parseBench(["compare", json, json]))).toBe(0);
});

test("loops too short to be measured are bounds, not nonsense, in every output", async () => {
  const printed = captured();
  const path = folder();
  const [html, json] = [join(path, "html"), join(path, "json")];
  const args =
    "faults --scenario trap --scenario fill --abi lguest --iterations 1 --repeats 1".split(" ");
  expect(await runBench(parseBench([...args, "--html", html, "--json", json]))).toBe(0);
  expect(printed()).toMatch(/trap +switcher +6\.0 +0\.00 +<\d+ +-\n/);
  expect(printed()).toMatch(/trap +privileged [a-z ]+ +- +- +-\n/);
  expect(printed()).not.toMatch(/NaN|Infinity/);
  expect(readFileSync(html, "utf8")).not.toMatch(/NaN|Infinity|undefined/);
  for (const row of JSON.parse(readFileSync(json, "utf8")).scenarios) {
    expect(row).toMatchObject({ isCoarse: true, coverage: 0 });
    expect(row.ns).toBeGreaterThan(0);
  }
});
