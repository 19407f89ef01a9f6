/**
 * Numbers of physical interrupts that a domain without hardware may take: nothing ever raises them. Source: Xen's public physdev.h.
 */
import { MAP_PIRQ_TYPE_GSI, NR_GSIS, NR_PIRQS, XEN_EBUSY, XEN_EINVAL } from "../../abi/xen.ts";
import type { Reservation } from "./reservation.ts";

/** Interrupts below this are those of old hardware. */
const FIRST_GSI = 16;

/** See the file header. */
export class Pirqs {
  readonly #reservation: Reservation;
  #taken = new Set<number>();
  /** Frame in which the guest wants to read which interrupts must be told that they are done: all zeros. */
  #pageMfn: number | undefined;

  constructor(reservation: Reservation) {
    this.#reservation = reservation;
  }

  /** Takes a number that is free. @returns undefined when there is none. */
  take(type: number): number | undefined {
    const lines = Array.from({ length: NR_GSIS - FIRST_GSI }, (_, i) => FIRST_GSI + i);
    const messages = Array.from({ length: NR_PIRQS - NR_GSIS }, (_, i) => NR_PIRQS - 1 - i);
    const candidates = type === MAP_PIRQ_TYPE_GSI ? [...lines, ...messages] : messages;
    const free = candidates.find((number) => !this.#taken.has(number));
    if (free !== undefined) this.#taken.add(free);
    return free;
  }

  isTaken(number: number): boolean {
    return this.#taken.has(number);
  }

  /** PHYSDEVOP_pirq_eoi_gmfn. @returns 0 or a negative errno. */
  setPage(mfn: number): number {
    if (!this.#reservation.hold(mfn)) return -XEN_EINVAL;
    if (this.#pageMfn !== undefined) {
      this.#reservation.release(mfn);
      return -XEN_EBUSY;
    }
    this.#pageMfn = mfn;
    return 0;
  }

  /** Gives the page back. */
  release(): void {
    if (this.#pageMfn !== undefined) this.#reservation.release(this.#pageMfn);
    this.#pageMfn = undefined;
  }

  save(): Record<string, unknown> {
    return { taken: [...this.#taken], pageMfn: this.#pageMfn };
  }

  restore(state: Record<string, unknown>): void {
    this.#taken = new Set(state.taken as number[]);
    this.#pageMfn = state.pageMfn as number | undefined;
  }
}
