/** Counts the guest's instructions by phase: a run of its own, one instruction at a time. */
import { LGUEST_TRAP_ENTRY } from "../../abi/lguest.ts";
import { COUNTER_TRAPS } from "../../abi/vcpu.ts";
import { TRAP_HYPERCALL } from "../../abi/xen.ts";
import { loadCoreImage } from "../base/core-node.ts";
import { readLinear } from "../guest/linear-memory.ts";
import type { Machine } from "../guest/machine.ts";
import { createPlatform } from "../guest/platform-node.ts";
import { digestState } from "../state/digest.ts";
import { BenchGuest } from "./bench-guest.ts";
import { byPhase, type PhaseName } from "./bench-phases.ts";
import type { Scenario } from "./bench-scenarios.ts";
import type { BenchSystem } from "./bench-systems.ts";

const VECTORS = 256;
const OPCODE_INT = 0xcd;
const OPCODE_IRET = 0xcf;
/** Vectors of the paravirtual calls. */
const CALL_VECTORS: readonly number[] = [LGUEST_TRAP_ENTRY, TRAP_HYPERCALL];

/** Steps through one scenario. @returns guest instructions per iteration by phase, exact. */
export function countByPhase(
  kernel: Uint8Array,
  { abi }: Pick<BenchSystem, "abi">,
  { name, period }: Scenario,
  iterations: number,
): Readonly<Record<PhaseName, number>> {
  const platform = createPlatform(loadCoreImage(false), digestState);
  const runs: Record<PhaseName, number>[] = [];
  let stepper: Stepper | undefined;
  const guest = new BenchGuest(
    kernel,
    { abi, path: "switcher", plan: `${name}:${period}*2,${name}:${period + iterations}` },
    platform,
    {
      started: (machine) => {
        stepper = new Stepper(machine);
      },
      ended: () => runs.push(stepper!.end()),
    },
  );
  try {
    for (let run = 0; run < 3; run++) guest.next();
  } finally {
    guest.dispose();
  }
  const [, empty, full] = runs;
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

  /** Remembers the instruction that comes next. */
  #look(): void {
    const [opcode = 0, operand = 0] = readLinear(this.#machine, this.#machine.vcpu.eip, 2);
    this.#opcode = opcode;
    this.#operand = operand;
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
    const isCall = this.#opcode === OPCODE_INT && !trapped && CALL_VECTORS.includes(this.#operand);
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
