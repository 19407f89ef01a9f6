import { expect, test } from "vitest";
import * as vcpu from "../../../abi/vcpu.ts";

/** Values that fields take, and the block's size, share the prefix but are no offsets. */
const fields = Object.entries(vcpu).filter(
  ([name, value]) => name.startsWith("VCPU_") && name !== "VCPU_SIZE" && typeof value === "number",
) as [string, number][];

/** A Xen guest has no device memory: its words lie where other guests keep the queue of accesses to it. */
const isShared = (name: string) => name === "VCPU_MMIO_VALUES";

test("every field of the vCPU block has an offset of its own, inside the block and aligned", () => {
  const owners = new Map<number, string>();
  for (const [name, offset] of fields.filter(([name]) => !isShared(name))) {
    expect.soft(owners.get(offset), name).toBeUndefined();
    owners.set(offset, name);
    expect.soft(offset % 4, name).toBe(0);
    expect.soft(offset, name).toBeLessThan(vcpu.VCPU_SIZE);
  }
  expect(fields.length).toBeGreaterThan(60);
});

test("what a Xen guest has in the place of the queue for device memory does not reach past it", () => {
  const start = vcpu.VCPU_MMIO_VALUES;
  const end = start + vcpu.MMIO_QUEUE_MAX * 8;
  for (const [name] of fields.filter(([, offset]) => offset > start && offset < end)) {
    expect.soft(name).toMatch(/^VCPU_XEN_/);
  }
});

test("exit reasons and kill reasons are numbered without gaps or twins", () => {
  const numbered = (prefix: string): number[] =>
    Object.entries(vcpu)
      .filter(([name]) => name.startsWith(prefix) && name !== "EXIT_REASONS")
      .map(([, value]) => value as number)
      .sort((a, b) => a - b);
  expect(numbered("EXIT_")).toEqual(Array.from({ length: vcpu.EXIT_REASONS }, (_, i) => i));
  const kills = numbered("KILL_");
  expect(kills).toEqual(Array.from({ length: kills.length }, (_, i) => i + 1));
});
