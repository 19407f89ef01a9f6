/**
 * Disks and network cards as xl's configuration files describe them, turned into options of ours.
 * Source: xl-disk-configuration(5), xl-network-configuration(5).
 */
import type { BlockOptions, NetOptions } from "../guest/options.ts";

/** What a description means, or why it cannot be had here. */
export type Mapped<T> =
  | { readonly options: T | undefined; readonly ignored: string[] }
  | { readonly refusal: string };

const FORMATS = ["raw", "qcow", "qcow2", "vhd", "qed"];
const ACCESS: Readonly<Record<string, "rw" | "ro">> = {
  "": "rw",
  rw: "rw",
  w: "rw",
  ro: "ro",
  r: "ro",
};
/** Prefixes of old, most of which said which program opens the image. */
const PLAIN_PREFIXES = /^(phy|file|raw|aio|tap2?|tapdisk):/;
const FORMAT_PREFIX = /^(qcow2?|vhd|qed):/;
const PARAMETERS = ["target", "format", "vdev", "access"] as const;
/** Say how Xen does it, which is no matter here. */
const DISK_HINTS = ["backendtype", "discard", "no-discard", "direct-io-safe", "colo"];
const DEFAULT_BRIDGE = "xenbr0";
const VIF_HINTS = [
  "ip",
  "script",
  "model",
  "vifname",
  "rate",
  "gatewaydev",
  "netdev",
  "mtu",
  "trusted",
];

/** A disk, such as "/images/a.img,raw,xvda,rw", "file:/images/a.img,xvda,w" or "vdev=xvda,access=ro,target=/images/a.img". */
export function mapDisk(text: string): Mapped<BlockOptions> {
  const found: Record<string, string> = {};
  const flags: string[] = [];
  const ignored: string[] = [];
  let rest = text;
  // The target comes last and may hold commas.
  const target = /(?:^|,)\s*target=(.*)$/.exec(text);
  if (target !== null) {
    found.target = target[1]!.trim();
    rest = text.slice(0, target.index);
  }
  const words = rest === "" ? [] : rest.split(",").map((word) => word.trim());
  const isOld = PLAIN_PREFIXES.test(words[0] ?? "") || FORMAT_PREFIX.test(words[0] ?? "");
  const positions = isOld ? (["target", "vdev", "access"] as const) : PARAMETERS;
  let position = target === null ? 0 : 1;
  for (const word of words) {
    const [, key, value] = /^([a-z-]+)=(.*)$/.exec(word) ?? [];
    if (key !== undefined) {
      if (
        (PARAMETERS as readonly string[]).includes(key) ||
        key === "devtype" ||
        key === "script" ||
        key === "backend"
      )
        found[key] = value!;
      else if (DISK_HINTS.includes(key)) ignored.push(key);
      else return { refusal: `a disk has no parameter "${key}"` };
    } else if (DISK_HINTS.includes(word)) ignored.push(word);
    else if (word === "cdrom" || word === "devtype=cdrom") flags.push("cdrom");
    else {
      const name = positions[position++];
      if (name === undefined) return { refusal: `"${word}" is one parameter too many` };
      if (word !== "") found[name] = word;
    }
  }
  return finishDisk(found, flags, ignored);
}

function finishDisk(
  found: Record<string, string>,
  flags: string[],
  ignored: string[],
): Mapped<BlockOptions> {
  for (const key of ["script", "backend"]) {
    if (found[key] !== undefined) {
      return {
        refusal: `${key}= cannot be had here: the disk is an image file or block device of this machine`,
      };
    }
  }
  let file = found.target ?? "";
  const prefix = FORMAT_PREFIX.exec(file)?.[1];
  file = file.replace(PLAIN_PREFIXES, "").replace(/^(aio|raw):/, "");
  const format = prefix ?? found.format ?? "raw";
  if (!FORMATS.includes(format))
    return { refusal: `"${format}" is no format; there are ${FORMATS.join(", ")}` };
  const isRom =
    flags.includes("cdrom") || found.devtype === "cdrom" || found.vdev?.endsWith(":cdrom") === true;
  if (file === "") {
    if (isRom) return { options: undefined, ignored: ["an empty drive"] };
    return { refusal: "the image file is missing" };
  }
  if (format !== "raw") {
    return {
      refusal: `images of format ${format} cannot be read here; make a raw one of it (qemu-img convert -O raw)`,
    };
  }
  const access = ACCESS[found.access ?? ""];
  if (access === undefined)
    return { refusal: `"${found.access}" is no access; it must be rw or ro` };
  const vdev = found.vdev?.replace(/:(cdrom|disk)$/, "");
  return { options: { file, access: isRom ? "ro" : access, vdev }, ignored };
}

/** A network card, such as "mac=00:16:3e:00:00:01,bridge=xenbr0": on a hub with the bridge's name. */
export function mapVif(text: string): Mapped<NetOptions> {
  let mac: string | undefined;
  let bridge = DEFAULT_BRIDGE;
  const ignored: string[] = [];
  for (const word of text.split(",").map((each) => each.trim())) {
    if (word === "") continue;
    const [, key = "", value = ""] = /^([a-z]+)\s*=\s*(.*)$/.exec(word) ?? [];
    if (key === "mac") mac = value;
    else if (key === "bridge") bridge = value;
    else if (key === "type" && value !== "vif") {
      return {
        refusal: `type=${value} is for machines with emulated cards; a PV guest has type=vif`,
      };
    } else if (key === "backend" || key === "backenddomain") {
      return { refusal: `${key}= cannot be had here: the card's other end is this program` };
    } else if (VIF_HINTS.includes(key)) ignored.push(key);
    else if (key !== "type") return { refusal: `a network card has no parameter "${key || word}"` };
  }
  return { options: { hub: bridge, mac }, ignored };
}
