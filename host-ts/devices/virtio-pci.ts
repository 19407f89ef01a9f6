/**
 * The virtio 1.0 transport over PCI: one function per device, everything in BAR 0, INTx only.
 *
 * BAR 0: common configuration at 0, notify at 56, ISR at 58, device configuration at 60. The PCI configuration window reaches
 * the same bytes through ports alone, which is how an lguest kernel prints before it can map anything.
 * Lenient with drivers: any access width, any status order; what makes a ring unusable sets NEEDS_RESET and says why.
 * Source: VIRTIO 1.0, "Virtio Over PCI Bus".
 */
import {
  PCI_CAP_ID_VENDOR,
  PCI_CAPABILITY_LIST,
  PCI_CLASS_COMMUNICATION_SERIAL,
  PCI_CLASS_DEVICE,
  PCI_CLASS_NETWORK_ETHERNET,
  PCI_CLASS_OTHERS,
  PCI_CLASS_STORAGE_OTHER,
  PCI_DEVICE_ID,
  PCI_INTERRUPT_LINE,
  PCI_INTERRUPT_PIN,
  PCI_REVISION_ID,
  PCI_STATUS,
  PCI_STATUS_CAP_LIST,
  PCI_SUBSYSTEM_ID,
  PCI_SUBSYSTEM_VENDOR_ID,
  PCI_VENDOR_ID,
} from "../../abi/pci.ts";
import {
  VIRTIO_BAR_COMMON,
  VIRTIO_BAR_DEVICE,
  VIRTIO_BAR_ISR,
  VIRTIO_BAR_NOTIFY,
  VIRTIO_COMMON_BYTES,
  VIRTIO_ID_BLOCK,
  VIRTIO_ID_CONSOLE,
  VIRTIO_ID_NET,
  VIRTIO_PCI_AT_COMMON,
  VIRTIO_PCI_AT_DEVICE,
  VIRTIO_PCI_AT_ISR,
  VIRTIO_PCI_AT_NOTIFY,
  VIRTIO_PCI_AT_WINDOW,
  VIRTIO_PCI_CAP_BAR,
  VIRTIO_PCI_CAP_COMMON_CFG,
  VIRTIO_PCI_CAP_DEVICE_CFG,
  VIRTIO_PCI_CAP_EXTRA,
  VIRTIO_PCI_CAP_ISR_CFG,
  VIRTIO_PCI_CAP_LEN,
  VIRTIO_PCI_CAP_LENGTH,
  VIRTIO_PCI_CAP_NEXT,
  VIRTIO_PCI_CAP_NOTIFY_CFG,
  VIRTIO_PCI_CAP_OFFSET,
  VIRTIO_PCI_CAP_PCI_CFG,
  VIRTIO_PCI_CAP_TYPE,
  VIRTIO_PCI_DEVICE_BASE,
  VIRTIO_PCI_REVISION,
  VIRTIO_PCI_SUBSYSTEM,
  VIRTIO_PCI_VENDOR,
} from "../../abi/virtio.ts";
import { ConfigError } from "../base/errors.ts";
import type { DeviceBus, GuestMemory, IrqPort, VirtioDevice } from "../base/ports.ts";
import { PciBus, PciConfigSpace, type PciFunction } from "./pci.ts";
import { checkVersion } from "./records.ts";
import { VirtioPciCommon } from "./virtio-pci-common.ts";

const STATE_VERSION = 1;
const IRQ_MAX = 15;
const CAP_BYTES = 16;
/** pci_cfg_data: touching it performs the access that the window describes. */
const WINDOW_DATA = VIRTIO_PCI_AT_WINDOW + VIRTIO_PCI_CAP_EXTRA;

/** Class codes by virtio device type; the rest is "other". */
const CLASSES: Record<number, number> = {
  [VIRTIO_ID_NET]: PCI_CLASS_NETWORK_ETHERNET,
  [VIRTIO_ID_BLOCK]: PCI_CLASS_STORAGE_OTHER,
  [VIRTIO_ID_CONSOLE]: PCI_CLASS_COMMUNICATION_SERIAL,
};

