/**
 * virtio-console: one port, queue 0 towards the guest, queue 1 from it. A console that has a size brings control queues as well.
 *
 * Also the early console of the 1.0 bus: a character stored to `emerg_wr` is printed before any driver is there.
 * Source: VIRTIO 1.0, "Console Device".
 */
import {
  VIRTIO_CONSOLE_CONFIG_BYTES,
  VIRTIO_CONSOLE_CONFIG_COLS,
  VIRTIO_CONSOLE_CONFIG_EMERG_WR,
  VIRTIO_CONSOLE_CONFIG_MAX_PORTS,
  VIRTIO_CONSOLE_CONFIG_ROWS,
  VIRTIO_CONSOLE_F_EMERG_WRITE,
  VIRTIO_CONSOLE_F_MULTIPORT,
  VIRTIO_CONSOLE_F_SIZE,
  VIRTIO_CONSOLE_QUEUE_RX,
  VIRTIO_CONSOLE_QUEUE_TX,
  VIRTIO_ID_CONSOLE,
} from "../../abi/virtio.ts";
import type {
  ConsoleBackend,
  DeviceIrq,
  HostInput,
  VirtioDevice,
  Virtqueue,
} from "../base/ports.ts";
import { checkVersion, readField, writeField } from "./records.ts";
import { ConsoleControl } from "./virtio-console-control.ts";
import { RING_FEATURES } from "./virtqueue.ts";

const QUEUE_SIZE = 256;
const STATE_VERSION = 2;
const SIZE = 1n << BigInt(VIRTIO_CONSOLE_F_SIZE);
const MULTIPORT = 1n << BigInt(VIRTIO_CONSOLE_F_MULTIPORT);
/** Output leaves in pieces of this size, so that one huge request needs no huge array. */
const OUTPUT_PIECE_BYTES = 64 << 10;

/** What a console is made of; `name` defaults to "console". */
export interface ConsoleDeviceOptions {
  readonly backend: ConsoleBackend;
  readonly name?: string;
}

/** The console device. Input that the guest has no buffer for waits here, in order and unbounded. */
export class VirtioConsole implements VirtioDevice {
  readonly id = VIRTIO_ID_CONSOLE;
  readonly name: string;
  readonly features: bigint;
  readonly queueSizes: readonly number[];
  readonly configBytes = VIRTIO_CONSOLE_CONFIG_BYTES;
  readonly metrics = { inputBytes: 0, outputBytes: 0, emergencyBytes: 0, resizes: 0 };

  #backend: ConsoleBackend;
  #config = new Uint8Array(VIRTIO_CONSOLE_CONFIG_BYTES);
  #input: Uint8Array[] = [];
  #queues: Virtqueue[] = [];
  #features = 0n;
  readonly #control: ConsoleControl | undefined;
  #irq: DeviceIrq | undefined;

