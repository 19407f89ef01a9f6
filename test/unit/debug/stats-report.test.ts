import { expect, test } from "vitest";
import { renderStats, vectorName } from "../../../host-ts/debug/stats-report.ts";
import type { GuestStats } from "../../../host-ts/guest/stats.ts";

const STATS: GuestStats = {
  instructions: 250_000_000,
  coreSeconds: 1,
  hostSeconds: 1.25,
  guestSeconds: 3,
  mips: 250,
  crossings: 500,
  framesHeld: 256,
  droppedOutputBytes: 0,
  exits: { hypercall: 300, budget: 200, halt: 0 },
  hostCalls: { SET_CLOCKEVENT: 300 },
  coreCalls: { SET_PTE: 4000, LOAD_TLS: 1 },
  traps: { 14: 1200, 128: 90, 32: 7 },
  core: {},
};

test("the first lines say how much was done, how fast, and how rarely Wasm was left", () => {
  const text = renderStats(STATS);
  expect(text).toMatch(/instructions +250,000,000 +250\.0 MIPS/);
  expect(text).toMatch(/hypercalls +4,301 +93 % of them inside Wasm/);
  expect(text).toMatch(/guest memory +1,024 KiB/);
  expect(text).toMatch(/crossings +500 +one per 500,000 instructions/);
});

test("rows are sorted by count, zeroes and empty sections are left out", () => {
  const text = renderStats(STATS);
  expect(text.indexOf("SET_PTE")).toBeLessThan(text.indexOf("LOAD_TLS"));
  expect(text).not.toContain("halt");
  expect(text).not.toContain("── inside the core");
});

test("lost output is told, and only when there is any", () => {
  expect(renderStats(STATS)).not.toContain("dropped");
  expect(renderStats({ ...STATS, droppedOutputBytes: 5000 })).toMatch(
    /output dropped +5,000 bytes/,
  );
});

test("vectors have the names people use", () => {
  expect([14, 0x80, 0x20, 9].map(vectorName)).toEqual([
    "#PF page fault",
    "system call (0x80)",
    "IRQ 0",
    "vector 9",
  ]);
});

test("a run that did nothing divides by nothing", () => {
  const text = renderStats({ ...STATS, instructions: 0, coreSeconds: 0, mips: 0, crossings: 0 });
  expect(text).not.toMatch(/NaN|Infinity/);
});
