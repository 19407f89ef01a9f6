/**
 * Guests from Debian's packages for `npm test`, made once by the script that lies beside the checkout. They stay in the ignored build
 * folder, or where WASMVISOR_DEBIAN_GUESTS says.
 */
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "./files.ts";

/** Environment variable that names their folder. */
export const DEBIAN_VARIABLE = "WASMVISOR_DEBIAN_GUESTS";
/** What tests use; the last one made comes last. */
export const DEBIAN_FILES = [
  "vmlinux-686-pae",
  "rd/bin/busybox",
  "initrd.gz",
  "grub-i386-xen.bin",
  "grub-i386-xen_pvh.bin",
] as const;

const SCRIPT = join(ROOT, "../shared/guests/debian-guests.sh");
const LIMIT_MS = 200_000;

/** Makes the guests unless they are there. @returns their folder, or why there is none; never rejects */
export async function makeDebianGuests(): Promise<{ folder: string } | { reason: string }> {
  const folder = process.env[DEBIAN_VARIABLE] ?? join(ROOT, "build/debian-guests");
  const isThere = () => DEBIAN_FILES.every((name) => existsSync(join(folder, name)));
  if (isThere()) return { folder };
  if (!existsSync(SCRIPT)) return { reason: "../shared/guests/debian-guests.sh is not there" };
  const failure = await runScript(folder);
  if (failure !== undefined) return { reason: failure };
  return isThere() ? { folder } : { reason: "debian-guests.sh did not make all of its files" };
}

/** @returns what went wrong, undefined when nothing did */
function runScript(folder: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    const child = spawn("bash", [SCRIPT, folder], { stdio: ["ignore", "pipe", "pipe"] });
    let output = "";
    child.stdout.on("data", (chunk) => (output += chunk));
    child.stderr.on("data", (chunk) => (output += chunk));
    const limit = setTimeout(() => child.kill(), LIMIT_MS);
    child.on("error", (error) => resolve(error.message));
    child.on("close", (code, signal) => {
      clearTimeout(limit);
      const last = output.trimEnd().split("\n").at(-1) ?? "";
      if (signal !== null) resolve(`debian-guests.sh took more than ${LIMIT_MS / 1000} seconds`);
      else resolve(code === 0 ? undefined : `debian-guests.sh failed: ${last}`);
    });
  });
}