/** What the bus is built from. */
export interface VirtioPciOptions {
  readonly memory: GuestMemory;
  /** BARs are handed out inside [mmioStart, mmioEnd), guest-physical addresses outside RAM. */
  readonly mmioStart: number;
  readonly mmioEnd: number;
  /** The line of IRQ number 1 to 15: raised after the ISR bit is set, lowered when the driver reads the ISR. */
  readonly irq: (number: number) => IrqPort;
  /** Interrupt pin register, 0 (the guest takes the line register literally) or 1 (INTA). Default 0. */
  readonly interruptPin?: number;
  /** Hears why a device asked to be reset; for logs and tests. */
  readonly onNeedsReset?: (device: string, reason: string) => void;
}

/** The bus: add devices in the order of their PCI device numbers (lguest guests want the console first). */
export class VirtioPciBus implements DeviceBus {
  readonly pci: PciBus;
  #options: VirtioPciOptions;
  #functions: VirtioPciFunction[] = [];

  constructor(options: VirtioPciOptions) {
    this.#options = options;
    this.pci = new PciBus(options.mmioStart, options.mmioEnd);
  }

  /** In the order added. */
  get devices(): readonly VirtioDevice[] {
    return this.#functions.map((candidate) => candidate.device);
  }

  /** Throws ConfigError when IRQs, device numbers or the MMIO window run out. */
  add(device: VirtioDevice): void {
    const irq = this.#functions.length + 1;
    if (irq > IRQ_MAX) throw new ConfigError(`no IRQ left for ${device.name}; use fewer devices`);
    const pciFunction = new VirtioPciFunction(device, this.#options, irq);
    this.pci.attach(pciFunction);
    this.#functions.push(pciFunction);
  }

  /** The bus, every transport and every device. */
  save(): Record<string, unknown> {
    const devices = this.#functions.map(({ name, common, device }) => ({
      name,
      transport: common.save(),
      state: device.save(),
    }));
    return { version: STATE_VERSION, pci: this.pci.save(), devices };
  }

  /** Restores a bus with the same devices; guest memory must already be that of the snapshot. */
  restore(state: Record<string, unknown>): void {
    checkVersion(state, "the virtio PCI bus", STATE_VERSION);
    this.pci.restore(state.pci as Record<string, unknown>);
    const records = state.devices as Record<string, Record<string, unknown>>[];
    for (const { name, common, device } of this.#functions) {
      const record = records.find((candidate) => (candidate.name as unknown) === name);
      if (record === undefined) continue;
      common.restore(record.transport ?? {});
      device.restore(record.state ?? {});
    }
  }
}

/** One device on the bus. */
export class VirtioPciFunction implements PciFunction {
  readonly name: string;
  readonly device: VirtioDevice;
  readonly common: VirtioPciCommon;
  readonly config = new PciConfigSpace();
  readonly barBytes: number;

  constructor(device: VirtioDevice, options: VirtioPciOptions, irq: number) {
    this.name = device.name;
    this.device = device;
    this.barBytes = 2 ** Math.ceil(Math.log2(VIRTIO_BAR_DEVICE + device.configBytes));
    this.common = new VirtioPciCommon(
      device,
      options.memory,
      options.irq(irq),
      options.onNeedsReset ?? (() => {}),
    );
    const { config } = this;
    config.define(PCI_VENDOR_ID, 2, VIRTIO_PCI_VENDOR);
    config.define(PCI_DEVICE_ID, 2, VIRTIO_PCI_DEVICE_BASE + device.id);
    config.define(PCI_STATUS, 2, PCI_STATUS_CAP_LIST);
    config.define(PCI_REVISION_ID, 1, VIRTIO_PCI_REVISION);
    config.define(PCI_CLASS_DEVICE, 2, CLASSES[device.id] ?? PCI_CLASS_OTHERS);
    config.define(PCI_SUBSYSTEM_VENDOR_ID, 2, VIRTIO_PCI_VENDOR);
    config.define(PCI_SUBSYSTEM_ID, 2, VIRTIO_PCI_SUBSYSTEM);
    config.define(PCI_INTERRUPT_LINE, 1, irq);
    config.define(PCI_INTERRUPT_PIN, 1, options.interruptPin ?? 0);
    this.#defineCapabilities();
  }

  configRead(offset: number, size: number): number {
    if (offset === WINDOW_DATA) {
      const access = this.#windowAccess();
      if (access === undefined) return 0;
      return this.barRead(access.offset, access.length);
    }
    return this.config.read(offset, size);
  }

  configWrite(offset: number, size: number, value: number): void {
    if (offset === WINDOW_DATA) {
      const access = this.#windowAccess();
      if (access !== undefined) this.barWrite(access.offset, access.length, value);
    } else {
      this.config.write(offset, size, value);
    }
  }

