/**
 * lguest's old device bus: a page of packed descriptors right above RAM, rings in the pages after it, one hypercall (NOTIFY).
 *
 * The Host allocates the rings, in the legacy layout. Features and configuration are read by the guest straight from the page;
 * only resets, the end of feature negotiation and failures are announced. A device that lies kills the guest by name.
 * Source: facts of Linux 3.10 to 4.0, lguest Launcher and drivers/lguest/lguest_device.c.
 */
import {
  LGDEV_CONFIG_LEN,
  LGDEV_FEATURE_LEN,
  LGDEV_HEADER_BYTES,
  LGDEV_NUM_VQ,
  LGDEV_RING_ALIGN,
  LGDEV_STATUS,
  LGDEV_TYPE,
  LGDEV_VQ_BYTES,
  LGDEV_VQ_IRQ,
  LGDEV_VQ_NUM,
  LGDEV_VQ_PFN,
} from "../../abi/lguest.ts";
import { PAGE_BYTES } from "../../abi/memory.ts";
import { VIRTIO_STATUS_FAILED } from "../../abi/virtio.ts";
import { ConfigError } from "../base/errors.ts";
import type { DeviceBus, GuestMemory, IrqPort, VirtioDevice } from "../base/ports.ts";
import { checkVersion, writeField } from "../devices/records.ts";
import {
  legacyRing,
  type RingAddresses,
  type RingRecord,
  SplitVirtqueue,
} from "../devices/virtqueue.ts";
import { DEATHS } from "./kill-reasons.ts";

const STATE_VERSION = 1;
/** A kernel without IO-APIC has 16 IRQs, and 0 is the timer. */
const IRQ_MAX = 15;
/** The guest sends 16 characters at most; a terminator that never comes ends here. */
const EARLY_CONSOLE_BYTES_MAX = 256;

/** What a NOTIFY turned out to be. */
export type NotifyOutcome =
  | { readonly kind: "kick"; readonly device: string; readonly queue: number }
  | { readonly kind: "status"; readonly device: string; readonly status: number }
  | { readonly kind: "early-console"; readonly text: string }
  | { readonly kind: "bad"; readonly reason: string };

/** What the bus is built from. */
export interface DevicePageOptions {
  /** Device pages must reach far enough above RAM: one page, and three for every ring of 256. */
  readonly memory: GuestMemory;
  /** The line of IRQ number 1 to 15; only `raise` is called, a line is a pulse here. */
  readonly irq: (number: number) => IrqPort;
  /** Kills the guest with a reason. */
  readonly kill: (reason: string) => void;
}

interface Slot {
  readonly device: VirtioDevice;
  readonly descriptorGpa: number;
  readonly featureBytes: number;
  readonly rings: readonly RingAddresses[];
  readonly irqs: readonly number[];
  queues: SplitVirtqueue[];
  features: bigint;
  isFinalised: boolean;
}

/** The bus. Add devices, `publish` once memory is there, then hand every NOTIFY address to `notify`. */
export class DevicePageBus implements DeviceBus {
  #memory: GuestMemory;
  #irq: (number: number) => IrqPort;
  #kill: (reason: string) => void;
  #slots: Slot[] = [];
  #nextDescriptor: number;
  #nextRing: number;
  #nextIrq = 1;

  constructor(options: DevicePageOptions) {
    this.#memory = options.memory;
    this.#irq = options.irq;
    this.#kill = options.kill;
    this.#nextDescriptor = options.memory.ramBytes;
    this.#nextRing = options.memory.ramBytes + PAGE_BYTES;
  }

  /** In the order added. */
  get devices(): readonly VirtioDevice[] {
    return this.#slots.map((slot) => slot.device);
  }

