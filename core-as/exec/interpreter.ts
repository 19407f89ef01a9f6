/**
 * Tier 0: executes decoded blocks. One loop, one dense switch over micro-op ids; a case either continues with the next micro-op, or breaks
 * to the code after the switch, which follows a link to the next block or finds out what happened.
 *
 * The instruction budget is exact: entering a block pays for all of it, an event gives back what was not executed, and the rest of a slice
 * runs through a block truncated to what is left. Registers and flags live in the vCPU block; `tlb`, `n` and `pc` are the only locals that
 * matter, so a run can stop between any two instructions.
 */
import {
  DEBUG_EXECUTE,
  DEBUG_PENDING,
  EVENT_EXIT,
  EVENT_TRAP,
  MODE_FLAT,
  NMI_PENDING,
  VCPU_ALONE,
  VCPU_BLOCK,
  VCPU_BUDGET,
  VCPU_DEBUG,
  VCPU_EFLAGS,
  VCPU_EIP,
  VCPU_EVENT,
  VCPU_GPR,
  VCPU_INT_EIP,
  VCPU_MODE,
  VCPU_NMI,
  VCPU_RETIRED,
  VCPU_TLB,
  VCPU_WANT_WINDOW,
} from "../../abi/vcpu.ts";
import { EFLAGS_TF } from "../../abi/x86.ts";
import { cacheEpoch, findBlock, jumpCacheSlot, scratchBlock } from "../decode/cache.ts";
import { AGEN_ADDR16, AGEN_SIZE_SHIFT, AGEN_WRITE } from "../decode/instruction.ts";
import { NEAR_FALL, NEAR_TAKEN } from "../decode/one-byte.ts";
import { UOP_BASE, UOP_DELTA, UOP_DISP, UOP_SIZE, Uop, uopEip } from "../decode/uop.ts";
import * as U from "../decode/uop-ids.ts";
import {
  BLOCK_COUNT,
  BLOCK_EIP,
  BLOCK_HEADER,
  BLOCK_HOST,
  BLOCK_MODE,
  PAGE_MASK,
  TLB_ADDEND,
  TLB_EXEC,
} from "../layout.ts";
import { Mem } from "../mmu/access.ts";
import { segLinear } from "../protect/segments.ts";
import { STEP_CUT, STEP_END, STEP_NEXT } from "../state/faults.ts";
import { Flags } from "../state/flags.ts";
import { ADC, ADD, Alu, AND, CMP, OR, SBB, SUB, XOR } from "./alu.ts";
import { Shift32 } from "./shift.ts";
import { slow } from "./slow.ts";

const EAX: usize = VCPU_GPR;
const EDX: usize = VCPU_GPR + 8;
const ESP: usize = VCPU_GPR + 16;
const EBP: usize = VCPU_GPR + 20;

/** The EIP a link leads to lies this far below its slot: imm below UOP_LINK_TAKEN, disp below UOP_LINK_FALL. */
const LINK_TO_EIP: usize = 8;
/** Low bit of a link: the target is on the page of the block it links from. */
const LINK_NEAR: usize = 1;

/** interpret() ended because the budget is used up, */
export const RUN_BUDGET: u32 = 0;
/** ... because VCPU_EVENT says so, */
export const RUN_EVENT: u32 = 1;
/** ... or because something that only the outer loop looks at may have changed (single step, breakpoints, interrupt window, NMI). */
export const RUN_AGAIN: u32 = 2;

/** IMUL r32, r/m32: CF = OF = product does not fit. */
function signedProduct(v: usize, a: u32, b: u32): u32 {
  const product = <i64>(<i32>a) * <i64>(<i32>b);
  const overflow: u32 = product != <i64>(<i32>product) ? 1 : 0;
  Flags.resultWithCarry<u32>(v, <u32>product, overflow, overflow);
  return <u32>product;
}

/** AGEN: adds up a logical address, checks its segment, leaves the linear address in VCPU_EA. */
function generateAddress(v: usize, pc: usize): bool {
  const imm = Uop.imm(pc);
  let off = Uop.ea(v, pc);
  if ((imm & AGEN_ADDR16) != 0) off &= 0xffff;
  return segLinear(v, imm & 7, off, imm >>> AGEN_SIZE_SHIFT, (imm & AGEN_WRITE) != 0);
}

class Link {
  /** @returns true when `eip` (flat code) is still executable at the host address the block was decoded from. */
  @inline static isMapped(tlb: usize, eip: u32, block: usize): bool {
    const entry = Mem.entry(tlb, eip);
    return (
      (eip & PAGE_MASK) == load<u32>(entry, TLB_EXEC) &&
      load<usize>(block, BLOCK_HOST) == eip + load<u32>(entry, TLB_ADDEND)
    );
  }
  /** @returns true when a block of the jump cache is the one for `eip` in the current mode. */
  @inline static isIndirect(v: usize, tlb: usize, eip: u32, block: usize): bool {
    const mode = load<u32>(block, BLOCK_MODE);
    return (
      load<u32>(block, BLOCK_EIP) == eip &&
      mode == load<u32>(v, VCPU_MODE) &&
      (mode & MODE_FLAT) != 0 &&
      Link.isMapped(tlb, eip, block)
    );
  }
}

/** @returns how many instructions of the running block come before the one of micro-op `pc`. */
function executedBefore(v: usize, pc: usize): i32 {
  let executed = 0;
  let delta: u32 = load<u8>(pc, UOP_DELTA);
  for (let p = pc - UOP_SIZE; p >= load<usize>(v, VCPU_BLOCK) + BLOCK_HEADER; p -= UOP_SIZE) {
    const before: u32 = load<u8>(p, UOP_DELTA);
    if (before != delta) {
      executed++;
      delta = before;
    }
  }
  return executed;
}

/** Publishes the exact count of retired instructions: `n` are left of what VCPU_BUDGET says. */
function publish(v: usize, n: i32): void {
  const retired = load<i32>(v, VCPU_BUDGET) - n;
  store<u64>(v, load<u64>(v, VCPU_RETIRED) + <u64>retired, VCPU_RETIRED);
  store<i32>(v, n, VCPU_BUDGET);
}

/**
 * Executes at most `limit` instructions (VCPU_BUDGET bounds it too) from VCPU_EIP.
 * @param alone true: outside any cached block, so that an instruction may store into its own code
 * @returns RUN_*; VCPU_EIP, VCPU_BUDGET and VCPU_RETIRED are exact.
 */
export function interpret(v: usize, limit: i32, alone: bool): u32 {
  const budget = load<i32>(v, VCPU_BUDGET);
  const n = budget < limit ? budget : limit;
  const kept = budget - n;
  store<i32>(v, n, VCPU_BUDGET);
  store<u32>(v, u32(alone), VCPU_ALONE);
  const outcome = begin(v, n, alone);
  store<i32>(v, load<i32>(v, VCPU_BUDGET) + kept, VCPU_BUDGET);
  return outcome;
}

