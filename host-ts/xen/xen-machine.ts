/**
 * What the Xen domains of one machine share: who is there, by domain identifier, and the store that all of them reach. Domain 0 is the
 * Host, which is always there. A domain that was not told to share a machine has one to itself.
 */
import {
  DOMID_FIRST_RESERVED,
  GNTST_BAD_GNTREF,
  GNTST_GENERAL_ERROR,
  GRANT_ENTRIES_PER_FRAME,
  XEN_EPERM,
  XEN_ESRCH,
} from "../../abi/xen.ts";
import { ConfigError } from "../base/errors.ts";
import type { PersonalityHost } from "../base/personality.ts";
import type { EventChannels } from "./event-channels.ts";
import type { GrantTable } from "./grants.ts";
import type { Reservation } from "./reservation.ts";
import { HOST_DOMID } from "./xenstore/paths.ts";
import { Xenstore } from "./xenstore/xenstore.ts";

/** The first domain that is not the Host. */
export const FIRST_DOMID = 1;
/** The last number that a domain may have. */
export const LAST_DOMID = DOMID_FIRST_RESERVED - 1;

/** A domain as others see it. */
export interface Neighbour {
  readonly domid: number;
  readonly host: PersonalityHost;
  readonly channels: EventChannels;
  readonly grants: GrantTable;
  readonly reservation: Reservation;
}

/** What using a grant of the Host's comes to: it has a table like everybody, of one frame, and grants nothing. */
export function hostGrantStatus(ref: number): number {
  return ref < GRANT_ENTRIES_PER_FRAME ? GNTST_GENERAL_ERROR : GNTST_BAD_GNTREF;
}

/** See the file header. */
export class XenMachine {
  readonly store = new Xenstore();
  /** Whether others may come: then what one domain does may wake another. */
  readonly isShared: boolean;
  readonly #domains = new Map<number, Neighbour | undefined>();

  constructor(isShared = false) {
    this.isShared = isShared;
  }

  /** Domains other than the Host. */
  get size(): number {
    return this.#domains.size;
  }

  /** A number for a domain that is about to come: `wanted`, or the lowest that is free. Throws ConfigError when it is taken. */
  reserve(wanted?: number): number {
    let domid = wanted ?? FIRST_DOMID;
    if (wanted === undefined) while (this.#domains.has(domid)) domid++;
    if (this.#domains.has(domid)) {
      throw new ConfigError(`xen.domid is ${domid}, and a domain of this machine has it already`);
    }
    this.#domains.set(domid, undefined);
    return domid;
  }

  /** The domain with a reserved number is there. */
  enter(domain: Neighbour): void {
    this.#domains.set(domain.domid, domain);
  }

  /** The number is free again. Who waits for the domain looks again. */
  leave(domid: number): void {
    this.#domains.delete(domid);
    for (const domain of this.#domains.values()) domain?.host.nudge();
  }

  /** A domain other than the Host. */
  find(domid: number): Neighbour | undefined {
    return this.#domains.get(domid);
  }

  /** Whether there is a domain of this number, the Host included. */
  isThere(domid: number): boolean {
    return domid === HOST_DOMID || this.find(domid) !== undefined;
  }

  /** How Xen refuses a domain without privileges that names another one: -EPERM, or -ESRCH when there is none. */
  refusal(domid: number): number {
    return this.isThere(domid) ? -XEN_EPERM : -XEN_ESRCH;
  }
}
