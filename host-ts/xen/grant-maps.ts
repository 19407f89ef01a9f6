/**
 * Pages of other domains that one domain has mapped: a handle for each mapping, and a window of its machine space in which every such page
 * has a frame number of its own. A page of its own that a domain grants to itself keeps its number.
 *
 * Source: Xen's public grant_table.h and the behaviour of Xen 4.17. Status values are GNTST_*.
 */
import { PAGE_BITS, PAGE_BYTES } from "../../abi/memory.ts";
import { PTE_A, PTE_D, PTE_NX_HIGH, PTE_P, PTE_RW, PTE_US } from "../../abi/x86.ts";
import {
  GNTMAP_APPLICATION_MAP,
  GNTMAP_CONTAINS_PTE,
  GNTMAP_DEVICE_MAP,
  GNTMAP_GUEST_AVAIL_SHIFT,
  GNTMAP_HOST_MAP,
  GNTMAP_READONLY,
  GNTST_BAD_DEV_ADDR,
  GNTST_BAD_HANDLE,
  GNTST_GENERAL_ERROR,
  GNTST_NO_SPACE,
  GNTST_OKAY,
  INVALID_M2P_ENTRY,
} from "../../abi/xen.ts";
import { XEN_FOREIGN_FRAMES } from "../../abi/xen-memory.ts";
import { assertHost, SnapshotError } from "../base/errors.ts";
import type { PersonalityHost } from "../base/personality.ts";
import type { GrantTable, PinKind } from "./grants.ts";
import type { MachineMap } from "./machine-map.ts";
import type { Reservation } from "./reservation.ts";

/** The bits of an entry that are the guest's own. */
const AVAILABLE_SHIFT = 9;
const AVAILABLE_MASK = 0xe00;
const ENTRY_BYTES = 8;
const EVERY_MAP = GNTMAP_HOST_MAP | GNTMAP_DEVICE_MAP;

/** Whose page is to be mapped. */
export interface Granter {
  readonly grants: GrantTable;
  readonly reservation: Reservation;
}

/** struct gnttab_map_grant_ref, as asked. */
export interface MapRequest {
  readonly ref: number;
  readonly flags: number;
  /** Linear address of the mapping, or machine address of its entry; undefined: past 4 GiB. */
  readonly hostAddress: number | undefined;
}

/** What it answers: handle and bus address where status is GNTST_OKAY. */
export interface MapAnswer {
  readonly status: number;
  readonly handle: number;
  readonly busAddress: number;
}

/** struct gnttab_unmap_grant_ref and gnttab_unmap_and_replace; undefined: past 4 GiB. */
export interface UnmapRequest {
  readonly handle: number;
  readonly hostAddress: number | undefined;
  readonly busAddress: number | undefined;
  readonly newAddress: number | undefined;
}

interface Mapping {
  readonly table: GrantTable;
  readonly ref: number;
  /** GNTMAP_*; the kinds of mapping that are left. */
  flags: number;
  /** Machine frame here. */
  readonly mfn: number;
  readonly page: ForeignPage | undefined;
}

/** A page of another domain's in the window. */
interface ForeignPage {
  readonly table: GrantTable;
  readonly otherMfn: number;
  readonly mfn: number;
  users: number;
}

/** What mappings need of their domain. */
export interface MappingDomain {
  readonly host: PersonalityHost;
  readonly map: MachineMap;
  readonly grants: GrantTable;
  readonly reservation: Reservation;
}

/** See the file header. */
export class GrantMaps {
  readonly #domain: MappingDomain;
  readonly #mappings = new Map<number, Mapping>();
  /** Handles that were used before, the one that rests longest first. */
  readonly #freeHandles: number[] = [];
  #nextHandle = 0;
  readonly #pages = new Map<number, ForeignPage>();

  constructor(domain: MappingDomain) {
    this.#domain = domain;
  }

  /** Mappings that there are. */
  get size(): number {
    return this.#mappings.size;
  }

