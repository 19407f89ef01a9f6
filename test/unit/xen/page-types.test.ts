import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { PTE_P, PTE_PCD, PTE_PS, PTE_PWT, PTE_RW, PTE_US } from "../../../abi/x86.ts";
import {
  DOMID_SELF,
  HYPERVISOR_MMU_UPDATE,
  HYPERVISOR_MMUEXT_OP,
  HYPERVISOR_UPDATE_VA_MAPPING,
  HYPERVISOR_VIRT_START,
  L2_FIRST_XEN_SLOT,
  MMU_MACHPHYS_UPDATE,
  MMU_PT_UPDATE_PRESERVE_AD,
  MMUEXT_CLEAR_PAGE,
  MMUEXT_COPY_PAGE,
  MMUEXT_FLUSH_CACHE,
  MMUEXT_MARK_SUPER,
  MMUEXT_NEW_BASEPTR,
  MMUEXT_PIN_L1_TABLE,
  MMUEXT_PIN_L2_TABLE,
  MMUEXT_PIN_L3_TABLE,
  MMUEXT_PIN_L4_TABLE,
  MMUEXT_TLB_FLUSH_ALL,
  MMUEXT_UNPIN_TABLE,
  XEN_EACCES,
  XEN_EBUSY,
  XEN_EFAULT,
  XEN_EINVAL,
  XEN_ENOSYS,
  XEN_EOPNOTSUPP,
  XEN_EPERM,
} from "../../../abi/xen.ts";
import {
  PAGE_COUNT_MASK,
  PAGE_PINNED,
  PAGE_VALIDATED,
  PGT_L1,
  PGT_L2,
  PGT_L3,
  PGT_SHIFT,
  PGT_WRITABLE,
  XEN_RAM_MFN,
} from "../../../abi/xen-memory.ts";
import {
  DATA,
  Domain,
  entryAt,
  entryOf,
  FREE_PAGE,
  L1_PAGE,
  L2_PAGE,
  L2_XEN_PAGE,
  L3_PAGE,
  M2P_MFN,
  mfnOf,
  RO,
  RW,
  UNMAPPED_PAGE,
  WINDOW_MFN,
} from "./domain.ts";

const DONE = DATA + 0x10;
const LIST = DATA + 0x100;
const NOTHING = UNMAPPED_PAGE;

let domain: Domain;
beforeEach(() => {
  domain = new Domain();
});
afterEach(() => {
  domain.destroy();
});

type Request = readonly [ptr: number, low: number, high?: number];

/** mmu_update of a list. @returns its result and how many were done. */
function update(...requests: Request[]): [number, number] {
  return updateFor(DOMID_SELF, ...requests);
}
function updateFor(domid: number, ...requests: Request[]): [number, number] {
  domain.write32(LIST, ...requests.flatMap(([ptr, low, high]) => [ptr, 0, low, high ?? 0]));
  domain.write32(DONE, 0x1234);
  const result = domain.call(HYPERVISOR_MMU_UPDATE, LIST, requests.length, DONE, domid);
  return [result, domain.read32(DONE)];
}
function extended(command: number, arg1 = 0, arg2 = 0): number {
  domain.write32(LIST, command, arg1, arg2);
  return domain.call(HYPERVISOR_MMUEXT_OP, LIST, 1, 0, DOMID_SELF);
}
function map(page: number, low: number, high = 0, flags = 2): number {
  return domain.call(HYPERVISOR_UPDATE_VA_MAPPING, page << 12, low, high, flags);
}
/** Maps `page` where it is mapped already, with other rights. */
function protect(page: number, rights: number): number {
  return map(page, entryOf(page, rights));
}
function use(page: number): [type: number, count: number] {
  const word = domain.type(page);
  return [word >>> PGT_SHIFT, word & PAGE_COUNT_MASK];
}

