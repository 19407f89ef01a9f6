/**
 * A domain's connection to xenstore: one page with a ring of 1024 bytes each way, and an event channel. Answers that do not fit wait
 * here; while some wait, no further request is taken.
 *
 * Source: Xen's public io/xs_wire.h and docs/misc/xenstore-ring.txt. Indices run freely. A guest whose indices or headers lie reads why
 * in the page and is not served until it reconnects.
 */
import {
  XENSTORE_CONNECTED,
  XENSTORE_ERROR_NONE,
  XENSTORE_ERROR_PROTO,
  XENSTORE_ERROR_RINGIDX,
  XENSTORE_RECONNECT,
  XENSTORE_SERVER_FEATURE_ERROR,
  XENSTORE_SERVER_FEATURE_RECONNECTION,
} from "../../../abi/xen-io.ts";
import {
  XENSTORE_CONNECTION,
  XENSTORE_ERROR,
  XENSTORE_REQ,
  XENSTORE_REQ_CONS,
  XENSTORE_REQ_PROD,
  XENSTORE_RING_BYTES,
  XENSTORE_RSP,
  XENSTORE_RSP_CONS,
  XENSTORE_RSP_PROD,
  XENSTORE_SERVER_FEATURES,
  XS_WATCH_EVENT,
} from "../../../abi/xen-layout.ts";
import type { EventPort, SharedPage } from "../../devices/xen-ports.ts";
import { formatMessage, MessageParser, type XsMessage } from "./wire.ts";
import type { Xenstore } from "./xenstore.ts";

/** Watch events that wait for a guest which reads none; more are lost, as are those that it would read twice in a row. */
const WAITING_EVENTS_MAX = 1024;

/** What a ring is attached to. */
export interface XenstoreRingOptions {
  readonly store: Xenstore;
  readonly domid: number;
  readonly page: SharedPage;
  readonly event: EventPort;
}

/** See the file header. */
export class XenstoreRing {
  readonly #options: XenstoreRingOptions;
  readonly #parser = new MessageParser();
  /** Messages that have not begun to leave. */
  #waiting: XsMessage[] = [];
  /** Payloads of the watch events among those; a guest can make thousands of long ones at once. */
  #waitingEvents = new Set<string>();
  /** The rest of the message that is leaving. */
  #leaving: Uint8Array = new Uint8Array();
  #isBroken = false;
  /** Something was taken or put since the guest was last told. */
  #hasNews = false;
  #isServing = false;

