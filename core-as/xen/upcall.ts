/**
 * The event mask and the pending flag of a Xen guest's struct vcpu_info: its interrupt flag in memory.
 * Source: Xen's public xen.h, "struct vcpu_info".
 */
import { FRAME_PTR_MASK, VCPU_FAULT_ADDRESS, VCPU_GUEST, VCPU_XEN_INFO } from "../../abi/vcpu.ts";
import { VI_CR2, VI_UPCALL_MASK, VI_UPCALL_PENDING } from "../../abi/xen-layout.ts";
import { PAGE_OFFSET_MASK } from "../layout.ts";
import { FrameTable } from "../mmu/frames.ts";
import { physicalForRead, physicalForWrite } from "../mmu/physical.ts";

/** @returns host pointer of the vcpu_info for reading, 0 before there is one. */
function infoForRead(v: usize): usize {
  const gpa = load<u32>(v, VCPU_XEN_INFO);
  if (gpa == 0) return 0;
  const entry = FrameTable.peek(load<usize>(v, VCPU_GUEST), gpa >>> 12);
  if (entry != 0) return (entry & FRAME_PTR_MASK) + (gpa & PAGE_OFFSET_MASK);
  return physicalForRead(v, gpa);
}

/** @returns true when events are masked, as they are before there is a vcpu_info. */
export function upcallMask(v: usize): bool {
  const ptr = infoForRead(v);
  return ptr == 0 || load<u8>(ptr, VI_UPCALL_MASK) != 0;
}
export function setUpcallMask(v: usize, masked: bool): void {
  const info = load<u32>(v, VCPU_XEN_INFO);
  const ptr: usize = info == 0 ? 0 : physicalForWrite(v, info + VI_UPCALL_MASK, 1);
  if (ptr != 0) store<u8>(ptr, u8(masked));
}
/** @returns true when the guest is to be called for an event. */
export function hasUpcall(v: usize): bool {
  const ptr = infoForRead(v);
  return ptr != 0 && load<u8>(ptr, VI_UPCALL_PENDING) != 0 && load<u8>(ptr, VI_UPCALL_MASK) == 0;
}
/** Tells the guest the address of the page fault that is recorded. */
export function publishFaultAddress(v: usize): void {
  const info = load<u32>(v, VCPU_XEN_INFO);
  const ptr: usize = info == 0 ? 0 : physicalForWrite(v, info + VI_CR2, 4);
  if (ptr != 0) store<u32>(ptr, load<u32>(v, VCPU_FAULT_ADDRESS));
}
