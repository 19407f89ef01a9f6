/**
 * The check that turns options into a complete configuration, and the limits it knows. A configuration is
 * plain data but for backends given as objects, so it can cross to a worker.
 */

import { LGUEST_IRQ_BASE, LGUEST_SYSCALL_VECTOR } from "../../abi/lguest.ts";
import { PAGE_BYTES } from "../../abi/memory.ts";
import { START_CMD_LINE_BYTES } from "../../abi/xen-layout.ts";
import { parseAddress } from "../backends/net-peer.ts";
import { ConfigError, UnsupportedError } from "../base/errors.ts";
import { FAULT_PATHS, type FaultPath } from "../base/fault-path.ts";
import type { StampedInput } from "../base/inputs.ts";
import { diskName, virtualDevice } from "../devices/xen-vdev.ts";
import { FIRST_DOMID, LAST_DOMID } from "../xen/xen-machine.ts";
import { refuseUnknownOptions } from "./option-names.ts";
import {
  ABIS,
  type Abi,
  type BlockOptions,
  CPU_NAMES,
  type Cpu,
  type GuestOptions,
  type NetOptions,
} from "./options.ts";
import type { ProfilerSettings } from "./profiler.ts";

/** A complete configuration: what the options mean after defaults and checks. */
export interface GuestConfig {
  /** Undefined for a restored guest that never restarts. */
  readonly kernel: Uint8Array | undefined;
  /** A domain's image, unpacked. */
  readonly restore: Uint8Array | undefined;
  readonly initrd: Uint8Array | undefined;
  readonly commandLine: string;
  readonly memoryBytes: number;
  readonly abi: Abi;
  readonly cpu: Cpu;
  readonly vcpus: number;
  readonly name: string;
  readonly block: readonly (BlockOptions & {
    readonly access: "rw" | "ro" | "overlay";
    readonly vdev: string;
  })[];
  readonly net: readonly (NetOptions & { readonly macBytes: Uint8Array })[];
  readonly rng: boolean;
  readonly terminal: { readonly columns: number; readonly rows: number } | undefined;
  readonly time: "virtual" | "real";
  readonly nsPerInstruction: number;
  readonly startTimeMs: number;
  readonly seed: number;
  readonly sliceInstructions: number;
  readonly nmiEvery: number | undefined;
  readonly onRestart: "end" | "reboot";
  readonly mode: "inline" | "worker" | undefined;
  readonly replay: readonly StampedInput[];
  readonly profile: ProfilerSettings | undefined;
  readonly bare: {
    readonly modules: readonly Uint8Array[];
    readonly moduleNames: readonly string[];
    readonly onTripleFault: "kill" | "restart";
    readonly onStuck: "end" | "wait";
  };
  readonly xen: {
    readonly scramble: number;
    readonly faultPath: FaultPath;
    readonly fifo: boolean;
    readonly onSuspend: "cancel" | "stand";
    readonly storeAtEnd: boolean;
    readonly machine: string | undefined;
    readonly domid: number | undefined;
  };
  readonly lguest: {
    readonly bus: "auto" | "page" | "pci";
    readonly syscallVector: number;
    readonly faultPath: FaultPath;
    readonly pae: "auto" | "on" | "off";
  };
  readonly debug: {
    readonly chaosSeed: number;
    readonly assertions: boolean;
    readonly digestAtEnd: boolean;
    readonly record: boolean;
  };
}

