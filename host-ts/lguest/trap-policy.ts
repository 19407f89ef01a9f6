/**
 * The table of policies: which traps and which calls of an lguest guest complete in Wasm and which leave to the Host, on either
 * fault path. It is the table: the masks that the core obeys are made from it, the Host's dispatcher reads it, and
 * `wasmvisor trace --policy` prints it.
 */

import {
  LGUEST_IDT_IGNORED,
  LGUEST_IRQ_BASE,
  LGUEST_NEVER_DIRECT,
  LGUEST_SYSCALL_VECTOR,
  LHCALL_COUNT,
  LHCALL_FLUSH_ASYNC,
  LHCALL_FLUSH_TLB,
  LHCALL_HALT,
  LHCALL_LGUEST_INIT,
  LHCALL_LOAD_GDT_ENTRY,
  LHCALL_LOAD_IDT_ENTRY,
  LHCALL_LOAD_TLS,
  LHCALL_NEW_PGTABLE,
  LHCALL_NOTIFY,
  LHCALL_SEND_INTERRUPTS,
  LHCALL_SET_CLOCKEVENT,
  LHCALL_SET_PGD,
  LHCALL_SET_PMD,
  LHCALL_SET_PTE,
  LHCALL_SET_STACK,
  LHCALL_SHUTDOWN,
  LHCALL_TS,
} from "../../abi/lguest.ts";
import { VCPU_LEAVING_CALLS, VCPU_LEAVING_TRAPS } from "../../abi/vcpu.ts";
import { VECTOR_DF, VECTOR_NMI, VECTOR_PF } from "../../abi/x86.ts";
import type { FaultPath, Policy, Side, TrapPolicy } from "../base/fault-path.ts";
import type { VcpuBlock } from "../base/vcpu-block.ts";
import { VECTOR_NAMES } from "../base/vector-names.ts";

const VECTORS = 256;
const EXCEPTIONS = 32;
const REFLECTED = "reflected into the guest's handler";
const NO_GATE = "the guest can set no gate: INT n is #GP";
const NO_DOUBLE_FAULT = "the guest can set no gate; a fault in a push kills";

/** By vector. Bit 14 decides TLB misses too: on the host path a miss is a page fault of the shadow. */
export const TRAPS: readonly TrapPolicy[] = [
  range(LGUEST_IRQ_BASE, VECTORS - 1, "INT n", "Host", REFLECTED),
  range(
    LGUEST_SYSCALL_VECTOR,
    LGUEST_SYSCALL_VECTOR,
    "system call",
    "gate",
    "its gate is a trap gate",
  ),
  ...Array.from({ length: EXCEPTIONS }, (_, vector) => exception(vector)),
];

/** By call number; unused numbers are absent and come to UNUSED_CALLS. */
export const CALLS: Readonly<Record<number, Policy>> = {
  [LHCALL_FLUSH_ASYNC]: inWasm("FLUSH_ASYNC", "the ring itself: who drains it"),
  [LHCALL_LGUEST_INIT]: inHost("LGUEST_INIT", "the handshake is the Host's"),
  [LHCALL_SHUTDOWN]: inHost("SHUTDOWN", "ends the guest"),
  [LHCALL_NEW_PGTABLE]: inWasm("NEW_PGTABLE", "switches directories"),
  [LHCALL_FLUSH_TLB]: inWasm("FLUSH_TLB", "TLB control"),
  [LHCALL_LOAD_IDT_ENTRY]: inWasm("LOAD_IDT_ENTRY", "a word of the vCPU block"),
  [LHCALL_SET_STACK]: inWasm("SET_STACK", "a word of the vCPU block; its pages are checked"),
  [LHCALL_TS]: inWasm("TS", "a bit of the vCPU block"),
  [LHCALL_SET_CLOCKEVENT]: inHost("SET_CLOCKEVENT", "timers are the Host's"),
  [LHCALL_HALT]: inHost("HALT", "sleeping is the Host's"),
  [LHCALL_SET_PMD]: inWasm("SET_PMD", "TLB control"),
  [LHCALL_SET_PTE]: inWasm("SET_PTE", "TLB control"),
  [LHCALL_SET_PGD]: inWasm("SET_PGD", "TLB control"),
  [LHCALL_LOAD_TLS]: inWasm("LOAD_TLS", "three words of the vCPU block"),
  [LHCALL_NOTIFY]: inHost("NOTIFY", "devices are the Host's; unused with PCI"),
  [LHCALL_LOAD_GDT_ENTRY]: inWasm("LOAD_GDT_ENTRY", "a word of the vCPU block"),
  [LHCALL_SEND_INTERRUPTS]: inHost("SEND_INTERRUPTS", "the Host chooses interrupts"),
};

