/**
 * The 8254 interval timer on guest time: counter 0 drives an interrupt line, counter 2 is gated and seen through port 0x61.
 * Counter 1 (memory refresh) only counts.
 * Source: Intel 8254 datasheet.
 */
import { PIT_HZ, PORT_PIT, PORT_PIT_CONTROL, PORT_SYSTEM_CONTROL_B } from "../../../abi/pc.ts";
import type { IrqPort } from "../../base/ports.ts";
import type { Timers } from "../../base/time.ts";
import { checkVersion } from "../records.ts";
import type { PortDevice } from "./port-map.ts";

const STATE_VERSION = 1;
/** Name of counter 0's timer. */
export const PIT_TIMER = "pit";
const NS_PER_SECOND = 1e9;
const REFRESH_TOGGLE_NS = 15_085;

const CONTROL_B_GATE2 = 0x01;
const CONTROL_B_SPEAKER = 0x02;
const CONTROL_B_REFRESH = 0x10;
const CONTROL_B_OUT2 = 0x20;

/** One counter, serialisable. */
interface Counter {
  mode: number;
  /** 1 low byte, 2 high byte, 3 low then high. */
  access: number;
  isBcd: boolean;
  /** 1 to 65,536 (10,000 in BCD). */
  reload: number;
  startNs: number;
  /** Whether a count was written since the mode was set. */
  isRunning: boolean;
  gate: boolean;
  /** Half of a two-byte write that waits for the other, -1 when none. */
  writeLow: number;
  readsHigh: boolean;
  /** Latched count and status, -1 when none. */
  latch: number;
  statusLatch: number;
}

function fresh(gate: boolean): Counter {
  return {
    mode: 3,
    access: 3,
    isBcd: false,
    reload: 65536,
    startNs: 0,
    isRunning: false,
    gate,
    writeLow: -1,
    readsHigh: false,
    latch: -1,
    statusLatch: -1,
  };
}

/** What the chip needs of its machine. */
export interface PitOptions {
  readonly irq: IrqPort;
  readonly clock: { readonly nowNs: number };
  readonly timers: Timers;
}

/** The chip. */
export class Pit implements PortDevice {
  readonly name = "pit";
  readonly isWide = false;
  readonly ports = [
    [PORT_PIT, PORT_PIT_CONTROL],
    [PORT_SYSTEM_CONTROL_B, PORT_SYSTEM_CONTROL_B],
  ] as const;
  readonly #irq: IrqPort;
  readonly #clock: PitOptions["clock"];
  readonly #timers: Timers;
  readonly #counters: Counter[] = [fresh(true), fresh(true), fresh(false)];
  #speaker = 0;

  constructor(options: PitOptions) {
    this.#irq = options.irq;
    this.#clock = options.clock;
    this.#timers = options.timers;
  }

  /** Counter 0 reached its end. */
  timerExpired(): void {
    this.#irq.lower();
    this.#irq.raise();
    this.#arm();
  }

  read(port: number): number {
    if (port === PORT_SYSTEM_CONTROL_B) return this.#readControlB();
    const counter = this.#counters[port - PORT_PIT];
    if (counter === undefined) return 0xff;
    if (counter.statusLatch >= 0) {
      const status = counter.statusLatch;
      counter.statusLatch = -1;
      return status;
    }
    const count = counter.latch >= 0 ? counter.latch : this.#encoded(counter);
    const isHigh = counter.access === 2 || (counter.access === 3 && counter.readsHigh);
    if (counter.access === 3) counter.readsHigh = !counter.readsHigh;
    if (counter.access !== 3 || isHigh) counter.latch = -1;
    return isHigh ? count >> 8 : count & 0xff;
  }

  write(port: number, _size: number, value: number): void {
    if (port === PORT_SYSTEM_CONTROL_B) this.#writeControlB(value);
    else if (port === PORT_PIT_CONTROL) this.#control(value);
    else this.#load(port - PORT_PIT, value);
  }

  save(): Record<string, unknown> {
    return {
      version: STATE_VERSION,
      counters: this.#counters.map((counter) => ({ ...counter })),
      speaker: this.#speaker,
    };
  }

  restore(state: Record<string, unknown>): void {
    checkVersion(state, this.name, STATE_VERSION);
    const counters = state.counters as Counter[];
    for (const [index, counter] of this.#counters.entries())
      Object.assign(counter, counters[index]);
    this.#speaker = state.speaker as number;
  }

  #control(value: number): void {
    const index = value >> 6;
    const access = (value >> 4) & 3;
    if (index === 3) {
      this.#readBack(value);
      return;
    }
    const counter = this.#counters[index]!;
    if (access === 0) {
      if (counter.latch < 0) counter.latch = this.#encoded(counter);
      return;
    }
    const mode = (value >> 1) & 7;
    Object.assign(counter, fresh(counter.gate), {
      access,
      mode: mode > 5 ? mode - 4 : mode,
      isBcd: (value & 1) !== 0,
    });
    if (index === 0) {
      this.#timers.cancel(PIT_TIMER);
      // Mode 0 pulls its output low, the others high: no edge that matters to the line.
      this.#irq.lower();
    }
  }

