/** Grants between domains of one machine, by the calls that guests make. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { VCPU_CR3 } from "../../../abi/vcpu.ts";
import { REG_EAX, SEG_DS } from "../../../abi/x86.ts";
import {
  DOMID_IO,
  DOMID_SELF,
  GNTCOPY_DEST_GREF,
  GNTCOPY_SOURCE_GREF,
  GNTMAP_APPLICATION_MAP,
  GNTMAP_CONTAINS_PTE,
  GNTMAP_DEVICE_MAP,
  GNTMAP_HOST_MAP,
  GNTMAP_READONLY,
  GNTST_BAD_COPY_ARG,
  GNTST_BAD_DEV_ADDR,
  GNTST_BAD_DOMAIN,
  GNTST_BAD_GNTREF,
  GNTST_BAD_HANDLE,
  GNTST_BAD_PAGE,
  GNTST_EAGAIN,
  GNTST_GENERAL_ERROR,
  GNTST_OKAY,
  GNTST_PERMISSION_DENIED,
  GNTTABOP_CACHE_FLUSH,
  GNTTABOP_COPY,
  GNTTABOP_DUMP_TABLE,
  GNTTABOP_GET_STATUS_FRAMES,
  GNTTABOP_GET_VERSION,
  GNTTABOP_MAP_GRANT_REF,
  GNTTABOP_QUERY_SIZE,
  GNTTABOP_SET_VERSION,
  GNTTABOP_SETUP_TABLE,
  GNTTABOP_SWAP_GRANT_REF,
  GNTTABOP_TRANSFER,
  GNTTABOP_UNMAP_AND_REPLACE,
  GNTTABOP_UNMAP_GRANT_REF,
  GTF_ACCEPT_TRANSFER,
  GTF_PERMIT_ACCESS,
  GTF_READING,
  GTF_READONLY,
  GTF_SUB_PAGE,
  GTF_TRANSFER_COMMITTED,
  GTF_TRANSFER_COMPLETED,
  GTF_TRANSITIVE,
  GTF_WRITING,
  HYPERVISOR_GRANT_TABLE_OP,
  HYPERVISOR_MEMORY_OP,
  HYPERVISOR_MMU_UPDATE,
  HYPERVISOR_MMUEXT_OP,
  HYPERVISOR_UPDATE_VA_MAPPING,
  HYPERVISOR_UPDATE_VA_MAPPING_OTHERDOMAIN,
  MMUEXT_PIN_L1_TABLE,
  XEN_EBUSY,
  XEN_EFAULT,
  XEN_EINVAL,
  XEN_ENOSYS,
  XEN_EOPNOTSUPP,
  XEN_EPERM,
  XEN_ESRCH,
  XENMEM_DECREASE_RESERVATION,
} from "../../../abi/xen.ts";
import { XenMachine } from "../../../host-ts/xen/xen-machine.ts";
import { framesInUse } from "../../drivers/frame-pool.ts";
import { load, movImm, store } from "../protect/assembler.ts";
import { DATA, HostDomain, XEN_AREA } from "./host-domain.ts";

const PAGE = 0x1000;
/** Where mappings go: linear addresses with an L1 table. */
const HERE = 0x200000;
const THERE = 0x201000;
/** A page of the granter's, and a reference. */
const GIVEN = 0x210;
const REF = 20;
const RW = 0x63;
const RO = 0x61;
const UNTOUCHED = 0x55aa;

let machine: XenMachine;
let a: HostDomain;
let b: HostDomain;
beforeEach(() => {
  machine = new XenMachine(true);
  a = new HostDomain({ machine });
  b = new HostDomain({ machine });
});
afterEach(() => {
  for (const each of [a, b]) if (machine.find(each.domain.domid)) each.destroy();
});

const tableGpa = ({ domain }: HostDomain) => domain.map.grantMfn * PAGE;
/** Writes an entry of version 1. */
function grant(from: HostDomain, ref: number, flags: number, domid: number, mfn: number): void {
  const at = tableGpa(from) + 8 * ref;
  from.host.memory.writeU32(at + 4, mfn);
  from.host.memory.writeU32(at, flags | (domid << 16));
}
/** Writes an entry of version 2: header, second word, low half of the last two. */
function grant2(from: HostDomain, ref: number, words: readonly [number, number, number]): void {
  const at = tableGpa(from) + 16 * ref;
  for (const [i, word] of [...words, 0].entries()) from.host.memory.writeU32(at + 4 * i, word);
}
const flagsOf = (from: HostDomain, ref: number) =>
  from.host.memory.readU16(tableGpa(from) + 8 * ref);
const statusOf = (from: HostDomain, ref: number) =>
  from.host.memory.readU16(from.domain.map.statusMfn * PAGE + 2 * ref);

interface Mapped {
  readonly status: number;
  readonly handle: number;
  readonly bus: number;
}
/** Calls with one entry. @returns the entry's status. */
function one(by: HostDomain, op: number, statusAt: number, ...words: number[]): number {
  by.write32(DATA, ...words);
  expect(by.call(HYPERVISOR_GRANT_TABLE_OP, op, DATA, 1)).toBe(0);
  return ((by.read32(DATA + (statusAt & ~3)) >>> (8 * (statusAt & 3))) << 16) >> 16;
}
function map(by: HostDomain, domid: number, ref: number, flags: number, at: number): Mapped {
  const none = UNTOUCHED;
  const status = one(by, GNTTABOP_MAP_GRANT_REF, 0x12, at, 0, flags, ref, domid, none, none, 0);
  return { status, handle: by.read32(DATA + 0x14), bus: by.read32(DATA + 0x18) };
}
const unmap = (by: HostDomain, handle: number, at: number, bus = 0) =>
  one(by, GNTTABOP_UNMAP_GRANT_REF, 0x14, at, 0, bus, 0, handle, UNTOUCHED);