describe("the tables of the builder", () => {
  it("are checked, counted, and give everything back", () => {
    expect(use(L3_PAGE)).toEqual([PGT_L3, 2]);
    expect(use(L2_PAGE)).toEqual([PGT_L2, 1]);
    expect(use(L2_XEN_PAGE)).toEqual([PGT_L2, 1]);
    expect(use(L1_PAGE)).toEqual([PGT_L1, 1]);
    expect(use(FREE_PAGE)).toEqual([PGT_WRITABLE, 1]);
    expect(domain.type(L3_PAGE) & PAGE_PINNED).not.toBe(0);
    expect(domain.type(L1_PAGE) & PAGE_VALIDATED).not.toBe(0);
    expect(domain.relinquish()).toBe(0);
  });
});

describe("an entry of an L1 table", () => {
  it("takes a reference, and one as writable for the right to write", () => {
    expect(map(NOTHING, entryOf(FREE_PAGE, RO))).toBe(0);
    expect([use(FREE_PAGE), domain.references(FREE_PAGE)]).toEqual([[PGT_WRITABLE, 1], 2]);
    expect(map(NOTHING, entryOf(FREE_PAGE, RW))).toBe(0);
    expect([use(FREE_PAGE), domain.references(FREE_PAGE)]).toEqual([[PGT_WRITABLE, 2], 2]);
    expect(map(NOTHING, 0)).toBe(0);
    expect([use(FREE_PAGE), domain.references(FREE_PAGE)]).toEqual([[PGT_WRITABLE, 1], 1]);
    expect(domain.relinquish()).toBe(0);
  });

  it("may read page tables but not write them", () => {
    for (const page of [L3_PAGE, L2_PAGE, L2_XEN_PAGE, L1_PAGE]) {
      expect(map(NOTHING, entryOf(page, RW))).toBe(-XEN_EBUSY);
      expect(map(NOTHING, entryOf(page, RO))).toBe(0);
    }
  });

  it("has no cache attributes, and names a frame that there is", () => {
    for (const flag of [PTE_PWT, PTE_PCD, PTE_PS]) {
      expect(map(NOTHING, entryOf(FREE_PAGE, RO | flag))).toBe(-XEN_EINVAL);
    }
    expect(map(NOTHING, RO)).toBe(-XEN_EPERM);
    expect(map(NOTHING, entryOf(FREE_PAGE, RO), 1)).toBe(-XEN_EPERM);
    expect(map(NOTHING, (WINDOW_MFN << 12) | RO)).toBe(-XEN_EBUSY);
    expect(map(NOTHING, 0xfffff000 | RO, 0xfffff)).toBe(-XEN_EINVAL);
    expect(map(NOTHING, entryOf(FREE_PAGE, RO), 0x40000000)).toBe(-XEN_EINVAL);
    expect(update([entryAt(L1_PAGE, NOTHING), entryOf(FREE_PAGE, RO), 0x40000000])).toEqual([
      -XEN_EINVAL,
      0,
    ]);
    expect(domain.entry(L1_PAGE, NOTHING)).toBe(0);
  });

  it("may hold anything when it is not present", () => {
    expect(map(NOTHING, 0xabcdeffe & ~PTE_P, 0xffffffff)).toBe(0);
    expect(domain.entry(L1_PAGE, NOTHING)).toBe(0xabcdeffe);
  });

  it("maps Xen's table of machine frames to read only", () => {
    expect(map(NOTHING, (M2P_MFN << 12) | RO)).toBe(0);
    expect(map(NOTHING, (M2P_MFN << 12) | RW)).toBe(-XEN_EBUSY);
  });

  it("is not found where there is no L1 table, or in Xen's area", () => {
    expect(map(0x200, entryOf(FREE_PAGE, RO))).toBe(-XEN_EINVAL);
    expect(map(HYPERVISOR_VIRT_START >>> 12, 0)).toBe(-XEN_EINVAL);
  });
});

