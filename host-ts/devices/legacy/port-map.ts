/**
 * Port space of a plain machine: which chip answers where. Chips know ports and lines, nothing of the machine around them.
 */

/** Something behind ports. Chips of byte registers are reached byte by byte, whatever the width of the instruction. */
export interface PortDevice {
  /** Unique within the machine, for snapshots. */
  readonly name: string;
  /** First and last port of each range. */
  readonly ports: readonly (readonly [number, number])[];
  /** Whether accesses of 2 and 4 bytes arrive whole. */
  readonly isWide: boolean;
  read(port: number, size: number): number;
  write(port: number, size: number, value: number): void;
  /** Plain serialisable state with a version. */
  save(): Record<string, unknown>;
  restore(state: Record<string, unknown>): void;
}

/** All ones in `size` bytes: what a port gives when nobody answers. */
export function openBus(size: number): number {
  return 2 ** (8 * size) - 1;
}

/**
 * The map. Where two devices claim a port, the later one has it. An access belongs to the owner of its first port: a doubleword for
 * PCI configuration at 0xcf8 is none for the reset control at 0xcf9.
 */
export class PortMap {
  readonly #owners = new Map<number, PortDevice>();

  add(device: PortDevice): void {
    for (const [first, last] of device.ports) {
      for (let port = first; port <= last; port++) this.#owners.set(port, device);
    }
  }

  /** `size` bytes from `port` as an unsigned number. */
  read(port: number, size: number): number {
    const device = this.#owners.get(port);
    if (device === undefined) return openBus(size);
    if (size === 1 || device.isWide) return device.read(port, size);
    let value = 0;
    for (let i = 0; i < size; i++) value += this.read((port + i) & 0xffff, 1) * 2 ** (8 * i);
    return value;
  }

  write(port: number, size: number, value: number): void {
    const device = this.#owners.get(port);
    if (device === undefined) return;
    if (size === 1 || device.isWide) {
      device.write(port, size, value);
      return;
    }
    for (let i = 0; i < size; i++) {
      this.write((port + i) & 0xffff, 1, (value >>> (8 * i)) & 0xff);
    }
  }
}
