/**
 * Guests made from Debian's packages alone: the stock i386 kernel, busybox, GRUB. `npm test` makes them where it can (tools/debian-guests.ts)
 * and names their folder in WASMVISOR_DEBIAN_GUESTS (docs/status.md, "Tests that skip").
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { createGuest, type GuestEnd, type GuestOptions } from "../../host-ts/index.ts";
import { DEBIAN_FILES, DEBIAN_VARIABLE } from "../../tools/debian-guests.ts";

const FOLDER = process.env[DEBIAN_VARIABLE];

/** Kernel parameters that spare it self-tests of its cryptography, and a search for ISA cards: most of its boot otherwise. */
export const STOCK_COMMAND_LINE = "console=ttyS0 cryptomgr.notests=1 noisapnp";

/** Why the guests are not there; undefined when they are. */
export const missingDebianGuests: string | undefined = whyMissing();

function whyMissing(): string | undefined {
  if (FOLDER === undefined) return `${DEBIAN_VARIABLE} is not set`;
  const file = DEBIAN_FILES.find((name) => !existsSync(join(FOLDER, name)));
  return file && `${join(FOLDER, file)} is not there`;
}

/** Path of one of DEBIAN_FILES. */
export function debianFile(name: (typeof DEBIAN_FILES)[number]): string {
  return join(FOLDER ?? "", name);
}

/** Path of the kernel as its package has it, a bzImage. */
export function stockBzImage(): string {
  const unpacked = join(FOLDER ?? "", "x");
  const name = readdirSync(unpacked).find((each) => each.startsWith("linux-image-"));
  const boot = join(unpacked, name ?? "", "boot");
  const image = readdirSync(boot).find((each) => each.startsWith("vmlinuz-"));
  return join(boot, image ?? "");
}

/** How a run went; `lines` without the kernel's own and without carriage returns. */
export interface StockRun {
  readonly end: GuestEnd;
  readonly text: string;
  readonly lines: readonly string[];
}

/** Boots the stock kernel on a plain machine; what `react` returns for the text so far is typed once. */
export async function runStock(
  commandLine: string,
  initrd: Uint8Array,
  options: Partial<GuestOptions> = {},
  react: (text: string) => string | undefined = () => undefined,
): Promise<StockRun> {
  const guest = await createGuest({
    kernel: readFileSync(debianFile("vmlinux-686-pae")),
    initrd,
    abi: "bare",
    commandLine: `${STOCK_COMMAND_LINE} ${commandLine}`,
    ...options,
  });
  onTestFinished(() => guest[Symbol.asyncDispose]());
  const keyboard = guest.console.writable.getWriter();
  let text = "";
  let hasTyped = false;
  guest.on("output", (bytes) => {
    text += Buffer.from(bytes).toString("latin1").replaceAll("\r", "");
    const keys = hasTyped ? undefined : react(text);
    if (keys === undefined) return;
    hasTyped = true;
    void keyboard.write(new TextEncoder().encode(keys));
  });
  const end = await guest.run();
  const lines = text.split("\n").filter((line) => !/^\[ *\d+\.\d+\]/.test(line));
  return { end, text, lines };
}
