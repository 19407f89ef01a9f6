/**
 * What can be done with nodes, by whom: reading, listing, writing, removing and their rights. Each works on the store or on a transaction
 * and returns what was asked for, or a negative errno.
 * Source: Xen's docs/misc/xenstore.txt.
 */
import { XEN_EACCES, XEN_EINVAL, XEN_ENOENT, XEN_ENOSPC, XEN_EPERM } from "../../../abi/xen.ts";
import {
  XENSTORE_NODE_BYTES_MAX,
  XENSTORE_NODE_HEADER_BYTES,
  XENSTORE_NODES_MAX,
  XENSTORE_PERMISSION_BYTES,
} from "../../../abi/xen-io.ts";
import { childOf, HOST_DOMID, nameOf, parentOf } from "./paths.ts";
import { isAllowed, type Need, type Permission } from "./permissions.ts";
import type { NodeView, StoreNode } from "./store.ts";

/** A node that `domid` may use so, or why not: who may not read the directory is not told what is missing there. */
export function lookUp(
  view: NodeView,
  domid: number,
  path: string,
  need: Need,
): StoreNode | number {
  const node = view.get(path);
  if (node !== undefined) return isAllowed(node.permissions, domid, need) ? node : -XEN_EACCES;
  return isAllowed(nearest(view, path).permissions, domid, need) ? -XEN_ENOENT : -XEN_EACCES;
}

/** Sets a node's value, making it and the directories above it where they are missing. @returns 0 or a negative errno. */
export function writeNode(view: NodeView, domid: number, path: string, value: string): number {
  const node = view.get(path);
  if (node === undefined) return createNode(view, domid, path, value);
  if (!isAllowed(node.permissions, domid, "write")) return -XEN_EACCES;
  if (isTooBig(domid, { ...node, value })) return -XEN_ENOSPC;
  view.set(path, { ...node, value });
  tell(view, path, false, node.permissions);
  return 0;
}

/** Makes an empty node unless there is one. @returns 0 or a negative errno. */
export function makeDirectory(view: NodeView, domid: number, path: string): number {
  const node = view.get(path);
  if (node === undefined) return createNode(view, domid, path, "");
  return isAllowed(node.permissions, domid, "write") ? 0 : -XEN_EACCES;
}

/** Removes a node with everything below it; to remove what is not there succeeds in a directory that is. @returns 0 or a negative errno. */
export function removeNode(view: NodeView, domid: number, path: string): number {
  if (path === "/") return -XEN_EINVAL;
  const parent = view.get(parentOf(path));
  const node = lookUp(view, domid, path, "write");
  if (typeof node === "number") return node === -XEN_ENOENT && parent !== undefined ? 0 : node;
  // Whoever watches the top hears of it first, then each watch on one of the lost nodes.
  tell(view, path, false, node.permissions);
  const doomed = [path];
  for (let next = 0; next < doomed.length; next++) {
    const at = doomed[next]!;
    // A transaction may know a directory of old whose entries are gone by now; it will not be committed then.
    const found = view.get(at);
    if (found === undefined) continue;
    if (at !== path) tell(view, at, true, found.permissions);
    for (const name of found.children) doomed.push(childOf(at, name));
  }
  for (const at of doomed) view.delete(at);
  const name = nameOf(path);
  const children = parent?.children.filter((child) => child !== name);
  if (children !== undefined) view.set(parentOf(path), { ...parent!, children });
  return 0;
}

/** Replaces a node's rights; only the Host gives a node another owner. @returns 0 or a negative errno. */
export function setPermissions(
  view: NodeView,
  domid: number,
  path: string,
  permissions: readonly Permission[],
): number {
  const node = lookUp(view, domid, path, "write");
  if (typeof node === "number") return node;
  const owner = node.permissions[0]!.domid;
  if (domid !== HOST_DOMID) {
    if (owner !== domid) return -XEN_EACCES;
    if (permissions[0]!.domid !== domid) return -XEN_EPERM;
  }
  view.set(path, { ...node, permissions });
  tell(view, path, false, permissions, node.permissions);
  return 0;
}

/** Makes `path` and the directories above it with the rights of the lowest that exists; a guest owns what it makes. */
function createNode(view: NodeView, domid: number, path: string, value: string): number {
  const missing = [path];
  let top = parentOf(path);
  while (view.get(top) === undefined) {
    missing.push(top);
    top = parentOf(top);
  }
  const above = view.get(top)!;
  if (!isAllowed(above.permissions, domid, "write")) return -XEN_EACCES;
  const [owner, ...others] = above.permissions as [Permission, ...Permission[]];
  const permissions = domid === HOST_DOMID ? above.permissions : [{ ...owner, domid }, ...others];
  const grown = { ...above, children: [...above.children, nameOf(missing.at(-1)!)] };
  const leaf = { value, children: [], permissions };
  if (isTooBig(domid, grown) || isTooBig(domid, leaf)) return -XEN_ENOSPC;
  if (domid !== HOST_DOMID && view.owned(domid) + missing.length > XENSTORE_NODES_MAX) {
    return -XEN_ENOSPC;
  }
  view.set(top, grown);
  for (let i = missing.length - 1; i > 0; i--) {
    view.set(missing[i]!, { value: "", children: [nameOf(missing[i - 1]!)], permissions });
  }
  view.set(path, leaf);
  tell(view, path, false, permissions);
  return 0;
}

/** @param lists rights of the node that changed, as it is and as it was */
function tell(
  view: NodeView,
  path: string,
  isExact: boolean,
  ...lists: (readonly Permission[])[]
): void {
  const directory = view.get(parentOf(path));
  const readable = directory === undefined ? lists : [...lists, directory.permissions];
  view.changed({ path, isExact, readable });
}

/** The lowest directory above `path` that exists. */
function nearest(view: NodeView, path: string): StoreNode {
  for (let at = parentOf(path); ; at = parentOf(at)) {
    const node = view.get(at);
    if (node !== undefined) return node;
  }
}

function isTooBig(domid: number, node: Omit<StoreNode, "generation">): boolean {
  if (domid === HOST_DOMID) return false;
  const names = node.children.reduce((bytes, name) => bytes + name.length + 1, 0);
  const rights = node.permissions.length * XENSTORE_PERMISSION_BYTES;
  const bytes = XENSTORE_NODE_HEADER_BYTES + rights + node.value.length + names;
  return bytes >= XENSTORE_NODE_BYTES_MAX;
}
