/**
 * Runs of the same kind of work in one call: update_va_mapping in a multicall, and requests of mmu_update, as long as the entries they
 * change are plain and the list lies where the TLB knows it. What does not is left to who called: nothing here says more than done.
 */
import {
  COUNTER_CORE_CALLS,
  GUEST_XEN_STALE,
  VCPU_BUDGET,
  VCPU_CONTEXT,
  VCPU_COUNTERS,
  VCPU_GUEST,
  VCPU_XEN_ARGS,
  VCPU_XEN_MC_ENTRY,
  VCPU_XEN_MC_LEFT,
  VCPU_XEN_RESULT,
  VCPU_XEN_WORK,
} from "../../abi/vcpu.ts";
import { PTE_A, PTE_D, PTE_P } from "../../abi/x86.ts";
import {
  HYPERVISOR_UPDATE_VA_MAPPING,
  HYPERVISOR_VIRT_START,
  MMU_NORMAL_PT_UPDATE,
  MMU_PT_UPDATE_PRESERVE_AD,
  UVMF_INVLPG,
} from "../../abi/xen.ts";
import {
  MMU_UPDATE_BYTES,
  MMU_UPDATE_VAL,
  MULTICALL_ARGS,
  MULTICALL_ENTRY_BYTES,
  MULTICALL_RESULT,
} from "../../abi/xen-layout.ts";
import { PAGE_MASK, TLB_ADDEND, TLB_READ, TLB_WRITE } from "../layout.ts";
import { Mem } from "../mmu/access.ts";
import { PageSlot } from "../mmu/tlb.ts";
import { COST_ENTRY, WORK_MAX } from "./cost.ts";
import { writeGuest } from "./guest-access.ts";
import { tablesChangedTimes } from "./page-types.ts";
import { PlainEntry, plainTable, plainTableOf } from "./plain-entries.ts";

/** No address and no frame. */
const NONE: u32 = 0xffffffff;
const REQUEST_KIND: u32 = 3;

/** The work of `entries`, as charge() counts it. */
function chargeEntries(v: usize, entries: u32): void {
  const cost = <i32>entries * COST_ENTRY;
  store<i32>(v, load<i32>(v, VCPU_XEN_WORK) + cost, VCPU_XEN_WORK);
  store<i32>(v, load<i32>(v, VCPU_BUDGET) - cost, VCPU_BUDGET);
}
/** @returns how many entries may be worked on before the call has to stop, at least one. */
function allowed(v: usize, left: u32): u32 {
  const work = load<i32>(v, VCPU_XEN_WORK);
  const most: u32 = work >= WORK_MAX ? 1 : (WORK_MAX - work + COST_ENTRY - 1) / COST_ENTRY;
  return left < most ? left : most;
}

/**
 * Performs entries of the multicall from VCPU_XEN_MC_ENTRY on that are update_va_mapping; the first one may be.
 * @returns false when the result of one that was performed cannot be written: VCPU_XEN_MC_ENTRY is there.
 */
