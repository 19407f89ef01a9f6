/** Reads what the guest of guests/bench prints: a line "[" before each run of a scenario, "]" after it, then what its handlers counted. */

/** Who is told, at the very byte. */
export interface MarkListener {
  started(): void;
  ended(): void;
  /** The run is over; `events` are the faults and traps that the guest saw. */
  counted(events: number): void;
  done(): void;
}

/** Takes the guest's output as it comes. */
export class MarkReader {
  readonly #listener: MarkListener;
  #line = "";

  constructor(listener: MarkListener) {
    this.#listener = listener;
  }

  /** Takes output, synchronously with the guest's execution. @throws when it is not what that guest prints. */
  read(bytes: Iterable<number>): void {
    for (const byte of bytes) this.#take(String.fromCharCode(byte));
  }

  #take(character: string): void {
    if (character === "[") this.#listener.started();
    else if (character === "]") this.#listener.ended();
    else if (character !== "\n") this.#line += character;
    else if (this.#line !== "") {
      const line = this.#line;
      this.#line = "";
      if (/^[0-9a-f]{8}$/.test(line)) this.#listener.counted(Number.parseInt(line, 16));
      else if (line === "done") this.#listener.done();
      else throw new Error(`the guest printed "${line}"`);
    }
  }
}