  /** GNTTABOP_map_grant_ref, of a domain that is there, for flags that ask for a mapping. */
  map(granter: Granter, { ref, flags, hostAddress }: MapRequest): MapAnswer {
    const { grants } = this.#domain;
    const kinds = kindsOf(flags, EVERY_MAP);
    const granted = granter.grants.begin(ref, { domid: grants.domid, kinds, isMap: true });
    if (granted.status !== GNTST_OKAY) return refuse(granted.status);
    const isOwn = granter.grants === grants;
    const page = isOwn ? undefined : this.#showPage(granter, granted.mfn);
    if (!isOwn && page === undefined) {
      granter.grants.end(ref, kinds);
      return refuse(GNTST_NO_SPACE);
    }
    const mfn = page?.mfn ?? granted.mfn;
    const mapping = { table: granter.grants, ref, flags, mfn, page };
    if ((flags & GNTMAP_HOST_MAP) !== 0 && !this.#enter(mapping, hostAddress)) {
      this.#drop(mapping, kinds);
      return refuse(GNTST_GENERAL_ERROR);
    }
    const handle = this.#freeHandles.shift() ?? this.#nextHandle++;
    this.#mappings.set(handle, mapping);
    return { status: GNTST_OKAY, handle, busAddress: mfn * PAGE_BYTES };
  }

  /** GNTTABOP_unmap_grant_ref and GNTTABOP_unmap_and_replace. Addresses that are 0 leave that mapping as it is. @returns GNTST_*. */
  unmap({ handle, hostAddress, busAddress, newAddress }: UnmapRequest): number {
    const mapping = this.#mappings.get(handle);
    if (mapping === undefined) return GNTST_BAD_HANDLE;
    const { flags } = mapping;
    const isDevice = busAddress !== 0 && (flags & GNTMAP_DEVICE_MAP) !== 0;
    if (isDevice && busAddress !== mapping.mfn * PAGE_BYTES) return GNTST_BAD_DEV_ADDR;
    const isHost = hostAddress !== 0 && (flags & GNTMAP_HOST_MAP) !== 0;
    if (isHost && !this.#clear(mapping, hostAddress, newAddress)) return GNTST_GENERAL_ERROR;
    const done = (isHost ? GNTMAP_HOST_MAP : 0) | (isDevice ? GNTMAP_DEVICE_MAP : 0);
    mapping.flags &= ~done;
    mapping.table.end(mapping.ref, kindsOf(flags, done));
    if ((mapping.flags & EVERY_MAP) === 0) this.#forget(handle, mapping);
    return GNTST_OKAY;
  }

  /** The domain is gone: its granters see that nobody uses their pages. Its own frames go with its memory. */
  releaseAll(): void {
    for (const { table, ref, flags } of this.#mappings.values()) {
      table.end(ref, kindsOf(flags, EVERY_MAP));
    }
    this.#mappings.clear();
    this.#pages.clear();
  }

  /** Whether the domain has mapped the page at this machine address, which is not its own. */
  hasMapped(mfn: number): boolean {
    return this.#pages.has(mfn);
  }

  /** Serialisable state. */
  save(): Record<string, unknown> {
    const mappings = [...this.#mappings].map(([handle, { table, ref, flags, mfn }]) => {
      return { handle, domid: table.domid, ref, flags, mfn };
    });
    return { mappings, freeHandles: [...this.#freeHandles], nextHandle: this.#nextHandle };
  }

  /** Continues from saved state. Throws SnapshotError for that of a domain which had pages of others: a kernel gives them back before it suspends itself. */
  restore(state: Record<string, unknown>): void {
    if ((state.mappings as unknown[]).length > 0) {
      throw new SnapshotError("the domain had mapped pages of other domains, which are not here");
    }
    this.#freeHandles.splice(0, Number.POSITIVE_INFINITY, ...(state.freeHandles as number[]));
    this.#nextHandle = state.nextHandle as number;
  }

  /** A number in the window for a page of another domain. @returns undefined when no more are free. */
  #showPage({ grants, reservation }: Granter, otherMfn: number): ForeignPage | undefined {
    for (const page of this.#pages.values()) {
      if (page.table !== grants || page.otherMfn !== otherMfn) continue;
      page.users++;
      return page;
    }
    const { host, map } = this.#domain;
    let mfn = map.foreignMfn;
    while (this.#pages.has(mfn)) mfn++;
    if (mfn >= map.foreignMfn + XEN_FOREIGN_FRAMES) return undefined;
    const { exports } = host.core;
    if (exports.xenShareFrame(host.guest, mfn, grants.guest, otherMfn, 0) === 0) return undefined;
    const page = { table: grants, otherMfn, mfn, users: 1 };
    this.#pages.set(mfn, page);
    this.#domain.reservation.setPfn(mfn, reservation.pfnOf(otherMfn));
    return page;
  }

  /** Makes the entry that a mapping asks for. @returns false when there is none that it could be. */
  #enter({ flags, mfn }: Mapping, hostAddress: number | undefined): boolean {
    const at = placeOf(flags, hostAddress);
    if (at === undefined) return false;
    const available = ((flags >>> GNTMAP_GUEST_AVAIL_SHIFT) << AVAILABLE_SHIFT) & AVAILABLE_MASK;
    const user = (flags & GNTMAP_APPLICATION_MAP) === 0 ? 0 : PTE_US;
    const low = (mfn << PAGE_BITS) | PTE_P | PTE_A | PTE_D | rightsOf(flags) | user | available;
    const { core, vcpu } = this.#domain.host;
    return core.exports.xenMapGranted(vcpu.ptr, at.entryGpa, at.lin, low, PTE_NX_HIGH) === 0;
  }

  /** Clears the entry at an address, if it is such a mapping's, or puts that of `newAddress` there. */
  #clear(
    { flags, mfn }: Mapping,
    hostAddress: number | undefined,
    newAddress: number | undefined,
  ): boolean {
    const at = placeOf(flags, hostAddress);
    const isReplaceable = newAddress === 0 || (flags & GNTMAP_CONTAINS_PTE) === 0;
    if (at === undefined || newAddress === undefined || !isReplaceable) return false;
    const { core, vcpu } = this.#domain.host;
    const rights = rightsOf(flags);
    const { entryGpa, lin } = at;
    return core.exports.xenUnmapGranted(vcpu.ptr, entryGpa, lin, mfn, rights, newAddress) === 0;
  }

