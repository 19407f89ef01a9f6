import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { PTE_P, REG_EAX, REG_EBX, REG_ECX, SEG_DS, VECTOR_PF } from "../../../abi/x86.ts";
import {
  HYPERVISOR_VM_ASSIST,
  VMASST_CMD_ENABLE,
  VMASST_TYPE_WRITABLE_PAGETABLES,
} from "../../../abi/xen.ts";
import { movImm, store } from "../protect/assembler.ts";
import {
  CODE,
  Domain,
  entryOf,
  FREE_PAGE,
  L1_PAGE,
  L2_PAGE,
  RO,
  RW,
  STOP,
  STOP_HANDLER,
  UNMAPPED_PAGE,
} from "./domain.ts";

const PF = STOP_HANDLER + VECTOR_PF;
/** The entry of the first page that is not mapped, as the kernel sees it. */
const ENTRY = (L1_PAGE << 12) + UNMAPPED_PAGE * 8;

let domain: Domain;
beforeEach(() => {
  domain = new Domain();
  domain.setTraps([VECTOR_PF, 0]);
});
afterEach(() => {
  domain.destroy();
});
function assist(): void {
  domain.call(HYPERVISOR_VM_ASSIST, VMASST_CMD_ENABLE, VMASST_TYPE_WRITABLE_PAGETABLES);
}
const put = (lin: number, value: number) => [...movImm(REG_EAX, value), ...store(SEG_DS, lin)];

describe("a store into an L1 table", () => {
  it("faults unless the guest has asked for the assist", () => {
    expect(domain.execute(1, put(ENTRY, entryOf(FREE_PAGE, RO)))).toBe(PF);
    expect(domain.frame(2)).toEqual([3, CODE + 5]);
    assist();
    expect(domain.execute(1, put(ENTRY, entryOf(FREE_PAGE, RO)))).toBe(STOP);
    expect(domain.entry(L1_PAGE, UNMAPPED_PAGE)).toBe(entryOf(FREE_PAGE, RO));
    expect(domain.references(FREE_PAGE)).toBe(2);
    expect(domain.relinquish()).toBe(0);
  });

  it("is checked, and faults where the entry may not be", () => {
    assist();
    expect(domain.execute(1, put(ENTRY, entryOf(L1_PAGE, RW)))).toBe(PF);
    expect(domain.frame(2)).toEqual([3, CODE + 5]);
    expect(domain.entry(L1_PAGE, UNMAPPED_PAGE)).toBe(0);
  });

  it("may be any instruction that stores", () => {
    assist();
    const entry = entryOf(FREE_PAGE, RW);
    // MOV EBX, ENTRY; MOV ECX, entry; XCHG [EBX], ECX; then LOCK CMPXCHG [EBX], EAX, which compares EAX with what is there.
    const swap = [0x87, 0x0b];
    expect(domain.execute(1, movImm(REG_EBX, ENTRY), movImm(REG_ECX, entry), swap)).toBe(STOP);
    expect(domain.vcpu.gpr(REG_ECX)).toBe(0);
    expect(domain.entry(L1_PAGE, UNMAPPED_PAGE)).toBe(entry);
    const clear = [0xf0, 0x0f, 0xb1, 0x0b];
    expect(
      domain.execute(1, movImm(REG_EAX, entry), movImm(REG_EBX, ENTRY), movImm(REG_ECX, 0), clear),
    ).toBe(STOP);
    expect(domain.entry(L1_PAGE, UNMAPPED_PAGE)).toBe(0);
    expect(domain.references(FREE_PAGE)).toBe(1);
  });

  it("of an upper half alone leaves an entry that is not present", () => {
    assist();
    domain.execute(1, put(ENTRY, entryOf(FREE_PAGE, RO)));
    expect(domain.execute(1, put(ENTRY + 4, 7))).toBe(STOP);
    expect(domain.entry(L1_PAGE, UNMAPPED_PAGE)).toBe(entryOf(FREE_PAGE, RO) & ~PTE_P);
  });
});

it("a store into an L2 table faults, whatever was asked for", () => {
  assist();
  expect(domain.execute(1, put((L2_PAGE << 12) + 8, 0))).toBe(PF);
});