/** Every other call number. */
export const UNUSED_CALLS: Policy = inHost("unused numbers", "kills: Bad hypercall");

/** What else takes the guest out of its code, for whoever reads the table. */
export const OTHERS: readonly Policy[] = [
  { name: "TLB miss", switcher: "Wasm", host: "Host", why: "goes the way of #PF" },
  {
    name: "INT 0x1f at ring 3",
    switcher: "Wasm",
    host: "Host",
    why: "#GP: calls are the kernel's",
  },
  { name: "IRET", switcher: "Wasm", host: "Wasm", why: "an instruction like any other" },
  {
    name: "NMI",
    switcher: "Wasm",
    host: "Wasm",
    why: "sent by the Host, taken at the next open boundary",
  },
  { name: "interrupts", switcher: "Host", host: "Host", why: "chosen between two slices" },
  { name: "port I/O", switcher: "Host", host: "Host", why: "devices are the Host's" },
  { name: "device memory", switcher: "Host", host: "Host", why: "devices are the Host's" },
];

function range(first: number, last: number, name: string, host: Side, why: string): TrapPolicy {
  return { first, last, name, switcher: "Wasm", host, why };
}

function exception(vector: number): TrapPolicy {
  const name = vector === VECTOR_NMI ? "INT 2" : (VECTOR_NAMES[vector] ?? "reserved");
  const isIn = (mask: number): boolean => ((mask >>> vector) & 1) !== 0;
  const side = isIn(LGUEST_NEVER_DIRECT | LGUEST_IDT_IGNORED) ? "Host" : "gate";
  return range(vector, vector, name, side, whyException(vector, isIn(LGUEST_IDT_IGNORED)));
}

function whyException(vector: number, isIgnored: boolean): string {
  if (vector === VECTOR_PF) return "mapped or reflected, as the guest's tables say";
  if (vector === VECTOR_DF) return NO_DOUBLE_FAULT;
  return isIgnored ? NO_GATE : REFLECTED;
}

function inWasm(name: string, why: string): Policy {
  return { name, switcher: "Wasm", host: "Host", why };
}

function inHost(name: string, why: string): Policy {
  return { name, switcher: "Host", host: "Host", why };
}

/** Names of the calls by number, for statistics. */
export const CALL_NAMES: readonly (string | undefined)[] = Array.from(
  { length: LHCALL_COUNT },
  (_, number) => CALLS[number]?.name,
);

/** The calls that the core can perform: on the host path they are served within the slice, like there. */
export function isCoreCall(number: number): boolean {
  return CALLS[number]?.switcher === "Wasm";
}

/** Has the core obey the table: fills the masks of traps and calls that leave. */
export function setFaultPath(vcpu: VcpuBlock, path: FaultPath): void {
  const traps = new Uint32Array(VECTORS / 32);
  for (const row of TRAPS) {
    for (let vector = row.first; vector <= row.last; vector++) {
      const word = vector >>> 5;
      const bit = 1 << (vector & 31);
      const leaves = row[path] !== "Wasm";
      traps[word] = leaves ? traps[word]! | bit : traps[word]! & ~bit;
    }
  }
  for (const [word, bits] of traps.entries()) vcpu.setU32(VCPU_LEAVING_TRAPS + 4 * word, bits);
  let calls = 0;
  for (let number = 0; number < 32; number++) {
    if (CALLS[number]?.[path] !== "Wasm") calls |= 1 << number;
  }
  vcpu.setU32(VCPU_LEAVING_CALLS, calls);
}
