/** The clocked runs: a core and wrapped verbs of the Host that tell a clock of every change of phase. */
import {
  EXIT_HYPERCALL,
  EXIT_SHADOW_FAULT,
  EXIT_TRAP,
  PHASE_END,
  PHASE_GUEST,
  PHASE_HANDLER,
  PHASE_HYPERCALL,
  PHASE_TRAP,
  PHASE_WALK,
  VCPU_PHASES,
} from "../../abi/vcpu.ts";
import { Core, instantiateCore } from "../base/core.ts";
import { loadCoreImage } from "../base/core-node.ts";
import type { Platform } from "../guest/platform.ts";
import { createPlatform } from "../guest/platform-node.ts";
import { digestState } from "../state/digest.ts";
import { BenchGuest } from "./bench-guest.ts";
import { byPhase, type ClockedRun, PHASE_IDS, PHASES } from "./bench-phases.ts";
import type { Scenario } from "./bench-scenarios.ts";
import type { BenchSystem } from "./bench-systems.ts";

/** Short runs, of which those that the machine did not interrupt count: this clock is one of wall time. */
const CLOCKED_RUNS = 60;
/** About how long the work of one is, nanoseconds: short, so that most are left alone. */
const RUN_NS = 400_000;
/** Wall time over CPU time, from which on a run was interrupted. */
const INTERRUPTED = 1.05;
/** Runs that do the work without being looked at: code is compiled, caches fill. */
const WARM_UPS = 2;
/** Pairs of readings of one calibration. */
const CALIBRATION_PAIRS = 400;

/** The clock: sums of nanoseconds by phase, and what interrupts what. */
export class PhaseClock {
  readonly #ns = new Float64Array(PHASES.length);
  readonly #counts = new Float64Array(PHASES.length);
  readonly #wasmReadings = new Float64Array(PHASES.length);
  readonly #hostReadings = new Float64Array(PHASES.length);
  /** The phases that the present one interrupted; the first is the guest's own, or its handler's. */
  #stack: number[] = [PHASE_GUEST];
  #sinceMs = 0;

  /** Starts over, in the guest's own phase. */
  start(): void {
    this.#ns.fill(0);
    this.#counts.fill(0);
    this.#wasmReadings.fill(0);
    this.#hostReadings.fill(0);
    this.#stack = [PHASE_GUEST];
    this.#counts[PHASE_GUEST] = 1;
    this.#sinceMs = performance.now();
  }

  /** `phase` (PHASE_*) begins now, says the core. */
  mark(phase: number): void {
    this.#change(phase, this.#wasmReadings);
  }

  /** `phase` (PHASE_*) begins now, says the Host. */
  markHost(phase: number): void {
    this.#change(phase, this.#hostReadings);
  }

  /** The Host has done its part: the guest, or its handler, goes on. */
  resume(): void {
    if (this.#stack.length === 1) return;
    this.#end(this.#hostReadings);
    this.#stack.length = 1;
    this.#begin(this.#hostReadings);
  }

  #change(phase: number, readings: Float64Array): void {
    this.#end(readings);
    const stack = this.#stack;
    const top = stack.length - 1;
    const current = stack[top]!;
    if (phase === PHASE_END) {
      if (top > 0) stack.pop();
    } else {
      if (phase !== current) this.#counts[phase]! += 1;
      if (phase === PHASE_GUEST || phase === PHASE_HANDLER) {
        stack.length = 1;
        stack[0] = phase;
      } else if (top > 0 && (phase !== PHASE_WALK || current === PHASE_TRAP)) {
        // A walk turns into a mapping or a trap, a trap into a reflection, a call or, at the Host, a walk.
        stack[top] = phase;
      } else stack.push(phase);
    }
    this.#begin(readings);
  }