const MIB = 0x100000;
/** Where it is not the first: Xen runs on processors that have SSE2, and its guests take that for granted. */
const DEFAULT_CPUS: Partial<Record<Abi, Cpu>> = { "xen-pv": "pentium4" };
/** Limits and defaults of the numeric options, as a table. */
export const LIMITS = {
  vcpus: { min: 1, max: 8, default: 1 },
  memoryBytes: { min: MIB, max: 1024 * MIB, default: 64 * MIB },
  nsPerInstruction: { min: 1, max: 1000, default: 1 },
  seed: { min: 0, max: 0xffffffff, default: 0 },
  sliceInstructions: { min: 100, max: 10_000_000, default: 100_000 },
  everyInstructions: { min: 100, max: 1e9, default: 99_991 },
  stackDepth: { min: 0, max: 128, default: 0 },
  nmiEvery: { min: 1000, max: Number.MAX_SAFE_INTEGER, default: 0 },
  startTimeMs: { min: 0, max: 0xffffffff * 1000, default: Date.UTC(2026, 0, 1) },
  columns: { min: 1, max: 0xffff, default: 80 },
  rows: { min: 1, max: 0xffff, default: 25 },
  domid: { min: FIRST_DOMID, max: LAST_DOMID, default: FIRST_DOMID },
  scramble: { min: 0, max: 0xffffffff, default: 0 },
  chaosSeed: { min: 0, max: 0xffffffff, default: 0 },
  syscallVector: { min: LGUEST_IRQ_BASE, max: 0xff, default: LGUEST_SYSCALL_VECTOR },
} as const;
const MAX_COMMAND_LINE_BYTES = 2047;
const MAX_XEN_COMMAND_LINE_BYTES = START_CMD_LINE_BYTES - 1;
const MAX_DISKS = 8;
const MAX_PORTS = 4;
const MAX_MODULES = 16;

/**
 * Checks options and fills in the defaults.
 * @throws ConfigError naming the option, what was found and what was wanted; UnsupportedError for what a personality lacks.
 */
