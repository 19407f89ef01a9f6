/**
 * A 16550A serial port. Output leaves at once, so the transmitter is always ready. Input waits outside while a driver that set the
 * modem lines neither asks for it (RTS) nor enabled its interrupt, so that what is typed before a driver is ready does not get lost
 * in its reset of the port.
 * Source: National Semiconductor PC16550D datasheet.
 */
import type { HostInput, IrqPort } from "../../base/ports.ts";
import { checkVersion } from "../records.ts";
import type { PortDevice } from "./port-map.ts";

const STATE_VERSION = 2;
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
const MCR_RTS = 0x02;
const MCR_LOOPBACK = 0x10;
const MCR_WRITABLE = 0x1f;
/** Clear to send, data set ready, carrier: a terminal is always there. */
const MSR_CONNECTED = 0xb0;
/** Interrupts reach the line only while the auxiliary output 2 is set, as every PC wires it. */
const MCR_OUT2 = 0x08;

/** Bytes that the receiver holds in loopback; what comes after them is lost. */
const FIFO_BYTES = 16;

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
  /** Whether the guest ever wrote the modem lines; one that does not care for them gets its input all the same. */
  #hasModemControl = false;
  #input: Uint8Array[] = [];
  #looped: number[] = [];

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
    if (input.data.length > 0) this.#input.push(Uint8Array.from(input.data));
    this.#update();
  }

  /** Bytes of input that the guest has not taken. */
  get pendingInputBytes(): number {
    return this.#input.reduce((sum, bytes) => sum + bytes.length, 0);
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
        return LSR_TRANSMIT_EMPTY | (this.#isReady ? LSR_READY : 0);
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
        if ((value & FCR_CLEAR_RECEIVE) !== 0) this.#looped = [];
        break;
      case 3:
        this.#lcr = value;
        break;
      case 4:
        this.#mcr = value & MCR_WRITABLE;
        this.#hasModemControl = true;
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
      hasModemControl: this.#hasModemControl,
      input: this.#input.flatMap((bytes) => [...bytes]),
      looped: [...this.#looped],
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
    this.#hasModemControl = state.hasModemControl as boolean;
    const input = state.input as number[];
    this.#input = input.length > 0 ? [Uint8Array.from(input)] : [];
    this.#looped = [...(state.looped as number[])];
  }

  get #hasDivisorLatch(): boolean {
    return (this.#lcr & LCR_DIVISOR) !== 0;
  }

  /** Whether a byte is there to be read. */
  get #isReady(): boolean {
    if (this.#looped.length > 0) return true;
    if (this.#input.length === 0 || this.#isLooping) return false;
    const isAsked = (this.#mcr & MCR_RTS) !== 0 || (this.#ier & IER_RECEIVE) !== 0;
    return isAsked || !this.#hasModemControl;
  }

  get #isLooping(): boolean {
    return (this.#mcr & MCR_LOOPBACK) !== 0;
  }

  #take(): number {
    if (!this.#isReady) return 0;
    const byte = this.#looped.shift() ?? this.#takeInput();
    this.#update();
    return byte;
  }

  #takeInput(): number {
    const [bytes = new Uint8Array(1)] = this.#input;
    if (bytes.length > 1) this.#input[0] = bytes.subarray(1);
    else this.#input.shift();
    return bytes[0]!;
  }

  #send(byte: number): void {
    if (!this.#isLooping) this.#print(byte);
    else if (this.#looped.length < FIFO_BYTES) this.#looped.push(byte);
    this.#isTransmitPending = true;
  }

  get #source(): number {
    if ((this.#ier & IER_RECEIVE) !== 0 && this.#isReady) return IIR_RECEIVE;
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
    if (!this.#isLooping) return MSR_CONNECTED;
    return ((mcr & 2) << 3) | ((mcr & 1) << 5) | ((mcr & 4) << 4) | ((mcr & 8) << 4);
  }

  #update(): void {
    if (this.#source !== IIR_NONE && (this.#mcr & MCR_OUT2) !== 0) this.#irq.raise();
    else this.#irq.lower();
  }
}
