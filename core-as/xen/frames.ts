/**
 * The words of an exception's or event's frame on the guest's kernel stack.
 * Source: Xen's public arch-x86/xen-x86_32.h.
 */
import { KILL_XEN_BAD_STACK, VCPU_CONTEXT, VCPU_EIP } from "../../abi/vcpu.ts";
import { REG_ESP, SEG_CS, SEG_SS } from "../../abi/x86.ts";
import { HYPERVISOR_VIRT_START } from "../../abi/xen.ts";
import { PAGE_MASK, TLB_ADDEND, TLB_WRITE } from "../layout.ts";
import { Mem, storeSystemValue } from "../mmu/access.ts";
import { clearEvent } from "../mmu/fill.ts";
import { kill } from "../state/faults.ts";
import { reg, segSelector } from "../state/vcpu.ts";
import { isGuestRange } from "./guest-access.ts";

/** Instead of a stack pointer: the frame could not be written, EXIT_KILL is recorded. */
export const NO_STACK: u32 = 0xffffffff;
/** Where the saved event mask is in the CS word. */
const MASK_SHIFT: u32 = 16;

/** One word of a frame. @returns false: the domain dies, its stack is not there. */
export function push(v: usize, lin: u32, value: u32): bool {
  if (isGuestRange(lin, 4) && storeSystemValue<u32>(v, lin, value)) return true;
  clearEvent(v);
  kill(v, KILL_XEN_BAD_STACK, lin);
  return false;
}

/** @returns host pointer of `bytes` of the stack when they can simply be stored; else 0. */
function stackAt(v: usize, lin: u32, bytes: u32): usize {
  const entry = Mem.entry(load<usize>(v, VCPU_CONTEXT), lin);
  const page = (lin + bytes - 1) & PAGE_MASK;
  if (page != load<u32>(entry, TLB_WRITE) || page >= <u32>HYPERVISOR_VIRT_START) return 0;
  return lin + load<u32>(entry, TLB_ADDEND);
}

/**
 * Pushes EFLAGS, CS and EIP below `sp`, after SS and ESP with `fromUser`, and then `error` with `hasError`.
 * @param flags EFLAGS as the guest sees them @param masked the event mask to save @returns the new stack pointer, or NO_STACK.
 */
export function pushFrame(
  v: usize,
  sp: u32,
  fromUser: bool,
  flags: u32,
  masked: bool,
  hasError: bool,
  error: u32,
): u32 {
  const cs = segSelector(v, SEG_CS) | (u32(masked) << MASK_SHIFT);
  const eip = load<u32>(v, VCPU_EIP);
  const outer: u32 = fromUser ? 8 : 0;
  const bytes: u32 = outer + (hasError ? 16 : 12);
  const low = sp - bytes;
  const frame = stackAt(v, low, bytes);
  if (frame == 0) {
    if (fromUser) {
      if (!push(v, sp - 4, segSelector(v, SEG_SS)) || !push(v, sp - 8, reg(v, REG_ESP)))
        return NO_STACK;
    }
    const top = sp - outer;
    if (!push(v, top - 4, flags) || !push(v, top - 8, cs) || !push(v, top - 12, eip))
      return NO_STACK;
    return hasError && !push(v, low, error) ? NO_STACK : low;
  }
  if (hasError) store<u32>(frame, error);
  const at: usize = hasError ? frame + 4 : frame;
  store<u32>(at, eip);
  store<u32>(at, cs, 4);
  store<u32>(at, flags, 8);
  if (fromUser) {
    store<u32>(at, reg(v, REG_ESP), 12);
    store<u32>(at, segSelector(v, SEG_SS), 16);
  }
  return low;
}
