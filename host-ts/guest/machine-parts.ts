/** What a guest's machine is put together from: the parts that outlive it, and those made anew for each life from the configuration. */
import { createBare } from "../bare/index.ts";
import type { Core } from "../base/core.ts";
import { PlatformEntropy, SeededEntropy } from "../base/entropy.ts";
import { assertHost } from "../base/errors.ts";
import type { HostInputs } from "../base/inputs.ts";
import type { Personality, PersonalityHost } from "../base/personality.ts";
import type { BlockBackend, ConsoleBackend, NetBackend, VirtioDevice } from "../base/ports.ts";
import type { MonotonicMs } from "../base/time.ts";
import type { KernelImage } from "../boot/image.ts";
import { VirtioBlock } from "../devices/virtio-block.ts";
import { VirtioConsole } from "../devices/virtio-console.ts";
import { VirtioNet } from "../devices/virtio-net.ts";
import { VirtioRng } from "../devices/virtio-rng.ts";
import { XenBlock } from "../devices/xen-block.ts";
import { XenNet } from "../devices/xen-net.ts";
import type { SplitDevice } from "../devices/xen-ports.ts";
import { createLguest } from "../lguest/index.ts";
import type { DomainImage } from "../xen/image/format.ts";
import { createXenPv } from "../xen/index.ts";
import { XenMachine } from "../xen/xen-machine.ts";
import type { GuestConfig } from "./config.ts";
import type { Profiler } from "./profiler.ts";

/** What outlives one life: the thread's core, the parsed kernel, the host side of the devices. */
export interface MachineParts {
  readonly core: Core;
  /** What the guest boots; undefined for a restored guest, which has no other life. */
  readonly image: KernelImage | undefined;
  /** What it goes on from in its first life instead. */
  readonly restore?: DomainImage | undefined;
  readonly inputs: HostInputs;
  readonly console: ConsoleBackend;
  readonly block: readonly BlockBackend[];
  readonly net: readonly NetBackend[];
  /** The machine that a Xen domain shares with others; undefined: it has one to itself. */
  readonly xenMachine?: XenMachine | undefined;
  readonly hostMs: MonotonicMs;
  readonly onNotify: (address: number) => void;
  readonly profiler?: Profiler | undefined;
  /** Called before a halted guest is put to sleep or given up, for whoever waits until it has taken its input. */
  readonly onHalted?: () => void;
}

/** What its hypercalls and traps mean, from its abi. Throws ConfigError or ImageError. */
export function createPersonality(
  host: PersonalityHost,
  config: GuestConfig,
  parts: MachineParts,
): Personality {
  const { image, restore } = parts;
  if (config.abi === "xen-pv") {
    const settings = {
      ...config.xen,
      machine: parts.xenMachine ?? new XenMachine(),
      name: config.name,
      cpu: config.cpu,
      startTimeMs: config.startTimeMs,
      devices: createSplitDevices(config, parts),
    };
    if (restore !== undefined) return createXenPv(host, restore, settings);
    assertHost(image !== undefined, "a guest that is not restored has a kernel");
    return createXenPv(host, { ...config, image }, settings);
  }
  assertHost(image !== undefined, "a guest that is not restored has a kernel");
  if (config.abi === "lguest") return createLguest(host, { ...config, image }, config.lguest);
  const initrd = config.initrd === undefined ? [] : [config.initrd];
  const modules = [...initrd, ...config.bare.modules];
  const { commandLine } = config;
  const { moduleNames } = config.bare;
  const onFirmwareEntry = config.onRestart === "reboot" ? "start over" : "restart";
  return createBare(
    host,
    { image, modules, moduleNames, commandLine },
    { ...config.bare, onFirmwareEntry },
  );
}

/** The virtio devices: a plain machine brings chips of its own, a Xen domain has rings of its own kind. */
export function createDevices(config: GuestConfig, parts: MachineParts): VirtioDevice[] {
  if (config.abi !== "lguest") return [];
  const { console, block, net, inputs: sink } = parts;
  const { time, seed, rng } = config;
  const devices: VirtioDevice[] = [new VirtioConsole({ backend: console })];
  for (const [index, backend] of block.entries()) {
    devices.push(new VirtioBlock({ name: `block${index}`, backend }));
  }
  for (const [index, backend] of net.entries()) {
    const mac = config.net[index]!.macBytes;
    devices.push(new VirtioNet({ name: `net${index}`, mac, backend, sink }));
  }
  if (rng) {
    const entropy = time === "virtual" ? new SeededEntropy(seed) : new PlatformEntropy();
    devices.push(new VirtioRng({ entropy }));
  }
  return devices;
}

/** The back ends of a Xen domain's disks and network cards. */
function createSplitDevices(config: GuestConfig, parts: MachineParts): SplitDevice[] {
  const { block, net, inputs: sink } = parts;
  const disks = block.map(
    (backend, index) =>
      new XenBlock({ name: `block${index}`, vdev: config.block[index]!.vdev, backend }),
  );
  const cards = net.map((backend, index) => {
    const mac = config.net[index]!.macBytes;
    return new XenNet({ name: `net${index}`, index, mac, backend, sink });
  });
  return [...disks, ...cards];
}
