/**
 * Where console output goes: a buffer, a function, or a Web stream.
 */
import type { ConsoleBackend } from "../base/ports.ts";

/** Size of a terminal in characters. */
export interface TerminalSize {
  readonly columns: number;
  readonly rows: number;
}

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

/** Output as a Web stream. A guest cannot wait for its reader, so unread output is kept, without a bound. */
export class StreamConsole implements ConsoleBackend {
  readonly readable: ReadableStream<Uint8Array>;
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  #size: TerminalSize | undefined;

  constructor(size?: TerminalSize) {
    this.#size = size;
    this.readable = new ReadableStream<Uint8Array>({
      start: (controller) => {
        this.#controller = controller;
      },
      cancel: () => {
        this.#controller = undefined;
      },
    });
  }

  write(bytes: Uint8Array): void {
    this.#controller?.enqueue(bytes);
  }

  /** Ends the stream; later output is dropped. */
  close(): void {
    this.#controller?.close();
    this.#controller = undefined;
  }

  size(): TerminalSize | undefined {
    return this.#size;
  }
}
