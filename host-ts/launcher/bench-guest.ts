/** A guest of guests/bench on one fault path, run one measurement at a time, so that several can take turns on one thread. */
import {
  COUNTER_CORE_CALLS,
  COUNTER_DIRECTORY_MISSES,
  COUNTER_EXITS,
  COUNTER_TLB_FILLS,
  COUNTER_TRAPS,
  EXIT_BUDGET,
  EXIT_REASONS,
} from "../../abi/vcpu.ts";
import type { Core } from "../base/core.ts";
import type { FaultPath } from "../base/fault-path.ts";
import { HostInputs } from "../base/inputs.ts";
import { resolveConfig } from "../guest/config.ts";
import { Machine } from "../guest/machine.ts";
import type { Abi } from "../guest/options.ts";
import { openHostSide, type Platform } from "../guest/platform.ts";
import { runGuest } from "../guest/run-loop.ts";
import { MarkReader } from "./bench-marks.ts";
import { threadCpuMs } from "./thread-clock.ts";

/** RAM of the guest: its page tables cover this much. */
export const BENCH_MEMORY_BYTES = 16 << 20;
const VECTORS = 256;
const CALLS = 64;

/** What one run of a scenario's loop did; every count is exact. */
export interface Sample {
  /** Milliseconds of this thread's CPU time. */
  readonly cpuMs: number;
  readonly counts: Counts;
  /** Faults and traps that the guest's handlers saw. */
  readonly events: number;
}

/** Counters of the core and the Host, as differences between two moments. */
export interface Counts {
  readonly instructions: number;
  /** Exits from Wasm to TypeScript, but for the ends of run slices, which come with the instruction count and not with the work. */
  readonly crossings: number;
  /** Traps, system calls and interrupts delivered to the guest. */
  readonly deliveries: number;
  readonly tlbFills: number;
  /** Paravirtual calls completed inside the core, or performed by the Host. */
  readonly calls: number;
  readonly directoryMisses: number;
}

/** The names of `Counts`. */
export const COUNT_NAMES: readonly (keyof Counts)[] = [
  "instructions",
  "crossings",
  "deliveries",
  "tlbFills",
  "calls",
  "directoryMisses",
];

/** What a guest runs, and how. */
export interface BenchJob {
  /** Default "lguest"; "bare" for an image that is made for a plain machine. */
  readonly abi?: Abi;
  readonly path: FaultPath;
  /** As the guest's command line takes it, such as `pingpong:0,pingpong:1000*5`. */
  readonly plan: string;
  /** How often the whole plan is run; default 1. */
  readonly rounds?: number;
}

/** Told of the beginning and end of each loop, between the counters and the clock. */
export interface LoopObserver {
  started(machine: Machine): void;
  ended(machine: Machine): void;
}

/** One guest with a plan. */
export class BenchGuest {
  readonly machine: Machine;
  readonly #close: () => void;
  #startMs = 0;
  #cpuMs = 0;
  #before: Counts | undefined;
  #counts: Counts | undefined;
  #sample: Sample | undefined;

  constructor(kernel: Uint8Array, job: BenchJob, platform: Platform, observer?: LoopObserver) {
    const { abi = "lguest" } = job;
    const config = resolveConfig({
      kernel,
      memoryBytes: BENCH_MEMORY_BYTES,
      rng: false,
      abi,
      commandLine: `rounds=${job.rounds ?? 1} plan=${job.plan}`,
      lguest: abi === "lguest" ? { faultPath: job.path } : {},
      xen: abi === "xen-pv" ? { faultPath: job.path } : {},
    });
    const inputs = new HostInputs([]);
    const marks = new MarkReader({
      started: () => {
        this.#before = readCounts(this.machine);
        observer?.started(this.machine);
        this.#startMs = threadCpuMs();
      },
      ended: () => {
        this.#cpuMs = threadCpuMs() - this.#startMs;
        observer?.ended(this.machine);
        this.#counts = difference(readCounts(this.machine), this.#before!);
      },
      counted: (events) => {
        this.#sample = { cpuMs: this.#cpuMs, counts: this.#counts!, events };
      },
      done: () => {},
    });
    const hostSide = openHostSide(config, platform, inputs, (bytes) => marks.read(bytes));
    const core: Core = platform.core;
    this.machine = new Machine(config, {
      ...hostSide,
      core,
      inputs,
      hostMs: platform.monotonicMs,
      onNotify: () => {},
    });
    this.#close = () => {
      this.machine.dispose();
      hostSide.close();
    };
  }

  /** Runs the next item of the plan. @throws when the guest ends before. */
  next(): Sample {
    this.#sample = undefined;
    while (this.#sample === undefined) {
      const outcome = runGuest(this.machine, () => this.#sample !== undefined);
      if (outcome.kind !== "dead" || this.#sample !== undefined) continue;
      throw new Error(`the guest ended early: ${this.machine.death?.reason}`);
    }
    return this.#sample;
  }

  /** Gives the guest's memory back. */
  dispose(): void {
    this.#close();
  }
}

function readCounts({ vcpu, hostCalls }: Machine): Counts {
  const sum = (offset: number, size: number): number => {
    let total = 0;
    for (let index = 0; index < size; index++) total += vcpu.counter(offset + 8 * index);
    return total;
  };
  let calls = sum(COUNTER_CORE_CALLS, CALLS);
  for (const count of hostCalls.values()) calls += count;
  return {
    instructions: vcpu.retired,
    crossings: sum(COUNTER_EXITS, EXIT_REASONS) - vcpu.counter(COUNTER_EXITS + 8 * EXIT_BUDGET),
    deliveries: sum(COUNTER_TRAPS, VECTORS),
    tlbFills: vcpu.counter(COUNTER_TLB_FILLS),
    calls,
    directoryMisses: vcpu.counter(COUNTER_DIRECTORY_MISSES),
  };
}

/** @returns `after` less `before`, name by name. */
export function difference(after: Counts, before: Counts): Counts {
  return mapCounts((name) => after[name] - before[name]);
}

/** Builds a record of counts from a function of the name. */
export function mapCounts(value: (name: keyof Counts) => number): Counts {
  return Object.fromEntries(COUNT_NAMES.map((name) => [name, value(name)])) as unknown as Counts;
}
