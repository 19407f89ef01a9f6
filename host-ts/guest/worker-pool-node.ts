/**
 * Node only: the workers of this process that host guests. A worker takes tens of milliseconds to start and hosts many
 * guests, so they are kept and shared; one that hosts nothing keeps no process alive.
 */

import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";
import type { CoreImage } from "../base/core.ts";
import { fromPlainError, HypervisorError } from "../base/errors.ts";
import { type Deferred, deferred } from "../base/event-loop.ts";
import type { Command, Message, WorkerStart } from "./protocol.ts";

type EventListener = (event: Extract<Message, { type: "event" }>) => void;

/** A guest as its worker's pool knows it. */
export interface Hosted {
  readonly onEvent: EventListener;
  readonly onLost: (error: Error) => void;
  /** The machine that it shares with other Xen domains. */
  readonly machine: string | undefined;
}

/** A worker as its guests' proxies see it. */
export class GuestWorker {
  readonly #worker: Worker;
  readonly #calls = new Map<number, Deferred<unknown>>();
  readonly #guests = new Map<number, Hosted>();
  #nextCall = 0;
  #isLost = false;

  constructor(image: CoreImage) {
    const workerData: WorkerStart = { image };
    this.#worker = startWorker(workerData);
    this.#worker.on("message", (message: Message) => this.#receive(message));
    this.#worker.on("error", (cause) => this.#lose(cause));
    this.#worker.on("exit", () => this.#lose(undefined));
    this.#worker.unref();
  }

  get isLost(): boolean {
    return this.#isLost;
  }

  /** Guests hosted now. */
  get load(): number {
    return this.#guests.size;
  }

  /** Whether domains of a shared machine live here. */
  hosts(machine: string): boolean {
    return [...this.#guests.values()].some((guest) => guest.machine === machine);
  }

  /** Takes in a guest; while there is one, the worker keeps the process alive. */
  admit(guest: number, hosted: Hosted): void {
    this.#guests.set(guest, hosted);
    this.#worker.ref();
  }

  dismiss(guest: number): void {
    this.#guests.delete(guest);
    if (this.#guests.size === 0) this.#worker.unref();
  }

  /** Sends a command that is answered; rejects with the typed error of the other side. */
  ask(command: CommandWithoutCall): Promise<unknown> {
    const call = this.#nextCall++;
    const answer = deferred<unknown>();
    this.#calls.set(call, answer);
    this.send({ ...command, call } as Command);
    return answer.promise;
  }

  send(command: Command): void {
    this.#worker.postMessage(command);
  }

  #receive(message: Message): void {
    if (message.type === "event") {
      this.#guests.get(message.guest)?.onEvent(message);
      return;
    }
    if (message.type === "failed") {
      this.#guests.get(message.guest)?.onLost(fromPlainError(message.error));
      return;
    }
    const answer = this.#calls.get(message.call);
    this.#calls.delete(message.call);
    if (message.type === "reply") answer?.resolve(message.value);
    else answer?.reject(fromPlainError(message.error));
  }

  #lose(cause: unknown): void {
    if (this.#isLost) return;
    this.#isLost = true;
    const error = new HypervisorError("HV_WORKER", "the worker that hosts the guest ended", {
      cause,
    });
    for (const answer of this.#calls.values()) answer.reject(error);
    for (const guest of this.#guests.values()) guest.onLost(error);
    this.#calls.clear();
    this.#guests.clear();
  }
}

type WithoutCall<T> = T extends { readonly call: number } ? Omit<T, "call"> : never;
type CommandWithoutCall = WithoutCall<Command>;

const pools = new WeakMap<CoreImage, GuestWorker[]>();

/** The worker with the fewest guests; a new one while there are processors without. Domains of one machine are all on one. */
export function borrowWorker(image: CoreImage, machine: string | undefined): GuestWorker {
  const pool = (pools.get(image) ?? []).filter((worker) => !worker.isLost);
  pools.set(image, pool);
  const home = machine === undefined ? undefined : pool.find((worker) => worker.hosts(machine));
  if (home !== undefined) return home;
  pool.sort((a, b) => a.load - b.load);
  const idlest = pool[0];
  if (idlest !== undefined && (idlest.load === 0 || pool.length >= availableParallelism())) {
    return idlest;
  }
  const worker = new GuestWorker(image);
  pool.push(worker);
  return worker;
}

const isSource = import.meta.url.endsWith(".ts");

/** Beside this file's folder, with the ending that this file has: .ts in the repository, .js in the package. */
function startWorker(workerData: WorkerStart): Worker {
  const entry = new URL(isSource ? "../worker-node.ts" : "../worker-node.js", import.meta.url);
  if (!isSource) return new Worker(entry, { workerData, execArgv: [] });
  // Sources need the repository's loader, and Node 20 does not run a loader's `--import` in workers.
  const loader = import.meta.resolve("tsx/esm/api");
  const script = `import("${loader}").then((tsx) => (tsx.register(), import("${entry}")))`;
  return new Worker(script, { workerData, eval: true, execArgv: [] });
}