export function resolveConfig(options: GuestOptions): GuestConfig {
  refuseUnknownOptions(options);
  const time = choice("time", options.time, ["virtual", "real"] as const);
  const name = options.name ?? "guest";
  if (time === "real" && options.replay !== undefined) {
    throw new ConfigError("a recording can only be replayed in virtual time");
  }
  const { abi = ABIS[0] } = options;
  if (abi === "bare" && (options.block?.length || options.net?.length)) {
    throw new ConfigError('abi "bare" has no disks and no network; leave block and net out');
  }
  const vcpus = integer("vcpus", options.vcpus);
  const faultPath = options.lguest?.faultPath ?? options.xen?.faultPath;
  if (options.abi === "bare" && faultPath !== undefined) {
    throw new ConfigError(
      'faultPath is for guests whose faults a paravirtual Host judges; abi "bare" has its own page tables and handlers',
    );
  }
  if (abi !== "xen-pv" && options.xen?.machine !== undefined) {
    throw new ConfigError(`xen.machine is for Xen domains; abi is "${abi}"`);
  }
  if (vcpus > 1 && abi === "lguest") {
    throw new UnsupportedError(
      `vcpus is ${vcpus}, but a guest of abi "lguest" has one; "bare" and "xen-pv" take more`,
    );
  }
  const memoryBytes = integer("memoryBytes", options.memoryBytes);
  if (memoryBytes % PAGE_BYTES !== 0) {
    throw new ConfigError(`memoryBytes is ${memoryBytes}; it must be a multiple of ${PAGE_BYTES}`);
  }
  return {
    kernel:
      options.restore !== undefined && options.kernel === undefined
        ? undefined
        : bytes("kernel", options.kernel),
    restore: options.restore,
    initrd: options.initrd === undefined ? undefined : bytes("initrd", options.initrd),
    commandLine: text(
      "commandLine",
      options.commandLine ?? "",
      abi === "xen-pv" ? MAX_XEN_COMMAND_LINE_BYTES : MAX_COMMAND_LINE_BYTES,
    ),
    memoryBytes,
    abi: choice("abi", options.abi, ABIS),
    cpu: choice("cpu", options.cpu ?? DEFAULT_CPUS[abi], CPU_NAMES),
    vcpus,
    name,
    block: disks(list("block", options.block, MAX_DISKS), abi),
    net: list("net", options.net, MAX_PORTS).map((port, index) => netPort(port, index, name)),
    rng: options.rng ?? true,
    terminal: options.terminal && terminalSize(options.terminal.columns, options.terminal.rows),
    time,
    nsPerInstruction: integer("nsPerInstruction", options.nsPerInstruction),
    startTimeMs: integer(
      "startTimeMs",
      options.startTimeMs ?? (time === "real" ? Date.now() : undefined),
    ),
    seed: integer("seed", options.seed),
    sliceInstructions: integer("sliceInstructions", options.sliceInstructions),
    nmiEvery: options.nmiEvery === undefined ? undefined : integer("nmiEvery", options.nmiEvery),
    onRestart: choice("onRestart", options.onRestart, ["end", "reboot"] as const),
    mode:
      options.mode === undefined
        ? undefined
        : choice("mode", options.mode, ["inline", "worker"] as const),
    replay: options.replay ?? [],
    profile: options.profile && {
      everyInstructions: integer("everyInstructions", options.profile.everyInstructions),
      stackDepth: integer("stackDepth", options.profile.stackDepth),
    },
    lguest: {
      bus: choice("lguest.bus", options.lguest?.bus, ["auto", "page", "pci"] as const),
      syscallVector: integer("syscallVector", options.lguest?.syscallVector),
      faultPath: choice("lguest.faultPath", options.lguest?.faultPath, FAULT_PATHS),
      pae: choice("lguest.pae", options.lguest?.pae, ["auto", "on", "off"] as const),
    },
    xen: {
      scramble: integer("scramble", options.xen?.scramble),
      faultPath: choice("xen.faultPath", options.xen?.faultPath, FAULT_PATHS),
      fifo: options.xen?.fifo ?? true,
      onSuspend: choice("xen.onSuspend", options.xen?.onSuspend, ["cancel", "stand"] as const),
      storeAtEnd: options.xen?.storeAtEnd ?? false,
      machine: options.xen?.machine,
      domid: options.xen?.domid === undefined ? undefined : integer("domid", options.xen.domid),
    },
    bare: {
      modules: list("bare.modules", options.bare?.modules, MAX_MODULES).map((module, index) =>
        bytes(`bare.modules[${index}]`, module),
      ),
      moduleNames: list("bare.moduleNames", options.bare?.moduleNames, MAX_MODULES + 1).map(
        (name, index) => text(`bare.moduleNames[${index}]`, name, MAX_COMMAND_LINE_BYTES),
      ),
      onTripleFault: choice("bare.onTripleFault", options.bare?.onTripleFault, [
        "kill",
        "restart",
      ] as const),
      onStuck: choice("bare.onStuck", options.bare?.onStuck, ["end", "wait"] as const),
    },
    debug: {
      chaosSeed: integer("chaosSeed", options.debug?.chaosSeed),
      assertions: options.debug?.assertions ?? false,
      digestAtEnd: options.debug?.digestAtEnd ?? false,
      record: options.debug?.record ?? false,
    },
  };
}

/** A terminal's size in characters, checked. Throws ConfigError. */
export function terminalSize(columns: number, rows: number): { columns: number; rows: number } {
  return { columns: integer("columns", columns), rows: integer("rows", rows) };
}

/** Throws ConfigError: no samples were taken. */
export function refuseProfile(): never {
  throw new ConfigError("there is no profile; create the guest with the option profile");
}

/** Throws ConfigError: nothing was recorded. */
export function refuseRecording(): never {
  throw new ConfigError("there is no recording; create the guest with debug.record");
}

/** Whether a configuration holds objects that cannot cross to a worker. */
export function needsInline(config: GuestConfig): boolean {
  return [...config.block, ...config.net].some((device) => device.backend !== undefined);
}

function integer(name: keyof typeof LIMITS, value: number | undefined): number {
  const limit = LIMITS[name];
  if (value === undefined) return limit.default;
  if (!Number.isInteger(value) || value < limit.min || value > limit.max) {
    throw new ConfigError(
      `${name} is ${value}; it must be an integer from ${limit.min} to ${limit.max}`,
    );
  }
  return value;
}

