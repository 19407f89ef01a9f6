/** Node only: the platform of this thread. */

import { FileBlock } from "../backends/block-file-node.ts";
import { type Core, type CoreImage, instantiateCore } from "../base/core.ts";
import { joinHub } from "./hub-channel.ts";
import type { Machine } from "./machine.ts";
import type { Platform } from "./platform.ts";

const cores = new WeakMap<CoreImage, Core>();

/** One core per thread and image, made on first use. */
export function createPlatform(image: CoreImage, digest: (machine: Machine) => string): Platform {
  let core = cores.get(image);
  if (core === undefined) {
    core = instantiateCore(image);
    cores.set(image, core);
  }
  return {
    core,
    monotonicMs: () => performance.now(),
    openDisk: (path, readOnly) => new FileBlock(path, readOnly),
    joinHub,
    digest,
  };
}