  barRead(offset: number, size: number): number {
    if (offset === VIRTIO_BAR_ISR) return this.common.takeIsr();
    if (offset >= VIRTIO_BAR_DEVICE) {
      const at = offset - VIRTIO_BAR_DEVICE;
      return at < this.device.configBytes ? this.device.readConfig(at, size) : 0;
    }
    return offset < VIRTIO_COMMON_BYTES ? this.common.read(offset - VIRTIO_BAR_COMMON, size) : 0;
  }

  barWrite(offset: number, size: number, value: number): void {
    if (offset >= VIRTIO_BAR_DEVICE) {
      const at = offset - VIRTIO_BAR_DEVICE;
      if (at < this.device.configBytes) this.device.writeConfig(at, size, value);
    } else if (offset === VIRTIO_BAR_NOTIFY) {
      this.common.notify(value & 0xffff);
    } else if (offset < VIRTIO_COMMON_BYTES) {
      this.common.write(offset - VIRTIO_BAR_COMMON, size, value);
    }
  }

  /** The access that the window describes, undefined while it describes none of ours. */
  #windowAccess(): { offset: number; length: number } | undefined {
    const bar = this.config.read(VIRTIO_PCI_AT_WINDOW + VIRTIO_PCI_CAP_BAR, 1);
    const offset = this.config.read(VIRTIO_PCI_AT_WINDOW + VIRTIO_PCI_CAP_OFFSET, 4);
    const length = this.config.read(VIRTIO_PCI_AT_WINDOW + VIRTIO_PCI_CAP_LENGTH, 4);
    const isWidth = length === 1 || length === 2 || length === 4;
    return bar === 0 && isWidth && offset + length <= this.barBytes
      ? { offset, length }
      : undefined;
  }

  #defineCapabilities(): void {
    const { config } = this;
    const configBytes = this.device.configBytes;
    const afterWindow = configBytes > 0 ? VIRTIO_PCI_AT_DEVICE : 0;
    config.define(PCI_CAPABILITY_LIST, 1, VIRTIO_PCI_AT_COMMON);
    // at, next, type, bytes beyond the plain capability, where in BAR 0, how long
    const rows: [number, number, number, number, number, number][] = [
      [
        VIRTIO_PCI_AT_COMMON,
        VIRTIO_PCI_AT_NOTIFY,
        VIRTIO_PCI_CAP_COMMON_CFG,
        0,
        VIRTIO_BAR_COMMON,
        VIRTIO_COMMON_BYTES,
      ],
      [VIRTIO_PCI_AT_NOTIFY, VIRTIO_PCI_AT_ISR, VIRTIO_PCI_CAP_NOTIFY_CFG, 4, VIRTIO_BAR_NOTIFY, 2],
      [VIRTIO_PCI_AT_ISR, VIRTIO_PCI_AT_WINDOW, VIRTIO_PCI_CAP_ISR_CFG, 0, VIRTIO_BAR_ISR, 1],
      [VIRTIO_PCI_AT_WINDOW, afterWindow, VIRTIO_PCI_CAP_PCI_CFG, 4, 0, 0],
    ];
    if (configBytes > 0) {
      rows.push([
        VIRTIO_PCI_AT_DEVICE,
        0,
        VIRTIO_PCI_CAP_DEVICE_CFG,
        0,
        VIRTIO_BAR_DEVICE,
        configBytes,
      ]);
    }
    for (const [at, next, type, extraBytes, offset, length] of rows) {
      config.define(at, 1, PCI_CAP_ID_VENDOR);
      config.define(at + VIRTIO_PCI_CAP_NEXT, 1, next);
      config.define(at + VIRTIO_PCI_CAP_LEN, 1, CAP_BYTES + extraBytes);
      config.define(at + VIRTIO_PCI_CAP_TYPE, 1, type);
      config.define(at + VIRTIO_PCI_CAP_OFFSET, 4, offset);
      config.define(at + VIRTIO_PCI_CAP_LENGTH, 4, length);
    }
    config.define(VIRTIO_PCI_AT_WINDOW + VIRTIO_PCI_CAP_BAR, 1, 0, 0xff);
    config.define(VIRTIO_PCI_AT_WINDOW + VIRTIO_PCI_CAP_OFFSET, 4, 0, 0xffffffff);
    config.define(VIRTIO_PCI_AT_WINDOW + VIRTIO_PCI_CAP_LENGTH, 4, 0, 0xffffffff);
  }
}