  constructor(options: ConsoleDeviceOptions) {
    this.name = options.name ?? "console";
    this.#backend = options.backend;
    const size = options.backend.size();
    this.#control = size && new ConsoleControl(size);
    this.features =
      RING_FEATURES |
      (1n << BigInt(VIRTIO_CONSOLE_F_EMERG_WRITE)) |
      (size === undefined ? 0n : SIZE | MULTIPORT);
    this.queueSizes = new Array(size === undefined ? 2 : 4).fill(QUEUE_SIZE);
    writeField(this.#config, VIRTIO_CONSOLE_CONFIG_COLS, 2, size?.columns ?? 0);
    writeField(this.#config, VIRTIO_CONSOLE_CONFIG_ROWS, 2, size?.rows ?? 0);
    writeField(this.#config, VIRTIO_CONSOLE_CONFIG_MAX_PORTS, 4, 1);
  }

  /** Bytes of input that wait for the guest: a launcher may stop reading its terminal meanwhile. */
  get pendingInputBytes(): number {
    return this.#input.reduce((sum, bytes) => sum + bytes.length, 0);
  }

  readConfig(offset: number, size: number): number {
    return readField(this.#config, offset, size);
  }

  /** Only `emerg_wr` can be written: its low byte is printed. */
  writeConfig(offset: number, _size: number, value: number): void {
    if (offset !== VIRTIO_CONSOLE_CONFIG_EMERG_WR) return;
    this.metrics.emergencyBytes++;
    this.#backend.write(Uint8Array.of(value & 0xff));
  }

  activate(features: bigint, queues: Virtqueue[], irq: DeviceIrq): void {
    this.#features = features;
    this.#queues = queues;
    this.#irq = irq;
    this.#activeControl?.activate(queues, irq);
  }

  reset(): void {
    this.#features = 0n;
    this.#queues = [];
    this.#irq = undefined;
    this.#control?.reset();
  }

  notify(queue: number): void {
    if (queue === VIRTIO_CONSOLE_QUEUE_TX) {
      this.#drainOutput();
      return;
    }
    if (queue !== VIRTIO_CONSOLE_QUEUE_RX) this.#activeControl?.notify();
    // An answer on a control queue may have opened the port.
    this.#deliverInput();
  }

  receive(input: HostInput): void {
    if (input.kind === "console") {
      if (input.data.length > 0) this.#input.push(Uint8Array.from(input.data));
      this.#deliverInput();
    } else if (input.kind === "resize") {
      this.metrics.resizes++;
      this.#resize(input.data[0] ?? 0, input.data[1] ?? 0);
    }
  }

  save(): Record<string, unknown> {
    return {
      version: STATE_VERSION,
      config: [...this.#config],
      input: this.#input.flatMap((bytes) => [...bytes]),
      control: this.#control?.save(),
    };
  }

  restore(state: Record<string, unknown>): void {
    checkVersion(state, this.name, STATE_VERSION);
    this.#config.set(state.config as number[]);
    const input = state.input as number[];
    this.#input = input.length > 0 ? [Uint8Array.from(input)] : [];
    if (state.control !== undefined) {
      this.#control?.restore(state.control as Record<string, unknown>);
    }
  }

  get #activeControl(): ConsoleControl | undefined {
    return (this.#features & MULTIPORT) === 0n ? undefined : this.#control;
  }

  #resize(columns: number, rows: number): void {
    writeField(this.#config, VIRTIO_CONSOLE_CONFIG_COLS, 2, columns);
    writeField(this.#config, VIRTIO_CONSOLE_CONFIG_ROWS, 2, rows);
    this.#control?.resize({ columns, rows });
    if ((this.#features & (SIZE | MULTIPORT)) === SIZE) this.#irq?.configChanged();
  }

  #drainOutput(): void {
    const ring = this.#queues[VIRTIO_CONSOLE_QUEUE_TX];
    for (let request = ring?.pop(); request !== undefined; request = ring?.pop()) {
      for (let at = 0; at < request.readableBytes; at += OUTPUT_PIECE_BYTES) {
        const piece = request.read(at, OUTPUT_PIECE_BYTES);
        this.metrics.outputBytes += piece.length;
        this.#backend.write(piece);
      }
      ring?.push(request, 0);
    }
    this.#irq?.raise(VIRTIO_CONSOLE_QUEUE_TX);
  }

  #deliverInput(): void {
    if (this.#activeControl?.isPortOpen === false) return;
    const ring = this.#queues[VIRTIO_CONSOLE_QUEUE_RX];
    while (ring !== undefined && this.#input.length > 0) {
      const request = ring.pop();
      if (request === undefined) break;
      let written = 0;
      while (written < request.writableBytes) {
        const bytes = this.#input[0];
        if (bytes === undefined) break;
        const count = request.write(written, bytes);
        written += count;
        if (count === bytes.length) this.#input.shift();
        else this.#input[0] = bytes.subarray(count);
      }
      this.metrics.inputBytes += written;
      ring.push(request, written);
    }
    this.#irq?.raise(VIRTIO_CONSOLE_QUEUE_RX);
  }
}
