/**
 * What performing a hypercall leads to, and its arguments and result in the vCPU block.
 */
import { VCPU_XEN_ARGS, VCPU_XEN_RESULT } from "../../abi/vcpu.ts";

/** It is done: VCPU_XEN_RESULT is what it returns. */
export const CALL_DONE: u32 = 0;
/** Some of it is done: VCPU_XEN_ARGS are those to make it again with. */
export const CALL_AGAIN: u32 = 1;
/** The Host performs it. */
export const CALL_FOR_HOST: u32 = 2;
/** It is done and returns nowhere: the guest goes on elsewhere. */
export const CALL_GONE: u32 = 3;
/** The guest is dead, the exit record says why. */
export const CALL_STOPPED: u32 = 4;

/** @returns argument `i` (0-5). */
export function arg(v: usize, i: u32): u32 {
  return load<u32>(v + (i << 2), VCPU_XEN_ARGS);
}
export function setArg(v: usize, i: u32, value: u32): void {
  store<u32>(v + (i << 2), value, VCPU_XEN_ARGS);
}
/** @returns CALL_DONE, with the value that the call returns. */
export function done(v: usize, result: i32): u32 {
  store<i32>(v, result, VCPU_XEN_RESULT);
  return CALL_DONE;
}
