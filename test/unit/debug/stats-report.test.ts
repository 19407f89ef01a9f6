import { expect, test } from "vitest";
import { renderStats, trapName } from "../../../host-ts/debug/stats-report.ts";
import type { GuestStats } from "../../../host-ts/guest/stats.ts";

const STATS: GuestStats = {
  instructions: 250_000_000,
  guestTimeNs: 3e9,
  runTimeMs: 1000,
  mips: 250,
  crossings: 500,
  exits: { hypercall: 300, budget: 200, halt: 0 },
  hypercalls: { LHCALL_SET_PTE: 2999, LHCALL_SET_CLOCKEVENT: 1 },
  hypercallsInCore: 2999,
  traps: { "#PF": 1200, "vector 0x80": 90, "vector 0x20": 7 },
  core: {},
  framesHeld: 256,
};

test("the first lines say how much was done, how fast, and how rarely Wasm was left", () => {
  const text = renderStats(STATS);
  expect(text).toMatch(/instructions +250,000,000 +250\.0 MIPS/);
  expect(text).toMatch(/crossings +500 +one per 500,000 instructions/);
  expect(text).toMatch(/hypercalls +3,000 +99 % of them inside Wasm/);
  expect(text).toMatch(/guest memory +1,024 KiB/);
});

test("rows are sorted by count, zeroes and empty sections are left out", () => {
  const text = renderStats(STATS);
  expect(text.indexOf("LHCALL_SET_PTE")).toBeLessThan(text.indexOf("LHCALL_SET_CLOCKEVENT"));
  expect(text).not.toContain("halt");
  expect(text).not.toContain("inside the core");
});

test("traps have the names people use", () => {
  expect(["#PF", "vector 0x80", "vector 0x21", "#DB"].map(trapName)).toEqual([
    "#PF page fault",
    "system call (0x80)",
    "IRQ 1",
    "#DB",
  ]);
});

test("a run that did nothing divides by nothing", () => {
  const text = renderStats({
    ...STATS,
    instructions: 0,
    runTimeMs: 0,
    crossings: 0,
    hypercalls: {},
  });
  expect(text).not.toMatch(/NaN|Infinity/);
});
