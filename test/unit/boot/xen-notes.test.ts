import { describe, expect, test } from "vitest";
import {
  XEN_ELFNOTE_ENTRY,
  XEN_ELFNOTE_FEATURES,
  XEN_ELFNOTE_HYPERCALL_PAGE,
  XEN_ELFNOTE_LOADER,
  XEN_ELFNOTE_PADDR_OFFSET,
  XEN_ELFNOTE_PAE_MODE,
  XEN_ELFNOTE_VIRT_BASE,
} from "../../../abi/xen-layout.ts";
import { imageRange, parseXenImage } from "../../../host-ts/boot/xen-notes.ts";
import { buildElf, patch } from "./images.ts";

const word = (value: number) => new Uint8Array(Uint32Array.of(value).buffer);
const text = (value: string) => new TextEncoder().encode(`${value}\0`);
const note = (type: number, desc: Uint8Array) => ({ name: "Xen", type, desc });
const parameters = (...notes: ReturnType<typeof note>[]) => parseXenImage(buildElf({ notes })).xen!;

describe("notes", () => {
  test("absent ones mean base 0, no offset, the entry of the file and no hypercall page", () => {
    expect(parameters(note(XEN_ELFNOTE_LOADER, text("generic")))).toMatchObject({
      entry: 0x100000,
      virtBase: 0,
      paddrOffset: 0,
      hypercallPage: undefined,
    });
  });

  test("entry, base, offset and hypercall page come as they stand", () => {
    const xen = parameters(
      note(XEN_ELFNOTE_ENTRY, word(0xc0001000)),
      note(XEN_ELFNOTE_VIRT_BASE, word(0xc0000000)),
      note(XEN_ELFNOTE_PADDR_OFFSET, word(0x1000)),
      note(XEN_ELFNOTE_HYPERCALL_PAGE, word(0xc0002000)),
    );
    expect(xen).toMatchObject({
      entry: 0xc0001000,
      virtBase: 0xc0000000,
      paddrOffset: 0x1000,
      hypercallPage: 0xc0002000,
    });
    const image = parseXenImage(buildElf({ notes: [note(XEN_ELFNOTE_LOADER, text("generic"))] }));
    expect(imageRange(image, xen)).toEqual({ start: 0xc00ff000, end: 0xc0100000 });
  });

  test("a kernel without PAE, with another loader or with a need that is not met is refused by name", () => {
    const refuse = (type: number, desc: string) => () => parameters(note(type, text(desc)));
    expect(refuse(XEN_ELFNOTE_PAE_MODE, "no")).toThrow(/XEN_ELFNOTE_PAE_MODE is "no"/);
    expect(refuse(XEN_ELFNOTE_LOADER, "linux")).toThrow(/XEN_ELFNOTE_LOADER is "linux"/);
    expect(refuse(XEN_ELFNOTE_FEATURES, "!dom0|writable_page_tables")).toThrow(/"dom0"/);
    expect(
      parameters(note(XEN_ELFNOTE_FEATURES, text("dom0|!writable_page_tables"))),
    ).toMatchObject({
      requiredFeatures: ["writable_page_tables"],
    });
    expect(parameters(note(XEN_ELFNOTE_PAE_MODE, text("yes[extended-cr3]")))).toBeDefined();
  });

  test("a last note that claims more than its segment holds is cut, as GRUB's is", () => {
    const whole = buildElf({ notes: [note(XEN_ELFNOTE_PAE_MODE, text("yes"))] });
    // n_descsz of the only note, the second word of the segment at p_offset of the second program header.
    const at = new DataView(whole.buffer).getUint32(52 + 32 + 4, true);
    expect(parseXenImage(patch(whole, at + 4, 32, 12)).xen).toBeDefined();
  });

  test("an ELF file that says nothing to Xen is refused, and so is what is no ELF file", () => {
    expect(() => parseXenImage(buildElf())).toThrow(/__xen_guest/);
    expect(() => parseXenImage(new Uint8Array(64))).toThrow(/ELF32/);
  });
});

describe("the older section", () => {
  const withSection = (content: string) => {
    const elf = buildElf({ entry: 0x100000 });
    const names = "\0.shstrtab\0__xen_guest\0";
    const bytes = new TextEncoder();
    const at = elf.length;
    const file = new Uint8Array(at + 3 * 40 + names.length + content.length + 1);
    file.set(elf);
    const view = new DataView(file.buffer);
    const namesAt = at + 120;
    const section = (index: number, ...words: number[]) => {
      for (const [i, value] of words.entries())
        view.setUint32(at + 40 * index + 4 * i, value, true);
    };
    section(1, 1, 3, 0, 0, namesAt, names.length);
    section(2, 11, 1, 0, 0, namesAt + names.length, content.length + 1);
    file.set(bytes.encode(names), namesAt);
    file.set(bytes.encode(content), namesAt + names.length);
    view.setUint32(32, at, true);
    view.setUint16(46, 40, true);
    view.setUint16(48, 3, true);
    view.setUint16(50, 1, true);
    return file;
  };

  test("its hypercall page is a page number above the base, which is also the default offset", () => {
    const image = parseXenImage(
      withSection(
        "GUEST_OS=Mini-OS,XEN_VER=xen-3.0,VIRT_BASE=0xC0000000,HYPERCALL_PAGE=0x2,LOADER=generic,PAE=yes",
      ),
    );
    expect(image.xen).toMatchObject({
      guestOs: "Mini-OS",
      virtBase: 0xc0000000,
      paddrOffset: 0xc0000000,
      hypercallPage: 0xc0002000,
    });
  });
});
