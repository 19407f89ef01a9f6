/**
 * Which hypercalls a Xen guest makes, in their order. A test file that uses it mocks the table of hypercalls and the policy of traps by recordingTable
 * and leavingPolicy: every call then leaves the core, is written down and performed as ever.
 */
import { VCPU_XEN_LEAVING_CALLS } from "../../abi/vcpu.ts";
import { HYPERVISOR_XEN_VERSION } from "../../abi/xen.ts";
import type { XenDomain } from "../../host-ts/xen/domain.ts";
import type * as Table from "../../host-ts/xen/hypercall-table.ts";
import type * as Policy from "../../host-ts/xen/trap-policy.ts";

/** Words that are kept of what a call points to, as in the traces of a real Xen. */
const WORDS = 6;
const POINTERS: readonly Table.ArgumentKind[] = ["in", "inout", "list"];

/** One call: its number and arguments, and for what the Host performs the answer. */
export interface RecordedCall {
  readonly number: number;
  readonly args: readonly number[];
  readonly result: number | undefined;
  /** The first words behind its first pointer, before the call. */
  readonly words: readonly number[];
}

/** Calls since the last clear. */
export const recordedCalls: RecordedCall[] = [];

/** hypercall-table.ts, writing down each call. */
export function recordingTable(actual: typeof Table): typeof Table {
  const inCore = new Set(
    actual.HYPERCALLS.filter(({ where }) => where === "core").map(({ number }) => number),
  );
  const record: typeof actual.performHypercall = (domain, number, args) => {
    // The caller uses its array again.
    const kept = [...args];
    const words = wordsOf(actual.HYPERCALLS, domain, number, args);
    let result: number | undefined;
    if (inCore.has(number) && number !== HYPERVISOR_XEN_VERSION) {
      domain.host.core.exports.xenPerform(domain.host.vcpu.ptr);
    } else result = actual.performHypercall(domain, number, args);
    recordedCalls.push({ number, args: kept, result, words });
    return result;
  };
  return { ...actual, performHypercall: record };
}

function wordsOf(
  table: readonly Table.Hypercall[],
  { pointers }: XenDomain,
  number: number,
  args: readonly number[],
): readonly number[] {
  const kinds = table.find((call) => call.number === number)?.args ?? [];
  const lin = args[kinds.findIndex((kind) => POINTERS.includes(kind))];
  if (lin === undefined) return [];
  const words: number[] = [];
  for (let at = lin; words.length < WORDS; at += 4) {
    const word = pointers.readU32(at);
    if (word === undefined) break;
    words.push(word);
  }
  return words;
}

/** trap-policy.ts, sending every call to the Host. */
export function leavingPolicy(actual: typeof Policy): typeof Policy {
  return {
    ...actual,
    setFaultPath: (vcpu, faultPath) => {
      actual.setFaultPath(vcpu, faultPath);
      vcpu.setU32(VCPU_XEN_LEAVING_CALLS, 0xffffffff);
      vcpu.setU32(VCPU_XEN_LEAVING_CALLS + 4, 0xffffffff);
    },
  };
}
