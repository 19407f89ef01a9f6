import { describe, expect, test } from "vitest";
import { ImageError } from "../../../host-ts/base/errors.ts";
import { parseKernelImage, requireFit } from "../../../host-ts/boot/image.ts";
import { buildBzImage, buildElf, patch } from "./images.ts";

function failure(bytes: Uint8Array): ImageError {
  try {
    parseKernelImage(bytes);
  } catch (error) {
    expect(error).toBeInstanceOf(ImageError);
    return error as ImageError;
  }
  throw new Error("the image was accepted");
}

describe("ELF", () => {
  test("segments are placed by p_paddr, with their bytes and their size in memory", () => {
    const bytes = Uint8Array.of(1, 2, 3);
    const image = parseKernelImage(
      buildElf({ segments: [{ paddr: 0x1000000, vaddr: 0xc1000000, bytes, memsz: 0x2000 }] }),
    );
    expect(image).toMatchObject({ kind: "elf", entry: 0x1000000 });
    expect(image.segments).toEqual([{ gpa: 0x1000000, bytes, memSize: 0x2000 }]);
  });

  test("the release is read from the Linux banner in any segment", () => {
    const banner = new TextEncoder().encode("xx LinLinux version 3.10.108 (me@host) (gcc)");
    const image = parseKernelImage(
      buildElf({
        segments: [
          { paddr: 0, bytes: Uint8Array.of(0) },
          { paddr: 0x1000, bytes: banner },
        ],
      }),
    );
    expect(image.version).toBe("3.10.108");
  });

  test("an image without a banner has no version", () => {
    expect(parseKernelImage(buildElf()).version).toBeUndefined();
  });

  test("notes come out with name, type and descriptor, padding removed", () => {
    const desc = Uint8Array.of(9, 8, 7, 6, 5);
    const notes = [
      { name: "Xen", type: 18, desc },
      { name: "GNU", type: 3, desc: Uint8Array.of(1) },
    ];
    expect(parseKernelImage(buildElf({ notes })).notes).toEqual(notes);
  });

  test("symbols come out by address; undefined, absolute and section symbols do not", () => {
    const image = parseKernelImage(
      buildElf({
        symbols: [
          { name: "late", address: 0xc0002000, size: 16 },
          { name: "early", address: 0xc0001000 },
          { name: "missing", address: 1, section: 0 },
          { name: "number", address: 2, section: 0xfff1 },
          { name: "section", address: 3, type: 3 },
        ],
      }),
    );
    expect(image.symbols()).toEqual([
      { name: "early", address: 0xc0001000, size: 0 },
      { name: "late", address: 0xc0002000, size: 16 },
    ]);
  });

  test("a symbol table that lies is no symbol table, and no error", () => {
    const whole = buildElf({ symbols: [{ name: "a", address: 1 }] });
    expect(parseKernelImage(patch(whole, 32, 32, 0xfffffff0)).symbols()).toEqual([]);
  });

  test.each([
    ["EI_CLASS", 4, 8, 2],
    ["EI_DATA", 5, 8, 2],
    ["e_type", 16, 16, 3],
    ["e_machine", 18, 16, 62],
    ["e_entry", 24, 32, 0x500000],
    ["e_phoff", 28, 32, 0xffffffff],
    ["e_phentsize", 42, 16, 31],
    ["e_phnum", 44, 16, 0],
    ["e_phnum", 44, 16, 0xffff],
    ["p_offset", 52 + 4, 32, 0xffffffff],
    ["p_memsz", 52 + 12, 32, 0xfffff800],
    ["p_filesz", 52 + 16, 32, 0x2000],
  ] as const)("%s out of order is named (offset %i)", (field, off, bits, value) => {
    expect(failure(patch(buildElf(), off, bits, value)).message).toContain(`ELF: ${field} is `);
  });

  test("a note whose size passes its segment is named", () => {
    const whole = buildElf({ notes: [{ name: "Xen", type: 1, desc: Uint8Array.of(1) }] });
    const at = 52 + 32 + 32 + 4;
    expect(failure(patch(whole, at, 32, 0xffffff00)).message).toContain("ELF note: n_namesz is ");
  });

  test("millions of notes are refused, and long names cut", () => {
    const desc = new Uint8Array(2 ** 20);
    const flood = buildElf({ notes: [{ name: "Xen", type: 1, desc }] });
    // A descriptor of no bytes leaves the zeros, which are notes of 12 bytes each.
    const at = 52 + 32 + 32 + 4;
    expect(failure(patch(flood, at + 4, 32, 0)).message).toContain("the number of notes is above");
    const long = buildElf({ notes: [{ name: "n".repeat(1000), type: 1, desc: Uint8Array.of(1) }] });
    expect(parseKernelImage(long).notes).toMatchObject([{ name: "n".repeat(64), type: 1 }]);
  });

  test("a descriptor that passes its segment is cut there", () => {
    const whole = buildElf({ notes: [{ name: "Xen", type: 1, desc: Uint8Array.of(1, 2, 3, 4) }] });
    const at = 52 + 32 + 32 + 4;
    const { notes } = parseKernelImage(patch(whole, at + 4, 32, 0x7fffffff));
    expect(notes).toEqual([{ name: "Xen", type: 1, desc: Uint8Array.of(1, 2, 3, 4) }]);
  });

  test("a 64-bit kernel has the code of an unsupported image", () => {
    expect(failure(patch(buildElf(), 4, 8, 2)).code).toBe("HV_IMAGE_UNSUPPORTED");
  });
});

