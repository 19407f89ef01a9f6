/** Tables for the terminal. */
import { areHint, PHASES, type Phase, UNATTRIBUTED } from "./bench-phases.ts";
import type { Measurement } from "./bench-run.ts";

/** What a time marked by timeText means. */
export const COARSE_LEGEND =
  "<: these loops take too little time to be told from the marks around them; use more --iterations";
/** Coverage from which on an interval is called one of 95 %: with five repeats it is 94 %. */
const COVERAGE = 0.93;

/**
 * Lays out rows under their headings.
 * @param left how many columns, from the first, are text and aligned to the left; the others are numbers
 */
export function padTable(
  headings: readonly string[],
  rows: readonly (readonly string[])[],
  left: number,
): string {
  const widths = headings.map((heading, column) =>
    Math.max(heading.length, ...rows.map((row) => row[column]!.length)),
  );
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, column) =>
        column < left ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!),
      )
      .join("  ")
      .trimEnd();
  return [line(headings), ...rows.map(line)].join("\n");
}

/** The tables of `wasmvisor bench faults`: the measurements, their phases, and the paths' ratios. */
export function renderMeasurements(rows: readonly Measurement[]): string {
  const parts = [
    padTable(
      ["scenario", "path", "instructions", "crossings", "ns", "95 % interval"],
      rows.map((row) => [
        row.name,
        row.path,
        row.instructions.toFixed(1),
        row.crossings.toFixed(2),
        timeText(row),
        intervalText(row),
      ]),
      2,
    ),
  ];
  if (rows.some(({ isCoarse }) => isCoarse)) parts.push(COARSE_LEGEND);
  const phased = rows.filter(({ phases }) => phases.length > 0);
  if (phased.length > 0) parts.push(renderPhases(phased));
  const ratios = pathRatios(rows);
  if (ratios.length > 0) {
    parts.push(
      padTable(
        ["scenario", "host / switcher", "saved crossings", "what one iteration is"],
        ratios.map(({ name, ratio, crossings, what }) => [
          name,
          ratio === undefined ? "-" : `${ratio.toFixed(2)} x`,
          crossings.toFixed(2),
          what,
        ]),
        1,
      ),
    );
  }
  return parts.join("\n\n");
}

/** Nanoseconds by phase, `-` for one that does not happen. */
function renderPhases(rows: readonly Measurement[]): string {
  const table = padTable(
    ["ns by phase", "path", ...PHASES.map((name) => name.split(" ").at(-1)!), "rest"],
    rows.map((row) => [
      row.name,
      row.path,
      ...PHASES.map((name) => phaseText(row.phases.find((phase) => phase.name === name))),
      phaseText(row.phases.find(({ name }) => name === UNATTRIBUTED)),
    ]),
    2,
  );
  const hints = rows.filter(({ phases }) => areHint(phases)).length;
  const legend =
    "~: uncertain, because reading the clock takes as long as the phase; rest: what the phases do not explain";
  return hints === 0
    ? `${table}\n${legend}`
    : `${table}\n${legend}\n${hints} of ${rows.length} rows leave more than a fifth unexplained (rest with ~): take their phases for a hint`;
}

function phaseText(phase: Phase | undefined): string {
  if (phase === undefined) return "-";
  if (phase.name !== UNATTRIBUTED && phase.ns < phase.errorNs)
    return `<${phase.errorNs.toFixed(0)}`;
  return `${phase.isUncertain ? "~" : ""}${phase.ns.toFixed(0)}`;
}

/** A row's time, marked where it is but an upper bound. */
export function timeText({ ns, isCoarse }: Measurement): string {
  return `${isCoarse ? "<" : ""}${ns.toFixed(0)}`;
}

/** A row's interval where it is one: too few repeats have none. */
export function intervalText({ ciLow, ciHigh, coverage, isCoarse }: Measurement): string {
  return coverage < COVERAGE || isCoarse ? "-" : `${ciLow.toFixed(0)}-${ciHigh.toFixed(0)}`;
}

/** How the two fault paths compare, for the scenarios measured on both; no ratio of times that are upper bounds. */
export function pathRatios(
  rows: readonly Measurement[],
): { name: string; what: string; ratio: number | undefined; crossings: number }[] {
  return rows.flatMap((host) => {
    const own = rows.find(({ name, path }) => name === host.name && path === "switcher");
    if (host.path !== "host" || own === undefined) return [];
    const { name, what } = host;
    const ratio = host.isCoarse || own.isCoarse ? undefined : host.ns / own.ns;
    return { name, what, ratio, crossings: host.crossings - own.crossings };
  });
}
