/**
 * virtio-rng: fills what the driver offers with bytes of the guest's entropy port.
 * Source: VIRTIO 1.0, "Entropy Device".
 */
import { VIRTIO_ID_RNG } from "../../abi/virtio.ts";
import type { DeviceIrq, Entropy, HostInput, VirtioDevice, Virtqueue } from "../base/ports.ts";
import { checkVersion } from "./records.ts";
import { RING_FEATURES } from "./virtqueue.ts";

const QUEUE_SIZE = 256;
const STATE_VERSION = 2;
/** A request gets at most this many bytes; the used length says how many it got. */
const ANSWER_BYTES_MAX = 64 << 10;

/** What an entropy device is made of; `name` defaults to "rng". */
export interface RngDeviceOptions {
  readonly entropy: Entropy;
  readonly name?: string;
}

/** The entropy device: one queue, no configuration. */
export class VirtioRng implements VirtioDevice {
  readonly id = VIRTIO_ID_RNG;
  readonly name: string;
  readonly features = RING_FEATURES;
  readonly queueSizes: readonly number[] = [QUEUE_SIZE];
  readonly configBytes = 0;
  readonly metrics = { requests: 0, bytes: 0 };

  #entropy: Entropy;
  #ring: Virtqueue | undefined;
  #irq: DeviceIrq | undefined;

  constructor(options: RngDeviceOptions) {
    this.name = options.name ?? "rng";
    this.#entropy = options.entropy;
  }

  readConfig(_offset: number, _size: number): number {
    return 0;
  }

  writeConfig(_offset: number, _size: number, _value: number): void {}

  activate(_features: bigint, queues: Virtqueue[], irq: DeviceIrq): void {
    this.#ring = queues[0];
    this.#irq = irq;
  }

  reset(): void {
    this.#ring = undefined;
    this.#irq = undefined;
  }

  notify(_queue: number): void {
    for (let request = this.#ring?.pop(); request !== undefined; request = this.#ring?.pop()) {
      const bytes = new Uint8Array(Math.min(request.writableBytes, ANSWER_BYTES_MAX));
      this.#entropy.fill(bytes);
      this.#ring?.push(request, request.write(0, bytes));
      this.metrics.requests++;
      this.metrics.bytes += bytes.length;
    }
    this.#irq?.raise(0);
  }

  receive(_input: HostInput): void {}

  save(): Record<string, unknown> {
    return { version: STATE_VERSION, entropy: this.#entropy.save() };
  }

  restore(state: Record<string, unknown>): void {
    checkVersion(state, this.name, STATE_VERSION);
    this.#entropy.restore(state.entropy as Record<string, unknown>);
  }
}
