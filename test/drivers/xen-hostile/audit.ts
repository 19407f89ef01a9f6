/**
 * The books of a Xen domain, kept a second time: every type and reference count from the tables, pins, registers and uses of the Host that
 * there are, and what no mapping may ever be.
 */
import { PAGE_BYTES } from "../../../abi/memory.ts";
import {
  VCPU_CR3,
  VCPU_PAGING,
  VCPU_XEN_GDT_FRAMES,
  VCPU_XEN_INFO,
  VCPU_XEN_LDT_FRAMES,
  XEN_GDT_FRAMES_MAX,
  XEN_LDT_FRAMES_MAX,
} from "../../../abi/vcpu.ts";
import { PTE_P, PTE_RW } from "../../../abi/x86.ts";
import { GNTMAP_DEVICE_MAP, GNTMAP_HOST_MAP, L2_FIRST_XEN_SLOT } from "../../../abi/xen.ts";
import {
  PAGE_COUNT_MASK,
  PAGE_FOREIGN,
  PAGE_OWNED,
  PAGE_OWNER_MASK,
  PAGE_PINNED,
  PAGE_READ_ONLY,
  PAGE_SHARED,
  PAGE_VALIDATED,
  PAGE_XEN_L2,
  PGT_L1,
  PGT_L2,
  PGT_L3,
  PGT_SEG_DESC,
  PGT_SHIFT,
  PGT_WRITABLE,
} from "../../../abi/xen-memory.ts";
import type { XenDomain } from "../../../host-ts/xen/domain.ts";
import { CONSOLE_PAGE, MAP, mfnOf, STORE_PAGE } from "./places.ts";

const FIRST = MAP.ramMfn;
const LAST = MAP.limit - 1;
const SLOTS = 512;
const HIGH_FRAME = 0x000fffff;

/** Counts that the Host's own records say, from their serialised form. */
interface ChannelRecord {
  readonly fifo: { readonly pages: number[]; readonly controls: (number | null)[] } | null;
}
interface Counts {
  readonly read: number;
  readonly write: number;
  readonly deviceRead: number;
  readonly deviceWrite: number;
}
interface MappingRecord {
  readonly domid: number;
  readonly flags: number;
}

function fail(domain: XenDomain, text: string): never {
  throw new Error(`domain ${domain.domid}: ${text}`);
}

