/** Tables for the terminal. */
import type { Measurement } from "./bench-run.ts";

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

/** The table of `wasmvisor bench faults`, with the paths' ratios below it. */
export function renderMeasurements(rows: readonly Measurement[]): string {
  const table = padTable(
    ["scenario", "path", "instructions", "crossings", "ns", "95 % interval"],
    rows.map((row) => [
      row.name,
      row.path,
      row.instructions.toFixed(1),
      row.crossings.toFixed(2),
      row.ns.toFixed(0),
      `${row.ciLow.toFixed(0)}-${row.ciHigh.toFixed(0)}`,
    ]),
    2,
  );
  const ratios = pathRatios(rows);
  if (ratios.length === 0) return table;
  return `${table}\n\n${padTable(
    ["scenario", "host / switcher", "saved crossings", "what one iteration is"],
    ratios.map(({ name, ratio, crossings, what }) => [
      name,
      `${ratio.toFixed(2)} x`,
      crossings.toFixed(2),
      what,
    ]),
    1,
  )}`;
}

/** How the two fault paths compare, for the scenarios measured on both. */
export function pathRatios(
  rows: readonly Measurement[],
): { name: string; what: string; ratio: number; crossings: number }[] {
  return rows.flatMap((host) => {
    const own = rows.find(({ name, path }) => name === host.name && path === "switcher");
    if (host.path !== "host" || own === undefined) return [];
    const { name, what } = host;
    return { name, what, ratio: host.ns / own.ns, crossings: host.crossings - own.crossings };
  });
}
