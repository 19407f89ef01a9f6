import { afterEach, beforeEach, describe, expect, test } from "vitest";
import * as xen from "../../../abi/xen.ts";
import { DATA, HOLE, HostDomain, RAM_FRAMES, XEN_AREA } from "./host-domain.ts";

const { DOMID_SELF, HYPERVISOR_MEMORY_OP: MEMORY_OP } = xen;
const LIST = DATA + 0x1000;
const OUT = DATA + 0x4000;
/** Pages that nothing maps and nobody refers to. */
const FREE = 0x3f0;
const OTHER_DOMID = 77;

let guest: HostDomain;
beforeEach(() => {
  guest = new HostDomain();
});
afterEach(() => {
  guest.destroy();
});

/** struct xen_memory_reservation. */
const request = (list: number, count: number, order = 0, flags = 0, domid = DOMID_SELF) => [
  list,
  count,
  order,
  flags,
  domid,
];
const op = (command: number, ...words: number[]) => guest.callWith(MEMORY_OP, command, ...words);
const held = () => op(xen.XENMEM_CURRENT_RESERVATION, DOMID_SELF);
/** Unmaps pages and puts their machine frames into the list. */
function unmapped(first: number, count: number): number[] {
  const frames = Array.from({ length: count }, (_, i) => guest.mfnOf(first + i));
  for (let i = 0; i < count; i++) {
    expect(guest.call(xen.HYPERVISOR_UPDATE_VA_MAPPING, (first + i) << 12, 0, 0, 2)).toBe(0);
  }
  guest.write32(LIST, ...frames);
  return frames;
}

describe("giving frames back and taking others", () => {
  test("counts what was done, and the frames come again", () => {
    const frames = unmapped(FREE, 4);
    expect(op(xen.XENMEM_DECREASE_RESERVATION, ...request(LIST, 4))).toBe(4);
    expect(held()).toBe(RAM_FRAMES - 4);
    guest.write32(LIST, 0x200, 0x201);
    expect(op(xen.XENMEM_POPULATE_PHYSMAP, ...request(LIST, 2))).toBe(2);
    expect(op(xen.XENMEM_INCREASE_RESERVATION, ...request(LIST + 8, 5))).toBe(2);
    expect(held()).toBe(RAM_FRAMES);
    const taken = [0, 1, 2, 3].map((i) => guest.read32(LIST + 4 * i));
    expect(new Set(taken).size).toBe(4);
    expect(taken.every((mfn) => guest.domain.reservation.isFree(mfn))).toBe(true);
    expect(frames).not.toContain(0);
  });

  test("stops at the first frame that is not the domain's", () => {
    const frames = unmapped(FREE, 2);
    guest.write32(LIST, frames[0]!, frames[0]!, frames[1]!);
    expect(op(xen.XENMEM_DECREASE_RESERVATION, ...request(LIST, 3))).toBe(1);
    guest.write32(LIST, guest.domain.map.sharedInfoMfn);
    expect(op(xen.XENMEM_DECREASE_RESERVATION, ...request(LIST, 1))).toBe(0);
  });

  test("does a list of any length some at a time", () => {
    const frames = unmapped(0x190, 600);
    expect(op(xen.XENMEM_DECREASE_RESERVATION, ...request(LIST, 600))).toBe(600);
    expect(guest.exits).toBe(3);
    guest.write32(LIST, ...frames.map((_, i) => 0x190 + i));
    expect(op(xen.XENMEM_POPULATE_PHYSMAP, ...request(LIST, 600))).toBe(600);
    expect([guest.exits, held()]).toEqual([3, RAM_FRAMES]);
  });

  test("also as an entry of a multicall, which has the whole count as its result", () => {
    unmapped(0x190, 600);
    guest.write32(DATA, ...request(LIST, 600));
    const entry = DATA + 0x100;
    const args = [xen.XENMEM_DECREASE_RESERVATION, DATA, 0, 0, 0, 0];
    guest.write32(entry, MEMORY_OP, 0, ...args, MEMORY_OP, 0, xen.XENMEM_MAXIMUM_RAM_PAGE);
    expect(guest.call(xen.HYPERVISOR_MULTICALL, entry, 2)).toBe(0);
    expect([guest.read32(entry + 4), guest.read32(entry + 36)]).toEqual([
      600,
      guest.domain.map.limit,
    ]);
    expect(guest.exits).toBe(4);
  });

  const { XENMEM_DECREASE_RESERVATION: DECREASE, XENMEM_POPULATE_PHYSMAP: POPULATE } = xen;
  test.each([
    ["too many extents", DECREASE, request(LIST, 2 ** 26)],
    ["a list beyond the guest's space", DECREASE, request(XEN_AREA - 4, 2)],
    ["a list that is not mapped", DECREASE, request(HOLE, 1)],
    ["too large extents", DECREASE, request(LIST, 1, 10)],
    ["another domain", DECREASE, request(LIST, 1, 0, 0, OTHER_DOMID)],
    ["the Host", DECREASE, request(LIST, 1, 0, 0, 0)],
    ["frames below address 4096", POPULATE, request(LIST, 1, 0, 12)],
    ["a node that must be", POPULATE, request(LIST, 1, 0, 0x100 | 0x20000)],
    ["memory on demand for itself", POPULATE, request(LIST, 1, 0, 0x10000)],
  ])("does nothing and says so for %s", (_, command, words) => {
    guest.write32(LIST, guest.mfnOf(FREE));
    expect(op(command, ...words)).toBe(0);
    expect(held()).toBe(RAM_FRAMES);
  });

  test("takes frames below the address that is asked for, or none", () => {
    unmapped(FREE, 2);
    op(xen.XENMEM_DECREASE_RESERVATION, ...request(LIST, 2));
    expect(op(xen.XENMEM_INCREASE_RESERVATION, ...request(LIST, 1, 0, 20))).toBe(0);
    expect(op(xen.XENMEM_INCREASE_RESERVATION, ...request(LIST, 2, 0, 40))).toBe(2);
  });

  test("needs no list to take frames", () => {
    unmapped(FREE, 2);
    op(xen.XENMEM_DECREASE_RESERVATION, ...request(LIST, 2));
    expect(op(xen.XENMEM_INCREASE_RESERVATION, ...request(0, 2))).toBe(2);
  });

  test("a structure that cannot be read did nothing", () => {
    expect(guest.call(MEMORY_OP, xen.XENMEM_DECREASE_RESERVATION, HOLE)).toBe(0);
    expect(guest.call(MEMORY_OP, xen.XENMEM_POPULATE_PHYSMAP | (5 << 6), HOLE)).toBe(5);
  });
});

