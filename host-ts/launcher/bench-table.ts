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

/** The tables of `wasmvisor bench faults`: the measurements, their phases, and the systems' ratios. */
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
  if (ratios.length > 0) parts.push(renderRatios(ratios));
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

/** One scenario on the other systems, beside lguest with the walker in the Switcher. */
export interface PathRatio {
  readonly name: string;
  readonly what: string;
  /** Times over the switcher path's; undefined where one of the two is an upper bound, or was not measured. */
  readonly host: number | undefined;
  readonly xen: number | undefined;
  readonly xenHost: number | undefined;
  /** Crossings that lguest's switcher path saves over its host path. */
  readonly crossings: number | undefined;
}

/** How the systems compare, for the scenarios that were measured on the switcher path and another one. */
export function pathRatios(rows: readonly Measurement[]): PathRatio[] {
  return rows.flatMap((own) => {
    if (own.path !== "switcher") return [];
    const on = (path: string) => rows.find((row) => row.name === own.name && row.path === path);
    const [host, xen, xenHost] = ["host", "xen-pv", "xen-pv host"].map(on);
    if (host === undefined && xen === undefined) return [];
    const ratio = (row: Measurement | undefined) =>
      row === undefined || row.isCoarse || own.isCoarse ? undefined : row.ns / own.ns;
    const { name, what } = own;
    const crossings = host && host.crossings - own.crossings;
    return { name, what, host: ratio(host), xen: ratio(xen), xenHost: ratio(xenHost), crossings };
  });
}

function renderRatios(ratios: readonly PathRatio[]): string {
  const times = (ratio: number | undefined) =>
    ratio === undefined ? "-" : `${ratio.toFixed(2)} x`;
  return padTable(
    [
      "scenario",
      "what one iteration is",
      "host / switcher",
      "xen-pv / switcher",
      "xen-pv host / switcher",
    ],
    ratios.map(({ name, what, host, xen, xenHost }) => [
      name,
      what,
      times(host),
      times(xen),
      times(xenHost),
    ]),
    2,
  );
}
