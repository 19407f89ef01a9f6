import { spawnSync } from "node:child_process";
import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { HypervisorError } from "../../../host-ts/base/errors.ts";
import { unpackKernel } from "../../../host-ts/boot/payload.ts";
import { Unpacked } from "../../../host-ts/boot/unpacked.ts";
import { unpackXz } from "../../../host-ts/boot/xz.ts";
import { unpackZstd } from "../../../host-ts/boot/zstd.ts";
import { buildElf, buildPayloadImage, patch } from "./images.ts";

const elf = buildElf();
const packed = new Uint8Array(gzipSync(elf));

/** Code-like bytes: runs, calls to few targets, and noise, the same at every run. */
function sampleKernel(sizeBytes: number): Uint8Array {
  const bytes = new Uint8Array(sizeBytes);
  const view = new DataView(bytes.buffer);
  let seed = 1;
  const random = (below: number): number => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return Math.floor((seed / 2 ** 32) * below);
  };
  for (let at = 0; at < sizeBytes - 8; ) {
    const kind = random(4);
    if (kind === 0) {
      bytes[at] = 0xe8 + random(2);
      view.setUint32(at + 1, 0x1000 * random(16) - at - 5, true);
      at += 5;
    } else if (kind === 1) {
      at += random(40);
    } else {
      for (let left = random(12); left > 0; left--) bytes[at++] = random(kind === 2 ? 8 : 256);
    }
  }
  bytes.set(elf);
  return bytes.subarray(0, sizeBytes);
}

const kernel = sampleKernel(300_000);

/** What a program makes of the bytes, undefined where there is no such program. */
function pack(program: string, args: readonly string[], bytes = kernel): Uint8Array | undefined {
  const { status, stdout } = spawnSync(program, args, { input: bytes, maxBuffer: 2 ** 28 });
  return status === 0 ? new Uint8Array(stdout) : undefined;
}

const VARIETIES: readonly (readonly [program: string, args: string])[] = [
  ["xz", "-c"],
  ["xz", "-c --check=crc32 --x86 --lzma2=dict=32MiB"],
  ["xz", "-c -0 --check=sha256"],
  ["xz", "-c --check=none --lzma2=lc=1,lp=3,pb=1"],
  ["xz", "-c -T2 --block-size=64KiB"],
  ["xz", "-c --format=lzma -9"],
  ["zstd", "-c -q"],
  ["zstd", "-c -q --ultra -22"],
  ["zstd", "-c -q -1 --no-check"],
  ["gzip", "-c -9"],
];

describe.each(VARIETIES)("%s %s", (program, args) => {
  const bytes = pack(program, args.split(" "));
  const isThere = bytes !== undefined;

  test.skipIf(!isThere)("a file and a bzImage unpack to what was packed", async () => {
    const hasSize = program === "gzip";
    expect(Buffer.compare(await unpackKernel(bytes!), kernel)).toBe(0);
    const image = buildPayloadImage(bytes!, hasSize ? undefined : kernel.length);
    expect(Buffer.compare(await unpackKernel(image), kernel)).toBe(0);
  });

  test.skipIf(!isThere)("cut anywhere, it is damaged", async () => {
    for (const part of [0.1, 0.5, 0.9, 0.9999]) {
      const cut = bytes!.subarray(0, Math.floor(bytes!.length * part));
      await expect(unpackKernel(cut)).rejects.toThrow(/damaged or cut short/);
    }
  });
});

