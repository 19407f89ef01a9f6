/** `wasmvisor trace --policy`: the table of policies as text. */

import { LGUEST_TRAP_ENTRY, LHCALL_COUNT } from "../../abi/lguest.ts";
import { FAULT_PATHS, type Policy, type Side, type TrapPolicy } from "../base/fault-path.ts";
import { CALLS, OTHERS, TRAPS, UNUSED_CALLS } from "../lguest/trap-policy.ts";
import * as xen from "../xen/trap-policy.ts";

/** Interfaces whose traps have policies. */
export const TRACED_ABIS = ["lguest", "xen-pv"] as const;
export type TracedAbi = (typeof TRACED_ABIS)[number];

const SIDES: Readonly<Record<Side, string>> = { Wasm: "Wasm", Host: "Host", gate: "by gate" };
const COLUMNS = [30, 12, 11, 10] as const;
const LEGEND = [
  "Wasm: completes without a crossing. Host: leaves to TypeScript, and the guest goes on after.",
];

/** Renders the table of an interface, without a final newline. */
export function renderPolicy(abi: TracedAbi): string {
  return (abi === "lguest" ? lguestPolicy() : xenPolicy()).join("\n");
}

function lguestPolicy(): string[] {
  const traps = [...TRAPS]
    .filter(({ first }) => first !== LGUEST_TRAP_ENTRY)
    .sort((a, b) => a.first - b.first || b.last - a.last);
  return [
    "What an lguest guest's traps and calls come to on the two fault paths (--fault-path).",
    ...LEGEND,
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
  ];
}

function xenPolicy(): string[] {
  return [
    "What a Xen guest's traps and hypercalls come to on the two fault paths (--fault-path).",
    ...LEGEND,
    "",
    line("trap", "vector", ...FAULT_PATHS, "why"),
    ...collapse(xen.TRAPS).map((row) => policyLine(row, vectors(row))),
    "",
    line("hypercall", "number", ...FAULT_PATHS, "arguments"),
    ...xen.CALLS.map((row) => policyLine(row, String(row.number))),
    line("unused numbers", "", "Host", "Host", "-ENOSYS"),
    "",
    line("else", "", ...FAULT_PATHS, "why"),
    ...xen.OTHERS.map((row) => policyLine(row, "")),
  ];
}

/** The numbers that CALLS does not have, up to the first past its last. */
function unusedCalls(): string {
  const gaps = Array.from({ length: LHCALL_COUNT }, (_, number) => number).filter(
    (number) => CALLS[number] === undefined,
  );
  return [...gaps, `${LHCALL_COUNT}-`].join(",");
}

/** Neighbours that say the same become one row. */
function collapse(rows: readonly TrapPolicy[]): TrapPolicy[] {
  const merged: TrapPolicy[] = [];
  for (const row of rows) {
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
