/** xenstore as text, in the manner of Xen's xenstore-ls: a line for each node, its value in quotes. */
import type { StoreNode } from "../base/personality.ts";
import { type Guest, StateError } from "../index.ts";
import type { StoreListing } from "./usage.ts";

/** What else than printable ASCII has a short form. */
const ESCAPES: Readonly<Record<string, string>> = {
  "\\": "\\\\",
  '"': '\\"',
  "\n": "\\n",
  "\r": "\\r",
  "\t": "\\t",
};

/** @param nodes a node with all that is below it, each before what it holds; the first is left out unless it is the only one */
export function renderStore(
  nodes: readonly StoreNode[],
  { hasFullPaths, hasPermissions }: Pick<StoreListing, "hasFullPaths" | "hasPermissions">,
): string {
  const [top, ...below] = nodes;
  if (top === undefined) return "";
  const depthOf = (path: string) => (path === "/" ? 0 : path.split("/").length - 1);
  const topDepth = depthOf(top.path);
  return (below.length === 0 ? [top] : below)
    .map(({ path, value, permissions }) => {
      const indent = " ".repeat(Math.max(0, depthOf(path) - topDepth - 1));
      const name = hasFullPaths ? path : indent + path.slice(path.lastIndexOf("/") + 1);
      const rights = hasPermissions ? `  (${permissions.join(",")})` : "";
      return `${name} = "${escaped(value)}"${rights}\n`;
    })
    .join("");
}

/** The part of a whole store that a listing is about. */
export function partOfStore(store: readonly StoreNode[], path: string): StoreNode[] {
  const inside = path === "/" ? "/" : `${path}/`;
  return store.filter((node) => node.path === path || node.path.startsWith(inside));
}

/**
 * The store of a guest as text: when it has run for `afterMs`, after which it is ended, or as its end brought it along.
 * @throws StateError when there is no such node
 */
export async function listStore(guest: Guest, listing: StoreListing): Promise<string> {
  const store = (await storeInTime(guest, listing.afterMs)) ?? (await guest.ended).xenstore ?? [];
  const nodes = partOfStore(store, listing.path);
  if (nodes.length === 0) throw new StateError(`there is no node ${listing.path} in xenstore`);
  return renderStore(nodes, listing);
}

/** Undefined when the guest ended before. */
async function storeInTime(
  guest: Guest,
  afterMs: number | undefined,
): Promise<readonly StoreNode[] | undefined> {
  if (afterMs === undefined) return undefined;
  let timer: NodeJS.Timeout | undefined;
  const time = new Promise<true>((resolve) => {
    timer = setTimeout(() => resolve(true), afterMs);
  });
  const isTime = await Promise.race([time, guest.ended]);
  clearTimeout(timer);
  if (isTime !== true) return undefined;
  await guest.pause();
  const store = guest.state === "dead" ? undefined : await guest.xenstore.ls();
  await guest.shutdown();
  return store;
}

/** Bytes that are no printable ASCII in octal. */
function escaped(value: string): string {
  return value.replace(
    /[^ -~]|["\\]/g,
    (character) =>
      ESCAPES[character] ?? `\\${character.charCodeAt(0).toString(8).padStart(3, "0")}`,
  );
}
