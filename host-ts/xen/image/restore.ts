/**
 * An image becomes a domain with other machine frames. What the guest laid down is checked as when it did so itself: a page table that Xen
 * would refuse is refused here, whatever the image says.
 */
import { PAGE_BYTES } from "../../../abi/memory.ts";
import { GUEST_XEN_ASSISTS } from "../../../abi/vcpu.ts";
import { VMASST_TYPE_RUNSTATE_UPDATE_FLAG } from "../../../abi/xen.ts";
import {
  CUR_EDX,
  SI_EVTCHN_MASK,
  SI_EVTCHN_PENDING,
  SI_P2M_CR3,
  SI_PFN_TO_MFN_FRAME_LIST_LIST,
  SI_WC_VERSION,
  START_CONSOLE_EVTCHN,
  START_CONSOLE_MFN,
  START_FLAGS,
  START_SHARED_INFO,
  START_STORE_EVTCHN,
  START_STORE_MFN,
  VGC_USER_REGS,
  VGC_VM_ASSIST,
} from "../../../abi/xen-layout.ts";
import { PGT_L3, PGT_NONE } from "../../../abi/xen-memory.ts";
import { SnapshotError } from "../../base/errors.ts";
import type { XenDomain } from "../domain.ts";
import { setKernelMode } from "../processor.ts";
import { INVALID_P2M } from "../reservation.ts";
import { type DomainImage, type ImagePage, P2M_ENTRIES_PER_PAGE } from "./format.ts";
import { guestSlots, renameFrames } from "./page-tables.ts";
import { loadExtra, renameRegisters } from "./vcpu-record.ts";

const WORD_BYTES = 4;
/** Assists that there are. */
const ASSISTS = 2 ** (VMASST_TYPE_RUNSTATE_UPDATE_FLAG + 1) - 1;

/** The domain's event channels to the Host, as they are now. */
export interface HostPorts {
  readonly storePort: number;
  readonly consolePort: number;
}

/** Machine frames of the two pages that the domain shares with the Host. */
export interface HostPages {
  readonly storeMfn: number;
  readonly consoleMfn: number;
}

/**
 * Fills the frames of a fresh domain that was made for the image's pages.
 * @throws SnapshotError for an image whose pages name pages that it does not have
 */
export function restoreMemory(domain: XenDomain, image: DomainImage, ports: HostPorts): HostPages {
  const mfnOf = (pfn: number): number | undefined => {
    const mfn = domain.reservation.firstP2m[pfn];
    return mfn === INVALID_P2M ? undefined : mfn;
  };
  const types = new Map(image.pages.map(({ pfn, type }) => [pfn, type]));
  /** Machine frame of a page that is no page table. */
  const dataMfn = (pfn: number, what: string): number => {
    const mfn = mfnOf(pfn);
    if (mfn === undefined || types.get(pfn) !== PGT_NONE) {
      throw bad(`${what} is in page ${pfn}, where it cannot be`);
    }
    return mfn;
  };
  for (const page of image.pages) writePage(domain, page, mfnOf);
  const listMfns = image.p2mPfns.map((pfn) => dataMfn(pfn, "the list of machine frames"));
  writeGuestP2m(domain, listMfns, image.about.pfns, mfnOf);
  writeSharedInfo(domain, image.sharedInfo);
  if (image.memoryMap !== undefined) domain.reservation.memoryMap = image.memoryMap.slice();
  return writeStartInfo(domain, image, ports, dataMfn);
}

/** Checks and pins the page tables, and gives the vCPUs their registers. Throws SnapshotError for those that break a rule. */
export function restoreProcessors(domain: XenDomain, image: DomainImage): void {
  const { host, reservation, vcpus } = domain;
  const mfnOf = (pfn: number): number | undefined => {
    const mfn = reservation.firstP2m[pfn];
    return mfn === INVALID_P2M ? undefined : mfn;
  };
  for (const vcpu of host.vcpus) setKernelMode(vcpu);
  pinTables(domain, image.pages);
  vcpus.clear();
  for (const { id, context, extra } of image.vcpus) {
    const vcpu = host.vcpus[id]!;
    const own = context.slice();
    const view = new DataView(own.buffer);
    const startInfo = mfnOf(view.getUint32(VGC_USER_REGS + CUR_EDX, true));
    if (id === image.about.caller) view.setUint32(VGC_USER_REGS + CUR_EDX, startInfo!, true);
    if (id === image.about.caller) setAssists(domain, view.getUint32(VGC_VM_ASSIST, true));
    if (!renameRegisters(view, mfnOf) || vcpus.initialise(vcpu, view) !== 0) {
      throw bad(`vCPU ${id} has tables that break a rule`);
    }
    loadExtra(vcpu, extra);
  }
  for (const { id } of image.vcpus) {
    if (!vcpus.start(host.vcpus[id]!)) throw bad(`vCPU ${id} cannot go on where it stands`);
  }
}

