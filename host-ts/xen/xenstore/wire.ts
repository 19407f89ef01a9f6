/**
 * xenstore's messages: a header of four words and a payload, mostly texts that end in NUL. What comes in may be cut anywhere.
 * Source: Xen's public io/xs_wire.h. Payloads are Latin-1 text, one character per byte.
 */
import {
  XEN_E2BIG,
  XEN_EACCES,
  XEN_EAGAIN,
  XEN_EBUSY,
  XEN_EEXIST,
  XEN_EINVAL,
  XEN_ENOENT,
  XEN_ENOMEM,
  XEN_ENOSPC,
  XEN_ENOSYS,
  XEN_EPERM,
} from "../../../abi/xen.ts";
import {
  XENSTORE_PAYLOAD_MAX,
  XSD_HEADER_BYTES,
  XSD_LEN,
  XSD_REQ_ID,
  XSD_TX_ID,
  XSD_TYPE,
} from "../../../abi/xen-layout.ts";

/** One message, either way. */
export interface XsMessage {
  readonly type: number;
  /** Chosen by the asker, repeated in the answer. */
  readonly requestId: number;
  /** 0: outside of any transaction. */
  readonly transactionId: number;
  readonly payload: string;
}

const ERROR_NAMES = new Map([
  [XEN_EPERM, "EPERM"],
  [XEN_ENOENT, "ENOENT"],
  [XEN_E2BIG, "E2BIG"],
  [XEN_EAGAIN, "EAGAIN"],
  [XEN_ENOMEM, "ENOMEM"],
  [XEN_EACCES, "EACCES"],
  [XEN_EBUSY, "EBUSY"],
  [XEN_EEXIST, "EEXIST"],
  [XEN_EINVAL, "EINVAL"],
  [XEN_ENOSPC, "ENOSPC"],
  [XEN_ENOSYS, "ENOSYS"],
]);

/** The payload of an error message for a negative errno. */
export function errorPayload(errno: number): string {
  return `${ERROR_NAMES.get(-errno) ?? "EINVAL"}\0`;
}

/** The texts of a payload, each of which must end in NUL; undefined when the last does not. */
export function splitTexts(payload: string): string[] | undefined {
  if (!payload.endsWith("\0")) return undefined;
  return payload.slice(0, -1).split("\0");
}

/** The payload that holds these texts. */
export function joinTexts(texts: readonly string[]): string {
  return texts.map((text) => `${text}\0`).join("");
}

/** A message as bytes. */
export function formatMessage(message: XsMessage): Uint8Array {
  const { payload } = message;
  const bytes = new Uint8Array(XSD_HEADER_BYTES + payload.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(XSD_TYPE, message.type, true);
  view.setUint32(XSD_REQ_ID, message.requestId, true);
  view.setUint32(XSD_TX_ID, message.transactionId, true);
  view.setUint32(XSD_LEN, payload.length, true);
  for (let i = 0; i < payload.length; i++) bytes[XSD_HEADER_BYTES + i] = payload.charCodeAt(i);
  return bytes;
}

/** Puts messages together from pieces of any size. */
export class MessageParser {
  readonly #bytes = new Uint8Array(XSD_HEADER_BYTES + XENSTORE_PAYLOAD_MAX);
  readonly #view = new DataView(this.#bytes.buffer);
  #filled = 0;

  /** How many bytes the message in progress still needs; -1 when its header announces more than a message may have. */
  get missing(): number {
    if (this.#filled < XSD_HEADER_BYTES) return XSD_HEADER_BYTES - this.#filled;
    const length = this.#view.getUint32(XSD_LEN, true);
    return length > XENSTORE_PAYLOAD_MAX ? -1 : XSD_HEADER_BYTES + length - this.#filled;
  }

  /** Takes at most `missing` bytes. @returns the message once it is whole. */
  push(bytes: Uint8Array): XsMessage | undefined {
    this.#bytes.set(bytes, this.#filled);
    this.#filled += bytes.length;
    if (this.missing !== 0) return undefined;
    const payload = this.#bytes.subarray(XSD_HEADER_BYTES, this.#filled);
    this.#filled = 0;
    return {
      type: this.#view.getUint32(XSD_TYPE, true),
      requestId: this.#view.getUint32(XSD_REQ_ID, true),
      transactionId: this.#view.getUint32(XSD_TX_ID, true),
      payload: String.fromCharCode(...payload),
    };
  }

  /** Forgets what it has. */
  reset(): void {
    this.#filled = 0;
  }

  /** Serialisable state: the bytes of a message in progress. */
  save(): number[] {
    return [...this.#bytes.subarray(0, this.#filled)];
  }

  restore(bytes: readonly number[]): void {
    this.#bytes.set(bytes);
    this.#filled = bytes.length;
  }
}
