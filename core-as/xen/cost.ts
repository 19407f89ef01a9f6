/**
 * What the work of hypercalls takes from the slice, in instructions: a guest that asks for much of it in one call or one list comes to the end
 * of its slice no later than one that computes.
 */
import { VCPU_BUDGET } from "../../abi/vcpu.ts";

/** A page table or a page of descriptors looked through. */
export const COST_TABLE: i32 = 64;
/** All translations of one directory dropped, of all directories, or every one searched for a frame. */
export const COST_DIRECTORY: i32 = 64;
export const COST_EVERYTHING: i32 = 512;
/** An entry of a list. */
export const COST_ENTRY: i32 = 4;

/** Takes `instructions` from what is left of the slice. */
export function charge(v: usize, instructions: i32): void {
  store<i32>(v, load<i32>(v, VCPU_BUDGET) - instructions, VCPU_BUDGET);
}
/** @returns true when the slice is used up: what can be postponed is. */
export function isSpent(v: usize): bool {
  return load<i32>(v, VCPU_BUDGET) <= 0;
}