  /** Gives the device its descriptor, rings and IRQs. Throws ConfigError when page, device pages or IRQs run out. */
  add(device: VirtioDevice): void {
    const featureBytes = legacyFeatureBytes(device.features);
    const queueCount = device.queueSizes.length;
    const descriptorBytes =
      LGDEV_HEADER_BYTES + LGDEV_VQ_BYTES * queueCount + 2 * featureBytes + device.configBytes;
    const pageEnd = this.#memory.ramBytes + PAGE_BYTES;
    if (this.#nextDescriptor + descriptorBytes >= pageEnd) {
      throw new ConfigError(
        `no room for ${device.name} on the lguest device page; use fewer devices`,
      );
    }
    if (this.#nextIrq + queueCount - 1 > IRQ_MAX) {
      throw new ConfigError(`no IRQ left for ${device.name}; lguest guests have ${IRQ_MAX}`);
    }
    const rings: RingAddresses[] = [];
    let ringGpa = this.#nextRing;
    for (const size of device.queueSizes) {
      const { addresses, bytes } = legacyRing(ringGpa, size, LGDEV_RING_ALIGN);
      rings.push(addresses);
      ringGpa += Math.ceil(bytes / PAGE_BYTES) * PAGE_BYTES;
    }
    if (ringGpa > this.#memory.limitBytes) {
      throw new ConfigError(
        `device pages end before the rings of ${device.name}; allow more of them`,
      );
    }
    this.#slots.push({
      device,
      descriptorGpa: this.#nextDescriptor,
      featureBytes,
      rings,
      irqs: rings.map((_, queue) => this.#nextIrq + queue),
      queues: [],
      features: 0n,
      isFinalised: false,
    });
    this.#nextDescriptor += descriptorBytes;
    this.#nextRing = ringGpa;
    this.#nextIrq += queueCount;
  }

  /** Writes the whole page as the guest finds it at boot, and puts every device into its reset state. */
  publish(): void {
    this.#memory.fill(this.#memory.ramBytes, PAGE_BYTES, 0);
    for (const slot of this.#slots) {
      const { device } = slot;
      const bytes = new Uint8Array(configOffset(slot));
      bytes[LGDEV_TYPE] = device.id;
      bytes[LGDEV_NUM_VQ] = slot.rings.length;
      bytes[LGDEV_FEATURE_LEN] = slot.featureBytes;
      bytes[LGDEV_CONFIG_LEN] = device.configBytes;
      slot.rings.forEach((ring, queue) => {
        const at = LGDEV_HEADER_BYTES + LGDEV_VQ_BYTES * queue;
        writeField(bytes, at + LGDEV_VQ_NUM, 2, ring.size);
        writeField(bytes, at + LGDEV_VQ_IRQ, 2, slot.irqs[queue] ?? 0);
        writeField(bytes, at + LGDEV_VQ_PFN, 4, ring.descriptors / PAGE_BYTES);
      });
      const offered = Number(device.features & 0xffffffffn);
      writeField(bytes, featuresOffset(slot), slot.featureBytes, offered);
      this.#memory.write(slot.descriptorGpa, bytes);
      this.#publishConfig(slot);
      this.#reset(slot);
    }
  }

  /** The NOTIFY hypercall. Kicks and status changes have been acted upon on return; text is the caller's to print. */
  notify(gpa: number): NotifyOutcome {
    for (const slot of this.#slots) {
      if (gpa === slot.descriptorGpa) return this.#statusChanged(slot);
      const queue = slot.rings.findIndex((ring) => ring.descriptors === gpa);
      if (queue >= 0) return this.#kicked(slot, queue);
    }
    if (gpa === 0 || !this.#memory.isRange(gpa, 1)) {
      return { kind: "bad", reason: DEATHS.badNotify(gpa) };
    }
    return { kind: "early-console", text: this.#memory.readCString(gpa, EARLY_CONSOLE_BYTES_MAX) };
  }

  /** Negotiation and rings of every device and the devices' own state; memory is saved elsewhere. */
  save(): Record<string, unknown> {
    const devices = this.#slots.map((slot) => ({
      name: slot.device.name,
      features: `0x${slot.features.toString(16)}`,
      isFinalised: slot.isFinalised,
      queues: slot.queues.map((queue) => queue.save()),
      state: slot.device.save(),
    }));
    return { version: STATE_VERSION, devices };
  }

  /** Restores a bus with the same devices added in the same order; throws SnapshotError otherwise. */
  restore(state: Record<string, unknown>): void {
    checkVersion(state, "the lguest device page", STATE_VERSION);
    const records = state.devices as {
      name: string;
      features: string;
      isFinalised: boolean;
      queues: RingRecord[];
      state: Record<string, unknown>;
    }[];
    for (const slot of this.#slots) {
      const record = records.find(({ name }) => name === slot.device.name);
      if (record === undefined) continue;
      slot.device.reset();
      slot.queues = [];
      slot.isFinalised = false;
      if (record.isFinalised) this.#activate(slot, BigInt(record.features), record.queues);
      slot.device.restore(record.state);
    }
  }

  #kicked(slot: Slot, queue: number): NotifyOutcome {
    const { device } = slot;
    if (!slot.isFinalised) {
      return { kind: "bad", reason: `NOTIFY of ${device.name} before its features are settled` };
    }
    device.notify(queue);
    return { kind: "kick", device: device.name, queue };
  }

  #statusChanged(slot: Slot): NotifyOutcome {
    const { device } = slot;
    const status = this.#memory.readU8(slot.descriptorGpa + LGDEV_STATUS);
    if (status === 0) {
      this.#reset(slot);
    } else if ((status & VIRTIO_STATUS_FAILED) !== 0) {
      slot.queues = [];
      slot.isFinalised = false;
      device.reset();
    } else if (slot.isFinalised) {
      return { kind: "bad", reason: `features of ${device.name} settled twice without a reset` };
    } else {
      const accepted = this.#memory.read(
        slot.descriptorGpa + featuresOffset(slot) + slot.featureBytes,
        slot.featureBytes,
      );
      const bits = accepted.reduceRight((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
      this.#activate(slot, bits & device.features);
    }
    return { kind: "status", device: device.name, status };
  }

  #reset(slot: Slot): void {
    slot.queues = [];
    slot.features = 0n;
    slot.isFinalised = false;
    const accepted = slot.descriptorGpa + featuresOffset(slot) + slot.featureBytes;
    this.#memory.fill(accepted, slot.featureBytes, 0);
    for (const ring of slot.rings) {
      const { bytes } = legacyRing(ring.descriptors, ring.size, LGDEV_RING_ALIGN);
      this.#memory.fill(ring.descriptors, bytes, 0);
    }
    slot.device.reset();
  }

  #activate(slot: Slot, features: bigint, records: readonly RingRecord[] = []): void {
    const { device, irqs } = slot;
    slot.features = features;
    slot.isFinalised = true;
    const onBroken = (reason: string) => this.#kill(`${device.name}: ${reason}`);
    slot.queues = slot.rings.map((ring, index) => {
      const queue = new SplitVirtqueue(this.#memory, index, ring, features, onBroken);
      const record = records[index];
      if (record !== undefined) queue.restore(record);
      return queue;
    });
    const raise = (queue: number) => {
      const irq = irqs[queue];
      if (irq !== undefined && slot.queues[queue]?.wantsInterrupt() === true)
        this.#irq(irq).raise();
    };
    device.activate(features, slot.queues, {
      raise: (queue) => {
        if (queue === undefined) for (const index of slot.queues.keys()) raise(index);
        else raise(queue);
      },
      // The old bus has no line for it: the guest reads the page when it looks.
      configChanged: () => this.#publishConfig(slot),
    });
  }

  #publishConfig(slot: Slot): void {
    const { device, descriptorGpa } = slot;
    const bytes = new Uint8Array(device.configBytes);
    for (let at = 0; at < bytes.length; at++) bytes[at] = device.readConfig(at, 1);
    this.#memory.write(descriptorGpa + configOffset(slot), bytes);
  }
}

/** The legacy bus has 32 feature bits; trailing bytes without a bit are left out. */
function legacyFeatureBytes(features: bigint): number {
  let bytes = 0;
  for (let rest = features & 0xffffffffn; rest !== 0n; rest >>= 8n) bytes++;
  return bytes;
}

function featuresOffset(slot: Slot): number {
  return LGDEV_HEADER_BYTES + LGDEV_VQ_BYTES * slot.rings.length;
}

function configOffset(slot: Slot): number {
  return featuresOffset(slot) + 2 * slot.featureBytes;
}
