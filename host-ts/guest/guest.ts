/**
 * The lifecycle of a guest on this thread: configured -> running <-> paused -> dead. Takes the run loop from turn
 * to turn, does what the embedder wants in between, and boots again when the guest restarts and may.
 */

import { Emitter } from "../base/emitter.ts";
import { ConfigError, StateError } from "../base/errors.ts";
import { Alarm, deferred, yieldToEventLoop } from "../base/event-loop.ts";
import { HostInputs, type StampedInput } from "../base/inputs.ts";
import type { ShutdownRequest } from "../base/personality.ts";
import { packImage } from "../xen/image/packing.ts";
import type {
  Guest,
  GuestEnd,
  GuestEvents,
  GuestState,
  RequestOptions,
  SaveOptions,
} from "./api.ts";
import { type GuestConfig, refuseProfile, refuseRecording, terminalSize } from "./config.ts";
import { ConsoleInput } from "./console-input.ts";
import { ConsoleStreams } from "./console-streams.ts";
import { type CrashReport, reportCrash } from "./crash-report.ts";
import { Machine } from "./machine.ts";
import type { MachineParts } from "./machine-parts.ts";
import { openHostSide, type Platform } from "./platform.ts";
import { type Profile, Profiler } from "./profiler.ts";
import { GuestRequests } from "./requests.ts";
import { collectStats, type GuestStats } from "./stats.ts";
import { Step } from "./step.ts";
import { Turns } from "./turns.ts";
import { type StoreCall, XenstoreClient, XenstoreServer } from "./xenstore.ts";

/** What the embedder wants of a guest that runs: the last wish counts, but none after one that ends it. */
type Wish =
  | { readonly kind: "run" | "pause" | "shutdown" }
  | { readonly kind: "kill"; readonly reason: string }
  | { readonly kind: "abort"; readonly reason: unknown };

/** A guest that runs on the thread that made it. */
export class InlineGuest implements Guest {
  readonly name: string;
  readonly console: ConsoleStreams;
  readonly xenstore: XenstoreClient;
  readonly ended: Promise<GuestEnd>;
  readonly #config: GuestConfig;
  readonly #platform: Platform;
  readonly #parts: MachineParts;
  readonly #inputs: HostInputs;
  readonly #profiler: Profiler | undefined;
  readonly #requests: GuestRequests;
  readonly #storeServer: XenstoreServer;
  readonly #closeHostSide: () => void;
  readonly #input: ConsoleInput;
  readonly #step: Step;
  readonly #turns: Turns;
  readonly #events = new Emitter<GuestEvents>();
  readonly #alarm = new Alarm();
  readonly #endSettled = deferred<GuestEnd>();
  #machine: Machine;
  #state: GuestState = "configured";
  #wish: Wish = { kind: "pause" };
  #isDriven = false;
  #driver: Promise<void> = Promise.resolve();
  #lives = 0;
  #startedMs: number | undefined;
  #lastStats: GuestStats | undefined;

