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
  COUNTER_NMIS_DROPPED,
  COUNTER_TLB_FILLS,
  COUNTER_TLB_FLUSHES,
  COUNTER_TRAPS,
  EXIT_REASONS,
  GUEST_FRAMES_HELD,
} from "../../abi/vcpu.ts";
import type { Machine } from "./machine.ts";
import { EXITS } from "./vcpu.ts";

/** Counts by name; what never happened is left out. */
export type Counts = Readonly<Record<string, number>>;

/** Counters of one life of a guest. */
export interface GuestStats {
  /** Guest instructions retired, by all vCPUs. */
  readonly instructions: number;
  /** Host time spent running the guest, core and Host together, in seconds. */
  readonly coreSeconds: number;
  /** Host time since the guest first ran, sleep included, in seconds. */
  readonly hostSeconds: number;
  /** Time the guest saw pass since boot, in seconds. */
  readonly guestSeconds: number;
  /** Millions of guest instructions per second of coreSeconds. */
  readonly mips: number;
  /** Crossings from Wasm to TypeScript: the sum of `exits`. */
  readonly crossings: number;
  /** Crossings by reason. */
  readonly exits: Counts;
  /** Hypercalls performed by the Host, by ABI name. */
  readonly hostCalls: Counts;
  /** Hypercalls completed inside the core, by ABI name. */
  readonly coreCalls: Counts;
  /** Traps and interrupts delivered to the guest, by vector number. */
  readonly traps: Counts;
  /** Inner workings of the core, by name. */
  readonly core: Counts;
  /** Pool frames of 4 KiB the guest holds. */
  readonly framesHeld: number;
  /** Console output that nobody read in time and that the stream dropped, in all lives of the guest, in bytes. */
  readonly droppedOutputBytes: number;
}

const VECTORS = 256;

const CORE_COUNTERS: Readonly<Record<string, number>> = {
  "TLB fills": COUNTER_TLB_FILLS,
  "TLB flushes": COUNTER_TLB_FLUSHES,
  "blocks decoded": COUNTER_BLOCKS_DECODED,
  "code invalidations": COUNTER_CODE_INVALIDATIONS,
  "copy-on-write breaks": COUNTER_COW_BREAKS,
  "directory switches": COUNTER_DIRECTORY_SWITCHES,
  "directory misses": COUNTER_DIRECTORY_MISSES,
  "arena resets": COUNTER_ARENA_RESETS,
  "NMIs without a handler": COUNTER_NMIS_DROPPED,
};

/** Reads all counters of a machine. */
export function collectStats(
  machine: Machine,
  seconds: { readonly core: number; readonly host: number },
  droppedOutputBytes: number,
): GuestStats {
  const { vcpus, personality, hostCalls, clock, core, guest } = machine;
  const instructions = clock.retired;
  const counter = (offset: number) =>
    vcpus.reduce((total, vcpu) => total + vcpu.counter(offset), 0);
  const exits = countTable(EXIT_REASONS, COUNTER_EXITS, (n) => EXITS[n]?.name ?? `exit ${n}`);
  const calls = personality.callNames;
  const callName = (n: number) => calls[n] ?? `call ${n}`;
  return {
    instructions,
    coreSeconds: seconds.core,
    hostSeconds: seconds.host,
    guestSeconds: clock.nowNs / 1e9,
    mips: seconds.core === 0 ? 0 : instructions / seconds.core / 1e6,
    crossings: Object.values(exits).reduce((total, count) => total + count, 0),
    exits,
    hostCalls: Object.fromEntries(
      [...hostCalls].flatMap((count, n) => (count === 0 ? [] : [[callName(n), count]])),
    ),
    coreCalls: countTable(calls.length, COUNTER_CORE_CALLS, callName),
    traps: countTable(VECTORS, COUNTER_TRAPS, String),
    core: Object.fromEntries(
      Object.entries(CORE_COUNTERS).map(([name, offset]) => [name, counter(offset)]),
    ),
    framesHeld: core
      .words(guest + GUEST_FRAMES_HELD + 4)
      .getUint32(guest + GUEST_FRAMES_HELD, true),
    droppedOutputBytes,
  };

  function countTable(size: number, offset: number, name: (index: number) => string): Counts {
    const table: Record<string, number> = {};
    for (let index = 0; index < size; index++) {
      const count = counter(offset + 8 * index);
      if (count !== 0) table[name(index)] = count;
    }
    return table;
  }
}
