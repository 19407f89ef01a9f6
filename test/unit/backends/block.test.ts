import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, describe, expect, it } from "vitest";
import { MemoryBlock, OverlayBlock, ReadOnlyBlock } from "../../../host-ts/backends/block.ts";
import { FileBlock } from "../../../host-ts/backends/block-file-node.ts";
import { BackendError } from "../../../host-ts/base/errors.ts";
import type { BlockBackend } from "../../../host-ts/base/ports.ts";

const folder = mkdtempSync(join(tmpdir(), "wasmvisor-block-"));
afterAll(() => rmSync(folder, { recursive: true }));
let files = 0;

const SECTORS = 16;
const pattern = () => Uint8Array.from({ length: SECTORS * 512 }, (_, i) => (i >> 9) * 7 + i);

function imageFile(bytes: Uint8Array): string {
  const path = join(folder, `${files++}.img`);
  writeFileSync(path, bytes);
  return path;
}

/** The same suite on every disk that can be written. */
const writable: [string, () => BlockBackend][] = [
  ["memory", () => new MemoryBlock(pattern())],
  ["overlay", () => new OverlayBlock(new ReadOnlyBlock(new MemoryBlock(pattern())))],
  ["file", () => new FileBlock(imageFile(pattern()), false)],
];

describe.each(writable)("a %s disk", (_, make) => {
  it("behaves as an array of sectors under any reads and writes", () => {
    const range = fc
      .tuple(fc.nat(SECTORS - 1), fc.integer({ min: 1, max: SECTORS }))
      .map(([sector, count]) => ({ sector, count: Math.min(count, SECTORS - sector) }));
    const step = fc.record({ range, isWrite: fc.boolean(), byte: fc.nat(255) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 20 }), (steps) => {
        const disk = make();
        const model = pattern();
        for (const { range, isWrite, byte } of steps) {
          const at = range.sector * 512;
          const bytes = new Uint8Array(range.count * 512).fill(byte);
          if (isWrite) {
            disk.write(range.sector, bytes);
            model.set(bytes, at);
          } else {
            disk.read(range.sector, bytes);
            expect(bytes).toEqual(model.slice(at, at + bytes.length));
          }
        }
        disk.flush();
        disk.close();
      }),
      { numRuns: 30 },
    );
  });

  it("refuses what is not on it with a BackendError", () => {
    const disk = make();
    for (const [sector, bytes] of [
      [SECTORS, 512],
      [SECTORS - 1, 1024],
      [-1, 512],
      [0, 100],
    ] as const) {
      expect(() => disk.read(sector, new Uint8Array(bytes))).toThrow(BackendError);
      expect(() => disk.write(sector, new Uint8Array(bytes))).toThrow(BackendError);
    }
    disk.close();
  });
});

it("an overlay leaves its base as it was and counts what differs", () => {
  const bytes = pattern();
  const overlay = new OverlayBlock(new MemoryBlock(bytes));
  overlay.write(3, new Uint8Array(1024).fill(0xaa));
  overlay.write(4, new Uint8Array(512).fill(0xbb));
  expect(bytes).toEqual(pattern());
  expect(overlay.writtenSectors).toBe(2);
});

it("a read-only disk refuses writes with its own code", () => {
  const attempt = (disk: BlockBackend) => () => disk.write(0, new Uint8Array(512));
  const expected = expect.objectContaining({ code: "HV_BACKEND_READ_ONLY" });
  expect(attempt(new ReadOnlyBlock(new MemoryBlock(pattern())))).toThrow(expected);
  expect(attempt(new FileBlock(imageFile(pattern()), true))).toThrow(expected);
});

describe("an image file", () => {
  it("holds what was written after close, and refuses further use", () => {
    const path = imageFile(pattern());
    const disk = new FileBlock(path, false);
    disk.write(15, new Uint8Array(512).fill(1));
    disk.close();
    disk.close();
    expect(readFileSync(path).subarray(15 * 512)).toEqual(Buffer.alloc(512, 1));
    expect(() => disk.flush()).toThrow(/is closed/);
  });

  it("that is missing, too short or no file is a BackendError with its path", () => {
    expect(() => new FileBlock(join(folder, "none"), false)).toThrow(
      /cannot open disk image .*none/,
    );
    expect(() => new FileBlock(folder, true)).toThrow(/not a regular file/);
    expect(() => new FileBlock(imageFile(new Uint8Array(511)), false)).toThrow(/shorter than 512/);
  });

  it("that shrinks while in use is a BackendError, not an endless read", () => {
    const path = imageFile(pattern());
    const disk = new FileBlock(path, false);
    truncateSync(path, 1024);
    expect(() => disk.read(4, new Uint8Array(512))).toThrow(/became shorter/);
    disk.close();
  });
});
