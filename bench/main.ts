/**
 * `npm run bench`: guest MIPS of our interpreter beside v86's on the same machine code, and the boot time of the embedded guest.
 *
 * Usage: npm run bench -- [--repeat N] [--kernel NAME]... [--json FILE] [--skip-boot]
 * Each repetition runs every system in a fresh process, one after the other, in alternating order; medians are reported.
 * MIPS are guest instructions, counted exactly by our core, per on-CPU time of the thread that runs the guest.
 */
import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { type Boot, measureBoot } from "./boot.ts";
import { buildImages, NoCompilerError } from "./images.ts";
import { KERNELS, type Measurement } from "./kernels.ts";
import { describeMachine } from "./machine.ts";
import { type KernelRow, kernelRows, printBoot, printKernels } from "./report.ts";
import { runInChild, SYSTEMS, type System } from "./systems.ts";

/** What `--json` writes. */
export interface Results {
  readonly date: string;
  readonly machine: ReturnType<typeof describeMachine>;
  readonly repetitions: number;
  readonly kernels: readonly KernelRow[];
  readonly boot: readonly Boot[];
}

/** Rounds before a measurement, as a part of it: enough for V8 to have optimised the interpreter. */
const WARM_UP = 0.5;

const { values } = parseArgs({
  options: {
    repeat: { type: "string", default: "5" },
    kernel: { type: "string", multiple: true },
    json: { type: "string" },
    "skip-boot": { type: "boolean", default: false },
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
  const machine = describeMachine(buildImages());
  const repetitions = Number(values.repeat);
  console.log(
    `${machine.cpu}, ${machine.cpus} CPUs, load ${machine.load}; Node ${machine.node}, v86 ${machine.v86}`,
  );

  const kernels = await measureKernels(repetitions);
  printKernels(kernels);
  const boot: Boot[] = [];
  if (!values["skip-boot"]) {
    for (let i = 0; i < repetitions; i++) boot.push(await measureBoot());
    printBoot(boot);
  }

  const results: Results = { date: new Date().toISOString(), machine, repetitions, kernels, boot };
  if (values.json !== undefined)
    writeFileSync(values.json, `${JSON.stringify(results, null, 2)}\n`);
}

async function measureKernels(repetitions: number): Promise<KernelRow[]> {
  const chosen = KERNELS.filter(({ name }) => values.kernel?.includes(name) ?? true);
  const steps = chosen.flatMap(({ name, rounds }) => [
    { kernel: name, rounds: Math.ceil(rounds * WARM_UP) },
    { kernel: name, rounds },
  ]);
  const runs = new Map<System, Measurement[]>(SYSTEMS.map((system) => [system, []]));
  for (let repetition = 0; repetition < repetitions; repetition++) {
    const order = repetition % 2 === 0 ? SYSTEMS : SYSTEMS.toReversed();
    for (const system of order) {
      const measured = await runInChild({ system, steps });
      runs.get(system)!.push(...measured.filter((_, index) => index % 2 === 1));
    }
  }
  return kernelRows(chosen, runs.get("ours")!, runs.get("v86")!);
}