const replace = (by: HostDomain, handle: number, at: number, newAt: number) =>
  one(by, GNTTABOP_UNMAP_AND_REPLACE, 0x14, at, 0, newAt, 0, handle, UNTOUCHED);
const update = (by: HostDomain, lin: number, low: number) =>
  by.call(HYPERVISOR_UPDATE_VA_MAPPING, lin, low, 0, 2);
const word = (by: HostDomain, lin: number) => by.execute(load(SEG_DS, lin));
const put = (by: HostDomain, lin: number, value: number) =>
  by.execute(movImm(REG_EAX, value), store(SEG_DS, lin));

describe("a page that one domain grants to another", () => {
  it("is mapped: each reads what the other writes, and the entry says that it is used", () => {
    // What the granter has cached of the page must not outlive the mapping.
    expect(word(a, GIVEN * PAGE)).toBe(0);
    grant(a, REF, GTF_PERMIT_ACCESS, 2, a.mfnOf(GIVEN));
    const { status, handle } = map(b, 1, REF, GNTMAP_HOST_MAP, HERE);
    expect([status, handle]).toEqual([GNTST_OKAY, 0]);
    put(b, HERE, 0x1234);
    expect(word(a, GIVEN * PAGE)).toBe(0x1234);
    put(a, GIVEN * PAGE + 4, 0x77);
    expect(word(b, HERE + 4)).toBe(0x77);
    expect(flagsOf(a, REF)).toBe(GTF_PERMIT_ACCESS | GTF_READING | GTF_WRITING);
    expect(unmap(b, handle, HERE)).toBe(GNTST_OKAY);
    expect(flagsOf(a, REF)).toBe(GTF_PERMIT_ACCESS);
    expect(b.domain.pointers.readU32(HERE)).toBeUndefined();
    expect(unmap(b, handle, HERE)).toBe(GNTST_BAD_HANDLE);
    expect([a.relinquish(), b.relinquish()]).toEqual([0, 0]);
  });

  it("that is code of the granter's runs as the other one changed it, whatever each has cached", () => {
    const code = GIVEN * PAGE;
    a.write8(code, ...movImm(REG_EAX, 1), 0xc3);
    grant(a, REF, GTF_PERMIT_ACCESS, 2, a.mfnOf(GIVEN));
    map(b, 1, REF, GNTMAP_HOST_MAP, HERE);
    const callIt = [...movImm(3, code), 0xff, 0xd3];
    for (const value of [5, 6, 7]) {
      // The page is one that the other may write without a miss, then one with decoded code, and again.
      put(b, HERE + 1, value);
      expect(a.execute(callIt)).toBe(value);
      expect(a.execute(callIt)).toBe(value);
      put(a, code + 1, value + 100);
      expect(a.execute(callIt)).toBe(value + 100);
      expect(word(b, HERE + 1)).toBe(value + 100);
    }
  });

  it("is mapped in the ways that flags ask for", () => {
    grant(a, REF, GTF_PERMIT_ACCESS, 2, a.mfnOf(GIVEN));
    const flags = GNTMAP_HOST_MAP | GNTMAP_APPLICATION_MAP | GNTMAP_READONLY | (5 << 16);
    const mapped = map(b, 1, REF, flags, HERE);
    const entry = entryGpa(b, HERE);
    const { memory } = b.host;
    expect(memory.readU32(entry) & 0xfff).toBe(0x65 | (5 << 9));
    expect(memory.readU32(entry) - (0x65 | (5 << 9))).toBe(mapped.bus);
    expect(memory.readU32(entry + 4) >>> 0).toBe(0x80000000);
    expect(flagsOf(a, REF)).toBe(GTF_PERMIT_ACCESS | GTF_READING);
    expect(b.domain.pointers.writeU32(HERE, 1)).toBe(false);
    const byEntry = GNTMAP_HOST_MAP | GNTMAP_CONTAINS_PTE;
    const second = map(b, 1, REF, byEntry, entryGpa(b, THERE));
    expect([second.status, second.handle, second.bus]).toEqual([GNTST_OKAY, 1, mapped.bus]);
    expect(flagsOf(a, REF)).toBe(GTF_PERMIT_ACCESS | GTF_READING | GTF_WRITING);
    expect(map(b, 1, REF, byEntry, entryGpa(b, THERE) + 4).status).toBe(GNTST_GENERAL_ERROR);
    expect(map(b, 1, REF, byEntry, b.mfnOf(5) * PAGE).status).toBe(GNTST_GENERAL_ERROR);
    // The rights must be the mapping's, not just the page.
    expect(unmap(b, second.handle, entryGpa(b, HERE))).toBe(GNTST_GENERAL_ERROR);
    expect(unmap(b, second.handle, entryGpa(b, THERE))).toBe(GNTST_OKAY);
    expect(flagsOf(a, REF)).toBe(GTF_PERMIT_ACCESS | GTF_READING);
    expect(unmap(b, mapped.handle, HERE)).toBe(GNTST_OKAY);
  });

  it("is mapped for devices by its bus address, beside the processor or alone", () => {
    grant(a, REF, GTF_PERMIT_ACCESS, 2, a.mfnOf(GIVEN));
    const both = map(b, 1, REF, GNTMAP_HOST_MAP | GNTMAP_DEVICE_MAP, HERE);
    expect(unmap(b, both.handle, 0)).toBe(GNTST_OKAY);
    expect(unmap(b, both.handle, 0, both.bus + PAGE)).toBe(GNTST_BAD_DEV_ADDR);
    expect(unmap(b, both.handle, HERE)).toBe(GNTST_OKAY);
    expect(flagsOf(a, REF)).toBe(GTF_PERMIT_ACCESS | GTF_READING | GTF_WRITING);
    expect(unmap(b, both.handle, 0, both.bus)).toBe(GNTST_OKAY);
    expect(flagsOf(a, REF)).toBe(GTF_PERMIT_ACCESS);
    const device = map(b, 1, REF, GNTMAP_DEVICE_MAP | GNTMAP_READONLY, 0);
    expect(device.status).toBe(GNTST_OKAY);
    expect(flagsOf(a, REF)).toBe(GTF_PERMIT_ACCESS | GTF_READING);
    expect(unmap(b, device.handle, 0, device.bus)).toBe(GNTST_OKAY);
    expect([a.relinquish(), b.relinquish()]).toEqual([0, 0]);
  });

  it("changes its place for that of another mapping", () => {
    grant(a, REF, GTF_PERMIT_ACCESS, 2, a.mfnOf(GIVEN));
    const { handle } = map(b, 1, REF, GNTMAP_HOST_MAP, HERE);
    put(b, THERE, 0x4444);
    expect(replace(b, handle, HERE, THERE)).toBe(GNTST_OKAY);
    expect(word(b, HERE)).toBe(0x4444);
    expect(b.domain.pointers.readU32(THERE)).toBeUndefined();
    // What is to be put there is gone also where that fails.
    const again = map(b, 1, REF, GNTMAP_HOST_MAP, THERE);
    expect(replace(b, again.handle, HERE, THERE + PAGE)).toBe(GNTST_GENERAL_ERROR);
    expect(b.domain.pointers.readU32(THERE + PAGE)).toBeUndefined();
    expect(replace(b, again.handle, THERE, 0)).toBe(GNTST_OKAY);
    expect([a.relinquish(), b.relinquish()]).toEqual([0, 0]);
  });

  it("is no page table and no frame of the other's own, and only unmapping by handle ends the use", () => {
    grant(a, REF, GTF_PERMIT_ACCESS, 2, a.mfnOf(GIVEN));
    const { handle, bus } = map(b, 1, REF, GNTMAP_HOST_MAP, HERE);
    const mfn = bus / PAGE;
    expect(update(b, THERE, bus | RO)).toBe(-XEN_EBUSY);
    expect(update(b, HERE, bus | RO)).toBe(-XEN_EBUSY);
    b.write32(DATA, MMUEXT_PIN_L1_TABLE, mfn, 0);
    expect(b.call(HYPERVISOR_MMUEXT_OP, DATA, 1, 0, DOMID_SELF)).toBe(-XEN_EINVAL);
    b.write32(DATA, bus, 0, 0, 0);
    expect(b.call(HYPERVISOR_MMU_UPDATE, DATA, 1, 0, DOMID_SELF)).toBe(-XEN_EINVAL);
    grant(b, REF, GTF_PERMIT_ACCESS, 1, mfn);
    expect(map(a, 2, REF, GNTMAP_HOST_MAP, HERE).status).toBe(GNTST_BAD_PAGE);
    // The granter cannot make a page table of what another one may write, nor give it away while it is used.
    expect(update(a, GIVEN * PAGE, (a.mfnOf(GIVEN) * PAGE) | RO)).toBe(0);
    a.write32(DATA, MMUEXT_PIN_L1_TABLE, a.mfnOf(GIVEN), 0);
    expect(a.call(HYPERVISOR_MMUEXT_OP, DATA, 1, 0, DOMID_SELF)).toBe(-XEN_EINVAL);
    // A guest that destroys the entry itself cannot end the mapping any more, as under Xen.
    expect(update(b, HERE, 0)).toBe(0);
    expect(unmap(b, handle, HERE)).toBe(GNTST_GENERAL_ERROR);
    expect(flagsOf(a, REF)).toBe(GTF_PERMIT_ACCESS | GTF_READING | GTF_WRITING);
    b.destroy();
    expect(flagsOf(a, REF)).toBe(GTF_PERMIT_ACCESS);
    expect(a.relinquish()).toBe(0);
  });

  it("may be a page table where it is granted to read", () => {
    const table = entryGpa(a, HERE) / PAGE;
    grant(a, REF, GTF_PERMIT_ACCESS | GTF_READONLY, 2, Math.floor(table));
    expect(map(b, 1, REF, GNTMAP_HOST_MAP, HERE).status).toBe(GNTST_GENERAL_ERROR);
    const { status, handle } = map(b, 1, REF, GNTMAP_HOST_MAP | GNTMAP_READONLY, HERE);
    expect(status).toBe(GNTST_OKAY);
    const slot = entryGpa(a, HERE) % PAGE;
    expect(word(b, HERE + slot)).toBe(a.host.memory.readU32(entryGpa(a, HERE)) | 0);
    expect(unmap(b, handle, HERE)).toBe(GNTST_OKAY);
    grant(a, REF, GTF_PERMIT_ACCESS, 2, Math.floor(table));
    expect(map(b, 1, REF, GNTMAP_HOST_MAP, HERE).status).toBe(GNTST_GENERAL_ERROR);
    expect(flagsOf(a, REF)).toBe(GTF_PERMIT_ACCESS);
  });

  it("may be one that it grants to itself", () => {
    grant(a, REF, GTF_PERMIT_ACCESS, 1, a.mfnOf(GIVEN));
    const { status, handle, bus } = map(a, 1, REF, GNTMAP_HOST_MAP, HERE);
    expect([status, bus]).toEqual([GNTST_OKAY, a.mfnOf(GIVEN) * PAGE]);
    put(a, HERE, 0x99);
    expect(word(a, GIVEN * PAGE)).toBe(0x99);
    expect(unmap(a, handle, HERE)).toBe(GNTST_OKAY);
    expect(a.relinquish()).toBe(0);
  });

  it("is refused with Xen's words", () => {
    const at = (domid: number, ref: number, flags = GNTMAP_HOST_MAP, lin = HERE) =>
      map(b, domid, ref, flags, lin).status;
    grant(a, REF, GTF_PERMIT_ACCESS, 3, a.mfnOf(GIVEN));
    grant(a, REF + 1, GTF_PERMIT_ACCESS, 2, 0x7000);
    grant(a, REF + 2, GTF_ACCEPT_TRANSFER, 2, a.mfnOf(GIVEN));
    grant(a, REF + 3, GTF_PERMIT_ACCESS, 2, a.mfnOf(GIVEN));
    grant(a, REF + 4, GTF_PERMIT_ACCESS, 2, a.domain.map.m2pMfn);
    expect([
      at(1, REF, 0),
      at(9, REF),
      at(DOMID_SELF, REF),
      at(0, REF),
      at(0, 512),
      at(1, 512),
      at(1, REF),
      at(1, REF + 1),
      at(1, REF + 2),
      at(1, REF + 4),
      at(1, REF + 3, GNTMAP_HOST_MAP, XEN_AREA),
      at(1, REF + 3, GNTMAP_HOST_MAP, 0x700000),
    ]).toEqual([
      GNTST_BAD_GNTREF,
      GNTST_BAD_DOMAIN,
      GNTST_BAD_DOMAIN,
      GNTST_GENERAL_ERROR,
      GNTST_BAD_GNTREF,
      GNTST_BAD_GNTREF,
      GNTST_GENERAL_ERROR,
      GNTST_BAD_PAGE,
      GNTST_GENERAL_ERROR,
      GNTST_BAD_PAGE,
      GNTST_GENERAL_ERROR,
      GNTST_GENERAL_ERROR,
    ]);
    expect([0, 1, 2, 3, 4].map((i) => flagsOf(a, REF + i) & (GTF_READING | GTF_WRITING))).toEqual([
      0, 0, 0, 0, 0,
    ]);
    expect([a.relinquish(), b.relinquish()]).toEqual([0, 0]);
  });

  it("bears 128 uses of one kind", () => {
    grant(a, REF, GTF_PERMIT_ACCESS, 2, a.mfnOf(GIVEN));
    const device = GNTMAP_DEVICE_MAP | GNTMAP_READONLY;
    for (let i = 0; i < 128; i++) expect(map(b, 1, REF, device, 0).status).toBe(GNTST_OKAY);
    expect(map(b, 1, REF, device, 0).status).toBe(GNTST_GENERAL_ERROR);
    expect(map(b, 1, REF, GNTMAP_HOST_MAP, HERE).status).toBe(GNTST_OKAY);
  });
});

