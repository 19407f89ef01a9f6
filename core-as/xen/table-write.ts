/**
 * The assist for guests that write their page tables as if they were memory: a store of the kernel's that faults on a table of the lowest
 * level is made on a copy, and what it changed there is carried over as a checked update. Tables of the upper levels are never written so.
 * Source: Xen's public xen.h, "VMASST_TYPE_writable_pagetables".
 */
import {
  EVENT_NONE,
  GUEST_XEN_ASSISTS,
  VCPU_BLOCK,
  VCPU_CONTEXT,
  VCPU_DEBUG,
  VCPU_EFLAGS,
  VCPU_EVENT,
  VCPU_FAULT_ADDRESS,
  VCPU_GUEST,
} from "../../abi/vcpu.ts";
import {
  DR6_BS,
  EFLAGS_TF,
  PFERR_PRESENT,
  PFERR_WRITE,
  PTE_A,
  PTE_D,
  PTE_P,
} from "../../abi/x86.ts";
import { VMASST_TYPE_WRITABLE_PAGETABLES } from "../../abi/xen.ts";
import { PGT_L1 } from "../../abi/xen-memory.ts";
import { interpret, RUN_EVENT } from "../exec/interpreter.ts";
import {
  PAGE_MASK,
  PAGE_SIZE,
  TLB_ADDEND,
  TLB_EXEC,
  TLB_INVALID,
  TLB_READ,
  TLB_WRITE,
} from "../layout.ts";
import { Mem } from "../mmu/access.ts";
import { frameForRead } from "../mmu/frames.ts";
import { allocFrame, releaseFrame } from "../mmu/pool.ts";
import { flushPageEverywhere, noteUsed } from "../mmu/tlb.ts";
import { probe } from "../mmu/walker.ts";
import { pageType, typeCount, typeOf } from "./page-info.ts";
import { replaceEntry } from "./page-types.ts";

/** @returns true when the store at EIP, which faulted with `error` in ring 1, was carried out. */
export function emulateTableWrite(v: usize, error: u32): bool {
  const guest = load<usize>(v, VCPU_GUEST);
  const assists = load<u32>(guest, GUEST_XEN_ASSISTS);
  if (((assists >>> VMASST_TYPE_WRITABLE_PAGETABLES) & 1) == 0) return false;
  if ((error & (PFERR_PRESENT | PFERR_WRITE)) != (PFERR_PRESENT | PFERR_WRITE)) return false;
  const lin = load<u32>(v, VCPU_FAULT_ADDRESS);
  const gpa = probe(v, lin, false, false);
  if (gpa < 0) return false;
  const mfn = <u32>(gpa / 4096.0);
  const bits = typeOf(guest, mfn);
  if (pageType(bits) != <u32>PGT_L1 || typeCount(bits) == 0) return false;
  const copy = allocFrame();
  const before = allocFrame();
  let done: bool = false;
  if (copy != 0 && before != 0) {
    memory.copy(copy, frameForRead(guest, mfn), PAGE_SIZE);
    memory.copy(before, v, PAGE_SIZE);
    done = storeInto(v, lin & PAGE_MASK, copy) && carryOver(v, mfn, copy, lin & 0xff8);
    // The instruction did not happen.
    if (!done) memory.copy(v, before, PAGE_SIZE);
  }
  if (copy != 0) releaseFrame(copy);
  if (before != 0) releaseFrame(before);
  return done;
}

/** Executes the instruction with `copy` in the place of the page at `page`. @returns false when it faulted otherwise. */
function storeInto(v: usize, page: u32, copy: usize): bool {
  const entry = Mem.entry(load<usize>(v, VCPU_CONTEXT), page);
  noteUsed(entry);
  store<u32>(entry, page, TLB_READ);
  store<u32>(entry, page, TLB_WRITE);
  store<u32>(entry, copy - page, TLB_ADDEND);
  store<u32>(entry, TLB_INVALID, TLB_EXEC);
  const steps = (load<u32>(v, VCPU_EFLAGS) & EFLAGS_TF) != 0;
  const outcome = interpret(v, 1, true);
  store<usize>(v, 0, VCPU_BLOCK);
  flushPageEverywhere(v, page);
  if (outcome == RUN_EVENT || load<u32>(v, VCPU_EVENT) != EVENT_NONE) return false;
  if (steps) store<u32>(v, load<u32>(v, VCPU_DEBUG) | DR6_BS, VCPU_DEBUG);
  return true;
}

/** @returns true when nothing but accessed and dirty bits came to the table since it was copied. */
function isOnlyUsed(old: u64, fresh: u64): bool {
  return (fresh & ~old) == 0 && (old & ~fresh & ~(<u64>(PTE_A | PTE_D))) == 0;
}

/** @returns true when the 64 bytes at both places are the same. */
function isSame(a: usize, b: usize): bool {
  const first = v128.xor(v128.load(a), v128.load(b));
  const second = v128.xor(v128.load(a, 16), v128.load(b, 16));
  const third = v128.xor(v128.load(a, 32), v128.load(b, 32));
  const fourth = v128.xor(v128.load(a, 48), v128.load(b, 48));
  return !v128.any_true(v128.or(v128.or(first, second), v128.or(third, fourth)));
}

/** Makes the table what the copy is, entry by entry; the store faulted at byte `slot`. @returns false when the first one that differs is refused. */
function carryOver(v: usize, mfn: u32, copy: usize, slot: u32): bool {
  const guest = load<usize>(v, VCPU_GUEST);
  let frame = frameForRead(guest, mfn);
  let changed = false;
  for (let piece: u32 = 0; piece < <u32>PAGE_SIZE; piece += 64) {
    if (isSame(frame + piece, copy + piece)) continue;
    for (let at = piece; at < piece + 64; at += 8) {
      const old = load<u64>(frame + at);
      const fresh = load<u64>(copy + at);
      if (old == fresh || (at != slot && isOnlyUsed(old, fresh))) continue;
      const low = <u32>fresh;
      const high = <u32>(fresh >> 32);
      const gpa = (mfn << 12) | at;
      let error = replaceEntry(v, PGT_L1, gpa, low, high, false);
      // The upper half first, of an entry that is not whole yet: its lower half follows.
      if (error != 0 && low == <u32>old)
        error = replaceEntry(v, PGT_L1, gpa, low & ~PTE_P, high, false);
      if (error != 0) return changed;
      changed = true;
      frame = frameForRead(guest, mfn);
    }
  }
  return true;
}
