/** The plots of the report, as SVG text; colours are the page's CSS variables. */
import { PHASES } from "./bench-phases.ts";
import type { Measurement } from "./bench-run.ts";

/** CSS variables of the phases, in the order of PHASES. */
export const COLOURS: readonly string[] = PHASES.map((_, index) => `p${index}`);

const WIDTH = 900;
const LABEL = 130;
const VALUE = 90;
const PLOT = WIDTH - LABEL - VALUE;

/** Both paths of every scenario on one logarithmic axis, with the ratio at the end of each line. */
export function pathAgainstPath(rows: readonly Measurement[], names: readonly string[]): string {
  const top = 26;
  const step = 26;
  const height = top + names.length * step + 8;
  const values = rows
    .flatMap(({ ns, ciLow, ciHigh }) => [ns, ciLow, ciHigh])
    .filter((ns) => ns > 0);
  const low = 10 ** Math.floor(Math.log10(Math.min(...values)));
  const high = 10 ** Math.ceil(Math.log10(Math.max(...values)));
  const x = (ns: number): number =>
    LABEL + (PLOT * (Math.log10(Math.max(ns, low)) - Math.log10(low))) / Math.log10(high / low);
  const parts: string[] = [];
  for (let tick = low; tick <= high * 1.001; tick *= 10) {
    const at = x(tick).toFixed(1);
    parts.push(`<line class="grid" x1="${at}" y1="${top - 4}" x2="${at}" y2="${height - 6}"/>`);
    parts.push(`<text class="s m" x="${at}" y="${top - 10}">${duration(tick)}</text>`);
  }
  for (const [index, name] of names.entries()) {
    const y = top + index * step + step / 2;
    const own = rows.find((row) => row.name === name && row.path === "switcher");
    const host = rows.find((row) => row.name === name && row.path === "host");
    parts.push(`<text class="e" x="${LABEL - 12}" y="${y + 4}">${name}</text>`);
    if (own !== undefined && host !== undefined) {
      const [from, to] = [own.ns, host.ns].map(x).sort((a, b) => a - b) as [number, number];
      parts.push(
        `<rect x="${from.toFixed(1)}" y="${y - 3}" width="${(to - from).toFixed(1)}" height="6" rx="3" fill="var(--line)"/>`,
        `<text x="${WIDTH - VALUE + 14}" y="${y + 4}">${(host.ns / own.ns).toFixed(1)} ×</text>`,
      );
    }
    for (const [row, colour] of [
      [own, "own"],
      [host, "host"],
    ] as const) {
      if (row === undefined) continue;
      const title = `${name}, ${row.path}: ${duration(row.ns)}`;
      parts.push(
        `<line x1="${x(row.ciLow).toFixed(1)}" x2="${x(row.ciHigh).toFixed(1)}" y1="${y}" y2="${y}" stroke="var(--${colour})" stroke-width="2"/>`,
        `<circle cx="${x(row.ns).toFixed(1)}" cy="${y}" r="5.5" fill="var(--${colour})"><title>${title}</title></circle>`,
      );
    }
  }
  return svg(height, "Time per iteration on both fault paths", parts);
}

/** One scenario's bars, one for each path, stacked by phase on a common scale. */
export function phaseBars(rows: readonly Measurement[]): string {
  const step = 30;
  const most = Math.max(...rows.map(({ ns }) => ns));
  const parts = rows.flatMap((row, index) => {
    const y = index * step + 3;
    const bars: string[] = [];
    let at = LABEL;
    const phases =
      row.phases.length > 0
        ? row.phases
        : [{ name: "", ns: row.ns, instructions: row.instructions, count: 1 }];
    for (const phase of phases) {
      const width = (PLOT * phase.ns) / most;
      const colour = COLOURS[PHASES.indexOf(phase.name as (typeof PHASES)[number])] ?? "own";
      const title = `${phase.name}: ${duration(phase.ns)}, ${phase.instructions.toFixed(1)} instructions, ${phase.count.toFixed(2)} times`;
      bars.push(
        `<rect x="${at.toFixed(1)}" y="${y}" width="${Math.max(0, width - 0.75).toFixed(2)}" height="${step - 8}" fill="var(--${colour})"><title>${title}</title></rect>`,
      );
      if (width > 38) {
        bars.push(
          `<text class="in" x="${(at + width / 2).toFixed(1)}" y="${y + 15}">${phase.ns.toFixed(0)}</text>`,
        );
      }
      at += width;
    }
    return [
      `<text class="e s" x="${LABEL - 12}" y="${y + 15}">${row.path}</text>`,
      ...bars,
      `<text x="${Math.min(at + 8, WIDTH - VALUE + 8).toFixed(1)}" y="${y + 15}">${duration(row.ns)}</text>`,
    ];
  });
  return svg(rows.length * step, `Phases of ${rows[0]?.name ?? ""}`, parts);
}

/** Every repeat as a deviation from its median, in per cent. */
export function distribution(rows: readonly Measurement[]): string {
  const top = 24;
  const step = 18;
  const height = top + rows.length * step + 8;
  const limit = 25;
  const x = (percent: number): number =>
    LABEL +
    40 +
    ((PLOT + VALUE - 60) * (Math.max(-limit, Math.min(limit, percent)) + limit)) / (2 * limit);
  const parts: string[] = [];
  for (let tick = -limit; tick <= limit; tick += 5) {
    const at = x(tick).toFixed(1);
    parts.push(`<line class="grid" x1="${at}" y1="${top - 4}" x2="${at}" y2="${height - 6}"/>`);
    if (tick % 10 === 0) {
      parts.push(
        `<text class="s m" x="${at}" y="${top - 10}">${tick > 0 ? "+" : ""}${tick} %</text>`,
      );
    }
  }
  for (const [index, row] of rows.entries()) {
    const y = top + index * step + step / 2;
    const percent = (ns: number): number => (ns / row.ns - 1) * 100;
    const colour = row.path === "switcher" ? "own" : "host";
    const [from, to] = [x(percent(row.ciLow)), x(percent(row.ciHigh))];
    parts.push(
      `<text class="e s" x="${LABEL + 28}" y="${y + 4}">${row.name}, ${row.path}</text>`,
      `<rect x="${from.toFixed(1)}" y="${y - 6}" width="${Math.max(1, to - from).toFixed(1)}" height="12" rx="3" fill="var(--${colour})" opacity=".18"/>`,
      ...row.samples.map(
        (ns) =>
          `<circle cx="${x(percent(ns)).toFixed(1)}" cy="${y}" r="2.6" fill="var(--${colour})" opacity=".65"/>`,
      ),
    );
  }
  return svg(height, "Repeats of every measurement", parts);
}

function svg(height: number, title: string, parts: readonly string[]): string {
  return `<svg viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="${title}">${parts.join("")}</svg>`;
}

/** @returns nanoseconds in the unit that suits them. */
export function duration(ns: number): string {
  if (ns < 1000) return `${ns.toFixed(0)} ns`;
  if (ns < 1e6) return `${(ns / 1e3).toFixed(ns < 1e4 ? 2 : 1)} µs`;
  return `${(ns / 1e6).toFixed(2)} ms`;
}
