/**
 * A PCI bus of one host bridge and up to 31 single-function devices, reached by configuration mechanism #1.
 *
 * The bus decodes: ports 0xCF8-0xCFF to configuration space, the MMIO window to BAR 0 of a function. What a function does
 * there is its own business. Everything absent reads as all-ones, every stray write is dropped.
 * Source: PCI Local Bus Specification, "Configuration Mechanism #1", "Base Addresses".
 */
import {
  PCI_BASE_ADDRESS_0,
  PCI_CLASS_BRIDGE_HOST,
  PCI_CLASS_DEVICE,
  PCI_COMMAND,
  PCI_COMMAND_WRITABLE,
  PCI_CONFIG_ADDRESS_PORT,
  PCI_CONFIG_BYTES,
  PCI_CONFIG_DATA_PORT,
  PCI_CONFIG_ENABLE,
  PCI_CONFIG_END_PORT,
  PCI_DEVICES_MAX,
  PCI_INTERRUPT_LINE,
} from "../../abi/pci.ts";
import { ConfigError } from "../base/errors.ts";
import { checkVersion, readField, writeField } from "./records.ts";

const STATE_VERSION = 1;

/** Configuration space of one function: bytes, and for each byte which bits a driver may change. */
export class PciConfigSpace {
  readonly bytes = new Uint8Array(PCI_CONFIG_BYTES);
  readonly writable = new Uint8Array(PCI_CONFIG_BYTES);

  /** Sets a little-endian field; `writableMask` says which of its bits stick when written (default none). */
  define(offset: number, size: number, value: number, writableMask = 0): void {
    writeField(this.bytes, offset, size, value);
    writeField(this.writable, offset, size, writableMask);
  }

  /** Reads 1 to 4 bytes. */
  read(offset: number, size: number): number {
    return readField(this.bytes, offset, size);
  }

  /** Writes 1 to 4 bytes as a driver does: read-only bits keep their value, so writing all-ones to a BAR sizes it. */
  write(offset: number, size: number, value: number): void {
    for (let i = 0; i < size && offset + i < PCI_CONFIG_BYTES; i++) {
      const mask = this.writable[offset + i] ?? 0;
      const old = this.bytes[offset + i] ?? 0;
      const byte = Math.floor(value / 2 ** (8 * i)) & 0xff;
      this.bytes[offset + i] = (old & ~mask) | (byte & mask);
    }
  }
}

/** What the bus needs of a function. Accesses have sizes 1, 2 and 4 and any alignment. */
export interface PciFunction {
  readonly name: string;
  /** Bytes behind BAR 0, a power of two of at least 16. */
  readonly barBytes: number;
  readonly config: PciConfigSpace;
  configRead(offset: number, size: number): number;
  configWrite(offset: number, size: number, value: number): void;
  barRead(offset: number, size: number): number;
  barWrite(offset: number, size: number, value: number): void;
}

/** The bus; device 0 is the host bridge. */
export class PciBus {
  readonly #bridge: PciConfigSpace;
  readonly #functions: PciFunction[] = [];
  readonly #mmioEnd: number;
  #nextBar: number;
  #address = 0;

  /** BARs are handed out from `mmioStart` upwards, naturally aligned, below `mmioEnd` (guest-physical addresses). */
  constructor(mmioStart: number, mmioEnd: number) {
    this.#nextBar = mmioStart;
    this.#mmioEnd = mmioEnd;
    this.#bridge = new PciConfigSpace();
    this.#bridge.define(PCI_CLASS_DEVICE, 2, PCI_CLASS_BRIDGE_HOST);
  }

