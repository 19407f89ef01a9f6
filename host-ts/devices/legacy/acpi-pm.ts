/**
 * The fixed registers of ACPI: PM1 status, enable and control. Sleeping is the machine's business; the one event that comes is the
 * alarm of the clock, which interrupts a machine that is awake and wakes one that sleeps.
 * Source: ACPI 6, "PM1 Event Grouping", "PM1 Control Grouping".
 */
import {
  PM1_CNT_BYTES,
  PM1_EVT_BYTES,
  PM1_RTC,
  PM1_SCI_EN,
  PM1_SLP_EN,
  PM1_SLP_TYP_MASK,
  PM1_SLP_TYP_SHIFT,
  PM1_WAK,
  PORT_PM1_CNT,
  PORT_PM1_EVT,
} from "../../../abi/acpi.ts";
import type { IrqPort } from "../../base/ports.ts";
import { checkVersion } from "../records.ts";
import type { PortDevice } from "./port-map.ts";

const STATE_VERSION = 2;
/** Offset of the enable register in the event block. */
const EVT_ENABLE = 2;

/** What the registers are joined to. */
export interface AcpiPmOptions {
  /** The guest asked for the sleep of this type, 0 to 7. */
  readonly sleep: (type: number) => void;
  /** An event came that wakes a machine that sleeps. */
  readonly wake: () => void;
  /** The system control interrupt. */
  readonly irq: IrqPort;
}

/** The registers. */
export class AcpiPm implements PortDevice {
  readonly name = "acpi-pm";
  readonly isWide = false;
  readonly ports = [
    [PORT_PM1_EVT, PORT_PM1_EVT + PM1_EVT_BYTES - 1],
    [PORT_PM1_CNT, PORT_PM1_CNT + PM1_CNT_BYTES - 1],
  ] as const;
  readonly #options: AcpiPmOptions;
  #status = 0;
  #enable = 0;
  #sleepType = 0;

  constructor(options: AcpiPmOptions) {
    this.#options = options;
  }

  /** The alarm of the clock rings. */
  alarm(): void {
    this.#status |= PM1_RTC;
    if ((this.#enable & PM1_RTC) !== 0) this.#options.wake();
    this.#update();
  }

  /** The machine woke up from its sleep. */
  noteWake(): void {
    this.#status |= PM1_WAK;
  }

  read(port: number): number {
    if (port >= PORT_PM1_CNT) return byteOf(PM1_SCI_EN | this.#sleepType, port - PORT_PM1_CNT);
    const offset = port - PORT_PM1_EVT;
    if (offset < EVT_ENABLE) return byteOf(this.#status, offset);
    return byteOf(this.#enable, offset - EVT_ENABLE);
  }

  write(port: number, _size: number, value: number): void {
    if (port >= PORT_PM1_CNT) {
      if (port > PORT_PM1_CNT) this.#control(value << 8);
      return;
    }
    const offset = port - PORT_PM1_EVT;
    const shift = 8 * (offset & 1);
    // Status bits are cleared by writing ones.
    if (offset < EVT_ENABLE) this.#status &= ~(value << shift);
    else this.#enable = (this.#enable & ~(0xff << shift)) | (value << shift);
    this.#update();
  }

  save(): Record<string, unknown> {
    const registers = { status: this.#status, enable: this.#enable, sleepType: this.#sleepType };
    return { version: STATE_VERSION, ...registers };
  }

  restore(state: Record<string, unknown>): void {
    checkVersion(state, this.name, STATE_VERSION);
    this.#status = state.status as number;
    this.#enable = state.enable as number;
    this.#sleepType = state.sleepType as number;
  }

  /** Bit 15 of the status tells and interrupts nobody. */
  #update(): void {
    if ((this.#status & this.#enable & ~PM1_WAK) !== 0) this.#options.irq.raise();
    else this.#options.irq.lower();
  }

  /** SLP_EN reads as zero: the machine sleeps or it does not. */
  #control(value: number): void {
    this.#sleepType = value & PM1_SLP_TYP_MASK;
    if ((value & PM1_SLP_EN) !== 0) this.#options.sleep(this.#sleepType >> PM1_SLP_TYP_SHIFT);
  }
}

function byteOf(value: number, index: number): number {
  return (value >> (8 * index)) & 0xff;
}
