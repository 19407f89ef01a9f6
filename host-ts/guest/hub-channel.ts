/** Hubs that reach across threads: one NetHub per thread and name, joined to its namesakes by a BroadcastChannel. */

import { type NetHub, NetHubs } from "../backends/net-hub.ts";
import type { NetBackend } from "../base/ports.ts";

const CHANNEL_PREFIX = "wasmvisor-hub:";

const hubs = new NetHubs();
const uplinks = new Map<string, BroadcastChannel>();

/** A new port on the hub of this name. Frames reach guests of this thread at once and those of other threads as messages. */
export function joinHub(name: string): NetBackend {
  const hub = hubs.get(name);
  if (!uplinks.has(name)) uplinks.set(name, linkUp(name, hub));
  return hub.port();
}

function linkUp(name: string, hub: NetHub): BroadcastChannel {
  const channel = new BroadcastChannel(CHANNEL_PREFIX + name);
  const port = hub.port();
  port.connect((frame) => channel.postMessage(frame));
  channel.onmessage = (event: MessageEvent<Uint8Array>) => port.send(event.data);
  // An open channel alone is no reason for a Node process to stay.
  if ("unref" in channel && typeof channel.unref === "function") channel.unref();
  return channel;
}