describe("when a domain dies", () => {
  it("who has mapped its pages keeps them until they are unmapped", () => {
    put(a, GIVEN * PAGE, 0x1234);
    grant(a, REF, GTF_PERMIT_ACCESS, 2, a.mfnOf(GIVEN));
    const { handle } = map(b, 1, REF, GNTMAP_HOST_MAP, HERE);
    a.destroy();
    expect(word(b, HERE)).toBe(0x1234);
    put(b, HERE, 0x5678);
    expect(word(b, HERE)).toBe(0x5678);
    expect(map(b, 1, REF, GNTMAP_HOST_MAP, THERE).status).toBe(GNTST_BAD_DOMAIN);
    // A new domain of the old number is another one.
    a = new HostDomain({ machine });
    expect(a.domain.domid).toBe(1);
    expect(unmap(b, handle, HERE)).toBe(GNTST_OKAY);
    expect([a.relinquish(), b.relinquish()]).toEqual([0, 0]);
  });

  it.each(["granter first", "mapper first"])("no frame is lost, %s", (order) => {
    for (const each of [a, b]) each.destroy();
    const before = framesInUse(a.core);
    a = new HostDomain({ machine });
    b = new HostDomain({ machine });
    for (const page of [GIVEN, GIVEN + 1]) {
      put(a, page * PAGE, page);
      grant(a, page, GTF_PERMIT_ACCESS, 2, a.mfnOf(page));
      grant(b, page, GTF_PERMIT_ACCESS, 1, b.mfnOf(page));
    }
    map(b, 1, GIVEN, GNTMAP_HOST_MAP, HERE);
    map(b, 1, GIVEN + 1, GNTMAP_HOST_MAP | GNTMAP_READONLY, THERE);
    map(a, 2, GIVEN, GNTMAP_HOST_MAP | GNTMAP_DEVICE_MAP, HERE);
    put(a, HERE, 0x11);
    for (const each of order === "granter first" ? [a, b] : [b, a]) each.destroy();
    expect(framesInUse(a.core)).toBe(before);
  });

  it("a granted page that its owner gave back is memory until it is unmapped", () => {
    grant(a, REF, GTF_PERMIT_ACCESS, 2, a.mfnOf(GIVEN));
    put(a, GIVEN * PAGE, 0x31);
    const { handle } = map(b, 1, REF, GNTMAP_HOST_MAP, HERE);
    expect(update(a, GIVEN * PAGE, 0)).toBe(0);
    a.write32(DATA + 64, a.mfnOf(GIVEN));
    a.write32(DATA, DATA + 64, 1, 0, 0, DOMID_SELF);
    expect(a.call(HYPERVISOR_MEMORY_OP, XENMEM_DECREASE_RESERVATION, DATA)).toBe(1);
    expect(word(b, HERE)).toBe(0x31);
    expect(unmap(b, handle, HERE)).toBe(GNTST_OKAY);
    expect(a.domain.reservation.isFree(a.mfnOf(GIVEN))).toBe(false);
    expect([a.relinquish(), b.relinquish()]).toEqual([0, 0]);
  });
});