test.skipIf(pack("xz", ["-c"]) === undefined || pack("zstd", ["-c"]) === undefined)(
  "a changed byte is found by the file's check: never another kernel, never a foreign error",
  async () => {
    const small = sampleKernel(5000);
    const files = [
      pack("xz", ["-c", "--check=crc32", "--x86", "--lzma2"], small)!,
      pack("zstd", ["-c", "-q"], small)!,
    ];
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...files),
        fc.nat(),
        fc.integer({ min: 1, max: 255 }),
        async (file, at, change) => {
          const bytes = file.slice();
          bytes[at % bytes.length]! ^= change;
          const output = new Unpacked();
          try {
            if (file === files[0]) await unpackXz(bytes, output);
            else unpackZstd(bytes, output);
          } catch (error) {
            expect(error).toBeInstanceOf(HypervisorError);
            return;
          }
          // What has no say in the contents may change, such as a window that is larger than needed.
          expect(Buffer.compare(output.view(), small)).toBe(0);
        },
      ),
      { numRuns: 400 },
    );
  },
);

test("a plain file comes back as it is", async () => {
  expect(await unpackKernel(elf)).toBe(elf);
});

test("a gzip file is unpacked, and a damaged one is named", async () => {
  expect(await unpackKernel(packed)).toEqual(elf);
  await expect(unpackKernel(packed.subarray(0, packed.length - 12))).rejects.toThrow(
    "kernel: its gzip data is damaged or cut short",
  );
});

test("the payload of a bzImage is found by its header, which may not point outside", async () => {
  const image = buildPayloadImage(packed);
  expect(await unpackKernel(image)).toEqual(elf);
  await expect(unpackKernel(patch(image, 0x24c, 32, 0x7fffffff))).rejects.toThrow(/payload_length/);
  await expect(unpackKernel(patch(image, 0x206, 16, 0x0207))).rejects.toThrow(/version is 0x207/);
});

test.skipIf(pack("xz", ["-c"]) === undefined)(
  "a payload that unpacks to another size than is written behind it is refused",
  async () => {
    const image = buildPayloadImage(pack("xz", ["-c"], elf)!, elf.length + 1);
    await expect(unpackKernel(image)).rejects.toThrow(/payload's size is/);
  },
);

test("a file packed in a file is unpacked, five times packed it is refused", async () => {
  const twice = new Uint8Array(gzipSync(packed));
  expect(await unpackKernel(twice)).toEqual(elf);
  let deep = elf;
  for (let i = 0; i < 5; i++) deep = new Uint8Array(gzipSync(deep));
  await expect(unpackKernel(deep)).rejects.toThrow(/more than 4 times/);
});

test("what would unpack to more than 512 MiB is refused before there is room made for it", async () => {
  // A frame of zstd: no checksum, no content size; runs of 128 KiB.
  const run = [0x02, 0x00, 0x10, 0x41];
  const frame = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xff];
  const bomb = new Uint8Array(frame.length + 4 * 5000);
  bomb.set(frame);
  for (let i = 0; i < 5000; i++) bomb.set(run, frame.length + 4 * i);
  bomb[bomb.length - 4]! |= 1;
  await expect(unpackKernel(bomb)).rejects.toMatchObject({
    code: "HV_IMAGE_TOO_LARGE",
    message: "kernel: unpacked it is more than 512 MiB",
  });
  const lzma = new Uint8Array(64).fill(0);
  lzma.set([0x5d, 0, 0, 0, 1, 0, 0, 0, 0, 1]);
  await expect(unpackKernel(lzma)).rejects.toMatchObject({ code: "HV_IMAGE_TOO_LARGE" });
});

test.each([
  ["bzip2", "bunzip2", [0x42, 0x5a, 0x68, 0x39]],
  ["lz4", "unlz4", [0x02, 0x21, 0x4c, 0x18]],
  ["lzop", "lzop -d", [0x89, 0x4c, 0x5a, 0x4f]],
])("%s is refused with the program that unpacks it, %s", async (name, program, magic) => {
  const bytes = Uint8Array.from(magic);
  await expect(unpackKernel(bytes)).rejects.toThrow(`packed with ${name}`);
  await expect(unpackKernel(bytes)).rejects.toThrow(`(${program})`);
  await expect(unpackKernel(buildPayloadImage(bytes))).rejects.toThrow(/extract-vmlinux/);
});
