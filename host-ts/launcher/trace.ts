/** `wasmvisor trace --policy`: the table of policies as text. */

import { LGUEST_TRAP_ENTRY, LHCALL_COUNT } from "../../abi/lguest.ts";
import {
  CALLS,
  FAULT_PATHS,
  OTHERS,
  type Policy,
  type Side,
  TRAPS,
  type TrapPolicy,
  UNUSED_CALLS,
} from "../lguest/trap-policy.ts";

const SIDES: Readonly<Record<Side, string>> = { Wasm: "Wasm", Host: "Host", gate: "by gate" };
const COLUMNS = [26, 12, 11, 10] as const;

/** Renders the table, without a final newline. */
export function renderPolicy(): string {
  const traps = [...TRAPS].sort((a, b) => a.first - b.first || b.last - a.last);
  return [
    "What an lguest guest's traps and calls come to on the two fault paths (--fault-path).",
    "Wasm: completes without a crossing. Host: leaves to TypeScript, and the guest goes on after.",
    "by gate: Wasm through a trap gate, which a processor enters by itself; Host through any other.",
    "",
    line("trap", "vector", ...FAULT_PATHS, "why"),
    ...collapse(traps).map((row) => policyLine(row, vectors(row))),
    "",
    line("hypercall", "number", ...FAULT_PATHS, "why"),
    ...Object.entries(CALLS).map(([number, row]) => policyLine(row, number)),
    policyLine(UNUSED_CALLS, unusedCalls()),
    "",
    line("else", "", ...FAULT_PATHS, "why"),
    ...OTHERS.map((row) => policyLine(row, "")),
  ].join("\n");
}

/** The numbers that CALLS does not have, up to the first past its last. */
function unusedCalls(): string {
  const gaps = Array.from({ length: LHCALL_COUNT }, (_, number) => number).filter(
    (number) => CALLS[number] === undefined,
  );
  return [...gaps, `${LHCALL_COUNT}-`].join(",");
}

/** Neighbours that say the same become one row. The hypercall's own vector is not a trap. */
function collapse(rows: readonly TrapPolicy[]): TrapPolicy[] {
  const merged: TrapPolicy[] = [];
  for (const row of rows.filter(({ first }) => first !== LGUEST_TRAP_ENTRY)) {
    const last = merged.at(-1);
    const isSame = last?.name === row.name && last.host === row.host && last.last + 1 === row.first;
    if (isSame) merged[merged.length - 1] = { ...last, last: row.last };
    else merged.push(row);
  }
  return merged;
}

function vectors({ first, last }: TrapPolicy): string {
  return first === last ? hex(first) : `${hex(first)}-${hex(last)}`;
}

function hex(vector: number): string {
  return `0x${vector.toString(16).padStart(2, "0")}`;
}

function policyLine(row: Policy, number: string): string {
  return line(row.name, number, ...FAULT_PATHS.map((path) => SIDES[row[path]]), row.why);
}

function line(...cells: string[]): string {
  return cells.map((cell, index) => cell.padEnd(COLUMNS[index] ?? 0)).join("");
}
