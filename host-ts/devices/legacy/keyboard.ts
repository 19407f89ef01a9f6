/**
 * What small kernels want of the keyboard controller and the system control ports: a status that is never busy, the A20 gate
 * as a bit that remembers, and the ways to reset the processor or the machine. There is no keyboard.
 * Source: Intel 8042 and 82371 datasheets.
 */
import {
  PORT_KEYBOARD_COMMAND,
  PORT_KEYBOARD_DATA,
  PORT_RESET_CONTROL,
  PORT_SYSTEM_CONTROL_A,
  RESET_CONTROL_HARD,
  RESET_CONTROL_NOW,
} from "../../../abi/pc.ts";
import { checkVersion } from "../records.ts";
import type { PortDevice } from "./port-map.ts";

const STATE_VERSION = 1;
const COMMAND_READ_OUTPUT = 0xd0;
const COMMAND_WRITE_OUTPUT = 0xd1;
const COMMAND_SELF_TEST = 0xaa;
const COMMAND_PULSE = 0xf0;
const SELF_TEST_PASSED = 0x55;
const STATUS_DATA = 0x01;
const STATUS_SYSTEM = 0x04;
const OUTPUT_RUNS = 0x01;
const OUTPUT_A20 = 0x02;
const CONTROL_A_RESET = 0x01;
const CONTROL_A_A20 = 0x02;

/** A reset of the processor alone, or of the machine. */
export type ResetKind = "processor" | "machine";

/** The chips. The A20 line is always open whatever the bit says. */
export class SystemControl implements PortDevice {
  readonly name = "system-control";
  readonly isWide = false;
  readonly ports = [
    [PORT_KEYBOARD_DATA, PORT_KEYBOARD_DATA],
    [PORT_KEYBOARD_COMMAND, PORT_KEYBOARD_COMMAND],
    [PORT_SYSTEM_CONTROL_A, PORT_SYSTEM_CONTROL_A],
    [PORT_RESET_CONTROL, PORT_RESET_CONTROL],
  ] as const;
  readonly #reset: (kind: ResetKind) => void;
  #output = OUTPUT_RUNS | OUTPUT_A20;
  #controlA = CONTROL_A_A20;
  #resetControl = 0;
  #command = 0;
  #data: number[] = [];

  constructor(reset: (kind: ResetKind) => void) {
    this.#reset = reset;
  }

  read(port: number): number {
    if (port === PORT_SYSTEM_CONTROL_A) return this.#controlA;
    if (port === PORT_RESET_CONTROL) return this.#resetControl;
    if (port === PORT_KEYBOARD_DATA) return this.#data.shift() ?? 0;
    return STATUS_SYSTEM | (this.#data.length > 0 ? STATUS_DATA : 0);
  }

  write(port: number, _size: number, value: number): void {
    if (port === PORT_SYSTEM_CONTROL_A) {
      const rises = (value & ~this.#controlA & CONTROL_A_RESET) !== 0;
      this.#controlA = value;
      if (rises) this.#reset("processor");
    } else if (port === PORT_RESET_CONTROL) {
      const rises = (value & ~this.#resetControl & RESET_CONTROL_NOW) !== 0;
      this.#resetControl = value & (RESET_CONTROL_HARD | RESET_CONTROL_NOW);
      if (rises) this.#reset((value & RESET_CONTROL_HARD) !== 0 ? "machine" : "processor");
    } else if (port === PORT_KEYBOARD_DATA) {
      if (this.#command === COMMAND_WRITE_OUTPUT) this.#setOutput(value);
      this.#command = 0;
    } else this.#obey(value);
  }

  save(): Record<string, unknown> {
    return {
      version: STATE_VERSION,
      output: this.#output,
      controlA: this.#controlA,
      resetControl: this.#resetControl,
      command: this.#command,
      data: [...this.#data],
    };
  }

  restore(state: Record<string, unknown>): void {
    checkVersion(state, this.name, STATE_VERSION);
    this.#output = state.output as number;
    this.#controlA = state.controlA as number;
    this.#resetControl = state.resetControl as number;
    this.#command = state.command as number;
    this.#data = [...(state.data as number[])];
  }

  #obey(command: number): void {
    this.#command = command;
    if (command === COMMAND_READ_OUTPUT) this.#data.push(this.#output);
    else if (command === COMMAND_SELF_TEST) this.#data.push(SELF_TEST_PASSED);
    else if (command >= COMMAND_PULSE && (command & OUTPUT_RUNS) === 0) this.#reset("processor");
  }

  #setOutput(value: number): void {
    this.#output = value | OUTPUT_RUNS;
    if ((value & OUTPUT_RUNS) === 0) this.#reset("processor");
  }
}
