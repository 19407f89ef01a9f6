/** The report of `wasmvisor bench faults --html`: one self-contained page, its plots inline SVG, readable without scripts. */

import { distribution, PARTS, phaseBars, SYSTEM_COLOURS, systemsCompared } from "./bench-plots.ts";
import type { BenchResult } from "./bench-result.ts";
import type { Measurement } from "./bench-run.ts";
import { FAULT_SYSTEMS } from "./bench-systems.ts";
import { intervalText, type PathRatio, pathRatios, timeText } from "./bench-table.ts";

/** Renders the whole page. */
export function renderHtml(result: BenchResult): string {
  const { machine, versions, scenarios, date, method, systemsMethod, phaseMethod } = result;
  const names = [...new Set(scenarios.map(({ name }) => name))];
  const ratios = pathRatios(scenarios);
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>wasmvisor: round trips</title>
<style>${STYLE}</style>
</head>
<body>
<main>
<header>
<h1>What a round trip costs</h1>
<p class="lead">${escapeHtml(summary(result))}</p>
<p class="meta">${escapeHtml(
    [
      machine.cpu,
      `${machine.cpus} CPUs`,
      `load ${machine.load}`,
      `Node ${versions.node}`,
      `wasmvisor ${versions.wasmvisor}`,
      date.slice(0, 16).replace("T", " "),
    ].join(" · "),
  )}</p>
</header>
${
  ratios.length === 0
    ? ""
    : `<section>
<h2>System against system</h2>
<p>Time of one iteration on a logarithmic scale, and at the end of each line how many times as long as with lguest's switcher path; the
thin lines are 95 % confidence intervals.</p>
<p class="legend">${FAULT_SYSTEMS.filter(({ name }) => scenarios.some(({ path }) => path === name))
        .map(
          ({ name, what }) =>
            `<span><i style="background:var(--${SYSTEM_COLOURS[name]})"></i><b>${name}</b>${escapeHtml(what)}</span>`,
        )
        .join("")}</p>
${systemsCompared(scenarios, names)}
</section>`
}
<section>
<h2>Where the time goes</h2>
<p>Each bar is one iteration. Bars of one scenario share a scale, so that systems compare; scenarios do not. Pale parts are uncertain:
reading the clock takes about as long as they do. A line across a bar is the measured time, where the phases add up to more.</p>
<p class="legend">${PARTS.map(
    (name, index) => `<span><i style="background:var(--p${index})"></i>${escapeHtml(name)}</span>`,
  ).join("")}</p>
${names.map((name) => phaseFigure(scenarios.filter((row) => row.name === name))).join("\n")}
</section>
<section>
<h2>Distribution of the repeats</h2>
<p>Every measurement is a dot, as a deviation from the median of its scenario and system; the band is the confidence interval, an arrow
stands for a repeat that lies beyond the edge.</p>
${distribution(scenarios)}
</section>
<section>
<h2>Numbers</h2>
<div class="scroll">${numbers(scenarios)}</div>
</section>
<section>
<h2>Method</h2>
<p>${escapeHtml(method)}</p>
<p>${escapeHtml(systemsMethod)}</p>
<p>${escapeHtml(phaseMethod)}</p>
</section>
</main>
</body>
</html>
`;
}

function summary({ scenarios }: BenchResult): string {
  const ratios = pathRatios(scenarios);
  const own = scenarios.find(({ name, path }) => name === "pingpong" && path === "switcher");
  const intro =
    own === undefined
      ? "Guest page faults, system calls, traps and address-space switches."
      : `A page fault that the guest handles takes ${own.ns.toFixed(0)} ns and ${own.crossings.toFixed(0)} crossings out of Wasm ` +
        `when the walker in the Switcher reflects it.`;
  return [intro, hostSummary(ratios), xenSummary(ratios)].join("");
}

/** The least and the greatest of numbers that are there, as text; undefined when there are none. */
function rangeText(values: readonly (number | undefined)[]): string | undefined {
  const sorted = values.filter((value) => value !== undefined).sort((a, b) => a - b);
  if (sorted.length === 0) return undefined;
  const [low, high] = [sorted[0]!.toFixed(1), sorted.at(-1)!.toFixed(1)];
  return low === high ? low : `${low} to ${high}`;
}

function hostSummary(ratios: readonly PathRatio[]): string {
  const crosses = ({ crossings }: PathRatio) => crossings !== undefined && crossings >= 0.5;
  const range = rangeText(ratios.filter(crosses).map(({ host }) => host));
  if (range === undefined) return "";
  const alike = ratios.filter(({ crossings = 1 }) => crossings < 0.5).map(({ name }) => name);
  const exception =
    alike.length === 0
      ? ""
      : ` What crosses on neither path is the same on both: ${alike.join(", ")}.`;
  return ` The classic path, out to the Host and back for each step, takes ${range} times as long.${exception}`;
}

function xenSummary(ratios: readonly PathRatio[]): string {
  const range = rangeText(ratios.map(({ xen }) => xen));
  const hostRange = rangeText(ratios.map(({ xenHost }) => xenHost));
  return range === undefined
    ? ""
    : ` Under Xen PV, where a page table is the processor's own and every change of it is checked, the same takes ${range} times as long` +
        `${hostRange === undefined ? "" : `, and ${hostRange} times on its classic path`}.`;
}