describe("an exchange", () => {
  const exchange = (given: number[], wanted: number[], done = 0) =>
    op(xen.XENMEM_EXCHANGE, ...given, ...wanted, done);
  const doneCount = () => guest.read32(DATA + 0x28);

  test("gives neighbouring frames for any, and their pseudo-physical numbers", () => {
    const frames = unmapped(0x1c0, 16);
    guest.write32(OUT, 0x1c0);
    expect(exchange(request(LIST, 16), request(OUT, 1, 4))).toBe(0);
    const first = guest.read32(OUT);
    expect([first % 16, doneCount(), held()]).toEqual([0, 16, RAM_FRAMES]);
    expect(frames).not.toContain(first);
    const entry = guest.domain.map.m2pMfn * 4096;
    expect(guest.host.memory.readU32(entry + 4 * (first + 3))).toBe(0x1c3);
    expect(guest.host.memory.readU32(entry + 4 * frames[0]!)).toBe(xen.INVALID_M2P_ENTRY);
  });

  test("of many pieces is done some at a time", () => {
    const frames = unmapped(0x190, 600);
    guest.write32(OUT, ...frames.map((_, i) => 0x190 + i));
    expect(exchange(request(LIST, 600), request(OUT, 600))).toBe(0);
    expect([guest.exits, doneCount()]).toEqual([3, 600]);
    const outputs = frames.map((_, i) => guest.read32(OUT + 4 * i));
    expect(outputs.every((mfn) => guest.domain.reservation.isFree(mfn))).toBe(true);
  });

  test("stops before a piece with a frame that is mapped, foreign or named twice, and says how far it came", () => {
    const frames = unmapped(0x1c0, 8);
    const bad = [guest.mfnOf(0x100), guest.domain.map.sharedInfoMfn, frames[4]!];
    for (const mfn of bad) {
      guest.write32(LIST, ...frames.slice(0, 4), frames[4]!, mfn);
      guest.write32(OUT, 0x1c0, 0x1c1, 0x1c2);
      expect(exchange(request(LIST, 6), request(OUT, 3, 1))).toBe(-xen.XEN_EINVAL);
      expect([doneCount(), held()]).toEqual([4, RAM_FRAMES]);
      expect(guest.domain.reservation.isFree(frames[4]!)).toBe(true);
      frames.splice(
        0,
        4,
        ...[0, 1].flatMap((i) => [guest.read32(OUT + 4 * i), guest.read32(OUT + 4 * i) + 1]),
      );
    }
  });

  test("without frames that are good is undone", () => {
    const frames = unmapped(0x1c0, 2);
    guest.write32(OUT, 0x1c0);
    expect(exchange(request(LIST, 2), request(OUT, 1, 1, 14))).toBe(-xen.XEN_ENOMEM);
    expect([doneCount(), held()]).toEqual([0, RAM_FRAMES]);
    expect(frames.every((mfn) => guest.domain.reservation.isFree(mfn))).toBe(true);
  });

  test.each([
    ["more done than there is", request(LIST, 2), request(OUT, 2), 3, xen.XEN_EINVAL],
    ["sizes that differ", request(LIST, 2), request(OUT, 1), 0, xen.XEN_EINVAL],
    ["sizes past 32 bits", request(LIST, 2 ** 31, 9), request(OUT, 2 ** 31, 9), 0, xen.XEN_EINVAL],
    ["a piece that is half done", request(LIST, 4), request(OUT, 2, 1), 1, xen.XEN_EINVAL],
    ["lists beyond the guest's space", request(XEN_AREA, 2), request(OUT, 2), 0, xen.XEN_EFAULT],
    ["a ratio that is too large", request(LIST, 1024), request(OUT, 1, 10), 0, xen.XEN_E2BIG],
    ["too large extents", request(LIST, 1, 10), request(OUT, 1, 10), 0, xen.XEN_EPERM],
    ["two domains", request(LIST, 1), request(OUT, 1, 0, 0, 5), 0, xen.XEN_EINVAL],
    [
      "a domain that there is not",
      request(LIST, 1, 0, 0, 5),
      request(OUT, 1, 0, 0, 5),
      0,
      xen.XEN_ESRCH,
    ],
    ["the Host", request(LIST, 1, 0, 0, 0), request(OUT, 1, 0, 0, 0), 0, xen.XEN_EPERM],
    ["a list that is not mapped", request(HOLE, 1), request(OUT, 1), 0, xen.XEN_EFAULT],
    ["nothing", request(LIST, 0), request(OUT, 0), 0, 0],
  ])("is refused for %s", (_, given, wanted, done, error) => {
    expect(exchange(given, wanted, done)).toBe(0 - error);
    expect(held()).toBe(RAM_FRAMES);
  });

  test("is refused where it cannot be read, or as a call that goes on", () => {
    expect(guest.call(MEMORY_OP, xen.XENMEM_EXCHANGE, HOLE)).toBe(-xen.XEN_EFAULT);
    expect(guest.call(MEMORY_OP, xen.XENMEM_EXCHANGE | 64, DATA)).toBe(-xen.XEN_EINVAL);
  });
});

