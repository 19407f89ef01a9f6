/** What a Xen guest dies of by the core's judgement, in words. */
import {
  KILL_XEN_BAD_HANDLER,
  KILL_XEN_BAD_IRET,
  KILL_XEN_BAD_STACK,
  KILL_XEN_BAD_TABLES,
  KILL_XEN_UNHANDLED_TRAP,
} from "../../abi/vcpu.ts";
import { VECTOR_NAMES } from "../base/vector-names.ts";

const hex = (value = 0) => `0x${value.toString(16)}`;

const TEXTS: Readonly<Record<number, (args: readonly number[]) => string>> = {
  [KILL_XEN_UNHANDLED_TRAP]: ([vector = 0, eip, detail]) =>
    `no handler for trap ${vector}${VECTOR_NAMES[vector] === undefined ? "" : ` (${VECTOR_NAMES[vector]})`} at ${hex(eip)} (${hex(detail)})`,
  [KILL_XEN_BAD_STACK]: ([lin]) => `the kernel stack at ${hex(lin)} cannot take a frame`,
  [KILL_XEN_BAD_HANDLER]: ([selector, eip]) =>
    `the handler at ${hex(selector)}:${hex(eip)} cannot be entered`,
  [KILL_XEN_BAD_IRET]: ([lin, selector = 0]) =>
    selector === 0
      ? `the iret hypercall's frame at ${hex(lin)} cannot be read`
      : `the iret hypercall's frame at ${hex(lin)} leads to selector ${hex(selector)}`,
  [KILL_XEN_BAD_TABLES]: ([mfn]) =>
    `a page table leads to machine frame ${hex(mfn)}, which is no memory`,
};

/** The words for KILL_* with its arguments. */
export function coreDeathText(code: number, args: readonly number[]): string {
  return TEXTS[code]?.(args) ?? `the domain broke a rule (${code}) at ${hex(args[0])}`;
}
