/**
 * The world switch: enter the guest with an instruction budget, and stay until the Host is needed.
 */
import {
  COUNTER_EXITS,
  DEBUG_EXECUTE,
  DEBUG_PENDING,
  EVENT_BEFORE,
  EVENT_EXIT,
  EVENT_FAULT,
  EVENT_KILL,
  EVENT_MMIO,
  EVENT_NONE,
  EVENT_SHADOW_FAULT,
  EVENT_STEP,
  EVENT_TRAP,
  EXIT_BUDGET,
  EXIT_HALT,
  EXIT_HYPERCALL,
  EXIT_INTERRUPT_WINDOW,
  EXIT_LIVELOCK,
  EXIT_SHADOW_FAULT,
  NMI_PENDING,
  PHASE_TRAP,
  POLICY_XEN,
  VCPU_BLOCK,
  VCPU_BUDGET,
  VCPU_CHAOS,
  VCPU_CHAOS_SEED,
  VCPU_CHAOS_UNTIL,
  VCPU_DEBUG,
  VCPU_DR7,
  VCPU_EFLAGS,
  VCPU_EIP,
  VCPU_EVENT,
  VCPU_EXIT_REASON,
  VCPU_GUEST,
  VCPU_IDLE_TRAPS,
  VCPU_IDLE_TRAPS_AT,
  VCPU_LG_DRAINING,
  VCPU_MMIO_COUNT,
  VCPU_MMIO_CURSOR,
  VCPU_NMI,
  VCPU_PAST_END,
  VCPU_POLICY,
  VCPU_RETIRED,
  VCPU_SHADOW,
  VCPU_SHADOW_FAULTS,
  VCPU_WANT_WINDOW,
  VCPU_XEN_LOOK,
} from "../../abi/vcpu.ts";

import { DR6_BS, DR7_ENABLES, EFLAGS_IF, EFLAGS_TF, SEG_CS, VECTOR_PF } from "../../abi/x86.ts";
import { resetCodeCache } from "../decode/cache.ts";
import { interpret, RUN_EVENT } from "../exec/interpreter.ts";
import { clearEvent } from "../mmu/fill.ts";
import { forgetGrants } from "../mmu/shadow-fault.ts";
import { flushAllTranslations, switchDirectory } from "../mmu/tlb.ts";
import { armBreakpoints, executionHits } from "../mmu/watch.ts";
import { leavesTrap } from "../state/faults.ts";
import { isResuming } from "../state/flags.ts";
import { notePhase } from "../state/phases.ts";
import { count, segBase, setExit } from "../state/vcpu.ts";
import { bounceEvent } from "../xen/bounce.ts";
import { answeredMulticall, continueMulticall } from "../xen/hypercalls.ts";
import { settleStale } from "../xen/page-types.ts";
import { hasUpcall } from "../xen/upcall.ts";
import {
  canTakeNmi,
  forgetPartialWork,
  hasDebugTrap,
  inDebugShadow,
  noteTrap,
  onDebug,
  onDebugTrap,
  onFault,
  onNmi,
  onSoftwareInterrupt,
} from "./classify.ts";
import { resumeHypercall } from "./hypercalls.ts";
import { settlePastEnd } from "./past-end.ts";

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

/** @returns DR6 bits of the execution breakpoints at the next instruction, 0 when it may run. */
function breakpointsHere(v: usize): u32 {
  // An instruction that waits for a device has begun already.
  const runs = load<u32>(v, VCPU_MMIO_COUNT) != 0 || isResuming(v) || inDebugShadow(v);
  return runs ? 0 : executionHits(v, segBase(v, SEG_CS) + load<u32>(v, VCPU_EIP));
}

/**
 * Debug mode: drops every cached translation and every decoded block at pseudo-random moments. Nothing the guest can see may change.
 * @param goesOn true: the last stretch was interrupted by a miss that the Host has filled
 * @returns how many instructions to run until the next time.
 */
