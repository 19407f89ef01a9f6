/**
 * The nodes of xenstore, and what a transaction is to them: a view in which changes stay until they are committed, if nothing that the
 * transaction saw has changed meanwhile.
 *
 * Values are Latin-1 text, one character per byte. Nodes never change in place: a change is a new node of a new generation.
 */
import { XEN_EAGAIN, XEN_ENOSPC } from "../../../abi/xen.ts";
import { XENSTORE_NODES_MAX } from "../../../abi/xen-io.ts";
import { HOST_DOMID } from "./paths.ts";
import type { Permission } from "./permissions.ts";

/** One node. */
export interface StoreNode {
  readonly value: string;
  /** Names of the nodes below, in the order in which they were made. */
  readonly children: readonly string[];
  readonly permissions: readonly Permission[];
  /** Differs for any two states that a node ever had. */
  readonly generation: number;
}

/** A change as watches hear of it. */
export interface Change {
  readonly path: string;
  /** Only watches on this very path are told; the others hear of a change above it. */
  readonly isExact: boolean;
  /** Who may be told: whoever may read by one of these lists, those of the node as it is and as it was, and that of the directory. */
  readonly readable: readonly (readonly Permission[])[];
}

/** What operations work on. */
export interface NodeView {
  get(path: string): StoreNode | undefined;
  /** Makes or replaces a node; the generation is the view's to choose. */
  set(path: string, node: Omit<StoreNode, "generation">): void;
  delete(path: string): void;
  /** Nodes that a domain owns. */
  owned(domid: number): number;
  changed(change: Change): void;
}

/** A node as plain data, for saved states. */
export type NodeRecord = [path: string, node: StoreNode];

/** The store itself. Every change is told at once. */
export class Store implements NodeView {
  readonly #nodes = new Map<string, StoreNode>();
  readonly #owned = new Map<number, number>();
  readonly #onChange: (change: Change) => void;
  #generation = 0;

  constructor(onChange: (change: Change) => void) {
    this.#onChange = onChange;
    this.set("/", { value: "", children: [], permissions: [{ domid: HOST_DOMID, access: "n" }] });
  }

  /** Number of nodes, the root among them. */
  get size(): number {
    return this.#nodes.size;
  }

  get(path: string): StoreNode | undefined {
    return this.#nodes.get(path);
  }

  set(path: string, node: Omit<StoreNode, "generation">): void {
    this.#count(this.#nodes.get(path), -1);
    const made = { ...node, generation: ++this.#generation };
    this.#nodes.set(path, made);
    this.#count(made, 1);
  }

  delete(path: string): void {
    this.#count(this.#nodes.get(path), -1);
    this.#nodes.delete(path);
  }

  owned(domid: number): number {
    return this.#owned.get(domid) ?? 0;
  }

  changed(change: Change): void {
    this.#onChange(change);
  }

  /** Serialisable state. */
  save(): { generation: number; nodes: NodeRecord[] } {
    return { generation: this.#generation, nodes: structuredClone([...this.#nodes]) };
  }

  /** Continues from saved state; nobody is told. */
  restore(state: ReturnType<Store["save"]>): void {
    this.#nodes.clear();
    this.#owned.clear();
    for (const [path, node] of structuredClone(state.nodes)) {
      this.#nodes.set(path, node);
      this.#count(node, 1);
    }
    this.#generation = state.generation;
  }

  #count(node: StoreNode | undefined, by: number): void {
    const owner = node?.permissions[0]?.domid;
    if (owner === undefined) return;
    const owned = this.owned(owner) + by;
    if (owned === 0) this.#owned.delete(owner);
    else this.#owned.set(owner, owned);
  }
}

/** A transaction as plain data. */
export interface TransactionRecord {
  /** Generation of each node when it was first seen, 0 for one that was not there. */
  readonly seen: [string, number][];
  /** Nodes as the transaction left them, null for those it removed. */
  readonly written: [string, StoreNode | null][];
  readonly changes: Change[];
  readonly generation: number;
}

/** What a transaction sees of a node that is not there. */
const ABSENT = 0;

/** See the file header. */
export class Transaction implements NodeView {
  readonly #store: Store;
  readonly #seen = new Map<string, number>();
  readonly #written = new Map<string, StoreNode | null>();
  /** By path and kind: however often a node changes, watches hear of it once. */
  readonly #changes = new Map<string, Change>();
  /** Generations inside a transaction run downwards, so that they never equal one of the store's. */
  #generation = 0;

  constructor(store: Store) {
    this.#store = store;
  }

  /** Nodes that the transaction looked at. */
  get nodesSeen(): number {
    return this.#seen.size;
  }

  get(path: string): StoreNode | undefined {
    const written = this.#written.get(path);
    if (written !== undefined) return written ?? undefined;
    const node = this.#store.get(path);
    if (!this.#seen.has(path)) this.#seen.set(path, node?.generation ?? ABSENT);
    return node;
  }

  set(path: string, node: Omit<StoreNode, "generation">): void {
    this.get(path);
    this.#written.set(path, { ...node, generation: --this.#generation });
  }

  delete(path: string): void {
    this.get(path);
    this.#written.set(path, null);
  }

  owned(domid: number): number {
    return this.#store.owned(domid) + (this.#growth().get(domid) ?? 0);
  }

  changed(change: Change): void {
    const key = `${change.isExact ? "=" : "*"}${change.path}`;
    if (!this.#changes.has(key)) this.#changes.set(key, change);
  }

  /** @returns 0 when the changes are in the store; -EAGAIN when something else changed what was seen; -ENOSPC past a quota. */
  commit(): number {
    for (const [path, generation] of this.#seen) {
      if ((this.#store.get(path)?.generation ?? ABSENT) !== generation) return -XEN_EAGAIN;
    }
    for (const [domid, growth] of this.#growth()) {
      const isOver = growth > 0 && this.#store.owned(domid) + growth > XENSTORE_NODES_MAX;
      if (domid !== HOST_DOMID && isOver) return -XEN_ENOSPC;
    }
    for (const [path, node] of this.#written) {
      if (node === null) this.#store.delete(path);
      else this.#store.set(path, node);
    }
    for (const change of this.#changes.values()) this.#store.changed(change);
    return 0;
  }

  /** Serialisable state. */
  save(): TransactionRecord {
    return structuredClone({
      seen: [...this.#seen],
      written: [...this.#written],
      changes: [...this.#changes.values()],
      generation: this.#generation,
    });
  }

  /** A transaction over `store` that continues from saved state. */
  static restore(store: Store, record: TransactionRecord): Transaction {
    const transaction = new Transaction(store);
    const { seen, written, changes, generation } = structuredClone(record);
    for (const [path, seenAs] of seen) transaction.#seen.set(path, seenAs);
    for (const [path, node] of written) transaction.#written.set(path, node);
    for (const change of changes) transaction.changed(change);
    transaction.#generation = generation;
    return transaction;
  }

  /** How many nodes more each domain will own after the commit. */
  #growth(): Map<number, number> {
    const growth = new Map<number, number>();
    const count = (node: StoreNode | null | undefined, by: number) => {
      const owner = node?.permissions[0]?.domid;
      if (owner !== undefined) growth.set(owner, (growth.get(owner) ?? 0) + by);
    };
    for (const [path, node] of this.#written) {
      count(this.#store.get(path), -1);
      count(node, 1);
    }
    return growth;
  }
}