export function runUpdates(v: usize): bool {
  const guest = load<usize>(v, VCPU_GUEST);
  if (load<u32>(guest, GUEST_XEN_STALE) != 0) return true;
  const tlb = load<usize>(v, VCPU_CONTEXT);
  const left = load<u32>(v, VCPU_XEN_MC_LEFT);
  const most = allowed(v, left);
  let lin = load<u32>(v, VCPU_XEN_MC_ENTRY);
  let region = NONE;
  let table: usize = 0;
  let changes: u32 = 0;
  let last: usize = 0;
  let n: u32 = 0;
  let isWritten = true;
  for (; n < most; n++) {
    const list = Mem.entry(tlb, lin);
    const page = (lin + (MULTICALL_ENTRY_BYTES - 1)) & PAGE_MASK;
    if (page != load<u32>(list, TLB_WRITE) || page >= <u32>HYPERVISOR_VIRT_START) break;
    const call = lin + load<u32>(list, TLB_ADDEND);
    const target = load<u32>(call, MULTICALL_ARGS);
    const flags = load<u32>(call, MULTICALL_ARGS + 12);
    if (load<u32>(call) != HYPERVISOR_UPDATE_VA_MAPPING || (flags & ~UVMF_INVLPG) != 0) break;
    if (target >= <u32>HYPERVISOR_VIRT_START) break;
    if (target >>> 21 != region) {
      region = target >>> 21;
      table = plainTableOf(v, target);
    }
    if (table == 0) break;
    const entry = table + ((target >>> 9) & 0xff8);
    const old = load<u32>(entry);
    const low = load<u32>(call, MULTICALL_ARGS + 4);
    if (!PlainEntry.replace(guest, entry, low, load<u32>(call, MULTICALL_ARGS + 8))) break;
    changes += old & PTE_P;
    if (flags != 0) PageSlot.drop(tlb, target);
    last = call;
    // Its own page may be the one that was just mapped elsewhere.
    if (load<u32>(list, TLB_WRITE) == page) store<u32>(call, 0, MULTICALL_RESULT);
    else if (!writeGuest<u32>(v, lin + MULTICALL_RESULT, 0)) {
      isWritten = false;
      break;
    }
    lin += MULTICALL_ENTRY_BYTES;
  }
  const done = isWritten ? n : n + 1;
  if (done == 0) return true;
  tablesChangedTimes(guest, changes);
  chargeEntries(v, done);
  store<u64>(v, load<u64>(last, MULTICALL_ARGS), VCPU_XEN_ARGS);
  store<u64>(v, load<u64>(last, MULTICALL_ARGS + 8), VCPU_XEN_ARGS + 8);
  store<u64>(v, load<u64>(last, MULTICALL_ARGS + 16), VCPU_XEN_ARGS + 16);
  store<u32>(v, 0, VCPU_XEN_RESULT);
  store<u32>(v, lin, VCPU_XEN_MC_ENTRY);
  store<u32>(v, left - n, VCPU_XEN_MC_LEFT);
  const counter = load<usize>(v, VCPU_COUNTERS) + HYPERVISOR_UPDATE_VA_MAPPING * 8;
  store<u64>(counter, load<u64>(counter, COUNTER_CORE_CALLS) + done, COUNTER_CORE_CALLS);
  return isWritten;
}

/** Performs requests of struct mmu_update from `lin` on, at most `left` of them. @returns how many; what follows them is not plain. */
export function runRequests(v: usize, first: u32, left: u32): u32 {
  const guest = load<usize>(v, VCPU_GUEST);
  if (load<u32>(guest, GUEST_XEN_STALE) != 0) return 0;
  const tlb = load<usize>(v, VCPU_CONTEXT);
  const most = allowed(v, left);
  let lin = first;
  let mfn = NONE;
  let table: usize = 0;
  let changes: u32 = 0;
  let n: u32 = 0;
  for (; n < most; n++) {
    const list = Mem.entry(tlb, lin);
    const page = (lin + (MMU_UPDATE_BYTES - 1)) & PAGE_MASK;
    if (page != load<u32>(list, TLB_READ) || page >= <u32>HYPERVISOR_VIRT_START) break;
    const request = lin + load<u32>(list, TLB_ADDEND);
    const at = load<u32>(request);
    if (load<u32>(request, 4) != 0) break;
    if (at >>> 12 != mfn) {
      mfn = at >>> 12;
      table = plainTable(guest, mfn);
    }
    if (table == 0) break;
    const entry = table + (at & 0xff8);
    const old = load<u32>(entry);
    let low = load<u32>(request, MMU_UPDATE_VAL);
    const kind = at & REQUEST_KIND;
    if (kind == <u32>MMU_PT_UPDATE_PRESERVE_AD) {
      if ((low & PTE_P) != 0) low |= old & (PTE_A | PTE_D);
    } else if (kind != <u32>MMU_NORMAL_PT_UPDATE) break;
    if (!PlainEntry.replace(guest, entry, low, load<u32>(request, MMU_UPDATE_VAL + 4))) break;
    changes += old & PTE_P;
    lin += MMU_UPDATE_BYTES;
  }
  if (n == 0) return 0;
  tablesChangedTimes(guest, changes);
  chargeEntries(v, n);
  return n;
}
