/** Node only: finds the core's bytes inside the package and compiles them once per process. */

import { existsSync, readFileSync } from "node:fs";
import v8 from "node:v8";
import { type CoreImage, createCoreImage } from "./core.ts";
import { BugError } from "./errors.ts";

const images = new Map<string, CoreImage>();

/**
 * The process's core, compiled on first use; the release build, or the one with assertions.
 * @throws BugError when the package has no such build.
 */
export function loadCoreImage(assertions: boolean): CoreImage {
  const name = assertions ? "core.debug.wasm" : "core.wasm";
  let image = images.get(name);
  if (image === undefined) {
    image = createCoreImage(
      compileOptimised(readFileSync(new URL(`build/${name}`, packageRoot()))),
    );
    images.set(name, image);
  }
  return image;
}

/**
 * Compiles with the optimising compiler at once: a Wasm frame that runs is never replaced by V8, so without this the first
 * half second of a guest runs at a fraction of its speed. Both flags are restored, other modules are not affected.
 */
function compileOptimised(bytes: Uint8Array<ArrayBuffer>): WebAssembly.Module {
  v8.setFlagsFromString("--no-liftoff");
  v8.setFlagsFromString("--no-wasm-lazy-compilation");
  try {
    return new WebAssembly.Module(bytes);
  } finally {
    v8.setFlagsFromString("--liftoff");
    v8.setFlagsFromString("--wasm-lazy-compilation");
  }
}

/** The nearest folder above this file that holds package.json: the same place for sources and for the built package. */
export function packageRoot(): URL {
  for (let folder = new URL("./", import.meta.url); ; folder = new URL("../", folder)) {
    if (existsSync(new URL("package.json", folder))) return folder;
    if (folder.pathname === "/" || /^\/[A-Za-z]:\/$/.test(folder.pathname)) {
      throw new BugError("the package root was not found above the core loader");
    }
  }
}
