/** The console of a guest as Web streams, for a guest on this thread and for one in a worker alike. */

/** Unread output beyond this is dropped: a guest cannot wait for its reader. */
const UNREAD_MAX_BYTES = 16 << 20;

/** Where input goes. */
export interface InputSide {
  /** Takes a copy of what was written; the writer waits for the promise. */
  accept(bytes: Uint8Array): void | Promise<void>;
  /** Called once, when the writer closes or aborts. */
  end(): void;
}

/** Both directions, and the ends that the guest's side holds. */
export class ConsoleStreams {
  readonly readable: ReadableStream<Uint8Array>;
  readonly writable: WritableStream<Uint8Array>;
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  #isOpen = true;
  #droppedBytes = 0;

  constructor(input: InputSide) {
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
      if (this.#isOpen) input.end();
      this.#isOpen = false;
    };
    this.writable = new WritableStream<Uint8Array>({
      write: (bytes) => (bytes.length > 0 ? input.accept(bytes.slice()) : undefined),
      close: end,
      abort: end,
    });
  }

  /** Output of the guest, towards the reader. */
  print(bytes: Uint8Array): void {
    if (this.#controller === undefined) return;
    if ((this.#controller.desiredSize ?? 0) > 0) this.#controller.enqueue(bytes);
    else this.#droppedBytes += bytes.length;
  }

  /** Output lost so far because the stream was full of what nobody had read. */
  get droppedBytes(): number {
    return this.#droppedBytes;
  }

  /** No more output will come. */
  end(): void {
    this.#controller?.close();
    this.#controller = undefined;
  }
}
