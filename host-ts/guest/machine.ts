/**
 * One life of a guest: its memory, vCPUs, clock, devices and personality, built in order and taken down in reverse. A reboot
 * is a new Machine from the same configuration.
 */

import { PAGE_BITS } from "../../abi/memory.ts";
import {
  EXIT_KILL,
  EXIT_OUT_OF_MEMORY,
  EXIT_TRIPLE_FAULT,
  KILL_BAD_READ,
  KILL_BAD_WRITE,
  NMI_PENDING,
  POLICY_LGUEST,
  POLICY_NATIVE,
  POLICY_XEN,
  VCPU_CHAOS,
  VCPU_CHAOS_SEED,
  VCPU_MMIO_COUNT,
  VCPU_NMI,
  VCPU_NMI_NEXT,
} from "../../abi/vcpu.ts";
import type { Core } from "../base/core.ts";
import { assertHost, OutOfMemoryError } from "../base/errors.ts";
import { EXHAUSTED_REASON, FrameMemory } from "../base/guest-memory.ts";
import type { StampedInput } from "../base/inputs.ts";
import type { GuestEndKind, Personality, PersonalityHost } from "../base/personality.ts";
import type { VirtioDevice } from "../base/ports.ts";
import { GuestClock, Timers } from "../base/time.ts";
import { Unwinder } from "../base/unwind.ts";
import { VcpuBlock } from "../base/vcpu-block.ts";
import type { GuestConfig } from "./config.ts";
import { createDevices, createPersonality, type MachineParts } from "./machine-parts.ts";
import { CPUS } from "./options.ts";
import { Scheduler } from "./scheduler.ts";
import { Vcpu } from "./vcpu.ts";

const POLICIES: Readonly<Record<GuestConfig["abi"], number>> = {
  lguest: POLICY_LGUEST,
  bare: POLICY_NATIVE,
  "xen-pv": POLICY_XEN,
};

/** Numbers that hypercalls have at most. */
const MAX_CALLS = 64;

/** How a life ended. "deadlocked": halted, with no timer and nothing left that could wake it. */
export interface Death {
  readonly kind: GuestEndKind | "killed";
  readonly reason: string;
  /** With kind "exit": what the guest's process exits with, 0-255. */
  readonly exitCode?: number | undefined;
}

/** One life of a guest. */
export class Machine implements PersonalityHost {
  readonly core: Core;
  readonly guest: number;
  readonly vcpus: readonly [VcpuBlock, ...VcpuBlock[]];
  /** The vCPU whose turn it is: only schedule() changes it. */
  vcpu: VcpuBlock;
  readonly memory: FrameMemory;
  readonly clock: GuestClock;
  readonly timers = new Timers();
  readonly devices: readonly VirtioDevice[];
  readonly personality: Personality;
  readonly vcpuRunner: Vcpu;
  /** Calls performed by the Host, by number. */
  readonly hostCalls = new Float64Array(MAX_CALLS);
  readonly #config: GuestConfig;
  readonly #parts: MachineParts;
  readonly #unwinder = new Unwinder();
  readonly #scheduler: Scheduler;
  #death: Death | undefined;
  #turnEndNs: number | undefined;

