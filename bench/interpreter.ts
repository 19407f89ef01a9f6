/**
 * Guest MIPS of one system in this process: the quick look while tuning. Runs build/core.wasm as it is.
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
  buildImages();
  const kernels = KERNELS.filter(({ name }) => values.kernel?.includes(name) ?? true);
  const once = kernels.map(({ name, rounds }) => ({
    kernel: name,
    rounds: Number(values.rounds ?? rounds),
  }));
  const steps = Array.from({ length: Number(values.repeat) + 1 }, () => once).flat();
  const all =
    values.only === "v86"
      ? await (await import("./v86.ts")).runV86(steps)
      : (await import("./ours.ts")).runOurs(steps);
  const warm = all.slice(once.length);
  const means = kernels.map(({ name }) => {
    const own = warm.filter(({ kernel }) => kernel === name);
    const rates = own.map(({ instructions, cpuMs }) => instructions / cpuMs / 1e3);
    const [low, middle, high] = [Math.min(...rates), median(rates), Math.max(...rates)];
    const { instructions, checksum } = own[0]!;
    console.log(
      `${name.padEnd(8)}${middle.toFixed(0).padStart(6)} MIPS  (${low.toFixed(0)}-${high.toFixed(0)}, ` +
        `${(instructions / 1e6).toFixed(1)} M instructions, checksum ${checksum})`,
    );
    return middle;
  });
  if (means.length > 1) {
    console.log(`${"mean".padEnd(8)}${geometricMean(means).toFixed(0).padStart(6)} MIPS`);
  }
}
