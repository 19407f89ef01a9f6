/**
 * The life of one virtio 1.0 device as its driver drives it: status, feature negotiation, queue set-up, ISR.
 *
 * Source: VIRTIO 1.0, "Common configuration structure layout", "ISR status capability", "Device Status Field".
 */
import {
  VIRTIO_COMMON_BYTES,
  VIRTIO_COMMON_CFGGENERATION,
  VIRTIO_COMMON_DF,
  VIRTIO_COMMON_DFSELECT,
  VIRTIO_COMMON_GF,
  VIRTIO_COMMON_GFSELECT,
  VIRTIO_COMMON_MSIX,
  VIRTIO_COMMON_NUMQ,
  VIRTIO_COMMON_Q_AVAILHI,
  VIRTIO_COMMON_Q_AVAILLO,
  VIRTIO_COMMON_Q_DESCHI,
  VIRTIO_COMMON_Q_DESCLO,
  VIRTIO_COMMON_Q_ENABLE,
  VIRTIO_COMMON_Q_MSIX,
  VIRTIO_COMMON_Q_NOFF,
  VIRTIO_COMMON_Q_SELECT,
  VIRTIO_COMMON_Q_SIZE,
  VIRTIO_COMMON_Q_USEDHI,
  VIRTIO_COMMON_Q_USEDLO,
  VIRTIO_COMMON_STATUS,
  VIRTIO_F_VERSION_1,
  VIRTIO_ISR_CONFIG,
  VIRTIO_ISR_QUEUE,
  VIRTIO_MSI_NO_VECTOR,
  VIRTIO_STATUS_DRIVER_OK,
  VIRTIO_STATUS_FEATURES_OK,
  VIRTIO_STATUS_NEEDS_RESET,
} from "../../abi/virtio.ts";
import type { GuestMemory, IrqPort, VirtioDevice } from "../base/ports.ts";
import { checkVersion, readField, writeField } from "./records.ts";
import { type RingRecord, SplitVirtqueue } from "./virtqueue.ts";

const STATE_VERSION = 1;
const VERSION_1 = 1n << BigInt(VIRTIO_F_VERSION_1);

/** What the driver said about one queue; addresses are two 32-bit words each, [desc, avail, used]. */
interface QueueSetup {
  size: number;
  isEnabled: boolean;
  readonly addresses: number[];
}

/** First byte of every register, in order; a register ends where the next begins. */
const REGISTERS = [
  VIRTIO_COMMON_DFSELECT,
  VIRTIO_COMMON_DF,
  VIRTIO_COMMON_GFSELECT,
  VIRTIO_COMMON_GF,
  VIRTIO_COMMON_MSIX,
  VIRTIO_COMMON_NUMQ,
  VIRTIO_COMMON_STATUS,
  VIRTIO_COMMON_CFGGENERATION,
  VIRTIO_COMMON_Q_SELECT,
  VIRTIO_COMMON_Q_SIZE,
  VIRTIO_COMMON_Q_MSIX,
  VIRTIO_COMMON_Q_ENABLE,
  VIRTIO_COMMON_Q_NOFF,
  VIRTIO_COMMON_Q_DESCLO,
  VIRTIO_COMMON_Q_DESCHI,
  VIRTIO_COMMON_Q_AVAILLO,
  VIRTIO_COMMON_Q_AVAILHI,
  VIRTIO_COMMON_Q_USEDLO,
  VIRTIO_COMMON_Q_USEDHI,
  VIRTIO_COMMON_BYTES,
];

/** Common configuration, notify and ISR of one device. */
export class VirtioPciCommon {
  #device: VirtioDevice;
  #memory: GuestMemory;
  #irq: IrqPort;
  #onNeedsReset: (device: string, reason: string) => void;
  #setups: QueueSetup[];
  #queues: SplitVirtqueue[] = [];
  #status = 0;
  #isr = 0;
  #generation = 0;
  #deviceSelect = 0;
  #driverSelect = 0;
  #queueSelect = 0;
  #driverFeatures = 0n;

  constructor(
    device: VirtioDevice,
    memory: GuestMemory,
    irq: IrqPort,
    onNeedsReset: (device: string, reason: string) => void,
  ) {
    this.#device = device;
    this.#memory = memory;
    this.#irq = irq;
    this.#onNeedsReset = onNeedsReset;
    this.#setups = freshSetups(device);
  }

