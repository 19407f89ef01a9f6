/**
 * What domains may ask of xenstore about nodes, as a table: for each message type, from the payload to an answer or a negative errno.
 * Source: Xen's docs/misc/xenstore.txt. A handler returns for every payload that a guest can write.
 */

import { XEN_E2BIG, XEN_EACCES, XEN_EINVAL, XEN_ENOSPC } from "../../../abi/xen.ts";
import { XENSTORE_PERMISSIONS_MAX } from "../../../abi/xen-io.ts";
import {
  XENSTORE_PAYLOAD_MAX,
  XS_DIRECTORY,
  XS_DIRECTORY_PART,
  XS_GET_DOMAIN_PATH,
  XS_GET_PERMS,
  XS_MKDIR,
  XS_READ,
  XS_RM,
  XS_SET_PERMS,
  XS_WRITE,
} from "../../../abi/xen-layout.ts";
import { lookUp, makeDirectory, removeNode, setPermissions, writeNode } from "./operations.ts";
import { domainPath, INTRODUCE_DOMAIN, RELEASE_DOMAIN, resolvePath } from "./paths.ts";
import { formatPermissions, parsePermissions } from "./permissions.ts";
import type { NodeView, StoreNode } from "./store.ts";
import { joinTexts, splitTexts } from "./wire.ts";

/** What an operation answers that has nothing else to say. */
export const OK = "OK\0";

/** Answers a request: a payload, or a negative errno. */
type NodeRequest = (view: NodeView, domid: number, payload: string) => string | number;

/** The requests that work on nodes, inside of a transaction or not, by message type. */
export const NODE_REQUESTS: Readonly<Record<number, NodeRequest>> = {
  [XS_DIRECTORY]: (view, domid, payload) =>
    withNode(view, domid, payload, (node) => fitting(joinTexts(node.children))),
  [XS_DIRECTORY_PART]: directoryPart,
  [XS_READ]: (view, domid, payload) =>
    withNode(view, domid, payload, (node) => fitting(node.value)),
  [XS_GET_PERMS]: getPerms,
  [XS_WRITE]: write,
  [XS_MKDIR]: (view, domid, payload) => change(makeDirectory, view, domid, payload),
  [XS_RM]: (view, domid, payload) => change(removeNode, view, domid, payload),
  [XS_SET_PERMS]: setPerms,
  [XS_GET_DOMAIN_PATH]: (_view, _domid, payload) => {
    const texts = splitTexts(payload);
    if (texts?.length !== 1) return -XEN_EINVAL;
    return joinTexts([domainPath(parseNumber(texts[0]!) ?? 0)]);
  },
};

/** The number that a text of decimal digits means. */
function parseNumber(text: string): number | undefined {
  return /^[0-9]{1,5}$/.test(text) ? Number(text) : undefined;
}

function withNode(
  view: NodeView,
  domid: number,
  payload: string,
  answer: (node: StoreNode) => string | number,
): string | number {
  const path = onlyPath(payload, domid);
  if (path === undefined) return -XEN_EINVAL;
  const node = lookUp(view, domid, path, "read");
  return typeof node === "number" ? node : answer(node);
}

function change(
  operation: (view: NodeView, domid: number, path: string) => number,
  view: NodeView,
  domid: number,
  payload: string,
): string | number {
  const path = onlyPath(payload, domid);
  return path === undefined ? -XEN_EINVAL : operation(view, domid, path) || OK;
}

/** The value is all that comes behind the path, and may hold any byte. */
function write(view: NodeView, domid: number, payload: string): string | number {
  const end = payload.indexOf("\0");
  const path = end < 0 ? undefined : resolvePath(payload.slice(0, end), domid);
  if (path === undefined) return -XEN_EINVAL;
  return writeNode(view, domid, path, payload.slice(end + 1)) || OK;
}

/** What is no node has rights of the Host's. */
function getPerms(view: NodeView, domid: number, payload: string): string | number {
  if (isEvent(splitTexts(payload)?.[0] ?? "")) return -XEN_EACCES;
  return withNode(view, domid, payload, (node) => joinTexts(formatPermissions(node.permissions)));
}

function setPerms(view: NodeView, domid: number, payload: string): string | number {
  const [text = "", ...entries] = splitTexts(payload) ?? [];
  if (entries.length > XENSTORE_PERMISSIONS_MAX) return -XEN_ENOSPC;
  const permissions = parsePermissions(entries);
  if (permissions !== undefined && isEvent(text)) return -XEN_EACCES;
  const path = resolvePath(text, domid);
  if (path === undefined || permissions === undefined) return -XEN_EINVAL;
  return setPermissions(view, domid, path, permissions) || OK;
}

/** As much of a long directory as fits from an offset on, behind its generation; an empty name ends it. */
function directoryPart(view: NodeView, domid: number, payload: string): string | number {
  const texts = splitTexts(payload);
  if (texts?.length !== 2) return -XEN_EINVAL;
  const [path, offset] = texts as [string, string];
  const from = parseNumber(offset) ?? 0;
  return withNode(view, domid, `${path}\0`, (node) => {
    const names = joinTexts(node.children);
    const generation = `${node.generation}\0`;
    const room = XENSTORE_PAYLOAD_MAX - generation.length - 1;
    if (names.length - from <= room) return `${generation}${names.slice(from)}\0`;
    const part = names.slice(from, from + room);
    return generation + part.slice(0, part.lastIndexOf("\0") + 1);
  });
}

function isEvent(text: string): boolean {
  return text === INTRODUCE_DOMAIN || text === RELEASE_DOMAIN;
}

function onlyPath(payload: string, domid: number): string | undefined {
  const texts = splitTexts(payload);
  return texts?.length === 1 ? resolvePath(texts[0]!, domid) : undefined;
}

function fitting(payload: string): string | number {
  return payload.length <= XENSTORE_PAYLOAD_MAX ? payload : -XEN_E2BIG;
}
