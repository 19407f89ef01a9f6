/** The machines that Xen domains of this thread share, by name, for as long as one of their guests exists. */

import type { Core } from "../base/core.ts";
import { ConfigError } from "../base/errors.ts";
import { XenMachine } from "../xen/xen-machine.ts";
import type { GuestConfig } from "./config.ts";
import { Lockstep } from "./lockstep.ts";

/** A machine and who goes in step on it. */
export interface Neighbours {
  readonly machine: XenMachine;
  /** In virtual time; in real time everybody runs as they can. */
  readonly lockstep: Lockstep | undefined;
  /** The guest is gone. */
  readonly close: () => void;
}

interface Shared {
  readonly machine: XenMachine;
  readonly lockstep: Lockstep | undefined;
  readonly time: GuestConfig["time"];
  guests: number;
}

/** Domains can only share memory of one core. */
const sharedByCore = new WeakMap<Core, Map<string, Shared>>();

/** Joins the machine that a configuration names, undefined where it names none. Throws ConfigError when its guests run by another clock. */
export function joinNeighbours(config: GuestConfig, core: Core): Neighbours | undefined {
  const { time } = config;
  const name = config.xen.machine;
  if (name === undefined) return undefined;
  const byName = sharedByCore.get(core) ?? new Map<string, Shared>();
  sharedByCore.set(core, byName);
  const shared = byName.get(name) ?? {
    machine: new XenMachine(true),
    lockstep: time === "virtual" ? new Lockstep() : undefined,
    time,
    guests: 0,
  };
  if (shared.time !== time) {
    throw new ConfigError(
      `time is "${time}", but guests of the machine "${name}" run in ${shared.time} time`,
    );
  }
  byName.set(name, shared);
  shared.guests++;
  const close = () => {
    shared.guests--;
    if (shared.guests === 0 && byName.get(name) === shared) byName.delete(name);
  };
  return { machine: shared.machine, lockstep: shared.lockstep, close };
}
