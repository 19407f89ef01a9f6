import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { VCPU_XEN_GDT_FRAMES } from "../../../abi/vcpu.ts";
import { ERR_TI, REG_EAX, SEG_FS, SEG_SS, VECTOR_GP } from "../../../abi/x86.ts";
import {
  DOMID_SELF,
  FLAT_RING1_CS,
  FLAT_RING1_SS,
  FLAT_RING3_DS,
  HYPERVISOR_MMUEXT_OP,
  HYPERVISOR_SET_GDT,
  HYPERVISOR_STACK_SWITCH,
  HYPERVISOR_UPDATE_DESCRIPTOR,
  HYPERVISOR_UPDATE_VA_MAPPING,
  MMUEXT_SET_LDT,
  XEN_EBUSY,
  XEN_EFAULT,
  XEN_EINVAL,
} from "../../../abi/xen.ts";
import {
  PAGE_COUNT_MASK,
  PAGE_OWNED,
  PGT_SEG_DESC,
  PGT_SHIFT,
  XEN_RAM_MFN,
} from "../../../abi/xen-memory.ts";
import { type Code, farCall, lar, load, movImm, movToSeg } from "../protect/assembler.ts";
import {
  CODE,
  DATA,
  Domain,
  entryAt,
  entryOf,
  FREE_PAGE,
  GDT_PAGE,
  HANDLERS,
  KERNEL_STACK,
  L1_PAGE,
  mfnOf,
  RO,
  RW,
  STOP,
  STOP_HANDLER,
  UNMAPPED_PAGE,
  USER_CODE,
  USER_STACK,
} from "./domain.ts";

const LDT = FREE_PAGE << 12;

let domain: Domain;
beforeEach(() => {
  domain = new Domain();
});
afterEach(() => {
  domain.destroy();
});

/** Two halves of a descriptor; `flags` is the nibble with G, D/B and L. */
function descriptor(base: number, limit: number, access: number, flags: number): [number, number] {
  const low = ((base & 0xffff) << 16) | (limit & 0xffff);
  const high = (base & 0xff000000) | (flags << 20) | (limit & 0xf0000) | (access << 8);
  return [low >>> 0, (high | ((base >>> 16) & 0xff)) >>> 0];
}
function gate(selector: number, offset: number, access: number): [number, number] {
  return [
    ((selector << 16) | (offset & 0xffff)) >>> 0,
    ((offset & 0xffff0000) | (access << 8)) >>> 0,
  ];
}
const DATA1 = descriptor(0, 0xfffff, 0xb3, 0xc);

function setGdt(entries: number, ...pages: number[]): number {
  domain.write32(DATA, ...pages.map(mfnOf));
  return domain.call(HYPERVISOR_SET_GDT, DATA, entries);
}
function update(page: number, index: number, [low, high]: [number, number]): number {
  return domain.call(HYPERVISOR_UPDATE_DESCRIPTOR, entryAt(page, index), 0, low, high);
}
function protect(page: number, rights: number): number {
  return domain.call(HYPERVISOR_UPDATE_VA_MAPPING, page << 12, entryOf(page, rights), 0, 2);
}
function setLdt(lin: number, entries: number): number {
  domain.write32(DATA, MMUEXT_SET_LDT, lin, entries);
  return domain.call(HYPERVISOR_MMUEXT_OP, DATA, 1, 0, DOMID_SELF);
}
const loadFs = (selector: number): Code => [
  ...movImm(REG_EAX, selector),
  ...movToSeg(SEG_FS, REG_EAX),
];

