import { describe, expect, test } from "vitest";
import { XEN_ELFNOTE_PHYS32_ENTRY } from "../../../abi/pvh.ts";
import {
  XEN_ELFNOTE_BSD_SYMTAB,
  XEN_ELFNOTE_ENTRY,
  XEN_ELFNOTE_FEATURES,
  XEN_ELFNOTE_GUEST_OS,
  XEN_ELFNOTE_HYPERCALL_PAGE,
  XEN_ELFNOTE_INIT_P2M,
  XEN_ELFNOTE_LOADER,
  XEN_ELFNOTE_MOD_START_PFN,
  XEN_ELFNOTE_PADDR_OFFSET,
  XEN_ELFNOTE_PAE_MODE,
  XEN_ELFNOTE_SUPPORTED_FEATURES,
  XEN_ELFNOTE_VIRT_BASE,
  XEN_ELFNOTE_XEN_VERSION,
} from "../../../abi/xen-layout.ts";
import { ImageError } from "../../../host-ts/base/errors.ts";
import { imageRange, parseXenImage } from "../../../host-ts/boot/xen-notes.ts";
import { buildElf, patch } from "./images.ts";

const word = (value: number) => new Uint8Array(Uint32Array.of(value).buffer);
const text = (value: string) => new TextEncoder().encode(`${value}\0`);
const note = (type: number, desc: Uint8Array) => ({ name: "Xen", type, desc });
const pae = note(XEN_ELFNOTE_PAE_MODE, text("yes"));
const SEGMENTS = [{ paddr: 0x100000, bytes: Uint8Array.of(0xf4), memsz: 0x3000 }];
type Notes = ReturnType<typeof note>[];
const parse = (...notes: Notes) =>
  parseXenImage(buildElf({ segments: SEGMENTS, notes: [pae, ...notes] }));
const parameters = (...notes: Notes) => parse(...notes).xen!;