describe("version 2", () => {
  const setVersion = (by: HostDomain, version: number) => {
    by.write32(DATA, version);
    const result = by.call(HYPERVISOR_GRANT_TABLE_OP, GNTTABOP_SET_VERSION, DATA, 1);
    return [result, by.read32(DATA)];
  };
  const permit = (flags: number, domid: number) => GTF_PERMIT_ACCESS | flags | (domid << 16);

  it("keeps the entries of the toolstack, and says in a word of its own that a page is used", () => {
    a.domain.grants.grantToHost(1, a.mfnOf(3));
    a.domain.grants.use(1, true);
    expect(setVersion(a, 3)).toEqual([-XEN_EINVAL, 1]);
    expect(setVersion(a, 2)).toEqual([0, 2]);
    expect(statusOf(a, 1)).toBe(GTF_READING | GTF_WRITING);
    grant2(a, REF, [permit(0, 2), 0, a.mfnOf(GIVEN)]);
    const { handle } = map(b, 1, REF, GNTMAP_HOST_MAP | GNTMAP_READONLY, HERE);
    expect(statusOf(a, REF)).toBe(GTF_READING);
    expect(setVersion(a, 1)).toEqual([-XEN_EBUSY, 2]);
    expect(unmap(b, handle, HERE)).toBe(GNTST_OKAY);
    expect(statusOf(a, REF)).toBe(0);
    expect(setVersion(a, 1)).toEqual([0, 1]);
    expect(flagsOf(a, 1)).toBe(GTF_PERMIT_ACCESS | GTF_READING | GTF_WRITING);
    a.domain.grants.release(1, true);
    expect(flagsOf(a, 1)).toBe(GTF_PERMIT_ACCESS);
  });

  it("has status frames", () => {
    const frames = (count: number) => {
      const status = one(a, GNTTABOP_GET_STATUS_FRAMES, 6, count, DOMID_SELF, DATA + 64, 0);
      return [status, a.read32(DATA + 64)];
    };
    expect(frames(0)[0]).toBe(GNTST_OKAY);
    expect(frames(1)[0]).toBe(GNTST_GENERAL_ERROR);
    setVersion(a, 2);
    expect(frames(1)).toEqual([GNTST_OKAY, a.domain.map.statusMfn]);
    expect(frames(2)[0]).toBe(GNTST_GENERAL_ERROR);
  });

  it("grants a part of a page, and what another domain grants, to copies only", () => {
    const c = new HostDomain({ machine });
    setVersion(a, 2);
    setVersion(b, 2);
    put(a, GIVEN * PAGE + 0x100, 0xabcd);
    grant2(a, REF, [permit(GTF_SUB_PAGE, 2), 0x100 | (8 << 16), a.mfnOf(GIVEN)]);
    expect(map(b, 1, REF, GNTMAP_HOST_MAP, HERE).status).toBe(GNTST_GENERAL_ERROR);
    const take = (by: HostDomain, domid: number, offset: number, length: number) =>
      copy(by, [REF, domid, offset], [by.mfnOf(GIVEN), DOMID_SELF, 0], length, GNTCOPY_SOURCE_GREF);
    expect(take(b, 1, 0x100, 8)).toBe(GNTST_OKAY);
    expect(word(b, GIVEN * PAGE)).toBe(0xabcd);
    expect([take(b, 1, 0xfc, 8), take(b, 1, 0x104, 8)]).toEqual([
      GNTST_GENERAL_ERROR,
      GNTST_GENERAL_ERROR,
    ]);
    // b passes on to c what a granted to b.
    grant2(b, REF, [GTF_TRANSITIVE | (3 << 16), 1, REF]);
    expect(map(c, 2, REF, GNTMAP_HOST_MAP, HERE).status).toBe(GNTST_GENERAL_ERROR);
    expect(take(c, 2, 0x100, 8)).toBe(GNTST_OKAY);
    expect(word(c, GIVEN * PAGE)).toBe(0xabcd);
    expect(take(c, 2, 0x101, 8)).toBe(GNTST_GENERAL_ERROR);
    expect([statusOf(a, REF), statusOf(b, REF)]).toEqual([0, 0]);
    // Not back to itself, and one step only.
    grant2(b, REF, [GTF_TRANSITIVE | (3 << 16), 2, REF]);
    expect(take(c, 2, 0x100, 8)).toBe(GNTST_GENERAL_ERROR);
    grant2(b, REF, [GTF_TRANSITIVE | (3 << 16), 1, REF]);
    grant2(a, REF, [GTF_TRANSITIVE | (2 << 16), 3, REF]);
    expect(take(c, 2, 0x100, 8)).toBe(GNTST_GENERAL_ERROR);
    expect([a, b, c].map((each) => each.relinquish())).toEqual([0, 0, 0]);
    c.destroy();
  });
});

