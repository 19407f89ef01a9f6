/** The guest as an embedder holds it: the same interface for a guest on this thread and for one in a worker. Types only. */

import type { StampedInput } from "../base/inputs.ts";
import type { ShutdownRequest, StoreNode } from "../base/personality.ts";
import type { CrashReport } from "./crash-report.ts";
import type { Death } from "./machine.ts";
import type { Profile } from "./profiler.ts";
import type { GuestStats } from "./stats.ts";

/** configured -> running <-> paused -> dead; a running guest that suspends itself is "suspended" until it is resumed or ends. */
export type GuestState = "configured" | "running" | "paused" | "suspended" | "dead";

/** How long the embedder waits for a guest to do what it is asked. */
export interface RequestOptions {
  /** Host milliseconds, after which the request is taken back. Default: none. */
  readonly timeoutMs?: number | undefined;
}

/** How a suspended guest is saved. */
export interface SaveOptions {
  /** As a gzip file. Default false. */
  readonly compress?: boolean | undefined;
}

/** How a guest ended: by its own doing (Death), or "shutdown" and "aborted" by the embedder's. */
export interface GuestEnd {
  readonly kind: Death["kind"] | "shutdown" | "aborted";
  /** The guest's own words, or the name of the rule it broke. */
  readonly reason: string;
  /** For "exit": the code the guest chose, 0-255. */
  readonly exitCode?: number | undefined;
  /** For "killed", "panic" and "deadlocked". */
  readonly crash: CrashReport | undefined;
  /** Digest of the last state, when `debug.digestAtEnd` asked for it. */
  readonly digest: string | undefined;
  /** Every host input of the guest's life, when `debug.record` asked for it: `replay` of a new guest. */
  readonly recording: readonly StampedInput[] | undefined;
  /** What was in xenstore, when `xen.storeAtEnd` asked for it. */
  readonly xenstore?: readonly StoreNode[] | undefined;
  /** Samples of where the guest was, when the option `profile` asked for them. */
  readonly profile: Profile | undefined;
  readonly stats: GuestStats;
}

/** Events of a guest, by name, with what listeners receive. */
export interface GuestEvents {
  state: GuestState;
  /** Bytes the guest printed, also available as a stream. */
  output: Uint8Array;
  /** A notification no device took, by its guest-physical address. */
  notify: number;
  /** A fresh guest was booted: how many times so far. */
  reboot: number;
  /** A watch of `Guest.xenstore` fired: its number, and the path that changed. */
  xenstore: { readonly id: number; readonly path: string };
  end: GuestEnd;
}

/**
 * The store by which a guest of Xen and its Host tell each other things. Paths are absolute, or relative to the guest's own directory. All
 * of it throws ConfigError for a path that cannot be one, UnsupportedError for a guest that is none of Xen's, StateError after the end.
 */
export interface GuestXenstore {
  /** A node with all that is below it, each before what it holds, in the order in which they were made. Default "/". Empty for one that is not there. */
  ls(path?: string): Promise<readonly StoreNode[]>;
  /** A node's value, undefined for one that is not there. */
  read(path: string): Promise<string | undefined>;
  /**
   * Sets a node's value (Latin-1 text of at most 4096 characters), making it and what is missing above it with the rights there. The change
   * enters like all news from outside, between two instructions of the running guest, and is part of recordings.
   */
  write(path: string, value: string): Promise<void>;
  /** Removes a node with everything below it, if it is there; enters like a write. */
  rm(path: string): Promise<void>;
  /**
   * Calls `listener` once soon, and then after each change at `path` or below it, with the path that changed, until the returned function
   * is called. It stays over reboots, where it is called once again.
   */
  watch(path: string, listener: (path: string) => void): Promise<() => void>;
}

