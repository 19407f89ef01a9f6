/**
 * The pair of 8259A interrupt controllers of a PC: priorities, masks, edge and level lines, every end-of-interrupt command,
 * rotation, special mask mode, automatic end, polling.
 * Source: Intel 8259A datasheet; the edge/level registers are from the 82371 datasheet.
 */
import {
  ISA_IRQS,
  PIC_CASCADE_LINE,
  PORT_PIC_ELCR,
  PORT_PIC_MASTER,
  PORT_PIC_SLAVE,
} from "../../../abi/pc.ts";
import { checkVersion } from "../records.ts";
import type { PortDevice } from "./port-map.ts";

const STATE_VERSION = 1;
/** What a chip answers when asked for an interrupt that went away. */
const SPURIOUS_LINE = 7;
/** Lines that the edge/level registers cannot make level-triggered: timer, keyboard, cascade; RTC and coprocessor. */
const ELCR_WRITABLE = [0xf8, 0xde] as const;

const ICW1 = 0x10;
const ICW1_SINGLE = 0x02;
const ICW1_NEEDS_ICW4 = 0x01;
const ICW4_AUTO_EOI = 0x02;
const ICW4_FULLY_NESTED = 0x10;
const OCW3 = 0x08;

/** One chip's registers, all serialisable. */
interface Registers {
  irr: number;
  isr: number;
  imr: number;
  /** Level of each input pin, and which inputs are level-triggered. */
  lines: number;
  elcr: number;
  base: number;
  /** Line of lowest priority. */
  lowest: number;
  /** Initialisation word expected next: 0 when none. */
  step: number;
  isSingle: boolean;
  needsIcw4: boolean;
  autoEoi: boolean;
  rotatesOnAutoEoi: boolean;
  fullyNested: boolean;
  specialMask: boolean;
  readsIsr: boolean;
  polls: boolean;
}

const RESET: Registers = {
  irr: 0,
  isr: 0,
  imr: 0,
  lines: 0,
  elcr: 0,
  base: 0,
  lowest: 7,
  step: 0,
  isSingle: false,
  needsIcw4: false,
  autoEoi: false,
  rotatesOnAutoEoi: false,
  fullyNested: false,
  specialMask: false,
  readsIsr: false,
  polls: false,
};

class Chip {
  readonly r: Registers = { ...RESET };

  setLine(line: number, isHigh: boolean): void {
    const bit = 1 << line;
    const r = this.r;
    if (isHigh) {
      if ((r.elcr & bit) !== 0 || (r.lines & bit) === 0) r.irr |= bit;
      r.lines |= bit;
    } else {
      r.lines &= ~bit;
      // DEVIATION: the chip would forget an edge whose line falls before the acknowledge and answer with a spurious interrupt;
      // test suites pulse lines and expect what other emulators do.
      if ((r.elcr & bit) !== 0) r.irr &= ~bit;
    }
  }

  /** An input whose request is never latched. */
  follow(line: number, isHigh: boolean): void {
    const bit = 1 << line;
    const r = this.r;
    r.irr = isHigh ? r.irr | bit : r.irr & ~bit;
    r.lines = isHigh ? r.lines | bit : r.lines & ~bit;
  }

  /** The line that would be served now, undefined when none. */
  get request(): number | undefined {
    const r = this.r;
    const line = this.#first(r.irr & ~r.imr);
    if (line === undefined) return undefined;
    const blocking = r.specialMask ? r.isr & ~r.imr : r.isr;
    const served = this.#first(blocking);
    if (served === undefined) return line;
    const rank = this.#rank(line);
    if (r.specialMask) return (r.isr & (1 << line)) === 0 ? line : undefined;
    // In special fully nested mode the slave may interrupt its own service.
    const isNested = r.fullyNested && line === PIC_CASCADE_LINE && served === line;
    return rank < this.#rank(served) || isNested ? line : undefined;
  }

  /** The acknowledge cycle: the line becomes served. */
  acknowledge(): number {
    const line = this.request;
    if (line === undefined) return SPURIOUS_LINE;
    const bit = 1 << line;
    const r = this.r;
    if ((r.elcr & bit) === 0) r.irr &= ~bit;
    if (!r.autoEoi) r.isr |= bit;
    else if (r.rotatesOnAutoEoi) r.lowest = line;
    return line;
  }

  command(value: number): void {
    if ((value & ICW1) !== 0) this.#initialise(value);
    else if ((value & OCW3) !== 0) this.#operate(value);
    else this.#endOfInterrupt(value >> 5, value & 7);
  }

  data(value: number): void {
    const r = this.r;
    if (r.step === 0) {
      r.imr = value;
    } else if (r.step === 2) {
      r.base = value & 0xf8;
      r.step = r.isSingle ? (r.needsIcw4 ? 4 : 0) : 3;
    } else if (r.step === 3) {
      r.step = r.needsIcw4 ? 4 : 0;
    } else {
      r.autoEoi = (value & ICW4_AUTO_EOI) !== 0;
      r.fullyNested = (value & ICW4_FULLY_NESTED) !== 0;
      r.step = 0;
    }
  }