describe("notes", () => {
  test("absent ones mean base 0, no offset, the entry of the file and no hypercall page", () => {
    expect(parameters(note(XEN_ELFNOTE_LOADER, text("generic")))).toMatchObject({
      entry: 0x100000,
      virtBase: 0,
      paddrOffset: 0,
      hypercallPage: undefined,
      takesUnmappedRamdisk: false,
    });
  });

  test("entry, base, offset and hypercall page come as they stand", () => {
    const image = parse(
      note(XEN_ELFNOTE_ENTRY, word(0xc0100000)),
      note(XEN_ELFNOTE_VIRT_BASE, word(0xc0000000)),
      note(XEN_ELFNOTE_PADDR_OFFSET, word(0x1000)),
      note(XEN_ELFNOTE_HYPERCALL_PAGE, word(0xc0101000)),
    );
    expect(image.xen).toMatchObject({
      entry: 0xc0100000,
      virtBase: 0xc0000000,
      paddrOffset: 0x1000,
      hypercallPage: 0xc0101000,
    });
    expect(imageRange(image, image.xen!)).toEqual({ start: 0xc00ff000, end: 0xc0102000 });
  });

  test("what was said twice counts as it was said last", () => {
    const first = note(XEN_ELFNOTE_ENTRY, word(0x100000));
    expect(parameters(first, note(XEN_ELFNOTE_ENTRY, word(0x100004))).entry).toBe(0x100004);
  });

  test("the entry of the file means nothing beside the note's", () => {
    const notes = [pae, note(XEN_ELFNOTE_ENTRY, word(0x100010))];
    expect(parseXenImage(buildElf({ entry: 0, segments: SEGMENTS, notes })).xen!.entry).toBe(
      0x100010,
    );
  });

  test.each<[string, RegExp, number, Uint8Array]>([
    ["an entry before the image", /ENTRY is 0xfffff/, XEN_ELFNOTE_ENTRY, word(0xfffff)],
    ["an entry behind the image", /ENTRY is 0x103000/, XEN_ELFNOTE_ENTRY, word(0x103000)],
    ["a hypercall page elsewhere", /HYPERCALL_PAGE/, XEN_ELFNOTE_HYPERCALL_PAGE, word(0x104000)],
    ["half a hypercall page", /HYPERCALL_PAGE/, XEN_ELFNOTE_HYPERCALL_PAGE, word(0x100800)],
    ["a base above the image", /VIRT_BASE/, XEN_ELFNOTE_VIRT_BASE, word(0xfffff000)],
    ["an offset without a base", /VIRT_BASE is absent/, XEN_ELFNOTE_PADDR_OFFSET, word(0)],
    ["a list of frames inside the image", /INIT_P2M/, XEN_ELFNOTE_INIT_P2M, word(0x101000)],
    ["another interface", /XEN_VERSION is "xen-2.0"/, XEN_ELFNOTE_XEN_VERSION, text("xen-2.0")],
    ["another loader", /LOADER is "bsd"/, XEN_ELFNOTE_LOADER, text("bsd")],
    ["no PAE", /PAE_MODE is "no", which means/, XEN_ELFNOTE_PAE_MODE, text("no")],
    ["a need that is not met", /"dom0"/, XEN_ELFNOTE_FEATURES, text("!dom0|highmem_assist")],
    ["a need that nobody knows", /"teapot"/, XEN_ELFNOTE_FEATURES, text("!teapot")],
  ])("%s is refused by name", (_, message, type, desc) => {
    expect(() => parameters(note(type, desc))).toThrow(message);
    expect(() => parameters(note(type, desc))).toThrow(ImageError);
  });

  test("a kernel that says nothing of PAE has none, and is refused", () => {
    const notes = [note(XEN_ELFNOTE_LOADER, text("generic"))];
    expect(() => parseXenImage(buildElf({ notes }))).toThrow(/PAE_MODE is absent, which means/);
  });

  test.each(["yes", "yes[extended-cr3]", "bimodal"])("PAE mode %s is taken", (mode) => {
    expect(parameters(note(XEN_ELFNOTE_PAE_MODE, text(mode)))).toBeDefined();
  });

  test("the versions of interface and loader may go on, and Linux may name its own loader", () => {
    const version = note(XEN_ELFNOTE_XEN_VERSION, text("xen-3.0-x86_32p"));
    const os = note(XEN_ELFNOTE_GUEST_OS, text("linux 2.6"));
    expect(parameters(version, os, note(XEN_ELFNOTE_LOADER, text("own"))).guestOs).toBe(
      "linux 2.6",
    );
  });

  test("features: what is wished for may be missing, what is needed is kept, in text and in bits", () => {
    const features = note(XEN_ELFNOTE_FEATURES, text("dom0|!writable_page_tables|teapot"));
    expect(parameters(features, note(XEN_ELFNOTE_SUPPORTED_FEATURES, word(0x11)))).toMatchObject({
      requiredFeatures: ["writable_page_tables"],
      supportedFeatures: ["writable_page_tables", "pae_pgdir_above_4gb"],
    });
    expect(parameters(note(XEN_ELFNOTE_MOD_START_PFN, word(1))).takesUnmappedRamdisk).toBe(true);
  });

  test("a last note that claims more than its segment holds is cut, as GRUB's is", () => {
    const whole = buildElf({ notes: [note(XEN_ELFNOTE_PAE_MODE, text("yes"))] });
    // n_descsz of the only note, the second word of the segment at p_offset of the second program header.
    const at = new DataView(whole.buffer).getUint32(52 + 32 + 4, true);
    expect(parseXenImage(patch(whole, at + 4, 32, 12)).xen).toBeDefined();
  });

  test("a text longer than any kernel's is refused, in notes and in the older section", () => {
    const long = text("x".repeat(5000));
    expect(() => parse(note(XEN_ELFNOTE_FEATURES, long))).toThrow(ImageError);
    const section = withSections(buildElf({ segments: SEGMENTS }), [1, "__xen_guest", long]);
    expect(() => parseXenImage(section)).toThrow(/__xen_guest is 5000 bytes, wanted at most 4096/);
  });

  test("a note segment without a place in the file is passed over", () => {
    const whole = buildElf({ notes: [pae] });
    expect(() => parseXenImage(patch(whole, 52 + 32 + 4, 32, 0))).toThrow(/__xen_guest/);
  });

  test("an ELF file that says nothing to Xen is refused, and so is what is no ELF file", () => {
    expect(() => parseXenImage(buildElf())).toThrow(/__xen_guest/);
    expect(() => parseXenImage(new Uint8Array(64))).toThrow(/ELF32/);
  });

  test("a kernel that is for PVH alone is refused as such, as Debian's is", () => {
    const base = note(XEN_ELFNOTE_VIRT_BASE, word(0xc0000000));
    const pvh = note(XEN_ELFNOTE_PHYS32_ENTRY, word(0x100000));
    expect(() => parameters(base)).toThrow(/VIRT_BASE|ENTRY is 0x100000/);
    const image = buildElf({ segments: [{ ...SEGMENTS[0]! }], notes: [pae, base, pvh] });
    expect(() => parseXenImage(image)).toThrow(/an entry for PVH guests and none for PV ones/);
  });

  test("a kernel of 64 bits is refused as such", () => {
    const whole = buildElf({ notes: [pae] });
    whole[4] = 2;
    expect(() => parseXenImage(whole)).toThrow(/a 64-bit kernel/);
  });
});

