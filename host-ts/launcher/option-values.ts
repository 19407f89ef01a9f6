/** Values of the command line's options, from text; undefined for an option that is not there. */
import { PEER_ADDRESS } from "../backends/net-peer.ts";
import type { BlockOptions, NetOptions } from "../guest/options.ts";
import { UsageError } from "./usage-error.ts";

/** A time, written in seconds. */
export function milliseconds(name: string, value: string | undefined): number | undefined {
  if (value === undefined) return undefined;
  if (!/^\d{1,6}(\.\d{1,3})?$/.test(value)) {
    throw new UsageError(`${name} is "${value}"; it must be a number of seconds`);
  }
  return Math.round(Number(value) * 1000);
}

/** One of `allowed`, the value of the option `name`. Throws UsageError, like all of these. */
export function choice<T extends string>(
  name: string,
  value: string | undefined,
  allowed: readonly T[],
): T | undefined {
  const chosen = allowed.find((each) => each === value);
  if (value !== undefined && chosen === undefined) {
    throw new UsageError(`${name} is "${value}"; it must be one of ${allowed.join(", ")}`);
  }
  return chosen;
}

/** A whole number, within limits if there are some. */
export function count(
  name: string,
  value: string | undefined,
  { min, max } = { min: 0, max: Number.MAX_SAFE_INTEGER },
): number | undefined {
  if (value === undefined) return undefined;
  if (!/^\d{1,15}$/.test(value)) throw new UsageError(`${name} is "${value}"; it must be a number`);
  const number = Number(value);
  if (number < min || number > max) {
    throw new UsageError(`${name} is ${value}; it must be from ${min} to ${max}`);
  }
  return number;
}

/** A number of bytes, written with a unit. */
export function size(name: string, value: string | undefined): number | undefined {
  if (value === undefined) return undefined;
  const match = /^(\d{1,6})([KMG])$/i.exec(value);
  const unit = { K: 2 ** 10, M: 2 ** 20, G: 2 ** 30 }[match?.[2]?.toUpperCase() ?? ""];
  if (match === null || unit === undefined) {
    throw new UsageError(`${name} is "${value}"; write it as 65536K, 64M or 1G`);
  }
  return Number(match[1]) * unit;
}

/** The value of --block. */
export function disk(text: string): BlockOptions {
  const match = /^(.*),(rw|ro|overlay)$/.exec(text);
  const file = match?.[1] ?? text;
  if (file === "") throw new UsageError("--block needs a file: --block disk.img or disk.img,ro");
  return { file, access: (match?.[2] ?? "rw") as "rw" | "ro" | "overlay" };
}

/** The value of --net. */
export function netPort(text: string): NetOptions {
  const [, kind, rest] = /^(hub|peer)(?::(.+))?$/.exec(text) ?? [];
  if (kind === "peer") return { peer: rest ?? PEER_ADDRESS };
  if (kind === undefined || rest === undefined) {
    throw new UsageError(`--net is "${text}"; it must look like peer, peer:10.0.0.1 or hub:lan`);
  }
  return { hub: rest };
}