function writePage(
  { host: { memory } }: XenDomain,
  { pfn, type, bytes }: ImagePage,
  mfnOf: (pfn: number) => number | undefined,
): void {
  // A fresh frame is zero.
  if (bytes === undefined) return;
  const at = mfnOf(pfn)! * PAGE_BYTES;
  if (type === PGT_NONE) {
    memory.write(at, bytes);
    return;
  }
  const table = bytes.slice();
  const stray = renameFrames(table, guestSlots(0, type), mfnOf);
  if (stray !== undefined) {
    throw bad(`the page table in page ${pfn} leads to page ${stray.frame}, which is missing`);
  }
  memory.write(at, table);
}

/** Entries of pages that the domain has; what the guest wrote for others is its own business. */
function writeGuestP2m(
  { host: { memory } }: XenDomain,
  listMfns: readonly number[],
  pfns: number,
  mfnOf: (pfn: number) => number | undefined,
): void {
  for (let pfn = 0; pfn < pfns; pfn++) {
    const mfn = mfnOf(pfn);
    if (mfn === undefined) continue;
    const page = listMfns[Math.floor(pfn / P2M_ENTRIES_PER_PAGE)]!;
    memory.writeU32(page * PAGE_BYTES + WORD_BYTES * (pfn % P2M_ENTRIES_PER_PAGE), mfn);
  }
}

/** The guest's part: its struct vcpu_info, and what it says of itself. Every channel is new, so every one is masked. */
function writeSharedInfo({ host: { memory }, sharedInfoGpa }: XenDomain, page: Uint8Array): void {
  memory.write(sharedInfoGpa, page.subarray(0, SI_EVTCHN_PENDING));
  memory.fill(sharedInfoGpa + SI_EVTCHN_PENDING, SI_EVTCHN_MASK - SI_EVTCHN_PENDING, 0);
  memory.fill(sharedInfoGpa + SI_EVTCHN_MASK, SI_WC_VERSION - SI_EVTCHN_MASK, 0xff);
  const arch = SI_WC_VERSION + ARCH_OFFSET;
  memory.write(sharedInfoGpa + arch, page.subarray(arch, SI_P2M_CR3 + 3 * WORD_BYTES));
  for (const field of [SI_PFN_TO_MFN_FRAME_LIST_LIST, SI_P2M_CR3]) {
    memory.writeU32(sharedInfoGpa + field, 0);
  }
}
/** Bytes of the wall clock before struct arch_shared_info. */
const ARCH_OFFSET = 3 * WORD_BYTES;

/** The page by which the guest finds what is new. It left pseudo-physical numbers there. */
function writeStartInfo(
  { host: { memory }, sharedInfoGpa }: XenDomain,
  { about, vcpus }: DomainImage,
  { storePort, consolePort }: HostPorts,
  dataMfn: (pfn: number, what: string) => number,
): HostPages {
  const { context } = vcpus.find(({ id }) => id === about.caller)!;
  const view = new DataView(context.buffer, context.byteOffset, context.byteLength);
  const startInfo = dataMfn(view.getUint32(VGC_USER_REGS + CUR_EDX, true), "start_info");
  const at = startInfo * PAGE_BYTES;
  const storeMfn = dataMfn(memory.readU32(at + START_STORE_MFN), "the page of xenstore");
  const consoleMfn = dataMfn(memory.readU32(at + START_CONSOLE_MFN), "the page of the console");
  memory.writeU32(at + START_SHARED_INFO, sharedInfoGpa);
  memory.writeU32(at + START_FLAGS, 0);
  memory.writeU32(at + START_STORE_MFN, storeMfn);
  memory.writeU32(at + START_STORE_EVTCHN, storePort);
  memory.writeU32(at + START_CONSOLE_MFN, consoleMfn);
  memory.writeU32(at + START_CONSOLE_EVTCHN, consolePort);
  return { storeMfn, consoleMfn };
}

/** The lowest first; a directory that is mapped into another one has to wait for it. */
function pinTables({ host, reservation }: XenDomain, pages: readonly ImagePage[]): void {
  const pinned = pages.filter(({ isPinned }) => isPinned);
  let waiting = pinned.toSorted((a, b) => a.type - b.type);
  while (waiting.length > 0) {
    const refused = waiting.filter(
      ({ pfn, type }) =>
        host.core.exports.xenPin(host.vcpu.ptr, reservation.firstP2m[pfn]!, type) !== 0,
    );
    if (refused.length === waiting.length) {
      const [{ pfn, type }] = refused as [ImagePage];
      throw bad(`the L${type - PGT_L3 + 3} page table in page ${pfn} breaks a rule`);
    }
    waiting = refused;
  }
}

function setAssists({ host: { core, guest } }: XenDomain, assists: number): void {
  const at = guest + GUEST_XEN_ASSISTS;
  core.words(at + WORD_BYTES).setUint32(at, assists & ASSISTS, true);
}

/** What is wrong with an image that reads well. */
function bad(what: string): SnapshotError {
  return new SnapshotError(`the domain in the image cannot be restored: ${what}`);
}
