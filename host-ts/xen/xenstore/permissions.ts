/**
 * Who may read and write a node: a list of which the first entry names the owner, who may do everything, and what domains may that the
 * list does not name.
 * Source: Xen's docs/misc/xenstore.txt.
 */
import { HOST_DOMID } from "./paths.ts";

/** n: nothing, r: read, w: write, b: both. */
export type Access = "n" | "r" | "w" | "b";

/** One entry. */
export interface Permission {
  readonly domid: number;
  readonly access: Access;
}

/** What an operation needs of a node. */
export type Need = "read" | "write";

const ENTRY = /^[nrwb](0|[1-9][0-9]{0,4})$/;

/** Whether a list lets a domain do something. */
export function isAllowed(list: readonly Permission[], domid: number, need: Need): boolean {
  const owner = list[0];
  if (domid === HOST_DOMID || owner === undefined || owner.domid === domid) return true;
  const entry = list.slice(1).find((permission) => permission.domid === domid) ?? owner;
  return entry.access === "b" || entry.access === (need === "read" ? "r" : "w");
}

/** The list that texts such as "n1", "r0" write down, undefined when one of them is malformed or there is none. */
export function parsePermissions(texts: readonly string[]): Permission[] | undefined {
  if (texts.length === 0 || !texts.every((text) => ENTRY.test(text))) return undefined;
  return texts.map((text) => ({ access: text[0] as Access, domid: Number(text.slice(1)) }));
}

/** The inverse of parsePermissions. */
export function formatPermissions(list: readonly Permission[]): string[] {
  return list.map(({ access, domid }) => `${access}${domid}`);
}
