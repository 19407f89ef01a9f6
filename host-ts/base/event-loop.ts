/** Letting the platform's event loop run, and sleeping in it, on Node and in browsers. */

/** Resolves after other pending work of this thread had its chance; much sooner than a timer of 0 ms would. */
export function yieldToEventLoop(): Promise<void> {
  if (typeof setImmediate === "function") return new Promise((resolve) => setImmediate(resolve));
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(undefined);
  });
}

/** Longest timeout that setTimeout takes, in milliseconds. */
const TIMEOUT_MAX_MS = 0x7fffffff;

/** One sleeper that others can wake. A wake-up before the sleep counts. */
export class Alarm {
  #isRinging = false;
  #wake: (() => void) | undefined;

  ring(): void {
    this.#isRinging = true;
    this.#wake?.();
  }

  /** Resolves when it rings, or after `timeoutMs` (undefined: never by itself). */
  async sleep(timeoutMs: number | undefined): Promise<void> {
    if (!this.#isRinging) {
      await new Promise<void>((resolve) => {
        const timer =
          timeoutMs === undefined
            ? undefined
            : setTimeout(resolve, Math.min(Math.ceil(timeoutMs), TIMEOUT_MAX_MS));
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      this.#wake = undefined;
    }
    this.#isRinging = false;
  }
}

/** A promise with its two ends. */
export interface Deferred<T> {
  readonly promise: Promise<T>;
  readonly resolve: (value: T) => void;
  readonly reject: (reason: unknown) => void;
}

/** Promise.withResolvers, which Node 20 does not have yet. */
export function deferred<T>(): Deferred<T> {
  let ends: Pick<Deferred<T>, "resolve" | "reject"> | undefined;
  const promise = new Promise<T>((resolve, reject) => {
    ends = { resolve, reject };
  });
  return { promise, ...ends! };
}
