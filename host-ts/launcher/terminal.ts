/**
 * The launcher's side of the console: raw mode while a guest runs, the keys that stay here, window size, and putting
 * everything back however the run ends. Without a terminal, bytes pass through untouched.
 */
import { type EscapeCommand, EscapeKeys } from "./escape-keys.ts";

/** Size in characters. */
export interface WindowSize {
  readonly columns: number;
  readonly rows: number;
}

/** What the terminal tells while it is open. */
export interface TerminalEvents {
  /** Resolves when there may be more. */
  input(bytes: Uint8Array): Promise<void>;
  /** There will be no more input: the pipe or file is read to its end. */
  inputEnded(): void;
  command(command: EscapeCommand): void;
  resized(size: WindowSize): void;
  /** Whoever read our output went away. */
  outputClosed(): void;
}

/** Standard input as far as it is used here: a `tty.ReadStream`, a pipe or a file. */
export type InputStream = NodeJS.ReadStream;
/** Standard output likewise. */
export type OutputStream = NodeJS.WriteStream;

/* Launcher 030: a raw terminal belongs to the guest.
 *
 * Every key goes to it, Ctrl-C too: the guest's own terminal layer decides what that means. That leaves a person no way out,
 * so one key stays here, Ctrl-A, as in QEMU. However the run ends (a power off, a crash report, a signal, a closed pipe), close()
 * puts the terminal back first; a shell left in raw mode is the mark of a careless emulator.
 */

/** The terminal, or the pipes in its place, of one run. */
export class Terminal {
  readonly #input: InputStream;
  readonly #output: OutputStream;
  readonly #keys = new EscapeKeys();
  #close: (() => void) | undefined;

  constructor(input: InputStream, output: OutputStream) {
    this.#input = input;
    this.#output = output;
  }

  /** Whether a person is typing. */
  get isInteractive(): boolean {
    return this.#input.isTTY === true;
  }

  /** Size of the window, undefined when the output is no terminal. */
  get size(): WindowSize | undefined {
    const { isTTY, columns, rows } = this.#output;
    return isTTY && columns > 0 && rows > 0 ? { columns, rows } : undefined;
  }

  /** Starts reading; in a terminal, key by key and without echo. */
  open(events: TerminalEvents): void {
    const onData = (typed: Uint8Array): void => {
      if (!this.isInteractive) {
        this.#input.pause();
        void events.input(typed).then(() => {
          if (this.#close !== undefined) this.#input.resume();
        });
        return;
      }
      const { input, commands } = this.#keys.filter(typed);
      // A person never waits: the keys that stay here must work whatever the guest does.
      if (input.length > 0) void events.input(input);
      for (const command of commands) events.command(command);
    };
    const onResize = (): void => {
      const { size } = this;
      if (size !== undefined) events.resized(size);
    };
    const onOutputError = (): void => events.outputClosed();
    const onEnd = (): void => events.inputEnded();
    this.#close = () => {
      this.#input.off("data", onData);
      this.#input.off("end", onEnd);
      this.#output.off("resize", onResize);
      if (this.isInteractive) this.#input.setRawMode(false);
      this.#input.pause();
    };
    if (this.isInteractive) this.#input.setRawMode(true);
    this.#input.on("data", onData);
    this.#input.on("end", onEnd);
    // A terminal that hangs up reads as an error. Errors after closing must not end the process either, so both stay.
    this.#input.on("error", onEnd);
    this.#output.on("resize", onResize);
    this.#output.on("error", onOutputError);
  }

  /** Prints guest output; resolves when the reader keeps up. */
  async write(bytes: Uint8Array): Promise<void> {
    if (this.#output.write(bytes)) return;
    await new Promise<void>((resolve) => {
      const go = (): void => {
        this.#output.off("drain", go);
        this.#output.off("close", go);
        this.#output.off("error", go);
        resolve();
      };
      this.#output.on("drain", go);
      this.#output.on("close", go);
      this.#output.on("error", go);
    });
  }

  /** Puts the terminal back. Safe to call at any time, and twice. */
  close(): void {
    this.#close?.();
    this.#close = undefined;
  }
}
