/**
 * Virtio as facts: status bits, feature bits, the split ring, the 1.0 PCI transport, and what each device keeps in its
 * configuration and request headers. The page of lguest's old bus is in abi/lguest.ts.
 *
 * Source: OASIS "Virtual I/O Device (VIRTIO) Version 1.0" (section titles per group) and its "Legacy Interface" parts.
 * Everything is little-endian. Plain constants, valid as AssemblyScript and as TypeScript.
 */

// Device IDs ("Device Types").
export const VIRTIO_ID_NET = 1;
export const VIRTIO_ID_BLOCK = 2;
export const VIRTIO_ID_CONSOLE = 3;
export const VIRTIO_ID_RNG = 4;

// Device status field.
export const VIRTIO_STATUS_ACKNOWLEDGE = 0x01;
export const VIRTIO_STATUS_DRIVER = 0x02;
export const VIRTIO_STATUS_DRIVER_OK = 0x04;
export const VIRTIO_STATUS_FEATURES_OK = 0x08;
export const VIRTIO_STATUS_NEEDS_RESET = 0x40;
export const VIRTIO_STATUS_FAILED = 0x80;

// Feature bits that belong to the ring and the transport (bit numbers, "Reserved Feature Bits").
export const VIRTIO_F_RING_INDIRECT_DESC = 28;
export const VIRTIO_F_RING_EVENT_IDX = 29;
export const VIRTIO_F_VERSION_1 = 32;

// ---------------------------------------------------------------------------------------------------------------
// Split virtqueue ("Virtqueues")
// ---------------------------------------------------------------------------------------------------------------

/** struct virtq_desc: u64 address, u32 length, u16 flags, u16 next. */
export const VIRTQ_DESC_BYTES = 16;
export const VIRTQ_DESC_ADDR = 0;
export const VIRTQ_DESC_LEN = 8;
export const VIRTQ_DESC_FLAGS = 12;
export const VIRTQ_DESC_NEXT = 14;
export const VIRTQ_DESC_F_NEXT = 1;
export const VIRTQ_DESC_F_WRITE = 2;
export const VIRTQ_DESC_F_INDIRECT = 4;

/** struct virtq_avail: u16 flags, u16 idx, u16 ring[size], u16 used_event. */
export const VIRTQ_AVAIL_FLAGS = 0;
export const VIRTQ_AVAIL_IDX = 2;
export const VIRTQ_AVAIL_RING = 4;
export const VIRTQ_AVAIL_F_NO_INTERRUPT = 1;

/** struct virtq_used: u16 flags, u16 idx, {u32 id, u32 len} ring[size], u16 avail_event. */
export const VIRTQ_USED_FLAGS = 0;
export const VIRTQ_USED_IDX = 2;
export const VIRTQ_USED_RING = 4;
export const VIRTQ_USED_ELEM_BYTES = 8;
export const VIRTQ_USED_F_NO_NOTIFY = 1;

/** Largest ring a driver may ask for. */
export const VIRTQ_SIZE_MAX = 32768;

// ---------------------------------------------------------------------------------------------------------------
// Virtio over PCI ("Virtio Over PCI Bus")
// ---------------------------------------------------------------------------------------------------------------

export const VIRTIO_PCI_VENDOR = 0x1af4;
/** PCI device ID of a 1.0 device is this plus the virtio device ID. */
export const VIRTIO_PCI_DEVICE_BASE = 0x1040;
export const VIRTIO_PCI_REVISION = 1;
export const VIRTIO_PCI_SUBSYSTEM = 0x40;

// struct virtio_pci_cap: u8 vndr, u8 next, u8 len, u8 cfg_type, u8 bar, u8[3], u32 offset, u32 length.
export const VIRTIO_PCI_CAP_NEXT = 1;
export const VIRTIO_PCI_CAP_LEN = 2;
export const VIRTIO_PCI_CAP_TYPE = 3;
export const VIRTIO_PCI_CAP_BAR = 4;
export const VIRTIO_PCI_CAP_OFFSET = 8;
export const VIRTIO_PCI_CAP_LENGTH = 12;
/** After the fields above: notify_off_multiplier of the notify capability, pci_cfg_data of the window. */
export const VIRTIO_PCI_CAP_EXTRA = 16;

export const VIRTIO_PCI_CAP_COMMON_CFG = 1;
export const VIRTIO_PCI_CAP_NOTIFY_CFG = 2;
export const VIRTIO_PCI_CAP_ISR_CFG = 3;
export const VIRTIO_PCI_CAP_DEVICE_CFG = 4;
export const VIRTIO_PCI_CAP_PCI_CFG = 5;

// Where our capabilities stand in configuration space (the same places as the original Launcher's).
export const VIRTIO_PCI_AT_COMMON = 0x40;
export const VIRTIO_PCI_AT_NOTIFY = 0x50;
export const VIRTIO_PCI_AT_ISR = 0x64;
export const VIRTIO_PCI_AT_DEVICE = 0x74;
export const VIRTIO_PCI_AT_WINDOW = 0x84;

// BAR 0 of our devices.
export const VIRTIO_BAR_COMMON = 0;
export const VIRTIO_BAR_NOTIFY = 56;
export const VIRTIO_BAR_ISR = 58;
export const VIRTIO_BAR_DEVICE = 60;

