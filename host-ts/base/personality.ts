/**
 * The seam between the run loop and a personality: how a domain is built, its hypercalls, its traps, its interrupts.
 * The run loop knows nothing else about the kind of guest it runs.
 */

import type { Core } from "./core.ts";
import type { FrameMemory } from "./guest-memory.ts";
import type { HostInput, VirtioDevice } from "./ports.ts";
import type { GuestClock, Timers } from "./time.ts";
import type { VcpuBlock } from "./vcpu-block.ts";

/** How a guest's life can end by its own doing. */
export type GuestEndKind = "power-off" | "restart" | "panic" | "exit" | "deadlocked";

/** What a personality may ask of the Host it runs in. */
export interface PersonalityHost {
  readonly core: Core;
  /** Pointer of the guest block. */
  readonly guest: number;
  /** All vCPUs, by number. */
  readonly vcpus: readonly VcpuBlock[];
  /** The vCPU whose turn it is. It changes between two instructions only, while the personality is not at work. */
  readonly vcpu: VcpuBlock;
  readonly memory: FrameMemory;
  readonly clock: GuestClock;
  readonly timers: Timers;
  /** In the order of the options: console, disks, network ports, rng. */
  readonly devices: readonly VirtioDevice[];
  readonly isDead: boolean;
  /** The guest broke a rule: it never runs again. The first reason sticks. */
  kill(reason: string): void;
  /** A verb of the core failed: kills with the words of the exit record it left. */
  killFromCore(): void;
  /** The guest asked for its end, or can never go on; `exitCode` (0-255) goes with kind "exit". */
  end(kind: GuestEndKind, message: string, exitCode?: number): void;
  /** Output from before the console device works. */
  print(bytes: Uint8Array): void;
  /** A notification that no device took. */
  notifyLauncher(address: number): void;
  /** The vCPU that runs gives up the rest of its turn; another one that can run comes first. */
  endTurn(): void;
  /** Another guest of this thread changed what this one may wait for: a Host that sleeps looks again. */
  nudge(): void;
  /** A non-maskable interrupt for a vCPU: vector 2, at its next boundary between instructions that is open to it. */
  raiseNmi(vcpu: VcpuBlock): void;
  /** Counts one call performed by the Host, by its number (0-63). */
  countHypercall(number: number): void;
}

/** What a guest may be asked to do by name. */
export const SHUTDOWN_REQUESTS = ["poweroff", "reboot", "halt", "suspend"] as const;
export type ShutdownRequest = (typeof SHUTDOWN_REQUESTS)[number];

/** How the embedder reaches the kernel of a guest that can be asked to shut down, and that can be suspended. */
export interface GuestControl {
  /** Whether the guest has yet to take the last request of kind "shutdown". */
  readonly hasPendingRequest: boolean;
  /** The guest suspended itself: it gets no turn. */
  readonly isSuspended: boolean;
  /** A suspended guest goes on as it stands, and learns that nothing became of it. */
  cancelSuspend(): void;
  /** A suspended guest as bytes, with console input that waits for it outside. Throws SnapshotError when the guest did not get ready for it. */
  image(waitingInput: Uint8Array): Uint8Array;
}

/** A node of a store that guest and Host share. */
export interface StoreNode {
  /** Absolute. */
  readonly path: string;
  /** Latin-1 text, one character per byte. */
  readonly value: string;
  /** Who may do what, as xenstore writes it: "n0" for the owner, domain 0, and nothing for others, then "r1" and the like. */
  readonly permissions: readonly string[];
}

/** The tree of names and texts by which the Host and a guest of Xen talk. Every path that cannot be one is a ConfigError. */
export interface SharedStore {
  /** A node with all that is below it, each before what it holds; undefined for one that is not there. */
  tree(path: string): StoreNode[] | undefined;
  read(path: string): string | undefined;
  /** The input by which a change enters. */
  writeInput(path: string, value: string): HostInput;
  removeInput(path: string): HostInput;
  /** Calls `listener` once now and after each change at `path` or below. @returns the function that ends it */
  watch(path: string, listener: (path: string) => void): () => void;
}

/**
 * One guest's personality. Every method returns for whatever the guest does, and acts for the vCPU whose turn it is
 * (`PersonalityHost.vcpu`) unless it is given one.
 */
export interface Personality {
  readonly name: string;
  /** Performs the calls that the last exit asked for, if any. */
  runHypercalls(): void;
  /** Takes a notification raised by a call to its device, or out to the launcher. */
  deliverNotify(): void;
  /** Chooses a deliverable interrupt and delivers it. */
  deliverInterrupts(): void;
  /** Whether a vCPU waits: for an interrupt, or to be started at all. It gets no turn then. */
  isHalted(vcpu: VcpuBlock): boolean;
  /** Whether deliverInterrupts would make a vCPU that waits go on. */
  canWake(vcpu: VcpuBlock): boolean;
  /** Whether no timer and no device can ever make any vCPU go on; without it they always may. */
  readonly isStuck?: boolean;
  /** The turn went from `before` to `PersonalityHost.vcpu`. */
  turnPassed?(before: VcpuBlock): void;
  /** Most instructions to run before the Host must look again; Infinity when nothing waits. */
  readonly sliceLimit: number;
  /** A timer that this personality set has expired. */
  timerExpired(name: string): void;
  /**
   * Runs the guest for at most `budget` instructions and returns EXIT_*, in place of the core's verb: for a personality that serves
   * some exits itself, within the slice.
   */
  run?(budget: number): number;
  /** A hypercall exit: remembered for the next runHypercalls. */
  requestHypercalls(): void;
  /** HLT, as an instruction. */
  halt(): void;
  /** A fault while a double fault was delivered; without this method it kills the guest. */
  tripleFault?(): void;
  /** An x87 exception that the processor reports outside, CR0.NE being clear. */
  coprocessorError?(): void;
  /** Without it nobody in the guest listens to requests. */
  readonly control?: GuestControl;
  /** Only guests of Xen have one. */
  readonly store?: SharedStore;
  /** Host-side news for a device that is none of `PersonalityHost.devices`. */
  receive?(input: HostInput): void;
  /** Bytes of console input that wait in devices of its own. */
  readonly pendingInputBytes?: number;
  /** A trap the core left to the Host. */
  trap(vector: number, errorCode: number, address: number): void;
  /** @returns `size` bytes as an unsigned number; all ones when nobody answers. */
  ioRead(port: number, size: number): number;
  ioWrite(port: number, size: number, value: number): void;
  mmioRead(gpa: number, size: number): number;
  mmioWrite(gpa: number, size: number, value: number): void;
  /** The words for a death that the core found: KILL_* and its arguments. */
  killText(code: number, args: readonly number[]): string;
  /** Names of the calls by number, for statistics. */
  readonly callNames: readonly (string | undefined)[];
  /** The guest is gone: lets go of what it shares with other guests. Before its vCPUs and memory go. */
  dispose?(): void;
  /** Plain serialisable state besides the vCPU block and guest memory. */
  save(): Record<string, unknown>;
  /**
   * Continues from saved state, in a guest made from the same options whose vCPU block and memory are those of the snapshot.
   * Throws SnapshotError for state of another version.
   */
  restore(state: Record<string, unknown>): void;
}
