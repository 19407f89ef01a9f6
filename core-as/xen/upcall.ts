/**
 * The event mask and the pending flag of a Xen guest's struct vcpu_info: its interrupt flag in memory.
 * Source: Xen's public xen.h, "struct vcpu_info".
 */
import { VCPU_FAULT_ADDRESS, VCPU_XEN_INFO } from "../../abi/vcpu.ts";
import { VI_CR2, VI_UPCALL_MASK, VI_UPCALL_PENDING } from "../../abi/xen-layout.ts";
import { physicalForRead, physicalForWrite } from "../mmu/physical.ts";

/** @returns true when events are masked, as they are before there is a vcpu_info. */
export function upcallMask(v: usize): bool {
  const info = load<u32>(v, VCPU_XEN_INFO);
  const ptr: usize = info == 0 ? 0 : physicalForRead(v, info);
  return ptr == 0 || load<u8>(ptr, VI_UPCALL_MASK) != 0;
}
export function setUpcallMask(v: usize, masked: bool): void {
  const info = load<u32>(v, VCPU_XEN_INFO);
  const ptr: usize = info == 0 ? 0 : physicalForWrite(v, info + VI_UPCALL_MASK, 1);
  if (ptr != 0) store<u8>(ptr, u8(masked));
}
/** @returns true when the guest is to be called for an event. */
export function hasUpcall(v: usize): bool {
  const info = load<u32>(v, VCPU_XEN_INFO);
  const ptr: usize = info == 0 ? 0 : physicalForRead(v, info);
  return ptr != 0 && load<u8>(ptr, VI_UPCALL_PENDING) != 0 && load<u8>(ptr, VI_UPCALL_MASK) == 0;
}
/** Tells the guest the address of the page fault that is recorded. */
export function publishFaultAddress(v: usize): void {
  const info = load<u32>(v, VCPU_XEN_INFO);
  const ptr: usize = info == 0 ? 0 : physicalForWrite(v, info + VI_CR2, 4);
  if (ptr != 0) store<u32>(ptr, load<u32>(v, VCPU_FAULT_ADDRESS));
}
