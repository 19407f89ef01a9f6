import { expect, test } from "vitest";
import { HYPERVISOR_SLOTS, XEN_ENOSYS } from "../../../abi/xen.ts";
import type { XenDomain } from "../../../host-ts/xen/domain.ts";
import { CALL_NAMES, HYPERCALLS, performHypercall } from "../../../host-ts/xen/hypercall-table.ts";

/** Numbers that nothing here reaches a domain for. */
const noDomain = {} as XenDomain;

test("numbers ascend, fit the hypercall page, and have a name of their own each", () => {
  const numbers = HYPERCALLS.map(({ number }) => number);
  expect(numbers).toEqual([...new Set(numbers)].sort((a, b) => a - b));
  expect(Math.max(...numbers)).toBeLessThan(HYPERVISOR_SLOTS);
  expect(new Set(HYPERCALLS.map(({ name }) => name)).size).toBe(HYPERCALLS.length);
  for (const { number, name } of HYPERCALLS) expect(CALL_NAMES[number]).toBe(name);
});

test("the Host has a handler for every call that leaves, if only for what names other domains", () => {
  const both = ["mmu_update", "mmuext_op"];
  for (const { name, where, handler } of HYPERCALLS) {
    const isHosts = where === "host" || both.includes(name);
    expect([name, handler !== undefined]).toEqual([name, isHosts]);
  }
});

test("a number that is no call gives -ENOSYS, however large", () => {
  for (const number of [11, 25, 43, 63, 64, 0xffffffff]) {
    expect([number, performHypercall(noDomain, number, [])]).toEqual([number, -XEN_ENOSYS]);
  }
});
