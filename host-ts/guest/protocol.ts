/** What passes between an embedder's thread and a worker that hosts guests. Everything is plain data. */

import type { CoreImage } from "../base/core.ts";
import type { PlainError } from "../base/errors.ts";
import type { GuestEvents } from "./api.ts";
import type { GuestConfig } from "./config.ts";

/** Given to a worker at its start. */
export interface WorkerStart {
  readonly image: CoreImage;
}

/** Methods of a guest that can be called from another thread, answered by a reply each. */
export type RemoteMethod =
  | "run"
  | "pause"
  | "resume"
  | "shutdown"
  | "kill"
  | "abort"
  | "resize"
  | "nmi"
  | "requestShutdown"
  | "sysrq"
  | "debugEvent"
  | "suspend"
  | "save"
  | "stats"
  | "digest"
  | "inspect"
  | "readMemory"
  | "recording"
  | "profile"
  | "storeCall";

/** To the worker. `guest` numbers guests, `call` numbers calls. */
export type Command =
  | {
      readonly type: "create";
      readonly guest: number;
      readonly call: number;
      readonly config: GuestConfig;
    }
  | {
      readonly type: "call";
      readonly guest: number;
      readonly call: number;
      readonly method: RemoteMethod;
      readonly args: readonly unknown[];
    }
  /** Console input, answered when the guest has room for more; undefined is its end. */
  | {
      readonly type: "input";
      readonly guest: number;
      readonly call: number;
      readonly bytes: Uint8Array | undefined;
    };

/** An event with its value, one variant per event. */
export type NamedEvent = {
  [Name in keyof GuestEvents]: { readonly name: Name; readonly value: GuestEvents[Name] };
}[keyof GuestEvents];

/** From the worker. */
export type Message =
  | { readonly type: "reply"; readonly call: number; readonly value: unknown }
  | { readonly type: "error"; readonly call: number; readonly error: PlainError }
  | ({ readonly type: "event"; readonly guest: number } & NamedEvent)
  /** The engine failed, and the guest with it: there is no "end". */
  | { readonly type: "failed"; readonly guest: number; readonly error: PlainError };

/** Events that a worker forwards. */
export const FORWARDED: readonly (keyof GuestEvents)[] = [
  "state",
  "output",
  "notify",
  "reboot",
  "xenstore",
  "end",
];
