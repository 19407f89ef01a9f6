/** The table that --stats prints: what the guest did and what it cost. Pure text from the public metrics. */
import { LGUEST_IRQ_BASE, LGUEST_SYSCALL_VECTOR } from "../../abi/lguest.ts";
import { VECTOR_NAMES } from "../base/vector-names.ts";
import type { Counts, GuestStats } from "../guest/stats.ts";

const BAR_CELLS = 24;
const WIDTH = 72;

/** Renders the report, some 20 to 50 lines, without a final newline. */
export function renderStats(stats: GuestStats): string {
  const { instructions, crossings } = stats;
  const inCore = sum(stats.coreCalls);
  const calls = inCore + sum(stats.hostCalls);
  const share = calls > 0 ? Math.floor((100 * inCore) / calls) : 0;
  const perCrossing = crossings > 0 ? instructions / crossings : instructions;
  return [
    heading("run"),
    line("instructions", grouped(instructions), `${stats.mips.toFixed(1)} MIPS`),
    line("time", seconds(stats.hostSeconds), `${seconds(stats.coreSeconds)} of it running`),
    line("guest time", seconds(stats.guestSeconds), "as the guest saw it"),
    line("crossings", grouped(crossings), `one per ${grouped(perCrossing)} instructions`),
    line("hypercalls", grouped(calls), `${share} % of them inside Wasm`),
    line("guest memory", `${grouped(4 * stats.framesHeld)} KiB`, "touched"),
    ...droppedOutput(stats.droppedOutputBytes),
    ...section("crossings from Wasm to the Host, by reason", stats.exits),
    ...section("hypercalls completed inside Wasm", stats.coreCalls),
    ...section("hypercalls performed by the Host", stats.hostCalls),
    ...section("faults and interrupts delivered to the guest", rename(stats.traps, vectorName)),
    ...section("inside the core", stats.core),
    "─".repeat(WIDTH),
  ].join("\n");
}

/** @returns the name a person knows a vector by. */
export function vectorName(vector: number): string {
  if (vector === LGUEST_SYSCALL_VECTOR) return "system call (0x80)";
  if (vector >= LGUEST_IRQ_BASE) return `IRQ ${vector - LGUEST_IRQ_BASE}`;
  return VECTOR_NAMES[vector] ?? `vector ${vector}`;
}

function droppedOutput(bytes: number): string[] {
  return bytes === 0 ? [] : [line("output dropped", `${grouped(bytes)} bytes`, "nobody read it")];
}

function heading(title: string): string {
  return `── ${title} `.padEnd(WIDTH, "─");
}

function section(title: string, counts: Counts): string[] {
  const rows = Object.entries(counts).filter(([, count]) => count > 0);
  if (rows.length === 0) return [];
  rows.sort(([, a], [, b]) => b - a);
  const most = rows[0]?.[1] ?? 1;
  return [
    "",
    heading(title),
    ...rows.map(([name, count]) => line(name, grouped(count), bar(count / most))),
  ];
}

function line(name: string, value: string, note: string): string {
  return `  ${name.padEnd(28)}${value.padStart(15)}  ${note}`.trimEnd();
}

/** A bar of eighths of a cell; anything above nothing shows. */
function bar(share: number): string {
  const eighths = Math.max(1, Math.round(share * BAR_CELLS * 8));
  const rest = eighths % 8;
  return "█".repeat(Math.floor(eighths / 8)) + (rest > 0 ? (" ▏▎▍▌▋▊▉"[rest] ?? "") : "");
}

function rename(counts: Counts, name: (key: number) => string): Counts {
  return Object.fromEntries(
    Object.entries(counts).map(([key, count]) => [name(Number(key)), count]),
  );
}

function sum(counts: Counts): number {
  return Object.values(counts).reduce((total, count) => total + count, 0);
}

function seconds(value: number): string {
  return `${value.toFixed(2)} s`;
}

function grouped(value: number): string {
  return value.toLocaleString("en-US", { maximumFractionDigits: 0 });
}
