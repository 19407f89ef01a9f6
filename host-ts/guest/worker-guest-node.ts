/** Node only: a guest in a worker, held like one on this thread. */

import type { CoreImage } from "../base/core.ts";
import { Emitter } from "../base/emitter.ts";
import { StateError } from "../base/errors.ts";
import { deferred } from "../base/event-loop.ts";
import type { StampedInput } from "../base/inputs.ts";
import type { ShutdownRequest } from "../base/personality.ts";
import type {
  Guest,
  GuestEnd,
  GuestEvents,
  GuestState,
  RequestOptions,
  SaveOptions,
} from "./api.ts";
import { type GuestConfig, refuseProfile, refuseRecording } from "./config.ts";
import { ConsoleStreams } from "./console-streams.ts";
import type { CrashReport } from "./crash-report.ts";
import type { Profile } from "./profiler.ts";
import type { NamedEvent, RemoteMethod } from "./protocol.ts";
import type { GuestStats } from "./stats.ts";
import { borrowWorker, type GuestWorker } from "./worker-pool-node.ts";
import { XenstoreClient } from "./xenstore.ts";

let nextGuest = 0;

/** A proxy: every method is a message, every event comes back as one. */
export class WorkerGuest implements Guest {
  readonly name: string;
  readonly console: ConsoleStreams;
  readonly xenstore: XenstoreClient;
  readonly ended: Promise<GuestEnd>;
  readonly #id = nextGuest++;
  readonly #worker: GuestWorker;
  readonly #events = new Emitter<GuestEvents>();
  readonly #end = deferred<GuestEnd>();
  #state: GuestState = "configured";
  #last: GuestEnd | undefined;

  /** Builds the guest in a worker. Rejects with the same errors as building it here. */
  static async create(config: GuestConfig, image: CoreImage): Promise<WorkerGuest> {
    const guest = new WorkerGuest(config, borrowWorker(image, config.xen.machine));
    try {
      await guest.#worker.ask({ type: "create", guest: guest.#id, config });
    } catch (error) {
      guest.#worker.dismiss(guest.#id);
      throw error;
    }
    return guest;
  }