test("the memory map is one range of RAM, until the domain sets another", () => {
  const [map, entries] = [DATA + 0x200, DATA + 0x300];
  guest.write32(map, 8, entries);
  const ask = () => guest.call(MEMORY_OP, xen.XENMEM_MEMORY_MAP, map);
  expect(ask()).toBe(0);
  expect([0, 4, 8, 12, 16].map((at) => guest.read32(entries + at))).toEqual([
    0,
    0,
    RAM_FRAMES << 12,
    0,
    1,
  ]);
  expect(guest.read32(map)).toBe(1);
  guest.write32(entries, 0, 0, 0x1000, 0, 2, 0x1000, 0, 0x2000, 0, 1);
  expect(op(xen.XENMEM_SET_MEMORY_MAP, DOMID_SELF, 2, entries)).toBe(0);
  guest.write32(map, 8, entries + 0x100);
  expect(ask()).toBe(0);
  expect([guest.read32(map), guest.read32(entries + 0x100 + 16)]).toEqual([2, 2]);
  expect(op(xen.XENMEM_SET_MEMORY_MAP, DOMID_SELF, 0, entries)).toBe(0);
  expect(ask()).toBe(-xen.XEN_ENOSYS);
});

const vnuma = (domid: number) => [domid, 0, 0, 0, 0, 0, 0, 0, 0, 0];
const pod = (domid: number) => [0, 0, 0, 0, 0, 0, 0, 0, domid, 0];
const acquire = (domid: number, pad = 0, frame = 0, high = 0) => [
  domid,
  0,
  1,
  pad,
  frame,
  high,
  0,
  0,
];
// biome-ignore format: a table
test.each<[string, number, number[], number]>([
  ["maximum_ram_page of a call that goes on", xen.XENMEM_MAXIMUM_RAM_PAGE | 64, [], -xen.XEN_EINVAL],
  ["current_reservation of the Host", xen.XENMEM_CURRENT_RESERVATION, [0], -xen.XEN_EPERM],
  ["current_reservation of nobody", xen.XENMEM_CURRENT_RESERVATION, [OTHER_DOMID], -xen.XEN_ESRCH],
  ["current_reservation by its number", xen.XENMEM_CURRENT_RESERVATION, [1], RAM_FRAMES],
  ["maximum_reservation", xen.XENMEM_MAXIMUM_RESERVATION, [DOMID_SELF], RAM_FRAMES],
  ["maximum_gpfn before the guest tells", xen.XENMEM_MAXIMUM_GPFN, [DOMID_SELF], 0],
  ["set_memory_map, too many", xen.XENMEM_SET_MEMORY_MAP, [DOMID_SELF, 1025, DATA], -xen.XEN_EINVAL],
  ["set_memory_map of the Host", xen.XENMEM_SET_MEMORY_MAP, [0, 1, DATA], -xen.XEN_EPERM],
  ["set_memory_map from nowhere", xen.XENMEM_SET_MEMORY_MAP, [DOMID_SELF, 1, HOLE], -xen.XEN_EFAULT],
  ["machine_memory_map", xen.XENMEM_MACHINE_MEMORY_MAP, [1, DATA], -xen.XEN_EPERM],
  ["set_pod_target", xen.XENMEM_SET_POD_TARGET, pod(DOMID_SELF), -xen.XEN_EINVAL],
  ["get_pod_target of nobody", xen.XENMEM_GET_POD_TARGET, pod(OTHER_DOMID), -xen.XEN_ESRCH],
  ["get_sharing_freed_pages", xen.XENMEM_GET_SHARING_FREED_PAGES, [], 0],
  ["get_sharing_shared_pages", xen.XENMEM_GET_SHARING_SHARED_PAGES, [], 0],
  ["add_to_physmap", xen.XENMEM_ADD_TO_PHYSMAP, [DOMID_SELF, 0, 0, 0x100], -xen.XEN_EACCES],
  ["add_to_physmap, foreign", xen.XENMEM_ADD_TO_PHYSMAP, [DOMID_SELF, 4, 0, 0x100], -xen.XEN_ENOSYS],
  ["add_to_physmap of nobody", xen.XENMEM_ADD_TO_PHYSMAP, [OTHER_DOMID, 0, 0, 0x100], -xen.XEN_ESRCH],
  ["add_to_physmap that goes on too far", xen.XENMEM_ADD_TO_PHYSMAP | (0x10000 << 6), [DOMID_SELF], -xen.XEN_EDOM],
  ["add_to_physmap_batch", xen.XENMEM_ADD_TO_PHYSMAP_BATCH, [DOMID_SELF, 0, 0, 0, 0], -xen.XEN_EACCES],
  ["add_to_physmap_batch, range", xen.XENMEM_ADD_TO_PHYSMAP_BATCH, [DOMID_SELF | (3 << 16), 0, 0, 0, 0], -xen.XEN_EOPNOTSUPP],
  ["remove_from_physmap", xen.XENMEM_REMOVE_FROM_PHYSMAP, [DOMID_SELF, 0x100], -xen.XEN_EACCES],
  ["access_op on itself", xen.XENMEM_ACCESS_OP, [1 << 16, 0, 0, 0, 0, 0], -xen.XEN_EPERM],
  ["access_op on the Host", xen.XENMEM_ACCESS_OP, [0, 0, 0, 0, 0, 0], -xen.XEN_EINVAL],
  ["access_op on nobody", xen.XENMEM_ACCESS_OP, [DOMID_SELF << 16, 0, 0, 0, 0, 0], -xen.XEN_ESRCH],
  ["get_vnumainfo", xen.XENMEM_GET_VNUMAINFO, vnuma(DOMID_SELF), -xen.XEN_EOPNOTSUPP],
  ["get_vnumainfo with padding", xen.XENMEM_GET_VNUMAINFO, vnuma(DOMID_SELF | (1 << 16)), -xen.XEN_EINVAL],
  ["get_vnumainfo of the Host", xen.XENMEM_GET_VNUMAINFO, vnuma(0), -xen.XEN_EPERM],
  ["reserved_device_memory_map", xen.XENMEM_RESERVED_DEVICE_MEMORY_MAP, [1, 5, 0, 0], 0],
  ["reserved_device_memory_map, flags", xen.XENMEM_RESERVED_DEVICE_MEMORY_MAP, [2, 5, 0, 0], -xen.XEN_EINVAL],
  ["acquire_resource of its own", xen.XENMEM_ACQUIRE_RESOURCE, acquire(1), -xen.XEN_EPERM],
  ["acquire_resource of the Host", xen.XENMEM_ACQUIRE_RESOURCE, acquire(0), -xen.XEN_EPERM],
  ["acquire_resource of nobody", xen.XENMEM_ACQUIRE_RESOURCE, acquire(DOMID_SELF), -xen.XEN_ESRCH],
  ["acquire_resource with padding", xen.XENMEM_ACQUIRE_RESOURCE, acquire(0, 1), -xen.XEN_EINVAL],
  ["acquire_resource past 32 bits", xen.XENMEM_ACQUIRE_RESOURCE, acquire(0, 0, 0xffffffff), -xen.XEN_EINVAL],
  // claim_pages is for 64-bit callers; 8, 20, 22: no longer there, or not built in.
  ["claim_pages", 24, request(0, 1), -xen.XEN_ENOSYS],
  ["translate_gpfn_list", 8, [], -xen.XEN_ENOSYS],
  ["paging_op", 20, [], -xen.XEN_ENOSYS],
  ["sharing_op", 22, [], -xen.XEN_ENOSYS],
  ["a sub-operation that there is not", 63, [], -xen.XEN_ENOSYS],
])("%s answers as Xen does", (_, command, words, answer) => {
  expect(op(command, ...words)).toBe(answer);
});

