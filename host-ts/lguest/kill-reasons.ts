/** Every way for an lguest guest to die by its own mistake, in the words of the original Host. */

import {
  KILL_BAD_ADDRESS,
  KILL_BAD_GDT_INDEX,
  KILL_BAD_IDT_TYPE,
  KILL_BAD_IDT_VECTOR,
  KILL_BAD_PAGE,
  KILL_BAD_PGD,
  KILL_BAD_PGD_INDEX,
  KILL_BAD_PMD,
  KILL_BAD_PMD_INDEX,
  KILL_BAD_PTE,
  KILL_BAD_READ,
  KILL_BAD_SEGMENT,
  KILL_BAD_STACK_PAGE,
  KILL_BAD_STACK_PAGES,
  KILL_BAD_WRITE,
  KILL_SWITCHER_PTE,
  KILL_UNHANDLED_TRAP,
} from "../../abi/vcpu.ts";

type Text = (args: readonly number[]) => string;

const hex = (value = 0): string => `0x${(value >>> 0).toString(16)}`;
const dec = (value = 0): string => String(value >>> 0);

/** Deaths found by the Host, by name. */
export const DEATHS = {
  beforeInit: (call: number) => `hypercall ${dec(call)} before INIT`,
  secondInit: () => "already have lguest_data",
  badHypercall: (call: number) => `Bad hypercall ${call | 0}`,
  badDataPage: (gpa: number) => `bad guest page ${hex(gpa)}`,
  badSyscallVector: () => "bad syscall vector",
  badKernelAddress: (lin: number) => `bad kernel address ${hex(lin)}`,
  badRead: (gpa: number, length: number) => `bad read address ${hex(gpa)} len ${dec(length)}`,
  badWrite: (gpa: number, length: number) => `bad write address ${hex(gpa)} len ${dec(length)}`,
  badNotify: (gpa: number) => `Bad NOTIFY ${hex(gpa)}`,
  crash: (text: string) => `CRASH: ${text}`,
} as const;

/** Deaths found by the core: KILL_* to words. */
const CORE_DEATHS: Readonly<Record<number, Text>> = {
  [KILL_BAD_PGD]: () => "bad page directory entry",
  [KILL_BAD_PMD]: () => "bad page middle directory entry",
  [KILL_BAD_PTE]: () => "bad page table entry",
  [KILL_BAD_ADDRESS]: ([lin]) => `Bad address ${hex(lin)}`,
  [KILL_UNHANDLED_TRAP]: ([vector, eip, detail]) =>
    `unhandled trap ${dec(vector)} at ${hex(eip)} (${hex(detail)})`,
  [KILL_BAD_READ]: ([gpa, length]) => DEATHS.badRead(gpa ?? 0, length ?? 0),
  [KILL_BAD_WRITE]: ([gpa, length]) => DEATHS.badWrite(gpa ?? 0, length ?? 0),
  [KILL_SWITCHER_PTE]: () => "attempt to set pte into Switcher pages",
  [KILL_BAD_PGD_INDEX]: ([index, entries]) => `Attempt to set pgd ${dec(index)}/${dec(entries)}`,
  [KILL_BAD_PMD_INDEX]: ([index]) => `Attempt to set pmd ${dec(index)}`,
  [KILL_BAD_PAGE]: ([gfn]) => `failed to get page ${hex(gfn)}`,
  [KILL_BAD_STACK_PAGES]: ([pages]) => `bad stack pages ${dec(pages)}`,
  [KILL_BAD_STACK_PAGE]: ([lin]) => `bad stack page ${hex(lin)}`,
  [KILL_BAD_IDT_TYPE]: ([type]) => `bad IDT type ${dec(type)}`,
  [KILL_BAD_IDT_VECTOR]: ([vector]) => `Setting idt entry ${dec(vector)}`,
  [KILL_BAD_GDT_INDEX]: ([index]) => `too many gdt entries ${dec(index)}`,
  [KILL_BAD_SEGMENT]: ([selector]) => `bad stack segment ${hex(selector)}`,
};

/** The words for a death found by the core. */
export function coreDeathText(code: number, args: readonly number[]): string {
  return CORE_DEATHS[code]?.(args) ?? `killed by the core: reason ${code}`;
}
