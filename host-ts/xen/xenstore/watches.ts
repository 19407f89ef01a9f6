/**
 * Who wants to hear of what in xenstore. A guest's watch is a path with everything below it and a token; one on a relative path is told
 * of relative paths.
 * Source: Xen's docs/misc/xenstore.txt.
 */
import { XEN_E2BIG, XEN_EEXIST, XEN_ENOENT } from "../../../abi/xen.ts";
import { XENSTORE_WATCHES_MAX } from "../../../abi/xen-io.ts";
import { domainPath, HOST_DOMID, isWithin } from "./paths.ts";
import { isAllowed } from "./permissions.ts";
import type { Change } from "./store.ts";

/** One watch, plain data. */
export interface Watch {
  readonly domid: number;
  /** Absolute. */
  readonly path: string;
  readonly token: string;
  /** The domain wrote the path relative to its own directory. */
  readonly isRelative: boolean;
}

/** What a watch's owner is to be told. */
export interface WatchEvent {
  readonly watch: Watch;
  /** The path that changed, as the watch's owner writes it. */
  readonly path: string;
}

/** All watches, in the order in which they were set, which is the order in which they fire. */
export class Watches {
  #watches: Watch[] = [];

  /** @returns 0, -EEXIST for one that the domain has already, or -E2BIG past its quota. */
  add(watch: Watch): number {
    if (this.#find(watch.domid, watch.path, watch.token) >= 0) return -XEN_EEXIST;
    const own = this.#watches.reduce((count, { domid }) => count + +(domid === watch.domid), 0);
    if (watch.domid !== HOST_DOMID && own > XENSTORE_WATCHES_MAX) return -XEN_E2BIG;
    this.#watches.push(watch);
    return 0;
  }

  /** @returns 0 or -ENOENT. */
  remove(domid: number, path: string, token: string): number {
    const index = this.#find(domid, path, token);
    if (index < 0) return -XEN_ENOENT;
    this.#watches.splice(index, 1);
    return 0;
  }

  removeAll(domid: number): void {
    this.#watches = this.#watches.filter((watch) => watch.domid !== domid);
  }

  /** Whom a change concerns. */
  match(change: Change): WatchEvent[] {
    return this.#watches
      .filter((watch) => {
        const isMeant = change.isExact
          ? watch.path === change.path
          : isWithin(change.path, watch.path);
        return isMeant && change.readable.some((list) => isAllowed(list, watch.domid, "read"));
      })
      .map((watch) => ({ watch, path: asWritten(watch, change.path) }));
  }

  /** Serialisable state: the guests' watches; the Host's are functions, and whoever set them sets them again. */
  save(): Watch[] {
    return this.#watches.filter(({ domid }) => domid !== HOST_DOMID);
  }

  /** Continues with a guest's watches from saved state, beside those that the Host has now. */
  restore(watches: readonly Watch[]): void {
    const own = this.#watches.filter(({ domid }) => domid === HOST_DOMID);
    this.#watches = [...own, ...structuredClone(watches)];
  }

  #find(domid: number, path: string, token: string): number {
    return this.#watches.findIndex(
      (watch) => watch.domid === domid && watch.path === path && watch.token === token,
    );
  }
}

/** A path as a watch's owner wrote the one that it watches. */
function asWritten(watch: Watch, path: string): string {
  return watch.isRelative ? path.slice(domainPath(watch.domid).length + 1) : path;
}
