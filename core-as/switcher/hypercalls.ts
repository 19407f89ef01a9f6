/**
 * lguest hypercalls and the asynchronous ring that they arrive by: the ring first, then the call itself, in the guest's order. What is
 * performed here and what leaves with EXIT_HYPERCALL is the Host's table of policies, in VCPU_LEAVING_CALLS; on the classic path everything
 * leaves at once, the ring included.
 */

import {
  LG_DATA_HCALL_STATUS,
  LG_DATA_HCALLS,
  LG_HCALL_FREE,
  LG_RING_SLOT_BYTES,
  LG_RING_SLOTS,
  LHCALL_FLUSH_ASYNC,
} from "../../abi/lguest.ts";
import {
  EXIT_HYPERCALL,
  PHASE_END,
  PHASE_HYPERCALL,
  VCPU_EXIT_ARG,
  VCPU_GPR,
  VCPU_LEAVING_CALLS,
  VCPU_LG_DATA,
  VCPU_LG_DRAINING,
  VCPU_LG_RING_CURSOR,
  VCPU_LG_RING_READY,
} from "../../abi/vcpu.ts";
import { PAGE_OFFSET_MASK, PAGE_SIZE } from "../layout.ts";
import { canReadPhysical, physicalForRead, readPhysical, writePhysical } from "../mmu/physical.ts";
import { leave } from "../state/faults.ts";
import { notePhase } from "../state/phases.ts";
import { CALL_DONE, CALL_FOR_HOST, perform } from "./lguest-calls.ts";

/**
 * A hypercall was made, VCPU_EIP is past it. Drains the ring, then performs the call or hands it to the Host.
 * @returns true when the guest goes on; false with VCPU_EVENT and the exit record set.
 */
export function hypercall(v: usize): bool {
  // Before LGUEST_INIT there is no ring, and the Host judges every call.
  if (load<u32>(v, VCPU_LG_DATA) == 0 || leavesCall(v, LHCALL_FLUSH_ASYNC)) {
    return toHost(v, reg(v, 0), reg(v, 3), reg(v, 1), reg(v, 2), reg(v, 6));
  }
  notePhase(v, PHASE_HYPERCALL);
  if (!snapshotRing(v)) return false;
  store<u32>(v, 1, VCPU_LG_DRAINING);
  if (!resumeHypercall(v)) return false;
  notePhase(v, PHASE_END);
  return true;
}

/** Goes on with a hypercall whose ring was being drained when a queued call had to leave. */
export function resumeHypercall(v: usize): bool {
  if (!drainRing(v)) return false;
  store<u32>(v, 0, VCPU_LG_DRAINING);
  return dispatch(v, reg(v, 0), reg(v, 3), reg(v, 1), reg(v, 2), reg(v, 6));
}

function reg(v: usize, r: u32): u32 {
  return load<u32>(v + (r << 2), VCPU_GPR);
}

function toHost(v: usize, number: u32, a1: u32, a2: u32, a3: u32, a4: u32): bool {
  leave(v, EXIT_HYPERCALL, number, a1, a2, a3);
  store<u32>(v, a4, VCPU_EXIT_ARG + 16);
  return false;
}

/**
 * Remembers which slots are ready now, from the cursor to the first that is not: what the guest or a device writes meanwhile is for the
 * next hypercall.
 */
function snapshotRing(v: usize): bool {
  const status = load<u32>(v, VCPU_LG_DATA) + LG_DATA_HCALL_STATUS;
  let slot = load<u32>(v, VCPU_LG_RING_CURSOR);
  const next = physicalForRead(v, status + slot);
  if (next != 0 && load<u8>(next) == LG_HCALL_FREE) {
    store<u64>(v, 0, VCPU_LG_RING_READY);
    return true;
  }
  if (!canReadPhysical(v, status, LG_RING_SLOTS)) return false;
  let ready: u64 = 0;
  for (let i = 0; i < LG_RING_SLOTS; i++) {
    if (readPhysical<u8>(v, status + slot) == LG_HCALL_FREE) break;
    ready |= (<u64>1) << (<u64>slot);
    slot = slot + 1 == <u32>LG_RING_SLOTS ? 0 : slot + 1;
  }
  store<u64>(v, ready, VCPU_LG_RING_READY);
  return true;
}

/** Performs the queued calls in order, from the cursor to the first slot that was not ready. */
function drainRing(v: usize): bool {
  const data = load<u32>(v, VCPU_LG_DATA);
  while (true) {
    const cursor = load<u32>(v, VCPU_LG_RING_CURSOR);
    const ready = load<u64>(v, VCPU_LG_RING_READY);
    const bit = (<u64>1) << (<u64>cursor);
    if ((ready & bit) == 0) return true;
    store<u64>(v, ready & ~bit, VCPU_LG_RING_READY);
    store<u32>(v, cursor + 1 == <u32>LG_RING_SLOTS ? 0 : cursor + 1, VCPU_LG_RING_CURSOR);
    const slot = data + LG_DATA_HCALLS + cursor * LG_RING_SLOT_BYTES;
    let number: u32;
    let a1: u32;
    let a2: u32;
    let a3: u32;
    let a4: u32;
    const whole = (slot & PAGE_OFFSET_MASK) + LG_RING_SLOT_BYTES <= <u32>PAGE_SIZE;
    const ptr = whole ? physicalForRead(v, slot) : 0;
    if (ptr != 0) {
      number = load<u32>(ptr);
      a1 = load<u32>(ptr, 4);
      a2 = load<u32>(ptr, 8);
      a3 = load<u32>(ptr, 12);
      a4 = load<u32>(ptr, 16);
    } else {
      if (!canReadPhysical(v, slot, LG_RING_SLOT_BYTES)) return false;
      number = readPhysical<u32>(v, slot);
      a1 = readPhysical<u32>(v, slot + 4);
      a2 = readPhysical<u32>(v, slot + 8);
      a3 = readPhysical<u32>(v, slot + 12);
      a4 = readPhysical<u32>(v, slot + 16);
    }
    if (!writePhysical<u8>(v, data + LG_DATA_HCALL_STATUS + cursor, <u8>LG_HCALL_FREE))
      return false;
    if (!dispatch(v, number, a1, a2, a3, a4)) return false;
  }
}

/** @returns true when the guest's policy sends the call to the Host; those without a number of their own always go there. */
function leavesCall(v: usize, number: u32): bool {
  return number >= 32 || ((load<u32>(v, VCPU_LEAVING_CALLS) >>> number) & 1) != 0;
}

/** Performs a call here or leaves to the Host with it. @returns true when it is done. */
function dispatch(v: usize, number: u32, a1: u32, a2: u32, a3: u32, a4: u32): bool {
  if (leavesCall(v, number)) return toHost(v, number, a1, a2, a3, a4);
  const outcome = perform(v, number, a1, a2, a3, a4);
  if (outcome == CALL_FOR_HOST) return toHost(v, number, a1, a2, a3, a4);
  return outcome == CALL_DONE;
}