/** An ELF file with sections behind it: type, name, contents. */
function withSections(
  elf: Uint8Array,
  ...extra: [type: number, name: string, bytes: Uint8Array][]
) {
  const names = text(["", ".shstrtab", ...extra.map(([, name]) => name)].join("\0"));
  const sections: [number, number, Uint8Array][] = [[3, 1, names]];
  let nameAt = ".shstrtab".length + 2;
  for (const [type, name, bytes] of extra) {
    sections.push([type, nameAt, bytes]);
    nameAt += name.length + 1;
  }
  const tableAt = elf.length;
  const contentsAt = tableAt + 40 * (sections.length + 1);
  const file = new Uint8Array(contentsAt + sections.reduce((sum, [, , b]) => sum + b.length, 0));
  file.set(elf);
  const view = new DataView(file.buffer);
  let at = contentsAt;
  for (const [i, [type, name, bytes]] of sections.entries()) {
    const header = tableAt + 40 * (i + 1);
    for (const [j, value] of [name, type, 0, 0, at, bytes.length].entries()) {
      view.setUint32(header + 4 * j, value, true);
    }
    file.set(bytes, at);
    at += bytes.length;
  }
  view.setUint32(32, tableAt, true);
  view.setUint16(46, 40, true);
  view.setUint16(48, sections.length + 1, true);
  view.setUint16(50, 1, true);
  return file;
}

const GUEST_SECTION = (content: string) =>
  [1, "__xen_guest", text(content)] as [number, string, Uint8Array];

