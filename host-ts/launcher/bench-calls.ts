/** The paravirtual calls that guests/bench/calls-*.c knows, in the order in which they are shown, and what they may cost. */
import type { Measurement } from "./bench-run.ts";
import type { Scenario } from "./bench-scenarios.ts";

/** What a call's cost is held against. */
export const YARDSTICK = "syscall";

const LIST = 32;

/** All of them. A period of 2: the guest alternates between two frames, lists or directories. */
export const CALLS: readonly Scenario[] = [
  call(YARDSTICK, "int 0x80 of ring 3 and back, the yardstick", 100_000),
  call("null", "a call with nothing to do, done in Wasm", 100_000),
  call("leave", "a call that leaves Wasm, with nothing to do", 20_000),
  call("null32", "32 null calls as one list", 4_000, { operations: LIST }),
  call("set_pte", "one entry replaced: update_va_mapping, SET_PTE", 60_000, { period: 2 }),
  call("set_pte32", "32 of them as one list", 3_000, { period: 2, operations: LIST }),
  xen("update1", "mmu_update of one entry", 60_000, { period: 2 }),
  xen("update8", "mmu_update of 8 entries", 10_000, { period: 2, operations: 8 }),
  xen("update32", "mmu_update of 32 entries", 3_000, { period: 2, operations: 32 }),
  xen("update128", "mmu_update of 128 entries", 800, { period: 2, operations: 128 }),
  xen("event", "event channel: send to itself, upcall, taken", 10_000, { faults: 1 }),
  xen("timer", "set_timer_op in the past, upcall, taken", 10_000, { faults: 1 }),
  call("switch", "directory, three TLS descriptors, stack, FPU", 20_000, { period: 2 }),
  call("fault", "demand fault of ring 3, one entry set", 40_960, { faults: 1, period: 1024 }),
  call("iret", "return to itself: the iret call, the instruction", 60_000),
];

type Details = Partial<Pick<Scenario, "period" | "faults" | "operations">>;

function call(name: string, what: string, iterations: number, details: Details = {}): Scenario {
  return { name, what, iterations, faults: 0, period: 1, ...details };
}

function xen(name: string, what: string, iterations: number, details: Details = {}): Scenario {
  return { ...call(name, what, iterations, details), abi: "xen-pv" };
}

/** How one figure stands to its target. */
export interface Target {
  /** In words. */
  readonly what: string;
  readonly path: string;
  readonly ratio: number;
  readonly limit: number;
}

/** A target: the time of `name` over `times` that of `of`, on Xen PV. */
const TARGETS: readonly {
  readonly what: string;
  readonly name: string;
  readonly of: string;
  readonly times: number;
  readonly limit: number;
}[] = [
  { what: "null / system call", name: "null", of: YARDSTICK, times: 1, limit: 1 },
  { what: "leaving Wasm / system call", name: "leave", of: YARDSTICK, times: 1, limit: 4 },
  {
    what: "multicall of 32 update_va_mapping / 32 single ones",
    name: "set_pte32",
    of: "set_pte",
    times: LIST,
    limit: 0.25,
  },
];
const TARGET_PATH = "xen-pv";

/** @returns the targets whose measurements are among `rows`. */
export function judgeTargets(rows: readonly Measurement[]): Target[] {
  const nsOf = (name: string) =>
    rows.find((row) => row.path === TARGET_PATH && row.name === name && !row.isCoarse)?.ns;
  return TARGETS.flatMap(({ what, name, of, times, limit }) => {
    const [own, other] = [nsOf(name), nsOf(of)];
    if (own === undefined || other === undefined) return [];
    return { what, path: TARGET_PATH, ratio: own / (times * other), limit };
  });
}
