/** Reading and writing what the command line names, and what the package brings along. */
import { open, readFile, writeFile } from "node:fs/promises";
import { packageRoot } from "../base/core-node.ts";
import { BackendError } from "../base/errors.ts";
import type { BenchAbi } from "./bench-systems.ts";

/** Words for the error codes that people meet. */
const REASONS: Readonly<Record<string, string>> = {
  ENOENT: "there is no such file",
  EACCES: "it may not be read",
  EISDIR: "it is a directory",
};

const WRITE_REASONS: Readonly<Record<string, string>> = {
  ENOENT: "there is no such folder",
  EACCES: "it may not be written",
  EISDIR: "it is a directory",
  ENOSPC: "the disk is full",
};

/**
 * Reads a whole file.
 * @param role what the file is for, such as "kernel"
 * @throws BackendError saying which file and why; an empty file is of no use either
 */
export async function readWhole(role: string, path: string | URL): Promise<Uint8Array> {
  let bytes: Uint8Array;
  try {
    bytes = new Uint8Array(await readFile(path));
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? "";
    const reason = REASONS[code] ?? (error as Error).message;
    throw new BackendError(`cannot read the ${role} ${path}: ${reason}`, "HV_BACKEND", {
      cause: error,
    });
  }
  if (bytes.length === 0) throw new BackendError(`the ${role} ${path} is empty`);
  return bytes;
}

/**
 * Writes a whole file.
 * @throws BackendError saying which file and why
 */
export async function writeWhole(file: string, content: Uint8Array | string): Promise<void> {
  await writing(file, () => writeFile(file, content));
}

/**
 * Makes sure that a file can be written, before work begins whose result it is to hold: creates it where it is not there.
 * @throws BackendError saying which file and why
 */
export async function checkWritable(file: string): Promise<void> {
  await writing(file, async () => (await open(file, "a")).close());
}

async function writing(file: string, action: () => Promise<void>): Promise<void> {
  try {
    await action();
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? "";
    const reason = WRITE_REASONS[code] ?? (cause as Error).message;
    throw new BackendError(`cannot write ${file}: ${reason}`, "HV_BACKEND", { cause });
  }
}

/** The kernel of `wasmvisor demo`. */
export function embeddedGuest(): URL {
  return new URL("guests/demo/demo.elf", packageRoot());
}

/** The guest of `wasmvisor bench` for an interface. */
export function benchGuest(program: "faults" | "calls", abi: BenchAbi): URL {
  const variety = abi === "lguest" ? "" : "-xen";
  return new URL(`guests/bench/${program}${variety}.elf`, packageRoot());
}

/** The version in the package's package.json. */
export async function packageVersion(): Promise<string> {
  const text = await readFile(new URL("package.json", packageRoot()), "utf8");
  return JSON.parse(text).version;
}