  /** Throws ConfigError, ImageError or OutOfMemoryError; whatever was built by then is taken down again. */
  constructor(config: GuestConfig, parts: MachineParts) {
    this.#config = config;
    this.#parts = parts;
    this.core = parts.core;
    try {
      const verbs = parts.core.exports;
      this.guest = verbs.guestCreate(config.memoryBytes >>> PAGE_BITS) >>> 0;
      if (this.guest === 0) throw outOfMemory(config.memoryBytes);
      this.#unwinder.push(() => verbs.guestDestroy(this.guest));
      const first = this.#createVcpu();
      this.vcpus = [first, ...Array.from({ length: config.vcpus - 1 }, () => this.#createVcpu())];
      this.vcpu = first;
      this.#scheduler = new Scheduler(this.vcpus);
      this.memory = new FrameMemory(
        parts.core,
        this.guest,
        config.memoryBytes,
        (kind, gpa, length) => this.#killBadAccess(kind, gpa, length),
      );
      this.clock = new GuestClock(this.vcpus, config, parts.hostMs);
      this.#setDebug();
      this.devices = createDevices(config, parts);
      this.personality = createPersonality(this, config, parts);
      this.#unwinder.push(() => this.personality.dispose?.());
      assertHost(this.#death === undefined, "building a domain does not kill it");
      this.vcpuRunner = new Vcpu(this, this.personality, parts.profiler);
    } catch (error) {
      this.#unwinder.run();
      throw error;
    }
  }

  /** Gives the guest's memory back; the machine must not be used afterwards. */
  dispose(): void {
    this.#unwinder.run();
  }

  get isDead(): boolean {
    return this.#death !== undefined;
  }

  /** How it died; undefined while it lives. */
  get death(): Death | undefined {
    return this.#death;
  }

  kill(reason: string): void {
    this.#death ??= { kind: "killed", reason };
  }

  killFromCore(): void {
    const { exitReason } = this.vcpu;
    if (exitReason === EXIT_TRIPLE_FAULT && this.personality.tripleFault !== undefined) {
      this.personality.tripleFault();
      return;
    }
    if (exitReason === EXIT_OUT_OF_MEMORY) {
      this.kill(EXHAUSTED_REASON);
      return;
    }
    const isKill = exitReason === EXIT_KILL;
    const [code = 0, ...args] = [0, 1, 2, 3, 4].map((index) => this.vcpu.exitArg(index));
    this.kill(isKill ? this.personality.killText(code, args) : "a trap could not be delivered");
  }

  end(kind: GuestEndKind, message: string, exitCode?: number): void {
    this.#death ??= { kind, reason: message, exitCode };
  }

  print(bytes: Uint8Array): void {
    this.#parts.console.write(bytes);
  }

  notifyLauncher(address: number): void {
    this.#parts.onNotify(address);
  }

  endTurn(): void {
    this.#scheduler.endTurn(this.clock.retired);
  }

  countHypercall(number: number): void {
    this.hostCalls[number]! += 1;
  }

  /** Takes what the outside world and the clock have to say: the only place where news enters. */
  takeNews(): void {
    this.clock.sync();
    const inputs = this.#parts.inputs.take(this.clock.retired, this.clock);
    for (const name of this.timers.takeDue(this.clock.nowNs)) this.personality.timerExpired(name);
    if (this.#instructionsUntilNmi === 0) {
      const next = this.vcpu.u64(VCPU_NMI_NEXT) + BigInt(this.#config.nmiEvery ?? 0);
      this.vcpu.setU64(VCPU_NMI_NEXT, next);
      this.raiseNmi(this.vcpu);
    }
    for (const input of inputs) {
      if (input.kind === "nmi") {
        this.raiseNmi(this.vcpus[Number(input.data[0])] ?? this.vcpus[0]);
        continue;
      }
      const device = this.devices.find((each) => each.name === input.device);
      if (device === undefined) this.personality.receive?.(input);
      else device.receive(input);
    }
  }

  /** Whose turn it is and until when; undefined with one vCPU, which takes no turns. */
  get turn(): Record<string, number> | undefined {
    return this.vcpus.length === 1 ? undefined : { vcpu: this.vcpu.id, ...this.#scheduler.save() };
  }

  /** Between two instructions: chooses the vCPU whose turn it is. */
  schedule(): void {
    if (this.vcpus.length === 1) return;
    const isReady = (vcpu: VcpuBlock) => this.#isReady(vcpu);
    const next = this.#scheduler.choose(this.vcpu, this.clock.retired, isReady);
    if (next === this.vcpu) return;
    const before = this.vcpu;
    this.clock.switchTo(next);
    this.vcpu = next;
    this.personality.turnPassed?.(before);
  }

  nudge(): void {
    this.#parts.inputs.nudge();
  }

  raiseNmi(vcpu: VcpuBlock): void {
    vcpu.setU32(VCPU_NMI, vcpu.u32(VCPU_NMI) | NMI_PENDING);
  }

  /**
   * The vCPU whose turn it is, and thereby every one, is halted: says until when it sleeps, after a second look. Virtual time jumps to the next timer instead of
   * sleeping, unless the guest is on a network whose peers take real time to answer. A guest that nothing can wake any more
   * is dead.
   */
  sleepUntil(): "awake" | { readonly untilNs: number | undefined } {
    const { inputs } = this.#parts;
    this.#parts.onHalted?.();
    if (this.vcpus.some((vcpu) => this.#isReady(vcpu)) || inputs.hasWaiting) return "awake";
    const timerNs = this.timers.nextNs();
    const stamp = inputs.nextStamp();
    if (this.#turnEndNs !== undefined) return this.#napInTurn(timerNs, stamp);
    if (stamp !== undefined && stamp.atInstruction <= this.clock.retired) {
      if (timerNs !== undefined && timerNs <= stamp.atNs) this.clock.jumpTo(timerNs);
      return "awake";
    }
    // A machine like that did not end itself, so it was told to wait for an NMI.
    if (this.personality.isStuck) return { untilNs: undefined };
    const isAlone = this.#config.net.every((port) => port.peer !== undefined);
    if (timerNs !== undefined && this.clock.isVirtual && isAlone) {
      this.clock.jumpTo(timerNs);
      return "awake";
    }
    const hasNeighbours = (this.#parts.xenMachine?.size ?? 0) > 1;
    if (timerNs === undefined && !inputs.hasSources && !hasNeighbours) {
      this.giveUp();
      return "awake";
    }
    return { untilNs: timerNs };
  }

  /** Nothing can wake it any more: it is dead. */
  giveUp(): void {
    const reason = "halted with no timer, and nothing is left that could wake it";
    this.#death ??= { kind: "deadlocked", reason };
  }

  /** Guests that go in step: guest time at which this one's turn ends, undefined for a guest that goes alone. */
  setTurnEnd(ns: number | undefined): void {
    this.#turnEndNs = ns;
  }

  /** Whether its turn among guests that go in step is over. */
  get isTurnOver(): boolean {
    return this.#turnEndNs !== undefined && this.clock.nowNs >= this.#turnEndNs;
  }

  /** In its turn a guest sleeps only until it ends: others may do something for it then. */
  #napInTurn(
    timerNs: number | undefined,
    stamp: StampedInput | undefined,
  ): "awake" | { readonly untilNs: number | undefined } {
    const isNow = stamp !== undefined && stamp.atInstruction <= this.clock.retired;
    const wakesNs = [timerNs, isNow ? stamp.atNs : undefined].filter((ns) => ns !== undefined);
    if (wakesNs.length === 0) return { untilNs: undefined };
    const untilNs = Math.min(...wakesNs);
    if (untilNs > this.#turnEndNs!) return { untilNs };
    this.clock.jumpTo(untilNs);
    return "awake";
  }

  /** The guest slept: virtual time moves by what passed outside, but not past the timer it slept for. */
  wakeAfter(elapsedMs: number, untilNs: number | undefined): void {
    if (!this.clock.isVirtual || untilNs === undefined) return;
    this.clock.jumpTo(Math.min(untilNs, this.clock.nowNs + Math.floor(elapsedMs * 1e6)));
  }

  /** Whether the Host performed device accesses for an instruction that has yet to be executed again. */
  get isMidInstruction(): boolean {
    return this.vcpu.u32(VCPU_MMIO_COUNT) !== 0;
  }

  /** Console input that the guest has not taken yet. */
  get pendingInputBytes(): number {
    const inDevices = this.devices.reduce(
      (sum, device) => sum + (device.pendingInputBytes ?? 0),
      this.personality.pendingInputBytes ?? 0,
    );
    return this.#parts.inputs.waitingConsoleBytes + inDevices;
  }

  /** Instructions to run before the Host must look again. */
  nextBudget(): number {
    if (this.isMidInstruction) return 1;
    const { sliceInstructions } = this.#config;
    let budget = Math.min(sliceInstructions, this.personality.sliceLimit);
    if (this.vcpus.length > 1)
      budget = Math.min(budget, this.#scheduler.instructionsLeft(this.clock.retired));
    budget = Math.min(budget, this.#instructionsUntilNmi);
    const timer = this.timers.nextNs();
    if (timer !== undefined) budget = Math.min(budget, this.clock.instructionsUntil(timer));
    const stamp = this.#parts.inputs.nextStamp();
    if (this.#turnEndNs !== undefined)
      budget = Math.min(budget, this.clock.instructionsUntil(this.#turnEndNs));
    if (stamp !== undefined)
      budget = Math.min(budget, Math.max(1, stamp.atInstruction - this.clock.retired));
    return budget;
  }

  /** Of the periodic NMI, Infinity when there is none. */
  get #instructionsUntilNmi(): number {
    if (this.#config.nmiEvery === undefined) return Number.POSITIVE_INFINITY;
    return Math.max(0, Number(this.vcpu.u64(VCPU_NMI_NEXT)) - this.vcpu.retired);
  }

  #killBadAccess(kind: "read" | "write" | "exhausted", gpa: number, length: number): void {
    if (kind === "exhausted") {
      // While the guest is being built this is the embedder's business, not yet a death.
      if (this.vcpuRunner === undefined) throw outOfMemory(this.#config.memoryBytes);
      this.kill(EXHAUSTED_REASON);
      return;
    }
    const code = kind === "read" ? KILL_BAD_READ : KILL_BAD_WRITE;
    this.kill(this.personality.killText(code, [gpa, length]));
  }

  #isReady(vcpu: VcpuBlock): boolean {
    return !this.personality.isHalted(vcpu) || this.personality.canWake(vcpu);
  }

  #createVcpu(): VcpuBlock {
    const { abi, cpu, memoryBytes } = this.#config;
    const verbs = this.core.exports;
    const ptr = verbs.vcpuCreate(this.guest, POLICIES[abi]) >>> 0;
    if (ptr === 0) throw outOfMemory(memoryBytes);
    this.#unwinder.push(() => verbs.vcpuDestroy(ptr));
    verbs.vcpuSetModel(ptr, CPUS[cpu]);
    return new VcpuBlock(this.core, ptr);
  }

  #setDebug(): void {
    const { nmiEvery = 0, debug } = this.#config;
    const { chaosSeed } = debug;
    for (const vcpu of this.vcpus) {
      vcpu.setU64(VCPU_NMI_NEXT, BigInt(nmiEvery));
      vcpu.setU32(VCPU_CHAOS, chaosSeed === 0 ? 0 : 1);
      vcpu.setU32(VCPU_CHAOS_SEED, chaosSeed);
    }
  }
}

function outOfMemory(memoryBytes: number): OutOfMemoryError {
  return new OutOfMemoryError(`no room for a guest of ${memoryBytes} bytes in the shared memory`);
}
