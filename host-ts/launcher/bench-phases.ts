/**
 * Where the time of a round trip goes. Two runs apart from the measured ones:
 *
 * - a stepped run, one instruction at a time, counts the guest's instructions by phase: exact;
 * - a clocked run, in which the core and the wrapped verbs of the Host tell a clock of every change of phase. Reading that clock costs
 *   about as much as a phase, so what it adds is taken off each reading: the difference between the clocked run and the measured one,
 *   divided by the number of readings, but no more than a reading costs by itself. What remains is scaled to the measured time.
 */
import {
  COUNTER_TRAPS,
  EXIT_HYPERCALL,
  EXIT_SHADOW_FAULT,
  EXIT_TRAP,
  PHASE_END,
  PHASE_GUEST,
  PHASE_HANDLER,
  PHASE_HYPERCALL,
  PHASE_REFLECT,
  PHASE_RETURN,
  PHASE_TRAP,
  PHASE_WALK,
  VCPU_PHASES,
} from "../../abi/vcpu.ts";
import { Core, instantiateCore } from "../base/core.ts";
import { loadCoreImage } from "../base/core-node.ts";
import type { Machine } from "../guest/machine.ts";
import type { Platform } from "../guest/platform.ts";
import { createPlatform } from "../guest/platform-node.ts";
import type { FaultPath } from "../lguest/trap-policy.ts";
import { digestState } from "../state/digest.ts";
import { BenchGuest } from "./bench-guest.ts";

/** Names of the phases, in the order in which a page fault goes through them. */
export const PHASES = [
  "guest access",
  "trap",
  "walk",
  "reflect or map",
  "guest handler",
  "hypercall",
  "return",
] as const;
export type PhaseName = (typeof PHASES)[number];

const NAMES: Readonly<Record<number, PhaseName>> = {
  [PHASE_GUEST]: "guest access",
  [PHASE_TRAP]: "trap",
  [PHASE_WALK]: "walk",
  [PHASE_REFLECT]: "reflect or map",
  [PHASE_HANDLER]: "guest handler",
  [PHASE_HYPERCALL]: "hypercall",
  [PHASE_RETURN]: "return",
};

/** One phase of one iteration. */
export interface Phase {
  readonly name: PhaseName;
  /** How often it begins. */
  readonly count: number;
  /** Guest instructions retired in it. */
  readonly instructions: number;
  readonly ns: number;
}

/**
 * What a clocked run found, per iteration: how often each phase began, how often the clock was read in it, and its raw time with what
 * reading costs.
 */
export interface ClockedRun {
  readonly counts: Readonly<Record<PhaseName, number>>;
  readonly readings: Readonly<Record<PhaseName, number>>;
  readonly rawNs: Readonly<Record<PhaseName, number>>;
  /** What one reading costs at most, as far as it falls into a phase: measured on the clock alone. */
  readonly readingNs: number;
}

/** Short runs, of which the least disturbed one counts: this clock is one of wall time. */
const CLOCKED_RUNS = 12;
const READINGS = 10_000;
/** A call from Wasm to JavaScript and back. */
const CALL_NS = 10;
const VECTORS = 256;
const OPCODE_INT = 0xcd;
const OPCODE_IRET = 0xcf;
const HYPERCALL_VECTOR = 0x1f;

/** The clock: sums of nanoseconds by phase, and what interrupts what. */
export class PhaseClock {
  readonly #ns = new Float64Array(PHASES.length);
  readonly #counts = new Float64Array(PHASES.length);
  readonly #readings = new Float64Array(PHASES.length);
  /** The phases that the present one interrupted; the first is the guest's own, or its handler's. */
  #stack: number[] = [PHASE_GUEST];
  #sinceMs = 0;

  /** Starts over, in the guest's own phase. */
  start(): void {
    this.#ns.fill(0);
    this.#counts.fill(0);
    this.#readings.fill(0);
    this.#stack = [PHASE_GUEST];
    this.#counts[PHASE_GUEST] = 1;
    this.#sinceMs = performance.now();
  }