describe("a page table", () => {
  it("cannot be one while it is mapped writable", () => {
    expect(update([entryAt(L2_PAGE, 1), entryOf(FREE_PAGE, RW)])).toEqual([-XEN_EINVAL, 0]);
    expect(protect(FREE_PAGE, RO)).toBe(0);
    expect(update([entryAt(L2_PAGE, 1), entryOf(FREE_PAGE, RW)])).toEqual([0, 1]);
    expect(use(FREE_PAGE)).toEqual([PGT_L1, 1]);
    expect(protect(FREE_PAGE, RW)).toBe(-XEN_EBUSY);
    expect(update([entryAt(L2_PAGE, 1), 0])).toEqual([0, 1]);
    expect(protect(FREE_PAGE, RW)).toBe(0);
  });

  it("is refused as a whole for one bad entry, and nothing of it is counted", () => {
    domain.setEntry(FREE_PAGE, 5, entryOf(FREE_PAGE + 1, RO));
    domain.setEntry(FREE_PAGE, 6, entryOf(L1_PAGE, RW));
    protect(FREE_PAGE, RO);
    const before = domain.references(FREE_PAGE + 1);
    expect(extended(MMUEXT_PIN_L1_TABLE, mfnOf(FREE_PAGE))).toBe(-XEN_EBUSY);
    expect(domain.references(FREE_PAGE + 1)).toBe(before);
    expect(use(FREE_PAGE)[1]).toBe(0);
  });

  it("is pinned once, as one thing, and unpinned once", () => {
    const mfn = mfnOf(FREE_PAGE);
    expect(extended(MMUEXT_PIN_L1_TABLE, mfn)).toBe(-XEN_EINVAL);
    protect(FREE_PAGE, RO);
    expect(extended(MMUEXT_UNPIN_TABLE, mfn)).toBe(-XEN_EINVAL);
    expect(extended(MMUEXT_PIN_L1_TABLE, mfn)).toBe(0);
    expect(extended(MMUEXT_PIN_L1_TABLE, mfn)).toBe(-XEN_EINVAL);
    expect(extended(MMUEXT_PIN_L2_TABLE, mfn)).toBe(-XEN_EINVAL);
    expect(extended(MMUEXT_UNPIN_TABLE, mfn)).toBe(0);
    expect(extended(MMUEXT_UNPIN_TABLE, mfn)).toBe(-XEN_EINVAL);
    expect(extended(MMUEXT_PIN_L4_TABLE, 0)).toBe(0);
    expect(domain.relinquish()).toBe(0);
  });
});

describe("an L2 table", () => {
  it("has neither large nor global pages nor cache attributes", () => {
    protect(FREE_PAGE, RO);
    for (const flag of [PTE_PWT, PTE_PCD, PTE_PS, 0x100]) {
      expect(update([entryAt(L2_PAGE, 1), entryOf(FREE_PAGE, RW | flag)])).toEqual([
        -XEN_EINVAL,
        0,
      ]);
    }
  });

  it("keeps its hands off Xen's slots in the last GiB", () => {
    protect(FREE_PAGE, RO);
    const slot = entryAt(L2_XEN_PAGE, L2_FIRST_XEN_SLOT);
    expect(update([slot, entryOf(FREE_PAGE, RW)])).toEqual([-XEN_EPERM, 0]);
    expect(domain.entry(L2_XEN_PAGE, L2_FIRST_XEN_SLOT) & PTE_P).toBe(PTE_P);
  });

  it("is not read through one that is read through it: nothing would be left to give either back", () => {
    const [a, b] = [FREE_PAGE, FREE_PAGE + 1];
    for (const page of [a, b]) {
      protect(page, RO);
      expect(extended(MMUEXT_PIN_L2_TABLE, mfnOf(page))).toBe(0);
    }
    expect(update([entryAt(a, 0), entryOf(b, RO)])).toEqual([0, 1]);
    expect(update([entryAt(b, 0), entryOf(a, RO)])).toEqual([-XEN_EINVAL, 0]);
    expect(update([entryAt(b, 0), entryOf(L2_PAGE, RO)])).toEqual([-XEN_EINVAL, 0]);
    expect(update([entryAt(L2_PAGE, 7), entryOf(a, RO)])).toEqual([-XEN_EINVAL, 0]);
    expect(domain.relinquish()).toBe(0);
  });

  it("may be read through itself and another, to read only", () => {
    expect(update([entryAt(L2_PAGE, 3), entryOf(L2_PAGE, PTE_P | PTE_US)])).toEqual([0, 1]);
    expect(update([entryAt(L2_PAGE, 4), entryOf(L2_PAGE, PTE_P | PTE_RW)])).toEqual([
      -XEN_EINVAL,
      0,
    ]);
    protect(FREE_PAGE, RO);
    expect(extended(MMUEXT_PIN_L2_TABLE, mfnOf(FREE_PAGE))).toBe(0);
    expect(update([entryAt(L2_PAGE, 5), entryOf(FREE_PAGE, PTE_P)])).toEqual([0, 1]);
    expect(domain.relinquish()).toBe(0);
  });
});

