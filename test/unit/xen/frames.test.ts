import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { PTE_RW, REG_EBP, SEG_DS, VECTOR_PF } from "../../../abi/x86.ts";
import { HYPERVISOR_UPDATE_VA_MAPPING, XEN_EBUSY, XEN_EINVAL } from "../../../abi/xen.ts";
import { PAGE_OWNED, PAGE_READ_ONLY, PGT_L1 } from "../../../abi/xen-memory.ts";
import { load, movImm, store } from "../protect/assembler.ts";
import {
  Domain,
  entryOf,
  FREE_PAGE,
  mfnOf,
  RO,
  RW,
  STOP,
  STOP_HANDLER,
  UNMAPPED_PAGE,
  WINDOW_MFN,
} from "./domain.ts";

const HOLE = UNMAPPED_PAGE << 12;
const keep = [0x89, 0xc5];

let domain: Domain;
let other: Domain;
beforeEach(() => {
  domain = new Domain();
  other = new Domain();
  domain.setTraps([VECTOR_PF, 0]);
});
afterEach(() => {
  domain.destroy();
  other.destroy();
});
function map(lin: number, low: number): number {
  return domain.call(HYPERVISOR_UPDATE_VA_MAPPING, lin, low, 0, 2);
}

describe("a frame that the domain gives back", () => {
  it("goes with its last reference, and reads as zero when it comes again", () => {
    const { exports } = domain.core;
    const mfn = mfnOf(FREE_PAGE);
    domain.write32(FREE_PAGE << 12, 0x1234);
    expect(exports.xenTakeFrame(domain.vcpu.ptr, mfn)).toBe(1);
    expect(exports.xenTakeFrame(domain.vcpu.ptr, mfn)).toBe(0);
    expect(domain.references(FREE_PAGE)).toBe(1);
    expect(map(HOLE, entryOf(FREE_PAGE, RO))).toBe(-XEN_EBUSY);
    expect(exports.xenAddFrames(domain.guest, mfn, 1, PAGE_OWNED)).toBe(0);
    expect(map(FREE_PAGE << 12, 0)).toBe(0);
    expect(domain.references(FREE_PAGE)).toBe(0);
    expect(exports.xenAddFrames(domain.guest, mfn, 1, PAGE_OWNED)).toBe(1);
    expect(map(HOLE, entryOf(FREE_PAGE, RO))).toBe(0);
    expect(domain.execute(1, load(SEG_DS, HOLE), keep)).toBe(STOP);
    expect(domain.vcpu.gpr(REG_EBP)).toBe(0);
    expect(domain.relinquish()).toBe(0);
  });

  it("is reached through no translation that was made before", () => {
    domain.execute(1, load(SEG_DS, FREE_PAGE << 12));
    domain.core.exports.xenTakeFrame(domain.vcpu.ptr, mfnOf(FREE_PAGE));
    // No flush is asked for.
    domain.call(HYPERVISOR_UPDATE_VA_MAPPING, FREE_PAGE << 12, 0, 0, 0);
    expect(domain.execute(1, load(SEG_DS, FREE_PAGE << 12))).toBe(STOP_HANDLER + VECTOR_PF);
  });

  it("is unpinned", () => {
    map(FREE_PAGE << 12, entryOf(FREE_PAGE, RO));
    expect(domain.core.exports.xenPin(domain.vcpu.ptr, mfnOf(FREE_PAGE), PGT_L1)).toBe(0);
    domain.core.exports.xenTakeFrame(domain.vcpu.ptr, mfnOf(FREE_PAGE));
    map(FREE_PAGE << 12, 0);
    expect(domain.references(FREE_PAGE)).toBe(0);
    expect(domain.relinquish()).toBe(0);
  });
});

describe("a page of another domain", () => {
  const grant = (flags: number): void => {
    const { exports } = domain.core;
    other.write32(FREE_PAGE << 12, 0x1234);
    expect(exports.xenGetFrame(other.vcpu.ptr, mfnOf(FREE_PAGE), flags === 0 ? 1 : 0)).toBe(0);
    expect(
      exports.xenShareFrame(domain.guest, WINDOW_MFN, other.guest, mfnOf(FREE_PAGE), flags),
    ).toBe(1);
  };

  it("is mapped by a grant only, and both see what either writes", () => {
    grant(0);
    const { exports } = domain.core;
    const v = domain.vcpu.ptr;
    expect(map(HOLE, (WINDOW_MFN << 12) | RW)).toBe(-XEN_EBUSY);
    expect(exports.xenMapGranted(v, 0, HOLE, (WINDOW_MFN << 12) | RW, 0)).toBe(0);
    expect(domain.execute(1, load(SEG_DS, HOLE), keep, movImm(0, 0x77), store(SEG_DS, HOLE))).toBe(
      STOP,
    );
    expect(domain.vcpu.gpr(REG_EBP)).toBe(0x1234);
    expect(other.read32(FREE_PAGE << 12)).toBe(0x77);
    expect(exports.xenUnshareFrame(domain.guest, WINDOW_MFN)).toBe(0);
    expect(exports.xenUnmapGranted(v, 0, HOLE, WINDOW_MFN + 1, PTE_RW, 0)).toBe(-XEN_EINVAL);
    expect(exports.xenUnmapGranted(v, 0, HOLE, WINDOW_MFN, 0, 0)).toBe(-XEN_EINVAL);
    expect(exports.xenUnmapGranted(v, 0, HOLE, WINDOW_MFN, PTE_RW, 0)).toBe(0);
    expect(exports.xenUnshareFrame(domain.guest, WINDOW_MFN)).toBe(1);
    expect(domain.execute(1, load(SEG_DS, HOLE))).toBe(STOP_HANDLER + VECTOR_PF);
    expect(other.relinquish()).toBe(2);
    exports.xenPutFrame(other.vcpu.ptr, mfnOf(FREE_PAGE), 1);
    expect(other.relinquish()).toBe(0);
    expect(domain.relinquish()).toBe(0);
  });

  it("is not written where it was granted to read", () => {
    grant(PAGE_READ_ONLY);
    const { exports } = domain.core;
    const v = domain.vcpu.ptr;
    expect(exports.xenMapGranted(v, 0, HOLE, (WINDOW_MFN << 12) | RW, 0)).toBe(-XEN_EBUSY);
    expect(exports.xenMapGranted(v, 0, HOLE, (WINDOW_MFN << 12) | RO, 0)).toBe(0);
    exports.xenPutFrame(other.vcpu.ptr, mfnOf(FREE_PAGE), 0);
  });
});