function chaos(v: usize, goesOn: bool): i32 {
  if (load<u32>(v, VCPU_CHAOS) == 0) return UNLIMITED;
  const now = load<u64>(v, VCPU_RETIRED);
  const until = load<u64>(v, VCPU_CHAOS_UNTIL);
  if (goesOn && now < until) return <i32>(until - now);
  const next = load<u32>(v, VCPU_CHAOS_SEED) * 1664525 + 1013904223;
  store<u32>(v, next, VCPU_CHAOS_SEED);
  flushAllTranslations(v);
  if ((next & 0x10000000) != 0) resetCodeCache();
  const stretch = 1 + ((next >>> 16) & CHAOS_MASK);
  store<u64>(v, now + stretch, VCPU_CHAOS_UNTIL);
  return <i32>stretch;
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
  store<u32>(v, 0, VCPU_IDLE_TRAPS);
  store<u64>(v, load<u64>(v, VCPU_RETIRED), VCPU_IDLE_TRAPS_AT);
  if ((load<u32>(v, VCPU_DR7) & DR7_ENABLES) != 0 || load<u32>(v, VCPU_DEBUG) != 0)
    armBreakpoints(v);
  if (load<u32>(v, VCPU_LG_DRAINING) != 0 && !resumeHypercall(v)) return leaveGuest(v);
  return runSlice(v, false);
}

/**
 * Goes on with a slice that the core left to have a trap, a TLB miss or a hypercall judged: what is left of its budget, with no look at the
 * outside world in between.
 * @returns EXIT_*, like enter().
 */
export function resume(v: usize): u32 {
  store<u32>(v, EVENT_NONE, VCPU_EVENT);
  store<u32>(v, 0, VCPU_MMIO_CURSOR);
  return runSlice(v, load<u32>(v, VCPU_EXIT_REASON) == EXIT_SHADOW_FAULT);
}

