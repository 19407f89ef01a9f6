/** What an image says of its domain: who restores it makes a domain of the same kind. Plain data, as JSON in the image. */
import { PAGE_BYTES } from "../../../abi/memory.ts";
import { SnapshotError } from "../../base/errors.ts";

/** See the file header. */
export interface DomainAbout {
  readonly name: string;
  /** Name of the CPU model. */
  readonly cpu: string;
  readonly vcpus: number;
  /** The most that the domain may hold. */
  readonly memoryBytes: number;
  /** Pseudo-physical frame numbers are below this. */
  readonly pfns: number;
  /** vCPU that asked for the suspension. */
  readonly caller: number;
  /** Guest nanoseconds since the first start. */
  readonly systemTimeNs: number;
  /** Wall clock at that start, in milliseconds since 1970. */
  readonly startTimeMs: number;
  /** Devices that the guest looks for when it goes on. */
  readonly disks: number;
  readonly networkCards: number;
}

/** Pseudo-physical frame numbers that an image may have: 4 GiB of them. */
export const PFNS_MAX = 1 << 20;

const MIB = 1 << 20;
const DEVICES_MAX = 4096;
/** By field: the least and the most it may be. */
const RANGES: Readonly<Record<keyof Omit<DomainAbout, "name" | "cpu">, readonly [number, number]>> =
  {
    vcpus: [1, 32],
    memoryBytes: [MIB, 1024 * MIB],
    pfns: [1, PFNS_MAX],
    caller: [0, 31],
    systemTimeNs: [0, Number.MAX_SAFE_INTEGER / 2],
    startTimeMs: [-Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER],
    disks: [0, DEVICES_MAX],
    networkCards: [0, DEVICES_MAX],
  };
const NAME_MAX = 4096;

/** Throws SnapshotError for bytes that are no description of a domain. */
export function parseAbout(bytes: Uint8Array): DomainAbout {
  let about: Record<string, unknown>;
  try {
    about = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new SnapshotError("not a usable image of a domain: its description is no JSON", {
      cause,
    });
  }
  if (typeof about !== "object" || about === null) throw badField("description");
  for (const name of ["name", "cpu"] as const) {
    const value = about[name];
    if (typeof value !== "string" || value.length > NAME_MAX) throw badField(name);
  }
  for (const [name, [min, max]] of Object.entries(RANGES)) {
    const value = about[name];
    if (!Number.isInteger(value) || !(Number(value) >= min && Number(value) <= max)) {
      throw badField(name);
    }
  }
  const parsed = about as unknown as DomainAbout;
  if (parsed.memoryBytes % PAGE_BYTES !== 0) throw badField("memoryBytes");
  return parsed;
}

function badField(name: string): SnapshotError {
  return new SnapshotError(`not a usable image of a domain: its ${name} makes no sense`);
}
