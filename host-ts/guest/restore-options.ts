/** What a guest that is restored takes from its image: the image says what kind of domain it is, and options may not contradict it. */
import { ConfigError } from "../base/errors.ts";
import type { DomainAbout } from "../xen/image/about.ts";
import { aboutImage } from "../xen/image/format.ts";
import { unpackImage } from "../xen/image/packing.ts";
import { CPU_NAMES, type GuestOptions } from "./options.ts";

/** Of the fixed properties of a domain, those that are options, too. */
const FIXED = ["memoryBytes", "cpu", "vcpus"] as const;

/**
 * Options without an image come back as they are; with one, they are completed by what it says.
 * @throws SnapshotError for an image that cannot be used @throws ConfigError for options that do not go with it
 */
export async function completeFromImage(options: GuestOptions): Promise<GuestOptions> {
  if (options.restore === undefined) return options;
  if (!(options.restore instanceof Uint8Array)) {
    throw new ConfigError("restore must be a Uint8Array");
  }
  const { abi = "xen-pv", kernel, initrd, commandLine, onRestart } = options;
  if (abi !== "xen-pv") {
    throw new ConfigError(`abi is "${abi}", but only a domain of abi "xen-pv" can be restored`);
  }
  if (kernel === undefined && (initrd !== undefined || commandLine !== undefined)) {
    throw new ConfigError(
      "a restored guest has its kernel in memory; initrd and commandLine go with a kernel for its restart",
    );
  }
  if (kernel === undefined && onRestart === "reboot") {
    throw new ConfigError("a restored guest needs a kernel to boot again; leave onRestart out");
  }
  const restore = await unpackImage(options.restore);
  const about = aboutImage(restore);
  const cpu = CPU_NAMES.find((name) => name === about.cpu);
  if (cpu === undefined) throw new ConfigError(`there is no cpu "${about.cpu}", as the image has`);
  for (const name of FIXED) {
    if (options[name] === undefined || options[name] === about[name]) continue;
    throw new ConfigError(
      `${name} is ${options[name]}, but the domain in the image has ${about[name]}`,
    );
  }
  checkDevices("disks", "block", options.block, about.disks);
  checkDevices("network cards", "net", options.net, about.networkCards);
  const { name = about.name } = options;
  const { memoryBytes, vcpus } = about;
  const startTimeMs = startTime(options, about);
  return { ...options, abi, restore, name, cpu, memoryBytes, vcpus, startTimeMs };
}

/** The guest waits for each of its devices to come back, and fails where one does not. */
function checkDevices(
  what: string,
  option: string,
  given: readonly unknown[] = [],
  needed: number,
): void {
  if (given.length >= needed) return;
  throw new ConfigError(
    `the domain in the image had ${needed} ${what} and ${option} gives ${given.length}: it needs as many, in the same order`,
  );
}

/** The wall clock at the domain's first start, so that it goes on at the time that was asked for, by default where it stopped. */
function startTime({ time, startTimeMs }: GuestOptions, about: DomainAbout): number {
  const goesOnMs = startTimeMs ?? (time === "real" ? Date.now() : undefined);
  if (goesOnMs === undefined) return Math.max(0, about.startTimeMs);
  return Math.max(0, Math.floor(goesOnMs - about.systemTimeNs / 1e6));
}
