/** The name of every option, so that one that is misspelt is refused instead of ignored. */

import { ConfigError } from "../base/errors.ts";
import type {
  BareOptions,
  BlockOptions,
  DebugOptions,
  GuestOptions,
  LguestOptions,
  NetOptions,
  ProfileOptions,
  XenOptions,
} from "./options.ts";

/** A table that lacks a name of its type, or has one more, does not compile. */
type NamesOf<T> = Readonly<Record<keyof T, true>>;

const GUEST: NamesOf<GuestOptions> = {
  kernel: true,
  restore: true,
  initrd: true,
  commandLine: true,
  memoryBytes: true,
  abi: true,
  cpu: true,
  vcpus: true,
  name: true,
  block: true,
  net: true,
  rng: true,
  terminal: true,
  time: true,
  nsPerInstruction: true,
  startTimeMs: true,
  seed: true,
  sliceInstructions: true,
  nmiEvery: true,
  onRestart: true,
  mode: true,
  replay: true,
  signal: true,
  profile: true,
  lguest: true,
  bare: true,
  xen: true,
  debug: true,
};
const BLOCK: NamesOf<BlockOptions> = {
  file: true,
  bytes: true,
  backend: true,
  access: true,
  vdev: true,
};
const NET: NamesOf<NetOptions> = { hub: true, peer: true, backend: true, mac: true };
const LGUEST: NamesOf<LguestOptions> = {
  bus: true,
  syscallVector: true,
  faultPath: true,
  pae: true,
};
const BARE: NamesOf<BareOptions> = {
  modules: true,
  moduleNames: true,
  onTripleFault: true,
  onStuck: true,
};
const XEN: NamesOf<XenOptions> = {
  scramble: true,
  faultPath: true,
  fifo: true,
  onSuspend: true,
  machine: true,
  domid: true,
  storeAtEnd: true,
};
const DEBUG: NamesOf<DebugOptions> = {
  chaosSeed: true,
  assertions: true,
  digestAtEnd: true,
  record: true,
};
const PROFILE: NamesOf<ProfileOptions> = { everyInstructions: true, stackDepth: true };
const TERMINAL: NamesOf<NonNullable<GuestOptions["terminal"]>> = { columns: true, rows: true };

/** Throws ConfigError for an option that does not exist, named with its place. */
export function refuseUnknownOptions(options: GuestOptions): void {
  check("", options, GUEST);
  check("lguest.", options.lguest, LGUEST);
  check("bare.", options.bare, BARE);
  check("xen.", options.xen, XEN);
  check("debug.", options.debug, DEBUG);
  check("profile.", options.profile, PROFILE);
  check("terminal.", options.terminal, TERMINAL);
  for (const [index, disk] of (options.block ?? []).entries())
    check(`block[${index}].`, disk, BLOCK);
  for (const [index, port] of (options.net ?? []).entries()) check(`net[${index}].`, port, NET);
}

function check(place: string, options: object | undefined, known: object): void {
  for (const name of Object.keys(options ?? {})) {
    if (Object.hasOwn(known, name)) continue;
    const names = Object.keys(known).join(", ");
    throw new ConfigError(`there is no option ${place}${name}; there are ${names}`);
  }
}