  private constructor(config: GuestConfig, worker: GuestWorker) {
    this.name = config.name;
    this.#worker = worker;
    this.ended = this.#end.promise;
    this.xenstore = new XenstoreClient((call) => this.#call("storeCall", call), this.#events);
    this.ended.catch(() => {});
    const feed = async (bytes: Uint8Array | undefined) => {
      if (this.#state !== "dead") await worker.ask({ type: "input", guest: this.#id, bytes });
    };
    this.console = new ConsoleStreams({
      accept: feed,
      // A worker that is lost needs no end of input.
      end: () => void feed(undefined).catch(() => {}),
    });
    worker.admit(this.#id, {
      onEvent: (event) => this.#receive(event),
      onLost: (error) => this.#lose(error),
      machine: config.xen.machine,
    });
  }

  get state(): GuestState {
    return this.#state;
  }

  on<Name extends keyof GuestEvents>(
    name: Name,
    listener: (value: GuestEvents[Name]) => void,
  ): () => void {
    return this.#events.on(name, listener);
  }

  run(): Promise<GuestEnd> {
    if (this.#state === "dead") {
      return Promise.reject(new StateError(`guest "${this.name}" is dead; create a new one`));
    }
    this.#callAndFail("run");
    return this.ended;
  }

  async pause(): Promise<void> {
    await this.#callOr(() => undefined, "pause");
  }

  async resume(): Promise<void> {
    await this.#call("resume");
  }

  shutdown(): Promise<GuestEnd> {
    if (this.#state !== "dead") this.#callAndFail("shutdown");
    return this.ended;
  }

  kill(reason?: string): Promise<GuestEnd> {
    if (this.#state !== "dead") this.#callAndFail("kill", reason);
    return this.ended;
  }

  /** Ends the guest; `ended` rejects with `reason`, the AbortSignal's. */
  abort(reason: unknown): void {
    if (this.#state === "dead") return;
    // The reason may be anything and stays on this side.
    this.#end.reject(reason);
    this.#callAndFail("abort");
  }

  async resize(columns: number, rows: number): Promise<void> {
    await this.#callOr(() => undefined, "resize", columns, rows);
  }

  async nmi(vcpu?: number): Promise<void> {
    await this.#call("nmi", vcpu);
  }

  async requestShutdown(request: ShutdownRequest, options?: RequestOptions): Promise<void> {
    await this.#call("requestShutdown", request, options);
  }

  async sysrq(key: string): Promise<void> {
    await this.#call("sysrq", key);
  }

  async debugEvent(): Promise<void> {
    await this.#call("debugEvent");
  }

  async suspend(options?: RequestOptions): Promise<void> {
    await this.#call("suspend", options);
  }

  async save(options?: SaveOptions): Promise<Uint8Array> {
    return (await this.#call("save", options)) as Uint8Array;
  }

  async stats(): Promise<GuestStats> {
    const stats = await this.#callOr(() => this.#lastWords.stats, "stats");
    return this.#withDrops(stats);
  }

  async digest(): Promise<string> {
    return (await this.#call("digest")) as string;
  }

  async inspect(): Promise<CrashReport> {
    return (await this.#call("inspect")) as CrashReport;
  }

  async readMemory(gpa: number, length: number): Promise<Uint8Array> {
    return (await this.#call("readMemory", gpa, length)) as Uint8Array;
  }

  async recording(): Promise<readonly StampedInput[]> {
    return await this.#callOr(() => this.#lastWords.recording ?? refuseRecording(), "recording");
  }

  async profile(): Promise<Profile> {
    return await this.#callOr(() => this.#lastWords.profile ?? refuseProfile(), "profile");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.shutdown().catch(() => {});
  }

  async #call(method: RemoteMethod, ...args: unknown[]): Promise<unknown> {
    if (this.#state === "dead") this.#refuseDead();
    return await this.#worker.ask({ type: "call", guest: this.#id, method, args });
  }

  /** For calls that a dead guest answers, too, with `afterEnd`: also when its end comes before the answer. */
  async #callOr<T>(afterEnd: () => T, method: RemoteMethod, ...args: unknown[]): Promise<T> {
    try {
      return (await this.#call(method, ...args)) as T;
    } catch (error) {
      if (this.state !== "dead" || !(error instanceof StateError)) throw error;
      return afterEnd();
    }
  }

  get #lastWords(): GuestEnd {
    return this.#last ?? this.#refuseDead();
  }

  #refuseDead(): never {
    throw new StateError(`guest "${this.name}" is dead`);
  }

  /** For calls whose outcome is the guest's end: a failure of the call is the end, too. */
  #callAndFail(method: RemoteMethod, ...args: unknown[]): void {
    this.#call(method, ...args).catch((error: unknown) => this.#end.reject(error));
  }

  #receive(event: NamedEvent): void {
    switch (event.name) {
      case "state":
        // Its end says that, with all that is to be known then.
        if (event.value === "dead") return;
        this.#state = event.value;
        break;
      case "output":
        this.console.print(event.value);
        break;
      case "end":
        this.#last = { ...event.value, stats: this.#withDrops(event.value.stats) };
        this.#end.resolve(this.#last);
        this.#bury();
        this.#events.emit("end", this.#last);
        return;
    }
    this.#events.emit(event.name, event.value as never);
  }

  #lose(error: Error): void {
    this.#end.reject(error);
    this.#bury();
  }

  /** Output is dropped on this side only. */
  #withDrops(stats: GuestStats): GuestStats {
    return { ...stats, droppedOutputBytes: this.console.droppedBytes };
  }

  #bury(): void {
    this.#state = "dead";
    this.console.end();
    this.#worker.dismiss(this.#id);
    this.#events.emit("state", "dead");
  }
}