  /** Builds the guest, ready to run. Throws ConfigError, ImageError, BackendError or OutOfMemoryError. */
  constructor(config: GuestConfig, platform: Platform) {
    this.name = config.name;
    this.#config = config;
    this.#platform = platform;
    this.#inputs = new HostInputs(config.replay, config.debug.record);
    this.#profiler = config.profile && new Profiler(config.profile);
    this.#input = new ConsoleInput(this.#inputs, () => this.#machine.pendingInputBytes);
    this.#requests = new GuestRequests(config.name, this.#inputs);
    this.xenstore = new XenstoreClient((call) => this.storeCall(call), this.#events);
    this.#storeServer = new XenstoreServer(config.name, this.#inputs, (id, path) =>
      this.#events.emit("xenstore", { id, path }),
    );
    this.console = new ConsoleStreams(this.#input);
    const print = (bytes: Uint8Array) => {
      this.console.print(bytes);
      this.#events.emit("output", bytes);
    };
    const hostSide = openHostSide(config, platform, this.#inputs, print);
    this.#closeHostSide = hostSide.close;
    this.#parts = {
      ...hostSide,
      xenMachine: hostSide.neighbours?.machine,
      core: platform.core,
      inputs: this.#inputs,
      profiler: this.#profiler,
      hostMs: platform.monotonicMs,
      onNotify: (address) => this.#events.emit("notify", address),
      onHalted: () => this.#input.release(),
    };
    try {
      this.#machine = new Machine(config, this.#parts);
    } catch (error) {
      this.#closeHostSide();
      throw error;
    }
    this.#step = new Step(hostSide.neighbours?.lockstep, () => this.#alarm.ring());
    this.#turns = new Turns(this.#inputs, this.#step, this.#alarm, platform.monotonicMs);
    this.#inputs.onPost(() => this.#lookAgain());
    this.ended = this.#endSettled.promise;
    // Nobody has to listen; whoever does gets the rejection through their own reference.
    this.ended.catch(() => {});
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
    this.#want({ kind: "run" });
    return this.ended;
  }

  async pause(): Promise<void> {
    if (this.#state === "dead") return;
    this.#want({ kind: "pause" });
    await this.#driver;
  }

  async resume(): Promise<void> {
    if (this.#state !== "paused" && this.#state !== "suspended") {
      throw new StateError(`guest "${this.name}" is ${this.#state}, neither paused nor suspended`);
    }
    this.#want({ kind: "run" });
  }

  shutdown(): Promise<GuestEnd> {
    if (this.#state !== "dead") this.#want({ kind: "shutdown" });
    return this.ended;
  }

  kill(reason = "killed by the embedder"): Promise<GuestEnd> {
    if (this.#state !== "dead") this.#want({ kind: "kill", reason });
    return this.ended;
  }

  /** Ends the guest; `ended` rejects with `reason`, the AbortSignal's. */
  abort(reason: unknown): void {
    if (this.#state !== "dead") this.#want({ kind: "abort", reason });
  }

  async resize(columns: number, rows: number): Promise<void> {
    const size = terminalSize(columns, rows);
    if (this.#state === "dead") return;
    this.#inputs.post({ kind: "resize", device: "console", data: [size.columns, size.rows] });
  }

  async nmi(vcpu = 0): Promise<void> {
    const { vcpus } = this.#alive();
    if (vcpus[vcpu] === undefined) {
      throw new ConfigError(`there is no vCPU ${vcpu}; there are ${vcpus.length}, from 0`);
    }
    this.#inputs.post({ kind: "nmi", device: "processor", data: [vcpu] });
  }

  async requestShutdown(request: ShutdownRequest, options?: RequestOptions): Promise<void> {
    const { control } = this.#alive().personality;
    await this.#requests.ask(control, request, "taken", options);
  }

  async sysrq(key: string): Promise<void> {
    this.#requests.sysrq(this.#alive().personality.control, key);
  }

  async debugEvent(): Promise<void> {
    this.#requests.debugEvent(this.#alive().personality.control);
  }

  async suspend(options?: RequestOptions): Promise<void> {
    const { control } = this.#alive().personality;
    if (!control?.isSuspended) await this.#requests.ask(control, "suspend", "suspended", options);
  }

  /** One use of `xenstore`. */
  async storeCall(call: StoreCall): Promise<unknown> {
    return this.#storeServer.perform(this.#alive().personality.store, call);
  }

  async save(options: SaveOptions = {}): Promise<Uint8Array> {
    const { control } = this.#alive().personality;
    if (this.#state !== "suspended" || control === undefined) {
      throw new StateError(`guest "${this.name}" is ${this.#state}; suspend it before saving it`);
    }
    const image = control.image(this.#inputs.waitingConsoleInput);
    return options.compress ? await packImage(image) : image;
  }

  async stats(): Promise<GuestStats> {
    return this.#lastStats ?? this.#collectStats();
  }

  async digest(): Promise<string> {
    return this.#platform.digest(this.#alive());
  }

  async inspect(): Promise<CrashReport> {
    return reportCrash(this.#alive(), this.#state);
  }

  async readMemory(gpa: number, length: number): Promise<Uint8Array> {
    const { memory } = this.#alive();
    if (!Number.isInteger(gpa) || !Number.isInteger(length)) {
      throw new ConfigError(`address ${gpa}, ${length} bytes: both must be integers`);
    }
    if (!memory.isRange(gpa, length)) {
      throw new ConfigError(`0x${gpa.toString(16)}, ${length} bytes, is outside guest memory`);
    }
    return memory.read(gpa, length);
  }

  async recording(): Promise<readonly StampedInput[]> {
    return this.#recording ?? refuseRecording();
  }

  async profile(): Promise<Profile> {
    return this.#profiler?.profile ?? refuseProfile();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.shutdown().catch(() => {});
  }

  #want(wish: Wish): void {
    if (this.#wish.kind !== "run" && this.#wish.kind !== "pause") return;
    this.#wish = wish;
    this.#alarm.ring();
    if (this.#isDriven || wish.kind === "pause") return;
    this.#isDriven = true;
    if (wish.kind === "run" && this.#isSuspended) {
      this.#machine.personality.control?.cancelSuspend();
    }
    this.#driver = this.#drive();
  }

  #alive(): Machine {
    if (this.#state === "dead") throw new StateError(`guest "${this.name}" is dead`);
    return this.#machine;
  }

  async #drive(): Promise<void> {
    try {
      this.#step.start(this.#machine.clock);
      this.#startedMs ??= this.#platform.monotonicMs();
      while (this.#wish.kind === "run") {
        this.#enterState("running");
        await yieldToEventLoop();
        if (this.#wish.kind === "run") await this.#runTurn();
      }
      this.#machine.clock.stop();
      this.#step.stop();
      // From here on a wish, such as one of a listener, needs a driver of its own.
      this.#isDriven = false;
      if (this.#state !== "dead") this.#obey(this.#wish);
    } catch (error) {
      this.#fail(error);
    }
  }

  /** The first error is the one told; cleaning up may fail for the same reason. */
  #fail(error: unknown): void {
    this.#endSettled.reject(error);
    try {
      this.#lastStats ??= this.#collectStats();
      this.#finish();
    } catch {}
  }

  /** One turn, and whatever must happen before the next one. */
  async #runTurn(): Promise<void> {
    const outcome = this.#turns.run(this.#machine, () => this.#wish.kind !== "run");
    if (outcome === undefined) return this.#alarm.sleep(undefined);
    this.#input.release();
    if (!this.#isSuspended) this.#requests.look(this.#machine.personality.control);
    if (outcome.kind === "dead") this.#bury();
    else if (outcome.kind === "suspended") this.#stand();
    else await this.#turns.rest(this.#machine, outcome);
  }

  /** Something came in, or a neighbour did something. */
  #lookAgain(): void {
    this.#alarm.ring();
    this.#step.nudge();
  }

  /** The guest suspended itself: it stands still until somebody wants it to run, or its end. */
  #stand(): void {
    if (this.#wish.kind === "run") this.#wish = { kind: "pause" };
  }

  get #isSuspended(): boolean {
    return this.#machine.personality.control?.isSuspended ?? false;
  }

  #bury(): void {
    const death = this.#machine.death!;
    if (death.kind === "restart" && this.#config.onRestart === "reboot") {
      this.#reboot();
      return;
    }
    const isCrash = !["power-off", "restart", "exit"].includes(death.kind);
    this.#conclude(death, isCrash ? reportCrash(this.#machine, death.reason) : undefined);
  }

  /** A fresh guest from the same options; disks keep what was written. */
  #reboot(): void {
    this.#storeServer.detach();
    this.#machine.dispose();
    this.#inputs.startNextLife();
    this.#machine = new Machine(this.#config, { ...this.#parts, restore: undefined });
    this.#step.stop();
    this.#step.start(this.#machine.clock);
    this.#storeServer.reattach(this.#machine.personality.store);
    this.#turns.coreMs = 0;
    this.#startedMs = this.#platform.monotonicMs();
    this.#events.emit("reboot", ++this.#lives);
  }

  #obey(wish: Wish): void {
    if (wish.kind === "pause") {
      this.#enterState(this.#isSuspended ? "suspended" : "paused");
      if (this.#isSuspended) this.#requests.look(this.#machine.personality.control);
    } else if (wish.kind === "kill") {
      this.#conclude(
        { kind: "killed", reason: wish.reason },
        reportCrash(this.#machine, wish.reason),
      );
    } else if (wish.kind === "abort") {
      const reason = "aborted by the embedder";
      this.#endSettled.reject(wish.reason);
      this.#conclude({ kind: "aborted", reason }, undefined);
    } else {
      this.#conclude({ kind: "shutdown", reason: "shut down by the embedder" }, undefined);
    }
  }

  /** The end: what is known is collected before the memory goes. */
  #conclude(
    how: Pick<GuestEnd, "kind" | "reason" | "exitCode">,
    crash: CrashReport | undefined,
  ): void {
    const stats = this.#collectStats();
    this.#lastStats = stats;
    const digest = this.#config.debug.digestAtEnd
      ? this.#platform.digest(this.#machine)
      : undefined;
    const recording = this.#recording;
    const profile = this.#profiler?.profile;
    const xenstore = this.#config.xen.storeAtEnd
      ? this.#machine.personality.store?.tree("/")
      : undefined;
    const end: GuestEnd = { ...how, crash, digest, recording, xenstore, profile, stats };
    this.#wish = { kind: "pause" };
    this.#finish();
    this.#endSettled.resolve(end);
    this.#events.emit("end", end);
  }

  #finish(): void {
    if (this.#state === "dead") return;
    this.#inputs.onPost(undefined);
    this.#storeServer.detach();
    this.#step.leave();
    this.#input.close();
    this.#requests.end();
    this.console.end();
    try {
      this.#machine.dispose();
      this.#closeHostSide();
    } finally {
      this.#enterState("dead");
    }
  }

  get #recording(): readonly StampedInput[] | undefined {
    return this.#config.debug.record ? this.#inputs.log : undefined;
  }

  #collectStats(): GuestStats {
    const hostMs =
      this.#startedMs === undefined ? 0 : this.#platform.monotonicMs() - this.#startedMs;
    const seconds = { core: this.#turns.coreMs / 1000, host: hostMs / 1000 };
    return collectStats(this.#machine, seconds, this.console.droppedBytes);
  }

  #enterState(state: GuestState): void {
    if (this.#state === state) return;
    this.#state = state;
    this.#events.emit("state", state);
  }
}
