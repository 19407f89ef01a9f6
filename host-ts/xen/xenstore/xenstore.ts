/**
 * xenstore: the store, its transactions and watches, what each domain may ask of it by message, and how the Host itself uses it.
 *
 * Guests hear of a change before the call that made it is answered; the Host's own listeners hear of it when that call is over, so that a
 * listener may write, too.
 * Source: Xen's docs/misc/xenstore.txt.
 */
import {
  XEN_EACCES,
  XEN_EBUSY,
  XEN_EINVAL,
  XEN_ENOENT,
  XEN_ENOSPC,
  XEN_ENOSYS,
} from "../../../abi/xen.ts";
import { XENSTORE_TRANSACTION_NODES_MAX, XENSTORE_TRANSACTIONS_MAX } from "../../../abi/xen-io.ts";
import {
  XENSTORE_PAYLOAD_MAX,
  XENSTORE_REL_PATH_MAX,
  XS_CONTROL,
  XS_ERROR,
  XS_INTRODUCE,
  XS_IS_DOMAIN_INTRODUCED,
  XS_RELEASE,
  XS_RESET_WATCHES,
  XS_RESUME,
  XS_SET_TARGET,
  XS_TRANSACTION_END,
  XS_TRANSACTION_START,
  XS_UNWATCH,
  XS_WATCH,
  XS_WATCH_EVENT,
} from "../../../abi/xen-layout.ts";
import { ConfigError, SnapshotError } from "../../base/errors.ts";
import { removeNode, setPermissions, writeNode } from "./operations.ts";
import { HOST_DOMID, INTRODUCE_DOMAIN, RELEASE_DOMAIN, resolvePath } from "./paths.ts";
import type { Permission } from "./permissions.ts";
import { NODE_REQUESTS, OK } from "./requests.ts";
import { type Change, Store, Transaction, type TransactionRecord } from "./store.ts";
import { type Watch, type WatchEvent, Watches } from "./watches.ts";
import { errorPayload, joinTexts, splitTexts, type XsMessage } from "./wire.ts";

const STATE_VERSION = 2;
/** What only the toolstack of a privileged domain asks. */
const PRIVILEGED: readonly number[] = [
  XS_CONTROL,
  XS_INTRODUCE,
  XS_IS_DOMAIN_INTRODUCED,
  XS_RELEASE,
  XS_RESUME,
  XS_SET_TARGET,
];
/** Besides those about nodes and watches. */
const OTHERS: readonly number[] = [XS_TRANSACTION_START, XS_TRANSACTION_END, XS_RESET_WATCHES];

/** A domain as xenstore sees it. */
interface Connection {
  /** Takes answers and watch events. */
  readonly send: (message: XsMessage) => void;
  readonly transactions: Map<number, Transaction>;
  lastTransaction: number;
}

/** The transactions of a domain in a saved state. */
interface ConnectionRecord {
  readonly domid: number;
  readonly lastTransaction: number;
  readonly transactions: [number, TransactionRecord][];
}

/** See the file header. */
export class Xenstore {
  readonly #store = new Store((change) => this.#tell(change));
  readonly #watches = new Watches();
  readonly #connections = new Map<number, Connection>();
  readonly #listeners = new Map<string, (path: string) => void>();
  #lastListener = 0;
  /** News for the Host's listeners. */
  #news: WatchEvent[] = [];
  #isBusy = false;

  // -------------------------------------------------------------------------------------------------------------
  // The Host's own use. Paths are absolute; a malformed one is the embedder's mistake (ConfigError).
  // -------------------------------------------------------------------------------------------------------------

  /** A node's value, undefined for a node that is not there. */
  read(path: string): string | undefined {
    return this.#store.get(hostPath(path))?.value;
  }

  /** Names of the nodes in a directory, undefined for one that is not there. */
  list(path: string): string[] | undefined {
    const children = this.#store.get(hostPath(path))?.children;
    return children && [...children];
  }

  /** Sets a node's value (Latin-1 text of at most 4096 characters), making it and what is missing above it with the rights there. */
  write(path: string, value: string): void {
    if (value.length > XENSTORE_PAYLOAD_MAX || /[^\0-\xff]/.test(value)) {
      throw new ConfigError("a value in xenstore is Latin-1 text of at most 4096 characters");
    }
    this.#run(() => writeNode(this.#store, HOST_DOMID, hostPath(path), value));
  }

