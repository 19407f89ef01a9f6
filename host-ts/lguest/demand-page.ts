/**
 * The classic path's demand paging: a page fault of the shadow came out, and the guest's own tables say what it is. An entry that
 * allows the access is marked accessed (and dirty) and mapped; one that does not is the guest's fault; one that no lguest guest may
 * have is its death.
 *
 * Source: SDM 3A, "32-Bit Paging", "PAE Paging", "Access Rights"; lguest's rules about entries. CR0.WP is always set and EFER.NXE
 * never, because the guest can write neither.
 */

import { LGUEST_PDE_FLAGS, LGUEST_PDPTE_FLAGS } from "../../abi/lguest.ts";
import { PAGE_BITS, PAGE_BYTES } from "../../abi/memory.ts";
import {
  GUEST_LIMIT_FRAMES,
  GUEST_MMIO_END,
  GUEST_MMIO_START,
  KILL_BAD_PGD,
  KILL_BAD_PMD,
  KILL_BAD_PTE,
  PAGING_32,
  PAGING_NONE,
  VCPU_CR3,
  VCPU_PAGING,
} from "../../abi/vcpu.ts";
import {
  PAE_FRAME_HIGH,
  PAE_RESERVED_HIGH,
  PFERR_PRESENT,
  PFERR_RESERVED,
  PFERR_USER,
  PFERR_WRITE,
  PTE_A,
  PTE_D,
  PTE_NX_HIGH,
  PTE_P,
  PTE_PS,
  PTE_RW,
  PTE_US,
} from "../../abi/x86.ts";
import type { Core } from "../base/core.ts";
import { GuestCells } from "../base/guest-cells.ts";
import type { PersonalityHost } from "../base/personality.ts";
import { coreDeathText } from "./kill-reasons.ts";

const FLAGS_MASK = PAGE_BYTES - 1;
const FRAME_MASK = ~FLAGS_MASK;
/** EFER.NXE is never set: NX is reserved too. */
const RESERVED_HIGH = PAE_RESERVED_HIGH | PTE_NX_HIGH;
/** Stands for every frame past 4 GiB: no guest has it. */
const FRAME_PAST_4GIB = 0xfffff;

/** One guest's demand paging. No call of it allocates. */
export class DemandPager {
  readonly #host: PersonalityHost;
  readonly #core: Core;
  readonly #cells: GuestCells;
  readonly #vcpu: number;
  readonly #guest: number;

  constructor(host: PersonalityHost) {
    this.#host = host;
    this.#core = host.core;
    this.#cells = new GuestCells(host.core, host.guest);
    this.#vcpu = host.vcpu.ptr;
    this.#guest = host.guest;
  }

  /**
   * Maps the page of `lin`, or reflects the fault.
   * @param kind PFERR_WRITE, PFERR_USER and PFERR_FETCH of the access
   * @returns true when the guest goes on; false when the exit record, or its death, says why not.
   */
  demandPage(kind: number, lin: number): boolean {
    const paging = this.#core.cell(this.#vcpu + VCPU_PAGING);
    if (paging === PAGING_NONE)
      return this.#map(lin, kind, lin >>> PAGE_BITS, PTE_RW | PTE_US | PTE_D);
    return paging === PAGING_32 ? this.#walk32(kind, lin) : this.#walkPae(kind, lin);
  }

