/**
 * A suspended domain becomes an image: every page by its pseudo-physical number, page tables and registers without machine frames.
 * Source: Xen's docs/specs/libxc-migration-stream.pandoc.
 */
import { PAGE_BYTES } from "../../../abi/memory.ts";
import { GUEST_XEN_ASSISTS, VCPU_XEN_MC_LEFT } from "../../../abi/vcpu.ts";
import {
  CUR_EAX,
  CUR_EDX,
  SI_VCPU_INFO,
  VCPU_INFO_BYTES,
  VGC_BYTES,
  VGC_USER_REGS,
  VI_PENDING_SEL,
  VI_UPCALL_PENDING,
  XEN_LEGACY_MAX_VCPUS,
} from "../../../abi/xen-layout.ts";
import {
  PAGE_COUNT_MASK,
  PAGE_PINNED,
  PAGE_VALIDATED,
  PGT_L1,
  PGT_L3,
  PGT_NONE,
  PGT_SHIFT,
} from "../../../abi/xen-memory.ts";
import { SnapshotError } from "../../base/errors.ts";
import type { VcpuBlock } from "../../base/vcpu-block.ts";
import type { XenDomain } from "../domain.ts";
import type { DomainAbout } from "./about.ts";
import type { DomainImage, ImagePage, ImageVcpu } from "./format.ts";
import { type GuestP2m, readGuestP2m } from "./guest-p2m.ts";
import { guestSlots, renameFrames } from "./page-tables.ts";
import { saveExtra, saveRegisters } from "./vcpu-record.ts";

/** What the image is told of the domain besides. */
export type DomainFacts = Pick<
  DomainAbout,
  "name" | "cpu" | "startTimeMs" | "disks" | "networkCards"
> &
  Pick<DomainImage, "consoleInput">;

/**
 * The image of a domain whose current vCPU has suspended it.
 * @throws SnapshotError for a guest that is not ready for it: what it did wrong
 */
export function saveDomain(domain: XenDomain, facts: DomainFacts): DomainImage {
  const { host } = domain;
  const caller = host.vcpu;
  if (caller.u32(VCPU_XEN_MC_LEFT) !== 0) {
    throw new SnapshotError("the guest suspended itself in the middle of a multicall");
  }
  const p2m = readGuestP2m(domain);
  const m2p = domain.reservation.readM2p();
  /** Pseudo-physical number of a frame, as both lists have it. */
  const pfnOf = (mfn: number): number | undefined => {
    const pfn = m2p[mfn];
    const isKnown = pfn !== undefined && p2m.mfns[pfn] === mfn && domain.reservation.owns(mfn);
    return isKnown ? pfn : undefined;
  };
  const rename = (what: string, mfn: number): number => {
    const pfn = pfnOf(mfn);
    if (pfn !== undefined) return pfn;
    throw new SnapshotError(
      `${what} names machine frame 0x${mfn.toString(16)}, which the guest's list does not have`,
    );
  };
  const vcpus = host.vcpus.filter((vcpu) => domain.vcpus.isUp(vcpu));
  return {
    about: {
      name: facts.name,
      cpu: facts.cpu,
      startTimeMs: facts.startTimeMs,
      vcpus: host.vcpus.length,
      memoryBytes: host.memory.ramBytes,
      pfns: p2m.mfns.length,
      caller: caller.id,
      systemTimeNs: host.clock.nowNs,
      disks: facts.disks,
      networkCards: facts.networkCards,
    },
    pages: savePages(domain, p2m, pfnOf),
    p2mPfns: p2m.pageMfns.map((mfn) => rename("the list of machine frames", mfn)),
    sharedInfo: saveSharedInfo(domain),
    vcpus: vcpus.map((vcpu) => saveVcpu(domain, vcpu, rename)),
    consoleInput: facts.consoleInput,
    memoryMap: domain.reservation.memoryMap,
  };
}

