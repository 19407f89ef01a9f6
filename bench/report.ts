/** From measurements to tables. */
import type { Boot } from "./boot.ts";
import type { Kernel, Measurement } from "./kernels.ts";

/** One kernel on both systems. MIPS are medians; `all` are the single repetitions. */
export interface KernelRow {
  readonly kernel: string;
  readonly checksum: string;
  /** Guest instructions of one measurement, as our core counts them. */
  readonly instructions: number;
  /** The same as v86 counts them. */
  readonly v86Instructions: number;
  readonly ours: { readonly mips: number; readonly all: readonly number[] };
  readonly v86: { readonly mips: number; readonly all: readonly number[] };
  readonly ratio: number;
}

/** How far the two systems' own instruction counts may lie apart: printing the brackets costs them different amounts. */
const COUNT_TOLERANCE = 0.001;

/**
 * Puts the measurements of both systems side by side. Our instruction count serves for both.
 * @throws when checksums or instruction counts differ: then the systems did not run the same program.
 */
export function kernelRows(
  kernels: readonly Kernel[],
  ours: readonly Measurement[],
  v86: readonly Measurement[],
): KernelRow[] {
  return kernels.map(({ name }) => {
    const own = ours.filter(({ kernel }) => kernel === name);
    const theirs = v86.filter(({ kernel }) => kernel === name);
    const { checksum, instructions } = own[0]!;
    const stray = [...own, ...theirs].find((measured) => measured.checksum !== checksum);
    if (stray !== undefined) {
      throw new Error(`${name}: checksums ${checksum} and ${stray.checksum} differ`);
    }
    const v86Instructions = theirs[0]!.instructions;
    if (Math.abs(v86Instructions / instructions - 1) > COUNT_TOLERANCE) {
      throw new Error(`${name}: ${instructions} instructions, but v86 counts ${v86Instructions}`);
    }
    const mips = (measured: readonly Measurement[]) => {
      const all = measured.map(({ cpuMs }) => round(instructions / cpuMs / 1e3, 1));
      return { mips: median(all), all };
    };
    const [oursMips, v86Mips] = [mips(own), mips(theirs)];
    return {
      kernel: name,
      checksum,
      instructions,
      v86Instructions,
      ours: oursMips,
      v86: v86Mips,
      ratio: round(oursMips.mips / v86Mips.mips, 2),
    };
  });
}

/** Prints the table of kernels with its geometric mean. */
export function printKernels(rows: readonly KernelRow[]): void {
  const means = [
    geometricMean(rows.map(({ ours }) => ours.mips)),
    geometricMean(rows.map(({ v86 }) => v86.mips)),
  ] as const;
  const lines = rows.map(
    ({ kernel, ours, v86, ratio }) => [kernel, ours.mips, v86.mips, ratio] as const,
  );
  console.log("\nGuest MIPS at ring 3 with paging on, medians; checksums are equal");
  console.log(`${"kernel".padEnd(10)}${columns("wasmvisor", "v86 no JIT", "ratio")}`);
  for (const [kernel, ours, v86, ratio] of [
    ...lines,
    ["mean", ...means, means[0] / means[1]] as const,
  ]) {
    console.log(
      `${kernel.padEnd(10)}${columns(ours.toFixed(0), v86.toFixed(0), `${ratio.toFixed(1)} x`)}`,
    );
  }
}

/** Prints the boot times of the embedded guest. */
export function printBoot(boots: readonly Boot[]): void {
  const middle = (pick: (boot: Boot) => number) => `${median(boots.map(pick)).toFixed(1)} ms`;
  const row = (what: string, ...cells: string[]) =>
    console.log(`${what.padEnd(50)}${columns(...cells)}`);
  const { instructions } = boots[0]!.next;
  console.log(`\nEmbedded guest, start to prompt (${instructions} guest instructions), medians`);
  row("", "wall", "its thread", "all threads");
  row(
    "wasmvisor demo, from the start of the process",
    middle((boot) => boot.launcherMs),
  );
  row(
    "  of which Node alone (node -e 0)",
    middle((boot) => boot.nodeMs),
  );
  for (const which of ["first", "next"] as const) {
    row(
      `createGuest to prompt, ${which} guest of a process`,
      middle((boot) => boot[which].wallMs),
      middle((boot) => boot[which].cpuMs),
      middle((boot) => boot[which].allThreadsMs),
    );
  }
}

function columns(...cells: string[]): string {
  return cells.map((cell) => cell.padStart(12)).join("");
}

function round(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}

/** @returns the median of a list that is not empty. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** @returns the geometric mean of positive values. */
export function geometricMean(values: readonly number[]): number {
  return Math.exp(values.reduce((sum, value) => sum + Math.log(value), 0) / values.length);
}
