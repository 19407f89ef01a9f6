/** xenstore for embedders: `Guest.xenstore`, and what the engine does when it is used, on whichever thread the guest is. */
import type { Emitter } from "../base/emitter.ts";
import { UnsupportedError } from "../base/errors.ts";
import type { SharedStore, StoreNode } from "../base/personality.ts";
import type { InputSink } from "../base/ports.ts";
import type { GuestEvents, GuestXenstore } from "./api.ts";

/** One use of the store, plain data. `id` numbers watches. */
export type StoreCall =
  | { readonly verb: "ls" | "read" | "rm"; readonly path: string }
  | { readonly verb: "write"; readonly path: string; readonly value: string }
  | { readonly verb: "watch"; readonly path: string; readonly id: number }
  | { readonly verb: "unwatch"; readonly id: number };

/** The embedder's end. */
export class XenstoreClient implements GuestXenstore {
  readonly #call: (call: StoreCall) => Promise<unknown>;
  readonly #listeners = new Map<number, (path: string) => void>();
  #lastId = 0;

  /** @param call performs it where the guest is @param events of the guest */
  constructor(call: (call: StoreCall) => Promise<unknown>, events: Emitter<GuestEvents>) {
    this.#call = call;
    events.on("xenstore", ({ id, path }) => this.#listeners.get(id)?.(path));
  }

  async ls(path = "/"): Promise<readonly StoreNode[]> {
    return (await this.#call({ verb: "ls", path })) as readonly StoreNode[];
  }

  async read(path: string): Promise<string | undefined> {
    return (await this.#call({ verb: "read", path })) as string | undefined;
  }

  async write(path: string, value: string): Promise<void> {
    await this.#call({ verb: "write", path, value });
  }

  async rm(path: string): Promise<void> {
    await this.#call({ verb: "rm", path });
  }

  async watch(path: string, listener: (path: string) => void): Promise<() => void> {
    const id = ++this.#lastId;
    this.#listeners.set(id, listener);
    try {
      await this.#call({ verb: "watch", path, id });
    } catch (error) {
      this.#listeners.delete(id);
      throw error;
    }
    return () => {
      this.#listeners.delete(id);
      // Of a guest that has ended nothing is left to be told to.
      this.#call({ verb: "unwatch", id }).catch(() => {});
    };
  }
}

/** The engine's end. */
export class XenstoreServer {
  readonly #guest: string;
  readonly #inputs: InputSink;
  readonly #tell: (id: number, path: string) => void;
  readonly #watches = new Map<number, { readonly path: string; stop: () => void }>();

  /** @param guest its name, for messages @param tell takes news for a watch */
  constructor(guest: string, inputs: InputSink, tell: (id: number, path: string) => void) {
    this.#guest = guest;
    this.#inputs = inputs;
    this.#tell = tell;
  }

  /** @throws UnsupportedError for a guest that has no such store, ConfigError for a malformed path or value */
  perform(store: SharedStore | undefined, call: StoreCall): unknown {
    if (store === undefined) {
      throw new UnsupportedError(`guest "${this.#guest}" has no xenstore; only abi "xen-pv" does`);
    }
    switch (call.verb) {
      case "ls":
        return store.tree(call.path) ?? [];
      case "read":
        return store.read(call.path);
      case "write":
        return this.#inputs.post(store.writeInput(call.path, call.value));
      case "rm":
        return this.#inputs.post(store.removeInput(call.path));
      case "watch":
        this.#watches.set(call.id, { path: call.path, stop: () => {} });
        return this.#attach(store, call.id, call.path);
      case "unwatch":
        this.#watches.get(call.id)?.stop();
        this.#watches.delete(call.id);
    }
    return undefined;
  }

  /** The guest is about to end or to begin anew: nothing more is told of the store as it was. */
  detach(): void {
    for (const { stop } of this.#watches.values()) stop();
  }

  /** The guest began anew, perhaps with another store. */
  reattach(store: SharedStore | undefined): void {
    if (store === undefined) return;
    for (const [id, { path }] of this.#watches) this.#attach(store, id, path);
  }

  #attach(store: SharedStore, id: number, path: string): void {
    try {
      const stop = store.watch(path, (changed) => this.#tell(id, changed));
      this.#watches.set(id, { path, stop });
    } catch (error) {
      this.#watches.delete(id);
      throw error;
    }
  }
}