function runSlice(v: usize, afterMiss: bool): u32 {
  let goesOn = afterMiss;
  const isXen = load<u32>(v, VCPU_POLICY) == POLICY_XEN;
  const missesLeave = !isXen && leavesTrap(v, VECTOR_PF);
  let alone = false;
  while (true) {
    if (load<u32>(v, VCPU_IDLE_TRAPS) > MAX_IDLE_TRAPS) return exit(v, EXIT_LIVELOCK);
    if (isXen) {
      settleStale(load<usize>(v, VCPU_GUEST));
      if (answeredMulticall(v)) {
        if (!continueMulticall(v)) return leaveGuest(v);
        noteTrap(v);
        continue;
      }
    }
    if (hasDebugTrap(v)) {
      if (!onDebugTrap(v)) return leaveGuest(v);
      noteTrap(v);
      continue;
    }
    if (load<u32>(v, VCPU_NMI) == NMI_PENDING) {
      if (canTakeNmi(v)) {
        if (!onNmi(v)) return leaveGuest(v);
        noteTrap(v);
        continue;
      }
      alone = true;
    }
    if (load<i32>(v, VCPU_BUDGET) <= 0) return exit(v, EXIT_BUDGET);
    if (isXen && load<u32>(v, VCPU_XEN_LOOK) != 0) {
      if (!hasUpcall(v)) store<u32>(v, 0, VCPU_XEN_LOOK);
      // Between a load of SS and the one of ESP no frame may come.
      else if (load<u64>(v, VCPU_SHADOW) == load<u64>(v, VCPU_RETIRED)) alone = true;
      else {
        if (!bounceEvent(v)) return leaveGuest(v);
        noteTrap(v);
        continue;
      }
    }
    if (load<u32>(v, VCPU_WANT_WINDOW) != 0 && windowIsOpen(v))
      return exit(v, EXIT_INTERRUPT_WINDOW);

    if ((load<u32>(v, VCPU_DEBUG) & DEBUG_EXECUTE) != 0) {
      const found = breakpointsHere(v);
      if (found != 0) {
        if (!onDebug(v, found)) return leaveGuest(v);
        noteTrap(v);
        continue;
      }
      alone = true;
    }
    // A trap that MOV SS holds off comes right after the next instruction.
    if ((load<u32>(v, VCPU_DEBUG) & DEBUG_PENDING) != 0) alone = true;
    const stepping = (load<u32>(v, VCPU_EFLAGS) & EFLAGS_TF) != 0;
    // The window is open but for the shadow of the last instruction: one more, then look again.
    const inShadow =
      load<u32>(v, VCPU_WANT_WINDOW) != 0 && (load<u32>(v, VCPU_EFLAGS) & EFLAGS_IF) != 0;
    if (stepping || inShadow || load<u32>(v, VCPU_MMIO_COUNT) != 0) alone = true;
    if (missesLeave) store<u32>(v, 1, VCPU_SHADOW_FAULTS);
    const outcome = interpret(v, alone ? 1 : chaos(v, goesOn), alone);
    goesOn = false;
    store<u32>(v, 0, VCPU_SHADOW_FAULTS);
    // No block runs any more: what the switcher stores beside the interrupted code is no self-modification.
    store<usize>(v, 0, VCPU_BLOCK);
    const happened = load<u32>(v, VCPU_EVENT);
    if (outcome != RUN_EVENT || happened == EVENT_EXIT || happened == EVENT_TRAP) {
      // The instruction that ran alone retired.
      alone = false;
      store<u32>(v, 0, VCPU_MMIO_COUNT);
      // INT n has cleared TF, and a load of SS lets the step pass.
      if (stepping && (outcome != RUN_EVENT || happened == EVENT_EXIT) && !inDebugShadow(v)) {
        store<u32>(v, load<u32>(v, VCPU_DEBUG) | DR6_BS, VCPU_DEBUG);
      }
    }
    if (missesLeave && !isToBeRepeated(outcome, happened)) forgetGrants(v);
    if (outcome != RUN_EVENT) continue;

    switch (happened) {
      case EVENT_STEP: {
        alone = true;
        clearEvent(v);
        continue;
      }
      case EVENT_FAULT: {
        notePhase(v, PHASE_TRAP);
        alone = false;
        forgetPartialWork(v);
        if (load<u32>(v, VCPU_PAST_END) != 0) settlePastEnd(v);
        if (!onFault(v)) return leaveGuest(v);
        break;
      }
      case EVENT_TRAP: {
        notePhase(v, PHASE_TRAP);
        if (!onSoftwareInterrupt(v)) {
          // The Host performs the call and the guest goes on: that is progress like a call completed here.
          if (load<u32>(v, VCPU_EXIT_REASON) == EXIT_HYPERCALL) noteTrap(v);
          return leaveGuest(v);
        }
        break;
      }
      case EVENT_EXIT: {
        // A debug trap ends the halt before it begins.
        if (load<u32>(v, VCPU_EXIT_REASON) == EXIT_HALT && hasDebugTrap(v)) {
          clearEvent(v);
          continue;
        }
        return leaveGuest(v);
      }
      case EVENT_SHADOW_FAULT: {
        // A trap that was there before the instruction stays, and waits for its end.
        if (!inDebugShadow(v)) store<u32>(v, load<u32>(v, VCPU_DEBUG) & ~DEBUG_PENDING, VCPU_DEBUG);
        return leaveGuest(v);
      }
      case EVENT_BEFORE:
      case EVENT_MMIO:
      case EVENT_KILL:
        return leaveGuest(v);
      default:
        unreachable();
    }
    noteTrap(v);
  }
}

/** @returns true when the instruction at EIP was begun and is executed once more. */
function isToBeRepeated(outcome: u32, happened: u32): bool {
  return (
    outcome == RUN_EVENT &&
    (happened == EVENT_SHADOW_FAULT || happened == EVENT_MMIO || happened == EVENT_STEP)
  );
}
