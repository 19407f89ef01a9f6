/**
 * Kernels of Xen PV domains: what their ELF notes of the owner "Xen" say, or the older section `__xen_guest`, a list of NAME=value.
 * Source: Xen's public elfnote.h; where both are silent, the defaults of Xen's domain builder.
 */

import { PAGE_BYTES } from "../../abi/memory.ts";
import { XEN_ELFNOTE_PHYS32_ENTRY } from "../../abi/pvh.ts";
import { XENFEAT_NAMES } from "../../abi/xen.ts";
import {
  XEN_ELFNOTE_BSD_SYMTAB,
  XEN_ELFNOTE_ENTRY,
  XEN_ELFNOTE_FEATURES,
  XEN_ELFNOTE_GUEST_OS,
  XEN_ELFNOTE_HV_START_LOW,
  XEN_ELFNOTE_HYPERCALL_PAGE,
  XEN_ELFNOTE_INIT_P2M,
  XEN_ELFNOTE_LOADER,
  XEN_ELFNOTE_MOD_START_PFN,
  XEN_ELFNOTE_PADDR_OFFSET,
  XEN_ELFNOTE_PAE_MODE,
  XEN_ELFNOTE_SUPPORTED_FEATURES,
  XEN_ELFNOTE_VIRT_BASE,
  XEN_ELFNOTE_XEN_VERSION,
  XEN_PAE_MODES,
} from "../../abi/xen-layout.ts";
import { ImageError } from "../base/errors.ts";
import { bsdSymbolTable } from "./bsd-symbols.ts";
import { findSection, isElf, parseElf, sectionNotes } from "./elf.ts";
import { badField, hex, latin1 } from "./fields.ts";
import type { KernelImage, KernelNote, XenParameters } from "./kernel.ts";

/** Name of the notes. */
const OWNER = "Xen";
const LEGACY_SECTION = "__xen_guest";
/** Longest text of a note, or of the older section. */
const TEXT_MAX_BYTES = 4096;
const NOTE_NAMES: ReadonlyMap<string, number> = new Map(
  Object.entries({
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
  }),
);
/** Version of the interface, and the only kind of loader that there is. */
const INTERFACE_VERSION = "xen-3.0";
const GENERIC_LOADER = "generic";
const LINUX = "linux";
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
  // The entry of Xen is a note's.
  const image = parseElf(bytes, true);
  const inSegments = noteValues(image.notes);
  const notes = inSegments.size > 0 ? inSegments : noteValues(sectionNotes(bytes));
  const values = notes.size > 0 ? notes : legacyValues(bytes);
  if (values === undefined) {
    throw new ImageError(
      `kernel: this ELF file has neither notes of the owner "${OWNER}" nor a section ${LEGACY_SECTION}, so it is not for a Xen PV domain`,
      "HV_IMAGE_UNSUPPORTED",
    );
  }
  const xen = parametersOf(image, values, notes.size === 0);
  const symbols = wantsSymbols(values, notes.size === 0) ? bsdSymbolTable(bytes) : undefined;
  const segments = symbols === undefined ? image.segments : withSymbols(image, symbols);
  const whole = { ...image, segments, xen };
  checkPlaces(whole, xen, values);
  return whole;
}

/** Symbols follow the image, and are loaded like it. */
function withSymbols({ segments }: KernelImage, symbols: Uint8Array): KernelImage["segments"] {
  const end = Math.max(...segments.map(({ gpa, memSize }) => gpa + memSize));
  return [...segments, { gpa: Math.ceil(end / 4) * 4, bytes: symbols, memSize: symbols.length }];
}