  /** Reads any 1 to 4 bytes of the structure; nothing changes. */
  read(offset: number, size: number): number {
    const image = new Uint8Array(VIRTIO_COMMON_BYTES);
    forEachRegister(offset, size, (at, width) => writeField(image, at, width, this.#get(at)));
    return readField(image, offset, size);
  }

  /** Writes any 1 to 4 bytes; a part of a register changes that part. */
  write(offset: number, size: number, value: number): void {
    const image = new Uint8Array(VIRTIO_COMMON_BYTES);
    forEachRegister(offset, size, (at, width) => writeField(image, at, width, this.#get(at)));
    writeField(image, offset, size, value);
    forEachRegister(offset, size, (at, width) => this.#set(at, readField(image, at, width)));
  }

  /** A kick. Before DRIVER_OK it is kept in the ring: activation looks at every ring once. */
  notify(queue: number): void {
    if (this.#isLive() && queue < this.#queues.length) this.#device.notify(queue);
  }

  /** Reads and clears the ISR status, and lets the line go. */
  takeIsr(): number {
    const isr = this.#isr;
    this.#isr = 0;
    this.#irq.lower();
    return isr;
  }

  /** Negotiation, set-up and rings, plain. */
  save(): Record<string, unknown> {
    return {
      version: STATE_VERSION,
      status: this.#status,
      isr: this.#isr,
      generation: this.#generation,
      selects: [this.#deviceSelect, this.#driverSelect, this.#queueSelect],
      driverFeatures: `0x${this.#driverFeatures.toString(16)}`,
      setups: this.#setups.map((setup) => ({ ...setup, addresses: [...setup.addresses] })),
      queues: this.#queues.map((queue) => queue.save()),
    };
  }

  /** The inverse of save; the device's own state comes after. Throws SnapshotError for another version. */
  restore(state: Record<string, unknown>): void {
    checkVersion(state, `the transport of ${this.#device.name}`, STATE_VERSION);
    this.#reset();
    const selects = state.selects as number[];
    this.#deviceSelect = selects[0] ?? 0;
    this.#driverSelect = selects[1] ?? 0;
    this.#queueSelect = selects[2] ?? 0;
    this.#driverFeatures = BigInt(state.driverFeatures as string);
    this.#setups = (state.setups as QueueSetup[]).map((setup) => ({
      ...setup,
      addresses: [...setup.addresses],
    }));
    const rings = state.queues as RingRecord[];
    if (rings.length > 0) this.#activate(rings);
    this.#status = state.status as number;
    this.#isr = state.isr as number;
    this.#generation = state.generation as number;
  }

  #get(register: number): number {
    const setup = this.#setups[this.#queueSelect];
    switch (register) {
      case VIRTIO_COMMON_DFSELECT:
        return this.#deviceSelect;
      case VIRTIO_COMMON_DF:
        return featureWord(this.#device.features | VERSION_1, this.#deviceSelect);
      case VIRTIO_COMMON_GFSELECT:
        return this.#driverSelect;
      case VIRTIO_COMMON_GF:
        return featureWord(this.#driverFeatures, this.#driverSelect);
      case VIRTIO_COMMON_MSIX:
      case VIRTIO_COMMON_Q_MSIX:
        return VIRTIO_MSI_NO_VECTOR;
      case VIRTIO_COMMON_NUMQ:
        return this.#setups.length;
      case VIRTIO_COMMON_STATUS:
        return this.#status;
      case VIRTIO_COMMON_CFGGENERATION:
        return this.#generation;
      case VIRTIO_COMMON_Q_SELECT:
        return this.#queueSelect;
      case VIRTIO_COMMON_Q_SIZE:
        return setup?.size ?? 0;
      case VIRTIO_COMMON_Q_ENABLE:
        return setup?.isEnabled === true ? 1 : 0;
      case VIRTIO_COMMON_Q_NOFF:
        return 0;
      default:
        return setup?.addresses[(register - VIRTIO_COMMON_Q_DESCLO) >> 2] ?? 0;
    }
  }

  #set(register: number, value: number): void {
    const setup = this.#setups[this.#queueSelect];
    switch (register) {
      case VIRTIO_COMMON_DFSELECT:
        this.#deviceSelect = value;
        return;
      case VIRTIO_COMMON_GFSELECT:
        this.#driverSelect = value;
        return;
      case VIRTIO_COMMON_GF:
        this.#acceptFeatures(value);
        return;
      case VIRTIO_COMMON_STATUS:
        this.#setStatus(value);
        return;
      case VIRTIO_COMMON_Q_SELECT:
        this.#queueSelect = value;
        return;
      case VIRTIO_COMMON_Q_SIZE:
        if (setup !== undefined && !setup.isEnabled) setup.size = value;
        return;
      case VIRTIO_COMMON_Q_ENABLE:
        if (setup !== undefined && value === 1) setup.isEnabled = true;
        return;
    }
    if (register >= VIRTIO_COMMON_Q_DESCLO && setup !== undefined && !setup.isEnabled) {
      setup.addresses[(register - VIRTIO_COMMON_Q_DESCLO) >> 2] = value;
    }
  }

  #acceptFeatures(word: number): void {
    if (this.#driverSelect > 1 || (this.#status & VIRTIO_STATUS_FEATURES_OK) !== 0) return;
    const shift = BigInt(32 * this.#driverSelect);
    const others = this.#driverFeatures & ~(0xffffffffn << shift);
    this.#driverFeatures = others | (BigInt(word) << shift);
  }

  #setStatus(value: number): void {
    if (value === 0) {
      this.#reset();
      this.#irq.lower();
      return;
    }
    let status = value | (this.#status & VIRTIO_STATUS_NEEDS_RESET);
    const isSubset = (this.#driverFeatures & ~(this.#device.features | VERSION_1)) === 0n;
    const isModern = (this.#driverFeatures & VERSION_1) !== 0n;
    if (!isSubset || !isModern) status &= ~VIRTIO_STATUS_FEATURES_OK;
    const wasLive = this.#isLive();
    this.#status = status;
    if (this.#isLive() && !wasLive) {
      this.#activate([]);
      for (const queue of this.#queues.keys()) this.#device.notify(queue);
    }
  }

  #reset(): void {
    this.#status = 0;
    this.#isr = 0;
    this.#deviceSelect = 0;
    this.#driverSelect = 0;
    this.#queueSelect = 0;
    this.#driverFeatures = 0n;
    this.#queues = [];
    this.#setups = freshSetups(this.#device);
    this.#device.reset();
  }

  #isLive(): boolean {
    return (this.#status & VIRTIO_STATUS_DRIVER_OK) !== 0;
  }

  /** Makes the rings and hands them to the device. A queue that was not enabled is a ring that gives nothing. */
  #activate(records: readonly RingRecord[]): void {
    const features = this.#driverFeatures & (this.#device.features | VERSION_1);
    this.#queues = this.#setups.map((setup, index) => {
      const [descriptors = 0, descHigh, available = 0, availHigh, used = 0, usedHigh] =
        setup.addresses;
      const ring = new SplitVirtqueue(
        this.#memory,
        index,
        { size: setup.size, descriptors, available, used },
        features,
        (reason) => {
          if (setup.isEnabled) this.#needsReset(reason);
        },
      );
      if (!setup.isEnabled) ring.fail("not enabled");
      else if ((descHigh || availHigh || usedHigh) !== 0) ring.fail("ring lies above 4 GiB");
      const record = records[index];
      if (record !== undefined) ring.restore(record);
      return ring;
    });
    this.#device.activate(features, this.#queues, {
      raise: (queue) => this.#raise(queue),
      configChanged: () => this.#configChanged(),
    });
  }

  /** One line for all queues: each that has news is asked, so that none keeps a stale count. */
  #raise(only: number | undefined): void {
    const queues = only === undefined ? this.#queues : this.#queues.slice(only, only + 1);
    if (queues.filter((queue) => queue.wantsInterrupt()).length === 0) return;
    this.#isr |= VIRTIO_ISR_QUEUE;
    this.#irq.raise();
  }

  #configChanged(): void {
    this.#generation = (this.#generation + 1) & 0xff;
    if (!this.#isLive()) return;
    this.#isr |= VIRTIO_ISR_CONFIG;
    this.#irq.raise();
  }

  #needsReset(reason: string): void {
    this.#status |= VIRTIO_STATUS_NEEDS_RESET;
    this.#onNeedsReset(this.#device.name, reason);
    this.#configChanged();
  }
}

function freshSetups(device: VirtioDevice): QueueSetup[] {
  return device.queueSizes.map((size) => ({
    size,
    isEnabled: false,
    addresses: [0, 0, 0, 0, 0, 0],
  }));
}

function featureWord(features: bigint, select: number): number {
  return select > 1 ? 0 : Number((features >> BigInt(32 * select)) & 0xffffffffn);
}

/** Visits every register that [offset, offset + size) touches. */
function forEachRegister(
  offset: number,
  size: number,
  visit: (at: number, width: number) => void,
): void {
  for (let i = 0; i + 1 < REGISTERS.length; i++) {
    const at = REGISTERS[i] ?? 0;
    const end = REGISTERS[i + 1] ?? 0;
    if (at < offset + size && end > offset) visit(at, end - at);
  }
}