  #walk32(kind: number, lin: number): boolean {
    const pgdGpa = (this.#core.cell(this.#vcpu + VCPU_CR3) & FRAME_MASK) >>> 0;
    const pdeGpa = pgdGpa + ((lin >>> 20) & 0xffc);
    const pde = this.#cells.read(pdeGpa);
    if ((pde & PTE_P) === 0) return this.#reflect(kind, lin, 0);
    if ((pde & FLAGS_MASK & ~LGUEST_PDE_FLAGS) !== 0) return this.#kill(KILL_BAD_PGD, pde);
    const pteGpa = ((pde & FRAME_MASK) >>> 0) + ((lin >>> 10) & 0xffc);
    const pte = this.#cells.read(pteGpa);
    if ((pte & PTE_P) === 0) return this.#reflect(kind, lin, 0);
    const gfn = pte >>> PAGE_BITS;
    if (this.#isBadPte(pte, gfn)) return this.#badLeaf(kind, lin, pde, pte);
    return this.#finish(kind, lin, pdeGpa, pde, pteGpa, pte, gfn);
  }

  #walkPae(kind: number, lin: number): boolean {
    const pdptGpa = (this.#core.cell(this.#vcpu + VCPU_CR3) & ~31) >>> 0;
    const pdpteGpa = pdptGpa + ((lin >>> 30) << 3);
    const pdpte = this.#cells.read(pdpteGpa);
    if ((pdpte & PTE_P) === 0) return this.#reflect(kind, lin, 0);
    if ((pdpte & FLAGS_MASK & ~LGUEST_PDPTE_FLAGS) !== 0) return this.#kill(KILL_BAD_PGD, pdpte);

    const pdeGpa =
      paeFrame(pdpte, this.#cells.read(pdpteGpa + 4)) * PAGE_BYTES + ((lin >>> 18) & 0xff8);
    const pde = this.#cells.read(pdeGpa);
    const pdeHigh = this.#cells.read(pdeGpa + 4);
    if ((pde & PTE_P) === 0) return this.#reflect(kind, lin, 0);
    if ((pde & FLAGS_MASK & ~LGUEST_PDE_FLAGS) !== 0) return this.#kill(KILL_BAD_PMD, pde);
    if ((pdeHigh & RESERVED_HIGH) !== 0) return this.#reflect(kind, lin, RESERVED_BIT);

    const pteGpa = paeFrame(pde, pdeHigh) * PAGE_BYTES + ((lin >>> 9) & 0xff8);
    const pte = this.#cells.read(pteGpa);
    const pteHigh = this.#cells.read(pteGpa + 4);
    if ((pte & PTE_P) === 0) return this.#reflect(kind, lin, 0);
    const gfn = paeFrame(pte, pteHigh);
    if (this.#isBadPte(pte, gfn)) return this.#badLeaf(kind, lin, pde, pte);
    if ((pteHigh & RESERVED_HIGH) !== 0) return this.#reflect(kind, lin, RESERVED_BIT);
    return this.#finish(kind, lin, pdeGpa, pde, pteGpa, pte, gfn);
  }

  /** The entries are there: checks the rights, sets accessed and dirty, maps. */
  #finish(
    kind: number,
    lin: number,
    pdeGpa: number,
    pde: number,
    pteGpa: number,
    pte: number,
    gfn: number,
  ): boolean {
    const rights = pde & pte & (PTE_RW | PTE_US);
    if (isRefused(kind, rights)) return this.#reflect(kind, lin, PFERR_PRESENT);
    const want = (kind & PFERR_WRITE) !== 0 ? PTE_A | PTE_D : PTE_A;
    const verbs = this.#core.exports;
    if ((pte & want) !== want && verbs.markEntry(this.#vcpu, pteGpa, want) === 0) return false;
    if ((pde & PTE_A) === 0 && verbs.markEntry(this.#vcpu, pdeGpa, PTE_A) === 0) return false;
    return this.#map(lin, kind, gfn, rights | (pte & PTE_D));
  }

  /** lguest looks at the last entry only for an access that its rights allow. */
  #badLeaf(kind: number, lin: number, pde: number, pte: number): boolean {
    return isRefused(kind, pde & pte)
      ? this.#reflect(kind, lin, PFERR_PRESENT)
      : this.#kill(KILL_BAD_PTE, pte);
  }

  #map(lin: number, kind: number, gfn: number, entry: number): boolean {
    return this.#core.exports.mapPage(this.#vcpu, lin, kind, gfn, entry) !== 0;
  }

  /** The error code of a #PF tells the access and what is wrong with it; without NXE a fetch is a read. */
  #reflect(kind: number, lin: number, reason: number): boolean {
    const code = reason | (kind & (PFERR_WRITE | PFERR_USER));
    return this.#core.exports.reflectPageFault(this.#vcpu, lin, code) !== 0;
  }

  #kill(reason: number, entry: number): boolean {
    this.#host.kill(coreDeathText(reason, [entry]));
    return false;
  }

  /** Guests see no PSE, and a frame is memory or a device's. */
  #isBadPte(pte: number, gfn: number): boolean {
    if ((pte & PTE_PS) !== 0) return true;
    if (gfn < this.#core.cell(this.#guest + GUEST_LIMIT_FRAMES)) return false;
    const isDevice =
      gfn >= this.#core.cell(this.#guest + GUEST_MMIO_START) &&
      gfn < this.#core.cell(this.#guest + GUEST_MMIO_END);
    return !isDevice;
  }
}

const RESERVED_BIT = PFERR_PRESENT | PFERR_RESERVED;

/** @returns whether the entries' user and write bits forbid the access; CR0.WP is set. */
function isRefused(kind: number, rights: number): boolean {
  return (
    ((kind & PFERR_USER) !== 0 && (rights & PTE_US) === 0) ||
    ((kind & PFERR_WRITE) !== 0 && (rights & PTE_RW) === 0)
  );
}

function paeFrame(low: number, high: number): number {
  return (high & PAE_FRAME_HIGH) === 0 ? low >>> PAGE_BITS : FRAME_PAST_4GIB;
}
