/**
 * Names of xenstore nodes: absolute paths without a slash at the end, of letters, digits and -/_@. A domain may write paths relative to
 * its own directory.
 * Source: Xen's docs/misc/xenstore.txt.
 */
import { XENSTORE_REL_PATH_MAX } from "../../../abi/xen-layout.ts";

/** The Host's domain identifier, and the one domain whose rights nobody limits. */
export const HOST_DOMID = 0;

/** Events that are no nodes: a domain came, a domain went. */
export const INTRODUCE_DOMAIN = "@introduceDomain";
export const RELEASE_DOMAIN = "@releaseDomain";

const CHARACTERS = /^[-/_@a-zA-Z0-9]+$/;
/** What the length of a path does not count. */
const HOME = /^\/local\/domain\/[0-9]{1,5}\//;

/** Directory of a domain's own nodes. */
export function domainPath(domid: number): string {
  return `/local/domain/${domid}`;
}

/** The absolute path that `domid` means by `text`, undefined when it cannot be one. */
export function resolvePath(text: string, domid: number): string | undefined {
  if (!CHARACTERS.test(text) || text.includes("//") || text.startsWith("@")) return undefined;
  if (text.endsWith("/") && text !== "/") return undefined;
  const path = text.startsWith("/") ? text : `${domainPath(domid)}/${text}`;
  const uncounted = HOME.exec(path)?.[0].length ?? 0;
  return path.length <= uncounted + XENSTORE_REL_PATH_MAX ? path : undefined;
}

/** The directory that a path is in; "/" is in itself. */
export function parentOf(path: string): string {
  return path.slice(0, path.lastIndexOf("/")) || "/";
}

/** Last component of a path. */
export function nameOf(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

/** Path of an entry of a directory. */
export function childOf(directory: string, name: string): string {
  return directory === "/" ? `/${name}` : `${directory}/${name}`;
}

/** Whether `path` is `ancestor` or below it. */
export function isWithin(path: string, ancestor: string): boolean {
  return path === ancestor || ancestor === "/" || path.startsWith(`${ancestor}/`);
}
