/**
 * The device that kernel test suites bring their own driver for: a port that remembers what was written, memory that is a
 * device, and one port per interrupt line that sets its level.
 * Source: kvm-unit-tests, x86 README ("testdev"); the behaviour follows from its tests.
 */
import {
  PORT_TEST_IO,
  PORT_TEST_IO_LAST,
  PORT_TEST_IRQS,
  TEST_MEMORY_BYTES,
} from "../../../abi/pc.ts";
import { checkVersion, readField, writeField } from "../records.ts";
import { openBus, type PortDevice } from "./port-map.ts";

const STATE_VERSION = 1;
const LINES = 24;

/** The device. Its memory is reached by offset; where it lies is the machine's business. */
export class TestDevice implements PortDevice {
  readonly name = "test-device";
  readonly isWide = true;
  readonly ports = [
    [PORT_TEST_IO, PORT_TEST_IO_LAST],
    [PORT_TEST_IRQS, PORT_TEST_IRQS + LINES - 1],
  ] as const;
  readonly #setLine: (line: number, isHigh: boolean) => void;
  readonly #word = new Uint8Array(4);
  readonly #memory = new Uint8Array(TEST_MEMORY_BYTES);

  constructor(setLine: (line: number, isHigh: boolean) => void) {
    this.#setLine = setLine;
  }

  read(port: number, size: number): number {
    if (port >= PORT_TEST_IRQS) return openBus(size);
    return readField(this.#word, port - PORT_TEST_IO, size);
  }

  write(port: number, size: number, value: number): void {
    if (port >= PORT_TEST_IRQS) this.#setLine(port - PORT_TEST_IRQS, value !== 0);
    else writeField(this.#word, port - PORT_TEST_IO, size, value);
  }

  readMemory(offset: number, size: number): number {
    return readField(this.#memory, offset, size);
  }

  writeMemory(offset: number, size: number, value: number): void {
    writeField(this.#memory, offset, size, value);
  }

  save(): Record<string, unknown> {
    return { version: STATE_VERSION, word: [...this.#word], memory: [...this.#memory] };
  }

  restore(state: Record<string, unknown>): void {
    checkVersion(state, this.name, STATE_VERSION);
    this.#word.set(state.word as number[]);
    this.#memory.set(state.memory as number[]);
  }
}