type End = readonly [number: number, domid: number, offset: number];
function copy(by: HostDomain, from: End, to: End, length: number, flags: number): number {
  const end = ([number, domid, offset]: End) => [number, domid | (offset << 16)];
  const last = length | (flags << 16);
  return one(by, GNTTABOP_COPY, 0x14, ...end(from), ...end(to), last, UNTOUCHED);
}

describe("a copy", () => {
  it("goes either way, between granted pages and own ones", () => {
    put(a, GIVEN * PAGE, 0x1111);
    put(b, GIVEN * PAGE, 0x2222);
    grant(a, REF, GTF_PERMIT_ACCESS, 2, a.mfnOf(GIVEN));
    const own: End = [b.mfnOf(GIVEN), DOMID_SELF, 0];
    expect(copy(b, own, [REF, 1, 8], 4, GNTCOPY_DEST_GREF)).toBe(GNTST_OKAY);
    expect(word(a, GIVEN * PAGE + 8)).toBe(0x2222);
    expect(copy(b, [REF, 1, 0], own, 4, GNTCOPY_SOURCE_GREF)).toBe(GNTST_OKAY);
    expect(word(b, GIVEN * PAGE)).toBe(0x1111);
    const both = GNTCOPY_SOURCE_GREF | GNTCOPY_DEST_GREF;
    expect(copy(b, [REF, 1, 0], [REF, 1, 0xffc], 4, both)).toBe(GNTST_OKAY);
    expect(word(a, GIVEN * PAGE + 0xffc)).toBe(0x1111);
    expect(flagsOf(a, REF)).toBe(GTF_PERMIT_ACCESS);
    expect([a.relinquish(), b.relinquish()]).toEqual([0, 0]);
  });

  it("is refused with Xen's words", () => {
    grant(a, REF, GTF_PERMIT_ACCESS | GTF_READONLY, 2, a.mfnOf(GIVEN));
    const own: End = [b.mfnOf(GIVEN), DOMID_SELF, 0];
    const source = GNTCOPY_SOURCE_GREF;
    const tables: End = [Math.floor(entryGpa(b, HERE) / PAGE), DOMID_SELF, 0];
    expect([
      copy(b, [a.mfnOf(GIVEN), 1, 0], own, 4, 0),
      copy(b, [b.mfnOf(GIVEN), 2, 0], own, 4, 0),
      copy(b, [REF, 9, 0], own, 4, source),
      copy(b, [REF, 0, 0], own, 4, source),
      copy(b, [512, 1, 0], own, 4, source),
      copy(b, [REF + 1, 1, 0], own, 4, source),
      copy(b, own, [REF, 1, 0], 4, GNTCOPY_DEST_GREF),
      copy(b, [REF, 1, 0xfff], own, 2, source),
      copy(b, [0, DOMID_SELF, 0], own, 4, 0),
      copy(b, own, tables, 4, 0),
      copy(b, tables, own, 4, 0),
    ]).toEqual([
      GNTST_PERMISSION_DENIED,
      GNTST_PERMISSION_DENIED,
      GNTST_BAD_DOMAIN,
      GNTST_GENERAL_ERROR,
      GNTST_BAD_GNTREF,
      GNTST_GENERAL_ERROR,
      GNTST_GENERAL_ERROR,
      GNTST_BAD_COPY_ARG,
      GNTST_BAD_PAGE,
      GNTST_GENERAL_ERROR,
      GNTST_OKAY,
    ]);
    expect([a.relinquish(), b.relinquish()]).toEqual([0, 0]);
  });
});

