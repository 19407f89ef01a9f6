/**
 * The world switch: enter the guest with an instruction budget, and stay until the Host is needed.
 */
import {
  COUNTER_EXITS,
  EVENT_EXIT,
  EVENT_FAULT,
  EVENT_KILL,
  EVENT_MMIO,
  EVENT_NONE,
  EVENT_STEP,
  EVENT_TRAP,
  EXIT_BUDGET,
  EXIT_INTERRUPT_WINDOW,
  EXIT_LIVELOCK,
  VCPU_BLOCK,
  VCPU_BUDGET,
  VCPU_CHAOS,
  VCPU_CHAOS_SEED,
  VCPU_DR6,
  VCPU_EFLAGS,
  VCPU_EVENT,
  VCPU_EXIT_REASON,
  VCPU_LG_DRAINING,
  VCPU_MMIO_COUNT,
  VCPU_MMIO_CURSOR,
  VCPU_RETIRED,
  VCPU_SHADOW,
  VCPU_WANT_WINDOW,
} from "../../abi/vcpu.ts";
import { DR6_BS, EFLAGS_IF, EFLAGS_TF, VECTOR_DB } from "../../abi/x86.ts";
import { resetCodeCache } from "../decode/cache.ts";
import { interpret, RUN_EVENT } from "../exec/interpreter.ts";
import { flushAllTranslations, switchDirectory } from "../mmu/tlb.ts";
import { clearEvent } from "../mmu/walker.ts";
import { raise } from "../state/faults.ts";
import { count, setExit } from "../state/vcpu.ts";
import { onFault, onSoftwareInterrupt } from "./classify.ts";
import { resumeHypercall } from "./lguest-calls.ts";

/** Traps that may be delivered without one instruction retiring before the Host is asked to look. */
const MAX_IDLE_TRAPS: u32 = 4096;
const UNLIMITED: i32 = 0x7fffffff;
/** In chaos mode a stretch between two drops is 1 to 1,024 instructions. */
const CHAOS_MASK: u32 = 1023;

function exit(v: usize, reason: u32): u32 {
  setExit(v, reason);
  return leaveGuest(v);
}
/** The exit record is filled. */
function leaveGuest(v: usize): u32 {
  clearEvent(v);
  const reason = load<u32>(v, VCPU_EXIT_REASON);
  count(v, COUNTER_EXITS + reason * 8);
  return reason;
}

/** @returns true when interrupts may be taken between the last and the next instruction. */
function windowIsOpen(v: usize): bool {
  return (
    (load<u32>(v, VCPU_EFLAGS) & EFLAGS_IF) != 0 &&
    load<u64>(v, VCPU_SHADOW) != load<u64>(v, VCPU_RETIRED)
  );
}

/**
 * Debug mode: drops every cached translation and every decoded block at pseudo-random moments. Nothing the guest can see may change.
 * @returns how many instructions to run until the next time.
 */
function chaos(v: usize): i32 {
  if (load<u32>(v, VCPU_CHAOS) == 0) return UNLIMITED;
  const next = load<u32>(v, VCPU_CHAOS_SEED) * 1664525 + 1013904223;
  store<u32>(v, next, VCPU_CHAOS_SEED);
  flushAllTranslations(v);
  if ((next & 0x10000000) != 0) resetCodeCache();
  return 1 + <i32>((next >>> 16) & CHAOS_MASK);
}

/**
 * Runs the vCPU for at most `budget` instructions.
 * @returns EXIT_*; the exit record, VCPU_EIP and VCPU_RETIRED are exact.
 */
export function enter(v: usize, budget: i32): u32 {
  switchDirectory(v);
  store<i32>(v, budget, VCPU_BUDGET);
  store<u32>(v, EVENT_NONE, VCPU_EVENT);
  store<u32>(v, 0, VCPU_MMIO_CURSOR);
  let traps: u32 = 0;
  let retired = load<u64>(v, VCPU_RETIRED);
  let alone = false;
  if (load<u32>(v, VCPU_LG_DRAINING) != 0 && !resumeHypercall(v)) return leaveGuest(v);

  while (true) {
    if (load<i32>(v, VCPU_BUDGET) <= 0) return exit(v, EXIT_BUDGET);
    if (load<u32>(v, VCPU_WANT_WINDOW) != 0 && windowIsOpen(v))
      return exit(v, EXIT_INTERRUPT_WINDOW);

    const stepping = (load<u32>(v, VCPU_EFLAGS) & EFLAGS_TF) != 0;
    // The window is open but for the shadow of the last instruction: one more, then look again.
    const inShadow =
      load<u32>(v, VCPU_WANT_WINDOW) != 0 && (load<u32>(v, VCPU_EFLAGS) & EFLAGS_IF) != 0;
    if (stepping || inShadow || load<u32>(v, VCPU_MMIO_COUNT) != 0) alone = true;
    const outcome = interpret(v, alone ? 1 : chaos(v), alone);
    // No block runs any more: what the switcher stores beside the interrupted code is no self-modification.
    store<usize>(v, 0, VCPU_BLOCK);
    const happened = load<u32>(v, VCPU_EVENT);
    if (outcome != RUN_EVENT || happened == EVENT_EXIT || happened == EVENT_TRAP) {
      // The instruction that ran alone retired.
      alone = false;
      store<u32>(v, 0, VCPU_MMIO_COUNT);
      if (stepping && outcome != RUN_EVENT) {
        store<u32>(v, load<u32>(v, VCPU_DR6) | DR6_BS, VCPU_DR6);
        raise(v, VECTOR_DB, 0);
        if (!onFault(v)) return leaveGuest(v);
        continue;
      }
    }
    if (outcome != RUN_EVENT) continue;

    switch (happened) {
      case EVENT_STEP: {
        alone = true;
        clearEvent(v);
        continue;
      }
      case EVENT_FAULT: {
        alone = false;
        store<u32>(v, 0, VCPU_MMIO_COUNT);
        if (!onFault(v)) return leaveGuest(v);
        break;
      }
      case EVENT_TRAP: {
        if (!onSoftwareInterrupt(v)) return leaveGuest(v);
        break;
      }
      case EVENT_MMIO:
      case EVENT_KILL:
      case EVENT_EXIT:
        return leaveGuest(v);
      default:
        unreachable();
    }
    const now = load<u64>(v, VCPU_RETIRED);
    traps = now == retired ? traps + 1 : 0;
    retired = now;
    if (traps > MAX_IDLE_TRAPS) return exit(v, EXIT_LIVELOCK);
  }
}
