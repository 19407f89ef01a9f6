/**
 * PCI as facts: configuration mechanism #1 and the type 0 header.
 *
 * Source: PCI Local Bus Specification, "Configuration Mechanism #1" and "Configuration Space Organization".
 */

/** CONFIG_ADDRESS: bit 31 enable, 23-16 bus, 15-11 device, 10-8 function, 7-2 dword of configuration space. */
export const PCI_CONFIG_ADDRESS_PORT = 0xcf8;
export const PCI_CONFIG_DATA_PORT = 0xcfc;
/** First port past CONFIG_DATA. */
export const PCI_CONFIG_END_PORT = 0xd00;
export const PCI_CONFIG_ENABLE = 0x80000000 | 0;
export const PCI_CONFIG_BYTES = 256;
export const PCI_DEVICES_MAX = 32;

export const PCI_VENDOR_ID = 0x00;
export const PCI_DEVICE_ID = 0x02;
export const PCI_COMMAND = 0x04;
export const PCI_STATUS = 0x06;
export const PCI_REVISION_ID = 0x08;
/** u16: base class in the high byte, subclass in the low one. */
export const PCI_CLASS_DEVICE = 0x0a;
export const PCI_CACHE_LINE_SIZE = 0x0c;
export const PCI_LATENCY_TIMER = 0x0d;
export const PCI_BASE_ADDRESS_0 = 0x10;
export const PCI_SUBSYSTEM_VENDOR_ID = 0x2c;
export const PCI_SUBSYSTEM_ID = 0x2e;
export const PCI_CAPABILITY_LIST = 0x34;
export const PCI_INTERRUPT_LINE = 0x3c;
export const PCI_INTERRUPT_PIN = 0x3d;

/** Command bits a driver may set: memory space, bus master, parity, SERR, INTx disable. */
export const PCI_COMMAND_WRITABLE = 0x0546;
export const PCI_STATUS_CAP_LIST = 0x10;
export const PCI_CAP_ID_VENDOR = 0x09;

export const PCI_CLASS_BRIDGE_HOST = 0x0600;
export const PCI_CLASS_STORAGE_OTHER = 0x0180;
export const PCI_CLASS_NETWORK_ETHERNET = 0x0200;
export const PCI_CLASS_COMMUNICATION_SERIAL = 0x0700;
export const PCI_CLASS_OTHERS = 0xff00;
