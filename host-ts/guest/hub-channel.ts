/** Hubs that reach across threads: one NetHub per thread and name, joined to its namesakes by a BroadcastChannel. */

import { NetHub } from "../backends/net-hub.ts";
import type { NetBackend } from "../base/ports.ts";

const CHANNEL_PREFIX = "wasmvisor-hub:";

/** A hub of this thread, and how to cut its line to the other threads. */
interface Linked {
  readonly hub: NetHub;
  readonly cut: () => void;
}

/** While a guest of this thread is on them. */
const linked = new Map<string, Linked>();

/**
 * A new port on the hub of this name. Frames reach guests of this thread at once and those of other threads as messages. The
 * last port of a thread takes its line to the others down.
 */
export function joinHub(name: string): NetBackend {
  const link = linked.get(name) ?? linkUp(name);
  linked.set(name, link);
  const port = link.hub.port();
  return {
    send: (frame) => port.send(frame),
    connect: (onFrame) => port.connect(onFrame),
    close: () => {
      port.close();
      // What is left then is the line itself.
      if (link.hub.size > 1 || linked.get(name) !== link) return;
      linked.delete(name);
      link.cut();
    },
  };
}

function linkUp(name: string): Linked {
  const hub = new NetHub();
  const channel = new BroadcastChannel(CHANNEL_PREFIX + name);
  const port = hub.port();
  port.connect((frame) => channel.postMessage(frame));
  channel.onmessage = (event: MessageEvent<Uint8Array>) => port.send(event.data);
  // An open channel alone is no reason for a Node process to stay.
  if ("unref" in channel && typeof channel.unref === "function") channel.unref();
  const cut = () => {
    port.close();
    channel.close();
  };
  return { hub, cut };
}
