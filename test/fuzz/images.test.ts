import fc from "fast-check";
import { expect, test } from "vitest";
import { ImageError } from "../../host-ts/base/errors.ts";
import { parseKernelImage } from "../../host-ts/boot/image.ts";
import { buildBzImage, buildElf } from "../unit/boot/images.ts";

const ELF = buildElf({
  segments: [
    { paddr: 0x100000, bytes: new Uint8Array(64), memsz: 0x1000 },
    { paddr: 0x200000, bytes: new TextEncoder().encode("Linux version 3.10.1 ") },
  ],
  notes: [{ name: "Xen", type: 18, desc: Uint8Array.of(1, 2, 3) }],
  symbols: [{ name: "start", address: 0x100000, size: 4 }],
});
const IMAGES = [ELF, buildBzImage()];

/** Either an ImageError, or an image whose every claim holds. */
function parsesSafely(bytes: Uint8Array): void {
  try {
    const image = parseKernelImage(bytes);
    for (const { gpa, bytes: part, memSize } of image.segments) {
      expect(gpa + memSize).toBeLessThanOrEqual(2 ** 32);
      expect(part.length).toBeLessThanOrEqual(Math.min(memSize, bytes.length));
    }
    image.symbols();
  } catch (error) {
    expect(error).toBeInstanceOf(ImageError);
  }
}

test("an image cut short anywhere is refused by name or still consistent", () => {
  for (const image of IMAGES) {
    for (let length = 0; length < image.length; length++) parsesSafely(image.subarray(0, length));
  }
});

test("no overwritten 32-bit field makes the parser throw anything but ImageError", () => {
  const value = fc.oneof(
    fc.constantFrom(0, 1, 0x7fffffff, 0x80000000, 0xfffffff0, 0xffffffff),
    fc.integer({ min: 0, max: 0xffffffff }),
  );
  const edits = fc.array(fc.tuple(fc.nat(), value), { minLength: 1, maxLength: 6 });
  fc.assert(
    fc.property(fc.constantFrom(...IMAGES), edits, (image, changes) => {
      const copy = image.slice();
      const view = new DataView(copy.buffer);
      // Most fields live in the first kilobyte.
      for (const [at, word] of changes) {
        view.setUint32(at % (Math.min(copy.length, 1024) - 4), word, true);
      }
      parsesSafely(copy);
    }),
    { numRuns: 2000 },
  );
});

test("random bytes behind a valid magic number never escape", () => {
  const magic = fc.constantFrom([0x7f, 0x45, 0x4c, 0x46, 1, 1, 1], [0x7f, 0x45, 0x4c, 0x46]);
  fc.assert(
    fc.property(magic, fc.uint8Array({ maxLength: 300 }), (start, rest) =>
      parsesSafely(Uint8Array.from([...start, ...rest])),
    ),
    { numRuns: 500 },
  );
});