describe("the older section", () => {
  const elf = buildElf({ entry: 0xc0100000, segments: [{ ...SEGMENTS[0]!, paddr: 0xc0100000 }] });
  const parseSection = (content: string) =>
    parseXenImage(withSections(elf, GUEST_SECTION(content)));

  test("its hypercall page is a page number above the base, which is also the default offset", () => {
    const image = parseSection(
      "GUEST_OS=Mini-OS,XEN_VER=xen-3.0,VIRT_BASE=0xC0000000,HYPERCALL_PAGE=0x102,LOADER=generic,PAE=yes",
    );
    expect(image.xen).toMatchObject({
      guestOs: "Mini-OS",
      virtBase: 0xc0000000,
      paddrOffset: 0xc0000000,
      hypercallPage: 0xc0102000,
    });
  });

  test("each of its keys is understood, and unknown ones are passed over", () => {
    const image = parseSection(
      "VIRT_BASE=3221225472,VIRT_ENTRY=0xC0100004,ELF_PADDR_OFFSET=0xC0000000,PAE=yes[extended-cr3],TEAPOT=1,constructor=none,FEATURES=!writable_page_tables|dom0,BSD_SYMTAB",
    );
    expect(image.xen).toMatchObject({
      entry: 0xc0100004,
      virtBase: 0xc0000000,
      paddrOffset: 0xc0000000,
      requiredFeatures: ["writable_page_tables"],
    });
  });

  test("what is wrong in it is refused as in notes", () => {
    expect(() => parseSection("VIRT_BASE=0xC0000000")).toThrow(/without PAE/);
    expect(() => parseSection("PAE=yes,LOADER=own")).toThrow(/LOADER is "own"/);
    expect(() => parseSection("PAE=yes,VIRT_BASE=0xzz")).toThrow(/VIRT_BASE/);
    expect(() => parseSection("PAE=yes,VIRT_ENTRY=0xfffff")).toThrow(/ENTRY/);
  });

  test("notes go before it, those of segments before those of sections", () => {
    const bytes = (entry: number) => {
      const whole = buildElf({ notes: [pae, note(XEN_ELFNOTE_ENTRY, word(entry))] });
      const at = new DataView(whole.buffer).getUint32(52 + 32 + 4, true);
      return whole.slice(at);
    };
    const section = GUEST_SECTION("PAE=yes,VIRT_ENTRY=0x100008");
    const plain = buildElf({ segments: SEGMENTS });
    const noted = buildElf({ segments: SEGMENTS, notes: [pae] });
    const notes: [number, string, Uint8Array] = [7, ".note.Xen", bytes(0x100004)];
    const entryOf = (file: Uint8Array) => parseXenImage(file).xen!.entry;
    expect(entryOf(withSections(plain, section))).toBe(0x100008);
    expect(entryOf(withSections(plain, section, notes))).toBe(0x100004);
    expect(entryOf(withSections(noted, section, notes))).toBe(0x100000);
  });
});

describe("symbols behind the image", () => {
  const symbols = [
    { name: "start", address: 0x100000 },
    { name: "_end", address: 0x103000, type: 0 },
  ];
  const build = (...notes: Notes) =>
    parseXenImage(
      buildElf({
        segments: [{ ...SEGMENTS[0]!, memsz: 0x3001 }],
        symbols,
        notes: [pae, ...notes],
      }),
    );

  test("are a length and an ELF file of three sections, at the next multiple of 4", () => {
    const image = build(note(XEN_ELFNOTE_BSD_SYMTAB, text("yes")));
    const [, segment] = image.segments;
    expect(segment!.gpa).toBe(0x103004);
    const view = new DataView(segment!.bytes.buffer);
    const elf = segment!.bytes.subarray(4);
    expect(new TextDecoder("latin1").decode(elf.subarray(0, 5))).toBe("\x7fELF\x01");
    const u32 = (at: number) => view.getUint32(4 + at, true);
    const u16 = (at: number) => view.getUint16(4 + at, true);
    expect([u16(40), u16(42), u16(44), u16(46), u16(48), u16(50), u32(28)]).toEqual([
      52, 0, 0, 40, 3, 0, 0,
    ]);
    const sections = u32(32);
    expect(elf.subarray(52, sections + 40).every((byte) => byte === 0)).toBe(true);
    const section = (index: number) =>
      [4, 16, 20, 24].map((field) => u32(sections + 40 * index + field));
    const [type, at, size, link] = section(1) as [number, number, number, number];
    expect([type, size, link]).toEqual([2, 32, 2]);
    expect([u32(at + 4), u32(at + 16 + 4)]).toEqual([0x100000, 0x103000]);
    const [stringsType, stringsAt, stringsSize] = section(2) as [number, number, number];
    expect(stringsType).toBe(3);
    expect(new TextDecoder().decode(elf.subarray(stringsAt, stringsAt + stringsSize))).toBe(
      "\0start\0_end\0",
    );
    expect(view.getUint32(0, true)).toBe(stringsAt + stringsSize);
    expect(imageRange(image, image.xen!).end).toBe(0x103004 + segment!.bytes.length);
  });

  test("are not loaded for a kernel that does not say yes, or has none", () => {
    expect(build().segments).toHaveLength(1);
    expect(build(note(XEN_ELFNOTE_BSD_SYMTAB, text("no"))).segments).toHaveLength(1);
    expect(parse(note(XEN_ELFNOTE_BSD_SYMTAB, text("yes"))).segments).toHaveLength(1);
  });
});