function choice<T extends string>(name: string, value: T | undefined, allowed: readonly T[]): T {
  const chosen = value ?? allowed[0];
  if (chosen === undefined || !allowed.includes(chosen)) {
    throw new ConfigError(`${name} is "${value}"; it must be one of ${allowed.join(", ")}`);
  }
  return chosen;
}

function bytes(name: string, value: unknown): Uint8Array {
  if (!(value instanceof Uint8Array) || value.length === 0) {
    throw new ConfigError(`${name} must be a Uint8Array that is not empty`);
  }
  return value;
}

function list<T>(name: string, value: readonly T[] | undefined, max: number): readonly T[] {
  if (value === undefined) return [];
  if (value.length > max)
    throw new ConfigError(`${name} has ${value.length} entries, at most ${max} fit`);
  return value;
}

/** Words for the guest's kernel. */
function text(name: string, value: string, maxBytes: number): string {
  if (value.includes("\0")) throw new ConfigError(`${name} must not contain a NUL character`);
  const sizeBytes = new TextEncoder().encode(value).length;
  if (sizeBytes > maxBytes)
    throw new ConfigError(`${name} is ${sizeBytes} bytes, at most ${maxBytes} fit`);
  return value;
}

/** No two disks of a Xen guest stand for the same number. */
function disks(options: readonly BlockOptions[], abi: Abi): GuestConfig["block"] {
  const taken = new Map<number, string>();
  return options.map((each, index) => {
    if (each.vdev !== undefined && abi !== "xen-pv") {
      throw new ConfigError(`block[${index}].vdev is for Xen guests; abi is "${abi}"`);
    }
    const resolved = disk(each, index);
    const number = virtualDevice(resolved.vdev);
    if (number === undefined) {
      throw new ConfigError(
        `block[${index}].vdev is "${resolved.vdev}"; it must look like xvda, xvda1, hda, sda2 or d0p1`,
      );
    }
    const other = taken.get(number);
    if (other !== undefined) {
      throw new ConfigError(
        `block[${index}].vdev is "${resolved.vdev}", and so is that of "${other}"`,
      );
    }
    taken.set(number, resolved.file ?? resolved.vdev);
    return resolved;
  });
}

function disk(options: BlockOptions, index: number): GuestConfig["block"][number] {
  const sources = [options.file, options.bytes, options.backend].filter((s) => s !== undefined);
  if (sources.length !== 1) {
    throw new ConfigError("a block entry must have exactly one of file, bytes and backend");
  }
  return {
    ...options,
    access: choice("access", options.access, ["rw", "ro", "overlay"] as const),
    vdev: options.vdev ?? diskName(index),
  };
}

function netPort(options: NetOptions, index: number, guest: string): GuestConfig["net"][number] {
  const ends = [options.hub, options.peer, options.backend].filter((end) => end !== undefined);
  if (ends.length !== 1) {
    throw new ConfigError("a net entry must have exactly one of hub, peer and backend");
  }
  if (options.peer !== undefined) parseAddress(options.peer);
  return {
    ...options,
    macBytes: options.mac === undefined ? defaultMac(guest, index) : parseMac(options.mac),
  };
}

function parseMac(text: string): Uint8Array {
  if (!/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i.test(text)) {
    throw new ConfigError(`mac is "${text}"; it must look like 52:54:00:12:34:56`);
  }
  const mac = Uint8Array.from(text.split(":"), (byte) => Number.parseInt(byte, 16));
  if ((mac[0]! & 1) !== 0) throw new ConfigError(`mac ${text} is a multicast address`);
  return mac;
}

/** FNV-1a over the guest's name: stable across runs, different for guests of different names. */
function defaultMac(guest: string, index: number): Uint8Array {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(guest)) hash = Math.imul(hash ^ byte, 0x01000193);
  return Uint8Array.of(0x52, 0x54, hash >>> 16, hash >>> 8, hash, index);
}