/** Notes that hold text keep it as text; the others are 4 or 8 bytes, little-endian. The last of a kind counts. */
function noteValues(notes: readonly KernelNote[]): Values {
  const values = new Map<number, string | number>();
  for (const { name, type, desc } of notes) {
    if (name !== OWNER) continue;
    values.set(type, TEXT_NOTES.has(type) ? textOf(desc, `the note ${type}`) : numberOf(desc));
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

function textOf(desc: Uint8Array, field: string): string {
  const end = desc.indexOf(0);
  const length = end < 0 ? desc.length : end;
  if (length > TEXT_MAX_BYTES) {
    throw badField("Xen notes", field, `${length} bytes`, `at most ${TEXT_MAX_BYTES} of text`);
  }
  return latin1(desc.subarray(0, length));
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
  for (const pair of textOf(section, LEGACY_SECTION).split(",")) {
    const [name = "", value = ""] = pair.split("=", 2);
    const type = NOTE_NAMES.get(name.trim());
    if (type === undefined) continue;
    const isText = TEXT_NOTES.has(type);
    if (!isText && !/^(0x[0-9a-f]{1,16}|[0-9]{1,20})$/i.test(value.trim())) {
      throw badField(LEGACY_SECTION, name.trim(), `"${value}"`, "a number");
    }
    values.set(type, isText ? value : Number(value));
  }
  return values;
}

function parametersOf(image: KernelImage, values: Values, isLegacy: boolean): XenParameters {
  const text = (type: number) => String(values.get(type) ?? "");
  const number = (type: number, otherwise: number) => {
    const value = values.get(type);
    return typeof value === "number" && Number.isSafeInteger(value) ? value : otherwise;
  };
  checkInterface(
    text(XEN_ELFNOTE_XEN_VERSION),
    text(XEN_ELFNOTE_LOADER),
    text(XEN_ELFNOTE_GUEST_OS),
  );
  checkPae(text(XEN_ELFNOTE_PAE_MODE));
  if (values.has(XEN_ELFNOTE_PADDR_OFFSET) && !values.has(XEN_ELFNOTE_VIRT_BASE)) {
    const found = "absent where XEN_ELFNOTE_PADDR_OFFSET is not";
    throw badField("Xen notes", "XEN_ELFNOTE_VIRT_BASE", found, "both or neither");
  }
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
    takesUnmappedRamdisk: number(XEN_ELFNOTE_MOD_START_PFN, 0) !== 0,
  };
}

/** The note says yes; the older section only has to name it. */
function wantsSymbols(values: Values, isLegacy: boolean): boolean {
  const value = values.get(XEN_ELFNOTE_BSD_SYMTAB);
  return value !== undefined && (isLegacy || value === "yes");
}

/** Absent texts are as good as the right ones; Linux may name a loader of its own. */
function checkInterface(version: string, loader: string, guestOs: string): void {
  const refuse = (note: string, found: string, wanted: string) => {
    throw badField("Xen notes", note, `"${found}"`, wanted, "HV_IMAGE_UNSUPPORTED");
  };
  if (version !== "" && !version.startsWith(INTERFACE_VERSION)) {
    refuse("XEN_ELFNOTE_XEN_VERSION", version, INTERFACE_VERSION);
  }
  const isGeneric = loader === "" || loader.startsWith(GENERIC_LOADER);
  if (!isGeneric && !guestOs.startsWith(LINUX)) {
    refuse("XEN_ELFNOTE_LOADER", loader, GENERIC_LOADER);
  }
}

/** A kernel that says nothing uses two-level page tables. */
function checkPae(mode: string): void {
  const isPae = mode.startsWith("yes") || mode.includes("bimodal");
  if (isPae) return;
  const found = mode === "" ? "absent" : `"${mode}"`;
  throw badField(
    "Xen notes",
    "XEN_ELFNOTE_PAE_MODE",
    `${found}, which means a kernel without PAE`,
    `${XEN_PAE_MODES.join(" or ")}; Xen has no domains for others any more`,
    "HV_IMAGE_UNSUPPORTED",
  );
}

/** The addresses that notes name are inside of the image or outside, as they must be. */
function checkPlaces(image: KernelImage, xen: XenParameters, values: Values): void {
  const { start, end } = imageRange(image, xen);
  const inside = `between ${hex(start)} and ${hex(end)}`;
  const isOutside = xen.entry < start || xen.entry >= end;
  if (isOutside && values.has(XEN_ELFNOTE_PHYS32_ENTRY) && !values.has(XEN_ELFNOTE_ENTRY)) {
    throw new ImageError(
      'kernel: it has an entry for PVH guests and none for PV ones; take one built with CONFIG_XEN_PV, or run it with abi "bare"',
      "HV_IMAGE_UNSUPPORTED",
    );
  }
  if (isOutside) {
    throw badField("Xen notes", "XEN_ELFNOTE_ENTRY", hex(xen.entry), inside);
  }
  const page = xen.hypercallPage;
  if (
    page !== undefined &&
    (page % PAGE_BYTES !== 0 || page + PAGE_BYTES <= start || page >= end)
  ) {
    throw badField("Xen notes", "XEN_ELFNOTE_HYPERCALL_PAGE", hex(page), `a page ${inside}`);
  }
  // 64-bit kernels alone may place the list themselves, but nobody may place it here.
  const list = values.get(XEN_ELFNOTE_INIT_P2M);
  if (typeof list === "number" && list >= start && list < end) {
    throw badField("Xen notes", "XEN_ELFNOTE_INIT_P2M", hex(list), "an address outside the image");
  }
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
