/** Console input on its way to a guest on this thread: writers wait while the guest has much that it has not taken. */
import { type Deferred, deferred } from "../base/event-loop.ts";
import type { HostInputs } from "../base/inputs.ts";
import type { InputSide } from "./console-streams.ts";

/** Input the guest has not taken, beyond which a writer waits. */
const PENDING_MAX_BYTES = 64 << 10;

/** The engine's end of what is written to a guest's console. */
export class ConsoleInput implements InputSide {
  readonly #inputs: HostInputs;
  readonly #pendingBytes: () => number;
  #blockedWriter: Deferred<void> | undefined;
  #isClosed = false;

  /** @param pendingBytes how much the guest has not taken yet */
  constructor(inputs: HostInputs, pendingBytes: () => number) {
    this.#inputs = inputs;
    this.#pendingBytes = pendingBytes;
    inputs.openSource();
  }

  /** A writer that waits for the guest is no source that could wake it. */
  accept(data: Uint8Array): Promise<void> | undefined {
    if (this.#isClosed) return undefined;
    this.#inputs.post({ kind: "console", device: "console", data });
    if (this.#pendingBytes() <= PENDING_MAX_BYTES) return undefined;
    this.#blockedWriter = deferred<void>();
    this.#inputs.closeSource();
    return this.#blockedWriter.promise;
  }

  end(): void {
    this.#inputs.post({ kind: "console", device: "console", data: new Uint8Array(0) });
    this.#inputs.closeSource();
  }

  /** The guest had time to take what there is: a writer that waits for it may go on. */
  release(): void {
    if (this.#blockedWriter === undefined || this.#pendingBytes() > PENDING_MAX_BYTES) return;
    this.#inputs.openSource();
    this.#blockedWriter.resolve();
    this.#blockedWriter = undefined;
  }

  /** The guest is gone: nobody waits for it, and what is still written is dropped. */
  close(): void {
    this.#isClosed = true;
    this.#blockedWriter?.resolve();
  }
}
