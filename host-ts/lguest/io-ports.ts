/**
 * Port input and output of an lguest kernel. There is no hardware behind the ports: reads give all ones, writes vanish,
 * but for the cause of an NMI, the keyboard controller's status, and for PCI configuration where the pci variety runs.
 */

import {
  PORT_KEYBOARD_STATUS,
  PORT_PCI_FIRST,
  PORT_PCI_LAST,
  PORT_SYSTEM_CONTROL_B,
  SYSTEM_CONTROL_B_NO_CAUSE,
} from "../../abi/lguest.ts";

/** The part of a PCI bus that ports reach. */
export interface PortBus {
  portRead(port: number, size: number): number;
  portWrite(port: number, size: number, value: number): void;
}

const isPci = (port: number): boolean => port >= PORT_PCI_FIRST && port <= PORT_PCI_LAST;

/** Reads `size` bytes from `port`; `bus` is undefined for the old variety and before LGUEST_INIT. */
export function readPort(bus: PortBus | undefined, port: number, size: number): number {
  if (port === PORT_SYSTEM_CONTROL_B && size === 1) return SYSTEM_CONTROL_B_NO_CAUSE;
  if (bus !== undefined) {
    if (port === PORT_KEYBOARD_STATUS) return 1;
    if (isPci(port)) return bus.portRead(port, size) >>> 0;
  }
  return size === 4 ? 0xffffffff : 2 ** (8 * size) - 1;
}

/** Writes `size` bytes to `port`. */
export function writePort(
  bus: PortBus | undefined,
  port: number,
  size: number,
  value: number,
): void {
  if (bus !== undefined && isPci(port)) bus.portWrite(port, size, value);
}
