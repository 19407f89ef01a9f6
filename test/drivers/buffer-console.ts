/** A console whose output a test reads back. */

import type { TerminalSize } from "../../host-ts/backends/console.ts";
import type { ConsoleBackend } from "../../host-ts/base/ports.ts";

/** Keeps everything that was printed. */
export class BufferConsole implements ConsoleBackend {
  #pieces: Uint8Array[] = [];
  #size: TerminalSize | undefined;

  constructor(size?: TerminalSize) {
    this.#size = size;
  }

  /** All output so far, as UTF-8. */
  get text(): string {
    const decoder = new TextDecoder();
    return this.#pieces.map((piece) => decoder.decode(piece, { stream: true })).join("");
  }

  /** Forgets the output so far. */
  clear(): void {
    this.#pieces = [];
  }

  write(bytes: Uint8Array): void {
    this.#pieces.push(bytes);
  }

  size(): TerminalSize | undefined {
    return this.#size;
  }
}
