/** Phases as a profile, so that the tools for profiles show them: path, scenario, phase, each as deep as it is nested. */
import type { ProfileNames } from "../debug/profile-frames.ts";
import { SymbolTable } from "../debug/symbols.ts";
import type { Profile } from "../index.ts";
import { UNATTRIBUTED } from "./bench-phases.ts";
import type { Measurement } from "./bench-run.ts";

/** Distance of the made-up addresses that stand for names: a caller is looked up just before its own. Phases are named as such, for a scenario may be called the same. */
const SPACING = 16;

/** The frame of a row's system: fault paths are called so, for a phase may be called the same. */
function frameOf({ path }: Measurement): string {
  return path.startsWith("xen") ? path : `${path} path`;
}

/** @returns a profile of one iteration of every scenario, its weights whole nanoseconds, and the names of its frames. */
export function phaseProfile(rows: readonly Measurement[]): {
  readonly profile: Profile;
  readonly names: ProfileNames;
} {
  const known: string[] = [];
  const addressOf = (name: string): number => {
    if (!known.includes(name)) known.push(name);
    return SPACING * (known.indexOf(name) + 1);
  };
  const samples = rows.flatMap((row) =>
    row.phases
      .filter(({ name, ns }) => name !== UNATTRIBUTED && ns >= 0.5)
      .map((phase) => ({
        frames: [
          addressOf(`phase: ${phase.name}`),
          addressOf(row.name) + 1,
          addressOf(frameOf(row)) + 1,
        ],
        cpl: 0,
        directory: 0,
        count: Math.round(phase.ns),
      })),
  );
  const symbols = known.map((name, index) => ({
    name,
    address: SPACING * (index + 1),
    size: SPACING,
  }));
  return {
    profile: { everyInstructions: 1, samples, order: new Uint32Array() },
    names: { kernel: new SymbolTable(symbols) },
  };
}
