/**
 * A 16550A serial port. Output leaves at once, so the transmitter is always ready; input waits until the guest reads it.
 * Source: National Semiconductor PC16550D datasheet.
 */
import type { HostInput, IrqPort } from "../../base/ports.ts";
import { checkVersion } from "../records.ts";
import type { PortDevice } from "./port-map.ts";

const STATE_VERSION = 1;
const IER_RECEIVE = 1;
const IER_TRANSMIT = 2;
const IIR_NONE = 1;
const IIR_TRANSMIT = 2;
const IIR_RECEIVE = 4;
const IIR_FIFO = 0xc0;
const FCR_ENABLE = 1;
const FCR_CLEAR_RECEIVE = 2;
const LCR_DIVISOR = 0x80;
const LSR_READY = 0x01;
const LSR_TRANSMIT_EMPTY = 0x60;
const MCR_LOOPBACK = 0x10;
const MCR_WRITABLE = 0x1f;
/** Clear to send, data set ready, carrier: a terminal is always there. */
const MSR_CONNECTED = 0xb0;
/** Interrupts reach the line only while the auxiliary output 2 is set, as every PC wires it. */
const MCR_OUT2 = 0x08;

/** What the port is made of. */
export interface UartOptions {
  readonly name: string;
  readonly port: number;
  readonly irq: IrqPort;
  readonly print: (byte: number) => void;
}

/** The chip. */
export class Uart implements PortDevice {
  readonly name: string;
  readonly isWide = false;
  readonly ports: readonly (readonly [number, number])[];
  readonly #port: number;
  readonly #irq: IrqPort;
  readonly #print: (byte: number) => void;
  #ier = 0;
  #lcr = 0;
  #mcr = 0;
  #scratch = 0;
  #divisor = 1;
  #hasFifo = false;
  /** The transmitter's interrupt is an event: reading it, or the next byte, takes it back. */
  #isTransmitPending = false;
  #input: number[] = [];

  constructor(options: UartOptions) {
    this.name = options.name;
    this.#port = options.port;
    this.ports = [[options.port, options.port + 7]];
    this.#irq = options.irq;
    this.#print = options.print;
  }

  /** Bytes typed outside. */
  receive(input: HostInput): void {
    if (input.kind !== "console") return;
    for (const byte of input.data) this.#input.push(byte);
    this.#update();
  }

  read(port: number): number {
    switch (port - this.#port) {
      case 0:
        return this.#hasDivisorLatch ? this.#divisor & 0xff : this.#take();
      case 1:
        return this.#hasDivisorLatch ? this.#divisor >> 8 : this.#ier;
      case 2:
        return this.#identify();
      case 3:
        return this.#lcr;
      case 4:
        return this.#mcr;
      case 5:
        return LSR_TRANSMIT_EMPTY | (this.#input.length > 0 ? LSR_READY : 0);
      case 6:
        return this.#modemStatus();
      default:
        return this.#scratch;
    }
  }

  write(port: number, _size: number, value: number): void {
    switch (port - this.#port) {
      case 0:
        if (this.#hasDivisorLatch) this.#divisor = (this.#divisor & 0xff00) | value;
        else this.#send(value);
        break;
      case 1:
        if (this.#hasDivisorLatch) this.#divisor = (this.#divisor & 0xff) | (value << 8);
        else {
          // Enabling the transmitter's interrupt while it is idle raises it.
          if ((value & ~this.#ier & IER_TRANSMIT) !== 0) this.#isTransmitPending = true;
          this.#ier = value & 0x0f;
        }
        break;
      case 2:
        this.#hasFifo = (value & FCR_ENABLE) !== 0;
        if ((value & FCR_CLEAR_RECEIVE) !== 0) this.#input = [];
        break;
      case 3:
        this.#lcr = value;
        break;
      case 4:
        this.#mcr = value & MCR_WRITABLE;
        break;
      case 7:
        this.#scratch = value;
        break;
    }
    this.#update();
  }

  save(): Record<string, unknown> {
    return {
      version: STATE_VERSION,
      ier: this.#ier,
      lcr: this.#lcr,
      mcr: this.#mcr,
      scratch: this.#scratch,
      divisor: this.#divisor,
      hasFifo: this.#hasFifo,
      isTransmitPending: this.#isTransmitPending,
      input: [...this.#input],
    };
  }

  restore(state: Record<string, unknown>): void {
    checkVersion(state, this.name, STATE_VERSION);
    this.#ier = state.ier as number;
    this.#lcr = state.lcr as number;
    this.#mcr = state.mcr as number;
    this.#scratch = state.scratch as number;
    this.#divisor = state.divisor as number;
    this.#hasFifo = state.hasFifo as boolean;
    this.#isTransmitPending = state.isTransmitPending as boolean;
    this.#input = [...(state.input as number[])];
  }

  get #hasDivisorLatch(): boolean {
    return (this.#lcr & LCR_DIVISOR) !== 0;
  }

  #take(): number {
    const byte = this.#input.shift() ?? 0;
    this.#update();
    return byte;
  }

  #send(byte: number): void {
    if ((this.#mcr & MCR_LOOPBACK) !== 0) this.#input.push(byte);
    else this.#print(byte);
    this.#isTransmitPending = true;
  }

  get #source(): number {
    if ((this.#ier & IER_RECEIVE) !== 0 && this.#input.length > 0) return IIR_RECEIVE;
    if ((this.#ier & IER_TRANSMIT) !== 0 && this.#isTransmitPending) return IIR_TRANSMIT;
    return IIR_NONE;
  }

  #identify(): number {
    const source = this.#source;
    if (source === IIR_TRANSMIT) {
      this.#isTransmitPending = false;
      this.#update();
    }
    return source | (this.#hasFifo ? IIR_FIFO : 0);
  }

  /** In loopback the four modem outputs come back as the four inputs. */
  #modemStatus(): number {
    const mcr = this.#mcr;
    if ((mcr & MCR_LOOPBACK) === 0) return MSR_CONNECTED;
    return ((mcr & 2) << 3) | ((mcr & 1) << 5) | ((mcr & 4) << 4) | ((mcr & 8) << 4);
  }

  #update(): void {
    if (this.#source !== IIR_NONE && (this.#mcr & MCR_OUT2) !== 0) this.#irq.raise();
    else this.#irq.lower();
  }
}