describe("a transfer", () => {
  const give = (by: HostDomain, mfn: number, domid: number, ref: number) =>
    one(by, GNTTABOP_TRANSFER, 0xc, mfn, domid, ref, UNTOUCHED);
  const unhook = (by: HostDomain, page: number) => update(by, page * PAGE, 0);
  const giveBack = (by: HostDomain, page: number) => {
    unhook(by, page);
    expect(by.domain.reservation.giveBack(by.mfnOf(page))).toBe(true);
  };

  it("takes a page with what is in it to a domain that gave one back", () => {
    put(a, GIVEN * PAGE, 0x4321);
    giveBack(b, GIVEN);
    grant(b, REF, GTF_ACCEPT_TRANSFER, 1, 0x333);
    expect(give(a, a.mfnOf(GIVEN), 2, REF)).toBe(GNTST_BAD_PAGE);
    unhook(a, GIVEN);
    const pages = [a, b].map(({ domain }) => domain.reservation.currentPages);
    expect(give(a, a.mfnOf(GIVEN), 2, REF)).toBe(GNTST_OKAY);
    expect([a, b].map(({ domain }) => domain.reservation.currentPages)).toEqual([
      pages[0]! - 1,
      pages[1]! + 1,
    ]);
    expect(flagsOf(b, REF)).toBe(
      GTF_ACCEPT_TRANSFER | GTF_TRANSFER_COMMITTED | GTF_TRANSFER_COMPLETED,
    );
    const mfn = b.host.memory.readU32(tableGpa(b) + 8 * REF + 4);
    expect(b.domain.reservation.pfnOf(mfn)).toBe(0x333);
    expect(update(b, THERE, (mfn * PAGE) | RW)).toBe(0);
    expect(word(b, THERE)).toBe(0x4321);
    expect(update(a, HERE, (a.mfnOf(GIVEN) * PAGE) | RW)).toBe(-XEN_EBUSY);
    expect([a.relinquish(), b.relinquish()]).toEqual([0, 0]);
  });

  it("that nobody takes loses the page", () => {
    grant(b, REF, GTF_ACCEPT_TRANSFER, 1, 0x333);
    const lost = [
      [9, REF, GNTST_BAD_DOMAIN],
      [0, REF, GNTST_GENERAL_ERROR],
      // No room.
      [2, REF, GNTST_GENERAL_ERROR],
      [2, REF + 1, GNTST_GENERAL_ERROR],
      [2, 512, GNTST_GENERAL_ERROR],
    ] as const;
    const before = a.domain.reservation.currentPages;
    for (const [i, [domid, ref, status]] of lost.entries()) {
      if (i === 3) giveBack(b, GIVEN);
      unhook(a, GIVEN + i);
      expect(give(a, a.mfnOf(GIVEN + i), domid, ref)).toBe(status);
    }
    expect(a.domain.reservation.currentPages).toBe(before - lost.length);
    expect(flagsOf(b, REF)).toBe(GTF_ACCEPT_TRANSFER);
    expect(give(a, a.domain.map.sharedInfoMfn, 2, REF)).toBe(GNTST_BAD_PAGE);
  });
});

