/** The table that `wasmvisor profile` prints: where the guest spent its instructions. Pure text. */
import type { Profile } from "../guest/profiler.ts";
import { nameFrames, type ProfileMode, type ProfileNames } from "./profile-frames.ts";

const WIDTH = 72;

interface Row {
  readonly name: string;
  readonly mode: ProfileMode;
  /** Samples in the function itself. */
  self: number;
  /** Samples in it or in what it called. */
  total: number;
}

/**
 * Renders the `top` functions by their own samples, without a final newline. Where the profile has stacks, the last column counts
 * what a function called as well.
 */
export function renderProfile(profile: Profile, names: ProfileNames, top: number): string {
  const rows = countFunctions(profile, names);
  const samples = rows.reduce((sum, { self }) => sum + self, 0);
  const hasStacks = profile.samples.some(({ frames }) => frames.length > 1);
  const every = grouped(profile.everyInstructions);
  const lines = [
    "── profile ".padEnd(WIDTH, "─"),
    `  ${grouped(samples)} samples, one every ${every} instructions`,
  ];
  if (samples === 0) return [...lines, "─".repeat(WIDTH)].join("\n");
  const share = (count: number) => `${((100 * count) / samples).toFixed(2)} %`;
  const inKernel = rows
    .filter(({ mode }) => mode === "kernel")
    .reduce((sum, { self }) => sum + self, 0);
  lines.push(`  ${share(inKernel)} kernel, ${share(samples - inKernel)} user`, "");
  const line = (percent: string, count: string, total: string, name: string, mode: string) =>
    `  ${percent.padStart(8)} ${count.padStart(9)}${hasStacks ? total.padStart(10) : ""}  ${mode.padEnd(7)} ${name}`;
  lines.push(line("percent", "samples", "+callees", "symbol", "mode"));
  rows.sort((a, b) => b.self - a.self || b.total - a.total || (a.name < b.name ? -1 : 1));
  for (const { name, mode, self, total } of rows.slice(0, top)) {
    lines.push(line(share(self), grouped(self), share(total), name, mode));
  }
  const rest = rows.slice(top).reduce((sum, { self }) => sum + self, 0);
  if (rest > 0) {
    const others = `${grouped(rows.length - top)} others`;
    lines.push(line(share(rest), grouped(rest), "", others, ""));
  }
  return [...lines, "─".repeat(WIDTH)].join("\n");
}

function countFunctions(profile: Profile, names: ProfileNames): Row[] {
  const rows = new Map<string, Row>();
  const rowOf = (name: string, mode: ProfileMode) => {
    const key = `${mode} ${name}`;
    const row = rows.get(key) ?? { name, mode, self: 0, total: 0 };
    rows.set(key, row);
    return row;
  };
  for (const sample of profile.samples) {
    const frames = nameFrames(sample, names);
    const met = new Set(frames.map(({ name, mode }) => rowOf(name, mode)));
    for (const row of met) row.total += sample.count;
    const [{ name, mode } = { name: "", mode: "kernel" as const }] = frames;
    rowOf(name, mode).self += sample.count;
  }
  return [...rows.values()];
}

function grouped(value: number): string {
  return value.toLocaleString("en-US", { maximumFractionDigits: 0 });
}
