/**
 * The back end's side of a ring that a Xen front end shares: requests and responses take turns in the same slots, indices run freely, and
 * each side says from which index on it wants to be told.
 *
 * Source: Xen's public io/ring.h. Every request is answered before the next is taken, so one index of our own says where we are. A ring
 * whose indices cannot be true is broken: it gives no more requests.
 */
import {
  SRING_ENTRIES,
  SRING_REQ_EVENT,
  SRING_REQ_PROD,
  SRING_RSP_EVENT,
  SRING_RSP_PROD,
} from "../../abi/xen-layout.ts";
import type { SharedPage } from "./xen-ports.ts";

/** See the file header. */
export class BackRing {
  /** Number of slots, a power of two. */
  readonly size: number;
  readonly #page: SharedPage;
  readonly #slotBytes: number;
  /** Requests taken and responses written, which is the same up to the request in hand. */
  #taken: number;
  #answered: number;
  #isBroken = false;

  /** A ring as the front end left it: responses up to rsp_prod are there already. @param slotBytes the longer of request and response */
  constructor(page: SharedPage, slotBytes: number) {
    this.#page = page;
    this.#slotBytes = slotBytes;
    this.size = 2 ** Math.floor(Math.log2((page.sizeBytes - SRING_ENTRIES) / slotBytes));
    this.#answered = page.readU32(SRING_RSP_PROD);
    this.#taken = this.#answered;
  }

  get isBroken(): boolean {
    return this.#isBroken;
  }

  /** Requests to be taken. A driver may change it by what it does with them, so a loop counts what it found at its start. */
  get waiting(): number {
    if (this.#isBroken) return 0;
    const produced = this.#page.readU32(SRING_REQ_PROD);
    if ((produced - this.#answered) >>> 0 > this.size) this.#isBroken = true;
    return this.#isBroken ? 0 : (produced - this.#taken) >>> 0;
  }

  /** A copy of the next request, which the caller knows to be there. */
  take(): DataView {
    const slot = this.#page.read(this.#slot(this.#taken), this.#slotBytes);
    this.#taken = (this.#taken + 1) >>> 0;
    return new DataView(slot.buffer, slot.byteOffset, slot.byteLength);
  }

  /** Answers the oldest request that was taken and not answered. */
  respond(bytes: Uint8Array): void {
    this.#page.write(this.#slot(this.#answered), bytes);
    this.#answered = (this.#answered + 1) >>> 0;
  }

  /** Shows the front end the responses. @returns whether it wants to be told. */
  publish(): boolean {
    const old = this.#page.readU32(SRING_RSP_PROD);
    this.#page.writeU32(SRING_RSP_PROD, this.#answered);
    const wanted = this.#page.readU32(SRING_RSP_EVENT);
    return (this.#answered - wanted) >>> 0 < (this.#answered - old) >>> 0;
  }

  /** Asks the front end to tell of its next request. */
  wantKick(): void {
    this.#page.writeU32(SRING_REQ_EVENT, (this.#taken + 1) >>> 0);
  }

  /** Ends the service of a front end that does not keep to the protocol. */
  breakOff(): void {
    this.#isBroken = true;
  }

  /** Serialisable state besides the page; between two calls of the driver's. */
  save(): Record<string, unknown> {
    return { index: this.#answered, isBroken: this.#isBroken };
  }

  restore(state: Record<string, unknown>): void {
    this.#answered = state.index as number;
    this.#taken = this.#answered;
    this.#isBroken = state.isBroken as boolean;
  }

  #slot(index: number): number {
    return SRING_ENTRIES + (index % this.size) * this.#slotBytes;
  }
}

/** The number that a xenstore value of decimal digits means, undefined for anything else or more than 32 bits. */
export function parseKey(text: string | undefined): number | undefined {
  if (text === undefined || !/^[0-9]{1,10}$/.test(text)) return undefined;
  const value = Number(text);
  return value <= 0xffffffff ? value : undefined;
}