/** Sub-operations whose structure cannot be read: -EFAULT, whatever else may be wrong. */
// biome-ignore format: a list
const READING = [
  xen.XENMEM_CURRENT_RESERVATION, xen.XENMEM_MAXIMUM_RESERVATION, xen.XENMEM_MAXIMUM_GPFN, xen.XENMEM_MACHPHYS_MFN_LIST,
  xen.XENMEM_ADD_TO_PHYSMAP, xen.XENMEM_MEMORY_MAP, xen.XENMEM_MACHINE_MEMORY_MAP, xen.XENMEM_EXCHANGE, xen.XENMEM_MACHPHYS_MAPPING,
  xen.XENMEM_SET_MEMORY_MAP, xen.XENMEM_REMOVE_FROM_PHYSMAP, xen.XENMEM_SET_POD_TARGET, xen.XENMEM_GET_POD_TARGET, xen.XENMEM_ACCESS_OP,
  xen.XENMEM_ADD_TO_PHYSMAP_BATCH, xen.XENMEM_MACHPHYS_COMPAT_MFN_LIST, xen.XENMEM_GET_VNUMAINFO,
  xen.XENMEM_RESERVED_DEVICE_MEMORY_MAP, xen.XENMEM_ACQUIRE_RESOURCE,
];
test.each(READING)("sub-operation %i of a structure that is not there gives -EFAULT", (command) => {
  expect(guest.call(MEMORY_OP, command, HOLE)).toBe(-xen.XEN_EFAULT);
  expect(guest.call(MEMORY_OP, command, XEN_AREA - 2)).toBe(-xen.XEN_EFAULT);
});