  #end(readings: Float64Array): void {
    const current = this.#stack[this.#stack.length - 1]!;
    this.#ns[current]! += (performance.now() - this.#sinceMs) * 1e6;
    readings[current]! += 0.5;
  }

  #begin(readings: Float64Array): void {
    readings[this.#stack[this.#stack.length - 1]!]! += 0.5;
    this.#sinceMs = performance.now();
  }

  /** @returns what was found since start(), as sums over all iterations. */
  found(): Omit<ClockedRun, "wasmReadingNs" | "hostReadingNs"> {
    const table = (values: Float64Array) => byPhase((phase) => values[PHASE_IDS[phase]]!);
    return {
      counts: table(this.#counts),
      wasmReadings: table(this.#wasmReadings),
      hostReadings: table(this.#hostReadings),
      rawNs: table(this.#ns),
    };
  }
}

/** What an exit of the core says about the phase that the Host is in. */
const EXIT_PHASES: Readonly<Record<number, number>> = {
  [EXIT_HYPERCALL]: PHASE_HYPERCALL,
  [EXIT_SHADOW_FAULT]: PHASE_WALK,
  [EXIT_TRAP]: PHASE_TRAP,
};

/** A core of this thread that tells a clock of its phases, and the platform that guests on it take. */
export interface ClockedPlatform {
  readonly clock: PhaseClock;
  readonly platform: Platform;
  /** Marks `pairs` walks that take no time, from Wasm. */
  readonly markPairs: (pairs: number) => void;
}

/** Makes one; each takes an arena of the shared memory for good, so one is for many runs. */
export function createClockedPlatform(): ClockedPlatform {
  const clock = new PhaseClock();
  const image = { ...loadCoreImage(false), onPhase: (phase: number) => clock.mark(phase) };
  const plain = instantiateCore(image);
  const { run, resume } = plain.exports;
  const left = (reason: number): number => {
    const phase = EXIT_PHASES[reason];
    if (phase !== undefined) clock.markHost(phase);
    return reason;
  };
  const exports = {
    ...plain.exports,
    run: (vcpu: number, budget: number): number => {
      clock.resume();
      return left(run(vcpu, budget));
    },
    resume: (vcpu: number): number => {
      clock.resume();
      return left(resume(vcpu));
    },
  };
  const core = new Core(image.memory, exports);
  const platform = { ...createPlatform(loadCoreImage(false), digestState), core };
  return { clock, platform, markPairs: pairMarker(image.onPhase) };
}

/**
 * A Wasm module of one function that calls `onPhase(PHASE_WALK)` and `onPhase(PHASE_END)` in a loop: the core's way of calling, and
 * nothing else.
 */
function pairMarker(onPhase: (phase: number) => void): (pairs: number) => void {
  const [i32, call, local, end] = [0x7f, 0x10, 0, 0x0b];
  const constant = (value: number): number[] => [0x41, value];
  const body = [
    ...[0, 0x03, 0x40, ...constant(PHASE_WALK), call, 0, ...constant(PHASE_END), call, 0],
    ...[0x20, local, ...constant(1), 0x6b, 0x22, local, 0x0d, 0, end, end],
  ];
  const section = (id: number, content: number[]): number[] => [id, content.length, ...content];
  const bytes = [
    ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, [1, 0x60, 1, i32, 0]),
    ...section(2, [1, 1, 0x6d, 1, 0x66, 0, 0]),
    ...section(3, [1, 0]),
    ...section(7, [1, 1, 0x72, 0, 1]),
    ...section(10, [1, body.length, ...body]),
  ];
  const module = new WebAssembly.Module(new Uint8Array(bytes));
  const instance = new WebAssembly.Instance(module, { m: { f: onPhase } });
  return instance.exports.r as (pairs: number) => void;
}

/**
 * Runs one scenario, whose iterations take about `ns`, with the clock on.
 * @returns of the runs that nothing interrupted the faster half, because neighbours on the machine only slow down; at least one
 */
export function clockPhases(
  clocked: ClockedPlatform,
  kernel: Uint8Array,
  { abi, path }: BenchSystem,
  { name, period }: Scenario,
  ns: number,
): ClockedRun[] {
  const { clock, platform } = clocked;
  const iterations = Math.ceil(RUN_NS / ns / period) * period;
  const shorts = 1 + WARM_UPS;
  const fulls = CLOCKED_RUNS + WARM_UPS;
  const plan = `${name}:${period}*${shorts},${name}:${period + iterations}*${fulls}`;
  const found: ClockedRun[] = [];
  const guest = new BenchGuest(kernel, { abi, path, plan }, platform, {
    started: ({ vcpu }) => {
      const costs = calibrate(clocked);
      vcpu.setU32(VCPU_PHASES, 1);
      clock.start();
      found.push({ ...costs, ...clock.found() });
    },
    ended: ({ vcpu }) => {
      vcpu.setU32(VCPU_PHASES, 0);
      found.push({ ...found.pop()!, ...clock.found() });
    },
  });
  const cpuNs: number[] = [];
  try {
    for (let run = 0; run < shorts + fulls; run++) cpuNs.push(guest.next().cpuMs * 1e6);
  } finally {
    guest.dispose();
  }
  const short = found[shorts - 1]!;
  const { counts } = perIteration(found.at(-1)!, short, iterations);
  const runs = found
    .map((run, index) => ({ run, interrupted: total(run) / cpuNs[index]! }))
    .slice(shorts + WARM_UPS)
    .sort((a, b) => a.interrupted - b.interrupted);
  const quiet = runs.filter(({ interrupted }) => interrupted < INTERRUPTED);
  const chosen = (quiet.length > 0 ? quiet : runs.slice(0, 1))
    .map(({ run }) => ({ ...perIteration(run, short, iterations), counts }))
    .sort((a, b) => total(a) - total(b));
  const wasmReadingNs = lowerQuartile(found.map((run) => run.wasmReadingNs));
  const hostReadingNs = lowerQuartile(found.map((run) => run.hostReadingNs));
  return chosen
    .slice(0, Math.ceil(chosen.length / 2))
    .map((run) => ({ ...run, wasmReadingNs, hostReadingNs }));
}

/** The median of the faster half, as it is of the runs. */
function lowerQuartile(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 2]!;
}

/** What one reading costs at this moment: phases without any work, marked from Wasm and from the Host. */
function calibrate({ clock, markPairs }: ClockedPlatform): {
  wasmReadingNs: number;
  hostReadingNs: number;
} {
  clock.start();
  markPairs(CALIBRATION_PAIRS);
  const wasmReadingNs = total(clock.found()) / (2 * CALIBRATION_PAIRS);
  clock.start();
  for (let pair = 0; pair < CALIBRATION_PAIRS; pair++) {
    clock.markHost(PHASE_WALK);
    clock.resume();
  }
  return { wasmReadingNs, hostReadingNs: total(clock.found()) / (2 * CALIBRATION_PAIRS) };
}

function perIteration(run: ClockedRun, short: ClockedRun, iterations: number): ClockedRun {
  const less = (field: "counts" | "wasmReadings" | "hostReadings" | "rawNs") =>
    byPhase((phase) => (run[field][phase] - short[field][phase]) / iterations);
  return {
    ...run,
    counts: less("counts"),
    wasmReadings: less("wasmReadings"),
    hostReadings: less("hostReadings"),
    rawNs: less("rawNs"),
  };
}

function total({ rawNs }: Pick<ClockedRun, "rawNs">): number {
  return Object.values(rawNs).reduce((sum, ns) => sum + ns, 0);
}
