/** What an embedder asked of a guest's kernel and waits for. Host time only: the guest sees the requests through the one door. */
import { ConfigError, IgnoredError, StateError, UnsupportedError } from "../base/errors.ts";
import { type Deferred, deferred } from "../base/event-loop.ts";
import type { HostInputs } from "../base/inputs.ts";
import { type GuestControl, SHUTDOWN_REQUESTS, type ShutdownRequest } from "../base/personality.ts";
import type { RequestOptions } from "./api.ts";

/** Longest delay that timers take, in milliseconds. */
const TIMEOUT_MAX_MS = 0x7fffffff;
const LATIN1_MAX = 0xff;

interface Waiting {
  readonly request: ShutdownRequest;
  /** What ends the wait: the guest took the request, or stands suspended. */
  readonly until: "taken" | "suspended";
  readonly answer: Deferred<void>;
  timer: ReturnType<typeof setTimeout> | undefined;
}

/** The requests of one guest. */
export class GuestRequests {
  readonly #name: string;
  readonly #inputs: HostInputs;
  readonly #waiting = new Set<Waiting>();

  /** @param name of the guest, for messages */
  constructor(name: string, inputs: HostInputs) {
    this.#name = name;
    this.#inputs = inputs;
  }

  /** Posts a request and waits. Throws ConfigError for one that is none, UnsupportedError without `control`. */
  ask(
    control: GuestControl | undefined,
    request: ShutdownRequest,
    until: Waiting["until"],
    { timeoutMs }: RequestOptions = {},
  ): Promise<void> {
    this.#refuseDeaf(control);
    if (!SHUTDOWN_REQUESTS.includes(request)) {
      const known = SHUTDOWN_REQUESTS.join(", ");
      throw new ConfigError(`there is no request "${request}"; there are ${known}`);
    }
    if (timeoutMs !== undefined && !(timeoutMs >= 0 && timeoutMs <= TIMEOUT_MAX_MS)) {
      throw new ConfigError(`timeoutMs is ${timeoutMs}; it must be from 0 to ${TIMEOUT_MAX_MS}`);
    }
    const waiting: Waiting = { request, until, answer: deferred<void>(), timer: undefined };
    this.#waiting.add(waiting);
    if (timeoutMs !== undefined) {
      waiting.timer = setTimeout(() => this.#giveUp(waiting, timeoutMs), timeoutMs);
    }
    this.#post("shutdown", request);
    return waiting.answer.promise;
  }

  /** Posts a system request, which nobody waits for. Throws like `ask`. */
  sysrq(control: GuestControl | undefined, key: string): void {
    this.#refuseDeaf(control);
    const code = key.charCodeAt(0);
    if (key.length !== 1 || code === 0 || code > LATIN1_MAX) {
      throw new ConfigError(`the system request is "${key}"; it must be one Latin-1 character`);
    }
    this.#post("sysrq", key);
  }

  /** Posts the wish for a debug event on every vCPU. Throws UnsupportedError without `control`. */
  debugEvent(control: GuestControl | undefined): void {
    this.#refuseDeaf(control);
    this.#post("debug", "");
  }

  /** The guest had a turn: what it did by now may be what somebody waits for. */
  look(control: GuestControl | undefined): void {
    // What it has not seen yet it cannot have taken.
    if (control === undefined || this.#inputs.hasWaiting) return;
    for (const waiting of this.#waiting) {
      const isDone =
        control.isSuspended || (waiting.until === "taken" && !control.hasPendingRequest);
      if (isDone) this.#settle(waiting).resolve();
    }
  }

  /** The guest is gone. */
  end(): void {
    for (const waiting of this.#waiting) {
      const answer = this.#settle(waiting);
      if (waiting.until === "taken") answer.resolve();
      else answer.reject(new StateError(`guest "${this.#name}" ended before it was suspended`));
    }
  }

  #giveUp(waiting: Waiting, timeoutMs: number): void {
    this.#post("shutdown", "");
    const what = waiting.until === "taken" ? "take the request" : "do what it was asked for,";
    this.#settle(waiting).reject(
      new IgnoredError(
        `guest "${this.#name}" did not ${what} "${waiting.request}" within ${timeoutMs} ms; it was taken back`,
      ),
    );
  }

  #settle(waiting: Waiting): Deferred<void> {
    clearTimeout(waiting.timer);
    this.#waiting.delete(waiting);
    return waiting.answer;
  }

  #post(device: "shutdown" | "sysrq" | "debug", text: string): void {
    const data = Array.from(text, (character) => character.charCodeAt(0));
    this.#inputs.post({ kind: "request", device, data });
  }

  #refuseDeaf(control: GuestControl | undefined): asserts control is GuestControl {
    if (control !== undefined) return;
    throw new UnsupportedError(
      `nobody in guest "${this.#name}" listens to requests; only kernels of abi "xen-pv" do`,
    );
  }
}
