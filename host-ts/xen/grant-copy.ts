/**
 * GNTTABOP_copy: bytes from page to page, each named by a frame of the caller's own or by a reference of somebody's, also one that passes
 * on what a third domain granted. Source: Xen's public grant_table.h and the behaviour of Xen 4.17.
 */
import { PAGE_BYTES } from "../../abi/memory.ts";
import {
  DOMID_SELF,
  GNTCOPY_DEST_GREF,
  GNTCOPY_SOURCE_GREF,
  GNTST_BAD_COPY_ARG,
  GNTST_BAD_DOMAIN,
  GNTST_BAD_PAGE,
  GNTST_GENERAL_ERROR,
  GNTST_OKAY,
  GNTST_PERMISSION_DENIED,
} from "../../abi/xen.ts";
import {
  GNTTAB_COPY_DEST,
  GNTTAB_COPY_FLAGS,
  GNTTAB_COPY_LEN,
  GNTTAB_COPY_PTR_DOMID,
  GNTTAB_COPY_PTR_OFFSET,
  GNTTAB_COPY_SOURCE,
} from "../../abi/xen-layout.ts";
import { PAGE_OWNED, PAGE_SHARED } from "../../abi/xen-memory.ts";
import type { XenDomain } from "./domain.ts";
import type { GrantUse } from "./grants.ts";
import { hostGrantStatus, type Neighbour } from "./xen-machine.ts";

/** A page of some domain's that is held for the copy, or why there is none. */
interface Side {
  readonly status: number;
  readonly owner: Neighbour;
  readonly mfn: number;
  /** The bytes of it that may be used. */
  readonly offset: number;
  readonly length: number;
  readonly release: () => void;
}

/** Performs one entry of the list. @returns GNTST_*. */
export function copyGrant(domain: XenDomain, entry: DataView): number {
  const flags = entry.getUint16(GNTTAB_COPY_FLAGS, true);
  const domids = [GNTTAB_COPY_SOURCE, GNTTAB_COPY_DEST].map((at) =>
    entry.getUint16(at + GNTTAB_COPY_PTR_DOMID, true),
  );
  const byRef = [(flags & GNTCOPY_SOURCE_GREF) !== 0, (flags & GNTCOPY_DEST_GREF) !== 0];
  for (const [side, domid] of domids.entries()) {
    if (domid !== DOMID_SELF && !byRef[side]) return GNTST_PERMISSION_DENIED;
    if (!domain.isSelf(domid) && !domain.machine.isThere(domid)) return GNTST_BAD_DOMAIN;
  }
  const take = (side: number, at: number): Side => {
    const number = entry.getUint32(at, true);
    const isWrite = side === 1;
    return byRef[side]
      ? takeGranted(domain, domids[side]!, number, isWrite)
      : takeOwn(domain, number, isWrite);
  };
  const source = take(0, GNTTAB_COPY_SOURCE);
  if (source.status !== GNTST_OKAY) return source.status;
  const target = take(1, GNTTAB_COPY_DEST);
  const status = target.status === GNTST_OKAY ? copyBytes(entry, source, target) : target.status;
  target.release();
  source.release();
  return status;
}

function copyBytes(entry: DataView, source: Side, target: Side): number {
  const length = entry.getUint16(GNTTAB_COPY_LEN, true);
  const from = entry.getUint16(GNTTAB_COPY_SOURCE + GNTTAB_COPY_PTR_OFFSET, true);
  const to = entry.getUint16(GNTTAB_COPY_DEST + GNTTAB_COPY_PTR_OFFSET, true);
  if (from + length > PAGE_BYTES || to + length > PAGE_BYTES) return GNTST_BAD_COPY_ARG;
  if (!isWithin(source, from, length) || !isWithin(target, to, length)) return GNTST_GENERAL_ERROR;
  const bytes = source.owner.host.memory.read(source.mfn * PAGE_BYTES + from, length);
  target.owner.host.memory.write(target.mfn * PAGE_BYTES + to, bytes);
  return GNTST_OKAY;
}

function isWithin(side: Side, offset: number, length: number): boolean {
  return offset >= side.offset && offset + length <= side.offset + side.length;
}

/** A page of the caller's own, by its frame number. */
function takeOwn(domain: XenDomain, mfn: number, isWrite: boolean): Side {
  const { core, guest, vcpu } = domain.host;
  const verbs = core.exports;
  const isOwn = (verbs.xenTypeOf(guest, mfn) & (PAGE_OWNED | PAGE_SHARED)) !== 0;
  if (!isOwn) return none(domain, GNTST_BAD_PAGE);
  const rights = isWrite ? 1 : 0;
  if (verbs.xenGetFrame(vcpu.ptr, mfn, rights) !== 0) return none(domain, GNTST_GENERAL_ERROR);
  const release = () => verbs.xenPutFrame(vcpu.ptr, mfn, rights);
  return { status: GNTST_OKAY, owner: domain, mfn, offset: 0, length: PAGE_BYTES, release };
}

/** A page that a domain grants to the caller. */
function takeGranted(domain: XenDomain, domid: number, ref: number, isWrite: boolean): Side {
  const granter = domain.isSelf(domid) ? domain : domain.machine.find(domid);
  if (granter === undefined) return none(domain, hostGrantStatus(ref));
  const use: GrantUse = {
    domid: domain.domid,
    kinds: [isWrite ? "write" : "read"],
    isMap: false,
  };
  const passed = granter.grants.passedOn(ref);
  if (passed === undefined) return takeFrom(granter, ref, use);
  const refused = granter.grants.checkPassing(ref, use);
  if (refused !== GNTST_OKAY) return none(granter, refused);
  // One step only, and not back to the domain that passes it on.
  const origin = passed.domid === granter.domid ? undefined : domain.machine.find(passed.domid);
  if (origin === undefined) return none(granter, GNTST_GENERAL_ERROR);
  if (origin.grants.passedOn(passed.ref) !== undefined) return none(granter, GNTST_GENERAL_ERROR);
  const inner = takeFrom(origin, passed.ref, { ...use, domid: granter.domid });
  if (inner.status !== GNTST_OKAY) return inner;
  granter.grants.beginPassing(ref, use, inner);
  const release = () => {
    granter.grants.end(ref, use.kinds);
    inner.release();
  };
  return { ...inner, release };
}

function takeFrom(owner: Neighbour, ref: number, use: GrantUse): Side {
  const granted = owner.grants.begin(ref, use);
  const isGranted = granted.status === GNTST_OKAY;
  return { ...granted, owner, release: () => isGranted && owner.grants.end(ref, use.kinds) };
}

function none(owner: Neighbour, status: number): Side {
  return { status, owner, mfn: 0, offset: 0, length: 0, release: () => {} };
}
