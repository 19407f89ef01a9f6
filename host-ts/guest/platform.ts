/**
 * What a platform gives to the guests of one thread, and the host side of a guest's devices opened with it.
 */

import { MemoryBlock, OverlayBlock, ReadOnlyBlock } from "../backends/block.ts";
import { CallbackConsole } from "../backends/console.ts";
import { NetHub } from "../backends/net-hub.ts";
import { connectPeer } from "../backends/net-peer.ts";
import type { Core } from "../base/core.ts";
import { UnsupportedError } from "../base/errors.ts";
import type { HostInputs } from "../base/inputs.ts";
import type { BlockBackend, ConsoleBackend, NetBackend } from "../base/ports.ts";
import type { MonotonicMs } from "../base/time.ts";
import { Unwinder } from "../base/unwind.ts";
import { parseBareImage } from "../boot/bare-image.ts";
import { type KernelImage, parseKernelImage } from "../boot/image.ts";
import { parseXenImage } from "../boot/xen-notes.ts";
import { type DomainImage, decodeImage } from "../xen/image/format.ts";
import type { GuestConfig } from "./config.ts";
import type { Machine } from "./machine.ts";
import { joinNeighbours, type Neighbours } from "./neighbours.ts";

/** Injected, so that the engine itself knows no platform. */
export interface Platform {
  /** This thread's core. */
  readonly core: Core;
  readonly monotonicMs: MonotonicMs;
  /** Opens a raw disk image; undefined where there are no files. Throws BackendError. */
  readonly openDisk: ((path: string, readOnly: boolean) => BlockBackend) | undefined;
  /** A port on the hub of this name, shared by all threads of the process. */
  readonly joinHub: (name: string) => NetBackend;
  readonly digest: (machine: Machine) => string;
}

/** The host side of one guest: it outlives reboots. */
export interface HostSide {
  /** One of them at least. */
  readonly image: KernelImage | undefined;
  readonly restore: DomainImage | undefined;
  readonly console: ConsoleBackend;
  readonly block: readonly BlockBackend[];
  readonly net: readonly NetBackend[];
  /** Other Xen domains of the same machine. */
  readonly neighbours: Neighbours | undefined;
  /** Flushes and closes everything, the last opened first. */
  readonly close: () => void;
}

const PARSERS: Readonly<Record<GuestConfig["abi"], (bytes: Uint8Array) => KernelImage>> = {
  lguest: parseKernelImage,
  bare: parseBareImage,
  "xen-pv": parseXenImage,
};

/** Opens everything in order; when something fails, what was open is closed in reverse and the error is thrown. */
export function openHostSide(
  config: GuestConfig,
  platform: Platform,
  inputs: HostInputs,
  print: (bytes: Uint8Array) => void,
): HostSide {
  const image = config.kernel && PARSERS[config.abi](config.kernel);
  const restore = config.restore && decodeImage(config.restore);
  const unwinder = new Unwinder();
  const keep = <T extends { close(): void }>(backend: T): T => {
    unwinder.push(() => backend.close());
    return backend;
  };
  try {
    const block = config.block.map((options) => keep(openDisk(options, platform)));
    const net = config.net.map((options) => {
      if (options.peer !== undefined) {
        // A replay holds the peer's answers already.
        const isReplay = config.replay.length > 0;
        return keep(isReplay ? new NetHub().port() : connectPeer(options.peer));
      }
      inputs.openSource();
      return keep(new Port(options.backend ?? platform.joinHub(options.hub!)));
    });
    const console = new CallbackConsole(print, config.terminal);
    const neighbours = joinNeighbours(config, platform.core);
    if (neighbours !== undefined) unwinder.push(neighbours.close);
    return { image, restore, console, block, net, neighbours, close: () => unwinder.run() };
  } catch (error) {
    unwinder.run();
    throw error;
  }
}

function openDisk(options: GuestConfig["block"][number], platform: Platform): BlockBackend {
  const { access } = options;
  const medium = openMedium(options, platform, access !== "rw");
  if (access === "overlay") return new OverlayBlock(medium);
  return access === "ro" && !medium.readOnly ? new ReadOnlyBlock(medium) : medium;
}

function openMedium(
  options: GuestConfig["block"][number],
  platform: Platform,
  readOnly: boolean,
): BlockBackend {
  if (options.backend !== undefined) return options.backend;
  if (options.bytes !== undefined) return new MemoryBlock(options.bytes);
  if (platform.openDisk === undefined) {
    throw new UnsupportedError("disk image files need Node; use `bytes` or a `backend` here");
  }
  return platform.openDisk(options.file!, readOnly);
}

/** A port that a rebooted guest's device can connect to again, though its backend is connected once. */
class Port implements NetBackend {
  readonly #backend: NetBackend;
  #onFrame: (frame: Uint8Array) => void = () => {};

  constructor(backend: NetBackend) {
    this.#backend = backend;
    backend.connect((frame) => this.#onFrame(frame));
  }

  send(frame: Uint8Array): void {
    this.#backend.send(frame);
  }

  connect(onFrame: (frame: Uint8Array) => void): void {
    this.#onFrame = onFrame;
  }

  close(): void {
    this.#backend.close();
  }
}
