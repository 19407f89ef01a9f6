/** What is dropped when a Xen guest flushes: all that it had read before, however many pages, and however they lie. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { REG_EAX, SEG_DS } from "../../../abi/x86.ts";
import {
  DOMID_SELF,
  HYPERVISOR_MMU_UPDATE,
  HYPERVISOR_MMUEXT_OP,
  HYPERVISOR_UPDATE_VA_MAPPING,
  MMUEXT_TLB_FLUSH_ALL,
  MMUEXT_TLB_FLUSH_LOCAL,
  UVMF_NONE,
} from "../../../abi/xen.ts";
import { load, movImm, store } from "../protect/assembler.ts";
import {
  DATA,
  Domain,
  entryAt,
  entryOf,
  FREE_PAGE,
  L2_PAGE,
  RO,
  RW,
  UNMAPPED_PAGE,
} from "./domain.ts";

const RESULTS = 0x60000;
const TARGETS = 0x80;

let domain: Domain;
beforeEach(() => {
  domain = new Domain();
});
afterEach(() => {
  domain.destroy();
});

const addressOf = (i: number) => (UNMAPPED_PAGE + i) << 12;
/** Maps page `i` to one of two pages, which hold their own numbers. */
function map(i: number, which: number): void {
  const page = TARGETS + 2 * i + which;
  domain.write32(page << 12, page);
  domain.call(HYPERVISOR_UPDATE_VA_MAPPING, addressOf(i), entryOf(page, RW), 0, UVMF_NONE);
}
/** What the kernel reads there. */
function seen(pages: readonly number[]): number[] {
  domain.execute(
    1,
    ...pages.flatMap((i) => [load(SEG_DS, addressOf(i)), store(SEG_DS, RESULTS + 4 * i)]),
    movImm(REG_EAX, 0),
  );
  return pages.map((i) => domain.read32(RESULTS + 4 * i));
}
function flush(command: number): void {
  domain.write32(DATA, command, 0, 0);
  expect(domain.call(HYPERVISOR_MMUEXT_OP, DATA, 1, 0, DOMID_SELF)).toBe(0);
}
const some = (count: number, stride: number) => Array.from({ length: count }, (_, i) => i * stride);

describe("a flush drops", () => {
  for (const [what, pages] of [
    ["a few pages", some(3, 1)],
    ["pages far apart", some(4, 15)],
    ["most of a stretch of pages", some(48, 1)],
  ] as const) {
    for (const [name, command] of [
      ["of this vCPU", MMUEXT_TLB_FLUSH_LOCAL],
      ["of all vCPUs", MMUEXT_TLB_FLUSH_ALL],
    ] as const) {
      it(`${what}: ${name}`, () => {
        for (const which of [0, 1, 0]) {
          for (const i of pages) map(i, which);
          flush(command);
          expect(seen(pages)).toEqual(pages.map((i) => TARGETS + 2 * i + which));
        }
      });
    }
  }
});

it("an entry of an upper table that goes takes what was read through it along", () => {
  const table = FREE_PAGE;
  const other = FREE_PAGE + 1;
  const lin = 0x200000;
  const update = (low: number) => {
    domain.write32(DATA, entryAt(L2_PAGE, 1), 0, low, 0);
    expect(domain.call(HYPERVISOR_MMU_UPDATE, DATA, 1, 0, DOMID_SELF)).toBe(0);
  };
  for (const [page, target] of [
    [table, TARGETS],
    [other, TARGETS + 1],
  ] as const) {
    domain.write32(target << 12, target);
    domain.setEntry(page, 0, entryOf(target, RW));
    domain.call(HYPERVISOR_UPDATE_VA_MAPPING, page << 12, entryOf(page, RO), 0, UVMF_NONE);
  }
  flush(MMUEXT_TLB_FLUSH_LOCAL);
  for (const [page, target] of [
    [table, TARGETS],
    [other, TARGETS + 1],
  ] as const) {
    update(entryOf(page, 0x67));
    domain.execute(1, load(SEG_DS, lin), store(SEG_DS, RESULTS), movImm(REG_EAX, 0));
    expect(domain.read32(RESULTS)).toBe(target);
  }
});
