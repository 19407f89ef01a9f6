/** Enters the core for the vCPU whose turn it is, and says by table what each exit means. */

import {
  EXIT_BUDGET,
  EXIT_FERR,
  EXIT_HALT,
  EXIT_HYPERCALL,
  EXIT_INTERRUPT_WINDOW,
  EXIT_IO_IN,
  EXIT_IO_OUT,
  EXIT_KILL,
  EXIT_LIVELOCK,
  EXIT_MMIO_READ,
  EXIT_MMIO_WRITE,
  EXIT_MSR,
  EXIT_OUT_OF_MEMORY,
  EXIT_SHADOW_FAULT,
  EXIT_TRAP,
  EXIT_TRIPLE_FAULT,
  VCPU_BUDGET,
  VCPU_MMIO_COUNT,
  VCPU_MMIO_VALUES,
} from "../../abi/vcpu.ts";
import { REG_EAX } from "../../abi/x86.ts";
import { BugError } from "../base/errors.ts";
import { EXHAUSTED_REASON } from "../base/guest-memory.ts";
import type { Personality, PersonalityHost } from "../base/personality.ts";
import type { Profiler } from "./profiler.ts";

type Handler = (vcpu: Vcpu) => void;

/** A guest that only takes traps retires nothing; its clock must move all the same, or no timer would ever end that. */
const LIVELOCK_NS = 1_000_000;

/** Exit reasons by EXIT_*: the name for statistics, and what the Host does. */
export const EXITS: Readonly<Record<number, { readonly name: string; readonly handle: Handler }>> =
  {
    [EXIT_BUDGET]: { name: "budget", handle: () => {} },
    [EXIT_HYPERCALL]: { name: "hypercall", handle: (v) => v.personality.requestHypercalls() },
    [EXIT_TRAP]: { name: "trap", handle: trap },
    [EXIT_HALT]: { name: "halt", handle: (v) => v.personality.halt() },
    [EXIT_IO_IN]: { name: "io-in", handle: ioIn },
    [EXIT_IO_OUT]: { name: "io-out", handle: ioOut },
    [EXIT_MMIO_READ]: { name: "mmio-read", handle: mmioRead },
    [EXIT_MMIO_WRITE]: { name: "mmio-write", handle: mmioWrite },
    [EXIT_KILL]: { name: "kill", handle: (v) => v.host.killFromCore() },
    [EXIT_TRIPLE_FAULT]: { name: "triple-fault", handle: tripleFault },
    [EXIT_INTERRUPT_WINDOW]: { name: "interrupt-window", handle: () => {} },
    [EXIT_OUT_OF_MEMORY]: { name: "out-of-memory", handle: outOfMemory },
    [EXIT_LIVELOCK]: { name: "livelock", handle: livelock },
    [EXIT_SHADOW_FAULT]: { name: "shadow-fault", handle: shadowFault },
    [EXIT_FERR]: { name: "ferr", handle: (v) => v.personality.coprocessorError?.() },
    [EXIT_MSR]: { name: "msr", handle: (v) => v.host.kill("access to an unknown MSR") },
  };

/** The vCPUs of one guest, as one after the other has its turn. */
export class Vcpu {
  readonly host: PersonalityHost;
  readonly personality: Personality;

  readonly #profiler: Profiler | undefined;

  constructor(host: PersonalityHost, personality: Personality, profiler?: Profiler) {
    this.host = host;
    this.personality = personality;
    this.#profiler = profiler;
  }

  /** Runs the guest for at most `budget` instructions and acts upon what made it come back. */
  enter(budget: number): void {
    const reason = this.#profiler === undefined ? this.#run(budget) : this.#runSampled(budget);
    const exit = EXITS[reason];
    if (exit === undefined) throw new BugError(`the core left with unknown reason ${reason}`);
    exit.handle(this);
  }

