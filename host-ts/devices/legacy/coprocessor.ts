/**
 * How a PC hears of x87 exceptions while CR0.NE is clear: the processor's FERR# sets a latch that requests IRQ 13, and a write to port
 * 0xf0 clears it. Source: SDM 1, "MS-DOS Compatibility Sub-mode"; Intel 82371 datasheets ("Coprocessor Error Register").
 */
import { PORT_COPROCESSOR, PORT_COPROCESSOR_LAST } from "../../../abi/pc.ts";
import type { IrqPort } from "../../base/ports.ts";
import { checkVersion } from "../records.ts";
import { openBus, type PortDevice } from "./port-map.ts";

const STATE_VERSION = 1;

/** The latch. */
export class Coprocessor implements PortDevice {
  readonly name = "coprocessor";
  readonly isWide = false;
  readonly ports = [[PORT_COPROCESSOR, PORT_COPROCESSOR_LAST]] as const;
  readonly #irq: IrqPort;
  #isSet = false;

  constructor(irq: IrqPort) {
    this.#irq = irq;
  }

  /** The processor reports an exception. */
  reportError(): void {
    this.#isSet = true;
    this.#irq.raise();
  }

  read(_port: number, size: number): number {
    return openBus(size);
  }

  write(): void {
    this.#isSet = false;
    this.#irq.lower();
  }

  save(): Record<string, unknown> {
    return { version: STATE_VERSION, isSet: this.#isSet };
  }

  restore(state: Record<string, unknown>): void {
    checkVersion(state, this.name, STATE_VERSION);
    this.#isSet = state.isSet as boolean;
  }
}