describe("calls about tables", () => {
  it("swap entries that nobody uses", () => {
    const swap = (x: number, y: number) => one(a, GNTTABOP_SWAP_GRANT_REF, 8, x, y, UNTOUCHED);
    grant(a, REF, GTF_PERMIT_ACCESS, 2, a.mfnOf(GIVEN));
    expect(swap(REF, REF + 1)).toBe(GNTST_OKAY);
    expect([flagsOf(a, REF), flagsOf(a, REF + 1)]).toEqual([0, GTF_PERMIT_ACCESS]);
    expect([swap(REF, 512), swap(600, REF)]).toEqual([GNTST_BAD_GNTREF, GNTST_BAD_GNTREF]);
    const { handle } = map(b, 1, REF + 1, GNTMAP_HOST_MAP, HERE);
    expect([swap(REF, REF + 1), swap(REF + 1, REF + 1)]).toEqual([GNTST_EAGAIN, GNTST_OKAY]);
    unmap(b, handle, HERE);
  });

  it("are for the caller's own", () => {
    const domids = [DOMID_SELF, 1, 2, 0, 9];
    expect(domids.map((domid) => one(a, GNTTABOP_QUERY_SIZE, 12, domid, 0, 0, UNTOUCHED))).toEqual([
      GNTST_OKAY,
      GNTST_OKAY,
      GNTST_PERMISSION_DENIED,
      GNTST_PERMISSION_DENIED,
      GNTST_BAD_DOMAIN,
    ]);
    const setUp = (domid: number) =>
      one(a, GNTTABOP_SETUP_TABLE, 8, domid, 1, UNTOUCHED, DATA + 64);
    expect(domids.map(setUp)).toEqual([0, 0, -8, -8, -2]);
    const version = (domid: number) => {
      a.write32(DATA, domid, UNTOUCHED);
      return a.call(HYPERVISOR_GRANT_TABLE_OP, GNTTABOP_GET_VERSION, DATA, 1);
    };
    expect(domids.map(version)).toEqual([0, 0, -XEN_EPERM, -XEN_EPERM, -XEN_ESRCH]);
  });

  it("flush caches of own and mapped pages", () => {
    const flush = (bus: number, offset: number, length: number, op: number) => {
      b.write32(DATA, bus, 0, offset | (length << 16), op);
      return b.call(HYPERVISOR_GRANT_TABLE_OP, GNTTABOP_CACHE_FLUSH, DATA, 1);
    };
    grant(a, REF, GTF_PERMIT_ACCESS, 2, a.mfnOf(GIVEN));
    const { bus } = map(b, 1, REF, GNTMAP_DEVICE_MAP, 0);
    const own = b.mfnOf(GIVEN) * PAGE;
    expect([
      flush(own, 0, PAGE, 1),
      flush(bus, 0, 4, 3),
      flush(own, 0, 4, 2),
      flush(own, 0, 0, 2),
      flush(own, 1, PAGE, 1),
      flush(own, 0, 4, 4),
      flush(bus + PAGE, 0, 4, 1),
      flush(0xfffff000, 0, 4, 1),
    ]).toEqual([0, 0, -XEN_EOPNOTSUPP, 0, -XEN_EINVAL, -XEN_EINVAL, -XEN_EPERM, -XEN_EINVAL]);
  });

  it("fail as calls where a list is none", () => {
    const call = (...args: number[]) => a.call(HYPERVISOR_GRANT_TABLE_OP, ...args);
    expect([
      call(GNTTABOP_MAP_GRANT_REF, DATA, 0x80000000),
      call(GNTTABOP_MAP_GRANT_REF, 0x700000, 1),
      call(GNTTABOP_MAP_GRANT_REF, 0x700000, 0),
      call(GNTTABOP_MAP_GRANT_REF, DATA, 0x7fffffff),
      call(GNTTABOP_SETUP_TABLE, DATA, 2),
      call(GNTTABOP_DUMP_TABLE, DATA, 1),
      call(GNTTABOP_COPY | 0x1000, DATA, 1),
      call(13, DATA, 1),
    ]).toEqual([
      -XEN_EINVAL,
      -XEN_EFAULT,
      0,
      -XEN_EFAULT,
      -XEN_EINVAL,
      -XEN_ENOSYS,
      -XEN_EINVAL,
      -XEN_ENOSYS,
    ]);
  });

  it("are made again for the rest of a long list", () => {
    const count = 700;
    const list = 0x300000;
    grant(a, REF, GTF_PERMIT_ACCESS, 2, a.mfnOf(GIVEN));
    for (let i = 0; i < count; i++) {
      const from = [REF, 1];
      const to = [b.mfnOf(GIVEN), DOMID_SELF | ((4 * i) << 16)];
      b.write32(list + 24 * i, ...from, ...to, 4 | (GNTCOPY_SOURCE_GREF << 16), UNTOUCHED);
    }
    put(a, GIVEN * PAGE, 7);
    expect(b.call(HYPERVISOR_GRANT_TABLE_OP, GNTTABOP_COPY, list, count)).toBe(0);
    expect(b.exits).toBe(3);
    expect(b.read32(list + 24 * (count - 1) + 0x14) & 0xffff).toBe(GNTST_OKAY);
    expect(word(b, GIVEN * PAGE + 4 * (count - 1))).toBe(7);
  });
});

