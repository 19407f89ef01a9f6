/** The guest's half of a xenstore connection, and pages to share with it. */
import {
  XENSTORE_REQ,
  XENSTORE_REQ_CONS,
  XENSTORE_REQ_PROD,
  XENSTORE_RING_BYTES,
  XENSTORE_RSP,
  XENSTORE_RSP_CONS,
  XENSTORE_RSP_PROD,
  XS_ERROR,
  XS_WATCH_EVENT,
} from "../../../abi/xen-layout.ts";
import { MemoryPage, type PageMemory, type PageSpan } from "../../../host-ts/devices/xen-ports.ts";
import { XenstoreRing } from "../../../host-ts/xen/xenstore/ring.ts";
import {
  formatMessage,
  MessageParser,
  type XsMessage,
} from "../../../host-ts/xen/xenstore/wire.ts";
import type { Xenstore } from "../../../host-ts/xen/xenstore/xenstore.ts";
import { FakeMemory } from "../devices/support.ts";

export const PAGE = 4096;

/** One page by itself. */
export function lonePage(memory: PageMemory = new FakeMemory(PAGE)): MemoryPage {
  return new MemoryPage(memory, 0);
}

/** A guest that talks to a store by its page alone. */
export class StoreGuest {
  readonly domid: number;
  readonly page: MemoryPage | PageSpan;
  ring: XenstoreRing;
  /** Watch events as "path token", in order. */
  events: string[] = [];
  /** How often the Host told. */
  notified = 0;
  readonly #parser = new MessageParser();
  #answers: XsMessage[] = [];
  #requestId = 0;

  constructor(store: Xenstore, domid = 1, page: MemoryPage = lonePage()) {
    this.domid = domid;
    this.page = page;
    const event = { notify: () => this.notified++ };
    this.ring = new XenstoreRing({ store, domid, page, event });
  }

  /** Sends texts as one request and returns the answer's payload, or "E..." for an error. */
  ask(type: number, payload: string, transactionId = 0): string {
    const answer = this.exchange({ type, requestId: ++this.#requestId, transactionId, payload });
    if (answer.requestId !== this.#requestId) throw new Error("an answer to something else");
    return answer.type === XS_ERROR ? answer.payload.slice(0, -1) : answer.payload;
  }

  exchange(message: XsMessage): XsMessage {
    this.send(formatMessage(message));
    const answer = this.#answers.shift();
    if (answer === undefined) throw new Error("no answer");
    return answer;
  }

  /** Writes bytes as there is room, letting the Host serve in between. */
  send(bytes: Uint8Array): void {
    for (let done = 0; done < bytes.length; ) {
      const produced = this.page.readU32(XENSTORE_REQ_PROD);
      const used = produced - this.page.readU32(XENSTORE_REQ_CONS);
      const offset = produced % XENSTORE_RING_BYTES;
      const room = XENSTORE_RING_BYTES - Math.max(used, offset);
      const piece = bytes.subarray(
        done,
        done + Math.max(0, Math.min(room, XENSTORE_RING_BYTES - used)),
      );
      this.page.write(XENSTORE_REQ + offset, piece);
      this.page.writeU32(XENSTORE_REQ_PROD, produced + piece.length);
      done += piece.length;
      this.ring.serve();
      this.drain();
    }
  }

  /** Reads what the Host wrote, telling it of the room, until there is no more. */
  drain(): void {
    for (;;) {
      const consumed = this.page.readU32(XENSTORE_RSP_CONS);
      const available = this.page.readU32(XENSTORE_RSP_PROD) - consumed;
      if (available === 0) return;
      const offset = consumed % XENSTORE_RING_BYTES;
      const length = Math.min(available, XENSTORE_RING_BYTES - offset, this.#parser.missing);
      const message = this.#parser.push(this.page.read(XENSTORE_RSP + offset, length));
      this.page.writeU32(XENSTORE_RSP_CONS, consumed + length);
      if (message?.type === XS_WATCH_EVENT) {
        this.events.push(message.payload.slice(0, -1).replace("\0", " "));
      } else if (message !== undefined) this.#answers.push(message);
      this.ring.serve();
    }
  }

  /** Takes the events that came so far. */
  takeEvents(): string[] {
    this.drain();
    return this.events.splice(0);
  }
}