  /** Removes a node with everything below it, if it is there. */
  remove(path: string): void {
    this.#run(() => removeNode(this.#store, HOST_DOMID, hostPath(path)));
  }

  /** A node's rights, undefined for a node that is not there. */
  permissions(path: string): readonly Permission[] | undefined {
    return this.#store.get(hostPath(path))?.permissions;
  }

  /** Replaces the rights of a node that is there; the first entry names its owner. */
  setPermissions(path: string, permissions: readonly [Permission, ...Permission[]]): void {
    this.#run(() => setPermissions(this.#store, HOST_DOMID, hostPath(path), permissions));
  }

  /**
   * Calls `listener` once now, and then after each change at `path` or below it, with the path that changed. "@introduceDomain" and
   * "@releaseDomain" stand for domains that come and go. @returns the function that ends it.
   */
  watch(path: string, listener: (path: string) => void): () => void {
    const token = String(++this.#lastListener);
    const watch = {
      domid: HOST_DOMID,
      path: specialPath(path) ?? hostPath(path),
      token,
      isRelative: false,
    };
    this.#run(() => {
      this.#watches.add(watch);
      this.#listeners.set(token, listener);
      this.#deliver({ watch, path: watch.path });
    });
    return () => {
      this.#watches.remove(HOST_DOMID, watch.path, token);
      this.#listeners.delete(token);
    };
  }

  // -------------------------------------------------------------------------------------------------------------
  // Domains
  // -------------------------------------------------------------------------------------------------------------

  /** A domain comes: `send` takes what it is told. */
  introduce(domid: number, send: (message: XsMessage) => void): void {
    this.#run(() => {
      this.#connections.set(domid, { send, transactions: new Map(), lastTransaction: 0 });
      this.#store.changed(special(INTRODUCE_DOMAIN));
    });
  }

  /** A domain went. Its nodes stay until somebody removes them. */
  release(domid: number): void {
    this.#run(() => {
      this.disconnect(domid);
      this.#connections.delete(domid);
      this.#store.changed(special(RELEASE_DOMAIN));
    });
  }

  /** Forgets a domain's watches and transactions: it begins anew. */
  disconnect(domid: number): void {
    this.#watches.removeAll(domid);
    this.#connections.get(domid)?.transactions.clear();
  }

  /** A message of a domain that was introduced. */
  handle(domid: number, message: XsMessage): void {
    const connection = this.#connections.get(domid);
    if (connection === undefined) return;
    this.#run(() => {
      const answer = this.#answer(domid, connection, message);
      const { requestId, transactionId } = message;
      const isError = typeof answer === "number";
      const type = isError ? XS_ERROR : message.type;
      const payload = isError ? errorPayload(answer) : answer;
      connection.send({ type, requestId, transactionId, payload });
      // A new watch fires at once, so that its owner looks at what is there.
      if (message.type === XS_WATCH && !isError) {
        this.#deliver(initialEvent(domid, message.payload)!);
      }
    });
  }

  /** Serialisable state. */
  save(): Record<string, unknown> {
    const connections = [...this.#connections].map(([domid, connection]): ConnectionRecord => {
      const { lastTransaction, transactions } = connection;
      const records = [...transactions].map(([id, transaction]): [number, TransactionRecord] => [
        id,
        transaction.save(),
      ]);
      return { domid, lastTransaction, transactions: records };
    });
    return {
      version: STATE_VERSION,
      store: this.#store.save(),
      watches: this.#watches.save(),
      connections,
    };
  }

  /** Continues from saved state; the domains in it must have been introduced. The Host's listeners stay, and are not called. */
  restore(state: Record<string, unknown>): void {
    if (state.version !== STATE_VERSION) {
      throw new SnapshotError(
        `state of xenstore has version ${String(state.version)}; this build restores version ${STATE_VERSION}`,
      );
    }
    this.#store.restore(state.store as ReturnType<Store["save"]>);
    this.#watches.restore(state.watches as Watch[]);
    for (const record of state.connections as ConnectionRecord[]) {
      const connection = this.#connections.get(record.domid);
      if (connection === undefined) continue;
      connection.lastTransaction = record.lastTransaction;
      connection.transactions.clear();
      for (const [id, transaction] of record.transactions) {
        connection.transactions.set(id, Transaction.restore(this.#store, transaction));
      }
    }
  }

  // -------------------------------------------------------------------------------------------------------------
  // Requests
  // -------------------------------------------------------------------------------------------------------------

  #answer(domid: number, connection: Connection, message: XsMessage): string | number {
    const { type, transactionId, payload } = message;
    if (PRIVILEGED.includes(type)) return -XEN_EACCES;
    // Watches are never part of a transaction, whatever the message says.
    if (type === XS_WATCH || type === XS_UNWATCH) return this.#changeWatch(domid, type, payload);
    const request = NODE_REQUESTS[type];
    if (request === undefined && !OTHERS.includes(type)) return -XEN_ENOSYS;
    const transaction = connection.transactions.get(transactionId);
    if (transactionId !== 0 && transaction === undefined) return -XEN_ENOENT;
    if (request !== undefined) {
      if ((transaction?.nodesSeen ?? 0) >= XENSTORE_TRANSACTION_NODES_MAX) return -XEN_ENOSPC;
      return request(transaction ?? this.#store, domid, payload);
    }
    if (type === XS_TRANSACTION_START) {
      return transaction === undefined ? this.#begin(connection) : -XEN_EBUSY;
    }
    if (type === XS_RESET_WATCHES) {
      this.disconnect(domid);
      return OK;
    }
    if (payload !== "T\0" && payload !== "F\0") return -XEN_EINVAL;
    if (transaction === undefined) return -XEN_ENOENT;
    connection.transactions.delete(transactionId);
    return (payload === "T\0" ? transaction.commit() : 0) || OK;
  }

  #changeWatch(domid: number, type: number, payload: string): string | number {
    const watch = initialEvent(domid, payload)?.watch;
    if (watch === undefined) return -XEN_EINVAL;
    if (type === XS_WATCH) return this.#watches.add(watch) || OK;
    return this.#watches.remove(domid, watch.path, watch.token) || OK;
  }

  /** A new transaction. @returns its number as a payload, or -ENOSPC. */
  #begin(connection: Connection): string | number {
    const { transactions } = connection;
    if (transactions.size > XENSTORE_TRANSACTIONS_MAX) return -XEN_ENOSPC;
    do connection.lastTransaction = (connection.lastTransaction + 1) >>> 0;
    while (connection.lastTransaction === 0 || transactions.has(connection.lastTransaction));
    transactions.set(connection.lastTransaction, new Transaction(this.#store));
    return joinTexts([String(connection.lastTransaction)]);
  }

  // -------------------------------------------------------------------------------------------------------------
  // News
  // -------------------------------------------------------------------------------------------------------------

  /** Does one thing, and then tells the Host's listeners what came of it. */
  #run(action: () => void): void {
    action();
    if (this.#isBusy) return;
    this.#isBusy = true;
    try {
      for (let event = this.#news.shift(); event !== undefined; event = this.#news.shift()) {
        this.#listeners.get(event.watch.token)?.(event.path);
      }
    } finally {
      this.#isBusy = false;
    }
  }

  #tell(change: Change): void {
    for (const event of this.#watches.match(change)) this.#deliver(event);
  }

  #deliver(event: WatchEvent): void {
    const { domid, token } = event.watch;
    if (domid === HOST_DOMID) this.#news.push(event);
    else {
      const payload = joinTexts([event.path, token]);
      // A long token below a long path fits no message.
      if (payload.length > XENSTORE_PAYLOAD_MAX) return;
      const message = { type: XS_WATCH_EVENT, requestId: 0, transactionId: 0, payload };
      this.#connections.get(domid)?.send(message);
    }
  }
}

/** The watch that a payload asks for, and the first event of it. */
function initialEvent(domid: number, payload: string): WatchEvent | undefined {
  const texts = splitTexts(payload);
  if (texts?.length !== 2) return undefined;
  const [text, token] = texts as [string, string];
  const path = specialPath(text) ?? resolvePath(text, domid);
  if (path === undefined) return undefined;
  return { watch: { domid, path, token, isRelative: path !== text }, path: text };
}

/** What is no node may be watched, and most of it never happens. */
function specialPath(text: string): string | undefined {
  return text.startsWith("@") && text.length <= XENSTORE_REL_PATH_MAX ? text : undefined;
}

function special(path: string): Change {
  return { path, isExact: true, readable: [[{ domid: HOST_DOMID, access: "n" }]] };
}

function hostPath(path: string): string {
  const resolved = path.startsWith("/") ? resolvePath(path, HOST_DOMID) : undefined;
  if (resolved === undefined) throw new ConfigError(`"${path}" is no absolute path of xenstore`);
  return resolved;
}
