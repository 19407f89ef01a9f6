/**
 * The guest's own list of machine frames, found as struct shared_info tells: by a tree of frames, or by a virtual address.
 * Source: Xen's public arch-x86/xen.h, "struct arch_shared_info".
 */
import { PAGE_BITS, PAGE_BYTES } from "../../../abi/memory.ts";
import { PTE_P } from "../../../abi/x86.ts";
import { HYPERVISOR_VIRT_START } from "../../../abi/xen.ts";
import {
  SI_MAX_PFN,
  SI_P2M_CR3,
  SI_P2M_VADDR,
  SI_PFN_TO_MFN_FRAME_LIST_LIST,
} from "../../../abi/xen-layout.ts";
import { SnapshotError } from "../../base/errors.ts";
import type { XenDomain } from "../domain.ts";
import { mfnOfCr3 } from "../vcpu-context.ts";
import { PFNS_MAX } from "./about.ts";
import { P2M_ENTRIES_PER_PAGE } from "./format.ts";

/** The list as the guest has it. */
export interface GuestP2m {
  /** Machine frames of the list's pages, in order. */
  readonly pageMfns: readonly number[];
  /** Machine frames by pseudo-physical ones; what is no frame of the domain's stands for none. */
  readonly mfns: Uint32Array;
}

/** Throws SnapshotError for a guest that keeps no list, or one that leads outside of its memory. */
export function readGuestP2m(domain: XenDomain): GuestP2m {
  const { host, sharedInfoGpa } = domain;
  const field = (at: number) => host.memory.readU32(sharedInfoGpa + at);
  const pfns = field(SI_MAX_PFN);
  const tree = field(SI_PFN_TO_MFN_FRAME_LIST_LIST);
  const cr3 = field(SI_P2M_CR3);
  if (pfns === 0 || (cr3 === 0 && tree === 0)) {
    throw new SnapshotError(
      "the guest has not told where its list of machine frames is, without which it cannot be given others",
    );
  }
  if (pfns > PFNS_MAX) {
    throw new SnapshotError(`the guest counts ${pfns} pages, more than ${PFNS_MAX}`);
  }
  const pages = Math.ceil(pfns / P2M_ENTRIES_PER_PAGE);
  const pageMfns = cr3 === 0 ? byTree(domain, tree, pages) : byAddress(domain, cr3, pages);
  const mfns = new Uint32Array(pages * P2M_ENTRIES_PER_PAGE);
  const bytes = new Uint8Array(mfns.buffer);
  for (const [index, mfn] of pageMfns.entries()) {
    host.memory.readInto(
      mfn * PAGE_BYTES,
      bytes.subarray(index * PAGE_BYTES).subarray(0, PAGE_BYTES),
    );
  }
  return { pageMfns, mfns: mfns.subarray(0, pfns) };
}

/** A frame of frames of the list's pages; there is one list of those for every 1024 of them. */
function byTree(domain: XenDomain, topMfn: number, pages: number): number[] {
  const { memory } = domain.host;
  const top = own(domain, topMfn) * PAGE_BYTES;
  return Array.from({ length: pages }, (_, index) => {
    const list = memory.readU32(top + 4 * Math.floor(index / P2M_ENTRIES_PER_PAGE));
    const entry = own(domain, list) * PAGE_BYTES + 4 * (index % P2M_ENTRIES_PER_PAGE);
    return own(domain, memory.readU32(entry));
  });
}

function byAddress(domain: XenDomain, cr3: number, pages: number): number[] {
  const { memory } = domain.host;
  const start = memory.readU32(domain.sharedInfoGpa + SI_P2M_VADDR);
  if (start % PAGE_BYTES !== 0 || start + pages * PAGE_BYTES > HYPERVISOR_VIRT_START >>> 0) {
    throw noList(start / PAGE_BYTES);
  }
  return Array.from({ length: pages }, (_, index) => {
    const lin = start + index * PAGE_BYTES;
    let mfn = own(domain, mfnOfCr3(cr3));
    for (const shift of [30, 21, 12]) {
      const slot = (lin >>> shift) % (shift === 30 ? 4 : 512);
      const entry = memory.readU64(mfn * PAGE_BYTES + 8 * slot);
      if ((Number(entry) & PTE_P) === 0) throw noList(mfn);
      mfn = own(domain, Number((entry >> BigInt(PAGE_BITS)) & 0xffffffffffn));
    }
    return mfn;
  });
}

function own(domain: XenDomain, mfn: number): number {
  if (!domain.reservation.owns(mfn)) throw noList(mfn);
  return mfn;
}

function noList(mfn: number): SnapshotError {
  return new SnapshotError(
    `the guest's list of machine frames leads to frame 0x${mfn.toString(16)}, which is none of its own`,
  );
}