describe("page-table calls that name another domain", () => {
  it("are refused: -EPERM for one that is there, -ESRCH for one that is not or for itself", () => {
    const owners = [2, 0, 1, 9, DOMID_IO, 0x7ff2];
    const answers = [-1, -1, -3, -3, -1, -1];
    a.write32(DATA, entryGpa(a, HERE), 0, 0xfee00063, 0);
    const updates = owners.map((domid) => a.call(HYPERVISOR_MMU_UPDATE, DATA, 1, 0, domid));
    expect(updates).toEqual(answers);
    a.write32(DATA, 6, 0, 0);
    expect(owners.map((domid) => a.call(HYPERVISOR_MMUEXT_OP, DATA, 1, 0, domid))).toEqual(answers);
    const other = (domid: number) =>
      a.call(HYPERVISOR_UPDATE_VA_MAPPING_OTHERDOMAIN, HERE, 0, 0, 0, domid);
    expect(owners.map(other)).toEqual(answers);
    expect(other(DOMID_SELF)).toBe(0);
    expect(a.call(HYPERVISOR_MMU_UPDATE, DATA, 0, 0, 2)).toBe(0);
    // Whose the tables are: a number one too high, in the upper half.
    const tables = (domid: number) => DOMID_SELF | ((domid + 1) << 16);
    a.write32(DATA, entryGpa(a, THERE), 0, 0, 0);
    expect(
      [1, 2, 9].map((domid) => a.call(HYPERVISOR_MMU_UPDATE, DATA, 1, 0, tables(domid))),
    ).toEqual([0, -XEN_EPERM, -XEN_ESRCH]);
    expect(a.domain.pointers.readU32(THERE)).toBeUndefined();
  });

  it("with DOMID_IO map no RAM and no device, and clear entries", () => {
    const as = (value: number) => {
      a.write32(DATA, entryGpa(a, HERE), 0, value, 0);
      return a.call(HYPERVISOR_MMU_UPDATE, DATA, 1, DATA + 64, DOMID_IO);
    };
    expect(as(a.mfnOf(GIVEN) * PAGE + RW)).toBe(-XEN_EBUSY);
    expect(as(0xfee00000 | RW)).toBe(-XEN_EPERM);
    expect(a.read32(DATA + 64)).toBe(0);
    expect(as(0)).toBe(0);
    expect([a.read32(DATA + 64), a.domain.pointers.readU32(HERE)]).toEqual([1, undefined]);
  });
});

/** Machine address of the L1 entry for a linear address below 1 GiB. */
function entryGpa(of: HostDomain, lin: number): number {
  const { memory } = of.host;
  const top = memory.readU32(of.vcpu.u32(VCPU_CR3) & ~0xfff) & ~0xfff;
  const table = memory.readU32(top + 8 * (lin >>> 21)) & ~0xfff;
  return (table >>> 0) + 8 * ((lin >>> 12) & 511);
}
