/**
 * The firmware configuration device of QEMU, by its port interface: the few items that kernel test suites read.
 * Source: QEMU documentation, "QEMU Firmware Configuration (fw_cfg) Device".
 */
import {
  FW_CFG_ID,
  FW_CFG_MAX_CPUS,
  FW_CFG_NB_CPUS,
  FW_CFG_RAM_SIZE,
  FW_CFG_SIGNATURE,
  PORT_FW_CFG_DATA,
  PORT_FW_CFG_SELECT,
} from "../../../abi/pc.ts";
import { checkVersion, writeField } from "../records.ts";
import { openBus, type PortDevice } from "./port-map.ts";

const STATE_VERSION = 1;

/** The device. Unknown items read as zeroes, and so does what lies past an item's end. */
export class FwCfg implements PortDevice {
  readonly name = "fw-cfg";
  readonly isWide = true;
  readonly ports = [[PORT_FW_CFG_SELECT, PORT_FW_CFG_DATA]] as const;
  readonly #items: ReadonlyMap<number, Uint8Array>;
  #selected = 0;
  #offset = 0;

  constructor(machine: { readonly ramBytes: number; readonly cpus: number }) {
    this.#items = new Map([
      [FW_CFG_SIGNATURE, new TextEncoder().encode("QEMU")],
      [FW_CFG_ID, number(4, 1)],
      [FW_CFG_RAM_SIZE, number(8, machine.ramBytes)],
      [FW_CFG_NB_CPUS, number(2, machine.cpus)],
      [FW_CFG_MAX_CPUS, number(2, machine.cpus)],
    ]);
  }

  read(port: number, size: number): number {
    if (port !== PORT_FW_CFG_DATA) return openBus(size);
    return this.#items.get(this.#selected)?.[this.#offset++] ?? 0;
  }

  write(port: number, _size: number, value: number): void {
    if (port !== PORT_FW_CFG_SELECT) return;
    this.#selected = value & 0xffff;
    this.#offset = 0;
  }

  save(): Record<string, unknown> {
    return { version: STATE_VERSION, selected: this.#selected, offset: this.#offset };
  }

  restore(state: Record<string, unknown>): void {
    checkVersion(state, this.name, STATE_VERSION);
    this.#selected = state.selected as number;
    this.#offset = state.offset as number;
  }
}

function number(sizeBytes: number, value: number): Uint8Array {
  const bytes = new Uint8Array(sizeBytes);
  writeField(bytes, 0, sizeBytes, value);
  return bytes;
}
