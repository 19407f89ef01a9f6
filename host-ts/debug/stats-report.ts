/** The table that --stats prints: what the guest did and what it cost. Pure text from the public metrics. */
import type { GuestStats } from "../guest/stats.ts";

type Counts = Readonly<Record<string, number>>;

/** What the mnemonics of frequent traps mean, for people who do not know them by heart. */
const TRAP_NAMES: Readonly<Record<string, string>> = {
  "#DE": "#DE divide error",
  "#UD": "#UD invalid opcode",
  "#NM": "#NM device not available",
  "#GP": "#GP general protection",
  "#PF": "#PF page fault",
  "#MF": "#MF x87 error",
};

const LINUX_SYSCALL_VECTOR = 0x80;
const FIRST_IRQ_VECTOR = 0x20;
const BAR_CELLS = 24;
const WIDTH = 72;

/** Renders the report, some 20 to 50 lines, without a final newline. */
export function renderStats(stats: GuestStats): string {
  const { instructions, crossings, mips } = stats;
  const perCrossing = crossings > 0 ? instructions / crossings : instructions;
  const calls = Object.values(stats.hypercalls).reduce((total, count) => total + count, 0);
  const share = calls > 0 ? Math.floor((100 * stats.hypercallsInCore) / calls) : 0;
  return [
    heading("run"),
    line("instructions", grouped(instructions), `${mips.toFixed(1)} MIPS`),
    line("run time", `${(stats.runTimeMs / 1000).toFixed(3)} s`, "host time in the run loop"),
    line("guest time", `${(stats.guestTimeNs / 1e9).toFixed(3)} s`, "as the guest sees it"),
    line("crossings", grouped(crossings), `one per ${grouped(perCrossing)} instructions`),
    line("hypercalls", grouped(calls), `${share} % of them inside Wasm`),
    line("guest memory", `${grouped(stats.framesHeld * 4)} KiB`, "touched"),
    ...section("crossings from Wasm to the Host, by reason", stats.exits),
    ...section("hypercalls", stats.hypercalls),
    ...section("faults and interrupts delivered to the guest", rename(stats.traps, trapName)),
    ...section("inside the core", rename(stats.core, words)),
    "─".repeat(WIDTH),
  ].join("\n");
}

/** @returns a trap's name with its meaning: "#PF page fault", "system call (0x80)", "IRQ 1". */
export function trapName(name: string): string {
  const vector = Number(/^vector (0x[0-9a-f]+)$/.exec(name)?.[1] ?? -1);
  if (vector === LINUX_SYSCALL_VECTOR) return "system call (0x80)";
  if (vector >= FIRST_IRQ_VECTOR) return `IRQ ${vector - FIRST_IRQ_VECTOR}`;
  return TRAP_NAMES[name] ?? name;
}

/** Splits a camelCase name into words. */
function words(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`).replace("tlb", "TLB");
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

function rename(counts: Counts, name: (key: string) => string): Counts {
  return Object.fromEntries(Object.entries(counts).map(([key, count]) => [name(key), count]));
}

function grouped(value: number): string {
  return value.toLocaleString("en-US", { maximumFractionDigits: 0 });
}