function savePages(
  domain: XenDomain,
  { mfns }: GuestP2m,
  pfnOf: (mfn: number) => number | undefined,
): ImagePage[] {
  const { core, guest, memory } = domain.host;
  const pages: ImagePage[] = [];
  for (const [pfn, mfn] of mfns.entries()) {
    if (pfnOf(mfn) !== pfn) continue;
    const bits = core.exports.xenTypeOf(guest, mfn);
    const type = tableType(bits);
    const bytes = memory.read(mfn * PAGE_BYTES, PAGE_BYTES);
    if (type !== PGT_NONE) {
      const stray = renameFrames(bytes, guestSlots(bits, type), pfnOf);
      if (stray !== undefined) throw strayEntry(pfn, type, stray);
    }
    const isPinned = type !== PGT_NONE && (bits & PAGE_PINNED) !== 0;
    pages.push({ pfn, type, isPinned, bytes: isZero(bytes) ? undefined : bytes });
  }
  return pages;
}

/** @returns PGT_* of a page table in use, PGT_NONE for every other page. */
function tableType(bits: number): number {
  const type = bits >>> PGT_SHIFT;
  const isTable = type >= PGT_L1 && type <= PGT_L3;
  const isUsed = (bits & PAGE_COUNT_MASK) !== 0 && (bits & PAGE_VALIDATED) !== 0;
  return isTable && isUsed ? type : PGT_NONE;
}

function strayEntry(
  pfn: number,
  type: number,
  { slot, frame }: { readonly slot: number; readonly frame: number },
): SnapshotError {
  const level = type - PGT_L1 + 1;
  return new SnapshotError(
    `entry ${slot} of the L${level} page table in page ${pfn} maps machine frame 0x${frame.toString(16)}, which is none of the guest's: ` +
      "it must let go of shared_info, grant tables and pages of others before it suspends",
  );
}

function isZero(bytes: Uint8Array): boolean {
  return new Uint32Array(bytes.buffer, bytes.byteOffset, PAGE_BYTES / 4).every(
    (word) => word === 0,
  );
}

/** With each struct vcpu_info as it is now, wherever the guest moved it, and nothing pending. */
function saveSharedInfo(domain: XenDomain): Uint8Array {
  const { memory, vcpus } = domain.host;
  const page = memory.read(domain.sharedInfoGpa, PAGE_BYTES);
  for (const vcpu of vcpus) {
    const info = memory.read(domain.vcpuInfoGpa(vcpu), VCPU_INFO_BYTES);
    page.set(info, SI_VCPU_INFO + vcpu.id * VCPU_INFO_BYTES);
  }
  const view = new DataView(page.buffer);
  for (let id = 0; id < XEN_LEGACY_MAX_VCPUS; id++) {
    const info = SI_VCPU_INFO + id * VCPU_INFO_BYTES;
    view.setUint8(info + VI_UPCALL_PENDING, 0);
    view.setUint32(info + VI_PENDING_SEL, 0, true);
  }
  return page;
}

/** The one that suspended the domain finds its call answered with 0; EDX holds the frame of struct start_info, as the call had it. */
function saveVcpu(
  domain: XenDomain,
  vcpu: VcpuBlock,
  rename: (what: string, mfn: number) => number,
): ImageVcpu {
  const { host } = domain;
  const context = new Uint8Array(VGC_BYTES);
  const view = new DataView(context.buffer);
  const assists = host.core.words(host.guest + GUEST_XEN_ASSISTS + 4);
  saveRegisters(vcpu, view, {
    assists: assists.getUint32(host.guest + GUEST_XEN_ASSISTS, true),
    rename: (mfn) => rename(`vCPU ${vcpu.id}`, mfn),
  });
  if (vcpu === host.vcpu) {
    view.setUint32(VGC_USER_REGS + CUR_EAX, 0, true);
    const startInfo = view.getUint32(VGC_USER_REGS + CUR_EDX, true);
    view.setUint32(
      VGC_USER_REGS + CUR_EDX,
      rename("EDX, which should name start_info,", startInfo),
      true,
    );
  }
  return { id: vcpu.id, context, extra: saveExtra(vcpu) };
}
