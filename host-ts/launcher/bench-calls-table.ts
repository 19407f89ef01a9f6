/** Tables of `wasmvisor bench hypercalls` for the terminal. */
import { CALLS, judgeTargets, YARDSTICK } from "./bench-calls.ts";
import type { Measurement } from "./bench-run.ts";
import { COARSE_LEGEND, intervalText, padTable, timeText } from "./bench-table.ts";

/** Every call's time and rate, beside the system call of the same guest; then the targets. */
export function renderCalls(rows: readonly Measurement[]): string {
  const table = padTable(
    [
      "call",
      "on",
      "instructions",
      "crossings",
      "ns",
      "95 % interval",
      "operations/s",
      "/ system call",
    ],
    rows.map((row) => [
      row.name,
      row.path,
      row.instructions.toFixed(1),
      row.crossings.toFixed(2),
      timeText(row),
      intervalText(row),
      rateText(row),
      ratioText(row, rows),
    ]),
    2,
  );
  const parts = [table];
  if (rows.some(({ isCoarse }) => isCoarse)) parts.push(COARSE_LEGEND);
  const targets = judgeTargets(rows);
  if (targets.length > 0) {
    parts.push(
      padTable(
        ["target", "on", "ratio", "at most", ""],
        targets.map(({ what, path, ratio, limit }) => [
          what,
          path,
          ratio.toFixed(2),
          limit.toFixed(2),
          ratio <= limit ? "met" : "not met",
        ]),
        2,
      ),
    );
  }
  return parts.join("\n\n");
}

/** Operations per second: a list counts its entries. */
function rateText(row: Measurement): string {
  if (row.isCoarse) return "-";
  const operations = CALLS.find(({ name }) => name === row.name)?.operations ?? 1;
  const millions = (operations * 1000) / row.ns;
  return `${millions.toFixed(millions < 1 ? 3 : 2)} M`;
}

function ratioText(row: Measurement, rows: readonly Measurement[]): string {
  const yard = rows.find(({ name, path }) => name === YARDSTICK && path === row.path);
  if (yard === undefined || yard.isCoarse || row.isCoarse) return "-";
  return (row.ns / yard.ns).toFixed(2);
}
