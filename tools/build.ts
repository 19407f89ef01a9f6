/**
 * `npm run build`: the machine (core-as → build/core.wasm) and the Host (abi, host-ts → dist), side by side.
 * Arguments: `core` builds the core alone, both with and without assertions; `--quiet` prints failures only.
 */
import { chmodSync, existsSync, statSync } from "node:fs";
import { join } from "node:path";
import { ROOT, runNode, sourceFiles } from "./files.ts";

const ASC = "node_modules/assemblyscript/bin/asc.js";
const TSC = "node_modules/typescript/bin/tsc";
const quiet = process.argv.includes("--quiet");

function modified(path: string): number {
  return statSync(join(ROOT, path), { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

/** Compiles one asconfig target unless its output is newer than everything it is made from. */
async function buildCore(target: "release" | "debug"): Promise<boolean> {
  const output = target === "release" ? "build/core.wasm" : "build/core.debug.wasm";
  const newest = Math.max(...[...sourceFiles(["abi", "core-as"]), "asconfig.json"].map(modified));
  if (modified(output) > newest) return report(`core (${target})`, 0, "", 0);
  const { code, output: text, seconds } = await runNode([ASC, "--target", target]);
  return report(`core (${target})`, code, text, seconds);
}

/** Emits JavaScript and declarations for abi/ and host-ts/. */
async function buildHost(): Promise<boolean> {
  const { code, output, seconds } = await runNode([TSC, "-p", "tools/tsconfig.build.json"]);
  return report("host", code, output, seconds);
}

function report(what: string, code: number, output: string, seconds: number): boolean {
  if (code !== 0) console.error(`${output}\nbuild: ${what} failed`);
  else if (!quiet)
    console.log(`build: ${what} ${seconds === 0 ? "up to date" : `${seconds.toFixed(1)} s`}`);
  return code === 0;
}

if (process.argv.includes("core")) {
  const done = [await buildCore("release"), await buildCore("debug")];
  process.exit(done.every(Boolean) ? 0 : 1);
}
const done = await Promise.all([buildCore("release"), buildHost()]);
if (!done.every(Boolean)) process.exit(1);
const main = join(ROOT, "dist/host-ts/launcher/main.js");
if (existsSync(main)) chmodSync(main, 0o755);
