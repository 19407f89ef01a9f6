/** The table that --stats prints: what the guest did and what it cost. Pure text from plain figures. */

/** Counts by name. */
export type Counts = Readonly<Record<string, number>>;

/** The figures of one run. */
export interface RunFigures {
  /** Instructions retired. */
  readonly instructions: number;
  /** Wall time spent inside the core, in seconds. */
  readonly coreSeconds: number;
  /** Wall time from start to end, in seconds, sleep included. */
  readonly hostSeconds: number;
  /** Time the guest saw pass, in seconds. */
  readonly guestSeconds: number;
  /** Returns from the core to the Host by reason: the crossings. */
  readonly exits: Counts;
  /** Hypercalls performed by the Host, by name. */
  readonly hostCalls: Counts;
  /** Hypercalls completed inside the core, by name. */
  readonly coreCalls: Counts;
  /** Faults and interrupts delivered to the guest, by vector number. */
  readonly traps: Counts;
  /** Inner workings of the core, by name: TLB fills and the like. */
  readonly core: Counts;
}

/** Mnemonics of the vectors (SDM 3A, "Exception and Interrupt Vectors"). */
const VECTOR_NAMES: Readonly<Record<number, string>> = {
  0: "#DE divide error",
  1: "#DB debug",
  2: "NMI",
  3: "#BP breakpoint",
  4: "#OF overflow",
  5: "#BR bound range",
  6: "#UD invalid opcode",
  7: "#NM device not available",
  8: "#DF double fault",
  10: "#TS invalid TSS",
  11: "#NP segment not present",
  12: "#SS stack fault",
  13: "#GP general protection",
  14: "#PF page fault",
  16: "#MF x87 error",
  17: "#AC alignment check",
  18: "#MC machine check",
  19: "#XM SIMD error",
};

const LINUX_SYSCALL_VECTOR = 0x80;
const FIRST_IRQ_VECTOR = 0x20;
const BAR_CELLS = 24;

/** Renders the report, some 20 to 50 lines, without a final newline. */
export function renderStats(figures: RunFigures): string {
  const { instructions, coreSeconds, hostSeconds, guestSeconds } = figures;
  const crossings = sum(figures.exits);
  const mips = coreSeconds > 0 ? instructions / coreSeconds / 1e6 : 0;
  const perCrossing = crossings > 0 ? Math.round(instructions / crossings) : instructions;
  return [
    "── run ".padEnd(72, "─"),
    line("instructions", grouped(instructions), `${mips.toFixed(1)} MIPS inside the core`),
    line("time", `${hostSeconds.toFixed(2)} s`, `${coreSeconds.toFixed(2)} s inside the core`),
    line("guest time", `${guestSeconds.toFixed(2)} s`, ""),
    line("crossings", grouped(crossings), `one per ${grouped(perCrossing)} instructions`),
    ...section("exits to the Host, by reason", figures.exits),
    ...section("hypercalls completed in the core", figures.coreCalls),
    ...section("hypercalls performed by the Host", figures.hostCalls),
    ...section("faults and interrupts delivered", rename(figures.traps, vectorName)),
    ...section("inside the core", figures.core),
    "─".repeat(72),
  ].join("\n");
}

/** @returns the name a person knows a vector by. */
export function vectorName(vector: number): string {
  if (vector === LINUX_SYSCALL_VECTOR) return "system call (0x80)";
  if (vector >= FIRST_IRQ_VECTOR) return `IRQ ${vector - FIRST_IRQ_VECTOR}`;
  return VECTOR_NAMES[vector] ?? `vector ${vector}`;
}

function section(title: string, counts: Counts): string[] {
  const rows = Object.entries(counts).filter(([, count]) => count > 0);
  if (rows.length === 0) return [];
  rows.sort(([, a], [, b]) => b - a);
  const most = rows[0]?.[1] ?? 1;
  return [
    "",
    `── ${title} `.padEnd(72, "─"),
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

function grouped(value: number): string {
  return value.toLocaleString("en-US", { maximumFractionDigits: 0 });
}
