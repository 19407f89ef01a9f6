/**
 * Ethernet between guests of one process: a hub that repeats every frame to every other port.
 */
import type { NetBackend } from "../base/ports.ts";

type FrameListener = (frame: Uint8Array) => void;

/** A hub. A frame sent on one port arrives as a copy at all others, in the order in which they were made. */
export class NetHub {
  #ports = new Set<HubPort>();

  /** Number of open ports. */
  get size(): number {
    return this.#ports.size;
  }

  /** A new port; it takes part from now on until closed. */
  port(): NetBackend {
    const port = new HubPort(this.#ports);
    this.#ports.add(port);
    return port;
  }
}

class HubPort implements NetBackend {
  #ports: Set<HubPort>;
  #onFrame: FrameListener | undefined;

  constructor(ports: Set<HubPort>) {
    this.#ports = ports;
  }

  send(frame: Uint8Array): void {
    if (!this.#ports.has(this)) return;
    for (const port of [...this.#ports]) {
      if (port !== this) port.#onFrame?.(frame.slice());
    }
  }

  connect(onFrame: FrameListener): void {
    this.#onFrame = onFrame;
  }

  close(): void {
    this.#ports.delete(this);
    this.#onFrame = undefined;
  }
}