describe("set_gdt", () => {
  it("takes pages that nobody may write, and holds them", () => {
    expect(setGdt(8, FREE_PAGE)).toBe(-XEN_EINVAL);
    expect(setGdt(8, GDT_PAGE)).toBe(0);
    expect(domain.type(GDT_PAGE) >>> PGT_SHIFT).toBe(PGT_SEG_DESC);
    expect(protect(GDT_PAGE, RW)).toBe(-XEN_EBUSY);
    expect(setGdt(0)).toBe(0);
    expect(protect(GDT_PAGE, RW)).toBe(0);
    expect(domain.relinquish()).toBe(0);
  });

  it("raises privilege 0 and refuses what would be dangerous", () => {
    domain.setEntry(GDT_PAGE, 1, ...descriptor(0, 0xfffff, 0x93, 0xc));
    expect(setGdt(8, GDT_PAGE)).toBe(0);
    expect(domain.readFrame(mfnOf(GDT_PAGE), 12) & 0x6000).toBe(0x2000);
    protect(FREE_PAGE, RO);
    for (const access of [0x89, 0x82, 0x85, 0x8e]) {
      domain.setEntry(FREE_PAGE, 1, ...descriptor(0, 0xfffff, access, 0));
      expect(setGdt(8, FREE_PAGE)).toBe(-XEN_EINVAL);
    }
    domain.setEntry(FREE_PAGE, 1, ...descriptor(0, 0xfffff, 0xbb, 0xa));
    expect(setGdt(8, FREE_PAGE)).toBe(-XEN_EINVAL);
    expect(domain.type(GDT_PAGE) & PAGE_COUNT_MASK).toBe(1);
  });

  it("holds the frames of its list as it was, if its own page is one of them and a number has the look of a descriptor", () => {
    const { core, guest, vcpu } = domain;
    const named = 0x8055;
    const raised = 0xa055;
    const count = (mfn: number) => core.exports.xenTypeOf(guest, mfn) & PAGE_COUNT_MASK;
    core.exports.guestSetLimits(guest, 0xb000, 0xb000, 0xb000);
    for (const mfn of [named, raised]) core.exports.xenAddFrames(guest, mfn, 1, PAGE_OWNED);
    const list = GDT_PAGE << 12;
    protect(FREE_PAGE, RO);
    domain.write32(list, mfnOf(FREE_PAGE), named, mfnOf(GDT_PAGE), 0);
    expect(domain.call(HYPERVISOR_SET_GDT, list, 1025)).toBe(0);
    expect(domain.read32(list + 4)).toBe(raised);
    expect(vcpu.u32(VCPU_XEN_GDT_FRAMES + 4)).toBe(named);
    expect([count(named), count(raised)]).toEqual([1, 0]);
    domain.write32(list, mfnOf(FREE_PAGE), named, mfnOf(GDT_PAGE), mfnOf(L1_PAGE));
    expect(domain.call(HYPERVISOR_SET_GDT, list, 1537)).toBe(-XEN_EINVAL);
    expect([count(named), count(raised)]).toEqual([1, 0]);
    expect(setGdt(0)).toBe(0);
    expect([count(named), count(raised)]).toEqual([0, 0]);
  });

  it("takes 14 pages and a list that can be read", () => {
    expect(setGdt(7169, GDT_PAGE)).toBe(-XEN_EINVAL);
    expect(domain.call(HYPERVISOR_SET_GDT, UNMAPPED_PAGE << 12, 8)).toBe(-XEN_EFAULT);
  });

  it("makes its descriptors loadable beside Xen's own", () => {
    domain.setTraps([VECTOR_GP, 0]);
    domain.setEntry(GDT_PAGE, 2, ...descriptor(DATA, 0xfff, 0xb3, 0x4));
    expect(domain.execute(1, loadFs(0x11))).toBe(STOP_HANDLER + VECTOR_GP);
    expect(domain.frame(1)).toEqual([0x10]);
    setGdt(8, GDT_PAGE);
    domain.write32(DATA + 0x40, 0x1234);
    expect(domain.execute(1, loadFs(0x11), load(SEG_FS, 0x40), [0x89, 0xc5])).toBe(STOP);
    expect(domain.vcpu.gpr(5)).toBe(0x1234);
    expect(domain.execute(1, loadFs(FLAT_RING3_DS))).toBe(STOP);
    expect(domain.execute(1, loadFs(0xe009))).toBe(STOP_HANDLER + VECTOR_GP);
  });
});