  #forget(handle: number, mapping: Mapping): void {
    this.#mappings.delete(handle);
    this.#freeHandles.push(handle);
    this.#drop(mapping, []);
  }

  /** Gives back what a mapping holds besides its entry. */
  #drop({ table, ref, page }: Mapping, kinds: readonly PinKind[]): void {
    if (kinds.length > 0) table.end(ref, kinds);
    if (page === undefined || --page.users > 0) return;
    const { host, reservation } = this.#domain;
    const isGone = host.core.exports.xenUnshareFrame(host.guest, page.mfn) !== 0;
    assertHost(isGone, `nothing maps foreign frame ${page.mfn} without a handle`);
    this.#pages.delete(page.mfn);
    reservation.setPfn(page.mfn, INVALID_M2P_ENTRY);
  }
}

function kindsOf(flags: number, which: number): PinKind[] {
  const kinds: PinKind[] = [];
  const isRead = (flags & GNTMAP_READONLY) !== 0;
  if ((flags & which & GNTMAP_HOST_MAP) !== 0) kinds.push(isRead ? "read" : "write");
  if ((flags & which & GNTMAP_DEVICE_MAP) !== 0) kinds.push(isRead ? "deviceRead" : "deviceWrite");
  return kinds;
}

function rightsOf(flags: number): number {
  return (flags & GNTMAP_READONLY) === 0 ? PTE_RW : 0;
}

/** Where the entry of a mapping is: at a machine address, or where a linear one is mapped. */
function placeOf(flags: number, address: number | undefined) {
  if (address === undefined) return undefined;
  if ((flags & GNTMAP_CONTAINS_PTE) === 0) return { entryGpa: 0, lin: address };
  return address === 0 || address % ENTRY_BYTES !== 0 ? undefined : { entryGpa: address, lin: 0 };
}

function refuse(status: number): MapAnswer {
  return { status, handle: 0, busAddress: 0 };
}
