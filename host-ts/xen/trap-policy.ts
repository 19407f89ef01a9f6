/**
 * The table of policies: which traps and which calls of a Xen guest complete in Wasm and which leave to the Host, on either fault path. The
 * calls' part is made from the table of hypercalls. The masks that the core obeys are made from here, and `wasmvisor trace --policy` prints it.
 */
import { VCPU_LEAVING_TRAPS, VCPU_XEN_LEAVING_CALLS } from "../../abi/vcpu.ts";
import {
  VECTOR_BP,
  VECTOR_GP,
  VECTOR_NM,
  VECTOR_NMI,
  VECTOR_OF,
  VECTOR_PF,
  VECTOR_UD,
} from "../../abi/x86.ts";
import { HYPERVISOR_IRET, HYPERVISOR_MULTICALL, HYPERVISOR_XEN_VERSION } from "../../abi/xen.ts";
import type { FaultPath, Policy, TrapPolicy } from "../base/fault-path.ts";
import type { VcpuBlock } from "../base/vcpu-block.ts";
import { VECTOR_NAMES } from "../base/vector-names.ts";
import { HYPERCALLS, type Hypercall } from "./hypercall-table.ts";

const VECTORS = 256;
const EXCEPTIONS = 32;
/** Numbers that have a bit in VCPU_XEN_LEAVING_CALLS. */
const MASKED_CALLS = 64;

const BOUNCED = "bounced to the guest's handler";
const WHY_TRAP: Readonly<Record<number, string>> = {
  [VECTOR_UD]: "CPUID behind Xen's prefix is carried out",
  [VECTOR_NM]: "bounced, and CR0.TS cleared",
  [VECTOR_GP]: "ring 1: a privileged instruction may be carried out",
  [VECTOR_PF]: "ring 1: a store to a page table may be carried out",
};

/** Exceptions that leave on neither path, and why. */
const DIRECT: Readonly<Record<number, string>> = {
  [VECTOR_NMI]: "taken at the next open boundary",
  [VECTOR_BP]: "software's own: goes straight into the guest's kernel",
  [VECTOR_OF]: "software's own: goes straight into the guest's kernel",
};

/** By vector. */
export const TRAPS: readonly TrapPolicy[] = Array.from({ length: VECTORS }, (_, vector) => {
  const isException = vector < EXCEPTIONS;
  const direct = isException ? DIRECT[vector] : "goes straight into the guest's kernel";
  return {
    first: vector,
    last: vector,
    name: isException ? (VECTOR_NAMES[vector] ?? "reserved") : "INT n",
    switcher: "Wasm",
    host: direct === undefined ? "Host" : "Wasm",
    why: direct ?? WHY_TRAP[vector] ?? BOUNCED,
  };
});

/** Calls that never leave as such, and why. */
const STAYING: Readonly<Record<number, string>> = {
  [HYPERVISOR_MULTICALL]: "each entry goes the way of its own call",
  [HYPERVISOR_IRET]: "an instruction in all but name",
};

/** How each call goes, by number; a number that is no call leaves, and is -ENOSYS. */
export const CALLS: readonly (Policy & { readonly number: number })[] = HYPERCALLS.map(
  ({ number, name, where, args }) => ({
    number,
    name,
    switcher: where === "core" ? "Wasm" : "Host",
    host: number in STAYING ? "Wasm" : "Host",
    why: whyCall(number, args),
  }),
);

function whyCall(number: number, args: Hypercall["args"]): string {
  const why =
    number === HYPERVISOR_XEN_VERSION ? "XENVER_version: as the others in Wasm" : STAYING[number];
  const list = `(${args.join(", ")})`;
  return why === undefined ? list : `${list} ${why}`;
}

/** What else takes the guest out of its code. */
export const OTHERS: readonly Policy[] = [
  { name: "TLB miss", ...both("Wasm"), why: "the guest's tables are the processor's" },
  {
    name: "INT 0x82 at ring 3",
    switcher: "Wasm",
    host: "Host",
    why: "#GP: calls are the kernel's",
  },
  { name: "IRET", ...both("Wasm"), why: "an instruction like any other" },
  { name: "event upcall", ...both("Wasm"), why: "looked for at every entry and after every trap" },
  { name: "timers, devices", ...both("Host"), why: "between two slices" },
];

function both(side: "Wasm" | "Host"): Readonly<Record<FaultPath, "Wasm" | "Host">> {
  return { switcher: side, host: side };
}

/** Has the core obey the table: fills the masks of traps and calls that leave. A call that the core does not know leaves without. */
export function setFaultPath(vcpu: VcpuBlock, path: FaultPath): void {
  for (let word = 0; word < VECTORS / 32; word++) {
    const leaving = TRAPS.slice(32 * word, 32 * (word + 1)).map((row) => row[path] === "Host");
    vcpu.setU32(VCPU_LEAVING_TRAPS + 4 * word, maskOf(leaving));
  }
  const calls = Array.from({ length: MASKED_CALLS }, (_, number) =>
    CALLS.some((row) => row.number === number && row[path] === "Host"),
  );
  for (let word = 0; word < MASKED_CALLS / 32; word++) {
    const leaving = calls.slice(32 * word, 32 * (word + 1));
    // What the core knows in part, such as xen_version, it judges itself on the switcher path.
    vcpu.setU32(VCPU_XEN_LEAVING_CALLS + 4 * word, path === "host" ? maskOf(leaving) : 0);
  }
}

/** @returns a word with a bit for each true, the first in bit 0. */
function maskOf(bits: readonly boolean[]): number {
  return bits.reduce((mask, bit, index) => (bit ? mask | (1 << index) : mask), 0) >>> 0;
}