/** One guest. */
export interface Guest extends AsyncDisposable {
  readonly name: string;
  readonly state: GuestState;
  readonly console: {
    /** What the guest prints. Unread output is kept up to 16 MiB, then the newest is dropped and counted. */
    readonly readable: ReadableStream<Uint8Array>;
    /**
     * What the guest reads; input before boot is kept. A write resolves when less than 64 KiB wait for the guest, or when it has
     * ended. Closing the stream is the end of input.
     */
    readonly writable: WritableStream<Uint8Array>;
  };
  /** Only for guests of Xen. */
  readonly xenstore: GuestXenstore;
  /** Resolves once, however the guest ends; rejects with the AbortSignal's reason when aborted, else on a mistake of ours only. */
  readonly ended: Promise<GuestEnd>;
  /** Starts or resumes the guest, and waits for its end. Rejects with the AbortSignal's reason when aborted. */
  run(): Promise<GuestEnd>;
  /** Stops it between two instructions; resolves when it stands still. */
  pause(): Promise<void>;
  /** Lets it go on after a pause, or after a suspension, which the guest then finds cancelled. */
  resume(): Promise<void>;
  /** Ends it at once but tidily: disks are flushed and closed, memory is given back. Resolves with kind "shutdown". */
  shutdown(): Promise<GuestEnd>;
  /** Kills it with a reason, as if it had broken a rule; the crash report says where it was. */
  kill(reason?: string): Promise<GuestEnd>;
  /** Tells it the size of its terminal in characters. */
  resize(columns: number, rows: number): Promise<void>;
  /**
   * Sends a non-maskable interrupt: vector 2, whatever the guest's interrupt flag says. It is blocked while an earlier one is
   * being handled, and one more waits; a paravirtual guest without a handler never sees it. Throws StateError after the end,
   * ConfigError for a vCPU that does not exist.
   */
  nmi(vcpu?: number): Promise<void>;
  /**
   * Asks the guest's kernel to power off, restart, halt or suspend itself. Resolves when the guest has taken the request, or has ended; what
   * it does then is its own affair. Throws UnsupportedError for a guest that nobody can ask (only abi "xen-pv" listens), IgnoredError
   * when `timeoutMs` passed and the request was taken back.
   */
  requestShutdown(request: ShutdownRequest, options?: RequestOptions): Promise<void>;
  /** Sends the guest's kernel a system request, such as "s" for a sync: one Latin-1 character. Throws UnsupportedError like requestShutdown. */
  sysrq(key: string): Promise<void>;
  /**
   * Raises VIRQ_DEBUG on every vCPU that has bound it, at which kernels say how they stand: Xen's debug key "q". Throws UnsupportedError like
   * requestShutdown.
   */
  debugEvent(): Promise<void>;
  /**
   * Asks the guest's kernel to suspend itself and resolves when it stands still in state "suspended": `resume` lets it go on. Throws like
   * requestShutdown, and StateError when the guest ended instead.
   */
  suspend(options?: RequestOptions): Promise<void>;
  /**
   * A suspended guest as bytes: the option `restore` of a new guest, in this process or another. It stays suspended: end it, or let it go
   * on, but never both it and its copy on the same disk. Throws StateError for a guest that is not suspended, SnapshotError when its
   * kernel did not get ready for it.
   */
  save(options?: SaveOptions): Promise<Uint8Array>;
  stats(): Promise<GuestStats>;
  /** Digest of registers and memory, 32 hexadecimal digits: equal states give equal digests. */
  digest(): Promise<string>;
  /** Registers, code and stack where it stands. */
  inspect(): Promise<CrashReport>;
  /** Copies guest-physical memory. Throws ConfigError outside of it. */
  readMemory(gpa: number, length: number): Promise<Uint8Array>;
  /** Every host input so far with its stamp: `replay` of a new guest. Throws ConfigError without `debug.record`. */
  recording(): Promise<readonly StampedInput[]>;
  /** The samples so far, over all lives. Throws ConfigError without the option `profile`. */
  profile(): Promise<Profile>;
  /** Adds a listener; the returned function removes it. */
  on<Name extends keyof GuestEvents>(
    name: Name,
    listener: (value: GuestEvents[Name]) => void,
  ): () => void;
}
