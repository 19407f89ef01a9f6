/** The vector of a fault past 4 GiB in flat segments: that of the operand's segment, which the instruction is decoded once more for. */
import {
  VCPU_EIP,
  VCPU_FAULT_ADDRESS,
  VCPU_FAULT_VECTOR,
  VCPU_GPR,
  VCPU_PAST_END,
} from "../../abi/vcpu.ts";
import { SEG_SS, VECTOR_GP, VECTOR_SS } from "../../abi/x86.ts";
import { scratchBlock } from "../decode/cache.ts";
import { Ins, NO_SEGMENT } from "../decode/instruction.ts";
import { raise } from "../state/faults.ts";

/** Corrects the recorded fault; EIP is at the instruction. */
export function settlePastEnd(v: usize): void {
  store<u32>(v, 0, VCPU_PAST_END);
  const guess = load<u32>(v, VCPU_FAULT_VECTOR);
  if (guess != VECTOR_GP && guess != VECTOR_SS) return;
  const lin = load<u32>(v, VCPU_FAULT_ADDRESS);
  const isDecoded = scratchBlock(v, load<u32>(v, VCPU_EIP), 1) != 0;
  raise(v, isDecoded && Ins.memSegment != NO_SEGMENT ? vectorOf(v, lin, guess) : guess);
}

/** An instruction may use the stack beside its operand: the guess stands for what is not the operand. */
function vectorOf(v: usize, lin: u32, guess: u32): u32 {
  if (Ins.memSegment == SEG_SS) return VECTOR_SS;
  const index = load<u32>(v + Ins.index, VCPU_GPR) << Ins.scale;
  return load<u32>(v + Ins.base, VCPU_GPR) + index + Ins.disp == lin ? VECTOR_GP : guess;
}