describe("bzImage", () => {
  test("the 32-bit part goes to 1 MiB and starts at code32_start", () => {
    const payload = new Uint8Array(777).fill(7);
    const image = parseKernelImage(buildBzImage(payload));
    expect(image).toMatchObject({ kind: "bzimage", entry: 0x100000, version: "4.1.15" });
    expect(image.segments).toEqual([{ gpa: 0x100000, bytes: payload, memSize: 777 }]);
  });

  test("zero setup sectors mean four", () => {
    const image = parseKernelImage(patch(buildBzImage(new Uint8Array(4096)), 0x1f1, 8, 0));
    expect(image.segments[0]?.memSize).toBe(1024 + 4096 - 5 * 512);
  });

  test("a version pointer outside the setup area is no version", () => {
    expect(parseKernelImage(patch(buildBzImage(), 0x20e, 16, 0x7000)).version).toBeUndefined();
  });

  test.each([
    ["boot_flag", 0x1fe, 16, 0],
    ["version", 0x206, 16, 0x01ff],
    ["loadflags", 0x211, 8, 0],
    ["setup_sects", 0x1f1, 8, 255],
    ["setup_sects", 0x1f1, 8, 5],
    ["code32_start", 0x214, 32, 0],
    ["code32_start", 0x214, 32, 0xffffffff],
  ] as const)("%s out of order is named (offset %i)", (field, off, bits, value) => {
    expect(failure(patch(buildBzImage(), off, bits, value)).message).toContain(
      `bzImage: ${field} `,
    );
  });
});

describe("detection", () => {
  test.each([
    ["an empty file", [], "empty"],
    ["gzip", [0x1f, 0x8b, 8], "gunzip"],
    ["anything else", [0xde, 0xad, 0xbe, 0xef], "de ad be ef"],
  ])("%s is refused with a reason", (_what, bytes, reason) => {
    expect(failure(Uint8Array.from(bytes)).message).toContain(reason);
  });
});

test("a kernel that does not fit into RAM says how much it needs", () => {
  const image = parseKernelImage(buildElf());
  expect(() => requireFit(image, 0x101000)).not.toThrow();
  expect(() => requireFit(image, 0x100fff)).toThrow(/at least 2 MiB/);
});
