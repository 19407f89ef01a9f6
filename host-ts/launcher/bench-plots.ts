/** The plots of the report, as SVG text; colours are the page's CSS variables. */
import { PHASES, type Phase, UNATTRIBUTED } from "./bench-phases.ts";
import type { Measurement } from "./bench-run.ts";

/** What a bar is made of, in its order; `--p0` and so on are their colours. */
export const PARTS: readonly Phase["name"][] = [...PHASES, UNATTRIBUTED];
/** Opacity of what is uncertain. */
const PALE = 0.45;

const WIDTH = 900;
const LABEL = 130;
const VALUE = 150;
const PLOT = WIDTH - LABEL - VALUE;

/** Colours of the systems, in the order in which they are shown. */
export const SYSTEM_COLOURS: Readonly<Record<string, string>> = {
  switcher: "own",
  host: "host",
  "xen-pv": "xen",
  "xen-pv host": "xen-host",
};
function colourOf({ path }: Measurement): string {
  return SYSTEM_COLOURS[path] ?? "own";
}

/** Every scenario on one logarithmic axis, a point for each system, with the ratios to the switcher path at the end of each line. */
export function systemsCompared(rows: readonly Measurement[], names: readonly string[]): string {
  const top = 40;
  const step = 30;
  const height = top + names.length * step + 8;
  const values = rows
    .flatMap(({ ns, ciLow, ciHigh }) => [ns, ciLow, ciHigh])
    .filter((ns) => ns > 0);
  const ticks = ticksAround(Math.min(...values), Math.max(...values));
  const [low, high] = [ticks[0]!, ticks.at(-1)!];
  const x = (ns: number): number =>
    LABEL + (PLOT * (Math.log10(Math.max(ns, low)) - Math.log10(low))) / Math.log10(high / low);
  const parts: string[] = [];
  for (const tick of ticks) {
    const at = x(tick).toFixed(1);
    parts.push(`<line class="grid" x1="${at}" y1="${top - 4}" x2="${at}" y2="${height - 6}"/>`);
    parts.push(`<text class="s m" x="${at}" y="${top - 10}">${duration(tick)}</text>`);
  }
  const others = Object.keys(SYSTEM_COLOURS).filter(
    (path) => path !== "switcher" && rows.some((row) => row.path === path),
  );
  const column = (index: number): number => WIDTH - VALUE + 42 + index * 50;
  for (const [index, path] of others.entries()) {
    for (const [line, word] of path.split(" ").entries()) {
      const y = top - 26 + 13 * line;
      parts.push(`<text class="s e" x="${column(index)}" y="${y}">${word}</text>`);
    }
  }
  for (const [index, name] of names.entries()) {
    const y = top + index * step + step / 2;
    const own = rows.find((row) => row.name === name && row.path === "switcher");
    const points = rows.filter((row) => row.name === name).sort((a, b) => a.ns - b.ns);
    parts.push(`<text class="e" x="${LABEL - 12}" y="${y + 4}">${name}</text>`);
    if (points.length > 1) {
      const [from, to] = [x(points[0]!.ns), x(points.at(-1)!.ns)];
      parts.push(
        `<rect x="${from.toFixed(1)}" y="${y - 2.5}" width="${(to - from).toFixed(1)}" height="5" rx="2.5" fill="var(--line)"/>`,
      );
    }
    for (const [at, path] of others.entries()) {
      const other = points.find((row) => row.path === path);
      if (own === undefined || other === undefined || own.isCoarse || other.isCoarse) continue;
      parts.push(
        `<text class="e" x="${column(at)}" y="${y + 4}" style="fill:var(--${colourOf(other)})">${(other.ns / own.ns).toFixed(1)} ×</text>`,
      );
    }
    for (const [row, level] of spread(points, x)) {
      const title = `${name}, ${row.path}: ${duration(row.ns)}`;
      const colour = colourOf(row);
      const at = y + level * LEVEL;
      parts.push(
        `<line x1="${x(row.ciLow).toFixed(1)}" x2="${x(row.ciHigh).toFixed(1)}" y1="${at}" y2="${at}" stroke="var(--${colour})" stroke-width="2"/>`,
        `<circle cx="${x(row.ns).toFixed(1)}" cy="${at}" r="${level === 0 ? 5.5 : 4.5}" fill="var(--${colour})"><title>${title}</title></circle>`,
      );
    }
  }
  return svg(height, "Time per iteration on every system", parts);
}

/** Distance of points that stand one above the other. */
const LEVEL = 5;
/** Points nearer than this hide each other. */
const NEAR = 11;

/** Points in ascending order; those that would hide each other stand one above the other, around the line. */
function spread(
  points: readonly Measurement[],
  x: (ns: number) => number,
): (readonly [Measurement, number])[] {
  const groups: Measurement[][] = [];
  for (const point of points) {
    const group = groups.at(-1);
    if (group !== undefined && x(point.ns) - x(group.at(-1)!.ns) < NEAR) group.push(point);
    else groups.push([point]);
  }
  return groups.flatMap((group) =>
    group.map((row, index) => [row, 2 * index - (group.length - 1)] as const),
  );
}

