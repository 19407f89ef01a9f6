/** What the repository's own tools share: the root folder, the list of source files, and running a program. */
import { spawn } from "node:child_process";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";

/** The repository's root folder, with a trailing slash. */
export const ROOT = fileURLToPath(new URL("..", import.meta.url));

/** @returns paths relative to the root, with forward slashes, of files under `folders` whose name ends in one of `endings`; sorted. */
export function sourceFiles(folders: string[], endings: string[] = [".ts"]): string[] {
  const found: string[] = [];
  const visit = (folder: string): void => {
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
      const path = join(folder, entry.name);
      if (entry.isDirectory() && entry.name !== "node_modules") visit(path);
      else if (endings.some((ending) => entry.name.endsWith(ending))) found.push(path);
    }
  };
  for (const folder of folders) {
    const path = join(ROOT, folder);
    if (statSync(path, { throwIfNoEntry: false })?.isDirectory()) visit(path);
  }
  return found.map((path) => relative(ROOT, path).replaceAll("\\", "/")).sort();
}

/** @returns the text of a file named relative to the root. */
export function readSource(path: string): string {
  return readFileSync(join(ROOT, path), "utf8");
}

/** Outcome of a finished program. `seconds` is wall time. */
export interface Ran {
  code: number;
  output: string;
  seconds: number;
}

/** Runs Node on `args` in the root folder and collects stdout and stderr together; never rejects. */
export function runNode(args: string[]): Promise<Ran> {
  const started = performance.now();
  return new Promise((resolve) => {
    const child = spawn(process.execPath, args, { cwd: ROOT, stdio: ["ignore", "pipe", "pipe"] });
    let output = "";
    child.stdout.on("data", (chunk) => (output += chunk));
    child.stderr.on("data", (chunk) => (output += chunk));
    child.on("error", (error) => (output += `${error}\n`));
    child.on("close", (code) =>
      resolve({ code: code ?? 1, output, seconds: (performance.now() - started) / 1000 }),
    );
  });
}
