import { expect, test } from "vitest";
import { type RunFigures, renderStats, vectorName } from "../../../host-ts/debug/stats-report.ts";

const FIGURES: RunFigures = {
  instructions: 250_000_000,
  coreSeconds: 1,
  hostSeconds: 1.25,
  guestSeconds: 3,
  exits: { hypercall: 300, budget: 200, halt: 0 },
  hostCalls: { SET_CLOCKEVENT: 300 },
  coreCalls: { SET_PTE: 4000, LOAD_TLS: 1 },
  traps: { 14: 1200, 128: 90, 32: 7 },
  core: {},
};

test("speed is instructions per second inside the core, crossings the sum of all exits", () => {
  const text = renderStats(FIGURES);
  expect(text).toMatch(/instructions +250,000,000 +250\.0 MIPS/);
  expect(text).toMatch(/crossings +500 +one per 500,000 instructions/);
});

test("rows are sorted by count, zeroes and empty sections are left out", () => {
  const text = renderStats(FIGURES);
  expect(text.indexOf("SET_PTE")).toBeLessThan(text.indexOf("LOAD_TLS"));
  expect(text).not.toContain("halt");
  expect(text).not.toContain("inside the core ──");
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
  const text = renderStats({ ...FIGURES, instructions: 0, coreSeconds: 0, exits: {} });
  expect(text).not.toMatch(/NaN|Infinity/);
});