  /** Gives the next device number and a BAR 0 address. Throws ConfigError when either is used up. */
  attach(pciFunction: PciFunction): number {
    const number = this.#functions.length + 1;
    const size = pciFunction.barBytes;
    const bar = Math.ceil(this.#nextBar / size) * size;
    if (number >= PCI_DEVICES_MAX || bar + size > this.#mmioEnd) {
      throw new ConfigError(`no room for ${pciFunction.name} on the PCI bus; use fewer devices`);
    }
    this.#nextBar = bar + size;
    pciFunction.config.define(PCI_BASE_ADDRESS_0, 4, bar, 2 ** 32 - size);
    pciFunction.config.define(PCI_COMMAND, 2, 0, PCI_COMMAND_WRITABLE);
    pciFunction.config.define(
      PCI_INTERRUPT_LINE,
      1,
      pciFunction.config.read(PCI_INTERRUPT_LINE, 1),
      0xff,
    );
    this.#functions.push(pciFunction);
    return number;
  }

  /** Whether the configuration ports cover this port. */
  isConfigPort(port: number): boolean {
    return port >= PCI_CONFIG_ADDRESS_PORT && port < PCI_CONFIG_END_PORT;
  }

  /** `in` from a configuration port, 1, 2 or 4 bytes. */
  portRead(port: number, size: number): number {
    if (!this.isConfigPort(port) || port + size > PCI_CONFIG_END_PORT) return allOnes(size);
    if (port < PCI_CONFIG_DATA_PORT) {
      const address = new Uint8Array(4);
      writeField(address, 0, 4, this.#address >>> 0);
      return readField(address, port - PCI_CONFIG_ADDRESS_PORT, size);
    }
    const offset = this.#configOffset(port);
    const target = this.#target();
    if (target === undefined) return allOnes(size);
    if (target === "bridge") return this.#bridge.read(offset, size);
    return target.configRead(offset, size);
  }

  /** `out` to a configuration port, 1, 2 or 4 bytes. Parts of the address port can be written alone. */
  portWrite(port: number, size: number, value: number): void {
    if (!this.isConfigPort(port) || port + size > PCI_CONFIG_END_PORT) return;
    if (port < PCI_CONFIG_DATA_PORT) {
      const address = new Uint8Array(4);
      writeField(address, 0, 4, this.#address >>> 0);
      writeField(address, port - PCI_CONFIG_ADDRESS_PORT, size, value);
      this.#address = readField(address, 0, 4) | 0;
      return;
    }
    const target = this.#target();
    if (target === undefined || target === "bridge") return;
    target.configWrite(this.#configOffset(port), size, value);
  }

  /** Load from the MMIO window; all-ones where no BAR is. */
  mmioRead(gpa: number, size: number): number {
    const hit = this.#atBar(gpa);
    return hit === undefined ? allOnes(size) : hit.pciFunction.barRead(hit.offset, size);
  }

  /** Store to the MMIO window; dropped where no BAR is. */
  mmioWrite(gpa: number, size: number, value: number): void {
    const hit = this.#atBar(gpa);
    hit?.pciFunction.barWrite(hit.offset, size, value);
  }

  /** Address latch and every configuration space. */
  save(): Record<string, unknown> {
    const configs = this.#functions.map(({ name, config }) => ({ name, bytes: [...config.bytes] }));
    return { version: STATE_VERSION, address: this.#address, configs };
  }

  /** Restores a bus with the same functions attached; throws SnapshotError for another version. */
  restore(state: Record<string, unknown>): void {
    checkVersion(state, "the PCI bus", STATE_VERSION);
    this.#address = state.address as number;
    for (const { name, bytes } of state.configs as { name: string; bytes: number[] }[]) {
      this.#functions.find((candidate) => candidate.name === name)?.config.bytes.set(bytes);
    }
  }

  #configOffset(port: number): number {
    return (this.#address & 0xfc) + (port - PCI_CONFIG_DATA_PORT);
  }

  /** What CONFIG_ADDRESS points at: bus 0, function 0 only. */
  #target(): PciFunction | "bridge" | undefined {
    if ((this.#address & PCI_CONFIG_ENABLE) === 0) return undefined;
    if (((this.#address >>> 16) & 0xff) !== 0 || ((this.#address >>> 8) & 7) !== 0)
      return undefined;
    const number = (this.#address >>> 11) & 0x1f;
    return number === 0 ? "bridge" : this.#functions[number - 1];
  }

  /**
   * DEVIATION: the memory-space bit of the command register is not asked; the original Launcher did not either, and a guest
   * that clears it only while sizing a BAR cannot notice.
   */
  #atBar(gpa: number): { pciFunction: PciFunction; offset: number } | undefined {
    for (const pciFunction of this.#functions) {
      const offset = gpa - pciFunction.config.read(PCI_BASE_ADDRESS_0, 4);
      if (offset >= 0 && offset < pciFunction.barBytes) return { pciFunction, offset };
    }
    return undefined;
  }
}

function allOnes(size: number): number {
  return 2 ** (8 * size) - 1;
}