  #readBack(value: number): void {
    for (const [index, counter] of this.#counters.entries()) {
      if ((value & (2 << index)) === 0) continue;
      if ((value & 0x20) === 0 && counter.latch < 0) counter.latch = this.#encoded(counter);
      if ((value & 0x10) === 0 && counter.statusLatch < 0) {
        counter.statusLatch =
          (this.#output(counter) ? 0x80 : 0) |
          (counter.isRunning ? 0 : 0x40) |
          (counter.access << 4) |
          (counter.mode << 1) |
          (counter.isBcd ? 1 : 0);
      }
    }
  }

  #load(index: number, value: number): void {
    const counter = this.#counters[index]!;
    if (counter.access === 3 && counter.writeLow < 0) {
      counter.writeLow = value;
      return;
    }
    let count = counter.access === 2 ? value << 8 : value;
    if (counter.access === 3) count = counter.writeLow | (value << 8);
    counter.writeLow = -1;
    counter.reload = fromEncoded(counter, count);
    counter.startNs = this.#clock.nowNs;
    counter.isRunning = true;
    if (index === 0) this.#arm();
  }

  /** Sets the timer of counter 0 to the next rising edge of its output. */
  #arm(): void {
    const counter = this.#counters[0]!;
    if (!counter.isRunning) return;
    const periodNs = (counter.reload * NS_PER_SECOND) / PIT_HZ;
    const elapsed = this.#clock.nowNs - counter.startNs;
    if (counter.mode === 2 || counter.mode === 3) {
      const periods = Math.floor(elapsed / periodNs + 1e-9) + 1;
      this.#timers.set(PIT_TIMER, counter.startNs + Math.ceil(periods * periodNs));
    } else if (elapsed < periodNs) {
      this.#timers.set(PIT_TIMER, counter.startNs + Math.ceil(periodNs));
    }
  }

  #ticks(counter: Counter): number {
    if (!counter.isRunning || !counter.gate) return 0;
    return Math.floor(((this.#clock.nowNs - counter.startNs) * PIT_HZ) / NS_PER_SECOND);
  }

  /** The count as the counting element shows it, 0 to 65,535 in the counter's own code. */
  #encoded(counter: Counter): number {
    const ticks = this.#ticks(counter);
    const modulus = counter.isBcd ? 10000 : 65536;
    let count: number;
    if (counter.mode === 2) count = counter.reload - (ticks % counter.reload);
    else if (counter.mode === 3) count = counter.reload - ((2 * ticks) % counter.reload);
    else count = counter.reload - ticks;
    count = ((count % modulus) + modulus) % modulus;
    return counter.isBcd ? toBcd(count) : count;
  }

  #output(counter: Counter): boolean {
    const ticks = this.#ticks(counter);
    if (!counter.isRunning) return counter.mode !== 0;
    if (counter.mode === 2) return ticks % counter.reload !== counter.reload - 1;
    if (counter.mode === 3) return ticks % counter.reload < (counter.reload + 1) / 2;
    if (counter.mode === 4 || counter.mode === 5) return ticks !== counter.reload;
    return ticks >= counter.reload;
  }

  #readControlB(): number {
    const counter = this.#counters[2]!;
    const refresh = Math.floor(this.#clock.nowNs / REFRESH_TOGGLE_NS) & 1;
    return (
      (counter.gate ? CONTROL_B_GATE2 : 0) |
      this.#speaker |
      (refresh === 0 ? 0 : CONTROL_B_REFRESH) |
      (this.#output(counter) ? CONTROL_B_OUT2 : 0)
    );
  }

  #writeControlB(value: number): void {
    const counter = this.#counters[2]!;
    const gate = (value & CONTROL_B_GATE2) !== 0;
    // A rising gate starts the one-shot modes and restarts the periodic ones.
    if (gate && !counter.gate) counter.startNs = this.#clock.nowNs;
    counter.gate = gate;
    this.#speaker = value & CONTROL_B_SPEAKER;
  }
}

function fromEncoded({ isBcd }: Counter, value: number): number {
  if (!isBcd) return value === 0 ? 65536 : value;
  const digits = [12, 8, 4, 0].map((shift) => (value >> shift) & 15);
  const count = digits.reduce((sum, digit) => sum * 10 + digit, 0);
  return count === 0 ? 10000 : count;
}

function toBcd(value: number): number {
  return (
    (Math.floor(value / 1000) << 12) |
    ((Math.floor(value / 100) % 10) << 8) |
    ((Math.floor(value / 10) % 10) << 4) |
    (value % 10)
  );
}
