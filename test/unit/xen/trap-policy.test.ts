import { expect, test } from "vitest";
import { VCPU_LEAVING_TRAPS, VCPU_XEN_LEAVING_CALLS } from "../../../abi/vcpu.ts";
import { VECTOR_BP, VECTOR_NMI, VECTOR_OF, VECTOR_PF } from "../../../abi/x86.ts";
import {
  HYPERVISOR_IRET,
  HYPERVISOR_MMU_UPDATE,
  HYPERVISOR_MULTICALL,
  HYPERVISOR_SCHED_OP,
} from "../../../abi/xen.ts";
import type { FaultPath } from "../../../host-ts/base/fault-path.ts";
import type { VcpuBlock } from "../../../host-ts/base/vcpu-block.ts";
import { renderPolicy } from "../../../host-ts/launcher/trace.ts";
import { HYPERCALLS } from "../../../host-ts/xen/hypercall-table.ts";
import { CALLS, setFaultPath, TRAPS } from "../../../host-ts/xen/trap-policy.ts";

/** The masks that a path's policy makes: traps by vector, calls by number. */
function masks(path: FaultPath): { trap(vector: number): boolean; call(number: number): boolean } {
  const words = new Map<number, number>();
  const vcpu = { setU32: (at: number, value: number) => words.set(at, value) };
  setFaultPath(vcpu as unknown as VcpuBlock, path);
  const bit = (base: number, index: number) =>
    ((words.get(base + 4 * (index >>> 5))! >>> (index & 31)) & 1) !== 0;
  return {
    trap: (vector) => bit(VCPU_LEAVING_TRAPS, vector),
    call: (number) => bit(VCPU_XEN_LEAVING_CALLS, number),
  };
}

test("on the switcher path no trap leaves, and no call that the core knows", () => {
  const { trap, call } = masks("switcher");
  for (let vector = 0; vector < 256; vector++) expect(trap(vector)).toBe(false);
  for (let number = 0; number < 64; number++) expect(call(number)).toBe(false);
});

test("on the host path every exception and every call leaves, but lists and returns, and INT n goes in directly", () => {
  const { trap, call } = masks("host");
  for (let vector = 0; vector < 256; vector++) {
    const isDirect = [VECTOR_NMI, VECTOR_BP, VECTOR_OF].includes(vector);
    expect([vector, trap(vector)]).toEqual([vector, vector < 32 && !isDirect]);
  }
  expect(trap(VECTOR_PF)).toBe(true);
  for (const { number } of HYPERCALLS) {
    const stays = number === HYPERVISOR_MULTICALL || number === HYPERVISOR_IRET;
    expect([number, call(number)]).toEqual([number, !stays]);
  }
});

test("the table covers every vector and every hypercall, and shows as one line each", () => {
  expect(TRAPS.map(({ first }) => first)).toEqual(Array.from({ length: 256 }, (_, n) => n));
  expect(CALLS.map(({ number, name }) => [number, name])).toEqual(
    HYPERCALLS.map(({ number, name }) => [number, name]),
  );
  const way = (number: number) => CALLS.find((row) => row.number === number);
  expect(way(HYPERVISOR_MMU_UPDATE)).toMatchObject({ switcher: "Wasm", host: "Host" });
  expect(way(HYPERVISOR_SCHED_OP)).toMatchObject({ switcher: "Host", host: "Host" });
  const lines = renderPolicy("xen-pv").split("\n");
  const one = (pattern: RegExp) =>
    expect(
      lines.filter((line) => pattern.test(line)),
      String(pattern),
    ).toHaveLength(1);
  one(/^#PF page fault +0x0e +Wasm +Host +\S/);
  one(/^INT n +0x20-0xff +Wasm +Wasm +\S/);
  one(/^mmu_update +1 +Wasm +Host +\(list, count, out, domid\)$/);
  one(/^xen_version +17 +Host +Host +\(cmd, inout\) XENVER_version: as the others in Wasm$/);
  one(/^multicall +13 +Wasm +Wasm +\S/);
  one(/^TLB miss +Wasm +Wasm +\S/);
  for (const line of lines) expect(line.length, line).toBeLessThan(120);
});
