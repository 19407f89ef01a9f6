import { expect, test } from "vitest";
import { LHCALL_COUNT, LHCALL_SET_PTE, LHCALL_SHUTDOWN } from "../../../abi/lguest.ts";
import { VCPU_LEAVING_CALLS, VCPU_LEAVING_TRAPS } from "../../../abi/vcpu.ts";
import { VECTOR_PF } from "../../../abi/x86.ts";
import type { FaultPath } from "../../../host-ts/base/fault-path.ts";
import { renderPolicy } from "../../../host-ts/launcher/trace.ts";
import { CALLS, TRAPS } from "../../../host-ts/lguest/trap-policy.ts";
import { TestGuest } from "../../drivers/lguest-guest.ts";

function masks(faultPath: FaultPath): { traps: number[]; calls: number } {
  const { vcpu } = new TestGuest({ lguest: { faultPath } }).machine;
  const traps = Array.from({ length: 8 }, (_, word) => vcpu.u32(VCPU_LEAVING_TRAPS + 4 * word));
  return { traps, calls: vcpu.u32(VCPU_LEAVING_CALLS) };
}

test("on the switcher path no trap leaves, and only the calls that concern the Host do", () => {
  const { traps, calls } = masks("switcher");
  expect(traps).toEqual([0, 0, 0, 0, 0, 0, 0, 0]);
  expect(calls & (1 << LHCALL_SET_PTE)).toBe(0);
  expect(calls & (1 << LHCALL_SHUTDOWN)).not.toBe(0);
  for (let number = 0; number < LHCALL_COUNT; number++) {
    expect((calls >>> number) & 1, `call ${number}`).toBe(
      CALLS[number]?.switcher === "Wasm" ? 0 : 1,
    );
  }
});

test("on the host path every trap and every call leaves", () => {
  const { traps, calls } = masks("host");
  expect(traps.map((word) => word >>> 0)).toEqual(Array.from({ length: 8 }, () => 0xffffffff));
  expect(traps[0]! & (1 << VECTOR_PF)).not.toBe(0);
  expect(calls >>> 0).toBe(0xffffffff);
});

test("the table covers every vector, and shows as one line each", () => {
  const vectors = new Set(
    TRAPS.flatMap(({ first, last }) =>
      Array.from({ length: last - first + 1 }, (_, index) => first + index),
    ),
  );
  expect(vectors.size).toBe(256);
  const lines = renderPolicy("lguest").split("\n");
  expect(lines).toContainEqual(expect.stringMatching(/^#PF page fault +0x0e +Wasm +Host +\S/));
  expect(lines).toContainEqual(expect.stringMatching(/^SET_PTE +14 +Wasm +Host +\S/));
  expect(lines).toContainEqual(expect.stringMatching(/^TLB miss +Wasm +Host +\S/));
  // Beyond the exceptions only the system call has a gate that a processor enters by itself.
  expect(lines).toContainEqual(expect.stringMatching(/^INT n +0x20-0xff +Wasm +Host +\S/));
  expect(lines).toContainEqual(expect.stringMatching(/^system call +0x80 +Wasm +by gate +\S/));
  // LOAD_IDT_ENTRY ignores these two.
  expect(lines).toContainEqual(
    expect.stringMatching(/0x08 +Wasm +Host +the guest can set no gate/),
  );
  expect(lines).toContainEqual(
    expect.stringMatching(/0x0f +Wasm +Host +the guest can set no gate/),
  );
  expect(lines).toContainEqual(
    expect.stringMatching(/^unused numbers +3,11,12,20- +Host +Host +\S/),
  );
  for (const line of lines) expect(line.length).toBeLessThan(120);
});