/** @returns 1, 2 and 5 times powers of ten, from the last at or below `low` to the first at or above `high`, two at least. */
function ticksAround(low: number, high: number): number[] {
  const start = 10 ** Math.floor(Math.log10(low));
  const all = Array.from({ length: 14 }, (_, decade) =>
    [1, 2, 5].map((step) => step * start * 10 ** decade),
  ).flat();
  const first = all.findLastIndex((tick) => tick <= low);
  const last = all.findIndex((tick) => tick >= high);
  return all.slice(Math.max(0, first), Math.max(last, first + 1) + 1);
}

/** One scenario's bars, one for each system, stacked by phase on a common scale; a line marks the measured time that phases go beyond. */
export function phaseBars(rows: readonly Measurement[]): string {
  const step = 30;
  const most = Math.max(...rows.flatMap((row) => [row.ns, phaseSum(row)]));
  const parts = rows.flatMap((row, index) => {
    const y = index * step + 3;
    const bars: string[] = [];
    let at = LABEL;
    for (const phase of row.phases.length > 0 ? row.phases : [whole(row)]) {
      const width = (PLOT * phase.ns) / most;
      if (width <= 0) continue;
      const colour = row.phases.length > 0 ? `p${PARTS.indexOf(phase.name)}` : "own";
      bars.push(
        `<rect x="${at.toFixed(1)}" y="${y}" width="${Math.max(0, width - 0.75).toFixed(2)}" height="${step - 8}" fill="var(--${colour})"${phase.isUncertain ? ` opacity="${PALE}"` : ""}><title>${phaseTitle(phase)}</title></rect>`,
      );
      if (width > 38) {
        bars.push(
          `<text class="in${phase.isUncertain ? " pale" : ""}" x="${(at + width / 2).toFixed(1)}" y="${y + 15}">${phase.ns.toFixed(0)}</text>`,
        );
      }
      at += width;
    }
    const measured = LABEL + (PLOT * row.ns) / most;
    if (at > measured + 2) {
      bars.push(
        `<line x1="${measured.toFixed(1)}" x2="${measured.toFixed(1)}" y1="${y - 2}" y2="${y + step - 6}" stroke="var(--ink)" stroke-width="2"><title>measured: ${duration(row.ns)}</title></line>`,
      );
    }
    return [
      `<text class="e s" x="${LABEL - 12}" y="${y + 15}">${row.path}</text>`,
      ...bars,
      `<text x="${Math.min(at + 8, WIDTH - VALUE + 8).toFixed(1)}" y="${y + 15}">${duration(row.ns)}</text>`,
    ];
  });
  return svg(rows.length * step, `Phases of ${rows[0]?.name ?? ""}`, parts);
}

function phaseSum({ phases }: Measurement): number {
  return phases.reduce((sum, { name, ns }) => sum + (name === UNATTRIBUTED ? 0 : ns), 0);
}

/** A row without phases, as one. */
function whole({ ns, instructions }: Measurement): Phase {
  return { name: UNATTRIBUTED, ns, instructions, count: 1, errorNs: 0, isUncertain: false };
}

function phaseTitle({ name, ns, errorNs, instructions, count }: Phase): string {
  const time = `${name}: ${duration(ns)} ± ${duration(errorNs)}`;
  if (name === UNATTRIBUTED) return time;
  return `${time}, ${instructions.toFixed(1)} instructions, ${count.toFixed(2)} times`;
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
    const colour = colourOf(row);
    const [from, to] = [x(percent(row.ciLow)), x(percent(row.ciHigh))];
    parts.push(
      `<text class="e s" x="${LABEL + 28}" y="${y + 4}">${row.name}, ${row.path}</text>`,
      `<rect x="${from.toFixed(1)}" y="${y - 6}" width="${Math.max(1, to - from).toFixed(1)}" height="12" rx="3" fill="var(--${colour})" opacity=".18"/>`,
      ...row.samples.map((ns) =>
        Math.abs(percent(ns)) > limit
          ? outside(x(percent(ns)), y, Math.sign(percent(ns)), colour, percent(ns))
          : `<circle cx="${x(percent(ns)).toFixed(1)}" cy="${y}" r="2.6" fill="var(--${colour})" opacity=".65"/>`,
      ),
    );
  }
  return svg(height, "Repeats of every measurement", parts);
}

/** An arrow for a repeat that lies beyond the edge. */
function outside(at: number, y: number, side: number, colour: string, percent: number): string {
  const path = `M${(at + side * 9).toFixed(1)} ${y}l${-side * 7} -4v8z`;
  return `<path d="${path}" fill="var(--${colour})" opacity=".65"><title>${percent.toFixed(0)} %</title></path>`;
}

function svg(height: number, title: string, parts: readonly string[]): string {
  return `<div class="scroll"><svg viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="${title}">${parts.join("")}</svg></div>`;
}

/** @returns nanoseconds in the unit that suits them. */
export function duration(ns: number): string {
  if (ns < 1000) return `${ns.toFixed(0)} ns`;
  if (ns < 1e6) return `${(ns / 1e3).toFixed(ns < 1e4 ? 2 : 1)} µs`;
  return `${(ns / 1e6).toFixed(2)} ms`;
}