  status(): number {
    const r = this.r;
    if (r.polls) {
      r.polls = false;
      if (this.request === undefined) return 0;
      return 0x80 | this.acknowledge();
    }
    return r.readsIsr ? r.isr : r.irr;
  }

  #initialise(value: number): void {
    const { lines, elcr } = this.r;
    Object.assign(this.r, RESET, { lines, elcr });
    // Edge detection starts anew; a level that is high already requests again.
    this.r.irr = lines & elcr;
    this.r.isSingle = (value & ICW1_SINGLE) !== 0;
    this.r.needsIcw4 = (value & ICW1_NEEDS_ICW4) !== 0;
    this.r.step = 2;
  }

  #operate(value: number): void {
    const r = this.r;
    if ((value & 0x40) !== 0) r.specialMask = (value & 0x20) !== 0;
    if ((value & 0x04) !== 0) r.polls = true;
    else if ((value & 0x02) !== 0) r.readsIsr = (value & 0x01) !== 0;
  }

  /** OCW2: bit 0 of the command is "end", bit 1 "specific", bit 2 "rotate". */
  #endOfInterrupt(command: number, level: number): void {
    const r = this.r;
    if (command === 0 || command === 4) {
      r.rotatesOnAutoEoi = command === 4;
      return;
    }
    const line = (command & 2) !== 0 ? level : this.#first(r.specialMask ? r.isr & ~r.imr : r.isr);
    if (line === undefined || command === 2) return;
    if ((command & 1) !== 0) r.isr &= ~(1 << line);
    if ((command & 4) !== 0) r.lowest = line;
  }

  #rank(line: number): number {
    return (line - this.r.lowest - 1) & 7;
  }

  #first(lines: number): number | undefined {
    for (let rank = 0; lines !== 0 && rank < 8; rank++) {
      const line = (this.r.lowest + 1 + rank) & 7;
      if ((lines & (1 << line)) !== 0) return line;
    }
    return undefined;
  }
}

/** Both chips, wired as in a PC. */
export class PicPair implements PortDevice {
  readonly name = "pic";
  readonly isWide = false;
  readonly ports = [
    [PORT_PIC_MASTER, PORT_PIC_MASTER + 1],
    [PORT_PIC_SLAVE, PORT_PIC_SLAVE + 1],
    [PORT_PIC_ELCR, PORT_PIC_ELCR + 1],
  ] as const;
  readonly #master = new Chip();
  readonly #slave = new Chip();

  /** One of the sixteen lines changes its level; line 2 is the cascade and not wired. */
  setLine(irq: number, isHigh: boolean): void {
    if (irq >= ISA_IRQS || irq === PIC_CASCADE_LINE) return;
    if (irq < 8) this.#master.setLine(irq, isHigh);
    else this.#slave.setLine(irq - 8, isHigh);
    this.#cascade();
  }

  /** Whether the processor's interrupt pin is high. */
  get hasRequest(): boolean {
    return this.#master.request !== undefined;
  }

  /** The acknowledge cycle of the processor: a vector, spurious when the request went away. */
  acknowledge(): number {
    const line = this.#master.acknowledge();
    if (line !== PIC_CASCADE_LINE) return this.#master.r.base + line;
    const slaveLine = this.#slave.acknowledge();
    this.#cascade();
    return this.#slave.r.base + slaveLine;
  }

  read(port: number): number {
    if (port >= PORT_PIC_ELCR) return this.#chip(port - PORT_PIC_ELCR).r.elcr;
    const chip = this.#chip(port >= PORT_PIC_SLAVE ? 1 : 0);
    const value = (port & 1) !== 0 && !chip.r.polls ? chip.r.imr : chip.status();
    this.#cascade();
    return value;
  }

  write(port: number, _size: number, value: number): void {
    if (port >= PORT_PIC_ELCR) {
      const index = port - PORT_PIC_ELCR;
      this.#chip(index).r.elcr = value & ELCR_WRITABLE[index === 0 ? 0 : 1];
      return;
    }
    const chip = this.#chip(port >= PORT_PIC_SLAVE ? 1 : 0);
    if ((port & 1) !== 0) chip.data(value);
    else chip.command(value);
    this.#cascade();
  }

  save(): Record<string, unknown> {
    return {
      version: STATE_VERSION,
      master: { ...this.#master.r },
      slave: { ...this.#slave.r },
    };
  }

  restore(state: Record<string, unknown>): void {
    checkVersion(state, this.name, STATE_VERSION);
    Object.assign(this.#master.r, state.master);
    Object.assign(this.#slave.r, state.slave);
  }

  #chip(index: number): Chip {
    return index === 0 ? this.#master : this.#slave;
  }

  /** The slave's output is a line of the master. */
  #cascade(): void {
    this.#master.follow(PIC_CASCADE_LINE, this.#slave.request !== undefined);
  }
}
