/** What becomes of a guest that suspended itself: written to a file, or left as it is until the person wants it back. */
import type { Guest } from "../index.ts";
import { writeWhole } from "./files.ts";

/** How long a guest has to suspend itself or to power off when a person asks, in milliseconds. */
export const PATIENCE_MS = 60_000;

/**
 * Writes a suspended guest to a file, packed when its name says so, and ends it. One that cannot be saved goes on.
 * @returns whether it was saved, after a sentence about it
 */
export async function saveSuspended(
  guest: Guest,
  file: string,
  say: (text: string) => void,
): Promise<boolean> {
  try {
    await writeWhole(file, await guest.save({ compress: file.endsWith(".gz") }));
  } catch (error) {
    say(`the guest was not saved and goes on: ${(error as Error).message}`);
    await guest.resume();
    return false;
  }
  say(`guest saved; wasmvisor restore ${file} goes on with it`);
  await guest.shutdown();
  return true;
}
