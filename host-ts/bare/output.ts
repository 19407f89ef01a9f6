/** Collects what the guest prints byte by byte, so that a line costs one message and not eighty. */

const BUFFER_BYTES = 4096;
/** Instructions after which an unfinished line leaves all the same. */
const PATIENCE_INSTRUCTIONS = 20_000;
const NEWLINE = 0x0a;

/** A line buffer. */
export class Output {
  readonly #print: (bytes: Uint8Array) => void;
  #bytes: number[] = [];
  #sinceInstruction = 0;

  constructor(print: (bytes: Uint8Array) => void) {
    this.#print = print;
  }

  /** One byte, printed at instruction `retired`. */
  put(byte: number, retired: number): void {
    if (this.#bytes.length === 0) this.#sinceInstruction = retired;
    this.#bytes.push(byte);
    if (byte === NEWLINE || this.#bytes.length >= BUFFER_BYTES) this.flush();
  }

  /** Lets an unfinished line go when the guest went on to other things. */
  settle(retired: number): void {
    if (this.#bytes.length === 0) return;
    if (retired - this.#sinceInstruction > PATIENCE_INSTRUCTIONS) this.flush();
  }

  flush(): void {
    if (this.#bytes.length === 0) return;
    this.#print(Uint8Array.from(this.#bytes));
    this.#bytes = [];
  }
}
