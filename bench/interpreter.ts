/**
 * Guest MIPS in this process: the quick look while tuning. Cores that are compared take turns.
 *
 * Usage: tsx bench/interpreter.ts [--only ours|v86] [--core FILE]... [--fault-path PATH]... [--kernel NAME]... [--repeat N] [--rounds N]
 * `--core` is build/core.wasm as it is, unless other builds of the core are named, relative to the repository's root.
 * With `--fault-path switcher --fault-path host` the two paths take turns: computing costs the same on both.
 */
import { parseArgs } from "node:util";
import { FAULT_PATHS } from "../host-ts/base/fault-path.ts";
import { buildImages, NoCompilerError } from "./images.ts";
import { KERNELS, type Measurement, type Step } from "./kernels.ts";
import { geometricMean, median } from "./report.ts";

const { values } = parseArgs({
  options: {
    only: { type: "string", default: "ours" },
    core: { type: "string", multiple: true, default: ["build/core.wasm"] },
    "fault-path": { type: "string", multiple: true, default: ["switcher"] },
    kernel: { type: "string", multiple: true },
    repeat: { type: "string", default: "5" },
    rounds: { type: "string" },
  },
});
const kernels = KERNELS.filter(({ name }) => values.kernel?.includes(name) ?? true);

try {
  buildImages();
  await main();
} catch (error) {
  if (!(error instanceof NoCompilerError)) throw error;
  console.error(error.message);
  process.exitCode = 1;
}

async function main(): Promise<void> {
  const runners = await openRunners();
  const steps = kernels.map(({ name, rounds }) => ({
    kernel: name,
    rounds: Number(values.rounds ?? rounds),
  }));
  const results = new Map<string, Measurement[]>(runners.map(([name]) => [name, []]));
  for (const [, run] of runners) await run(steps);
  for (let repetition = 0; repetition < Number(values.repeat); repetition++) {
    for (const [name, run] of runners) results.get(name)!.push(...(await run(steps)));
  }
  for (const [name, measurements] of results) print(name, measurements);
}

/** What is measured, by name. */
async function openRunners(): Promise<[string, (steps: Step[]) => Promise<Measurement[]>][]> {
  if (values.only === "v86") return [["v86, JIT disabled", (await import("./v86.ts")).runV86]];
  const { loadCore, runOurs } = await import("./ours.ts");
  const paths = FAULT_PATHS.filter((path) => values["fault-path"].includes(path));
  return values.core.flatMap((file) => {
    const core = loadCore(file);
    return paths.map((path): [string, (steps: Step[]) => Promise<Measurement[]>] => [
      `${file}, fault path ${path}`,
      async (steps) => runOurs(steps, core, path),
    ]);
  });
}

function print(name: string, measurements: readonly Measurement[]): void {
  console.log(name);
  const medians = kernels.map((kernel) => {
    const own = measurements.filter((measured) => measured.kernel === kernel.name);
    const rates = own.map(({ instructions, cpuMs }) => instructions / cpuMs / 1e3);
    const { instructions, checksum } = own[0]!;
    const range = `${Math.min(...rates).toFixed(0)}-${Math.max(...rates).toFixed(0)}`;
    const millions = (instructions / 1e6).toFixed(1);
    console.log(
      `  ${kernel.name.padEnd(8)}${median(rates).toFixed(0).padStart(6)} MIPS  ` +
        `(${range}, ${millions} M instructions, checksum ${checksum})`,
    );
    return median(rates);
  });
  if (medians.length > 1) {
    console.log(`  ${"mean".padEnd(8)}${geometricMean(medians).toFixed(0).padStart(6)} MIPS`);
  }
}
