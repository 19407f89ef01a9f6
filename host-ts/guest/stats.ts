/** What a guest did so far, in names and units: the public metrics. */

import {
  COUNTER_ARENA_RESETS,
  COUNTER_BLOCKS_DECODED,
  COUNTER_CODE_INVALIDATIONS,
  COUNTER_CORE_CALLS,
  COUNTER_COW_BREAKS,
  COUNTER_DIRECTORY_MISSES,
  COUNTER_DIRECTORY_SWITCHES,
  COUNTER_EXITS,
  COUNTER_TLB_FILLS,
  COUNTER_TLB_FLUSHES,
  COUNTER_TRAPS,
  EXIT_REASONS,
  GUEST_FRAMES_HELD,
} from "../../abi/vcpu.ts";
import {
  VECTOR_AC,
  VECTOR_BP,
  VECTOR_BR,
  VECTOR_DB,
  VECTOR_DE,
  VECTOR_DF,
  VECTOR_GP,
  VECTOR_MF,
  VECTOR_NM,
  VECTOR_NP,
  VECTOR_OF,
  VECTOR_PF,
  VECTOR_SS,
  VECTOR_TS,
  VECTOR_UD,
  VECTOR_XM,
} from "../../abi/x86.ts";
import type { Machine } from "./machine.ts";
import { EXITS } from "./vcpu.ts";

/** Counters of one life of a guest. Tables leave out what never happened. */
export interface GuestStats {
  /** Guest instructions retired. */
  readonly instructions: number;
  /** Guest time since boot in nanoseconds. */
  readonly guestTimeNs: number;
  /** Host time spent in the run loop in milliseconds. */
  readonly runTimeMs: number;
  /** Millions of guest instructions per second of runTimeMs. */
  readonly mips: number;
  /** Crossings from Wasm to TypeScript: the sum of `exits`. */
  readonly crossings: number;
  /** Crossings by reason. */
  readonly exits: Readonly<Record<string, number>>;
  /** Hypercalls by ABI name, wherever they were performed. */
  readonly hypercalls: Readonly<Record<string, number>>;
  /** Of those, the ones performed inside Wasm. */
  readonly hypercallsInCore: number;
  /** Traps and interrupts delivered into the guest, by exception mnemonic or "vector 0x..". */
  readonly traps: Readonly<Record<string, number>>;
  /** Inner workings of the core, by name. */
  readonly core: Readonly<Record<string, number>>;
  /** Pool frames of 4 KiB the guest holds. */
  readonly framesHeld: number;
}

const TRAP_NAMES: Readonly<Record<number, string>> = {
  [VECTOR_DE]: "#DE",
  [VECTOR_DB]: "#DB",
  [VECTOR_BP]: "#BP",
  [VECTOR_OF]: "#OF",
  [VECTOR_BR]: "#BR",
  [VECTOR_UD]: "#UD",
  [VECTOR_NM]: "#NM",
  [VECTOR_DF]: "#DF",
  [VECTOR_TS]: "#TS",
  [VECTOR_NP]: "#NP",
  [VECTOR_SS]: "#SS",
  [VECTOR_GP]: "#GP",
  [VECTOR_PF]: "#PF",
  [VECTOR_MF]: "#MF",
  [VECTOR_AC]: "#AC",
  [VECTOR_XM]: "#XM",
};

const CORE_COUNTERS: Readonly<Record<string, number>> = {
  tlbFills: COUNTER_TLB_FILLS,
  tlbFlushes: COUNTER_TLB_FLUSHES,
  blocksDecoded: COUNTER_BLOCKS_DECODED,
  codeInvalidations: COUNTER_CODE_INVALIDATIONS,
  copyOnWriteBreaks: COUNTER_COW_BREAKS,
  directorySwitches: COUNTER_DIRECTORY_SWITCHES,
  directoryMisses: COUNTER_DIRECTORY_MISSES,
  arenaResets: COUNTER_ARENA_RESETS,
};

/** Reads all counters of a machine. */
export function collectStats(machine: Machine, runTimeMs: number): GuestStats {
  const { vcpu, personality, hostCalls, clock, core, guest } = machine;
  const exits = countTable(EXIT_REASONS, (n) => vcpu.counter(COUNTER_EXITS + 8 * n), exitName);
  const inCore = countTable(
    personality.coreCalls.length,
    (n) => vcpu.counter(COUNTER_CORE_CALLS + 8 * n),
    (n) => personality.coreCalls[n] ?? `call ${n}`,
  );
  const hypercalls = { ...inCore };
  for (const [name, count] of hostCalls) hypercalls[name] = (hypercalls[name] ?? 0) + count;
  const instructions = vcpu.retired;
  return {
    instructions,
    guestTimeNs: clock.nowNs,
    runTimeMs,
    mips: runTimeMs === 0 ? 0 : instructions / runTimeMs / 1000,
    crossings: sum(exits),
    exits,
    hypercalls,
    hypercallsInCore: sum(inCore),
    traps: countTable(256, (n) => vcpu.counter(COUNTER_TRAPS + 8 * n), trapName),
    core: Object.fromEntries(
      Object.entries(CORE_COUNTERS).map(([name, offset]) => [name, vcpu.counter(offset)]),
    ),
    framesHeld: core
      .words(guest + GUEST_FRAMES_HELD + 4)
      .getUint32(guest + GUEST_FRAMES_HELD, true),
  };
}

function countTable(
  size: number,
  count: (index: number) => number,
  name: (index: number) => string,
): Record<string, number> {
  const table: Record<string, number> = {};
  for (let index = 0; index < size; index++) {
    const value = count(index);
    if (value !== 0) table[name(index)] = value;
  }
  return table;
}

function exitName(reason: number): string {
  return EXITS[reason]?.name ?? `exit ${reason}`;
}

function trapName(vector: number): string {
  return TRAP_NAMES[vector] ?? `vector 0x${vector.toString(16).padStart(2, "0")}`;
}

function sum(table: Record<string, number>): number {
  return Object.values(table).reduce((total, count) => total + count, 0);
}