describe("update_descriptor", () => {
  it("wants a machine address of the guest's own, aligned", () => {
    expect(update(GDT_PAGE, 1, DATA1)).toBe(0);
    expect(domain.call(HYPERVISOR_UPDATE_DESCRIPTOR, entryAt(GDT_PAGE, 1) + 4, 0, 0, 0)).toBe(
      -XEN_EINVAL,
    );
    expect(domain.call(HYPERVISOR_UPDATE_DESCRIPTOR, (XEN_RAM_MFN - 1) << 12, 0, 0, 0)).toBe(
      -XEN_EINVAL,
    );
    expect(update(L1_PAGE, 1, [0, 0])).toBe(-XEN_EINVAL);
  });

  it("checks what it writes, in use or not", () => {
    setGdt(8, GDT_PAGE);
    const index = 3;
    expect(update(GDT_PAGE, index, descriptor(0, 0xffff, 0x89, 0))).toBe(-XEN_EINVAL);
    expect(update(GDT_PAGE, index, descriptor(0, 0xffff, 0x09, 0))).toBe(0);
    expect(update(GDT_PAGE, index, gate(0xe009, 0, 0xec))).toBe(-XEN_EINVAL);
    expect(update(GDT_PAGE, index, gate(FLAT_RING1_CS, 0, 0xec))).toBe(0);
    expect(update(GDT_PAGE, index, descriptor(0, 0xf6000, 0x93, 0xc))).toBe(0);
    expect(domain.entry(GDT_PAGE, index) & 0xffff).toBe(0xffff);
  });

  it("gives ring 3 a call gate into the kernel, on the kernel's stack", () => {
    setGdt(8, GDT_PAGE);
    update(GDT_PAGE, 3, gate(FLAT_RING1_CS, HANDLERS + 5 * 16, 0xec));
    domain.call(HYPERVISOR_STACK_SWITCH, FLAT_RING1_SS, KERNEL_STACK);
    expect(domain.execute(3, farCall(0x1b, 0))).toBe(STOP_HANDLER + 5);
    expect(domain.frame(4)).toEqual([USER_CODE + 7, 0xe02b, USER_STACK, FLAT_RING3_DS]);
    expect(domain.vcpu.segment(SEG_SS).selector).toBe(FLAT_RING1_SS);
  });
});

describe("the LDT", () => {
  it("is checked when a selector first needs it, and held from then on", () => {
    domain.setEntry(FREE_PAGE, 1, ...DATA1);
    protect(FREE_PAGE, RO);
    expect(setLdt(LDT, 512)).toBe(0);
    expect(domain.type(FREE_PAGE) & PAGE_COUNT_MASK).toBe(0);
    expect(domain.execute(1, loadFs(0xd))).toBe(STOP);
    expect(domain.vcpu.segment(SEG_FS).selector).toBe(0xd);
    expect(domain.type(FREE_PAGE) >>> PGT_SHIFT).toBe(PGT_SEG_DESC);
    expect(protect(FREE_PAGE, RW)).toBe(-XEN_EBUSY);
    expect(setLdt(0, 0)).toBe(0);
    expect(protect(FREE_PAGE, RW)).toBe(0);
    expect(domain.relinquish()).toBe(0);
  });

  it("faults with the selector where its page is no good or not there", () => {
    domain.setTraps([VECTOR_GP, 0]);
    for (const lin of [LDT, UNMAPPED_PAGE << 12]) {
      setLdt(lin, 512);
      expect(domain.execute(1, loadFs(0xd))).toBe(STOP_HANDLER + VECTOR_GP);
      expect(domain.frame(2)).toEqual([8 | ERR_TI, CODE + 5]);
    }
    setLdt(LDT, 1);
    expect(domain.execute(1, loadFs(0xd))).toBe(STOP_HANDLER + VECTOR_GP);
    setLdt(0, 0);
    domain.call(HYPERVISOR_STACK_SWITCH, FLAT_RING1_SS, KERNEL_STACK);
    expect(domain.execute(3, farCall(0x1007, 0))).toBe(STOP_HANDLER + VECTOR_GP);
    expect(domain.frame(1)).toEqual([0x1004]);
  });

  it("begins at a page below Xen's area and has 8192 entries at most", () => {
    expect(setLdt(LDT + 8, 1)).toBe(-XEN_EINVAL);
    expect(setLdt(LDT, 8193)).toBe(-XEN_EINVAL);
    expect(setLdt(0xf57ff000, 8192)).toBe(-XEN_EINVAL);
  });

  it("answers LAR too", () => {
    domain.setEntry(FREE_PAGE, 1, ...DATA1);
    protect(FREE_PAGE, RO);
    setLdt(LDT, 512);
    expect(domain.execute(1, movImm(1, 0xd), lar(5, 1))).toBe(STOP);
    expect(domain.vcpu.gpr(5)).toBe(0x00cfb300);
  });
});
