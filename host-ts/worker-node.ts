/** Entry point of a worker that hosts guests: runs the same engine, driven by messages. */

import { parentPort, workerData } from "node:worker_threads";
import { assertHost, StateError, toPlainError } from "./base/errors.ts";
import type { GuestEvents } from "./guest/api.ts";
import { InlineGuest } from "./guest/guest.ts";
import { createPlatform } from "./guest/platform-node.ts";
import {
  type Command,
  FORWARDED,
  type Message,
  type NamedEvent,
  type WorkerStart,
} from "./guest/protocol.ts";
import { digestState } from "./state/digest.ts";

interface Hosted {
  readonly guest: InlineGuest;
  readonly input: WritableStreamDefaultWriter<Uint8Array>;
}

assertHost(parentPort !== null, "worker-node runs in a worker");
const port = parentPort;
const { image } = workerData as WorkerStart;
const guests = new Map<number, Hosted>();

port.on("message", (command: Command) => void answer(command));

async function answer(command: Command): Promise<void> {
  const { call } = command;
  try {
    const value = await obey(command);
    post({ type: "reply", call, value });
  } catch (error) {
    post({ type: "error", call, error: toPlainError(error) });
  }
}

async function obey(command: Command): Promise<unknown> {
  if (command.type === "create") return create(command);
  if (command.type === "input") return await feed(command.guest, command.bytes);
  return await perform(command);
}

function create({ guest: id, config }: Extract<Command, { type: "create" }>): undefined {
  const guest = new InlineGuest(config, createPlatform(image, digestState));
  // Output is streamed, and counted when dropped, on the other side.
  void guest.console.readable.cancel();
  guests.set(id, { guest, input: guest.console.writable.getWriter() });
  for (const name of FORWARDED) forward(id, guest, name);
  guest.ended.catch((error: unknown) => {
    guests.delete(id);
    // After an abort, too; the other side knows then that the guest has ended.
    post({ type: "failed", guest: id, error: toPlainError(error) });
  });
  return undefined;
}

function forward<Name extends keyof GuestEvents>(id: number, guest: InlineGuest, name: Name): void {
  guest.on(name, (value) => {
    post({ type: "event", guest: id, ...({ name, value } as unknown as NamedEvent) });
    if (name === "end") guests.delete(id);
  });
}

/** Every remote method is a method of the guest by the same name. */
async function perform(command: Extract<Command, { type: "call" }>): Promise<unknown> {
  const guest = guests.get(command.guest)?.guest;
  if (guest === undefined) throw new StateError("the guest has ended");
  const method = guest[command.method] as (...args: readonly unknown[]) => unknown;
  return await method.apply(guest, command.args as unknown[]);
}

async function feed(id: number, bytes: Uint8Array | undefined): Promise<void> {
  const input = guests.get(id)?.input;
  const done = bytes === undefined ? input?.close() : input?.write(bytes);
  // The stream's own end may have come first; input for a guest that is gone is dropped.
  await done?.catch(() => {});
}

function post(message: Message): void {
  port!.postMessage(message);
}