function phaseFigure(rows: readonly Measurement[]): string {
  const { name, what } = rows[0]!;
  return `<figure><figcaption><b>${escapeHtml(name)}</b> ${escapeHtml(what)}</figcaption>${phaseBars(rows)}</figure>`;
}

function numbers(rows: readonly Measurement[]): string {
  const head = [
    "scenario",
    "system",
    "instructions",
    "crossings",
    "ns",
    "95 % interval",
    "repeats",
  ];
  const cells = (row: Measurement): string[] => [
    row.name,
    row.path,
    row.instructions.toFixed(1),
    row.crossings.toFixed(2),
    timeText(row),
    intervalText(row)
      .replace("-", " to ")
      .replace(/^ to $/, "-"),
    String(row.samples.length),
  ];
  const body = rows.map((row) => {
    const tds = cells(row).map(
      (cell, at) => `<td${at < 2 ? "" : ' class="n"'}>${escapeHtml(cell)}</td>`,
    );
    return `<tr>${tds.join("")}</tr>`;
  });
  const ths = head.map((cell, at) => `<th${at < 2 ? "" : ' class="n"'}>${escapeHtml(cell)}</th>`);
  return `<table><thead><tr>${ths.join("")}</tr></thead><tbody>${body.join("\n")}</tbody></table>`;
}

/** Makes text safe between tags and in quoted attributes. */
export function escapeHtml(text: string): string {
  const names: Record<string, string> = { "&": "amp", "<": "lt", ">": "gt", '"': "quot" };
  return text.replace(/[&<>"]/g, (character) => `&${names[character]};`);
}

const STYLE = `
:root{color-scheme:light dark;--bg:#fbfaf7;--card:#fff;--ink:#1d2127;--soft:#5b6470;--line:#dfe2e6;--grid:#e9ebee;
--own:#0b6e6e;--host:#b4532a;--xen:#5b57b8;--xen-host:#b0477f;
--p0:#7ba3dd;--p1:#e0806c;--p2:#e2a23b;--p3:#5aa469;--p4:#8c6bb1;--p5:#4aa9b5;--p6:#c48ba3;--p7:#d5d8dc}
@media(prefers-color-scheme:dark){:root{--bg:#14171b;--card:#1c2026;--ink:#e8eaed;--soft:#9aa3af;--line:#313740;--grid:#282d35;
--own:#4fc3b8;--host:#e8935f;--xen:#a5a1f5;--xen-host:#ea8fc0;
--p0:#7aa6e6;--p1:#e0705b;--p2:#edb85c;--p3:#76c088;--p4:#ab8bd0;--p5:#66c3ce;--p6:#cf9ab1;--p7:#7d8590}}
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--ink);font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
main{max-width:60rem;margin:0 auto;padding:2.5rem 1.25rem 4rem}
h1{font-size:2rem;line-height:1.2;margin:0 0 .5rem;letter-spacing:-.01em}
h2{font-size:1.2rem;margin:0 0 .25rem}
.lead{font-size:1.15rem;margin:0 0 .5rem}
.meta,figcaption,section>p{color:var(--soft);font-size:.9rem;margin:.25rem 0 .75rem}
figcaption{margin:0 0 .15rem}figcaption b{color:var(--ink);margin-right:.4em}
section{background:var(--card);border:1px solid var(--line);border-radius:12px;padding:1.25rem 1.25rem 1rem;margin-top:1.25rem}
figure{margin:.9rem 0 0}
svg{display:block;width:100%;min-width:640px;height:auto}
svg text{font:12px system-ui,-apple-system,"Segoe UI",Roboto,sans-serif;fill:var(--ink)}
svg text.s{fill:var(--soft);font-size:11px}svg text.e{text-anchor:end}svg text.m{text-anchor:middle}
svg .in{fill:#11151a;font-size:11px;text-anchor:middle}svg .in.pale{fill:var(--ink)}
svg .grid{stroke:var(--grid)}
.legend{display:flex;flex-wrap:wrap;gap:.35rem 1rem}.legend span{display:inline-flex;align-items:center;gap:.4rem;color:var(--ink)}
.legend i{width:.8rem;height:.8rem;border-radius:3px}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:.9rem;font-variant-numeric:tabular-nums}
th,td{text-align:left;padding:.3rem .6rem;border-bottom:1px solid var(--line);white-space:nowrap}th{color:var(--soft);font-weight:600}
.n{text-align:right}
`;
