/** GRUB as a 32-bit Xen PV guest makes the calls that it made on Xen 4.17, in their order, from its first to the first that yields the processor. */
import { readFileSync } from "node:fs";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import * as xen from "../../abi/xen.ts";
import { createGuest } from "../../host-ts/index.ts";
import { debianFile, missingDebianGuests } from "../drivers/debian-guests.ts";
import { type RecordedCall, recordedCalls } from "../drivers/xen-calls.ts";

vi.mock("../../host-ts/xen/hypercall-table.ts", async (original) =>
  (await import("../drivers/xen-calls.ts")).recordingTable(await original()),
);
vi.mock("../../host-ts/xen/trap-policy.ts", async (original) =>
  (await import("../drivers/xen-calls.ts")).leavingPolicy(await original()),
);

const MINUTE = 60_000;
const FRAMES_OF_WINDOW = 4;

/** A call without what depends on the machine: frames and addresses. */
function shape({ number, args, words }: RecordedCall): unknown {
  switch (number) {
    case xen.HYPERVISOR_GRANT_TABLE_OP:
      return [
        number,
        args[0],
        args[2],
        words.slice(0, args[0] === xen.GNTTABOP_SETUP_TABLE ? 2 : 1),
      ];
    case xen.HYPERVISOR_MMU_UPDATE:
      return [number, args[1], args[3], words[0]! & 3];
    case xen.HYPERVISOR_UPDATE_VA_MAPPING:
      return [number, args[1]! & 0xfff, args.slice(2, 4)];
    case xen.HYPERVISOR_MMUEXT_OP:
      return [number, args[1], args[3], words[0], words[3], words[1] === words[4]];
    case xen.HYPERVISOR_EVENT_CHANNEL_OP:
      return [number, args[0], words[0]];
    default:
      return [number, args.slice(0, 2)];
  }
}

const why = missingDebianGuests;
const title = "GRUB as a Xen PV guest";
describe.skipIf(why)(why ? `${title} (${why})` : title, () => {
  test(
    "begins with the calls of the trace of a real Xen",
    async () => {
      const guest = await createGuest({
        kernel: readFileSync(debianFile("grub-i386-xen.bin")),
        abi: "xen-pv",
        mode: "inline",
        memoryBytes: 128 << 20,
        nsPerInstruction: 100,
      });
      onTestFinished(() => guest[Symbol.asyncDispose]());
      guest.on("output", () => void guest.shutdown());
      await guest.run();
      const yields = recordedCalls.findIndex(({ number }) => number === xen.HYPERVISOR_SCHED_OP);
      // A list that is gone on with counts once.
      const isMadeAgain = ({ number, args }: RecordedCall) =>
        number === xen.HYPERVISOR_MMUEXT_OP && (args[1]! & xen.MMU_UPDATE_PREEMPTED) !== 0;
      const shapes = recordedCalls
        .slice(0, yields)
        .filter((call) => !isMadeAgain(call))
        .map(shape);
      // How often it moves its window over its page tables depends on how many there are.
      const isWindow = (each: unknown) =>
        (each as unknown[])[0] === xen.HYPERVISOR_UPDATE_VA_MAPPING;
      const windows = shapes.filter(isWindow);
      const first = shapes.findIndex(isWindow);
      expect(windows.length).toBeGreaterThan(2 * FRAMES_OF_WINDOW);
      const rights = windows.map((each) => (each as unknown[])[1]);
      // It closes the window once, and opens it again.
      expect(rights.filter((flags) => flags !== 7)).toEqual([0]);
      expect(windows.every((each) => String((each as unknown[])[2]) === "0,2")).toBe(true);
      expect(shapes.filter((each, index) => !isWindow(each) || index === first)).toEqual([
        [xen.HYPERVISOR_VM_ASSIST, [xen.VMASST_CMD_ENABLE, xen.VMASST_TYPE_PAE_EXTENDED_CR3]],
        [xen.HYPERVISOR_GRANT_TABLE_OP, xen.GNTTABOP_SET_VERSION, 1, [1]],
        [xen.HYPERVISOR_GRANT_TABLE_OP, xen.GNTTABOP_SETUP_TABLE, 1, [xen.DOMID_SELF, 1]],
        [xen.HYPERVISOR_MMU_UPDATE, FRAMES_OF_WINDOW, xen.DOMID_SELF, xen.MMU_MACHPHYS_UPDATE],
        windows[0],
        [
          xen.HYPERVISOR_MMUEXT_OP,
          3,
          xen.DOMID_SELF,
          xen.MMUEXT_PIN_L3_TABLE,
          xen.MMUEXT_NEW_BASEPTR,
          true,
        ],
        [xen.HYPERVISOR_EVENT_CHANNEL_OP, xen.EVTCHNOP_SEND, 1],
      ]);
    },
    MINUTE,
  );
});
