/**
 * Which vCPUs of a domain have been given registers to begin with, and which are up. Only those get turns.
 * Source: Xen's public vcpu.h.
 */
import { VCPU_HALTED } from "../../abi/vcpu.ts";
import { SHUTDOWN_POWEROFF, XEN_EEXIST, XEN_EINVAL } from "../../abi/xen.ts";
import type { PersonalityHost } from "../base/personality.ts";
import type { VcpuBlock } from "../base/vcpu-block.ts";
import { coreDeathText } from "./kill-reasons.ts";
import { loadContext } from "./vcpu-context.ts";

/** What it needs of a domain. */
export interface VcpusDomain {
  readonly host: PersonalityHost;
  readonly shutDown: (reason: number) => number | undefined;
}

/** "none": without registers. "set": they wait for the first turn, segments not loaded. "ran": it was up once. */
type Context = "none" | "set" | "ran";

interface State {
  context: Context;
  isUp: boolean;
  /** While it is down: whether it waits for an event once it is up. */
  isBlocked: boolean;
}

/** See the file header. */
export class Vcpus {
  readonly #domain: VcpusDomain;
  #states: State[];

  /** The first vCPU is up, the others wait for the guest to bring them up. */
  constructor(domain: VcpusDomain) {
    this.#domain = domain;
    this.#states = domain.host.vcpus.map((_, id) => ({
      context: id === 0 ? "ran" : "none",
      isUp: id === 0,
      isBlocked: false,
    }));
  }

  /** VCPUOP_is_up. */
  isUp({ id }: VcpuBlock): boolean {
    return this.#states[id]!.isUp;
  }

  /** Whether it has page tables. */
  isInitialised({ id }: VcpuBlock): boolean {
    return this.#states[id]!.context !== "none";
  }

  /** Whether a vCPU waits for an event, also one that is down. */
  isBlocked(vcpu: VcpuBlock): boolean {
    return this.isUp(vcpu) ? vcpu.u32(VCPU_HALTED) !== 0 : this.#states[vcpu.id]!.isBlocked;
  }

  /** VCPUOP_initialise with a context of VGC_BYTES. @returns 0 or a negative errno, nothing changed then. */
  initialise(vcpu: VcpuBlock, context: DataView): number {
    const state = this.#states[vcpu.id]!;
    if (state.context !== "none") return -XEN_EEXIST;
    const error = loadContext(this.#domain.host, vcpu, context);
    if (error === 0) state.context = "set";
    return error;
  }

  /** VCPUOP_up. @returns 0, or -EINVAL for one without a context. */
  bringUp(vcpu: VcpuBlock): number {
    const { host } = this.#domain;
    const state = this.#states[vcpu.id]!;
    if (state.context === "none") return -XEN_EINVAL;
    if (!this.start(vcpu)) {
      const [code = 0, ...args] = [0, 1, 2, 3].map((index) => vcpu.exitArg(index));
      host.kill(coreDeathText(code, args));
    }
    return 0;
  }

  /** Brings up a vCPU that has a context. @returns false with EXIT_KILL recorded when it cannot begin where that says. */
  start(vcpu: VcpuBlock): boolean {
    const { host } = this.#domain;
    const state = this.#states[vcpu.id]!;
    if (state.isUp) return true;
    state.isUp = true;
    vcpu.setU32(VCPU_HALTED, state.isBlocked ? 1 : 0);
    const isFirst = state.context === "set";
    state.context = "ran";
    return !isFirst || host.core.exports.xenStart(vcpu.ptr) !== 0;
  }

  /** All of them are as if they had never been: a domain that is restored brings its own. */
  clear(): void {
    for (const [id, vcpu] of this.#domain.host.vcpus.entries()) {
      this.#states[id] = { context: "none", isUp: false, isBlocked: false };
      vcpu.setU32(VCPU_HALTED, 1);
    }
  }

  /** VCPUOP_down: with the last one goes the domain. @returns 0. */
  takeDown(vcpu: VcpuBlock): number {
    const others = this.#domain.host.vcpus.filter((other) => other !== vcpu);
    if (!others.some((other) => this.isUp(other))) {
      this.#domain.shutDown(SHUTDOWN_POWEROFF);
      return 0;
    }
    const state = this.#states[vcpu.id]!;
    if (!state.isUp) return 0;
    state.isBlocked = this.isBlocked(vcpu);
    state.isUp = false;
    vcpu.setU32(VCPU_HALTED, 1);
    return 0;
  }

  /** A vCPU that is down waits for nothing any more. */
  unblock({ id }: VcpuBlock): void {
    this.#states[id]!.isBlocked = false;
  }

  save(): Record<string, unknown> {
    return { states: structuredClone(this.#states) };
  }

  restore(state: Record<string, unknown>): void {
    this.#states = structuredClone(state.states as State[]);
  }
}
