/**
 * Kernels of Xen PV domains: what their ELF notes of the owner "Xen" say, or the older section `__xen_guest`, a list of NAME=value.
 * Source: Xen's public elfnote.h; where both are silent, the defaults of Xen's domain builder.
 */

import { PAGE_BYTES } from "../../abi/memory.ts";
import { XENFEAT_NAMES } from "../../abi/xen.ts";
import {
  XEN_ELFNOTE_BSD_SYMTAB,
  XEN_ELFNOTE_ENTRY,
  XEN_ELFNOTE_FEATURES,
  XEN_ELFNOTE_GUEST_OS,
  XEN_ELFNOTE_HV_START_LOW,
  XEN_ELFNOTE_HYPERCALL_PAGE,
  XEN_ELFNOTE_LOADER,
  XEN_ELFNOTE_PADDR_OFFSET,
  XEN_ELFNOTE_PAE_MODE,
  XEN_ELFNOTE_SUPPORTED_FEATURES,
  XEN_ELFNOTE_VIRT_BASE,
  XEN_ELFNOTE_XEN_VERSION,
  XEN_PAE_MODES,
} from "../../abi/xen-layout.ts";
import { ImageError } from "../base/errors.ts";
import { findSection, isElf, parseElf } from "./elf.ts";
import { badField, hex, latin1 } from "./fields.ts";
import type { KernelImage, XenParameters } from "./kernel.ts";

/** Name of the notes. */
const OWNER = "Xen";
const LEGACY_SECTION = "__xen_guest";
const NOTE_NAMES: Readonly<Record<string, number>> = {
  GUEST_OS: XEN_ELFNOTE_GUEST_OS,
  XEN_VER: XEN_ELFNOTE_XEN_VERSION,
  LOADER: XEN_ELFNOTE_LOADER,
  PAE: XEN_ELFNOTE_PAE_MODE,
  VIRT_BASE: XEN_ELFNOTE_VIRT_BASE,
  VIRT_ENTRY: XEN_ELFNOTE_ENTRY,
  ELF_PADDR_OFFSET: XEN_ELFNOTE_PADDR_OFFSET,
  HYPERCALL_PAGE: XEN_ELFNOTE_HYPERCALL_PAGE,
  FEATURES: XEN_ELFNOTE_FEATURES,
  BSD_SYMTAB: XEN_ELFNOTE_BSD_SYMTAB,
};
/** Version of the interface, and the only kind of loader that there is. */
const INTERFACE_VERSION = "xen-3.0";
const GENERIC_LOADER = "generic";
/** What this kind of domain has, so that a kernel may require it. */
const OFFERED_FEATURES = [
  "writable_page_tables",
  "writable_descriptor_tables",
  "pae_pgdir_above_4gb",
  "mmu_pt_update_preserve_ad",
  "highmem_assist",
  "gnttab_map_avail_bits",
];

/** A value as the image spells it: a number, a text, or either. */
type Values = ReadonlyMap<number, string | number>;

/**
 * Parses the kernel of a Xen PV domain; `image.xen` says how the domain is built.
 * @throws ImageError naming the note, what was found and what was wanted
 */
export function parseXenImage(bytes: Uint8Array): KernelImage {
  if (!isElf(bytes)) {
    throw new ImageError(
      "kernel: a Xen PV domain wants an ELF32 kernel with Xen's notes, plain or packed",
      "HV_IMAGE_UNSUPPORTED",
    );
  }
  const image = parseElf(bytes);
  const notes = noteValues(image);
  const values = notes.size > 0 ? notes : legacyValues(bytes);
  if (values === undefined) {
    throw new ImageError(
      `kernel: this ELF file has neither notes of the owner "${OWNER}" nor a section ${LEGACY_SECTION}, so it is not for a Xen PV domain`,
      "HV_IMAGE_UNSUPPORTED",
    );
  }
  return { ...image, xen: parametersOf(image, values, notes.size === 0) };
}

/** Notes that hold text keep it as text; the others are 4 or 8 bytes, little-endian. */
function noteValues(image: KernelImage): Values {
  const values = new Map<number, string | number>();
  for (const { name, type, desc } of image.notes) {
    if (name !== OWNER) continue;
    values.set(type, TEXT_NOTES.has(type) ? textOf(desc) : numberOf(desc));
  }
  return values;
}

const TEXT_NOTES: ReadonlySet<number> = new Set([
  XEN_ELFNOTE_GUEST_OS,
  XEN_ELFNOTE_XEN_VERSION,
  XEN_ELFNOTE_LOADER,
  XEN_ELFNOTE_PAE_MODE,
  XEN_ELFNOTE_FEATURES,
  XEN_ELFNOTE_BSD_SYMTAB,
]);

