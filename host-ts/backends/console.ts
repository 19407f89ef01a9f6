/**
 * Where console output goes: to a function.
 */
import type { ConsoleBackend } from "../base/ports.ts";

/** Size of a terminal in characters. */
export interface TerminalSize {
  readonly columns: number;
  readonly rows: number;
}

/** Hands every piece of output to a function. */
export class CallbackConsole implements ConsoleBackend {
  #onOutput: (bytes: Uint8Array) => void;
  #size: TerminalSize | undefined;

  constructor(onOutput: (bytes: Uint8Array) => void, size?: TerminalSize) {
    this.#onOutput = onOutput;
    this.#size = size;
  }

  write(bytes: Uint8Array): void {
    this.#onOutput(bytes);
  }

  size(): TerminalSize | undefined {
    return this.#size;
  }
}