/** Checks one domain. Throws an Error that says what is wrong. */
export function auditDomain(domain: XenDomain): void {
  const { core, guest, vcpus } = domain.host;
  const verbs = core.exports;
  const words = new Uint32Array(MAP.limit);
  const types = new Uint32Array(MAP.limit);
  const refs = new Uint32Array(MAP.limit);
  for (let frame = 0; frame <= LAST; frame++) words[frame] = verbs.xenTypeOf(guest, frame);
  const isIn = (frame: number) => frame >= FIRST && frame <= LAST;
  const ref = (frame: number): void => {
    if (!isIn(frame)) fail(domain, `something refers to frame ${frame.toString(16)}`);
    refs[frame]!++;
  };
  const both = (frame: number): void => {
    ref(frame);
    types[frame]!++;
  };
  for (const vcpu of vcpus) {
    if (vcpu.u32(VCPU_PAGING) !== 0) {
      const base = vcpu.u32(VCPU_CR3) >>> 12;
      both(base);
      if (typeOf(words[base]!) !== PGT_L3) fail(domain, `base pointer ${base.toString(16)}`);
    }
    const lists = [
      [VCPU_XEN_GDT_FRAMES, XEN_GDT_FRAMES_MAX],
      [VCPU_XEN_LDT_FRAMES, XEN_LDT_FRAMES_MAX],
    ] as const;
    for (const [at, length] of lists) {
      for (let i = 0; i < length; i++) {
        const frame = vcpu.u32(at + 4 * i);
        if (frame === 0) continue;
        both(frame);
        if (typeOf(words[frame]!) !== PGT_SEG_DESC) fail(domain, `descriptors on ${frame}`);
      }
    }
    const info = vcpu.u32(VCPU_XEN_INFO);
    if (info !== domain.legacyInfoGpa(vcpu.id)) both(Math.floor(info / PAGE_BYTES));
  }
  // Rings that the Host writes as long as the domain lives.
  for (const pfn of [STORE_PAGE, CONSOLE_PAGE]) both(mfnOf(pfn));
  const { fifo } = domain.channels.save() as unknown as ChannelRecord;
  for (const frame of fifo?.pages ?? []) both(frame);
  for (const gpa of fifo?.controls ?? []) if (gpa !== null) both(Math.floor(gpa / PAGE_BYTES));
  const { pageMfn } = domain.pirqs.save() as { pageMfn: number | undefined };
  if (pageMfn !== undefined) both(pageMfn);
  const { pins } = domain.grants.save() as unknown as {
    pins: [number, { mfn: number | undefined; counts: Counts }][];
  };
  for (const [, { mfn, counts }] of pins) {
    if (mfn === undefined) continue;
    for (let i = counts.read + counts.deviceRead; i > 0; i--) ref(mfn);
    for (let i = counts.write + counts.deviceWrite; i > 0; i--) both(mfn);
  }
  for (let frame = FIRST; frame <= LAST; frame++) {
    const bits = words[frame]!;
    if ((bits & PAGE_PINNED) !== 0) both(frame);
    const type = typeOf(bits);
    if ((bits & PAGE_VALIDATED) === 0 || type < PGT_L1 || type > PGT_L3) continue;
    if ((bits & PAGE_COUNT_MASK) === 0) fail(domain, `unused table ${frame.toString(16)}`);
    const ptr = verbs.frameForRead(guest, frame) >>> 0;
    const view = core.words(ptr + PAGE_BYTES);
    const slots = type === PGT_L3 ? 4 : (bits & PAGE_XEN_L2) !== 0 ? L2_FIRST_XEN_SLOT : SLOTS;
    for (let slot = 0; slot < slots; slot++) {
      const entry = view.getUint32(ptr + 8 * slot, true);
      if ((entry & PTE_P) === 0) continue;
      const where = () => `entry ${slot} of table ${frame.toString(16)} (${entry.toString(16)})`;
      if ((view.getUint32(ptr + 8 * slot + 4, true) & HIGH_FRAME) !== 0) {
        fail(domain, `${where()} leaves the machine`);
      }
      const target = entry >>> 12;
      if (type === PGT_L1) checkMapping(target, entry, where);
      else if (target !== frame) checkTable(target, type, where);
    }
  }
  for (let frame = FIRST; frame <= LAST; frame++) {
    const bits = words[frame]!;
    const found = [bits & PAGE_COUNT_MASK, verbs.xenReferencesOf(guest, frame)];
    if (found[0] === types[frame] && found[1] === refs[frame]) continue;
    const expected = [types[frame], refs[frame]];
    fail(
      domain,
      `frame ${frame.toString(16)} (${(bits >>> 0).toString(16)}): counts ${found}, not ${expected}`,
    );
  }
  checkReservation();

  function checkMapping(target: number, entry: number, where: () => string): void {
    ref(target);
    const bits = words[target]!;
    if ((bits & PAGE_FOREIGN) !== 0 && !domain.grantMaps.hasMapped(target)) {
      fail(domain, `${where()} maps what is nobody's`);
    }
    if ((entry & PTE_RW) === 0) return;
    types[target]!++;
    const isWritable = typeOf(bits) === PGT_WRITABLE && (bits & PAGE_READ_ONLY) === 0;
    if (!isWritable) fail(domain, `${where()} makes ${(bits >>> 0).toString(16)} writable`);
  }
  function checkTable(target: number, type: number, where: () => string): void {
    both(target);
    const bits = words[target]!;
    const found = typeOf(bits);
    // A directory may stand in a directory, to be looked at.
    const isRight = found === type - 1 || (type === PGT_L2 && found === PGT_L2);
    if (!isRight || (bits & PAGE_VALIDATED) === 0) fail(domain, `${where()} is no table`);
  }
  /** The list of frames that the Host has back, and those that the core says are the domain's, make up the machine. */
  function checkReservation(): void {
    let owned = 0;
    for (let frame = FIRST; frame < MAP.sharedInfoMfn; frame++) {
      if ((words[frame]! & PAGE_OWNED) !== 0) owned++;
      if ((words[frame]! & (PAGE_OWNER_MASK & ~PAGE_OWNED)) !== 0)
        fail(domain, `owner of ${frame}`);
    }
    const { currentPages, maximumPages } = domain.reservation;
    if (owned !== currentPages || owned > maximumPages) {
      fail(domain, `owns ${owned} frames, and ${currentPages} by the Host's list`);
    }
    const shared = words.subarray(MAP.sharedInfoMfn, MAP.m2pTablesMfn);
    if (shared.some((bits) => (bits & PAGE_OWNER_MASK) !== PAGE_SHARED))
      fail(domain, "shared frames");
  }
}

function typeOf(bits: number): number {
  return bits >>> PGT_SHIFT;
}

/**
 * Uses of grants are what the mappings of all domains that live say.
 * @param domains in the order in which they came: an older one may still have pages of one that had the number of a younger one
 */
export function auditGrants(domains: readonly XenDomain[]): void {
  for (const [index, granter] of domains.entries()) {
    let certain = 0;
    let possible = 0;
    for (const [at, user] of domains.entries()) {
      const { mappings } = user.grantMaps.save() as unknown as { mappings: MappingRecord[] };
      for (const { domid, flags } of mappings) {
        if (domid !== granter.domid) continue;
        const isHost = (flags & GNTMAP_HOST_MAP) !== 0;
        const isDevice = (flags & GNTMAP_DEVICE_MAP) !== 0;
        possible += Number(isHost) + Number(isDevice);
        if (at >= index) certain += Number(isHost) + Number(isDevice);
      }
    }
    const { uses } = granter.grants;
    if (uses < certain || uses > possible) {
      fail(granter, `its grants have ${uses} uses, and ${certain} to ${possible} mappings`);
    }
  }
}