// struct virtio_pci_common_cfg.
export const VIRTIO_COMMON_DFSELECT = 0;
export const VIRTIO_COMMON_DF = 4;
export const VIRTIO_COMMON_GFSELECT = 8;
export const VIRTIO_COMMON_GF = 12;
export const VIRTIO_COMMON_MSIX = 16;
export const VIRTIO_COMMON_NUMQ = 18;
export const VIRTIO_COMMON_STATUS = 20;
export const VIRTIO_COMMON_CFGGENERATION = 21;
export const VIRTIO_COMMON_Q_SELECT = 22;
export const VIRTIO_COMMON_Q_SIZE = 24;
export const VIRTIO_COMMON_Q_MSIX = 26;
export const VIRTIO_COMMON_Q_ENABLE = 28;
export const VIRTIO_COMMON_Q_NOFF = 30;
export const VIRTIO_COMMON_Q_DESCLO = 32;
export const VIRTIO_COMMON_Q_DESCHI = 36;
export const VIRTIO_COMMON_Q_AVAILLO = 40;
export const VIRTIO_COMMON_Q_AVAILHI = 44;
export const VIRTIO_COMMON_Q_USEDLO = 48;
export const VIRTIO_COMMON_Q_USEDHI = 52;
export const VIRTIO_COMMON_BYTES = 56;
/** "No vector": what the MSI-X fields of a device without MSI-X read as. */
export const VIRTIO_MSI_NO_VECTOR = 0xffff;

// ISR status bits.
export const VIRTIO_ISR_QUEUE = 1;
export const VIRTIO_ISR_CONFIG = 2;

// ---------------------------------------------------------------------------------------------------------------
// Network device
// ---------------------------------------------------------------------------------------------------------------

export const VIRTIO_NET_F_MAC = 5;
export const VIRTIO_NET_QUEUE_RX = 0;
export const VIRTIO_NET_QUEUE_TX = 1;
export const VIRTIO_NET_CONFIG_MAC = 0;
/** Configuration: the six bytes of the MAC address. */
export const VIRTIO_NET_CONFIG_BYTES = 6;
/** struct virtio_net_hdr: legacy without mergeable buffers, and version 1 (with num_buffers). */
export const VIRTIO_NET_HEADER_LEGACY_BYTES = 10;
export const VIRTIO_NET_HEADER_BYTES = 12;
export const VIRTIO_NET_HEADER_NUM_BUFFERS = 10;

// ---------------------------------------------------------------------------------------------------------------
// Block device
// ---------------------------------------------------------------------------------------------------------------

export const VIRTIO_BLK_F_SEG_MAX = 2;
export const VIRTIO_BLK_F_RO = 5;
export const VIRTIO_BLK_F_BLK_SIZE = 6;
export const VIRTIO_BLK_F_FLUSH = 9;
/** Configuration up to blk_size: u64 capacity, u32 size_max, u32 seg_max, geometry, u32 blk_size. */
export const VIRTIO_BLK_CONFIG_CAPACITY = 0;
export const VIRTIO_BLK_CONFIG_SEG_MAX = 12;
export const VIRTIO_BLK_CONFIG_BLK_SIZE = 20;
export const VIRTIO_BLK_CONFIG_BYTES = 24;
/** Request header: u32 type, u32 ioprio, u64 sector. */
export const VIRTIO_BLK_HEADER_BYTES = 16;
export const VIRTIO_BLK_HEADER_TYPE = 0;
export const VIRTIO_BLK_HEADER_SECTOR = 8;
export const VIRTIO_BLK_T_IN = 0;
export const VIRTIO_BLK_T_OUT = 1;
export const VIRTIO_BLK_T_FLUSH = 4;
export const VIRTIO_BLK_T_GET_ID = 8;
export const VIRTIO_BLK_ID_BYTES = 20;
export const VIRTIO_BLK_S_OK = 0;
export const VIRTIO_BLK_S_IOERR = 1;
export const VIRTIO_BLK_S_UNSUPP = 2;
/** Capacity and request addresses count in these, whatever blk_size says. */
export const SECTOR_BYTES = 512;

// ---------------------------------------------------------------------------------------------------------------
// Console device
// ---------------------------------------------------------------------------------------------------------------

export const VIRTIO_CONSOLE_F_SIZE = 0;
export const VIRTIO_CONSOLE_F_MULTIPORT = 1;
export const VIRTIO_CONSOLE_F_EMERG_WRITE = 2;
export const VIRTIO_CONSOLE_QUEUE_RX = 0;
export const VIRTIO_CONSOLE_QUEUE_TX = 1;
/** With MULTIPORT only: control messages towards the guest, and from it. */
export const VIRTIO_CONSOLE_QUEUE_CONTROL_RX = 2;
export const VIRTIO_CONSOLE_QUEUE_CONTROL_TX = 3;
/** Configuration: u16 cols, u16 rows, u32 max_nr_ports, u32 emerg_wr. */
export const VIRTIO_CONSOLE_CONFIG_COLS = 0;
export const VIRTIO_CONSOLE_CONFIG_ROWS = 2;
export const VIRTIO_CONSOLE_CONFIG_MAX_PORTS = 4;
export const VIRTIO_CONSOLE_CONFIG_EMERG_WR = 8;
export const VIRTIO_CONSOLE_CONFIG_BYTES = 12;
/** Control message: u32 port, u16 event, u16 value. */
export const VIRTIO_CONSOLE_CONTROL_PORT = 0;
export const VIRTIO_CONSOLE_CONTROL_EVENT = 4;
export const VIRTIO_CONSOLE_CONTROL_VALUE = 6;
export const VIRTIO_CONSOLE_CONTROL_BYTES = 8;
export const VIRTIO_CONSOLE_DEVICE_READY = 0;
export const VIRTIO_CONSOLE_PORT_ADD = 1;
export const VIRTIO_CONSOLE_PORT_READY = 3;
export const VIRTIO_CONSOLE_CONSOLE_PORT = 4;
export const VIRTIO_CONSOLE_RESIZE = 5;
export const VIRTIO_CONSOLE_PORT_OPEN = 6;