describe("an L3 table", () => {
  /** A second address space on FREE_PAGE (L3) and FREE_PAGE + 1 (last L2), sharing the first GiB. */
  function second(flags = PTE_P): void {
    domain.setEntry(FREE_PAGE, 0, entryOf(L2_PAGE, flags));
    domain.setEntry(FREE_PAGE, 3, entryOf(FREE_PAGE + 1, flags));
    protect(FREE_PAGE, RO);
    protect(FREE_PAGE + 1, RO);
  }

  it("needs a last L2 of its own", () => {
    domain.setEntry(FREE_PAGE, 0, entryOf(L2_PAGE, PTE_P));
    protect(FREE_PAGE, RO);
    expect(extended(MMUEXT_PIN_L3_TABLE, mfnOf(FREE_PAGE))).toBe(-XEN_EINVAL);
    domain.setEntry(FREE_PAGE, 3, entryOf(L2_XEN_PAGE, PTE_P));
    expect(extended(MMUEXT_PIN_L3_TABLE, mfnOf(FREE_PAGE))).toBe(-XEN_EINVAL);
    expect(use(L2_XEN_PAGE)).toEqual([PGT_L2, 1]);
  });

  it("may become the base pointer, the old one with it going when nobody needs it", () => {
    second(0x063);
    expect(extended(MMUEXT_NEW_BASEPTR, mfnOf(FREE_PAGE))).toBe(0);
    expect(use(FREE_PAGE)).toEqual([PGT_L3, 1]);
    expect(extended(MMUEXT_UNPIN_TABLE, mfnOf(L3_PAGE))).toBe(0);
    expect(use(L3_PAGE)[1]).toBe(0);
    expect(use(L2_PAGE)).toEqual([PGT_L2, 1]);
    expect(domain.relinquish()).toBe(0);
  });

  it("does not become the base pointer when it is none", () => {
    expect(extended(MMUEXT_NEW_BASEPTR, mfnOf(FREE_PAGE))).toBe(-XEN_EINVAL);
    expect(extended(MMUEXT_NEW_BASEPTR, 0xfffff)).toBe(-XEN_EINVAL);
    expect(use(L3_PAGE)).toEqual([PGT_L3, 2]);
  });

  it("is no L2 of its own, and its last slot stays", () => {
    expect(update([entryAt(L3_PAGE, 2), entryOf(L3_PAGE, PTE_P)])).toEqual([-XEN_EINVAL, 0]);
    expect(update([entryAt(L3_PAGE, 3), 0])).toEqual([-XEN_EINVAL, 0]);
    protect(FREE_PAGE, RO);
    expect(update([entryAt(L3_PAGE, 1), entryOf(FREE_PAGE, 0x063)])).toEqual([0, 1]);
    expect(update([entryAt(L3_PAGE, 1), entryOf(FREE_PAGE, 0x098)])).toEqual([0, 1]);
    expect(update([entryAt(L3_PAGE, 1), entryOf(FREE_PAGE, 0x099)])).toEqual([-XEN_EINVAL, 0]);
  });
});

