/** The round trips that guests/bench/faults.c knows, in the order in which they are shown. */
import type { BenchAbi } from "./bench-systems.ts";

/** One round trip. */
export interface Scenario {
  /** As the guest's command line names it. */
  readonly name: string;
  /** What one iteration is. */
  readonly what: string;
  /** Iterations of one measurement: a fixed number, because counts must be the same in every run. */
  readonly iterations: number;
  /** Page faults that the guest handles in one iteration. */
  readonly faults: number;
  /**
   * Iterations after which the guest's tables are as they were. A loop of so many is taken off every measurement, which is that much
   * longer: what begins and ends a loop cancels, and counts per iteration come out whole.
   */
  readonly period: number;
  /** How many operations one iteration is; default 1. */
  readonly operations?: number;
  /** The only interface that has it; default all. */
  readonly abi?: BenchAbi;
}

/** All of them. `fill` counts pages, and reloads its directory after 1,024. */
export const SCENARIOS: readonly Scenario[] = [
  {
    name: "pingpong",
    what: "write fault, one page mapped, one unmapped",
    iterations: 40_000,
    faults: 1,
    period: 2,
  },
  {
    name: "remap",
    what: "one page touched, unmapped by a full system call",
    iterations: 24_000,
    faults: 1,
    period: 1,
  },
  {
    name: "fill",
    what: "demand fault, 1,024 pages then a reload",
    iterations: 40_960,
    faults: 1,
    period: 1024,
  },
  {
    name: "kernel",
    what: "fault of the kernel on its own address",
    iterations: 40_000,
    faults: 1,
    period: 1,
  },
  {
    name: "cow",
    what: "copy-on-write break, a page copied",
    iterations: 16_000,
    faults: 1,
    period: 2,
  },
  {
    name: "dirty",
    what: "read then write of a page never used",
    iterations: 40_000,
    faults: 0,
    period: 1,
  },
  {
    name: "ring",
    what: "fault while 32 page-table changes are queued",
    iterations: 6_000,
    faults: 1,
    period: 2,
  },
  {
    name: "fork",
    what: "new directory of 16 shared pages, 4 written",
    iterations: 2_000,
    faults: 4,
    period: 8,
  },
  {
    name: "iret",
    what: "page fault of an iret on its own frame",
    iterations: 32_000,
    faults: 1,
    period: 1,
  },
  { name: "syscall", what: "shortest system call", iterations: 100_000, faults: 0, period: 1 },
  {
    name: "trap",
    what: "privileged instruction refused and skipped",
    iterations: 60_000,
    faults: 0,
    period: 1,
  },
  {
    name: "known",
    what: "switch between 2 directories, 16 pages touched",
    iterations: 16_000,
    faults: 0,
    period: 2,
  },
  {
    name: "unknown",
    what: "switch among 9 directories, 16 pages touched",
    iterations: 4_500,
    faults: 0,
    period: 9,
  },
];
