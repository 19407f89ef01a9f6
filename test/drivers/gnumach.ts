/** Debian's GNU Mach for Xen, fetched once into the folder of Debian's guests by apt-get. */
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { DEBIAN_VARIABLE } from "../../tools/debian-guests.ts";

const NAME = "gnumach-1.8-xen-486";
const PACKAGE = `gnumach-image-1.8-xen-486:i386`;
const LIMIT_MS = 60_000;

/** @returns the unpacked kernel's path, or why there is none; never throws. */
export function findGnuMach(): { file: string } | { missing: string } {
  const folder = process.env[DEBIAN_VARIABLE];
  if (folder === undefined) return { missing: `${DEBIAN_VARIABLE} is not set` };
  const file = join(folder, NAME);
  if (existsSync(file)) return { file };
  const downloads = join(folder, "dl-gnumach");
  try {
    mkdirSync(downloads, { recursive: true });
    const run = (command: string, ...args: string[]) =>
      execFileSync(command, args, { cwd: downloads, stdio: "pipe", timeout: LIMIT_MS });
    run("apt-get", "download", PACKAGE);
    const archive = readdirSync(downloads).find((name) => name.endsWith(".deb"));
    if (archive === undefined) return { missing: `apt-get did not download ${PACKAGE}` };
    run("dpkg", "-x", archive, "x");
    writeFileSync(file, gunzipSync(readFileSync(join(downloads, "x/boot", `${NAME}.gz`))));
    return { file };
  } catch {
    return { missing: `${PACKAGE} could not be downloaded and unpacked` };
  }
}
