/**
 * Samples of where a guest is, taken from outside at exact instruction counts. The guest cannot tell: a sample ends no slice of the run
 * loop, writes nothing, and walks the guest's tables without marking them.
 */

import { VCPU_CPL, VCPU_CR3 } from "../../abi/vcpu.ts";
import { REG_EBP, SEG_CS, SEG_SS } from "../../abi/x86.ts";
import type { VcpuBlock } from "../base/vcpu-block.ts";
import { type Observed, readLinear } from "./linear-memory.ts";

/** A place where samples found the guest, and how many did. */
export interface ProfileSample {
  /** Linear addresses: the instruction that would have run next, then return addresses outwards, where stacks were asked for. */
  readonly frames: readonly number[];
  /** Privilege level, 0-3: the kernel's is 0 or 1, a program's 3. */
  readonly cpl: number;
  /** CR3: tells address spaces apart. */
  readonly directory: number;
  readonly count: number;
}

/** What a profiled guest did, by instructions; a halted guest executes none and is not sampled. */
export interface Profile {
  /** Each sample stands for this many instructions of one vCPU. */
  readonly everyInstructions: number;
  /** By place, in the order in which each was met first. */
  readonly samples: readonly ProfileSample[];
  /** Indices into `samples` in the order in which they were taken, all vCPUs together; the first million. */
  readonly order: Uint32Array;
}

/** What the profiler is told. */
export interface ProfilerSettings {
  readonly everyInstructions: number;
  readonly stackDepth: number;
}

const ORDER_MAX = 1_000_000;
/** Places remembered; a guest of many programs and deep stacks has more, which then count for their innermost frame's page. */
const PLACES_MAX = 1 << 17;
const PAGE_MASK = 0xfffff000;
/** A frame further up than this is no frame of the same stack. */
const FRAME_MAX_BYTES = 0x10000;
const WORD_BYTES = 4;

/** Collects the samples of one guest, over all its lives. */
export class Profiler {
  readonly #settings: ProfilerSettings;
  readonly #samples: { -readonly [Key in keyof ProfileSample]: ProfileSample[Key] }[] = [];
  readonly #places = new Map<string, number>();
  readonly #order: number[] = [];
  /** By vCPU of the current life: its count of instructions at which the next sample is due. */
  readonly #due = new WeakMap<VcpuBlock, number>();

  constructor(settings: ProfilerSettings) {
    this.#settings = settings;
  }

  /** Takes the sample that is due, if one is. @returns instructions until the next one, at least 1. */
  look(machine: Observed): number {
    const { vcpu } = machine;
    const { everyInstructions } = this.#settings;
    const { retired } = vcpu;
    let due = this.#due.get(vcpu) ?? everyInstructions;
    if (retired >= due) {
      this.#take(machine);
      due = (Math.floor(retired / everyInstructions) + 1) * everyInstructions;
      this.#due.set(vcpu, due);
    }
    return due - retired;
  }

  /** Everything so far: a copy. */
  get profile(): Profile {
    return {
      everyInstructions: this.#settings.everyInstructions,
      samples: this.#samples.map((sample) => ({ ...sample })),
      order: Uint32Array.from(this.#order),
    };
  }

  #take(machine: Observed): void {
    const { vcpu } = machine;
    const cpl = vcpu.u32(VCPU_CPL);
    const directory = vcpu.u32(VCPU_CR3);
    const eip = (vcpu.eip + vcpu.segment(SEG_CS).base) >>> 0;
    let frames = [eip, ...this.#returnAddresses(machine)];
    let place = this.#places.get(key(frames, cpl, directory));
    if (place === undefined && this.#samples.length >= PLACES_MAX) {
      frames = [(eip & PAGE_MASK) >>> 0];
      place = this.#places.get(key(frames, cpl, directory));
    }
    if (place === undefined) {
      place = this.#samples.push({ frames, cpl, directory, count: 0 }) - 1;
      this.#places.set(key(frames, cpl, directory), place);
    }
    this.#samples[place]!.count++;
    if (this.#order.length < ORDER_MAX) this.#order.push(place);
  }

  /** Follows EBP. Code without frame pointers keeps anything there: a chain that does not go upwards in small steps ends. */
  #returnAddresses(machine: Observed): number[] {
    const { vcpu } = machine;
    const base = vcpu.segment(SEG_SS).base;
    const found: number[] = [];
    let ebp = vcpu.gpr(REG_EBP);
    while (found.length < this.#settings.stackDepth && ebp % WORD_BYTES === 0 && ebp !== 0) {
      const bytes = readLinear(machine, (ebp + base) >>> 0, 2 * WORD_BYTES);
      if (bytes.length < 2 * WORD_BYTES) break;
      const view = new DataView(bytes.buffer);
      const caller = view.getUint32(0, true);
      const returnTo = view.getUint32(WORD_BYTES, true);
      if (returnTo === 0) break;
      found.push(returnTo);
      if (caller <= ebp || caller - ebp > FRAME_MAX_BYTES) break;
      ebp = caller;
    }
    return found;
  }
}

function key(frames: readonly number[], cpl: number, directory: number): string {
  return `${cpl} ${directory} ${frames.join(" ")}`;
}
