/** The console of a guest as Web streams, for a guest on this thread and for one in a worker alike. */

import type { InputSink } from "../base/ports.ts";

/** Unread output beyond this is dropped: a guest cannot wait for its reader. */
const UNREAD_MAX_BYTES = 16 << 20;
const CONSOLE = "console";

/** Both directions, and the ends that the guest's side holds. */
export class ConsoleStreams {
  readonly readable: ReadableStream<Uint8Array>;
  readonly writable: WritableStream<Uint8Array>;
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  #isOpen = true;

  /** @param onInputEnd called once, when the writer closes or aborts. */
  constructor(sink: InputSink, onInputEnd: () => void) {
    this.readable = new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          this.#controller = controller;
        },
        cancel: () => {
          this.#controller = undefined;
        },
      },
      new ByteLengthQueuingStrategy({ highWaterMark: UNREAD_MAX_BYTES }),
    );
    const end = () => {
      if (this.#isOpen) onInputEnd();
      this.#isOpen = false;
    };
    this.writable = new WritableStream<Uint8Array>({
      write: (bytes) => {
        if (bytes.length > 0) sink.post({ kind: "console", device: CONSOLE, data: bytes.slice() });
      },
      close: end,
      abort: end,
    });
  }

  /** Output of the guest, towards the reader. */
  print(bytes: Uint8Array): void {
    if ((this.#controller?.desiredSize ?? 0) > 0) this.#controller?.enqueue(bytes);
  }

  /** No more output will come. */
  end(): void {
    this.#controller?.close();
    this.#controller = undefined;
  }
}
