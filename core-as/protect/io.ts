/**
 * Who may use which port: IOPL, the TSS permission bitmap, and the door that an lguest kernel has.
 * Source: SDM 1, "I/O Privilege Level" and "I/O Permission Bit Map".
 */
import {
  POLICY_LGUEST,
  SEG_ATTR,
  SEG_BASE,
  SEG_LIMIT,
  VCPU_CPL,
  VCPU_POLICY,
} from "../../abi/vcpu.ts";
import { ATTR_P, SEG_TR, VECTOR_GP } from "../../abi/x86.ts";
import { translateSystemRead } from "../mmu/access.ts";
import { segPtr } from "../state/vcpu.ts";
import { iopl, isLguestKernel } from "./control.ts";
import { isProtected, isV86, refuse } from "./segments.ts";
import { hasTss32 } from "./stack.ts";

/** TSS offset of the u16 offset of the bitmap. */
const TSS_IO_BASE: u32 = 0x66;

/** @returns true when `size` (1, 2, 4) ports from `port` may be used now; else #GP(0) or #PF is recorded. */
export function mayUsePort(v: usize, port: u32, size: u32): bool {
  if (isLguestKernel(v)) return true;
  if (!isProtected(v)) return true;
  if (load<u32>(v, VCPU_CPL) <= iopl(v) && !isV86(v)) return true;
  // An lguest guest has no TSS of its own to grant ports to its processes.
  if (load<u32>(v, VCPU_POLICY) == POLICY_LGUEST) return refuse(v, VECTOR_GP, 0);
  const tr = segPtr(v, SEG_TR);
  const limit = load<u32>(tr, SEG_LIMIT);
  if ((load<u32>(tr, SEG_ATTR) & ATTR_P) == 0 || !hasTss32(v) || limit < TSS_IO_BASE + 1) {
    return refuse(v, VECTOR_GP, 0);
  }
  const base = load<u32>(tr, SEG_BASE);
  const offsetPtr = translateSystemRead(v, base + TSS_IO_BASE, 2);
  if (offsetPtr == 0) return false;
  // Two bytes are always read, so a bitmap ends with a byte of ones.
  const at = load<u16>(offsetPtr) + (port >>> 3);
  if (at + 1 > limit) return refuse(v, VECTOR_GP, 0);
  const bits = translateSystemRead(v, base + at, 2);
  if (bits == 0) return false;
  const wanted: u32 = (1 << size) - 1;
  if ((<u32>load<u16>(bits) >>> (port & 7)) & wanted) return refuse(v, VECTOR_GP, 0);
  return true;
}

/** Like mayUsePort, for INS and OUTS: the door of an lguest kernel does not open for them, so they are #GP(0) there. */
export function mayStringPort(v: usize, port: u32, size: u32): bool {
  if (isLguestKernel(v)) return refuse(v, VECTOR_GP, 0);
  return mayUsePort(v, port, size);
}
