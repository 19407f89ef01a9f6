/**
 * physdev_op: what is left of it for a domain without hardware: its virtual I/O privilege, and numbers for interrupts that never come.
 * Source: Xen's public physdev.h; errors as of Xen 4.17.
 */
import { VCPU_XEN_IOBITMAP, VCPU_XEN_IOBITMAP_PORTS, VCPU_XEN_IOPL } from "../../abi/vcpu.ts";
import * as xen from "../../abi/xen.ts";
import { PHYSDEV_OP_BYTES } from "../../abi/xen-layout.ts";
import type { XenDomain } from "./domain.ts";
import { isGuestRange } from "./pointers.ts";
import { unlessMissing } from "./refused.ts";

const MAX_IOPL = 3;
const MAX_PORTS = 65536;
const IOBITMAP_BYTES = MAX_PORTS / 8;
/** Where the structure begins in the older form, after the command. */
const COMPAT_OFFSET = 4;

interface Operation {
  readonly bytes: number;
  /** Acts on the structure in place. @returns 0 or a negative errno. */
  readonly handle: (domain: XenDomain, op: DataView) => number;
}

/** For whoever has rights over hardware. */
const denied = (bytes: number): Operation => ({ bytes, handle: () => -xen.XEN_EPERM });
const noDevice = (bytes: number): Operation => ({ bytes, handle: () => -xen.XEN_ENODEV });
const eoiPage: Operation = {
  bytes: 4,
  handle: ({ pirqs }, op) => pirqs.setPage(op.getUint32(0, true)),
};

const OPERATIONS: Readonly<Record<number, Operation>> = {
  [xen.PHYSDEVOP_IRQ_UNMASK_NOTIFY]: { bytes: 0, handle: () => 0 },
  [xen.PHYSDEVOP_IRQ_STATUS_QUERY]: { bytes: 8, handle: irqStatus },
  [xen.PHYSDEVOP_SET_IOPL]: { bytes: 4, handle: setIopl },
  [xen.PHYSDEVOP_SET_IOBITMAP]: { bytes: 8, handle: setIoBitmap },
  [xen.PHYSDEVOP_APIC_READ]: denied(12),
  [xen.PHYSDEVOP_APIC_WRITE]: denied(12),
  [xen.PHYSDEVOP_ALLOC_IRQ_VECTOR]: denied(8),
  [xen.PHYSDEVOP_EOI]: {
    bytes: 4,
    handle: ({ pirqs }, op) => (pirqs.isTaken(op.getUint32(0, true)) ? 0 : -xen.XEN_EINVAL),
  },
  [xen.PHYSDEVOP_MAP_PIRQ]: { bytes: 36, handle: mapPirq },
  [xen.PHYSDEVOP_UNMAP_PIRQ]: {
    bytes: 8,
    handle: (domain, op) => unlessMissing(domain, op.getUint16(0, true), -xen.XEN_EPERM),
  },
  [xen.PHYSDEVOP_MANAGE_PCI_ADD]: denied(2),
  [xen.PHYSDEVOP_MANAGE_PCI_REMOVE]: denied(2),
  [xen.PHYSDEVOP_PIRQ_EOI_GMFN_V1]: eoiPage,
  [xen.PHYSDEVOP_RESTORE_MSI]: noDevice(2),
  [xen.PHYSDEVOP_MANAGE_PCI_ADD_EXT]: {
    bytes: 16,
    handle: (_, op) =>
      op.getUint32(4, true) > 1 || op.getUint32(8, true) > 1 ? -xen.XEN_EINVAL : -xen.XEN_EPERM,
  },
  [xen.PHYSDEVOP_SETUP_GSI]: {
    bytes: 8,
    handle: (_, op) => (op.getUint32(0, true) < xen.NR_GSIS ? -xen.XEN_EPERM : -xen.XEN_EINVAL),
  },
  [xen.PHYSDEVOP_GET_FREE_PIRQ]: { bytes: 8, handle: getFreePirq },
  [xen.PHYSDEVOP_PCI_MMCFG_RESERVED]: denied(0),
  [xen.PHYSDEVOP_PCI_DEVICE_ADD]: denied(12),
  [xen.PHYSDEVOP_PCI_DEVICE_REMOVE]: denied(4),
  [xen.PHYSDEVOP_RESTORE_MSI_EXT]: noDevice(4),
  [xen.PHYSDEVOP_PIRQ_EOI_GMFN_V2]: eoiPage,
  [xen.PHYSDEVOP_DBGP_OP]: denied(0),
  [xen.PHYSDEVOP_PREPARE_MSIX]: denied(4),
  [xen.PHYSDEVOP_RELEASE_MSIX]: denied(4),
};

/** HYPERVISOR_physdev_op. */
export function physdevOp(domain: XenDomain, command: number, pointer: number): number {
  const { pointers } = domain;
  const operation = OPERATIONS[command];
  if (operation === undefined) return -xen.XEN_ENOSYS;
  const op = pointers.read(pointer, operation.bytes);
  if (op === undefined) return -xen.XEN_EFAULT;
  const bytes = new Uint8Array(op.buffer);
  const before = bytes.slice();
  const result = operation.handle(domain, op);
  const isChanged = bytes.some((byte, index) => byte !== before[index]);
  return isChanged && !pointers.write(pointer, bytes) ? -xen.XEN_EFAULT : result;
}

/** HYPERVISOR_physdev_op_compat: command and structure in one. */
export function physdevOpCompat(domain: XenDomain, pointer: number): number {
  const op = domain.pointers.read(pointer, PHYSDEV_OP_BYTES);
  if (op === undefined) return -xen.XEN_EFAULT;
  return physdevOp(domain, op.getUint32(0, true), pointer + COMPAT_OFFSET);
}

function irqStatus(_: XenDomain, op: DataView): number {
  if (op.getUint32(0, true) >= xen.NR_PIRQS) return -xen.XEN_EINVAL;
  op.setUint32(4, xen.XENIRQSTAT_NEEDS_EOI, true);
  return 0;
}

function setIopl({ host }: XenDomain, op: DataView): number {
  const iopl = op.getUint32(0, true);
  if (iopl > MAX_IOPL) return -xen.XEN_EINVAL;
  host.vcpu.setU32(VCPU_XEN_IOPL, iopl);
  return 0;
}

function setIoBitmap({ host }: XenDomain, op: DataView): number {
  const bitmap = op.getUint32(0, true);
  const ports = op.getUint32(4, true);
  if (!isGuestRange(bitmap, IOBITMAP_BYTES) || ports > MAX_PORTS) return -xen.XEN_EINVAL;
  host.vcpu.setU32(VCPU_XEN_IOBITMAP, bitmap);
  host.vcpu.setU32(VCPU_XEN_IOBITMAP_PORTS, ports);
  return 0;
}

function mapPirq(domain: XenDomain, op: DataView): number {
  const isTable = op.getBigUint64(28, true) !== 0n;
  if (op.getUint32(4, true) === xen.MAP_PIRQ_TYPE_MULTI_MSI && isTable) return -xen.XEN_EINVAL;
  return unlessMissing(domain, op.getUint16(0, true), -xen.XEN_EPERM);
}

function getFreePirq({ pirqs }: XenDomain, op: DataView): number {
  const number = pirqs.take(op.getUint32(0, true));
  if (number === undefined) return -xen.XEN_ENOSPC;
  op.setUint32(4, number, true);
  return 0;
}