  /** Introduces the domain to the store and opens the page, whose indices are those of a new one. */
  constructor(options: XenstoreRingOptions) {
    this.#options = options;
    const { store, domid, page } = options;
    store.introduce(domid, (message) => this.#enqueue(message));
    const features = XENSTORE_SERVER_FEATURE_RECONNECTION | XENSTORE_SERVER_FEATURE_ERROR;
    page.writeU32(XENSTORE_SERVER_FEATURES, features);
  }

  /** The guest sent an event: it wrote requests, or read answers. */
  serve(): void {
    this.#isServing = true;
    if (this.#options.page.readU32(XENSTORE_CONNECTION) === XENSTORE_RECONNECT) this.#reconnect();
    this.#flush();
    while (!this.#isBroken && !this.#isBlocked && this.#takeRequest()) this.#flush();
    this.#isServing = false;
    this.#tell();
  }

  /** Serialisable state besides the page. */
  save(): Record<string, unknown> {
    return {
      request: this.#parser.save(),
      waiting: structuredClone(this.#waiting),
      leaving: [...this.#leaving],
      isBroken: this.#isBroken,
    };
  }

  restore(state: Record<string, unknown>): void {
    this.#parser.restore(state.request as number[]);
    this.#waiting = structuredClone(state.waiting as XsMessage[]);
    const events = this.#waiting.filter(({ type }) => type === XS_WATCH_EVENT);
    this.#waitingEvents = new Set(events.map(({ payload }) => payload));
    this.#leaving = Uint8Array.from(state.leaving as number[]);
    this.#isBroken = state.isBroken as boolean;
  }

  get #isBlocked(): boolean {
    return this.#leaving.length > 0 || this.#waiting.length > 0;
  }

  /** Takes a piece of a request, at most to its end. @returns false when there is none. */
  #takeRequest(): boolean {
    const { store, domid, page } = this.#options;
    const consumed = page.readU32(XENSTORE_REQ_CONS);
    const available = this.#distance(consumed, page.readU32(XENSTORE_REQ_PROD));
    if (available === 0) return false;
    const offset = consumed % XENSTORE_RING_BYTES;
    const { missing } = this.#parser;
    const length = Math.min(available, missing, XENSTORE_RING_BYTES - offset);
    const message = this.#parser.push(page.read(XENSTORE_REQ + offset, length));
    page.writeU32(XENSTORE_REQ_CONS, consumed + length);
    this.#hasNews = true;
    if (message !== undefined) store.handle(domid, message);
    else if (this.#parser.missing < 0) this.#break(XENSTORE_ERROR_PROTO);
    return true;
  }

  #enqueue(message: XsMessage): void {
    if (this.#isBroken) return;
    if (message.type === XS_WATCH_EVENT) {
      if (this.#waiting.length >= WAITING_EVENTS_MAX) return;
      if (this.#waitingEvents.has(message.payload)) return;
      this.#waitingEvents.add(message.payload);
    }
    this.#waiting.push(message);
    // While it asks, the guest is told once at the end.
    if (this.#isServing) return;
    this.#flush();
    this.#tell();
  }

  /** Moves what waits into the page, as far as there is room. */
  #flush(): void {
    const { page } = this.#options;
    for (;;) {
      if (this.#leaving.length === 0) {
        const next = this.#waiting.shift();
        if (next === undefined) return;
        if (next.type === XS_WATCH_EVENT) this.#waitingEvents.delete(next.payload);
        this.#leaving = formatMessage(next);
      }
      const produced = page.readU32(XENSTORE_RSP_PROD);
      const used = this.#distance(page.readU32(XENSTORE_RSP_CONS), produced);
      if (this.#isBroken) return;
      const offset = produced % XENSTORE_RING_BYTES;
      const room = Math.min(XENSTORE_RING_BYTES - used, XENSTORE_RING_BYTES - offset);
      const length = Math.min(room, this.#leaving.length);
      if (length === 0) return;
      page.write(XENSTORE_RSP + offset, this.#leaving.subarray(0, length));
      page.writeU32(XENSTORE_RSP_PROD, produced + length);
      this.#leaving = this.#leaving.slice(length);
      this.#hasNews = true;
    }
  }

  /** Bytes between two indices; breaks the connection and gives 0 when they cannot be true. */
  #distance(from: number, to: number): number {
    const distance = (to - from) >>> 0;
    if (distance <= XENSTORE_RING_BYTES) return distance;
    this.#break(XENSTORE_ERROR_RINGIDX);
    return 0;
  }

  #break(error: number): void {
    this.#options.page.writeU32(XENSTORE_ERROR, error);
    this.#forget();
    this.#isBroken = true;
    this.#hasNews = true;
  }

  /** The guest asks to begin anew. */
  #reconnect(): void {
    const { page } = this.#options;
    this.#forget();
    this.#isBroken = false;
    for (const index of [
      XENSTORE_REQ_CONS,
      XENSTORE_REQ_PROD,
      XENSTORE_RSP_CONS,
      XENSTORE_RSP_PROD,
    ]) {
      page.writeU32(index, 0);
    }
    page.writeU32(XENSTORE_ERROR, XENSTORE_ERROR_NONE);
    page.writeU32(XENSTORE_CONNECTION, XENSTORE_CONNECTED);
    this.#hasNews = true;
  }

  #forget(): void {
    this.#options.store.disconnect(this.#options.domid);
    this.#parser.reset();
    this.#waiting = [];
    this.#waitingEvents.clear();
    this.#leaving = new Uint8Array();
  }

  #tell(): void {
    if (this.#hasNews) this.#options.event.notify();
    this.#hasNews = false;
  }
}