  /** `phase` (PHASE_*) begins now. */
  mark(phase: number): void {
    this.#read();
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
    this.#sinceMs = performance.now();
  }

  /** The Host has done its part: the guest, or its handler, goes on. */
  resume(): void {
    if (this.#stack.length === 1) return;
    this.#read();
    this.#stack.length = 1;
    this.#sinceMs = performance.now();
  }

  #read(): void {
    const current = this.#stack[this.#stack.length - 1]!;
    this.#ns[current]! += (performance.now() - this.#sinceMs) * 1e6;
    this.#readings[current]! += 1;
  }

  /** @returns what was found since start(), per iteration of `iterations`. */
  found(iterations: number): ClockedRun {
    const table = (values: Float64Array) =>
      Object.fromEntries(
        Object.entries(NAMES).map(([id, name]) => [name, values[Number(id)]! / iterations]),
      ) as Record<PhaseName, number>;
    return {
      counts: table(this.#counts),
      readings: table(this.#readings),
      rawNs: table(this.#ns),
      readingNs: Number.POSITIVE_INFINITY,
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
}

/** Makes one; each takes an arena of the shared memory for good, so one is for many runs. */
export function createClockedPlatform(): ClockedPlatform {
  const clock = new PhaseClock();
  const image = { ...loadCoreImage(false), onPhase: (phase: number) => clock.mark(phase) };
  const plain = instantiateCore(image);
  const entering =
    (verb: (...args: number[]) => number) =>
    (...args: number[]): number => {
      clock.resume();
      const reason = verb(...args);
      const phase = EXIT_PHASES[reason];
      if (phase !== undefined) clock.mark(phase);
      return reason;
    };
  const exports = {
    ...plain.exports,
    run: entering(plain.exports.run as (...args: number[]) => number),
    resume: entering(plain.exports.resume as (...args: number[]) => number),
  };
  const core = new Core(image.memory, exports);
  return { clock, platform: { ...createPlatform(loadCoreImage(false), digestState), core } };
}

/** Runs one scenario with the clock on. @returns the least disturbed of several runs, per iteration. */
export function clockPhases(
  { clock, platform }: ClockedPlatform,
  kernel: Uint8Array,
  path: FaultPath,
  name: string,
  iterations: number,
): ClockedRun {
  const found: ClockedRun[] = [];
  const plan = `${name}:${iterations}*${CLOCKED_RUNS + 1}`;
  const guest = new BenchGuest(kernel, { path, plan }, platform, {
    started: ({ vcpu }) => {
      vcpu.setU32(VCPU_PHASES, 1);
      clock.start();
    },
    ended: ({ vcpu }) => {
      vcpu.setU32(VCPU_PHASES, 0);
      found.push(clock.found(iterations));
    },
  });
  try {
    for (let run = 0; run <= CLOCKED_RUNS; run++) guest.next();
  } finally {
    guest.dispose();
  }
  const best = found.reduce((least, each) => (total(each) < total(least) ? each : least));
  return { ...best, readingNs: readingCostNs(clock) };
}

/** The least that a phase without any work seems to take, with an allowance for the call out of Wasm. */
function readingCostNs(clock: PhaseClock): number {
  const costs = Array.from({ length: 9 }, () => {
    clock.start();
    for (let reading = 0; reading < READINGS; reading++) clock.mark(PHASE_HANDLER);
    return total(clock.found(READINGS));
  });
  return Math.min(...costs) + CALL_NS;
}

function total({ rawNs }: ClockedRun): number {
  return sum(Object.values(rawNs));
}

/** Steps through one scenario. @returns guest instructions per iteration by phase. */
export function countByPhase(
  kernel: Uint8Array,
  name: string,
  iterations: number,
): Readonly<Record<PhaseName, number>> {
  const platform = createPlatform(loadCoreImage(false), digestState);
  const runs: Record<PhaseName, number>[] = [];
  let stepper: Stepper | undefined;
  const guest = new BenchGuest(
    kernel,
    { path: "switcher", plan: `${name}:0,${name}:${iterations}` },
    platform,
    {
      started: (machine) => {
        stepper = new Stepper(machine);
      },
      ended: () => runs.push(stepper!.end()),
    },
  );
  try {
    guest.next();
    guest.next();
  } finally {
    guest.dispose();
  }
  const [empty, full] = runs;
  return byPhase((phase) => (full![phase] - empty![phase]) / iterations);
}

/** Has a machine run one instruction at a time, and says which phase each belongs to. */
class Stepper {
  readonly #machine: Machine;
  readonly #counts = byPhase(() => 0);
  #isInHandler = false;
  #traps: number;
  #retired: number;
  #opcode = 0;
  #operand = 0;

  constructor(machine: Machine) {
    this.#machine = machine;
    this.#traps = this.#delivered();
    this.#retired = machine.vcpu.retired;
    this.#look();
    machine.nextBudget = () => {
      this.#account();
      this.#look();
      return 1;
    };
  }

  /** Lets the machine run freely again. @returns what was counted. */
  end(): Record<PhaseName, number> {
    this.#account();
    Reflect.deleteProperty(this.#machine, "nextBudget");
    return this.#counts;
  }

  #delivered(): number {
    let delivered = 0;
    for (let vector = 0; vector < VECTORS; vector++) {
      delivered += this.#machine.vcpu.counter(COUNTER_TRAPS + 8 * vector);
    }
    return delivered;
  }

  /** Remembers the instruction that comes next. The bench guest runs where it is loaded: code is at its physical address. */
  #look(): void {
    const { memory, vcpu } = this.#machine;
    this.#opcode = memory.readU8(vcpu.eip);
    this.#operand = memory.readU8(vcpu.eip + 1);
  }

  /** One instruction retired since the last look, unless the Host was at work in between. */
  #account(): void {
    const { retired } = this.#machine.vcpu;
    const traps = this.#delivered();
    const trapped = traps !== this.#traps;
    const steps = retired - this.#retired;
    this.#traps = traps;
    this.#retired = retired;
    if (steps === 0) return;
    const isCall = this.#opcode === OPCODE_INT && !trapped && this.#operand === HYPERCALL_VECTOR;
    const isSoftware = trapped && this.#opcode === OPCODE_INT;
    const isReturn = this.#opcode === OPCODE_IRET && !trapped;
    // A fault retires nothing: what did retire is the handler's first instruction.
    if (trapped && !isSoftware) this.#isInHandler = true;
    if (isCall) this.#counts.hypercall += steps;
    else if (isReturn) this.#counts.return += steps;
    else this.#counts[this.#isInHandler ? "guest handler" : "guest access"] += steps;
    if (isSoftware) this.#isInHandler = true;
    if (isReturn) this.#isInHandler = false;
  }
}

/**
 * Puts both runs together with the measured time.
 * @returns phases whose times add up to `ns`, without those that neither happen nor cost anything
 */
export function attribute(
  clocked: ClockedRun,
  instructions: Readonly<Record<PhaseName, number>>,
  ns: number,
): Phase[] {
  const readings = sum(Object.values(clocked.readings));
  const excess = readings === 0 ? 0 : Math.max(0, total(clocked) - ns) / readings;
  const perReading = Math.min(excess, clocked.readingNs);
  const net = byPhase((phase) =>
    Math.max(0, clocked.rawNs[phase] - clocked.readings[phase] * perReading),
  );
  const scale = ns / (sum(Object.values(net)) || 1);
  return PHASES.map((name) => ({
    name,
    count: clocked.counts[name],
    instructions: instructions[name],
    ns: net[name] * scale,
  })).filter(({ count, instructions }) => count > 0.0005 || instructions > 0);
}

function byPhase(value: (phase: PhaseName) => number): Record<PhaseName, number> {
  return Object.fromEntries(PHASES.map((phase) => [phase, value(phase)])) as Record<
    PhaseName,
    number
  >;
}

function sum(values: readonly number[]): number {
  return values.reduce((all, value) => all + value, 0);
}
