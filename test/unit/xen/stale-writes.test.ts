/** What translations that let a page be written do once the page is something that the guest may not write: they are gone. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { REG_EAX, SEG_DS, VECTOR_PF } from "../../../abi/x86.ts";
import {
  DOMID_SELF,
  HYPERVISOR_MMUEXT_OP,
  HYPERVISOR_SET_GDT,
  HYPERVISOR_UPDATE_VA_MAPPING,
  MMUEXT_PIN_L1_TABLE,
  UVMF_NONE,
} from "../../../abi/xen.ts";
import { intN, movImm, store } from "../protect/assembler.ts";
import { DATA, Domain, entryOf, FREE_PAGE, mfnOf, RO, STOP, STOP_HANDLER } from "./domain.ts";

const PAGE = FREE_PAGE << 12;
const WORD = PAGE + 0x800;

let domain: Domain;
beforeEach(() => {
  domain = new Domain();
  domain.setTraps([VECTOR_PF, 0]);
  // With INC EAX it is neither an entry nor a descriptor that is present.
  domain.assemble(PAGE, movImm(REG_EAX, STOP - 1), [0x40], intN(0x82));
});
afterEach(() => {
  domain.destroy();
});

const put = (value: number) => domain.execute(1, movImm(REG_EAX, value), store(SEG_DS, WORD));
const runIt = () => domain.execute(1, movImm(REG_EAX, PAGE), [0xff, 0xe0]);

function pin(): number {
  domain.write32(DATA, MMUEXT_PIN_L1_TABLE, mfnOf(FREE_PAGE), 0);
  return domain.call(HYPERVISOR_MMUEXT_OP, DATA, 1, 0, DOMID_SELF);
}
function holdDescriptors(): number {
  domain.write32(DATA, mfnOf(FREE_PAGE));
  return domain.call(HYPERVISOR_SET_GDT, DATA, 8);
}

describe("a page that was written", () => {
  for (const [past, steps] of [
    ["only", [() => put(2)]],
    ["and then executed", [() => put(2), runIt]],
    ["after it was executed", [runIt, () => put(2)]],
    ["between two executions", [runIt, () => put(2), runIt]],
  ] as const) {
    for (const [use, take] of [
      ["a page table", pin],
      ["a page of descriptors", holdDescriptors],
    ] as const) {
      it(`${past}, is not written any more as ${use}, though nothing was flushed`, () => {
        for (const step of steps) expect(step()).toBe(STOP);
        const entry = entryOf(FREE_PAGE, RO);
        expect(domain.call(HYPERVISOR_UPDATE_VA_MAPPING, PAGE, entry, 0, UVMF_NONE)).toBe(0);
        expect(take()).toBe(0);
        expect(put(4)).toBe(STOP_HANDLER + VECTOR_PF);
        expect(domain.read32(WORD)).toBe(2);
      });
    }
  }
});