/** findBlock(), with a look at the jump cache before: after a trap the guest goes on where it has often gone on before. */
function firstBlock(v: usize, tlb: usize, eip: u32): usize {
  const slot = jumpCacheSlot(eip);
  const known = load<usize>(slot);
  if (known != 0 && Link.isIndirect(v, tlb, eip, known)) return known;
  const epoch = cacheEpoch;
  const block = findBlock(v, eip);
  if (block != 0 && epoch == cacheEpoch && load<usize>(block, BLOCK_HOST) != 0) {
    store<usize>(slot, block);
  }
  return block;
}

/** Finds where to begin, so that the loop itself need not. */
function begin(v: usize, n: i32, alone: bool): u32 {
  if (n <= 0) return RUN_BUDGET;
  let first: usize = 0;
  if (!alone) {
    first = firstBlock(v, load<usize>(v, VCPU_TLB), load<u32>(v, VCPU_EIP));
    if (first == 0) return RUN_EVENT;
  }
  return execute(v, n, first);
}

/** @param first the block at VCPU_EIP, 0: the next instruction alone, outside any cached block */
function execute(v: usize, budget: i32, first: usize): u32 {
  let n = budget;
  let tlb = load<usize>(v, VCPU_TLB);
  let eip = load<u32>(v, VCPU_EIP);
  let next = first;
  let slot: usize = 0;
  let isDirect = true;
  let pc: usize = 0;
  // Enters `next`, or what is left of the slice at `eip`.
  if (next != 0 && load<i32>(next, BLOCK_COUNT) <= n) n -= load<i32>(next, BLOCK_COUNT);
  else {
    next = scratchBlock(v, eip, n);
    if (next == 0) return RUN_EVENT;
    n -= load<i32>(next, BLOCK_COUNT);
  }
  store<usize>(v, next, VCPU_BLOCK);
  pc = next + BLOCK_HEADER;

  while (true) {
    const id: u32 = load<u16>(pc);
    switch (id) {
      case U.UOP_ADD32_RR: {
        Alu.rr<u32>(v, pc, ADD);
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_OR32_RR: {
        Alu.rr<u32>(v, pc, OR);
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_ADC32_RR: {
        Alu.rr<u32>(v, pc, ADC);
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_SBB32_RR: {
        Alu.rr<u32>(v, pc, SBB);
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_AND32_RR: {
        Alu.rr<u32>(v, pc, AND);
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_SUB32_RR: {
        Alu.rr<u32>(v, pc, SUB);
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_XOR32_RR: {
        Alu.rr<u32>(v, pc, XOR);
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_CMP32_RR: {
        Alu.rr<u32>(v, pc, CMP);
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_ADD32_RI: {
        Alu.ri<u32>(v, pc, ADD);
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_OR32_RI: {
        Alu.ri<u32>(v, pc, OR);
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_ADC32_RI: {
        Alu.ri<u32>(v, pc, ADC);
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_SBB32_RI: {
        Alu.ri<u32>(v, pc, SBB);
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_AND32_RI: {
        Alu.ri<u32>(v, pc, AND);
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_SUB32_RI: {
        Alu.ri<u32>(v, pc, SUB);
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_XOR32_RI: {
        Alu.ri<u32>(v, pc, XOR);
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_CMP32_RI: {
        Alu.ri<u32>(v, pc, CMP);
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_ADD32_RM: {
        if (!Alu.rm<u32>(v, pc, tlb, ADD)) break;
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_OR32_RM: {
        if (!Alu.rm<u32>(v, pc, tlb, OR)) break;
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_ADC32_RM: {
        if (!Alu.rm<u32>(v, pc, tlb, ADC)) break;
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_SBB32_RM: {
        if (!Alu.rm<u32>(v, pc, tlb, SBB)) break;
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_AND32_RM: {
        if (!Alu.rm<u32>(v, pc, tlb, AND)) break;
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_SUB32_RM: {
        if (!Alu.rm<u32>(v, pc, tlb, SUB)) break;
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_XOR32_RM: {
        if (!Alu.rm<u32>(v, pc, tlb, XOR)) break;
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_CMP32_RM: {
        if (!Alu.rm<u32>(v, pc, tlb, CMP)) break;
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_ADD32_MR: {
        if (!Alu.mr<u32>(v, pc, tlb, ADD)) break;
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_OR32_MR: {
        if (!Alu.mr<u32>(v, pc, tlb, OR)) break;
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_ADC32_MR: {
        if (!Alu.mr<u32>(v, pc, tlb, ADC)) break;
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_SBB32_MR: {
        if (!Alu.mr<u32>(v, pc, tlb, SBB)) break;
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_AND32_MR: {
        if (!Alu.mr<u32>(v, pc, tlb, AND)) break;
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_SUB32_MR: {
        if (!Alu.mr<u32>(v, pc, tlb, SUB)) break;
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_XOR32_MR: {
        if (!Alu.mr<u32>(v, pc, tlb, XOR)) break;
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_CMP32_MR: {
        if (!Alu.mr<u32>(v, pc, tlb, CMP)) break;
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_ADD32_MI: {
        if (!Alu.mi<u32>(v, pc, tlb, ADD)) break;
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_OR32_MI: {
        if (!Alu.mi<u32>(v, pc, tlb, OR)) break;
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_ADC32_MI: {
        if (!Alu.mi<u32>(v, pc, tlb, ADC)) break;
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_SBB32_MI: {
        if (!Alu.mi<u32>(v, pc, tlb, SBB)) break;
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_AND32_MI: {
        if (!Alu.mi<u32>(v, pc, tlb, AND)) break;
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_SUB32_MI: {
        if (!Alu.mi<u32>(v, pc, tlb, SUB)) break;
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_XOR32_MI: {
        if (!Alu.mi<u32>(v, pc, tlb, XOR)) break;
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_CMP32_MI: {
        if (!Alu.mi<u32>(v, pc, tlb, CMP)) break;
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_ADD8_RR: {
        Alu.rr<u8>(v, pc, ADD);
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_OR8_RR: {
        Alu.rr<u8>(v, pc, OR);
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_ADC8_RR: {
        Alu.rr<u8>(v, pc, ADC);
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_SBB8_RR: {
        Alu.rr<u8>(v, pc, SBB);
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_AND8_RR: {
        Alu.rr<u8>(v, pc, AND);
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_SUB8_RR: {
        Alu.rr<u8>(v, pc, SUB);
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_XOR8_RR: {
        Alu.rr<u8>(v, pc, XOR);
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_CMP8_RR: {
        Alu.rr<u8>(v, pc, CMP);
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_ADD8_RI: {
        Alu.ri<u8>(v, pc, ADD);
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_OR8_RI: {
        Alu.ri<u8>(v, pc, OR);
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_ADC8_RI: {
        Alu.ri<u8>(v, pc, ADC);
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_SBB8_RI: {
        Alu.ri<u8>(v, pc, SBB);
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_AND8_RI: {
        Alu.ri<u8>(v, pc, AND);
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_SUB8_RI: {
        Alu.ri<u8>(v, pc, SUB);
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_XOR8_RI: {
        Alu.ri<u8>(v, pc, XOR);
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_CMP8_RI: {
        Alu.ri<u8>(v, pc, CMP);
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_ADD8_RM: {
        if (!Alu.rm<u8>(v, pc, tlb, ADD)) break;
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_OR8_RM: {
        if (!Alu.rm<u8>(v, pc, tlb, OR)) break;
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_ADC8_RM: {
        if (!Alu.rm<u8>(v, pc, tlb, ADC)) break;
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_SBB8_RM: {
        if (!Alu.rm<u8>(v, pc, tlb, SBB)) break;
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_AND8_RM: {
        if (!Alu.rm<u8>(v, pc, tlb, AND)) break;
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_SUB8_RM: {
        if (!Alu.rm<u8>(v, pc, tlb, SUB)) break;
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_XOR8_RM: {
        if (!Alu.rm<u8>(v, pc, tlb, XOR)) break;
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_CMP8_RM: {
        if (!Alu.rm<u8>(v, pc, tlb, CMP)) break;
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_ADD8_MR: {
        if (!Alu.mr<u8>(v, pc, tlb, ADD)) break;
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_OR8_MR: {
        if (!Alu.mr<u8>(v, pc, tlb, OR)) break;
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_ADC8_MR: {
        if (!Alu.mr<u8>(v, pc, tlb, ADC)) break;
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_SBB8_MR: {
        if (!Alu.mr<u8>(v, pc, tlb, SBB)) break;
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_AND8_MR: {
        if (!Alu.mr<u8>(v, pc, tlb, AND)) break;
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_SUB8_MR: {
        if (!Alu.mr<u8>(v, pc, tlb, SUB)) break;
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_XOR8_MR: {
        if (!Alu.mr<u8>(v, pc, tlb, XOR)) break;
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_CMP8_MR: {
        if (!Alu.mr<u8>(v, pc, tlb, CMP)) break;
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_ADD8_MI: {
        if (!Alu.mi<u8>(v, pc, tlb, ADD)) break;
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_OR8_MI: {
        if (!Alu.mi<u8>(v, pc, tlb, OR)) break;
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_ADC8_MI: {
        if (!Alu.mi<u8>(v, pc, tlb, ADC)) break;
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_SBB8_MI: {
        if (!Alu.mi<u8>(v, pc, tlb, SBB)) break;
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_AND8_MI: {
        if (!Alu.mi<u8>(v, pc, tlb, AND)) break;
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_SUB8_MI: {
        if (!Alu.mi<u8>(v, pc, tlb, SUB)) break;
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_XOR8_MI: {
        if (!Alu.mi<u8>(v, pc, tlb, XOR)) break;
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_CMP8_MI: {
        if (!Alu.mi<u8>(v, pc, tlb, CMP)) break;
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_ADD32_RR_NF: {
        Alu.rrQuiet(v, pc, ADD);
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_OR32_RR_NF: {
        Alu.rrQuiet(v, pc, OR);
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_AND32_RR_NF: {
        Alu.rrQuiet(v, pc, AND);
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_SUB32_RR_NF: {
        Alu.rrQuiet(v, pc, SUB);
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_XOR32_RR_NF: {
        Alu.rrQuiet(v, pc, XOR);
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_ADD32_RI_NF: {
        Alu.riQuiet(v, pc, ADD);
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_OR32_RI_NF: {
        Alu.riQuiet(v, pc, OR);
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_AND32_RI_NF: {
        Alu.riQuiet(v, pc, AND);
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_SUB32_RI_NF: {
        Alu.riQuiet(v, pc, SUB);
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_XOR32_RI_NF: {
        Alu.riQuiet(v, pc, XOR);
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_ADD32_RM_NF: {
        if (!Alu.rmQuiet(v, pc, tlb, ADD)) break;
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_OR32_RM_NF: {
        if (!Alu.rmQuiet(v, pc, tlb, OR)) break;
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_AND32_RM_NF: {
        if (!Alu.rmQuiet(v, pc, tlb, AND)) break;
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_SUB32_RM_NF: {
        if (!Alu.rmQuiet(v, pc, tlb, SUB)) break;
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_XOR32_RM_NF: {
        if (!Alu.rmQuiet(v, pc, tlb, XOR)) break;
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_TEST32_RR: {
        Alu.test<u32>(v, <u32>load<u32>(Uop.r1(v, pc)), <u32>load<u32>(Uop.r2(v, pc)));
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_TEST32_RI: {
        Alu.test<u32>(v, <u32>load<u32>(Uop.r1(v, pc)), Uop.imm(pc));
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_TEST32_MR: {
        const m = Mem.read<u32>(v, tlb, Uop.ea(v, pc));
        if (m == 0) break;
        Alu.test<u32>(v, <u32>load<u32>(m), <u32>load<u32>(Uop.r1(v, pc)));
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_TEST32_MI: {
        const m = Mem.read<u32>(v, tlb, Uop.ea(v, pc));
        if (m == 0) break;
        Alu.test<u32>(v, <u32>load<u32>(m), Uop.imm(pc));
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_TEST8_RR: {
        Alu.test<u8>(v, <u32>load<u8>(Uop.r1(v, pc)), <u32>load<u8>(Uop.r2(v, pc)));
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_TEST8_RI: {
        Alu.test<u8>(v, <u32>load<u8>(Uop.r1(v, pc)), Uop.imm(pc));
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_TEST8_MR: {
        const m = Mem.read<u8>(v, tlb, Uop.ea(v, pc));
        if (m == 0) break;
        Alu.test<u8>(v, <u32>load<u8>(m), <u32>load<u8>(Uop.r1(v, pc)));
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_TEST8_MI: {
        const m = Mem.read<u8>(v, tlb, Uop.ea(v, pc));
        if (m == 0) break;
        Alu.test<u8>(v, <u32>load<u8>(m), Uop.imm(pc));
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_MOV32_RR: {
        store<u32>(Uop.r1(v, pc), load<u32>(Uop.r2(v, pc)));
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_MOV32_RI: {
        store<u32>(Uop.r1(v, pc), <u32>Uop.imm(pc));
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_MOV32_RM: {
        const m = Mem.read<u32>(v, tlb, Uop.ea(v, pc));
        if (m == 0) break;
        store<u32>(Uop.r1(v, pc), load<u32>(m));
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_MOV32_MR: {
        if (!Mem.store<u32>(v, tlb, Uop.ea(v, pc), load<u32>(Uop.r1(v, pc)))) break;
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_MOV32_MI: {
        if (!Mem.store<u32>(v, tlb, Uop.ea(v, pc), <u32>Uop.imm(pc))) break;
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_MOV16_RR: {
        store<u16>(Uop.r1(v, pc), load<u16>(Uop.r2(v, pc)));
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_MOV16_RI: {
        store<u16>(Uop.r1(v, pc), <u16>Uop.imm(pc));
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_MOV16_RM: {
        const m = Mem.read<u16>(v, tlb, Uop.ea(v, pc));
        if (m == 0) break;
        store<u16>(Uop.r1(v, pc), load<u16>(m));
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_MOV16_MR: {
        if (!Mem.store<u16>(v, tlb, Uop.ea(v, pc), load<u16>(Uop.r1(v, pc)))) break;
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_MOV16_MI: {
        if (!Mem.store<u16>(v, tlb, Uop.ea(v, pc), <u16>Uop.imm(pc))) break;
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_MOV8_RR: {
        store<u8>(Uop.r1(v, pc), load<u8>(Uop.r2(v, pc)));
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_MOV8_RI: {
        store<u8>(Uop.r1(v, pc), <u8>Uop.imm(pc));
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_MOV8_RM: {
        const m = Mem.read<u8>(v, tlb, Uop.ea(v, pc));
        if (m == 0) break;
        store<u8>(Uop.r1(v, pc), load<u8>(m));
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_MOV8_MR: {
        if (!Mem.store<u8>(v, tlb, Uop.ea(v, pc), load<u8>(Uop.r1(v, pc)))) break;
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_MOV8_MI: {
        if (!Mem.store<u8>(v, tlb, Uop.ea(v, pc), <u8>Uop.imm(pc))) break;
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_MOVZX8_RR: {
        store<u32>(Uop.r1(v, pc), <u32>load<u8>(Uop.r2(v, pc)));
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_MOVZX8_RM: {
        const m = Mem.read<u8>(v, tlb, Uop.ea(v, pc));
        if (m == 0) break;
        store<u32>(Uop.r1(v, pc), <u32>load<u8>(m));
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_MOVZX16_RR: {
        store<u32>(Uop.r1(v, pc), <u32>load<u16>(Uop.r2(v, pc)));
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_MOVZX16_RM: {
        const m = Mem.read<u16>(v, tlb, Uop.ea(v, pc));
        if (m == 0) break;
        store<u32>(Uop.r1(v, pc), <u32>load<u16>(m));
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_MOVSX8_RR: {
        store<u32>(Uop.r1(v, pc), <u32>(<i32>load<i8>(Uop.r2(v, pc))));
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_MOVSX8_RM: {
        const m = Mem.read<i8>(v, tlb, Uop.ea(v, pc));
        if (m == 0) break;
        store<u32>(Uop.r1(v, pc), <u32>(<i32>load<i8>(m)));
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_MOVSX16_RR: {
        store<u32>(Uop.r1(v, pc), <u32>(<i32>load<i16>(Uop.r2(v, pc))));
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_MOVSX16_RM: {
        const m = Mem.read<i16>(v, tlb, Uop.ea(v, pc));
        if (m == 0) break;
        store<u32>(Uop.r1(v, pc), <u32>(<i32>load<i16>(m)));
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_LEA32: {
        store<u32>(Uop.r1(v, pc), Uop.ea(v, pc));
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_INC32_R: {
        const p = Uop.r1(v, pc);
        const a = load<u32>(p);
        store<u32>(p, a + 1);
        Flags.inc<u32>(v, a, a + 1);
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_INC32_M: {
        const m = Mem.write<u32>(v, tlb, Uop.ea(v, pc));
        if (m == 0) break;
        const a = load<u32>(m);
        store<u32>(m, a + 1);
        if (!Mem.commit(v, m)) break;
        Flags.inc<u32>(v, a, a + 1);
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_DEC32_R: {
        const p = Uop.r1(v, pc);
        const a = load<u32>(p);
        store<u32>(p, a - 1);
        Flags.dec<u32>(v, a, a - 1);
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_DEC32_M: {
        const m = Mem.write<u32>(v, tlb, Uop.ea(v, pc));
        if (m == 0) break;
        const a = load<u32>(m);
        store<u32>(m, a - 1);
        if (!Mem.commit(v, m)) break;
        Flags.dec<u32>(v, a, a - 1);
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_NEG32_R: {
        const p = Uop.r1(v, pc);
        const a = load<u32>(p);
        store<u32>(p, 0 - a);
        Flags.sub<u32>(v, 0, a, 0 - a);
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_NOT32_R: {
        const p = Uop.r1(v, pc);
        store<u32>(p, ~load<u32>(p));
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_XCHG32_RR: {
        const p = Uop.r1(v, pc);
        const q = Uop.r2(v, pc);
        const a = load<u32>(p);
        store<u32>(p, load<u32>(q));
        store<u32>(q, a);
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_NOP: {
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_PUSH32_R: {
        const top = load<u32>(v, ESP) - 4;
        if (!Mem.store<u32>(v, tlb, top, load<u32>(Uop.r1(v, pc)))) break;
        store<u32>(v, top, ESP);
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_PUSH32_I: {
        const top = load<u32>(v, ESP) - 4;
        if (!Mem.store<u32>(v, tlb, top, Uop.imm(pc))) break;
        store<u32>(v, top, ESP);
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_PUSH32_M: {
        const m = Mem.read<u32>(v, tlb, Uop.ea(v, pc));
        if (m == 0) break;
        const top = load<u32>(v, ESP) - 4;
        if (!Mem.store<u32>(v, tlb, top, load<u32>(m))) break;
        store<u32>(v, top, ESP);
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_POP32_R: {
        const top = load<u32>(v, ESP);
        const m = Mem.read<u32>(v, tlb, top);
        if (m == 0) break;
        store<u32>(v, top + 4, ESP);
        store<u32>(Uop.r1(v, pc), load<u32>(m));
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_LEAVE32: {
        const frame = load<u32>(v, EBP);
        const m = Mem.read<u32>(v, tlb, frame);
        if (m == 0) break;
        store<u32>(v, frame + 4, ESP);
        store<u32>(v, load<u32>(m), EBP);
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_SHL32_RI: {
        const p = Uop.r1(v, pc);
        store<u32>(p, Shift32.shl(v, load<u32>(p), Uop.imm(pc)));
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_SHR32_RI: {
        const p = Uop.r1(v, pc);
        store<u32>(p, Shift32.shr(v, load<u32>(p), Uop.imm(pc)));
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_SAR32_RI: {
        const p = Uop.r1(v, pc);
        store<u32>(p, Shift32.sar(v, load<u32>(p), Uop.imm(pc)));
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_ROL32_RI: {
        const p = Uop.r1(v, pc);
        store<u32>(p, Shift32.rol(v, load<u32>(p), Uop.imm(pc)));
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_ROR32_RI: {
        const p = Uop.r1(v, pc);
        store<u32>(p, Shift32.ror(v, load<u32>(p), Uop.imm(pc)));
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_IMUL32_RR: {
        const p = Uop.r1(v, pc);
        store<u32>(p, signedProduct(v, load<u32>(p), load<u32>(Uop.r2(v, pc))));
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_IMUL32_RM: {
        const m = Mem.read<u32>(v, tlb, Uop.ea(v, pc));
        if (m == 0) break;
        const p = Uop.r1(v, pc);
        store<u32>(p, signedProduct(v, load<u32>(p), load<u32>(m)));
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_CDQ: {
        store<u32>(v, <u32>(load<i32>(v, EAX) >> 31), EDX);
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_CWDE: {
        store<i32>(v, load<i16>(v, EAX), EAX);
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_AGEN: {
        if (!generateAddress(v, pc)) break;
        pc += UOP_SIZE;
        continue;
      }
      case U.UOP_JMP: {
        slot = pc + U.UOP_LINK_TAKEN;
        break;
      }
      case U.UOP_CALL: {
        const top = load<u32>(v, ESP) - 4;
        if (!Mem.store<u32>(v, tlb, top, load<u32>(pc, UOP_DISP))) break;
        store<u32>(v, top, ESP);
        slot = pc + U.UOP_LINK_TAKEN;
        break;
      }
      case U.UOP_RET: {
        const top = load<u32>(v, ESP);
        const m = Mem.read<u32>(v, tlb, top);
        if (m == 0) break;
        store<u32>(v, top + 4 + Uop.imm(pc), ESP);
        eip = load<u32>(m);
        slot = jumpCacheSlot(eip);
        isDirect = false;
        break;
      }
      case U.UOP_JMP_R: {
        eip = load<u32>(Uop.r1(v, pc));
        slot = jumpCacheSlot(eip);
        isDirect = false;
        break;
      }
      case U.UOP_JMP_M: {
        const m = Mem.read<u32>(v, tlb, Uop.ea(v, pc));
        if (m == 0) break;
        eip = load<u32>(m);
        slot = jumpCacheSlot(eip);
        isDirect = false;
        break;
      }
      case U.UOP_CALL_R: {
        const target = load<u32>(Uop.r1(v, pc));
        const top = load<u32>(v, ESP) - 4;
        if (!Mem.store<u32>(v, tlb, top, Uop.imm(pc))) break;
        store<u32>(v, top, ESP);
        eip = target;
        slot = jumpCacheSlot(eip);
        isDirect = false;
        break;
      }
      case U.UOP_CALL_M: {
        const m = Mem.read<u32>(v, tlb, Uop.ea(v, pc));
        if (m == 0) break;
        const target = load<u32>(m);
        const top = load<u32>(v, ESP) - 4;
        if (!Mem.store<u32>(v, tlb, top, Uop.imm(pc))) break;
        store<u32>(v, top, ESP);
        eip = target;
        slot = jumpCacheSlot(eip);
        isDirect = false;
        break;
      }
      case U.UOP_JO: {
        slot = pc + (Flags.condition(v, 0) ? U.UOP_LINK_TAKEN : U.UOP_LINK_FALL);
        break;
      }
      case U.UOP_JNO: {
        slot = pc + (Flags.condition(v, 1) ? U.UOP_LINK_TAKEN : U.UOP_LINK_FALL);
        break;
      }
      case U.UOP_JB: {
        slot = pc + (Flags.condition(v, 2) ? U.UOP_LINK_TAKEN : U.UOP_LINK_FALL);
        break;
      }
      case U.UOP_JNB: {
        slot = pc + (Flags.condition(v, 3) ? U.UOP_LINK_TAKEN : U.UOP_LINK_FALL);
        break;
      }
      case U.UOP_JZ: {
        slot = pc + (Flags.condition(v, 4) ? U.UOP_LINK_TAKEN : U.UOP_LINK_FALL);
        break;
      }
      case U.UOP_JNZ: {
        slot = pc + (Flags.condition(v, 5) ? U.UOP_LINK_TAKEN : U.UOP_LINK_FALL);
        break;
      }
      case U.UOP_JBE: {
        slot = pc + (Flags.condition(v, 6) ? U.UOP_LINK_TAKEN : U.UOP_LINK_FALL);
        break;
      }
      case U.UOP_JNBE: {
        slot = pc + (Flags.condition(v, 7) ? U.UOP_LINK_TAKEN : U.UOP_LINK_FALL);
        break;
      }
      case U.UOP_JS: {
        slot = pc + (Flags.condition(v, 8) ? U.UOP_LINK_TAKEN : U.UOP_LINK_FALL);
        break;
      }
      case U.UOP_JNS: {
        slot = pc + (Flags.condition(v, 9) ? U.UOP_LINK_TAKEN : U.UOP_LINK_FALL);
        break;
      }
      case U.UOP_JP: {
        slot = pc + (Flags.condition(v, 10) ? U.UOP_LINK_TAKEN : U.UOP_LINK_FALL);
        break;
      }
      case U.UOP_JNP: {
        slot = pc + (Flags.condition(v, 11) ? U.UOP_LINK_TAKEN : U.UOP_LINK_FALL);
        break;
      }
      case U.UOP_JL: {
        slot = pc + (Flags.condition(v, 12) ? U.UOP_LINK_TAKEN : U.UOP_LINK_FALL);
        break;
      }
      case U.UOP_JNL: {
        slot = pc + (Flags.condition(v, 13) ? U.UOP_LINK_TAKEN : U.UOP_LINK_FALL);
        break;
      }
      case U.UOP_JLE: {
        slot = pc + (Flags.condition(v, 14) ? U.UOP_LINK_TAKEN : U.UOP_LINK_FALL);
        break;
      }
      case U.UOP_JNLE: {
        slot = pc + (Flags.condition(v, 15) ? U.UOP_LINK_TAKEN : U.UOP_LINK_FALL);
        break;
      }
      case U.UOP_CMP32_RR_JO: {
        const a = load<u32>(Uop.r1(v, pc));
        const b = load<u32>(Uop.r2(v, pc));
        Flags.sub<u32>(v, a, b, a - b);
        slot = pc + (Alu.comparison(v, 0, a, b) ? U.UOP_LINK_TAKEN : U.UOP_LINK_FALL);
        break;
      }
      case U.UOP_CMP32_RR_JNO: {
        const a = load<u32>(Uop.r1(v, pc));
        const b = load<u32>(Uop.r2(v, pc));
        Flags.sub<u32>(v, a, b, a - b);
        slot = pc + (Alu.comparison(v, 1, a, b) ? U.UOP_LINK_TAKEN : U.UOP_LINK_FALL);
        break;
      }
      case U.UOP_CMP32_RR_JB: {
        const a = load<u32>(Uop.r1(v, pc));
        const b = load<u32>(Uop.r2(v, pc));
        Flags.sub<u32>(v, a, b, a - b);
        slot = pc + (Alu.comparison(v, 2, a, b) ? U.UOP_LINK_TAKEN : U.UOP_LINK_FALL);
        break;
      }
      case U.UOP_CMP32_RR_JNB: {
        const a = load<u32>(Uop.r1(v, pc));
        const b = load<u32>(Uop.r2(v, pc));
        Flags.sub<u32>(v, a, b, a - b);
        slot = pc + (Alu.comparison(v, 3, a, b) ? U.UOP_LINK_TAKEN : U.UOP_LINK_FALL);
        break;
      }
      case U.UOP_CMP32_RR_JZ: {
        const a = load<u32>(Uop.r1(v, pc));
        const b = load<u32>(Uop.r2(v, pc));
        Flags.sub<u32>(v, a, b, a - b);
        slot = pc + (Alu.comparison(v, 4, a, b) ? U.UOP_LINK_TAKEN : U.UOP_LINK_FALL);
        break;
      }
      case U.UOP_CMP32_RR_JNZ: {
        const a = load<u32>(Uop.r1(v, pc));
        const b = load<u32>(Uop.r2(v, pc));
        Flags.sub<u32>(v, a, b, a - b);
        slot = pc + (Alu.comparison(v, 5, a, b) ? U.UOP_LINK_TAKEN : U.UOP_LINK_FALL);
        break;
      }
      case U.UOP_CMP32_RR_JBE: {
        const a = load<u32>(Uop.r1(v, pc));
        const b = load<u32>(Uop.r2(v, pc));
        Flags.sub<u32>(v, a, b, a - b);
        slot = pc + (Alu.comparison(v, 6, a, b) ? U.UOP_LINK_TAKEN : U.UOP_LINK_FALL);
        break;
      }
      case U.UOP_CMP32_RR_JNBE: {
        const a = load<u32>(Uop.r1(v, pc));
        const b = load<u32>(Uop.r2(v, pc));
        Flags.sub<u32>(v, a, b, a - b);
        slot = pc + (Alu.comparison(v, 7, a, b) ? U.UOP_LINK_TAKEN : U.UOP_LINK_FALL);
        break;
      }
      case U.UOP_CMP32_RR_JS: {
        const a = load<u32>(Uop.r1(v, pc));
        const b = load<u32>(Uop.r2(v, pc));
        Flags.sub<u32>(v, a, b, a - b);
        slot = pc + (Alu.comparison(v, 8, a, b) ? U.UOP_LINK_TAKEN : U.UOP_LINK_FALL);
        break;
      }
      case U.UOP_CMP32_RR_JNS: {
        const a = load<u32>(Uop.r1(v, pc));
        const b = load<u32>(Uop.r2(v, pc));
        Flags.sub<u32>(v, a, b, a - b);
        slot = pc + (Alu.comparison(v, 9, a, b) ? U.UOP_LINK_TAKEN : U.UOP_LINK_FALL);
        break;
      }
      case U.UOP_CMP32_RR_JP: {
        const a = load<u32>(Uop.r1(v, pc));
        const b = load<u32>(Uop.r2(v, pc));
        Flags.sub<u32>(v, a, b, a - b);
        slot = pc + (Alu.comparison(v, 10, a, b) ? U.UOP_LINK_TAKEN : U.UOP_LINK_FALL);
        break;
      }
      case U.UOP_CMP32_RR_JNP: {
        const a = load<u32>(Uop.r1(v, pc));
        const b = load<u32>(Uop.r2(v, pc));
        Flags.sub<u32>(v, a, b, a - b);
        slot = pc + (Alu.comparison(v, 11, a, b) ? U.UOP_LINK_TAKEN : U.UOP_LINK_FALL);
        break;
      }
      case U.UOP_CMP32_RR_JL: {
        const a = load<u32>(Uop.r1(v, pc));
        const b = load<u32>(Uop.r2(v, pc));
        Flags.sub<u32>(v, a, b, a - b);
        slot = pc + (Alu.comparison(v, 12, a, b) ? U.UOP_LINK_TAKEN : U.UOP_LINK_FALL);
        break;
      }
      case U.UOP_CMP32_RR_JNL: {
        const a = load<u32>(Uop.r1(v, pc));
        const b = load<u32>(Uop.r2(v, pc));
        Flags.sub<u32>(v, a, b, a - b);
        slot = pc + (Alu.comparison(v, 13, a, b) ? U.UOP_LINK_TAKEN : U.UOP_LINK_FALL);
        break;
      }
      case U.UOP_CMP32_RR_JLE: {
        const a = load<u32>(Uop.r1(v, pc));
        const b = load<u32>(Uop.r2(v, pc));
        Flags.sub<u32>(v, a, b, a - b);
        slot = pc + (Alu.comparison(v, 14, a, b) ? U.UOP_LINK_TAKEN : U.UOP_LINK_FALL);
        break;
      }
      case U.UOP_CMP32_RR_JNLE: {
        const a = load<u32>(Uop.r1(v, pc));
        const b = load<u32>(Uop.r2(v, pc));
        Flags.sub<u32>(v, a, b, a - b);
        slot = pc + (Alu.comparison(v, 15, a, b) ? U.UOP_LINK_TAKEN : U.UOP_LINK_FALL);
        break;
      }
      case U.UOP_CMP32_RI_JO: {
        const a = load<u32>(Uop.r1(v, pc));
        const b = load<u32>(pc, U.UOP_IMM2);
        Flags.sub<u32>(v, a, b, a - b);
        slot = pc + (Alu.comparison(v, 0, a, b) ? U.UOP_LINK_TAKEN : U.UOP_LINK_FALL);
        break;
      }
      case U.UOP_CMP32_RI_JNO: {
        const a = load<u32>(Uop.r1(v, pc));
        const b = load<u32>(pc, U.UOP_IMM2);
        Flags.sub<u32>(v, a, b, a - b);
        slot = pc + (Alu.comparison(v, 1, a, b) ? U.UOP_LINK_TAKEN : U.UOP_LINK_FALL);
        break;
      }
      case U.UOP_CMP32_RI_JB: {
        const a = load<u32>(Uop.r1(v, pc));
        const b = load<u32>(pc, U.UOP_IMM2);
        Flags.sub<u32>(v, a, b, a - b);
        slot = pc + (Alu.comparison(v, 2, a, b) ? U.UOP_LINK_TAKEN : U.UOP_LINK_FALL);
        break;
      }
      case U.UOP_CMP32_RI_JNB: {
        const a = load<u32>(Uop.r1(v, pc));
        const b = load<u32>(pc, U.UOP_IMM2);
        Flags.sub<u32>(v, a, b, a - b);
        slot = pc + (Alu.comparison(v, 3, a, b) ? U.UOP_LINK_TAKEN : U.UOP_LINK_FALL);
        break;
      }
      case U.UOP_CMP32_RI_JZ: {
        const a = load<u32>(Uop.r1(v, pc));
        const b = load<u32>(pc, U.UOP_IMM2);
        Flags.sub<u32>(v, a, b, a - b);
        slot = pc + (Alu.comparison(v, 4, a, b) ? U.UOP_LINK_TAKEN : U.UOP_LINK_FALL);
        break;
      }
      case U.UOP_CMP32_RI_JNZ: {
        const a = load<u32>(Uop.r1(v, pc));
        const b = load<u32>(pc, U.UOP_IMM2);
        Flags.sub<u32>(v, a, b, a - b);
        slot = pc + (Alu.comparison(v, 5, a, b) ? U.UOP_LINK_TAKEN : U.UOP_LINK_FALL);
        break;
      }
      case U.UOP_CMP32_RI_JBE: {
        const a = load<u32>(Uop.r1(v, pc));
        const b = load<u32>(pc, U.UOP_IMM2);
        Flags.sub<u32>(v, a, b, a - b);
        slot = pc + (Alu.comparison(v, 6, a, b) ? U.UOP_LINK_TAKEN : U.UOP_LINK_FALL);
        break;
      }
      case U.UOP_CMP32_RI_JNBE: {
        const a = load<u32>(Uop.r1(v, pc));
        const b = load<u32>(pc, U.UOP_IMM2);
        Flags.sub<u32>(v, a, b, a - b);
        slot = pc + (Alu.comparison(v, 7, a, b) ? U.UOP_LINK_TAKEN : U.UOP_LINK_FALL);
        break;
      }
      case U.UOP_CMP32_RI_JS: {
        const a = load<u32>(Uop.r1(v, pc));
        const b = load<u32>(pc, U.UOP_IMM2);
        Flags.sub<u32>(v, a, b, a - b);
        slot = pc + (Alu.comparison(v, 8, a, b) ? U.UOP_LINK_TAKEN : U.UOP_LINK_FALL);
        break;
      }
      case U.UOP_CMP32_RI_JNS: {
        const a = load<u32>(Uop.r1(v, pc));
        const b = load<u32>(pc, U.UOP_IMM2);
        Flags.sub<u32>(v, a, b, a - b);
        slot = pc + (Alu.comparison(v, 9, a, b) ? U.UOP_LINK_TAKEN : U.UOP_LINK_FALL);
        break;
      }
      case U.UOP_CMP32_RI_JP: {
        const a = load<u32>(Uop.r1(v, pc));
        const b = load<u32>(pc, U.UOP_IMM2);
        Flags.sub<u32>(v, a, b, a - b);
        slot = pc + (Alu.comparison(v, 10, a, b) ? U.UOP_LINK_TAKEN : U.UOP_LINK_FALL);
        break;
      }
      case U.UOP_CMP32_RI_JNP: {
        const a = load<u32>(Uop.r1(v, pc));
        const b = load<u32>(pc, U.UOP_IMM2);
        Flags.sub<u32>(v, a, b, a - b);
        slot = pc + (Alu.comparison(v, 11, a, b) ? U.UOP_LINK_TAKEN : U.UOP_LINK_FALL);
        break;
      }
      case U.UOP_CMP32_RI_JL: {
        const a = load<u32>(Uop.r1(v, pc));
        const b = load<u32>(pc, U.UOP_IMM2);
        Flags.sub<u32>(v, a, b, a - b);
        slot = pc + (Alu.comparison(v, 12, a, b) ? U.UOP_LINK_TAKEN : U.UOP_LINK_FALL);
        break;
      }
      case U.UOP_CMP32_RI_JNL: {
        const a = load<u32>(Uop.r1(v, pc));
        const b = load<u32>(pc, U.UOP_IMM2);
        Flags.sub<u32>(v, a, b, a - b);
        slot = pc + (Alu.comparison(v, 13, a, b) ? U.UOP_LINK_TAKEN : U.UOP_LINK_FALL);
        break;
      }
      case U.UOP_CMP32_RI_JLE: {
        const a = load<u32>(Uop.r1(v, pc));
        const b = load<u32>(pc, U.UOP_IMM2);
        Flags.sub<u32>(v, a, b, a - b);
        slot = pc + (Alu.comparison(v, 14, a, b) ? U.UOP_LINK_TAKEN : U.UOP_LINK_FALL);
        break;
      }
      case U.UOP_CMP32_RI_JNLE: {
        const a = load<u32>(Uop.r1(v, pc));
        const b = load<u32>(pc, U.UOP_IMM2);
        Flags.sub<u32>(v, a, b, a - b);
        slot = pc + (Alu.comparison(v, 15, a, b) ? U.UOP_LINK_TAKEN : U.UOP_LINK_FALL);
        break;
      }
      case U.UOP_TEST32_RR_JO: {
        const r = load<u32>(Uop.r1(v, pc)) & load<u32>(Uop.r2(v, pc));
        Flags.logic<u32>(v, r);
        slot = pc + (Alu.tested(v, 0, r) ? U.UOP_LINK_TAKEN : U.UOP_LINK_FALL);
        break;
      }
      case U.UOP_TEST32_RR_JNO: {
        const r = load<u32>(Uop.r1(v, pc)) & load<u32>(Uop.r2(v, pc));
        Flags.logic<u32>(v, r);
        slot = pc + (Alu.tested(v, 1, r) ? U.UOP_LINK_TAKEN : U.UOP_LINK_FALL);
        break;
      }
      case U.UOP_TEST32_RR_JB: {
        const r = load<u32>(Uop.r1(v, pc)) & load<u32>(Uop.r2(v, pc));
        Flags.logic<u32>(v, r);
        slot = pc + (Alu.tested(v, 2, r) ? U.UOP_LINK_TAKEN : U.UOP_LINK_FALL);
        break;
      }
      case U.UOP_TEST32_RR_JNB: {
        const r = load<u32>(Uop.r1(v, pc)) & load<u32>(Uop.r2(v, pc));
        Flags.logic<u32>(v, r);
        slot = pc + (Alu.tested(v, 3, r) ? U.UOP_LINK_TAKEN : U.UOP_LINK_FALL);
        break;
      }
      case U.UOP_TEST32_RR_JZ: {
        const r = load<u32>(Uop.r1(v, pc)) & load<u32>(Uop.r2(v, pc));
        Flags.logic<u32>(v, r);
        slot = pc + (Alu.tested(v, 4, r) ? U.UOP_LINK_TAKEN : U.UOP_LINK_FALL);
        break;
      }
      case U.UOP_TEST32_RR_JNZ: {
        const r = load<u32>(Uop.r1(v, pc)) & load<u32>(Uop.r2(v, pc));
        Flags.logic<u32>(v, r);
        slot = pc + (Alu.tested(v, 5, r) ? U.UOP_LINK_TAKEN : U.UOP_LINK_FALL);
        break;
      }
      case U.UOP_TEST32_RR_JBE: {
        const r = load<u32>(Uop.r1(v, pc)) & load<u32>(Uop.r2(v, pc));
        Flags.logic<u32>(v, r);
        slot = pc + (Alu.tested(v, 6, r) ? U.UOP_LINK_TAKEN : U.UOP_LINK_FALL);
        break;
      }
      case U.UOP_TEST32_RR_JNBE: {
        const r = load<u32>(Uop.r1(v, pc)) & load<u32>(Uop.r2(v, pc));
        Flags.logic<u32>(v, r);
        slot = pc + (Alu.tested(v, 7, r) ? U.UOP_LINK_TAKEN : U.UOP_LINK_FALL);
        break;
      }
      case U.UOP_TEST32_RR_JS: {
        const r = load<u32>(Uop.r1(v, pc)) & load<u32>(Uop.r2(v, pc));
        Flags.logic<u32>(v, r);
        slot = pc + (Alu.tested(v, 8, r) ? U.UOP_LINK_TAKEN : U.UOP_LINK_FALL);
        break;
      }
      case U.UOP_TEST32_RR_JNS: {
        const r = load<u32>(Uop.r1(v, pc)) & load<u32>(Uop.r2(v, pc));
        Flags.logic<u32>(v, r);
        slot = pc + (Alu.tested(v, 9, r) ? U.UOP_LINK_TAKEN : U.UOP_LINK_FALL);
        break;
      }
      case U.UOP_TEST32_RR_JP: {
        const r = load<u32>(Uop.r1(v, pc)) & load<u32>(Uop.r2(v, pc));
        Flags.logic<u32>(v, r);
        slot = pc + (Alu.tested(v, 10, r) ? U.UOP_LINK_TAKEN : U.UOP_LINK_FALL);
        break;
      }
      case U.UOP_TEST32_RR_JNP: {
        const r = load<u32>(Uop.r1(v, pc)) & load<u32>(Uop.r2(v, pc));
        Flags.logic<u32>(v, r);
        slot = pc + (Alu.tested(v, 11, r) ? U.UOP_LINK_TAKEN : U.UOP_LINK_FALL);
        break;
      }
      case U.UOP_TEST32_RR_JL: {
        const r = load<u32>(Uop.r1(v, pc)) & load<u32>(Uop.r2(v, pc));
        Flags.logic<u32>(v, r);
        slot = pc + (Alu.tested(v, 12, r) ? U.UOP_LINK_TAKEN : U.UOP_LINK_FALL);
        break;
      }
      case U.UOP_TEST32_RR_JNL: {
        const r = load<u32>(Uop.r1(v, pc)) & load<u32>(Uop.r2(v, pc));
        Flags.logic<u32>(v, r);
        slot = pc + (Alu.tested(v, 13, r) ? U.UOP_LINK_TAKEN : U.UOP_LINK_FALL);
        break;
      }
      case U.UOP_TEST32_RR_JLE: {
        const r = load<u32>(Uop.r1(v, pc)) & load<u32>(Uop.r2(v, pc));
        Flags.logic<u32>(v, r);
        slot = pc + (Alu.tested(v, 14, r) ? U.UOP_LINK_TAKEN : U.UOP_LINK_FALL);
        break;
      }
      case U.UOP_TEST32_RR_JNLE: {
        const r = load<u32>(Uop.r1(v, pc)) & load<u32>(Uop.r2(v, pc));
        Flags.logic<u32>(v, r);
        slot = pc + (Alu.tested(v, 15, r) ? U.UOP_LINK_TAKEN : U.UOP_LINK_FALL);
        break;
      }
      case U.UOP_END: {
        eip = Uop.imm(pc);
        slot = jumpCacheSlot(eip);
        isDirect = false;
        break;
      }
      default: {
        // Exact for micro-ops that end their block; those that look at the count do.
        publish(v, n);
        const step = slow(v, pc, id);
        if (step == STEP_NEXT) {
          pc += UOP_SIZE;
          continue;
        }
        if (step == STEP_END || step == STEP_CUT) {
          if (step == STEP_CUT) {
            const rest =
              load<i32>(load<usize>(v, VCPU_BLOCK), BLOCK_COUNT) - executedBefore(v, pc) - 1;
            n += rest;
            publish(v, n);
          }
          const stops =
            (load<u32>(v, VCPU_EFLAGS) & EFLAGS_TF) |
            load<u32>(v, VCPU_WANT_WINDOW) |
            u32(load<u32>(v, VCPU_NMI) == NMI_PENDING) |
            (load<u32>(v, VCPU_DEBUG) & (DEBUG_PENDING | DEBUG_EXECUTE));
          if (stops != 0) return RUN_AGAIN;
          tlb = load<usize>(v, VCPU_TLB);
          eip = load<u32>(v, VCPU_EIP);
          slot = jumpCacheSlot(eip);
          isDirect = false;
        }
        break;
      }
    }

    // A case broke out: to another block when `slot` is set, else because of an event.
    if (slot == 0) {
      const event = load<u32>(v, VCPU_EVENT);
      if (event != EVENT_EXIT && event != EVENT_TRAP) {
        // The instruction did not happen: give it and the rest of the block back.
        n += load<i32>(load<usize>(v, VCPU_BLOCK), BLOCK_COUNT) - executedBefore(v, pc);
        store<u32>(v, uopEip(v, pc), VCPU_EIP);
      } else store<u32>(v, uopEip(v, pc), VCPU_INT_EIP);
      publish(v, n);
      return RUN_EVENT;
    }
    if (isDirect) {
      const link = load<usize>(slot);
      if ((link & LINK_NEAR) != 0) {
        // A target on the same page is as mapped as this block is: it only must not have been overwritten.
        next = link - LINK_NEAR;
        const count = load<i32>(next, BLOCK_COUNT);
        if (load<usize>(next, BLOCK_HOST) != 0 && count <= n) {
          n -= count;
          slot = 0;
          store<usize>(v, next, VCPU_BLOCK);
          pc = next + BLOCK_HEADER;
          continue;
        }
        next = 0;
      } else next = link;
      eip = load<u32>(slot - LINK_TO_EIP);
    } else next = load<usize>(slot);
    if (n <= 0) {
      store<u32>(v, eip, VCPU_EIP);
      publish(v, n);
      return RUN_BUDGET;
    }
    if (
      next != 0 &&
      !(isDirect ? Link.isMapped(tlb, eip, next) : Link.isIndirect(v, tlb, eip, next))
    ) {
      next = 0;
    }
    if (next == 0) {
      const epoch = cacheEpoch;
      next = findBlock(v, eip);
      if (next == 0) {
        store<u32>(v, eip, VCPU_EIP);
        publish(v, n);
        return RUN_EVENT;
      }
      // Scratch blocks come and go, and an emptied arena has no slot any more.
      if (epoch == cacheEpoch && load<usize>(next, BLOCK_HOST) != 0) {
        const page = slot == pc + U.UOP_LINK_FALL ? NEAR_FALL : NEAR_TAKEN;
        const near = isDirect && (load<u8>(pc, UOP_BASE) & page) != 0;
        store<usize>(slot, near ? next | LINK_NEAR : next);
      }
    }
    slot = 0;
    isDirect = true;
    const count = load<i32>(next, BLOCK_COUNT);
    if (count > n) {
      store<u32>(v, eip, VCPU_EIP);
      next = scratchBlock(v, eip, n);
      if (next == 0) {
        publish(v, n);
        return RUN_EVENT;
      }
    }
    n -= load<i32>(next, BLOCK_COUNT);
    store<usize>(v, next, VCPU_BLOCK);
    pc = next + BLOCK_HEADER;
  }
}