function textOf(desc: Uint8Array): string {
  const end = desc.indexOf(0);
  return latin1(end < 0 ? desc : desc.subarray(0, end));
}

function numberOf(desc: Uint8Array): number {
  let value = 0;
  for (let i = Math.min(desc.length, 8) - 1; i >= 0; i--) value = value * 256 + desc[i]!;
  return value;
}

/** The text of the older section, undefined when there is none. */
function legacyValues(bytes: Uint8Array): Values | undefined {
  const section = findSection(bytes, LEGACY_SECTION);
  if (section === undefined) return undefined;
  const values = new Map<number, string | number>();
  for (const pair of textOf(section).split(",")) {
    const [name = "", value = ""] = pair.split("=", 2);
    const type = NOTE_NAMES[name.trim()];
    if (type === undefined) continue;
    values.set(type, TEXT_NOTES.has(type) ? value : Number(value));
  }
  return values;
}

function parametersOf(image: KernelImage, values: Values, isLegacy: boolean): XenParameters {
  const text = (type: number) => String(values.get(type) ?? "");
  const number = (type: number, otherwise: number) => {
    const value = values.get(type);
    return typeof value === "number" && Number.isSafeInteger(value) ? value : otherwise;
  };
  checkText("XEN_ELFNOTE_XEN_VERSION", text(XEN_ELFNOTE_XEN_VERSION), [INTERFACE_VERSION]);
  checkText("XEN_ELFNOTE_LOADER", text(XEN_ELFNOTE_LOADER), [GENERIC_LOADER]);
  const pae = text(XEN_ELFNOTE_PAE_MODE).split("[")[0]!;
  checkText("XEN_ELFNOTE_PAE_MODE", pae, XEN_PAE_MODES);
  const virtBase = number(XEN_ELFNOTE_VIRT_BASE, 0);
  const page = number(XEN_ELFNOTE_HYPERCALL_PAGE, -1);
  const requiredFeatures = requiredOf(text(XEN_ELFNOTE_FEATURES));
  return {
    entry: number(XEN_ELFNOTE_ENTRY, image.entry) % 2 ** 32,
    hypercallPage: page < 0 ? undefined : isLegacy ? virtBase + page * PAGE_BYTES : page,
    virtBase,
    paddrOffset: number(XEN_ELFNOTE_PADDR_OFFSET, isLegacy ? virtBase : 0),
    guestOs: text(XEN_ELFNOTE_GUEST_OS),
    requiredFeatures,
    supportedFeatures: supportedOf(number(XEN_ELFNOTE_SUPPORTED_FEATURES, 0)),
    hypervisorStart: number(XEN_ELFNOTE_HV_START_LOW, 0),
    wantsSymbols: text(XEN_ELFNOTE_BSD_SYMTAB).startsWith("yes"),
  };
}

/** An absent text is as good as the right one. */
function checkText(note: string, found: string, wanted: readonly string[]): void {
  if (found === "" || wanted.includes(found)) return;
  throw badField("Xen notes", note, `"${found}"`, wanted.join(" or "), "HV_IMAGE_UNSUPPORTED");
}

/** Features with an exclamation mark are required. */
function requiredOf(list: string): string[] {
  const names = list
    .split("|")
    .filter((name) => name.startsWith("!"))
    .map((name) => name.slice(1));
  const missing = names.find((name) => name !== "" && !OFFERED_FEATURES.includes(name));
  if (missing === undefined) return names;
  const offered = OFFERED_FEATURES.join(", ");
  throw badField(
    "Xen notes",
    "XEN_ELFNOTE_FEATURES",
    `a requirement of "${missing}"`,
    `none but ${offered}`,
    "HV_IMAGE_UNSUPPORTED",
  );
}

function supportedOf(bits: number): string[] {
  return XENFEAT_NAMES.filter((_, bit) => Math.floor(bits / 2 ** bit) % 2 === 1);
}

/** The linear range that the image takes, [start, end), from its segments. Throws ImageError for one outside the domain. */
export function imageRange(image: KernelImage, xen: XenParameters): { start: number; end: number } {
  const linear = (gpa: number) => gpa - xen.paddrOffset + xen.virtBase;
  const start = Math.min(...image.segments.map(({ gpa }) => linear(gpa)));
  const end = Math.max(...image.segments.map(({ gpa, memSize }) => linear(gpa + memSize)));
  if (start < xen.virtBase || end > 2 ** 32) {
    const found = `${hex(start)} to ${hex(end)}`;
    throw badField(
      "Xen notes",
      "XEN_ELFNOTE_VIRT_BASE",
      hex(xen.virtBase),
      `one at or below ${found}`,
    );
  }
  return { start, end };
}
