/**
 * physdev_op: what is left of it for a domain without hardware: its virtual I/O privilege. Source: Xen's public physdev.h.
 */
import { VCPU_XEN_IOBITMAP, VCPU_XEN_IOBITMAP_PORTS, VCPU_XEN_IOPL } from "../../abi/vcpu.ts";
import {
  PHYSDEVOP_SET_IOBITMAP,
  PHYSDEVOP_SET_IOPL,
  XEN_EFAULT,
  XEN_EINVAL,
  XEN_ENOSYS,
  XEN_EPERM,
} from "../../abi/xen.ts";
import type { XenDomain } from "./domain.ts";

const MAX_IOPL = 3;
const MAX_PORTS = 65536;
/** Where the structure begins in the older form, after the command. */
const COMPAT_OFFSET = 4;
/** Sub-operations on interrupt lines and PCI devices, of which there are none: what Xen answers whoever has no rights. */
const WITHOUT_HARDWARE: Readonly<Record<number, number>> = {
  // irq_status_query, eoi
  5: -XEN_EINVAL,
  12: -XEN_EINVAL,
  // apic_read, apic_write, alloc_irq_vector, map_pirq, unmap_pirq
  8: -XEN_EPERM,
  9: -XEN_EPERM,
  10: -XEN_EPERM,
  13: -XEN_EPERM,
  14: -XEN_EPERM,
  // manage_pci_add and _remove, restore_msi, manage_pci_add_ext, setup_gsi, pci_mmcfg_reserved, pci_device_add to release_msix
  15: -XEN_EPERM,
  16: -XEN_EPERM,
  19: -XEN_EPERM,
  20: -XEN_EPERM,
  21: -XEN_EPERM,
  24: -XEN_EPERM,
  25: -XEN_EPERM,
  26: -XEN_EPERM,
  27: -XEN_EPERM,
  30: -XEN_EPERM,
  31: -XEN_EPERM,
};

/** HYPERVISOR_physdev_op. */
export function physdevOp({ host, pointers }: XenDomain, command: number, pointer: number): number {
  const { vcpu } = host;
  if (command === PHYSDEVOP_SET_IOPL) {
    const iopl = pointers.readU32(pointer);
    if (iopl === undefined) return -XEN_EFAULT;
    if (iopl > MAX_IOPL) return -XEN_EINVAL;
    vcpu.setU32(VCPU_XEN_IOPL, iopl);
    return 0;
  }
  if (command === PHYSDEVOP_SET_IOBITMAP) {
    const request = pointers.read(pointer, 8);
    if (request === undefined) return -XEN_EFAULT;
    const ports = request.getUint32(4, true);
    if (ports > MAX_PORTS) return -XEN_EINVAL;
    vcpu.setU32(VCPU_XEN_IOBITMAP, request.getUint32(0, true));
    vcpu.setU32(VCPU_XEN_IOBITMAP_PORTS, ports);
    return 0;
  }
  return WITHOUT_HARDWARE[command] ?? -XEN_ENOSYS;
}

/** HYPERVISOR_physdev_op_compat: command and structure in one. */
export function physdevOpCompat(domain: XenDomain, pointer: number): number {
  const command = domain.pointers.readU32(pointer);
  if (command === undefined) return -XEN_EFAULT;
  return physdevOp(domain, command, pointer + COMPAT_OFFSET);
}
