/**
 * What the work of hypercalls takes from the slice, in instructions: a guest that asks for much of it in one call or one list comes to the end
 * of its slice no later than one that computes. Where a call stops is decided by its own work, never by what is left of the slice: the same
 * run makes the same calls again, whatever its slices are.
 */
import { VCPU_BUDGET, VCPU_XEN_WORK } from "../../abi/vcpu.ts";

/** A page table or a page of descriptors looked through. */
export const COST_TABLE: i32 = 64;
/** All translations of one directory dropped, of all directories, or every one searched for a frame. */
export const COST_DIRECTORY: i32 = 64;
export const COST_EVERYTHING: i32 = 512;
/** An entry of a list. */
export const COST_ENTRY: i32 = 4;

/** Work after which a call stops for a while: some hundred entries. */
export const WORK_MAX: i32 = 1024;

/** The guest makes a call. */
export function startWork(v: usize): void {
  store<i32>(v, 0, VCPU_XEN_WORK);
}
/** Takes `instructions` from what is left of the slice, and counts them as work of the call being performed. */
export function charge(v: usize, instructions: i32): void {
  store<i32>(v, load<i32>(v, VCPU_XEN_WORK) + instructions, VCPU_XEN_WORK);
  store<i32>(v, load<i32>(v, VCPU_BUDGET) - instructions, VCPU_BUDGET);
}
/** @returns true when the call has worked long enough: what can be postponed is. */
export function isSpent(v: usize): bool {
  return load<i32>(v, VCPU_XEN_WORK) >= WORK_MAX;
}
