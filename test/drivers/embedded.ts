/** Guests held by way of the embedding API, as its tests want them. */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { createGuest, type Guest, type GuestOptions } from "../../host-ts/index.ts";
import { ROOT } from "../../tools/files.ts";
import { buildElf } from "../unit/boot/images.ts";

/** The embedded guest. */
export const kernel = readFileSync(join(ROOT, "guests/demo/demo.elf"));
/** Spins for good at its first instruction: jmp to itself. */
export const spinner = buildElf({
  segments: [{ paddr: 0x100000, bytes: Uint8Array.of(0xeb, 0xfe) }],
});

/** A guest and what it printed so far. */
export interface Booted {
  readonly guest: Guest;
  text(): string;
}

/** Builds a guest that the test gives back at its end. */
export async function boot(options: Partial<GuestOptions>): Promise<Booted> {
  const guest = await createGuest({ kernel, memoryBytes: 8 << 20, ...options });
  onTestFinished(() => guest[Symbol.asyncDispose]());
  let text = "";
  guest.on("output", (bytes) => {
    text += Buffer.from(bytes).toString("latin1");
  });
  return { guest, text: () => text };
}

/** Writes to the console and waits until it is accepted. */
export async function type(guest: Guest, keys: string): Promise<void> {
  const writer = guest.console.writable.getWriter();
  await writer.write(new TextEncoder().encode(keys));
  writer.releaseLock();
}
