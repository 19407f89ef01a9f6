/**
 * virtio-net: raw Ethernet frames, no offloads. Queue 0 towards the guest, queue 1 from it.
 *
 * A frame that finds no buffer is dropped and counted, as on a wire. Frames from outside come as host inputs only.
 * Source: VIRTIO 1.0, "Network Device".
 */
import {
  VIRTIO_F_VERSION_1,
  VIRTIO_ID_NET,
  VIRTIO_NET_CONFIG_BYTES,
  VIRTIO_NET_CONFIG_MAC,
  VIRTIO_NET_F_MAC,
  VIRTIO_NET_HEADER_BYTES,
  VIRTIO_NET_HEADER_LEGACY_BYTES,
  VIRTIO_NET_HEADER_NUM_BUFFERS,
  VIRTIO_NET_QUEUE_RX,
  VIRTIO_NET_QUEUE_TX,
} from "../../abi/virtio.ts";
import { ConfigError } from "../base/errors.ts";
import type {
  DeviceIrq,
  HostInput,
  InputSink,
  NetBackend,
  VirtioDevice,
  Virtqueue,
} from "../base/ports.ts";
import { checkVersion, readField } from "./records.ts";
import { RING_FEATURES } from "./virtqueue.ts";

const QUEUE_SIZE = 256;
const STATE_VERSION = 1;
const FRAME_BYTES_MIN = 14;
/** Longer frames cannot come from a driver without offloads. */
const FRAME_BYTES_MAX = 65_550;
const MAC_BYTES = 6;

/** What a network card is made of. `sink` takes the frames that arrive at `backend` until they are replayed to `receive`. */
export interface NetDeviceOptions {
  /** Unique in the guest, such as "net0". */
  readonly name: string;
  /** Six bytes, unicast. */
  readonly mac: Uint8Array;
  readonly backend: NetBackend;
  readonly sink: InputSink;
}

/** The network device. Throws ConfigError for a bad MAC address. */
export class VirtioNet implements VirtioDevice {
  readonly id = VIRTIO_ID_NET;
  readonly name: string;
  readonly features = RING_FEATURES | (1n << BigInt(VIRTIO_NET_F_MAC));
  readonly queueSizes: readonly number[] = [QUEUE_SIZE, QUEUE_SIZE];
  readonly configBytes = VIRTIO_NET_CONFIG_BYTES;
  readonly metrics = {
    rxFrames: 0,
    rxBytes: 0,
    rxDropped: 0,
    txFrames: 0,
    txBytes: 0,
    txDropped: 0,
  };

  #backend: NetBackend;
  #config = new Uint8Array(VIRTIO_NET_CONFIG_BYTES);
  #queues: Virtqueue[] = [];
  #irq: DeviceIrq | undefined;
  #headerBytes = VIRTIO_NET_HEADER_LEGACY_BYTES;

  constructor(options: NetDeviceOptions) {
    const { name, mac, backend, sink } = options;
    if (mac.length !== MAC_BYTES || ((mac[0] ?? 1) & 1) !== 0) {
      throw new ConfigError(
        `MAC address of ${name} must be six bytes and unicast (first byte even)`,
      );
    }
    this.name = name;
    this.#backend = backend;
    this.#config.set(mac, VIRTIO_NET_CONFIG_MAC);
    backend.connect((frame) => sink.post({ kind: "net", device: name, data: frame }));
  }

  readConfig(offset: number, size: number): number {
    return readField(this.#config, offset, size);
  }

  writeConfig(_offset: number, _size: number, _value: number): void {}

  activate(features: bigint, queues: Virtqueue[], irq: DeviceIrq): void {
    const isVersion1 = ((features >> BigInt(VIRTIO_F_VERSION_1)) & 1n) === 1n;
    this.#headerBytes = isVersion1 ? VIRTIO_NET_HEADER_BYTES : VIRTIO_NET_HEADER_LEGACY_BYTES;
    this.#queues = queues;
    this.#irq = irq;
    // Every arriving frame looks for a buffer by itself, so a kick on the receive ring would only cost an exit.
    queues[VIRTIO_NET_QUEUE_RX]?.wantKicks(false);
  }

  reset(): void {
    this.#queues = [];
    this.#irq = undefined;
  }

  notify(queue: number): void {
    if (queue === VIRTIO_NET_QUEUE_TX) this.#transmit();
  }

  receive(input: HostInput): void {
    if (input.kind !== "net") return;
    const frame = Uint8Array.from(input.data);
    const ring = this.#queues[VIRTIO_NET_QUEUE_RX];
    const request = ring?.pop();
    if (ring === undefined || request === undefined) {
      this.metrics.rxDropped++;
      return;
    }
    if (request.writableBytes < this.#headerBytes + frame.length) {
      ring.unpop(request);
      this.metrics.rxDropped++;
      return;
    }
    const header = new Uint8Array(this.#headerBytes);
    if (this.#headerBytes === VIRTIO_NET_HEADER_BYTES) header[VIRTIO_NET_HEADER_NUM_BUFFERS] = 1;
    request.write(0, header);
    request.write(header.length, frame);
    ring.push(request, header.length + frame.length);
    this.metrics.rxFrames++;
    this.metrics.rxBytes += frame.length;
    this.#irq?.raise(VIRTIO_NET_QUEUE_RX);
  }

  save(): Record<string, unknown> {
    return { version: STATE_VERSION, config: [...this.#config] };
  }

  restore(state: Record<string, unknown>): void {
    checkVersion(state, this.name, STATE_VERSION);
    this.#config.set(state.config as number[]);
  }

  #transmit(): void {
    const ring = this.#queues[VIRTIO_NET_QUEUE_TX];
    for (let request = ring?.pop(); request !== undefined; request = ring?.pop()) {
      const frameBytes = request.readableBytes - this.#headerBytes;
      if (frameBytes < FRAME_BYTES_MIN || frameBytes > FRAME_BYTES_MAX) {
        this.metrics.txDropped++;
      } else {
        this.metrics.txFrames++;
        this.metrics.txBytes += frameBytes;
        this.#backend.send(request.read(this.#headerBytes, frameBytes));
      }
      ring?.push(request, 0);
    }
    this.#irq?.raise(VIRTIO_NET_QUEUE_TX);
  }
}
