/** xenstore as the embedder of one domain uses it: what it reads at once, and what it asks for through the one door of the Host's inputs. */

import { XENSTORE_PAYLOAD_MAX } from "../../../abi/xen-layout.ts";
import { Emitter } from "../../base/emitter.ts";
import { ConfigError } from "../../base/errors.ts";
import type { SharedStore, StoreNode } from "../../base/personality.ts";
import type { HostInput } from "../../base/ports.ts";
import { childOf, INTRODUCE_DOMAIN, RELEASE_DOMAIN, resolvePath } from "./paths.ts";
import { formatPermissions } from "./permissions.ts";
import type { Xenstore } from "./xenstore.ts";

const SPECIAL: readonly string[] = [INTRODUCE_DOMAIN, RELEASE_DOMAIN];

/** See the file header. Relative paths are the domain's. */
export class StoreAccess implements SharedStore {
  readonly #store: Xenstore;
  readonly #domid: number;

  constructor(store: Xenstore, domid: number) {
    this.#store = store;
    this.#domid = domid;
  }

  tree(text: string): StoreNode[] | undefined {
    const top = this.#resolve(text);
    if (this.#store.read(top) === undefined) return undefined;
    const nodes: StoreNode[] = [];
    const add = (path: string) => {
      const permissions = formatPermissions(this.#store.permissions(path) ?? []);
      nodes.push({ path, value: this.#store.read(path) ?? "", permissions });
      for (const name of this.#store.list(path) ?? []) add(childOf(path, name));
    };
    add(top);
    return nodes;
  }

  read(path: string): string | undefined {
    return this.#store.read(this.#resolve(path));
  }

  writeInput(text: string, value: string): HostInput {
    const path = this.#resolve(text);
    if (
      typeof value !== "string" ||
      value.length > XENSTORE_PAYLOAD_MAX ||
      /[^\0-\xff]/.test(value)
    ) {
      throw new ConfigError("a value in xenstore is Latin-1 text of at most 4096 characters");
    }
    return { kind: "xenstore", device: "write", data: encode(`${path}\0${value}`) };
  }

  removeInput(text: string): HostInput {
    const path = this.#resolve(text);
    if (path === "/") throw new ConfigError("the root of xenstore cannot be removed");
    return { kind: "xenstore", device: "rm", data: encode(path) };
  }

  /** What the embedder asked for enters. */
  receive({ device, data }: HostInput): void {
    const text = Array.from(data, (byte) => String.fromCharCode(byte)).join("");
    const end = text.indexOf("\0");
    if (device === "rm") this.#store.remove(text);
    else this.#store.write(text.slice(0, end), text.slice(end + 1));
  }

  /** A listener that throws does so outside: the guest's call in which it is told must be answered. */
  watch(text: string, listener: (path: string) => void): () => void {
    const path = SPECIAL.includes(text) ? text : this.#resolve(text);
    const changes = new Emitter<{ change: string }>();
    changes.on("change", listener);
    return this.#store.watch(path, (changed) => changes.emit("change", changed));
  }

  #resolve(text: string): string {
    const path = typeof text === "string" ? resolvePath(text, this.#domid) : undefined;
    if (path === undefined) throw new ConfigError(`"${text}" is no path of xenstore`);
    return path;
  }
}

function encode(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}