  #run(budget: number): number {
    return this.personality.run?.(budget) ?? this.host.core.exports.run(this.host.vcpu.ptr, budget);
  }

  /** The same slice in pieces: nothing but a look from outside comes between them, so the guest runs as it would unwatched. */
  #runSampled(budget: number): number {
    const { host } = this;
    const { vcpu } = host;
    const end = vcpu.retired + budget;
    const profiler = this.#profiler!;
    let reason = this.#run(Math.min(budget, profiler.look(host)));
    while (reason === EXIT_BUDGET) {
      const untilSample = profiler.look(host);
      const left = end - vcpu.retired;
      if (left <= 0) break;
      const piece = Math.min(left, untilSample);
      reason = this.personality.run?.(piece) ?? goOn(host, piece);
    }
    return reason;
  }
}

/** Continues a slice whose budget was cut short. */
function goOn({ core, vcpu }: PersonalityHost, budget: number): number {
  vcpu.setU32(VCPU_BUDGET, budget);
  return core.exports.resume(vcpu.ptr);
}

function trap({ host: { vcpu }, personality }: Vcpu): void {
  personality.trap(vcpu.exitArg(0), vcpu.exitArg(1), vcpu.exitArg(2));
}

function shadowFault(): never {
  throw new BugError("a TLB miss left to a personality that does not fill it");
}

function ioIn({ host: { vcpu }, personality }: Vcpu): void {
  const size = vcpu.exitArg(1);
  const value = personality.ioRead(vcpu.exitArg(0), size);
  if (vcpu.exitArg(2) !== 0) {
    // INS stores the value itself when it is executed again.
    appendMmio(vcpu, value, 0);
    return;
  }
  const mask = size === 4 ? 0xffffffff : 2 ** (8 * size) - 1;
  vcpu.setGpr(REG_EAX, ((vcpu.gpr(REG_EAX) & ~mask) | (value & mask)) >>> 0);
}

function ioOut({ host: { vcpu }, personality }: Vcpu): void {
  personality.ioWrite(vcpu.exitArg(0), vcpu.exitArg(1), vcpu.exitArg(2));
}

/** Devices are 32 bits wide: a 64-bit access is two of them, low half first. */
function mmioRead({ host: { vcpu }, personality }: Vcpu): void {
  const gpa = vcpu.exitArg(0);
  const size = vcpu.exitArg(1);
  const low = personality.mmioRead(gpa, Math.min(size, 4));
  const high = size === 8 ? personality.mmioRead(gpa + 4, 4) : 0;
  appendMmio(vcpu, low, high);
}

function mmioWrite({ host: { vcpu }, personality }: Vcpu): void {
  const gpa = vcpu.exitArg(0);
  const size = vcpu.exitArg(1);
  personality.mmioWrite(gpa, Math.min(size, 4), vcpu.exitArg(2));
  if (size === 8) personality.mmioWrite(gpa + 4, 4, vcpu.exitArg(3));
  appendMmio(vcpu, 0, 0);
}

/** The access is done; the instruction finds its result in the queue when it is executed again. */
function appendMmio(vcpu: Vcpu["host"]["vcpu"], low: number, high: number): void {
  const count = vcpu.u32(VCPU_MMIO_COUNT);
  vcpu.setU32(VCPU_MMIO_VALUES + 8 * count, low);
  vcpu.setU32(VCPU_MMIO_VALUES + 8 * count + 4, high);
  vcpu.setU32(VCPU_MMIO_COUNT, count + 1);
}

function tripleFault({ host, personality }: Vcpu): void {
  if (personality.tripleFault === undefined) host.kill("triple fault");
  else personality.tripleFault();
}

function outOfMemory({ host }: Vcpu): void {
  host.kill(EXHAUSTED_REASON);
}

function livelock({ host }: Vcpu): void {
  host.clock.jumpTo(host.clock.nowNs + LIVELOCK_NS);
  host.endTurn();
}
