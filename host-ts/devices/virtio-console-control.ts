/**
 * The control queues of a console with VIRTIO_CONSOLE_F_MULTIPORT: how driver and device agree on the one port there is, and
 * how the window's size gets into the guest.
 *
 * Linux reads the size from the configuration only when that changes; the old bus has no interrupt for a change, and Linux 4.1 to
 * 4.8 crash in the handler of one. A control message works everywhere.
 * Source: VIRTIO 1.0, "Console Device", "Multiport Device Operation".
 */
import {
  VIRTIO_CONSOLE_CONSOLE_PORT,
  VIRTIO_CONSOLE_CONTROL_BYTES,
  VIRTIO_CONSOLE_CONTROL_EVENT,
  VIRTIO_CONSOLE_CONTROL_PORT,
  VIRTIO_CONSOLE_CONTROL_VALUE,
  VIRTIO_CONSOLE_DEVICE_READY,
  VIRTIO_CONSOLE_PORT_ADD,
  VIRTIO_CONSOLE_PORT_OPEN,
  VIRTIO_CONSOLE_PORT_READY,
  VIRTIO_CONSOLE_QUEUE_CONTROL_RX,
  VIRTIO_CONSOLE_QUEUE_CONTROL_TX,
  VIRTIO_CONSOLE_RESIZE,
} from "../../abi/virtio.ts";
import type { DeviceIrq, Virtqueue } from "../base/ports.ts";
import { readField, writeField } from "./records.ts";

const PORT = 0;
/** Messages that wait for a driver which offers no buffers; what does not fit is dropped. */
const OUTBOX_MAX = 64;

/** The size of a terminal in characters. */
interface Size {
  readonly columns: number;
  readonly rows: number;
}

/** The device's side of the control queues. Knows one port, number 0, which is the console. */
export class ConsoleControl {
  #size: Size;
  #queues: readonly Virtqueue[] = [];
  #irq: DeviceIrq | undefined;
  #outbox: Uint8Array[] = [];
  #isPortReady = false;
  #isPortOpen = false;

  constructor(size: Size) {
    this.#size = size;
  }

  /** Whether the driver listens to the port. Linux throws away what arrives earlier. */
  get isPortOpen(): boolean {
    return this.#isPortOpen;
  }

  activate(queues: readonly Virtqueue[], irq: DeviceIrq): void {
    this.#queues = queues;
    this.#irq = irq;
  }

  reset(): void {
    this.#queues = [];
    this.#irq = undefined;
    this.#outbox = [];
    this.#isPortReady = false;
    this.#isPortOpen = false;
  }

  /** Tells the driver now, or as soon as it knows the port. */
  resize(size: Size): void {
    this.#size = size;
    if (!this.#isPortReady) return;
    this.#sendSize();
    this.#deliver();
  }

  /** The driver kicked one of the two queues: takes its messages and gives it those that wait. */
  notify(): void {
    const ring = this.#queues[VIRTIO_CONSOLE_QUEUE_CONTROL_TX];
    for (let request = ring?.pop(); request !== undefined; request = ring?.pop()) {
      this.#obey(request.read(0, VIRTIO_CONSOLE_CONTROL_BYTES));
      ring?.push(request, 0);
    }
    this.#irq?.raise(VIRTIO_CONSOLE_QUEUE_CONTROL_TX);
    this.#deliver();
  }

  save(): Record<string, unknown> {
    return {
      isPortReady: this.#isPortReady,
      isPortOpen: this.#isPortOpen,
      outbox: this.#outbox.map((message) => [...message]),
    };
  }

  restore(state: Record<string, unknown>): void {
    this.#isPortReady = state.isPortReady === true;
    this.#isPortOpen = state.isPortOpen === true;
    this.#outbox = (state.outbox as number[][]).map((message) => Uint8Array.from(message));
  }

  #obey(message: Uint8Array): void {
    if (message.length < VIRTIO_CONSOLE_CONTROL_BYTES) return;
    const event = readField(message, VIRTIO_CONSOLE_CONTROL_EVENT, 2);
    const isYes = readField(message, VIRTIO_CONSOLE_CONTROL_VALUE, 2) === 1;
    if (event === VIRTIO_CONSOLE_DEVICE_READY) {
      if (isYes) this.#send(VIRTIO_CONSOLE_PORT_ADD, 1);
      return;
    }
    if (readField(message, VIRTIO_CONSOLE_CONTROL_PORT, 4) !== PORT) return;
    if (event === VIRTIO_CONSOLE_PORT_READY && isYes) this.#introducePort();
    else if (event === VIRTIO_CONSOLE_PORT_OPEN) this.#isPortOpen = isYes;
  }

  #introducePort(): void {
    this.#isPortReady = true;
    this.#send(VIRTIO_CONSOLE_CONSOLE_PORT, 1);
    this.#send(VIRTIO_CONSOLE_PORT_OPEN, 1);
    this.#sendSize();
  }

  /** Rows first, as every Linux of lguest's time reads it; the specification has it the other way round. */
  #sendSize(): void {
    const size = new Uint8Array(4);
    writeField(size, 0, 2, this.#size.rows);
    writeField(size, 2, 2, this.#size.columns);
    this.#send(VIRTIO_CONSOLE_RESIZE, 0, size);
  }

  #send(event: number, value: number, extra: Uint8Array = new Uint8Array(0)): void {
    if (this.#outbox.length === OUTBOX_MAX) return;
    const message = new Uint8Array(VIRTIO_CONSOLE_CONTROL_BYTES + extra.length);
    writeField(message, VIRTIO_CONSOLE_CONTROL_PORT, 4, PORT);
    writeField(message, VIRTIO_CONSOLE_CONTROL_EVENT, 2, event);
    writeField(message, VIRTIO_CONSOLE_CONTROL_VALUE, 2, value);
    message.set(extra, VIRTIO_CONSOLE_CONTROL_BYTES);
    this.#outbox.push(message);
  }

  #deliver(): void {
    const ring = this.#queues[VIRTIO_CONSOLE_QUEUE_CONTROL_RX];
    while (ring !== undefined && this.#outbox[0] !== undefined) {
      const request = ring.pop();
      if (request === undefined) break;
      ring.push(request, request.write(0, this.#outbox[0]));
      this.#outbox.shift();
    }
    this.#irq?.raise(VIRTIO_CONSOLE_QUEUE_CONTROL_RX);
  }
}
