/**
 * The fixed registers of ACPI: PM1 status, enable and control. Sleeping is the machine's business; no event ever comes, so the
 * status stays clear.
 * Source: ACPI 6, "PM1 Event Grouping", "PM1 Control Grouping".
 */
import {
  PM1_CNT_BYTES,
  PM1_EVT_BYTES,
  PM1_SCI_EN,
  PM1_SLP_EN,
  PM1_SLP_TYP_MASK,
  PM1_SLP_TYP_SHIFT,
  PORT_PM1_CNT,
  PORT_PM1_EVT,
} from "../../../abi/acpi.ts";
import { checkVersion } from "../records.ts";
import type { PortDevice } from "./port-map.ts";

const STATE_VERSION = 1;
/** Offset of the enable register in the event block. */
const EVT_ENABLE = 2;

/** The registers. */
export class AcpiPm implements PortDevice {
  readonly name = "acpi-pm";
  readonly isWide = false;
  readonly ports = [
    [PORT_PM1_EVT, PORT_PM1_EVT + PM1_EVT_BYTES - 1],
    [PORT_PM1_CNT, PORT_PM1_CNT + PM1_CNT_BYTES - 1],
  ] as const;
  readonly #sleep: (type: number) => void;
  #enable = 0;
  #sleepType = 0;

  /** @param sleep the guest asked for the sleep of this type, 0 to 7 */
  constructor(sleep: (type: number) => void) {
    this.#sleep = sleep;
  }

  read(port: number): number {
    if (port >= PORT_PM1_CNT) return byteOf(PM1_SCI_EN | this.#sleepType, port - PORT_PM1_CNT);
    const offset = port - PORT_PM1_EVT;
    return offset < EVT_ENABLE ? 0 : byteOf(this.#enable, offset - EVT_ENABLE);
  }

  write(port: number, _size: number, value: number): void {
    if (port >= PORT_PM1_CNT) {
      if (port > PORT_PM1_CNT) this.#control(value << 8);
      return;
    }
    const shift = 8 * (port - PORT_PM1_EVT - EVT_ENABLE);
    if (shift >= 0) this.#enable = (this.#enable & ~(0xff << shift)) | (value << shift);
  }

  save(): Record<string, unknown> {
    return { version: STATE_VERSION, enable: this.#enable, sleepType: this.#sleepType };
  }

  restore(state: Record<string, unknown>): void {
    checkVersion(state, this.name, STATE_VERSION);
    this.#enable = state.enable as number;
    this.#sleepType = state.sleepType as number;
  }

  /** SLP_EN reads as zero: the machine sleeps or it does not. */
  #control(value: number): void {
    this.#sleepType = value & PM1_SLP_TYP_MASK;
    if ((value & PM1_SLP_EN) !== 0) this.#sleep(this.#sleepType >> PM1_SLP_TYP_SHIFT);
  }
}

function byteOf(value: number, index: number): number {
  return (value >> (8 * index)) & 0xff;
}
