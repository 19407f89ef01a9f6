/**
 * GNU Mach of Debian's package as a 32-bit Xen PV guest. Its port is unfinished: on Xen 4.17 it sets itself up, stores to a page directory that
 * it has made read-only, and panics over the fault. It is to do here what it did there, call by call.
 */
import { readFileSync } from "node:fs";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import * as xen from "../../abi/xen.ts";
import { createGuest } from "../../host-ts/index.ts";
import { findGnuMach } from "../drivers/gnumach.ts";
import { type RecordedCall, recordedCalls } from "../drivers/xen-calls.ts";

vi.mock("../../host-ts/xen/hypercall-table.ts", async (original) =>
  (await import("../drivers/xen-calls.ts")).recordingTable(await original()),
);
vi.mock("../../host-ts/xen/trap-policy.ts", async (original) =>
  (await import("../drivers/xen-calls.ts")).leavingPolicy(await original()),
);

const MINUTE = 60_000;
const P = 1;
const P_RW = 3;

type Test = (call: RecordedCall) => boolean;
const callOf =
  (number: number, ...args: number[]): Test =>
  (call) =>
    call.number === number && args.every((arg, index) => call.args[index] === arg);
const listOf =
  (number: number, ...words: (number | undefined)[]): Test =>
  (call) =>
    call.number === number &&
    words.every((word, index) => word === undefined || call.words[index] === word);
const mapsReadOnly: Test = ({ number, args }) =>
  number === xen.HYPERVISOR_UPDATE_VA_MAPPING && (args[1]! & 0xfff) === P;
const extended = (command: number, ...words: number[]) =>
  listOf(xen.HYPERVISOR_MMUEXT_OP, command, ...words);
const updates =
  (flags: number): Test =>
  ({ number, words }) =>
    number === xen.HYPERVISOR_MMU_UPDATE && (words[2]! & 0xfff) === flags;
const givesBack = listOf(xen.HYPERVISOR_MEMORY_OP, undefined, 1, 0, 0, xen.DOMID_SELF);
const describes = (low: number, high: number): Test => {
  return ({ number, args }) =>
    number === xen.HYPERVISOR_UPDATE_DESCRIPTOR && args[2] === low && args[3] === high;
};

/** The calls of the trace of a real Xen, which has three of each kind at most; of what depends on the builder's layout, nothing. */
const ON_XEN: readonly Test[] = [
  callOf(xen.HYPERVISOR_SET_CALLBACKS, 9, 0xc000cb58, 9, 0xc000cbc7),
  callOf(xen.HYPERVISOR_VM_ASSIST, xen.VMASST_CMD_ENABLE, xen.VMASST_TYPE_PAE_EXTENDED_CR3),
  ...[1, 2, 3].flatMap(() => [mapsReadOnly, extended(xen.MMUEXT_PIN_L1_TABLE), updates(P_RW)]),
  ...[1, 2, 3].map(() => updates(P)),
  extended(xen.MMUEXT_NEW_BASEPTR),
  extended(xen.MMUEXT_UNPIN_TABLE),
  ...[1, 2, 3].map(() => givesBack),
  describes(0xffff, 0xcfba00),
  describes(0xffff, 0xcfb200),
  (call) => call.number === xen.HYPERVISOR_SET_GDT && call.args[1] === 11,
  callOf(xen.HYPERVISOR_VM_ASSIST, xen.VMASST_CMD_ENABLE, xen.VMASST_TYPE_4GB_SEGMENTS),
  listOf(
    xen.HYPERVISOR_SET_TRAP_TABLE,
    ...[0x90100, 0xc00063e0, 0x90101, 0xc00067bc, 0x90303, 0xc00063ec],
  ),
  describes(0xffff, 0xcbfa00),
  describes(0xffff, 0xcbf200),
  extended(xen.MMUEXT_SET_LDT, 0xc0004000, 4),
  callOf(xen.HYPERVISOR_STACK_SWITCH, 0x11, 0xc0093bc0),
  callOf(xen.HYPERVISOR_SCHED_OP_COMPAT, xen.SCHEDOP_SHUTDOWN),
];

/** Calls of the trace from its first change of a descriptor on. */
const LAST = 10;

const found = findGnuMach();
const title = "GNU Mach as a Xen PV guest";
const why = "missing" in found ? found.missing : undefined;
describe.skipIf(why)(why ? `${title} (${why})` : title, () => {
  test(
    "makes the calls that it made on Xen 4.17, in their order, and panics over the same page fault",
    async () => {
      const guest = await createGuest({
        kernel: readFileSync("file" in found ? found.file : ""),
        abi: "xen-pv",
        mode: "inline",
        memoryBytes: 128 << 20,
      });
      onTestFinished(() => guest[Symbol.asyncDispose]());
      let output = "";
      guest.on("output", (bytes) => {
        output += Buffer.from(bytes).toString("latin1");
      });
      const end = await guest.run();
      let at = -1;
      const places = ON_XEN.map((matches) => {
        at = recordedCalls.findIndex((call, index) => index > at && matches(call));
        return at;
      });
      expect(places).not.toContain(-1);
      expect([places[0], places.at(-1)]).toEqual([0, recordedCalls.length - 1]);
      // Once its page tables stand, nothing else comes but changes of mappings.
      const others = recordedCalls
        .slice(places.at(-LAST))
        .filter(({ number }) => number !== xen.HYPERVISOR_UPDATE_VA_MAPPING);
      expect(others).toHaveLength(LAST);
      expect(recordedCalls.filter(({ result }) => (result ?? 0) < 0)).toEqual([]);
      expect([end.kind, output]).toEqual(["panic", ""]);
      expect(end.stats.traps).toEqual({ 14: 1 });
    },
    MINUTE,
  );
});
