import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { MULTIBOOT_HEADER_MAGIC } from "../../../abi/multiboot.ts";
import { XEN_ELFNOTE_PHYS32_ENTRY } from "../../../abi/pvh.ts";
import { ImageError } from "../../../host-ts/base/errors.ts";
import { parseBareImage } from "../../../host-ts/boot/bare-image.ts";
import { buildBzImage, buildElf } from "./images.ts";

const words = (...values: number[]): Uint8Array =>
  new Uint8Array(Uint32Array.from(values, (value) => value >>> 0).buffer);

/** A header with a good checksum, then whatever fields follow. */
const header = (flags: number, ...rest: number[]): Uint8Array =>
  words(MULTIBOOT_HEADER_MAGIC, flags, -(MULTIBOOT_HEADER_MAGIC + flags), ...rest);

function file(sizeBytes: number, at: number, bytes: Uint8Array): Uint8Array {
  const image = new Uint8Array(sizeBytes);
  image.set(bytes, at);
  return image;
}

describe("Multiboot", () => {
  test("an ELF with a header is entered where the ELF says", () => {
    const elf = buildElf({
      entry: 0x100010,
      segments: [{ paddr: 0x100000, bytes: header(3), memsz: 0x1000 }],
    });
    expect(parseBareImage(elf)).toMatchObject({
      kind: "elf",
      protocol: "multiboot",
      entry: 0x100010,
    });
  });

  test("address fields win: load address, length, bss and entry are theirs", () => {
    const fields = header(0x10000, 0x200040, 0x200000, 0x200100, 0x201000, 0x200080);
    const image = parseBareImage(file(0x200, 0x40, fields));
    expect(image).toMatchObject({ kind: "multiboot", entry: 0x200080 });
    expect(image.segments[0]).toMatchObject({ gpa: 0x200000, memSize: 0x1000 });
    expect(image.segments[0]?.bytes.length).toBe(0x100);
  });

  test("without an end the whole rest of the file is loaded", () => {
    const fields = header(0x10000, 0x200000, 0x200000, 0, 0, 0x200000);
    expect(parseBareImage(file(0x200, 0x40, fields)).segments[0]?.memSize).toBe(0x1c0);
  });

  test.each([
    ["flags", header(4)],
    ["load_addr", header(0x10000, 0x100000, 0x200000, 0, 0, 0x200000)],
    ["load_addr", header(0x10000, 0x300000, 0x200000, 0, 0, 0x200000)],
    ["load_end_addr", header(0x10000, 0x200000, 0x200000, 0x1ff000, 0, 0x200000)],
    ["load_end_addr", header(0x10000, 0x200000, 0x200000, 0x300000, 0, 0x200000)],
    ["bss_end_addr", header(0x10000, 0x200000, 0x200000, 0x200100, 0x200010, 0x200000)],
    ["entry_addr", header(0x10000, 0x200000, 0x200000, 0, 0, 0x400000)],
    ["load_addr", header(0x10000, 0xffffff00, 0xffffff00, 0, 0, 0xffffff00)],
    ["address fields", header(0)],
  ])("a bad %s is named", (field, bytes) => {
    expect(() => parseBareImage(file(0x200, 0, bytes))).toThrow(ImageError);
    expect(() => parseBareImage(file(0x200, 0, bytes))).toThrow(field);
  });

  test("a header past 8 KiB or off a word boundary is none", () => {
    const fields = header(0x10000, 0x200000, 0x200000, 0, 0, 0x200000);
    for (const at of [8192, 0x41]) {
      expect(() => parseBareImage(file(0x3000, at, fields))).toThrow("not for a plain machine");
    }
  });
});

test("a PVH note gives the entry; an ELF with neither is refused", () => {
  const note = { name: "Xen", type: XEN_ELFNOTE_PHYS32_ENTRY, desc: words(0x123456) };
  expect(parseBareImage(buildElf({ notes: [note] }))).toMatchObject({
    protocol: "pvh",
    entry: 0x123456,
  });
  expect(() => parseBareImage(buildElf())).toThrow("neither a Multiboot header nor a PVH");
});

describe("bzImage", () => {
  const bootable = (version: number, initSize = 0x800000): Uint8Array => {
    const image = buildBzImage();
    const fields = new DataView(image.buffer);
    fields.setUint8(0x201, 0x66);
    fields.setUint16(0x206, version, true);
    fields.setUint32(0x258, 0x1000000, true);
    fields.setUint32(0x260, initSize, true);
    return image;
  };

  test("is entered by its own protocol, with room to unpack itself and its setup header", () => {
    const image = parseBareImage(bootable(0x20f));
    expect(image).toMatchObject({
      kind: "bzimage",
      protocol: "linux",
      segments: [{ gpa: 0x100000, memSize: 0x1700000 }],
    });
    expect(image.setupHeader?.length).toBe(0x202 + 0x66 - 0x1f1);
  });

  test("is refused when its header is too old to say how much room, or says too much", () => {
    expect(() => parseBareImage(bootable(0x209))).toThrow("version is 0x209, wanted 0x20a");
    expect(() => parseBareImage(bootable(0x20f, 0xffffffff))).toThrow("pref_address");
  });
});

test("a ROM ends at 1 MiB and starts at the reset vector", () => {
  expect(parseBareImage(new Uint8Array(0x10000))).toMatchObject({
    protocol: "reset-vector",
    entry: 0xffff0,
    segments: [{ gpa: 0xf0000, memSize: 0x10000 }],
  });
  expect(() => parseBareImage(new Uint8Array(0x40000))).toThrow(ImageError);
});

test("no file makes the parser throw anything but ImageError", () => {
  const arbitrary = fc.tuple(
    fc.uint8Array({ maxLength: 64 }),
    fc.array(fc.integer({ min: 0, max: 0xffffffff }), { maxLength: 8 }),
    fc.integer({ min: 0, max: 0xffff }),
  );
  fc.assert(
    fc.property(arbitrary, ([tail, fields, low]) => {
      const bytes = new Uint8Array([...header(0x10000 | (low & 3), ...fields), ...tail]);
      try {
        const { segments } = parseBareImage(bytes);
        return segments.every(
          ({ gpa, memSize, bytes: b }) => gpa + memSize <= 2 ** 32 && b.length <= memSize,
        );
      } catch (error) {
        return error instanceof ImageError;
      }
    }),
  );
});