describe("mmu_update", () => {
  it("stops at the first bad request and tells how many were done", () => {
    expect(
      update(
        [entryAt(L1_PAGE, NOTHING), entryOf(FREE_PAGE, RO)],
        [entryAt(L1_PAGE, NOTHING + 1), entryOf(L1_PAGE, RW)],
        [entryAt(L1_PAGE, NOTHING + 2), entryOf(FREE_PAGE, RO)],
      ),
    ).toEqual([-XEN_EBUSY, 1]);
    expect(domain.entry(L1_PAGE, NOTHING + 2)).toBe(0);
  });

  it("keeps accessed and dirty bits when asked to", () => {
    const at = entryAt(L1_PAGE, FREE_PAGE);
    expect(update([at | MMU_PT_UPDATE_PRESERVE_AD, entryOf(FREE_PAGE, PTE_P | PTE_RW)])).toEqual([
      0, 1,
    ]);
    expect(domain.entry(L1_PAGE, FREE_PAGE)).toBe(entryOf(FREE_PAGE, RW));
    update([at, entryOf(FREE_PAGE, PTE_P)]);
    expect(domain.entry(L1_PAGE, FREE_PAGE)).toBe(entryOf(FREE_PAGE, PTE_P));
  });

  it("stores into a page that is no table", () => {
    expect(update([entryAt(FREE_PAGE, 7), 0x1234, 0x5678])).toEqual([0, 1]);
    expect(domain.entry(FREE_PAGE, 7)).toBe(0x1234);
  });

  it("changes the machine-to-physical table for frames of the guest", () => {
    const mfn = mfnOf(FREE_PAGE);
    expect(update([(mfn << 12) | MMU_MACHPHYS_UPDATE, 0x777])).toEqual([0, 1]);
    expect(domain.readFrame(M2P_MFN, mfn * 4)).toBe(0x777);
    expect(update([(M2P_MFN << 12) | MMU_MACHPHYS_UPDATE, 1])).toEqual([-XEN_EINVAL, 0]);
  });

  it("is for the caller's own frames, and reads requests it can reach", () => {
    // Whether there is another domain is known to the Host.
    for (const domid of [1, 0x7ff2]) {
      expect(() => updateFor(domid, [entryAt(L1_PAGE, NOTHING), 0])).toThrow(
        `stopped at ${HYPERVISOR_MMU_UPDATE}`,
      );
      domain.enter(1);
    }
    expect(domain.call(HYPERVISOR_MMU_UPDATE, NOTHING << 12, 1, 0, DOMID_SELF)).toBe(-XEN_EFAULT);
    expect(domain.call(HYPERVISOR_MMU_UPDATE, LIST, 0, NOTHING << 12, DOMID_SELF)).toBe(0);
    expect(update([XEN_RAM_MFN - 1, 0])[0]).toBe(-XEN_EINVAL);
  });
});

describe("mmuext_op", () => {
  it("clears and copies pages that may be written", () => {
    domain.write32(FREE_PAGE << 12, 0x11, 0x22);
    expect(extended(MMUEXT_COPY_PAGE, mfnOf(FREE_PAGE + 1), mfnOf(FREE_PAGE))).toBe(0);
    expect(domain.read32(((FREE_PAGE + 1) << 12) + 4)).toBe(0x22);
    expect(extended(MMUEXT_CLEAR_PAGE, mfnOf(FREE_PAGE))).toBe(0);
    expect(domain.read32(FREE_PAGE << 12)).toBe(0);
    expect(extended(MMUEXT_CLEAR_PAGE, mfnOf(L1_PAGE))).toBe(-XEN_EINVAL);
    expect(extended(MMUEXT_COPY_PAGE, mfnOf(FREE_PAGE), 0x50)).toBe(-XEN_EINVAL);
  });

  it("answers what it does not do as Xen does", () => {
    expect(extended(MMUEXT_FLUSH_CACHE)).toBe(-XEN_EACCES);
    expect(extended(MMUEXT_MARK_SUPER)).toBe(-XEN_EOPNOTSUPP);
    expect(extended(99)).toBe(-XEN_ENOSYS);
    expect(extended(MMUEXT_TLB_FLUSH_ALL)).toBe(0);
  });
});
