/**
 * Guest MIPS of one system's interpreter, in this process: the quick look while tuning.
 *
 * Usage: tsx bench/interpreter.ts [--only ours|v86] [--kernel NAME]... [--repeat N] [--rounds N]
 */
import { parseArgs } from "node:util";
import { buildImages, NoCompilerError } from "./images.ts";
import { KERNELS } from "./kernels.ts";
import { geometricMean, median } from "./report.ts";

const { values } = parseArgs({
  options: {
    only: { type: "string", default: "ours" },
    kernel: { type: "string", multiple: true },
    repeat: { type: "string", default: "5" },
    rounds: { type: "string" },
  },
});

try {
  await main();
} catch (error) {
  if (!(error instanceof NoCompilerError)) throw error;
  console.error(error.message);
  process.exitCode = 1;
}

async function main(): Promise<void> {
  const images = buildImages();
  const kernels = KERNELS.filter(({ name }) => values.kernel?.includes(name) ?? true);
  const repeat = Number(values.repeat);
  const steps = kernels.map(({ name, rounds }) => ({
    kernel: name,
    rounds: Number(values.rounds ?? rounds),
  }));
  const { runOurs } = await import("./ours.ts");
  const plan = Array.from({ length: repeat + 1 }, () => steps).flat();
  const measurements = runOurs(images.lguest, plan).slice(steps.length);
  const mips = kernels.map(({ name }) => {
    const own = measurements.filter(({ kernel }) => kernel === name);
    const rates = own.map(({ instructions, cpuMs }) => instructions! / cpuMs / 1e3);
    const { instructions, checksum } = own[0]!;
    console.log(
      `${name.padEnd(8)}${median(rates).toFixed(0).padStart(6)} MIPS  ` +
        `(${Math.min(...rates).toFixed(0)}-${Math.max(...rates).toFixed(0)}, ` +
        `${(instructions! / 1e6).toFixed(1)} M instructions, checksum ${checksum})`,
    );
    return median(rates);
  });
  if (mips.length > 1)
    console.log(`${"mean".padEnd(8)}${geometricMean(mips).toFixed(0).padStart(6)} MIPS`);
}
